package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// ErrNotBelow says that a change was to be judged from a commit that the target never held.
var ErrNotBelow = errors.New("the base is no commit of the target")

// A Standing is how a target's base stands to the target's tip.
type Standing struct {
	PolicyAt string // commit whose policy is in force; empty for that of the base
	Advice   []string
}

// Stand finds the tip of t's ref as this repository sees it. Policy is that of the tip: a base
// that the caller or CI's event named says what is compared, and must not choose the rules, or
// leave out of what is judged anything that has not landed. A head that has landed is judged by
// what stood before it, or it could bring the rules that let it pass. Stand may move t's base
// down to the tip.
func Stand(ctx context.Context, refs Refs, t *Target) (Standing, error) {
	if t.Action == "create" && !t.only {
		return Standing{}, nil
	}
	tip, err := refs.Resolve(ctx, tipOf(ctx, refs, t.Ref))
	if errors.Is(err, git.ErrNotFound) { // a clone of the change alone
		return Standing{Advice: []string{fmt.Sprintf("the tip of %s is not known here: %.12s was taken for it, and the policy there judged", t.Ref, t.Base)}}, nil
	}
	if err != nil {
		return Standing{}, fmt.Errorf("find the tip of %s: %w", t.Ref, err)
	}
	if tip == t.Base {
		return Standing{}, nil
	}
	landed, err := refs.IsAncestor(ctx, t.Head, tip)
	if err != nil {
		return Standing{}, fmt.Errorf("compare the head with %s: %w", t.Ref, err)
	}
	switch {
	case landed && t.pushed:
		return Standing{}, nil // all that the ref gained: CI asks when it has
	case landed && t.only:
		return Standing{Advice: []string{fmt.Sprintf("%.12s has landed already: only that one commit was judged", t.Head)}}, nil
	case landed:
		return Standing{Advice: []string{fmt.Sprintf("%.12s has landed already: only what it adds to %.12s was judged", t.Head, t.Base)}}, nil
	}
	below, err := refs.IsAncestor(ctx, t.Base, tip)
	if err != nil {
		return Standing{}, fmt.Errorf("compare the base with %s: %w", t.Ref, err)
	}
	switch {
	case below:
		return Standing{PolicyAt: tip, Advice: []string{fmt.Sprintf("judged from %.12s, not from the tip of %s: what lies below it was not judged", t.Base, t.Ref)}}, nil
	case t.queued:
		t.Base = tip // what is before it in the queue has not landed, and is judged with it
		return Standing{}, nil
	case t.pushed:
		return Standing{PolicyAt: tip}, nil // a rewrite: what the ref was is not below what it is
	}
	return Standing{}, fmt.Errorf("%w: %.12s is not on %s, whose tip is %.12s", ErrNotBelow, t.Base, t.Ref, tip)
}

// stand settles by which policy w.target is judged.
func (w *workspace) stand(ctx context.Context) error {
	s, err := Stand(ctx, refs{w.repo, w.differ(ctx)}, &w.target)
	if errors.Is(err, ErrNotBelow) {
		return withHint(err, "fetch the target (git fetch origin), or leave --base out: the tip is where a change is judged from")
	}
	if err != nil {
		return w.targetHint(err, w.target)
	}
	if s.PolicyAt != "" {
		w.policyAt = s.PolicyAt
	}
	w.advice = append(w.advice, s.Advice...)
	return nil
}
