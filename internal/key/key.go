// Package key opens and makes the private keys with which Sallyport itself signs: decisions,
// checkpoints of the log, the records of supervised runs.
//
// A reference says where a key is, in cosign's spelling where cosign has one; [ParseRef] takes it
// apart:
//
//	PATH, file:PATH          a private key in PEM: PKCS#8, encrypted or not, or cosign's own
//	                         encrypted file. Ed25519, ECDSA P-256 or P-384, or RSA of 2048, 3072
//	                         or 4096 bits
//	env://VARIABLE           the same, in an environment variable
//	awskms://…, gcpkms://…, azurekms://…, hashivault://…, openbao://…
//	                         a key in a key management service   } a helper program asks for
//	pkcs11:…                 a key in a token or HSM (RFC 7512)  } signatures; package key/kms
//	NAME://…                 a key of a Sigstore plugin          } starts it
//	run:PATH                 a key that lives for one run, at the socket of the process that holds
//	                         it; package key/run
//	ssh:PATH                 an OpenSSH key file   } these sign approvals; [Load] returns a
//	ssh-agent:FINGERPRINT    a key in ssh-agent    } *[SSHError], and packages sshsig and
//	openpgp:FINGERPRINT      a key that gpg holds  } openpgp open them
//
// Here are keys whose private half is read into memory; the others are opened elsewhere and made
// a [Key] by [New].
//
// A key file that its group or others can read is refused, and so is one that is not a regular
// file. A new key never replaces an old one, however many processes ask for it at once.
//
// [Generate] writes an Ed25519 key without a passphrase, mode 0600, and its public half beside
// it as PATH.pub. Such a key is within reach of every program of its user, an agent included, so
// what it signs is advice to later gates: it carries the label "local", and a file without a
// label counts as local too. The label is for people; what a key may say is decided by who lists
// it in the trust roots. [GenerateEncrypted] is for persons who want a file all the same: the
// standard PKCS#8 encryption that OpenSSL reads and writes (PBES2: PBKDF2 with HMAC-SHA-256, and
// AES-256 in CBC mode). That mode has no integrity of its own, which does not matter for a key
// that is checked against its public half when it is opened.
//
// Private keys stay in memory until the process ends; Go gives no means to wipe them for sure.
package key

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/keyalg"
)

// LocalLabel marks a key that lies unencrypted in its user's reach.
const LocalLabel = "local"

// maxFile bounds a key file: RSA of 4096 bits needs 3.3 kB.
const maxFile = 64 << 10

// Errors that callers tell apart.
var (
	ErrMissing    = errors.New("there is no key")
	ErrExists     = errors.New("there is a key already")
	ErrMode       = errors.New("the key file is open to others")
	ErrFormat     = errors.New("not a private key that can be used")
	ErrEncrypted  = errors.New("the key is encrypted and there is no passphrase")
	ErrPassphrase = errors.New("wrong passphrase")
	ErrScheme     = errors.New("unknown kind of key reference")
)

// An SSHError is returned for a reference to a person's own key, which signs approvals and nothing
// that this package opens.
type SSHError struct {
	Scheme string // ssh, ssh-agent, openpgp
	Rest   string // a path, or a fingerprint
}

func (e *SSHError) Error() string {
	return fmt.Sprintf("%s:%s is a person's own key, which signs approvals; here a key of a tool or a machine is needed", e.Scheme, e.Rest)
}

// A Key is an opened private key.
type Key struct {
	crypto.Signer
	Label string // as its file says; empty if it does not
	Local bool   // unlabelled, or labelled as local: what it signs is advice

	spki []byte
	cert []byte // of a run's key
}

// Certificate returns the certificate of the key in DER, with which its signatures travel, or nothing
// for a key that is known by itself.
func (k *Key) Certificate() []byte { return k.cert }

// Hint returns the name by which a Sigstore bundle refers to the key: the base64 of the SHA-256
// of its SubjectPublicKeyInfo.
func (k *Key) Hint() string {
	sum := sha256.Sum256(k.spki)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Algorithm returns what the key signs with.
func (k *Key) Algorithm() keyalg.Algorithm { return keyalg.Of(k.Public()) }

// Fingerprint returns the SHA-256 of the SubjectPublicKeyInfo as a digest, for people.
func (k *Key) Fingerprint() sallyport.Digest { return sallyport.SHA256(k.spki) }

// PublicPEM returns the public key as PEM, the form in which trust roots list it.
func (k *Key) PublicPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.spki})
}

// Load opens the key that ref names, if it is in a file.
// pass is called only if the key is encrypted, once; nil means that there is nobody to ask.
func Load(ref string, pass func() ([]byte, error)) (*Key, error) {
	r, err := ParseRef(ref)
	if err != nil {
		return nil, fmt.Errorf("open key: %w", err)
	}
	switch r.Kind {
	case File:
	case Person:
		return nil, &SSHError{Scheme: r.Scheme, Rest: r.Rest}
	default:
		return nil, fmt.Errorf("open key: %w %q: here a key in a file is needed", ErrScheme, r.Scheme+":")
	}
	b, err := readFile(r.Rest)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", r.Rest, err)
	}
	k, err := parse(b, pass)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", r.Rest, err)
	}
	return k, nil
}

// Parse opens a key from the bytes of a key file, which came some other way.
func Parse(b []byte, pass func() ([]byte, error)) (*Key, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("open key: %w: it is larger than %d bytes", ErrFormat, maxFile)
	}
	k, err := parse(b, pass)
	if err != nil {
		return nil, fmt.Errorf("open key: %w", err)
	}
	return k, nil
}

// New returns a key whose signatures s makes, wherever its private half is. label says where, and
// is not empty: what a key without a label signs is advice.
func New(s crypto.Signer, label string) (*Key, error) {
	k, err := newKey(s, label)
	if err != nil {
		return nil, fmt.Errorf("open key: %w", err)
	}
	return k, nil
}

// NewCertified is [New] for a key that certificate, in DER, is about. Only signatures of statements can
// carry a certificate.
func NewCertified(s crypto.Signer, label string, certificate []byte) (*Key, error) {
	k, err := New(s, label)
	if err != nil {
		return nil, err
	}
	if len(certificate) == 0 {
		return nil, fmt.Errorf("open key: %w: it has no certificate", ErrFormat)
	}
	k.cert = certificate
	return k, nil
}

func readFile(path string) ([]byte, error) {
	f, err := openFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened, not of what the name means by now
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: it is not a regular file", ErrFormat)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w: its mode is %04o; chmod 600 it, and replace the key if anybody may have read it", ErrMode, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%w: the file is larger than %d bytes", ErrFormat, maxFile)
	}
	return b, err
}

// parse reads a key file: one PEM block, and before it, as RFC 7468 allows, lines of text, of
// which "label: NAME" is ours.
func parse(b []byte, pass func() ([]byte, error)) (*Key, error) {
	block, rest := pem.Decode(b)
	switch {
	case block == nil:
		return nil, fmt.Errorf("%w: there is no PEM block in it", ErrFormat)
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, fmt.Errorf("%w: there is more after the PEM block", ErrFormat)
	}
	der := block.Bytes
	switch block.Type {
	case "PRIVATE KEY":
	case "ENCRYPTED PRIVATE KEY":
		if pass == nil {
			return nil, ErrEncrypted
		}
		phrase, err := pass()
		if err != nil {
			return nil, fmt.Errorf("ask for the passphrase: %w", err)
		}
		if der, err = decrypt(der, phrase); err != nil {
			return nil, err
		}
	case sigstoreBlock, cosignBlock:
		var err error
		if der, err = openCosign(der, pass); err != nil {
			return nil, err
		}
	case "OPENSSH PRIVATE KEY":
		return nil, fmt.Errorf("%w: it is an OpenSSH key, which signs approvals as ssh:PATH", ErrFormat)
	default:
		return nil, fmt.Errorf("%w: the PEM block is a %q; openssl pkcs8 -topk8 converts private keys", ErrFormat, block.Type)
	}
	priv, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if block.Type == "ENCRYPTED PRIVATE KEY" {
			if refused := keyalg.Unreadable(der); refused != nil {
				return nil, fmt.Errorf("%w: %w", ErrFormat, refused)
			}
			return nil, ErrPassphrase // the padding was right by chance, once in 256
		}
		if refused := keyalg.Unreadable(der); refused != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, refused)
		}
		return nil, fmt.Errorf("%w: its PKCS#8 encoding is broken", ErrFormat) // the library's error may quote bytes of the key
	}
	return newKey(priv, label(b))
}

// label returns the label in the text before the PEM block.
func label(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte("-----BEGIN"))
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "label:"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func newKey(priv any, label string) (*Key, error) {
	s, ok := priv.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: it does not sign", ErrFormat)
	}
	if err := keyalg.Check(s.Public()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	spki, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return &Key{Signer: s, Label: label, Local: label == "" || label == LocalLabel, spki: spki}, nil
}

// Generate makes an unencrypted Ed25519 key at path, with its public half at path.pub, creating
// folders as needed. It fails with [ErrExists] rather than touch a file that is there.
func Generate(path, label string) (*Key, error) { return generate(path, label, nil) }

// GenerateEncrypted is [Generate] with the key encrypted under passphrase, which must not be
// empty.
func GenerateEncrypted(path, label string, passphrase []byte) (*Key, error) {
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("make key: %w: the passphrase is empty", ErrPassphrase)
	}
	return generate(path, label, passphrase)
}

func generate(path, label string, passphrase []byte) (*Key, error) {
	if label == "" || strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r > '~' }) || strings.Contains(label, "-----") {
		return nil, fmt.Errorf("make key: the label %q is not a printable word", label)
	}
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	k, err := newKey(priv, label)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	block := &pem.Block{Type: "PRIVATE KEY"}
	if block.Bytes, err = x509.MarshalPKCS8PrivateKey(priv); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if passphrase != nil {
		block.Type = "ENCRYPTED PRIVATE KEY"
		if block.Bytes, err = encrypt(block.Bytes, passphrase); err != nil {
			return nil, fmt.Errorf("make key: %w", err)
		}
	}
	file := fmt.Appendf(nil, "Sallyport signing key. Keep it to yourself.\nlabel: %s\n%s", label, pem.EncodeToMemory(block))
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if err := durable.CreateFile(path, file, 0o600); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make key %s: %w", path, ErrExists)
		}
		return nil, fmt.Errorf("make key: %w", err)
	}
	// Only the process that created the key gets here, so two cannot write each other's half.
	if err := durable.WriteFile(path+".pub", k.PublicPEM(), 0o644); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return k, nil
}
