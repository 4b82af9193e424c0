package evidence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/sallyport-dev/sallyport/internal/base/runcert"
)

// A trustIdentity is an entry of identities in trust.yaml: who may sign what with a certificate of the
// trusted root.
type trustIdentity struct {
	Name       string         `yaml:"name"`
	Issuer     string         `yaml:"issuer"`
	Subject    string         `yaml:"subject"`
	Repository string         `yaml:"repository"` // URI that the certificate has to name; of CI jobs
	Principal  trustPrincipal `yaml:"principal"`
	Types      []string       `yaml:"types"`
	Grade      string         `yaml:"grade"`
	NotBefore  string         `yaml:"not_before"`
	NotAfter   string         `yaml:"not_after"`

	Revoked *trustRevocation `yaml:"revoked"`
}

// identityHint names who signs with certificates, where keys have their hints.
func identityHint(issuer, subject string) string { return "identity:" + subject + " (" + issuer + ")" }

func (in trustIdentity) parse() (Key, error) {
	for field, v := range map[string]string{"issuer": in.Issuer, "subject": in.Subject} {
		if !validName(v) || strings.ContainsAny(v, "* \t") {
			return Key{}, fmt.Errorf("%s is %.100q: want it whole and exact", field, v)
		}
	}
	if !strings.HasPrefix(in.Issuer, "https://") && !strings.HasPrefix(in.Issuer, "http://") {
		return Key{}, fmt.Errorf("issuer %.100q is no URL", in.Issuer)
	}
	if in.Repository != "" && (!validName(in.Repository) || !strings.Contains(in.Repository, "://") || strings.Contains(in.Repository, "*")) {
		return Key{}, fmt.Errorf("repository is %.100q: want its URI, whole and exact", in.Repository)
	}
	k, err := trustKey{Name: in.Name, Principal: in.Principal, Types: in.Types, Grade: in.Grade, NotBefore: in.NotBefore, NotAfter: in.NotAfter, Revoked: in.Revoked}.parseUse()
	if err != nil {
		return Key{}, err
	}
	k.Identity, k.Repository = identityHint(in.Issuer, in.Subject), in.Repository
	return k, nil
}

// verifyCertificate verifies a bundle that was signed with a certificate, and finds who of the trust
// roots it is of.
func (v *Verifier) verifyCertificate(p parsed) (signed, error) {
	if content, err := p.bundle.VerificationContent(); err == nil && content.Certificate() != nil && runcert.Is(content.Certificate()) {
		return v.verifyRun(p, content.Certificate())
	}
	if v.Keyless == nil {
		return signed{}, fmt.Errorf("%w: it was signed with a certificate, and no trusted root is configured", ErrUnknownKey)
	}
	who, err := v.Keyless.verifyBundle(p)
	if err != nil {
		return signed{}, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
	}
	return v.identity(who)
}

// identity finds who of the trust roots a good certificate is of.
func (v *Verifier) identity(who KeylessSigner) (signed, error) {
	hint := identityHint(who.Issuer, who.Subject)
	keys := slices.DeleteFunc(slices.Clone(v.keys[hint]), func(k Key) bool {
		return k.Identity != hint || k.Repository != "" && k.Repository != who.Claims.Repository
	})
	if len(keys) == 0 {
		return signed{}, fmt.Errorf("%w: %.300q", ErrUnknownKey, hint)
	}
	return signed{hint: hint, keys: keys, who: who}, nil
}

// verifyBundle verifies the envelope of a bundle under its certificate, and that under the trusted root
// at a time that the bundle proves.
func (k *Keyless) verifyBundle(p parsed) (KeylessSigner, error) {
	content, err := p.bundle.VerificationContent()
	if err != nil {
		return KeylessSigner{}, fmt.Errorf("%w: %s", ErrNotVerified, oneLine(err))
	}
	cert := content.Certificate()
	if cert == nil {
		return KeylessSigner{}, fmt.Errorf("%w: it holds no certificate", ErrNotVerified)
	}
	m := p.bundle.GetVerificationMaterial()
	if len(m.GetTlogEntries()) == 0 && len(m.GetTimestampVerificationData().GetRfc3161Timestamps()) == 0 {
		return KeylessSigner{}, ErrNoTime
	}
	v, err := k.verifier(len(m.GetTlogEntries()) > 0)
	if err != nil {
		return KeylessSigner{}, err
	}
	if _, err := v.Verify(p.bundle, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithoutIdentitiesUnsafe())); err != nil {
		return KeylessSigner{}, fmt.Errorf("%w: %s", ErrNotVerified, oneLine(err))
	}
	return signerOf(cert)
}

// verifier returns sigstore-go's, that asks for a proven time, for the log if there are entries, and for
// a signed certificate timestamp if the trusted root names logs of certificates.
func (k *Keyless) verifier(logged bool) (*verify.Verifier, error) {
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if logged {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(k.material.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	v, err := verify.NewVerifier(k.material, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNotVerified, oneLine(err))
	}
	return v, nil
}
