package mask

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// ErrJSON is wrapped by the errors of [Engine.FindJSON]: what is no JSON is not looked into.
var ErrJSON = errors.New("not JSON")

// maxNesting bounds objects and arrays inside one another.
const maxNesting = 512

// A walker goes through a body of JSON without building anything of it.
type walker struct {
	body    []byte
	i       int
	isArray [maxNesting]bool
	decoded []byte // the string at hand, if it has escapes
	marks   []mark // where its escapes were
	joined  joiner
	key     [maxName]byte // the last key
	keyLen  int
	out     []Finding
}

// A mark says that byte at of a decoded string stands at raw in the body. They come in pairs, for the begin
// and the end of each escape.
type mark struct{ at, raw int }

// FindJSON appends what it finds in the strings of body to dst, keys included, with offsets into body.
// Strings are looked at as they read once their escapes are undone, and what is found covers the escapes.
// The key before a string counts as its name. A secret that is cut in two or more by the ends of
// neighbouring strings under one key (the content blocks of a message) is found piece by piece.
func (e *Engine) FindJSON(dst []Finding, body []byte) ([]Finding, error) {
	s := e.search()
	s.depth = 0
	w := &s.walk
	w.body, w.i, w.out, w.keyLen = body, 0, w.out[:0], 0
	w.joined.reset()
	s.spent, s.allowed, s.oneBody = 0, 0, true
	err := s.walkJSON()
	s.oneBody = false
	if err == nil {
		dst = append(dst, tidy(w.out)...)
	}
	clear(w.decoded)
	w.body, w.out = nil, w.out[:0]
	s.release()
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrJSON, err)
	}
	return dst, nil
}

var errSyntax = errors.New("it ends early, or has a character where none belongs")

// walkJSON checks the syntax of the body and looks into each string.
func (s *search) walkJSON() error {
	w := &s.walk
	body := w.body
	depth := 0
	const (
		wantValue = iota
		wantKey
		wantKeyOrEnd
		wantValueOrEnd
		wantComma
	)
	state := wantValue
	for {
		for w.i < len(body) && space.has(body[w.i]) {
			w.i++
		}
		if w.i >= len(body) {
			if depth == 0 && state == wantComma {
				w.joined.look(s)
				return nil
			}
			return errSyntax
		}
		b := body[w.i]
		switch state {
		case wantKey, wantKeyOrEnd:
			if b == '}' && state == wantKeyOrEnd {
				w.i++
				depth--
				state = wantComma
				continue
			}
			if b != '"' {
				return errSyntax
			}
			if err := s.jsonString(true); err != nil {
				return err
			}
			for w.i < len(body) && space.has(body[w.i]) {
				w.i++
			}
			if w.i >= len(body) || body[w.i] != ':' {
				return errSyntax
			}
			w.i++
			state = wantValue
		case wantValue, wantValueOrEnd:
			switch {
			case b == ']' && state == wantValueOrEnd:
				w.i++
				depth--
				state = wantComma
			case b == '"':
				if err := s.jsonString(false); err != nil {
					return err
				}
				state = wantComma
			case b == '{' || b == '[':
				if depth == maxNesting {
					return fmt.Errorf("it is nested more than %d deep", maxNesting)
				}
				w.isArray[depth] = b == '['
				depth++
				w.i++
				state = wantKeyOrEnd
				if b == '[' {
					state = wantValueOrEnd
				}
			default:
				end := literal(body, w.i)
				if end < 0 {
					return errSyntax
				}
				s.jsonNumber(w.i, end)
				w.i = end
				state = wantComma
			}
		case wantComma:
			if depth == 0 {
				return errSyntax
			}
			array := w.isArray[depth-1]
			switch {
			case b == ',' && array:
				state = wantValue
			case b == ',':
				state = wantKey
			case b == ']' && array, b == '}' && !array:
				depth--
			default:
				return errSyntax
			}
			w.i++
		}
	}
}

// literal returns the end of the number, true, false or null at i, or -1.
func literal(body []byte, i int) int {
	for _, word := range [...]string{"true", "false", "null"} {
		if has(body, i, word) {
			return i + len(word)
		}
	}
	if i < len(body) && body[i] == '-' {
		i++
	}
	digits := func() bool {
		start := i
		i = run(body, i, digit, len(body))
		return i > start
	}
	start := i
	if !digits() || body[start] == '0' && i > start+1 {
		return -1
	}
	if i < len(body) && body[i] == '.' {
		i++
		if !digits() {
			return -1
		}
	}
	if i < len(body) && (body[i] == 'e' || body[i] == 'E') {
		i++
		if i < len(body) && (body[i] == '+' || body[i] == '-') {
			i++
		}
		if !digits() {
			return -1
		}
	}
	return i
}

// jsonString looks into the string at w.i, and steps over it.
func (s *search) jsonString(isKey bool) error {
	w := &s.walk
	body := w.body
	start := w.i + 1
	i := start
	for i < len(body) && plain[body[i]] {
		i++
	}
	if i >= len(body) {
		return errSyntax
	}
	text := body[start:i]
	w.marks = w.marks[:0]
	if body[i] != '"' {
		var err error
		if i, err = w.undo(start, i); err != nil {
			return err
		}
		text = w.decoded
	}
	w.i = i + 1
	if isKey {
		w.keyLen = copy(w.key[:], text[max(0, len(text)-maxName):])
		if len(text) < minKeyLook {
			return nil
		}
	} else if len(text) < MinKnown-2 {
		w.joined.add(s, text, start)
		return nil
	}
	s.look(text)
	if !isKey {
		if l := levelOf(w.key[:w.keyLen]); l > noSecret && len(text) <= maxValue {
			s.judged(value{start: 0, end: len(text), quoted: true}, l)
		}
	}
	for _, f := range tidy(s.found) {
		f.Start, f.End, f.Escaped = w.raw(f.Start, start, false), w.raw(f.End, start, true), true
		w.out = append(w.out, f)
	}
	if !isKey {
		w.joined.add(s, text, start)
	}
	return nil
}

// minNumber is the length from which a number may be a known value or one of a card.
const minNumber = MinKnown

// jsonNumber looks at the number body[start:end]: known values and payment cards alone, since whatever else is
// made of digits is a number more often than not.
func (s *search) jsonNumber(start, end int) {
	w := &s.walk
	if end-start < minNumber || s.e.known == nil && (s.e.personal == nil || !s.e.personal.card) {
		return
	}
	s.look(w.body[start:end])
	for _, f := range tidy(s.found) {
		if f.Kind == "secret:known" || f.Kind == Card {
			f.Start, f.End, f.Bare = start, end, true
			w.out = append(w.out, f)
			return
		}
	}
}

// minKeyLook is the length from which a key of an object may itself be a secret.
const minKeyLook = 12

// plain are the bytes that stand for themselves in a string of JSON.
var plain = func() (t [256]bool) {
	for b := range t {
		t[b] = b >= 0x20 && b != '"' && b != '\\'
	}
	return t
}()

// undo decodes the string that begins at start and has its first escape at i, and returns where it ends.
func (w *walker) undo(start, i int) (int, error) {
	body := w.body
	w.decoded = append(w.decoded[:0], body[start:i]...)
	for i < len(body) {
		switch b := body[i]; {
		case b == '"':
			return i, nil
		case b == '\\':
			r, n := escape(body, i)
			if n == 0 {
				return 0, errSyntax
			}
			w.marks = append(w.marks, mark{len(w.decoded), i})
			w.decoded = utf8.AppendRune(w.decoded, r)
			i += n
			w.marks = append(w.marks, mark{len(w.decoded), i})
		case b < 0x20:
			return 0, errSyntax
		default:
			j := i + 1
			for j < len(body) && plain[body[j]] {
				j++
			}
			w.decoded = append(w.decoded, body[i:j]...)
			i = j
		}
	}
	return 0, errSyntax
}

// escape decodes the escape at i, a pair of surrogates as one.
func escape(body []byte, i int) (r rune, n int) {
	if i+1 >= len(body) {
		return 0, 0
	}
	switch b := body[i+1]; b {
	case '"', '\\', '/':
		return rune(b), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		hi, ok := hex4(body, i+2)
		if !ok {
			return 0, 0
		}
		if hi >= 0xd800 && hi < 0xdc00 && has(body, i+6, `\u`) {
			if lo, ok := hex4(body, i+8); ok && lo >= 0xdc00 && lo < 0xe000 {
				return (hi-0xd800)<<10 + (lo - 0xdc00) + 0x10000, 12
			}
		}
		if hi >= 0xd800 && hi < 0xe000 {
			hi = utf8.RuneError
		}
		return hi, 6
	}
	return 0, 0
}

func hex4(body []byte, i int) (r rune, ok bool) {
	if i+4 > len(body) {
		return 0, false
	}
	for _, b := range body[i : i+4] {
		switch {
		case '0' <= b && b <= '9':
			r = r<<4 | rune(b-'0')
		case 'a' <= b && b <= 'f':
			r = r<<4 | rune(b-'a'+10)
		case 'A' <= b && b <= 'F':
			r = r<<4 | rune(b-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// raw returns where byte at of the string at hand, which begins at start in the body, is written. Inside
// what one escape stands for it is the escape's begin, or its end if end is set.
func (w *walker) raw(at, start int, end bool) int {
	i, _ := slices.BinarySearchFunc(w.marks, at+1, func(m mark, at int) int { return m.at - at })
	// Marks below i are at or before at; those of even index are the begins of escapes.
	switch i--; {
	case i < 0:
		return start + at
	case i%2 == 1:
		return w.marks[i].raw + at - w.marks[i].at
	case at > w.marks[i].at && end:
		return w.marks[i+1].raw
	}
	return w.marks[i].raw
}
