package run

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A certificate says that its key is in an enclave only if a quote about that key verified.
func TestCertify(t *testing.T) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ca, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := binding
	b.Separation = predicate.SeparationEnclave
	asked := crypto.PublicKey(nil)
	good := func(_ context.Context, p crypto.PublicKey) error { asked = p; return nil }
	der, err := Certify(t.Context(), ca, pub, b, good, time.Now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := runcert.Parse(c); err != nil || got != b || !pub.Equal(asked) || !pub.Equal(c.PublicKey) {
		t.Errorf("%+v, %v", got, err)
	}
	no := errors.New("no")
	if der, err := Certify(t.Context(), ca, pub, b, func(context.Context, crypto.PublicKey) error { return no }, time.Now(), 0); !errors.Is(err, no) || der != nil {
		t.Errorf("a quote that does not verify: %v", err)
	}
	if der, err := Certify(t.Context(), ca, pub, b, nil, time.Now(), 0); err == nil || der != nil {
		t.Error("nobody verified, and it was certified")
	}
	if _, err := Certify(t.Context(), ca, pub, binding, good, time.Now(), 0); !errors.Is(err, runcert.ErrBinding) {
		t.Errorf("another separation: %v", err)
	}
	if _, err := Issue(ca, b, time.Now(), 0); !errors.Is(err, runcert.ErrBinding) {
		t.Errorf("a key of this process, said to be in an enclave: %v", err)
	}
}
