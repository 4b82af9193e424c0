// Package openpgp verifies detached OpenPGP signatures (RFC 9580, and RFC 4880 before it) under
// certificates that somebody enrolled. It knows nothing of gates or persons.
//
// The packets and the mathematics are ProtonMail/go-crypto's. Which of a certificate's keys may
// sign, and until when, is decided here, because the usual answer is not ours: a verifier of
// mail asks whether a key was valid when the signature says that it was made, and whoever holds
// a key chooses what the signature says. Here one clock decides, the one that the caller gives:
//
//   - A certificate, a subkey or a signature that has expired at that time does not verify, and
//     neither does one that begins later (a signature may be ahead by [MaxSkew]).
//   - A key or subkey with a revocation that its primary key signed does not verify: a hard one
//     (compromised, no reason, or a reason that is not known) always and for everything, a soft
//     one (superseded, retired) from its own time on. Nothing that is signed later takes it back.
//   - A user id that was revoked counts again only by a certification that is newer than a soft
//     revocation. A certificate needs one user id that counts, or a direct-key signature.
//   - The newest of the self-signatures that count settles when the primary key expires and
//     what it may do; the newest binding settles it for a subkey. An older one never does.
//   - A subkey signs only if its binding says so and carries the subkey's own signature over the
//     primary key. Without that back-signature anybody could adopt another's subkey.
//
// Refused are hashes other than SHA-256, -384, -512 and SHA3-256 and -512, in signatures and
// in self-signatures, revocations excepted; keys other than RSA from 2048 bits, ECDSA on the NIST
// curves, Ed25519 and Ed448; signatures over text, several signatures in one armour, and anything
// that stands before, between or after what is read. Third parties' signatures are ignored, and a
// revocation by a designated revoker is among them.
//
// A key on a card cannot be told from a file: a signature proves a key, not a person's presence.
package openpgp

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Limits on what is read, in bytes.
const (
	MaxSignature   = 64 << 10
	MaxCertificate = 256 << 10
)

// MaxSkew is how far the clock of whoever signed may be ahead.
const MaxSkew = 5 * time.Minute

// Errors that a caller may want to tell apart; the others of this package wrap one of them.
var (
	ErrFormat      = errors.New("malformed OpenPGP data")
	ErrUnsupported = errors.New("unsupported OpenPGP data")      // well formed, of a kind that is refused
	ErrUnknownKey  = errors.New("signed with an unknown key")    // no certificate holds the key
	ErrSignature   = errors.New("signature does not verify")     // it is not the key's over these bytes
	ErrExpired     = errors.New("expired")                       // key, subkey, self-signature or signature
	ErrRevoked     = errors.New("revoked")                       // key, subkey or every user id
	ErrNotYet      = errors.New("not valid yet")                 // key or signature of the future
	ErrMayNotSign  = errors.New("the key may not sign")          // flags, or no back-signature
	ErrWeak        = errors.New("signature with a weak hash")    // MD5, SHA-1 and their like
	ErrUnbound     = errors.New("no self-signature that counts") // nothing says what the key is for
)

// An Info is what a good signature says.
type Info struct {
	Fingerprint string    // of the certificate: the primary key's, upper-case hex
	Signer      string    // of the key that signed, which may be a subkey's
	Created     time.Time // what the signature says; a claim
}

// A Keyring is a set of certificates. The zero Keyring holds none. It is safe for concurrent use
// as long as nobody adds to it.
type Keyring struct {
	keys map[uint64][]keyRef // by key id, which is not unique: whoever likes makes another one
}

type keyRef struct {
	cert *Certificate
	sub  *subkey // nil for the primary key
}

// Add adds a certificate.
func (k *Keyring) Add(c *Certificate) {
	if k.keys == nil {
		k.keys = map[uint64][]keyRef{}
	}
	k.keys[c.primary.KeyId] = append(k.keys[c.primary.KeyId], keyRef{cert: c})
	for i := range c.subkeys {
		id := c.subkeys[i].pub.KeyId
		k.keys[id] = append(k.keys[id], keyRef{cert: c, sub: &c.subkeys[i]})
	}
}

// Verify checks that armoured is one detached signature over message by a key of the keyring
// that may sign at the time now.
//
// A signature whose mathematics is right under a key that has expired, is revoked or may not
// sign is an error, and the Info says all the same whose key it is. In every other case of an
// error the Info is zero.
func (k *Keyring) Verify(armoured, message []byte, now time.Time) (Info, error) {
	blob, err := dearmor(armoured, "PGP SIGNATURE", MaxSignature)
	if err != nil {
		return Info{}, err
	}
	return k.VerifyBinary(blob, message, now)
}

// VerifyBinary is Verify for a signature without its armour.
func (k *Keyring) VerifyBinary(blob, message []byte, now time.Time) (Info, error) {
	sig, err := parseSignature(blob)
	if err != nil {
		return Info{}, err
	}
	if sig.IssuerKeyId == nil {
		return Info{}, fmt.Errorf("%w: the signature does not name its key", ErrFormat)
	}
	name := fmt.Sprintf("%016X", *sig.IssuerKeyId)
	if len(sig.IssuerFingerprint) > 0 {
		name = fmt.Sprintf("%X", sig.IssuerFingerprint)
	}
	var last error // of the best that was found: a key that may not sign says more than a bad signature
	var found Info
	for _, ref := range k.keys[*sig.IssuerKeyId] {
		pub := ref.cert.primary
		if ref.sub != nil {
			pub = ref.sub.pub
		}
		if len(sig.IssuerFingerprint) > 0 && !bytes.Equal(sig.IssuerFingerprint, pub.Fingerprint) {
			continue
		}
		h, err := sig.PrepareVerify()
		if err != nil {
			return Info{}, fmt.Errorf("%w: %s", ErrUnsupported, oneLine(err))
		}
		h.Write(message)
		if err := pub.VerifySignature(h, sig); err != nil {
			if found == (Info{}) {
				last = fmt.Errorf("%w under %s", ErrSignature, name)
			}
			continue
		}
		info := Info{Fingerprint: ref.cert.Fingerprint, Signer: fingerprint(pub), Created: sig.CreationTime}
		if err := ref.check(sig, now); err != nil {
			found, last = info, err
			continue
		}
		return info, nil
	}
	if last != nil {
		return found, last
	}
	return Info{}, fmt.Errorf("%w: %s", ErrUnknownKey, name)
}

// check decides whether the key may have made sig, by the caller's clock.
func (r keyRef) check(sig *packet.Signature, now time.Time) error {
	pub := r.cert.primary
	if r.sub != nil {
		pub = r.sub.pub
	}
	switch {
	case sig.CreationTime.After(now.Add(MaxSkew)):
		return fmt.Errorf("%w: the signature says that it was made at %s", ErrNotYet, stamp(sig.CreationTime))
	case sig.CreationTime.Before(pub.CreationTime):
		return fmt.Errorf("%w: it says that it is older than its key", ErrSignature)
	case lapsed(sig.CreationTime, sig.SigLifetimeSecs, now):
		return fmt.Errorf("%w: the signature, made to last until %s", ErrExpired, stamp(end(sig.CreationTime, sig.SigLifetimeSecs)))
	}
	return r.cert.maySign(r.sub, now)
}

// MaySign reports why no key of the certificate may sign at the time now; nil if one may.
func (c *Certificate) MaySign(now time.Time) error {
	err := c.maySign(nil, now)
	for i := range c.subkeys {
		if err == nil {
			return nil
		}
		if subErr := c.maySign(&c.subkeys[i], now); subErr == nil || errors.Is(err, ErrMayNotSign) && !errors.Is(subErr, ErrMayNotSign) {
			err = subErr
		}
	}
	return err
}

// parseSignature reads a blob that is exactly one signature packet over binary data.
func parseSignature(blob []byte) (*packet.Signature, error) {
	if len(blob) > MaxSignature {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFormat, len(blob), MaxSignature)
	}
	raw, err := split(blob)
	if err != nil {
		return nil, err
	}
	if len(raw) != 1 {
		return nil, fmt.Errorf("%w: there must be exactly one signature, and there are %d packets", ErrFormat, len(raw))
	}
	if raw[0].tag != tagSignature {
		return nil, fmt.Errorf("%w: it holds no detached signature", ErrFormat)
	}
	sig, err := raw[0].signature()
	if err != nil {
		return nil, err
	}
	if sig.SigType != packet.SigTypeBinary {
		return nil, fmt.Errorf("%w: a signature of type 0x%02x, want one over binary data", ErrUnsupported, byte(sig.SigType))
	}
	if err := strong(sig); err != nil {
		return nil, err
	}
	return sig, nil
}

// strong refuses a signature that vouches and whose hash is weak, or that says something that it
// wants to be understood and is not.
func strong(sig *packet.Signature) error {
	switch sig.Hash {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512:
	default:
		return fmt.Errorf("%w: %s", ErrWeak, sig.Hash)
	}
	for _, n := range sig.Notations {
		if n.IsCritical {
			return fmt.Errorf("%w: critical notation %.64q", ErrUnsupported, n.Name)
		}
	}
	return nil
}

// end is the last instant of something that was made then and lasts for so many seconds; the
// zero time if it has no end.
func end(from time.Time, seconds *uint32) time.Time {
	if seconds == nil || *seconds == 0 {
		return time.Time{}
	}
	return from.Add(time.Duration(*seconds) * time.Second)
}

func lapsed(from time.Time, seconds *uint32, now time.Time) bool {
	e := end(from, seconds)
	return !e.IsZero() && !now.Before(e)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func fingerprint(pub *packet.PublicKey) string { return fmt.Sprintf("%X", pub.Fingerprint) }

// oneLine keeps the reason of a library's error short and on one line.
func oneLine(err error) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, err.Error())
	return s[:min(len(s), 160)]
}
