// Package confusable knows the letters that are read as letters of ASCII and are others: Cyrillic,
// Armenian and Greek ones, those of formulas, full-width ones.
//
// They are from Unicode's confusables.txt (Unicode Technical Standard 39), cut down to single letters whose
// prototype is one of A to Z or a to z. Digits, and letters that look like two, are not in it.
package confusable

import (
	"strings"
	"sync"
)

// A Letter looks like one of ASCII.
type Letter struct {
	As     byte   // which one
	Script string // its own
	Common bool   // letters of the script stand beside ASCII ones in honest names, as in formulas
}

// Letters returns all of them. The map is shared and not to be changed.
var Letters = sync.OnceValue(func() map[rune]Letter {
	m := map[rune]Letter{}
	for _, a := range alphabets {
		for word := range strings.FieldsSeq(a.looks) {
			for _, r := range word[1:] {
				m[r] = Letter{word[0], a.name, a.common}
			}
		}
	}
	// Letters of formulas: thirteen alphabets of 52 letters, one after the other.
	for r := rune(0x1d400); r <= 0x1d6a3; r++ {
		n := (r - 0x1d400) % 52
		as := byte('A' + n)
		if n >= 26 {
			as = byte('a' + n - 26)
		}
		m[r] = Letter{as, "mathematical", true}
	}
	return m
})
