package sigstore

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
)

// A Signer is who is expected to have signed. Either Key is set, or who a certificate is for; the
// zero Signer is nobody.
type Signer struct {
	// Key is a public key: ECDSA, RSA of 2048 bits or more, or Ed25519.
	Key crypto.PublicKey
	// SSH is the fingerprint of an SSH key, "SHA256:…", with which gittuf's statements are signed. With it
	// nothing else verifies.
	SSH string
	// Logged asks for an entry in a log of the root even with a key.
	Logged bool
	// IgnoreLog passes log entries of a key's signature over; with a certificate it does nothing.
	IgnoreLog bool

	// Subject is the certificate's subject alternative name, exact, or SubjectPattern matches all of
	// it; Issuer and IssuerPattern the same of the issuer of the subject's token.
	Subject, SubjectPattern string
	Issuer, IssuerPattern   string
}

// expected is a Signer that can be asked.
type expected struct {
	Signer
	subject, issuer *regexp.Regexp
}

// prepare validates s. What would let anybody in is refused.
func (s Signer) prepare() (expected, error) {
	e := expected{Signer: s}
	keyless := s.Subject != "" || s.SubjectPattern != "" || s.Issuer != "" || s.IssuerPattern != ""
	switch {
	case s.SSH != "" && (s.Key != nil || keyless):
		return expected{}, errors.New("an SSH key, another key and the identity of a certificate exclude one another")
	case s.SSH != "":
		return e, nil
	case s.Key != nil && keyless:
		return expected{}, errors.New("a key and the identity of a certificate exclude one another")
	case s.Key != nil:
		return e, nil
	case !keyless:
		return expected{}, errors.New("nobody is named whose signature it should be")
	case (s.Subject == "") == (s.SubjectPattern == ""):
		return expected{}, errors.New("name the certificate's identity, exact or as a pattern")
	case (s.Issuer == "") == (s.IssuerPattern == ""):
		return expected{}, errors.New("name the issuer of the identity's token, exact or as a pattern: whoever issues tokens chooses what they say")
	}
	var err error
	if e.subject, err = whole(s.SubjectPattern); err != nil {
		return expected{}, fmt.Errorf("the pattern of the identity: %w", err)
	}
	if e.issuer, err = whole(s.IssuerPattern); err != nil {
		return expected{}, fmt.Errorf("the pattern of the issuer: %w", err)
	}
	return e, nil
}

// whole compiles a pattern that has to match all of what it is asked.
func whole(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	if len(pattern) > 1024 {
		return nil, errors.New("it is longer than 1024 bytes")
	}
	if _, err := regexp.Compile(pattern); err != nil { // alone, so that it cannot close the group
		return nil, err
	}
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}

// check compares who signed with who should have.
func (e expected) check(who Identity) error {
	ok := func(is, want string, pattern *regexp.Regexp) bool {
		return pattern == nil && is == want || pattern != nil && pattern.MatchString(is)
	}
	if !ok(who.Subject, e.Subject, e.subject) {
		return fmt.Errorf("%w: %.300q, not %.300q", ErrSigner, who.Subject, e.Subject+e.SubjectPattern)
	}
	if !ok(who.Issuer, e.Issuer, e.issuer) {
		return fmt.Errorf("%w: %.300q by the word of %.300q, not of %.300q", ErrSigner, who.Subject, who.Issuer, e.Issuer+e.IssuerPattern)
	}
	return nil
}

// An Identity is who a certificate is for, and what its authority was told of them.
type Identity struct {
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
	// What a CI system's token said about its job: empty for people.
	Repository string `json:"repository,omitempty"`
	Ref        string `json:"ref,omitempty"`
	Commit     string `json:"commit,omitempty"`
	Workflow   string `json:"workflow,omitempty"` // of the job, with its ref
	Event      string `json:"event,omitempty"`
	Runner     string `json:"runner,omitempty"`
	Run        string `json:"run,omitempty"`
}

// claims is who the certificate of a bundle says that it is for. Nobody has verified it.
func (p parsed) claims() (Identity, error) {
	content, err := p.VerificationContent()
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %s", ErrBundle, oneLine(err))
	}
	cert := content.Certificate()
	if cert == nil {
		return Identity{}, fmt.Errorf("%w: it holds no certificate", ErrBundle)
	}
	// Of several names, which one the authority checked is not told.
	if n := len(cert.EmailAddresses) + len(cert.URIs) + len(cert.DNSNames) + len(cert.IPAddresses); n > 1 {
		return Identity{}, fmt.Errorf("%w: its certificate has %d names", ErrChain, n)
	}
	s, err := certificate.SummarizeCertificate(cert)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %s", ErrChain, oneLine(err))
	}
	if s.SubjectAlternativeName == "" || s.Issuer == "" {
		return Identity{}, fmt.Errorf("%w: its certificate names no subject, or no issuer of the subject's token", ErrChain)
	}
	return Identity{
		Subject: s.SubjectAlternativeName, Issuer: s.Issuer, Repository: s.SourceRepositoryURI, Ref: s.SourceRepositoryRef,
		Commit: s.SourceRepositoryDigest, Workflow: s.BuildSignerURI, Event: s.BuildTrigger, Runner: s.RunnerEnvironment, Run: s.RunInvocationURI,
	}, nil
}

// material is the root with one key beside it, whatever the bundle calls the key.
type material struct {
	*root.TrustedRoot
	authorities []root.CertificateAuthority
	key         *root.ExpiringKey
}

// FulcioCertificateAuthorities are those of the root, with what is known of them.
func (m material) FulcioCertificateAuthorities() []root.CertificateAuthority { return m.authorities }

func (m material) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	if m.key == nil {
		return nil, errors.New("it was signed with a key, and no key is expected")
	}
	return m.key, nil
}

// materialFor returns what sigstore-go is to believe. blob says that a file was signed and not a
// statement: then Ed25519 means the variant over a digest first.
func (r *Root) materialFor(key crypto.PublicKey, prehashed bool) (material, error) {
	m := material{TrustedRoot: r.material, authorities: r.authorities}
	if key == nil {
		return m, nil
	}
	var v signature.Verifier
	var err error
	if pub, ok := key.(ed25519.PublicKey); ok && prehashed {
		v, err = signature.LoadED25519phVerifier(pub)
	} else {
		v, err = signature.LoadDefaultVerifier(key)
	}
	if err != nil {
		return material{}, fmt.Errorf("the key cannot be used: %s", oneLine(err))
	}
	m.key = root.NewExpiringKey(v, time.Time{}, time.Time{})
	return m, nil
}

// oneLine keeps the reason of a library's error on one line of bounded length.
func oneLine(err error) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
