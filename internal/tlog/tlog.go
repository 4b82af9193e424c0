// Package tlog holds what a transparency log is to Sallyport, and verifies what a log says
// without trusting whoever wrote it.
//
// The log is a Merkle tree as in RFC 6962, served and signed as the C2SP specifications say
// (tlog-tiles, tlog-checkpoint, signed-note). It holds no content: each entry is a [Leaf], one
// line of text that names a kind and a SHA-256 digest, and the store keeps what the digest names.
//
//	sallyport.dev/log/v1 decision sha256:<64 hex digits>\n
//
// A [Head] is a tree's size and root hash. It becomes a promise when it is signed: a
// [Checkpoint] is a signed head. A [Proof] shows that one entry is in the tree that a checkpoint
// commits to; [VerifyProof] needs the proof, the leaf and the log's verifier key, and neither the
// log nor a network. [VerifyConsistency] shows that one tree is a prefix of another, which is how
// a verifier that remembers an older head notices a log that was rewritten.
//
// This package reads no files and knows no back end. Backends are subfolders; tessera is the one
// on local files. All of them report a log that cannot be trusted with the sentinels below.
package tlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// Reasons why a log cannot be used. A gate that meets one of them is shut.
var (
	// ErrMissing: there is no log where one should be. Opening never creates one.
	ErrMissing = errors.New("the log is missing")
	// ErrRolledBack: the log is older than a head that the caller knows it has had.
	ErrRolledBack = errors.New("the log was rolled back")
	// ErrRewritten: the log's content contradicts itself, a checkpoint it signed, or a head
	// that the caller knows it has had.
	ErrRewritten = errors.New("the log was rewritten or damaged")
	// ErrForeign: this is another log: its origin or key is not the expected one.
	ErrForeign = errors.New("this is another log")
	// ErrUnpublished: no checkpoint covers the entry yet.
	ErrUnpublished = errors.New("no checkpoint covers the entry")
)

// HashSize is the length of the log's hashes, which are SHA-256.
const HashSize = sha256.Size

// A Head is the state of a log: how many entries it has, and the root hash over them. The zero
// Head is no state at all; an empty log has size 0 and the root of the empty tree.
type Head struct {
	Size uint64 `json:"size"`
	Root []byte `json:"root"`
}

// Equal reports whether h and o are the same state.
func (h Head) Equal(o Head) bool { return h.Size == o.Size && bytes.Equal(h.Root, o.Root) }

// String is for people: size and the start of the root.
func (h Head) String() string {
	root := hex.EncodeToString(h.Root)
	return fmt.Sprintf("%d/%s", h.Size, root[:min(12, len(root))])
}

const (
	leafPrefix = "sallyport.dev/log/v1"

	// MaxLeaf is the length that no leaf exceeds.
	MaxLeaf = 128
	maxKind = 32
)

// ErrLeaf is wrapped by errors about lines that are not leaves.
var ErrLeaf = errors.New("invalid leaf")

// Leaf returns the entry that records the digest d as a kind of thing: "decision", "revocation"
// and so on. A kind is a lower-case word of letters, digits and inner hyphens, at most 32 long.
func Leaf(kind string, d sallyport.Digest) ([]byte, error) {
	if !validKind(kind) {
		return nil, fmt.Errorf("%w: kind %q", ErrLeaf, kind)
	}
	if _, err := sallyport.ParseDigest(string(d)); err != nil || d.Algorithm() != "sha256" {
		return nil, fmt.Errorf("%w: %q is not a sha256 digest", ErrLeaf, string(d))
	}
	return []byte(leafPrefix + " " + kind + " " + string(d) + "\n"), nil
}

// ParseLeaf is the inverse of [Leaf]. It accepts exactly what Leaf returns.
func ParseLeaf(b []byte) (kind string, d sallyport.Digest, err error) {
	if len(b) > MaxLeaf {
		return "", "", fmt.Errorf("%w: %d bytes, the limit is %d", ErrLeaf, len(b), MaxLeaf)
	}
	line, ok := strings.CutSuffix(string(b), "\n")
	words := strings.Split(line, " ")
	if !ok || len(words) != 3 || words[0] != leafPrefix {
		return "", "", fmt.Errorf("%w: %q", ErrLeaf, b)
	}
	kind, d = words[1], sallyport.Digest(words[2])
	if _, err := Leaf(kind, d); err != nil {
		return "", "", err
	}
	return kind, d, nil
}

func validKind(s string) bool {
	if s == "" || len(s) > maxKind || s[0] < 'a' || s[0] > 'z' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
