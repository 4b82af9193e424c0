package mask

// A class is a set of ASCII bytes, as bits of the table below.
type class uint16

const (
	upper class = 1 << iota
	lower
	digit
	hexLower // 0-9 a-f
	hexUpper // 0-9 A-F
	b64      // A-Z a-z 0-9 + / =
	word     // A-Z a-z 0-9 _
	url64    // A-Z a-z 0-9 _ -
	dotted   // A-Z a-z 0-9 _ - .
	blank    // space and tab
	space    // blank, and line ends
	base32   // A-Z 2-7

	letter = upper | lower
	alnum  = upper | lower | digit
	hexAny = hexLower | hexUpper
)

var classes = func() (t [256]class) {
	for b := range 128 {
		c := byte(b)
		var k class
		switch {
		case 'A' <= c && c <= 'Z':
			k = upper | base32
		case 'a' <= c && c <= 'z':
			k = lower
		case '0' <= c && c <= '9':
			k = digit | hexLower | hexUpper
			if '2' <= c && c <= '7' {
				k |= base32
			}
		case c == ' ' || c == '\t':
			k = blank | space
		case c == '\n' || c == '\r':
			k = space
		}
		if 'a' <= c && c <= 'f' {
			k |= hexLower
		}
		if 'A' <= c && c <= 'F' {
			k |= hexUpper
		}
		if k&alnum != 0 {
			k |= b64 | word | url64 | dotted
		}
		switch c {
		case '+', '/', '=':
			k |= b64
		case '_':
			k |= word | url64 | dotted
		case '-':
			k |= url64 | dotted
		case '.':
			k |= dotted
		}
		t[b] = k
	}
	return t
}()

func (c class) has(b byte) bool { return classes[b]&c != 0 }

// run returns the end of the longest run of c from i, no further than limit bytes.
func run(text []byte, i int, c class, limit int) int {
	end := min(len(text), i+limit)
	for i < end && classes[text[i]]&c != 0 {
		i++
	}
	return i
}

// runBack returns the start of the longest run of c that ends at i, no longer than limit.
func runBack(text []byte, i int, c class, limit int) int {
	end := max(0, i-limit)
	for i > end && classes[text[i-1]]&c != 0 {
		i--
	}
	return i
}

// startsHere reports whether a token may start at i: nothing of a word stands before it, or what
// stands there only looks like it: the letter of an escape (\n, \u0022, %3D) or the end of a colour
// code (ESC [1m, also where ESC is itself written as an escape).
func startsHere(text []byte, i int) bool {
	if i == 0 {
		return true
	}
	b := text[i-1]
	if !word.has(b) {
		return true
	}
	return isEscapeBefore(text, i)
}

// isEscapeBefore reports whether the byte before i ends an escape sequence or a colour code.
func isEscapeBefore(text []byte, i int) bool {
	switch b := text[i-1]; {
	case i >= 2 && text[i-2] == '\\':
		switch b {
		case 'n', 'r', 't', 'b', 'f', 'v', '0', 'a':
			return true
		}
	case b == 'm' && i >= 3:
		j := i - 1
		for j > 0 && i-j < 16 && (digit.has(text[j-1]) || text[j-1] == ';') {
			j--
		}
		if j >= 1 && text[j-1] == '[' {
			return j >= 2 && (text[j-2] == 0x1b || word.has(text[j-2]))
		}
	}
	if i >= 3 && text[i-3] == '%' && hexAny.has(text[i-2]) && hexAny.has(text[i-1]) {
		return true
	}
	if i >= 6 && text[i-6] == '\\' && text[i-5] == 'u' {
		return hexAny.has(text[i-4]) && hexAny.has(text[i-3]) && hexAny.has(text[i-2]) && hexAny.has(text[i-1])
	}
	return i >= 4 && text[i-4] == '\\' && text[i-3] == 'x' && hexAny.has(text[i-2]) && hexAny.has(text[i-1])
}

// lowerByte folds an ASCII letter.
func lowerByte(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// hasFold reports whether text holds want, which is lower case, without regard to case, at i.
func hasFold(text []byte, i int, want string) bool {
	if i < 0 || len(text)-i < len(want) {
		return false
	}
	for j := range len(want) {
		if lowerByte(text[i+j]) != want[j] {
			return false
		}
	}
	return true
}

// has reports whether text holds want at i.
func has(text []byte, i int, want string) bool {
	return i >= 0 && len(text)-i >= len(want) && string(text[i:i+len(want)]) == want
}

// colour returns the end of the colour code at i, which may be written as an escape, or i.
func colour(text []byte, i int) int {
	j := i
	switch {
	case text[i] == 0x1b:
		j++
	case has(text, i, `\x1b`) || has(text, i, `\x1B`) || has(text, i, `\033`):
		j += 4
	case has(text, i, `\u001b`) || has(text, i, `\u001B`):
		j += 6
	case has(text, i, `\e`):
		j += 2
	}
	if j == i || j >= len(text) || text[j] != '[' {
		return i
	}
	for j++; j < len(text) && j-i < 24 && (digit.has(text[j]) || text[j] == ';'); j++ {
	}
	if j < len(text) && text[j] == 'm' {
		return j + 1
	}
	return i
}
