package evidence

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/sigstore/sigstore-go/pkg/bundle"

	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// BundleMediaType is the media type of the bundles that Sign makes.
const BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// mediaTypes are the media types that are read: the current one, and those of older clients.
var mediaTypes = []string{
	BundleMediaType,
	"application/vnd.dev.sigstore.bundle+json;version=0.3",
	"application/vnd.dev.sigstore.bundle+json;version=0.2",
	"application/vnd.dev.sigstore.bundle+json;version=0.1",
}

// A parsed is a bundle that holds an envelope with one signature, not verified.
type parsed struct {
	bundle   *bundle.Bundle
	envelope dsse.Envelope
	hint     string // of the public key; empty if the bundle gives none
	cert     bool   // signed with a certificate, not a key
}

// parse reads a bundle. Its errors wrap [ErrBundle], or [ErrSignature] for a number of
// signatures other than one.
func parse(raw []byte) (parsed, error) {
	// protojson has rules of its own about repeated names; what the rest of the world would
	// read differently is refused before it looks.
	if err := strict.CheckJSON(raw, MaxBundle); err != nil {
		return parsed{}, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		return parsed{}, fmt.Errorf("%w: %s", ErrBundle, oneLine(err))
	}
	if !slices.Contains(mediaTypes, b.MediaType) {
		return parsed{}, fmt.Errorf("%w: its media type %q is not known", ErrBundle, b.MediaType)
	}
	env := b.GetDsseEnvelope()
	if env == nil {
		return parsed{}, fmt.Errorf("%w: it signs a file directly and holds no statement", ErrBundle)
	}
	if n := len(env.GetSignatures()); n != 1 {
		return parsed{}, fmt.Errorf("%w: there must be exactly one signature, and there are %d", ErrSignature, n)
	}
	if env.GetPayloadType() != dsse.InTotoPayload {
		return parsed{}, fmt.Errorf("%w: its payload type is %q, not %q", ErrBundle, env.GetPayloadType(), dsse.InTotoPayload)
	}
	p := parsed{bundle: &b, envelope: dsse.Envelope{
		PayloadType: env.GetPayloadType(), Payload: env.GetPayload(),
		KeyID: env.GetSignatures()[0].GetKeyid(), Signature: env.GetSignatures()[0].GetSig(),
	}}
	if key := b.GetVerificationMaterial().GetPublicKey(); key != nil {
		p.hint = key.GetHint()
	} else {
		p.cert = true
	}
	return p, nil
}

// isSSH reports whether the signature is an SSHSIG, by its magic. An Ed25519, ECDSA or RSA
// signature that starts with these six bytes by chance is refused, once in 2^48.
func (p parsed) isSSH() bool { return bytes.HasPrefix(p.envelope.Signature, []byte("SSHSIG")) }

// oneLine keeps the reason of a library's error on one line of bounded length, since it becomes
// part of a decision.
func oneLine(err error) string {
	s := err.Error()
	const limit = 200
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return string(bytes.ToValidUTF8(bytes.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xa0 { // protobuf puts U+00A0 into its errors at random
			return ' '
		}
		return r
	}, []byte(s)), []byte("?")))
}
