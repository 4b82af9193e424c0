package sigstore

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

const inTotoPayload = "application/vnd.in-toto+json"

// mediaTypes are those of the bundles that are read.
var mediaTypes = []string{
	"application/vnd.dev.sigstore.bundle.v0.3+json",
	"application/vnd.dev.sigstore.bundle+json;version=0.3",
	"application/vnd.dev.sigstore.bundle+json;version=0.2",
	"application/vnd.dev.sigstore.bundle+json;version=0.1",
}

// A Result is what a bundle proves.
type Result struct {
	MediaType string    `json:"media_type"`
	Identity  *Identity `json:"identity,omitempty"` // of the certificate; nil with a key
	KeyHint   string    `json:"key_hint,omitempty"` // as the bundle calls the key: nobody vouches for it
	Times     []Time    `json:"times"`
	Entries   []Entry   `json:"entries"` // that verified
	// Statement is the in-toto statement that was signed, as bytes; nil if a file was signed.
	Statement     []byte `json:"-"`
	PredicateType string `json:"predicate_type,omitempty"` // of the statement
	// Change is what a statement of gittuf authorises.
	Change *RefChange `json:"change,omitempty"`
}

// An Entry is one in a transparency log.
type Entry struct {
	Log   string `json:"log"` // its URL, or its key's id
	Index int64  `json:"index"`
	Kind  string `json:"kind"` // hashedrekord, dsse, intoto, with the version
}

// Verify verifies a bundle over an artifact. The Result of an error is the zero Result.
func (r *Root) Verify(raw []byte, a Artifact, by Signer) (Result, error) {
	p, err := parse(raw)
	if err != nil {
		return Result{}, err
	}
	return r.verify(p, a, by)
}

// parsed is a bundle that can be read, not verified.
type parsed struct {
	*entity
	statement []byte // or nil
	read      statement
	digest    *protocommon.HashOutput
	cert      bool
}

func parse(raw []byte) (parsed, error) {
	if err := strict.CheckJSON(raw, MaxBundle); err != nil {
		return parsed{}, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	pb := new(protobundle.Bundle)
	if err := protojson.Unmarshal(raw, pb); err != nil {
		return parsed{}, fmt.Errorf("%w: %s", ErrBundle, oneLine(err))
	}
	return newParsed(pb)
}

func newParsed(pb *protobundle.Bundle) (parsed, error) {
	b, err := newEntity(pb)
	if err != nil {
		return parsed{}, fmt.Errorf("%w: %s", ErrBundle, oneLine(err))
	}
	if !slices.Contains(mediaTypes, b.GetMediaType()) {
		return parsed{}, fmt.Errorf("%w: its media type %.100q is not known", ErrBundle, b.GetMediaType())
	}
	p := parsed{entity: b}
	switch c := b.GetContent().(type) {
	case *protobundle.Bundle_DsseEnvelope:
		if n := len(c.DsseEnvelope.GetSignatures()); n != 1 {
			return parsed{}, fmt.Errorf("%w: its envelope has %d signatures, want one", ErrBundle, n)
		}
		if t := c.DsseEnvelope.GetPayloadType(); t != inTotoPayload {
			return parsed{}, fmt.Errorf("%w: its payload type is %.100q, not %q", ErrBundle, t, inTotoPayload)
		}
		if p.read, err = readStatement(c.DsseEnvelope.GetPayload()); err != nil {
			return parsed{}, err
		}
		p.statement = c.DsseEnvelope.GetPayload()
	case *protobundle.Bundle_MessageSignature:
		if p.digest = c.MessageSignature.GetMessageDigest(); p.digest == nil || len(c.MessageSignature.GetSignature()) == 0 {
			return parsed{}, fmt.Errorf("%w: it holds no signature, or does not say over which digest", ErrBundle)
		}
	default:
		return parsed{}, fmt.Errorf("%w: it holds neither a signature nor an envelope", ErrBundle)
	}
	switch b.GetVerificationMaterial().GetContent().(type) {
	case *protobundle.VerificationMaterial_Certificate, *protobundle.VerificationMaterial_X509CertificateChain:
		p.cert = true
	case *protobundle.VerificationMaterial_PublicKey:
	default:
		return parsed{}, fmt.Errorf("%w: it holds neither a certificate nor the name of a key", ErrBundle)
	}
	return p, nil
}

func (r *Root) verify(p parsed, a Artifact, by Signer) (Result, error) {
	e, err := by.prepare()
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	switch {
	case e.SSH != "":
		return Result{}, fmt.Errorf("%w: it is not signed with an SSH key, and one is expected", ErrSigner)
	case e.Key == nil && !p.cert:
		return Result{}, fmt.Errorf("%w: with a key, and a certificate's identity is expected", ErrSigner)
	case e.Key != nil && p.cert:
		// What a certificate's key signed can verify under the plain key; whose it is would be lost.
		return Result{}, fmt.Errorf("%w: with a certificate, and a key is expected", ErrSigner)
	}
	about, err := p.artifact(a, e)
	if err != nil {
		return Result{}, err
	}
	v, err := r.verifier(p, e)
	if err != nil {
		return Result{}, err
	}
	policy := []verify.PolicyOption{verify.WithoutIdentitiesUnsafe()} // compared below, whole
	if e.Key != nil {
		policy = []verify.PolicyOption{verify.WithKey()}
	}
	res, err := v.Verify(p.entity, verify.NewPolicy(about, policy...))
	if err != nil {
		return Result{}, classify(err)
	}
	out := Result{MediaType: p.GetMediaType(), Statement: p.statement, Times: []Time{}, Entries: []Entry{}}
	if p.statement != nil {
		if err := p.read.about(a); err != nil {
			return Result{}, err
		}
		out.PredicateType = p.read.predicateType
	}
	if p.cert {
		who, err := p.claims() // verified by now
		if err != nil {
			return Result{}, err
		}
		if err := e.check(who); err != nil {
			return Result{}, err
		}
		out.Identity = &who
	} else {
		out.KeyHint = p.GetVerificationMaterial().GetPublicKey().GetHint()
	}
	for _, t := range res.VerifiedTimestamps {
		kind := "timestamp-authority"
		if t.Type == "Tlog" {
			kind = "log"
		}
		out.Times = append(out.Times, Time{kind, t.URI, t.Timestamp.UTC()})
	}
	if !e.IgnoreLog || p.cert {
		out.Entries = r.entries(p)
	}
	return out, nil
}

var errNoArtifact = fmt.Errorf("%w: no artifact is named", ErrArtifact)

// signs returns the artifact's digest under the algorithm that the bundle's signature over a file names,
// if it is the one that was signed.
func (p parsed) signs(a Artifact) (name string, sum []byte, err error) {
	if !a.Known() {
		return "", nil, errNoArtifact
	}
	switch p.digest.GetAlgorithm() {
	case protocommon.HashAlgorithm_SHA2_256:
		name = "sha256"
	case protocommon.HashAlgorithm_SHA2_384:
		name = "sha384"
	case protocommon.HashAlgorithm_SHA2_512:
		name = "sha512"
	default:
		return "", nil, fmt.Errorf("%w: its digest algorithm is not SHA-256, SHA-384 or SHA-512", ErrBundle)
	}
	sum, ok := a.sums[name]
	if !ok {
		return "", nil, fmt.Errorf("%w: it signs a %s digest, and that of the artifact is not known", ErrArtifact, name)
	}
	if !bytes.Equal(sum, p.digest.GetDigest()) {
		return "", nil, fmt.Errorf("%w: it signs %s:%x", ErrArtifact, name, p.digest.GetDigest())
	}
	return name, sum, nil
}

// artifact says to sigstore-go what the signature has to be about.
func (p parsed) artifact(a Artifact, e expected) (verify.ArtifactPolicyOption, error) {
	if p.statement != nil {
		if !a.Known() {
			return nil, errNoArtifact
		}
		return verify.WithoutArtifactUnsafe(), nil // compared below, more strictly
	}
	name, sum, err := p.signs(a)
	if err != nil {
		return nil, err
	}
	if _, plain := e.Key.(ed25519.PublicKey); plain && name != "sha512" {
		b, err := a.whole()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSignature, err)
		}
		return verify.WithArtifact(bytes.NewReader(b)), nil
	}
	return verify.WithArtifactDigest(name, sum), nil
}

// verifier returns sigstore-go's, which asks for what the package comment says.
func (r *Root) verifier(p parsed, e expected) (*verify.Verifier, error) {
	m, err := r.materialFor(e.Key, p.statement == nil && p.digest.GetAlgorithm() == protocommon.HashAlgorithm_SHA2_512)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	vm := p.GetVerificationMaterial()
	options := []verify.VerifierOption{verify.WithoutStatementPredicate()}
	known, err := r.known(p)
	if err != nil {
		return nil, err
	}
	if p.cert {
		options = append(options, verify.WithObserverTimestamps(1))
		if len(m.RekorLogs()) > 0 {
			options = append(options, verify.WithTransparencyLog(max(1, known)))
		}
		if len(m.CTLogs()) > 0 {
			options = append(options, verify.WithSignedCertificateTimestamps(1))
		}
	} else {
		logged := len(vm.GetTlogEntries()) > 0 && !e.IgnoreLog
		if logged || e.Logged {
			options = append(options, verify.WithTransparencyLog(max(1, known)))
		}
		promised := slices.ContainsFunc(vm.GetTlogEntries(), promises)
		stamped := len(vm.GetTimestampVerificationData().GetRfc3161Timestamps()) > 0 && r.stampedBy()
		if (logged || e.Logged) && promised || stamped {
			options = append(options, verify.WithObserverTimestamps(1))
		} else {
			options = append(options, verify.WithNoObserverTimestamps())
		}
	}
	v, err := verify.NewVerifier(m, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrBundle, oneLine(err))
	}
	return v, nil
}

// classify finds which step of sigstore-go's verification failed. Its errors are sentences; what
// stands at their beginning is stable, and everything else is a signature that does not verify.
func classify(err error) error {
	s := err.Error()
	for _, c := range []struct {
		prefix string
		kind   error
	}{
		{"failed to verify log inclusion", ErrLog},
		{"failed to verify timestamps", ErrTime},
		{"failed to verify leaf certificate", ErrChain},
		{"failed to verify signed certificate timestamp", ErrChain},
		{"failed to summarize certificate", ErrChain},
		{"signature time outside", ErrTime},
	} {
		if strings.HasPrefix(s, c.prefix) {
			reason := strings.TrimPrefix(strings.TrimPrefix(s, c.prefix), ": ")
			return fmt.Errorf("%w: %s", c.kind, oneLine(errors.New(reason)))
		}
	}
	return fmt.Errorf("%w: %s", ErrSignature, oneLine(errors.New(strings.TrimPrefix(s, "failed to verify signature: "))))
}
