package advisory

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// maxMends bounds the versions that are tried for a package.
const maxMends = 2000

// A Remedy is what to use in place of a version.
type Remedy struct {
	// Version is the lowest one above that in use about which nothing is known; empty if no record names one. It is
	// a release if there is one, and else what comes before a release.
	Version string
	Passed  int  // lower versions that mend one advisory, and that another is about
	Whole   bool // the database has all records of the ecosystem
	Why     string
}

// Mend finds the lowest version above p's that an advisory says is fixed, and that no other advisory is about. It knows
// the versions that records name, and not which of them a registry still has.
func (db *DB) Mend(p Package) Remedy {
	ecosystem, ok := Ecosystem(p.Type)
	if !ok {
		return Remedy{Why: "no advisories are kept about packages of this type"}
	}
	meta, _ := db.meta.Ecosystem(ecosystem)
	r := Remedy{Whole: meta.Whole}
	at, err := parseVersion(ecosystem, p.Version, false)
	if err != nil {
		r.Why = err.Error()
		return r
	}
	entries, err := db.lookup(ecosystem, key(ecosystem, p.Name))
	if err != nil {
		r.Why = err.Error()
		return r
	}
	type candidate struct {
		text string
		at   version
		pre  bool
	}
	var tries []candidate
	seen := map[string]bool{}
	for i := range entries {
		for _, g := range entries[i].Ranges {
			for _, e := range g.Events {
				if e.Kind != Fixed || seen[e.Version] || len(tries) == maxMends {
					continue
				}
				seen[e.Version] = true
				v, err := parseEvent(ecosystem, e.Version, g.Semver)
				if err != nil {
					continue
				}
				if c, err := v.compare(at); err == nil && c > 0 {
					tries = append(tries, candidate{e.Version, v, early(ecosystem, e.Version)})
				}
			}
		}
	}
	slices.SortStableFunc(tries, func(a, b candidate) int {
		c, cerr := a.at.compare(b.at)
		if cerr != nil {
			err = cerr
		}
		return c
	})
	if err != nil {
		r.Why = err.Error()
		return r
	}
	for _, pre := range []bool{false, true} {
		r.Passed = 0
		for _, c := range tries {
			if c.pre && !pre {
				continue
			}
			text := c.text
			if ecosystem == "Go" && strings.HasPrefix(p.Version, "v") {
				text = "v" + strings.TrimPrefix(text, "v")
			}
			ans := db.Match(Package{Type: p.Type, Name: p.Name, Version: text})
			if len(ans.Matches) == 0 && (ans.Unknown == "" || ans.Unknown == UnknownCoverage) {
				r.Version = text
				return r
			}
			r.Passed++
		}
	}
	if r.Why = "no record names a fixed version above " + p.Version; r.Passed > 0 {
		r.Why = "every version above " + p.Version + " that mends one advisory is one that another is about"
	}
	return r
}

var earlyWords = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:alpha|beta|preview|pre|rc|dev|snapshot|canary|nightly|next|milestone|[0-9._-](?:a|b|c|m|cr)[._-]?[0-9])`)
})

// early reports whether a version is one before a release, or of a branch.
func early(ecosystem, v string) bool {
	v, _, _ = strings.Cut(v, "+")
	if semverLike[ecosystem] {
		return strings.Contains(v, "-")
	}
	return earlyWords().MatchString(v)
}
