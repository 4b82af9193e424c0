package sigstore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/sallyport-dev/sallyport/internal/base/recent"
)

// maxCached is the largest bundle that a cache keeps, in bytes.
const maxCached = 256 << 10

// A Cache remembers what has verified, so that a gate that is asked again about the same bundle answers in
// microseconds. It is safe for concurrent use, and a nil Cache verifies everything anew.
//
// [Root.Verify] asks no clock and no server: what it says follows from the bytes of the bundle, the bytes
// of the trusted root, and who is expected. The SHA-256 over exactly these is the key, so that another
// byte, another root or another identity is another key. Whether the bundle is about the artifact is never
// taken from the cache: it is compared each time. Nor is whether a key may still sign, which changes with
// time and is not known here.
//
// Only what verified is kept, in memory, and never on disk: whoever can write there could write that
// something verified.
type Cache struct {
	found *recent.Map[cacheKey, cached]
}

type cacheKey [sha256.Size]byte

// A cached is a bundle that verified, and what it said.
type cached struct {
	parsed parsed
	result Result
}

// NewCache returns a cache that holds bundles of at most so many mebibytes together.
func NewCache(mebibytes int) *Cache {
	return &Cache{recent.New[cacheKey, cached](mebibytes << 20)}
}

// Verify is [Root.Verify], with what is remembered.
func (c *Cache) Verify(r *Root, raw []byte, a Artifact, by Signer) (Result, error) {
	if c == nil {
		return r.Verify(raw, a, by)
	}
	key, ok := keyOf(r, raw, by)
	if ok {
		if e, ok := c.found.Get(key); ok {
			return e.about(a)
		}
	}
	p, err := parse(raw)
	if err != nil {
		return Result{}, err
	}
	return c.verified(r, p, a, by, key, ok, len(raw))
}

// VerifyPiece is [Piece.Verify], with what is remembered of bundles. Other formats are verified anew.
func (c *Cache) VerifyPiece(r *Root, p Piece, a Artifact, by Signer) (Result, error) {
	if c == nil || p.err != nil || len(p.raw) == 0 {
		return p.Verify(r, a, by)
	}
	key, ok := keyOf(r, p.raw, by)
	if ok {
		if e, ok := c.found.Get(key); ok {
			return e.about(a)
		}
	}
	return c.verified(r, p.parsed, a, by, key, ok, len(p.raw))
}

// verified verifies, and remembers it if it is good.
func (c *Cache) verified(r *Root, p parsed, a Artifact, by Signer, key cacheKey, cacheable bool, size int) (Result, error) {
	res, err := r.verify(p, a, by)
	// A plain Ed25519 signature over a file was verified over its bytes, which no digest in the bundle
	// stands for.
	_, plain := by.Key.(ed25519.PublicKey)
	if err == nil && cacheable && size <= maxCached && !(plain && p.statement == nil) {
		c.found.Put(key, cached{p, res.clone()}, size)
	}
	return res, err
}

// about is what a cached bundle says if it is about the artifact.
func (e cached) about(a Artifact) (Result, error) {
	if e.parsed.statement != nil {
		if !a.Known() {
			return Result{}, errNoArtifact
		}
		if err := e.parsed.read.about(a); err != nil {
			return Result{}, err
		}
	} else if _, _, err := e.parsed.signs(a); err != nil {
		return Result{}, err
	}
	return e.result.clone(), nil
}

// clone is a Result that the caller may change.
func (r Result) clone() Result {
	r.Statement = bytes.Clone(r.Statement)
	r.Times, r.Entries = slices.Clone(r.Times), slices.Clone(r.Entries)
	if r.Identity != nil {
		who := *r.Identity
		r.Identity = &who
	}
	return r
}

// keyOf digests everything that a verification depends on, each part with its length before it. A key of
// a kind that has no encoding is not cached.
func keyOf(r *Root, raw []byte, by Signer) (cacheKey, bool) {
	h := sha256.New()
	part(h, []byte("sallyport verified bundle 1"))
	part(h, []byte(r.digest))
	part(h, raw)
	var spki []byte
	if by.Key != nil {
		var err error
		if spki, err = x509.MarshalPKIXPublicKey(by.Key); err != nil {
			return cacheKey{}, false
		}
	}
	part(h, spki)
	for _, s := range []string{by.SSH, by.Subject, by.SubjectPattern, by.Issuer, by.IssuerPattern} {
		part(h, []byte(s))
	}
	flags := byte(0)
	if by.Logged {
		flags |= 1
	}
	if by.IgnoreLog {
		flags |= 2
	}
	part(h, []byte{flags})
	return cacheKey(h.Sum(nil)), true
}

func part(h hash.Hash, b []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b)))
	h.Write(n[:])
	h.Write(b)
}
