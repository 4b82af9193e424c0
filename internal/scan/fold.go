package scan

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Fold returns what file systems that fold names could take a path for: no case, one form of what
// Unicode writes in several, nothing invisible, no dots at the end. Two paths with one Fold may be
// one file in somebody's checkout.
func Fold(path string) string { return norm.NFC.String(fold(norm.NFC.String(path))) }

// FoldPattern folds the characters of a path pattern, or of a file of them, as Fold does those of
// a path, and nothing else of it.
func FoldPattern(pattern string) string {
	return norm.NFC.String(strings.Map(foldRune, norm.NFC.String(pattern)))
}
