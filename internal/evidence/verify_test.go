package evidence

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/predicate"
)

func TestSignAndVerify(t *testing.T) {
	for name, s := range signers(t) {
		t.Run(name, func(t *testing.T) {
			raw := mustSign(t, statement(commit, tree), s)
			att := sallyport.Attestation{Raw: raw, Source: "here"}
			got, err := NewVerifier([]Key{keyFor(s.Public())}, now).Verify(t.Context(), att)
			if err != nil {
				t.Fatal(err)
			}
			hint, _ := Hint(s.Public())
			payload, err := sallyport.EncodeJSON(statement(commit, tree))
			if err != nil {
				t.Fatal(err)
			}
			want := sallyport.Evidence{
				Attestation: att.Digest(), Payload: sallyport.SHA256(payload), Statement: statement(commit, tree), Signer: ci, Key: hint,
				Grade: sallyport.Observed, Logged: sallyport.NotLogged, Source: "here",
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if !got.About(commit) || !got.About(tree) || got.About(sallyport.GitCommit(strings.Repeat("3", 40))) {
				t.Error("the evidence is not about exactly its subjects")
			}
		})
	}
}

// Each row differs from one that verifies in a single thing.
func TestVerifyRefuses(t *testing.T) {
	signer, other := newEd25519(t), newEd25519(t)
	good, err := sallyport.EncodeJSON(statement(commit))
	if err != nil {
		t.Fatal(err)
	}
	payload := func(old, repl string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return strings.Replace(string(good), old, repl, 1)
	}
	const subject = `"subject":[{"digest":{"gitCommit":"1111111111111111111111111111111111111111"}}]`
	tests := []struct {
		name    string
		payload string
		edit    func(b map[string]any)
		key     func(k *Key)
		want    error
		says    string
	}{
		{name: "nothing wrong"},
		{name: "media type of old clients", edit: func(b map[string]any) { b["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.3" }},
		{name: "version 0.2", edit: func(b map[string]any) { b["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2" }},
		{name: "version 0.1", edit: func(b map[string]any) { b["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1" }},
		{name: "statement of version 0.1", payload: payload("Statement/v1", "Statement/v0.1")},
		{name: "unknown statement field", payload: payload(`{"_type"`, `{"later":1,"_type"`)},
		{name: "unknown digest algorithm", payload: payload(`{"gitCommit"`, `{"dirHash1":"h1:abc=","gitCommit"`)},

		// The bundle.
		{name: "unknown media type", edit: func(b map[string]any) { b["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.4+json" }, want: ErrBundle},
		{name: "media type of a patch release", edit: func(b map[string]any) { b["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.3.9+json" }, want: ErrBundle, says: "not known"},
		{name: "no media type", edit: func(b map[string]any) { delete(b, "mediaType") }, want: ErrBundle},
		{name: "unknown field in the bundle", edit: func(b map[string]any) { b["more"] = 1 }, want: ErrBundle},
		{name: "no key material", edit: func(b map[string]any) { delete(b, "verificationMaterial") }, want: ErrBundle},
		{name: "no envelope", edit: func(b map[string]any) { delete(b, "dsseEnvelope") }, want: ErrBundle},
		{name: "a signed file", edit: func(b map[string]any) {
			delete(b, "dsseEnvelope")
			b["messageSignature"] = map[string]any{"signature": "AAEC", "messageDigest": map[string]any{"algorithm": "SHA2_256", "digest": "AAEC"}}
		}, want: ErrBundle, says: "holds no statement"},
		{name: "another payload type", edit: func(b map[string]any) { envelopeOf(b)["payloadType"] = "text/plain" }, want: ErrBundle, says: "payload type"},

		// The signature.
		{name: "no signature", edit: func(b map[string]any) { envelopeOf(b)["signatures"] = []any{} }, want: ErrSignature, says: "there are 0"},
		{name: "a failed signature beside the good one", edit: func(b map[string]any) {
			envelopeOf(b)["signatures"] = append([]any{map[string]any{"sig": b64("no")}}, envelopeOf(b)["signatures"].([]any)...)
		}, want: ErrSignature, says: "exactly one"},
		{name: "the good signature twice", edit: func(b map[string]any) {
			s := envelopeOf(b)["signatures"].([]any)
			envelopeOf(b)["signatures"] = append(s, s...)
		}, want: ErrSignature, says: "exactly one"},
		{name: "tampered payload", edit: func(b map[string]any) {
			envelopeOf(b)["payload"] = b64(payload(strings.Repeat("1", 40), strings.Repeat("3", 40)))
		}, want: ErrSignature},
		{name: "empty signature", edit: func(b map[string]any) { envelopeOf(b)["signatures"] = []any{map[string]any{"sig": ""}} }, want: ErrSignature},
		{name: "not an SSH signature after all", edit: func(b map[string]any) {
			envelopeOf(b)["signatures"] = []any{map[string]any{"sig": b64("SSHSIG and nothing")}}
		}, want: ErrSignature},

		// The key.
		{name: "another key", key: func(k *Key) { k.Public = other.Public() }, want: ErrUnknownKey},
		{name: "hint of another key", edit: func(b map[string]any) { setHint(t, b, other) }, want: ErrUnknownKey},
		{name: "a certificate", edit: func(b map[string]any) {
			b["verificationMaterial"] = map[string]any{"certificate": map[string]any{"rawBytes": "AAEC"}}
		}, want: ErrUnknownKey, says: "certificate"},
		{name: "type that the key may not sign", key: func(k *Key) { k.Types = []string{testType + "/more"} }, want: ErrNotAllowed},
		{name: "a prefix of a type", key: func(k *Key) { k.Types = []string{strings.TrimSuffix(testType, "1")} }, want: ErrNotAllowed},
		{name: "key not valid yet", key: func(k *Key) { k.NotBefore = now.Add(time.Second) }, want: ErrExpired},
		{name: "key not valid any more", key: func(k *Key) { k.NotAfter = now.Add(-time.Second) }, want: ErrExpired},
		{name: "key valid this very moment", key: func(k *Key) { k.NotBefore, k.NotAfter = now, now }},

		// The statement.
		{name: "subject twice", payload: payload(subject, subject+","+subject), want: ErrStatement, says: "twice"},
		{name: "subject twice in two cases", payload: payload(subject, subject+`,"Subject":[]`), want: ErrStatement, says: "twice"},
		{name: "predicateType twice", payload: payload(`"predicate":`, `"predicateType":"x","predicate":`), want: ErrStatement, says: "twice"},
		{name: "subject in another case", payload: payload(`"subject"`, `"Subject"`), want: ErrStatement, says: "subject is missing"},
		{name: "digest in another case", payload: payload(`"digest"`, `"Digest"`), want: ErrStatement, says: "no digest"},
		{name: "predicate in another case", payload: payload(`"predicate"`, `"Predicate"`), want: ErrStatement, says: "predicate"},
		{name: "trailing data", payload: string(good) + " {}", want: ErrStatement, says: "after the end"},
		{name: "cut short", payload: string(good[:len(good)-1]), want: ErrStatement, says: "cut short"},
		{name: "no subject", payload: payload(subject, `"subject":[]`), want: ErrStatement, says: "no subject"},
		{name: "null subject", payload: payload(subject, `"subject":null`), want: ErrStatement, says: "no subject"},
		{name: "subject without digest", payload: payload(subject, `"subject":[{"name":"x"}]`), want: ErrStatement, says: "no digest"},
		{name: "a second subject without digest", payload: payload(`}}]`, `}},{"digest":{}}]`), want: ErrStatement, says: "no digest"},
		{name: "short digest", payload: payload(strings.Repeat("1", 40), "11"), want: ErrStatement, says: "malformed"},
		{name: "upper-case digest", payload: payload(strings.Repeat("1", 40), strings.Repeat("A", 40)), want: ErrStatement, says: "malformed"},
		{name: "empty digest of an unknown algorithm", payload: payload(`{"gitCommit"`, `{"blake3":"","gitCommit"`), want: ErrStatement, says: "malformed"},
		{name: "unknown statement type", payload: payload("Statement/v1", "Statement/v2"), want: ErrStatement, says: "not known"},
		{name: "no predicate type", payload: payload(testType, ""), key: func(k *Key) { k.Types = append(k.Types, "") }, want: ErrStatement, says: "predicateType"},
		{name: "a Sallyport predicate of the wrong shape", payload: payload(testType, predicate.AgentRunType),
			key: func(k *Key) { k.Types = []string{predicate.AgentRunType} }, want: ErrStatement},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.payload == "" {
				tt.payload = string(good)
			}
			k := keyFor(signer.Public())
			if tt.key != nil {
				tt.key(&k)
			}
			raw := signPayload(t, tt.payload, signer, tt.edit)
			ev, err := NewVerifier([]Key{k}, now).Verify(t.Context(), sallyport.Attestation{Raw: raw})
			if !errors.Is(err, tt.want) || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Fatalf("Verify = %v, want %v saying %q", err, tt.want, tt.says)
			}
			if err != nil && !reflect.DeepEqual(ev, sallyport.Evidence{}) {
				t.Errorf("evidence beside an error: %+v", ev)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("the error is not one line: %q", err)
			}
		})
	}
}

func setHint(t testing.TB, b map[string]any, s Signer) {
	t.Helper()
	hint, err := Hint(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	b["verificationMaterial"] = map[string]any{"publicKey": map[string]any{"hint": hint}}
}

func TestVerifyOddBytes(t *testing.T) {
	raw := mustSign(t, statement(commit), newEd25519(t))
	v := NewVerifier(nil, now)
	for name, in := range map[string][]byte{
		"empty": nil, "not JSON": []byte("hello"), "a list": []byte("[]"), "an empty object": []byte("{}"),
		"cut short": raw[:len(raw)/2], "two bundles": append(bytes.Clone(raw), raw...),
		"a key twice": bytes.Replace(raw, []byte(`{"mediaType"`), []byte(`{"mediaType":"x","mediaType"`), 1),
		"too large":   bytes.Repeat([]byte(" "), MaxBundle+1),
	} {
		if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: in}); !errors.Is(err, ErrBundle) {
			t.Errorf("%s: %v, want ErrBundle", name, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(cancelled, sallyport.Attestation{Raw: raw}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Without a hint each key is tried; with one that is unknown, none.
func TestVerifyWithoutHint(t *testing.T) {
	s := newEd25519(t)
	keys := []Key{keyFor(s.Public())}
	for _, o := range signers(t) {
		k := keyFor(o.Public())
		k.Principal.Name = "other"
		keys = append(keys, k)
	}
	v := NewVerifier(keys, now)
	raw := editBundle(t, mustSign(t, statement(commit), s), func(b map[string]any) {
		b["verificationMaterial"] = map[string]any{"publicKey": map[string]any{}}
	})
	ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw})
	if err != nil || ev.Signer != ci {
		t.Errorf("Verify = %+v, %v; want the word of %v", ev.Signer, err, ci)
	}
	foreign := editBundle(t, mustSign(t, statement(commit), newEd25519(t)), func(b map[string]any) {
		b["verificationMaterial"] = map[string]any{"publicKey": map[string]any{}}
	})
	if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: foreign}); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("nobody's signature: %v, want ErrUnknownKey", err)
	}
}

// One key under two names is fine as long as it is not two principals' word of one type.
func TestVerifyKeyListedTwice(t *testing.T) {
	s := newEd25519(t)
	a, b := keyFor(s.Public()), keyFor(s.Public())
	b.Name, b.Principal, b.Types = "ada", sallyport.Principal{Kind: sallyport.Person, Name: "ada"}, []string{"https://example.com/other/v1"}
	raw := mustSign(t, statement(commit), s)
	if ev, err := NewVerifier([]Key{b, a}, now).Verify(t.Context(), sallyport.Attestation{Raw: raw}); err != nil || ev.Signer != ci {
		t.Errorf("two types: %v, %v", ev.Signer, err)
	}
	b.Types = a.Types
	if _, err := NewVerifier([]Key{b, a}, now).Verify(t.Context(), sallyport.Attestation{Raw: raw}); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("two principals for one type: %v, want ErrNotAllowed", err)
	}
}

func approvalStatement(t testing.TB, issued time.Time) sallyport.Statement {
	t.Helper()
	digest := string(sallyport.SHA256([]byte("x")))
	a := predicate.Approval{
		Verdict: predicate.VerdictApprove, Reviewer: "ada", Repository: "example.com/app", TargetRef: "refs/heads/main",
		Base: "gitCommit:" + strings.Repeat("0", 40), Head: string(commit), HeadTree: string(tree), MergeTree: string(tree),
		Policy: []predicate.PolicyRef{{Name: "baseline", Digest: digest}}, Rendered: &predicate.Rendered{MediaType: "text/plain", Digest: digest},
		IssuedAt: predicate.FormatTime(issued), ExpiresAt: predicate.FormatTime(issued.Add(time.Hour)),
		Nonce: strings.Repeat("ab", 16), Tool: predicate.Tool{Name: "sallyport", Version: "test"},
	}
	body, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	st := statement(commit, tree)
	st.PredicateType, st.Predicate = predicate.ApprovalType, body
	return st
}

// The grade is never better than what the signature shows.
func TestVerifySSH(t *testing.T) {
	plain, err := sshsig.NewSigner(newEd25519(t))
	if err != nil {
		t.Fatal(err)
	}
	touched, err1 := sshsig.NewSimulatedSK(sshsig.SimulatedOptions{Touch: true})
	untouched, err2 := sshsig.NewSimulatedSK(sshsig.SimulatedOptions{})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	ada := sallyport.Principal{Kind: sallyport.Person, Name: "ada"}
	tests := []struct {
		name   string
		signer SSHSigner
		sk     bool
		grade  sallyport.Grade
		want   sallyport.Grade
	}{
		{"ordinary key", plain, false, sallyport.Declared, sallyport.Declared},
		{"ordinary key that the roster calls present", plain, false, sallyport.Present, sallyport.Declared},
		{"ordinary key that the roster calls a security key", plain, true, sallyport.Present, sallyport.Declared},
		{"touched security key", touched, true, sallyport.Present, sallyport.Present},
		{"touched security key, attested hardware", touched, true, sallyport.Attested, sallyport.Attested},
		{"touched security key, not enrolled as such", touched, true, sallyport.Declared, sallyport.Declared},
		{"security key that nobody touched", untouched, true, sallyport.Present, sallyport.Declared},
		{"security key that nobody touched, of a workload", untouched, true, sallyport.Observed, sallyport.Declared},
		{"ordinary key of a workload", plain, false, sallyport.Observed, sallyport.Observed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := SignSSH(t.Context(), approvalStatement(t, now), tt.signer)
			if err != nil {
				t.Fatal(err)
			}
			v := NewVerifier([]Key{{Name: "ada", Principal: ada, Types: []string{predicate.ApprovalType},
				Grade: tt.grade, SSH: tt.signer.Fingerprint(), SK: tt.sk}}, now)
			if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw}); !errors.Is(err, ErrSignature) {
				t.Errorf("without an SSH verifier: %v, want ErrSignature", err)
			}
			v.SSH = openSSH
			ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw})
			if err != nil || ev.Grade != tt.want || ev.Signer != ada || ev.Key != tt.signer.Fingerprint() {
				t.Errorf("Verify = %+v, %v; want grade %s", ev, err, tt.want)
			}
		})
	}
}

func TestVerifySSHRefuses(t *testing.T) {
	s, err1 := sshsig.NewSigner(newEd25519(t))
	o, err2 := sshsig.NewSigner(newEd25519(t))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	st := approvalStatement(t, now)
	raw, err := SignSSH(t.Context(), st, s)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := SignSSH(t.Context(), st, namespaced{s, "git"})
	if err != nil {
		t.Fatal(err)
	}
	hint := func(fp string) []byte {
		return editBundle(t, raw, func(b map[string]any) {
			b["verificationMaterial"] = map[string]any{"publicKey": map[string]any{"hint": fp}}
		})
	}
	tampered := editBundle(t, raw, func(b map[string]any) {
		payload, err := sallyport.EncodeJSON(approvalStatement(t, now.Add(-time.Minute)))
		if err != nil {
			t.Fatal(err)
		}
		envelopeOf(b)["payload"] = b64(string(payload))
	})
	other, err := SignSSH(t.Context(), statement(commit), s)
	if err != nil {
		t.Fatal(err)
	}
	noHint := func(raw []byte) []byte {
		return editBundle(t, raw, func(b map[string]any) {
			b["verificationMaterial"] = map[string]any{"publicKey": map[string]any{"hint": ""}}
		})
	}
	key := func(s SSHSigner) Key {
		return Key{Name: "ada", Principal: ci, Types: []string{predicate.ApprovalType, testType}, Grade: sallyport.Declared, SSH: s.Fingerprint()}
	}
	tests := []struct {
		name string
		raw  []byte
		key  Key
		want error
	}{
		{"nothing wrong", raw, key(s), nil},
		{"no hint", noHint(other), key(s), nil},
		{"no hint, of an approval", noHint(raw), key(s), ErrBundle},
		{"a blank before an approval", append([]byte(" "), raw...), key(s), ErrBundle},
		{"a line end after an approval", append(slices.Clone(raw), '\n'), key(s), ErrBundle},
		{"an approval with its names in another order", editBundle(t, raw, func(map[string]any) {}), key(s), ErrBundle},
		{"an approval with a key id", editBundle(t, raw, func(b map[string]any) {
			envelopeOf(b)["signatures"].([]any)[0].(map[string]any)["keyid"] = "x"
		}), key(s), ErrBundle},
		{"a blank before something else", append([]byte(" "), other...), key(s), nil},
		{"hint of another key", hint(o.Fingerprint()), key(s), ErrSignature},
		{"unknown key", raw, key(o), ErrUnknownKey},
		{"signed for git", elsewhere, key(s), ErrSignature},
		{"tampered", tampered, key(s), ErrSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := NewVerifier([]Key{tt.key}, now)
			v.SSH = openSSH
			if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: tt.raw}); !errors.Is(err, tt.want) {
				t.Errorf("Verify = %v, want %v", err, tt.want)
			}
		})
	}
}

// namespaced signs for another namespace than it is asked to.
type namespaced struct {
	SSHSigner
	ns string
}

func (n namespaced) Sign(ctx context.Context, _ string, m []byte) ([]byte, error) {
	return n.SSHSigner.Sign(ctx, n.ns, m)
}

func TestVerifyTime(t *testing.T) {
	s := newEd25519(t)
	k := keyFor(s.Public())
	k.Types = []string{predicate.ApprovalType, VSAType}
	tests := []struct {
		name string
		st   sallyport.Statement
		want error
	}{
		{"made now", approvalStatement(t, now), nil},
		{"a clock a little ahead", approvalStatement(t, now.Add(MaxSkew)), nil},
		{"a clock too far ahead", approvalStatement(t, now.Add(MaxSkew+time.Second)), ErrExpired},
		{"a summary from the future", vsaStatement(t, now.Add(time.Hour)), ErrExpired},
		{"a summary of today", vsaStatement(t, now), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewVerifier([]Key{k}, now).Verify(t.Context(), sallyport.Attestation{Raw: mustSign(t, tt.st, s)})
			if !errors.Is(err, tt.want) {
				t.Errorf("Verify = %v, want %v", err, tt.want)
			}
		})
	}
}

// What takes something back outlives its key, and says so; nothing else does.
func TestLapsed(t *testing.T) {
	s, err := sshsig.NewSigner(newEd25519(t))
	if err != nil {
		t.Fatal(err)
	}
	approval := approvalStatement(t, now)
	p, err := predicate.DecodeApproval(approval.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	p.Verdict, p.ExpiresAt = predicate.VerdictDecline, ""
	decline := approval
	if decline.Predicate, err = sallyport.EncodeJSON(p); err != nil {
		t.Fatal(err)
	}
	key := Key{Name: "ada", Principal: ci, Types: []string{predicate.ApprovalType}, Grade: sallyport.Declared, SSH: s.Fingerprint()}
	over, later, revoked := key, key, key
	revoked.Revoked = &Revocation{At: now.Add(-time.Hour), Reason: Compromised}
	over.NotAfter, later.NotBefore = now.Add(-time.Second), now.Add(time.Second)
	for _, tt := range []struct {
		name   string
		st     sallyport.Statement
		key    Key
		lapsed bool
		want   error
	}{
		{"a decline", decline, key, false, nil},
		{"a decline, and the key has run out", decline, over, true, nil},
		{"a decline, and the key is not valid yet", decline, later, false, ErrExpired},
		{"an approval, and the key has run out", approval, over, false, ErrExpired},
		{"a decline, and the key was revoked", decline, revoked, true, nil},
		{"an approval, and the key was revoked", approval, revoked, false, ErrRevoked},
	} {
		raw, err := SignSSH(t.Context(), tt.st, s)
		if err != nil {
			t.Fatal(err)
		}
		v := NewVerifier([]Key{tt.key}, now)
		v.SSH = openSSH
		if ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw}); !errors.Is(err, tt.want) || ev.Lapsed != tt.lapsed {
			t.Errorf("%s: lapsed %v, %v; want %v, %v", tt.name, ev.Lapsed, err, tt.lapsed, tt.want)
		}
	}
}

// An ECDSA signature that was turned into its other is evidence of another digest, and says so.
func TestTwin(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sshsig.NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	st := approvalStatement(t, now)
	bySSH, err1 := SignSSH(t.Context(), st, s)
	byPEM, err2 := Sign(t.Context(), st, k)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	pem := keyFor(k.Public())
	pem.Types = []string{predicate.ApprovalType}
	ssh := Key{Name: "ada", Principal: ci, Types: pem.Types, Grade: sallyport.Declared, SSH: s.Fingerprint()}
	for name, raw := range map[string][]byte{"SSH": bySSH, "PEM": byPEM} {
		v := NewVerifier([]Key{pem, ssh}, now)
		v.SSH = openSSH
		ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw})
		if err != nil || ev.Twin.Zero() || ev.Twin == ev.Attestation {
			t.Fatalf("%s: twin %q, %v", name, ev.Twin, err)
		}
		p, err := parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		_, other, err := spellings(p, signed{keys: []Key{pem}})
		if err != nil {
			t.Fatal(err)
		}
		p.envelope.Signature = other
		turned, err := encodeBundle(p.envelope, p.hint)
		if err != nil {
			t.Fatal(err)
		}
		again, err := v.Verify(t.Context(), sallyport.Attestation{Raw: turned})
		if err != nil || again.Attestation != ev.Twin || again.Twin != ev.Attestation || again.Payload != ev.Payload {
			t.Errorf("%s: the twin is %s of %s, %v; want %s of %s", name, again.Attestation, again.Twin, err, ev.Twin, ev.Attestation)
		}
	}
}
