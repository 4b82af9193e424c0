package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// Listed is an attestation that is kept here, as it says of itself: nothing of it was verified.
type Listed struct {
	Attestation   sallyport.Digest   `json:"attestation"`
	PredicateType string             `json:"predicate_type"`
	Key           string             `json:"key"` // that it names
	Subjects      []sallyport.Digest `json:"subjects"`
	Size          int                `json:"size"`
	Source        string             `json:"source"`
}

// ListEvidence lists what is kept here and on the local evidence ref, all of it or what is about a
// subject, in the order of the digests, and what cannot be read.
func (a *App) ListEvidence(ctx context.Context, o Options, subject string) (list []Listed, dropped []sallyport.Dropped, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	defer done(&err, w.Close)
	about, err := w.about(ctx, subject)
	if err != nil {
		return nil, nil, err
	}
	list, dropped = []Listed{}, []sallyport.Dropped{}
	err = w.eachHere(ctx, func(att sallyport.Attestation, err error) error {
		var st sallyport.Statement
		if err == nil {
			st, err = evidence.Statement(att.Raw)
		}
		if err != nil {
			if len(dropped) < maxStrangers {
				dropped = append(dropped, sallyport.Dropped{Attestation: att.Digest(), Source: att.Source, Why: err.Error()})
			}
			return nil
		}
		if about(st) {
			list = append(list, Listed{att.Digest(), st.PredicateType, evidence.ClaimedKey(att.Raw), subjectsOf(st), len(att.Raw), att.Source})
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Listed) int { return strings.Compare(string(a.Attestation), string(b.Attestation)) })
	return list, dropped, err
}

// about returns what tells whether a statement is about a subject; every one is about none.
func (w *workspace) about(ctx context.Context, subject string) (func(sallyport.Statement) bool, error) {
	if subject == "" {
		return func(sallyport.Statement) bool { return true }, nil
	}
	ds, _, err := w.subject(ctx, subject)
	if err != nil {
		return nil, err
	}
	return func(st sallyport.Statement) bool { return aboutAny(sallyport.Evidence{Statement: st}, ds) }, nil
}

// subjectsOf returns the digests that a statement names.
func subjectsOf(st sallyport.Statement) []sallyport.Digest {
	ds := []sallyport.Digest{}
	for _, s := range st.Subject {
		for alg, hex := range s.Digest {
			ds = append(ds, sallyport.Digest(alg+":"+hex))
		}
	}
	slices.Sort(ds)
	return slices.Compact(ds)
}

// Shown is one attestation.
type Shown struct {
	Listed
	Verdict
	Statement sallyport.Statement `json:"statement"`
	Bundle    json.RawMessage     `json:"bundle"`
}

// Verdict is what verifying one attestation under the trust roots in force gave.
type Verdict struct {
	Verified bool                 `json:"verified"`
	Signer   *sallyport.Principal `json:"signer,omitempty"`
	Grade    sallyport.Grade      `json:"grade,omitempty"`
	Why      string               `json:"why,omitempty"` // why it does not verify
}

func verdict(ctx context.Context, v *evidence.Verifier, noTrust error, att sallyport.Attestation) Verdict {
	if v == nil {
		return Verdict{Why: "not verified: " + noTrust.Error()}
	}
	ev, err := v.Verify(ctx, att)
	if err != nil {
		return Verdict{Why: err.Error()}
	}
	return Verdict{Verified: true, Signer: &ev.Signer, Grade: ev.Grade}
}

var errEnough = errors.New("found")

// ShowEvidence returns the attestation with a digest, or the one whose digest begins so.
func (a *App) ShowEvidence(ctx context.Context, o Options, digest string) (s Shown, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return s, err
	}
	defer done(&err, w.Close)
	prefix := "sha256:" + strings.TrimPrefix(digest, "sha256:")
	if len(prefix) < len("sha256:")+4 {
		return s, withHint(fmt.Errorf("%q is too short to name an attestation", digest), "sallyport evidence list names them")
	}
	var found []sallyport.Attestation
	err = w.eachHere(ctx, func(att sallyport.Attestation, err error) error {
		if err == nil && strings.HasPrefix(string(att.Digest()), prefix) {
			if found = append(found, att); len(found) > 1 {
				return errEnough
			}
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return s, err
	case len(found) == 0:
		return s, withHint(fmt.Errorf("no attestation %s: looked in %s", digest, strings.Join(w.places(), " and ")), "sallyport evidence list names them; sallyport evidence fetch brings more")
	case len(found) > 1:
		return s, withHint(fmt.Errorf("%q fits several attestations", digest), "write more of it")
	}
	att := found[0]
	st, err := evidence.Statement(att.Raw)
	if err != nil {
		return s, err
	}
	v, noTrust := w.trusted(ctx)
	return Shown{
		Listed:  Listed{att.Digest(), st.PredicateType, evidence.ClaimedKey(att.Raw), subjectsOf(st), len(att.Raw), att.Source},
		Verdict: verdict(ctx, v, noTrust, att), Statement: st, Bundle: att.Raw,
	}, nil
}

// Checked is one attestation with what verifying it gave.
type Checked struct {
	Attestation   sallyport.Digest `json:"attestation,omitempty"`
	PredicateType string           `json:"predicate_type,omitempty"`
	Key           string           `json:"key,omitempty"`
	Source        string           `json:"source"`
	Verdict
}

// VerifyEvidence verifies each attestation that is kept here, or each about a subject, under the
// trust roots in force.
func (a *App) VerifyEvidence(ctx context.Context, o Options, subject string) (all []Checked, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, w.Close)
	v, err := w.trusted(ctx)
	if err != nil {
		return nil, err
	}
	about, err := w.about(ctx, subject)
	if err != nil {
		return nil, err
	}
	all = []Checked{}
	err = w.eachHere(ctx, func(att sallyport.Attestation, err error) error {
		c := Checked{Source: att.Source}
		if err == nil {
			c.Attestation, c.Key = att.Digest(), evidence.ClaimedKey(att.Raw)
			var st sallyport.Statement
			if st, err = evidence.Statement(att.Raw); err == nil {
				if !about(st) {
					return nil
				}
				c.PredicateType = st.PredicateType
			}
		}
		if err != nil {
			c.Why = err.Error()
		} else {
			c.Verdict = verdict(ctx, v, nil, att)
		}
		all = append(all, c)
		return nil
	})
	slices.SortFunc(all, func(a, b Checked) int { return strings.Compare(string(a.Attestation), string(b.Attestation)) })
	return all, err
}
