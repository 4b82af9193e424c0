package scan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// scanVersion changes when the package makes something else of the same content and rules.
const scanVersion = "1"

// classDigest names the table of classes by content: a path that a newer table protects must not
// be found unprotected in a cache that an older one filled.
var classDigest = sync.OnceValue(func() string { return string(sallyport.SHA256(fmt.Appendf(nil, "%+v", classTable))) })

// maxCached bounds a cache entry that is decoded.
const maxCached = 16 << 20

// A result is what scanning one file gave.
type result struct {
	Classes  []string            `json:"classes"`
	Findings []sallyport.Finding `json:"findings"`
}

// key names the result for f: everything that the result depends on goes into it.
func (s *Scanner) key(f *sallyport.File, p plan) string {
	h := sha256.New()
	part := func(v string) { fmt.Fprintf(h, "%d:%s", len(v), v) }
	for _, v := range []string{
		scanVersion, classDigest(), string(s.secrets.Digest()), string(f.Path), string(f.OldPath), f.Status,
		f.OldMode, f.NewMode, f.OldBlob, f.NewBlob,
		fmt.Sprint(f.Binary, f.Truncated, p.all, p.lfs, s.limit, f.Size, p.ranges),
	} {
		part(v)
	}
	return "scan/" + hex.EncodeToString(h.Sum(nil))
}

// load returns the cached result under key, if it is there and whole.
func (s *Scanner) load(ctx context.Context, key string) (result, bool) {
	if s.cache == nil {
		return result{}, false
	}
	value, ok := s.cache.Get(ctx, key)
	if !ok {
		return result{}, false
	}
	sum, body, ok := bytes.Cut(value, []byte("\n"))
	if !ok || string(sum) != checksum(key, body) {
		return result{}, false
	}
	var r result
	if err := strict.JSON(body, maxCached, &r); err != nil || r.Classes == nil {
		return result{}, false
	}
	return r, true
}

// store keeps r under key. A path that is not UTF-8 survives: [sallyport.Path] encodes itself.
func (s *Scanner) store(ctx context.Context, key string, r result) {
	if s.cache == nil {
		return
	}
	body, err := sallyport.EncodeJSON(r)
	if err != nil || len(body) > maxCached {
		return // it is scanned again the next time
	}
	var b strings.Builder
	b.WriteString(checksum(key, body))
	b.WriteByte('\n')
	b.Write(body)
	s.cache.Put(ctx, key, []byte(b.String()))
}

// checksum binds a value to its key, so that an entry that was put under another key is damage
// too.
func checksum(key string, body []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", key)
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
