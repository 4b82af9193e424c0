package change

import (
	"context"
	"fmt"
	"strings"
)

// MaxLanded is how many commits of a target's first-parent history [Differ.Landed] looks through.
const MaxLanded = 500

// Landed reports whether what head brings was on the target already, at some time since its tip
// was base and up to tip. It was if
//
//   - head is an ancestor of tip; or
//   - a commit of the first-parent history base..tip changed its first parent to exactly what the
//     conflict-free merge of head into that parent gives: a squash, or a merge made elsewhere; or
//   - base, or a commit of that history, held all that head brings: merging head into it changes
//     nothing. The last commit of a rebase is one.
//
// Whether it was taken out again makes no difference. A head that landed in another form, as with
// conflicts solved by hand, is not seen. More than [MaxLanded] commits are [ErrTooLarge].
func (d *Differ) Landed(ctx context.Context, base, tip, head string) (bool, error) {
	landed, err := d.landed(ctx, base, tip, head)
	if err != nil {
		return false, fmt.Errorf("find out whether %s has landed: %w", head, err)
	}
	return landed, nil
}

func (d *Differ) landed(ctx context.Context, base, tip, head string) (bool, error) {
	if err := d.historyOf(base, tip, head); err != nil {
		return false, err
	}
	if ok, err := d.IsAncestor(ctx, head, tip); ok || err != nil {
		return ok, err
	}
	out, err := d.repo.Output(ctx, (MaxLanded+1)*int64(len(tip)+1), nil, "rev-list", "--first-parent", fmt.Sprintf("--max-count=%d", MaxLanded+1), tip, "^"+base)
	if err != nil {
		return false, err
	}
	ids := strings.Fields(string(out)) // newest first
	if len(ids) > MaxLanded {
		return false, fmt.Errorf("%w: the target has had more than %d commits since", ErrTooLarge, MaxLanded)
	}
	h, err := d.history(ctx, ids)
	if err != nil {
		return false, err
	}
	at := []string{base}
	pairs := [][]string{{base, head}}
	merge := map[string]int{base: 0} // onto which commit, to its pair
	add := func(onto string) {
		if _, known := merge[onto]; !known {
			merge[onto] = len(pairs)
			pairs = append(pairs, []string{onto, head})
			at = append(at, onto)
		}
	}
	for i := range h.commits {
		add(ids[i])
		if parents := h.commits[i].Parents; len(parents) > 0 {
			add(parents[0].Hex())
		}
	}
	results, err := d.mergeAll(ctx, pairs)
	if err != nil {
		return false, err
	}
	trees, err := d.repo.Trees(ctx, at)
	if err != nil {
		return false, err
	}
	if results[0].tree == trees[0] {
		return true, nil
	}
	for i := range h.commits {
		tree := h.commits[i].Tree.Hex()
		if results[merge[ids[i]]].tree == tree {
			return true, nil
		}
		if parents := h.commits[i].Parents; len(parents) > 0 {
			n := merge[parents[0].Hex()]
			if results[n].tree == tree && trees[n] != tree {
				return true, nil
			}
		}
	}
	return false, nil
}
