// Package keyalg is the table of key algorithms: what each is called, what it signs with, since which
// release it is accepted, and what is known and not accepted.
//
// Names are those of Sigstore's algorithm registry where it has one. One table serves trust roots,
// signing keys, key services and lists, so that a key is called the same wherever it turns up, and so that
// an algorithm comes or goes in one place.
//
// Post-quantum algorithms (FIPS 204 and 205) are in it, by their object identifiers, and refused: Go's
// standard library does not verify them yet, and a signature that nobody verifies is none. A key of such
// a kind is told as what it is, and not as broken.
package keyalg

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// ErrRefused says that an algorithm is not accepted. What wraps it says which.
var ErrRefused = errors.New("key algorithm not accepted")

// An Algorithm is a kind of key with the signatures that it makes here.
type Algorithm struct {
	ID        string `json:"id"`
	Key       string `json:"key"`       // in words
	Signature int    `json:"signature"` // bytes, at most
	Since     string `json:"since"`     // the release that first accepted it; empty if none does
	Refused   string `json:"refused"`   // why it is not accepted
}

// Accepted reports whether keys of the kind sign and verify here. The zero Algorithm is not accepted.
func (a Algorithm) Accepted() bool { return a.ID != "" && a.Since != "" && a.Refused == "" }

const (
	notYet  = "no release verifies it yet; sign with ed25519 or ecdsa-sha2-256-nistp256, and timestamps"
	tooWeak = "it is too weak"
)

// Table returns all that are known, the accepted ones first.
func Table() []Algorithm {
	return []Algorithm{
		{"ed25519", "Ed25519", 64, "0.1", ""},
		{"ecdsa-sha2-256-nistp256", "ECDSA P-256", 72, "0.1", ""},
		{"ecdsa-sha2-384-nistp384", "ECDSA P-384", 104, "0.1", ""},
		{"rsa-sign-pkcs1-2048-sha256", "RSA of 2048 bits", 256, "0.1", ""},
		{"rsa-sign-pkcs1-3072-sha256", "RSA of 3072 bits", 384, "0.1", ""},
		{"rsa-sign-pkcs1-4096-sha256", "RSA of 4096 bits", 512, "0.1", ""},
		{"sk-ssh-ed25519@openssh.com", "Ed25519 in a security key", 64, "0.1", ""},
		{"sk-ecdsa-sha2-nistp256@openssh.com", "ECDSA P-256 in a security key", 72, "0.1", ""},

		{"ml-dsa-44", "ML-DSA-44 (FIPS 204)", 2420, "", notYet},
		{"ml-dsa-65", "ML-DSA-65 (FIPS 204)", 3309, "", notYet},
		{"ml-dsa-87", "ML-DSA-87 (FIPS 204)", 4627, "", notYet},
		{"slh-dsa-sha2-128s", "SLH-DSA-SHA2-128s (FIPS 205)", 7856, "", notYet},
		{"slh-dsa-sha2-128f", "SLH-DSA-SHA2-128f (FIPS 205)", 17088, "", notYet},
		{"slh-dsa-sha2-192s", "SLH-DSA-SHA2-192s (FIPS 205)", 16224, "", notYet},
		{"slh-dsa-sha2-256s", "SLH-DSA-SHA2-256s (FIPS 205)", 29792, "", notYet},
		{"ecdsa-sha2-512-nistp521", "ECDSA P-521", 139, "", "few clients verify it; take P-256 or P-384"},
		{"ecdsa-nistp224", "ECDSA P-224", 64, "", tooWeak},
		{"ed448", "Ed448", 114, "", "few clients verify it; take ed25519"},
		{"dsa", "DSA", 64, "", tooWeak},
		{"rsa", "RSA of another length", 0, "", "its length is not 2048, 3072 or 4096 bits"},
	}
}

// Named returns the algorithm that is called id, and false if none is.
func Named(id string) (Algorithm, bool) {
	for _, a := range Table() {
		if a.ID == id {
			return a, true
		}
	}
	return Algorithm{}, false
}

// Of returns the algorithm of a public key. One that is not in the table is the zero Algorithm.
func Of(pub crypto.PublicKey) Algorithm {
	id := ""
	switch k := pub.(type) {
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			id = "ed25519"
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			id = "ecdsa-sha2-256-nistp256"
		case elliptic.P384():
			id = "ecdsa-sha2-384-nistp384"
		case elliptic.P521():
			id = "ecdsa-sha2-512-nistp521"
		case elliptic.P224():
			id = "ecdsa-nistp224"
		}
	case *rsa.PublicKey:
		id = "rsa"
		if n := k.N.BitLen(); n == 2048 || n == 3072 || n == 4096 {
			id = fmt.Sprintf("rsa-sign-pkcs1-%d-sha256", n)
		}
	}
	a, _ := Named(id)
	return a
}

// Check returns an error that wraps [ErrRefused] unless keys like pub are accepted.
func Check(pub crypto.PublicKey) error {
	switch a := Of(pub); {
	case a.Accepted():
		return nil
	case a.ID != "":
		return refuse(a)
	}
	return fmt.Errorf("%w: it is none that is known; there are %s", ErrRefused, Words())
}

func refuse(a Algorithm) error {
	return fmt.Errorf("%w: it is %s, %s: %s; there are %s", ErrRefused, a.ID, a.Key, a.Refused, Words())
}

// Words returns the accepted kinds of key as a sentence lists them.
func Words() string { return "Ed25519, ECDSA P-256 or P-384, and RSA of 2048, 3072 or 4096 bits" }

// byOID are kinds of key that crypto/x509 does not read.
func byOID(oid asn1.ObjectIdentifier) string {
	return map[string]string{
		"2.16.840.1.101.3.4.3.17": "ml-dsa-44", "2.16.840.1.101.3.4.3.18": "ml-dsa-65", "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
		"2.16.840.1.101.3.4.3.20": "slh-dsa-sha2-128s", "2.16.840.1.101.3.4.3.21": "slh-dsa-sha2-128f",
		"2.16.840.1.101.3.4.3.22": "slh-dsa-sha2-192s", "2.16.840.1.101.3.4.3.24": "slh-dsa-sha2-256s",
		"1.3.101.113": "ed448", "1.2.840.10040.4.1": "dsa",
	}[oid.String()]
}

// Unreadable explains a key that crypto/x509 does not read: a SubjectPublicKeyInfo or a PKCS#8 key in
// DER. It returns nil if what is wrong is not the algorithm.
func Unreadable(der []byte) error {
	var public struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	var private struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
		Rest      []asn1.RawValue `asn1:"optional,omitempty"`
	}
	oid := asn1.ObjectIdentifier(nil)
	if rest, err := asn1.Unmarshal(der, &public); err == nil && len(rest) == 0 {
		oid = public.Algorithm.Algorithm
	} else if rest, err := asn1.Unmarshal(der, &private); err == nil && len(rest) == 0 {
		oid = private.Algorithm.Algorithm
	}
	if a, ok := Named(byOID(oid)); ok {
		return refuse(a)
	}
	return nil
}
