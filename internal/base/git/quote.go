package git

import (
	"errors"
	"fmt"
	"strings"
)

var errQuote = errors.New("malformed quoted name")

// UnquotePrefix decodes the C-style quoted string that s starts with, as git writes names that
// hold control characters, quotation marks, backslashes or bytes above 0x7f, and returns it
// with what follows.
func UnquotePrefix(s string) (name, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", errQuote
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			i++
			if i >= len(s) {
				return "", "", errQuote
			}
			if j := strings.IndexByte(`abfnrtv"\`, s[i]); j >= 0 {
				b.WriteByte("\a\b\f\n\r\t\v\"\\"[j])
				continue
			}
			if i+2 >= len(s) || s[i] < '0' || s[i] > '3' {
				return "", "", errQuote
			}
			var v byte
			for _, d := range []byte(s[i : i+3]) {
				if d < '0' || d > '7' {
					return "", "", errQuote
				}
				v = v<<3 | (d - '0')
			}
			b.WriteByte(v)
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errQuote
}

// Unquote decodes a name as git prints it: as it is, or quoted whole.
func Unquote(s string) (string, error) {
	if !strings.HasPrefix(s, `"`) {
		return s, nil
	}
	name, rest, err := UnquotePrefix(s)
	if err != nil {
		return "", err
	}
	if rest != "" {
		return "", errQuote
	}
	return name, nil
}

// quoteAlternate writes one line of objects/info/alternates. Lines that start with "#" are
// comments there and lines that start with a quotation mark are quoted.
func quoteAlternate(s string) string {
	plain := s != "" && s[0] != '"' && s[0] != '#'
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] != 0x7f
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
