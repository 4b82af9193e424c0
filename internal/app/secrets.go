package app

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/mask"
	"github.com/sallyport-dev/sallyport/internal/scan"
)

// secretMatcher is what the merge gate finds secrets with: the rules of internal/scan, and the engine that
// masks prompts, in its precise form. What both find is told once, by the rule's name.
type secretMatcher struct{}

var preciseEngine = sync.OnceValue(func() *mask.Engine {
	e, err := mask.New(mask.Options{Precise: true})
	if err != nil {
		panic(err) // its tables are constants, and a test reads them
	}
	return e
})

func (secretMatcher) Digest() sallyport.Digest {
	return sallyport.SHA256([]byte(scan.Secrets().Digest() + "\n" + mask.Digest()))
}

func (secretMatcher) Find(path string, text []byte, ranges []scan.Range) []scan.Match {
	matches := scan.Secrets().Find(path, text, ranges)
	line, at := 1, 0
	known := len(matches)
	for _, f := range preciseEngine().Find(nil, text) {
		line += bytes.Count(text[at:f.Start], []byte("\n"))
		at = f.Start
		last := line + bytes.Count(text[f.Start:f.End], []byte("\n"))
		if ranges != nil && !slices.ContainsFunc(ranges, func(r scan.Range) bool { return r.First <= last && line <= r.Last }) {
			continue
		}
		if slices.ContainsFunc(matches[:known], func(m scan.Match) bool { return m.Start < f.End && f.Start < m.End }) || scan.PublicExample(text[f.Start:f.End]) {
			continue
		}
		matches = append(matches, scan.Match{
			Rule: f.Rule, Title: "Secret: " + strings.TrimPrefix(string(f.Kind), "secret:"), Severity: f.Severity, Line: line,
			Start: f.Start, End: f.End, Secret: [2]int{f.Start, f.End},
		})
	}
	slices.SortStableFunc(matches, func(a, b scan.Match) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return strings.Compare(a.Rule, b.Rule)
	})
	return matches
}
