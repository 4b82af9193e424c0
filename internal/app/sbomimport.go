package app

import (
	"context"
	"fmt"
	"slices"

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
// signer is who vouches, and the makers that the document names stay its own claim.
func (a *App) ImportSBOM(ctx context.Context, o Options, doc []byte, subject string, at AttestOptions) (_ *ImportedSBOM, err error) {
	f, err := sbom.Read(doc)
	if err != nil {
		return nil, err
	}
	out := &ImportedSBOM{Foreign: *f, Digest: sallyport.SHA256(doc)}
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
	for _, said := range f.Digests {
		d := sallyport.Digest(said)
		same := func(s sallyport.Digest) bool { return s.Algorithm() == d.Algorithm() }
		if slices.ContainsFunc(out.Subjects, same) && !slices.Contains(out.Subjects, d) {
			return nil, withHint(fmt.Errorf("the bill says that it is about %s, and %s is %s", d, subject, out.Subjects[0]), "a bill of another artifact is not bound to this one: name the artifact that it was made of")
		}
	}
	if at.Key == "" {
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
