package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A scanner reads JSON straight into the values that rules see. encoding/json hands out one
// allocated token after another, which cost ten times as much as evaluating the baseline. Its
// grammar is that of RFC 8259; it refuses text that is not UTF-8, which encoding/json repairs
// without a word. A fuzz test holds it against encoding/json.
type scanner struct {
	b   []byte
	pos int

	// terms holds the short strings seen so far: paths, names and states come again and again.
	terms map[string]*ast.Term
}

var errCutShort = errors.New("the document is empty or cut short")

// Bounds of scanner.terms.
const (
	maxSharedLen = 64
	maxShared    = 1 << 14
)

// next skips white space and returns the byte that stands there.
func (s *scanner) next() (byte, error) {
	for s.pos < len(s.b) {
		switch c := s.b[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c, nil
		}
	}
	return 0, errCutShort
}

func (s *scanner) unexpected() error {
	r, _ := utf8.DecodeRune(s.b[s.pos:])
	return fmt.Errorf("unexpected %q at byte %d", r, s.pos)
}

// end reports whether only white space is left.
func (s *scanner) end() error {
	if _, err := s.next(); err == nil {
		return fmt.Errorf("data after the end of the document, at byte %d", s.pos)
	}
	return nil
}

// members calls f at each member of the array or object that opens at pos and is closed by
// the byte close.
func (s *scanner) members(close byte, f func() error) error {
	s.pos++
	for first := true; ; first = false {
		c, err := s.next()
		switch {
		case err != nil:
			return err
		case c == close:
			s.pos++
			return nil
		case !first && c != ',':
			return s.unexpected()
		case !first:
			s.pos++
			if _, err := s.next(); err != nil {
				return err
			}
		}
		if err := f(); err != nil {
			return err
		}
	}
}

// key reads a property's name and the colon after it.
func (s *scanner) key() ([]byte, error) {
	if s.b[s.pos] != '"' {
		return nil, s.unexpected()
	}
	name, err := s.string()
	if err != nil {
		return nil, err
	}
	c, err := s.next()
	if err != nil {
		return nil, err
	}
	if c != ':' {
		return nil, s.unexpected()
	}
	s.pos++
	_, err = s.next()
	return name, err
}

// string reads the string at pos. What it returns is valid until the caller changes the input.
func (s *scanner) string() ([]byte, error) {
	start := s.pos
	escaped := false
	for i := start + 1; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.pos = i + 1
			raw := s.b[start+1 : i]
			if !utf8.Valid(raw) {
				return nil, fmt.Errorf("a string that is not UTF-8, at byte %d", start)
			}
			if !escaped {
				return raw, nil
			}
			var v string
			if err := json.Unmarshal(s.b[start:s.pos], &v); err != nil {
				return nil, fmt.Errorf("string at byte %d: %w", start, err)
			}
			return []byte(v), nil
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			s.pos = i
			return nil, s.unexpected()
		}
	}
	return nil, errCutShort
}

// term returns the value of a string, shared if it is short.
func (s *scanner) term(v []byte) *ast.Term {
	if t, ok := s.terms[string(v)]; ok {
		return t
	}
	t := ast.StringTerm(string(v))
	if len(v) <= maxSharedLen && len(s.terms) < maxShared {
		s.terms[string(v)] = t
	}
	return t
}

// number reads the number at pos as it is written.
func (s *scanner) number() ([]byte, error) {
	start := s.pos
	for s.pos < len(s.b) && bytes.IndexByte([]byte("+-.0123456789eE"), s.b[s.pos]) >= 0 {
		s.pos++
	}
	raw := s.b[start:s.pos]
	if !json.Valid(raw) {
		return nil, fmt.Errorf("no number at byte %d", start)
	}
	return raw, nil
}

// integer returns the value of an integer from lowest to 2^53, beyond which readers of JSON
// disagree.
func integer(raw []byte, lowest int64) (*ast.Term, bool) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < lowest || n > 1<<53 || n == 0 && raw[0] == '-' {
		return nil, false
	}
	if n >= 0 && n <= 100 {
		return ast.InternedTerm(int(n)), true
	}
	return ast.NumberTerm(json.Number(raw)), true
}

// literal reads true, false or null.
func (s *scanner) literal(word string) error {
	if !bytes.HasPrefix(s.b[s.pos:], []byte(word)) {
		return s.unexpected()
	}
	s.pos += len(word)
	return nil
}
