package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
)

// A Signer signs with a private key that it need not give away: one in a file, a KMS or a
// security module. Its public key must be of a kind that [Hint] accepts.
type Signer interface {
	crypto.Signer
}

// An SSHSigner makes SSH signatures.
type SSHSigner interface {
	// Sign returns an SSHSIG over message in namespace, binary or armoured.
	Sign(ctx context.Context, namespace string, message []byte) ([]byte, error)
	// Fingerprint returns that of the key that signs, "SHA256:…".
	Fingerprint() string
}

// Sign returns st, encoded by [sallyport.EncodeJSON], as a Sigstore bundle signed by s. The
// bundle is what sigstore-go's own signing makes from the same statement and key, and sigstore-go
// has verified it before it is returned, so that a signer that failed silently is noticed here.
func Sign(ctx context.Context, st sallyport.Statement, s Signer) ([]byte, error) {
	hint, err := Hint(s.Public())
	if err != nil {
		return nil, fmt.Errorf("sign the statement: %w", err)
	}
	env, err := envelope(st)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cert, err := certificateOf(s, st)
	if err != nil {
		return nil, fmt.Errorf("sign the statement: %w", err)
	}
	if env.Signature, err = rawSign(s, env.PAE()); err != nil {
		return nil, fmt.Errorf("sign the statement: %w", err)
	}
	if cert != nil {
		return signedUnder(cert, env)
	}
	raw, err := encodeBundle(env, hint)
	if err != nil {
		return nil, err
	}
	p, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("check what was signed: %w", err)
	}
	m, err := material(s.Public())
	if err != nil {
		return nil, fmt.Errorf("check what was signed: %w", err)
	}
	if err := verifyEnvelope(p, m); err != nil {
		return nil, fmt.Errorf("check what was signed: %w", err)
	}
	return raw, nil
}

// rawSign signs message with the algorithm that Sigstore clients expect of the key.
func rawSign(s Signer, message []byte) ([]byte, error) {
	h := crypto.SHA256
	switch k := s.Public().(type) {
	case ed25519.PublicKey:
		return s.Sign(rand.Reader, message, crypto.Hash(0))
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P384() {
			h = crypto.SHA384
		}
	}
	d := h.New()
	d.Write(message)
	return s.Sign(rand.Reader, d.Sum(nil), h)
}

// SignSSH returns st as a Sigstore bundle whose signature is an SSHSIG; see the package comment.
// It does not verify what s returned: whoever has an [SSHVerifier] can.
func SignSSH(ctx context.Context, st sallyport.Statement, s SSHSigner) ([]byte, error) {
	env, err := envelope(st)
	if err != nil {
		return nil, err
	}
	sig, err := s.Sign(ctx, SSHNamespace, env.PAE())
	if err != nil {
		return nil, fmt.Errorf("sign the statement: %w", err)
	}
	if env.Signature, err = unarmour(sig); err != nil {
		return nil, fmt.Errorf("sign the statement: %w", err)
	}
	return encodeBundle(env, s.Fingerprint())
}

// unarmour returns the binary form of an SSHSIG.
func unarmour(sig []byte) ([]byte, error) {
	if block, rest := pem.Decode(sig); block != nil {
		if block.Type != "SSH SIGNATURE" || len(bytes.TrimSpace(rest)) != 0 {
			return nil, errors.New("the signer did not return one SSH signature")
		}
		sig = block.Bytes
	}
	if !bytes.HasPrefix(sig, []byte("SSHSIG")) {
		return nil, errors.New("the signer did not return an SSH signature")
	}
	return sig, nil
}

// envelope validates and encodes st. What Verify would refuse is not signed in the first place.
func envelope(st sallyport.Statement) (dsse.Envelope, error) {
	if st.Type != sallyport.StatementType {
		return dsse.Envelope{}, fmt.Errorf("%w: its type is %.100q, want %q", ErrStatement, st.Type, sallyport.StatementType)
	}
	if err := checkStatement(st); err != nil {
		return dsse.Envelope{}, err
	}
	if err := checkPredicate(st); err != nil {
		return dsse.Envelope{}, err
	}
	payload, err := sallyport.EncodeJSON(st)
	if err != nil {
		return dsse.Envelope{}, fmt.Errorf("encode the statement: %w", err)
	}
	if _, err := decodeStatement(payload); err != nil {
		return dsse.Envelope{}, err
	}
	return dsse.Envelope{PayloadType: dsse.InTotoPayload, Payload: payload}, nil
}

type bundleJSON struct {
	MediaType string `json:"mediaType"`
	Material  struct {
		PublicKey   *hintJSON        `json:"publicKey,omitempty"`
		Certificate *certificateJSON `json:"certificate,omitempty"`
		Timestamps  *timestampsJSON  `json:"timestampVerificationData,omitempty"`
	} `json:"verificationMaterial"`
	Envelope json.RawMessage `json:"dsseEnvelope"`
}

type hintJSON struct {
	Hint string `json:"hint"`
}

type certificateJSON struct {
	Raw []byte `json:"rawBytes"`
}

// encodeBundle writes a bundle. protojson would do, but for the spaces that it adds at random so
// that nobody relies on its output: attestations are named by the digest of their bytes.
func encodeBundle(env dsse.Envelope, hint string) ([]byte, error) {
	b := bundleJSON{MediaType: BundleMediaType}
	b.Material.PublicKey = &hintJSON{hint}
	return b.encode(env)
}

func (b bundleJSON) encode(env dsse.Envelope) ([]byte, error) {
	var err error
	if b.Envelope, err = sallyport.EncodeJSON(env); err != nil {
		return nil, fmt.Errorf("encode the bundle: %w", err)
	}
	raw, err := sallyport.EncodeJSON(b)
	if err != nil {
		return nil, fmt.Errorf("encode the bundle: %w", err)
	}
	if len(raw) > MaxBundle {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrBundle, len(raw), MaxBundle)
	}
	return raw, nil
}
