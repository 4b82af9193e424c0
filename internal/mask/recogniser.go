package mask

import (
	"bytes"
	"fmt"
	"regexp"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/words"
)

// A Recogniser finds what only a configuration can know: the names of customers, projects, streets.
type Recogniser struct {
	Kind     Kind     `json:"kind"`               // "personal:name", "personal:customer", "secret:codename"
	Words    []string `json:"words,omitempty"`    // found as whole words, as they are written here
	Fold     bool     `json:"fold,omitempty"`     // found in either case, too
	Patterns []string `json:"patterns,omitempty"` // in the syntax of RE2, which takes linear time
}

// Bounds on a recogniser.
const (
	MaxWords    = 200_000
	MaxPatterns = 64
	maxPattern  = 1024 // bytes of a pattern
)

type recogniser struct {
	kind     Kind
	fold     bool
	words    []string
	set      *words.Set
	patterns []*regexp.Regexp
	special  func(s *search, start, end int) // instead of a word alone
}

func compile(r Recogniser) (*recogniser, error) {
	if !r.Kind.Personal() && !r.Kind.Secret() || len(r.Kind) > 64 || bytes.ContainsAny([]byte(r.Kind), " \"\\\u27e7\u27e6]") {
		return nil, fmt.Errorf("recogniser %q: a kind is \"personal:…\" or \"secret:…\", without spaces", r.Kind)
	}
	if len(r.Words) > MaxWords || len(r.Patterns) > MaxPatterns {
		return nil, fmt.Errorf("recogniser %s: it has more than %d words or %d patterns", r.Kind, MaxWords, MaxPatterns)
	}
	out := &recogniser{kind: r.Kind, fold: r.Fold, words: r.Words}
	for i, w := range r.Words {
		if n := utf8.RuneCountInString(w); n < 2 || len(w) > 120 {
			return nil, fmt.Errorf("recogniser %s: word %d has %d characters; 2 to 120 can be looked for", r.Kind, i+1, n)
		}
	}
	if len(r.Words) > 0 {
		out.set = words.New(r.Words)
	}
	for _, p := range r.Patterns {
		if len(p) > maxPattern {
			return nil, fmt.Errorf("recogniser %s: a pattern has more than %d bytes", r.Kind, maxPattern)
		}
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("recogniser %s: %w", r.Kind, err)
		}
		out.patterns = append(out.patterns, re)
	}
	return out, nil
}

// find notes what the recogniser knows. Neighbouring words of one list are one finding: a first and a
// last name.
func (r *recogniser) find(s *search) {
	text := s.text
	if r.set != nil {
		var state uint32
		last := -1
		for i := 0; i < len(text); {
			end, after, hits := r.set.Next(text, i, state)
			i, state = end, after
			for _, w := range hits {
				start := end - r.set.Len(w)
				if r.special != nil {
					r.special(s, start, end)
					continue
				}
				if !r.fold && string(text[start:end]) != r.words[w] || !bounded(text, start, end) {
					continue
				}
				if last >= 0 && last < len(s.found) && s.found[last].Rule == "word" && s.found[last].Kind == r.kind && s.found[last].End+1 == start && text[start-1] == ' ' {
					s.found[last].End = end
					continue
				}
				last = len(s.found)
				s.add(r.kind, "word", start, end, sallyport.Medium, byForm)
			}
		}
	}
	for _, re := range r.patterns {
		for _, at := range re.FindAllIndex(text, -1) {
			s.add(r.kind, "pattern", at[0], at[1], sallyport.Medium, byForm)
		}
	}
}

// bounded reports whether a word begins at start and ends at end.
func bounded(text []byte, start, end int) bool {
	if start > 0 && !isEscapeBefore(text, start) {
		if r, _ := utf8.DecodeLastRune(text[:start]); unicode.IsLetter(r) || unicode.IsDigit(r) {
			return false
		}
	}
	r, _ := utf8.DecodeRune(text[end:])
	return end == len(text) || !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// capitals returns the end of up to most words from i that begin with a capital, or i.
func capitals(text []byte, i, most int) int {
	end := i
	for range most {
		r, n := utf8.DecodeRune(text[i:])
		if !unicode.IsUpper(r) {
			break
		}
		j := i + n
		for j < len(text) {
			r, n := utf8.DecodeRune(text[j:])
			if !unicode.IsLetter(r) && r != '\'' && r != '-' && r != '’' && !(r == '.' && j-i <= 2) {
				break
			}
			j += n
		}
		if j-i < 2 {
			break
		}
		end = j
		if j >= len(text) || text[j] != ' ' {
			break
		}
		i = j + 1
	}
	return end
}

// titles finds names behind a title or behind what introduces them.
var titles = sync.OnceValue(func() *recogniser {
	list := []string{"mr. ", "mrs. ", "ms. ", "dr. ", "prof. ", "mr ", "mrs ", "ms ", "dr ", "miss ", "herr ", "frau ", "monsieur ", "madame ", "my name is ", "i am called ", "full name: ", "name: ",
		"first name: ", "last name: ", "dear ", "signed by ", "regards, ", "sincerely, ", "attn: ", "patient: ", "employee: ", "customer: ", "contact person: ", "ich heiße ", "je m'appelle ", "me llamo "}
	r := &recogniser{kind: Name, set: words.New(list)}
	r.special = func(s *search, start, end int) {
		if start > 0 && (letter.has(s.text[start-1]) || s.text[start-1] == '_') {
			return
		}
		if stop := capitals(s.text, end, 4); stop > end {
			s.personal(Name, "introduced-name", end, stop)
		}
	}
	return r
})

// streets finds addresses by the words for streets and parts of houses, with a number beside them.
var streets = sync.OnceValue(func() *recogniser {
	list := []string{" street", " st.", " st\n", " st,", " road", " rd.", " rd,", " avenue", " ave", " lane", " ln", " drive", " dr,", " boulevard", " blvd", " court", " square", " terrace", " place", " way",
		"straße", "strasse", "stra\u00dfe", "straat", "gasse", "weg ", "vej ", "vägen", "gatan", "gade ", "utca", "p.o. box", "po box", "suite ", "apt. ", "apt ", "rue ", "avenue ", "via ", "rua ", "calle ", "ulica ", "ul. "}
	r := &recogniser{kind: Address, set: words.New(list)}
	r.special = func(s *search, start, end int) {
		text := s.text
		w := text[start:end]
		switch lowerByte(w[0]) {
		case 's', 'a', 'p', 'r', 'v', 'c', 'u':
			if w[0] != ' ' && hasAny(w, "suite", "apt", "box") {
				// A part of a house, and its number.
				i := run(text, end, blank, 2)
				if j := run(text, i, alnum, 6); j > i && digit.has(text[i]) && bounded(text, start, end-1) {
					s.personal(Address, "unit", start, j)
				}
				return
			}
			if hasAny(w, "rue ", "avenue ", "via ", "rua ", "calle ", "ulica ", "ul. ") && upper.has(text[start]) && bounded(text, start, end-1) {
				stop := capitals(text, end, 4)
				i := run(text, stop, blank, 1)
				if j := run(text, i, digit, 5); stop > end && j > i {
					s.personal(Address, "street", houseBefore(text, start), j)
				}
			}
			return
		}
		// Words with capitals before it, and a number before or behind.
		from := wordsBefore(text, start)
		if from == start {
			return
		}
		number := houseBefore(text, from)
		stop := end
		for stop > start && (text[stop-1] == '\n' || text[stop-1] == ',' || text[stop-1] == ' ') {
			stop--
		}
		if stop < len(text) && letter.has(text[stop]) {
			stop = run(text, stop, letter, 12)
		}
		if number == from {
			i := run(text, stop, blank, 1)
			j := run(text, i, digit, 5)
			if j == i {
				return
			}
			stop = j
		}
		s.personal(Address, "street", number, stop)
	}
	return r
})

func hasAny(w []byte, list ...string) bool {
	for _, x := range list {
		if hasFold(w, 0, x) || x == "box" && bytes.HasSuffix(bytes.ToLower(w), []byte("box")) {
			return true
		}
	}
	return false
}

// wordsBefore returns where up to four words with capitals begin that end at i.
func wordsBefore(text []byte, i int) int {
	begin := i
	for range 4 {
		j := begin
		if j < i && j > 0 && text[j-1] == ' ' {
			j--
		} else if j < i {
			break
		}
		k := j
		for k > 0 && j-k < 30 && (letter.has(text[k-1]) || text[k-1] >= 0x80 || text[k-1] == '\'' || text[k-1] == '-' || text[k-1] == '.') {
			k--
		}
		if r, _ := utf8.DecodeRune(text[k:]); k == j || !unicode.IsUpper(r) {
			break
		}
		begin = k
	}
	return begin
}

// houseBefore returns where the house number begins that stands before i, or i.
func houseBefore(text []byte, i int) int {
	j := i
	for j > 0 && i-j < 2 && (text[j-1] == ' ' || text[j-1] == ',') {
		j--
	}
	k := runBack(text, j, digit, 6)
	if k < j && (k == 0 || !word.has(text[k-1])) {
		return k
	}
	return i
}
