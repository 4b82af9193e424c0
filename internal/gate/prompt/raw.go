package prompt

import "bytes"

// The functions of this file find their way in JSON without decoding it. They never fail: what is no
// JSON has nothing in it. They are for bytes that [scan] accepted, and for a vendor's answers.

// skipSpace returns the first place from i on that is no white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipText returns the place after the string that begins at i, or -1.
func skipText(b []byte, i int) int {
	for i++; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		// It is the end unless an odd number of backslashes stands before it.
		end, slashes := i+n, 0
		for j := end - 1; j >= i && b[j] == '\\'; j-- {
			slashes++
		}
		i = end
		if slashes%2 == 0 {
			return end + 1
		}
	}
	return -1
}

// skipValue returns the place after the value that begins at i, or -1.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipText(b, i); i < 0 {
				return -1
			}
			if depth == 0 {
				return i
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i // the end of a bare word
			}
			depth--
			i++
			if depth == 0 {
				return i
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			i++
		default:
			i++
		}
	}
	if depth > 0 {
		return -1
	}
	return i
}

// members calls f with the name, in quotes as it stands, and the value of each member of the object v, as
// pieces of v, until f returns false.
func members(v []byte, f func(name, value []byte) bool) {
	i := skipSpace(v, 0)
	if i >= len(v) || v[i] != '{' {
		return
	}
	for i++; ; i++ {
		if i = skipSpace(v, i); i >= len(v) || v[i] != '"' {
			return
		}
		end := skipText(v, i)
		if end < 0 {
			return
		}
		name := v[i:end]
		if i = skipSpace(v, end); i >= len(v) || v[i] != ':' {
			return
		}
		i = skipSpace(v, i+1)
		if end = skipValue(v, i); end <= i {
			return
		}
		if !f(name, v[i:end]) {
			return
		}
		if i = skipSpace(v, end); i >= len(v) || v[i] != ',' {
			return
		}
	}
}

// each calls f with each element of the list v, as a piece of v, until f returns false.
func each(v []byte, f func(element []byte) bool) {
	i := skipSpace(v, 0)
	if i >= len(v) || v[i] != '[' {
		return
	}
	for i++; ; i++ {
		i = skipSpace(v, i)
		end := skipValue(v, i)
		if end <= i || !f(v[i:end]) {
			return
		}
		if i = skipSpace(v, end); i >= len(v) || v[i] != ',' {
			return
		}
	}
}

// get returns the value at a path of names, as a piece of v, or nil. Names with escapes are decoded.
func get(v []byte, path ...string) []byte {
	for _, want := range path {
		var found []byte
		members(v, func(name, value []byte) bool {
			if isName(name, want) {
				found = value
				return false
			}
			return true
		})
		if found == nil {
			return nil
		}
		v = found
	}
	return v
}

func isName(quoted []byte, want string) bool {
	if len(quoted) == len(want)+2 && string(quoted[1:len(quoted)-1]) == want {
		return true
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return false
	}
	s, ok := text(quoted)
	return ok && s == want
}

// offset is where piece begins in whole, of which it is a piece.
func offset(whole, piece []byte) int { return cap(whole) - cap(piece) }
