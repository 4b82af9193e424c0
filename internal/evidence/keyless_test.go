package evidence

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/cms"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
)

const commitBytes = "tree 0\n\nFix\n"

func keyless(t testing.TB, a *keylesstest.Authority) *Keyless {
	t.Helper()
	k, err := ParseTrustedRoot(a.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What gitsign would have written, and everything that keeps it from being good.
func TestKeylessCommit(t *testing.T) {
	const issuer = "https://accounts.example.com"
	a, other := keylesstest.New(t, now), keylesstest.New(t, now)
	k := keyless(t, a)
	alice := keylesstest.Identity{Subject: "alice@example.com", Issuer: issuer}
	in, late := now.Add(time.Minute), now.Add(time.Hour)
	for _, tt := range []struct {
		name    string
		by      *keylesstest.Authority
		signing keylesstest.Signing
		message string
		want    error
	}{
		{"timestamp", a, keylesstest.Signing{Identity: alice, From: now, Stamped: in}, commitBytes, nil},
		{"log entry", a, keylesstest.Signing{Identity: alice, From: now, Logged: in}, commitBytes, nil},
		{"both", a, keylesstest.Signing{Identity: alice, From: now, Logged: in, Stamped: in}, commitBytes, nil},
		{"neither, as gitsign does by default", a, keylesstest.Signing{Identity: alice, From: now}, commitBytes, ErrNoTime},
		{"stamped after the certificate's end", a, keylesstest.Signing{Identity: alice, From: now, Stamped: late}, commitBytes, ErrOutsideValidity},
		{"stamped before its beginning", a, keylesstest.Signing{Identity: alice, From: now, Stamped: now.Add(-time.Hour)}, commitBytes, ErrOutsideValidity},
		{"logged after the certificate's end", a, keylesstest.Signing{Identity: alice, From: now, Logged: late}, commitBytes, ErrOutsideValidity},
		{"logged too late, and stamped", a, keylesstest.Signing{Identity: alice, From: now, Logged: late, Stamped: late}, commitBytes, ErrOutsideValidity},
		{"another authority", other, keylesstest.Signing{Identity: alice, From: now, Stamped: in}, commitBytes, ErrUntrustedCA},
		{"another message", a, keylesstest.Signing{Identity: alice, From: now, Stamped: in}, "tree 1\n", cms.ErrSignature},
		{"no issuer", a, keylesstest.Signing{Identity: keylesstest.Identity{Subject: "alice@example.com"}, From: now, Stamped: in}, commitBytes, ErrNotVerified},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := k.VerifyCommit(tt.by.Sign([]byte(commitBytes), tt.signing), []byte(tt.message))
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %+v, %v, want %v", got, err, tt.want)
			}
			if want := (KeylessSigner{Issuer: issuer, Subject: "alice@example.com"}); err == nil && got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if err != nil && got != (KeylessSigner{}) {
				t.Errorf("with %v: %+v", err, got)
			}
		})
	}
}

// A timestamp or entry that another signature earned proves nothing about this one.
func TestKeylessBorrowedTime(t *testing.T) {
	a, other := keylesstest.New(t, now), keylesstest.New(t, now)
	alice := keylesstest.Identity{Subject: "alice@example.com", Issuer: "https://accounts.example.com"}
	in := now.Add(time.Minute)
	// Each authority vouches for a time, but only one of them for this repository.
	for _, s := range []keylesstest.Signing{{Identity: alice, From: now, Stamped: in}, {Identity: alice, From: now, Logged: in}} {
		sig := a.Sign([]byte(commitBytes), s)
		if _, err := keyless(t, a).VerifyCommit(sig, []byte(commitBytes)); err != nil {
			t.Fatal(err)
		}
		// The time's bytes damaged: somewhere in the last part of the signature.
		block := bytes.Clone(sig)
		n := len(block) - 120
		if block[n] == 'A' {
			block[n] = 'B'
		} else {
			block[n] = 'A'
		}
		if got, err := keyless(t, a).VerifyCommit(block, []byte(commitBytes)); err == nil {
			t.Errorf("with a damaged time: %+v", got)
		}
		if got, err := keyless(t, other).VerifyCommit(sig, []byte(commitBytes)); !errors.Is(err, ErrUntrustedCA) {
			t.Errorf("under another root: %+v, %v", got, err)
		}
	}
}

// A CI job's certificate tells the job.
func TestKeylessClaims(t *testing.T) {
	const workflow = "https://github.com/acme/service/.github/workflows/release.yml@refs/heads/main"
	a := keylesstest.New(t, now)
	sig := a.Sign([]byte(commitBytes), keylesstest.Signing{From: now, Stamped: now.Add(time.Minute), Identity: keylesstest.Identity{
		Subject: workflow, Issuer: "https://token.actions.githubusercontent.com", Claims: map[int]string{
			9: workflow, 11: "github-hosted", 12: "https://github.com/acme/service", 13: "1111111111111111111111111111111111111111",
			14: "refs/heads/main", 20: "push", 21: "https://github.com/acme/service/actions/runs/1/attempts/1",
		}}})
	got, err := keyless(t, a).VerifyCommit(sig, []byte(commitBytes))
	want := KeylessSigner{Issuer: "https://token.actions.githubusercontent.com", Subject: workflow, Claims: Claims{
		Repository: "https://github.com/acme/service", Ref: "refs/heads/main", SHA: "1111111111111111111111111111111111111111",
		Workflow: workflow, Event: "push", Runner: "github-hosted", Run: "https://github.com/acme/service/actions/runs/1/attempts/1"}}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseTrustedRootRefuses(t *testing.T) {
	good := keylesstest.New(t, now).TrustedRoot()
	for name, b := range map[string][]byte{
		"nothing":       nil,
		"empty":         []byte("{}"),
		"no JSON":       []byte("x"),
		"data after it": append(bytes.Clone(good), "{}"...),
		"key twice":     append([]byte(`{"mediaType":"x",`), good[1:]...),
	} {
		if k, err := ParseTrustedRoot(b); err == nil {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

// FuzzKeylessCommit: nobody but the one whom the authority named ever verifies.
func FuzzKeylessCommit(f *testing.F) {
	a := keylesstest.New(f, now)
	k := keyless(f, a)
	alice := keylesstest.Identity{Subject: "alice@example.com", Issuer: "https://accounts.example.com"}
	f.Add(a.Sign([]byte(commitBytes), keylesstest.Signing{Identity: alice, From: now, Stamped: now.Add(time.Minute)}))
	f.Add(a.Sign([]byte(commitBytes), keylesstest.Signing{Identity: alice, From: now, Logged: now.Add(time.Hour)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := k.VerifyCommit(b, []byte(commitBytes))
		if err == nil && (got.Subject != alice.Subject || got.Issuer != alice.Issuer) {
			t.Errorf("got %+v", got)
		}
		if err != nil && got != (KeylessSigner{}) {
			t.Errorf("with %v: %+v", err, got)
		}
	})
}
