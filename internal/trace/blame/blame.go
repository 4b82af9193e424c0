// Package blame says which agent's run made a line, by what outlives the commit that made it.
//
// The commit that git blame names is where a line came into the history, and a squash, a rebase or
// an amended message makes that another commit than the agent's. The record of a run holds more:
// for each line, its commit is compared with each run in this order, and the first that fits counts:
//
//  1. commit: the run lists the commit among those whose whole content it made;
//  2. hunk: the run lists the digest of the hunk that brought the line, which holds the path, the
//     lines and three lines around them; once for each time that the run made it, since evidence
//     about one place is none about another;
//  3. tree: the statement names the tree of the commit, so that all of the repository was then as the
//     run left it;
//  4. blob: the run wrote the file with exactly the content that the commit has;
//  5. text: the line stands, unchanged, in a version of the file that the run wrote, in the place
//     that a comparison of the two versions gives it.
//
// The last three say what the run left behind and not what it found there. Where the commits of the
// run are still in the repository, its beginning is known, and a line counts only if the run brought
// it; where they are not, a line that somebody else wrote before the run, and that was squashed
// together with it, counts as the run's. The answer names the join, so that a reader can tell.
//
// A run that fits and that policy does not accept is a claim about the line, as is what an agent's
// own tool noted. This package joins, and leaves to its caller what is accepted.
package blame

import (
	"slices"

	"github.com/sallyport-dev/sallyport"
)

// A Join says by what a line was found to be a run's.
type Join string

// The joins, the strongest first.
const (
	ByCommit Join = "commit"
	ByHunk   Join = "hunk"
	ByTree   Join = "tree"
	ByBlob   Join = "blob"
	ByText   Join = "text"
)

// A Blob is a file by path, mode and content.
type Blob struct{ Path, Mode, Blob string }

// A Run is what one record says that a run made.
type Run struct {
	Commits map[string]bool
	Trees   map[string]bool
	Blobs   map[Blob]bool
	Hunks   map[string]int // how often the run made each
}

// A Span is lines from Start up to, and without, End.
type Span struct{ Start, End int }

// A Hunk is a hunk with the lines that it adds.
type Hunk struct {
	Digest string
	Added  []Span
}

// A Source is a commit that made lines of a file, with what it did to the file.
type Source struct {
	Commit, Tree string // ids; empty for what is not committed
	File         Blob   // as the commit has it; zero where it is not known
	Hunks        []Hunk
}

// Hunk returns the index of the hunk that adds the line, or -1.
func (s *Source) Hunk(line int) int {
	return slices.IndexFunc(s.Hunks, func(h Hunk) bool {
		return slices.ContainsFunc(h.Added, func(a Span) bool { return a.Start <= line && line < a.End })
	})
}

// A Match is a run that made a line, and how that was found.
type Match struct {
	Run int // index into the runs
	By  Join
}

// A Matcher joins the lines of one file to runs. Places are asked for in the order of the file, since
// a hunk that a run made once accounts for one place.
type Matcher struct {
	runs    []Run
	commits map[string][]int
	trees   map[string][]int
	blobs   map[Blob][]int
	hunks   map[string][]int
	paths   map[string][]int
	used    map[claim]map[place]bool
}

type claim struct {
	run  int
	hunk string
}

type place struct{ source, hunk int }

// NewMatcher returns a Matcher of runs.
func NewMatcher(runs []Run) *Matcher {
	m := &Matcher{
		runs: runs, commits: map[string][]int{}, trees: map[string][]int{}, blobs: map[Blob][]int{},
		hunks: map[string][]int{}, paths: map[string][]int{}, used: map[claim]map[place]bool{},
	}
	for i := range runs {
		r := &runs[i]
		index(m.commits, r.Commits, i)
		index(m.trees, r.Trees, i)
		index(m.blobs, r.Blobs, i)
		index(m.hunks, r.Hunks, i)
		for b := range r.Blobs {
			if list := m.paths[b.Path]; len(list) == 0 || list[len(list)-1] != i {
				m.paths[b.Path] = append(list, i)
			}
		}
	}
	return m
}

func index[K comparable, V any](into map[K][]int, of map[K]V, run int) {
	for k := range of {
		into[k] = append(into[k], run)
	}
}

// Commit returns the runs that list a commit.
func (m *Matcher) Commit(id string) []int { return m.commits[id] }

// Wrote returns the runs that wrote a file at a path, in their order.
func (m *Matcher) Wrote(path string) []int { return m.paths[path] }

// Contents returns the contents that a run left at a path, as object ids, sorted.
func (m *Matcher) Contents(run int, path string) []string {
	var out []string
	for b := range m.runs[run].Blobs {
		if b.Path == path && b.Mode != "160000" && b.Mode != "120000" {
			out = append(out, b.Blob)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// At returns the runs that made what a source's hunk added, each once with its strongest join, in
// the order of the joins and then of the runs. At is the source's index, and hunk that of the hunk in
// it, -1 where hunks are not known. Joins by text are not among them: they compare contents.
func (m *Matcher) At(at int, s *Source, hunk int) []Match {
	if s.Commit == "" {
		return nil
	}
	var out []Match
	add := func(runs []int, by Join) {
		for _, r := range runs {
			if !slices.ContainsFunc(out, func(have Match) bool { return have.Run == r }) {
				out = append(out, Match{r, by})
			}
		}
	}
	add(m.commits[s.Commit], ByCommit)
	if hunk >= 0 {
		h := s.Hunks[hunk].Digest
		for _, r := range m.hunks[h] {
			if m.take(claim{r, h}, place{at, hunk}) {
				add([]int{r}, ByHunk)
			}
		}
	}
	if s.Tree != "" {
		add(m.trees[s.Tree], ByTree)
	}
	if s.File != (Blob{}) {
		add(m.blobs[s.File], ByBlob)
	}
	return out
}

// take uses up one of the times that a run made a hunk, or finds that it was for this place.
func (m *Matcher) take(c claim, p place) bool {
	times := m.runs[c.run].Hunks[c.hunk]
	if times == 0 {
		return false
	}
	if m.used[c][p] {
		return true
	}
	if len(m.used[c]) >= times {
		return false
	}
	if m.used[c] == nil {
		m.used[c] = map[place]bool{}
	}
	m.used[c][p] = true
	return true
}

// Contradicts reports whether what a commit says of itself names another agent than the run's.
func Contradicts(a sallyport.Attribution, agent string) bool {
	return a.Principal.Kind == sallyport.Agent && a.Principal.Name != agent
}

// A Delta is what differs between two versions of a file: the lines that the later one has and the
// earlier has not, and the other way round.
type Delta struct{ Added, Removed []Span }

// Before returns which line of the earlier version a line of the later one is, if it is there
// unchanged: the lines that both have are the same in the same order.
func (d *Delta) Before(line int) (int, bool) {
	at := line
	for _, s := range d.Added {
		if s.Start <= line && line < s.End {
			return 0, false
		}
		if s.End <= line {
			at -= s.End - s.Start
		}
	}
	for _, s := range d.Removed {
		if s.Start <= at {
			at += s.End - s.Start
		}
	}
	return at, true
}

// Brought reports whether a line is one that the later version brought.
func (d *Delta) Brought(line int) bool {
	return slices.ContainsFunc(d.Added, func(s Span) bool { return s.Start <= line && line < s.End })
}
