package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/gate/merge"
	"github.com/sallyport-dev/sallyport/predicate"
)

// lineages is merge.Historian.
type lineages struct {
	*change.Differ
	w *workspace
}

func (h lineages) Lineage(ctx context.Context, commits []string) (merge.Lineage, bool, error) {
	l, err := h.Differ.Lineage(ctx, commits)
	if errors.Is(err, change.ErrNoLineage) {
		return merge.Lineage{}, false, nil
	}
	return merge.Lineage(l), err == nil, err
}

func (h lineages) File(ctx context.Context, tree string, path sallyport.Path) (string, error) {
	e, err := h.w.repo.Entry(ctx, tree, string(path))
	if errors.Is(err, git.ErrNotFound) || err == nil && !e.IsFile() {
		return "", nil
	}
	return e.OID, err
}

func (h lineages) Brought(ctx context.Context, pairs [][2]string) ([][]sallyport.LineRange, error) {
	made, here, err := h.BlobDiffs(ctx, pairs)
	if err != nil {
		return nil, err
	}
	out := make([][]sallyport.LineRange, len(pairs))
	for i := range pairs {
		if !here[i] {
			continue
		}
		out[i] = []sallyport.LineRange{}
		for _, k := range made[i].Hunks {
			for _, s := range k.Added {
				out[i] = append(out[i], sallyport.LineRange{Start: s.Start, Lines: s.End - s.Start})
			}
		}
	}
	return out, nil
}

// Bounds of following runs back: how many steps, and how many statements are read for it.
const (
	maxChain    = 64
	maxFollowed = 512
)

// following is where a chain of runs would begin and end: the trees of the target and of the merge
// result.
type following struct{ begin, end string }

// followFrom has the collector look for the runs before those that left what the change comes to.
func (w *workspace) followFrom(ctx context.Context, c *sallyport.Change) error {
	if c.Base.Zero() || c.MergeTree.Zero() {
		return nil
	}
	begin, err := w.diff.Tree(ctx, c.Base.Hex())
	if err != nil {
		return fmt.Errorf("read the target's tree: %w", err)
	}
	w.following = &following{begin, c.MergeTree.Hex()}
	return nil
}

// follow goes back from runs that left the merge result: which commits a run made says on which
// commit it began, and who made that is filed under it. So is who else claims one of its commits, of
// which a squash leaves nothing else to find them by. None of it is believed here: what is found
// is verified as everything is.
func (w *workspace) follow(ctx context.Context, found []sallyport.Attestation) ([]sallyport.Attestation, error) {
	if w.following == nil {
		return nil, nil
	}
	var before []sallyport.Attestation
	asked := map[sallyport.Digest]bool{}
	end, read := w.following.end, 0
	for range maxChain {
		var ask []sallyport.Digest
		for _, att := range found {
			if read++; read > maxFollowed {
				return before, nil
			}
			more, err := w.madeOf(ctx, att, end)
			if err != nil {
				return nil, err
			}
			for _, c := range more {
				if !asked[c] {
					asked[c] = true
					ask = append(ask, c)
				}
			}
		}
		if len(ask) == 0 {
			return before, nil
		}
		var err error
		if found, err = w.filed(ctx, ask); err != nil {
			return nil, err
		}
		before, end = append(before, found...), ""
	}
	return before, nil
}

// madeOf returns the commits of a run, if it ended with the tree end, where one is asked for, and the
// one on which it began, if the target does not stand there.
func (w *workspace) madeOf(ctx context.Context, att sallyport.Attestation, end string) ([]sallyport.Digest, error) {
	st, err := evidence.Statement(att.Raw)
	if err != nil || st.PredicateType != predicate.AgentRunType {
		return nil, nil //nolint:nilerr // it says nothing
	}
	run, err := predicate.DecodeAgentRun(st.Predicate)
	if err != nil {
		return nil, nil //nolint:nilerr // it says nothing
	}
	l, ok, err := lineages{w.diff, w}.Lineage(ctx, run.Changes.Commits)
	if err != nil || !ok || end != "" && l.EndTree != end {
		return nil, err
	}
	var made []sallyport.Digest
	for _, c := range run.Changes.Commits {
		made = append(made, sallyport.GitCommit(c))
	}
	if l.Start != "" && l.StartTree != w.following.begin {
		made = append(made, sallyport.GitCommit(l.Start))
	}
	return made, nil
}

// filed returns what is kept here about subjects.
func (w *workspace) filed(ctx context.Context, subjects []sallyport.Digest) ([]sallyport.Attestation, error) {
	found, _, err := w.evidenceDir().Collect(ctx, subjects)
	if err != nil {
		return nil, err
	}
	travelled, _, err := w.travelled(ctx, subjects)
	return append(found, travelled...), err
}
