package sigstore

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/recent"
)

// TestCacheSame asks one cache, and no cache, about every bundle of the suite under every root and signer of
// it, twice. The answers are the same: nothing that verified once helps anything else.
func TestCacheSame(t *testing.T) {
	cases := conformanceCases(t)
	type asked struct {
		root *Root
		by   Signer
	}
	var who []asked
	seen := map[string]bool{}
	for _, c := range cases {
		if id := fmt.Sprintf("%s %v %+v", c.root.Digest(), c.signer.Key, c.signer); !seen[id] {
			seen[id] = true
			who = append(who, asked{c.root, c.signer})
		}
	}
	cache := NewCache(8)
	good := 0
	for range 2 {
		for _, c := range cases {
			a, err := File(c.artifact)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range append(who[:min(len(who), 12):12], asked{c.root, c.signer}) {
				want, wantErr := w.root.Verify(c.bundle, a, w.by)
				got, err := cache.Verify(w.root, c.bundle, a, w.by)
				if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
					t.Fatalf("%s: %v, without a cache %v", c.name, err, wantErr)
				}
				if err == nil {
					good++
				}
			}
		}
	}
	if good < 40 || cache.found.Len() == 0 {
		t.Errorf("%d verified, %d kept", good, cache.found.Len())
	}
}

// TestCacheMisses: with what verified in the cache, a changed byte, another identity, another root, another
// key and another artifact are judged anew or refused, and a refusal is not remembered.
func TestCacheMisses(t *testing.T) {
	cache := NewCache(1)
	for _, c := range benchCases(t) {
		t.Run(c.name, func(t *testing.T) {
			if _, err := cache.Verify(c.root, c.raw, c.artifact, c.by); err != nil {
				t.Fatal(err)
			}
			key, ok := keyOf(c.root, c.raw, c.by)
			if !ok || !cache.has(key) {
				t.Fatal("it is not kept")
			}
			kept := cache.found.Len()
			other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			for name, f := range map[string]func() (Result, error){
				"another artifact": func() (Result, error) { return cache.Verify(c.root, c.raw, Bytes([]byte("x")), c.by) },
				"no artifact":      func() (Result, error) { return cache.Verify(c.root, c.raw, Artifact{}, c.by) },
				"another key":      func() (Result, error) { return cache.Verify(c.root, c.raw, c.artifact, Signer{Key: &other.PublicKey}) },
				"another identity": func() (Result, error) {
					return cache.Verify(c.root, c.raw, c.artifact, Signer{Subject: c.by.Subject + "x", Issuer: "https://issuer.example"})
				},
				"another issuer": func() (Result, error) {
					return cache.Verify(c.root, c.raw, c.artifact, Signer{Subject: "a@example.com", Issuer: c.by.Issuer + "x"})
				},
				"a pattern for a name": func() (Result, error) {
					return cache.Verify(c.root, c.raw, c.artifact, Signer{SubjectPattern: "no", IssuerPattern: ".*"})
				},
				"nobody": func() (Result, error) { return cache.Verify(c.root, c.raw, c.artifact, Signer{}) },
			} {
				for range 2 { // a refusal is not remembered either
					if res, err := f(); err == nil || !reflect.DeepEqual(res, Result{}) {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
			// Every byte matters to the cache, whatever it means to the bundle: white space, too.
			for i := 0; i < len(c.raw); i += 97 {
				raw := bytes.Clone(c.raw)
				raw[i] ^= 1
				if k, ok := keyOf(c.root, raw, c.by); !ok || cache.has(k) {
					t.Fatalf("byte %d does not matter", i)
				}
			}
			if k, _ := keyOf(another(t, c.root), c.raw, c.by); cache.has(k) {
				t.Error("another root hits")
			}
			for _, by := range []Signer{{Key: c.by.Key, Subject: c.by.Subject, Issuer: c.by.Issuer, Logged: true}, {Key: c.by.Key, Subject: c.by.Subject, Issuer: c.by.Issuer, IgnoreLog: true}} {
				if k, _ := keyOf(c.root, c.raw, by); cache.has(k) {
					t.Error("asking for a log entry does not matter")
				}
			}
			if cache.found.Len() != kept {
				t.Errorf("%d kept, want %d", cache.found.Len(), kept)
			}
		})
	}
}

// has reports whether something is kept.
func (c *Cache) has(k cacheKey) bool {
	_, ok := c.found.Get(k)
	return ok
}

// another returns a root that names the same and is not the same bytes.
func another(t *testing.T, r *Root) *Root {
	t.Helper()
	other := *r
	other.digest = "sha256:0"
	return &other
}

// TestCacheBounds: the oldest goes, what is too large is not kept, and a caller that changes what it was
// given changes nothing for the next.
func TestCacheBounds(t *testing.T) {
	root, err := PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cache := &Cache{recent.New[cacheKey, cached](8 << 10)}
	var first []byte
	for i := range 50 {
		a := Bytes([]byte{byte(i)})
		raw := must(Sign(context.Background(), key, Content{Artifact: a, Statement: statementOf(a)}))
		if first == nil {
			first = raw
		}
		for range 2 {
			res, err := cache.Verify(root, raw, a, Signer{Key: &key.PublicKey})
			if err != nil || !json.Valid(res.Statement) {
				t.Fatal(err)
			}
			res.Statement[0] = 'x'
		}
	}
	if k, _ := keyOf(root, first, Signer{Key: &key.PublicKey}); cache.has(k) {
		t.Error("the oldest is still there")
	}
	a := Bytes(nil)
	large := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":"https://example.com/x","predicate":{"x":%q}}`, a.Digest("sha256").Hex(), bytes.Repeat([]byte("x"), maxCached))
	raw := must(Sign(context.Background(), key, Content{Artifact: a, Statement: large}))
	cache = NewCache(1)
	if _, err := cache.Verify(root, raw, a, Signer{Key: &key.PublicKey}); err != nil || cache.found.Len() != 0 {
		t.Errorf("%v, %d kept", err, cache.found.Len())
	}
	if _, err := (*Cache)(nil).Verify(root, raw, a, Signer{Key: &key.PublicKey}); err != nil {
		t.Error(err)
	}
}

// TestCacheEd25519: a plain Ed25519 signature over a file is over bytes that only the file has, so a digest
// that matches is not enough.
func TestCacheEd25519(t *testing.T) {
	root, err := PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(name, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := File(name)
	if err != nil {
		t.Fatal(err)
	}
	raw := must(Sign(context.Background(), key, Content{Artifact: a}))
	cache := NewCache(1)
	if _, err := cache.Verify(root, raw, a, Signer{Key: key.Public()}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Verify(root, raw, a, Signer{Key: key.Public()}); err == nil {
		t.Error("the file changed, and it verifies")
	}
	if cache.found.Len() != 0 {
		t.Error("it is kept")
	}
}

// TestCacheTogether: many may ask at once.
func TestCacheTogether(t *testing.T) {
	cache := NewCache(1)
	cases := benchCases(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				for _, c := range cases {
					if _, err := cache.Verify(c.root, c.raw, c.artifact, c.by); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}
