package intoto

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

const linkType = "https://in-toto.io/attestation/link/v0.3"

// A message is something signed, not verified.
type message struct {
	payload    []byte   // JSON
	signed     []byte   // what the signatures are over
	signatures [][]byte // of anybody
}

// maxSignatures bounds how many signatures are tried under each key.
const maxSignatures = 64

// parse reads signed canonical JSON, an envelope, or the envelope of a Sigstore bundle.
func parse(raw []byte) (message, error) {
	if err := strict.CheckJSON(raw, MaxSize); err != nil {
		return message{}, err
	}
	var f struct {
		Signed     json.RawMessage `json:"signed"`
		Envelope   json.RawMessage `json:"dsseEnvelope"`
		Payload    *string         `json:"payload"`
		Type       string          `json:"payloadType"`
		Signatures []struct {
			Sig string `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return message{}, err
	}
	if f.Envelope != nil {
		raw := f.Envelope
		f.Envelope = nil
		if err := json.Unmarshal(raw, &f); err != nil {
			return message{}, err
		}
	}
	if len(f.Signatures) > maxSignatures {
		return message{}, fmt.Errorf("it has %d signatures, the limit is %d", len(f.Signatures), maxSignatures)
	}
	var m message
	decode := hex.DecodeString
	switch {
	case f.Payload != nil && f.Signed == nil:
		if f.Type != dsse.InTotoPayload {
			return message{}, fmt.Errorf("its payload type is %.100q, not %q", f.Type, dsse.InTotoPayload)
		}
		b, err := base64.StdEncoding.DecodeString(*f.Payload)
		if err != nil {
			return message{}, errors.New("its payload is no base64")
		}
		if err := strict.CheckJSON(b, MaxSize); err != nil {
			return message{}, fmt.Errorf("its payload: %w", err)
		}
		m.payload, m.signed, decode = b, dsse.PAE(f.Type, b), base64.StdEncoding.DecodeString
	case f.Signed != nil && f.Payload == nil:
		var v any
		d := json.NewDecoder(bytes.NewReader(f.Signed))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return message{}, err
		}
		canonical, err := cjson.EncodeCanonical(v)
		if err != nil {
			return message{}, errors.New("it has no canonical form")
		}
		m.payload, m.signed = f.Signed, canonical
	default:
		return message{}, errors.New("it is neither signed metadata of in-toto nor an envelope")
	}
	for _, s := range f.Signatures {
		if b, err := decode(s.Sig); err == nil && len(b) > 0 {
			m.signatures = append(m.signatures, b)
		}
	}
	return m, nil
}

// signedBy reports whether one of the signatures is of a key, under the scheme that in-toto uses with it.
func (m message) signedBy(pub crypto.PublicKey) bool {
	return slices.ContainsFunc(m.signatures, func(sig []byte) bool { return verifies(pub, m.signed, sig) })
}

func verifies(pub crypto.PublicKey, signed, sig []byte) bool {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, signed, sig)
	case *ecdsa.PublicKey:
		var sum []byte
		switch k.Curve.Params().BitSize {
		case 256:
			s := sha256.Sum256(signed)
			sum = s[:]
		case 384:
			s := sha512.Sum384(signed)
			sum = s[:]
		case 521:
			s := sha512.Sum512(signed)
			sum = s[:]
		default:
			return false
		}
		return ecdsa.VerifyASN1(k, sum, sig)
	case *rsa.PublicKey:
		sum := sha256.Sum256(signed)
		return k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192 && rsa.VerifyPSS(k, crypto.SHA256, sum[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	}
	return false
}

// A key is one of the layout's.
type key struct {
	id     string // digest of the key itself
	public crypto.PublicKey
}

// keys reads the layout's keys. One that cannot be used fails the layout: a step that counts on it would
// seem to lack a signature.
func (l *Layout) keys() (map[string]key, error) {
	out := map[string]key{}
	for name, raw := range l.Keys {
		var in struct {
			KeyType string `json:"keytype"`
			KeyVal  struct {
				Public string `json:"public"`
			} `json:"keyval"`
		}
		err := json.Unmarshal(raw, &in)
		var pub crypto.PublicKey
		if err == nil {
			if in.KeyType == "ed25519" {
				var b []byte
				if b, err = hex.DecodeString(in.KeyVal.Public); err == nil && len(b) != ed25519.PublicKeySize {
					err = errors.New("its length is wrong")
				}
				pub = ed25519.PublicKey(b)
			} else {
				pub, err = publicPEM([]byte(in.KeyVal.Public))
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w: its key %.100q: %w", ErrLayout, name, err)
		}
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return nil, fmt.Errorf("%w: its key %.100q: %w", ErrLayout, name, err)
		}
		sum := sha256.Sum256(der)
		out[name] = key{id: string(sum[:]), public: pub}
	}
	return out, nil
}

func publicPEM(b []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("it is no PEM")
	}
	if block.Type == "CERTIFICATE" {
		return nil, errors.New("it is a certificate")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// A signedLink is a link, or a layout in its place, not verified.
type signedLink struct {
	message
	link   Link
	layout bool
}

// readLinks reads what is a link among files. What is none is passed over: whoever can put files there can
// leave some out as well.
func readLinks(files map[string][]byte) ([]signedLink, error) {
	if len(files) > MaxLinks {
		return nil, fmt.Errorf("%w: %d files of links, the limit is %d", ErrThreshold, len(files), MaxLinks)
	}
	var out []signedLink
	for _, name := range slices.Sorted(maps.Keys(files)) {
		m, err := parse(files[name])
		if err != nil {
			continue
		}
		l, isLayout, err := readLink(m.payload)
		if err != nil {
			continue
		}
		out = append(out, signedLink{m, l, isLayout})
	}
	return out, nil
}

// readLink reads the payload of a link: in-toto's own form, or a statement.
func readLink(payload []byte) (l Link, layout bool, err error) {
	type resource struct {
		Name   string  `json:"name"`
		URI    string  `json:"uri"`
		Digest Digests `json:"digest"`
	}
	var f struct {
		Type          string             `json:"_type"`
		Name          string             `json:"name"`
		Command       []string           `json:"command"`
		Byproducts    map[string]any     `json:"byproducts"`
		Products      map[string]Digests `json:"products"`
		Materials     json.RawMessage    `json:"materials"`
		PredicateType string             `json:"predicateType"`
		Subject       []resource         `json:"subject"`
		Predicate     struct {
			Name       string         `json:"name"`
			Command    []string       `json:"command"`
			Byproducts map[string]any `json:"byproducts"`
			Materials  []resource     `json:"materials"`
		} `json:"predicate"`
	}
	if err := json.Unmarshal(payload, &f); err != nil {
		return Link{}, false, err
	}
	l = Link{Materials: map[string]Digests{}, Products: map[string]Digests{}}
	put := func(to map[string]Digests, p string, d Digests) {
		if p = clean(p); p == "" || len(to) >= maxArtifacts {
			err = errors.New("an artifact without a name, or too many")
		} else if _, twice := to[p]; twice {
			err = fmt.Errorf("%.100q stands twice", p)
		} else {
			to[p] = d
		}
	}
	by := f.Byproducts
	switch {
	case f.Type == "layout":
		return Link{}, true, nil
	case f.Type == "link":
		l.Name, l.Command = f.Name, f.Command
		var materials map[string]Digests
		if f.Materials != nil {
			if err := json.Unmarshal(f.Materials, &materials); err != nil {
				return Link{}, false, err
			}
		}
		for p, d := range materials {
			put(l.Materials, p, d)
		}
		for p, d := range f.Products {
			put(l.Products, p, d)
		}
	case f.PredicateType == linkType && (f.Type == "https://in-toto.io/Statement/v1" || f.Type == "https://in-toto.io/Statement/v0.1"):
		l.Name, l.Command, by = f.Predicate.Name, f.Predicate.Command, f.Predicate.Byproducts
		for _, r := range f.Predicate.Materials {
			put(l.Materials, orElse(r.Name, r.URI), r.Digest)
		}
		for _, r := range f.Subject {
			put(l.Products, orElse(r.Name, r.URI), r.Digest)
		}
	default:
		return Link{}, false, errors.New("it is no link")
	}
	if status, ok := by["return-value"]; ok {
		n, number := status.(float64)
		l.Failed = !number || n != 0
	}
	return l, false, err
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
