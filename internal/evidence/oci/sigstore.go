package oci

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// oldBundle is the version of bundles that has all that cosign's annotations can hold: an entry of
// Rekor with its promise and no proof.
const oldBundle = typeBundlePrefix + "+json;version=0.1"

type b64 = string

type sigstoreBundle struct {
	MediaType string            `json:"mediaType"`
	Material  material          `json:"verificationMaterial"`
	Envelope  *dsse.Envelope    `json:"dsseEnvelope,omitempty"`
	Message   *messageSignature `json:"messageSignature,omitempty"`
}

type material struct {
	PublicKey  *struct{}    `json:"publicKey,omitempty"`
	Chain      *chain       `json:"x509CertificateChain,omitempty"`
	Entries    []tlogEntry  `json:"tlogEntries,omitempty"`
	Timestamps *timestamped `json:"timestampVerificationData,omitempty"`
}

type chain struct {
	Certificates []certificate `json:"certificates"`
}

type certificate struct {
	RawBytes []byte `json:"rawBytes"`
}

type timestamped struct {
	RFC3161 []signedTimestamp `json:"rfc3161Timestamps"`
}

type signedTimestamp struct {
	SignedTimestamp []byte `json:"signedTimestamp"`
}

type messageSignature struct {
	Digest struct {
		Algorithm string `json:"algorithm"`
		Digest    []byte `json:"digest"`
	} `json:"messageDigest"`
	Signature []byte `json:"signature"`
}

type tlogEntry struct {
	LogIndex string `json:"logIndex"`
	LogID    struct {
		KeyID []byte `json:"keyId"`
	} `json:"logId"`
	KindVersion struct {
		Kind    string `json:"kind"`
		Version string `json:"version"`
	} `json:"kindVersion"`
	IntegratedTime string `json:"integratedTime"`
	Promise        struct {
		SignedEntryTimestamp []byte `json:"signedEntryTimestamp"`
	} `json:"inclusionPromise"`
	Body b64 `json:"canonicalizedBody"`
}

// SigstoreBundle returns a signed item as a Sigstore bundle, so that one verifier reads them all: a bundle as
// it is, and what older cosign left as a bundle of version 0.1, with the certificate, the Rekor
// entry and the timestamp that stand in its annotations. The bundle of a simple-signing payload is a
// message signature of Raw. An item without a certificate has a key that nobody names, and any may be
// tried. Nothing is verified.
func (it Item) SigstoreBundle() ([]byte, error) {
	b := sigstoreBundle{MediaType: oldBundle}
	switch it.Kind {
	case Bundle:
		return it.Raw, nil
	case DSSE:
		e, err := dsse.Parse(it.Raw)
		if err != nil {
			return nil, err
		}
		b.Envelope = &e
	case SimpleSigning:
		b.Message = &messageSignature{Signature: it.Signature}
		b.Message.Digest.Algorithm = "SHA2_256"
		b.Message.Digest.Digest, _ = hex.DecodeString(sallyport.SHA256(it.Raw).Hex())
	default:
		return nil, fmt.Errorf("an item of kind %s is not signed", it.Kind)
	}
	if err := b.Material.fill(it); err != nil {
		return nil, err
	}
	out, err := sallyport.EncodeJSON(b)
	if err == nil && len(out) > evidence.MaxBundle {
		err = fmt.Errorf("the bundle has %d bytes, the limit is %d", len(out), evidence.MaxBundle)
	}
	return out, err
}

func (m *material) fill(it Item) error {
	if it.Certificate == "" {
		m.PublicKey = &struct{}{}
	} else {
		// The chain is left out: whom to trust is the trusted root's to say.
		block, _ := pem.Decode([]byte(it.Certificate))
		if block == nil || block.Type != "CERTIFICATE" {
			return errors.New("the certificate in the annotation is no PEM")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return errors.New("the certificate in the annotation cannot be read")
		}
		m.Chain = &chain{[]certificate{{block.Bytes}}}
	}
	if it.RekorBundle != "" {
		e, err := readRekor([]byte(it.RekorBundle))
		if err != nil {
			return err
		}
		m.Entries = []tlogEntry{e}
	}
	if it.Timestamp != "" {
		var t struct{ SignedRFC3161Timestamp []byte }
		if err := strict.LaxJSON([]byte(it.Timestamp), MaxManifest, &t); err != nil || len(t.SignedRFC3161Timestamp) == 0 {
			return errors.New("the timestamp in the annotation cannot be read")
		}
		m.Timestamps = &timestamped{[]signedTimestamp{{t.SignedRFC3161Timestamp}}}
	}
	return nil
}

// readRekor reads the entry of Rekor v1 as cosign keeps it.
func readRekor(raw []byte) (tlogEntry, error) {
	bad := errors.New("the Rekor entry in the annotation cannot be read")
	var in struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           b64    `json:"body"`
			IntegratedTime *int64 `json:"integratedTime"`
			LogIndex       *int64 `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := strict.LaxJSON(raw, MaxManifest, &in); err != nil {
		return tlogEntry{}, bad
	}
	body, err := base64.StdEncoding.DecodeString(in.Payload.Body)
	var kind struct {
		Version string `json:"apiVersion"`
		Kind    string `json:"kind"`
	}
	if err != nil || json.Unmarshal(body, &kind) != nil || kind.Kind == "" || kind.Version == "" {
		return tlogEntry{}, bad
	}
	var e tlogEntry
	e.LogID.KeyID, err = hex.DecodeString(in.Payload.LogID)
	if err != nil || len(e.LogID.KeyID) == 0 || in.Payload.LogIndex == nil || in.Payload.IntegratedTime == nil || len(in.SignedEntryTimestamp) == 0 {
		return tlogEntry{}, bad
	}
	e.LogIndex, e.IntegratedTime = strconv.FormatInt(*in.Payload.LogIndex, 10), strconv.FormatInt(*in.Payload.IntegratedTime, 10)
	e.KindVersion.Kind, e.KindVersion.Version = kind.Kind, kind.Version
	e.Promise.SignedEntryTimestamp, e.Body = in.SignedEntryTimestamp, in.Payload.Body
	return e, nil
}
