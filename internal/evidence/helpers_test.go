package evidence

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

// testType is a predicate type that package predicate does not know.
const testType = "https://example.com/test/v1"

var (
	now    = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	commit = sallyport.GitCommit(strings.Repeat("1", 40))
	tree   = sallyport.GitTree(strings.Repeat("2", 40))
	ci     = sallyport.Principal{Kind: sallyport.Workload, Name: "ci"}
)

func statement(subjects ...sallyport.Digest) sallyport.Statement {
	st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: testType, Predicate: json.RawMessage(`{"a":"<&>"}`)}
	for _, d := range subjects {
		st.Subject = append(st.Subject, sallyport.StatementSubject{Digest: digestSet(d)})
	}
	return st
}

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return priv
}

// signers returns one key of each kind that is accepted.
func signers(t testing.TB) map[string]Signer {
	t.Helper()
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	r, err3 := rsa.GenerateKey(rand.Reader, 2048)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return map[string]Signer{"Ed25519": newEd25519(t), "P-256": p256, "P-384": p384, "RSA": r}
}

func keyFor(pub crypto.PublicKey) Key {
	return Key{Name: "ci", Principal: ci, Types: []string{testType}, Grade: sallyport.Observed, Public: pub}
}

func mustSign(t testing.TB, st sallyport.Statement, s Signer) []byte {
	t.Helper()
	raw, err := Sign(t.Context(), st, s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// signPayload signs payload as it is, valid or not, and lets edit change the bundle.
func signPayload(t testing.TB, payload string, s Signer, edit func(bundle map[string]any)) []byte {
	t.Helper()
	env := dsse.Envelope{PayloadType: dsse.InTotoPayload, Payload: []byte(payload)}
	hint, err := Hint(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	if env.Signature, err = rawSign(s, env.PAE()); err != nil {
		t.Fatal(err)
	}
	raw, err := encodeBundle(env, hint)
	if err != nil {
		t.Fatal(err)
	}
	if edit == nil {
		return raw
	}
	return editBundle(t, raw, edit)
}

func editBundle(t testing.TB, raw []byte, edit func(bundle map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	edit(m)
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func envelopeOf(bundle map[string]any) map[string]any { return bundle["dsseEnvelope"].(map[string]any) }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// openSSH is how internal/app joins the two packages.
func openSSH(sig, message []byte, namespace string) (SSHInfo, error) {
	i, err := sshsig.Verify(sig, message, namespace)
	return SSHInfo{Fingerprint: i.Fingerprint, SK: i.SK, Touched: i.Touched}, err
}
