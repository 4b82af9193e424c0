package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/predicate"
)

// keypair is an Ed25519 key as sigstore-go's signing wants it.
type keypair struct{ ed25519.PrivateKey }

func (keypair) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_512
}
func (keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ED25519
}
func (k keypair) GetHint() []byte                  { h, _ := Hint(k.Public()); return []byte(h) }
func (keypair) GetKeyAlgorithm() string            { return "ED25519" }
func (k keypair) GetPublicKey() crypto.PublicKey   { return k.Public() }
func (k keypair) GetPublicKeyPem() (string, error) { return "", nil }
func (k keypair) SignData(_ context.Context, b []byte) ([]byte, []byte, error) {
	sig, err := k.Sign(rand.Reader, b, crypto.Hash(0))
	return sig, nil, err
}

// Sign makes the very bundle that sigstore-go's sign package makes; that package is not linked
// because its imports cost a millisecond at every start of the program.
func TestSignAsSigstoreDoes(t *testing.T) {
	s := newEd25519(t)
	raw := mustSign(t, statement(commit, tree), s)
	payload, err := sallyport.EncodeJSON(statement(commit, tree))
	if err != nil {
		t.Fatal(err)
	}
	want, err := sign.Bundle(&sign.DSSEData{Data: payload, PayloadType: dsse.InTotoPayload}, keypair{s}, sign.BundleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got protobundle.Bundle
	if err := protojson.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&got, want) {
		t.Errorf("got  %s\nwant %s", raw, protojson.Format(want))
	}
	if again := mustSign(t, statement(commit, tree), s); !bytes.Equal(raw, again) {
		t.Error("the same statement and key give two encodings")
	}
}

// What sigstore-go signs and encodes, spaces and all, verifies here.
func TestVerifySigstoresOwn(t *testing.T) {
	s := newEd25519(t)
	payload, err := sallyport.EncodeJSON(statement(commit))
	if err != nil {
		t.Fatal(err)
	}
	b, err := sign.Bundle(&sign.DSSEData{Data: payload, PayloadType: dsse.InTotoPayload}, keypair{s}, sign.BundleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte(protojson.Format(b))
	if _, err := NewVerifier([]Key{keyFor(s.Public())}, now).Verify(t.Context(), sallyport.Attestation{Raw: raw}); err != nil {
		t.Error(err)
	}
}

// silent returns signatures that are none.
type silent struct{ ed25519.PrivateKey }

func (silent) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 64), nil
}

func TestSignRefuses(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(f func(st *sallyport.Statement)) sallyport.Statement {
		st := statement(commit)
		f(&st)
		return st
	}
	s := newEd25519(t)
	tests := []struct {
		name   string
		st     sallyport.Statement
		signer Signer
		says   string
	}{
		{"a signer that fails silently", statement(commit), silent{s}, "check what was signed"},
		{"a curve that is not accepted", statement(commit), p224, "ECDSA P-256"},
		{"no subject", statement(), s, "no subject"},
		{"malformed subject", statement("gitCommit:12"), s, "malformed"},
		{"no type", edit(func(st *sallyport.Statement) { st.Type = "" }), s, "type"},
		{"old type", edit(func(st *sallyport.Statement) { st.Type = statementV01 }), s, "type"},
		{"predicate that is not JSON", edit(func(st *sallyport.Statement) { st.Predicate = json.RawMessage("{") }), s, "encode"},
		{"a key twice in the predicate", edit(func(st *sallyport.Statement) { st.Predicate = json.RawMessage(`{"a":1,"a":2}`) }), s, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := Sign(t.Context(), tt.st, tt.signer)
			if err == nil || raw != nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Sign = %d bytes, %v; want an error saying %q", len(raw), err, tt.says)
			}
		})
	}
}

func vsaStatement(t testing.TB, at time.Time) sallyport.Statement {
	t.Helper()
	st, err := VSA(decision(at), sallyport.SHA256([]byte("decision")), VerifierID{ID: "https://sallyport.example/verifier"}, About{Also: []sallyport.Subject{{Digest: tree}}})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func decision(at time.Time) sallyport.Decision {
	return sallyport.Decision{
		Version: "v1", Gate: sallyport.GateMerge, Subject: sallyport.Subject{Digest: commit, Name: "main"},
		Resource: "example.com/acme/app@refs/heads/main", Outcome: sallyport.Open, Time: at.Format(time.RFC3339),
		Policies: []sallyport.PolicySet{{Name: "baseline", Digest: sallyport.SHA256([]byte("p"))}},
		Evidence: []sallyport.Digest{sallyport.SHA256([]byte("e"))},
	}
}

func TestVSA(t *testing.T) {
	d := decision(now)
	st, err := VSA(d, sallyport.SHA256([]byte("decision")), VerifierID{ID: "https://sallyport.example/verifier", Version: map[string]string{"sallyport": "1.0"}}, About{Also: []sallyport.Subject{{Digest: tree}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := sallyport.EncodeJSON(st)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"_type":"https://in-toto.io/Statement/v1","subject":[` +
		`{"name":"main","digest":{"gitCommit":"1111111111111111111111111111111111111111"},"annotations":{"sourceRefs":["refs/heads/main"]}},` +
		`{"digest":{"gitTree":"2222222222222222222222222222222222222222"}}],` +
		`"predicateType":"https://slsa.dev/verification_summary/v1","predicate":{` +
		`"verifier":{"id":"https://sallyport.example/verifier","version":{"sallyport":"1.0"}},` +
		`"timeVerified":"2026-05-01T12:00:00Z","resourceUri":"git+https://example.com/acme/app",` +
		`"policy":{"uri":"https://sallyport.dev/policy-set/baseline","digest":{"sha256":"148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940"}},` +
		`"inputAttestations":[{"digest":{"sha256":"3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea"}}],` +
		`"verificationResult":"PASSED","verifiedLevels":["SLSA_SOURCE_LEVEL_UNEVALUATED"],"slsaVersion":"1.2",` +
		`"https://sallyport.dev/vsa/v0.1/decision":"sha256:86ae35d58a6aa3b5742df94ef9d7162219f0106a911ae1954c1f0604aaec805d",` +
		`"https://sallyport.dev/vsa/v0.1/gate":"merge","https://sallyport.dev/vsa/v0.1/outcome":"open",` +
		`"https://sallyport.dev/vsa/v0.1/reasons":[],"https://sallyport.dev/vsa/v0.1/advice":[],` +
		`"https://sallyport.dev/vsa/v0.1/policies":[{"name":"baseline","digest":"sha256:148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940"}]}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestVSAResult(t *testing.T) {
	tests := []struct {
		name string
		edit func(d *sallyport.Decision)
		want string
	}{
		{"open", func(*sallyport.Decision) {}, "PASSED"},
		{"waiting", func(d *sallyport.Decision) { d.Outcome = sallyport.Waiting }, "FAILED"},
		{"shut", func(d *sallyport.Decision) { d.Outcome = sallyport.Shut }, "FAILED"},
		{"shut in observe mode", func(d *sallyport.Decision) { d.Outcome, d.Mode = sallyport.Shut, sallyport.Observe }, "FAILED"},
		{"undecided", func(d *sallyport.Decision) { d.Undecided = true }, "FAILED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := decision(now)
			tt.edit(&d)
			st, err := VSA(d, sallyport.SHA256(nil), VerifierID{ID: "https://v.example"}, About{})
			if err != nil {
				t.Fatal(err)
			}
			var v predicate.Summary
			if err := json.Unmarshal(st.Predicate, &v); err != nil {
				t.Fatal(err)
			}
			if v.VerificationResult != tt.want || (tt.want == "FAILED") != (v.VerifiedLevels[0] == "FAILED") {
				t.Errorf("result %s, levels %v; want %s", v.VerificationResult, v.VerifiedLevels, tt.want)
			}
		})
	}
	bad := decision(now)
	bad.Subject.Digest = "main"
	if _, err := VSA(bad, sallyport.SHA256(nil), VerifierID{ID: "https://v.example"}, About{}); !errors.Is(err, ErrStatement) {
		t.Errorf("a decision about no digest: %v", err)
	}
	if _, err := VSA(decision(now), "x", VerifierID{ID: "https://v.example"}, About{}); !errors.Is(err, sallyport.ErrDigest) {
		t.Errorf("a decision without id: %v", err)
	}
	if _, err := VSA(decision(now), sallyport.SHA256(nil), VerifierID{ID: "me"}, About{}); err == nil {
		t.Error("a verifier that is not a URI was accepted")
	}
}

func TestResourceURI(t *testing.T) {
	for in, want := range map[string][2]string{
		"github.com/acme/app@refs/heads/main": {"git+https://github.com/acme/app", "refs/heads/main"},
		"https://git.example/a@refs/tags/v1":  {"https://git.example/a", "refs/tags/v1"},
		"my service@refs/heads/main":          {"sallyport:my%20service", "refs/heads/main"},
		"example.com/a b@c":                   {"git+https://example.com/a%20b@c", ""},
	} {
		if uri, ref := resourceURI(in); uri != want[0] || ref != want[1] {
			t.Errorf("resourceURI(%q) = %q, %q; want %q", in, uri, ref, want)
		}
	}
}
