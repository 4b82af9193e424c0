package sigstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"
)

// BenchmarkVerify measures a bundle with a key and one with a certificate, a log entry and its proof,
// beside the one ECDSA verification that the first is about.
func BenchmarkVerify(b *testing.B) {
	a, err := File("testdata/conformance/a.txt")
	if err != nil {
		b.Fatal(err)
	}
	root, err := PublicGood()
	if err != nil {
		b.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("raw", func(b *testing.B) {
		sum := sha256.Sum256([]byte("hello"))
		sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], sig) {
				b.Fatal("it does not verify")
			}
		}
		perSecond(b)
	})
	b.Run("key", func(b *testing.B) {
		raw, err := Sign(context.Background(), key, Content{Artifact: a, Statement: statementOf(a)})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := root.Verify(raw, a, Signer{Key: &key.PublicKey}); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b)
	})
	b.Run("certificate", func(b *testing.B) {
		for _, c := range conformanceCases(b) {
			if c.name != "happy-path-v0.3" {
				continue
			}
			for b.Loop() {
				if _, err := c.root.Verify(c.bundle, a, c.signer); err != nil {
					b.Fatal(err)
				}
			}
		}
		perSecond(b)
	})
}

func perSecond(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "verifications/s")
}
