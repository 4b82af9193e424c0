package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/store"
)

// Record keeps r, its blobs, and the log entry that it calls for, in one transaction, and returns
// once they are durable. The same record again is kept once. The first verification summary
// stays: a second signature over the same decision says nothing new.
func (db *DB) Record(ctx context.Context, r store.Record) error {
	if err := r.Check(); err != nil {
		return fmt.Errorf("record decision: %w", err)
	}
	err := db.write(ctx, func(t tx) error {
		for _, b := range r.Blobs {
			if _, err := putBlob(ctx, t, b); err != nil {
				return err
			}
		}
		input, err := putOptional(ctx, t, r.Input)
		if err != nil {
			return err
		}
		var body []byte
		switch err := t.row(ctx, `SELECT body FROM decision WHERE id = ?`, string(r.ID)).Scan(&body); {
		case err == nil && bytes.Equal(body, r.Body):
			return nil
		case err == nil:
			return fmt.Errorf("%w: decision %s has another body", store.ErrConflict, r.ID)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		vsa, err := putOptional(ctx, t, r.VSA)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx,
			`INSERT INTO decision (id, gate, subject, outcome, time, body, input, vsa) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			string(r.ID), string(r.Gate), string(r.Subject), r.Outcome.String(), r.Time, r.Body, input, vsa); err != nil {
			return err
		}
		_, err = addEntry(ctx, t, store.KindDecision, r.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("record decision %s: %w", r.ID.Short(), err)
	}
	return nil
}

func putOptional(ctx context.Context, t tx, b []byte) (any, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d, err := putBlob(ctx, t, b)
	return string(d), err
}

func putBlob(ctx context.Context, t tx, b []byte) (sallyport.Digest, error) {
	d := sallyport.SHA256(b)
	if b == nil {
		b = []byte{} // nil would be NULL
	}
	_, err := t.exec(ctx, `INSERT INTO blob (digest, body) VALUES (?, ?) ON CONFLICT DO NOTHING`, string(d), b)
	return d, err
}

// PutBlob keeps b and returns its digest, once it is durable.
func (db *DB) PutBlob(ctx context.Context, b []byte) (sallyport.Digest, error) {
	if len(b) > store.MaxBlob {
		return "", fmt.Errorf("put blob: %d bytes, the limit is %d", len(b), store.MaxBlob)
	}
	var d sallyport.Digest
	err := db.writeOne(ctx, func(t tx) (err error) {
		d, err = putBlob(ctx, t, b)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("put blob: %w", err)
	}
	return d, nil
}

// Blob returns the content with digest d, having hashed it. Content that is not what d says is
// [store.ErrCorrupt].
func (db *DB) Blob(ctx context.Context, d sallyport.Digest) ([]byte, error) {
	var b []byte
	err := db.sql.QueryRowContext(ctx, `SELECT body FROM blob WHERE digest = ?`, string(d)).Scan(&b)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("blob %s: %w", d, store.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("blob %s: %w", d, corruptIfSo(err))
	}
	if got := sallyport.SHA256(b); got != d {
		return nil, fmt.Errorf("blob %s: %w: its content is %s", d, store.ErrCorrupt, got)
	}
	return b, nil
}

const summaryColumns = `seq, id, gate, subject, outcome, time`

type scanner interface{ Scan(...any) error }

func scanSummary(row scanner) (store.Summary, error) {
	var s store.Summary
	var outcome string
	if err := row.Scan(&s.Seq, &s.ID, &s.Gate, &s.Subject, &outcome, &s.Time); err != nil {
		return store.Summary{}, err
	}
	if err := s.Outcome.UnmarshalText([]byte(outcome)); err != nil {
		return store.Summary{}, fmt.Errorf("%w: decision %s: %w", store.ErrCorrupt, s.ID, err)
	}
	return s, nil
}

// Decision returns the decision with the given id, without its Blobs. The id may be shortened:
// "sha256:" may be left out, and so may all but the first [store.MinPrefix] or more hex digits
// as long as only one decision fits.
func (db *DB) Decision(ctx context.Context, idOrPrefix string) (store.Record, error) {
	id, err := db.resolve(ctx, idOrPrefix)
	if err != nil {
		return store.Record{}, fmt.Errorf("decision %q: %w", idOrPrefix, err)
	}
	r, err := db.load(ctx, id)
	if err != nil {
		return store.Record{}, fmt.Errorf("decision %s: %w", id, err)
	}
	return r, nil
}

// resolve completes a shortened id.
func (db *DB) resolve(ctx context.Context, s string) (sallyport.Digest, error) {
	hex := strings.TrimPrefix(s, "sha256:")
	if len(hex) < store.MinPrefix || len(hex) > 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%w: an id is at least %d lower-case hex digits", store.ErrNotFound, store.MinPrefix)
	}
	// "g" sorts after every hex digit, so that this is a range of the index.
	rows, err := db.sql.QueryContext(ctx, `SELECT id FROM decision WHERE id >= ? AND id < ? LIMIT 2`, "sha256:"+hex, "sha256:"+hex+"g")
	if err != nil {
		return "", corruptIfSo(err)
	}
	defer rows.Close()
	var ids []sallyport.Digest
	for rows.Next() {
		var id sallyport.Digest
		if err := rows.Scan(&id); err != nil {
			return "", err
		}
		ids = append(ids, id)
	}
	switch err := rows.Err(); {
	case err != nil:
		return "", corruptIfSo(err)
	case len(ids) == 0:
		return "", store.ErrNotFound
	case len(ids) > 1:
		return "", store.ErrAmbiguous
	}
	return ids[0], nil
}

// load reads a decision and what it refers to, and checks it against its digests.
func (db *DB) load(ctx context.Context, id sallyport.Digest) (store.Record, error) {
	var r store.Record
	var outcome string
	var input, vsa sql.NullString
	err := db.sql.QueryRowContext(ctx,
		`SELECT id, gate, subject, outcome, time, body, input, vsa FROM decision WHERE id = ?`, string(id)).
		Scan(&r.ID, &r.Gate, &r.Subject, &outcome, &r.Time, &r.Body, &input, &vsa)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Record{}, store.ErrNotFound
	}
	if err != nil {
		return store.Record{}, corruptIfSo(err)
	}
	if err := r.Outcome.UnmarshalText([]byte(outcome)); err != nil {
		return store.Record{}, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	for _, part := range []struct {
		digest sql.NullString
		into   *[]byte
	}{{input, &r.Input}, {vsa, &r.VSA}} {
		if !part.digest.Valid {
			continue
		}
		if *part.into, err = db.Blob(ctx, sallyport.Digest(part.digest.String)); err != nil {
			return store.Record{}, err
		}
	}
	if err := r.Check(); err != nil {
		return store.Record{}, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return r, nil
}

// Latest returns the newest decision of a gate about subject.
func (db *DB) Latest(ctx context.Context, gate sallyport.Gate, subject sallyport.Digest) (store.Record, error) {
	var id sallyport.Digest
	err := db.sql.QueryRowContext(ctx,
		`SELECT id FROM decision WHERE subject = ? AND gate = ? ORDER BY seq DESC LIMIT 1`, string(subject), string(gate)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	var r store.Record
	if err == nil {
		r, err = db.load(ctx, id)
	}
	if err != nil {
		return store.Record{}, fmt.Errorf("latest %s decision about %s: %w", gate, subject.Short(), corruptIfSo(err))
	}
	return r, nil
}

// List returns the newest decisions, newest first, limit of them at most.
func (db *DB) List(ctx context.Context, limit int) ([]store.Summary, error) {
	out := []store.Summary{}
	rows, err := db.sql.QueryContext(ctx,
		`SELECT `+summaryColumns+` FROM decision ORDER BY seq DESC LIMIT ?`, min(max(limit, 0), store.MaxList))
	if err != nil {
		return nil, fmt.Errorf("list decisions: %w", corruptIfSo(err))
	}
	defer rows.Close()
	for rows.Next() {
		s, err := scanSummary(rows)
		if err != nil {
			return nil, fmt.Errorf("list decisions: %w", err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list decisions: %w", corruptIfSo(err))
	}
	return out, nil
}
