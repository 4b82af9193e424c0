package oci

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// A Kind is what a found item is. The zero Kind is nothing that anybody may count.
type Kind int

// The kinds of item.
const (
	Unknown       Kind = iota
	Bundle             // a Sigstore bundle
	DSSE               // a DSSE envelope around a statement; a certificate may stand beside it
	SimpleSigning      // cosign's payload, with the signature beside it
	Statement          // an in-toto statement that nobody signed: a claim
	Document           // a bill of materials that nobody signed: a claim
)

var kindNames = [...]string{"unknown", "bundle", "dsse", "simple-signing", "unsigned-statement", "unsigned-document"}

func (k Kind) String() string { return kindNames[k] }

// MarshalText encodes the kind by its name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Signed reports whether the item carries a signature, good or bad.
func (k Kind) Signed() bool { return k == Bundle || k == DSSE || k == SimpleSigning }

// documents are the media types of bills of materials that cosign and others attach unsigned.
var documents = []string{
	"text/spdx", "text/spdx+json", "text/spdx+xml", "application/spdx+json",
	"application/vnd.cyclonedx", "application/vnd.cyclonedx+json", "application/vnd.cyclonedx+xml", "application/vnd.syft+json",
}

// kindOf tells what a layer is. The artifact type of its manifest counts where the layer's own
// type says nothing.
func kindOf(layer, artifact string) Kind {
	for _, t := range []string{layer, artifact} {
		t = strings.ToLower(t)
		base := before(t, ";")
		switch {
		case strings.HasPrefix(t, typeBundlePrefix):
			return Bundle
		case base == typeDSSE, strings.HasSuffix(base, "+dsse"):
			return DSSE
		case base == typeSimple:
			return SimpleSigning
		case base == typeStatement:
			return Statement
		case slices.Contains(documents, base):
			return Document
		case layer != typeEmpty && base != "application/json" && base != "application/octet-stream" && base != "":
			return Unknown
		}
	}
	return Unknown
}

// Annotations with which cosign describes a layer.
const (
	noteSignature   = "dev.cosignproject.cosign/signature"
	noteCertificate = "dev.sigstore.cosign/certificate"
	noteChain       = "dev.sigstore.cosign/chain"
	noteRekor       = "dev.sigstore.cosign/bundle"
	noteTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// An about is what content says of itself. None of it is verified.
type about struct {
	kind          Kind
	digests       []sallyport.Digest // what it is about
	predicateType string
}

// inspect reads what content of the kind is about. Its rules are no stricter than those of
// whoever verifies, except that one key may not stand twice.
func inspect(kind Kind, raw []byte) (about, error) {
	switch kind {
	case Bundle:
		return inspectBundle(raw)
	case DSSE:
		return inspectEnvelope(DSSE, raw)
	case Statement:
		// Some type the envelope as what is in it.
		var f fields
		if err := strict.LaxJSON(raw, evidence.MaxBundle, &f); err != nil {
			return about{}, fmt.Errorf("the statement cannot be read: %w", err)
		}
		if f["payloadType"] != nil {
			return inspectEnvelope(DSSE, raw)
		}
		return inspectStatement(Statement, raw)
	case SimpleSigning:
		return inspectSimple(raw)
	}
	return about{kind: kind}, nil
}

func inspectBundle(raw []byte) (about, error) {
	var b struct {
		Envelope json.RawMessage `json:"dsseEnvelope"`
		Message  *struct {
			Digest struct {
				Algorithm string `json:"algorithm"`
				Digest    string `json:"digest"`
			} `json:"messageDigest"`
		} `json:"messageSignature"`
	}
	if err := strict.LaxJSON(raw, evidence.MaxBundle, &b); err != nil {
		return about{}, fmt.Errorf("the bundle cannot be read: %w", err)
	}
	switch {
	case b.Envelope != nil && b.Message != nil:
		return about{}, errors.New("the bundle holds both a statement and a message signature")
	case b.Envelope != nil:
		return inspectEnvelope(Bundle, b.Envelope)
	case b.Message == nil:
		return about{}, errors.New("the bundle holds neither a statement nor a message signature")
	}
	digest, err := base64.StdEncoding.DecodeString(b.Message.Digest.Digest)
	alg := map[string]string{"SHA2_256": "sha256", "SHA2_512": "sha512"}[b.Message.Digest.Algorithm]
	d, err2 := sallyport.ParseDigest(alg + ":" + hex.EncodeToString(digest))
	if err != nil || err2 != nil {
		return about{}, errors.New("the bundle does not say which digest its message signature is about")
	}
	return about{kind: Bundle, digests: []sallyport.Digest{d}}, nil
}

func inspectEnvelope(kind Kind, raw []byte) (about, error) {
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     string `json:"payload"`
	}
	if err := strict.LaxJSON(raw, evidence.MaxBundle, &e); err != nil {
		return about{}, fmt.Errorf("the envelope cannot be read: %w", err)
	}
	if e.PayloadType != dsse.InTotoPayload {
		return about{}, fmt.Errorf("the envelope's payload type %.100q is not read", e.PayloadType)
	}
	// DSSE allows either alphabet.
	payload, err := base64.StdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(e.Payload))
	if err != nil {
		return about{}, errors.New("the envelope's payload is no base64")
	}
	return inspectStatement(kind, payload)
}

func inspectStatement(kind Kind, raw []byte) (about, error) {
	var st struct {
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
	}
	if err := strict.LaxJSON(raw, evidence.MaxBundle, &st); err != nil {
		return about{}, fmt.Errorf("the statement cannot be read: %w", err)
	}
	a := about{kind: kind, predicateType: st.PredicateType}
	for _, s := range st.Subject {
		for alg, value := range s.Digest {
			if d, err := sallyport.ParseDigest(alg + ":" + value); err == nil && isContent(d) {
				a.digests = append(a.digests, d)
			}
		}
	}
	if len(a.digests) == 0 {
		return about{}, errors.New("the statement names no digest of content")
	}
	return a, nil
}

func inspectSimple(raw []byte) (about, error) {
	var p struct {
		Critical struct {
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
			Type string `json:"type"`
		} `json:"critical"`
	}
	if err := strict.LaxJSON(raw, MaxManifest, &p); err != nil {
		return about{}, fmt.Errorf("the signed payload cannot be read: %w", err)
	}
	d, err := sallyport.ParseDigest(p.Critical.Image.Digest)
	if err != nil {
		return about{}, errors.New("the signed payload names no image")
	}
	return about{kind: SimpleSigning, digests: []sallyport.Digest{d}}, nil
}

// newItem makes an item of a layer, or says why it is none about subject.
func newItem(kind Kind, layer descriptor, raw []byte, subject sallyport.Digest) (Item, error) {
	a, err := inspect(kind, raw)
	if err != nil {
		return Item{}, err
	}
	if kind != Document && !slices.Contains(a.digests, subject) {
		return Item{}, fmt.Errorf("it is attached to %s, and is about %s%s", subject, a.digests[0], andMore(len(a.digests)-1))
	}
	it := Item{
		Kind: a.kind, Raw: raw, Digest: layer.Digest, MediaType: layer.MediaType, Subject: subject, PredicateType: a.predicateType,
		Certificate: layer.Annotations[noteCertificate], Chain: layer.Annotations[noteChain],
		RekorBundle: layer.Annotations[noteRekor], Timestamp: layer.Annotations[noteTimestamp],
	}
	if kind == SimpleSigning {
		it.Signature, err = base64.StdEncoding.DecodeString(layer.Annotations[noteSignature])
		if err != nil || len(it.Signature) == 0 {
			return Item{}, errors.New("no signature stands beside the signed payload")
		}
	}
	it.Raw = bytes.Clone(raw)
	return it, nil
}

func andMore(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
