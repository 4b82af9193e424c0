package change

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// MergeBase returns the best common ancestor of a and b. It returns [git.ErrNotFound] if they
// have none, and [git.ErrShallow] if the clone cannot tell.
func (d *Differ) MergeBase(ctx context.Context, a, b string) (string, error) {
	if err := d.historyOf(a, b); err != nil {
		return "", fmt.Errorf("find merge base: %w", err)
	}
	out, err := d.repo.Output(ctx, 1<<10, nil, "merge-base", a, b)
	if status, ok := git.ExitStatus(err); ok && status == 1 {
		return "", fmt.Errorf("find merge base of %s and %s: %w", a, b, git.ErrNotFound)
	} else if err != nil {
		return "", fmt.Errorf("find merge base: %w", err)
	}
	oid := strings.TrimSpace(string(out))
	if !d.repo.IsOID(oid) {
		return "", fmt.Errorf("find merge base: unexpected answer %q", out)
	}
	return oid, nil
}

// IsAncestor reports whether ancestor is reachable from commit. A commit is its own ancestor.
func (d *Differ) IsAncestor(ctx context.Context, ancestor, commit string) (bool, error) {
	if err := d.historyOf(ancestor, commit); err != nil {
		return false, fmt.Errorf("compare histories: %w", err)
	}
	if ancestor == commit {
		return true, nil
	}
	_, err := d.repo.Output(ctx, 1<<10, nil, "merge-base", "--is-ancestor", ancestor, commit)
	if status, ok := git.ExitStatus(err); ok && status == 1 {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("compare histories: %w", err)
	}
	return true, nil
}

// historyOf checks what is about to be put on a command line and that history is whole.
func (d *Differ) historyOf(ids ...string) error {
	for _, id := range ids {
		if !d.repo.IsOID(id) {
			return fmt.Errorf("%w: %q is not an object id", ErrRequest, id)
		}
	}
	return d.repo.Shallow()
}

// Replay returns the tree that the conflict-free merges of heads into onto give, one after the
// other. A head that is ahead of what is there so far is taken as it is. If a merge has
// conflicts, tree is empty and the paths are told. Heads that share no history with onto are
// merged as if with an empty ancestor.
func (d *Differ) Replay(ctx context.Context, onto string, heads ...string) (tree string, conflicts []sallyport.Path, err error) {
	at := onto
	for i, head := range heads {
		ahead, err := d.IsAncestor(ctx, at, head)
		if err != nil {
			return "", nil, fmt.Errorf("replay %s: %w", head, err)
		}
		if ahead {
			at = head
			continue
		}
		tree, conflicts, err := d.merge(ctx, at, head)
		if err != nil || tree == "" {
			return "", conflicts, err
		}
		if i == len(heads)-1 {
			return tree, []sallyport.Path{}, nil
		}
		if at, err = d.commitMerge(ctx, tree, at, head); err != nil {
			return "", nil, fmt.Errorf("replay %s: %w", head, err)
		}
	}
	trees, err := d.repo.Trees(ctx, []string{at})
	if err != nil {
		return "", nil, fmt.Errorf("replay: %w", err)
	}
	return trees[0], []sallyport.Path{}, nil
}

// commitMerge stores a merge commit in the private folder, so that the next merge can start from
// it. Its bytes depend on nothing but its arguments.
func (d *Differ) commitMerge(ctx context.Context, tree string, parents ...string) (string, error) {
	var b strings.Builder
	b.WriteString("tree " + tree + "\n")
	for _, p := range parents {
		b.WriteString("parent " + p + "\n")
	}
	b.WriteString("author replay <> 0 +0000\ncommitter replay <> 0 +0000\n\nreplay\n")
	return d.repo.WriteCommit(ctx, []byte(b.String()))
}

// merge makes the conflict-free merge of two commits.
func (d *Differ) merge(ctx context.Context, ours, theirs string) (string, []sallyport.Path, error) {
	results, err := d.mergeAll(ctx, [][]string{{ours, theirs}})
	if err != nil {
		return "", nil, err
	}
	return results[0].tree, results[0].conflicts, nil
}

type mergeResult struct {
	tree      string // empty on conflict
	conflicts []sallyport.Path
}

// mergeAll makes the conflict-free merge of each pair of commits, in one process.
func (d *Differ) mergeAll(ctx context.Context, pairs [][]string) ([]mergeResult, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	var in strings.Builder
	for _, p := range pairs {
		in.WriteString(strings.Join(p, " ") + "\n")
	}
	var results []mergeResult
	err := d.repo.Stream(ctx, strings.NewReader(in.String()), func(out io.Reader) (err error) {
		results, err = readMerges(out, len(pairs), d.repo.IsOID)
		return err
	}, "merge-tree", "--write-tree", "--stdin", "--name-only", "--no-messages", "--allow-unrelated-histories")
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	return results, nil
}

var errMergeOutput = errors.New("git merge-tree: unexpected output")

// readMerges reads what merge-tree --stdin writes: for each merge "1" (clean) or "0", the tree,
// and the paths in conflict, each ended by a NUL byte, and one more NUL byte.
func readMerges(in io.Reader, n int, isOID func(string) bool) ([]mergeResult, error) {
	r := bufio.NewReader(in)
	field := func() (string, error) {
		s, err := r.ReadString(0)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		return strings.TrimSuffix(s, "\x00"), nil
	}
	results := make([]mergeResult, 0, n)
	for range n {
		status, err := field()
		if err != nil {
			return nil, err
		}
		tree, err := field()
		if err != nil {
			return nil, err
		}
		if (status != "0" && status != "1") || !isOID(tree) {
			return nil, fmt.Errorf("%w: status %q, tree %q", errMergeOutput, status, tree)
		}
		res := mergeResult{tree: tree, conflicts: []sallyport.Path{}}
		for {
			p, err := field()
			if err != nil {
				return nil, err
			}
			if p == "" {
				break
			}
			res.conflicts = append(res.conflicts, sallyport.Path(p))
		}
		if status == "0" {
			res.tree = ""
		} else if len(res.conflicts) > 0 {
			return nil, fmt.Errorf("%w: a clean merge with conflicts", errMergeOutput)
		}
		slices.Sort(res.conflicts)
		res.conflicts = slices.Compact(res.conflicts)
		results = append(results, res)
	}
	return results, nil
}

// An ownDiff is a pair of trees whose difference a commit itself made. A merge that had
// conflicts has one per parent, and made what is in all of them.
type ownDiff struct {
	commit   int
	old, new string
	part     int // of parts
	parts    int
}

// ownDiffs returns the pairs of trees to compare, in the order of the commits, and marks the
// commits that are evil merges.
func (d *Differ) ownDiffs(ctx context.Context, h *history) ([]ownDiff, error) {
	var merges [][]string
	var at []int
	for i, c := range h.commits {
		if len(c.Parents) >= 2 {
			merges = append(merges, []string{c.Parents[0].Hex(), c.Parents[1].Hex()})
			at = append(at, i)
		}
	}
	results, err := d.mergeAll(ctx, merges)
	if err != nil {
		return nil, err
	}
	auto := map[int]string{} // commit to the tree of its parents' merge, empty on conflict
	for k, i := range at {
		tree := results[k].tree
		parents := h.commits[i].Parents
		prev := ""
		for n := 2; n < len(parents) && tree != ""; n++ {
			// An octopus: fold the next parent in.
			if prev == "" {
				prev = parents[0].Hex()
			}
			if prev, err = d.commitMerge(ctx, tree, prev, parents[n-1].Hex()); err != nil {
				return nil, err
			}
			if tree, _, err = d.merge(ctx, prev, parents[n].Hex()); err != nil {
				return nil, err
			}
		}
		auto[i] = tree
	}
	var pairs []ownDiff
	for i := range h.commits {
		c := &h.commits[i]
		tree := c.Tree.Hex()
		merged, isMerge := auto[i]
		switch {
		case len(c.Parents) == 0:
			pairs = append(pairs, ownDiff{i, d.repo.EmptyTree(), tree, 0, 1})
		case !isMerge:
			pairs = append(pairs, ownDiff{i, h.tree(c.Parents[0].Hex()), tree, 0, 1})
		case merged == tree:
		case merged != "":
			c.Evil = true
			pairs = append(pairs, ownDiff{i, merged, tree, 0, 1})
		default:
			c.Evil = true
			for n, p := range c.Parents {
				pairs = append(pairs, ownDiff{i, h.tree(p.Hex()), tree, n, len(c.Parents)})
			}
		}
	}
	return slices.DeleteFunc(pairs, func(p ownDiff) bool { return p.old == p.new && p.parts == 1 }), nil
}
