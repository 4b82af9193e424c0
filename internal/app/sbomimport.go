package app

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

// An ImportedSBOM is a bill by somebody else, and what was made of it.
type ImportedSBOM struct {
	sbom.Foreign
	Digest   sallyport.Digest   `json:"digest"` // of the document
	Subjects []sallyport.Digest `json:"subjects,omitempty"`
	// Attestation is the digest of the bundle that binds the document to the subjects.
	Attestation sallyport.Digest   `json:"attestation,omitempty"`
	Licences    *sbom.LicenceCheck `json:"licences,omitempty"`
}

// ImportSBOM checks a bill by somebody else. With a key it signs that this bill is about subject: the
// signer is who vouches, and the makers that the document names stay its own claim. With check the rules for
// licences are asked first, and what they refuse is not signed.
func (a *App) ImportSBOM(ctx context.Context, o Options, doc []byte, subject string, check bool, at AttestOptions) (_ *ImportedSBOM, err error) {
	f, err := sbom.Read(doc)
	if err != nil {
		return nil, withHint(err, "SPDX 2.3 and CycloneDX 1.4 to 1.6 in JSON are read (docs/sbom.md)")
	}
	out := &ImportedSBOM{Foreign: *f, Digest: sallyport.SHA256(doc)}
	if check {
		c, err := a.CheckLicences(ctx, o, f.Components)
		if err != nil {
			return nil, err
		}
		out.Licences = &c
	}
	if subject == "" {
		return out, nil
	}
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, err
	}
	out.Subjects, _, err = w.subject(ctx, subject)
	if e := w.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	if err := sameSubject(f.Digests, subject, out.Subjects); err != nil {
		return nil, err
	}
	if at.Key == "" || out.Licences != nil && len(out.Licences.Findings) > 0 {
		return out, nil
	}
	for _, s := range out.Subjects {
		at.Subjects = append(at.Subjects, string(s))
	}
	at.Type, at.Predicate = f.Type, doc
	res, err := a.Attest(ctx, o, at)
	if err != nil {
		return nil, err
	}
	out.Attestation = res.Digest
	return out, nil
}

// sameSubject compares what a bill says that it is about with the subject that it is to be bound to. One
// digest that differs is enough to refuse, and so is a bill that states digests of which none can be compared.
func sameSubject(said []string, subject string, have []sallyport.Digest) error {
	const hint = "a bill of another artifact is not bound to this one: name the artifact that it was made of"
	if _, err := sallyport.ParseDigest(subject); err != nil && !strings.HasPrefix(subject, "git:") {
		all, err := fileDigests(subject)
		if err != nil {
			return fmt.Errorf("read %s: %w", subject, err)
		}
		if !slices.Contains(all, have[0]) {
			return fmt.Errorf("%s changed while it was read", subject)
		}
		have = all
	}
	compared := false
	for _, s := range said {
		d := sallyport.Digest(s)
		switch {
		case slices.Contains(have, d):
			compared = true
		case slices.ContainsFunc(have, func(h sallyport.Digest) bool { return h.Algorithm() == d.Algorithm() }):
			return withHint(fmt.Errorf("the bill says that it is about %.200s, and %s is %s", s, subject, have[0]), hint)
		}
	}
	if len(said) > 0 && !compared {
		return withHint(fmt.Errorf("the bill says that it is about %.200s, which cannot be compared with %s", said[0], have[0]), "name the file itself, of which SHA-256, SHA-384 and SHA-512 are compared, or the digest that the bill states")
	}
	return nil
}

// fileDigests are the digests of a file that bills state and nobody can forge.
func fileDigests(name string) ([]sallyport.Digest, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a, b, c := sha256.New(), sha512.New384(), sha512.New()
	if _, err := io.Copy(io.MultiWriter(a, b, c), f); err != nil {
		return nil, err
	}
	var out []sallyport.Digest
	for _, h := range []struct {
		name string
		hash.Hash
	}{{"sha256", a}, {"sha384", b}, {"sha512", c}} {
		out = append(out, sallyport.Digest(h.name+":"+hex.EncodeToString(h.Sum(nil))))
	}
	return out, nil
}
