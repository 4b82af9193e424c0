package sshsig

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"
)

// A Signer makes signatures under one key. Every implementation here verifies what it made
// before it returns it, so that a broken agent or device is an error and not a bad signature.
type Signer interface {
	// Sign returns the armoured signature over message for namespace. It may wait for a person
	// (a touch, a PIN, the agent's confirmation) until ctx is done.
	Sign(ctx context.Context, namespace string, message []byte) (armored []byte, err error)
	// PublicKey returns the key in its canonical form; see [Canonical].
	PublicKey() string
	// Fingerprint returns the key's "SHA256:…".
	Fingerprint() string
}

// Errors of signers.
var (
	ErrKeyFile    = errors.New("not a usable ssh private key file")
	ErrPassphrase = errors.New("the key needs a passphrase")
)

// identity is the part of a Signer that all implementations share.
type identity struct{ pub ssh.PublicKey }

func (i identity) PublicKey() string   { return Canonical(i.pub) }
func (i identity) Fingerprint() string { return Fingerprint(i.pub) }

// finish armours sig after verifying it.
func (i identity) finish(namespace string, message []byte, sig *ssh.Signature) ([]byte, error) {
	blob := encode(i.pub, namespace, hashName, sig)
	if _, err := Verify(blob, message, namespace); err != nil {
		return nil, fmt.Errorf("check the signature just made: %w", err)
	}
	return Armor(blob), nil
}

// hashName is what signers here hash messages with, as ssh-keygen does by default.
const hashName = "sha512"

// maxKeyFile bounds a private key file; an RSA key of 16,384 bits needs 13 kB.
const maxKeyFile = 64 << 10

// OpenKeyFile returns a signer for an OpenSSH private key file. The key is decrypted when it
// first signs, with what passphrase returns; a nil passphrase makes an encrypted key an error
// that wraps [ErrPassphrase]. The private part of a sk- key is a handle that only its device
// understands: such a file is signed with by ssh-keygen, see [Keygen].
//
// A file that others may read is refused, as ssh does.
func OpenKeyFile(path string, passphrase func() ([]byte, error)) (Signer, error) {
	b, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	pub, encrypted, err := keyFilePublic(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if IsSK(pub) {
		return &Keygen{identity: identity{pub}, path: path, Notice: os.Stderr}, nil
	}
	if encrypted && passphrase == nil {
		return nil, fmt.Errorf("%s: %w", path, ErrPassphrase)
	}
	return &fileSigner{identity: identity{pub}, path: path, pem: b, encrypted: encrypted, passphrase: passphrase}, nil
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: not a regular file", path, ErrKeyFile)
	}
	if perm := st.Mode().Perm(); perm&0o077 != 0 && !noFileModes {
		return nil, fmt.Errorf("%s: %w: mode %04o lets others read it; chmod 600 mends that: %w", path, ErrKeyFile, perm, fs.ErrPermission)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("%s: %w: larger than %d bytes", path, ErrKeyFile, maxKeyFile)
	}
	return b, nil
}

// keyFilePublic reads the public key out of the unencrypted head of an OpenSSH private key.
func keyFilePublic(b []byte) (pub ssh.PublicKey, encrypted bool, err error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "OPENSSH PRIVATE KEY" {
		return nil, false, fmt.Errorf("%w: want \"OPENSSH PRIVATE KEY\"; ssh-keygen -p -f FILE converts older formats", ErrKeyFile)
	}
	const magic = "openssh-key-v1\x00"
	if len(block.Bytes) < len(magic) || string(block.Bytes[:len(magic)]) != magic {
		return nil, false, fmt.Errorf("%w: no %q in it", ErrKeyFile, magic[:len(magic)-1])
	}
	var head struct {
		Cipher, KDF string
		KDFOptions  []byte
		N           uint32
		PublicKey   []byte
		Private     []byte
		Rest        []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(block.Bytes[len(magic):], &head); err != nil {
		return nil, false, fmt.Errorf("%w: %s", ErrKeyFile, err)
	}
	if head.N != 1 {
		return nil, false, fmt.Errorf("%w: %d keys in one file", ErrKeyFile, head.N)
	}
	if pub, err = parseKey(head.PublicKey); err != nil {
		return nil, false, err
	}
	return pub, head.Cipher != "none", nil
}

type fileSigner struct {
	identity
	path       string
	pem        []byte
	encrypted  bool
	passphrase func() ([]byte, error)
}

func (f *fileSigner) Sign(ctx context.Context, namespace string, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	key, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", f.path, ErrKeyFile, err)
	}
	// The head that named the public key is not authenticated.
	if Fingerprint(signer.PublicKey()) != f.Fingerprint() {
		return nil, fmt.Errorf("%s: %w: its public and private parts do not belong together", f.path, ErrKeyFile)
	}
	sig, err := signData(signer, signedData(namespace, hashName, message))
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", f.path, err)
	}
	return f.finish(namespace, message, sig)
}

func (f *fileSigner) open() (any, error) {
	if !f.encrypted {
		key, err := ssh.ParseRawPrivateKey(f.pem)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", ErrKeyFile, err)
		}
		return key, nil
	}
	pass, err := f.passphrase()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPassphrase, err)
	}
	defer clear(pass)
	key, err := ssh.ParseRawPrivateKeyWithPassphrase(f.pem, pass)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrPassphrase, err)
	}
	return key, nil
}

// signData signs with the algorithm that the key's type asks for: RSA keys would use SHA-1.
func signData(s ssh.Signer, data []byte) (*ssh.Signature, error) {
	if s.PublicKey().Type() != ssh.KeyAlgoRSA {
		return s.Sign(rand.Reader, data)
	}
	as, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("%w: the key signs with SHA-1 only", ErrUnsupported)
	}
	return as.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSASHA512)
}

// NewSigner returns a signer for a key that is already in memory: Ed25519, ECDSA on a NIST
// curve, or RSA.
func NewSigner(key crypto.Signer) (Signer, error) {
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrUnsupported, err)
	}
	pub, err := parseKey(s.PublicKey().Marshal())
	if err != nil {
		return nil, err
	}
	return &memorySigner{identity{pub}, s}, nil
}

type memorySigner struct {
	identity
	signer ssh.Signer
}

func (m *memorySigner) Sign(ctx context.Context, namespace string, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sig, err := signData(m.signer, signedData(namespace, hashName, message))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return m.finish(namespace, message, sig)
}
