package run

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A QuoteVerifier verifies that a quote is one of a confidential machine whose code and firmware are
// accepted, and that it is about pub. It returns an error unless all of that holds.
type QuoteVerifier func(ctx context.Context, pub crypto.PublicKey) error

// Certify has an authority certify a key that lives elsewhere, in the memory of a confidential machine,
// once its quote has verified. It is the only way to a certificate that says so: without a verifier, or
// with one that fails, nothing is signed. The certificate is returned in DER.
func Certify(ctx context.Context, authority crypto.Signer, pub crypto.PublicKey, b runcert.Binding, verify QuoteVerifier, now time.Time, validity time.Duration) ([]byte, error) {
	if b.Separation != predicate.SeparationEnclave {
		return nil, fmt.Errorf("certify a key: %w: the separation is %.20q, and this is for enclaves", runcert.ErrBinding, b.Separation)
	}
	if verify == nil {
		return nil, errors.New("certify a key: there is nobody to verify its quote")
	}
	if err := verify(ctx, pub); err != nil {
		return nil, fmt.Errorf("certify a key: %w", err)
	}
	if validity == 0 {
		validity = runcert.DefaultValidity
	}
	der, err := runcert.Issue(authority, pub, b, now, validity)
	if err != nil {
		return nil, fmt.Errorf("certify a key: %w", err)
	}
	return der, nil
}
