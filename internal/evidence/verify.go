package evidence

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/keyalg"
	"github.com/sallyport-dev/sallyport/predicate"
)

// SSHNamespace is the SSHSIG namespace of envelopes. A signature made for anything else, a git
// commit for one, has another namespace and never verifies here.
const SSHNamespace = "sallyport.dev/dsse"

// MaxSkew is how far the clock of whoever signed may be ahead of ours.
const MaxSkew = 5 * time.Minute

// An SSHInfo is what a verified SSH signature says about its key.
type SSHInfo struct {
	Fingerprint string // "SHA256:…"
	SK          bool   // the key lives in a security key
	Touched     bool   // somebody touched it for this signature
}

// An SSHVerifier verifies an SSHSIG over message in namespace. It must return an error unless the
// signature is good under the key that stands in it, and only for exactly that namespace. It
// decides nothing about whose key that is. It must be safe for concurrent use.
type SSHVerifier func(sig, message []byte, namespace string) (SSHInfo, error)

// A Verifier turns attestations into evidence under a fixed set of keys at a fixed time. It is
// safe for concurrent use once its fields are set.
type Verifier struct {
	// SSH verifies SSH signatures. If it is nil, none does.
	SSH SSHVerifier
	// OpenPGP verifies OpenPGP signatures. If it is nil, none does.
	OpenPGP OpenPGPVerifier
	// Keyless verifies signatures under certificates. If it is nil, none does.
	Keyless *Keyless
	// Cache remembers signatures. If it is nil, each is verified anew.
	Cache *Cache

	now  time.Time
	keys map[string][]Key // by hint: one key may stand in the roster and in the trust roots
	pem  map[string]root.TrustedMaterial

	all         []Key          // as they were given, those too that verify nothing
	revoked     map[string]Key // by the SHA-256 of a SubjectPublicKeyInfo: the key's strictest end
	authorities map[string]Key // of runs, by the identifier that certificates give
}

// NewVerifier returns a verifier that knows keys, at the enforcement point's time now. A key of a
// kind that is not accepted is as good as absent.
func NewVerifier(keys []Key, now time.Time) *Verifier {
	v := &Verifier{now: now, all: keys, keys: map[string][]Key{}, pem: map[string]root.TrustedMaterial{}, revoked: map[string]Key{}, authorities: map[string]Key{}}
	for _, k := range keys {
		hint := k.Hint()
		if hint == "" || !k.single() {
			continue
		}
		for _, m := range k.material() {
			if old, ok := v.revoked[m]; k.Revoked != nil && (!ok || k.Revoked.stricter(*old.Revoked)) {
				v.revoked[m] = k
			}
		}
		if k.Run != nil {
			v.addAuthority(k)
			continue
		}
		if k.Public != nil && v.pem[hint] == nil {
			m, err := material(k.Public)
			if err != nil {
				continue
			}
			v.pem[hint] = m
		}
		v.keys[hint] = append(v.keys[hint], k)
	}
	return v
}

// material returns what sigstore-go needs to trust one public key, whatever a bundle calls it.
func material(pub crypto.PublicKey) (root.TrustedMaterial, error) {
	if err := keyalg.Check(pub); err != nil {
		return nil, err
	}
	sv, err := signature.LoadDefaultVerifier(pub)
	if err != nil {
		return nil, fmt.Errorf("load public key: %w", err)
	}
	key := root.NewExpiringKey(sv, time.Time{}, time.Time{}) // validity is checked against our own clock
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return key, nil }), nil
}

// verifyEnvelope verifies the signature of p under the one key of m. sigstore-go would also read
// the statement; ours is decoded by stricter rules, from the same bytes, and what is wrong with
// it is told apart from a bad signature.
func verifyEnvelope(p parsed, m root.TrustedMaterial) error {
	content, err := p.bundle.SignatureContent()
	if err != nil {
		return err
	}
	with, err := p.bundle.VerificationContent()
	if err != nil {
		return err
	}
	if with.PublicKey() == nil {
		return errors.New("the bundle was not signed with a key")
	}
	return verify.VerifySignature(content, with, m)
}

// Verify returns a as evidence, or one sentence that says why it is none.
func (v *Verifier) Verify(ctx context.Context, a sallyport.Attestation) (sallyport.Evidence, error) {
	if err := ctx.Err(); err != nil {
		return sallyport.Evidence{}, err
	}
	p, s, st, err := v.read(a.Raw)
	if err != nil {
		return sallyport.Evidence{}, err
	}
	twin, err := checkSpelling(a.Raw, p, s, st)
	if err != nil {
		return sallyport.Evidence{}, err
	}
	key, err := s.allowed(st.PredicateType)
	if err != nil {
		return sallyport.Evidence{}, err
	}
	revoked := v.checkRevoked(s, p)
	if revoked != nil && !negative(st) {
		return sallyport.Evidence{}, revoked
	}
	over := !key.NotAfter.IsZero() && v.now.After(key.NotAfter)
	lapsed := revoked != nil || over && negative(st)
	if lapsed || over && v.provenWithin(key, p, s.hint) {
		key.NotAfter = time.Time{} // whoever took something back has said so, and need not say it for ever
	}
	if err := v.checkTime(key, st); err != nil {
		return sallyport.Evidence{}, err
	}
	if err := v.checkRun(s, key, st, p); err != nil {
		return sallyport.Evidence{}, err
	}
	if err := checkStatement(st); err != nil {
		return sallyport.Evidence{}, err
	}
	if err := checkPredicate(st); err != nil {
		return sallyport.Evidence{}, err
	}
	st.Type = sallyport.StatementType
	return sallyport.Evidence{
		Attestation: a.Digest(),
		Payload:     sallyport.SHA256(p.envelope.Payload),
		Statement:   st,
		Signer:      key.Principal,
		Key:         s.hint,
		Grade:       s.grade(key),
		Logged:      sallyport.NotLogged,
		Source:      a.Source,
		Twin:        twin,
		Lapsed:      lapsed,
	}, nil
}

// A signed is a good signature: the entries of the trust roots for its key, and what else it
// proves.
type signed struct {
	hint    string
	keys    []Key
	touched bool          // by a security key, for this signature
	who     KeylessSigner // of a certificate
	run     *runSigned    // by a key of a run's certificate
}

func (v *Verifier) verifySignature(p parsed) (signed, error) {
	switch {
	case p.cert:
		return v.verifyCertificate(p)
	case p.isSSH():
		return v.verifySSH(p)
	case strings.HasPrefix(p.hint, openPGPHint):
		return v.verifyOpenPGP(p)
	case p.hint != "":
		return v.verifyPEM(p, p.hint)
	}
	hints := make([]string, 0, len(v.pem))
	for hint := range v.pem {
		hints = append(hints, hint)
	}
	slices.Sort(hints)
	for _, hint := range hints {
		if s, err := v.verifyPEM(p, hint); err == nil {
			return s, nil
		}
	}
	return signed{}, fmt.Errorf("%w: the bundle does not say which key signed, and none verifies it", ErrUnknownKey)
}

func (v *Verifier) verifyPEM(p parsed, hint string) (signed, error) {
	m := v.pem[hint]
	if m == nil {
		return signed{}, fmt.Errorf("%w: %.100q", ErrUnknownKey, hint)
	}
	if err := verifyEnvelope(p, m); err != nil {
		return signed{}, fmt.Errorf("%w under key %q", ErrSignature, v.keys[hint][0].Name)
	}
	return v.underPEM(hint)
}

// underPEM says whose a good signature under the key of a hint is.
func (v *Verifier) underPEM(hint string) (signed, error) {
	if v.pem[hint] == nil {
		return signed{}, fmt.Errorf("%w: %.100q", ErrUnknownKey, hint)
	}
	return signed{hint: hint, keys: v.keys[hint]}, nil
}

func (v *Verifier) verifySSH(p parsed) (signed, error) {
	if v.SSH == nil {
		return signed{}, fmt.Errorf("%w: SSH signatures are not verified here", ErrSignature)
	}
	info, err := v.SSH(p.envelope.Signature, dsse.PAE(p.envelope.PayloadType, p.envelope.Payload), SSHNamespace)
	if err != nil {
		return signed{}, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
	}
	if p.hint != "" && p.hint != info.Fingerprint {
		return signed{}, fmt.Errorf("%w: the bundle names the SSH key %.100q, and %q signed", ErrSignature, p.hint, info.Fingerprint)
	}
	keys := slices.DeleteFunc(slices.Clone(v.keys[info.Fingerprint]), func(k Key) bool { return k.SSH != info.Fingerprint })
	if len(keys) == 0 {
		return signed{}, fmt.Errorf("%w: %q", ErrUnknownKey, info.Fingerprint)
	}
	return signed{hint: info.Fingerprint, keys: keys, touched: info.SK && info.Touched}, nil
}

// allowed returns the entry of the trust roots under which the key may sign predicateType. Two
// entries that would make it two principals' word contradict each other, and neither counts.
func (s signed) allowed(predicateType string) (Key, error) {
	var found *Key
	for i, k := range s.keys {
		if !slices.Contains(k.Types, predicateType) {
			continue
		}
		if found != nil && (found.Principal != k.Principal || found.Grade != k.Grade) {
			return Key{}, fmt.Errorf("%w: it stands in the trust roots as %q and as %q", ErrNotAllowed, found.Name, k.Name)
		}
		found = &s.keys[i]
	}
	if found == nil {
		return Key{}, fmt.Errorf("%w: %q may not sign %.200q", ErrNotAllowed, s.keys[0].Name, predicateType)
	}
	return *found, nil
}

// grade returns what the signature proves. Presence needs a touch, whatever the trust roots say.
func (s signed) grade(k Key) sallyport.Grade {
	if s.run != nil && s.run.binding.Separation == predicate.SeparationNone {
		return sallyport.Declared // the agent could use the key, whoever issued it
	}
	presence := k.Grade == sallyport.Present || k.Grade == sallyport.Attested
	if (k.SK || presence) && !s.touched {
		return sallyport.Declared
	}
	return k.Grade
}

func (v *Verifier) checkTime(k Key, st sallyport.Statement) error {
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case !k.NotBefore.IsZero() && v.now.Before(k.NotBefore):
		return fmt.Errorf("%w: key %q is valid from %s", ErrExpired, k.Name, stamp(k.NotBefore))
	case !k.NotAfter.IsZero() && v.now.After(k.NotAfter):
		return fmt.Errorf("%w: key %q was valid until %s, and no timestamp or log entry proves that it signed this before", ErrExpired, k.Name, stamp(k.NotAfter))
	}
	made, err := madeAt(st)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrStatement, oneLine(err))
	}
	if made.After(v.now.Add(MaxSkew)) {
		return fmt.Errorf("%w: it says that it was made at %s, which is in the future", ErrExpired, stamp(made))
	}
	return nil
}

// madeAt returns when a statement says that it was made, or the zero time if its predicate type
// has no field for that or is not known.
func madeAt(st sallyport.Statement) (time.Time, error) {
	var body struct {
		IssuedAt     string `json:"issuedAt"`     // approval, exception, model
		EndedAt      string `json:"endedAt"`      // agent-run
		TimeVerified string `json:"timeVerified"` // VSA
		ReanchoredAt string `json:"reanchoredAt"` // reanchor
	}
	var field *string
	switch st.PredicateType {
	case predicate.ApprovalType, predicate.ExceptionType, predicate.ModelType:
		field = &body.IssuedAt
	case predicate.AgentRunType:
		field = &body.EndedAt
	case VSAType:
		field = &body.TimeVerified
	case predicate.ReanchorType:
		field = &body.ReanchoredAt
	default:
		return time.Time{}, nil
	}
	if err := json.Unmarshal(st.Predicate, &body); err != nil {
		return time.Time{}, fmt.Errorf("read the predicate: %w", err)
	}
	if *field == "" {
		if st.PredicateType == VSAType { // optional there
			return time.Time{}, nil
		}
		return time.Time{}, errors.New("it does not say when it was made")
	}
	t, err := time.Parse(time.RFC3339, *field)
	if err != nil {
		return time.Time{}, fmt.Errorf("its time %.50q is not RFC 3339", *field)
	}
	return t, nil
}
