// Package sqlite keeps Sallyport's records in one SQLite file, without cgo. What it keeps, and
// the promises about it, are those of the parent package.
//
// # Durability
//
// The file is in WAL mode with synchronous=FULL: a transaction is committed once the write-ahead
// log is synced, so a kill or a power cut after Record returned loses nothing, and one before
// loses the whole transaction and never half of it. Writers of several processes take turns and
// wait for each other for up to ten seconds.
//
// # Schema
//
// The schema is made by the numbered files under migrations, which are added to and never edited.
// Each runs in a transaction of its own together with the version number it leads to, so a
// database is always of some version exactly. A file that a newer Sallyport wrote is refused, as
// is one that is no store of ours: SQLite's application_id tells. Tables are append-only by
// trigger, and rows that are evidence are checked against their digests when they are read.
//
// # Cache
//
// [Cache] is another file with the opposite promises: it may be deleted at any time, is never
// synced, and what cannot be read from it is a miss.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver
	lib "modernc.org/sqlite/lib"

	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// appID is SQLite's application_id of a store: "SLPT".
const appID = 0x534c5054

// busyTimeout is how long one process waits for another.
const busyTimeout = 10 * time.Second

// A DB is an open store.
type DB struct {
	sql    *sql.DB
	writer *writer
}

// Open opens the store at path, creates it (mode 0600) if there is none, and brings its schema up
// to date.
func Open(ctx context.Context, path string) (*DB, error) {
	db, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return db, nil
}

func open(ctx context.Context, path string) (*DB, error) {
	if err := ensureFile(path); err != nil {
		return nil, err
	}
	h, err := connect(path, "FULL")
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, h); err != nil {
		h.Close()
		return nil, err
	}
	return &DB{sql: h, writer: newWriter()}, nil
}

// Close releases the file.
func (db *DB) Close() error {
	if err := errors.Join(db.endWriting(), db.sql.Close()); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// ensureFile creates an empty file, which is a valid empty database, with the mode that SQLite
// would not give it. SQLite gives the files beside it the same mode.
func ensureFile(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := durable.CreateFile(path, nil, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return nil
	}
	return err
}

// connect prepares a pool of connections. Each is set up by the driver when it is opened.
func connect(path, synchronous string) (*sql.DB, error) {
	q := url.Values{
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
			// Of a new file; one that exists keeps its own. The tree of blobs moves all but the first
			// 1,002 bytes of a row out of a page of 4 KiB, and each page more that a transaction
			// writes costs a fast disk as much as the sync.
			"page_size(8192)",
			"foreign_keys(1)",
			"synchronous(" + synchronous + ")",
		},
		// A transaction that writes takes the write lock when it begins: taking it later fails
		// at once, without waiting, if somebody else wrote in between.
		"_txlock": {"immediate"},
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	h, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	h.SetMaxOpenConns(4)
	h.SetMaxIdleConns(4)
	return h, nil
}

// prepare makes sure that the file is a store of this version's schema.
func prepare(ctx context.Context, h *sql.DB) error {
	steps, err := readMigrations()
	if err != nil {
		return err
	}
	// One statement, so that all three are read in one transaction: between two, another process
	// that makes the store would turn an empty file into one with tables and no application id.
	var app, version, tables int
	const q = `SELECT a.application_id, v.user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id AS a, pragma_user_version AS v`
	if err := h.QueryRowContext(ctx, q).Scan(&app, &version, &tables); err != nil {
		return corruptIfSo(err)
	}
	switch {
	case app == appID && version == len(steps):
		return nil
	case app == appID && version > len(steps):
		return fmt.Errorf("%w: its schema is version %d, this one knows %d", store.ErrNewer, version, len(steps))
	case app != appID && (app != 0 || version != 0):
		return fmt.Errorf("%w: application id %#x", store.ErrForeign, app)
	case app == 0 && tables > 0:
		return store.ErrForeign
	}
	if err := setWAL(ctx, h); err != nil {
		return corruptIfSo(err)
	}
	for i, step := range steps {
		if err := migrate(ctx, h, i, step); err != nil {
			return fmt.Errorf("migrate to version %d: %w", i+1, err)
		}
	}
	return nil
}

// setWAL sets the journal mode, which is a property of the file and cannot be set inside a
// transaction. SQLite does not wait for its busy timeout here: where two connections switch at
// once, each would wait for the other, and it ends one of them with SQLITE_BUSY. That one tries
// again, for as long.
func setWAL(ctx context.Context, h *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	for {
		var mode string
		err := h.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
		switch {
		case err == nil && mode == "wal":
			return nil
		case err == nil:
			return fmt.Errorf("the file system does not carry WAL mode (journal mode is %s)", mode)
		case primary(err) != lib.SQLITE_BUSY:
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// migrate brings a database of version from to the next one, if it still is of that version:
// another process may have done so meanwhile.
func migrate(ctx context.Context, h *sql.DB, from int, step string) error {
	tx, err := h.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var version int
	if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version != from {
		return nil
	}
	if _, err := tx.ExecContext(ctx, step); err != nil {
		return err
	}
	// Pragmas take no parameters; both values are ours.
	for _, pragma := range []string{"application_id = " + strconv.Itoa(appID), "user_version = " + strconv.Itoa(from+1)} {
		if _, err := tx.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// readMigrations returns the steps in order. Step n leads to version n+1 and its file name starts
// with that number.
func readMigrations() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	steps := make([]string, 0, len(names))
	for i, name := range names {
		if !strings.HasPrefix(filepath.Base(name), fmt.Sprintf("%04d_", i+1)) {
			return nil, fmt.Errorf("migration %s is out of sequence", name)
		}
		b, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(b))
	}
	return steps, nil
}
