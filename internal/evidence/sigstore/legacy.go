package sigstore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// mediaTypeV01 is the bundle that a promise of the log alone makes valid.
const mediaTypeV01 = "application/vnd.dev.sigstore.bundle+json;version=0.1"

// A DetachedSignature is what cosign writes beside a file or into the annotations of an image's
// layer. Only Signature is needed.
type DetachedSignature struct {
	Signature   string // base64
	Certificate []byte // PEM, or DER
	Rekor       []byte // the entry as cosign keeps it: {"SignedEntryTimestamp", "Payload"}
	Timestamp   []byte // {"SignedRFC3161Timestamp": base64}, as cosign keeps it
}

// Detached is the signature over an artifact as a piece. The digest that it signs is the one that its
// log entry names, or SHA-256; with a P-384 key it is SHA-384, as Sigstore's registry of algorithms
// has it.
func Detached(d DetachedSignature, a Artifact, by Signer) Piece {
	fail := func(err error) Piece {
		return Piece{Format: "signature", err: fmt.Errorf("%w: %s", ErrBundle, oneLine(err))}
	}
	sig, err := decodeBase64(d.Signature)
	if err != nil {
		return fail(fmt.Errorf("the signature is no base64: %w", err))
	}
	m := &protobundle.VerificationMaterial{}
	algorithm := "sha256"
	if len(d.Certificate) > 0 {
		if err := setCertificate(m, d.Certificate); err != nil {
			return fail(err)
		}
	} else {
		m.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}}
		if k, ok := by.Key.(*ecdsa.PublicKey); ok && k.Curve == elliptic.P384() {
			algorithm = "sha384"
		}
	}
	if len(d.Timestamp) > 0 {
		var ts struct{ SignedRFC3161Timestamp []byte }
		if err := json.Unmarshal(d.Timestamp, &ts); err != nil {
			return fail(fmt.Errorf("its timestamp: %w", err))
		}
		addTimestamp(m, ts.SignedRFC3161Timestamp)
	}
	media := mediaTypes[0]
	if len(d.Rekor) > 0 {
		e, err := rekorBundle(d.Rekor)
		if err != nil {
			return fail(err)
		}
		m.TlogEntries = []*protorekor.TransparencyLogEntry{e}
		media = mediaTypeV01
		chainForm(m)
	}
	sum := a.sums[algorithm]
	number := map[string]protocommon.HashAlgorithm{"sha256": protocommon.HashAlgorithm_SHA2_256, "sha384": protocommon.HashAlgorithm_SHA2_384}[algorithm]
	if sum == nil {
		return fail(fmt.Errorf("the artifact's %s digest is not known", algorithm))
	}
	return newPiece("signature", &protobundle.Bundle{MediaType: media, VerificationMaterial: m,
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: number, Digest: sum}, Signature: sig}}})
}

// cosignPiece reads cosign's legacy bundle. It says nothing of what was signed but through the log's
// entry, whose digest is taken, and compared with the artifact's when the piece is verified.
func cosignPiece(doc []byte) Piece {
	fail := func(err error) Piece {
		return Piece{Format: "cosign-bundle", err: fmt.Errorf("%w: %s", ErrBundle, oneLine(err))}
	}
	var b struct {
		Signature string          `json:"base64Signature"`
		Cert      string          `json:"cert"`
		Rekor     json.RawMessage `json:"rekorBundle"`
	}
	if err := json.Unmarshal(doc, &b); err != nil {
		return fail(err)
	}
	if len(b.Rekor) == 0 || string(b.Rekor) == "null" {
		return fail(errors.New("it holds no log entry, and says nothing of what it signs"))
	}
	digest, err := entryDigest(b.Rekor)
	if err != nil {
		return fail(err)
	}
	var cert []byte
	if b.Cert != "" {
		cert = []byte(b.Cert)
		if der, err := decodeBase64(b.Cert); err == nil { // PEM in base64, as older versions wrote it
			cert = der
		}
		if bytes.Contains(cert, []byte("PUBLIC KEY")) {
			cert = nil // cosign puts the public key here for signatures with a key
		}
	}
	p := Detached(DetachedSignature{Signature: b.Signature, Certificate: cert, Rekor: b.Rekor}, Artifact{sums: map[string][]byte{"sha256": digest}}, Signer{})
	p.Format = "cosign-bundle"
	return p
}

// A rekorEntry is how cosign keeps Rekor v1's entries.
type rekorEntry struct {
	SignedEntryTimestamp []byte
	Payload              struct {
		Body           []byte `json:"body"`
		IntegratedTime int64  `json:"integratedTime"`
		LogIndex       int64  `json:"logIndex"`
		LogID          string `json:"logID"`
	}
}

// rekorBundle reads the entry; only the log's promise is in it.
func rekorBundle(raw []byte) (*protorekor.TransparencyLogEntry, error) {
	var in rekorEntry
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("its log entry: %w", err)
	}
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(in.Payload.Body, &kind); err != nil {
		return nil, fmt.Errorf("the body of its log entry: %w", err)
	}
	id, err := hex.DecodeString(in.Payload.LogID)
	if err != nil {
		return nil, fmt.Errorf("the log's id: %w", err)
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex: in.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: id}, IntegratedTime: in.Payload.IntegratedTime,
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion},
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: in.SignedEntryTimestamp},
		CanonicalizedBody: in.Payload.Body,
	}, nil
}

// entryDigest returns the SHA-256 digest that a hashedrekord is about.
func entryDigest(raw []byte) ([]byte, error) {
	var in rekorEntry
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("its log entry: %w", err)
	}
	var body struct {
		Kind string `json:"kind"`
		Spec struct {
			Data struct {
				Hash struct {
					Algorithm string `json:"algorithm"`
					Value     string `json:"value"`
				} `json:"hash"`
			} `json:"data"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(in.Payload.Body, &body); err != nil {
		return nil, fmt.Errorf("the body of its log entry: %w", err)
	}
	sum, err := hex.DecodeString(body.Spec.Data.Hash.Value)
	if body.Kind != "hashedrekord" || body.Spec.Data.Hash.Algorithm != "sha256" || err != nil || len(sum) != 32 {
		return nil, fmt.Errorf("its log entry is a %.40q over no SHA-256 digest", body.Kind)
	}
	return sum, nil
}

func addTimestamp(m *protobundle.VerificationMaterial, der []byte) {
	if m.TimestampVerificationData == nil {
		m.TimestampVerificationData = &protobundle.TimestampVerificationData{}
	}
	m.TimestampVerificationData.Rfc3161Timestamps = append(m.TimestampVerificationData.Rfc3161Timestamps,
		&protocommon.RFC3161SignedTimestamp{SignedTimestamp: der})
}

// setCertificate puts a leaf, PEM or DER, into m. Intermediates that travel with it are left out: the
// trusted root names those that count.
func setCertificate(m *protobundle.VerificationMaterial, leaf []byte) error {
	if blocks := pemBlocks(leaf); len(blocks) > 0 {
		leaf = blocks[0]
	}
	if _, err := x509.ParseCertificate(leaf); err != nil {
		return fmt.Errorf("its certificate: %w", err)
	}
	m.Content = &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: leaf}}
	return nil
}

// chainForm is the older spelling of one certificate, which bundles of version 0.1 have.
func chainForm(m *protobundle.VerificationMaterial) {
	if c, ok := m.Content.(*protobundle.VerificationMaterial_Certificate); ok {
		m.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{
			Certificates: []*protocommon.X509Certificate{c.Certificate}}}
	}
}

// pemBlocks returns the contents of a PEM file's blocks; none if it is no PEM.
func pemBlocks(b []byte) [][]byte {
	var out [][]byte
	for len(out) < 16 {
		block, rest := pem.Decode(b)
		if block == nil {
			return out
		}
		out, b = append(out, block.Bytes), rest
	}
	return out
}
