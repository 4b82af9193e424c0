package tlog

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func TestKey(t *testing.T) {
	k, err := NewKey("example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(k.Secret + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if again.Verifier != k.Verifier || again.Origin != "example.com/log" {
		t.Errorf("got %q of %q, want %q", again.Verifier, again.Origin, k.Verifier)
	}
	v, err := note.NewVerifier(k.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: "text\n"}, again.Signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(v)); err != nil {
		t.Errorf("the verifier does not belong to the signer: %v", err)
	}
	for _, bad := range []string{"", "x", k.Verifier, k.Secret[:len(k.Secret)-4], strings.Replace(k.Secret, "example", "exbmple", 1)} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("accepted %d bytes that are no key", len(bad))
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Error("the error holds the key")
		}
	}
}
