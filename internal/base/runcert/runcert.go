// Package runcert defines run certificates: X.509 certificates by which a certificate authority says
// that a key belongs to one run of an agent or a job, for minutes.
//
// A run certificate is an X.509 v3 certificate that says one thing in one way:
//
//   - Its key is Ed25519 or ECDSA P-256.
//   - It is valid for at most [MaxValidity], and its serial number is random.
//   - Its subject alternative name is one URI, [Binding.URI], and nothing else:
//     https://sallyport.dev/run/REPOSITORY/RUN, both percent-encoded.
//   - It holds the extension [OID], critical, whose value is the JSON of [Binding] as
//     [sallyport.EncodeJSON] writes it: run, repository, principal, operator, audience, and what keeps
//     the key's holder out of the agent's reach.
//   - Its key usage is digitalSignature, its extended key usage codeSigning, each alone, and it is no
//     authority itself.
//   - Its authority key identifier is the first 20 bytes of the SHA-256 of the authority's
//     SubjectPublicKeyInfo (RFC 7093, method 1). The authority is known by its public key alone: its
//     own certificate, if it has one, is not asked for.
//
// The extension is critical so that nobody takes such a certificate for an ordinary one and passes over
// what it is bound to; another extension that is critical is refused for the same reason. [Parse] refuses
// every other shape, so that no two readers understand a certificate differently.
//
// What a run's key signs counts only if it names the same run and repository, and no other principal or operator where its type names one:
// [Binding.Covers] knows where each predicate type says so, and refuses the types of which it does
// not. Whether an authority may speak for a repository, and when the key signed, is for the caller to
// settle.
//
// The OID lies under 2.999, the arc for examples, which nobody owns: Sallyport has no arc of its own
// yet, and borrows nobody's. The type inside says what the document is.
package runcert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Limits of a run certificate.
const (
	DefaultValidity = 15 * time.Minute
	MaxValidity     = time.Hour
	MaxSize         = 16 << 10 // bytes of DER

	maxName  = 256
	maxURI   = 1024
	backdate = time.Minute // a certificate begins this much before it is issued, for clocks that are late
)

// bindingType says what the extension's document is.
const bindingType = "https://sallyport.dev/run-certificate/v1"

// uriPrefix begins every subject alternative name.
const uriPrefix = "https://sallyport.dev/run/"

// OID returns the object identifier of the extension.
func OID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 999, 7283, 1} }

// Why something is no good run certificate. Every error of this package wraps exactly one.
var (
	ErrBinding   = errors.New("what the run certificate should be bound to is not valid")
	ErrMalformed = errors.New("the run certificate is malformed")
	ErrCritical  = errors.New("the run certificate has a critical extension that is not known")
	ErrAuthority = errors.New("the run certificate would make its holder an authority")
	ErrUsage     = errors.New("the run certificate is for another use")
	ErrName      = errors.New("the run certificate's name is not what it is bound to")
	ErrValidity  = errors.New("the run certificate is valid for too long")
	ErrIssuer    = errors.New("the run certificate is not signed by the authority that it names")
	ErrKey       = errors.New("the run certificate's key is neither Ed25519 nor ECDSA P-256")
	ErrOther     = errors.New("the statement is not about what the run certificate is bound to")
)

// A Binding is what a run's key is bound to. The zero Binding is not valid.
type Binding struct {
	RunID      string
	Repository string // as the configuration names it
	// Principal is whose word the key's signatures are: a workload, an agent or a bot.
	Principal sallyport.Principal
	Operator  string // id in the roster of the person who started the run; empty for none
	Audience  string // who is meant to rely on it; empty for anybody who trusts the authority
	// Separation says what keeps the key's holder out of the agent's reach.
	Separation predicate.Separation
}

type bindingJSON struct {
	Type       string              `json:"type"`
	RunID      string              `json:"runId"`
	Repository string              `json:"repository"`
	Principal  sallyport.Principal `json:"principal"`
	Operator   string              `json:"operator,omitempty"`
	Audience   string              `json:"audience,omitempty"`
	Separation string              `json:"separation"`
}

// Validate checks the shape of b.
func (b Binding) Validate() error {
	for _, f := range []struct {
		name, value string
		limit       int
		optional    bool
	}{
		{"run id", b.RunID, maxName, false}, {"repository", b.Repository, maxURI, false}, {"principal's name", b.Principal.Name, maxName, false},
		{"operator", b.Operator, maxName, true}, {"audience", b.Audience, maxURI, true},
	} {
		switch {
		case f.value == "" && f.optional:
		case f.value == "":
			return fmt.Errorf("%w: the %s is missing", ErrBinding, f.name)
		case len(f.value) > f.limit || strings.ToValidUTF8(f.value, "") != f.value || strings.TrimSpace(f.value) != f.value ||
			strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return fmt.Errorf("%w: the %s is not one printable line of at most %d bytes", ErrBinding, f.name, f.limit)
		}
	}
	if strings.ContainsAny(b.RunID+b.Repository, " *") {
		return fmt.Errorf("%w: run id and repository are exact, without spaces and asterisks", ErrBinding)
	}
	switch b.Principal.Kind {
	case sallyport.Workload, sallyport.Agent, sallyport.Bot:
	default:
		// A person approves with a key of their own, which outlives a run.
		return fmt.Errorf("%w: the principal's kind is %.20q, want workload, agent or bot", ErrBinding, b.Principal.Kind)
	}
	switch b.Separation {
	case predicate.SeparationNone, predicate.SeparationUID, predicate.SeparationHost, predicate.SeparationEnclave:
		return nil
	}
	return fmt.Errorf("%w: the separation is %.20q, want none, uid, host or enclave", ErrBinding, b.Separation)
}

// URI returns the subject alternative name of a certificate for b.
func (b Binding) URI() string {
	return uriPrefix + url.PathEscape(b.Repository) + "/" + url.PathEscape(b.RunID)
}

func (b Binding) encode() ([]byte, error) {
	return sallyport.EncodeJSON(bindingJSON{Type: bindingType, RunID: b.RunID, Repository: b.Repository, Principal: b.Principal,
		Operator: b.Operator, Audience: b.Audience, Separation: string(b.Separation)})
}

// decode reads what encode wrote, and no other spelling of it.
func decode(raw []byte) (Binding, error) {
	var in bindingJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return Binding{}, fmt.Errorf("%w: its extension is no JSON of ours", ErrMalformed)
	}
	if in.Type != bindingType {
		return Binding{}, fmt.Errorf("%w: its extension is of type %.100q, want %q", ErrMalformed, in.Type, bindingType)
	}
	b := Binding{RunID: in.RunID, Repository: in.Repository, Principal: in.Principal, Operator: in.Operator, Audience: in.Audience,
		Separation: predicate.Separation(in.Separation)}
	if err := b.Validate(); err != nil {
		return Binding{}, fmt.Errorf("%w: %s", ErrMalformed, err)
	}
	if again, err := b.encode(); err != nil || !bytes.Equal(raw, again) {
		return Binding{}, fmt.Errorf("%w: its extension is not spelt the one way it can be", ErrMalformed)
	}
	return b, nil
}

// Issue has the authority sign a certificate for pub, from now on for as long as validity.
func Issue(ca crypto.Signer, pub crypto.PublicKey, b Binding, now time.Time, validity time.Duration) ([]byte, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	if validity < time.Minute || validity > MaxValidity {
		return nil, fmt.Errorf("%w: %v, want one minute to %v", ErrValidity, validity, MaxValidity)
	}
	if !suits(pub) {
		return nil, ErrKey
	}
	name, err := url.Parse(b.URI())
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrBinding, err)
	}
	ext, err := b.encode()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrBinding, err)
	}
	aki, err := KeyID(ca.Public())
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	from := now.UTC().Truncate(time.Second).Add(-backdate)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		NotBefore:    from, NotAfter: from.Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		URIs:            []*url.URL{name},
		ExtraExtensions: []pkix.Extension{{Id: OID(), Critical: true, Value: ext}},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "Sallyport run authority"}, SubjectKeyId: aki, PublicKey: ca.Public()}, pub, ca)
	if err != nil {
		return nil, fmt.Errorf("sign the run certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("check the run certificate: %w", err)
	}
	if got, err := Parse(c); err != nil || got != b {
		return nil, fmt.Errorf("check the run certificate: %w", errors.Join(err, ErrBinding))
	}
	return der, CheckIssuer(c, ca.Public())
}

// Is reports whether a certificate claims to be a run certificate.
func Is(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(OID()) })
}

// Known extensions beside ours: authority key identifier, key usage, extended key usage, subject
// alternative name, basic constraints, subject key identifier.
func known(id asn1.ObjectIdentifier) bool {
	return id.Equal(OID()) || len(id) == 4 && id[0] == 2 && id[1] == 5 && id[2] == 29 && slices.Contains([]int{35, 15, 37, 17, 19, 14}, id[3])
}

// Parse checks the shape of a certificate and returns what it is bound to. It does not look at who
// signed it.
func Parse(c *x509.Certificate) (Binding, error) {
	var ext *pkix.Extension
	for i, e := range c.Extensions {
		switch {
		case e.Id.Equal(OID()):
			ext = &c.Extensions[i] // no extension stands twice: crypto/x509 refuses that
		case e.Critical && !known(e.Id):
			return Binding{}, fmt.Errorf("%w: %s", ErrCritical, e.Id)
		}
	}
	switch {
	case len(c.Raw) > MaxSize || c.Version != 3 || c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() < 32:
		return Binding{}, fmt.Errorf("%w: its size, version or serial number is not what is issued", ErrMalformed)
	case ext == nil:
		return Binding{}, fmt.Errorf("%w: it is bound to no run", ErrMalformed)
	case !ext.Critical:
		return Binding{}, fmt.Errorf("%w: what it is bound to is not critical", ErrMalformed)
	case c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return Binding{}, ErrAuthority
	case c.KeyUsage != x509.KeyUsageDigitalSignature, len(c.UnknownExtKeyUsage) != 0, !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}):
		return Binding{}, fmt.Errorf("%w: want digitalSignature and codeSigning, and nothing else", ErrUsage)
	case !suits(c.PublicKey):
		return Binding{}, ErrKey
	case !c.NotAfter.After(c.NotBefore) || c.NotAfter.Sub(c.NotBefore) > MaxValidity:
		return Binding{}, fmt.Errorf("%w: %v, the limit is %v", ErrValidity, c.NotAfter.Sub(c.NotBefore), MaxValidity)
	}
	b, err := decode(ext.Value)
	if err != nil {
		return Binding{}, err
	}
	if !namedOnly(c, b.URI()) {
		return Binding{}, fmt.Errorf("%w: want %.300q alone", ErrName, b.URI())
	}
	return b, nil
}

// namedOnly reports whether a certificate's one name is uri. The extension is read here, since
// crypto/x509 passes over kinds of names that it does not know.
func namedOnly(c *x509.Certificate, uri string) bool {
	for _, e := range c.Extensions {
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var names []asn1.RawValue
		rest, err := asn1.Unmarshal(e.Value, &names)
		return err == nil && len(rest) == 0 && len(names) == 1 && names[0].Class == asn1.ClassContextSpecific && names[0].Tag == 6 && string(names[0].Bytes) == uri
	}
	return false
}

func suits(pub crypto.PublicKey) bool {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256()
	}
	return false
}

// KeyID returns the identifier by which a certificate names its authority's key.
func KeyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrIssuer, err)
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

// CheckIssuer checks that the authority with this public key signed c.
func CheckIssuer(c *x509.Certificate, ca crypto.PublicKey) error {
	id, err := KeyID(ca)
	if err != nil {
		return err
	}
	parent := &x509.Certificate{PublicKey: ca}
	switch ca.(type) {
	case ed25519.PublicKey:
		parent.PublicKeyAlgorithm = x509.Ed25519
	case *ecdsa.PublicKey:
		parent.PublicKeyAlgorithm = x509.ECDSA
	default:
		parent.PublicKeyAlgorithm = x509.RSA
	}
	if !bytes.Equal(c.AuthorityKeyId, id) {
		return fmt.Errorf("%w: it names another key", ErrIssuer)
	}
	switch c.SignatureAlgorithm {
	case x509.PureEd25519, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.SHA256WithRSA:
	default:
		return fmt.Errorf("%w: its signature is of kind %s", ErrIssuer, c.SignatureAlgorithm)
	}
	if err := parent.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return fmt.Errorf("%w: the signature does not verify", ErrIssuer)
	}
	return nil
}
