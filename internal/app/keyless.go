package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/cms"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// trustedRootPath is the Sigstore trusted root under which X.509 signatures of commits are verified.
const trustedRootPath = policy.GovernedDir + "trusted_root.json"

// newIdentifier says who made commits, by the roster and the trusted root in force.
func (w *workspace) newIdentifier(ctx context.Context, now time.Time) *identity.Identifier {
	id := identity.New(w.roster, now)
	if k := w.keyless; k != nil {
		id.X509 = func(sig, message []byte) (identity.X509Info, error) {
			s, err := k.VerifyCommit(sig, message)
			if err != nil {
				return identity.X509Info{}, x509Error(err)
			}
			return identity.X509Info{Issuer: s.Issuer, Subject: s.Subject}, nil
		}
	}
	return w.marked(ctx, id)
}

// x509Error tells identity what kind of error it is.
func x509Error(err error) error {
	var kind error
	switch {
	case errors.Is(err, evidence.ErrUntrustedCA):
		kind = identity.ErrX509Untrusted
	case errors.Is(err, evidence.ErrOutsideValidity):
		kind = identity.ErrX509Expired
	case errors.Is(err, evidence.ErrNoTime), errors.Is(err, evidence.ErrNotVerified), errors.Is(err, cms.ErrUnsupported):
		kind = identity.ErrX509NotVerified
	default:
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}
