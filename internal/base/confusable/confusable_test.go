package confusable

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// The table holds letters of the scripts that it names, each once, for letters of ASCII.
func TestAlphabets(t *testing.T) {
	seen := map[rune]bool{}
	for _, a := range alphabets {
		for word := range strings.FieldsSeq(a.looks) {
			if as := word[0]; as >= utf8.RuneSelf || !unicode.IsLetter(rune(as)) || len(word) < 3 {
				t.Errorf("%s: %q is no letter with what looks like it", a.name, word)
			}
			for _, r := range word[1:] {
				if seen[r] || !unicode.Is(a.script, r) {
					t.Errorf("%s: %U stands twice, or is of another script", a.name, r)
				}
				seen[r] = true
			}
		}
	}
	if len(seen) < 350 {
		t.Errorf("%d letters", len(seen))
	}
}

func TestLetters(t *testing.T) {
	m := Letters()
	for r, want := range map[rune]Letter{
		0x430:   {'a', "Cyrillic", false},
		0x3bf:   {'o', "Greek", true},
		0x1d400: {'A', "mathematical", true},
		0x1d41a: {'a', "mathematical", true},
		0x1d6a3: {'z', "mathematical", true},
	} {
		if m[r] != want {
			t.Errorf("%U: got %+v, want %+v", r, m[r], want)
		}
	}
	for r := range m {
		if r < utf8.RuneSelf {
			t.Errorf("%q is of ASCII itself", r)
		}
	}
}
