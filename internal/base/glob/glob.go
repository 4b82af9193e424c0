// Package glob matches paths inside a repository against patterns: * and ? match within one
// segment, a segment ** any number of them, and a pattern matches the whole path. A pattern that
// ends in a segment ** matches what lies below a folder. There are no brackets, braces, escapes or
// negations, so that a pattern has one meaning; matching takes at most the product of the lengths.
//
// Values are not changed after [Parse] and are safe for concurrent use.
package glob

import (
	"fmt"
	"strings"
)

// A Glob is a path pattern cut at its slashes. The zero Glob matches nothing.
type Glob []string

// MaxLength bounds a pattern, in bytes.
const MaxLength = 512

// Parse reads a pattern.
func Parse(s string) (Glob, error) {
	switch {
	case s == "" || len(s) > MaxLength:
		return nil, fmt.Errorf("pattern of %d bytes, want 1 to %d", len(s), MaxLength)
	case strings.ContainsAny(s, "[]{}\\!\x00"):
		return nil, fmt.Errorf("pattern %.80q: only *, ** and ? are special, and []{}\\! are not allowed", s)
	}
	g := strings.Split(s, "/")
	for _, seg := range g {
		if seg == "" || seg == "." || seg == ".." {
			return nil, fmt.Errorf("pattern %.80q: empty, . and .. segments match no path", s)
		}
		if seg != "**" && strings.Contains(seg, "**") {
			return nil, fmt.Errorf("pattern %.80q: ** stands alone between slashes", s)
		}
	}
	if g[len(g)-1] == "**" {
		g = append(g, "*") // "docs/**" is what lies below docs, not a file of that name
	}
	return g, nil
}

// Match reports whether g matches all of path.
func (g Glob) Match(path string) bool {
	if path == "" || len(g) == 0 {
		return false
	}
	return Wildcard(g, strings.Split(path, "/"),
		func(p string) bool { return p == "**" },
		func(p, s string) bool {
			return Wildcard([]byte(p), []byte(s),
				func(b byte) bool { return b == '*' },
				func(b, c byte) bool { return b == '?' || b == c })
		})
}

// Below reports whether g may match something in a folder at path: what a link or a submodule at
// path could stand for.
func (g Glob) Below(path string) bool {
	for n := 1; n < len(g); n++ {
		if g[:n].Match(path) {
			return true
		}
	}
	return false
}

// Wildcard matches a pattern whose elements are either stars, which match any run, or match one
// element. It only ever goes back to the last star, so its time is at most the product of the
// lengths and no pattern makes it explode.
func Wildcard[P, E any](pattern []P, s []E, star func(P) bool, one func(P, E) bool) bool {
	pi, si, back, backS := 0, 0, -1, 0
	for si < len(s) {
		switch {
		case pi < len(pattern) && star(pattern[pi]):
			back, backS = pi, si
			pi++
		case pi < len(pattern) && one(pattern[pi], s[si]):
			pi++
			si++
		case back >= 0:
			backS++
			pi, si = back+1, backS
		default:
			return false
		}
	}
	for pi < len(pattern) && star(pattern[pi]) {
		pi++
	}
	return pi == len(pattern)
}
