// Package kms signs with keys that another program reaches: a key management service's, a
// token's, a plugin's.
//
// The program is a helper executable. It speaks Sigstore's KMS plugin protocol, version 1: it is
// started with two arguments, "v1" and a JSON document that names the key and a method, reads the
// message on standard input, and writes one JSON document. Which program it is follows from the
// reference and from nothing else:
//
//	awskms://, gcpkms://, azurekms://, hashivault://, openbao://    sallyport-kms
//	pkcs11:                                                         sallyport-pkcs11
//	NAME://                                                         sigstore-kms-NAME
//
// It is looked for in one place, the folder that this executable lies in. $PATH is not searched
// and no environment variable names another place: an agent writes files in its repository and,
// in most CI systems, variables for the steps that follow, and either would let it put a program
// of its own between a key and whoever signs. For the same reason the file must not be easier to
// replace than this executable: it has the same owner, or root, and no one may write to it who may
// not write to this one. That looks at modes, and so at nothing on Windows; and whoever may write to
// the folder that both lie in can replace both.
//
// What the helper is given: the variables that [Variables] lists for its kind, a $PATH of the
// system's folders, and a working folder that is not the caller's, in which nobody but root plants
// anything. Variables that name what is run (a PKCS #11 module, the configuration of some) are taken
// only if root alone can change what they name; relative paths are refused.
//
// What that does not keep from whoever sets those variables, or writes in the home folder: to say which
// account, which server and which proxy the vendor's library speaks with, and so to whom a token is
// sent that it sends with each request (Vault's and OpenBao's, to VAULT_ADDR). The environment of a step
// that signs has to be out of an agent's reach. Programs of the same user are not kept out at all.
//
// What it may do: answer within a time limit, in at most 64 KiB. What it says is not believed: the
// public key that it names is what the trust roots are asked about, and every signature is verified
// under that public key before it is handed on. A helper, or a service, that signs with another key, or
// not what it was asked to sign, is an error ([ErrSignature]).
//
// The digest of a message goes to the helper, and never the message, but for Ed25519, which is
// defined over the message. RSA signatures are PKCS #1 v1.5, as everywhere in this product.
package kms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/helper"
	"github.com/sallyport-dev/sallyport/internal/base/keyalg"
	"github.com/sallyport-dev/sallyport/internal/key"
)

// Limits of what a helper may do, unless a Helper says otherwise.
const (
	MaxAnswer = 64 << 10
	Timeout   = 30 * time.Second
)

// Errors that callers tell apart.
var (
	ErrMissing   = helper.ErrMissing
	ErrUnsafe    = helper.ErrUnsafe
	ErrVariable  = errors.New("the helper program would not be safe")
	ErrTimeout   = errors.New("the helper program did not answer in time")
	ErrAnswer    = errors.New("the helper program's answer cannot be used")
	ErrRefused   = errors.New("the key cannot be used")
	ErrSignature = errors.New("what came back is not a signature by the key that was named")
)

// A Helper says how helper programs are started.
type Helper struct {
	// Executable is the program beside which helpers lie; empty for the one that is running.
	Executable string
	// Getenv reads a variable of the environment.
	Getenv func(string) string
	// Timeout bounds one answer; zero for [Timeout].
	Timeout time.Duration
}

// Open opens the key that r names, of kind [key.Service], [key.Token] or [key.Plugin]. ctx holds
// for the signatures as well.
func (h Helper) Open(ctx context.Context, r key.Ref) (*key.Key, error) {
	c, err := h.client(r)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", c.shown, err)
	}
	pub, err := c.publicKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", c.shown, err)
	}
	k, err := key.New(&signer{pub: pub, sign: func(digest, message []byte, h crypto.Hash) ([]byte, error) {
		sig, err := c.sign(ctx, digest, message, h)
		if err != nil {
			return nil, fmt.Errorf("sign with %s: %w", c.shown, err)
		}
		return sig, nil
	}}, r.Scheme)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", c.shown, err)
	}
	return k, nil
}

// A client asks one program about one key.
type client struct {
	program  string   // path
	name     string   // for people
	resource string   // what the program calls the key
	shown    string   // the reference without its PIN
	env      []string // what the program is given
	timeout  time.Duration
}

// client returns what is needed to ask about r. Its field shown is set even if it fails.
func (h Helper) client(r key.Ref) (client, error) {
	c := client{resource: r.Text, shown: r.Text, timeout: h.Timeout}
	if c.timeout == 0 {
		c.timeout = Timeout
	}
	getenv := h.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	pin := ""
	switch r.Kind {
	case key.Service:
		c.name = "sallyport-kms"
	case key.Plugin:
		c.name, c.resource = "sigstore-kms-"+r.Scheme, r.Rest
	case key.Token:
		c.name = "sallyport-pkcs11"
		c.shown, pin = splitPIN(r.Text)
		c.resource = c.shown
	default:
		return c, fmt.Errorf("%w %q", key.ErrScheme, r.Scheme+":")
	}
	var err error
	if c.env, err = environment(r, getenv); err != nil {
		return c, err
	}
	if pin != "" {
		// Arguments are shown to every user of the machine; the environment is not.
		c.env = append(c.env, pinVariable+"="+pin)
	}
	c.program, err = helper.Find(h.Executable, c.name)
	if errors.Is(err, ErrMissing) && r.Kind == key.Plugin {
		err = fmt.Errorf("%w; other kinds of key: %s", err, key.Kinds())
	}
	return c, err
}

// pinVariable is cosign's.
const pinVariable = "COSIGN_PKCS11_PIN"

// splitPIN takes the PIN out of a PKCS #11 URI.
func splitPIN(uri string) (without, pin string) {
	path, query, ok := strings.Cut(uri, "?")
	if !ok {
		return uri, ""
	}
	kept := []string{}
	for _, attr := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		v, is := strings.CutPrefix(attr, "pin-value=")
		if !is {
			kept = append(kept, attr)
			continue
		}
		pin = v
		if raw, err := url.PathUnescape(v); err == nil {
			pin = raw
		}
	}
	if len(kept) == 0 {
		return path, pin
	}
	return path + "?" + strings.Join(kept, "&"), pin
}

// publicKey asks for the public key.
func (c client) publicKey(ctx context.Context) (crypto.PublicKey, error) {
	a, err := c.ask(ctx, request{Init: initOptions{Hash: uint(crypto.SHA256)}, Method: "publicKey", PublicKey: &publicKeyArgs{}}, nil)
	if err != nil {
		return nil, err
	}
	if a.PublicKey == nil {
		return nil, fmt.Errorf("%w: it holds no public key", ErrAnswer)
	}
	block, rest := pem.Decode(a.PublicKey.PEM)
	if block == nil || block.Type != "PUBLIC KEY" || len(strings.TrimSpace(string(rest))) != 0 {
		return nil, fmt.Errorf("%w: its public key is not one PEM block", ErrAnswer)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		if refused := keyalg.Unreadable(block.Bytes); refused != nil {
			return nil, fmt.Errorf("%w: %w", ErrRefused, refused)
		}
		return nil, fmt.Errorf("%w: its public key is broken", ErrAnswer)
	}
	return pub, nil
}

// sign asks for a signature over a digest made with h, or over message if h is zero.
func (c client) sign(ctx context.Context, digest, message []byte, h crypto.Hash) ([]byte, error) {
	args := &signArgs{}
	hash := uint(crypto.SHA256)
	if h != 0 {
		hash = uint(h)
		args.Options.Message = messageOptions{Digest: &digest, Hash: &hash}
	}
	a, err := c.ask(ctx, request{Init: initOptions{Hash: hash}, Method: "signMessage", Sign: args}, message)
	if err != nil {
		return nil, err
	}
	if a.Sign == nil || len(a.Sign.Signature) == 0 {
		return nil, fmt.Errorf("%w: it holds no signature", ErrAnswer)
	}
	return a.Sign.Signature, nil
}

// A signer is a crypto.Signer that believes nobody.
type signer struct {
	pub  crypto.PublicKey
	sign func(digest, message []byte, h crypto.Hash) ([]byte, error)
}

func (s *signer) Public() crypto.PublicKey { return s.pub }

// Sign returns a signature over digest, which for Ed25519 is the message itself.
func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	h := opts.HashFunc()
	var message []byte
	if err := s.suits(digest, opts); err != nil {
		return nil, err
	}
	if h == 0 {
		digest, message = nil, digest
	}
	sig, err := s.sign(digest, message, h)
	if err != nil {
		return nil, err
	}
	ok := false
	switch pub := s.pub.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(pub, message, sig)
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(pub, digest, sig)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(pub, h, digest, sig) == nil
	}
	if !ok {
		return nil, ErrSignature
	}
	return sig, nil
}

// suits refuses what would have the key sign something else than is meant.
func (s *signer) suits(digest []byte, opts crypto.SignerOpts) error {
	h := opts.HashFunc()
	if _, pss := opts.(*rsa.PSSOptions); pss {
		return fmt.Errorf("%w: RSA signatures are PKCS #1 v1.5 here", ErrRefused)
	}
	want := crypto.SHA256
	switch pub := s.pub.(type) {
	case ed25519.PublicKey:
		want = 0
	case *ecdsa.PublicKey:
		if pub.Curve == elliptic.P384() {
			want = crypto.SHA384
		}
	case *rsa.PublicKey:
	default:
		return fmt.Errorf("%w: it is a %T", ErrRefused, pub)
	}
	if want == 0 && h != 0 {
		return fmt.Errorf("%w: an Ed25519 key in a service or token signs statements, and no digests of files; take an ECDSA key", ErrRefused)
	}
	if h != want || (h != 0 && len(digest) != h.Size()) {
		return fmt.Errorf("%w: it signs digests made with %v", ErrRefused, want)
	}
	return nil
}
