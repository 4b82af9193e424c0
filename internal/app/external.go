package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/store"
	"github.com/sallyport-dev/sallyport/internal/store/sqlite"
	"github.com/sallyport-dev/sallyport/internal/tlog"
	"github.com/sallyport-dev/sallyport/internal/tlog/remote"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A machine that keeps nothing, such as a CI runner, has no log of its own that anybody could
// rely on. The configuration names the log of somebody who keeps one, and where it is read. Then
// a check reads it whole before it decides: the checkpoint must be fresh, the entries must be
// those that it commits to, and for each entry that takes something back, the bundle must be
// here. So hiding a revocation is seen as the gap that it leaves.
//
// The check does not write there. Its decision is in the local log, as ever, is advice to later
// gates, and says so, until the log's owner adds its summary.

// summaryKind is the kind of log entries for decisions that were made elsewhere: the digest is that
// of the signed verification summary.
const summaryKind = "summary"

// external reads the log that the configuration names, if it is somebody else's, and notes what
// has to be among the evidence.
func (w *workspace) external(ctx context.Context) error {
	l := w.cfg.Log
	if l.Local() || l.URL == "" {
		return nil
	}
	mine, err := w.owns(ctx)
	if err != nil || mine {
		return err
	}
	w.opts.step("reading the log " + l.Origin)
	known, err := w.knownExternal()
	if err != nil {
		return err
	}
	r, err := remote.New(l.URL)
	if err != nil {
		return err
	}
	snap, err := r.Read(ctx, l.Key, known, append(allNegativeKinds(), kindReanchor)...)
	if err != nil {
		return externalHint(asLogError(err))
	}
	now := w.app.now()
	switch age := now.Sub(snap.Time); {
	case age > l.MaxAge():
		return stale("the newest checkpoint of the log %s is from %s, and may be %s old", l.Origin, snap.Time.Format(time.RFC3339), l.MaxAge())
	case age < -evidence.MaxSkew:
		return stale("the newest checkpoint of the log %s is from %s, which is in the future", l.Origin, snap.Time.Format(time.RFC3339))
	}
	if err := w.knowExternal(snap.Checkpoint.Head); err != nil {
		return err
	}
	w.negatives, w.anchored = splitAnchors(snap.Entries)
	w.elsewhere = true
	w.advice = append(w.advice, "this decision is in a log of this machine's own, and not in "+l.Origin+
		" until its owner adds it (sallyport explain DECISION --vsa; there: sallyport log add)")
	return nil
}

func stale(format string, args ...any) error {
	return withHint(logError{"log-stale", fmt.Errorf(format, args...)},
		"whoever keeps the log renews it: sallyport log checkpoint; until then nothing opens")
}

func externalHint(err error) error {
	var le logError
	if errors.As(err, &le) && le.code == "log-stale" {
		return stale("%v", le.err)
	}
	return withHint(err, "log: in "+configPath+" says which log is read, and where; docs/log.md says what each code means. Until it can be read nothing opens")
}

// owns reports whether the log that the configuration names is the one in the state folder.
func (w *workspace) owns(ctx context.Context) (_ bool, err error) {
	if _, err := os.Lstat(w.path("state.db")); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	db, err := sqlite.Open(ctx, w.path("state.db"))
	if err != nil {
		return false, err
	}
	defer done(&err, db.Close)
	m, ok, err := db.Marker(ctx)
	return ok && m.Origin == w.cfg.Log.Origin, err // with another key it is log-foreign, see wanted
}

// An externalHead is what is remembered of a log of somebody else's.
type externalHead struct {
	Key  string `json:"key"`
	Size uint64 `json:"size"`
	Root []byte `json:"root"`
}

const maxExternalHead = 8 << 10

// knownExternal returns the newest head that was relied on here. Where nothing is kept there is none.
func (w *workspace) knownExternal() (*tlog.Head, error) {
	b, err := os.ReadFile(w.path("external-log.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var h externalHead
	if err := strict.JSON(b, maxExternalHead, &h); err != nil {
		return nil, fmt.Errorf("read %s: %w", w.path("external-log.json"), err)
	}
	if h.Key != w.cfg.Log.Key { // another log was configured then
		return nil, nil
	}
	return &tlog.Head{Size: h.Size, Root: h.Root}, nil
}

func (w *workspace) knowExternal(h tlog.Head) error {
	b, err := json.Marshal(externalHead{w.cfg.Log.Key, h.Size, h.Root})
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(w.path("external-log.json")); err == nil && bytes.Equal(old, b) {
		return nil
	}
	if err := durable.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	return durable.WriteFile(w.path("external-log.json"), b, 0o600)
}

// complete adds to what was found the negative words of the log that are kept here, and fails if
// one of them is nowhere.
func (w *workspace) complete(ctx context.Context, found []sallyport.Attestation) ([]sallyport.Attestation, error) {
	if len(w.negatives) == 0 {
		return found, nil
	}
	have := map[sallyport.Digest]bool{}
	for _, a := range found {
		have[a.Digest()] = true
	}
	for _, e := range w.negatives {
		if have[e.Digest] {
			continue
		}
		raw, err := w.evidenceDir().Get(ctx, e.Digest)
		if err != nil {
			return nil, withHint(logError{"evidence-gap", fmt.Errorf("entry %d of the log %s is a %s, %s, that is not here: it may take back what would open the gate", e.Index, w.cfg.Log.Origin, e.Kind, e.Digest.Short())},
				"sallyport evidence fetch; if the remote does not have it, whoever keeps the log does: sallyport evidence push there")
		}
		have[e.Digest] = true
		found = append(found, sallyport.Attestation{Raw: raw, Source: fmt.Sprintf("%s %d of %s", e.Kind, e.Index, w.cfg.Log.Origin)})
	}
	return found, nil
}

// Added is what was put into the log.
type Added struct {
	Kind        string           `json:"kind"`
	Attestation sallyport.Digest `json:"attestation"`
	Index       uint64           `json:"index"`
	New         bool             `json:"new"`
}

// LogAdd puts verification summaries of decisions that were made elsewhere, and words that take
// something back, into the log: those in files, and, if here is set, each revocation and decline
// among the evidence here. Each must verify under the rules in force.
func (a *App) LogAdd(ctx context.Context, o Options, files []string, here bool) (added []Added, err error) {
	atts, err := readBundles(files)
	if err != nil {
		return nil, err
	}
	named := len(atts)
	added = []Added{}
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, w.Close)
	v, err := w.trusted(ctx)
	if err != nil {
		return nil, err
	}
	if here {
		err := w.eachHere(ctx, func(att sallyport.Attestation, err error) error {
			if err == nil {
				atts = append(atts, att)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var words []negative
	for i, att := range atts {
		ev, err := v.Verify(ctx, att)
		kind := ""
		if err == nil {
			if kind = w.loggedKind(ev); kind == "" && ev.Statement.PredicateType == evidence.VSAType && i < named {
				kind = summaryKind
			}
			if ev.Statement.PredicateType == predicate.ReanchorType && ev.Signer.Kind == sallyport.Workload && ev.Grade == sallyport.Observed {
				kind = kindReanchor
			}
		}
		switch {
		case kind != "":
			words = append(words, negative{kind, att.Raw})
		case i >= named:
		case err != nil:
			return nil, fmt.Errorf("%w: %s: %w", ErrRefused, att.Source, err)
		default:
			return nil, fmt.Errorf("%w: %s: it is neither a verification summary nor a word that takes something back", ErrRefused, att.Source)
		}
	}
	s, err := w.openState(ctx, false)
	if err != nil {
		return nil, err
	}
	defer done(&err, s.Close)
	isNew := map[sallyport.Digest]bool{}
	for _, n := range words {
		_, err := s.db.Entry(ctx, n.kind, sallyport.SHA256(n.raw))
		isNew[sallyport.SHA256(n.raw)] = errors.Is(err, store.ErrNotFound)
	}
	if err := s.remember(ctx, words); err != nil {
		return nil, err
	}
	if err := s.append(ctx); err != nil {
		return nil, err
	}
	for _, n := range words {
		e, err := s.db.Entry(ctx, n.kind, sallyport.SHA256(n.raw))
		if err != nil {
			return nil, err
		}
		if !e.Logged {
			return nil, fmt.Errorf("%s %s is not in the log", n.kind, e.Digest.Short())
		}
		added = append(added, Added{n.kind, e.Digest, e.Index, isNew[e.Digest]})
	}
	return added, nil
}

// Fresh is a checkpoint that was just signed.
type Fresh struct {
	Origin     string `json:"origin"`
	Size       uint64 `json:"size"`
	Time       string `json:"time"`
	Checkpoint string `json:"checkpoint"`
}

// LogCheckpoint appends what is pending and signs a checkpoint now.
func (a *App) LogCheckpoint(ctx context.Context, o Options) (f Fresh, err error) {
	err = a.withState(ctx, o, func(_ *workspace, s *state) error {
		if err := s.append(ctx); err != nil {
			return err
		}
		l, err := s.openLog(ctx)
		if err != nil {
			return err
		}
		defer done(&err, l.Close)
		cp, err := l.Refresh(ctx)
		if err != nil {
			return asLogError(err)
		}
		at, err := tlog.CheckpointTime([]byte(cp.Text), s.marker.VerifierKey)
		f = Fresh{cp.Origin, cp.Size, at.Format(time.RFC3339), cp.Text}
		return err
	})
	return f, err
}
