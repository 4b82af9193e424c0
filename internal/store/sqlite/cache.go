package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/sallyport-dev/sallyport/internal/store"
)

const (
	// MaxCacheValue is the largest value that is kept; larger ones are not. A change of 2,000
	// commits takes a good third of it.
	MaxCacheValue = 64 << 20
	// MaxCacheKey is the longest key.
	MaxCacheKey = 1 << 10
	// DefaultCacheSize bounds the file, unless the caller says otherwise.
	DefaultCacheSize = 256 << 20

	// maxBuffered bounds what waits in memory for Close.
	maxBuffered = 32 << 20
)

// cacheVersion is the user_version of cache files. A file of another version is made anew.
const cacheVersion = 1

const cacheSchema = `CREATE TABLE cache (
	seq   INTEGER PRIMARY KEY, -- order of writing: the oldest go first when the file is too large
	key   TEXT NOT NULL UNIQUE,
	sum   BLOB NOT NULL,
	value BLOB NOT NULL
) STRICT`

// A Cache keeps values that can be computed again. It is a file of its own, which may be deleted
// at any time.
//
// A value that cannot be read as it was written, for whatever reason, is a miss: each carries a
// checksum over its key and itself. The checksum finds damage, not malice, since whoever can
// write the file can compute it; what must withstand that does not belong here. A file that is no
// cache, is damaged or is of another version is replaced without a word.
//
// Values are held in memory and written at [Cache.Flush] or [Cache.Close] in one transaction,
// which is not synced. A Cache is safe for concurrent use, by several processes too.
type Cache struct {
	path  string
	limit int64

	mu       sync.Mutex
	sql      *sql.DB   // nil if there is no usable file: every Get is a miss then
	get      *sql.Stmt // by key
	empty    bool      // there was nothing in the file, and nothing was written: it need not be asked
	buffered map[string][]byte
	bytes    int
	damaged  bool // the file is to be removed
}

// OpenCache opens the cache at path, whose folder must exist, and makes the file if it is missing
// or unusable. The file is held to about limit bytes; 0 means [DefaultCacheSize]. There are no
// errors: a cache that cannot be used has no values.
func OpenCache(ctx context.Context, path string, limit int64) *Cache {
	if limit <= 0 {
		limit = DefaultCacheSize
	}
	c := &Cache{path: path, limit: limit, buffered: map[string][]byte{}}
	if c.open(ctx) == nil {
		return c
	}
	c.remove()
	_ = c.open(ctx) // else there is no file, and no value
	return c
}

func (c *Cache) open(ctx context.Context) error {
	if err := ensureFile(c.path); err != nil {
		return err
	}
	h, err := connect(c.path, "OFF")
	if err != nil {
		return err
	}
	h.SetMaxOpenConns(1)
	var version int
	if err = h.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err == nil && version == 0 {
		err = initCache(ctx, h)
	} else if err == nil && version != cacheVersion {
		err = fmt.Errorf("cache of version %d", version)
	}
	var get *sql.Stmt
	if err == nil {
		get, err = h.PrepareContext(ctx, `SELECT sum, value FROM cache WHERE key = ?`)
	}
	if err != nil {
		h.Close()
		return err
	}
	c.sql, c.get = h, get
	var one int
	c.empty = errors.Is(h.QueryRowContext(ctx, `SELECT 1 FROM cache LIMIT 1`).Scan(&one), sql.ErrNoRows)
	return nil
}

func initCache(ctx context.Context, h *sql.DB) error {
	if err := setWAL(ctx, h); err != nil {
		return err
	}
	tx, err := h.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var version int
	if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil || version == cacheVersion {
		return err // another process made it meanwhile
	}
	if _, err := tx.ExecContext(ctx, cacheSchema); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", cacheVersion)); err != nil {
		return err
	}
	return tx.Commit()
}

// remove deletes the file and what SQLite keeps beside it. A process that has it open goes on
// with what it has.
func (c *Cache) remove() {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(c.path + suffix)
	}
}

// checksum covers the key too, so that a value cannot come back under another one.
func checksum(key string, value []byte) []byte {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(key)))
	h.Write(n[:])
	h.Write([]byte(key))
	h.Write(value)
	return h.Sum(nil)[:16]
}

// Get returns the value of key. The caller must not change it.
func (c *Cache) Get(ctx context.Context, key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.buffered[key]; ok {
		return v, true
	}
	if c.sql == nil || c.empty {
		return nil, false
	}
	var sum, value []byte
	err := c.get.QueryRowContext(ctx, key).Scan(&sum, &value)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false
	case err != nil:
		c.damaged = c.damaged || errors.Is(corruptIfSo(err), store.ErrCorrupt)
		return nil, false
	case len(value) > MaxCacheValue || !bytes.Equal(sum, checksum(key, value)):
		return nil, false // the next Put of the key replaces it
	}
	return value, true
}

// Put sets the value of key, for this process at once and for others after the next flush. The
// caller must not change value afterwards. What is too large is not kept.
func (c *Cache) Put(ctx context.Context, key string, value []byte) {
	if len(key) > MaxCacheKey || len(value) > MaxCacheValue {
		return
	}
	if value == nil {
		value = []byte{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += len(key) + len(value) - len(c.buffered[key])
	c.buffered[key] = value
	if c.bytes > maxBuffered {
		_ = c.flush(ctx)
	}
}

// Flush writes what was put since the last flush. An error means that some values are lost,
// which a caller may ignore.
func (c *Cache) Flush(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.flush(ctx); err != nil {
		return fmt.Errorf("flush cache: %w", err)
	}
	return nil
}

// flush is Flush for a caller that holds mu.
func (c *Cache) flush(ctx context.Context) error {
	pending := c.buffered
	c.buffered, c.bytes = map[string][]byte{}, 0
	if c.sql == nil || c.damaged || len(pending) == 0 {
		return nil
	}
	c.empty = false
	err := c.store(ctx, pending)
	c.damaged = errors.Is(corruptIfSo(err), store.ErrCorrupt)
	return err
}

func (c *Cache) store(ctx context.Context, values map[string][]byte) error {
	tx, err := c.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	put, err := tx.PrepareContext(ctx, `INSERT OR REPLACE INTO cache (key, sum, value) VALUES (?, ?, ?)`)
	if err != nil {
		return err
	}
	defer put.Close()
	for k, v := range values {
		if _, err := put.ExecContext(ctx, k, checksum(k, v), v); err != nil {
			return err
		}
	}
	if err := c.prune(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// prune deletes the oldest values until a quarter of the limit is free, if the file exceeds it.
// The pages are used again; the file does not shrink.
func (c *Cache) prune(ctx context.Context, tx *sql.Tx) error {
	const used = `SELECT (p.page_count - f.freelist_count) * s.page_size
		FROM pragma_page_count AS p, pragma_freelist_count AS f, pragma_page_size AS s`
	var size int64
	if err := tx.QueryRowContext(ctx, used).Scan(&size); err != nil || size <= c.limit {
		return err
	}
	excess := size - c.limit*3/4
	_, err := tx.ExecContext(ctx, `DELETE FROM cache WHERE seq <= (
		SELECT max(seq) FROM (
			SELECT seq, sum(length(key) + length(value) + 32) OVER (ORDER BY seq) - length(key) - length(value) - 32 AS before
			FROM cache
		) WHERE before < ?)`, excess)
	return err
}

// Close flushes and releases the file. A file that proved damaged is removed. Its error may be
// ignored as that of [Cache.Flush].
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sql == nil {
		return nil
	}
	err := c.flush(context.Background())
	err = errors.Join(err, c.get.Close(), c.sql.Close())
	c.sql, c.get = nil, nil
	if c.damaged {
		c.remove()
	}
	if err != nil {
		return fmt.Errorf("close cache: %w", err)
	}
	return nil
}
