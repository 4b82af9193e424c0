package tlog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// A checkpoint says nothing of its age. A log that others follow therefore signs each one a second
// time, with the same key, as C2SP tlog-cosignature says: that signature covers the time at which
// it was made. Whoever knows only the log's key verifies both, and readers that do not know the
// second kind pass over it, as signed notes ask of them.

// algCosignature is the kind of key in a note key hash, of tlog-cosignature.
const algCosignature = 0x04

// ErrUndated is returned for a checkpoint without a time that its log signed.
var ErrUndated = errors.New("the checkpoint carries no time that the log signed")

// dated signs, and verifies, checkpoints with their time.
type dated struct {
	name   string
	public ed25519.PublicKey
	secret ed25519.PrivateKey // nil for a verifier
	now    func() time.Time
}

func (d dated) Name() string { return d.name }

func (d dated) KeyHash() uint32 {
	h := sha256.New()
	h.Write([]byte(d.name + "\n"))
	h.Write([]byte{algCosignature})
	h.Write(d.public)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// message is what is signed: the checkpoint's text after two lines.
func (d dated) message(at uint64, text []byte) []byte {
	return append([]byte("cosignature/v1\ntime "+strconv.FormatUint(at, 10)+"\n"), text...)
}

func (d dated) Sign(text []byte) ([]byte, error) {
	at := d.now().Unix()
	if at < 0 {
		return nil, errors.New("the clock is before 1970")
	}
	sig := binary.BigEndian.AppendUint64(nil, uint64(at))
	return append(sig, ed25519.Sign(d.secret, d.message(uint64(at), text))...), nil
}

func (d dated) Verify(text, sig []byte) bool {
	return len(sig) == 8+ed25519.SignatureSize && ed25519.Verify(d.public, d.message(binary.BigEndian.Uint64(sig), text), sig[8:])
}

// Dated returns the signer with which the log's key signs a checkpoint together with the time that
// now tells.
func (k Key) Dated(now func() time.Time) (note.Signer, error) {
	fields := strings.SplitN(k.Secret, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, errKey
	}
	secret := ed25519.NewKeyFromSeed(raw[1:])
	public, ok := secret.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errKey
	}
	return dated{k.Origin, public, secret, now}, nil
}

// CheckpointTime returns when the log of verifierKey signed the checkpoint in text, as it says.
// The checkpoint's own signature is verified first. Without a time the error is [ErrUndated].
func CheckpointTime(text []byte, verifierKey string) (time.Time, error) {
	if _, err := OpenCheckpoint(text, verifierKey); err != nil {
		return time.Time{}, err
	}
	name, rest, _ := strings.Cut(verifierKey, "+")
	_, key, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != 1 {
		return time.Time{}, fmt.Errorf("%w: its key is not Ed25519", ErrUndated)
	}
	return cosignedAt(text, dated{name: name, public: raw[1:]})
}

// WitnessTime returns when a witness cosigned the checkpoint in text, by C2SP tlog-cosignature. witnessKey is
// the witness's verifier key: its name, the hash and base64 of 0x04 and the Ed25519 key. Without a cosignature
// of it the error is [ErrUndated]. The log's own key is no witness of it.
func WitnessTime(text []byte, verifierKey, witnessKey string) (time.Time, error) {
	if _, err := OpenCheckpoint(text, verifierKey); err != nil {
		return time.Time{}, err
	}
	fields := strings.SplitN(witnessKey, "+", 3)
	if len(fields) != 3 || fields[0] == "" {
		return time.Time{}, errors.New("a witness's key is its name, a hash and base64, with + between them")
	}
	raw, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algCosignature {
		return time.Time{}, fmt.Errorf("the key of the witness %.100q is none that cosigns", fields[0])
	}
	log := strings.SplitN(verifierKey, "+", 3)
	if own, err := base64.StdEncoding.DecodeString(log[len(log)-1]); err != nil || len(own) > 0 && bytes.Equal(own[1:], raw[1:]) {
		return time.Time{}, fmt.Errorf("the key of the witness %.100q is the log's own", fields[0])
	}
	w := dated{name: fields[0], public: raw[1:]}
	if fmt.Sprintf("%08x", w.KeyHash()) != fields[1] {
		return time.Time{}, fmt.Errorf("the key of the witness %.100q has another hash", fields[0])
	}
	return cosignedAt(text, w)
}

// cosignedAt returns the time that v signed beside the text.
func cosignedAt(text []byte, v dated) (time.Time, error) {
	n, err := note.Open(text, note.VerifierList(v))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		return time.Time{}, ErrUndated
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	sig, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || len(sig) < 12 {
		return time.Time{}, ErrUndated
	}
	at := binary.BigEndian.Uint64(sig[4:])
	if at > 1<<40 {
		return time.Time{}, fmt.Errorf("%w: the time is out of range", ErrUndated)
	}
	return time.Unix(int64(at), 0).UTC(), nil //nolint:gosec // bounded above
}
