package app

import (
	"context"
	"errors"

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

// maxChain bounds how many runs are followed back from what a change comes to.
const maxChain = 64

// Related follows runs back: what is kept about a tree says which commits the run made, and so on
// which commit it began; who made that is filed under it. None of it is believed here.
func (h lineages) Related(ctx context.Context, base, tree string) ([]sallyport.Digest, error) {
	begin, err := h.Tree(ctx, base)
	if err != nil {
		return nil, err
	}
	var related []sallyport.Digest
	seen := map[sallyport.Digest]bool{}
	ask := []sallyport.Digest{sallyport.GitTree(tree)}
	for len(ask) > 0 && len(related) < maxChain {
		found, err := h.w.filed(ctx, ask)
		if err != nil {
			return nil, err
		}
		ask = nil
		for _, att := range found {
			start, err := h.start(ctx, att, begin)
			if err != nil {
				return nil, err
			}
			if start != "" && !seen[start] && len(related) < maxChain {
				seen[start] = true
				related, ask = append(related, start), append(ask, start)
			}
		}
	}
	return related, nil
}

// start returns the commit on which a run began, if it is known and is not where the target stands.
func (h lineages) start(ctx context.Context, att sallyport.Attestation, begin string) (sallyport.Digest, error) {
	st, err := evidence.Statement(att.Raw)
	if err != nil || st.PredicateType != predicate.AgentRunType {
		return "", nil //nolint:nilerr // it says nothing
	}
	run, err := predicate.DecodeAgentRun(st.Predicate)
	if err != nil {
		return "", nil //nolint:nilerr // it says nothing
	}
	l, ok, err := h.Lineage(ctx, run.Changes.Commits)
	if err != nil || !ok || l.Start == "" || l.StartTree == begin {
		return "", err
	}
	return sallyport.GitCommit(l.Start), nil
}

// filed returns what is kept here, or was brought along, about subjects.
func (w *workspace) filed(ctx context.Context, subjects []sallyport.Digest) ([]sallyport.Attestation, error) {
	found, _, err := w.evidenceDir().Collect(ctx, subjects)
	if err != nil {
		return nil, err
	}
	travelled, _, err := w.travelled(ctx, subjects)
	return append(found, travelled...), err
}
