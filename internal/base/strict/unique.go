package strict

import (
	"encoding/json"
	"strings"
)

// unique reports whether b, which [json.Valid] has accepted, has no key twice in one object and is not
// nested too deeply. It may say no to what is fine, and never yes to what is not: whoever hears no
// asks the decoder, which is ten times slower and says where.
func unique(b []byte) bool {
	u := uniqueWalk{b: b}
	return u.value(0)
}

// A uniqueWalk is at a place in JSON that is valid, so that it need not look at what it passes.
type uniqueWalk struct {
	b []byte
	i int
}

// space moves on to what is no white space, and returns it.
func (u *uniqueWalk) space() byte {
	for u.i < len(u.b) {
		switch c := u.b[u.i]; c {
		case ' ', '\t', '\n', '\r', ',', ':': // where the last two may stand has been checked
			u.i++
		default:
			return c
		}
	}
	return 0
}

func (u *uniqueWalk) value(depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch u.space() {
	case '{':
		u.i++
		return u.object(depth)
	case '[':
		u.i++
		for {
			switch u.space() {
			case ']':
				u.i++
				return true
			case 0:
				return false
			}
			if !u.value(depth + 1) {
				return false
			}
		}
	case '"':
		return u.text() != nil
	case 0, '}', ']':
		return false
	}
	for u.i < len(u.b) { // a number or a word
		switch u.b[u.i] {
		case ' ', '\t', '\n', '\r', ',', ']', '}':
			return true
		}
		u.i++
	}
	return true
}

func (u *uniqueWalk) object(depth int) bool {
	var few [8]string // most objects have no more keys
	seen := few[:0]
	var many map[string]bool
	for {
		switch u.space() {
		case '}':
			u.i++
			return true
		case '"':
		default:
			return false
		}
		key, ok := fold(u.text())
		if !ok {
			return false
		}
		switch {
		case many != nil:
			if many[key] {
				return false
			}
			many[key] = true
		case len(seen) == len(few):
			many = map[string]bool{}
			for _, k := range seen {
				many[k] = true
			}
			if many[key] {
				return false
			}
			many[key] = true
		default:
			for _, k := range seen {
				if k == key {
					return false
				}
			}
			seen = append(seen, key)
		}
		if !u.value(depth + 1) {
			return false
		}
	}
}

// text moves past a string and returns it with its quotes, or nil.
func (u *uniqueWalk) text() []byte {
	start := u.i
	for u.i++; u.i < len(u.b); u.i++ {
		switch u.b[u.i] {
		case '\\':
			u.i++
		case '"':
			u.i++
			return u.b[start:u.i]
		}
	}
	return nil
}

// fold returns a key as [CheckJSON] compares it.
func fold(quoted []byte) (string, bool) {
	if len(quoted) < 2 {
		return "", false
	}
	plain := quoted[1 : len(quoted)-1]
	for _, c := range plain {
		if c == '\\' || c >= 0x80 {
			var key string
			err := json.Unmarshal(quoted, &key)
			return strings.ToLower(key), err == nil
		}
	}
	return strings.ToLower(string(plain)), true
}
