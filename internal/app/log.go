package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/store"
	"github.com/sallyport-dev/sallyport/internal/store/sqlite"
	"github.com/sallyport-dev/sallyport/internal/tlog"
	"github.com/sallyport-dev/sallyport/internal/tlog/tessera"
)

// LogState is what is known of the log.
type LogState struct {
	Origin    string `json:"origin"`
	Key       string `json:"key"` // public
	Size      uint64 `json:"size"`
	Root      string `json:"root"` // hex
	Pending   int    `json:"pending"`
	Decisions uint64 `json:"decisions,omitempty"`
}

// withState opens the workspace and its store, without what governs it.
func (a *App) withState(ctx context.Context, o Options, use func(*workspace, *state) error) (err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return err
	}
	defer done(&err, w.Close)
	if _, err := os.Lstat(w.path("state.db")); errors.Is(err, os.ErrNotExist) {
		if _, err := os.Lstat(w.path("log")); err != nil {
			return withHint(fmt.Errorf("nothing is recorded in %s yet", w.dir), "sallyport check merge, or sallyport log init")
		}
	}
	// Which log it should be is the configuration's to say. Where none can be read, what is here
	// is looked at all the same: these commands open no gate.
	if err := w.findTip(ctx); err == nil {
		if err := w.governed(ctx, ""); err != nil {
			w.cfg = config.Default()
		}
	}
	s, err := w.openState(ctx, false)
	if err != nil {
		return err
	}
	defer done(&err, s.Close)
	return use(w, s)
}

// LogInit creates the log of a state folder.
func (a *App) LogInit(ctx context.Context, o Options, origin string) (_ LogState, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return LogState{}, err
	}
	defer done(&err, w.Close)
	if err := durable.MkdirAll(w.dir, 0o700); err != nil {
		return LogState{}, fmt.Errorf("make the state folder: %w", err)
	}
	db, err := sqlite.Open(ctx, w.path("state.db"))
	if err != nil {
		return LogState{}, err
	}
	defer done(&err, db.Close)
	if m, ok, err := db.Marker(ctx); err != nil {
		return LogState{}, err
	} else if ok {
		return LogState{}, withHint(fmt.Errorf("there is a log already: %s", m.Origin), "sallyport log status")
	}
	m, err := w.createLog(ctx, db, origin)
	return LogState{Origin: m.Origin, Key: m.VerifierKey}, err
}

// LogStatus checks the log cheaply and says what it is.
func (a *App) LogStatus(ctx context.Context, o Options) (ls LogState, err error) {
	err = a.withState(ctx, o, func(_ *workspace, s *state) error {
		st, err := tessera.NewReader(s.path("log"), s.marker.VerifierKey).Check(ctx, s.known)
		if err != nil {
			return asLogError(err)
		}
		pending, err := s.db.Pending(ctx)
		ls = s.logState(st.Head)
		ls.Pending = len(pending)
		return err
	})
	return ls, err
}

func (s *state) logState(h tlog.Head) LogState {
	return LogState{Origin: s.marker.Origin, Key: s.marker.VerifierKey, Size: h.Size, Root: hex.EncodeToString(h.Root)}
}

// LogVerify reads the whole log and compares it with the store: each entry that the store holds
// as logged stands at its index, and each entry of the log is in the store.
func (a *App) LogVerify(ctx context.Context, o Options) (ls LogState, err error) {
	err = a.withState(ctx, o, func(_ *workspace, s *state) error {
		rep, err := tessera.Verify(ctx, s.path("log"), s.marker.VerifierKey, s.known)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, asLogError(err))
		}
		ls = s.logState(rep.Head)
		ls.Decisions = rep.Kinds[store.KindDecision]
		return s.compare(ctx, rep.Head.Size)
	})
	return ls, err
}

// compare walks the log and looks each entry up in the store. An entry may stand in the log twice:
// a process that was killed between appending it and noting so leaves one that the store does
// not know to be there, and the next process appends it again. One of them is where the store
// says.
func (s *state) compare(ctx context.Context, size uint64) error {
	// Counted first: a process that appends meanwhile can only make more of them be found.
	logged, err := s.db.Logged(ctx, size)
	if err != nil {
		return err
	}
	found := uint64(0)
	r := tessera.NewReader(s.path("log"), s.marker.VerifierKey)
	for from := uint64(0); from < size; {
		entries, err := r.Entries(ctx, from, tessera.MaxEntries)
		if err != nil {
			return asLogError(err)
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			row, err := s.db.Entry(ctx, e.Kind, e.Digest)
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("%w: log entry %d (%s %s) is not in the store", ErrRefused, e.Index, e.Kind, e.Digest.Short())
			}
			if err != nil {
				return err
			}
			if row.Logged && row.Index == e.Index {
				found++
			}
			if e.Kind == store.KindDecision {
				if _, err := s.db.Decision(ctx, string(e.Digest)); err != nil {
					return fmt.Errorf("%w: decision of log entry %d: %w", ErrRefused, e.Index, err)
				}
			}
		}
		from += uint64(len(entries))
	}
	if found < logged {
		return fmt.Errorf("%w: the store holds %d entries as logged, %d of them stand where it says", ErrRefused, logged, found)
	}
	return nil
}

func (s *state) path(name string) string { return s.dir + string(os.PathSeparator) + name }

// LogProve returns a proof that the log holds a decision, a summary that was added, or a reanchoring. It waits for a checkpoint.
func (a *App) LogProve(ctx context.Context, o Options, id string) (p tlog.Proof, err error) {
	err = a.withState(ctx, o, func(_ *workspace, s *state) error {
		kind, about := store.KindDecision, sallyport.Digest(id)
		var e store.Entry
		for _, other := range []string{summaryKind, kindReanchor} {
			if found, err := s.db.Entry(ctx, other, about); err == nil {
				kind, e = other, found
			}
		}
		if kind == store.KindDecision {
			rec, err := s.db.Decision(ctx, id)
			if err != nil {
				return withHint(err, "sallyport log tail lists decisions")
			}
			about = rec.ID
			if e, err = s.db.Entry(ctx, kind, about); err != nil {
				return err
			}
		}
		if !e.Logged {
			if err := s.append(ctx); err != nil {
				return err
			}
			if e, err = s.db.Entry(ctx, kind, about); err != nil {
				return err
			}
		}
		l, err := s.openLog(ctx)
		if err != nil {
			return err
		}
		defer done(&err, l.Close)
		p, err = l.Prove(ctx, e.Index)
		return asLogError(err)
	})
	return p, err
}

// Proven is what a verified proof shows.
type Proven struct {
	Origin   string
	Index    uint64
	TreeSize uint64
	Kind     string
	Digest   sallyport.Digest
}

// VerifyProof verifies a proof with nothing but the log's public key. about may be zero, or the
// decision that the proof must be about.
func VerifyProof(b []byte, verifierKey string, about sallyport.Digest) (Proven, error) {
	p, err := tlog.ParseProof(b)
	if err != nil {
		return Proven{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	kind, d, err := tlog.ParseLeaf([]byte(p.Leaf))
	if err != nil {
		return Proven{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if !about.Zero() && (d != about || kind != store.KindDecision) {
		return Proven{}, fmt.Errorf("%w: the proof is about %s %s, not decision %s", ErrRefused, kind, d, about)
	}
	if err := tlog.VerifyProof(p, []byte(p.Leaf), verifierKey); err != nil {
		return Proven{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return Proven{Origin: p.Origin, Index: p.Index, TreeSize: p.TreeSize, Kind: kind, Digest: d}, nil
}

// LogLine is one decision of the log's tail.
type LogLine struct {
	// Index is null for a decision that was recorded by a process that ended before it could
	// append it: nobody was told of it, and the next process that writes appends it.
	Index   *uint64           `json:"index"`
	Time    string            `json:"time"`
	Gate    sallyport.Gate    `json:"gate"`
	Outcome sallyport.Outcome `json:"outcome"`
	ID      sallyport.Digest  `json:"id"`
	Subject sallyport.Digest  `json:"subject"`
}

// LogTail returns the newest n decisions, oldest first.
func (a *App) LogTail(ctx context.Context, o Options, n int) (lines []LogLine, err error) {
	err = a.withState(ctx, o, func(_ *workspace, s *state) error {
		list, err := s.db.List(ctx, n)
		if err != nil {
			return err
		}
		for _, d := range list {
			e, err := s.db.Entry(ctx, store.KindDecision, d.ID)
			if err != nil {
				return err
			}
			line := LogLine{Time: d.Time, Gate: d.Gate, Outcome: d.Outcome, ID: d.ID, Subject: d.Subject}
			if e.Logged {
				line.Index = &e.Index
			}
			lines = append(lines, line)
		}
		slices.Reverse(lines)
		return nil
	})
	return lines, err
}
