package sshsig

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	minRSABits = 2048
	maxRSABits = 16384

	// maxKeyLine bounds one public key as text; a 16,384 bit RSA key needs 2,800 bytes.
	maxKeyLine = 16 << 10
)

// ParseAuthorizedKey reads one public key as it stands in a .pub file: type, base64 and
// optionally a comment. Options, as authorized_keys may have them, are refused: nothing here
// would heed them. The comment is dropped.
func ParseAuthorizedKey(line string) (ssh.PublicKey, error) {
	line = strings.TrimSpace(line)
	if len(line) > maxKeyLine {
		return nil, fmt.Errorf("%w: public key of %d bytes, the limit is %d", ErrFormat, len(line), maxKeyLine)
	}
	if strings.ContainsAny(line, "\r\n\x00") {
		return nil, fmt.Errorf("%w: a public key is one line", ErrFormat)
	}
	f := strings.Fields(line)
	if len(f) < 2 {
		return nil, fmt.Errorf("%w: a public key is \"type base64\"", ErrFormat)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(f[1])
	if err != nil {
		return nil, fmt.Errorf("%w: public key: %s", ErrFormat, err)
	}
	pub, err := parseKey(blob)
	if err != nil {
		return nil, err
	}
	if pub.Type() != f[0] {
		return nil, fmt.Errorf("%w: the line says %.64q, the key is of type %s", ErrFormat, f[0], pub.Type())
	}
	return pub, nil
}

// Canonical returns the one text form of a key: "type base64", without comment or newline.
func Canonical(pub ssh.PublicKey) string {
	return pub.Type() + " " + base64.StdEncoding.EncodeToString(pub.Marshal())
}

// Fingerprint returns "SHA256:…", as ssh-keygen -l prints it.
func Fingerprint(pub ssh.PublicKey) string { return ssh.FingerprintSHA256(pub) }

// Material returns the SHA-256 of the key's SubjectPublicKeyInfo in hex, by which the same key is
// recognised in other formats. It is empty for a key in a security key, which can sign in no other.
func Material(pub ssh.PublicKey) string {
	k, ok := pub.(ssh.CryptoPublicKey)
	if !ok || IsSK(pub) {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(k.CryptoPublicKey())
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// CryptoKey returns the key as package crypto has it; nil if it has none.
func CryptoKey(pub ssh.PublicKey) crypto.PublicKey {
	if k, ok := pub.(ssh.CryptoPublicKey); ok {
		return k.CryptoPublicKey()
	}
	return nil
}

// Application returns what a sk- key was made for, mostly "ssh:"; empty for other keys.
func Application(pub ssh.PublicKey) string {
	if !IsSK(pub) {
		return ""
	}
	return application(pub)
}

// IsSK reports whether the key's type is that of a security key.
func IsSK(pub ssh.PublicKey) bool {
	t := pub.Type()
	return t == ssh.KeyAlgoSKED25519 || t == ssh.KeyAlgoSKECDSA256
}

// parseKey reads a public key in wire form and refuses the kinds that prove too little.
func parseKey(blob []byte) (ssh.PublicKey, error) {
	pub, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, fmt.Errorf("%w: public key: %s", ErrFormat, err)
	}
	switch pub.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
	case ssh.KeyAlgoRSA:
		bits := 0
		if ck, ok := pub.(ssh.CryptoPublicKey); ok {
			if k, ok := ck.CryptoPublicKey().(*rsa.PublicKey); ok {
				bits = k.N.BitLen()
			}
		}
		if bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("%w: RSA key of %d bits, want %d to %d", ErrUnsupported, bits, minRSABits, maxRSABits)
		}
	default:
		return nil, fmt.Errorf("%w: key type %.64q", ErrUnsupported, pub.Type())
	}
	// One key must have one fingerprint, or it could stand in a roster twice.
	if !bytes.Equal(pub.Marshal(), blob) {
		return nil, fmt.Errorf("%w: public key is not in its canonical encoding", ErrFormat)
	}
	return pub, nil
}

// application returns the application of a sk- key, which x/crypto/ssh keeps to itself: it is
// the last string of the key's encoding.
func application(pub ssh.PublicKey) string {
	b := pub.Marshal()
	var last []byte
	for len(b) > 0 {
		var f struct {
			Field []byte
			Rest  []byte `ssh:"rest"`
		}
		if ssh.Unmarshal(b, &f) != nil {
			return ""
		}
		last, b = f.Field, f.Rest
	}
	return string(last)
}
