package evidence

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
	"github.com/sallyport-dev/sallyport/predicate"
)

// runSigner is a run's key with its certificate.
type runSigner struct {
	crypto.Signer
	der []byte
}

func (s runSigner) Certificate() []byte { return s.der }

var theRun = runcert.Binding{
	RunID: "run-1", Repository: "https://github.com/acme/service", Operator: "alice", Separation: predicate.SeparationUID,
	Principal: sallyport.Principal{Kind: sallyport.Workload, Name: "run-supervisor"},
}

func issue(t testing.TB, ca crypto.Signer, b runcert.Binding, validity time.Duration) runSigner {
	t.Helper()
	key := newEd25519(t)
	der, err := runcert.Issue(ca, key.Public(), b, now, validity)
	if err != nil {
		t.Fatal(err)
	}
	return runSigner{key, der}
}

// runStatement is an agent run as its supervisor says it.
func runStatement(edit func(*predicate.AgentRun)) sallyport.Statement {
	r := predicate.AgentRun{
		RunID: "run-1", Agent: predicate.Agent{Name: "claude-code"}, Operator: "alice", Repository: "https://github.com/acme/service",
		StartedAt: "2026-05-01T11:50:00Z", EndedAt: "2026-05-01T12:00:00Z", Conclusion: predicate.ConclusionSuccess,
		Supervisor: predicate.Supervisor{Version: "1", Separation: predicate.SeparationUID},
		Changes:    predicate.Changes{Hunks: []string{}, Blobs: []predicate.Blob{}, Commits: []string{}},
		Sealed:     true, Records: 1, RecordHead: "sha256:" + strings.Repeat("0", 64),
	}
	if edit != nil {
		edit(&r)
	}
	st := statement(commit)
	st.PredicateType = predicate.AgentRunType
	st.Predicate, _ = json.Marshal(r)
	return st
}

func authorityYAML(t testing.TB, pub crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return "version: 1\nrun_authorities:\n  - name: run-ca\n    key: |\n" +
		indent(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))) +
		"\n    repositories: [https://github.com/acme/service]\n    principals: [{kind: workload, name: run-supervisor}]\n" +
		"    types: [" + predicate.AgentRunType + "]\n    grade: observed\n"
}

func p256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A run's key signs what is about its run, within the validity of its certificate and at a time that
// is proven; everything else is refused, each for its own reason.
func TestRunKey(t *testing.T) {
	tsa := keylesstest.New(t, now.Add(-48*time.Hour))
	ca, mallory := p256(t), p256(t)
	in := now.Add(time.Minute)
	good := authorityYAML(t, ca.Public())
	key := issue(t, ca, theRun, 15*time.Minute)
	bound := func(edit func(*runcert.Binding)) runSigner {
		b := theRun
		edit(&b)
		return issue(t, ca, b, 15*time.Minute)
	}
	// force signs a statement that Sign itself would refuse to.
	force := func(st sallyport.Statement, s runSigner) []byte {
		payload, err := sallyport.EncodeJSON(st)
		if err != nil {
			t.Fatal(err)
		}
		return signPayload(t, string(payload), s.Signer, func(b map[string]any) {
			m := b["verificationMaterial"].(map[string]any)
			delete(m, "publicKey")
			m["certificate"] = map[string]any{"rawBytes": s.der}
		})
	}
	raw := mustSign(t, runStatement(nil), key)
	sed := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%q is not in the trust file", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	about := func(edit func(*predicate.AgentRun)) []byte {
		return stamped(t, force(runStatement(edit), key), tsa, in)
	}
	other := statement(commit)
	for _, tt := range []struct {
		name  string
		raw   []byte
		trust string
		clock time.Time
		want  error
		says  string
	}{
		{"good", stamped(t, raw, tsa, in), good, now.Add(time.Hour), nil, ""},
		{"good, a year later", stamped(t, raw, tsa, in), good, now.AddDate(1, 0, 0), nil, ""},
		{"good, the authority has ended since", stamped(t, raw, tsa, in), good + "    not_after: 2026-05-01\n", now.AddDate(1, 0, 0), nil, ""},
		{"good, the authority was superseded since", stamped(t, raw, tsa, in), good + "    revoked: {at: 2026-05-02, reason: superseded}\n", now.AddDate(1, 0, 0), nil, ""},
		{"no time is proven", raw, good, in, ErrExpired, "no timestamp or log entry proves"},
		{"signed after its certificate's end", stamped(t, raw, tsa, now.Add(15*time.Minute)), good, now.Add(time.Hour), ErrExpired, "its certificate was valid from"},
		{"signed before its beginning", stamped(t, raw, tsa, now.Add(-2*time.Minute)), good, now.Add(time.Hour), ErrExpired, "its certificate was valid from"},
		{"of another run", about(func(r *predicate.AgentRun) { r.RunID = "run-2" }), good, in, ErrNotAllowed, `its run is "run-2"`},
		{"of another repository", about(func(r *predicate.AgentRun) { r.Repository += "s" }), good, in, ErrNotAllowed, "its repository is"},
		{"of another operator", about(func(r *predicate.AgentRun) { r.Operator = "bob" }), good, in, ErrNotAllowed, "its operator is"},
		{"says more of its separation", about(func(r *predicate.AgentRun) { r.Supervisor.Separation = predicate.SeparationEnclave }), good, in, ErrNotAllowed, "separation is"},
		{"of a type that the authority may not", stamped(t, force(other, key), tsa, in), good, in, ErrNotAllowed, "may not sign"},
		{"another authority", stamped(t, mustSign(t, runStatement(nil), issue(t, mallory, theRun, 15*time.Minute)), tsa, in), good, in, ErrUnknownKey, "of no run authority"},
		{"no authority", stamped(t, raw, tsa, in), identity, in, ErrUnknownKey, "of no run authority"},
		{"valid for longer than allowed", stamped(t, mustSign(t, runStatement(nil), issue(t, ca, theRun, 16*time.Minute)), tsa, in), good, in, ErrNotAllowed, "may issue them for 15m"},
		{"longer, and allowed", stamped(t, mustSign(t, runStatement(nil), issue(t, ca, theRun, 16*time.Minute)), tsa, in), good + "    max_validity: 20m\n", in, nil, ""},
		{"for a repository that is not the authority's", stamped(t, raw, tsa, in), sed("acme/service", "acme/other"), in, ErrNotAllowed, "no certificates for the repository"},
		{"for a principal that is not the authority's", stamped(t, raw, tsa, in), sed("name: run-supervisor", "name: other"), in, ErrNotAllowed, "no certificates for the workload"},
		{"for an audience, and none is expected", stamped(t, mustSign(t, runStatement(nil), bound(func(b *runcert.Binding) { b.Audience = "here" })), tsa, in), good, in, ErrNotAllowed, "audience"},
		{"for the audience", stamped(t, mustSign(t, runStatement(nil), bound(func(b *runcert.Binding) { b.Audience = "here" })), tsa, in), good + "    audience: here\n", in, nil, ""},
		{"for no audience, and one is expected", stamped(t, raw, tsa, in), good + "    audience: here\n", in, ErrNotAllowed, "audience"},
		{"the run was revoked", stamped(t, raw, tsa, in), good + "    revoked_runs: [run-1]\n", in, ErrRevoked, "revoked runs"},
		{"the authority was compromised", stamped(t, raw, tsa, in), good + "    revoked: {at: 2026-05-02, reason: compromised}\n", in, ErrRevoked, "nothing that it signed counts"},
		{"the authority was superseded before", stamped(t, raw, tsa, in), good + "    revoked: {at: 2026-05-01, reason: superseded}\n", in, ErrRevoked, "it signed this at"},
		{"the authority is not in force yet", stamped(t, raw, tsa, in), good + "    not_before: 2026-05-02\n", in, ErrExpired, "is valid from"},
		{"signed before the authority was in force", stamped(t, raw, tsa, in), good + "    not_before: 2026-05-02\n", now.AddDate(0, 1, 0), ErrExpired, "is valid from"},
		{"the authority had ended before", stamped(t, raw, tsa, in), good + "    not_after: 2026-04-30\n", in, ErrExpired, "was valid until"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trust, err := ParseTrust([]byte(tt.trust))
			if err != nil {
				t.Fatal(err)
			}
			v := NewVerifier(trust.Keys, tt.clock)
			v.Keyless, v.Cache = keyless(t, tsa), NewCache(1)
			ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: tt.raw})
			if again, aerr := v.Verify(t.Context(), sallyport.Attestation{Raw: tt.raw}); fmt.Sprint(err) != fmt.Sprint(aerr) || !reflect.DeepEqual(ev, again) {
				t.Errorf("the second time %+v, %v, the first %+v, %v", again, aerr, ev, err)
			}
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %+v, %v, want %v saying %q", ev, err, tt.want, tt.says)
			}
			if err == nil && (ev.Signer != theRun.Principal || ev.Grade != sallyport.Observed || ev.Key != "run:"+theRun.URI()) {
				t.Errorf("got %+v", ev)
			}
		})
	}
	t.Run("one byte of the statement", func(t *testing.T) {
		trust, _ := ParseTrust([]byte(good))
		v := NewVerifier(trust.Keys, in)
		v.Keyless = keyless(t, tsa)
		payload, _ := sallyport.EncodeJSON(runStatement(nil))
		changed := editBundle(t, stamped(t, raw, tsa, in), func(b map[string]any) {
			envelopeOf(b)["payload"] = b64(strings.Replace(string(payload), "claude-code", "claude-cod3", 1))
		})
		if ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: changed}); !errors.Is(err, ErrSignature) {
			t.Errorf("got %+v, %v", ev, err)
		}
	})
	if _, err := Sign(t.Context(), runStatement(func(r *predicate.AgentRun) { r.RunID = "run-2" }), key); !errors.Is(err, runcert.ErrOther) {
		t.Errorf("signing for another run: %v", err)
	}
	if _, err := Sign(t.Context(), runStatement(nil), runSigner{newEd25519(t), key.der}); err == nil {
		t.Error("signed with another key than the certificate's")
	}
}

// What keeps the holder of a run's key apart from the agent is part of the certificate, and without it
// nothing is observed, whatever the trust file says of the authority.
func TestRunKeyGrade(t *testing.T) {
	tsa := keylesstest.New(t, now.Add(-48*time.Hour))
	ca := newEd25519(t)
	for separation, want := range map[predicate.Separation]sallyport.Grade{
		predicate.SeparationNone: sallyport.Declared, predicate.SeparationUID: sallyport.Observed, predicate.SeparationHost: sallyport.Observed,
	} {
		b := theRun
		b.Separation = separation
		raw := stamped(t, mustSign(t, runStatement(func(r *predicate.AgentRun) { r.Supervisor.Separation = separation }), issue(t, ca, b, 15*time.Minute)), tsa, now)
		for grade, want := range map[string]sallyport.Grade{"observed": want, "declared": sallyport.Declared} {
			trust, err := ParseTrust([]byte(strings.Replace(authorityYAML(t, ca.Public()), "grade: observed", "grade: "+grade, 1)))
			if err != nil {
				t.Fatal(err)
			}
			v := NewVerifier(trust.Keys, now)
			v.Keyless = keyless(t, tsa)
			if ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw}); err != nil || ev.Grade != want {
				t.Errorf("separation %s, authority %s: %s, %v, want %s", separation, grade, ev.Grade, err, want)
			}
		}
	}
}

// An authority's key signs certificates. A statement that it signs is nobody's.
func TestRunAuthoritySignsNoStatement(t *testing.T) {
	ca := newEd25519(t)
	trust, err := ParseTrust([]byte(authorityYAML(t, ca.Public())))
	if err != nil {
		t.Fatal(err)
	}
	hint, err := Hint(ca.Public())
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := sallyport.EncodeJSON(runStatement(nil))
	for _, name := range []string{hint, "run-authority:" + hint, ""} {
		raw := signPayload(t, string(payload), ca, func(b map[string]any) {
			b["verificationMaterial"].(map[string]any)["publicKey"] = map[string]any{"hint": name}
		})
		if ev, err := NewVerifier(trust.Keys, now).Verify(t.Context(), sallyport.Attestation{Raw: raw}); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("as %q: %+v, %v", name, ev, err)
		}
	}
}

func TestParseTrustRunAuthoritiesRefuses(t *testing.T) {
	good := authorityYAML(t, ed25519.PublicKey(make([]byte, 32)))
	if tr, err := ParseTrust([]byte(good)); err != nil || len(tr.Keys) != 1 || tr.Keys[0].Run == nil || tr.Keys[0].Run.MaxValidity != runcert.DefaultValidity {
		t.Fatalf("%+v, %v", tr, err)
	}
	second := strings.TrimPrefix(good, "version: 1\nrun_authorities:\n")
	asKey := "keys:\n" + strings.Replace(strings.Replace(strings.Replace(second, "name: run-ca", "name: k", 1),
		"    repositories: [https://github.com/acme/service]\n", "", 1), "principals: [{kind: workload, name: run-supervisor}]", "principal: {kind: workload, name: k}", 1)
	for says, text := range map[string]string{
		"repositories has 0":           strings.Replace(good, "[https://github.com/acme/service]", "[]", 1),
		"whole and exact":              strings.Replace(good, "acme/service]", "acme/*]", 1),
		"principals has 0":             strings.Replace(good, "[{kind: workload, name: run-supervisor}]", "[]", 1),
		"persons sign with keys":       strings.Replace(good, "kind: workload", "kind: person", 1),
		"an agent cannot prove":        strings.Replace(good, "kind: workload", "kind: agent", 1),
		"do not say which run":         strings.Replace(good, "[https://sallyport.dev/predicate/agent-run/v0.1]", "["+predicate.ApprovalType+"]", 1),
		"types has 0":                  strings.Replace(good, "[https://sallyport.dev/predicate/agent-run/v0.1]", "[]", 1),
		"max_validity":                 good + "    max_validity: 2h\n",
		"grade is":                     strings.Replace(good, "grade: observed", "grade: present", 1),
		"stands twice":                 good + second,
		"the key is that of":           good + strings.Replace(second, "name: run-ca", "name: other", 1),
		"has no other use":             good + asKey,
		"is missing or not one":        strings.Replace(good, "name: run-supervisor", "name: \"\"", 1),
		"revoked_runs, audience":       good + "    revoked_runs: [\"a\\nb\"]\n",
		"unknown field":                good + "    wildcard: true\n",
		"PEM block cannot be read":     strings.Replace(good, "BEGIN PUBLIC KEY", "BEGIN", 1),
		"neither a day such as":        good + "    not_after: soon\n",
		"revoked.reason":               good + "    revoked: {at: 2026-05-01, reason: bored}\n",
		"principals: a name is missin": strings.Replace(good, "name: run-supervisor", "name: \" x\"", 1),
	} {
		if tr, err := ParseTrust([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %+v, %v", says, tr, err)
		}
	}
}

// FuzzRunKey: whatever is done to a bundle under a run's certificate, nothing else than what was signed is
// believed, and of nobody else.
func FuzzRunKey(f *testing.F) {
	tsa := keylesstest.New(f, now.Add(-48*time.Hour))
	ca := newEd25519(f)
	key := issue(f, ca, theRun, 15*time.Minute)
	want := runStatement(nil)
	raw := mustSign(f, want, key)
	f.Add(raw)
	p, err := parse(raw)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(editBundle(f, raw, func(b map[string]any) {
		b["verificationMaterial"].(map[string]any)["timestampVerificationData"] = map[string]any{
			"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": tsa.Stamp(p.envelope.Signature, now)}}}
	}))
	f.Add([]byte(strings.Replace(string(raw), "rawBytes", "rawByte", 1)))
	trust, err := ParseTrust([]byte(authorityYAML(f, ca.Public())))
	if err != nil {
		f.Fatal(err)
	}
	v := NewVerifier(trust.Keys, now)
	v.Keyless = keyless(f, tsa)
	signed, err := sallyport.EncodeJSON(want)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ev, err := v.Verify(context.Background(), sallyport.Attestation{Raw: b})
		if err == nil && (ev.Payload != sallyport.SHA256(signed) || ev.Signer != theRun.Principal) {
			t.Errorf("%+v", ev)
		}
	})
}

// An authority is revoked and rotated as keys are, and its successor may certify the same.
func TestReviseRunAuthority(t *testing.T) {
	old := authorityYAML(t, newEd25519(t).Public()) + "    audience: \"here: we are\"\n    max_validity: 20m\n    revoked_runs: [run-1]\n"
	der, err := x509.MarshalPKIXPublicKey(newEd25519(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	next := &Successor{Name: "run-ca-2", Public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), From: now}
	b, err := Revise([]byte(old), Revision{Name: "run-ca", Revoke: &Revocation{At: now, Reason: Superseded}, Successor: next})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := ParseTrust(b)
	if err != nil || len(tr.Keys) != 2 {
		t.Fatalf("%v\n%s", err, b)
	}
	one, two := tr.Keys[0], tr.Keys[1]
	if one.Revoked == nil || two.Revoked != nil || two.Name != "run-ca-2" || !reflect.DeepEqual(one.Run, two.Run) || one.Run.MaxValidity != 20*time.Minute || !reflect.DeepEqual(one.Types, two.Types) || two.Grade != one.Grade {
		t.Errorf("%+v\n%+v", one, two)
	}
}
