package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/store"
	"github.com/sallyport-dev/sallyport/internal/store/sqlite"
	"github.com/sallyport-dev/sallyport/internal/tlog"
	"github.com/sallyport-dev/sallyport/internal/tlog/tessera"
)

// A logError says that the log cannot be relied on. Whatever was asked is shut.
type logError struct {
	code string // log-missing, log-rolled-back, log-rewritten, log-foreign or log-stale
	err  error
}

func (e logError) Error() string { return e.code + ": " + e.err.Error() }
func (e logError) Unwrap() error { return e.err }
func (e logError) Hint() string {
	return "restore the state folder from a backup; sallyport log status and docs/log.md say what is known. Until then nothing opens"
}

func asLogError(err error) error {
	for _, c := range []struct {
		sentinel error
		code     string
	}{
		{tlog.ErrMissing, "log-missing"}, {tlog.ErrRolledBack, "log-rolled-back"},
		{tlog.ErrRewritten, "log-rewritten"}, {tlog.ErrForeign, "log-foreign"}, {tlog.ErrUndated, "log-stale"},
	} {
		if errors.Is(err, c.sentinel) {
			return logError{c.code, err}
		}
	}
	return err
}

// state is the open store and the identity of the log.
type state struct {
	dir    string
	db     *sqlite.DB
	key    tlog.Key
	marker store.Marker
	known  *tlog.Head
	now    func() time.Time
}

// openState opens the store, and settles which log belongs to it. A log is created only where
// nothing says that there ever was one: no marker in the store, no decision, and no entry in the
// folder. want is the log that the configuration names; the zero Log means the local one.
func (w *workspace) openState(ctx context.Context, create bool) (_ *state, err error) {
	if err := durable.MkdirAll(w.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	_, statErr := os.Lstat(w.path("state.db"))
	if _, err := os.Lstat(w.path("log")); statErr != nil && errors.Is(statErr, fs.ErrNotExist) && err == nil {
		if err := w.adoptable(ctx); err != nil {
			return nil, err
		}
	}
	s := &state{dir: w.dir, now: w.app.now}
	if s.db, err = sqlite.Open(ctx, w.path("state.db")); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.db.Close()
		}
	}()
	m, marked, err := s.db.Marker(ctx)
	if err != nil {
		return nil, err
	}
	if !marked && !create {
		return nil, withHint(errors.New("there is no log here yet"), "sallyport log init, or sallyport check merge, makes it")
	}
	if !marked {
		if m, err = w.createLog(ctx, s.db, ""); err != nil {
			return nil, err
		}
	}
	s.marker = m
	if s.key, err = readLogKey(w.path("log.key")); err != nil {
		return nil, err
	}
	if s.key.Verifier != m.VerifierKey {
		return nil, logError{"log-foreign", fmt.Errorf("%s is not the key of the log %s", w.path("log.key"), m.Origin)}
	}
	if err := w.wanted(m); err != nil {
		return nil, err
	}
	h, ok, err := s.db.KnownHead(ctx)
	if err != nil {
		return nil, err
	}
	if ok {
		s.known = &tlog.Head{Size: h.Size, Root: h.Root}
	}
	return s, nil
}

// wanted compares the log with the one that the configuration names.
func (w *workspace) wanted(m store.Marker) error {
	if l := w.cfg.Log; !l.Local() && (l.URL == "" || l.Origin == m.Origin) && (l.Origin != m.Origin || l.Key != m.VerifierKey) {
		return logError{"log-foreign", fmt.Errorf("the configuration names the log %s with another key or origin than the one here, %s", l.Origin, m.Origin)}
	}
	return nil
}

// adoptable reports whether a log folder without a store beside it is a log that was just being
// made. Anything else is the remains of a state folder that lost its store.
func (w *workspace) adoptable(ctx context.Context) error {
	lost := logError{"log-missing", fmt.Errorf("%s is missing beside the log: the state folder lost its store", w.path("state.db"))}
	k, err := readLogKey(w.path("log.key"))
	if err != nil {
		return lost
	}
	st, err := tessera.NewReader(w.path("log"), k.Verifier).Check(ctx, nil)
	if err != nil || st.Head.Size != 0 {
		return lost
	}
	return nil
}

// createLog makes a log and marks in the store that it exists. A run that was killed in between
// leaves an empty log, which is taken over.
func (w *workspace) createLog(ctx context.Context, db *sqlite.DB, origin string) (_ store.Marker, err error) {
	if l := w.cfg.Log; !l.Local() && l.URL == "" {
		return store.Marker{}, logError{"log-missing", fmt.Errorf("the configuration names the log %s, and it is not here", l.Origin)}
	}
	if list, err := db.List(ctx, 1); err != nil {
		return store.Marker{}, err
	} else if len(list) > 0 {
		return store.Marker{}, logError{"log-missing", errors.New("the store holds decisions and knows of no log")}
	}
	lock, err := lockState(ctx, w.dir)
	if err != nil {
		return store.Marker{}, err
	}
	defer done(&err, lock.Release)
	if m, ok, err := db.Marker(ctx); err != nil || ok {
		return m, err // another process was faster
	}
	if origin == "" {
		var b [8]byte
		rand.Read(b[:]) // never fails: see crypto/rand
		origin = "sallyport.local/" + hex.EncodeToString(b[:])
	}
	k, err := ensureLogKey(w.path("log.key"), origin)
	if err != nil {
		return store.Marker{}, err
	}
	var head tlog.Head
	st, err := tessera.NewReader(w.path("log"), k.Verifier).Check(ctx, nil)
	switch {
	case errors.Is(err, tlog.ErrMissing):
		head, err = tessera.Create(ctx, w.path("log"), k.Origin, k.Signer)
	case err == nil && st.Head.Size > 0:
		err = logError{"log-missing", errors.New("there is a log with entries that the store knows nothing of: the store was lost")}
	case err == nil:
		head = st.Head
	}
	if err != nil {
		return store.Marker{}, asLogError(err)
	}
	m := store.Marker{Origin: k.Origin, VerifierKey: k.Verifier, Created: w.app.now().UTC().Format(time.RFC3339)}
	return m, db.MarkLog(ctx, m, store.Head{Size: head.Size, Root: head.Root})
}

// lockWait bounds how long a process waits for another one that is making the same state.
const lockWait = 10 * time.Second

func lockState(ctx context.Context, dir string) (*durable.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	return durable.Acquire(ctx, filepath.Join(dir, "lock"))
}

func readLogKey(path string) (tlog.Key, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return tlog.Key{}, logError{"log-missing", fmt.Errorf("the log's key %s is missing", path)}
	}
	if err != nil {
		return tlog.Key{}, fmt.Errorf("read the log's key: %w", err)
	}
	k, err := tlog.ParseKey(string(b))
	if err != nil {
		return tlog.Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

func ensureLogKey(path, origin string) (tlog.Key, error) {
	k, err := tlog.NewKey(origin)
	if err != nil {
		return tlog.Key{}, err
	}
	switch err := durable.CreateFile(path, []byte(k.Secret+"\n"), 0o600); {
	case errors.Is(err, fs.ErrExist):
		return readLogKey(path)
	case err != nil:
		return tlog.Key{}, fmt.Errorf("write the log's key: %w", err)
	}
	return k, nil
}

func (s *state) Close() error { return s.db.Close() }

// openLog opens the log for appending; nobody else can until it is closed.
func (s *state) openLog(ctx context.Context) (*tessera.Log, error) {
	dater, err := s.key.Dated(s.now)
	if err != nil {
		return nil, err
	}
	l, err := tessera.Open(ctx, filepath.Join(s.dir, "log"), tessera.Options{
		Origin: s.marker.Origin, Signer: s.key.Signer, VerifierKey: s.key.Verifier, Dater: dater, Known: s.known,
	})
	return l, asLogError(err)
}

// append puts everything that is pending into the log, oldest first: what this process recorded,
// and what a process that was killed could not.
func (s *state) append(ctx context.Context) (err error) {
	// Another process may have appended since this one opened the store.
	h, ok, err := s.db.KnownHead(ctx)
	if err != nil {
		return err
	}
	if ok {
		s.known = &tlog.Head{Size: h.Size, Root: h.Root}
	}
	l, err := s.openLog(ctx)
	if err != nil {
		return err
	}
	defer done(&err, l.Close)
	pending, err := s.db.Pending(ctx) // under the log's lock: nobody else appends them
	if err != nil {
		return err
	}
	if len(pending) == 0 {
		return nil
	}
	there, now, err := s.unnoted(ctx, l)
	if err != nil {
		return err
	}
	for _, e := range pending {
		index, ok := there[e.Digest]
		head := now
		if !ok {
			leaf, err := tlog.Leaf(e.Kind, e.Digest)
			if err != nil {
				return err
			}
			if index, head, err = l.Append(ctx, leaf); err != nil {
				return asLogError(err)
			}
		}
		if err := s.db.Integrated(ctx, e.Seq, index, store.Head{Size: head.Size, Root: head.Root}); err != nil {
			return err
		}
	}
	return nil
}

// unnoted returns the entries that the log holds and the store does not know to be there, by
// digest, and the log's head: a process that was killed after it appended left them.
func (s *state) unnoted(ctx context.Context, l *tessera.Log) (map[sallyport.Digest]uint64, tlog.Head, error) {
	st, err := l.Check(ctx, s.known)
	if err != nil {
		return nil, tlog.Head{}, asLogError(err)
	}
	found := map[sallyport.Digest]uint64{}
	from := uint64(0)
	if s.known != nil {
		from = s.known.Size
	}
	for from < st.Head.Size {
		entries, err := l.Entries(ctx, from, tessera.MaxEntries)
		if err != nil {
			return nil, tlog.Head{}, asLogError(err)
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			found[e.Digest] = e.Index
		}
		from += uint64(len(entries))
	}
	return found, st.Head, nil
}

// A recorder is engine.Recorder over the store and the log.
type recorder struct {
	*state
	heard    *[]negative // logged before the decision that they went into
	signer   *key.Key
	vsa      []byte                              // of the last decision
	keep     func(context.Context, []byte) error // makes a summary findable; nil if nobody may rely on it
	sets     []policy.Set
	settings []byte
}

func (w *workspace) recorder(ctx context.Context) (*recorder, error) {
	s, err := w.openState(ctx, true)
	if err != nil {
		return nil, err
	}
	if err := notBefore(ctx, s.db, w.app.now()); err != nil {
		s.Close()
		return nil, err
	}
	signer, err := w.verifierKey(ctx)
	if err != nil {
		s.Close()
		return nil, err
	}
	r := &recorder{state: s, heard: &w.heard, signer: signer, sets: w.sets, settings: w.data.Encode()}
	if len(r.advice(w.trust)) == 0 {
		r.keep = func(ctx context.Context, vsa []byte) error {
			_, err := w.evidenceDir().Put(ctx, vsa)
			return err
		}
	}
	return r, nil
}

// verifierVariable names the key that signs decisions, where it is not the one in the state folder:
// in a service or a token, out of reach of whoever can read that folder. Who sets it to a key of
// their own gains nothing, since later gates ask the trust roots.
const verifierVariable = "SALLYPORT_VERIFIER_KEY"

// verifierKey opens the key that signs decisions. The one in the state folder is made at the first
// use.
func (w *workspace) verifierKey(ctx context.Context) (*key.Key, error) {
	if ref := w.app.Getenv(verifierVariable); ref != "" {
		k, err := w.app.openKey(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", verifierVariable, err)
		}
		return k, nil
	}
	path := w.path("verifier.key")
	k, err := key.Load("file:"+path, nil)
	if errors.Is(err, key.ErrMissing) {
		if _, err := key.Generate(path, key.LocalLabel); err != nil && !errors.Is(err, key.ErrExists) {
			return nil, fmt.Errorf("make the verifier's key: %w", err)
		}
		k, err = key.Load("file:"+path, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("load the verifier's key: %w", err)
	}
	return k, nil
}

// advice says whether later gates may rely on this verifier: only if the trust roots name its
// key for verification summaries.
func (r *recorder) advice(trust []evidence.Key) []string {
	hint, err := evidence.Hint(r.signer.Public())
	if err == nil {
		for _, k := range trust {
			for _, t := range k.Types {
				if t == evidence.VSAType && k.Hint() == hint && k.Revoked == nil {
					return nil
				}
			}
		}
	}
	return []string{"the trust roots do not name this verifier's key, so later gates will not rely on it"}
}

// Record keeps the decision with all it was derived from in one transaction, then appends its
// digest to the log, and returns when both are durable.
func (r *recorder) Record(ctx context.Context, rec engine.Record) (engine.Receipt, error) {
	st, err := evidence.VSA(rec.Decision, rec.ID, evidence.VerifierID{
		ID: "https://sallyport.dev/verifier/" + r.signer.Fingerprint().Hex(), Version: map[string]string{"sallyport": Version()},
	}, aboutDecision(rec))
	if err != nil {
		return engine.Receipt{}, err
	}
	vsa, err := evidence.Sign(ctx, st, r.signer)
	if err != nil {
		return engine.Receipt{}, fmt.Errorf("sign the verification summary: %w", err)
	}
	row, err := store.NewRecord(rec.Decision, rec.Input, vsa, r.blobs()...)
	if err != nil {
		return engine.Receipt{}, err
	}
	if row.ID != rec.ID {
		return engine.Receipt{}, fmt.Errorf("the decision's digest is %s, not %s", row.ID, rec.ID)
	}
	if err := r.remember(ctx, *r.heard); err != nil {
		return engine.Receipt{}, err
	}
	if err := r.db.Record(ctx, row); err != nil {
		return engine.Receipt{}, err
	}
	if err := r.append(ctx); err != nil {
		return engine.Receipt{}, err
	}
	e, err := r.db.Entry(ctx, store.KindDecision, rec.ID)
	if err != nil {
		return engine.Receipt{}, err
	}
	if !e.Logged {
		return engine.Receipt{}, fmt.Errorf("decision %s is not in the log", rec.ID.Short())
	}
	// Later gates look for what this one decided where all evidence lies. A decision that is durable
	// already is none the worse if that fails, and yet its caller has to know.
	if r.keep != nil {
		if err := r.keep(ctx, vsa); err != nil {
			return engine.Receipt{}, fmt.Errorf("keep the verification summary: %w", err)
		}
	}
	r.vsa = vsa
	return engine.Receipt{ID: rec.ID, Origin: r.marker.Origin, Index: e.Index}, nil
}

// aboutDecision returns what the decision is about beside its subject. Of a merge: the tree, so that the
// summary of a squash that lands the same tree is found by it, and the target's tip that it was judged
// against. Of a release: its artifacts.
func aboutDecision(rec engine.Record) evidence.About {
	var in struct {
		Change struct {
			Base      sallyport.Digest `json:"base"`
			MergeTree sallyport.Digest `json:"merge_tree"`
		} `json:"change"`
		Artifacts []sallyport.Subject `json:"artifacts"`
		Trust     sallyport.Trust     `json:"trust"`
	}
	var about evidence.About
	if err := json.Unmarshal(rec.Input, &in); err != nil {
		return about
	}
	if in.Trust.Pinned {
		about.Root = in.Trust.Root
	}
	switch rec.Decision.Gate {
	case sallyport.GateMerge:
		about.Base = in.Change.Base
		if !in.Change.MergeTree.Zero() {
			about.Also = append(about.Also, sallyport.Subject{Digest: in.Change.MergeTree})
		}
	case sallyport.GateRelease:
		about.Also = in.Artifacts
	}
	return about
}

// blobs are what the decision names by digest and a later reader needs to derive it again: the
// policy sets and the settings.
func (r *recorder) blobs() [][]byte {
	var out [][]byte
	for _, s := range r.sets {
		out = append(out, s.Archive())
	}
	return append(out, r.settings)
}
