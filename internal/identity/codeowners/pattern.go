package codeowners

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport/internal/base/glob"
)

// A pattern is cut at its slashes.
type pattern struct {
	segments []segment
	below    bool // what lies below a match is matched too
}

// A segment matches one part of a path; one with any folders, of which there may be none.
type segment struct {
	folders bool
	tokens  []token
}

// A token matches one character, or with star any number.
type token struct {
	star   bool
	any    bool
	char   rune
	ranges []rune // pairs, both included
	negate bool
}

// parsePattern reads a pattern; it is false for what matches nothing.
func parsePattern(s string, d Dialect) (pattern, bool) {
	var p pattern
	s, folder := strings.CutSuffix(s, "/")
	s, top := strings.CutPrefix(s, "/")
	if s == "" {
		// "/" alone: everything below the top, as both forges have it.
		p.segments, p.below = []segment{{tokens: []token{{star: true}}}}, true
		return p, folder || top
	}
	parts := split(s)
	if d == GitHub && len(parts) > 1 {
		top = true
	}
	if !top {
		p.segments = append(p.segments, segment{folders: true})
	}
	for _, part := range parts {
		switch part {
		case "":
			continue
		case "**":
			p.segments = append(p.segments, segment{folders: true})
		default:
			tokens, ok := tokenize(part, d)
			if !ok {
				return p, false
			}
			p.segments = append(p.segments, segment{tokens: tokens})
		}
	}
	last := parts[len(parts)-1]
	switch {
	case last == "**": // what lies below
		p.segments = append(p.segments, segment{tokens: []token{{star: true}}})
	case folder:
		p.segments = append(p.segments, segment{folders: true}, segment{tokens: []token{{star: true}}})
	default:
		p.below = d == GitHub && (last != "*" || len(parts) == 1 && !top)
	}
	return p, true
}

// split cuts at slashes; an escaped slash is a slash.
func split(s string) []string { return strings.Split(strings.ReplaceAll(s, `\/`, "/"), "/") }

func tokenize(s string, d Dialect) ([]token, bool) {
	var out []token
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '\\' && i < len(s):
			r, n = utf8.DecodeRuneInString(s[i:])
			i += n
			out = append(out, token{char: r})
		case r == '\\':
			return nil, false // escapes nothing
		case r == '*':
			if len(out) == 0 || !out[len(out)-1].star {
				out = append(out, token{star: true})
			}
		case r == '?':
			out = append(out, token{any: true})
		case r == '[' && d == GitLab:
			t, n, ok := class(s[i:])
			if !ok {
				return nil, false
			}
			i += n
			out = append(out, t)
		default:
			out = append(out, token{char: r})
		}
	}
	return out, true
}

// class reads what follows the bracket of "[a-z]", and how long it is.
func class(s string) (t token, n int, ok bool) {
	body, _, ok := strings.Cut(s, "]")
	if !ok || body == "" {
		return t, 0, false
	}
	n = len(body) + 1
	if body[0] == '!' || body[0] == '^' {
		t.negate, body = true, body[1:]
	}
	chars := []rune(body)
	for i := 0; i < len(chars); i++ {
		from, to := chars[i], chars[i]
		if i+2 < len(chars) && chars[i+1] == '-' {
			to = chars[i+2]
			i += 2
		}
		t.ranges = append(t.ranges, from, to)
	}
	return t, n, len(t.ranges) > 0
}

func (t token) matches(r rune) bool {
	switch {
	case t.any:
		return true
	case t.ranges == nil:
		return t.char == r
	}
	in := false
	for pair := range slices.Chunk(t.ranges, 2) {
		in = in || pair[0] <= r && r <= pair[1]
	}
	return in != t.negate
}

func (p pattern) match(path []string) bool {
	if !p.below {
		return matchAll(p.segments, path)
	}
	return matchAll(p.segments, path) || matchAll(append(p.segments[:len(p.segments):len(p.segments)], segment{folders: true}, segment{tokens: []token{{star: true}}}), path)
}

func matchAll(segments []segment, path []string) bool {
	return glob.Wildcard(segments, path,
		func(s segment) bool { return s.folders },
		func(s segment, part string) bool {
			return glob.Wildcard(s.tokens, []rune(part),
				func(t token) bool { return t.star },
				token.matches)
		})
}
