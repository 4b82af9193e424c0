package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/store"
)

// addEntry puts something into the outbox, once, and returns its number.
func addEntry(ctx context.Context, t tx, kind string, d sallyport.Digest) (seq int64, err error) {
	err = t.row(ctx, `SELECT seq FROM entry WHERE kind = ? AND digest = ?`, kind, string(d)).Scan(&seq)
	if !errors.Is(err, sql.ErrNoRows) {
		return seq, err
	}
	if err := t.row(ctx, `INSERT INTO entry (kind, digest) VALUES (?, ?) RETURNING seq`, kind, string(d)).Scan(&seq); err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, `INSERT INTO entry_pending (seq) VALUES (?)`, seq)
	return seq, err
}

// AddEntry puts content into the store and its digest into the log's outbox, in one transaction.
// It is for what is logged beside decisions, such as revocations. The same content and kind
// again is kept once.
func (db *DB) AddEntry(ctx context.Context, kind string, body []byte) (store.Entry, error) {
	if len(body) > store.MaxBlob {
		return store.Entry{}, fmt.Errorf("add %s: %d bytes, the limit is %d", kind, len(body), store.MaxBlob)
	}
	e := store.Entry{Kind: kind}
	err := db.write(ctx, func(t tx) (err error) {
		if e.Digest, err = putBlob(ctx, t, body); err != nil {
			return err
		}
		e.Seq, err = addEntry(ctx, t, kind, e.Digest)
		return err
	})
	if err != nil {
		return store.Entry{}, fmt.Errorf("add %s: %w", kind, err)
	}
	return e, nil
}

// Pending returns the entries that the log is not known to hold, in the order in which they are
// to be appended, [store.MaxList] at most.
func (db *DB) Pending(ctx context.Context) ([]store.Entry, error) {
	return db.entries(ctx, "pending entries",
		`SELECT e.seq, e.kind, e.digest, NULL FROM entry_pending AS p JOIN entry AS e USING (seq)
		 ORDER BY p.seq LIMIT ?`, store.MaxList)
}

// Entries returns the newest entries, newest first, limit of them at most.
func (db *DB) Entries(ctx context.Context, limit int) ([]store.Entry, error) {
	return db.entries(ctx, "entries",
		`SELECT e.seq, e.kind, e.digest, l.log_index FROM entry AS e LEFT JOIN entry_logged AS l USING (seq)
		 ORDER BY e.seq DESC LIMIT ?`, min(max(limit, 0), store.MaxList))
}

// EntriesOf returns all entries of a kind, oldest first. More than [store.MaxList] is an error and
// not a part of them: what is left out might be what matters.
func (db *DB) EntriesOf(ctx context.Context, kind string) ([]store.Entry, error) {
	out, err := db.entries(ctx, "entries of kind "+kind,
		`SELECT e.seq, e.kind, e.digest, l.log_index FROM entry AS e LEFT JOIN entry_logged AS l USING (seq)
		 WHERE e.kind = ? ORDER BY e.seq LIMIT ?`, kind, store.MaxList+1)
	if err == nil && len(out) > store.MaxList {
		return nil, fmt.Errorf("entries of kind %s: there are more than %d", kind, store.MaxList)
	}
	return out, err
}

// Entry returns the entry of a kind for a digest.
func (db *DB) Entry(ctx context.Context, kind string, d sallyport.Digest) (store.Entry, error) {
	out, err := db.entries(ctx, "entry",
		`SELECT e.seq, e.kind, e.digest, l.log_index FROM entry AS e LEFT JOIN entry_logged AS l USING (seq)
		 WHERE e.kind = ? AND e.digest = ?`, kind, string(d))
	if err != nil {
		return store.Entry{}, err
	}
	if len(out) == 0 {
		return store.Entry{}, fmt.Errorf("entry %s %s: %w", kind, d.Short(), store.ErrNotFound)
	}
	return out[0], nil
}

func (db *DB) entries(ctx context.Context, what, query string, args ...any) ([]store.Entry, error) {
	out := []store.Entry{}
	rows, err := db.sql.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, corruptIfSo(err))
	}
	defer rows.Close()
	for rows.Next() {
		var e store.Entry
		var index sql.NullInt64
		if err := rows.Scan(&e.Seq, &e.Kind, &e.Digest, &index); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		e.Logged, e.Index = index.Valid, uint64(index.Int64)
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, corruptIfSo(err))
	}
	return out, nil
}

// Logged returns how many entries the log in force is known to hold below size.
func (db *DB) Logged(ctx context.Context, size uint64) (uint64, error) {
	var n uint64
	err := db.sql.QueryRowContext(ctx, `SELECT count(*) FROM entry_logged WHERE log_index < ?`, min(size, math.MaxInt64)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("logged entries: %w", corruptIfSo(err))
	}
	return n, nil
}

// Integrated notes that the log in force holds entry seq at index, and that it has had head. The
// same again changes nothing; another index for the entry, another entry at the index, or another
// root for the size is [store.ErrConflict].
func (db *DB) Integrated(ctx context.Context, seq int64, index uint64, head store.Head) error {
	err := db.write(ctx, func(t tx) error {
		if index > math.MaxInt64 || index >= head.Size {
			return fmt.Errorf("index %d is not in a log of size %d", index, head.Size)
		}
		if err := putHead(ctx, t, head); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `INSERT INTO entry_logged (seq, log_index) VALUES (?, ?) ON CONFLICT DO NOTHING`, seq, int64(index)); err != nil {
			return err
		}
		var got int64
		err := t.row(ctx, `SELECT log_index FROM entry_logged WHERE seq = ?`, seq).Scan(&got)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: index %d is another entry's", store.ErrConflict, index)
		}
		if err != nil {
			return err
		}
		if uint64(got) != index {
			return fmt.Errorf("%w: the log holds it at index %d", store.ErrConflict, got)
		}
		_, err = t.exec(ctx, `DELETE FROM entry_pending WHERE seq = ?`, seq)
		return err
	})
	if err != nil {
		return fmt.Errorf("note entry %d as logged at %d: %w", seq, index, err)
	}
	return nil
}

// putHead notes a state of the log in force.
func putHead(ctx context.Context, t tx, head store.Head) error {
	if len(head.Root) != 32 || head.Size > math.MaxInt64 {
		return fmt.Errorf("invalid log head: size %d, root of %d bytes", head.Size, len(head.Root))
	}
	var marker sql.NullInt64
	if err := t.row(ctx, `SELECT max(id) FROM log_marker`).Scan(&marker); err != nil {
		return err
	}
	if !marker.Valid {
		return fmt.Errorf("%w: no log is in force", store.ErrConflict)
	}
	var root []byte
	switch err := t.row(ctx, `SELECT root FROM log_head WHERE marker = ? AND size = ?`, marker.Int64, int64(head.Size)).Scan(&root); {
	case errors.Is(err, sql.ErrNoRows):
		_, err := t.exec(ctx, `INSERT INTO log_head (marker, size, root) VALUES (?, ?, ?)`, marker.Int64, int64(head.Size), head.Root)
		return err
	case err != nil:
		return err
	case !bytes.Equal(root, head.Root):
		return fmt.Errorf("%w: at size %d the log had the root %x, now %x", store.ErrConflict, head.Size, root, head.Root)
	}
	return nil
}

// MarkLog notes that a log exists from now on, in the given state. The same marker again (creation
// time aside) changes nothing; another one is [store.ErrConflict], since a log does not change
// its origin or its key.
func (db *DB) MarkLog(ctx context.Context, m store.Marker, head store.Head) error {
	err := db.write(ctx, func(t tx) error {
		if m.Origin == "" || m.VerifierKey == "" {
			return errors.New("origin or verifier key is missing")
		}
		if _, err := time.Parse(time.RFC3339, m.Created); err != nil {
			return err
		}
		got, ok, err := marker(ctx, t)
		switch {
		case err != nil:
			return err
		case ok && (got.Origin != m.Origin || got.VerifierKey != m.VerifierKey):
			return fmt.Errorf("%w: the log in force is %s", store.ErrConflict, got.VerifierKey)
		case !ok:
			if _, err := t.exec(ctx, `INSERT INTO log_marker (origin, verifier_key, created) VALUES (?, ?, ?)`,
				m.Origin, m.VerifierKey, m.Created); err != nil {
				return err
			}
		}
		return putHead(ctx, t, head)
	})
	if err != nil {
		return fmt.Errorf("mark log %s: %w", m.Origin, err)
	}
	return nil
}

// Marker returns the marker of the log that should exist. It is false if none was ever made.
func (db *DB) Marker(ctx context.Context) (store.Marker, bool, error) {
	m, ok, err := marker(ctx, db)
	if err != nil {
		return store.Marker{}, false, fmt.Errorf("log marker: %w", corruptIfSo(err))
	}
	return m, ok, nil
}

// A rower finds one row: a transaction, or the store outside of any.
type rower interface {
	row(ctx context.Context, query string, args ...any) scanner
}

func (db *DB) row(ctx context.Context, query string, args ...any) scanner {
	return db.sql.QueryRowContext(ctx, query, args...)
}

func marker(ctx context.Context, q rower) (m store.Marker, ok bool, err error) {
	err = q.row(ctx, `SELECT origin, verifier_key, created FROM log_marker ORDER BY id DESC LIMIT 1`).
		Scan(&m.Origin, &m.VerifierKey, &m.Created)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Marker{}, false, nil
	}
	return m, err == nil, err
}

// KnownHead returns the largest state that the log in force is known to have had. It is false if
// there is no such log.
func (db *DB) KnownHead(ctx context.Context) (store.Head, bool, error) {
	var h store.Head
	var size int64
	err := db.sql.QueryRowContext(ctx,
		`SELECT size, root FROM log_head WHERE marker = (SELECT max(id) FROM log_marker) ORDER BY size DESC LIMIT 1`).
		Scan(&size, &h.Root)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Head{}, false, nil
	}
	if err != nil {
		return store.Head{}, false, fmt.Errorf("known log head: %w", corruptIfSo(err))
	}
	h.Size = uint64(size)
	return h, true, nil
}
