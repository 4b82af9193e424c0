// Package engine decides whether a subject may pass a gate.
//
// A check has four steps, in this order, at every gate:
//
//  1. collect the attestations that may be about the subject;
//  2. verify each against the trust roots, dropping (and listing) what does not verify;
//  3. evaluate the gate's policy over what is left and over what the gate recomputed;
//  4. record the decision, and only then return it.
//
// Policy never sees unverified bytes, and no caller can act on a decision that the log does not
// hold: if step 4 fails, Check fails. A policy that cannot be applied is a decision too: it is
// recorded as Shut and Undecided, so that breaking the policy leaves a trace and opens nothing.
//
// The engine knows no git, HTTP, SQL or Kubernetes. A gate turns its protocol into a [Request];
// internal/app fills the interfaces. An Engine is safe for concurrent use if its parts are.
package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// A Collector finds attestations.
type Collector interface {
	// Collect returns every attestation it can find that may be about one of subjects, and what
	// it found and could not read. It may return attestations that are about something else;
	// the gate decides what they mean. It must fail rather than return a part.
	Collect(ctx context.Context, subjects []sallyport.Digest) ([]sallyport.Attestation, []sallyport.Dropped, error)
}

// A Verifier turns an attestation into evidence.
type Verifier interface {
	// Verify returns evidence only if every signature of a verifies under a key that the trust
	// roots allow for its predicate type, now. Its error is one sentence for the reader.
	Verify(ctx context.Context, a sallyport.Attestation) (sallyport.Evidence, error)
}

// An Evaluator applies the policy sets of a gate.
type Evaluator interface {
	// Evaluate returns the strictest outcome of all policy sets over input, a JSON document,
	// with the reasons of each. If a set fails, is empty or leaves its verdict undefined, the
	// error is or wraps a *PolicyError.
	Evaluate(ctx context.Context, gate sallyport.Gate, input []byte) (Verdict, error)
}

// A Verdict is what policy says. The zero Verdict is shut.
type Verdict struct {
	Outcome  sallyport.Outcome
	Reasons  []sallyport.Reason
	Excepted []sallyport.Excepted // what exceptions hold off; not among Reasons
}

// A PolicyError says that policy could not be applied. Code is a reason code, such as
// policy-error, policy-undefined or policy-empty.
type PolicyError struct {
	Code string
	Err  error
}

func (e *PolicyError) Error() string { return e.Err.Error() }
func (e *PolicyError) Unwrap() error { return e.Err }

// A Recorder makes decisions durable.
type Recorder interface {
	// Record must not return before the decision is durable and the log holds its digest. It
	// may be called more than once with the same record and must then keep one. It must be
	// safe for concurrent use.
	Record(ctx context.Context, r Record) (Receipt, error)
}

// A Record is a decision with everything needed to derive it again.
type Record struct {
	ID       sallyport.Digest // sha256 of Body
	Decision sallyport.Decision
	Body     []byte // the decision as encoded
	Input    []byte // the policy input as evaluated
}

// A Receipt says where a decision is recorded.
type Receipt struct {
	ID     sallyport.Digest `json:"id"`
	Origin string           `json:"origin"` // of the log
	Index  uint64           `json:"index"`  // of the leaf in the log
}

// A Request is one question to the engine.
type Request struct {
	Gate     sallyport.Gate
	Subject  sallyport.Subject
	Resource string
	Mode     sallyport.Mode
	Root     sallyport.Digest
	Solo     string // the person who is the whole team, as the root says; empty for a team
	Policies []sallyport.PolicySet
	Advice   []string

	// Subjects are the digests under which evidence may be filed; Presented are attestations
	// that the caller brought along.
	Subjects  []sallyport.Digest
	Presented []sallyport.Attestation

	// Input builds the document that policy sees, from verified evidence and from what the gate
	// recomputed. An error from it means that no decision can be made.
	Input func(ctx context.Context, at time.Time, evidence []sallyport.Evidence) (any, error)
}

// An Engine makes decisions. All fields are required.
type Engine struct {
	Collector Collector
	Verifier  Verifier
	Evaluator Evaluator
	Recorder  Recorder
	Now       func() time.Time // the enforcement point's clock
}

// A Result is a recorded decision.
type Result struct {
	Decision sallyport.Decision
	Receipt  Receipt
	Input    []byte
}

// Check makes the four steps. Whenever it returns an error, the gate is shut and nothing was
// decided; whenever it does not, the decision is durable.
func (e *Engine) Check(ctx context.Context, req Request) (Result, error) {
	d, input, err := e.decide(ctx, req)
	if err != nil {
		return Result{}, err
	}
	body, err := d.Encode()
	if err != nil {
		return Result{}, fmt.Errorf("encode the decision: %w", err)
	}
	receipt, err := e.Recorder.Record(ctx, Record{ID: sallyport.SHA256(body), Decision: d, Body: body, Input: input})
	if err != nil {
		return Result{}, fmt.Errorf("record the decision: %w", err)
	}
	return Result{Decision: d, Receipt: receipt, Input: input}, nil
}

// Preview makes the first three steps and records nothing. What it returns is no decision: it
// tells a person what a check would say.
func (e *Engine) Preview(ctx context.Context, req Request) (sallyport.Decision, []byte, error) {
	return e.decide(ctx, req)
}

func (e *Engine) decide(ctx context.Context, req Request) (sallyport.Decision, []byte, error) {
	at := e.Now().UTC().Truncate(time.Second)
	d := sallyport.Decision{
		Version: "v1", Gate: req.Gate, Subject: req.Subject, Resource: req.Resource, Mode: req.Mode,
		Time: at.Format(time.RFC3339), Root: req.Root, Solo: req.Solo,
		Reasons: []sallyport.Reason{}, Advice: append([]string{}, req.Advice...),
		Policies: append([]sallyport.PolicySet{}, req.Policies...),
		Evidence: []sallyport.Digest{}, Dropped: []sallyport.Dropped{},
	}
	found, unread, err := e.Collector.Collect(ctx, req.Subjects)
	if err != nil {
		return d, nil, fmt.Errorf("collect evidence: %w", err)
	}
	d.Dropped = append(d.Dropped, unread...)
	evidence := e.verify(ctx, append(append([]sallyport.Attestation{}, req.Presented...), found...), &d)
	if err := ctx.Err(); err != nil {
		return d, nil, err
	}
	doc, err := req.Input(ctx, at, evidence)
	if err != nil {
		return d, nil, err
	}
	input, err := sallyport.EncodeJSON(doc)
	if err != nil {
		return d, nil, fmt.Errorf("encode the policy input: %w", err)
	}
	d.Input = sallyport.SHA256(input)
	if err := e.evaluate(ctx, req.Gate, input, &d); err != nil {
		return d, nil, err
	}
	return d, input, nil
}

// verify returns what verifies, once each, and lists the rest in d.
func (e *Engine) verify(ctx context.Context, found []sallyport.Attestation, d *sallyport.Decision) []sallyport.Evidence {
	seen := map[sallyport.Digest]bool{}
	var evidence []sallyport.Evidence
	for _, a := range found {
		digest := a.Digest()
		if seen[digest] {
			continue
		}
		seen[digest] = true
		ev, err := e.Verifier.Verify(ctx, a)
		if err != nil {
			d.Dropped = append(d.Dropped, sallyport.Dropped{Attestation: digest, Source: a.Source, Why: err.Error()})
			continue
		}
		d.Evidence = append(d.Evidence, digest)
		evidence = append(evidence, ev)
	}
	return evidence
}

func (e *Engine) evaluate(ctx context.Context, gate sallyport.Gate, input []byte, d *sallyport.Decision) error {
	v, err := e.Evaluator.Evaluate(ctx, gate, input)
	var broken *PolicyError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &broken):
		d.Undecided = true
		d.Outcome = sallyport.Shut
		d.Reasons = append(d.Reasons, sallyport.Reason{
			Code: broken.Code, Outcome: sallyport.Shut, Severity: sallyport.Critical,
			Title: "The policy could not be applied", Text: broken.Error(),
			Next: "sallyport policy test",
		})
		return nil
	case err != nil:
		return fmt.Errorf("evaluate policy: %w", err)
	}
	d.Outcome, d.Excepted = v.Outcome, v.Excepted
	for _, r := range v.Reasons {
		d.Outcome = min(d.Outcome, r.Outcome) // a reason can only make it stricter
		d.Reasons = append(d.Reasons, r)
	}
	if d.Outcome != sallyport.Open && len(d.Reasons) == 0 {
		return errors.New("evaluate policy: the outcome is not open and no reason says why")
	}
	if len(d.Reasons) > 0 && d.Outcome == sallyport.Open {
		d.Outcome = sallyport.Shut // a reason that keeps nothing shut contradicts itself
	}
	return nil
}
