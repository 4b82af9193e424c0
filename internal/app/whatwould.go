package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// MaxWould is the most changes that WhatWould looks at.
const MaxWould = 5000

// WhatWould is what policy would have said about changes that have landed. Nothing of it is a
// decision, and nothing is recorded.
type WhatWould struct {
	TargetRef string                `json:"target_ref"`
	Tip       sallyport.Digest      `json:"tip"`
	Now       []sallyport.PolicySet `json:"now"`      // what is in force
	Proposed  []sallyport.PolicySet `json:"proposed"` // null if nothing was proposed
	Changes   []WouldChange         `json:"changes"`  // newest first
	Totals    WouldTotals           `json:"totals"`
}

// A WouldChange is one commit of the target's first-parent history against its first parent.
type WouldChange struct {
	Commit   sallyport.Digest `json:"commit"`
	Landed   string           `json:"landed"` // what the commit says; RFC 3339, UTC
	Title    string           `json:"title"`
	Now      *Would           `json:"now"`      // null if it could not be judged
	Proposed *Would           `json:"proposed"` // null if nothing was proposed, or it could not be judged
	Error    string           `json:"error,omitempty"`
}

// Would is one answer.
type Would struct {
	Outcome   sallyport.Outcome `json:"outcome"`
	Undecided bool              `json:"undecided"`
	Codes     []string          `json:"codes"`
}

// WouldTotals count.
type WouldTotals struct {
	Now      WouldCounts  `json:"now"`
	Proposed *WouldCounts `json:"proposed"`
	Stricter int          `json:"stricter"` // changes that fare worse under what is proposed
	Looser   int          `json:"looser"`   // and better
	Reworded int          `json:"reworded"` // of one outcome, with other codes
	Failed   int          `json:"failed"`   // could not be judged
}

// WouldCounts count outcomes, and the changes in which each code was given.
type WouldCounts struct {
	Open    int            `json:"open"`
	Waiting int            `json:"waiting"`
	Shut    int            `json:"shut"`
	Codes   map[string]int `json:"codes"`
}

func (c *WouldCounts) add(w *Would) {
	switch w.Outcome {
	case sallyport.Open:
		c.Open++
	case sallyport.Waiting:
		c.Waiting++
	default:
		c.Shut++
	}
	for _, code := range w.Codes {
		c.Codes[code]++
	}
}

// WhatWould asks what the policy in force would have said about the last n changes of the target,
// and what the sets called proposed would have: folders, or "baseline". Each change is judged as
// if it were about to land, at the time that its commit gives; the governed files of then count
// as those of now unless the change itself touches them, since every change that landed before
// they were written would otherwise be one of policy.
func (a *App) WhatWould(ctx context.Context, o Options, n int, proposed []string) (r WhatWould, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return r, err
	}
	defer done(&err, w.Close)
	if err := w.findTip(ctx); err != nil {
		return r, err
	}
	w.policyAt = w.target.Base
	if err := w.governed(ctx, ""); err != nil {
		return r, err
	}
	if b, ok := w.eval.(brokenPolicy); ok {
		return r, b.err
	}
	var other *policy.Evaluator
	if len(proposed) > 0 {
		if other, err = proposedPolicy(ctx, proposed, w.data); err != nil {
			return r, err
		}
		r.Proposed = other.Policies()
		r.Totals.Proposed = &WouldCounts{Codes: map[string]int{}}
	}
	r.TargetRef, r.Tip, r.Now, r.Totals.Now.Codes = w.target.Ref, sallyport.GitCommit(w.policyAt), w.policies, map[string]int{}
	r.Changes, err = w.landed(ctx, n)
	if err != nil {
		return r, err
	}
	for i := range r.Changes {
		c := &r.Changes[i]
		o.step(fmt.Sprintf("%d of %d: %s", i+1, len(r.Changes), c.Commit.Short()))
		if err := w.would(ctx, c, other); err != nil {
			if ctx.Err() != nil || errors.Is(err, git.ErrShallow) {
				return r, err
			}
			c.Now, c.Proposed, c.Error = nil, nil, err.Error()
		}
		r.Totals.count(c)
	}
	return r, nil
}

func proposedPolicy(ctx context.Context, names []string, data policy.Data) (*policy.Evaluator, error) {
	var sets []policy.Set
	for _, name := range names {
		set, err := namedSet(name)
		if err != nil {
			return nil, err
		}
		sets = append(sets, set)
	}
	return policy.Compile(ctx, sets, data)
}

func (t *WouldTotals) count(c *WouldChange) {
	if c.Now == nil {
		t.Failed++
		return
	}
	t.Now.add(c.Now)
	if c.Proposed == nil {
		return
	}
	t.Proposed.add(c.Proposed)
	switch {
	case c.Proposed.Outcome < c.Now.Outcome:
		t.Stricter++
	case c.Proposed.Outcome > c.Now.Outcome:
		t.Looser++
	case !slices.Equal(c.Proposed.Codes, c.Now.Codes):
		t.Reworded++
	}
}

// landed lists the newest n commits of the tip's first-parent history.
func (w *workspace) landed(ctx context.Context, n int) ([]WouldChange, error) {
	out, err := w.repo.Output(ctx, 16<<20, nil, "log", "--first-parent", "-z", "--no-show-signature", "--no-color",
		"--max-count="+strconv.Itoa(n), "--format=%H %ct %s", w.policyAt, "--")
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", w.target.Ref, err)
	}
	list := []WouldChange{}
	for _, rec := range bytes.Split(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		fields := strings.SplitN(string(rec), " ", 3)
		if len(fields) != 3 || !w.repo.IsOID(fields[0]) {
			return nil, fmt.Errorf("read the history of %s: git printed %q", w.target.Ref, rec)
		}
		seconds, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read the history of %s: commit %.12s has no time: %w", w.target.Ref, fields[0], err)
		}
		list = append(list, WouldChange{Commit: sallyport.GitCommit(fields[0]), Landed: time.Unix(seconds, 0).UTC().Format(time.RFC3339), Title: fields[2]})
	}
	return list, nil
}

// would judges one change that has landed, without a record.
func (w *workspace) would(ctx context.Context, c *WouldChange, other *policy.Evaluator) error {
	head := c.Commit.Hex()
	w.target = onlyHead(ctx, refs{w.repo, w.diff}, Target{Ref: w.target.Ref, Action: "update", Head: head})
	t := w.target
	read, err := w.differ(ctx).Change(ctx, change.Request{TargetRef: t.Ref, Action: t.Action, Base: t.Base, Head: t.Head})
	if err != nil {
		return fmt.Errorf("read the change: %w", err)
	}
	at, err := time.Parse(time.RFC3339, c.Landed)
	if now := w.app.now(); err != nil || at.After(now) {
		at = now
	}
	trust := w.gov.Trust
	w.gov.Trust.RootChanged, w.gov.Trust.ResultRoot = false, trust.Root
	defer func() { w.gov.Trust = trust }()
	for _, f := range read.Files {
		if strings.HasPrefix(string(f.Path), policy.GovernedDir) || strings.HasPrefix(string(f.OldPath), policy.GovernedDir) {
			files, err := source{w.repo}.Files(ctx, head)
			if err != nil {
				return err
			}
			w.gov.Trust.ResultRoot = policy.RootDigest(files)
		}
	}
	g, p, err := w.gateFor(ctx, read)
	if err != nil {
		return err
	}
	g.Engine.Now = func() time.Time { return at }
	g.Progress = nil
	preview, err := g.Preview(ctx, p)
	if err != nil {
		return err
	}
	d := preview.Decision
	c.Now = &Would{Outcome: d.Outcome, Undecided: d.Undecided, Codes: codesOf(d.Reasons)}
	if other == nil {
		return nil
	}
	input, err := sallyport.EncodeJSON(preview.Input)
	if err != nil {
		return fmt.Errorf("encode the policy input: %w", err)
	}
	v, err := other.Evaluate(ctx, sallyport.GateMerge, input)
	if err != nil {
		// As the engine reads it: a policy that cannot be applied is shut.
		c.Proposed = &Would{Undecided: true, Codes: []string{"policy-error"}}
		return ctx.Err()
	}
	c.Proposed = &Would{Outcome: v.Outcome, Codes: codesOf(v.Reasons)}
	return nil
}

// codesOf lists the codes of reasons, sorted, each once.
func codesOf(reasons []sallyport.Reason) []string {
	codes := []string{}
	for _, r := range reasons {
		codes = append(codes, r.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// Common lists the codes by how often they were given, the most frequent first.
func (c WouldCounts) Common() []string {
	return slices.SortedFunc(maps.Keys(c.Codes), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.Codes[b], c.Codes[a]), cmp.Compare(a, b))
	})
}
