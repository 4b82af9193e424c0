package scan

import (
	"cmp"
	"fmt"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/names"
)

// looks says in words how a name is like another.
var looks = map[string]string{
	names.Confusable: "in characters that look alike",
	names.Separator:  "in hyphens, dots or underscores",
	names.Letter:     "in one letter",
	names.Scope:      "in its scope",
}

// lookAlikes finds, among the packages that a change adds, those with a name that could be taken for a
// well-known one. It is asked anew each time, and not of the cache: another list may judge. One file
// tells of a package once, whatever versions of it there are.
func (s *Scanner) lookAlikes(deps []sallyport.Dependency) []sallyport.Finding {
	var out []sallyport.Finding
	type place struct {
		path sallyport.Path
		name string
	}
	seen := map[place]bool{}
	for _, d := range deps {
		at := place{d.Path, d.Ecosystem + "\x00" + d.Name}
		if d.Change != "added" || d.Purl == "" || seen[at] {
			continue
		}
		seen[at] = true
		list := s.popular
		if list == nil {
			list = names.Builtin()
		}
		entry, how := list.LookAlike(d.Ecosystem, d.Name)
		if entry == "" {
			continue
		}
		severity := sallyport.Medium
		if how == names.Confusable {
			severity = sallyport.High // nobody names a package so by chance
		}
		out = append(out, finding(sallyport.FindingLookAlike, how, severity, d.Path, 0,
			fmt.Sprintf("%s is new, and differs from %s, which is well known, only %s", d.Name, entry, cmp.Or(looks[how], how)), d.Ecosystem+"\x00"+d.Name))
	}
	return out
}
