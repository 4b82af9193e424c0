package oci

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// older takes a real bundle apart into what cosign before version 3 would have left of it.
func older(t *testing.T, name string) (Item, map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "conformance", name))
	if err != nil {
		t.Fatal(err)
	}
	var b struct {
		Material struct {
			Chain   chain       `json:"x509CertificateChain"`
			Entries []tlogEntry `json:"tlogEntries"`
			Times   timestamped `json:"timestampVerificationData"`
		} `json:"verificationMaterial"`
		Envelope json.RawMessage  `json:"dsseEnvelope"`
		Message  messageSignature `json:"messageSignature"`
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	e := b.Material.Entries[0]
	number := func(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }
	rekor, _ := json.Marshal(map[string]any{"SignedEntryTimestamp": e.Promise.SignedEntryTimestamp, "Payload": map[string]any{
		"body": e.Body, "integratedTime": number(e.IntegratedTime), "logIndex": number(e.LogIndex), "logID": hex.EncodeToString(e.LogID.KeyID)}})
	it := Item{
		Kind: DSSE, Raw: b.Envelope, RekorBundle: string(rekor),
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Material.Chain.Certificates[0].RawBytes})),
	}
	if len(b.Envelope) == 0 {
		it.Kind, it.Signature, it.Raw = SimpleSigning, b.Message.Signature, nil
	}
	if len(b.Material.Times.RFC3161) > 0 {
		ts, _ := json.Marshal(map[string]any{"SignedRFC3161Timestamp": b.Material.Times.RFC3161[0].SignedTimestamp})
		it.Timestamp = string(ts)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return it, doc
}

// What older cosign left is put together as the bundle that it came from, but for the proof of
// inclusion, which annotations do not hold.
func TestSigstoreBundle(t *testing.T) {
	for _, name := range []string{"intoto.sigstore.json", "message.sigstore.json"} {
		it, want := older(t, name)
		raw, err := it.SigstoreBundle()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		vm := want["verificationMaterial"].(map[string]any)
		delete(vm["tlogEntries"].([]any)[0].(map[string]any), "inclusionProof")
		if ts, ok := vm["timestampVerificationData"].(map[string]any); ok && len(ts) == 0 {
			delete(vm, "timestampVerificationData")
		}
		for _, key := range []string{"tlogEntries", "timestampVerificationData"} {
			if g := got["verificationMaterial"].(map[string]any)[key]; !reflect.DeepEqual(g, vm[key]) {
				t.Errorf("%s: %s is\n%v, want\n%v", name, key, g, vm[key])
			}
		}
		if !strings.Contains(string(raw), vm["x509CertificateChain"].(map[string]any)["certificates"].([]any)[0].(map[string]any)["rawBytes"].(string)) {
			t.Errorf("%s: the certificate is lost", name)
		}
	}
}

// And it verifies, under the case's own trusted root and identity; changed in one thing it does not.
func TestSigstoreBundleVerifies(t *testing.T) {
	root, err := os.ReadFile(filepath.Join("testdata", "conformance", "intoto.trusted_root.json"))
	if err != nil {
		t.Fatal(err)
	}
	keyless, err := evidence.ParseTrustedRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	const who = "identity:https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main (https://token.actions.githubusercontent.com)"
	v := evidence.NewVerifier([]evidence.Key{{Name: "k", Identity: who, Types: []string{provenance}, Grade: sallyport.Observed}}, time.Now())
	v.Keyless = keyless
	verify := func(change func(*Item)) error {
		it, _ := older(t, "intoto.sigstore.json")
		change(&it)
		raw, err := it.SigstoreBundle()
		if err != nil {
			return err
		}
		_, err = v.Verify(context.Background(), sallyport.Attestation{Raw: raw})
		return err
	}
	if err := verify(func(*Item) {}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Item){
		"no log entry and no time": func(it *Item) { it.RekorBundle, it.Timestamp = "", "" },
		"another payload": func(it *Item) {
			e, err := dsse.Parse(it.Raw)
			if err != nil || !bytes.Contains(e.Payload, []byte("d.txt")) {
				t.Fatalf("%s, %v", e.Payload, err)
			}
			e.Payload = bytes.Replace(e.Payload, []byte("d.txt"), []byte("e.txt"), 1)
			it.Raw, _ = e.MarshalJSON()
		},
		"another time in the log": func(it *Item) { it.RekorBundle = strings.Replace(it.RekorBundle, "1675209600", "1675209601", 1) },
		"no certificate":          func(it *Item) { it.Certificate = "" },
	} {
		if verify(change) == nil {
			t.Errorf("%s: it verifies", name)
		}
	}
}

func TestSigstoreBundleRefuses(t *testing.T) {
	for name, change := range map[string]func(*Item){
		"certificate":     func(it *Item) { it.Certificate = "CERT" },
		"certificate DER": func(it *Item) { it.Certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
		"a key":           func(it *Item) { it.Certificate = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" },
		"entry":           func(it *Item) { it.RekorBundle = "{}" },
		"entry twice":     func(it *Item) { it.RekorBundle = `{"Payload":{},` + it.RekorBundle[1:] },
		"timestamp":       func(it *Item) { it.Timestamp = `{}` },
		"unsigned":        func(it *Item) { it.Kind = Statement },
		"nothing":         func(it *Item) { it.Kind = Unknown },
		"two signatures": func(it *Item) {
			it.Raw = []byte(`{"payloadType":"a","payload":"","signatures":[{"sig":"AAAA"},{"sig":"AAAA"}]}`)
		},
		"a time of no use": func(it *Item) {
			it.RekorBundle = strings.Replace(it.RekorBundle, `"integratedTime":1675209600`, `"integratedTime":"x"`, 1)
		},
	} {
		it, _ := older(t, "intoto.sigstore.json")
		change(&it)
		if raw, err := it.SigstoreBundle(); err == nil {
			t.Errorf("%s: %s", name, raw)
		}
	}
}

// Whatever stands in annotations, what comes of it is a bundle whose entry is the annotation's.
func FuzzSigstoreBundle(f *testing.F) {
	f.Add([]byte(`{"SignedEntryTimestamp":"AAAA","Payload":{"body":"`+base64.StdEncoding.EncodeToString([]byte(`{"apiVersion":"0.0.1","kind":"dsse"}`))+`","integratedTime":1,"logIndex":2,"logID":"00"}}`), "")
	f.Add([]byte(`{}`), `{"SignedRFC3161Timestamp":"AAAA"}`)
	f.Fuzz(func(t *testing.T, rekor []byte, timestamp string) {
		it := Item{Kind: SimpleSigning, Raw: []byte("{}"), Signature: []byte("sig"), RekorBundle: string(rekor), Timestamp: timestamp}
		raw, err := it.SigstoreBundle()
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") || errors.Is(err, ErrDigest) {
				t.Errorf("%q", err)
			}
			return
		}
		a, err := inspect(Bundle, raw)
		if err != nil || len(a.digests) != 1 || a.digests[0] != sallyport.SHA256(it.Raw) {
			t.Errorf("%v, %+v: %s", err, a, raw)
		}
	})
}
