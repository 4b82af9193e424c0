package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ParsePublicKey reads a public key in PEM: ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 to
// 8192 bits, as SubjectPublicKeyInfo ("PUBLIC KEY") or, for RSA, PKCS #1.
func ParsePublicKey(b []byte) (crypto.PublicKey, error) {
	block, rest := pem.Decode(b)
	switch {
	case block == nil:
		return nil, errors.New("it holds no PEM block")
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, errors.New("it holds a private key; whoever can read this file has it now")
	case strings.TrimSpace(string(rest)) != "":
		return nil, errors.New("there is more after the PEM block")
	}
	var key crypto.PublicKey
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		return nil, fmt.Errorf("its PEM block is a %.40q, want a PUBLIC KEY", block.Type)
	}
	if err != nil {
		return nil, errors.New(oneLine(err))
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return k, nil
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= 2048 && n <= 8192 {
			return k, nil
		}
	}
	return nil, errors.New("the key is not ECDSA, Ed25519 or RSA of 2048 to 8192 bits")
}
