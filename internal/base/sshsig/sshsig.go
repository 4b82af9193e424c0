// Package sshsig reads, verifies and makes OpenSSH signatures over files (PROTOCOL.sshsig).
//
// A signature is a blob:
//
//	byte[6]  "SSHSIG"
//	uint32   version, always 1
//	string   public key
//	string   namespace
//	string   reserved, always empty here
//	string   hash algorithm, sha256 or sha512
//	string   signature: string format, string bytes, and for sk- keys byte flags, uint32 counter
//
// and travels bare or armoured between BEGIN and END SSH SIGNATURE lines. What the key signs is
// "SSHSIG", namespace, reserved, hash algorithm and the hash of the message, so that a signature
// for one namespace is none for another.
//
// A sk- key lives in a security key and signs more than that: the hash of its application, a
// flags byte and a counter. The flags say whether somebody touched the device (UP) and whether
// it knew the person, by PIN or finger (UV). sshd refuses an untouched signature, ssh-keygen
// -Y verify (9.2) takes it without a word; here it verifies and [Info.Touched] is false, because
// it is the caller who knows whether a touch is asked for.
// Software can imitate a sk- key, and [SimulatedSK] does: the flags are only worth what is known
// about the key's enrolment.
//
// The package is stricter than OpenSSH. It refuses a certificate as the signing key, DSA, RSA
// below 2048 bits or with SHA-1, public keys in another than their one canonical encoding, a
// reserved field that is not empty (no signature covers it), data after the end of any field or
// after the armour, and anything larger than [MaxSize]. It knows nothing of gates or persons.
package sshsig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// MaxSize is the largest signature that is read, armoured or not. An RSA signature under the
// largest key that is accepted needs a tenth of it.
const MaxSize = 64 << 10

const (
	magic   = "SSHSIG"
	version = 1

	flagUserPresent  = 0x01
	flagUserVerified = 0x04
)

// Errors that a caller may want to tell apart; the others of this package wrap one of them.
var (
	ErrFormat      = errors.New("malformed ssh signature")   // not a signature, or a truncated one
	ErrUnsupported = errors.New("unsupported ssh signature") // well formed, of a kind that is refused
	ErrNamespace   = errors.New("signed for another purpose")
	ErrSignature   = errors.New("signature does not verify")
)

// Info is what a verified signature says about its key and how it was used.
type Info struct {
	PublicKey   ssh.PublicKey
	Fingerprint string // "SHA256:…", as ssh-keygen -l prints it
	KeyType     string // as in an authorized_keys line
	SK          bool   // the key type is that of a security key
	Touched     bool   // UP: somebody touched it for this signature
	Verified    bool   // UV: it also knew who, by PIN or finger
	Counter     uint32 // the device's signature counter; 0 unless SK
	Application string // of a sk- key, mostly "ssh:"
}

// A Signature is a parsed signature that nobody has verified yet.
type Signature struct {
	PublicKey ssh.PublicKey
	Namespace string
	Hash      string // sha256 or sha512

	sig     ssh.Signature
	app     string
	flags   byte
	counter uint32
}

// wire is the blob after its magic.
type wire struct {
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// Verify checks that sig, armoured or a blob, is a signature over message for exactly this
// namespace. It says nothing about whose key that is. On error the Info is zero.
func Verify(sig, message []byte, namespace string) (Info, error) {
	s, err := Parse(sig)
	if err != nil {
		return Info{}, err
	}
	return s.Verify(message, namespace)
}

// Parse reads a signature, armoured or a blob, without verifying it.
func Parse(b []byte) (*Signature, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFormat, len(b), MaxSize)
	}
	if !bytes.HasPrefix(b, []byte(magic)) {
		var err error
		if b, err = Dearmor(b); err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(b, []byte(magic)) {
			return nil, fmt.Errorf("%w: it does not start with %s", ErrFormat, magic)
		}
	}
	if len(b) < len(magic)+4 {
		return nil, fmt.Errorf("%w: cut short", ErrFormat)
	}
	if v := binary.BigEndian.Uint32(b[len(magic):]); v != version {
		return nil, fmt.Errorf("%w: version %d", ErrUnsupported, v)
	}
	var w wire
	if err := ssh.Unmarshal(b[len(magic):], &w); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrFormat, err)
	}
	if w.Reserved != "" {
		return nil, fmt.Errorf("%w: its reserved field is not empty", ErrUnsupported)
	}
	if w.Namespace == "" {
		return nil, fmt.Errorf("%w: no namespace", ErrFormat)
	}
	if w.Hash != "sha256" && w.Hash != "sha512" {
		return nil, fmt.Errorf("%w: hash algorithm %.32q", ErrUnsupported, w.Hash)
	}
	pub, err := parseKey(w.PublicKey)
	if err != nil {
		return nil, err
	}
	s := &Signature{PublicKey: pub, Namespace: w.Namespace, Hash: w.Hash}
	if err := ssh.Unmarshal(w.Signature, &s.sig); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrFormat, err)
	}
	if err := s.checkAlgorithm(); err != nil {
		return nil, err
	}
	return s, nil
}

// checkAlgorithm holds the signature's own algorithm against its key and takes a sk- trailer
// apart.
func (s *Signature) checkAlgorithm() error {
	t := s.PublicKey.Type()
	switch {
	case t == ssh.KeyAlgoRSA:
		if s.sig.Format != ssh.KeyAlgoRSASHA256 && s.sig.Format != ssh.KeyAlgoRSASHA512 {
			return fmt.Errorf("%w: algorithm %.64q with an RSA key", ErrUnsupported, s.sig.Format)
		}
	case s.sig.Format != t:
		return fmt.Errorf("%w: algorithm %.64q with a key of type %s", ErrUnsupported, s.sig.Format, t)
	}
	if !IsSK(s.PublicKey) {
		if len(s.sig.Rest) != 0 {
			return fmt.Errorf("%w: data after the signature", ErrFormat)
		}
		return nil
	}
	if len(s.sig.Rest) != 5 {
		return fmt.Errorf("%w: flags and counter of a security key expected", ErrFormat)
	}
	s.flags = s.sig.Rest[0]
	s.counter = binary.BigEndian.Uint32(s.sig.Rest[1:])
	s.app = application(s.PublicKey)
	return nil
}

// Verify checks s over message and for exactly this namespace. On error the Info is zero.
func (s *Signature) Verify(message []byte, namespace string) (Info, error) {
	if namespace == "" || s.Namespace != namespace {
		return Info{}, fmt.Errorf("%w: namespace %.64q, want %q", ErrNamespace, s.Namespace, namespace)
	}
	data := signedData(namespace, s.Hash, message)
	info := Info{
		PublicKey:   s.PublicKey,
		Fingerprint: Fingerprint(s.PublicKey),
		KeyType:     s.PublicKey.Type(),
	}
	if !IsSK(s.PublicKey) {
		if err := s.PublicKey.Verify(data, &s.sig); err != nil {
			return Info{}, fmt.Errorf("%w under %s", ErrSignature, info.Fingerprint)
		}
		return info, nil
	}
	if !s.verifySK(data) {
		return Info{}, fmt.Errorf("%w under %s", ErrSignature, info.Fingerprint)
	}
	info.SK = true
	info.Touched = s.flags&flagUserPresent != 0
	info.Verified = s.flags&flagUserVerified != 0
	info.Counter = s.counter
	info.Application = s.app
	return info, nil
}

// verifySK is done here and not by x/crypto/ssh, whose keys refuse an untouched signature with
// an error that cannot be told from a forged one.
func (s *Signature) verifySK(data []byte) bool {
	ck, ok := s.PublicKey.(ssh.CryptoPublicKey)
	if !ok {
		return false
	}
	signed := skSignedData(s.app, s.flags, s.counter, data)
	switch pub := ck.CryptoPublicKey().(type) {
	case ed25519.PublicKey:
		return len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, signed, s.sig.Blob)
	case *ecdsa.PublicKey:
		var rs struct{ R, S *big.Int }
		if err := ssh.Unmarshal(s.sig.Blob, &rs); err != nil {
			return false
		}
		sum := sha256.Sum256(signed)
		return ecdsa.Verify(pub, sum[:], rs.R, rs.S)
	}
	return false
}

// signedData is what a key signs for a message.
func signedData(namespace, hash string, message []byte) []byte {
	var sum []byte
	if hash == "sha256" {
		h := sha256.Sum256(message)
		sum = h[:]
	} else {
		h := sha512.Sum512(message)
		sum = h[:]
	}
	return append([]byte(magic), ssh.Marshal(struct {
		Namespace, Reserved, Hash string
		Sum                       []byte
	}{namespace, "", hash, sum})...)
}

// skSignedData is what a security key signs when it is asked to sign data.
func skSignedData(app string, flags byte, counter uint32, data []byte) []byte {
	a, d := sha256.Sum256([]byte(app)), sha256.Sum256(data)
	b := append(a[:], flags)
	b = binary.BigEndian.AppendUint32(b, counter)
	return append(b, d[:]...)
}

// encode makes the blob of a signature.
func encode(pub ssh.PublicKey, namespace, hash string, sig *ssh.Signature) []byte {
	return append([]byte(magic), ssh.Marshal(wire{
		Version:   version,
		PublicKey: pub.Marshal(),
		Namespace: namespace,
		Hash:      hash,
		Signature: ssh.Marshal(sig),
	})...)
}
