package advisory

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Bounds of what a source says about itself.
const (
	maxCoverage = 64 << 10
	maxListed   = 1_000_000
)

// CoverageFile is the name of the file, at the top of a source, in which it says of which ecosystems it has all
// records, and how many those are.
const CoverageFile = "coverage.json"

// coverage takes what a file says about the source as a whole: its own word, or the index of Go's database.
func (s *building) coverage(f file) error {
	switch {
	case f.name == CoverageFile:
		var said struct {
			Covers map[string]int `json:"covers"`
		}
		if err := strict.JSON(f.body, maxCoverage, &said); err != nil {
			return err
		}
		for _, e := range slices.Sorted(maps.Keys(said.Covers)) {
			if !Keeps(e) {
				return fmt.Errorf("%.40q is no ecosystem that is kept; there are %s", e, strings.Join(Names(), ", "))
			}
			if said.Covers[e] < 1 {
				return fmt.Errorf("all records of %s are %d", e, said.Covers[e])
			}
		}
		s.says = said.Covers
	case strings.HasSuffix("/"+f.name, "/index/vulns.json"):
		var list []struct {
			ID string `json:"id"`
		}
		// What is no such list is another's file of that name, and says nothing.
		if json.Unmarshal(f.body, &list) == nil && len(list) <= maxListed {
			for _, v := range list {
				s.goListed = append(s.goListed, v.ID)
			}
		}
	}
	return nil
}

// count notes a record among those that the source has.
func (s *building) count(r *record) {
	if strings.HasPrefix(r.id, "GO-") {
		s.goIDs[r.id] = true
	}
	seen := map[string]bool{}
	for i := range r.parts {
		if e := r.parts[i].ecosystem; !seen[e] {
			seen[e] = true
			s.counts[e]++
		}
	}
}

// own settles what the source says about itself, once all of it was read. One that has other records than it says
// is not what it was.
func (s *building) own() error {
	for _, e := range slices.Sorted(maps.Keys(s.says)) {
		if s.counts[e] != s.says[e] {
			return fmt.Errorf("it has %d records of %s, and its %s says %d", s.counts[e], e, CoverageFile, s.says[e])
		}
		s.cover(e)
	}
	if len(s.goListed) > 0 && !slices.ContainsFunc(s.goListed, func(id string) bool { return !s.goIDs[id] }) {
		s.cover("Go")
	}
	s.goIDs, s.goListed = nil, nil
	return nil
}

// covers are the sources that have all records of an ecosystem.
func covers(sources []Source, ecosystem string) (out []int) {
	for n := range sources {
		if slices.Contains(sources[n].Covers, ecosystem) {
			out = append(out, n)
		}
	}
	return out
}
