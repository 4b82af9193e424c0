package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A runStart is the workspace as a run found it.
type runStart struct {
	at     time.Time
	head   string            // commit
	branch string            // full name; empty if HEAD was detached
	refs   map[string]string // all of them
	tree   string            // that the work tree would make
	dirty  map[string]bool   // paths that were not as in head
	files  *git.WorkTreeState

	commits   map[string]bool // all that the object store held, reachable or not
	elsewhere []string        // branches that other work trees had checked out
}

// snapshot says how the workspace is.
func (w *workspace) snapshot(ctx context.Context) (*runStart, error) {
	head, err := w.repo.Resolve(ctx, "HEAD")
	if errors.Is(err, git.ErrNotFound) {
		return nil, withHint(errors.New("there is no commit here yet, so that nothing tells what a run changes"), "git commit --allow-empty -m 'Begin'")
	} else if err != nil {
		return nil, err
	}
	s := &runStart{at: w.app.now(), head: head, dirty: map[string]bool{}}
	if s.branch, err = w.repo.SymbolicHead(ctx); err != nil && !errors.Is(err, git.ErrNotFound) {
		return nil, err
	}
	if s.refs, err = w.repo.Refs(ctx); err != nil {
		return nil, err
	}
	if s.commits, err = w.repo.AllCommits(ctx); err != nil {
		return nil, err
	}
	if s.elsewhere, err = w.repo.CheckedOutElsewhere(); err != nil {
		return nil, err
	}
	if s.tree, s.files, err = w.repo.SnapshotWorkTree(ctx, head); err != nil {
		return nil, err
	}
	for _, f := range s.files.Files {
		if f.State != git.FileSame {
			s.dirty[f.Path] = true
		}
	}
	// What is staged need not lie in the work tree, and a commit takes it all the same.
	staged, err := w.repo.Staged(ctx, head)
	if err != nil {
		return nil, err
	}
	for _, p := range staged {
		s.dirty[p] = true
	}
	return s, nil
}

// A runEnd is what a run left behind.
type runEnd struct {
	changes     predicate.Changes
	subjects    []sallyport.Digest // commits and trees
	files       []changedFile
	uncommitted int // files that are in no commit, and of which the statement says nothing
	leftOut     int // files that were already changed when the run began
	moved       []movedRef
	mixed       bool     // others' commits stand among the run's, so that it vouches for its own alone
	foreign     []string // commits that appeared, and were here before the run or are somebody else's
}

// A movedRef is a ref that came, went or moved, as the record has it, whoever's work it holds.
type movedRef struct {
	Ref  string `json:"ref"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// A changedFile is one that a run wrote, as the record has it.
type changedFile struct {
	Path   sallyport.Path `json:"path"`
	Status string         `json:"status"`
	Mode   string         `json:"mode"`
	Blob   string         `json:"git_blob"`
	Hunks  []string       `json:"hunks"`
}

// changed says what became of the workspace since start. What a run vouches for is what the gate can
// recognise wherever it lands: its commits by name; and, for when they are squashed or rebased, the hunks
// of all of it as one change, since the gate asks that they land whole. Hunks of the single commits
// would not be in that change, where one commit takes away what another brought.
//
// What was not committed when the run began is nobody's: files that had such changes are left out, and
// so are commits that touch them.
//
// A commit is the run's only if it was not in the object store when the run began: its dates and its
// author say nothing, since who makes a commit chooses them. Where any other commit stands between the
// commit that its work is compared with and its last one, be it by a merge of a branch that was there,
// hunks, files and trees would be somebody else's too, and the run vouches for its own commits alone.
func (w *workspace) changed(ctx context.Context, start *runStart) (*runEnd, error) {
	end := &runEnd{changes: predicate.Changes{Hunks: []string{}, Blobs: []predicate.Blob{}, Commits: []string{}}, files: []changedFile{}}
	head, err := w.repo.Resolve(ctx, "HEAD")
	if err != nil {
		return nil, fmt.Errorf("find what HEAD is after the run: %w", err)
	}
	tips, err := w.movedTips(ctx, start, head)
	if err != nil {
		return nil, err
	}
	commits, bases, err := w.newCommits(ctx, start, tips)
	if err != nil {
		return nil, err
	}
	fresh, own := map[string]bool{}, map[string]bool{}
	for _, c := range commits {
		switch mine, err := w.madeByRun(ctx, start, c); {
		case err != nil:
			return nil, err
		case start.commits[c.oid]:
			end.foreign = append(end.foreign, c.oid)
		default:
			fresh[c.oid] = true
			if mine {
				own[c.oid] = true
				end.changes.Commits = append(end.changes.Commits, c.oid)
			}
		}
	}
	if end.moved, err = w.movedRefs(ctx, start, head); err != nil {
		return nil, err
	}
	worktree, state, err := w.repo.SnapshotWorkTree(ctx, head)
	if err != nil {
		return nil, err
	}
	from, to := head, worktree
	var between []string
	whole := len(end.foreign) == 0 && (len(commits) > 0 || head == start.head)
	if len(commits) > 0 {
		tip := commits[len(commits)-1].oid
		if slices.ContainsFunc(commits, func(c newCommit) bool { return c.oid == head }) {
			tip = head
		}
		if from, err = w.baseOf(ctx, start, bases, tip); err != nil {
			return nil, err
		}
		if between, err = w.between(ctx, from, tip); err != nil {
			return nil, err
		}
		whole = whole && !slices.ContainsFunc(between, func(c string) bool { return !fresh[c] })
		to = tip
		for _, f := range state.Files {
			if f.State != git.FileSame && !start.dirty[f.Path] {
				end.uncommitted++
			}
		}
	}
	end.mixed = !whole
	if whole {
		if err := w.netChange(ctx, start, end, from, to); err != nil {
			return nil, err
		}
	}
	for _, c := range end.changes.Commits {
		end.subjects = append(end.subjects, sallyport.GitCommit(c))
	}
	// A tree is all of its content: it is named only if nothing in it is left out.
	if whole && end.leftOut == 0 && !slices.ContainsFunc(between, func(c string) bool { return !own[c] }) {
		trees, err := w.repo.Trees(ctx, between)
		if err != nil {
			return nil, err
		}
		if len(commits) == 0 && worktree != start.tree {
			trees = append(trees, worktree)
		}
		for _, t := range trees {
			end.subjects = append(end.subjects, sallyport.GitTree(t))
		}
	}
	if len(end.subjects) == 0 { // a statement is about something: here, about where nothing was made
		end.subjects = append(end.subjects, sallyport.GitCommit(start.head))
	}
	return end, nil
}

// between returns the commits that tip reaches and from does not.
func (w *workspace) between(ctx context.Context, from, tip string) ([]string, error) {
	out, err := w.repo.Output(ctx, 64<<20, strings.NewReader(tip+"\n^"+from+"\n"), "rev-list", "--stdin")
	if err != nil {
		return nil, fmt.Errorf("list what the run's work stands on: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// maxMovedRefs is how many refs a run may move: each is an entry of its record.
const maxMovedRefs = 20_000

// movedRefs returns all refs that are not as they were, in their order, and HEAD if it is not.
func (w *workspace) movedRefs(ctx context.Context, start *runStart, head string) ([]movedRef, error) {
	refs, err := w.repo.Refs(ctx)
	if err != nil {
		return nil, err
	}
	var out []movedRef
	if head != start.head {
		out = append(out, movedRef{"HEAD", start.head, head})
	}
	for name, to := range refs {
		if from := start.refs[name]; from != to {
			out = append(out, movedRef{name, from, to})
		}
	}
	for name, from := range start.refs {
		if _, ok := refs[name]; !ok {
			out = append(out, movedRef{Ref: name, From: from})
		}
	}
	if len(out) > maxMovedRefs {
		return nil, fmt.Errorf("the run moved more than %d refs", maxMovedRefs)
	}
	slices.SortFunc(out, func(a, b movedRef) int { return strings.Compare(a.Ref, b.Ref) })
	return out, nil
}

// movedTips returns what the refs hold that moved since start. Branches that are checked out in other
// work trees, or were, are theirs; tracking refs and evidence say what is elsewhere.
func (w *workspace) movedTips(ctx context.Context, start *runStart, head string) ([]string, error) {
	refs, err := w.repo.Refs(ctx)
	if err != nil {
		return nil, err
	}
	elsewhere, err := w.repo.CheckedOutElsewhere()
	if err != nil {
		return nil, err
	}
	elsewhere = append(elsewhere, start.elsewhere...)
	var tips []string
	if head != start.head {
		tips = append(tips, head)
	}
	for name, oid := range refs {
		if (strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/")) && start.refs[name] != oid && !slices.Contains(elsewhere, name) {
			tips = append(tips, oid)
		}
	}
	slices.Sort(tips)
	return slices.Compact(tips), nil
}

// A newCommit is one that was not there before the run.
type newCommit struct{ oid string }

// maxNewCommits is how many commits a run may make: as many as its statement may name.
const maxNewCommits = 20_000

// newCommits returns the commits that tips reach and nothing at start did, parents first, and the
// commits of before that they stand on.
func (w *workspace) newCommits(ctx context.Context, start *runStart, tips []string) (commits []newCommit, bases []string, err error) {
	if len(tips) == 0 {
		return nil, nil, nil
	}
	var in bytes.Buffer
	for _, t := range tips {
		in.WriteString(t + "\n")
	}
	for _, oid := range start.refs {
		in.WriteString("^" + oid + "\n")
	}
	in.WriteString("^" + start.head + "\n")
	// What tracking refs reach came from elsewhere, whoever fetched it.
	refs, err := w.repo.Refs(ctx)
	if err != nil {
		return nil, nil, err
	}
	for name, oid := range refs {
		if strings.HasPrefix(name, "refs/remotes/") {
			in.WriteString("^" + oid + "\n")
		}
	}
	out, err := w.repo.Output(ctx, 64<<20, &in, "rev-list", "--topo-order", "--reverse", "--boundary", "--stdin")
	if err != nil {
		return nil, nil, fmt.Errorf("list what the run committed: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		oid := strings.TrimSpace(line)
		if base, ok := strings.CutPrefix(oid, "-"); ok {
			bases = append(bases, base)
			continue
		}
		if !w.repo.IsOID(oid) {
			return nil, nil, fmt.Errorf("list what the run committed: unexpected line %q", line)
		}
		if commits = append(commits, newCommit{oid}); len(commits) > maxNewCommits {
			return nil, nil, fmt.Errorf("the run made more than %d commits", maxNewCommits)
		}
	}
	return commits, bases, nil
}

// madeByRun reports whether nothing of a commit was there, uncommitted, when the run began.
func (w *workspace) madeByRun(ctx context.Context, start *runStart, c newCommit) (bool, error) {
	if len(start.dirty) == 0 {
		return true, nil
	}
	out, err := w.repo.Output(ctx, 64<<20, nil, "diff-tree", "-r", "-z", "--no-commit-id", "--no-renames", "--name-only", "--root", "-m", c.oid)
	if err != nil {
		return false, fmt.Errorf("read what the run committed: %w", err)
	}
	for p := range strings.SplitSeq(string(out), "\x00") {
		if start.dirty[p] {
			return false, nil
		}
	}
	return true, nil
}

// baseOf returns the commit that the run's work is compared with: the one that it stands on, and of
// several the one that the others are ancestors of, as where the run merged a branch.
func (w *workspace) baseOf(ctx context.Context, start *runStart, bases []string, tip string) (string, error) {
	diff := w.differ(ctx)
	var on []string
	for _, b := range bases {
		if ok, err := diff.IsAncestor(ctx, b, tip); err != nil {
			return "", err
		} else if ok {
			on = append(on, b)
		}
	}
	for _, b := range on {
		newest := true
		for _, o := range on {
			if o == b {
				continue
			}
			ok, err := diff.IsAncestor(ctx, o, b)
			if err != nil {
				return "", err
			}
			newest = newest && ok
		}
		if newest {
			return b, nil
		}
	}
	return start.head, nil
}

// netChange adds the hunks and files by which one commit or tree differs from another.
func (w *workspace) netChange(ctx context.Context, start *runStart, end *runEnd, from, to string) error {
	files, err := w.differ(ctx).Residue(ctx, from, to)
	if err != nil {
		return err
	}
	for i := range files {
		f := &files[i]
		if start.dirty[string(f.Path)] || f.OldPath != "" && start.dirty[string(f.OldPath)] {
			end.leftOut++
			continue
		}
		entry := changedFile{Path: f.Path, Status: f.Status, Mode: f.NewMode, Blob: f.NewBlob, Hunks: []string{}}
		if !isZeroID(f.NewBlob) {
			end.changes.Blobs = append(end.changes.Blobs, predicate.Blob{Path: string(f.Path), Mode: f.NewMode, GitBlob: f.NewBlob})
		}
		for n, u := range f.Units {
			// The units of one hunk follow each other.
			if n == 0 || u.Place != f.Units[n-1].Place || u.Hunk != f.Units[n-1].Hunk {
				entry.Hunks = append(entry.Hunks, u.Hunk.Hex())
			}
		}
		end.changes.Hunks = append(end.changes.Hunks, entry.Hunks...)
		end.files = append(end.files, entry)
	}
	return nil
}
