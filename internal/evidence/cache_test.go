package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
)

// TestCache: what verified once is kept, and everything about the key that signed is asked again.
func TestCache(t *testing.T) {
	priv, other := newEd25519(t), newEd25519(t)
	raw := mustSign(t, statement(commit), priv)
	cache := NewCache(1)
	ask := func(raw []byte, at time.Time, keys ...Key) (sallyport.Evidence, error) {
		v := NewVerifier(keys, at)
		v.Cache = cache
		return v.Verify(t.Context(), sallyport.Attestation{Raw: raw})
	}
	edit := func(f func(k *Key)) Key {
		k := keyFor(priv.Public())
		f(&k)
		return k
	}
	good := keyFor(priv.Public())
	first, err := ask(raw, now, good)
	if err != nil || cache.found.Len() != 1 {
		t.Fatalf("%v, %d kept", err, cache.found.Len())
	}
	again, err := ask(raw, now, good)
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Fatalf("%v, %+v, want %+v", err, again, first)
	}
	again.Statement.Subject[0].Name = "changed by who got it"
	for _, c := range []struct {
		name string
		at   time.Time
		keys []Key
		want error
	}{
		{"no key", now, nil, ErrUnknownKey},
		{"another key", now, []Key{keyFor(other.Public())}, ErrUnknownKey},
		{"revoked since", now, []Key{edit(func(k *Key) { k.Revoked = &Revocation{At: now, Reason: Compromised} })}, ErrRevoked},
		{"expired since", now.Add(time.Hour), []Key{edit(func(k *Key) { k.NotAfter = now })}, ErrExpired},
		{"for another type", now, []Key{edit(func(k *Key) { k.Types = []string{VSAType} })}, ErrNotAllowed},
		{"as two principals", now, []Key{good, edit(func(k *Key) { k.Principal.Name = "x" })}, ErrNotAllowed},
		{"good as before", now, []Key{good, keyFor(other.Public())}, nil},
	} {
		if ev, err := ask(raw, c.at, c.keys...); !errors.Is(err, c.want) || err == nil && !reflect.DeepEqual(ev, first) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if _, ok := cache.found.Get(cacheKey{bundle: sha256.Sum256(changed)}); ok {
			t.Fatalf("byte %d does not matter", i)
		}
	}
	forged := mustSign(t, statement(tree), other)
	for range 2 {
		if _, err := ask(forged, now, good); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("what does not verify: %v", err)
		}
	}
	if cache.found.Len() != 1 {
		t.Errorf("%d kept: a refusal is remembered", cache.found.Len())
	}
}

// TestCacheCertificate: a certificate is the word of the root that vouched for it, and of no other.
func TestCacheCertificate(t *testing.T) {
	a, other := keylesstest.New(t, now), keylesstest.New(t, now)
	payload, err := sallyport.EncodeJSON(statement(commit))
	if err != nil {
		t.Fatal(err)
	}
	job := keylesstest.Identity{Subject: gateYML, Issuer: actions, Claims: map[int]string{12: "https://github.com/acme/service"}}
	raw := a.Bundle(payload, keylesstest.Signing{Identity: job, From: now, Stamped: now.Add(time.Minute)})
	trust, err := ParseTrust([]byte(identity))
	if err != nil {
		t.Fatal(err)
	}
	cache, ours, theirs := NewCache(1), keyless(t, a), keyless(t, other)
	ask := func(k *Keyless, keys []Key) error {
		v := NewVerifier(keys, now.Add(2*time.Minute))
		v.Cache, v.Keyless = cache, k
		_, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw})
		return err
	}
	elsewhere := trust.Keys[0]
	elsewhere.Repository = "https://github.com/mallory/service"
	revoked := trust.Keys[0]
	revoked.Revoked = &Revocation{At: now, Reason: Compromised}
	for range 2 {
		if err := ask(ours, trust.Keys); err != nil || cache.found.Len() != 1 {
			t.Fatalf("%v, %d kept", err, cache.found.Len())
		}
		if err := ask(theirs, trust.Keys); !errors.Is(err, ErrSignature) {
			t.Errorf("another root: %v", err)
		}
		if err := ask(nil, trust.Keys); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("no root: %v", err)
		}
		if err := ask(ours, []Key{elsewhere}); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("another repository: %v", err)
		}
		if err := ask(ours, []Key{revoked}); !errors.Is(err, ErrRevoked) {
			t.Errorf("revoked: %v", err)
		}
		if err := ask(ours, nil); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("nobody is trusted: %v", err)
		}
	}
}

// TestCacheTogether: verifiers that share a cache may be asked at once, also about what needs the log
// entries of the bundle read again.
func TestCacheTogether(t *testing.T) {
	a := keylesstest.New(t, now.Add(-48*time.Hour))
	priv := newEd25519(t)
	k := keyFor(priv.Public())
	k.Revoked = &Revocation{At: now.Add(-time.Hour), Reason: Superseded}
	plain := mustSign(t, statement(commit), priv)
	raw := logged(t, plain, plain, priv.Public(), a, now.Add(-2*time.Hour))
	cache, root := NewCache(1), keyless(t, a)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			v := NewVerifier([]Key{k}, now)
			v.Cache, v.Keyless = cache, root
			for range 20 {
				if _, err := v.Verify(context.Background(), sallyport.Attestation{Raw: raw}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkCache is [BenchmarkVerify] of an attestation that has verified.
func BenchmarkCache(b *testing.B) {
	priv := newEd25519(b)
	raw := mustSign(b, statement(commit), priv)
	v := NewVerifier([]Key{keyFor(priv.Public())}, now)
	v.Cache = NewCache(1)
	for b.Loop() {
		if _, err := v.Verify(context.Background(), sallyport.Attestation{Raw: raw}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "verifications/s")
}
