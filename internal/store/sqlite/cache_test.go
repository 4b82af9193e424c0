package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func openCacheAt(t testing.TB, path string, limit int64) *Cache {
	t.Helper()
	c := OpenCache(t.Context(), path, limit)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCache(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "cache.db")
	c := openCacheAt(t, path, 0)
	if _, ok := c.Get(ctx, "a"); ok {
		t.Error("hit in an empty cache")
	}
	c.Put(ctx, "a", []byte("old"))
	c.Put(ctx, "a", []byte("new"))
	c.Put(ctx, "empty", nil)
	c.Put(ctx, "large", make([]byte, MaxCacheValue+1))
	check := func(c *Cache) {
		t.Helper()
		for key, want := range map[string]string{"a": "new", "empty": ""} {
			if v, ok := c.Get(ctx, key); !ok || string(v) != want {
				t.Errorf("%s: %q, %v", key, v, ok)
			}
		}
		if _, ok := c.Get(ctx, "large"); ok {
			t.Error("a value over the limit was kept")
		}
	}
	check(c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openCacheAt(t, path, 0)
	check(c)
	c.Put(ctx, "a", []byte("newer"))
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if v, ok := c.Get(ctx, "a"); !ok || string(v) != "newer" {
		t.Errorf("after a flush: %q, %v", v, ok)
	}
	c.Close()
	if _, ok := c.Get(ctx, "a"); ok {
		t.Error("hit in a closed cache")
	}
}

// Whatever happens to the file, there is no wrong value, no error, and a cache again afterwards.
func TestCacheDamage(t *testing.T) {
	exec := func(q string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			h, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			if _, err := h.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
	}
	rewrite := func(f func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		damage func(*testing.T, string)
	}{
		{"a changed value", exec(`UPDATE cache SET value = x'00'`)},
		{"a value under another key", exec(`DELETE FROM cache WHERE key = 'key0'; UPDATE cache SET key = 'key0' WHERE key = 'key1'`)},
		{"another version", exec(`PRAGMA user_version = 99`)},
		{"no table", exec(`DROP TABLE cache`)},
		{"another table", exec(`DROP TABLE cache; CREATE TABLE cache (key TEXT)`)},
		{"an empty file", rewrite(func([]byte) []byte { return nil })},
		{"a file cut short", rewrite(func(b []byte) []byte { return b[:len(b)/2] })},
		{"zeros after the header", rewrite(func(b []byte) []byte { clear(b[100:]); return b })},
		{"no database", rewrite(func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) })},
		{"no file", func(t *testing.T, path string) { os.Remove(path) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, path := t.Context(), filepath.Join(t.TempDir(), "cache.db")
			value := func(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "value %d", i), 100) }
			c := openCacheAt(t, path, 0)
			for i := range 50 {
				c.Put(ctx, fmt.Sprintf("key%d", i), value(i))
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			tt.damage(t, path)
			for range 3 { // damage may be seen at once or while reading; then it is mended
				c = openCacheAt(t, path, 0)
				for i := range 50 {
					if v, ok := c.Get(ctx, fmt.Sprintf("key%d", i)); ok && !bytes.Equal(v, value(i)) {
						t.Errorf("key%d: wrong value", i)
					}
					c.Put(ctx, fmt.Sprintf("key%d", i), value(i))
				}
				_ = c.Close()
			}
			c = openCacheAt(t, path, 0)
			for i := range 50 {
				if v, ok := c.Get(ctx, fmt.Sprintf("key%d", i)); !ok || !bytes.Equal(v, value(i)) {
					t.Errorf("key%d is not there again", i)
				}
			}
		})
	}
}

func TestCacheUnusable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := openCacheAt(t, path, 0)
	c.Put(t.Context(), "a", []byte("x"))
	if v, ok := c.Get(t.Context(), "a"); !ok || string(v) != "x" {
		t.Error("not even in memory")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestCachePrunes(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "cache.db")
	const limit = 1 << 20
	for session := range 6 {
		c := openCacheAt(t, path, limit)
		for i := range 40 {
			c.Put(ctx, fmt.Sprintf("%d-%d", session, i), make([]byte, 10_000))
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() > 2*limit {
		t.Errorf("%d bytes, %v, the limit is %d", fi.Size(), err, limit)
	}
	c := openCacheAt(t, path, limit)
	if _, ok := c.Get(ctx, "5-0"); !ok {
		t.Error("a value of the last session is gone")
	}
	if _, ok := c.Get(ctx, "0-0"); ok {
		t.Error("the oldest value is still there")
	}
}

func TestCacheTwoProcesses(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "cache.db")
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			c := OpenCache(ctx, path, 0)
			for i := range 20 {
				c.Put(ctx, fmt.Sprintf("%d-%d", p, i), []byte("v"))
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c := openCacheAt(t, path, 0)
	for p := range 4 {
		if _, ok := c.Get(ctx, fmt.Sprintf("%d-19", p)); !ok {
			t.Errorf("writer %d's value is gone", p)
		}
	}
}

func BenchmarkCacheOpenGetClose(b *testing.B) {
	ctx, path := b.Context(), filepath.Join(b.TempDir(), "cache.db")
	c := OpenCache(ctx, path, 0)
	for i := range 1000 {
		c.Put(ctx, fmt.Sprint(i), make([]byte, 200))
	}
	c.Close()
	for b.Loop() {
		c := OpenCache(ctx, path, 0)
		for i := range 200 {
			if _, ok := c.Get(ctx, fmt.Sprint(i)); !ok {
				b.Fatal("miss")
			}
		}
		c.Close()
	}
}
