package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence/oci"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
)

// cosignSignType is the type of the statement that cosign signs for an image since version 3: that it is
// signed, and nothing else.
const cosignSignType = "https://sigstore.dev/cosign/sign/v1"

// imageOf returns the image that a subject names: oci:REF, or oci://REF as gh writes it.
func imageOf(subject string) (string, bool) {
	ref, ok := strings.CutPrefix(subject, "oci:")
	return strings.TrimPrefix(ref, "//"), ok
}

// verifyImage verifies what is attached to an image in its registry. What the registry says is no more
// than where to look: every item has to be about the image's digest by its own signed word.
func (v *artifactVerifier) verifyImage(ctx context.Context, image string) (ArtifactVerification, error) {
	none := ArtifactVerification{}
	if v.o.Offline {
		return none, usagef("an image's signatures are in its registry, which --offline does not ask: save them with sallyport evidence find IMAGE --save FOLDER")
	}
	ref, err := parseImage(image)
	if err != nil {
		return none, err
	}
	res, incomplete := oci.Find(ctx, ref, v.app.registries())
	if incomplete != nil && !errors.Is(incomplete, oci.ErrIncomplete) {
		return none, registryError(ref, incomplete)
	}
	v.image = true
	v.res.Digests = append(v.res.Digests, res.Digest)
	if v.artifact, err = sigstore.Digested(res.Digest); err != nil {
		return none, err
	}
	for _, p := range res.Places {
		v.res.Looked = append(v.res.Looked, p.String())
	}
	for _, it := range res.About(res.Digest) {
		if it.Kind.Signed() {
			v.imageItem(it, res.Digest)
		}
	}
	for _, name := range v.o.Bundles {
		b, err := readLimit(name, sigstore.MaxBundle)
		if err != nil {
			return none, fmt.Errorf("read the bundle: %w", err)
		}
		v.file(name, b, true)
	}
	if incomplete != nil && v.res.ExitStatus() != sallyport.ExitOpen {
		return none, registryError(ref, incomplete)
	}
	return v.res, nil
}

// imageItem verifies one thing that is attached to an image.
func (v *artifactVerifier) imageItem(it oci.Item, digest sallyport.Digest) {
	s := Signature{Source: it.Source, Format: it.Kind.String()}
	defer func() { v.add(s, false) }()
	if v.pgp != nil {
		s.Why = "it is no OpenPGP signature, and an OpenPGP key is expected"
		return
	}
	raw, err := it.SigstoreBundle()
	if err != nil {
		s.Why = err.Error()
		return
	}
	artifact := v.artifact
	if it.Kind == oci.SimpleSigning {
		// The signature is over a document that names the image.
		if err := namesImage(it.Raw, digest); err != nil {
			s.Why = err.Error()
			return
		}
		artifact = sigstore.Bytes(it.Raw)
	}
	res, err := v.cache.Verify(v.root, raw, artifact, v.signer)
	v.judge(&s, res, err)
}

// namesImage reports by its error whether cosign's older document names the image.
func namesImage(payload []byte, digest sallyport.Digest) error {
	var p struct {
		Critical struct {
			Type  string `json:"type"`
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return errors.New("what was signed cannot be read")
	}
	if p.Critical.Type != "cosign container image signature" || p.Critical.Image.Digest != string(digest) {
		return fmt.Errorf("it signs a %.60q for %.100q, not the image", p.Critical.Type, p.Critical.Image.Digest)
	}
	return nil
}

// signImage signs an image, as cosign does: a statement that is attached in the registry.
func (s *signing) signImage(ctx context.Context, subject string) (Signed, error) {
	image, _ := imageOf(subject)
	ref, err := parseImage(image)
	if err != nil {
		return Signed{}, err
	}
	res, err := oci.Find(ctx, ref, s.app.registries())
	if err != nil && !errors.Is(err, oci.ErrIncomplete) {
		return Signed{}, registryError(ref, err)
	}
	c, err := imageContent(ref, res.Digest)
	if err != nil {
		return Signed{}, err
	}
	signed := Signed{File: "oci:" + image, Digest: res.Digest}
	raw, err := s.bundle(ctx, c, &signed)
	if err != nil {
		return Signed{}, err
	}
	// By digest: a tag may lead elsewhere by now.
	ref.Digest = res.Digest
	at, err := oci.Attach(ctx, ref, raw, s.app.registries())
	if err != nil {
		return Signed{}, registryError(ref, err)
	}
	signed.Bundle = string(at.Manifest) + " (" + at.Layout + ")"
	return signed, nil
}

func imageContent(ref oci.Reference, digest sallyport.Digest) (sigstore.Content, error) {
	artifact, err := sigstore.Digested(digest)
	if err != nil {
		return sigstore.Content{}, err
	}
	st, err := sallyport.EncodeJSON(sallyport.Statement{
		Type: sallyport.StatementType, PredicateType: cosignSignType, Predicate: json.RawMessage("{}"),
		Subject: []sallyport.StatementSubject{{Name: ref.Registry + "/" + ref.Repository, Digest: map[string]string{digest.Algorithm(): digest.Hex()}}},
	})
	return sigstore.Content{Artifact: artifact, Statement: st}, err
}
