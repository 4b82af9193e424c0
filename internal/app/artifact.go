package app

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/checksum"
	"github.com/sallyport-dev/sallyport/internal/base/openpgp"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
)

// ArtifactOptions say what has to be signed, and by whom. No repository is looked at.
type ArtifactOptions struct {
	Subject string   // a file, sha256:… (sha384, sha512), or oci:REF for an image in a registry
	Bundles []string // files that hold signatures; empty: those beside the subject
	Type    string   // a statement of this predicate type, instead of a signature over the file
	AnyType bool     // a signature over the file, or a statement of any type: what it says is not asked

	Key         string // a public key file: PEM, an OpenPGP certificate, or an SSH key
	TrustedRoot string // a Sigstore trusted root file; empty: the public instance's, as shipped
	Signature   string // a detached signature file, with a certificate and a log entry beside it
	Certificate string
	Offline     bool // fail rather than ask a registry
	Logged      bool // with a key: an entry of a log is needed as well
	IgnoreLog   bool // with a key: log entries are passed over

	Identity, IdentityPattern string // whom a certificate is for
	Issuer, IssuerPattern     string

	// Checksums is a file of checksums: the subject has to stand in it, and the file is what has to be
	// signed.
	Checksums string
}

// A Signature is one that was found, and what became of it.
type Signature struct {
	Source   string             `json:"source"`
	Format   string             `json:"format"` // bundle, envelope, cosign-bundle, signature, openpgp
	Verified bool               `json:"verified"`
	Why      string             `json:"why,omitempty"` // not
	Type     string             `json:"predicate_type,omitempty"`
	Identity *sigstore.Identity `json:"identity,omitempty"`
	Key      string             `json:"key,omitempty"` // that signed
	Times    []sigstore.Time    `json:"times,omitempty"`
	Entries  []sigstore.Entry   `json:"entries,omitempty"`
	// Change is what a statement of gittuf authorises.
	Change *sigstore.RefChange `json:"change,omitempty"`
}

// An ArtifactVerification is what verifying an artifact gave.
type ArtifactVerification struct {
	Subject    string             `json:"subject"`
	Digests    []sallyport.Digest `json:"digests"`
	Checksums  string             `json:"checksums,omitempty"` // the file that vouches for the subject
	Signatures []Signature        `json:"signatures"`
	Looked     []string           `json:"looked"`
	Root       string             `json:"trusted_root"` // what vouched for certificates, entries and times
	named      bool               // a signature that the caller named failed
}

// ExitStatus is 0 if a signature verifies and none that the caller named fails.
func (v ArtifactVerification) ExitStatus() int {
	for _, s := range v.Signatures {
		if s.Verified && !v.named {
			return sallyport.ExitOpen
		}
	}
	return sallyport.ExitShut
}

// VerifyArtifact verifies signatures over a file, a digest or an image. It asks no server but the
// image's registry.
func (a *App) VerifyArtifact(ctx context.Context, o ArtifactOptions) (ArtifactVerification, error) {
	v := artifactVerifier{app: a, o: o, cache: sigstore.NewCache(8), res: ArtifactVerification{Subject: o.Subject, Digests: []sallyport.Digest{}, Signatures: []Signature{}, Looked: []string{}}}
	if err := v.trust(); err != nil {
		return ArtifactVerification{}, err
	}
	if image, ok := imageOf(o.Subject); ok {
		return v.verifyImage(ctx, image)
	}
	if err := v.subject(); err != nil {
		return ArtifactVerification{}, err
	}
	if err := ctx.Err(); err != nil {
		return ArtifactVerification{}, err
	}
	if err := v.signatures(); err != nil {
		return ArtifactVerification{}, err
	}
	return v.res, nil
}

// An artifactVerifier is one call of VerifyArtifact.
type artifactVerifier struct {
	app      *App
	o        ArtifactOptions
	root     *sigstore.Root
	signer   sigstore.Signer
	key      string // its fingerprint
	pgp      *openpgp.Certificate
	path     string // of the file that has to be signed; empty if only a digest is known
	artifact sigstore.Artifact
	res      ArtifactVerification
	image    bool            // the subject is an image in a registry
	cache    *sigstore.Cache // the same bundle may lie in several places
}

// trust reads who is trusted.
func (v *artifactVerifier) trust() (err error) {
	v.root, err = v.app.trustedRoot(v.o.TrustedRoot)
	if err != nil {
		return err
	}
	v.res.Root = orDefault(v.root.Name(), v.o.TrustedRoot) + " (" + v.root.Digest() + ")"
	v.signer = sigstore.Signer{Subject: v.o.Identity, SubjectPattern: v.o.IdentityPattern, Issuer: v.o.Issuer, IssuerPattern: v.o.IssuerPattern,
		Logged: v.o.Logged, IgnoreLog: v.o.IgnoreLog}
	if v.o.Key == "" {
		return nil
	}
	b, err := readSmall(v.o.Key)
	if err != nil {
		return fmt.Errorf("read the public key: %w", err)
	}
	if bytes.Contains(b, []byte("BEGIN PGP PUBLIC KEY BLOCK")) {
		if v.o.Logged || v.o.Identity+v.o.IdentityPattern+v.o.Issuer+v.o.IssuerPattern != "" {
			return usagef("%s is an OpenPGP key: its signatures are in no log, and it is no certificate's identity", v.o.Key)
		}
		if v.pgp, err = openpgp.ParseCertificate(b); err != nil {
			return fmt.Errorf("read the public key %s: %w", v.o.Key, err)
		}
		return nil
	}
	if ssh, err := sshsig.ParseAuthorizedKey(string(bytes.TrimSpace(b))); err == nil {
		v.signer.SSH = sshsig.Fingerprint(ssh)
		v.key = v.signer.SSH
		return nil
	}
	var key crypto.PublicKey
	if key, err = sigstore.ParsePublicKey(b); err != nil {
		return fmt.Errorf("read the public key %s: %w", v.o.Key, err)
	}
	v.signer.Key = key
	spki, err := x509.MarshalPKIXPublicKey(key)
	v.key = string(sallyport.SHA256(spki))
	return err
}

// trustedRoot reads a trusted root, or returns the public instance's: the one that was fetched last, or the
// shipped one.
func (a *App) trustedRoot(file string) (*sigstore.Root, error) {
	if file == "" {
		pinned, path, err := a.trustFile(TrustOptions{})
		if err != nil { // nowhere to look
			return sigstore.PublicGood()
		}
		if r, _, _, err := keptRoot(pinned, path); r != nil || err != nil {
			return r, err
		}
		return sigstore.PublicGood()
	}
	b, err := readSmall(file)
	if err != nil {
		return nil, err
	}
	r, err := sigstore.ParseRoot(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// subject finds what has to be signed: the subject, or the checksums that it stands in.
func (v *artifactVerifier) subject() error {
	var err error
	if v.artifact, v.path, err = artifactOf(v.o.Subject); err != nil {
		return err
	}
	for _, algorithm := range []string{"sha256", "sha384", "sha512"} {
		if d := v.artifact.Digest(algorithm); d != "" {
			v.res.Digests = append(v.res.Digests, d)
		}
	}
	if v.o.Checksums == "" {
		return nil
	}
	b, err := readLimit(v.o.Checksums, checksum.MaxSize)
	if err != nil {
		return fmt.Errorf("read the checksums: %w", err)
	}
	lines, err := checksum.Parse(b)
	if err != nil {
		return fmt.Errorf("%s: %w", v.o.Checksums, err)
	}
	if !v.vouched(lines) {
		return fmt.Errorf("%w: %s does not vouch for %s", ErrRefused, v.o.Checksums, v.o.Subject)
	}
	v.res.Checksums, v.path = v.o.Checksums, v.o.Checksums
	if v.artifact, err = sigstore.File(v.path); err != nil {
		return err
	}
	// What was parsed is what is verified, whoever writes to the file meanwhile.
	if sallyport.SHA256(b) != v.artifact.Digest("sha256") {
		return fmt.Errorf("%s changed while it was read", v.o.Checksums)
	}
	return nil
}

// vouched reports whether the checksums hold the subject: a file by its name, and a digest by itself.
func (v *artifactVerifier) vouched(lines []checksum.Line) bool {
	for _, l := range lines {
		named := v.path == "" || filepath.Base(l.Name) == filepath.Base(v.path)
		if named && v.artifact.Digest(l.Algorithm) == sallyport.Digest(l.Algorithm+":"+l.Hex) {
			return true
		}
	}
	return false
}

// signatures reads and verifies what the caller named, or what lies beside the file.
func (v *artifactVerifier) signatures() error {
	if v.o.Signature != "" {
		if err := v.detached(v.o.Signature, v.o.Certificate, true); err != nil {
			return err
		}
	}
	for _, name := range v.o.Bundles {
		b, err := readLimit(name, sigstore.MaxBundle)
		if err != nil {
			return fmt.Errorf("read the bundle: %w", err)
		}
		v.file(name, b, true)
	}
	if v.o.Signature != "" || len(v.o.Bundles) > 0 {
		return nil
	}
	return v.beside()
}

// beside looks for signatures where tools put them.
func (v *artifactVerifier) beside() error {
	if v.path == "" {
		return withHint(errors.New("nobody knows where signatures of a digest lie"), "name them with --bundle FILE")
	}
	for _, suffix := range []string{".sigstore.json", ".sigstore", ".bundle", ".cosign.bundle", ".intoto.jsonl", ".jsonl", ".intoto.json", ".att.json"} {
		name := v.path + suffix
		v.res.Looked = append(v.res.Looked, name)
		b, err := readLimit(name, sigstore.MaxBundle)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		v.file(name, b, false)
	}
	for _, suffix := range []string{".sig", ".asc"} {
		name := v.path + suffix
		v.res.Looked = append(v.res.Looked, name)
		if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
			continue
		}
		cert := ""
		for _, end := range []string{".pem", ".crt", ".cert"} {
			if _, err := os.Stat(v.path + end); err == nil && cert == "" {
				cert = v.path + end
			}
		}
		if err := v.detached(name, cert, false); err != nil {
			return err
		}
	}
	return nil
}

// file verifies all signatures in a file.
func (v *artifactVerifier) file(name string, b []byte, named bool) {
	if isOpenPGP(b) {
		v.openpgp(name, b, named)
		return
	}
	pieces, err := sigstore.Convert(b)
	if err != nil {
		v.add(Signature{Source: name, Format: "bundle", Why: err.Error()}, named)
		return
	}
	good := false
	from := len(v.res.Signatures)
	for _, p := range pieces {
		source := name
		if len(pieces) > 1 {
			source = fmt.Sprintf("%s, %d of %d", name, p.Index+1, len(pieces))
		}
		s := Signature{Source: source, Format: p.Format}
		if v.pgp != nil {
			s.Why = "it is no OpenPGP signature, and an OpenPGP key is expected"
		} else {
			res, err := v.cache.VerifyPiece(v.root, p, v.artifact, v.signer)
			v.judge(&s, res, err)
		}
		good = good || s.Verified
		v.add(s, false)
	}
	// A list of attestations is of many signers: one that verifies is what was asked for.
	v.res.named = v.res.named || named && !good && len(v.res.Signatures) > from
}

// judge fills in what a verification gave. A statement of another type than was asked for is none:
// whoever says that tests failed has signed as well.
func (v *artifactVerifier) judge(s *Signature, res sigstore.Result, err error) {
	if err != nil {
		s.Why = err.Error()
		return
	}
	s.Identity, s.Key, s.Times, s.Entries = res.Identity, v.key, res.Times, res.Entries
	s.Type, s.Change = res.PredicateType, res.Change
	switch want := predicateType(v.o.Type); {
	case v.o.AnyType, v.image && want == "" && s.Type == cosignSignType:
		s.Verified = true
	case res.Statement != nil && want == "":
		s.Why = fmt.Sprintf("it is a statement of type %.200s, and no --type is asked for", s.Type)
	case res.Statement == nil && want != "":
		s.Why = "it signs the file and says nothing of type " + want
	case s.Type != want: // an empty type is none that can be asked for
		s.Why = fmt.Sprintf("it is a statement of type %.200s, not %s", s.Type, want)
	default:
		s.Verified = true
	}
}

// detached verifies a signature in a file of its own.
func (v *artifactVerifier) detached(name, cert string, named bool) error {
	b, err := readSmall(name)
	if err != nil {
		return fmt.Errorf("read the signature: %w", err)
	}
	if isOpenPGP(b) || v.pgp != nil {
		v.openpgp(name, b, named)
		return nil
	}
	d := sigstore.DetachedSignature{Signature: string(b)}
	if !isText(b) { // cosign writes base64, and openssl what it encodes
		d.Signature = base64Of(b)
	}
	if cert != "" && v.signer.Key == nil {
		if d.Certificate, err = readSmall(cert); err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
		if der, err := unbase64(d.Certificate); err == nil { // PEM in base64, as cosign wrote it
			d.Certificate = der
		}
	}
	s := Signature{Source: name, Format: "signature"}
	res, err := sigstore.Detached(d, v.artifact, v.signer).Verify(v.root, v.artifact, v.signer)
	v.judge(&s, res, err)
	v.add(s, named)
	return nil
}

// openpgp verifies a detached OpenPGP signature.
func (v *artifactVerifier) openpgp(name string, sig []byte, named bool) {
	s := Signature{Source: name, Format: "openpgp"}
	defer func() { v.add(s, named) }()
	switch {
	case v.pgp == nil:
		s.Why = "it is an OpenPGP signature, and none of an OpenPGP key is expected"
		return
	case v.o.Type != "":
		s.Why = "it signs the file and says nothing of type " + predicateType(v.o.Type)
		return
	case v.path == "":
		s.Why = "an OpenPGP signature is over all bytes of a file, and only a digest is known"
		return
	}
	content, err := readLimit(v.path, maxOpenPGPFile)
	if err == nil && sallyport.SHA256(content) != v.artifact.Digest("sha256") {
		err = errors.New("the file changed while it was verified")
	}
	if err != nil {
		s.Why = err.Error()
		return
	}
	var ring openpgp.Keyring
	ring.Add(v.pgp)
	verify := ring.VerifyBinary
	if isOpenPGP(sig) {
		verify = ring.Verify
	}
	info, err := verify(sig, content, v.app.now())
	if err != nil {
		s.Why = err.Error()
		return
	}
	s.Verified, s.Key = true, "openpgp:"+info.Fingerprint
}

// add remembers what became of a signature.
func (v *artifactVerifier) add(s Signature, named bool) {
	v.res.Signatures = append(v.res.Signatures, s)
	v.res.named = v.res.named || named && !s.Verified
}
