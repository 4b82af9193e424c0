package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/words"
)

// This file looks for known values through what programs put into and around text: percent-encoding of every
// byte, escapes of JSON, of C and of HTML, colour codes, and line ends or spaces in the middle. A second pass
// reads the text with the escapes undone and without any white space, and looks there for the values, and for
// their hex and base64, undone and squeezed in the same way. It is made only where known values are looked for.

// minThrough is the length from which a value is looked for so: a shorter one would be found across words.
const minThrough = 10

// maxView is how much is read before it is searched; what may be cut by the end is read again.
const maxView = 32 << 10

// A throughSet holds the values as the second pass reads them.
type throughSet struct {
	set     *words.Set
	forms   [][]byte
	longest int
}

func newThrough(list []Known) *throughSet {
	t := &throughSet{}
	var heads []string
	seen := map[string]bool{}
	add := func(text string) {
		if v, _ := appendSqueezed(nil, nil, []byte(text), 0, len(text)*2); len(v) >= minThrough && !seen[string(v)] {
			seen[string(v)] = true
			t.forms = append(t.forms, v)
			heads = append(heads, string(v[:min(len(v), 8)]))
			t.longest = max(t.longest, len(v))
		}
	}
	for _, k := range list {
		add(k.Value)
		add(hex.EncodeToString([]byte(k.Value)))
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for shift := range 3 {
				add(inBase64(enc, k.Value, shift))
			}
		}
	}
	if len(heads) == 0 {
		return nil
	}
	t.set = words.New(heads)
	return t
}

// through looks for known values in the text as it reads without its escapes and white space.
func (s *search) through() {
	t := s.e.through
	if t == nil {
		return
	}
	for at := 0; at < len(s.text); {
		s.view, s.viewAt = s.view[:0], s.viewAt[:0]
		s.view, s.viewAt = appendSqueezed(s.view, s.viewAt, s.text, at, maxView+2*t.longest)
		if len(s.view) == 0 {
			return
		}
		var state uint32
		for i := 0; i < len(s.view); {
			end, after, hits := t.set.Next(s.view, i, state)
			i, state = end, after
			for _, w := range hits {
				from := end - t.set.Len(w)
				to := from + len(t.forms[w])
				if to > len(s.view) || !bytes.EqualFold(s.view[from:to], t.forms[w]) {
					continue
				}
				last := s.viewAt[to-1]
				_, n := undone(s.text, last)
				s.add("secret:known", "known-value", s.viewAt[from], last+n, sallyport.Critical, byValue)
			}
		}
		if len(s.view) < maxView+2*t.longest {
			break
		}
		at = s.viewAt[len(s.view)-t.longest]
	}
	clear(s.view)
}

// appendSqueezed appends text from at as it reads without its escapes and white space, and where each byte
// comes from, until dst has limit bytes.
func appendSqueezed(dst []byte, from []int, text []byte, at, limit int) ([]byte, []int) {
	for at < len(text) && len(dst) < limit {
		b := text[at]
		if space.has(b) {
			at++
			continue
		}
		if b != '%' && b != '\\' && b != '&' && b != 0x1b {
			dst, from = append(dst, b), append(from, at)
			at++
			continue
		}
		r, n := undone(text, at)
		switch {
		case r < 0 || r < 0x80 && space.has(byte(r)):
		case r < 0x100 && b == '%' || r < 0x100 && n == 4 && b == '\\': // a byte, perhaps of several
			dst, from = append(dst, byte(r)), append(from, at)
		default:
			var buf [4]byte
			for _, c := range buf[:utf8.EncodeRune(buf[:], r)] {
				dst, from = append(dst, c), append(from, at)
			}
		}
		at += n
	}
	return dst, from
}

// entities are those that programs write for what HTML needs escaped.
var entities = [...]struct {
	name string
	r    rune
}{{"&amp;", '&'}, {"&quot;", '"'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&apos;", '\''}, {"&nbsp;", ' '}}

// undone returns what the escape or byte at i stands for, or -1 for nothing, and its length.
func undone(text []byte, i int) (rune, int) {
	b := text[i]
	switch b {
	case '%':
		if c, ok := hex2(text, i+1); ok {
			return rune(c), 3
		}
	case '&':
		for _, e := range entities {
			if has(text, i, e.name) {
				return e.r, len(e.name)
			}
		}
		if has(text, i, "&#") {
			if n := bytes.IndexByte(text[i:min(len(text), i+12)], ';'); n > 2 {
				number, base := string(text[i+2:i+n]), 10
				if h := strings.TrimLeft(number, "xX"); h != number {
					number, base = h, 16
				}
				if r, err := strconv.ParseUint(number, base, 21); err == nil {
					return rune(r), n + 1
				}
			}
		}
	case 0x1b, '\\':
		if n := colour(text, i); n > i {
			return -1, n - i
		}
		if b == 0x1b {
			return -1, 1
		}
		// Escapes in escapes have several backslashes.
		j := i
		for j < len(text) && text[j] == '\\' && j-i < 16 {
			j++
		}
		if j == len(text) {
			return '\\', 1
		}
		if n := colour(text, j-1); n > j-1 {
			return -1, n - i
		}
		switch text[j] {
		case 'n', 'r', 't':
			return -1, j + 1 - i
		case '"', '\'', '/':
			return rune(text[j]), j + 1 - i
		case 'u':
			if r, n := escape(text, j-1); n > 0 {
				return r, j - 1 + n - i
			}
		case 'x':
			if c, ok := hex2(text, j+1); ok {
				return rune(c), j + 3 - i
			}
		}
		return '\\', j - i
	}
	return rune(b), 1
}

func hex2(text []byte, i int) (byte, bool) {
	if i+2 > len(text) {
		return 0, false
	}
	var b [1]byte
	_, err := hex.Decode(b[:], text[i:i+2])
	return b[0], err == nil
}
