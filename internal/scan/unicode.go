package scan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
)

// The rules of findings about hidden Unicode.
const (
	RuleBidi     = "bidi-control"       // reorders what follows on a screen
	RuleZero     = "zero-width"         // takes no room
	RuleTag      = "tag-characters"     // an invisible copy of ASCII, which models read
	RuleSelector = "variation-selector" // invisible; 256 of them can carry any bytes
	RuleFormat   = "invisible-format"   // other format characters and blank letters
	RuleControl  = "control-character"  // moves a terminal's cursor; in names and agent instructions only
)

// A Hidden is a code point that a reviewer does not see, where it serves no script or emoji.
type Hidden struct {
	Offset int
	Rune   rune
	Rule   string
}

// HiddenIn returns the hidden code points of text in order. It leaves out those that a writing
// system or an emoji needs where they stand:
//
//   - a byte order mark at the very start;
//   - one joiner or non-joiner between letters of a script that uses them (Arabic, Persian, the
//     Indic scripts …), and one zero-width space between letters of a script without spaces;
//   - one joiner between two emoji, and one variation selector after an emoji, a Han character
//     or another base that has standardised variants;
//   - the tag sequences of the three flags that have one: England, Scotland, Wales;
//   - directional marks in a line that has letters written from right to left.
func HiddenIn(text []byte) []Hidden {
	return hiddenIn(text, []span{{0, len(text)}})
}

func hiddenIn(text []byte, spans []span) []Hidden {
	var out []Hidden
	for _, s := range spans {
		for i := s.start; i < s.end; {
			if text[i] < utf8.RuneSelf {
				i++
				for i+8 <= s.end && binary.LittleEndian.Uint64(text[i:])&0x8080808080808080 == 0 {
					i += 8
				}
				continue
			}
			r, n := utf8.DecodeRune(text[i:])
			rule := hiddenRule(r)
			if rule == "" {
				i += n
				continue
			}
			if skip := legitimate(text, i, r, n); skip > 0 {
				i += skip
				continue
			}
			out = append(out, Hidden{i, r, rule})
			i += n
		}
	}
	return out
}

// hiddenRule returns the rule for r, or "" if r can be seen.
func hiddenRule(r rune) string {
	switch {
	case r < 0xad:
		return ""
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
		return RuleBidi
	case r >= 0x200b && r <= 0x200d, r == 0x2060, r == 0xfeff, r == 0x034f, r == 0x180e:
		return RuleZero
	case r >= 0xe0000 && r <= 0xe007f:
		return RuleTag
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0100 && r <= 0xe01ef, r >= 0x180b && r <= 0x180d, r == 0x180f:
		return RuleSelector
	case r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, // Hangul fillers
		r == 0x2800,              // braille without dots
		r == 0x17b4, r == 0x17b5, // Khmer vowels that are not written
		r >= 0xfff0 && r <= 0xfff8, // unassigned, ignored by renderers
		r >= 0xe0080 && r <= 0xe0fff:
		return RuleFormat
	case unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) && !(r >= 0x13430 && r <= 0x1343f):
		return RuleFormat
	}
	return ""
}

// legitimate returns how many bytes from i on belong to a legitimate use of the rune r, which
// has n bytes and stands at i; 0 if the use is not legitimate.
func legitimate(text []byte, i int, r rune, n int) int {
	if r == 0xfeff && i == 0 {
		return n
	}
	before, _ := utf8.DecodeLastRune(text[:i])
	after, _ := utf8.DecodeRune(text[i+n:])
	ok := false
	switch {
	case r == 0x200d && joinsEmoji(text[:i]) && isEmoji(after):
		ok = true
	case r == 0x200c || r == 0x200d:
		// After a virama a joiner may also end the word.
		ok = unicode.In(before, joining...) && (unicode.In(after, joining...) || unicode.Is(unicode.Mn, before) && !unicode.IsLetter(after) && hiddenRule(after) == "")
	case r == 0x200b:
		ok = unicode.In(before, unspaced...) && unicode.In(after, unspaced...)
	case r == 0xfe0e || r == 0xfe0f:
		ok = isEmoji(before) || before == '#' || before == '*' || before >= '0' && before <= '9'
	case r >= 0xfe00 && r <= 0xfe02:
		ok = before != utf8.RuneError && (unicode.In(before, unicode.Han, unicode.Sm, unicode.Myanmar, unicode.Phags_Pa) || before >= 0x3000 && before <= 0x303f || before >= 0xff00 && before <= 0xff5e || before == '0')
	case r >= 0xe0100 && r <= 0xe01ef:
		ok = unicode.Is(unicode.Han, before)
	case r >= 0x180b && r <= 0x180f:
		ok = unicode.Is(unicode.Mongolian, before) && hiddenRule(before) == ""
	case r == 0x200e || r == 0x200f || r == 0x061c:
		ok = hasRightToLeft(text, i)
	case r >= 0xe0000 && r <= 0xe007f && before == 0x1f3f4:
		for _, flag := range flags {
			if len(text)-i >= len(flag) && string(text[i:i+len(flag)]) == flag {
				return len(flag)
			}
		}
	}
	if ok {
		return n
	}
	return 0
}

// flags are the tag sequences that may follow a black flag.
var flags = []string{tags("gbeng"), tags("gbsct"), tags("gbwls")}

func tags(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(0xe0000 + r)
	}
	b.WriteRune(0xe007f)
	return b.String()
}

// joining are the scripts in which a joiner or a non-joiner changes what a reader sees.
var joining = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Mongolian,
	unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya,
	unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala,
	unicode.Khmer, unicode.Myanmar, unicode.Tibetan, unicode.Balinese, unicode.Javanese,
}

// unspaced are the scripts that mark the ends of words with a zero-width space.
var unspaced = []*unicode.RangeTable{
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan,
	unicode.Javanese, unicode.Balinese, unicode.Tai_Le, unicode.New_Tai_Lue, unicode.Tai_Tham,
}

// joinsEmoji reports whether text ends in an emoji, with its skin tone or selector.
func joinsEmoji(text []byte) bool {
	r, n := utf8.DecodeLastRune(text)
	if r == 0xfe0f {
		r, _ = utf8.DecodeLastRune(text[:len(text)-n])
	}
	return isEmoji(r)
}

// isEmoji reports whether r may be shown as an emoji. The ranges are wider than the property,
// which changes from year to year, and hold nothing but symbols.
func isEmoji(r rune) bool {
	switch {
	case r >= 0x1f000 && r <= 0x1faff, r >= 0x2600 && r <= 0x27bf, r >= 0x2300 && r <= 0x23ff,
		r >= 0x2190 && r <= 0x21ff, r >= 0x2b00 && r <= 0x2bff, r >= 0x25a0 && r <= 0x25ff,
		r == 0xa9, r == 0xae, r == 0x203c, r == 0x2049, r == 0x2122, r == 0x2139, r == 0x24c2,
		r == 0x2934, r == 0x2935, r == 0x3030, r == 0x303d, r == 0x3297, r == 0x3299:
		return true
	}
	return false
}

// maxLineLook bounds how far hasRightToLeft looks to each side.
const maxLineLook = 256

// hasRightToLeft reports whether the line around i has a letter written from right to left.
func hasRightToLeft(text []byte, i int) bool {
	from, to := i, i
	for from > 0 && text[from-1] != '\n' && i-from < maxLineLook {
		from--
	}
	for to < len(text) && text[to] != '\n' && to-i < maxLineLook {
		to++
	}
	for _, r := range string(text[from:to]) {
		if unicode.IsLetter(r) && unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko) {
			return true
		}
	}
	return false
}

// controlsIn returns the control characters of text that move a cursor or hide text on a
// terminal: escape, backspace, delete, the C1 controls, and a carriage return inside a line.
func controlsIn(text []byte, spans []span) []Hidden {
	var out []Hidden
	for _, s := range spans {
		for i := s.start; i < s.end; i++ {
			switch b := text[i]; {
			case b == 0x1b, b == '\b', b == 0x7f:
			case b == '\r' && i+1 < len(text) && text[i+1] != '\n' && text[i+1] != '\r':
			case b == 0xc2 && i+1 < len(text) && text[i+1] >= 0x80 && text[i+1] <= 0x9f:
				out = append(out, Hidden{i, rune(text[i+1]), RuleControl})
				continue
			default:
				continue
			}
			out = append(out, Hidden{i, rune(text[i]), RuleControl})
		}
	}
	return out
}

// maxHiddenLines bounds the findings of one rule in one file; the last says how many lines more
// there are.
const maxHiddenLines = 50

// unicodeIn returns a finding for each line of ranges and each rule.
func (s *Scanner) unicodeIn(p sallyport.Path, text []byte, ranges []Range, agent bool) []sallyport.Finding {
	spans := byteSpans(text, ranges)
	if ranges == nil {
		spans = []span{{0, len(text)}}
	}
	hidden := hiddenIn(text, spans)
	if agent {
		hidden = append(hidden, controlsIn(text, spans)...)
	}
	type place struct {
		rule string
		line int
	}
	var order []place
	groups := map[place][]rune{}
	lines, sums := newLineIndex(text), map[place][sha256.Size]byte{}
	for _, h := range hidden {
		line, n := lines.at(span{h.Offset, h.Offset + 1})
		at := place{h.Rule, n}
		if groups[at] == nil {
			order = append(order, at)
			sums[at] = sha256.Sum256(bytes.TrimPrefix(line, []byte("\n")))
		}
		groups[at] = append(groups[at], h.Rune)
	}
	count, seen, same := map[string]int{}, map[string]int{}, map[string]int{}
	rest := map[string]hash.Hash{} // of the lines that the last finding of a rule stands for
	for _, at := range order {
		if count[at.rule]++; count[at.rule] == maxHiddenLines {
			rest[at.rule] = sha256.New()
		}
		if h := rest[at.rule]; h != nil {
			sum := sums[at]
			h.Write(sum[:])
		}
	}
	var out []sallyport.Finding
	for _, at := range order {
		runes := groups[at]
		seen[at.rule]++
		if seen[at.rule] > maxHiddenLines {
			continue
		}
		told := hiddenText(at.rule, runes)
		// The id holds the line, since the same characters elsewhere make something else of it, and which of the lines that are
		// alike this is.
		id := fmt.Sprintf("%s\x00%x", string(runes), sums[at])
		if more := count[at.rule] - maxHiddenLines; seen[at.rule] == maxHiddenLines && more > 0 {
			told += fmt.Sprintf("; and in %d lines more", more)
			id += fmt.Sprintf("\x00%x", rest[at.rule].Sum(nil))
		}
		same[at.rule+id]++
		out = append(out, finding(sallyport.FindingUnicode, at.rule, hiddenSeverity(at.rule, runes, agent), p, at.line, told,
			fmt.Sprintf("%s\x00%d", id, same[at.rule+id])))
	}
	return out
}

// unicodeInName returns a finding for each rule that the path breaks.
func (s *Scanner) unicodeInName(p sallyport.Path) []sallyport.Finding {
	name := []byte(p)
	all := []span{{0, len(name)}}
	groups := map[string][]rune{}
	for _, h := range append(hiddenIn(name, all), controlsIn(name, all)...) {
		groups[h.Rule] = append(groups[h.Rule], h.Rune)
	}
	for i, b := range name {
		if b < 0x20 && b != 0x1b && b != '\b' && (b != '\r' || i == len(name)-1) {
			groups[RuleControl] = append(groups[RuleControl], rune(b))
		}
	}
	var out []sallyport.Finding
	for _, rule := range slices.Sorted(maps.Keys(groups)) {
		severity := sallyport.High // a name is short: nothing is hidden in it by accident
		if rule == RuleTag {
			severity = sallyport.Critical
		}
		out = append(out, finding(sallyport.FindingUnicode, rule, severity, p, 0,
			"in the file's name: "+hiddenText(rule, groups[rule]), string(groups[rule])))
	}
	return out
}

// hiddenSeverity ranks runes of one rule found in one line.
func hiddenSeverity(rule string, runes []rune, agent bool) sallyport.Severity {
	switch {
	case rule == RuleTag:
		return sallyport.Critical
	case agent, rule == RuleSelector && len(runes) > 3:
		return sallyport.High // more selectors than any text needs: bytes in hiding
	case rule == RuleBidi:
		for _, r := range runes {
			if r >= 0x202a {
				return sallyport.High // embeddings, overrides and isolates reorder code
			}
		}
	case rule == RuleFormat && !slices.ContainsFunc(runes, func(r rune) bool { return r != 0xad }):
		return sallyport.Low // soft hyphens, which word processors leave behind
	}
	return sallyport.Medium
}

// hiddenText says what runes were seen: their code points and how often. What tag characters
// spell is not repeated, since the reader may be a model.
func hiddenText(rule string, runes []rune) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d hidden %s", len(runes), plural(len(runes), "code point", "code points"))
	if rule == RuleTag {
		letters := 0
		for _, r := range runes {
			if r >= 0xe0020 && r <= 0xe007e {
				letters++
			}
		}
		fmt.Fprintf(&b, " that spell a text of %d ASCII %s", letters, plural(letters, "character", "characters"))
	}
	counts := map[rune]int{}
	var distinct []rune
	for _, r := range runes {
		if counts[r] == 0 {
			distinct = append(distinct, r)
		}
		counts[r]++
	}
	slices.Sort(distinct)
	const most = 6
	for i, r := range distinct {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		if i == most {
			fmt.Fprintf(&b, ", and %d more", len(distinct)-most)
			break
		}
		fmt.Fprintf(&b, "%s%U", sep, r)
		if counts[r] > 1 {
			fmt.Fprintf(&b, " (%d times)", counts[r])
		}
	}
	return b.String()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
