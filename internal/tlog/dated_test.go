package tlog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

func signedAt(t testing.TB, k Key, at time.Time, size uint64) []byte {
	t.Helper()
	d, err := k.Dated(func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	text, err := note.Sign(&note.Note{Text: CheckpointBody(k.Origin, Head{Size: size, Root: rfc6962.DefaultHasher.EmptyRoot()})}, k.Signer, d)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCheckpointTime(t *testing.T) {
	k, err := NewKey("example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_800_000_000, 0).UTC()
	text := signedAt(t, k, at, 0)
	if got, err := CheckpointTime(text, k.Verifier); err != nil || !got.Equal(at) {
		t.Fatalf("got %v, %v, want %v", got, err, at)
	}
	if _, err := OpenCheckpoint(text, k.Verifier); err != nil {
		t.Errorf("who does not know the second signature: %v", err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	other, err := NewKey("example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	later := strings.SplitAfter(string(signedAt(t, k, at.Add(time.Hour), 1)), "\n")
	for _, tt := range []struct {
		name string
		text []byte
		err  error
	}{
		{"no time", []byte(strings.Join(lines[:len(lines)-2], "")), ErrUndated},
		{"time alone", []byte(strings.Join(append(append([]string{}, lines[:4]...), lines[5:]...), "")), ErrForeign},
		{"the time of another checkpoint", []byte(strings.Join(lines[:5], "") + later[5]), ErrCheckpoint},
		{"dated by another key", bytes.Replace(text, []byte(lines[5]), []byte(strings.SplitAfter(string(signedAt(t, other, at, 0)), "\n")[5]), 1), ErrUndated},
		{"all of another key", signedAt(t, other, at, 0), ErrForeign},
		{"nothing", nil, ErrCheckpoint},
	} {
		if got, err := CheckpointTime(tt.text, k.Verifier); !errors.Is(err, tt.err) || !got.IsZero() {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, err, tt.err)
		}
	}
}

// TestWitnessTime: the witness that is named has to have cosigned this checkpoint of this log, and the log is no
// witness of itself.
func TestWitnessTime(t *testing.T) {
	k, err1 := NewKey("example.com/log")
	w, err2 := NewKey("witness.example")
	other, err3 := NewKey("witness.example")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_800_000_000, 0).UTC()
	cosign := func(by Key, size uint64) []byte {
		d, err := by.Dated(func() time.Time { return at })
		if err != nil {
			t.Fatal(err)
		}
		text, err := note.Sign(&note.Note{Text: CheckpointBody(k.Origin, Head{Size: size, Root: rfc6962.DefaultHasher.EmptyRoot()})}, k.Signer, d)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	witness := func(k Key) string {
		d, err := k.Dated(time.Now)
		if err != nil {
			t.Fatal(err)
		}
		public := d.(dated).public
		return fmt.Sprintf("%s+%08x+%s", d.Name(), d.KeyHash(), base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, public...)))
	}
	if got, err := WitnessTime(cosign(w, 1), k.Verifier, witness(w)); err != nil || !got.Equal(at) {
		t.Errorf("%v, %v", got, err)
	}
	lines := strings.SplitAfter(string(cosign(w, 1)), "\n")
	for name, c := range map[string]struct {
		text []byte
		key  string
	}{
		"nobody cosigned":                 {[]byte(strings.Join(lines[:len(lines)-2], "")), witness(w)},
		"another witness of its name":     {cosign(other, 1), witness(w)},
		"the cosignature of another head": {[]byte(strings.Join(lines[:5], "") + strings.SplitAfter(string(cosign(w, 2)), "\n")[5]), witness(w)},
		"the log itself":                  {cosign(k, 1), witness(k)},
		"a key that does not cosign":      {cosign(w, 1), w.Verifier},
		"a key with another hash":         {cosign(w, 1), strings.Replace(witness(w), "+", "+0", 1)},
		"no key":                          {cosign(w, 1), "witness.example"},
		"another log":                     {signedAt(t, other, at, 1), witness(w)},
	} {
		if got, err := WitnessTime(c.text, k.Verifier, c.key); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// FuzzCheckpoint: what opens is signed by the key, in its one spelling, and has at most one time.
func FuzzCheckpoint(f *testing.F) {
	// The same key in each run, so that what was found once is found again.
	const name = "example.com/log"
	secret := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	sum := sha256.Sum256(append([]byte(name+"\n\x01"), secret[ed25519.SeedSize:]...))
	k, err := ParseKey(fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(append([]byte{1}, secret.Seed()...))))
	if err != nil {
		f.Fatal(err)
	}
	text := signedAt(f, k, time.Unix(1_800_000_000, 0), 0)
	f.Add(text)
	f.Add(bytes.Replace(text, []byte("\n0\n"), []byte("\n00\n"), 1))
	f.Add(bytes.TrimSuffix(text, []byte("\n")))
	f.Add([]byte("example.com/log\n0\n\n\n— example.com/log AAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		cp, err := OpenCheckpoint(b, k.Verifier)
		at, timeErr := CheckpointTime(b, k.Verifier)
		if err != nil {
			if timeErr == nil {
				t.Fatalf("a time %v of no checkpoint", at)
			}
			return
		}
		if !strings.HasPrefix(string(b), CheckpointBody(cp.Origin, cp.Head)+"\n") || cp.Text != string(b) {
			t.Errorf("opened %q as %+v", b, cp)
		}
		if timeErr == nil && !at.Equal(time.Unix(1_800_000_000, 0)) {
			t.Errorf("a time that nobody signed: %v", at)
		}
	})
}
