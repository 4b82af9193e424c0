package sigstore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// maxPieces bounds how many signatures one file may hold.
const maxPieces = 256

// A Piece is one signature that was found in a file, not verified.
type Piece struct {
	// Format says what it was written as: bundle, envelope, gittuf, gittuf-entry, cosign-bundle or
	// signature.
	Format string
	// Index is its place in the file, from 0.
	Index int

	raw    []byte // of a bundle: what the cache knows it by
	parsed parsed
	ssh    *sshPiece // of gittuf
	err    error
}

// Verify verifies the piece as [Root.Verify] does a bundle. A piece that could not be read fails with
// what was wrong with it.
func (p Piece) Verify(r *Root, a Artifact, by Signer) (Result, error) {
	if p.err != nil {
		return Result{}, p.err
	}
	if p.ssh != nil {
		return p.ssh.verify(a, by)
	}
	return r.verify(p.parsed, a, by)
}

// Statement returns the statement that was signed, not verified, or nil.
func (p Piece) Statement() []byte {
	if p.ssh != nil {
		return p.ssh.payload
	}
	return p.parsed.statement
}

// Convert finds the signatures in a file that a Sigstore client, a forge or a registry wrote:
//
//   - a bundle, or a bundle in every line (gh attestation download, slsa-github-generator);
//   - the attestations of an artifact as GitHub's API and npm's registry list them:
//     {"attestations": [{"bundle": …}]};
//   - a bare envelope (in-toto, witness, slsa-github-generator before bundles): a certificate and
//     timestamps inside its signatures are used as witness writes them. Each signature of an envelope is a
//     piece of its own, and none stands for another;
//   - an envelope of gittuf, with SSH signatures, each a piece of its own, and a signed commit of its
//     reference state log;
//   - cosign's legacy bundle (cosign sign-blob --bundle before v3): {"base64Signature", "cert",
//     "rekorBundle"}.
//
// A detached signature is no file of its own kind: see [Detached]. An error means that nothing can be
// read; single pieces that cannot be say so when they are verified.
func Convert(raw []byte) ([]Piece, error) {
	if isCommit(raw) {
		return []Piece{rslPiece(raw)}, nil
	}
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrBundle)
	case len(raw) > MaxBundle:
		return nil, fmt.Errorf("%w: it is larger than %d MiB", ErrBundle, MaxBundle>>20)
	case raw[0] != '{':
		return nil, fmt.Errorf("%w: it is no JSON object", ErrBundle)
	}
	docs, err := split(raw)
	if err != nil {
		return nil, err
	}
	var pieces []Piece
	for _, doc := range docs {
		found := convertOne(doc)
		if len(pieces)+len(found) > maxPieces {
			return nil, fmt.Errorf("%w: it holds more than %d signatures", ErrBundle, maxPieces)
		}
		pieces = append(pieces, found...)
	}
	for i := range pieces {
		pieces[i].Index = i
	}
	return pieces, nil
}

// Statements returns the bundles of a file, or of what [Convert] reads lists in, that hold a statement,
// as bytes. Bundles that sign a file, and bare envelopes, are passed over: they are none of ours.
func Statements(raw []byte) ([][]byte, error) {
	docs, err := split(raw)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	add := func(doc []byte) error {
		var b struct {
			MediaType string          `json:"mediaType"`
			Envelope  json.RawMessage `json:"dsseEnvelope"`
		}
		if err := json.Unmarshal(doc, &b); err == nil && b.MediaType != "" && len(b.Envelope) > 0 {
			out = append(out, doc)
		}
		if len(out) > maxPieces {
			return fmt.Errorf("%w: it holds more than %d statements", ErrBundle, maxPieces)
		}
		return nil
	}
	for _, doc := range docs {
		var f foreign
		if err := json.Unmarshal(doc, &f); err != nil {
			return nil, fmt.Errorf("%w: %s", ErrBundle, oneLine(err))
		}
		for _, entry := range f.Attestations {
			var in foreign
			if err := json.Unmarshal(entry, &in); err == nil {
				if err := add(in.Bundle); err != nil {
					return nil, err
				}
			}
		}
		if err := add(doc); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// split returns the JSON values of a file, one after another.
func split(raw []byte) ([][]byte, error) {
	var docs [][]byte
	dec := json.NewDecoder(bytes.NewReader(raw))
	for dec.More() {
		var doc json.RawMessage
		if err := dec.Decode(&doc); err != nil {
			return nil, fmt.Errorf("%w: value %d: %s", ErrBundle, len(docs)+1, oneLine(err))
		}
		if docs = append(docs, doc); len(docs) > maxPieces {
			return nil, fmt.Errorf("%w: it holds more than %d values", ErrBundle, maxPieces)
		}
	}
	return docs, nil
}

// A foreign is what tells the formats apart.
type foreign struct {
	MediaType    string            `json:"mediaType"`
	Attestations []json.RawMessage `json:"attestations"`
	PayloadType  *string           `json:"payloadType"`
	Base64       *string           `json:"base64Signature"`
	Bundle       json.RawMessage   `json:"bundle"`
}

func convertOne(doc []byte) []Piece {
	if err := strict.CheckJSON(doc, MaxBundle); err != nil {
		return []Piece{{Format: "bundle", err: fmt.Errorf("%w: %w", ErrBundle, err)}}
	}
	var f foreign
	if err := json.Unmarshal(doc, &f); err != nil {
		return []Piece{{Format: "bundle", err: fmt.Errorf("%w: %s", ErrBundle, oneLine(err))}}
	}
	switch {
	case f.MediaType != "":
		return []Piece{bundlePiece(doc)}
	case len(f.Attestations) > 0:
		var pieces []Piece
		for _, entry := range f.Attestations {
			var in foreign
			if err := json.Unmarshal(entry, &in); err != nil || len(in.Bundle) == 0 {
				pieces = append(pieces, Piece{Format: "bundle", err: fmt.Errorf("%w: an attestation of the list holds no bundle", ErrBundle)})
				continue
			}
			pieces = append(pieces, bundlePiece(in.Bundle))
		}
		return pieces
	case f.PayloadType != nil && *f.PayloadType == gittufPayload:
		return gittufPieces(doc)
	case f.PayloadType != nil:
		return envelopePieces(doc)
	case f.Base64 != nil:
		return []Piece{cosignPiece(doc)}
	}
	return []Piece{{Format: "bundle", err: fmt.Errorf("%w: it is no bundle, envelope or list of attestations that is known", ErrBundle)}}
}

func bundlePiece(raw []byte) Piece {
	p := Piece{Format: "bundle", raw: raw}
	p.parsed, p.err = parse(raw)
	return p
}

// An envelope is a DSSE envelope; certificate, intermediates and timestamps are witness's additions.
type envelope struct {
	Payload     []byte `json:"payload"`
	PayloadType string `json:"payloadType"`
	Signatures  []struct {
		KeyID       string `json:"keyid"`
		Sig         []byte `json:"sig"`
		Certificate []byte `json:"certificate"`
		Cert        string `json:"cert"` // slsa-github-generator
		Timestamps  []struct {
			Type string `json:"type"`
			Data []byte `json:"data"`
		} `json:"timestamps"`
	} `json:"signatures"`
}

func envelopePieces(doc []byte) []Piece {
	fail := func(err error) []Piece {
		return []Piece{{Format: "envelope", err: fmt.Errorf("%w: %s", ErrBundle, oneLine(err))}}
	}
	var env envelope
	if err := json.Unmarshal(doc, &env); err != nil {
		return fail(err)
	}
	if len(env.Signatures) == 0 || len(env.Signatures) > maxPieces {
		return fail(fmt.Errorf("its envelope has %d signatures, want 1 to %d", len(env.Signatures), maxPieces))
	}
	pieces := make([]Piece, 0, len(env.Signatures))
	for _, s := range env.Signatures {
		m := &protobundle.VerificationMaterial{}
		leaf := orBytes(s.Certificate, []byte(s.Cert))
		if len(leaf) == 0 {
			m.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: s.KeyID}}
		} else if err := setCertificate(m, leaf); err != nil {
			pieces = append(pieces, fail(err)...)
			continue
		}
		for _, ts := range s.Timestamps {
			if ts.Type == "tsp" {
				addTimestamp(m, ts.Data)
			}
		}
		pieces = append(pieces, newPiece("envelope", &protobundle.Bundle{
			MediaType: mediaTypes[0], VerificationMaterial: m,
			Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
				Payload: env.Payload, PayloadType: env.PayloadType, Signatures: []*protodsse.Signature{{Sig: s.Sig, Keyid: s.KeyID}}}},
		}))
	}
	return pieces
}

// newPiece is a piece of a bundle that was made here.
func newPiece(format string, pb *protobundle.Bundle) Piece {
	p := Piece{Format: format}
	p.parsed, p.err = newParsed(pb)
	return p
}

func orBytes(a, b []byte) []byte {
	if len(a) > 0 {
		return a
	}
	return b
}

// decodeBase64 reads base64 as cosign writes it, with or without a line end.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace([]byte(s))))
	if err == nil && len(b) == 0 {
		err = errors.New("it is empty")
	}
	return b, err
}
