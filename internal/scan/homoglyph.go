package scan

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/confusable"
)

// RuleHomoglyph is the rule of names that look like other names.
const RuleHomoglyph = "homoglyph"

// proseExts are files of text for people, in which scripts mix and letters are mistyped.
var proseExts = map[string]bool{
	".md": true, ".mdx": true, ".txt": true, ".rst": true, ".adoc": true, ".org": true, ".tex": true, ".po": true, ".pot": true, ".xlf": true, ".xliff": true,
	".strings": true, ".csv": true, ".tsv": true, ".srt": true, ".vtt": true, ".html": true, ".htm": true, ".svg": true, ".textile": true, ".dic": true, ".aff": true,
}

// A disguise is a name of which some letters are of another script than they look.
type disguise struct {
	offset int
	name   string // as it reads
	script string
	rune   rune // the first such letter
}

// disguised finds names in spans of text that would be read as plain ASCII and are not:
//
//   - those that mix ASCII letters with letters of one of the scripts of package confusable that have no
//     business beside them (Cyrillic, Armenian, Cherokee …), if each of these looks like an ASCII
//     one: a word such as "SQL-запрос" or "GETом" has letters that look like none, and reads as
//     what it is;
//   - all others, those that are wholly of one script and those with letters of formulas (Greek,
//     mathematical, full-width), only if the same text also has the ASCII name that they look like.
//
// Not found are names of one or two letters, where ranges of alphabets, list marks and symbols of
// formulas stand, and names of the second sort that nothing else in the file resembles.
func disguised(text []byte, spans []span) []disguise {
	var out []disguise
	table := confusable.Letters()
	var names map[string]bool // of ASCII, in the form of skeleton; built when first asked
	for _, s := range spans {
		for i := s.start; i < s.end; {
			if text[i] < utf8.RuneSelf {
				i++
				continue
			}
			end, plain := i, true // plain: all of it so far looks like ASCII
			for end < len(text) {
				r, n := utf8.DecodeRune(text[end:])
				if !inName(r) {
					break
				}
				if r >= utf8.RuneSelf && plain {
					_, plain = table[r]
				}
				end += n
			}
			if end == i { // no letter
				_, n := utf8.DecodeRune(text[i:])
				i += n
				continue
			}
			if !plain {
				i = end
				continue
			}
			// Back to the start of the word that this letter stands in.
			start := i
			for start > 0 {
				r, n := utf8.DecodeLastRune(text[:start])
				if !inName(r) {
					break
				}
				start -= n
			}
			i = end
			if start > 0 && text[start-1] == '\\' && text[start] < utf8.RuneSelf {
				start++ // the letter of an escape, such as \n
			}
			d, mixed, common, ok := look(text[start:end])
			if !ok {
				continue
			}
			if !mixed || common {
				if names == nil {
					names = asciiNames(text)
				}
				if !names[skeleton(d.name)] {
					continue
				}
			}
			d.offset = start
			out = append(out, d)
		}
	}
	return out
}

// inName reports whether r can stand in a name.
func inName(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || r == '$' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Nl, r) || unicode.IsMark(r))
}

// look reads a name as people do. Ok is false if it does not look like ASCII.
func look(name []byte) (d disguise, mixed, common, ok bool) {
	if len(name) > 256 {
		return disguise{}, false, false, false
	}
	table := confusable.Letters()
	var b strings.Builder
	common = true
	letters := 0
	for _, r := range string(name) {
		if unicode.IsLetter(r) {
			letters++
		}
		if r < utf8.RuneSelf {
			mixed = mixed || unicode.IsLetter(r)
			b.WriteByte(byte(r))
			continue
		}
		l, known := table[r]
		if !known {
			return disguise{}, false, false, false
		}
		if d.script == "" || common && !l.Common {
			d.script, d.rune = l.Script, r
		}
		common = common && l.Common
		b.WriteByte(l.As)
	}
	d.name = b.String()
	return d, mixed, common, d.script != "" && letters >= 3
}

// skeleton makes names equal that differ in letters which look alike within ASCII.
func skeleton(s string) string {
	return strings.NewReplacer("I", "l", "1", "l", "0", "O").Replace(s)
}

// asciiNames returns the names of text that are ASCII.
func asciiNames(text []byte) map[string]bool {
	out := map[string]bool{}
	for _, w := range bytes.FieldsFunc(text, func(r rune) bool { return !inName(r) }) {
		if len(w) < 3 || len(w) > 256 || w[0] >= '0' && w[0] <= '9' {
			continue
		}
		ascii := true
		for _, c := range w {
			ascii = ascii && c < utf8.RuneSelf
		}
		if ascii {
			out[skeleton(string(w))] = true
		}
	}
	return out
}

// homoglyphsIn returns a finding for each disguised name in the ranges, once for each line.
func (s *Scanner) homoglyphsIn(p sallyport.Path, text []byte, ranges []Range) []sallyport.Finding {
	if proseExts[path.Ext(fold(string(p)))] {
		return nil
	}
	spans := byteSpans(text, ranges)
	if ranges == nil {
		spans = []span{{0, len(text)}}
	}
	var out []sallyport.Finding
	lines := newLineIndex(text)
	seen, told := map[string]int{}, map[string]bool{}
	found := disguised(text, spans)
	for _, d := range found {
		line := 1
		if d.offset > 0 {
			_, line = lines.at(span{d.offset, d.offset + 1})
		}
		if at := fmt.Sprint(line, d.name); told[at] {
			continue
		} else {
			told[at] = true
		}
		seen[d.name]++
		words := fmt.Sprintf("a name that reads %q holds the %s letter %U", cut(d.name, 60), d.script, d.rune)
		if len(out) == maxHiddenLines-1 {
			words += "; and there may be more in this file"
		}
		out = append(out, finding(sallyport.FindingUnicode, RuleHomoglyph, sallyport.High, p, line, words,
			fmt.Sprintf("%s\x00%U\x00%d", d.name, d.rune, seen[d.name])))
		if len(out) == maxHiddenLines {
			break
		}
	}
	return out
}

func cut(s string, most int) string {
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
