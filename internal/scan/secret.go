package scan

import (
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// A Range is a run of lines, 1-based, both ends included.
type Range struct{ First, Last int }

// A Match is a secret found in a text. It holds offsets, never the secret, so that it can be
// passed on without care.
type Match struct {
	Rule       string // the rule's id
	Title      string // what was found, in words
	Severity   sallyport.Severity
	Line       int    // of the match's first byte, 1-based; 0 if the path alone matched
	Start, End int    // of the match, in bytes
	Secret     [2]int // start and end of the secret inside the text
	Prefix     string // up to four leading characters that every secret of the kind has
}

// A SecretMatcher finds secrets.
type SecretMatcher interface {
	// Find returns the matches in text that touch at least one of ranges, sorted by Start, then
	// by Rule; nil ranges mean all of text. Nothing in the text or the path can switch a rule
	// for secrets of a known shape off. Find must be safe for concurrent use and must take time
	// linear in text for any text.
	Find(path string, text []byte, ranges []Range) []Match

	// Digest names the rules and the way they are applied: equal digests, equal matches.
	Digest() sallyport.Digest
}

// describe returns the sentence that a finding of m says. It names the kind, the length and the
// public prefix of the secret, and nothing else of it.
func describe(m Match) string {
	if m.Line == 0 {
		return fmt.Sprintf("%s (%s)", m.Title, m.Rule)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s), %d characters", m.Title, m.Rule, m.Secret[1]-m.Secret[0])
	if m.Prefix != "" {
		fmt.Fprintf(&b, ", starts %q", m.Prefix)
	}
	return b.String()
}
