package advisory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// A Package is what is looked up.
type Package struct {
	Type    string // of the package URL: npm, golang, pypi …
	Name    string // as package URLs without escapes have it: @scope/name, group:artifact
	Version string // empty if it is not known which one
}

// A Match is an advisory about a package, with all records that are aliases of each other.
type Match struct {
	ID        string             `json:"id"`
	Aliases   []string           `json:"aliases"` // the other ids, sorted
	Summary   string             `json:"summary"`
	Severity  sallyport.Severity `json:"severity"` // empty: no record says
	Malicious bool               `json:"malicious"`
	Fixed     []string           `json:"fixed"` // the next version of each range that mends it
}

// Why an answer is not known.
const (
	UnknownEcosystem = "ecosystem" // the database has no records of it
	UnknownCoverage  = "coverage"  // it has some, and nobody says that they are all
	UnknownVersion   = "version"   // there are advisories about the package, and the version cannot be held to them
	UnknownDamaged   = "damaged"   // the database could not be read
)

// An Answer is what the database says about a package.
type Answer struct {
	Matches []Match // what is known to affect it, by id
	// Unknown is empty if every record about the package was decided. Why says in words what was not.
	Unknown string
	Why     string
	// Undecided are the ids of the advisories that could not be decided.
	Undecided []string
}

// Match says what is known about p. The zero Answer is never returned for an ecosystem of which the database has no records,
// or has some that nobody says are all ([UnknownCoverage]).
//
// Registries of npm packages tell old names apart by their case. A name is looked up as it is
// written, and one in lower case also stands for those with capitals, since package URLs lower them.
func (db *DB) Match(p Package) Answer {
	ecosystem, ok := Ecosystem(p.Type)
	if !ok {
		return Answer{Unknown: UnknownEcosystem, Why: fmt.Sprintf("no advisories are kept about packages of type %.40q", p.Type)}
	}
	e, ok := db.meta.Ecosystem(ecosystem)
	if !ok || e.Records == 0 {
		return Answer{Unknown: UnknownEcosystem, Why: "the advisory database holds no records of " + ecosystem}
	}
	entries, err := db.lookup(ecosystem, key(ecosystem, p.Name))
	if err != nil {
		return Answer{Unknown: UnknownDamaged, Why: err.Error()}
	}
	var a Answer
	var hits []hit
	for i := range entries {
		e := &entries[i]
		if ecosystem == "npm" && e.Name != p.Name && p.Name != strings.ToLower(p.Name) {
			continue
		}
		h, affected, why := judge(ecosystem, e, p.Version)
		switch {
		case affected:
			hits = append(hits, h)
		case why != "":
			a.Unknown, a.Why = UnknownVersion, why
			a.Undecided = append(a.Undecided, e.ID)
		}
	}
	a.Matches = grouped(hits)
	// What another record of the same advisory decides is decided.
	a.Undecided = slices.DeleteFunc(a.Undecided, func(id string) bool {
		return slices.ContainsFunc(a.Matches, func(m Match) bool { return m.ID == id || slices.Contains(m.Aliases, id) })
	})
	if len(a.Undecided) == 0 && a.Unknown == UnknownVersion {
		a.Unknown, a.Why = "", ""
	}
	if a.Unknown == "" && !e.Whole {
		a.Unknown, a.Why = UnknownCoverage, fmt.Sprintf("the advisory database holds %d records of %s, and nobody says that these are all", e.Records, ecosystem)
	}
	slices.Sort(a.Undecided)
	a.Undecided = slices.Compact(a.Undecided)
	return a
}

// A hit is an entry that is about the version.
type hit struct {
	*Entry
	fixed []string
}

// judge says whether the entry is about the version, or why that cannot be told.
func judge(ecosystem string, e *Entry, v string) (h hit, affected bool, why string) {
	h.Entry = e
	switch {
	case e.GitOnly:
		return h, false, e.ID + " names commits and no versions"
	case len(e.Ranges) == 0 && len(e.Versions) == 0:
		return h, false, e.ID + " does not say which versions are affected"
	case v == "":
		if slices.ContainsFunc(e.Ranges, Range.all) {
			return h, true, ""
		}
		return h, false, e.ID + " is about some versions, and which one is used is not known"
	}
	for _, g := range e.Ranges {
		in, fixed, err := g.holds(ecosystem, v)
		if err != nil {
			why = e.ID + ": " + err.Error()
			continue
		}
		if in {
			affected = true
			if fixed != "" && !slices.Contains(h.fixed, fixed) {
				h.fixed = append(h.fixed, fixed)
			}
		}
	}
	if !affected {
		in, err := listed(ecosystem, e.Versions, v)
		if err != nil && why == "" {
			why = e.ID + ": " + err.Error()
		}
		affected = in
	}
	if affected {
		why = ""
	}
	return h, affected, why
}

// all reports whether the range holds every version there is.
func (g Range) all() bool {
	from := false
	for _, e := range g.Events {
		if e.Kind != Introduced {
			return false
		}
		from = from || e.Version == "0"
	}
	return from
}

// A point is an event whose version has been read.
type point struct {
	Event
	at version
}

// holds reports whether v is in the range, and if so which version mends it. It is the evaluation of
// the schema: events in the order of their versions, each that v has reached switching on or off. Of those with
// one version, what ends a range comes before what begins one, and what is still affected last.
func (g Range) holds(ecosystem, v string) (in bool, fixed string, err error) {
	at, err := parseVersion(ecosystem, v, g.Semver)
	if err != nil {
		return false, "", err
	}
	points := make([]point, 0, len(g.Events))
	limited, below := false, false
	for _, e := range g.Events {
		p := point{Event: e}
		if e.Kind == Limit && e.Version == "*" {
			limited, below = true, true
			continue
		}
		if e.Kind != Introduced || e.Version != "0" {
			if p.at, err = parseEvent(ecosystem, e.Version, g.Semver); err != nil {
				return false, "", err
			}
		}
		if e.Kind == Limit {
			c, err := at.compare(p.at)
			if err != nil {
				return false, "", err
			}
			limited, below = true, below || c < 0
			continue
		}
		points = append(points, p)
	}
	slices.SortStableFunc(points, func(a, b point) int {
		c, cerr := a.at.compare(b.at)
		if cerr != nil {
			err = cerr
		}
		if c == 0 {
			return int(a.Kind) - int(b.Kind)
		}
		return c
	})
	if err != nil {
		return false, "", err
	}
	for _, p := range points {
		c, err := at.compare(p.at)
		switch {
		case err != nil:
			return false, "", err
		case p.Kind == Introduced && c >= 0:
			in = true
		case p.Kind == Fixed && c >= 0, p.Kind == LastAffected && c > 0:
			in = false
		case p.Kind == Fixed && c < 0 && fixed == "":
			fixed = p.Version
		}
	}
	if in = in && (!limited || below); !in {
		fixed = ""
	}
	return in, fixed, nil
}

// sortKinds puts the events of one object, which JSON leaves unordered, in an order.
func sortKinds(es []Event) {
	slices.SortStableFunc(es, func(a, b Event) int { return strings.Compare(a.Version, b.Version) })
}

// listed reports whether v is among versions: as it is written, or the same by the ecosystem's own
// rules, as 1.0 and 1.0.0 are for Python. Comparing is slow, so only those are compared that could be.
func listed(ecosystem string, versions []string, v string) (bool, error) {
	if len(versions) == 0 {
		return false, nil
	}
	if slices.Contains(versions, v) {
		return true, nil
	}
	at, err := parseVersion(ecosystem, v, false)
	if err != nil {
		return false, err
	}
	plain := v
	if ecosystem == "RubyGems" {
		plain = withoutPlatform(v)
	}
	for _, other := range versions {
		if !sameDigits(plain, other) {
			continue
		}
		// One that cannot be read is none that v, which can be, is another spelling of.
		if w, err := parseEvent(ecosystem, other, false); err == nil {
			if c, err := at.compare(w); err == nil && c == 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// sameDigits reports whether two versions have the same digits but for zeros, up to a plus sign. All spellings of a
// version do.
func sameDigits(a, b string) bool {
	for {
		var x, y byte
		x, a = nextDigit(a)
		y, b = nextDigit(b)
		if x != y || x == 0 {
			return x == y
		}
	}
}

func nextDigit(s string) (digit byte, rest string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '+':
			return 0, ""
		case c >= '1' && c <= '9':
			return c, s[i+1:]
		}
	}
	return 0, ""
}

// grouped joins hits whose records name each other, or the same third one, as aliases.
func grouped(hits []hit) []Match {
	parent := make([]int, len(hits))
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	by := map[string]int{}
	for i := range hits {
		parent[i] = i
		for _, id := range append([]string{hits[i].ID}, hits[i].Aliases...) {
			if j, ok := by[id]; ok {
				parent[find(i)] = find(j)
			} else {
				by[id] = i
			}
		}
	}
	groups := map[int][]hit{}
	for i := range hits {
		groups[find(i)] = append(groups[find(i)], hits[i])
	}
	out := make([]Match, 0, len(groups))
	for _, g := range groups {
		out = append(out, joined(g))
	}
	slices.SortFunc(out, func(a, b Match) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// joined makes one match of the hits of a group. It is named after the record that tells most.
func joined(hits []hit) Match {
	m := Match{Aliases: []string{}, Fixed: []string{}}
	ids := map[string]bool{}
	first := hits[0]
	for _, h := range hits {
		ids[h.ID] = true
		for _, a := range h.Aliases {
			ids[a] = true
		}
		m.Malicious = m.Malicious || h.Malicious
		m.Severity = worst(m.Severity, h.Severity)
		for _, f := range h.fixed {
			if !slices.Contains(m.Fixed, f) {
				m.Fixed = append(m.Fixed, f)
			}
		}
		if tellsMore(h, first) {
			first = h
		}
	}
	m.ID, m.Summary = first.ID, first.Summary
	delete(ids, m.ID)
	for id := range ids {
		m.Aliases = append(m.Aliases, id)
	}
	slices.Sort(m.Aliases)
	slices.Sort(m.Fixed)
	return m
}

func tellsMore(a, b hit) bool {
	switch {
	case a.Malicious != b.Malicious:
		return a.Malicious
	case a.Severity.Rank() != b.Severity.Rank():
		return a.Severity.Rank() > b.Severity.Rank()
	case (a.Summary == "") != (b.Summary == ""):
		return a.Summary != ""
	}
	return a.ID < b.ID
}
