// Package tufrepo makes repositories of The Update Framework for tests, with go-tuf's own writer: a root
// with keys of each role, a timestamp, a snapshot and targets, as files by their published names.
//
// A test changes the fields of a [Repository] and calls [Repository.Publish]; what is published is whatever
// the fields say, right or wrong.
package tufrepo

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/sallyport-dev/sallyport/internal/evidence/tuf"
)

// The roles, and how many of their keys have to sign.
var roles = map[string]int{metadata.ROOT: 2, metadata.TARGETS: 2, metadata.SNAPSHOT: 1, metadata.TIMESTAMP: 1}

// A Repository is one that can be published.
type Repository struct {
	// Files is what is published, by path.
	Files map[string][]byte
	// Root is the root's version; raising it publishes another root.
	Root int64
	// Version is that of the timestamp, the snapshot and the targets.
	Version int64
	// TargetsVersion is that of the targets, if it is not 0.
	TargetsVersion int64
	// Expires is when the timestamp does; the other roles live ten times as long.
	Expires time.Time
	// RootExpires is when the root does; a year after New by default.
	RootExpires time.Time
	// Signers is how many of its keys sign a role: by default all. "root before" are those of the root
	// that a new one follows.
	Signers map[string]int
	// Target is the trusted root.
	Target []byte

	tb   testing.TB
	keys map[string][]ed25519.PrivateKey
	all  map[string][]byte // root files, which stay
}

// New returns a repository with one version published, that is fresh at now.
func New(tb testing.TB, now time.Time, trustedRoot []byte) *Repository {
	tb.Helper()
	r := &Repository{Root: 1, Version: 1, Expires: now.AddDate(0, 0, 7), RootExpires: now.AddDate(1, 0, 0), Target: trustedRoot, tb: tb,
		Signers: map[string]int{}, keys: map[string][]ed25519.PrivateKey{}, all: map[string][]byte{}}
	for role, n := range roles {
		r.NewKeys(role, n)
	}
	r.Publish()
	return r
}

// NewKeys gives a role other keys, which sign from then on.
func (r *Repository) NewKeys(role string, n int) {
	r.tb.Helper()
	r.keys[role] = nil
	for range n {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		r.check(err)
		r.keys[role] = append(r.keys[role], k)
	}
}

// Pinned is the first root.
func (r *Repository) Pinned() []byte { return r.all["1.root.json"] }

// Publish writes Files anew. Roots that were published stay.
func (r *Repository) Publish() {
	r.tb.Helper()
	name := fmt.Sprintf("%d.root.json", r.Root)
	if _, ok := r.all[name]; !ok {
		root := r.root()
		signing(r, root, metadata.ROOT)
		r.all[name] = bytesOf(r, root)
	}
	r.Files = maps.Clone(r.all)

	long := r.Expires.Add(10 * 24 * time.Hour)
	version := r.Version
	if r.TargetsVersion != 0 {
		version = r.TargetsVersion
	}
	targets := metadata.Targets(long)
	targets.Signed.Version = version
	file, err := metadata.TargetFile().FromBytes("trusted_root.json", r.Target, "sha256")
	r.check(err)
	targets.Signed.Targets["trusted_root.json"] = file
	signing(r, targets, metadata.TARGETS)
	r.Files[fmt.Sprintf("%d.targets.json", version)] = bytesOf(r, targets)
	sum := sha256.Sum256(r.Target)
	r.Files["targets/"+hex.EncodeToString(sum[:])+".trusted_root.json"] = r.Target

	snapshot := metadata.Snapshot(long)
	snapshot.Signed.Version = r.Version
	snapshot.Signed.Meta["targets.json"] = metadata.MetaFile(version)
	signing(r, snapshot, metadata.SNAPSHOT)
	r.Files[fmt.Sprintf("%d.snapshot.json", r.Version)] = bytesOf(r, snapshot)

	timestamp := metadata.Timestamp(r.Expires)
	timestamp.Signed.Version = r.Version
	timestamp.Signed.Meta["snapshot.json"] = metadata.MetaFile(r.Version)
	signing(r, timestamp, metadata.TIMESTAMP)
	r.Files["timestamp.json"] = bytesOf(r, timestamp)
}

// root is the root of today's keys, not signed.
func (r *Repository) root() *metadata.Metadata[metadata.RootType] {
	r.tb.Helper()
	root := metadata.Root(r.RootExpires)
	root.Signed.Version = r.Root
	for role, n := range roles {
		for _, k := range r.keys[role] {
			key, err := metadata.KeyFromPublicKey(k.Public())
			r.check(err)
			r.check(root.Signed.AddKey(key, role))
		}
		root.Signed.Roles[role].Threshold = min(n, len(r.keys[role]))
	}
	return root
}

// signing signs with the keys of a role.
func signing[T metadata.Roles](r *Repository, m *metadata.Metadata[T], role string) {
	r.tb.Helper()
	keys := r.keys[role]
	if n, ok := r.Signers[role]; ok {
		keys = keys[:n]
	}
	for _, k := range keys {
		s, err := signature.LoadSigner(k, crypto.Hash(0))
		r.check(err)
		_, err = m.Sign(s)
		r.check(err)
	}
}

func bytesOf[T metadata.Roles](r *Repository, m *metadata.Metadata[T]) []byte {
	r.tb.Helper()
	b, err := m.ToBytes(false)
	r.check(err)
	return b
}

// Get returns a published file, as a mirror would.
func (r *Repository) Get(path string, limit int64) ([]byte, error) {
	b, ok := r.Files[path]
	switch {
	case !ok:
		return nil, tuf.ErrNotFound
	case int64(len(b)) > limit:
		return nil, tuf.ErrTooLarge
	}
	return b, nil
}

// RotateRoot publishes the next root, with other keys of the root role, signed by these and by those
// before.
func (r *Repository) RotateRoot() {
	r.tb.Helper()
	before := r.keys[metadata.ROOT]
	if n, ok := r.Signers["root before"]; ok {
		before = before[:n]
	}
	r.NewKeys(metadata.ROOT, 2)
	after := r.keys[metadata.ROOT]
	r.Root++
	root := r.root()
	r.keys[metadata.ROOT] = append(append([]ed25519.PrivateKey{}, before...), after...)
	signing(r, root, metadata.ROOT)
	r.keys[metadata.ROOT] = after
	r.all[fmt.Sprintf("%d.root.json", r.Root)] = bytesOf(r, root)
	r.Publish()
}

func (r *Repository) check(err error) {
	if err != nil {
		r.tb.Helper()
		r.tb.Fatal(err)
	}
}
