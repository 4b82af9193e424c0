// Package witness holds a verifier to the twelve advisories that go-witness published on one day (pull
// request 784, 9 July 2026): each is a way in which a verifier can say yes because there was nothing to say
// no. Each test is named after one, shows the attack at the place where this program could have made the
// same mistake, and beside it a twin that passes, so that it fails for the attack and for nothing else.
package witness

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) {
	scene.InMemory()
	os.Exit(scene.Main(m))
}

var ctx = context.Background()

const provenanceType = "https://slsa.dev/provenance/v1"

// release is a release that passes: one commit that was decided about, one artifact with provenance.
func release() sallyport.ReleaseInput {
	ci := sallyport.Principal{Kind: sallyport.Workload, Name: "ci"}
	commit := sallyport.GitCommit(strings.Repeat("1", 40))
	return sallyport.ReleaseInput{
		Version: "v1", Gate: sallyport.GateRelease, Time: "2026-11-22T12:00:00Z", Mode: sallyport.Enforce,
		Subject: sallyport.Subject{Digest: commit}, Repository: "example.com/acme/app",
		Trust:    sallyport.Trust{Pinned: true, Source: policy.SourceRef},
		Settings: sallyport.ReleaseSettings{Builders: []string{}, Grades: []sallyport.Grade{sallyport.Observed}, Require: []string{}, BuildInputs: "tell"},
		Release: sallyport.Release{Ref: "refs/heads/main", Commit: commit, Basis: "adoption", OnRef: true, Gated: true, Decided: true, Commits: 1,
			Decisions: []sallyport.MergeDecision{{Signer: ci, Head: commit, Covers: 1}}},
		Advisories: sallyport.AdvisoryLook{State: "looked"},
		Artifacts:  []sallyport.ArtifactInput{{Name: "app", Digest: sallyport.SHA256([]byte("app")), Provenance: []sallyport.ProvenanceInput{good(ci)}}},
	}
}

func good(by sallyport.Principal) sallyport.ProvenanceInput {
	return sallyport.ProvenanceInput{Signer: by, Grade: sallyport.Observed, Builder: "https://ci.example.com", Source: true, Succeeded: true}
}

// judge evaluates the release set, and returns its codes.
func judge(t *testing.T, in sallyport.ReleaseInput) (sallyport.Outcome, []string) {
	t.Helper()
	e, err := policy.Compile(ctx, []policy.Set{policy.BuiltinRelease()}, policy.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	b, err := sallyport.EncodeJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Evaluate(ctx, sallyport.GateRelease, b)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, r := range v.Reasons {
		codes = append(codes, r.Code)
	}
	return v.Outcome, codes
}

func opens(t *testing.T, in sallyport.ReleaseInput) {
	t.Helper()
	if o, codes := judge(t, in); o != sallyport.Open {
		t.Fatalf("the twin is %s: %v", o, codes)
	}
}

func shuts(t *testing.T, in sallyport.ReleaseInput, code string) {
	t.Helper()
	if o, codes := judge(t, in); o != sallyport.Shut || !strings.Contains(" "+strings.Join(codes, " ")+" ", " "+code+" ") {
		t.Errorf("%s, %v, want shut by %s", o, codes, code)
	}
}

// A step with no required attestations passed: here, a release of which nothing beside provenance is
// required still needs provenance.
func TestGHSA_567m_4668_m656_NothingRequired(t *testing.T) {
	opens(t, release())
	in := release()
	in.Artifacts[0].Provenance = nil
	shuts(t, in, "provenance-missing")
}

// A policy with no steps passed: here, a set without rules, no set, and a release of nothing.
func TestGHSA_rgp5_33mp_jhfm_EmptyPolicy(t *testing.T) {
	set := func(rego string) policy.Set {
		return policy.Set{Name: "own", Files: map[string][]byte{"manifest.yaml": []byte("gate: release\n"), "p.rego": []byte(rego)}}
	}
	if _, err := policy.Compile(ctx, []policy.Set{set("package sallyport.release\n\ndeny contains \"x\" if input.mode == \"x\"\n")}, policy.Defaults()); err != nil {
		t.Fatalf("the twin does not compile: %v", err)
	}
	for name, sets := range map[string][]policy.Set{
		"no rules":        {set("package sallyport.release\n")},
		"another package": {set("package sallyport.releases\n\ndeny contains \"x\" if input.mode == \"x\"\n")},
		"no set":          {},
	} {
		if _, err := policy.Compile(ctx, sets, policy.Defaults()); !errors.Is(err, policy.ErrUndefined) && !errors.Is(err, policy.ErrEmpty) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := release()
	in.Artifacts = nil
	shuts(t, in, "release-empty")
}

// Rules ran only on the last of several attestations of one type: here, one bad provenance shuts wherever
// it stands.
func TestGHSA_r4fv_8r9j_vgcg_OnlyTheLast(t *testing.T) {
	ci := sallyport.Principal{Kind: sallyport.Workload, Name: "ci"}
	bad := good(ci)
	bad.Succeeded, bad.Why = false, "exit status 2"
	in := release()
	in.Artifacts[0].Provenance = []sallyport.ProvenanceInput{good(ci), good(ci)}
	opens(t, in)
	in.Artifacts[0].Provenance = []sallyport.ProvenanceInput{good(ci), bad}
	shuts(t, in, "provenance-failed")
	in.Artifacts[0].Provenance = []sallyport.ProvenanceInput{bad, good(ci)}
	shuts(t, in, "provenance-failed")
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// attest signs a statement of a type about subjects; verify verifies it under a key for a type.
func attest(t *testing.T, key crypto.Signer, typ string, subjects ...sallyport.StatementSubject) []byte {
	t.Helper()
	raw, err := evidence.Sign(ctx, sallyport.Statement{Type: sallyport.StatementType, PredicateType: typ, Predicate: json.RawMessage("{}"), Subject: subjects}, key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func verify(raw []byte, key crypto.Signer, types ...string) (sallyport.Evidence, error) {
	k := evidence.Key{Name: "k", Principal: sallyport.Principal{Kind: sallyport.Workload, Name: "ci"}, Types: types, Grade: sallyport.Observed, Public: key.Public()}
	return evidence.NewVerifier([]evidence.Key{k}, time.Now()).Verify(ctx, sallyport.Attestation{Raw: raw, Source: "test"})
}

func app() sallyport.StatementSubject {
	return sallyport.StatementSubject{Name: "app", Digest: map[string]string{"sha256": sallyport.SHA256([]byte("app")).Hex()}}
}

// Names were matched inexactly: here, predicate types are compared whole, in either direction.
func TestGHSA_g9jx_rqhm_mj7g_InexactNames(t *testing.T) {
	key := newKey(t)
	if _, err := verify(attest(t, key, provenanceType, app()), key, provenanceType); err != nil {
		t.Fatalf("the twin: %v", err)
	}
	for _, typ := range []string{provenanceType + ".1", provenanceType + "/", "https://slsa.dev/provenance/", "https://SLSA.dev/provenance/v1"} {
		if _, err := verify(attest(t, key, typ, app()), key, provenanceType); !errors.Is(err, evidence.ErrNotAllowed) {
			t.Errorf("%s as %s: %v", typ, provenanceType, err)
		}
		if _, err := verify(attest(t, key, provenanceType, app()), key, typ); !errors.Is(err, evidence.ErrNotAllowed) {
			t.Errorf("%s as %s: %v", provenanceType, typ, err)
		}
	}
}

// A signature that had failed was accepted: here, each byte of one is changed.
func TestGHSA_2v4r_xhmm_ghv8_FailedSignature(t *testing.T) {
	key := newKey(t)
	raw := attest(t, key, provenanceType, app())
	if _, err := verify(raw, key, provenanceType); err != nil {
		t.Fatalf("the twin: %v", err)
	}
	if _, err := verify(raw, newKey(t), provenanceType); !errors.Is(err, evidence.ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
	for _, edit := range []func(env map[string]any){
		func(env map[string]any) { env["signatures"] = []any{} },
		func(env map[string]any) { env["signatures"] = []any{map[string]any{"sig": ""}} },
		func(env map[string]any) {
			sigs := env["signatures"].([]any)
			env["signatures"] = append(sigs, map[string]any{"sig": "AAAA"})
		},
		func(env map[string]any) { env["payload"] = "e30=" },
	} {
		var b map[string]any
		if err := json.Unmarshal(raw, &b); err != nil {
			t.Fatal(err)
		}
		edit(b["dsseEnvelope"].(map[string]any))
		edited, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if ev, err := verify(edited, key, provenanceType); err == nil || ev.Statement.PredicateType != "" {
			t.Errorf("%s\nverifies", edited)
		}
	}
	i := bytes.Index(raw, []byte(`"sig":"`)) + len(`"sig":"`)
	for at := i; at < i+bytes.IndexAny(raw[i:], `="`); at += 7 {
		changed := bytes.Clone(raw)
		changed[at] = map[bool]byte{true: 'B', false: 'A'}[raw[at] == 'A']
		if _, err := verify(changed, key, provenanceType); err == nil {
			t.Errorf("byte %d of the signature does not matter", at-i)
		}
	}
}

// An empty constraint on a certificate was taken for none: here, nobody is not everybody.
func TestGHSA_mpvw_hw8p_7x27_EmptyConstraint(t *testing.T) {
	now := time.Now()
	a := keylesstest.New(t, now)
	root := withoutLogs(t, a)
	st, artifact := statement(t)
	raw := a.Bundle(st, keylesstest.Signing{Identity: keylesstest.Identity{Subject: "a@example.com", Issuer: "https://issuer.example.com"}, From: now, Stamped: now.Add(time.Minute)})
	if _, err := root.Verify(raw, artifact, sigstore.Signer{Subject: "a@example.com", Issuer: "https://issuer.example.com"}); err != nil {
		t.Fatalf("the twin: %v", err)
	}
	for name, by := range map[string]sigstore.Signer{
		"nothing":            {},
		"no issuer":          {Subject: "a@example.com"},
		"no subject":         {Issuer: "https://issuer.example.com"},
		"an empty pattern":   {Subject: "a@example.com", IssuerPattern: "()"},
		"a pattern of parts": {SubjectPattern: "example", Issuer: "https://issuer.example.com"},
	} {
		if _, err := root.Verify(raw, artifact, by); !errors.Is(err, sigstore.ErrSigner) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, empty := range []string{"subject: ''", "subject: '*'", "subject: ' '"} {
		trust := "version: 1\nidentities:\n  - name: ci\n    issuer: https://issuer.example.com\n    " + empty + "\n    principal: {kind: workload, name: ci}\n    types: [" + provenanceType + "]\n    grade: observed\n"
		if _, err := evidence.ParseTrust([]byte(trust)); err == nil {
			t.Errorf("trust.yaml with %s is taken", empty)
		}
	}
}

func statement(t *testing.T) ([]byte, sigstore.Artifact) {
	t.Helper()
	st, err := sallyport.EncodeJSON(sallyport.Statement{Type: sallyport.StatementType, PredicateType: provenanceType, Predicate: json.RawMessage("{}"), Subject: []sallyport.StatementSubject{app()}})
	if err != nil {
		t.Fatal(err)
	}
	return st, sigstore.Bytes([]byte("app"))
}

// Artifacts of two steps that had nothing in common passed for connected: here, evidence whose subjects and
// the artifact share no digest is about something else.
func TestGHSA_vmvj_p3hw_39q3_NothingInCommon(t *testing.T) {
	root, err := sigstore.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	st, artifact := statement(t)
	raw, err := sigstore.Sign(ctx, key, sigstore.Content{Artifact: artifact, Statement: st})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Verify(raw, artifact, sigstore.Signer{Key: key.Public()}); err != nil {
		t.Fatalf("the twin: %v", err)
	}
	onlySHA1, err := sigstore.Digested(sallyport.GitCommit(strings.Repeat("1", 40)))
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]sigstore.Artifact{"another file": sigstore.Bytes([]byte("other")), "no algorithm in common": onlySHA1, "nothing at all": {}} {
		if _, err := root.Verify(raw, other, sigstore.Signer{Key: key.Public()}); !errors.Is(err, sigstore.ErrArtifact) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// withoutLogs is an authority's root that names no log, so that a timestamp is all that proves the time.
func withoutLogs(t *testing.T, a *keylesstest.Authority) *sigstore.Root {
	t.Helper()
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(a.TrustedRoot(), &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc, "tlogs")
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	root, err := sigstore.ParseRoot(b)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// A timestamp by a certificate that may not make any was accepted.
func TestGHSA_5qp5_ph6r_qj9f_TimestampUsage(t *testing.T) {
	now := time.Now()
	signing := keylesstest.Signing{Identity: keylesstest.Identity{Subject: "a@example.com", Issuer: "https://issuer.example.com"}, From: now, Stamped: now.Add(time.Minute)}
	by := sigstore.Signer{Subject: "a@example.com", Issuer: "https://issuer.example.com"}
	st, artifact := statement(t)
	try := func(usage asn1.ObjectIdentifier) error {
		a := keylesstest.New(t, now)
		a.StampFor(usage)
		_, err := withoutLogs(t, a).Verify(a.Bundle(st, signing), artifact, by)
		return err
	}
	if err := try(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}); err != nil {
		t.Fatalf("the twin: %v", err)
	}
	if err := try(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}); !errors.Is(err, sigstore.ErrTime) {
		t.Errorf("a certificate for signing code: %v", err)
	}
}

// A link led out of the folder that was recorded: here, no artifact of a build is a link.
func TestGHSA_v6px_jqx8_8xwj_SymlinkEscape(t *testing.T) {
	s := scene.New(t, scene.Options{})
	secret := filepath.Join(s.Dir, "outside")
	if err := os.WriteFile(secret, []byte("outside\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Must("key", "generate", filepath.Join(s.Dir, "k"))
	build := func(command string) scene.Result {
		return s.Sallyport("build", "--repo", s.Repo, "--artifact", "dist/*", "--key", filepath.Join(s.Dir, "k"), "--bundle", filepath.Join(s.Dir, "b.json"), "--", "sh", "-c", command)
	}
	if r := build("mkdir -p dist && echo app > dist/app"); r.Status != 0 {
		t.Fatalf("the twin: %s", r)
	}
	for name, command := range map[string]string{
		"a link out":       "rm -rf dist && mkdir dist && ln -s " + secret + " dist/app",
		"a link inside":    "rm -rf dist && mkdir dist && echo x > real && ln -s ../real dist/app",
		"a folder is one":  "rm -rf dist && ln -s " + s.Dir + " dist",
		"no regular file":  "rm -rf dist && mkdir dist && mkfifo dist/app",
		"nothing matches ": "rm -rf dist",
	} {
		bundle := filepath.Join(s.Dir, "b.json")
		_ = os.Remove(bundle)
		if r := build(command); r.Status == 0 {
			t.Errorf("%s: %s", name, r)
		}
		if _, err := os.Stat(bundle); err == nil {
			t.Errorf("%s: it was attested", name)
		}
	}
}

// A tool was run from wherever $PATH led: here, none is taken from the work tree.
func TestGHSA_3vpg_3m94_v3qr_PathTools(t *testing.T) {
	s := scene.New(t, scene.Options{})
	marker := filepath.Join(s.Dir, "ran")
	fake := "#!/bin/sh\ntouch " + marker + "\nexit 0\n"
	for _, name := range []string{"gosec", "govulncheck", "semgrep"} {
		s.Write("bin/"+name, fake)
		if err := os.Chmod(filepath.Join(s.Repo, "bin", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := "PATH=" + filepath.Join(s.Repo, "bin") + ":" + os.Getenv("PATH")
	for _, tool := range []string{"gosec", "govulncheck"} {
		if r := s.SallyportIn(s.Repo, []string{path}, "scan", "--tool", tool); r.Status == 0 {
			t.Errorf("%s: %s", tool, r)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a program of the work tree ran")
	}
}

// One attestation was counted again at each depth: here, two entries of one log are not two, and not one.
func TestGHSA_c346_qp3r_53vf_CountedTwice(t *testing.T) {
	const conformance = "../../internal/evidence/sigstore/testdata/conformance/"
	root, err := sigstore.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := sigstore.File(conformance + "a.txt")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(conformance + "happy-path-v0.3/bundle.sigstore.json")
	if err != nil {
		t.Fatal(err)
	}
	by := sigstore.Signer{SubjectPattern: "https://github.com/sigstore-conformance/.*", Issuer: "https://token.actions.githubusercontent.com"}
	if _, err := root.Verify(raw, artifact, by); err != nil {
		t.Fatalf("the twin: %v", err)
	}
	var b map[string]any
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	m := b["verificationMaterial"].(map[string]any)
	entries := m["tlogEntries"].([]any)
	m["tlogEntries"] = append(entries, entries[0])
	twice, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Verify(twice, artifact, by); !errors.Is(err, sigstore.ErrLog) {
		t.Errorf("an entry twice: %v", err)
	}
}

// Of two digests of a subject one was enough: here, all that are known have to be right.
func TestGHSA_pgpm_j729_qcvh_DigestTies(t *testing.T) {
	root, err := sigstore.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	artifact := sigstore.Bytes([]byte("app"))
	try := func(sha512 string) error {
		st, err := sallyport.EncodeJSON(sallyport.Statement{Type: sallyport.StatementType, PredicateType: provenanceType, Predicate: json.RawMessage("{}"), Subject: []sallyport.StatementSubject{
			{Name: "app", Digest: map[string]string{"sha256": artifact.Digest("sha256").Hex(), "sha512": sha512}}}})
		if err != nil {
			t.Fatal(err)
		}
		about, err := sigstore.Digested(artifact.Digest("sha256")) // the signer does not look at the other
		if err != nil {
			t.Fatal(err)
		}
		raw, err := sigstore.Sign(ctx, key, sigstore.Content{Artifact: about, Statement: st})
		if err != nil {
			t.Fatal(err)
		}
		_, err = root.Verify(raw, artifact, sigstore.Signer{Key: key.Public()})
		return err
	}
	if err := try(artifact.Digest("sha512").Hex()); err != nil {
		t.Fatalf("the twin: %v", err)
	}
	if err := try(strings.Repeat("0", 128)); !errors.Is(err, sigstore.ErrArtifact) {
		t.Errorf("one right and one wrong: %v", err)
	}
}
