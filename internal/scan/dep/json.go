package dep

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds nesting in every format, so that a small file cannot exhaust the stack.
const maxDepth = 200

// parseJSON reads one JSON value (RFC 8259): objects as map[string]any, arrays as []any, strings
// as string, numbers and literals as literal. A key that stands twice in an object is an error, and
// keys are compared exactly: encoding/json takes "Version" for "version", and npm does not.
func parseJSON(b []byte) (any, error) {
	p := jsonParser{b: b}
	p.space()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i != len(b) {
		return nil, p.fail("data after the end of the document")
	}
	return v, nil
}

// A literal is a scalar that was not written as a string: a number, true, false, null.
type literal string

type jsonParser struct {
	b []byte
	i int
}

func (p *jsonParser) fail(what string) error { return fmt.Errorf("byte %d: %s", p.i, what) }

func (p *jsonParser) space() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

func (p *jsonParser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

func (p *jsonParser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, p.fail("nested too deeply")
	}
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.str()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, l := range []string{"true", "false", "null"} {
		if len(p.b)-p.i >= len(l) && string(p.b[p.i:p.i+len(l)]) == l {
			p.i += len(l)
			return literal(l), nil
		}
	}
	return nil, p.fail("no JSON value")
}

func (p *jsonParser) object(depth int) (any, error) {
	p.i++
	m := map[string]any{}
	p.space()
	if p.peek() == '}' {
		p.i++
		return m, nil
	}
	for {
		p.space()
		if p.peek() != '"' {
			return nil, p.fail("a key was expected")
		}
		k, err := p.str()
		if err != nil {
			return nil, err
		}
		if _, twice := m[k]; twice {
			return nil, p.fail("a key stands twice in one object")
		}
		p.space()
		if p.peek() != ':' {
			return nil, p.fail("a colon was expected")
		}
		p.i++
		p.space()
		if m[k], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.i++
		case '}':
			p.i++
			return m, nil
		default:
			return nil, p.fail("a comma or a closing brace was expected")
		}
	}
}

func (p *jsonParser) array(depth int) (any, error) {
	p.i++
	a := []any{}
	p.space()
	if p.peek() == ']' {
		p.i++
		return a, nil
	}
	for {
		p.space()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
		p.space()
		switch p.peek() {
		case ',':
			p.i++
		case ']':
			p.i++
			return a, nil
		default:
			return nil, p.fail("a comma or a closing bracket was expected")
		}
	}
}

func (p *jsonParser) number() (any, error) {
	from := p.i
	digits := func() bool {
		n := p.i
		for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
			p.i++
		}
		return p.i > n
	}
	if p.peek() == '-' {
		p.i++
	}
	if p.peek() == '0' {
		p.i++
	} else if !digits() {
		return nil, p.fail("no number")
	}
	if p.peek() == '.' {
		if p.i++; !digits() {
			return nil, p.fail("no number")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.i++
		if c := p.peek(); c == '+' || c == '-' {
			p.i++
		}
		if !digits() {
			return nil, p.fail("no number")
		}
	}
	return literal(p.b[from:p.i]), nil
}

var errString = errors.New("a string that is not closed, or not well formed")

func (p *jsonParser) str() (string, error) {
	p.i++
	from := p.i
	for p.i < len(p.b) {
		switch c := p.b[p.i]; {
		case c == '"':
			s := string(p.b[from:p.i])
			p.i++
			return s, nil
		case c == '\\':
			return p.escaped(append([]byte(nil), p.b[from:p.i]...))
		case c < 0x20:
			return "", fmt.Errorf("byte %d: %w", p.i, errString)
		}
		p.i++
	}
	return "", fmt.Errorf("byte %d: %w", p.i, errString)
}

// escaped reads on from the first backslash of a string.
func (p *jsonParser) escaped(out []byte) (string, error) {
	bad := func() (string, error) { return "", fmt.Errorf("byte %d: %w", p.i, errString) }
	for p.i < len(p.b) {
		c := p.b[p.i]
		p.i++
		switch {
		case c == '"':
			return string(out), nil
		case c < 0x20:
			return bad()
		case c != '\\':
			out = append(out, c)
			continue
		}
		c = p.peek()
		p.i++
		switch c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := p.hex4()
			if !ok {
				return bad()
			}
			if utf16.IsSurrogate(r) {
				if p.i+1 >= len(p.b) || p.b[p.i] != '\\' || p.b[p.i+1] != 'u' {
					return bad()
				}
				p.i += 2
				low, ok := p.hex4()
				if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
					return bad()
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return bad()
		}
	}
	return bad()
}

func (p *jsonParser) hex4() (rune, bool) {
	if len(p.b)-p.i < 4 {
		return 0, false
	}
	for _, c := range p.b[p.i : p.i+4] {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(string(p.b[p.i:p.i+4]), 16, 32)
	p.i += 4
	return rune(n), err == nil
}
