package sigstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func keys(tb testing.TB) map[string]crypto.Signer {
	tb.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	p256, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err3 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	r, err4 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		tb.Fatal(err)
	}
	return map[string]crypto.Signer{"ed25519": ed, "p256": p256, "p384": p384, "rsa": r}
}

func artifact(tb testing.TB, content string) Artifact {
	tb.Helper()
	p := filepath.Join(tb.TempDir(), "artifact")
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	a, err := File(p)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func statementOf(a Artifact) []byte {
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"artifact","digest":{"sha256":"` +
		a.Digest("sha256").Hex() + `"}}],"predicateType":"https://example.com/t/v1","predicate":{}}`)
}

// TestSign signs a file and a statement with every kind of key; what is signed verifies for that key, that
// artifact and nothing else.
func TestSign(t *testing.T) {
	a, other := artifact(t, "hello\n"), artifact(t, "other\n")
	all := keys(t)
	for name, key := range all {
		for kind, content := range map[string]Content{"file": {Artifact: a}, "statement": {Artifact: a, Statement: statementOf(a)}} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				raw, err := Sign(context.Background(), key, content)
				if err != nil {
					t.Fatal(err)
				}
				again, err := Sign(context.Background(), key, content)
				if err != nil || name == "ed25519" && !bytes.Equal(raw, again) {
					t.Errorf("signing again: %v, equal: %t", err, bytes.Equal(raw, again))
				}
				root, err := PublicGood()
				if err != nil {
					t.Fatal(err)
				}
				res, err := root.Verify(raw, a, Signer{Key: key.Public()})
				if err != nil || (res.Statement != nil) != (kind == "statement") {
					t.Fatalf("Verify: %v", err)
				}
				for what, try := range map[string]struct {
					a    Artifact
					by   Signer
					want error
				}{
					"another artifact":   {other, Signer{Key: key.Public()}, ErrArtifact},
					"no artifact":        {Artifact{}, Signer{Key: key.Public()}, ErrArtifact},
					"another key":        {a, Signer{Key: keys(t)[name].Public()}, ErrSignature},
					"nobody":             {a, Signer{}, ErrSigner},
					"an identity":        {a, Signer{Subject: "a@example.com", Issuer: "https://example.com"}, ErrSigner},
					"a key and identity": {a, Signer{Key: key.Public(), Subject: "a@example.com", Issuer: "https://example.com"}, ErrSigner},
					"a log":              {a, Signer{Key: key.Public(), Logged: true}, ErrLog},
				} {
					if res, err := root.Verify(raw, try.a, try.by); !errors.Is(err, try.want) || res.MediaType != "" {
						t.Errorf("%s: %v, want %v", what, err, try.want)
					}
				}
			})
		}
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it has to be refused
	if err == nil {
		if _, err := Sign(context.Background(), weak, Content{Artifact: a}); err == nil {
			t.Error("an RSA key of 1024 bits signs")
		}
	}
	if _, err := Sign(context.Background(), all["p256"], Content{}); err == nil {
		t.Error("nothing is signed")
	}
}

// TestPlainEd25519 verifies a signature over all bytes, as older clients made them.
func TestPlainEd25519(t *testing.T) {
	a := artifact(t, "hello\n")
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root, _ := PublicGood()
	sig := base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte("hello\n")))
	p := Detached(DetachedSignature{Signature: sig + "\n"}, a, Signer{Key: pub})
	if _, err := p.Verify(root, a, Signer{Key: pub}); err != nil {
		t.Errorf("Verify: %v", err)
	}
	digested, err := Digested(a.Digest("sha256"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(root, digested, Signer{Key: pub}); !errors.Is(err, ErrSignature) {
		t.Errorf("by digest: %v", err)
	}
	other := artifact(t, "other\n")
	if _, err := Detached(DetachedSignature{Signature: sig}, other, Signer{Key: pub}).Verify(root, other, Signer{Key: pub}); !errors.Is(err, ErrSignature) {
		t.Errorf("over another file: %v", err)
	}
}

// TestSubject: every digest of a subject that is known has to be the artifact's.
func TestSubject(t *testing.T) {
	a := artifact(t, "hello\n")
	sha256, sha512 := a.Digest("sha256").Hex(), a.Digest("sha512").Hex()
	wrong := strings.Repeat("0", 64)
	for _, c := range []struct {
		name, subjects string
		want           error
	}{
		{"one", `{"digest":{"sha256":"` + sha256 + `"}}`, nil},
		{"by sha512 alone, as npm", `{"digest":{"sha512":"` + sha512 + `"}}`, nil},
		{"beside what is unknown", `{"digest":{"sha256":"` + sha256 + `","dirHash1":"h1:x"}}`, nil},
		{"the second of two", `{"digest":{"sha256":"` + wrong + `"}},{"digest":{"sha256":"` + sha256 + `"}}`, nil},
		{"one digest right, one wrong", `{"digest":{"sha256":"` + wrong + `","sha512":"` + sha512 + `"}}`, ErrArtifact},
		{"two subjects that share it", `{"digest":{"sha256":"` + wrong + `"}},{"digest":{"dirHash1":"` + sha256 + `"}}`, ErrArtifact},
		{"upper case", `{"digest":{"sha256":"` + strings.ToUpper(sha256) + `"}}`, ErrArtifact},
		{"spelt otherwise", `{"Digest":{"sha256":"` + sha256 + `"}}`, ErrArtifact},
		{"a digest that is no text", `{"digest":{"sha256":1}}`, ErrBundle},
		{"none", ``, ErrBundle},
		{"no digest", `{"name":"artifact"}`, ErrArtifact},
		{"empty digest", `{"digest":{"sha256":""}}`, ErrArtifact},
	} {
		st, err := readStatement([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[` + c.subjects + `]}`))
		if err == nil {
			err = st.about(a)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestConvert reads what other tools write, and every signature of an envelope by itself.
func TestConvert(t *testing.T) {
	a := artifact(t, "hello\n")
	all := keys(t)
	key, second := all["p256"], all["ed25519"]
	bundle, err := Sign(context.Background(), key, Content{Artifact: a, Statement: statementOf(a)})
	if err != nil {
		t.Fatal(err)
	}
	env := envelopeOf(t, bundle)
	other := envelopeOf(t, must(Sign(context.Background(), second, Content{Artifact: a, Statement: statementOf(a)})))
	both := strings.Replace(env, `"signatures":[`, `"signatures":[`+between(other, `"signatures":[`, `]`)+`,`, 1)
	root, _ := PublicGood()
	for _, c := range []struct {
		name, text string
		pieces     int
		good       int
	}{
		{"a bundle", string(bundle), 1, 1},
		{"lines", string(bundle) + "\n" + string(bundle) + "\n", 2, 2},
		{"GitHub's list", `{"attestations":[{"bundle":` + string(bundle) + `,"repository_id":1},{"bundle":null}]}`, 2, 1},
		{"npm's list", `{"attestations":[{"predicateType":"https://example.com/t/v1","bundle":` + string(bundle) + `}]}`, 1, 1},
		{"an envelope", env, 1, 1},
		{"an envelope of two", both, 2, 1},
		{"an envelope without signatures", strings.Replace(env, between(env, `"signatures":[`, `]`), "", 1), 1, 0},
		{"a key twice", strings.Replace(env, `{`, `{"payloadType":"x",`, 1), 1, 0},
		{"another payload type", strings.Replace(env, inTotoPayload, "text/plain", 1), 1, 0},
		{"something else", `{"hello":"world"}`, 1, 0},
		{"no JSON", "hello", 0, 0},
		{"cut off", string(bundle[:len(bundle)-3]), 0, 0},
		{"nothing", "", 0, 0},
	} {
		pieces, err := Convert([]byte(c.text))
		if len(pieces) != c.pieces || (err != nil) != (c.pieces == 0) {
			t.Errorf("%s: %d pieces, %v, want %d", c.name, len(pieces), err, c.pieces)
		}
		good := 0
		for _, p := range pieces {
			if _, err := p.Verify(root, a, Signer{Key: key.Public()}); err == nil {
				good++
			}
		}
		if good != c.good {
			t.Errorf("%s: %d verify, want %d", c.name, good, c.good)
		}
	}
	if _, err := Convert([]byte(strings.Repeat(`{"x":1}`, maxPieces+1))); err == nil {
		t.Error("no limit on how many")
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// envelopeOf returns the bare envelope of a bundle.
func envelopeOf(tb testing.TB, bundle []byte) string {
	tb.Helper()
	var b struct {
		Envelope struct {
			Payload     string              `json:"payload"`
			PayloadType string              `json:"payloadType"`
			Signatures  []map[string]string `json:"signatures"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		tb.Fatal(err)
	}
	out, err := json.Marshal(b.Envelope)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// TestPattern: a pattern has to match all of what a certificate says.
func TestPattern(t *testing.T) {
	is := Identity{Subject: "https://github.com/a/b/.github/workflows/r.yml@refs/heads/main", Issuer: "https://token.actions.githubusercontent.com"}
	for _, c := range []struct {
		name string
		by   Signer
		ok   bool
	}{
		{"exact", Signer{Subject: is.Subject, Issuer: is.Issuer}, true},
		{"patterns", Signer{SubjectPattern: `https://github\.com/a/.*`, IssuerPattern: `https://.*`}, true},
		{"a part", Signer{SubjectPattern: `github\.com/a/b`, Issuer: is.Issuer}, false},
		{"an alternative", Signer{SubjectPattern: `x|https://github\.com/a`, Issuer: is.Issuer}, false},
		{"a line", Signer{SubjectPattern: `(?m)^https:.*$`, Issuer: is.Issuer + "\n"}, false},
		{"a prefix", Signer{Subject: is.Subject[:20], Issuer: is.Issuer}, false},
		{"another issuer", Signer{Subject: is.Subject, Issuer: "https://evil.example"}, false},
	} {
		e, err := c.by.prepare()
		if err == nil {
			err = e.check(is)
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, s := range []Signer{{SubjectPattern: `a)(b`, Issuer: "x"}, {Subject: "a"}, {Issuer: "x"}, {Subject: "a", SubjectPattern: "a", Issuer: "x"}} {
		if _, err := s.prepare(); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

// FuzzVerify changes bundles that verify. What still verifies signs the same with the same certificate:
// only what nobody relies on may differ.
func FuzzVerify(f *testing.F) {
	raw, err := os.ReadFile("testdata/conformance/happy-path-v0.3/bundle.sigstore.json")
	if err != nil {
		f.Fatal(err)
	}
	a, err := File("testdata/conformance/a.txt")
	if err != nil {
		f.Fatal(err)
	}
	root, err := PublicGood()
	if err != nil {
		f.Fatal(err)
	}
	good, err := parse(raw)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	for _, name := range []string{"wrong-material_fail", "happy-path-v0.1", "rekor2-timestamp-with-embedded-cert", "intoto-with-custom-trust-root"} {
		b, err := os.ReadFile("testdata/conformance/" + name + "/bundle.sigstore.json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := root.Verify(b, a, Signer{Subject: beacon, Issuer: github}); err != nil {
			return
		}
		p, err := parse(b)
		if err != nil {
			t.Fatal("what cannot be read verifies")
		}
		if p.digest == nil || !bytes.Equal(p.digest.GetDigest(), good.digest.GetDigest()) {
			t.Error("another digest verifies")
		}
	})
}

// FuzzConvert: what is read has a place in the file, and nothing that was not signed verifies.
func FuzzConvert(f *testing.F) {
	f.Add([]byte(`{"attestations":[{"bundle":{"mediaType":"x"}}]}`))
	f.Add([]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"AA==","keyid":"k","timestamps":[{"type":"tsp","data":"AA=="}]}]}`))
	f.Add([]byte(`{"base64Signature":"AA==","cert":"","rekorBundle":{"SignedEntryTimestamp":"AA==","Payload":{"body":"e30=","integratedTime":1,"logIndex":1,"logID":"00"}}}`))
	f.Add([]byte("{}\n{}"))
	f.Add([]byte("tree 4b82\nparent 00\ngpgsig -----BEGIN SSH SIGNATURE-----\n AA==\n -----END SSH SIGNATURE-----\n\nRSL Reference Entry\n\nref: refs/heads/main\ntargetID: 00\n"))
	f.Add(gittufEnvelope(f, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"gitTree":"a"}}],"predicateType":"https://gittuf.dev/reference-authorization/v0.2","predicate":{"targetRef":"r","fromID":"b","targetID":"a"}}`, gittufPayload, gittufNamespace, newSSH(f)))
	root, err := PublicGood()
	if err != nil {
		f.Fatal(err)
	}
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	a := Bytes([]byte("hello"))
	f.Fuzz(func(t *testing.T, b []byte) {
		pieces, err := Convert(b)
		if (err == nil) != (len(pieces) > 0) {
			t.Fatalf("%d pieces, %v", len(pieces), err)
		}
		for i, p := range pieces {
			if p.Index != i {
				t.Errorf("piece %d is at %d", i, p.Index)
			}
			if _, err := p.Verify(root, a, Signer{Key: pub}); err == nil {
				t.Error("it verifies")
			}
		}
	})
}

// TestLegacy writes a bundle of the suite as cosign did before there were bundles, in one file and in
// three, and verifies it under the public root.
func TestLegacy(t *testing.T) {
	raw, err := os.ReadFile("testdata/conformance/happy-path-v0.1/bundle.sigstore.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	content, err := p.VerificationContent()
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: content.Certificate().Raw})
	e := p.GetVerificationMaterial().GetTlogEntries()[0]
	rekor, err := json.Marshal(map[string]any{
		"SignedEntryTimestamp": e.GetInclusionPromise().GetSignedEntryTimestamp(),
		"Payload": map[string]any{"body": e.GetCanonicalizedBody(), "integratedTime": e.GetIntegratedTime(), "logIndex": e.GetLogIndex(),
			"logID": hex.EncodeToString(e.GetLogId().GetKeyId())},
	})
	if err != nil {
		t.Fatal(err)
	}
	sig := base64.StdEncoding.EncodeToString(p.GetMessageSignature().GetSignature())
	a, err := File("testdata/conformance/a.txt")
	if err != nil {
		t.Fatal(err)
	}
	root, _ := PublicGood()
	by := Signer{Subject: beacon, Issuer: github}
	legacy := fmt.Sprintf(`{"base64Signature":%q,"cert":%q,"rekorBundle":%s}`, sig, base64.StdEncoding.EncodeToString(cert), rekor)
	pieces, err := Convert([]byte(legacy))
	if err != nil || len(pieces) != 1 {
		t.Fatalf("%d pieces, %v", len(pieces), err)
	}
	if _, err := pieces[0].Verify(root, a, by); err != nil {
		t.Errorf("cosign's bundle: %v", err)
	}
	if _, err := pieces[0].Verify(root, artifact(t, "x"), by); !errors.Is(err, ErrArtifact) {
		t.Errorf("cosign's bundle over something else: %v", err)
	}
	d := DetachedSignature{Signature: sig, Certificate: cert, Rekor: rekor}
	if _, err := Detached(d, a, by).Verify(root, a, by); err != nil {
		t.Errorf("three files: %v", err)
	}
	d.Rekor = nil
	if _, err := Detached(d, a, by).Verify(root, a, by); err == nil {
		t.Error("a certificate without anything that proves the time verifies")
	}
	later := bytes.Replace(rekor, []byte(fmt.Sprint(e.GetIntegratedTime())), []byte(fmt.Sprint(e.GetIntegratedTime()+1)), 1)
	d.Rekor = later
	if _, err := Detached(d, a, by).Verify(root, a, by); !errors.Is(err, ErrLog) {
		t.Errorf("another time than was promised: %v", err)
	}
}
