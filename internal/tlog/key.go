package tlog

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Key is a log's identity: its origin, and the key that signs its checkpoints. It is a note
// key (C2SP signed-note) of the Ed25519 kind.
type Key struct {
	Origin   string
	Signer   note.Signer
	Verifier string // the public half, as verifiers are given it
	Secret   string // the private half, as it is kept in a file: never printed
}

// errKey says nothing of the bytes, which may be secret.
var errKey = errors.New("not a log key")

// NewKey makes a key for a log named origin.
func NewKey(origin string) (Key, error) {
	secret, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return Key{}, fmt.Errorf("make a log key: %w", err)
	}
	return ParseKey(secret)
}

// ParseKey decodes what Key.Secret holds.
func ParseKey(secret string) (Key, error) {
	secret = strings.TrimSpace(secret)
	signer, err := note.NewSigner(secret)
	if err != nil {
		return Key{}, errKey
	}
	// PRIVATE+KEY+name+hash+base64, where base64 may hold plus signs too.
	fields := strings.SplitN(secret, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return Key{}, errKey
	}
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return Key{}, errKey
	}
	verifier, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return Key{}, errKey
	}
	return Key{Origin: signer.Name(), Signer: signer, Verifier: verifier, Secret: secret}, nil
}
