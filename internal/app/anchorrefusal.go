package app

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/predicate"
)

// refused returns what a bundle says if it is the summary of a decision that was not open. It verifies nothing.
func refused(raw []byte) (sallyport.Statement, predicate.Summary, bool) {
	st, err := evidence.Statement(raw)
	if err != nil || st.PredicateType != evidence.VSAType {
		return st, predicate.Summary{}, false
	}
	s, err := predicate.DecodeSummary(st.Predicate)
	return st, s, err == nil && s.Outcome != sallyport.Open.String()
}

// refusal verifies the summary of a decision that was not open under the old trust roots of which a statement carries
// anything over, and returns such a statement too. Whoever carries evidence chooses what, and a refusal that is
// left out stays one. It is verified at its own time, which could only make more of them count, and it is nobody's if its
// key was compromised.
func (w *workspace) refusal(ctx context.Context, a sallyport.Attestation) (sallyport.Evidence, anchor, bool) {
	_, s, ok := refused(a.Raw)
	if !ok {
		return sallyport.Evidence{}, anchor{}, false
	}
	at, err := time.Parse(time.RFC3339, s.TimeVerified)
	if err != nil || at.After(w.app.now().Add(evidence.MaxSkew)) {
		return sallyport.Evidence{}, anchor{}, false
	}
	asked := map[string]bool{}
	for _, list := range w.carried.by {
		for _, n := range list {
			if asked[n.says.Old.Root] {
				continue
			}
			asked[n.says.Old.Root] = true
			says := n.says
			says.DecidedAt = predicate.FormatTime(at)
			v, err := w.oldVerifier(ctx, says)
			if err != nil {
				continue
			}
			ev, err := v.Verify(ctx, a)
			if err != nil || ev.Signer.Kind != sallyport.Workload {
				continue
			}
			if w.newVerifier(w.keys()).Outlives(v, a.Raw, time.Time{}) != nil { // compromised: no other end is so early
				continue
			}
			return w.reanchoredBy(ev, n), n, true
		}
	}
	return sallyport.Evidence{}, anchor{}, false
}

// overruled fails if a decision that was open is followed by another one about the same question that was not: an old
// answer is not carried over in place of the last.
func (w *workspace) overruled(ctx context.Context, v *packVerifier) error {
	if v.d.Outcome != sallyport.Open {
		return nil
	}
	made, err := v.at()
	if err != nil {
		return err
	}
	about := []sallyport.Digest{v.d.Subject.Digest}
	found, _, err := w.evidenceDir().Collect(ctx, about)
	if err != nil {
		return err
	}
	travelled, _, err := w.travelled(ctx, about)
	if err != nil {
		return err
	}
	own, err := evidence.Statement(v.files[packVSA])
	if err != nil {
		return err
	}
	mine, err := predicate.DecodeSummary(own.Predicate)
	if err != nil {
		return err
	}
	today := w.newVerifier(w.keys())
	for _, att := range append(found, travelled...) {
		st, s, ok := refused(att.Raw)
		if !ok || s.Gate != mine.Gate || s.Base != mine.Base || s.ResourceURI != mine.ResourceURI || len(st.Subject) == 0 || len(own.Subject) == 0 || encoded(st.Subject[0].Annotations) != encoded(own.Subject[0].Annotations) {
			continue
		}
		at, err := time.Parse(time.RFC3339, s.TimeVerified)
		if err != nil || at.Before(made) {
			continue
		}
		then, err := w.app.asOf(v.governedFiles(), at, v.d.Solo)
		if err != nil {
			return err
		}
		_, err1 := then.newVerifier(then.keys()).Verify(ctx, att)
		if _, err2 := today.Verify(ctx, att); err1 != nil && err2 != nil {
			continue
		}
		return fmt.Errorf("%w: the decision of %s was open, and the decision %s about the same was %s at %s", ErrRefused, v.d.Time, s.Decision, s.Outcome, s.TimeVerified)
	}
	return nil
}
