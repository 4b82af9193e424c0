package evidence

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

var verdicts = []error{ErrBundle, ErrSignature, ErrUnknownKey, ErrNotAllowed, ErrExpired, ErrStatement}

// FuzzVerify: no bytes but those that the key signed become evidence, whatever surrounds them,
// and every refusal is one line of one kind.
func FuzzVerify(f *testing.F) {
	s := newEd25519(f)
	want := statement(commit, tree)
	raw := mustSign(f, want, s)
	f.Add(raw)
	f.Add([]byte(strings.Replace(string(raw), `"hint":"`, `"hint":"x`, 1)))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"dsseEnvelope":{}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1","verificationMaterial":{"x509CertificateChain":{},"tlogEntries":[{}]},"dsseEnvelope":{"signatures":[{}]}}`))
	seeds, _ := filepath.Glob("testdata/*.json")
	for _, name := range seeds {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	v := NewVerifier([]Key{keyFor(s.Public())}, now)
	v.SSH = openSSH
	signed, err := sallyport.EncodeJSON(want)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ev, err := v.Verify(context.Background(), sallyport.Attestation{Raw: b})
		if err != nil {
			kinds := 0
			for _, k := range verdicts {
				if errors.Is(err, k) {
					kinds++
				}
			}
			if kinds != 1 || strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 2000 {
				t.Fatalf("a refusal of %d kinds: %q", kinds, err)
			}
			return
		}
		got, err := sallyport.EncodeJSON(ev.Statement)
		if err != nil || string(got) != string(signed) {
			t.Fatalf("evidence of what nobody signed: %s", got)
		}
		// What verifies is filed under all of its subjects.
		subjects, err := subjectsOf(b)
		if err != nil || !slices.Contains(subjects, commit) || !slices.Contains(subjects, tree) {
			t.Fatalf("it verifies and is filed under %v, %v", subjects, err)
		}
	})
}

// FuzzStatement: a statement that is accepted has subjects, each with digests, and reads the same
// after it was written again.
func FuzzStatement(f *testing.F) {
	b, err := sallyport.EncodeJSON(statement(commit, tree))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"x","digest":{"sha1":"00"}}],"predicateType":"x:y","predicate":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeStatement(b)
		if err == nil {
			err = checkStatement(st)
		}
		if err != nil {
			if !errors.Is(err, ErrStatement) {
				t.Fatalf("a refusal of no kind: %v", err)
			}
			return
		}
		if len(st.Subject) == 0 || st.PredicateType == "" {
			t.Fatalf("accepted without subject or type: %s", b)
		}
		for _, s := range st.Subject {
			if len(s.Digest) == 0 {
				t.Fatalf("accepted a subject without digest: %s", b)
			}
		}
		if len(st.Predicate) == 0 {
			return // written as null, which is another statement
		}
		out, err := sallyport.EncodeJSON(st)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeStatement(out)
		if err != nil || checkStatement(again) != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, out)
		}
		if twice, err := sallyport.EncodeJSON(again); err != nil || string(twice) != string(out) {
			t.Fatalf("it changes each time it is written:\n%s\n%s", out, twice)
		}
	})
}

// FuzzTrust: whatever parses names each key once, for exact types, and promises no presence.
func FuzzTrust(f *testing.F) {
	f.Add([]byte(trustYAML(trustPEM)))
	f.Add([]byte(trustYAML(trustSSH)))
	f.Add([]byte("version: 1\nkeys: [{name: a, key: b}]\n"))
	f.Add([]byte(authorityYAML(f, newEd25519(f).Public())))
	f.Fuzz(func(t *testing.T, b []byte) {
		trust, err := ParseTrust(b)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("an error of several lines: %q", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, k := range trust.Keys {
			hint := k.Hint()
			if hint == "" || seen[hint] || (k.SSH == "") == (k.Public == nil) {
				t.Fatalf("key %+v", k)
			}
			seen[hint] = true
			if k.Grade != sallyport.Declared && k.Grade != sallyport.Observed {
				t.Fatalf("grade %q", k.Grade)
			}
			if len(k.Types) == 0 || strings.Contains(strings.Join(k.Types, ""), "*") {
				t.Fatalf("types %q", k.Types)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for name, s := range signers(b) {
		b.Run(name, func(b *testing.B) {
			att := sallyport.Attestation{Raw: mustSign(b, statement(commit, tree), s)}
			v := NewVerifier([]Key{keyFor(s.Public())}, now)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(context.Background(), att); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
