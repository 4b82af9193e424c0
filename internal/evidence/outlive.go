package evidence

import (
	"fmt"
	"slices"
	"time"
)

// Outlives says whether a bundle of the past may count today: it fails unless raw verifies under old, the trust roots of
// then, and no end that the trust roots of v name reaches it. That it was signed before a time is for the caller to
// know; an authority of v's trusted root may prove an earlier one.
//
// Whoever signed is looked up by all that tells them: the hint, the key in any of its spellings, the key of the
// certificate, the authority of a run and the run itself, the identity of a certificate. Of all entries that
// are found the strictest end counts. An end is a revocation, and also the last instant at which the entry of then, or
// one of v, is valid: what nobody dated while a key was valid does not revive it.
//
// A key that could stand in the trust roots in another spelling that is not known cannot be looked up, and
// what it signed does not count.
func (v *Verifier) Outlives(old *Verifier, raw []byte, before time.Time) error {
	p, s, st, err := old.read(raw)
	if err != nil {
		return err
	}
	then, err := s.allowed(st.PredicateType)
	if err != nil {
		return err
	}
	known, err := s.materials(p)
	if err != nil {
		return err
	}
	if at, ok := v.provenTime(p, s.hint); ok && at.Before(before) {
		before = at
	}
	if err := endedBefore(then, before); err != nil {
		return err
	}
	for _, k := range v.all {
		if k.Hint() != s.hint && !slices.ContainsFunc(k.material(), func(m string) bool { return slices.Contains(known, m) }) {
			continue
		}
		if s.run != nil && k.Run != nil && slices.Contains(k.Run.RevokedRuns, s.run.binding.RunID) {
			return fmt.Errorf("%w: the run %.200q stands among the revoked runs of %q", ErrRevoked, s.run.binding.RunID, k.Name)
		}
		if err := endedBefore(k, before); err != nil {
			return err
		}
	}
	return nil
}

// endedBefore fails if k has an end that reaches what was signed before a time.
func endedBefore(k Key, before time.Time) error {
	at := before.UTC().Format(time.RFC3339)
	switch {
	case k.Revoked != nil && k.Revoked.Reason == Compromised:
		return fmt.Errorf("%w: key %q was %s; nothing that it signed counts", ErrRevoked, k.Name, *k.Revoked)
	case k.Revoked != nil && !before.Before(k.Revoked.At):
		return fmt.Errorf("%w: key %q was %s, and what it signed is proven to be older than %s alone", ErrRevoked, k.Name, *k.Revoked, at)
	case !k.NotAfter.IsZero() && before.After(k.NotAfter):
		return fmt.Errorf("%w: key %q was valid until %s, and what it signed is proven to be older than %s alone", ErrExpired, k.Name, k.NotAfter.UTC().Format(time.RFC3339), at)
	}
	return nil
}

// materials returns the digests of all keys that stand behind a signature. It fails for a key that may
// have other spellings and of which none is known.
func (s signed) materials(p parsed) ([]string, error) {
	var known []string
	for _, k := range s.keys {
		m := k.material()
		// A security key's signatures verify under its SSH line alone, and an identity is told by its name.
		if len(m) == 0 && !(k.SK && k.SSH != "") && k.Identity == "" {
			return nil, fmt.Errorf("%w: key %q cannot be told in another spelling, so that nothing says whether it was revoked", ErrNotAllowed, k.Name)
		}
		known = append(known, m...)
	}
	if s.run != nil {
		known = append(known, s.run.authority.material()...)
	}
	if p.cert {
		content, err := p.bundle.VerificationContent()
		if err != nil || content.Certificate() == nil {
			return nil, fmt.Errorf("%w: it holds no certificate", ErrBundle)
		}
		known = append(known, Key{Public: content.Certificate().PublicKey}.material()...)
	}
	return known, nil
}
