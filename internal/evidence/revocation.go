package evidence

import (
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// A Reason says why a key was revoked.
type Reason string

// The reasons. Compromised means that somebody else may have the key, or had it at some time.
const (
	Compromised Reason = "compromised"
	Superseded  Reason = "superseded" // another key took its place
	Retired     Reason = "retired"    // nobody signs this any more
)

// A Revocation ends a key for good. It counts from the moment that it stands in the trust roots,
// whatever a clock says: a clock that is set back revives no key.
//
// What a compromised key signed counts never, since whoever has it can also have kept back what it
// signed earlier. What a superseded or retired key signed counts if something other than the signer
// proves that it was signed before At.
type Revocation struct {
	At     time.Time
	Reason Reason
}

func (r Revocation) String() string {
	return fmt.Sprintf("revoked at %s (%s)", r.At.UTC().Format(time.RFC3339), r.Reason)
}

type trustRevocation struct {
	At     string `yaml:"at"`
	Reason string `yaml:"reason"`
}

// parse reads a revocation. A day stands for its first instant.
func (in *trustRevocation) parse() (*Revocation, error) {
	if in == nil {
		return nil, nil
	}
	at, _, err := parseTime("revoked.at", in.At)
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		return nil, errors.New("revoked.at is missing")
	}
	switch r := Reason(in.Reason); r {
	case Compromised, Superseded, Retired:
		return &Revocation{At: at, Reason: r}, nil
	}
	return nil, fmt.Errorf("revoked.reason is %.50q, want compromised, superseded or retired", in.Reason)
}

// stricter reports whether r is the harder end of two.
func (r Revocation) stricter(than Revocation) bool {
	if (r.Reason == Compromised) != (than.Reason == Compromised) {
		return r.Reason == Compromised
	}
	return r.At.Before(than.At)
}

// revocation returns the strictest revocation of the key that signed: one that is revoked in one
// place is not good in another, nor in another format. An SSH line and a PEM block of one key have two
// hints, and whoever has the key can sign under either.
func (v *Verifier) revocation(s signed) (Key, bool) {
	var found *Key
	look := func(k Key) {
		if k.Revoked != nil && (found == nil || k.Revoked.stricter(*found.Revoked)) {
			found = &k
		}
	}
	for _, k := range s.keys {
		look(k)
		for _, m := range k.material() {
			if other, ok := v.revoked[m]; ok {
				look(other)
			}
		}
	}
	if found == nil {
		return Key{}, false
	}
	return *found, true
}

// checkRevoked fails if the key that signed p was revoked, unless it is proven that p is older and
// the reason leaves what is older alone.
func (v *Verifier) checkRevoked(s signed, p parsed) error {
	k, revoked := v.revocation(s)
	if !revoked {
		return nil
	}
	if k.Revoked.Reason == Compromised {
		return fmt.Errorf("%w: key %q was %s; nothing that it signed counts", ErrRevoked, k.Name, *k.Revoked)
	}
	at, proven := v.provenTime(p, s.hint)
	switch {
	case !proven:
		return fmt.Errorf("%w: key %q was %s, and no timestamp or log entry proves that it signed this before", ErrRevoked, k.Name, *k.Revoked)
	case !at.Before(k.Revoked.At):
		return fmt.Errorf("%w: key %q was %s, and it signed this at %s", ErrRevoked, k.Name, *k.Revoked, at.UTC().Format(time.RFC3339))
	}
	return nil
}

// provenTime returns the earliest time for which an authority of the trusted root vouches that the
// signature of p existed: by an RFC 3161 timestamp, or by the signed promise of a Rekor log about
// an entry of this very signature. What the statement says of itself proves nothing.
func (v *Verifier) provenTime(p parsed, hint string) (time.Time, bool) {
	if v.Keyless == nil {
		return time.Time{}, false
	}
	material := root.TrustedMaterialCollection{v.Keyless.material}
	if m := v.pem[hint]; m != nil {
		material = append(material, m) // to compare with the key of a log's entry
	}
	var times []time.Time
	if stamps, _, err := verify.VerifySignedTimestamp(p.bundle, material); err == nil {
		for _, s := range stamps {
			times = append(times, s.Time)
		}
	}
	if len(p.bundle.GetVerificationMaterial().GetTlogEntries()) > 0 {
		if logged, err := verify.VerifyTlogEntry(p.bundle, material, 1, true); err == nil {
			for _, s := range logged {
				times = append(times, s.Time)
			}
		}
	}
	var first time.Time
	for _, t := range times {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	return first, !first.IsZero()
}
