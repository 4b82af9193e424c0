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
	"github.com/sallyport-dev/sallyport/internal/scan/dep"
)

// scanVersion changes when the package makes something else of the same content and rules.
const scanVersion = "9"

// classDigest names the table of classes by content: a path that a newer table protects must not
// be found unprotected in a cache that an older one filled.
var classDigest = sync.OnceValue(func() string { return string(sallyport.SHA256(fmt.Appendf(nil, "%+v", classTable))) })

// maxCached bounds a cache entry that is decoded.
const maxCached = 16 << 20

// A result is what scanning one file gave.
type result struct {
	Classes  []string            `json:"classes"`
	Findings []sallyport.Finding `json:"findings"`

	// Of what a commit holds in passing these two are not told: nothing is built from it.
	Dependencies       []sallyport.Dependency `json:"dependencies,omitempty"`
	DependencyFindings []sallyport.Finding    `json:"dependency_findings,omitempty"`
}

// key names the result for f: everything that the result depends on goes into it.
func (s *Scanner) key(f *sallyport.File, p plan) string {
	h := sha256.New()
	part := func(v string) { fmt.Fprintf(h, "%d:%s", len(v), v) }
	for _, v := range []string{
		scanVersion, dep.Version, classDigest(), string(s.secrets.Digest()), string(f.Path), string(f.OldPath), f.Status,
		f.OldMode, f.NewMode, f.OldBlob, f.NewBlob,
		fmt.Sprint(f.Binary, f.Truncated, p.all, p.lfs, s.limit, f.Size, p.ranges),
	} {
		part(v)
	}
	return "scan/" + hex.EncodeToString(h.Sum(nil))
}

// load returns the cached result under key, if it is there and whole.
func (s *Scanner) load(ctx context.Context, key string) (r result, ok bool) {
	ok = s.get(ctx, key, &r) && r.Classes != nil
	return r, ok
}

// store keeps r under key. A path that is not UTF-8 survives: [sallyport.Path] encodes itself.
func (s *Scanner) store(ctx context.Context, key string, r result) { s.put(ctx, key, r) }

// keyOfAll names the results of jobs taken together.
func keyOfAll(jobs []job) string {
	h := sha256.New()
	for i := range jobs {
		fmt.Fprintf(h, "%s\n", jobs[i].key)
	}
	return "scan-all/" + hex.EncodeToString(h.Sum(nil))
}

// loadAll fills in the results of all jobs, or of none.
func (s *Scanner) loadAll(ctx context.Context, jobs []job) bool {
	var rs []result
	if s.cache == nil || len(jobs) < 2 || !s.get(ctx, keyOfAll(jobs), &rs) || len(rs) != len(jobs) {
		return false
	}
	for i := range rs {
		if rs[i].Classes == nil {
			return false
		}
	}
	for i := range jobs {
		jobs[i].result, jobs[i].final = rs[i], true
	}
	return true
}

// storeAll keeps the results of all jobs under one key, if all are final.
func (s *Scanner) storeAll(ctx context.Context, jobs []job) {
	if s.cache == nil || len(jobs) < 2 {
		return
	}
	rs := make([]result, len(jobs))
	for i := range jobs {
		if !jobs[i].final {
			return
		}
		rs[i] = jobs[i].result
	}
	s.put(ctx, keyOfAll(jobs), rs)
}

// get decodes the entry under key into v, if it is there and whole.
func (s *Scanner) get(ctx context.Context, key string, v any) bool {
	if s.cache == nil {
		return false
	}
	value, ok := s.cache.Get(ctx, key)
	if !ok {
		return false
	}
	sum, body, ok := bytes.Cut(value, []byte("\n"))
	return ok && string(sum) == checksum(key, body) && strict.JSON(body, maxCached, v) == nil
}

func (s *Scanner) put(ctx context.Context, key string, v any) {
	if s.cache == nil {
		return
	}
	body, err := sallyport.EncodeJSON(v)
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
