package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/run/record"
)

// A RecordLine is a record in a list.
type RecordLine struct {
	Run        string `json:"run,omitempty"`
	Gateway    string `json:"gateway,omitempty"`
	Record     string `json:"record"`
	Folder     string `json:"folder"`
	Agent      string `json:"agent,omitempty"`
	Operator   string `json:"operator,omitempty"`
	Repository string `json:"repository,omitempty"`
	Started    string `json:"started"`
	Sealed     bool   `json:"sealed"`
	Records    int64  `json:"records"` // as the seal says; 0 without one
	Error      string `json:"error,omitempty"`
}

// RecordList lists the records by their headers and seals. Verify says what they are worth.
func (a *App) RecordList(ctx context.Context, o Options, ro RecordOptions) (list []RecordLine, err error) {
	rs, err := a.openRecords(ctx, o, ro)
	if err != nil {
		return nil, err
	}
	defer done(&err, rs.Close)
	list = []RecordLine{}
	for _, f := range rs.folders {
		r, err := record.Open(f.path)
		if err != nil {
			list = append(list, RecordLine{Folder: f.path, Error: err.Error()})
			continue
		}
		h := r.Header()
		l := RecordLine{Run: h.Run, Gateway: h.Gateway, Record: r.ID().String(), Folder: f.path, Agent: h.Agent, Operator: h.Operator, Repository: h.Repository, Started: h.Started}
		switch s, err := r.Seal(); {
		case err != nil:
			l.Error = err.Error()
		case s != nil:
			l.Sealed, l.Records = true, s.Records
		}
		list = append(list, l)
	}
	slices.SortStableFunc(list, func(x, y RecordLine) int { return strings.Compare(x.Started, y.Started) })
	return list, nil
}

// RecordSearch hands each entry that the filter selects to found, record by record. A record that is
// not whole is read as far as it goes, and the error says so after all others were read.
func (a *App) RecordSearch(ctx context.Context, o Options, ro RecordOptions, f record.Filter, found func(*record.Reader, record.Entry) error, end func(*record.Reader) error) (err error) {
	rs, err := a.openRecords(ctx, o, ro)
	if err != nil {
		return err
	}
	defer done(&err, rs.Close)
	var broken error
	for _, folder := range rs.folders {
		r, err := record.Open(folder.path)
		if err == nil {
			err = searchRecord(ctx, r, f, found)
		}
		var told *foundError
		switch {
		case errors.As(err, &told):
			return told.err
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && broken == nil && !erasedWhole(r):
			broken = withHint(fmt.Errorf("%w: %s: %w", ErrRefused, folder.path, err), "sallyport record verify says what is wrong with it")
		}
		if r != nil && end != nil {
			if err := end(r); err != nil {
				return err
			}
		}
	}
	return broken
}

// erasedWhole reports whether the entries of a record were erased: then there is nothing to read.
func erasedWhole(r *record.Reader) bool {
	return r != nil && record.Verify(r.Dir(), record.Expect{}).Status == record.StatusErased
}

// foundError is the caller's own error, as opposed to one about the record.
type foundError struct{ err error }

func (e *foundError) Error() string { return e.err.Error() }

func searchRecord(ctx context.Context, r *record.Reader, f record.Filter, found func(*record.Reader, record.Entry) error) error {
	h := r.Header()
	for e, err := range r.Entries() {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !f.Match(&h, &e) {
			continue
		}
		if err := found(r, e); err != nil {
			return &foundError{err}
		}
	}
	return nil
}

// A RecordText is a text that an auditor's key opened.
type RecordText struct {
	record.CommitRef
	Text  string `json:"text,omitempty"`
	Error string `json:"error,omitempty"`
}

// RecordTexts opens the texts of an entry with the auditor's keys in a file.
func RecordTexts(r *record.Reader, e record.Entry, keys record.Identities) []RecordText {
	out := []RecordText{}
	for _, c := range e.Commits {
		t := RecordText{CommitRef: c}
		b, err := r.Text(c, keys)
		if err != nil {
			t.Error = err.Error()
		}
		t.Text = string(b)
		out = append(out, t)
	}
	return out
}

// ReadAuditor reads an auditor's private keys.
func (a *App) ReadAuditor(path string) (record.Identities, error) {
	src := a.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, withHint(fmt.Errorf("read the auditor's key: %w", err), "age-keygen makes one; its public half is the record's auditor")
		}
		defer f.Close()
		src = f
	}
	return record.ParseIdentities(src)
}

// EraseOptions say what is erased of records.
type EraseOptions struct {
	By, Reason string
	Salts      bool
	Filter     record.Filter
}

// An ErasedLine says what was erased of one record.
type ErasedLine struct {
	Run     string `json:"run,omitempty"`
	Gateway string `json:"gateway,omitempty"`
	Folder  string `json:"folder"`
	Texts   int    `json:"texts"`
	Whole   bool   `json:"whole"`
}

// RecordErase destroys texts, and salts if asked, and anchors the notes of it before anything is gone.
func (a *App) RecordErase(ctx context.Context, o Options, ro RecordOptions, eo EraseOptions) (list []ErasedLine, err error) {
	rs, order, err := a.eraser(ctx, o, ro, eo)
	if err != nil {
		return nil, err
	}
	defer done(&err, rs.Close)
	list = []ErasedLine{}
	for _, f := range rs.folders {
		r, err := record.Open(f.path)
		if err != nil {
			return list, err
		}
		h := r.Header()
		order.Match = func(e record.Entry, _ record.CommitRef) bool { return eo.Filter.Match(&h, &e) }
		n, err := record.Erase(f.path, order)
		if err != nil {
			return list, eraseHint(err)
		}
		if n > 0 {
			list = append(list, ErasedLine{h.Run, h.Gateway, f.path, n, false})
		}
	}
	return list, nil
}

// eraser opens the records, and makes the order that erases from them: each note goes into the log
// before what it is about is gone.
func (a *App) eraser(ctx context.Context, o Options, ro RecordOptions, eo EraseOptions) (*records, record.Order, error) {
	order := record.Order{By: eo.By, Reason: eo.Reason, Salts: eo.Salts, Now: a.now()}
	rs, err := a.openRecords(ctx, o, ro)
	if err != nil {
		return nil, order, err
	}
	if rs.w == nil {
		return nil, order, errors.New("outside a repository there is no log that could hold a note of what is erased: name one with --repo")
	}
	if err := rs.w.findTip(ctx); err == nil {
		if err := rs.w.governed(ctx, ""); err != nil {
			return nil, order, errors.Join(err, rs.Close())
		}
	}
	order.Noted = func(_ record.Erasure, b []byte) (err error) {
		s, err := rs.w.openState(ctx, true)
		if err != nil {
			return err
		}
		defer done(&err, s.Close)
		if err := s.remember(ctx, []negative{{kindErasure, b}}); err != nil {
			return err
		}
		return s.append(ctx)
	}
	order.Logged = func(d sallyport.Digest) (in bool, err error) {
		s, err := rs.w.openState(ctx, true)
		if err != nil {
			return false, err
		}
		defer done(&err, s.Close)
		return s.logged(ctx, kindErasure, d)
	}
	return rs, order, nil
}

// eraseHint says what to do about a note that the log does not hold.
func eraseHint(err error) error {
	if errors.Is(err, record.ErrUnlogged) {
		return withHint(fmt.Errorf("%w: %w", ErrRefused, err), "sallyport record verify; if the erasure was yours and was interrupted, sallyport record anchor puts the note into the log; else move the note away")
	}
	return err
}

// RetentionOptions say what is too old to be kept. A zero duration keeps for ever.
type RetentionOptions struct {
	By      string
	Reason  string
	Texts   time.Duration // texts of older entries are erased
	Records time.Duration // the entries of records that were sealed longer ago are erased
}

// RecordPrune erases what is older than it is kept.
func (a *App) RecordPrune(ctx context.Context, o Options, ro RecordOptions, po RetentionOptions) (list []ErasedLine, err error) {
	rs, order, err := a.eraser(ctx, o, ro, EraseOptions{By: po.By, Reason: po.Reason})
	if err != nil {
		return nil, err
	}
	defer done(&err, rs.Close)
	list = []ErasedLine{}
	for _, f := range rs.folders {
		r, err := record.Open(f.path)
		if err != nil {
			return list, err
		}
		line := ErasedLine{Run: r.Header().Run, Gateway: r.Header().Gateway, Folder: f.path}
		status := record.Verify(f.path, record.Expect{})
		if status.Status == record.StatusErased {
			continue
		}
		seal, err := r.Seal()
		if err != nil {
			return list, err
		}
		if old, err := sealedBefore(seal, po.Records, order.Now); err != nil {
			return list, err
		} else if old {
			if !status.OK() && !onlyUnfinished(status) {
				return list, withHint(fmt.Errorf("%w: %s is not erased: %s at %s", ErrRefused, f.path, status.Problems[0].Code, status.Problems[0].Place), "sallyport record verify; what is wrong with a record has to be explained before it goes")
			}
			if err := record.EraseRecord(f.path, order); err != nil {
				return list, eraseHint(err)
			}
			line.Whole = true
			list = append(list, line)
			continue
		}
		if po.Texts > 0 {
			limit := order.Now.Add(-po.Texts)
			order.Match = func(e record.Entry, _ record.CommitRef) bool { return e.Time.Before(limit) }
			if line.Texts, err = record.Erase(f.path, order); err != nil {
				return list, eraseHint(err)
			}
			if line.Texts > 0 {
				list = append(list, line)
			}
		}
	}
	return list, nil
}

// onlyUnfinished reports whether all that is wrong is an erasure that was interrupted.
func onlyUnfinished(r record.Report) bool {
	return !slices.ContainsFunc(r.Problems, func(p record.Problem) bool { return p.Code != record.Gap || p.Place != record.ErasuresPlace })
}

func sealedBefore(s *record.Seal, keep time.Duration, now time.Time) (bool, error) {
	if s == nil || keep <= 0 {
		return false, nil
	}
	at, err := time.Parse(time.RFC3339, s.Sealed)
	return at.Before(now.Add(-keep)), err
}
