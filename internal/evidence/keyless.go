package evidence

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-dev/sallyport/internal/base/cms"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
)

// MaxTrustedRoot is the largest trusted root that is read, in bytes.
const MaxTrustedRoot = 1 << 20

// Errors of keyless signatures. Every other error means that the signature is bad.
var (
	// ErrNoTime: nothing that can be verified offline says when the signature was made.
	ErrNoTime = errors.New("nothing in it proves when it was made, and its certificate is valid for minutes only")
	// ErrUntrustedCA: the certificate is of no authority of the trusted root.
	ErrUntrustedCA = errors.New("its certificate is of no authority of the trusted root")
	// ErrOutsideValidity: what proves the time proves one at which the certificate was not valid.
	ErrOutsideValidity = errors.New("it was made while its certificate was not valid")
	// ErrNotVerified: sigstore-go does not verify it, for another reason.
	ErrNotVerified = errors.New("it does not verify against the trusted root")
)

// Where gitsign puts what proves the time: Rekor's entry, and an RFC 3161 timestamp over the
// signature.
const (
	oidRekorEntry = "1.3.6.1.4.1.57264.3.1"
	oidTimestamp  = "1.2.840.113549.1.9.16.2.14"
)

// A Keyless verifies what certificate authorities such as Fulcio vouch for: signatures under
// certificates that live for minutes. It asks no server. It is safe for concurrent use.
type Keyless struct {
	material root.TrustedMaterial
}

// A KeylessSigner is who made a signature, according to its certificate and the trusted root.
type KeylessSigner struct {
	Issuer  string // of the token by which the authority knew the subject
	Subject string // the certificate's subject alternative name
	// Claims are what a CI system's token said about its job. They are empty for a person.
	Claims Claims
}

// Claims are what a CI system says about the job that asked for a certificate, or whose token was
// verified; see the extensions 1.3.6.1.4.1.57264.1.8 and following of Fulcio's certificates.
type Claims struct {
	Repository string `json:"repository,omitempty"` // URI of the repository
	Ref        string `json:"ref,omitempty"`        // fully qualified
	SHA        string `json:"sha,omitempty"`        // commit that the job was started for
	Workflow   string `json:"workflow,omitempty"`   // URI of the build's definition, with its ref
	Event      string `json:"event,omitempty"`      // that started it
	Runner     string `json:"runner,omitempty"`     // github-hosted, gitlab-hosted or self-hosted
	Run        string `json:"run,omitempty"`        // URI of the run
}

// ParseTrustedRoot reads a Sigstore trusted root (application/vnd.dev.sigstore.trustedroot+json).
func ParseTrustedRoot(b []byte) (*Keyless, error) {
	if err := strict.CheckJSON(b, MaxTrustedRoot); err != nil {
		return nil, fmt.Errorf("read trusted root: %w", err)
	}
	tr, err := root.NewTrustedRootFromJSON(b)
	if err != nil {
		return nil, fmt.Errorf("read trusted root: %s", oneLine(err))
	}
	if len(tr.FulcioCertificateAuthorities()) == 0 && len(tr.TimestampingAuthorities()) == 0 {
		return nil, errors.New("read trusted root: it names no certificate authority and no timestamp authority")
	}
	return &Keyless{sigstore.Quick(tr)}, nil
}

// VerifyCommit verifies an armoured CMS signature, as gitsign makes them, over message.
//
// The certificate must chain to an authority of the trusted root, carry a signed certificate
// timestamp if the root names logs of certificates, and have been valid at a time that a Rekor entry
// or an RFC 3161 timestamp inside the signature proves. What gitsign writes by default has neither,
// since it looks the entry up online: that is ErrNoTime.
func (k *Keyless) VerifyCommit(sig, message []byte) (KeylessSigner, error) {
	s, err := cms.Parse(sig)
	if err != nil {
		return KeylessSigner{}, err
	}
	if err := s.Verify(message); err != nil {
		return KeylessSigner{}, err
	}
	if !k.chains(s) {
		return KeylessSigner{}, fmt.Errorf("%w: %s", ErrUntrustedCA, oneLine(errors.New(s.Certificate.Issuer.String())))
	}
	pb, err := commitBundle(s)
	if err != nil {
		return KeylessSigner{}, err
	}
	m := pb.GetVerificationMaterial()
	v, err := k.verifier(len(m.GetTlogEntries()) > 0)
	if err != nil {
		return KeylessSigner{}, err
	}
	b, err := bundle.NewBundle(pb)
	if err != nil {
		return KeylessSigner{}, fmt.Errorf("%w: %s", ErrNotVerified, oneLine(err))
	}
	if _, err := v.Verify(b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(s.Attributes)), verify.WithoutIdentitiesUnsafe())); err != nil {
		if at, ok := k.provenTime(s, m); ok && (at.Before(s.Certificate.NotBefore) || at.After(s.Certificate.NotAfter)) {
			return KeylessSigner{}, fmt.Errorf("%w: at %s, and it was from %s to %s", ErrOutsideValidity, at.UTC().Format(time.RFC3339),
				s.Certificate.NotBefore.UTC().Format(time.RFC3339), s.Certificate.NotAfter.UTC().Format(time.RFC3339))
		}
		return KeylessSigner{}, fmt.Errorf("%w: %s", ErrNotVerified, oneLine(err))
	}
	return signerOf(s.Certificate)
}

// signerOf reads who the certificate is of. A certificate with several names is nobody's: which of
// them the authority checked is not told.
func signerOf(c *x509.Certificate) (KeylessSigner, error) {
	if n := len(c.EmailAddresses) + len(c.URIs) + len(c.DNSNames) + len(c.IPAddresses); n > 1 {
		return KeylessSigner{}, fmt.Errorf("%w: its certificate has %d names", ErrNotVerified, n)
	}
	sum, err := certificate.SummarizeCertificate(c)
	if err != nil {
		return KeylessSigner{}, fmt.Errorf("%w: %s", ErrNotVerified, oneLine(err))
	}
	if sum.SubjectAlternativeName == "" || sum.Issuer == "" {
		return KeylessSigner{}, fmt.Errorf("%w: its certificate names no subject, or no issuer of the subject's token", ErrNotVerified)
	}
	return KeylessSigner{Issuer: sum.Issuer, Subject: sum.SubjectAlternativeName, Claims: Claims{
		Repository: sum.SourceRepositoryURI, Ref: sum.SourceRepositoryRef, SHA: sum.SourceRepositoryDigest,
		Workflow: sum.BuildSignerURI, Event: sum.BuildTrigger, Runner: sum.RunnerEnvironment, Run: sum.RunInvocationURI,
	}}, nil
}

// chains reports whether the certificate is of an authority of the root at the time of its own
// beginning. Whether it was valid when it signed is asked later, of what proves the time.
func (k *Keyless) chains(s *cms.Signature) bool {
	for _, ca := range k.material.FulcioCertificateAuthorities() {
		if _, err := ca.Verify(s.Certificate, s.Certificate.NotBefore); err == nil {
			return true
		}
	}
	return false
}

// commitBundle is the signature as a Sigstore bundle, in which sigstore-go can verify it: what was
// signed are the attributes of the CMS signature, which name the message.
func commitBundle(s *cms.Signature) (*protobundle.Bundle, error) {
	digest := sha256.Sum256(s.Attributes)
	m := &protobundle.VerificationMaterial{}
	media := BundleMediaType
	if der, ok := s.Unsigned(oidRekorEntry); ok {
		e, err := rekorEntry(der, digest[:], s)
		if err != nil {
			return nil, err
		}
		m.TlogEntries = []*protorekor.TransparencyLogEntry{e}
		if e.GetInclusionProof() == nil {
			media = "application/vnd.dev.sigstore.bundle+json;version=0.1"
		}
	}
	if der, ok := s.Unsigned(oidTimestamp); ok {
		// The attribute holds the token; a bundle holds the response that brought it: granted.
		resp, err := asn1.Marshal(struct {
			Status struct{ Status int }
			Token  asn1.RawValue
		}{Token: asn1.RawValue{FullBytes: der}})
		if err != nil {
			return nil, fmt.Errorf("%w: its timestamp: %s", ErrNotVerified, oneLine(err))
		}
		m.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: resp}}}
	}
	if m.TlogEntries == nil && m.TimestampVerificationData == nil {
		return nil, fmt.Errorf("%w (gitsign: set gitsign.rekorMode to offline, or a timestampServerURL)", ErrNoTime)
	}
	leaf := &protocommon.X509Certificate{RawBytes: s.Certificate.Raw}
	if media == BundleMediaType {
		m.Content = &protobundle.VerificationMaterial_Certificate{Certificate: leaf}
	} else {
		m.Content = &protobundle.VerificationMaterial_X509CertificateChain{
			X509CertificateChain: &protocommon.X509CertificateChain{Certificates: []*protocommon.X509Certificate{leaf}}}
	}
	return &protobundle.Bundle{MediaType: media, VerificationMaterial: m, Content: &protobundle.Bundle_MessageSignature{
		MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: digest[:]},
			Signature:     s.Signature,
		}}}, nil
}

// rekorEntry reads Rekor's entry. Its body is made anew from what the signature shows, so that
// an entry about something else does not verify.
func rekorEntry(der, digest []byte, s *cms.Signature) (*protorekor.TransparencyLogEntry, error) {
	var raw []byte
	if rest, err := asn1.Unmarshal(der, &raw); err != nil || len(rest) != 0 {
		return nil, fmt.Errorf("%w: its log entry cannot be read", ErrNotVerified)
	}
	e := new(protorekor.TransparencyLogEntry)
	if err := proto.Unmarshal(raw, e); err != nil {
		return nil, fmt.Errorf("%w: its log entry: %s", ErrNotVerified, oneLine(err))
	}
	if kv := e.GetKindVersion(); kv.GetKind() != "hashedrekord" || kv.GetVersion() != "0.0.1" {
		return nil, fmt.Errorf("%w: its log entry is a %.40q %.20q, want a hashedrekord 0.0.1", ErrNotVerified, kv.GetKind(), kv.GetVersion())
	}
	body, err := hashedRekord(digest, s)
	if err != nil {
		return nil, err
	}
	e.CanonicalizedBody = body
	return e, nil
}

// hashedRekord is the canonical body of Rekor's hashedrekord 0.0.1, whose keys are in the order of
// the alphabet.
func hashedRekord(digest []byte, s *cms.Signature) ([]byte, error) {
	var e struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			Data struct {
				Hash struct {
					Algorithm string `json:"algorithm"`
					Value     string `json:"value"`
				} `json:"hash"`
			} `json:"data"`
			Signature struct {
				Content   string `json:"content"`
				PublicKey struct {
					Content string `json:"content"`
				} `json:"publicKey"`
			} `json:"signature"`
		} `json:"spec"`
	}
	e.APIVersion, e.Kind = "0.0.1", "hashedrekord"
	e.Spec.Data.Hash.Algorithm, e.Spec.Data.Hash.Value = "sha256", hex.EncodeToString(digest)
	e.Spec.Signature.Content = base64.StdEncoding.EncodeToString(s.Signature)
	e.Spec.Signature.PublicKey.Content = base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate.Raw}))
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNotVerified, oneLine(err))
	}
	return b, nil
}

// provenTime returns the time that what travelled with the signature proves, whatever the
// certificate says about it. It is only asked to tell why a signature does not verify.
func (k *Keyless) provenTime(s *cms.Signature, m *protobundle.VerificationMaterial) (time.Time, bool) {
	for _, ts := range m.GetTimestampVerificationData().GetRfc3161Timestamps() {
		for _, tsa := range k.material.TimestampingAuthorities() {
			if t, err := tsa.Verify(ts.GetSignedTimestamp(), s.Signature); err == nil {
				return t.Time, true
			}
		}
	}
	for _, tle := range m.GetTlogEntries() {
		e, err := tlog.ParseTransparencyLogEntry(tle)
		if err == nil && e.HasInclusionPromise() && tlog.VerifySET(e, k.material.RekorLogs()) == nil {
			return e.IntegratedTime(), true
		}
	}
	return time.Time{}, false
}
