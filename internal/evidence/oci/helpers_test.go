package oci

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

const provenance = "https://slsa.dev/provenance/v1"

// A fixture is a registry in this process with one repository, and a key that signs for it.
type fixture struct {
	t    testing.TB
	host string
	key  ed25519.PrivateKey
	ref  Reference
}

func newFixture(t testing.TB, referrers bool, wrap func(http.Handler) http.Handler) *fixture {
	t.Helper()
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers))
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	f := &fixture{t: t, host: strings.TrimPrefix(s.URL, "http://"), key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}
	f.ref = f.at("v1")
	return f
}

func (f *fixture) at(tag string) Reference {
	return Reference{Registry: f.host, Repository: "team/app", Tag: tag}
}

func (f *fixture) do(method, path, contentType string, body []byte) *http.Response {
	f.t.Helper()
	req, err := http.NewRequest(method, "http://"+f.host+path, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
		f.t.Fatalf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	return resp
}

type object = map[string]any

func desc(mediaType string, b []byte, more object) object {
	d := object{"mediaType": mediaType, "digest": sallyport.SHA256(b), "size": len(b)}
	for k, v := range more {
		d[k] = v
	}
	return d
}

// blob pushes b and returns its descriptor.
func (f *fixture) blob(mediaType string, b []byte, more object) object {
	f.t.Helper()
	f.do(http.MethodPost, "/v2/team/app/blobs/uploads/?digest="+string(sallyport.SHA256(b)), "application/octet-stream", b)
	return desc(mediaType, b, more)
}

// put pushes a manifest under a tag, or under its digest if there is none, and returns its
// descriptor.
func (f *fixture) put(tag string, m object) object {
	f.t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		f.t.Fatal(err)
	}
	if tag == "" {
		tag = string(sallyport.SHA256(b))
	}
	mediaType, _ := m["mediaType"].(string)
	f.do(http.MethodPut, "/v2/team/app/manifests/"+tag, mediaType, b)
	return desc(mediaType, b, nil)
}

func with(d object, more object) object {
	out := object{}
	for k, v := range d {
		out[k] = v
	}
	for k, v := range more {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

func digestOf(d object) sallyport.Digest { return d["digest"].(sallyport.Digest) }

// image pushes an image whose content is text.
func (f *fixture) image(tag, text string) object {
	f.t.Helper()
	return f.put(tag, object{
		"schemaVersion": 2, "mediaType": typeManifest,
		"config": f.blob("application/vnd.oci.image.config.v1+json", []byte(`{"text":"`+text+`"}`), nil),
		"layers": []any{f.blob("application/vnd.oci.image.layer.v1.tar", []byte(text), nil)},
	})
}

// attached is a manifest that holds layers, about subject unless that is nil.
func (f *fixture) attached(subject object, artifactType string, layers ...object) object {
	m := object{"schemaVersion": 2, "mediaType": typeManifest, "config": f.blob(typeEmpty, []byte("{}"), nil), "layers": layers}
	if artifactType != "" {
		m["artifactType"] = artifactType
	}
	if subject != nil {
		m["subject"] = subject
	}
	return m
}

func (f *fixture) index(members ...object) object {
	return object{"schemaVersion": 2, "mediaType": typeIndex, "manifests": members}
}

func statement(d sallyport.Digest) sallyport.Statement {
	return sallyport.Statement{
		Type: sallyport.StatementType, PredicateType: provenance, Predicate: json.RawMessage(`{"built":true}`),
		Subject: []sallyport.StatementSubject{{Name: "app", Digest: map[string]string{d.Algorithm(): d.Hex()}}},
	}
}

// bundle signs a statement about d.
func (f *fixture) bundle(d sallyport.Digest) []byte {
	f.t.Helper()
	return f.sign(statement(d))
}

func (f *fixture) sign(st sallyport.Statement) []byte {
	f.t.Helper()
	b, err := evidence.Sign(context.Background(), st, f.key)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// envelope is the DSSE envelope of a bundle.
func (f *fixture) envelope(d sallyport.Digest) []byte {
	f.t.Helper()
	var b struct {
		Envelope json.RawMessage `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(f.bundle(d), &b); err != nil {
		f.t.Fatal(err)
	}
	return b.Envelope
}

// simple is cosign's payload about d, and the annotation with its signature.
func (f *fixture) simple(d sallyport.Digest) ([]byte, object) {
	p := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":"registry.example.com/team/app"},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":null}`, d)
	sum := sha256.Sum256(p)
	sig, err := f.key.Sign(nil, sum[:], crypto.Hash(0))
	if err != nil {
		f.t.Fatal(err)
	}
	return p, object{"annotations": object{
		noteSignature: base64.StdEncoding.EncodeToString(sig), noteCertificate: "CERT", noteChain: "CHAIN", noteRekor: `{"Payload":{}}`, noteTimestamp: `{"SignedRFC3161Timestamp":""}`,
	}}
}

// verified counts the items that are bundles and verify under the fixture's key.
func (f *fixture) verified(items []Item) int {
	f.t.Helper()
	v := evidence.NewVerifier([]evidence.Key{{Name: "k", Public: f.key.Public(), Types: []string{provenance}, Grade: sallyport.Observed}}, time.Now())
	n := 0
	for _, it := range items {
		ev, err := v.Verify(context.Background(), sallyport.Attestation{Raw: it.Raw, Source: it.Source})
		if err == nil && ev.About(it.Subject) {
			n++
		}
	}
	return n
}

var quick = Options{Timeout: 5 * time.Second, Settle: 20 * time.Millisecond}

func (f *fixture) find(ref Reference) Result {
	f.t.Helper()
	r, err := Find(context.Background(), ref, quick)
	if err != nil {
		f.t.Fatalf("find %s: %v", ref, err)
	}
	return r
}

func marshalStatement(d object) ([]byte, error) { return sallyport.EncodeJSON(statement(digestOf(d))) }
