package tlog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

const (
	// MaxProof is the largest encoded proof that is read.
	MaxProof = 64 << 10
	// maxHashes bounds a proof: a path through a tree of 2^63 entries is no longer.
	maxHashes = 64

	proofVersion = "sallyport.dev/log-proof/v1"
)

// ErrProof is wrapped by every error of [VerifyProof] and [VerifyConsistency] that is about the
// proof itself.
var ErrProof = errors.New("invalid log proof")

// A Proof shows that an entry is in a log. It holds all that is needed but the verifier key,
// which the verifier must have from elsewhere: a key that came with the proof proves nothing.
type Proof struct {
	Version    string   `json:"version"` // "sallyport.dev/log-proof/v1"
	Origin     string   `json:"origin"`
	Index      uint64   `json:"index"`
	Leaf       string   `json:"leaf"`       // the entry, byte for byte
	TreeSize   uint64   `json:"treeSize"`   // of the checkpoint
	Hashes     [][]byte `json:"hashes"`     // the inclusion path of RFC 6962, leaf side first
	Checkpoint string   `json:"checkpoint"` // the signed note
}

// NewProof assembles a proof and does not verify it.
func NewProof(index uint64, leaf []byte, hashes [][]byte, cp Checkpoint) Proof {
	if hashes == nil {
		hashes = [][]byte{}
	}
	return Proof{
		Version: proofVersion, Origin: cp.Origin, Index: index, Leaf: string(leaf),
		TreeSize: cp.Size, Hashes: hashes, Checkpoint: cp.Text,
	}
}

// Encode returns p as JSON.
func (p Proof) Encode() ([]byte, error) { return sallyport.EncodeJSON(p) }

// ParseProof decodes a proof strictly and does not verify it.
func ParseProof(b []byte) (Proof, error) {
	var p Proof
	if err := strict.JSON(b, MaxProof, &p); err != nil {
		return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if p.Version != proofVersion {
		return Proof{}, fmt.Errorf("%w: unknown version %q", ErrProof, p.Version)
	}
	return p, nil
}

// VerifyProof reports whether p shows that leaf is in the log whose verifier key is given. It
// checks, in this order: that p speaks of this leaf, that the checkpoint is signed by the key and
// has the origin and size that p states, and that the path leads from the leaf to the
// checkpoint's root. Nothing that p says is believed beyond that.
func VerifyProof(p Proof, leaf []byte, verifierKey string) error {
	if p.Version != proofVersion {
		return fmt.Errorf("%w: unknown version %q", ErrProof, p.Version)
	}
	if p.Leaf != string(leaf) {
		return fmt.Errorf("%w: it is about another entry", ErrProof)
	}
	if _, _, err := ParseLeaf(leaf); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	if err := checkHashes(p.Hashes); err != nil {
		return err
	}
	cp, err := OpenCheckpoint([]byte(p.Checkpoint), verifierKey)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	if p.Origin != cp.Origin || p.TreeSize != cp.Size {
		return fmt.Errorf("%w: it states %s at size %d, its checkpoint %s at %d", ErrProof, p.Origin, p.TreeSize, cp.Origin, cp.Size)
	}
	h := rfc6962.DefaultHasher
	if err := proof.VerifyInclusion(h, p.Index, cp.Size, h.HashLeaf(leaf), p.Hashes, cp.Root); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

// VerifyConsistency reports whether hashes (the consistency proof of RFC 6962) show that the tree
// of older is a prefix of the tree of newer. A newer head that is smaller is [ErrRolledBack]; a
// proof that leads to other roots is [ErrRewritten].
func VerifyConsistency(older, newer Head, hashes [][]byte) error {
	if err := checkHashes(hashes); err != nil {
		return err
	}
	if len(older.Root) != HashSize || len(newer.Root) != HashSize {
		return fmt.Errorf("%w: a root is not %d bytes long", ErrProof, HashSize)
	}
	h := rfc6962.DefaultHasher
	switch {
	case newer.Size < older.Size:
		return fmt.Errorf("%w: from size %d to %d", ErrRolledBack, older.Size, newer.Size)
	case older.Size == 0 && !bytes.Equal(older.Root, h.EmptyRoot()),
		newer.Size == 0 && !bytes.Equal(newer.Root, h.EmptyRoot()):
		return fmt.Errorf("%w: an empty log with a root that is not empty", ErrRewritten)
	}
	if err := proof.VerifyConsistency(h, older.Size, newer.Size, hashes, older.Root, newer.Root); err != nil {
		return fmt.Errorf("%w: %w: between size %d and %d: %w", ErrProof, ErrRewritten, older.Size, newer.Size, err)
	}
	return nil
}

func checkHashes(hashes [][]byte) error {
	if len(hashes) > maxHashes {
		return fmt.Errorf("%w: %d hashes", ErrProof, len(hashes))
	}
	for _, h := range hashes {
		if len(h) != HashSize {
			return fmt.Errorf("%w: a hash of %d bytes", ErrProof, len(h))
		}
	}
	return nil
}
