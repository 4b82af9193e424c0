package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/gate/merge"
	"github.com/sallyport-dev/sallyport/internal/scan"
)

// A Report is a recorded decision, and what a person wants to know beside it.
type Report struct {
	Decision sallyport.Decision
	Receipt  engine.Receipt
	Input    sallyport.Input
	Note     string
	// Reviewers are those who may approve the change, if the gate came to ask.
	Reviewers []string
}

// Missing is how many approvals are needed that nobody has given yet.
func (r Report) Missing() int {
	return max(0, r.Input.Change.ApprovalsRequired-r.Input.Change.ApprovalsCounting)
}

// CheckMerge asks the merge gate about the change that o is about. The decision is recorded
// when it returns without error.
func (a *App) CheckMerge(ctx context.Context, o Options) (_ Report, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return Report{}, err
	}
	defer done(&err, w.Close)
	w.compileAhead(ctx)
	if err := w.find(ctx); err != nil {
		return Report{}, err
	}
	return w.check(ctx)
}

// check decides about w.target.
func (w *workspace) check(ctx context.Context) (Report, error) {
	g, p, err := w.mergeGate(ctx)
	if err != nil {
		return Report{}, err
	}
	rec, err := w.recorder(ctx)
	if err != nil {
		return Report{}, err
	}
	w.db, g.Engine.Recorder = rec.db, rec
	defer func() { w.db = nil }()
	p.Advice = append(p.Advice, rec.advice(w.trust)...)
	res, err := g.check(ctx, p)
	if cerr := rec.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return Report{}, err
	}
	return Report{Decision: res.Decision, Receipt: res.Receipt, Input: res.input, Note: w.target.Note, Reviewers: w.reviewers(w.ineligible)}, nil
}

// mergeGate is the merge gate with everything in place but a recorder, and the question that
// w.target puts to it.
func (w *workspace) mergeGate(ctx context.Context) (*mergeGate, merge.Params, error) {
	t := w.target
	w.opts.step("reading the change")
	c, err := w.differ(ctx).Change(ctx, change.Request{TargetRef: t.Ref, Action: t.Action, Base: t.Base, Head: t.Head})
	if err != nil {
		if errors.Is(err, git.ErrShallow) {
			return nil, merge.Params{}, err
		}
		return nil, merge.Params{}, fmt.Errorf("read the change: %w", err)
	}
	if err := w.governed(ctx, c.MergeTree.Hex()); err != nil {
		return nil, merge.Params{}, err
	}
	pusher, note, err := w.who(ctx)
	if err != nil {
		return nil, merge.Params{}, err
	}
	w.target.Note = orDefault(w.target.Note, note)
	if err := w.external(ctx); err != nil {
		return nil, merge.Params{}, err
	}
	presented, err := readBundles(w.opts.Bundles)
	if err != nil {
		return nil, merge.Params{}, err
	}
	reports, err := w.reports()
	if err != nil {
		return nil, merge.Params{}, err
	}
	g, p, err := w.gateFor(ctx, c)
	if err != nil {
		return nil, merge.Params{}, err
	}
	g.Reporter, p.Presented, p.Pusher = reports, presented, orDefault(w.opts.Pusher, pusher)
	return g, p, nil
}

// gateFor is the merge gate for a change that was read already, under what governs.
func (w *workspace) gateFor(ctx context.Context, c sallyport.Change) (*mergeGate, merge.Params, error) {
	t := w.target
	now := w.app.now()
	g := &merge.Gate{
		Engine: &engine.Engine{
			Collector: w.collector(), Verifier: w.gateVerifier(), Evaluator: w.eval,
			Now: w.app.now,
		},
		Differ:     differ{known: c, diff: w.diff},
		Historian:  lineages{w.diff, w},
		Identifier: identifier{w.newIdentifier(ctx, now), w.roster},
		Scanner:    scanner{w.newScanner(ctx)},
		Approver:   approver{w},
		Repository: w.repository(),
		Accepted: merge.Accepted{
			PersonGrades: w.data.PersonGrades, RunGrades: w.data.RunGrades,
			UnattributedVouch: w.data.Unattributed == "vouchable", Approvals: approvalsRequired(w.cfg),
		},
		Progress: w.opts.step,
		Excepter: excepter{w},
	}
	team, err := w.team(ctx)
	if err != nil {
		return nil, merge.Params{}, err
	}
	g.Team, g.Registry = team, w.modelJudge()
	mode := w.cfg.Mode
	if w.gov.Trust.RootChanged {
		mode = sallyport.Enforce // whoever changed the governed files does not choose the mode
	}
	if err := w.followFrom(ctx, &c); err != nil {
		return nil, merge.Params{}, err
	}
	said, err := w.claimsAbout(c.Commits)
	if err != nil { // claims decide nothing, and neither does their loss
		w.advice = append(w.advice, "no claims of other tools are told: what was imported of them cannot be read")
	}
	p := merge.Params{
		Claims: said, TargetRef: t.Ref, Action: t.Action, Base: t.Base, Head: t.Head,
		Number: t.Number, URL: t.URL, Branch: t.Branch,
		Mode: mode, Root: w.gov.Trust.Root, Trust: w.gov.Trust, Policies: w.policies,
		Advice: w.advice, Lists: w.lists,
	}
	return &mergeGate{Gate: g}, p, nil
}

// scanCache returns the cache as the scanner takes it; a nil *sqlite.Cache is no nil interface.
func (w *workspace) scanCache() scan.Cache {
	if w.cache == nil {
		return nil
	}
	return w.cache
}

// mergeGate keeps the input that policy saw, for the report.
type mergeGate struct{ *merge.Gate }

type checked struct {
	engine.Result
	input sallyport.Input
}

func (g *mergeGate) check(ctx context.Context, p merge.Params) (checked, error) {
	res, in, err := g.Gate.Check(ctx, p)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the check took too long: %w", err)
	}
	return checked{res, in}, err
}

// maxBundle bounds one attestation file.
const maxBundle = 10 << 20

// readBundles reads attestations that the caller brings along.
func readBundles(names []string) ([]sallyport.Attestation, error) {
	var out []sallyport.Attestation
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read the bundle: %w", err)
		}
		b, err := io.ReadAll(io.LimitReader(f, maxBundle+1))
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read the bundle %s: %w", name, err)
		}
		if len(b) > maxBundle {
			return nil, fmt.Errorf("read the bundle %s: larger than %d bytes", name, maxBundle)
		}
		out = append(out, sallyport.Attestation{Raw: b, Source: name})
	}
	return out, nil
}
