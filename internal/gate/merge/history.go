package merge

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport-dev/sallyport"
)

// A Historian knows commits and contents that are not part of the change, where they still are: those
// of runs, before their work was squashed. What is not here any more only leaves a run unjoined.
type Historian interface {
	// Lineage says where the commits begin and end if they are one whole piece of history that is
	// here: one last commit, and one commit, or none, that they were made on.
	Lineage(ctx context.Context, commits []string) (l Lineage, ok bool, err error)
	// Tree returns the tree of a commit.
	Tree(ctx context.Context, commit string) (string, error)
	// File returns the blob of a regular file in a tree; empty if there is none.
	File(ctx context.Context, tree string, path sallyport.Path) (string, error)
	// HeldTree reports whether the first-parent history of base held the tree, base included.
	HeldTree(ctx context.Context, base, tree string) (bool, error)
	// Brought returns, for each pair of blobs, the lines that the second has and the first has not;
	// no Lines at all, not even empty ones, if one of them is not here.
	Brought(ctx context.Context, pairs [][2]string) ([][]sallyport.LineRange, error)
}

// A Lineage is a piece of history by its ends: commits, and their trees. Start is empty, and its tree
// the empty one, where a history begins.
type Lineage struct{ Start, StartTree, End, EndTree string }

// chain marks the runs that together made all of the change, by its ends: the target stands at the
// tree on which the first of them began, each began at the commit where the one before it ended, and
// the change comes to the tree that the last of them left, which its statement names as a subject.
// Then all that the change does is what they did, however it was squashed.
//
// Where the target has held that tree before, or one of the files just so, it was taken back since:
// the record of a run is no licence to bring it again.
func (g *Gate) chain(ctx context.Context, x *Examined, runs []*run) error {
	c := &x.Change
	merged := c.MergeTree.Hex()
	if g.Historian == nil || merged == "" || c.Base.Zero() || len(c.Files) == 0 {
		return nil
	}
	fits := func(r *run) bool {
		return len(r.commits) > 0 && !slices.ContainsFunc(x.Authors, func(a Author) bool { return contradicts(a.Attribution, r) })
	}
	var last []*run
	for _, r := range runs {
		if r.trees[merged] && fits(r) {
			last = append(last, r)
		}
	}
	if len(last) == 0 {
		return nil
	}
	begin, err := g.Historian.Tree(ctx, c.Base.Hex())
	if err != nil {
		return fmt.Errorf("read the target's tree: %w", err)
	}
	// The runs by the commit at which they ended.
	ends := map[string][]*run{}
	at := map[*run]Lineage{}
	for _, r := range runs {
		if !fits(r) {
			continue
		}
		l, ok, err := g.Historian.Lineage(ctx, r.commitList)
		if err != nil {
			return fmt.Errorf("read the commits of run %s: %w", r.id, err)
		}
		if ok {
			ends[l.End] = append(ends[l.End], r)
			at[r] = l
		}
	}
	var found []*run
	var walk func(r *run, path []*run)
	walk = func(r *run, path []*run) {
		l, ok := at[r]
		if !ok || found != nil || slices.Contains(path, r) {
			return
		}
		path = append(path, r)
		if l.StartTree == begin {
			found = path
			return
		}
		for _, before := range ends[l.Start] {
			walk(before, slices.Clone(path))
		}
	}
	for _, r := range last {
		if at[r].EndTree == merged {
			walk(r, nil)
		}
	}
	if found == nil {
		return nil
	}
	if taken, err := g.takenBack(ctx, x, merged); err != nil || taken {
		return err
	}
	for _, r := range found {
		r.chained = true
	}
	return nil
}

// takenBack reports whether the target has held the tree, or a file of the change just so.
func (g *Gate) takenBack(ctx context.Context, x *Examined, tree string) (bool, error) {
	base := x.Change.Base.Hex()
	held, err := g.Historian.HeldTree(ctx, base, tree)
	if err != nil || held {
		return held, err
	}
	var paths []sallyport.Path
	for i := range x.Change.Files {
		paths = append(paths, x.Change.Files[i].Path)
	}
	before, err := g.Differ.Held(ctx, base, paths)
	if err != nil {
		return false, fmt.Errorf("read what the target has held: %w", err)
	}
	return slices.ContainsFunc(x.Change.Files, func(f sallyport.File) bool { return before[f.Path][f.NewBlob] }), nil
}

// maxStray bounds how many places of a file are named; maxComparisons how many files are compared with
// what runs left in them, and maxPairs how often.
const (
	maxStray       = 20
	maxComparisons = 200
	maxPairs       = 2_000
)

// strays names, in files that are partly a run's, the lines that no accepted run wrote: what somebody
// put beside its work. It explains what is not accounted for, and accounts for nothing.
func (g *Gate) strays(ctx context.Context, x *Examined, cov *coverage, runs []*run) error {
	if g.Historian == nil {
		return nil
	}
	type job struct {
		file int
		from int // of the pairs that are about it
		to   int
	}
	var pairs [][2]string
	var jobs []job
	for i := range cov.files {
		open := cov.open[i]
		if len(open) == 0 || len(jobs) >= maxComparisons || len(pairs) >= maxPairs {
			continue
		}
		f := &x.Change.Files[i]
		j := job{file: i, from: len(pairs)}
		for _, r := range runs {
			for b := range r.blobs {
				if b.path == string(f.Path) && b.mode == f.NewMode && regular(b.mode) && len(pairs) < maxPairs {
					pairs = append(pairs, [2]string{b.blob, f.NewBlob})
				}
			}
		}
		if j.from == len(pairs) {
			more, err := g.leftIn(ctx, x, f, runs)
			if err != nil {
				return err
			}
			pairs = append(pairs, more...)
		}
		j.to = len(pairs)
		jobs = append(jobs, j)
	}
	if len(jobs) == 0 {
		return nil
	}
	brought, err := g.Historian.Brought(ctx, pairs)
	if err != nil {
		return fmt.Errorf("compare files with what runs left in them: %w", err)
	}
	for _, j := range jobs {
		var compared [][]sallyport.LineRange
		for _, b := range brought[j.from:j.to] {
			if b != nil {
				compared = append(compared, b)
			}
		}
		for _, u := range cov.open[j.file] {
			if u.Kind != sallyport.UnitLines || u.Side != sallyport.AddedSide {
				continue
			}
			for n := u.Start; n < u.Start+u.Lines; n++ {
				if stray(n, compared, u, x, runs) {
					cov.files[j.file].Stray = join(cov.files[j.file].Stray, sallyport.LineRange{Start: n, Lines: 1})
				}
			}
		}
		if s := cov.files[j.file].Stray; len(s) > maxStray {
			cov.files[j.file].Stray = s[:maxStray]
		}
	}
	return nil
}

// leftIn returns a file that no run names as the runs of this change left it nevertheless, where their
// commits are still here.
func (g *Gate) leftIn(ctx context.Context, x *Examined, f *sallyport.File, runs []*run) (pairs [][2]string, err error) {
	for _, r := range runs {
		if !regular(f.NewMode) || !r.names(&x.Change) {
			continue
		}
		l, ok, err := g.Historian.Lineage(ctx, r.commitList)
		if err != nil {
			return nil, fmt.Errorf("read the commits of run %s: %w", r.id, err)
		}
		if !ok {
			continue
		}
		left, err := g.Historian.File(ctx, l.EndTree, f.Path)
		if err != nil {
			return nil, fmt.Errorf("read what run %s left: %w", r.id, err)
		}
		if left != "" {
			pairs = append(pairs, [2]string{left, f.NewBlob})
		}
	}
	return pairs, nil
}

func regular(mode string) bool { return mode == "100644" || mode == "100755" }

// stray reports whether no run wrote a line: by what the runs left in the file, where that is here,
// and else by the commits that made it, where a run made others of the change.
func stray(line int, compared [][]sallyport.LineRange, u sallyport.Unit, x *Examined, runs []*run) bool {
	if len(compared) > 0 {
		return !slices.ContainsFunc(compared, func(brought []sallyport.LineRange) bool {
			return !slices.ContainsFunc(brought, func(r sallyport.LineRange) bool { return r.Start <= line && line < r.Start+r.Lines })
		})
	}
	listed := func(i int) bool {
		return slices.ContainsFunc(runs, func(r *run) bool { return r.commits[x.Change.Commits[i].ID.Hex()] })
	}
	some := false
	for i := range x.Change.Commits {
		some = some || listed(i)
	}
	return some && len(u.Commits) > 0 && !slices.ContainsFunc(u.Commits, listed)
}
