package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/run/record"
	"github.com/sallyport-dev/sallyport/internal/store"
	"github.com/sallyport-dev/sallyport/internal/store/sqlite"
	"github.com/sallyport-dev/sallyport/internal/tlog"
	"github.com/sallyport-dev/sallyport/internal/tlog/tessera"
)

// hearLog reads the ends of segments and the notes of erasures that the log holds. What it holds is
// for its tree to say: the store has the bytes, and who can write the store could call an entry
// something else, or take it away.
func (rs *records) hearLog(ctx context.Context) (err error) {
	_, stored := os.Lstat(rs.w.path("state.db"))
	_, logged := os.Lstat(rs.w.path("log"))
	switch missing := errors.Is(stored, fs.ErrNotExist); {
	case missing && errors.Is(logged, fs.ErrNotExist):
		return nil
	case missing:
		return rs.w.adoptable(ctx)
	}
	db, err := sqlite.Open(ctx, rs.w.path("state.db"))
	if err != nil {
		return err
	}
	defer done(&err, db.Close)
	m, marked, err := db.Marker(ctx)
	switch {
	case err != nil:
		return err
	case !marked && errors.Is(logged, fs.ErrNotExist):
		return nil
	case !marked:
		return rs.w.adoptable(ctx)
	}
	var known *tlog.Head
	if h, ok, err := db.KnownHead(ctx); err != nil {
		return err
	} else if ok {
		known = &tlog.Head{Size: h.Size, Root: h.Root}
	}
	st, err := tessera.Verify(ctx, rs.w.path("log"), m.VerifierKey, known)
	if err != nil {
		return asLogError(err)
	}
	r := tessera.NewReader(rs.w.path("log"), m.VerifierKey)
	for from := uint64(0); from < st.Head.Size; {
		entries, err := r.Entries(ctx, from, tessera.MaxEntries)
		if err != nil {
			return asLogError(err)
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			if err := rs.hearEntry(ctx, db, e); err != nil {
				return err
			}
		}
		from += uint64(len(entries))
	}
	return nil
}

func (rs *records) hearEntry(ctx context.Context, db *sqlite.DB, e tessera.Entry) error {
	if e.Kind != kindRecord && e.Kind != kindErasure {
		return nil
	}
	b, err := db.Blob(ctx, e.Digest)
	if err != nil {
		return withHint(fmt.Errorf("read the %s %s, entry %d of the log: %w", e.Kind, e.Digest.Short(), e.Index, err),
			"the store beside the log is not whole: restore it from a backup; sallyport log verify")
	}
	if e.Kind == kindErasure {
		n, err := record.ParseErasure(b)
		rs.noted = append(rs.noted, n)
		return err
	}
	c, err := record.ParseClosed(b)
	rs.closed = append(rs.closed, c)
	return err
}

// anchorRecord puts what ends the segments of one record, and the notes of what was erased from it,
// into the log. What is not a record, or does not verify, is not anchored: the log would vouch for it.
// A note that the log does not hold yet is taken only while all that it is about is still here, as when
// an erasure was killed before it destroyed anything: else the log would excuse afterwards what was
// destroyed without it.
func (w *workspace) anchorRecord(ctx context.Context, dir string) (n int, err error) {
	s, err := w.openState(ctx, true)
	if err != nil {
		return 0, err
	}
	defer done(&err, s.Close)
	var words []negative
	var noted []record.Erasure
	for pattern, kind := range map[string]string{"*.close": kindRecord, filepath.Join("erasures", "*.json"): kindErasure} {
		bodies, err := record.Bodies(dir, pattern)
		if err != nil {
			return 0, err
		}
		for _, b := range bodies {
			in, err := s.logged(ctx, kind, sallyport.SHA256(b))
			switch {
			case err != nil:
				return 0, err
			case !in:
				words = append(words, negative{kind, b})
			case kind == kindErasure:
				e, err := record.ParseErasure(b)
				if err != nil {
					return 0, err
				}
				noted = append(noted, e)
			}
		}
	}
	rep := record.Verify(dir, record.Expect{Log: true, Noted: noted})
	for _, p := range rep.Problems {
		if p.Code != record.Unsealed && !p.Unlogged {
			return 0, withHint(fmt.Errorf("%s is not anchored: %s at %s: %s", dir, p.Code, p.Place, p.Text), p.Next)
		}
	}
	if len(words) == 0 {
		return 0, nil
	}
	if err := s.remember(ctx, words); err != nil {
		return 0, err
	}
	return len(words), s.append(ctx)
}

// logged reports whether the store holds an entry as logged.
func (s *state) logged(ctx context.Context, kind string, d sallyport.Digest) (bool, error) {
	e, err := s.db.Entry(ctx, kind, d)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && e.Logged, err
}
