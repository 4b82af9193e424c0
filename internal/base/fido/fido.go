// Package fido verifies what a security key's maker says about a key that was made in it: the
// attestation that ssh-keygen -O write-attestation keeps when an sk- key is generated.
//
// The file is OpenSSH's (PROTOCOL.u2f, "ssh-sk-attest-v01"):
//
//	string   "ssh-sk-attest-v01"
//	string   attestation certificate, DER
//	string   signature
//	string   authenticator data, as a CBOR byte string
//	uint32   reserved, string reserved
//
// The authenticator data (WebAuthn, section 6.1) hold the hash of the application, flags, and the new
// public key with its credential id and the authenticator's model (AAGUID). The device signs them
// together with the hash of the challenge, which the file does not hold: whoever enrols a key chose
// it, and has to say it again. The signature is in the "packed" format of FIDO2, or in that of
// the older U2F, which covers the same facts in another order; the file does not tell which.
//
// A good attestation shows that the private key was made in a device of that model, and that
// somebody touched it then. It says nothing about who. The package knows nothing of gates.
package fido

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxSize is the largest attestation that is read, in bytes.
const MaxSize = 64 << 10

const (
	magic    = "ssh-sk-attest-v01"
	maxRoots = 200

	flagPresent    = 0x01
	flagVerified   = 0x04
	flagCredential = 0x40
	flagExtensions = 0x80
)

// Errors that a caller may want to tell apart; the others of this package wrap one of them.
var (
	ErrFormat    = errors.New("malformed attestation")
	ErrKey       = errors.New("the attestation is of another key")
	ErrUntrusted = errors.New("the attestation is of no maker that is trusted here")
	ErrSignature = errors.New("the attestation does not verify")
	ErrModel     = errors.New("the model of the security key is not accepted")
)

// An Info is what a verified attestation says.
type Info struct {
	AAGUID   string // model of the authenticator, as a UUID; all zeros for U2F devices
	Maker    string // subject of the attestation certificate
	Verified bool   // the device also knew the person, by PIN or finger
}

// Options say what an attestation has to be about.
type Options struct {
	PublicKey   crypto.PublicKey // ed25519.PublicKey, or *ecdsa.PublicKey on P-256
	Application string           // "ssh:" or what the key was made for
	Challenge   []byte           // that the device was given
	Roots       *x509.CertPool   // of the makers
	Models      []string         // AAGUIDs that are accepted; empty for all
	Now         time.Time        // at which certificates are judged; zero: when the device's began
}

// An Attestation is a parsed attestation that nobody has verified yet.
type Attestation struct {
	cert      *x509.Certificate
	signature []byte
	data      []byte // authenticator data
	flags     byte
	appHash   []byte
	aaguid    []byte
	handle    []byte
	key       crypto.PublicKey
}

// Parse reads an attestation file.
func Parse(b []byte) (*Attestation, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFormat, len(b), MaxSize)
	}
	var fields [4][]byte
	var err error
	for i := range fields {
		if fields[i], b, err = str(b); err != nil {
			return nil, err
		}
		if i == 0 && string(fields[0]) != magic {
			return nil, fmt.Errorf("%w: it starts with %.40q, want %s", ErrFormat, fields[0], magic)
		}
	}
	if len(b) < 4 {
		return nil, fmt.Errorf("%w: cut short", ErrFormat)
	}
	if _, rest, err := str(b[4:]); err != nil || len(rest) != 0 {
		return nil, fmt.Errorf("%w: data after its end", ErrFormat)
	}
	a := &Attestation{signature: fields[2]}
	if len(fields[1]) == 0 {
		return nil, fmt.Errorf("%w: it holds no certificate: the device attests nothing", ErrFormat)
	}
	if a.cert, err = x509.ParseCertificate(fields[1]); err != nil {
		return nil, fmt.Errorf("%w: its certificate: %.100q", ErrFormat, err.Error())
	}
	d := decoder{fields[3]}
	if a.data, err = d.bytes(); err != nil || len(d.b) != 0 {
		return nil, fmt.Errorf("%w: its authenticator data are no CBOR byte string", ErrFormat)
	}
	return a, a.authenticatorData()
}

// authenticatorData takes the data apart.
func (a *Attestation) authenticatorData() error {
	const head = 32 + 1 + 4 + 16 + 2
	d := a.data
	if len(d) < head {
		return fmt.Errorf("%w: its authenticator data are cut short", ErrFormat)
	}
	a.appHash, a.flags, a.aaguid = d[:32], d[32], d[37:53]
	n := int(binary.BigEndian.Uint16(d[53:55]))
	if a.flags&flagCredential == 0 || len(d) < head+n {
		return fmt.Errorf("%w: its authenticator data hold no key", ErrFormat)
	}
	a.handle = d[head : head+n]
	rest := decoder{d[head+n:]}
	var err error
	if a.key, err = rest.coseKey(); err != nil {
		return err
	}
	if (len(rest.b) != 0) != (a.flags&flagExtensions != 0) {
		return fmt.Errorf("%w: data after the key that its flags do not announce", ErrFormat)
	}
	return nil
}

// Verify checks that the attestation is of exactly this key, for this challenge, by a device of a trusted
// maker. On error the Info is zero.
func (a *Attestation) Verify(o Options) (Info, error) {
	eq, ok := a.key.(interface{ Equal(crypto.PublicKey) bool })
	app := sha256.Sum256([]byte(o.Application))
	switch {
	case o.PublicKey == nil || !ok || !eq.Equal(o.PublicKey):
		return Info{}, ErrKey
	case !bytes.Equal(a.appHash, app[:]):
		return Info{}, fmt.Errorf("%w: it was made for another application", ErrKey)
	case a.flags&flagPresent == 0:
		return Info{}, fmt.Errorf("%w: nobody touched the device when the key was made", ErrSignature)
	case o.Roots == nil:
		return Info{}, fmt.Errorf("%w: no maker is trusted", ErrUntrusted)
	case len(o.Challenge) == 0:
		return Info{}, fmt.Errorf("%w: no challenge is told", ErrSignature)
	}
	if a.cert.BasicConstraintsValid && a.cert.IsCA {
		return Info{}, fmt.Errorf("%w: its certificate is an authority's", ErrUntrusted)
	}
	if o.Now.IsZero() {
		o.Now = a.cert.NotBefore
	}
	if _, err := a.cert.Verify(x509.VerifyOptions{Roots: o.Roots, CurrentTime: o.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return Info{}, fmt.Errorf("%w: %.120q", ErrUntrusted, err.Error())
	}
	model, err := a.model()
	if err != nil {
		return Info{}, err
	}
	if !a.signed(sha256.Sum256(o.Challenge)) {
		return Info{}, fmt.Errorf("%w: the signature is not over this key and this challenge", ErrSignature)
	}
	if len(o.Models) > 0 && !slices.Contains(o.Models, model) {
		return Info{}, fmt.Errorf("%w: AAGUID %s", ErrModel, model)
	}
	return Info{AAGUID: model, Maker: fmt.Sprintf("%.200s", a.cert.Subject.String()), Verified: a.flags&flagVerified != 0}, nil
}

// oidAAGUID is id-fido-gen-ce-aaguid: the model, in the certificate itself.
var oidAAGUID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}

// model returns the AAGUID. What the certificate says of it must be the same (WebAuthn, 8.2.1).
func (a *Attestation) model() (string, error) {
	for _, e := range a.cert.Extensions {
		if !e.Id.Equal(oidAAGUID) {
			continue
		}
		var id []byte
		if rest, err := asn1.Unmarshal(e.Value, &id); err != nil || len(rest) != 0 || !bytes.Equal(id, a.aaguid) {
			return "", fmt.Errorf("%w: the certificate is of another model", ErrModel)
		}
	}
	h := hex.EncodeToString(a.aaguid)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

// signed reports whether the certificate's key signed the authenticator data and the challenge's
// hash, as FIDO2 or as U2F does.
func (a *Attestation) signed(challenge [32]byte) bool {
	messages := [][]byte{append(bytes.Clone(a.data), challenge[:]...)}
	if k, ok := a.key.(*ecdsa.PublicKey); ok {
		if point, err := k.Bytes(); err == nil {
			messages = append(messages, bytes.Join([][]byte{{0}, a.appHash, challenge[:], a.handle, point}, nil))
		}
	}
	for _, m := range messages {
		sum := sha256.Sum256(m)
		switch k := a.cert.PublicKey.(type) {
		case *ecdsa.PublicKey:
			if ecdsa.VerifyASN1(k, sum[:], a.signature) {
				return true
			}
		case *rsa.PublicKey:
			if n := k.N.BitLen(); n >= 2048 && n <= 8192 && rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], a.signature) == nil {
				return true
			}
		}
	}
	return false
}

// ParseRoots reads PEM certificates. Each is trusted as it is: a file may pin an intermediate.
func ParseRoots(b []byte) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	for len(bytes.TrimSpace(b)) > 0 {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil || block.Type != "CERTIFICATE" || n == maxRoots {
			return nil, fmt.Errorf("%w: roots: want at most %d PEM certificates and nothing else", ErrFormat, maxRoots)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: roots: %.100q", ErrFormat, err.Error())
		}
		pool.AddCert(c)
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: roots: there is no certificate", ErrFormat)
	}
	return pool, nil
}

// str reads an SSH string.
func str(b []byte) (s, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("%w: cut short", ErrFormat)
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, fmt.Errorf("%w: cut short", ErrFormat)
	}
	return b[4 : 4+n], b[4+n:], nil
}

// A decoder reads the little CBOR (RFC 8949) that authenticators write: lengths are definite.
type decoder struct{ b []byte }

var errCBOR = fmt.Errorf("%w: its CBOR", ErrFormat)

// head reads the major type and the argument of the next item, which must be in its shortest form.
func (d *decoder) head() (major byte, arg uint64, err error) {
	if len(d.b) == 0 {
		return 0, 0, errCBOR
	}
	major, info := d.b[0]>>5, d.b[0]&0x1f
	d.b = d.b[1:]
	if info < 24 {
		return major, uint64(info), nil
	}
	n := 1 << (info - 24)
	if info > 26 || len(d.b) < n {
		return 0, 0, errCBOR
	}
	for _, c := range d.b[:n] {
		arg = arg<<8 | uint64(c)
	}
	d.b = d.b[n:]
	if least := [...]uint64{24, 1 << 8, 1 << 16}[info-24]; arg < least {
		return 0, 0, errCBOR
	}
	return major, arg, nil
}

func (d *decoder) bytes() ([]byte, error) {
	major, n, err := d.head()
	if err != nil || major != 2 || n > uint64(len(d.b)) {
		return nil, errCBOR
	}
	s := d.b[:n]
	d.b = d.b[n:]
	return s, nil
}

func (d *decoder) int() (int64, error) {
	major, n, err := d.head()
	if err != nil || major > 1 || n > 1<<30 {
		return 0, errCBOR
	}
	if major == 1 {
		return -1 - int64(n), nil
	}
	return int64(n), nil
}

// coseKey reads a public key (RFC 9053): EdDSA on Ed25519, or ES256.
func (d *decoder) coseKey() (crypto.PublicKey, error) {
	major, n, err := d.head()
	if err != nil || major != 5 || n > 8 {
		return nil, errCBOR
	}
	ints, strs := map[int64]int64{}, map[int64][]byte{}
	for range n {
		label, err := d.int()
		if err != nil {
			return nil, err
		}
		_, twice := ints[label]
		if _, also := strs[label]; twice || also || len(d.b) == 0 {
			return nil, errCBOR
		}
		if d.b[0]>>5 == 2 {
			strs[label], err = d.bytes()
		} else {
			ints[label], err = d.int()
		}
		if err != nil {
			return nil, err
		}
	}
	const kty, alg, crv, x, y = 1, 3, -1, -2, -3
	switch {
	case ints[kty] == 1 && ints[alg] == -8 && ints[crv] == 6 && len(strs[x]) == ed25519.PublicKeySize:
		return ed25519.PublicKey(strs[x]), nil
	case ints[kty] == 2 && ints[alg] == -7 && ints[crv] == 1 && len(strs[x]) == 32 && len(strs[y]) == 32:
		k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), bytes.Join([][]byte{{4}, strs[x], strs[y]}, nil))
		if err != nil {
			return nil, errCBOR
		}
		return k, nil
	}
	return nil, fmt.Errorf("%w: a key of an unknown kind", ErrFormat)
}
