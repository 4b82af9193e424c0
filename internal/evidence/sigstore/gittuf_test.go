package sigstore

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

func newSSH(tb testing.TB) sshsig.Signer {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := sshsig.NewSigner(key)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// gittufEnvelope is a statement as gittuf keeps it: the signatures are armoured, as ssh-keygen writes them.
func gittufEnvelope(tb testing.TB, payload, payloadType, namespace string, by ...sshsig.Signer) []byte {
	tb.Helper()
	type sig struct {
		KeyID string `json:"keyid"`
		Sig   []byte `json:"sig"`
	}
	env := struct {
		Type       string `json:"payloadType"`
		Payload    string `json:"payload"`
		Signatures []sig  `json:"signatures"`
	}{payloadType, base64.StdEncoding.EncodeToString([]byte(payload)), []sig{}}
	for _, s := range by {
		raw, err := s.Sign(context.Background(), namespace, dsse.PAE(payloadType, []byte(payload)))
		if err != nil {
			tb.Fatal(err)
		}
		if !strings.HasPrefix(string(raw), "-----") {
			raw = sshsig.Armor(raw)
		}
		env.Signatures = append(env.Signatures, sig{s.Fingerprint(), raw})
	}
	b, err := json.Marshal(env)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestGittuf(t *testing.T) {
	alice, bob := newSSH(t), newSSH(t)
	tree, commit := strings.Repeat("a", 40), strings.Repeat("b", 40)
	authorization := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"gitTree":%q}}],"predicateType":%q,"predicate":{"targetRef":"refs/heads/main","fromID":%q,"targetID":%q}}`,
		tree, gittufAuthorization, commit, tree)
	approval := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"gitTree":%q}}],"predicateType":%q,"predicate":{"approvers":["alice+1"],"dismissedApprovers":[],"targetRef":"refs/heads/main","fromRevisionID":%q,"targetTreeID":%q}}`,
		tree, gittufApproval, commit, tree)
	a, err := Digested(sallyport.Digest("gitTree:" + tree))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Digested(sallyport.Digest("gitTree:" + strings.Repeat("c", 40)))
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root, err := PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	by := Signer{SSH: alice.Fingerprint()}
	good := gittufEnvelope(t, authorization, gittufPayload, gittufNamespace, alice)
	for _, c := range []struct {
		name string
		raw  []byte
		a    Artifact
		by   Signer
		want error
	}{
		{"an authorization", good, a, by, nil},
		{"an approval", gittufEnvelope(t, approval, gittufPayload, gittufNamespace, alice), a, by, nil},
		{"by another", good, a, Signer{SSH: bob.Fingerprint()}, ErrSigner},
		{"a key of another kind is expected", good, a, Signer{Key: ed}, ErrSigner},
		{"a certificate is expected", good, a, Signer{Subject: "a", Issuer: "b"}, ErrSigner},
		{"two kinds are expected", good, a, Signer{SSH: alice.Fingerprint(), Key: ed}, ErrSigner},
		{"nobody is expected", good, a, Signer{}, ErrSigner},
		{"a log entry is needed", good, a, Signer{SSH: alice.Fingerprint(), Logged: true}, ErrLog},
		{"about another tree", good, other, by, ErrArtifact},
		{"about nothing", good, Artifact{}, by, ErrArtifact},
		{"signed for something else", gittufEnvelope(t, authorization, gittufPayload, "file", alice), a, by, ErrSignature},
		{"of in-toto's payload type", gittufEnvelope(t, authorization, inTotoPayload, gittufNamespace, alice), a, by, ErrSigner},
		{"a changed payload", []byte(strings.Replace(string(good), base64.StdEncoding.EncodeToString([]byte(authorization)), base64.StdEncoding.EncodeToString([]byte(strings.Replace(authorization, "main", "evil", 1))), 1)), a, by, ErrSignature},
		{"authorises another tree than it is about", gittufEnvelope(t, strings.Replace(authorization, `"targetID":"aa`, `"targetID":"ab`, 1), gittufPayload, gittufNamespace, alice), a, by, ErrBundle},
		{"of no reference", gittufEnvelope(t, strings.Replace(authorization, "refs/heads/main", "", 1), gittufPayload, gittufNamespace, alice), a, by, ErrBundle},
		{"every approval dismissed", gittufEnvelope(t, strings.Replace(approval, `"approvers":["alice+1"]`, `"approvers":[]`, 1), gittufPayload, gittufNamespace, alice), a, by, ErrBundle},
		{"no statement", gittufEnvelope(t, `{"type":"root"}`, gittufPayload, gittufNamespace, alice), a, by, ErrBundle},
		{"nobody signed", gittufEnvelope(t, authorization, gittufPayload, gittufNamespace), a, by, ErrBundle},
	} {
		t.Run(c.name, func(t *testing.T) {
			pieces, err := Convert(c.raw)
			if err != nil || len(pieces) != 1 {
				t.Fatalf("%d pieces, %v", len(pieces), err)
			}
			for _, verify := range []func() (Result, error){
				func() (Result, error) { return pieces[0].Verify(root, c.a, c.by) },
				func() (Result, error) { return NewCache(1).VerifyPiece(root, pieces[0], c.a, c.by) },
			} {
				res, err := verify()
				if !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if err == nil && (res.Change == nil || res.Change.Ref != "refs/heads/main" || res.Change.From != commit || res.Change.To != tree) {
					t.Errorf("%+v", res.Change)
				}
			}
		})
	}
	testEntry(t, root, alice)
	// Each signature counts for its own key alone, and an SSH key is expected of nothing else.
	pieces, err := Convert(gittufEnvelope(t, authorization, gittufPayload, gittufNamespace, bob, alice))
	if err != nil || len(pieces) != 2 {
		t.Fatal(len(pieces), err)
	}
	if _, err := pieces[0].Verify(root, a, by); !errors.Is(err, ErrSigner) {
		t.Errorf("Bob's signature: %v", err)
	}
	if _, err := pieces[1].Verify(root, a, by); err != nil {
		t.Errorf("Alice's signature: %v", err)
	}
	for _, c := range benchCases(t) {
		if _, err := c.root.Verify(c.raw, c.artifact, by); !errors.Is(err, ErrSigner) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// testEntry: an entry of the reference state log is read in its one form, and every byte of it is signed.
func testEntry(t *testing.T, root *Root, by sshsig.Signer) {
	t.Helper()
	target := strings.Repeat("d", 40)
	entry := func(message string, more string) []byte {
		signed := "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent " + strings.Repeat("e", 40) + "\nauthor a <a@example.com> 1 +0000\ncommitter a <a@example.com> 1 +0000\n" + more
		sig, err := by.Sign(context.Background(), gittufNamespace, []byte(signed+"\n"+message))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(sig), "-----") {
			sig = sshsig.Armor(sig)
		}
		return []byte(signed + "gpgsig " + strings.ReplaceAll(strings.TrimSuffix(string(sig), "\n"), "\n", "\n ") + "\n\n" + message)
	}
	good := rslHeader + "\n\nref: refs/heads/main\ntargetID: " + target + "\nnumber: 7\n"
	a, err := Digested(sallyport.Digest("gitCommit:" + target))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(raw []byte) error {
		pieces, err := Convert(raw)
		if err != nil || len(pieces) != 1 {
			t.Fatal(len(pieces), err)
		}
		res, err := pieces[0].Verify(root, a, Signer{SSH: by.Fingerprint()})
		if err == nil && (res.Change == nil || res.Change.To != target || res.Statement != nil) {
			t.Errorf("%+v", res)
		}
		return err
	}
	for name, m := range map[string]string{"numbered": good, "not numbered": strings.Replace(good, "number: 7\n", "", 1), "without a line end": strings.TrimSuffix(good, "\n")} {
		if err := ask(entry(m, "")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, raw := range map[string][]byte{
		"another reference beside it": entry(good+"ref: refs/heads/evil\n", ""),
		"in another order":            entry(strings.Replace(good, "ref: refs/heads/main\ntargetID: "+target, "targetID: "+target+"\nref: refs/heads/main", 1), ""),
		"an annotation":               entry("RSL Annotation Entry\n\nentryID: "+target+"\nskip: true\nnumber: 8\n", ""),
		"two parents":                 entry(good, "parent "+strings.Repeat("f", 40)+"\n"),
		"a short object":              entry(strings.Replace(good, target, "dd", 1), ""),
		"no number":                   entry(strings.Replace(good, "7", "07", 1), ""),
		"not signed":                  []byte("tree x\n\n" + good),
		"large":                       entry(good+strings.Repeat("x", maxEntry), ""),
	} {
		if err := ask(raw); !errors.Is(err, ErrBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw := entry(good, "")
	for i := range raw {
		changed := []byte(string(raw))
		changed[i] ^= 1
		if !isCommit(changed) {
			continue
		}
		if err := ask(changed); err == nil && !strings.Contains(string(raw[max(0, i-1):i+1]), "\n") {
			t.Errorf("byte %d (%q) does not matter", i, raw[max(0, i-5):i+1])
		}
	}
}
