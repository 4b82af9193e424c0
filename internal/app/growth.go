package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// Bounds of what one push adds to the evidence ref.
const (
	maxGrowth     = 500
	maxGrowthSize = 64 << 20
	maxRefFiles   = 1 << 20 // of the whole ref, as far as a server lists it
)

// grows refuses a push to the evidence ref that would take something away that counts, or leave there what a
// check cannot read or has no use for. The ref is not gated, since evidence has to come before
// the change, so whoever may push at all could otherwise remove an objection or a revocation,
// keep every check from deciding, or fill the ref for those who come later. History does not
// matter: the union of two trees may replace either.
func (w *workspace) grows(ctx context.Context, p push) error {
	if isZeroID(p.after) {
		return errors.New("evidence is not deleted")
	}
	v, err := w.serverVerifier(ctx)
	if err != nil {
		return err
	}
	after, err := w.listRef(ctx, p.after)
	if err != nil {
		return err
	}
	var before []git.Entry
	if !isZeroID(p.before) {
		if before, err = w.listRef(ctx, p.before); err != nil {
			return err
		}
	}
	if err := w.losesEvidence(ctx, v, before, after); err != nil {
		return err
	}
	if err := w.addsEvidence(ctx, v, before, after); err != nil || len(w.heard) == 0 {
		return err
	}
	// What takes something back is in the log as soon as the server has it, and not only once a
	// check has read it.
	return w.logHeard(ctx)
}

// logHeard remembers the words that were verified, under the configuration of the default branch.
func (w *workspace) logHeard(ctx context.Context) (err error) {
	cfg, err := w.serverConfig(ctx)
	if err != nil {
		return err
	}
	if cfg != nil {
		w.cfg = *cfg
	}
	s, err := w.openState(ctx, true)
	if err != nil {
		return err
	}
	defer done(&err, s.Close)
	if err := s.remember(ctx, w.heard); err != nil {
		return err
	}
	return s.append(ctx)
}

// listRef lists a commit of the evidence ref.
func (w *workspace) listRef(ctx context.Context, tip string) ([]git.Entry, error) {
	all, err := w.repo.Ls(ctx, tip, "")
	if err == nil && len(all) > maxRefFiles {
		err = flooded("%d files, the limit is %d", len(all), maxRefFiles)
	}
	return all, err
}

// byPath returns the blobs of a listing by path, and by blob how many files of the top folder it is.
func byPath(entries []git.Entry) (paths map[string]string, flat map[string]int) {
	paths, flat = map[string]string{}, map[string]int{}
	for _, e := range entries {
		paths[e.Path] = e.OID
		if isFlat(e) {
			flat[e.OID]++
		}
	}
	return paths, flat
}

// isFlat reports whether a file lies in the top folder, where the first layout had everything.
func isFlat(e git.Entry) bool {
	for i := range len(e.Path) {
		if e.Path[i] == '/' {
			return false
		}
	}
	return true
}

// losesEvidence refuses a tree in which an attestation that counts here would no longer be found:
// it is gone, or left only under names where nobody looks. What no key here can have signed may
// go, which is how a ref that was flooded is cleared.
func (w *workspace) losesEvidence(ctx context.Context, v *evidence.Verifier, before, after []git.Entry) error {
	paths, flat := byPath(after)
	var gone []git.Entry
	seen, all := map[string]bool{}, map[string]bool{}
	for _, e := range before {
		all[e.OID] = true
		if (paths[e.Path] == e.OID || flat[e.OID] > 0) || seen[e.OID] {
			continue
		}
		seen[e.OID] = true
		gone = append(gone, e)
	}
	oids := make([]string, len(gone))
	for i, e := range gone {
		oids[i] = e.OID
	}
	lost := 0
	err := w.repo.Blobs(ctx, oids, maxBundle, func(i int, raw []byte, err error) error {
		switch {
		case errors.Is(err, git.ErrTooLarge): // nothing of ours is
		case err != nil:
			lost++ //nolint:nilerr // it cannot be told what it was, and that counts as lost
		case movedHome(gone[i].OID, raw, paths):
		case v == nil || !junk(ctx, v, raw):
			lost++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if lost > 0 {
		return withHint(fmt.Errorf("%d of %d attestations on the server would be lost", lost, len(all)),
			"sallyport evidence push adds to what the server holds")
	}
	return nil
}

// movedHome reports whether a blob lies at each of its own places now.
func movedHome(oid string, raw []byte, paths map[string]string) bool {
	places, err := evidence.RefPaths(raw)
	if err != nil {
		return false
	}
	for _, p := range places {
		if paths[p] != oid {
			return false
		}
	}
	return true
}

// junk reports whether raw can not count under any trust roots that hold these keys: it is no
// attestation, or signed by nobody whom they name. A key that has expired, or may not sign this
// type today, is somebody's.
func junk(ctx context.Context, v engine.Verifier, raw []byte) bool {
	_, err := v.Verify(ctx, sallyport.Attestation{Raw: raw})
	return errors.Is(err, evidence.ErrBundle) || errors.Is(err, evidence.ErrSignature) || errors.Is(err, evidence.ErrUnknownKey) || errors.Is(err, evidence.ErrStatement)
}

// addsEvidence refuses files that are new on the evidence ref unless each is an attestation at a
// place of its own that verifies under the trust roots in force on the server, if it has any.
func (w *workspace) addsEvidence(ctx context.Context, v *evidence.Verifier, before, after []git.Entry) error {
	_, had := byPath(before)
	was, _ := byPath(before)
	_, has := byPath(after)
	var oids []string
	places := map[string][]string{} // of what is new, by content
	for _, e := range after {
		name := sallyport.Path(e.Path).String()
		if isFlat(e) && has[e.OID] > max(1, had[e.OID]) {
			return fmt.Errorf("%s is there %d times under several names", name, has[e.OID])
		}
		if was[e.Path] == e.OID {
			continue
		}
		if !e.IsFile() {
			return fmt.Errorf("%s is no attestation: it is no regular file", name)
		}
		if places[e.OID] == nil {
			oids = append(oids, e.OID)
		}
		if places[e.OID] = append(places[e.OID], e.Path); len(oids) > maxGrowth {
			return withHint(fmt.Errorf("one push adds at most %d attestations", maxGrowth), "push them in several parts: sallyport evidence push does")
		}
	}
	total := 0
	return w.repo.Blobs(ctx, oids, maxBundle, func(i int, raw []byte, err error) error {
		at := places[oids[i]][0]
		if err == nil {
			var wrong string
			if wrong, err = evidence.CheckRefPaths(places[oids[i]], raw); err != nil {
				at = wrong
			} else if v != nil {
				_, err = listener{v, w}.Verify(ctx, sallyport.Attestation{Raw: raw})
				total += len(raw)
			}
			if total > maxGrowthSize {
				return withHint(fmt.Errorf("one push adds at most %d bytes", maxGrowthSize), "push them in several parts")
			}
		}
		name := sallyport.Path(at).String()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, evidence.ErrUnknownKey), errors.Is(err, evidence.ErrNotAllowed), errors.Is(err, evidence.ErrSignature), errors.Is(err, evidence.ErrExpired):
			return withHint(fmt.Errorf("%s does not count here: %w", name, err), "sallyport evidence push sends what verifies under the rules of the default branch, and keeps the rest back")
		}
		return fmt.Errorf("%s is no attestation: %w", name, err)
	})
}

// serverVerifier returns a verifier under the keys in force at the server's default branch, or nil
// where there are none yet: then only the shape of what is pushed can be judged.
func (w *workspace) serverVerifier(ctx context.Context) (*evidence.Verifier, error) {
	pin, err := w.app.pin(w.opts)
	if err != nil {
		return nil, err
	}
	_, tip, err := w.serverDefault(ctx)
	if err != nil || tip == "" {
		return nil, err
	}
	gov, err := w.resolve(ctx, pin, tip, "")
	if errors.Is(err, policy.ErrNoRoot) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var trust []evidence.Key
	if b, ok := gov.Files[trustPath]; ok {
		t, err := evidence.ParseTrust(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", trustPath, err)
		}
		trust = t.Keys
	}
	roster := &identity.Roster{}
	if b, ok := gov.Files[rosterPath]; ok {
		if roster, err = identity.ParseRosterFiles(b, gov.Files); err != nil {
			return nil, fmt.Errorf("%s: %w", rosterPath, err)
		}
	}
	keys := signingKeys(trust, roster, w.app.now())
	if len(keys) == 0 {
		return nil, nil
	}
	return w.newVerifier(keys), nil
}
