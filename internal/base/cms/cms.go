// Package cms reads the one shape of Cryptographic Message Syntax (RFC 5652) that git commits are
// signed in by gitsign and smimesign: a detached SignedData with one signer, whose certificate
// it carries and whose signed attributes name the digest of the message.
//
//	ContentInfo { signedData, SignedData {
//	    version, digestAlgorithms, { data, without content }, certificates,
//	    { SignerInfo { version, signer, digest, signedAttrs, algorithm, signature, unsignedAttrs } } } }
//
// [Signature.Verify] checks the mathematics: that the certificate's key signed the attributes, and
// that these name the message. It trusts no certificate and keeps no time: the chain, and whether
// the certificate was valid at the time, are for the caller, who finds what may prove a time in
// [Signature.Unsigned].
//
// The package is stricter than the standard. It refuses several signers, content inside the
// signature, a certificate or attribute that stands twice, digests other than SHA-256, -384 and
// -512, RSA below 2048 bits, and bytes after the end of anything. It imports the standard library
// only and knows nothing of gates.
package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // digests of signatures
	_ "crypto/sha512" // digests of signatures
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
)

// MaxSize is the largest signature that is read, armoured or not.
const MaxSize = 64 << 10

const maxCertificates = 16

// Errors that a caller may want to tell apart; the others of this package wrap one of them.
var (
	ErrFormat      = errors.New("malformed CMS signature")
	ErrUnsupported = errors.New("unsupported CMS signature") // well formed, of a kind that is refused
	ErrSignature   = errors.New("signature does not verify")
)

// A Signature is a parsed signature that nobody has verified yet.
type Signature struct {
	Certificate *x509.Certificate   // of the signer, as it claims
	Others      []*x509.Certificate // that travelled along
	Attributes  []byte              // what is signed: the attributes, as a DER SET
	Signature   []byte

	hash     crypto.Hash
	digest   []byte // of the message, by the attributes
	unsigned map[string][]byte
}

var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
)

var hashes = map[string]crypto.Hash{
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

// algorithms are those of signatures: with ECDSA and RSA they fix the hash as well.
var algorithms = map[string]struct {
	key  x509.PublicKeyAlgorithm
	hash crypto.Hash // 0: that of the signer's digest
}{
	"1.2.840.10045.4.3.2":   {x509.ECDSA, crypto.SHA256},
	"1.2.840.10045.4.3.3":   {x509.ECDSA, crypto.SHA384},
	"1.2.840.10045.4.3.4":   {x509.ECDSA, crypto.SHA512},
	"1.2.840.113549.1.1.1":  {x509.RSA, 0},
	"1.2.840.113549.1.1.11": {x509.RSA, crypto.SHA256},
	"1.2.840.113549.1.1.12": {x509.RSA, crypto.SHA384},
	"1.2.840.113549.1.1.13": {x509.RSA, crypto.SHA512},
	"1.3.101.112":           {x509.Ed25519, 0},
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
	Encapsulated struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"optional,explicit,tag:0"`
	}
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version    int
	Signer     asn1.RawValue // issuer and serial number, or a key identifier
	Digest     pkix.AlgorithmIdentifier
	Attributes asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
	Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values asn1.RawValue
}

// Parse reads a signature in the armour that git knows, "SIGNED MESSAGE", without verifying it.
func Parse(b []byte) (*Signature, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFormat, len(b), MaxSize)
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "SIGNED MESSAGE" || len(block.Headers) != 0 || len(bytes.TrimSpace(rest)) != 0 ||
		!bytes.HasPrefix(b, []byte("-----BEGIN SIGNED MESSAGE-----")) {
		return nil, fmt.Errorf("%w: want one block, -----BEGIN SIGNED MESSAGE-----, and nothing else", ErrFormat)
	}
	var ci contentInfo
	if err := unmarshal(block.Bytes, &ci, ""); err != nil {
		return nil, err
	}
	if !ci.Type.Equal(oidSignedData) {
		return nil, fmt.Errorf("%w: it holds %v and no signed data", ErrFormat, ci.Type)
	}
	var sd signedData
	if err := unmarshal(ci.Content.Bytes, &sd, ""); err != nil {
		return nil, err
	}
	switch {
	case !sd.Encapsulated.Type.Equal(oidData):
		return nil, fmt.Errorf("%w: it signs %v", ErrUnsupported, sd.Encapsulated.Type)
	case len(sd.Encapsulated.Content.FullBytes) != 0:
		return nil, fmt.Errorf("%w: it carries a content of its own", ErrUnsupported)
	case len(sd.Signers) != 1:
		return nil, fmt.Errorf("%w: there must be exactly one signer, and there are %d", ErrUnsupported, len(sd.Signers))
	}
	s := &Signature{}
	if err := s.certificates(sd.Certificates.Bytes, sd.Signers[0]); err != nil {
		return nil, err
	}
	return s, s.signer(sd.Signers[0])
}

// certificates finds the signer's certificate among those that the signature carries.
func (s *Signature) certificates(der []byte, si signerInfo) error {
	list, err := x509.ParseCertificates(der)
	if err != nil {
		return fmt.Errorf("%w: its certificates: %s", ErrFormat, oneLine(err))
	}
	if len(list) > maxCertificates {
		return fmt.Errorf("%w: %d certificates, the limit is %d", ErrUnsupported, len(list), maxCertificates)
	}
	var is issuerAndSerial
	if si.Signer.Class == asn1.ClassUniversal && si.Signer.Tag == asn1.TagSequence {
		if err := unmarshal(si.Signer.FullBytes, &is, ""); err != nil {
			return err
		}
	}
	for _, c := range list {
		var mine bool
		if is.Serial != nil {
			mine = is.Serial.Cmp(c.SerialNumber) == 0 && bytes.Equal(is.Issuer.FullBytes, c.RawIssuer)
		} else {
			mine = si.Signer.Class == asn1.ClassContextSpecific && si.Signer.Tag == 0 && len(si.Signer.Bytes) > 0 &&
				bytes.Equal(si.Signer.Bytes, c.SubjectKeyId)
		}
		switch {
		case !mine:
			s.Others = append(s.Others, c)
		case s.Certificate != nil:
			return fmt.Errorf("%w: the signer's certificate stands twice", ErrFormat)
		default:
			s.Certificate = c
		}
	}
	if s.Certificate == nil {
		return fmt.Errorf("%w: it does not carry its signer's certificate", ErrUnsupported)
	}
	return nil
}

// signer takes the one signer's part.
func (s *Signature) signer(si signerInfo) error {
	digest, ok := hashes[si.Digest.Algorithm.String()]
	if !ok {
		return fmt.Errorf("%w: digest algorithm %v", ErrUnsupported, si.Digest.Algorithm)
	}
	alg, ok := algorithms[si.Algorithm.Algorithm.String()]
	if !ok || alg.key != s.Certificate.PublicKeyAlgorithm {
		return fmt.Errorf("%w: algorithm %v with a key of type %v", ErrUnsupported, si.Algorithm.Algorithm, s.Certificate.PublicKeyAlgorithm)
	}
	// ecdsa-with-SHA256 beside a digest of SHA-512 would be two hashes, and two readers.
	if s.hash = digest; alg.hash != 0 && alg.hash != digest {
		return fmt.Errorf("%w: its algorithm and its digest name two hashes", ErrUnsupported)
	}
	signed, err := attributes(si.Attributes.Bytes)
	if err != nil {
		return err
	}
	var typ asn1.ObjectIdentifier
	if err := unmarshal(signed[oidContentType.String()], &typ, ""); err != nil || !typ.Equal(oidData) {
		return fmt.Errorf("%w: its signed attributes do not say that data was signed", ErrFormat)
	}
	if err := unmarshal(signed[oidMessageDigest.String()], &s.digest, ""); err != nil {
		return fmt.Errorf("%w: its signed attributes name no message", ErrFormat)
	}
	if s.unsigned, err = attributes(si.Unsigned.Bytes); err != nil {
		return err
	}
	// Signed is the SET itself, not the implicit tag under which it travels (RFC 5652, 5.4).
	s.Attributes = append([]byte{0x31}, si.Attributes.FullBytes[1:]...)
	s.Signature = si.Signature
	return nil
}

// attributes returns the one value of each attribute, by its type.
func attributes(der []byte) (map[string][]byte, error) {
	list := map[string][]byte{}
	for len(der) > 0 {
		var a attribute
		rest, err := asn1.Unmarshal(der, &a)
		if err != nil {
			return nil, fmt.Errorf("%w: its attributes: %s", ErrFormat, oneLine(err))
		}
		der = rest
		var value asn1.RawValue
		if a.Values.Tag != asn1.TagSet || a.Values.Class != asn1.ClassUniversal {
			return nil, fmt.Errorf("%w: attribute %v has no set of values", ErrFormat, a.Type)
		}
		if err := unmarshal(a.Values.Bytes, &value, ""); err != nil {
			return nil, fmt.Errorf("%w: attribute %v has not one value", ErrFormat, a.Type)
		}
		name := a.Type.String()
		if _, ok := list[name]; ok {
			return nil, fmt.Errorf("%w: attribute %s stands twice", ErrFormat, name)
		}
		list[name] = value.FullBytes
	}
	return list, nil
}

// Unsigned returns the DER of the unsigned attribute with this object identifier, written with dots.
// Nobody signed it: what it proves it proves by a signature of its own.
func (s *Signature) Unsigned(oid string) ([]byte, bool) {
	b, ok := s.unsigned[oid]
	return b, ok
}

// Verify checks that the certificate's key signed exactly this message.
func (s *Signature) Verify(message []byte) error {
	h := s.hash.New()
	h.Write(message)
	if !bytes.Equal(h.Sum(nil), s.digest) {
		return fmt.Errorf("%w: it is over another message", ErrSignature)
	}
	a := s.hash.New()
	a.Write(s.Attributes)
	ok := false
	switch k := s.Certificate.PublicKey.(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(k, a.Sum(nil), s.Signature)
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 16384 {
			return fmt.Errorf("%w: RSA key of %d bits", ErrUnsupported, n)
		}
		ok = rsa.VerifyPKCS1v15(k, s.hash, a.Sum(nil), s.Signature) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, s.Attributes, s.Signature)
	}
	if !ok {
		return fmt.Errorf("%w under its certificate", ErrSignature)
	}
	return nil
}

// unmarshal decodes der and refuses what is left over.
func unmarshal(der []byte, to any, params string) error {
	rest, err := asn1.UnmarshalWithParams(der, to, params)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrFormat, oneLine(err))
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: data after its end", ErrFormat)
	}
	return nil
}

// oneLine keeps the reason of a library's error short and on one line.
func oneLine(err error) string {
	b := []byte(err.Error())
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b[:min(len(b), 160)])
}
