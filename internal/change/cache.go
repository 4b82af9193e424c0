package change

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// encodingVersion changes with everything that changes what is computed for the same objects, or
// how it is encoded.
const encodingVersion = "change/v3"

// maxCached bounds one cache entry; larger changes are computed each time.
const maxCached = 64 << 20

func cacheKey(format string, merge bool, base, head string) string {
	how := "replace"
	if merge {
		how = "merge"
	}
	return strings.Join([]string{encodingVersion, Algorithm, format, how, base, head}, "\n")
}

// load returns the cached content for key. An entry is the SHA-256 of the key and the payload,
// then the payload: one that is damaged, or filed under another key, counts as absent.
func (d *Differ) load(ctx context.Context, key string) (content, bool) {
	if d.cache == nil {
		return content{}, false
	}
	b, ok := d.cache.Get(ctx, key)
	if !ok || len(b) < sha256.Size || len(b) > maxCached {
		return content{}, false
	}
	sum, payload := b[:sha256.Size], b[sha256.Size:]
	if want := entrySum(key, payload); !bytes.Equal(sum, want) {
		return content{}, false
	}
	var c content
	if err := gob.NewDecoder(bytes.NewReader(payload)).Decode(&c); err != nil { //nolint:gosec // bounded, into our own type, and a bad entry is a miss
		return content{}, false
	}
	c.restoreEmpty()
	return c, true
}

func (d *Differ) save(ctx context.Context, key string, c content) {
	if d.cache == nil {
		return
	}
	var payload bytes.Buffer
	if err := gob.NewEncoder(&payload).Encode(c); err != nil || payload.Len() > maxCached-sha256.Size {
		return // a cache that keeps nothing is slow, not wrong
	}
	d.cache.Put(ctx, key, append(entrySum(key, payload.Bytes()), payload.Bytes()...))
}

func entrySum(key string, payload []byte) []byte {
	h := sha256.New()
	h.Write([]byte(key))
	h.Write([]byte{0})
	h.Write(payload)
	return h.Sum(nil)
}

// restoreEmpty turns nil slices into empty ones: gob does not tell them apart, JSON does, and
// what is digested must not depend on whether it was cached.
func (c *content) restoreEmpty() {
	c.Conflicts = nonNil(c.Conflicts)
	c.Commits = nonNil(c.Commits)
	c.Files = nonNil(c.Files)
	for i := range c.Commits {
		c.Commits[i].Parents = nonNil(c.Commits[i].Parents)
		c.Commits[i].Trailers = nonNil(c.Commits[i].Trailers)
	}
	c.Passing = nonNil(c.Passing)
	for i := range c.Files {
		restoreFile(&c.Files[i])
	}
	for i := range c.Passing {
		restoreFile(&c.Passing[i].File)
	}
}

func restoreFile(f *sallyport.File) {
	f.Units, f.Classes = nonNil(f.Units), nonNil(f.Classes)
	for j := range f.Units {
		f.Units[j].Commits = nonNil(f.Units[j].Commits)
	}
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
