package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHiddenIn(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"plain", "package main // naïve, 日本語, Ελλάς", nil},
		{"byte order mark", "\ufeffx", nil},
		{"byte order mark inside", "x\ufeff", []string{"U+FEFF"}},
		{"Trojan source", "if a\u202e\u2066 {", []string{"U+202E", "U+2066"}},
		{"isolates in a Hebrew line", "שלום\u2068x\u2069", []string{"U+2068", "U+2069"}},
		{"mark in a Hebrew line", "שלום\u200f!", nil},
		{"mark in an English line", "a\u200e = 1\nשלום", []string{"U+200E"}},
		{"Arabic letter mark", "x\u061c", []string{"U+061C"}},
		{"zero-width space in code", "us\u200ber", []string{"U+200B"}},
		{"zero-width space in Thai", "ภาษา\u200bไทย", nil},
		{"Persian non-joiner", "می\u200cخواهم", nil},
		{"two of them", "می\u200c\u200cخواهم", []string{"U+200C", "U+200C"}},
		{"Devanagari joiner", "क्\u200dष", nil},
		{"Devanagari joiner ending a word", "क्\u200d ", nil},
		{"Sinhala joiner", "ශ්\u200dරී", nil},
		{"joiner in Latin", "pass\u200dword", []string{"U+200D"}},
		{"joiner between Latin and Arabic", "a\u200dم", []string{"U+200D"}},
		{"word joiner", "a\u2060b", []string{"U+2060"}},
		{"family", "👨\u200d👩\u200d👧", nil},
		{"woman, red hair", "👩🏽\u200d🦰", nil},
		{"rainbow flag", "🏳\ufe0f\u200d🌈", nil},
		{"heart", "❤\ufe0f", nil},
		{"keycap", "1\ufe0f\u20e3 #\ufe0f\u20e3", nil},
		{"selector after a letter", "a\ufe0f", []string{"U+FE0F"}},
		{"two selectors", "❤\ufe0f\ufe0f", []string{"U+FE0F"}},
		{"ideographic variant", "葛\U000e0100", nil},
		{"bytes in selectors", "葛\U000e0100\U000e0101\ufe01", []string{"U+E0101", "U+FE01"}},
		{"flag of Scotland", "🏴" + tags("gbsct"), nil},
		{"tags after a flag", "🏴" + tags("x"), []string{"U+E0078", "U+E007F"}},
		{"tags", "x" + tags("a"), []string{"U+E0061", "U+E007F"}},
		{"soft hyphen", "co\u00adop", []string{"U+00AD"}},
		{"Hangul filler as a name", "const { a,\u3164} = x", []string{"U+3164"}},
		{"interlinear annotation", "\ufff9x\ufffb", []string{"U+FFF9", "U+FFFB"}},
		{"Arabic number sign is seen", "\u0600", nil},
		{"Latin-1 is not Unicode", "caf\xe9 \xad", nil},
		{"past a long run of ASCII", strings.Repeat("abcdefgh", 9) + "\u200b", []string{"U+200B"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, h := range HiddenIn([]byte(tt.text)) {
				got = append(got, fmt.Sprintf("%U", h.Rune))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// Many lines give few findings, and the last says how many it stands for.
func TestHiddenLinesAreBounded(t *testing.T) {
	b := &blobs{}
	fs, _ := scanFiles(t, b, nil, b.added("a", strings.Repeat("\u200bx\n", 1000)))
	if len(fs) != maxHiddenLines || !strings.HasSuffix(fs[len(fs)-1].Text, "; and in 950 lines more") {
		t.Errorf("got %d findings, the last %+v", len(fs), fs[len(fs)-1])
	}
}

// A code point is hidden or not by what stands around it in its line, so that what is found in a
// text is found in the text with other lines before and after.
func FuzzHiddenIn(f *testing.F) {
	for _, s := range []string{"\ufeffa", "👨\u200d👩", "می\u200cخواهم", "🏴" + tags("gbeng"), "\xe2\x80", "שלום\u200f"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			return
		}
		before := "line\n"
		wide := slices.Concat([]byte(before), text, []byte("\nline\n"))
		got := map[int]bool{}
		for _, h := range HiddenIn(wide) {
			got[h.Offset-len(before)] = true
		}
		for _, h := range HiddenIn(text) {
			if r, _ := utf8.DecodeRune(text[h.Offset:]); r != h.Rune || hiddenRule(r) != h.Rule {
				t.Fatalf("%+v is not what stands there: %U", h, r)
			}
			// Only at the very end can a line that follows turn half a rune or a lone joiner into
			// something else.
			if !got[h.Offset] && h.Offset+utf8.RuneLen(h.Rune) < len(text) {
				t.Fatalf("%+v is hidden alone and not among other lines", h)
			}
		}
	})
}
