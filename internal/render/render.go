// Package render shows decisions to people and programs.
//
// There is one stream, the decision's reasons in their order, and each form is a handler of it:
// [Text] for people, [JSON] for programs, [SARIF] for code-scanning services, [JUnit] for CI
// systems, [Markdown] for the reader of a pull request. They cannot disagree: a reason in one is a
// reason in all, and no handler adds, drops or reorders any. (Text and Markdown put those of one
// code together, under the place of the first, and count what is too many to list.)
//
// What an agent wrote reaches these outputs: paths, commit titles, names. So no form passes on
// a byte that could act on a terminal, reverse the reading order or break a line: Text and
// SARIF messages show control, format and other unprintable characters as escapes, and JSON
// writes them as \u escapes, which decode to the same string. Where a form has markup of its own,
// nothing that was passed in is markup: XML's characters are escaped, Markdown shows it as code,
// and SARIF's embedded links are literal brackets.
//
// The exit status is not decided here; it is [sallyport.Decision.ExitStatus].
package render

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
)

// Clean returns s with every character that is not printable replaced by its Go escape: ANSI
// sequences, line breaks, bidirectional controls, zero-width characters, invalid UTF-8. So is the
// first character of what a CI system would carry out if it stood in a job's output. The result
// is one line, and safe to print anywhere, whole or broken at its spaces.
func Clean(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case command(s, i):
			b.WriteString(`\x` + hex2(s[i]))
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + hex2(s[i]))
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		i += n
	}
	return b.String()
}

func clean(s string) bool {
	for i, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) || command(s, i) {
			return false
		}
	}
	return true
}

// command reports whether s has at i what CI systems take for a command in a job's output: GitHub
// "::name" where a line begins, which may be at any word of what is wrapped, and "##[name]"
// anywhere; Azure Pipelines "##vso[name]" anywhere.
func command(s string, i int) bool {
	switch s[i] {
	case ':':
		return (i == 0 || s[i-1] == ' ') && strings.HasPrefix(s[i:], "::")
	case '#':
		return strings.HasPrefix(s[i:], "##[") || strings.HasPrefix(s[i:], "##vso[")
	}
	return false
}

func hex2(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// subjectName is a decision's subject in one line.
func subjectName(s sallyport.Subject) string {
	if s.Name == "" {
		return Clean(string(s.Digest))
	}
	return Clean(string(s.Digest)) + " (" + Clean(s.Name) + ")"
}

// columns is the width of s, which is clean, on a terminal: two for what East Asian typography
// makes wide, none for marks that combine.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r < 0x300:
			n++
		case unicode.In(r, unicode.Mn, unicode.Me):
		case r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
			r >= 0xFF01 && r <= 0xFF60, r >= 0x1F300 && r <= 0x1FAFF:
			n += 2
		default:
			n++
		}
	}
	return n
}

// wrap breaks s, which is clean, into lines of at most width columns at spaces; a word that is
// longer stays whole, so that a digest or a command can be copied. A width of 0 does not break.
func wrap(s string, width int) []string {
	if width <= 0 || columns(s) <= width {
		return []string{s}
	}
	var lines []string
	words := strings.Split(s, " ")
	line, used := words[0], columns(words[0])
	for _, word := range words[1:] {
		w := columns(word)
		if used > 0 && used+1+w > width {
			lines = append(lines, line)
			line, used = word, w
			continue
		}
		line, used = line+" "+word, used+1+w
	}
	return append(lines, line)
}

// Bar draws how much of total each part is, in exactly width columns, one mark per part. Every
// part that is not zero gets at least one column as long as there are as many columns as parts.
// If total is more than the parts' sum, the rest is dots; a total of 0 is all dots.
func Bar(width, total int, parts ...Part) string {
	if width <= 0 {
		return ""
	}
	sizes := make([]int, len(parts))
	left, rest, largest := width, 0, -1
	for _, p := range parts {
		if p.Weight > 0 {
			rest++
		}
	}
	for i, p := range parts {
		if p.Weight <= 0 {
			continue
		}
		rest-- // parts after this one, each of which needs a column
		if total <= 0 || left <= 0 {
			continue
		}
		share := int(int64(min(p.Weight, total)) * int64(width) / int64(total))
		sizes[i] = min(max(1, min(share, left-rest)), left)
		left -= sizes[i]
		if largest < 0 || p.Weight > parts[largest].Weight {
			largest = i
		}
	}
	sum := 0
	for _, p := range parts {
		sum += max(0, p.Weight)
	}
	if largest >= 0 && sum >= total { // rounding must not look like a remainder
		sizes[largest] += left
		left = 0
	}
	var b strings.Builder
	for i, p := range parts {
		b.WriteString(strings.Repeat(p.Mark, sizes[i]))
	}
	return b.String() + strings.Repeat(".", left)
}

// A Part is one share of a bar. Mark is one column wide.
type Part struct {
	Mark   string
	Weight int
}
