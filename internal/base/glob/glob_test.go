package glob

import (
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"go.mod", "go.mod", true},
		{"go.mod", "a/go.mod", false},
		{"go.mod", "go.mod/x", false},
		{"**/go.mod", "go.mod", true},
		{"**/go.mod", "a/b/go.mod", true},
		{"**/go.mod", "a/b/ago.mod", false},
		{"docs/**", "docs/a/b", true},
		{"docs/**", "docs", false},
		{"docs/**", "docsx/a", false},
		{"**", "a", true},
		{"**", "a/b", true},
		{"a/**/b/**/c", "a/b/c", true},
		{"a/**/b/**/c", "a/x/b/y/z/c", true},
		{"a/**/b/**/c", "a/x/y/c", false},
		{"*.lock", "yarn.lock", true},
		{"*.lock", "a/yarn.lock", false},
		{"*", "a/b", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a?c", "a/c", false},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b*", "xxbxxaxx", false},
		{"x\xff*", "x\xff\xfe", true},
		{"go.mod", "", false},
	} {
		g, err := Parse(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Match(tt.path); got != tt.want {
			t.Errorf("%q matches %q: %v, want %v", tt.pattern, tt.path, got, tt.want)
		}
	}
	for _, bad := range []string{"", "/a", "a/", "a//b", "./a", "a/../b", "a**", "[a]", "{a,b}", "!a", `a\b`, strings.Repeat("a", MaxLength+1)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("pattern %.20q is accepted", bad)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"billing/**", "billing", true},
		{"billing/**", "billing/eu", true},
		{"billing/**", "bill", false},
		{"billing/pay.go", "billing", true},
		{"billing/pay.go", "billing/pay.go", false},
		{"**/pay.go", "x/y", true},
		{"*.tf", "a", false},
		{"a/*/c", "a/b", true},
	} {
		g, err := Parse(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Below(tt.path); got != tt.want {
			t.Errorf("%q below %q: %v, want %v", tt.pattern, tt.path, got, tt.want)
		}
	}
}

// The zero Glob matches nothing.
func TestZeroGlob(t *testing.T) {
	if (Glob{}).Match("a") || Glob(nil).Match("") {
		t.Error("it matches")
	}
}

// What parses matches itself if it has no wildcard, and never matches across a missing folder.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"go.mod", "docs/**", "**/a?c", "*a*b*", "a/**/b"} {
		f.Add(s, "docs/a/b")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		g, err := Parse(pattern)
		if err != nil {
			return
		}
		if !strings.ContainsAny(pattern, "*?") && (g.Match(pattern) != true || g.Match(path) != (path == pattern)) {
			t.Errorf("%q is not literal", pattern)
		}
		if !strings.Contains(pattern, "**") && g.Match(path) && strings.Count(path, "/") != strings.Count(pattern, "/") {
			t.Errorf("%q matches %q across folders", pattern, path)
		}
	})
}
