// Package run makes keys that live for one run of an agent or a job, for minutes, and are never
// written to a disk.
//
// [Issue] makes such a key in the memory of the process that calls it, and has an authority certify it:
// a certificate authority of the house, whose key is any key that signs here, in a file, a service or a
// token. The certificate (package runcert) binds the key to a run, a repository and a principal.
// What the key signs carries the certificate, and counts under the trust roots that name the authority.
//
// Whoever supervises a run calls [Issue] and signs with [Issued.Key] in process: then only its own
// memory holds the key. [Issued.Serve] lets other programs of the same user sign too, through a Unix
// socket in a folder of its own (mode 0700). It is no oracle: it is sent the statement, not a digest;
// it refuses what is about another run, repository or principal; it counts what it signs, up to
// [MaxSignatures]; and it ends with the certificate, or with [Issued.Close]. Who connects has to be
// of the same user, by the kernel's word; where the kernel gives none, nothing is served.
//
// What this does not do: programs of one user can debug one another, so an agent under that user can
// use the key while it lives, and with enough effort read it. The binding says so: such a key has no
// separation, and its word is declared. A key under another user, host or enclave is another matter.
package run

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Limits of a run's key.
const (
	MaxSignatures = 1000
	MaxMessage    = 10 << 20
)

// Errors that callers tell apart.
var (
	ErrOver     = errors.New("the run's key is over")
	ErrRefused  = errors.New("the run's key does not sign this")
	ErrPeer     = errors.New("who asks is not known to be of the same user")
	ErrSocket   = errors.New("the run's key cannot be reached")
	ErrNoKernel = errors.New("this operating system does not tell who connects to a socket, so that a run's key is not served here")
)

// label is that of the keys.
const label = "run"

// An Issued key is one that lives in this process.
type Issued struct {
	Key         *key.Key
	Binding     runcert.Binding
	Certificate *x509.Certificate

	timer  *time.Timer // ends the key with its certificate; no clock that is set back prolongs it
	mu     sync.Mutex
	priv   ed25519.PrivateKey // nil once it is over
	late   bool               // its certificate has ended
	signed []sallyport.Digest // payloads
}

// Issue makes a key and has the authority certify it for as long as validity, zero for
// [runcert.DefaultValidity].
func Issue(authority crypto.Signer, b runcert.Binding, now time.Time, validity time.Duration) (*Issued, error) {
	if validity == 0 {
		validity = runcert.DefaultValidity
	}
	if b.Separation == predicate.SeparationEnclave {
		return nil, fmt.Errorf("issue a run's key: %w: a key that is made here is in no enclave; one that is there is certified with its quote", runcert.ErrBinding)
	}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("issue a run's key: %w", err)
	}
	der, err := runcert.Issue(authority, pub, b, now, validity)
	if err != nil {
		return nil, fmt.Errorf("issue a run's key: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue a run's key: %w", err)
	}
	i := &Issued{Binding: b, Certificate: c, priv: priv}
	i.timer = time.AfterFunc(c.NotAfter.Sub(now), func() { i.end(true) })
	if i.Key, err = key.NewCertified(signer{i}, label, der); err != nil {
		return nil, fmt.Errorf("issue a run's key: %w", err)
	}
	return i, nil
}

// Close ends the key. Go gives no means to wipe it from memory for sure; nothing signs with it any more.
func (i *Issued) Close() {
	i.timer.Stop()
	i.end(false)
}

func (i *Issued) end(late bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.priv)
	i.priv, i.late = nil, i.late || late
}

// Signed returns the digests of the statements that the key signed so far, in order.
func (i *Issued) Signed() []sallyport.Digest {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]sallyport.Digest{}, i.signed...)
}

// A signer signs envelopes, and nothing else.
type signer struct{ of *Issued }

func (s signer) Public() crypto.PublicKey { return s.of.Certificate.PublicKey }

// Sign signs the pre-authentication encoding of an envelope with a statement about the run.
func (s signer) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != 0 {
		return nil, fmt.Errorf("%w: it is asked to sign a digest, and a statement is what it looks at", ErrRefused)
	}
	payload, err := s.of.check(message)
	if err != nil {
		return nil, err
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	switch {
	case s.of.late:
		return nil, fmt.Errorf("%w: its certificate was valid until %s", ErrOver, s.of.Certificate.NotAfter.UTC().Format(time.RFC3339))
	case s.of.priv == nil:
		return nil, fmt.Errorf("%w: it was ended", ErrOver)
	case len(s.of.signed) >= MaxSignatures:
		return nil, fmt.Errorf("%w: it has signed %d statements, which is the limit", ErrOver, MaxSignatures)
	}
	s.of.signed = append(s.of.signed, sallyport.SHA256(payload))
	return ed25519.Sign(s.of.priv, message), nil
}

// check returns the payload of an envelope's encoding if it is a statement about the run.
func (i *Issued) check(message []byte) ([]byte, error) {
	if len(message) > MaxMessage {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrRefused, MaxMessage)
	}
	payload, err := dsse.ParsePAE(message, dsse.InTotoPayload)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no envelope with a statement", ErrRefused)
	}
	var st sallyport.Statement
	if err := strict.LaxJSON(payload, MaxMessage, &st); err != nil {
		return nil, fmt.Errorf("%w: its statement cannot be read", ErrRefused)
	}
	if err := i.Binding.Covers(st.PredicateType, st.Predicate); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return payload, nil
}
