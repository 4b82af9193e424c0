package record

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// A Commitment stands for a text without telling it. It is
//
//	SHA-256("sallyport-commitment/v0.1\n" || salt || length of kind, 8 bytes, big endian || kind || text)
//
// with 32 random bytes of salt. Who has salt and text can show that this was the text; who has
// neither can't tell it from any other, not even by trying texts that it might be. So once salt and
// text are destroyed, what is left says nothing about the text, and the chain that holds it verifies
// as before.
type Commitment struct {
	Kind   string           // what the text is
	Digest sallyport.Digest // the commitment
	Raw    sallyport.Digest // of the encrypted file, if the text is kept

	salt [32]byte
	made bool
	err  error // why the text could not be kept; the entry is then refused
}

const commitDomain = "sallyport-commitment/v0.1\n"

// Commit computes the commitment to text under a salt.
func commit(kind string, salt [32]byte, text []byte) sallyport.Digest {
	h := sha256.New()
	h.Write([]byte(commitDomain))
	h.Write(salt[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(kind))))
	h.Write([]byte(kind))
	h.Write(text)
	return sallyport.Digest(Head(h.Sum(nil)).String())
}

// Commit commits to text. Its salt is kept with the entry that the commitment is given to, and the
// text only where the record has auditors, encrypted to them. Should keeping it fail, Append of the
// entry fails.
func (w *Writer) Commit(kind Kind, text []byte) Commitment {
	c := Commitment{Kind: string(kind), made: true}
	if c.Kind == "" || len(c.Kind) > maxKind || len(text) > MaxText {
		c.err = fmt.Errorf("commit to a text of kind %.80q and %d bytes, the limit is %d", c.Kind, len(text), MaxText)
		return c
	}
	rand.Read(c.salt[:]) // never fails: see crypto/rand
	c.Digest = commit(c.Kind, c.salt, text)
	if w.auditor != nil {
		c.Raw, c.err = w.auditor.keep(w.dir, c, text)
	}
	return c
}

func (c Commitment) check() error {
	if !c.made {
		return errors.New("a commitment that Commit did not make")
	}
	return c.err
}

// A salt stands in its file as the commitment in hex, a space, the salt in hex and a line feed.
const saltLine = 2*32 + 1 + 2*32 + 1

func appendSalt(dst []byte, c Commitment) []byte {
	dst = append(dst, c.Digest.Hex()...)
	dst = append(dst, ' ')
	dst = hex.AppendEncode(dst, c.salt[:])
	return append(dst, '\n')
}

// parseSalts reads a file of salts. What is no salt is left out and counted: a salt that is missing
// is a text that can't be shown any more, and never makes a record invalid.
func parseSalts(b []byte) (salts map[sallyport.Digest][32]byte, bad int) {
	salts = map[sallyport.Digest][32]byte{}
	for line := range bytes.Lines(b) {
		var salt, d [32]byte
		if len(line) != saltLine || line[64] != ' ' || line[saltLine-1] != '\n' {
			bad++
			continue
		}
		_, err := hex.Decode(d[:], line[:64])
		_, err2 := hex.Decode(salt[:], line[65:saltLine-1])
		if err != nil || err2 != nil {
			bad++
			continue
		}
		salts[sallyport.Digest(Head(d).String())] = salt
	}
	return salts, bad
}

// A sealer encrypts texts to the auditors.
type sealer struct{ to []age.Recipient }

// newSealer returns nil where there are no auditors.
func newSealer(auditors []string) (*sealer, error) {
	if len(auditors) == 0 {
		return nil, nil
	}
	s := &sealer{}
	for _, a := range auditors {
		// An ssh key or a passphrase has no business here, and a plugin is a program that an
		// adversary's configuration would like to choose.
		rs, err := age.ParseRecipients(strings.NewReader(a))
		if err != nil || len(rs) != 1 {
			return nil, fmt.Errorf("auditor %.80q is not a public key as age-keygen prints it (age1…): %w", a, errOr(err, "not one key"))
		}
		s.to = append(s.to, rs...)
	}
	return s, nil
}

func errOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// CheckAuditors reports whether each of keys is a public key that texts can be encrypted to.
func CheckAuditors(keys []string) error {
	_, err := newSealer(keys)
	return err
}

const (
	rawDir    = "raw"
	rawDomain = "sallyport-raw/v0.1\n"
)

// rawName is where the text of a commitment is kept.
func rawName(d sallyport.Digest) string { return filepath.Join(rawDir, d.Hex()+".age") }

// keep writes text, with what its commitment needs, and returns the digest of the file.
func (s *sealer) keep(dir string, c Commitment, text []byte) (sallyport.Digest, error) {
	var out bytes.Buffer
	enc, err := age.Encrypt(&out, s.to...)
	if err != nil {
		return "", fmt.Errorf("encrypt a text: %w", err)
	}
	head := append([]byte(rawDomain), c.salt[:]...)
	head = binary.BigEndian.AppendUint64(head, uint64(len(c.Kind)))
	head = append(head, c.Kind...)
	for _, part := range [][]byte{head, text} {
		if _, err := enc.Write(part); err != nil {
			return "", fmt.Errorf("encrypt a text: %w", err)
		}
	}
	if err := enc.Close(); err != nil {
		return "", fmt.Errorf("encrypt a text: %w", err)
	}
	if err := durable.MkdirAll(filepath.Join(dir, rawDir), 0o700); err != nil {
		return "", err
	}
	return sallyport.SHA256(out.Bytes()), durable.CreateFile(filepath.Join(dir, rawName(c.Digest)), out.Bytes(), 0o600)
}

// maxRaw bounds an encrypted file: age adds 16 bytes to each 64 KiB, and a header.
const maxRaw = MaxText + MaxText>>10 + 64<<10

// ErrNotKept says that a text is not there: it was erased, or never kept.
var ErrNotKept = errors.New("the text is not kept")

// openRaw decrypts the text of a commitment and compares it with the commitment.
func openRaw(dir string, c CommitRef, identities []age.Identity) ([]byte, error) {
	b, err := readUpTo(filepath.Join(dir, rawName(c.Digest)), maxRaw)
	if isMissing(err) {
		return nil, ErrNotKept
	}
	if err != nil {
		return nil, err
	}
	if got := sallyport.SHA256(b); got != c.Raw {
		return nil, fmt.Errorf("the file that holds the text is %s, not %s", got.Short(), c.Raw.Short())
	}
	dec, err := age.Decrypt(bytes.NewReader(b), identities...)
	if err != nil {
		return nil, fmt.Errorf("decrypt a text: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(dec, MaxText+4096))
	if err != nil {
		return nil, fmt.Errorf("decrypt a text: %w", err)
	}
	head := len(rawDomain) + 32 + 8
	if len(plain) < head || string(plain[:len(rawDomain)]) != rawDomain {
		return nil, errors.New("the decrypted file is not a text of a record")
	}
	salt := [32]byte(plain[len(rawDomain):])
	n := binary.BigEndian.Uint64(plain[head-8:])
	if n > maxKind || uint64(len(plain)-head) < n {
		return nil, errors.New("the decrypted file is not a text of a record")
	}
	kind, text := string(plain[head:head+int(n)]), plain[head+int(n):]
	if kind != c.Kind || commit(kind, salt, text) != c.Digest {
		return nil, errors.New("the decrypted text is not the one that was committed to")
	}
	return text, nil
}
