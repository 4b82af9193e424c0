package evidence

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/runcert"
)

// A RunAuthority says for which runs an authority may issue certificates. Nothing is left open: a
// list that is empty allows nothing.
type RunAuthority struct {
	Repositories []string              // exact
	Principals   []sallyport.Principal // whose word the runs' signatures are
	Audience     string                // that certificates have to name; empty if they name none
	MaxValidity  time.Duration         // of a certificate
	RevokedRuns  []string              // ids of runs whose signatures count no more
}

// A trustAuthority is an entry of run_authorities in trust.yaml.
type trustAuthority struct {
	Name         string           `yaml:"name"`
	Key          string           `yaml:"key"`
	Repositories []string         `yaml:"repositories"`
	Principals   []trustPrincipal `yaml:"principals"`
	Audience     string           `yaml:"audience"`
	MaxValidity  string           `yaml:"max_validity"`
	RevokedRuns  []string         `yaml:"revoked_runs"`
	Types        []string         `yaml:"types"`
	Grade        string           `yaml:"grade"`
	NotBefore    string           `yaml:"not_before"`
	NotAfter     string           `yaml:"not_after"`

	Revoked *trustRevocation `yaml:"revoked"`
}

// authorityHint begins what stands for an authority where keys have their hints.
const authorityHint = "run-authority:"

// maxList bounds the lists of an authority.
const maxList = 1000

func (in trustAuthority) parse() (Key, error) {
	// The authority's own name stands where a key's principal does: it signs no statement.
	k, err := trustKey{Name: in.Name, Principal: trustPrincipal{Kind: string(sallyport.Workload), Name: in.Name}, Types: in.Types, Grade: in.Grade,
		NotBefore: in.NotBefore, NotAfter: in.NotAfter, Revoked: in.Revoked}.parseUse()
	if err != nil {
		return Key{}, err
	}
	if k.Public, err = parsePEM([]byte(strings.TrimSpace(in.Key))); err != nil {
		return Key{}, err
	}
	for _, t := range in.Types {
		if !runcert.Nameable(t) {
			return Key{}, fmt.Errorf("types: statements of %.100q do not say which run made them; there are %s", t, strings.Join(runcert.Types(), ", "))
		}
	}
	k.Run = &RunAuthority{Repositories: slices.Clone(in.Repositories), Audience: in.Audience, MaxValidity: runcert.DefaultValidity, RevokedRuns: slices.Clone(in.RevokedRuns)}
	if in.MaxValidity != "" {
		d, err := time.ParseDuration(in.MaxValidity)
		if err != nil || d < time.Minute || d > runcert.MaxValidity {
			return Key{}, fmt.Errorf("max_validity is %.40q, want a duration from 1m to 1h such as 15m", in.MaxValidity)
		}
		k.Run.MaxValidity = d
	}
	if n := len(in.Repositories); n == 0 || n > maxList {
		return Key{}, fmt.Errorf("repositories has %d entries, want 1 to %d URIs", n, maxList)
	}
	for _, r := range in.Repositories {
		if !validName(r) || strings.ContainsAny(r, "* ") {
			return Key{}, fmt.Errorf("repositories: %.100q: want each whole and exact", r)
		}
	}
	if n := len(in.Principals); n == 0 || n > maxList || len(in.RevokedRuns) > maxList {
		return Key{}, fmt.Errorf("principals has %d entries and revoked_runs %d, want 1 and 0 to %d", n, len(in.RevokedRuns), maxList)
	}
	for _, p := range in.Principals {
		who := sallyport.Principal{Kind: sallyport.PrincipalKind(p.Kind), Name: p.Name}
		switch {
		case !validName(p.Name):
			return Key{}, errors.New("principals: a name is missing or not one printable line")
		case who.Kind != sallyport.Workload && who.Kind != sallyport.Agent && who.Kind != sallyport.Bot:
			return Key{}, fmt.Errorf("principals: kind is %.40q, want workload, agent or bot: persons sign with keys of their own", p.Kind)
		case who.Kind == sallyport.Agent && k.Grade == sallyport.Observed:
			return Key{}, errors.New("grade is observed, which the key of an agent cannot prove")
		}
		k.Run.Principals = append(k.Run.Principals, who)
	}
	for _, id := range append(slices.Clone(in.RevokedRuns), in.Audience) {
		if id != "" && !validName(id) {
			return Key{}, fmt.Errorf("revoked_runs, audience: %.100q is not one printable line", id)
		}
	}
	return k, nil
}

// write writes what is an authority's own into an entry of a trust.yaml.
func (r RunAuthority) write(line func(string, ...any)) {
	list := func(key string, values []string) {
		if len(values) > 0 {
			line("%s:", key)
		}
		for _, v := range values {
			line("  - %s", scalar(v))
		}
	}
	list("repositories", r.Repositories)
	line("principals:")
	for _, p := range r.Principals {
		line("  - {kind: %s, name: %s}", p.Kind, scalar(p.Name))
	}
	if r.Audience != "" {
		line("audience: %s", scalar(r.Audience))
	}
	line("max_validity: %s", r.MaxValidity)
	list("revoked_runs", r.RevokedRuns)
}

func (v *Verifier) addAuthority(k Key) {
	if id, err := runcert.KeyID(k.Public); err == nil {
		v.authorities[string(id)] = k
	}
}

// A runSigned is a good signature by the key of a run's certificate.
type runSigned struct {
	certificate *x509.Certificate
	binding     runcert.Binding
	authority   Key
}

// verifyRun verifies a bundle that was signed with a run's certificate: its shape, who issued it and
// whether that authority may for this repository and principal, and the envelope's signature. What the
// statement says, and when it was signed, is for [Verifier.checkRun].
func (v *Verifier) verifyRun(p parsed, c *x509.Certificate) (signed, error) {
	b, err := runcert.Parse(c)
	if err != nil {
		return signed{}, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
	}
	k, ok := v.authorities[string(c.AuthorityKeyId)]
	if !ok {
		return signed{}, fmt.Errorf("%w: its run certificate is of no run authority", ErrUnknownKey)
	}
	if err := runcert.CheckIssuer(c, k.Public); err != nil {
		return signed{}, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
	}
	switch limit := k.Run.MaxValidity; {
	case c.NotAfter.Sub(c.NotBefore) > limit:
		return signed{}, fmt.Errorf("%w: its run certificate is valid for %v, and %q may issue them for %v", ErrNotAllowed, c.NotAfter.Sub(c.NotBefore), k.Name, limit)
	case !slices.Contains(k.Run.Repositories, b.Repository):
		return signed{}, fmt.Errorf("%w: %q issues no certificates for the repository %.200q", ErrNotAllowed, k.Name, b.Repository)
	case !slices.Contains(k.Run.Principals, b.Principal):
		return signed{}, fmt.Errorf("%w: %q issues no certificates for the %s %.200q", ErrNotAllowed, k.Name, b.Principal.Kind, b.Principal.Name)
	case b.Audience != k.Run.Audience:
		return signed{}, fmt.Errorf("%w: its run certificate is for the audience %.200q, and not for %.200q", ErrNotAllowed, b.Audience, k.Run.Audience)
	case slices.Contains(k.Run.RevokedRuns, b.RunID):
		return signed{}, fmt.Errorf("%w: the run %.200q stands among the revoked runs of %q", ErrRevoked, b.RunID, k.Name)
	}
	if !verifyRaw(c.PublicKey, p.envelope.PAE(), p.envelope.Signature) {
		return signed{}, fmt.Errorf("%w under the run certificate", ErrSignature)
	}
	as := k
	as.Principal = b.Principal
	// An observed word is that of a principal out of reach, and the authority says so of each run.
	if as.Grade == sallyport.Observed && b.Principal.Kind == sallyport.Agent {
		as.Grade = sallyport.Declared
	}
	return signed{hint: "run:" + b.URI(), keys: []Key{as}, run: &runSigned{c, b, k}}, nil
}

func verifyRaw(pub any, message, sig []byte) bool {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(k, sum[:], sig)
	}
	return false
}

// checkRun checks that what a run's key signed is about that run, and that it was signed while its
// certificate was valid. The gate's clock says nothing about that: whoever finds the key of a run that
// is over could sign for it ever after, so that a time has to be proven.
func (v *Verifier) checkRun(s signed, k Key, st sallyport.Statement, p parsed) error {
	if s.run == nil {
		return nil
	}
	if err := s.run.binding.Covers(st.PredicateType, st.Predicate); err != nil {
		return fmt.Errorf("%w: %s", ErrNotAllowed, oneLine(err))
	}
	c := s.run.certificate
	at, proven := v.provenTime(p, s.hint)
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case !proven:
		return fmt.Errorf("%w: no timestamp or log entry proves that the run's key signed this while its certificate was valid, from %s to %s", ErrExpired, stamp(c.NotBefore), stamp(c.NotAfter))
	case at.Before(c.NotBefore) || at.After(c.NotAfter):
		return fmt.Errorf("%w: the run's key signed this at %s, and its certificate was valid from %s to %s", ErrExpired, stamp(at), stamp(c.NotBefore), stamp(c.NotAfter))
	case !k.NotBefore.IsZero() && at.Before(k.NotBefore):
		return fmt.Errorf("%w: the run's key signed this at %s, and key %q is valid from %s", ErrExpired, stamp(at), k.Name, stamp(k.NotBefore))
	case at.After(v.now.Add(MaxSkew)):
		return fmt.Errorf("%w: the run's key signed this at %s, which is in the future", ErrExpired, stamp(at))
	}
	return nil
}

// provenWithin reports whether a time is proven at which k was valid.
func (v *Verifier) provenWithin(k Key, p parsed, hint string) bool {
	at, proven := v.provenTime(p, hint)
	return proven && !at.After(k.NotAfter) && (k.NotBefore.IsZero() || !at.Before(k.NotBefore))
}

// A Certified signer signs with a key that a certificate is about: its bundles carry the certificate
// in place of the key's hint.
type Certified interface {
	Signer
	// Certificate returns the certificate in DER, or nothing if there is none.
	Certificate() []byte
}

// certificateOf returns the run certificate of a signer, or nil if it has none. It has to be about its
// key, and the statement about what it is bound to: what [Verifier.Verify] would refuse whatever the
// trust roots say is not signed in the first place.
func certificateOf(s Signer, st sallyport.Statement) (*x509.Certificate, error) {
	by, ok := s.(Certified)
	if !ok || len(by.Certificate()) == 0 {
		return nil, nil
	}
	c, err := x509.ParseCertificate(by.Certificate())
	if err != nil {
		return nil, fmt.Errorf("read the signer's certificate: %s", oneLine(err))
	}
	binding, err := runcert.Parse(c)
	if err != nil {
		return nil, fmt.Errorf("read the signer's certificate: %w", err)
	}
	have, err1 := Hint(c.PublicKey)
	want, err2 := Hint(s.Public())
	if err1 != nil || err2 != nil || have != want {
		return nil, errors.New("the signer's certificate is about another key")
	}
	return c, binding.Covers(st.PredicateType, st.Predicate)
}

// signedUnder returns a bundle that carries a run's certificate.
func signedUnder(c *x509.Certificate, env dsse.Envelope) ([]byte, error) {
	b := bundleJSON{MediaType: BundleMediaType}
	b.Material.Certificate = &certificateJSON{c.Raw}
	raw, err := b.encode(env)
	if err != nil {
		return nil, err
	}
	if _, err := parse(raw); err != nil {
		return nil, fmt.Errorf("check what was signed: %w", err)
	}
	if !verifyRaw(c.PublicKey, env.PAE(), env.Signature) {
		return nil, fmt.Errorf("check what was signed: %w", ErrSignature)
	}
	return raw, nil
}
