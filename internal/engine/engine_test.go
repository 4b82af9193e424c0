package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// parts is every interface of the engine, and a trace of the order in which it calls them.
type parts struct {
	trace    []string
	found    []sallyport.Attestation
	verdict  Verdict
	evalErr  error
	recErr   error
	recorded []Record
}

func (p *parts) Collect(context.Context, []sallyport.Digest) ([]sallyport.Attestation, []sallyport.Dropped, error) {
	p.trace = append(p.trace, "collect")
	return p.found, nil, nil
}

func (p *parts) Verify(_ context.Context, a sallyport.Attestation) (sallyport.Evidence, error) {
	p.trace = append(p.trace, "verify")
	if string(a.Raw) == "bad" {
		return sallyport.Evidence{}, errors.New("the signature does not verify")
	}
	return sallyport.Evidence{Attestation: a.Digest()}, nil
}

func (p *parts) Evaluate(context.Context, sallyport.Gate, []byte) (Verdict, error) {
	p.trace = append(p.trace, "evaluate")
	return p.verdict, p.evalErr
}

func (p *parts) Record(_ context.Context, r Record) (Receipt, error) {
	p.trace = append(p.trace, "record")
	p.recorded = append(p.recorded, r)
	return Receipt{ID: r.ID}, p.recErr
}

func (p *parts) engine() *Engine {
	return &Engine{Collector: p, Verifier: p, Evaluator: p, Recorder: p, Now: func() time.Time { return time.Unix(1e9, 0) }}
}

func request(seen *[]sallyport.Evidence) Request {
	return Request{
		Gate: sallyport.GateMerge, Subject: sallyport.Subject{Digest: sallyport.GitCommit("00")},
		Input: func(_ context.Context, _ time.Time, ev []sallyport.Evidence) (any, error) {
			if seen != nil {
				*seen = ev
			}
			return map[string]any{"x": 1}, nil
		},
	}
}

func TestOrder(t *testing.T) {
	p := &parts{verdict: Verdict{Outcome: sallyport.Open}, found: []sallyport.Attestation{{Raw: []byte("good")}}}
	res, err := p.engine().Check(t.Context(), request(nil))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"collect", "verify", "evaluate", "record"}; !slices.Equal(p.trace, want) {
		t.Errorf("got order %v, want %v", p.trace, want)
	}
	if res.Decision.Outcome != sallyport.Open {
		t.Errorf("got %v, want open", res.Decision.Outcome)
	}
	if got := sallyport.SHA256(p.recorded[0].Body); got != p.recorded[0].ID {
		t.Errorf("got id %v, want the digest of the body", got)
	}
}

func TestUnverifiedIsDroppedAndNeverSeen(t *testing.T) {
	p := &parts{verdict: Verdict{Outcome: sallyport.Open}, found: []sallyport.Attestation{{Raw: []byte("bad"), Source: "x"}, {Raw: []byte("good")}, {Raw: []byte("good")}}}
	var seen []sallyport.Evidence
	res, err := p.engine().Check(t.Context(), request(&seen))
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || len(res.Decision.Evidence) != 1 {
		t.Errorf("policy saw %d pieces of evidence, want the good one once", len(seen))
	}
	if len(res.Decision.Dropped) != 1 || res.Decision.Dropped[0].Why == "" {
		t.Errorf("got dropped %v, want the bad one with its reason", res.Decision.Dropped)
	}
}

func TestNeverOpen(t *testing.T) {
	shutting := sallyport.Reason{Code: "x", Outcome: sallyport.Shut}
	for _, tt := range []struct {
		name      string
		parts     parts
		outcome   sallyport.Outcome
		undecided bool
		wantErr   bool
	}{
		{name: "policy is broken", parts: parts{evalErr: &PolicyError{Code: "policy-error", Err: errors.New("x")}}, undecided: true},
		{name: "evaluation fails otherwise", parts: parts{evalErr: errors.New("x")}, wantErr: true},
		{name: "verdict open, but a reason shuts", parts: parts{verdict: Verdict{Outcome: sallyport.Open, Reasons: []sallyport.Reason{shutting}}}},
		{name: "verdict waiting, but a reason shuts", parts: parts{verdict: Verdict{Outcome: sallyport.Waiting, Reasons: []sallyport.Reason{shutting}}}},
		{name: "an opening reason", parts: parts{verdict: Verdict{Outcome: sallyport.Open, Reasons: []sallyport.Reason{{Code: "x", Outcome: sallyport.Open}}}}},
		{name: "zero verdict", wantErr: true},
		{name: "not recorded", parts: parts{verdict: Verdict{Outcome: sallyport.Open}, recErr: errors.New("disk full")}, wantErr: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, err := tt.parts.engine().Check(t.Context(), request(nil))
			if (err != nil) != tt.wantErr {
				t.Fatalf("got error %v, want one: %v", err, tt.wantErr)
			}
			if res.Decision.Outcome != tt.outcome {
				t.Errorf("got %v, want %v", res.Decision.Outcome, tt.outcome)
			}
			if res.Decision.Undecided != tt.undecided {
				t.Errorf("got undecided %v, want %v", res.Decision.Undecided, tt.undecided)
			}
			if tt.undecided {
				d := res.Decision
				d.Mode = sallyport.Observe
				if got := d.ExitStatus(); got != sallyport.ExitUndecided {
					t.Errorf("got exit status %d in observe mode, want 1", got)
				}
			}
		})
	}
}
