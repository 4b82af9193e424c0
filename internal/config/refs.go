package config

import (
	"slices"
	"strings"
)

// evidencePrefix is where evidence travels; it is transport, and never gated.
const evidencePrefix = "refs/sallyport/"

// Gated reports whether a change reaches ref only through the merge gate. ref is fully
// qualified. Without a list of refs that is every branch and tag; review refs and ignored refs
// are left out, and evidence refs are never gated.
func (c Config) Gated(ref string) bool {
	if strings.HasPrefix(ref, evidencePrefix) {
		return false
	}
	// A ref named exactly is gated whatever the patterns say; validation refuses the
	// contradiction, and a Config made by hand gets the strict answer.
	if slices.Contains(c.Gates.Merge.Refs, ref) {
		return true
	}
	if c.Gates.Merge.Refs == nil {
		if !strings.HasPrefix(ref, "refs/heads/") && !strings.HasPrefix(ref, "refs/tags/") {
			return false
		}
	} else if !matchAny(c.Gates.Merge.Refs, ref) {
		return false
	}
	return !matchAny(c.ReviewRefs, ref) && !matchAny(c.Gates.Merge.Ignore, ref)
}

func matchAny(patterns []string, ref string) bool {
	for _, p := range patterns {
		if MatchRef(p, ref) {
			return true
		}
	}
	return false
}

// MatchRef reports whether a pattern names ref. A pattern is a fully qualified ref; or one
// that ends in "/*", which stands for exactly one further path component; or one that ends in
// "/**", which stands for one or more. A star anywhere else matches nothing, and Parse refuses
// it. Letters differ by case, as git's refs do.
func MatchRef(pattern, ref string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "**"); ok && strings.HasSuffix(prefix, "/") && !strings.Contains(prefix, "*") {
		return strings.HasPrefix(ref, prefix) && len(ref) > len(prefix)
	}
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasSuffix(prefix, "/") && !strings.Contains(prefix, "*") {
		rest, ok := strings.CutPrefix(ref, prefix)
		return ok && rest != "" && !strings.Contains(rest, "/")
	}
	return pattern == ref && !strings.Contains(pattern, "*")
}

func (c Config) validateRefs() error {
	if c.Gates.Merge.Refs != nil && len(c.Gates.Merge.Refs) == 0 {
		return bad("gates.merge.refs", "is empty, which would gate nothing; leave the key out to gate every branch and tag")
	}
	for _, l := range []struct {
		key  string
		list []string
	}{
		{"gates.merge.refs", c.Gates.Merge.Refs}, {"gates.merge.ignore", c.Gates.Merge.Ignore}, {"review_refs", c.ReviewRefs},
	} {
		if len(l.list) > maxPatterns {
			return bad(l.key, "has %d patterns, the most is %d", len(l.list), maxPatterns)
		}
		for _, p := range l.list {
			if why := refPatternFault(p); why != "" {
				return bad(l.key, "%q %s", clip(p), why)
			}
		}
	}
	for _, ref := range c.Gates.Merge.Refs {
		switch {
		case strings.HasSuffix(ref, "*"):
		case matchAny(c.Gates.Merge.Ignore, ref):
			return bad("gates.merge.ignore", "leaves out %q, which gates.merge.refs names", ref)
		case matchAny(c.ReviewRefs, ref):
			return bad("review_refs", "leaves out %q, which gates.merge.refs names", ref)
		}
	}
	return nil
}

// refPatternFault says what is wrong with p, or nothing. The rules are those of
// git-check-ref-format, with one trailing star component allowed.
func refPatternFault(p string) string {
	body := strings.TrimSuffix(strings.TrimSuffix(p, "/**"), "/*")
	switch {
	case len(p) > 512:
		return "is longer than 512 bytes"
	case !strings.HasPrefix(p, "refs/"):
		return "is not fully qualified, such as refs/heads/main"
	case strings.HasPrefix(p, evidencePrefix), body == "refs", body == "refs/sallyport":
		return "covers refs in which evidence travels; they cannot be gated"
	case strings.Contains(body, "*"):
		return "has a star that is not its last component"
	}
	for _, part := range strings.Split(body, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") ||
			strings.HasSuffix(part, ".") || strings.Contains(part, "..") || strings.Contains(part, "@{") ||
			strings.ContainsAny(part, " ~^:?[\\") || strings.ContainsFunc(part, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			return "is not a ref that git could have"
		}
	}
	return ""
}
