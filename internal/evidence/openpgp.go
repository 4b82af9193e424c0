package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
)

// openPGPHint is how the hint of an OpenPGP key begins; its certificate's fingerprint follows.
const openPGPHint = "openpgp:"

// An OpenPGPVerifier verifies a binary OpenPGP signature over message and returns the hint of the
// certificate whose key made it, "openpgp:" and its fingerprint. It must return an error unless the
// signature is good and the key may sign at the enforcement point's time. It must be safe for concurrent use.
type OpenPGPVerifier func(sig, message []byte) (hint string, err error)

// An OpenPGPSigner makes OpenPGP signatures.
type OpenPGPSigner interface {
	// Sign returns a binary detached signature over message.
	Sign(ctx context.Context, message []byte) ([]byte, error)
	// Fingerprint returns the hint of the certificate, "openpgp:…".
	Fingerprint() string
}

// SignOpenPGP returns st as a Sigstore bundle whose signature is an OpenPGP one over the envelope's
// pre-authentication encoding. That starts with "DSSEv1", as no commit and no tag does, so that neither
// signature can be passed for the other. It does not verify what s returned.
func SignOpenPGP(ctx context.Context, st sallyport.Statement, s OpenPGPSigner) ([]byte, error) {
	env, err := envelope(st)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(s.Fingerprint(), openPGPHint) {
		return nil, errors.New("sign the statement: the signer names no OpenPGP key")
	}
	if env.Signature, err = s.Sign(ctx, env.PAE()); err != nil {
		return nil, fmt.Errorf("sign the statement: %w", err)
	}
	return encodeBundle(env, s.Fingerprint())
}

func (v *Verifier) verifyOpenPGP(p parsed) (signed, error) {
	if v.OpenPGP == nil {
		return signed{}, fmt.Errorf("%w: OpenPGP signatures are not verified here", ErrSignature)
	}
	hint, err := v.OpenPGP(p.envelope.Signature, dsse.PAE(p.envelope.PayloadType, p.envelope.Payload))
	if err != nil {
		return signed{}, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
	}
	if hint != p.hint {
		return signed{}, fmt.Errorf("%w: the bundle names the key %.100q, and %q signed", ErrSignature, p.hint, hint)
	}
	keys := slices.DeleteFunc(slices.Clone(v.keys[hint]), func(k Key) bool { return k.OpenPGP != hint || k.OpenPGP == "" })
	if len(keys) == 0 {
		return signed{}, fmt.Errorf("%w: %q", ErrUnknownKey, hint)
	}
	return signed{hint: hint, keys: keys}, nil
}
