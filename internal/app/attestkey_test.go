package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/fido/fidotest"
	"github.com/sallyport-dev/sallyport/internal/identity"
)

// What attest-verify prints is an entry under which the roster's reader says attested. The device is
// fidotest's fake.
func TestVerifyKeyAttestation(t *testing.T) {
	m := fidotest.NewMaker(t, time.Now())
	const challenge = "sallyport:alice:bob:0123456789abcdef"
	public, _, att := m.Make(fidotest.Order{Challenge: challenge})
	dir := t.TempDir()
	for name, b := range map[string]string{"att": string(att), "key.pub": public + " alice@home\n", "roots.pem": string(m.Roots())} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	good := KeyAttestOptions{Attestation: file("att"), Key: file("key.pub"), Roots: file("roots.pem"), Person: "alice", By: "bob", Challenge: challenge}
	a := &App{}
	got, err := a.VerifyKeyAttestation(good)
	if err != nil || got.AAGUID != fidotest.AAGUID || got.Verified {
		t.Fatalf("got %+v, %v", got, err)
	}
	text := "version: 1\nsecurity_keys: {roots: roots.pem}\npersons:\n  - id: bob\n  - id: alice\n    keys:\n" + got.Entry
	r, err := identity.ParseRosterFiles([]byte(text), map[string][]byte{".sallyport/roots.pem": m.Roots()})
	if err != nil {
		t.Fatal(err)
	}
	if g := r.Keys()[0].Grade(true, time.Now()); g != sallyport.Attested {
		t.Errorf("grade %s", g)
	}
	for name, edit := range map[string]func(*KeyAttestOptions){
		"is not one for a key of": func(o *KeyAttestOptions) { o.Person = "carol" },
		"this key and this":       func(o *KeyAttestOptions) { o.Challenge += "x" },
		"read the attestation":    func(o *KeyAttestOptions) { o.Attestation = file("none") },
		"malformed":               func(o *KeyAttestOptions) { o.Attestation = file("key.pub") },
		"want at most":            func(o *KeyAttestOptions) { o.Roots = file("key.pub") },
		"model of the security":   func(o *KeyAttestOptions) { o.Models = []string{"00000000-0000-0000-0000-000000000000"} },
	} {
		o := good
		edit(&o)
		if _, err := a.VerifyKeyAttestation(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}
