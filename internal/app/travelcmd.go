package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// TravelOptions say between where evidence travels.
type TravelOptions struct {
	Remote string // a remote's name, or an address; empty means origin
	All    bool   // what does not verify here too
}

// Travelled is what a push, a fetch or a pruning did. Counts are of attestations.
type Travelled struct {
	Remote string              `json:"remote,omitempty"`
	Commit string              `json:"commit,omitempty"` // the ref's, afterwards
	Moved  int                 `json:"moved"`            // that were new on the other side
	Known  int                 `json:"known"`            // that were there already, or are kept
	Left   int                 `json:"left"`             // that did not go, or were dropped
	Why    []sallyport.Dropped `json:"why"`              // the first of those, with the reason
	Note   string              `json:"note,omitempty"`
}

const (
	maxWhy    = 20  // reasons that are told one by one
	perPush   = 400 // attestations that one push adds; a server's hook takes maxGrowth
	pushTries = 10
)

func (t *Travelled) leave(source, why string, d sallyport.Digest) {
	if t.Left++; len(t.Why) < maxWhy {
		t.Why = append(t.Why, sallyport.Dropped{Attestation: d, Source: source, Why: why})
	}
}

// trusted returns a verifier under what is in force here, or nil and why there is none.
func (w *workspace) trusted(ctx context.Context) (*evidence.Verifier, error) {
	if err := w.findTip(ctx); err != nil {
		return nil, err
	}
	if err := w.governed(ctx, ""); err != nil {
		return nil, err
	}
	keys := w.keys()
	if len(keys) == 0 {
		return nil, withHint(errors.New("the rules in force name no key that could sign evidence"), "sallyport root show says which rules are in force; --all does without")
	}
	return w.newVerifier(keys), nil
}

// sorter returns what tells whether an attestation is to travel.
func (w *workspace) sorter(ctx context.Context, all bool) (func(sallyport.Attestation) error, error) {
	if all {
		return func(a sallyport.Attestation) error { return evidence.Check(a.Raw) }, nil
	}
	v, err := w.trusted(ctx)
	if err != nil {
		return nil, err
	}
	over, err := w.readyCarrier(ctx, v)
	if err != nil {
		return nil, err
	}
	return func(a sallyport.Attestation) error {
		_, err := over.Verify(ctx, a)
		return err
	}, nil
}

// eachOnRef calls fn with each different file of a commit of the evidence ref, one at a time, or
// with the reason why it cannot be read.
func (w *workspace) eachOnRef(ctx context.Context, tip string, fn func(e git.Entry, raw []byte, err error) error) error {
	entries, err := w.listRef(ctx, tip)
	if err != nil {
		return err
	}
	var fresh []git.Entry
	var oids []string
	seen := map[string]bool{}
	for _, e := range entries {
		if !seen[e.OID] && e.IsFile() {
			seen[e.OID] = true
			fresh, oids = append(fresh, e), append(oids, e.OID)
		}
	}
	return w.repo.Blobs(ctx, oids, maxBundle, func(i int, raw []byte, err error) error { return fn(fresh[i], raw, err) })
}

// eachHere calls fn with each attestation of the state folder and of the local evidence ref, once,
// and with what cannot be read.
func (w *workspace) eachHere(ctx context.Context, fn func(a sallyport.Attestation, err error) error) error {
	kept, dropped, err := w.evidenceDir().All(ctx)
	if err != nil {
		return err
	}
	seen := map[sallyport.Digest]bool{}
	for _, d := range dropped {
		if err := fn(sallyport.Attestation{Source: d.Source}, errors.New(d.Why)); err != nil {
			return err
		}
	}
	for _, a := range kept {
		seen[a.Digest()] = true
		if err := fn(a, nil); err != nil {
			return err
		}
	}
	// What takes something back is in the store as well, and from there it returns.
	words, err := w.remembered(ctx)
	if err != nil {
		return err
	}
	for _, a := range words {
		if d := a.Digest(); !seen[d] {
			seen[d] = true
			if err := fn(a, nil); err != nil {
				return err
			}
		}
	}
	tip, err := w.repo.Ref(ctx, EvidenceRef)
	if errors.Is(err, git.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.eachOnRef(ctx, tip, func(e git.Entry, raw []byte, err error) error {
		a := sallyport.Attestation{Raw: raw, Source: refSource(e.Path)}
		if err == nil && seen[a.Digest()] {
			return nil
		}
		return fn(a, err)
	})
}

// PushEvidence adds what is kept here, and verifies, to the evidence ref of a remote. What the
// remote has stays; if somebody else is faster, it fetches and tries again.
func (a *App) PushEvidence(ctx context.Context, o Options, to TravelOptions) (t Travelled, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return t, err
	}
	defer done(&err, w.Close)
	t = Travelled{Remote: orDefault(to.Remote, "origin"), Why: []sallyport.Dropped{}}
	travels, err := w.sorter(ctx, to.All)
	if err != nil {
		return t, err
	}
	o.step("reading what is kept here")
	var parts [][]sallyport.Attestation
	err = w.eachHere(ctx, func(att sallyport.Attestation, err error) error {
		if err == nil {
			err = travels(att)
		}
		if err != nil {
			t.leave(att.Source, err.Error(), att.Digest())
			return nil
		}
		if n := len(parts); n == 0 || len(parts[n-1]) == perPush {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], att)
		return nil
	})
	if err != nil {
		return t, err
	}
	for n, part := range parts {
		o.step(fmt.Sprintf("pushing to %s, part %d of %d", t.Remote, n+1, len(parts)))
		if err := w.pushPart(ctx, part, &t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// pushPart adds attestations to the remote's ref.
func (w *workspace) pushPart(ctx context.Context, part []sallyport.Attestation, t *Travelled) error {
	files := refFiles(part)
	for try := 1; ; try++ {
		tip, err := w.repo.Fetch(ctx, t.Remote, EvidenceRef)
		if err != nil && !errors.Is(err, git.ErrNotFound) {
			return remoteHint(err)
		}
		fresh, err := w.repo.Fresh(ctx, tip, files)
		if err != nil {
			return err
		}
		moved := 0
		for _, a := range part {
			for p := range refFiles([]sallyport.Attestation{a}) {
				if _, ok := fresh[p]; ok {
					moved++
					break
				}
			}
		}
		t.Commit = tip
		if moved > 0 {
			next, err := w.repo.Grown(ctx, tip, fresh, fmt.Sprintf("Add %d attestation(s)", moved))
			if err != nil {
				return err
			}
			err = w.repo.Push(ctx, t.Remote, next, EvidenceRef, tip)
			if errors.Is(err, git.ErrRace) && try < pushTries {
				wait := 20 + rand.IntN(80) //nolint:gosec // so that two who lost a race do not meet again; no secret
				if err := pause(ctx, time.Duration(try*wait)*time.Millisecond); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return remoteHint(err)
			}
			t.Commit = next
		}
		t.Moved += moved
		t.Known += len(part) - moved
		return nil
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func remoteHint(err error) error {
	switch {
	case errors.Is(err, git.ErrRefused):
		return withHint(err, "what the remote says is in the line above; sallyport evidence verify says what counts here")
	case errors.Is(err, git.ErrRace):
		return withHint(err, "others are pushing at the same time: try again")
	case errors.Is(err, git.ErrNoRemote):
		return withHint(err, "name a remote: git remote -v lists them")
	case errors.Is(err, git.ErrAddress), errors.Is(err, git.ErrNotFound):
		return err
	}
	return withHint(err, "logging in uses git's own configuration and ssh, but not the repository's programs: see docs/evidence.md")
}

// FetchEvidence adds what a remote's evidence ref holds, and verifies here, to the local one.
// Nothing that is here is replaced or lost, and nothing else is written.
func (a *App) FetchEvidence(ctx context.Context, o Options, from TravelOptions) (t Travelled, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return t, err
	}
	defer done(&err, w.Close)
	t = Travelled{Remote: orDefault(from.Remote, "origin"), Why: []sallyport.Dropped{}}
	travels, err := w.sorter(ctx, from.All)
	if err != nil {
		return t, err
	}
	have := map[string]bool{}
	tip, err := w.repo.Ref(ctx, EvidenceRef)
	if err == nil {
		entries, err := w.listRef(ctx, tip)
		if err != nil {
			return t, err
		}
		for _, e := range entries {
			have[e.OID] = true
		}
	} else if !errors.Is(err, git.ErrNotFound) {
		return t, err
	}
	o.step("fetching from " + t.Remote)
	theirs, err := w.repo.Fetch(ctx, t.Remote, EvidenceRef)
	if errors.Is(err, git.ErrNotFound) {
		t.Commit, t.Note = tip, "the remote has no evidence yet"
		return t, nil
	}
	if err != nil {
		return t, remoteHint(err)
	}
	o.step("verifying what came")
	b := refBuilder{w: w}
	err = w.eachOnRef(ctx, theirs, func(e git.Entry, raw []byte, err error) error {
		if have[e.OID] {
			t.Known++
			return nil
		}
		att := sallyport.Attestation{Raw: raw, Source: refSource(e.Path)}
		if err == nil {
			err = travels(att)
		}
		if err != nil {
			t.leave(att.Source, err.Error(), att.Digest())
			return nil
		}
		t.Moved++
		return b.add(ctx, att)
	})
	if err != nil {
		return t, err
	}
	t.Commit, err = b.commit(ctx)
	t.Commit = orDefault(t.Commit, tip)
	return t, err
}

// A refBuilder puts attestations on the local evidence ref, some at a time.
type refBuilder struct {
	w       *workspace
	rebuild bool   // the first commit replaces the ref
	old     string // which was here
	waiting []sallyport.Attestation
	size    int
	tip     string
}

const builderSize = 32 << 20

func (b *refBuilder) add(ctx context.Context, a sallyport.Attestation) error {
	b.waiting = append(b.waiting, a)
	if b.size += len(a.Raw); b.size < builderSize && len(b.waiting) < 1000 {
		return nil
	}
	_, err := b.commit(ctx)
	return err
}

// commit writes what waits, and returns the ref's commit if any was made.
func (b *refBuilder) commit(ctx context.Context) (string, error) {
	if len(b.waiting) == 0 && !b.rebuild {
		return b.tip, nil
	}
	msg := fmt.Sprintf("Add %d attestation(s)", len(b.waiting))
	var err error
	if b.rebuild {
		b.rebuild = false
		b.tip, err = b.w.repo.Rebuild(ctx, EvidenceRef, b.old, refFiles(b.waiting), "Keep what verifies")
	} else {
		b.tip, err = b.w.repo.Publish(ctx, EvidenceRef, refFiles(b.waiting), msg)
	}
	b.waiting, b.size = nil, 0
	return b.tip, err
}

// PruneEvidence rebuilds the local evidence ref, without history, from what a key of the trust
// roots signed: of the ref, of the state folder, and of a remote's ref if one is named, which is
// then replaced as well. It is the way back for a team whose ref was flooded.
func (a *App) PruneEvidence(ctx context.Context, o Options, remote string) (t Travelled, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return t, err
	}
	defer done(&err, w.Close)
	t = Travelled{Remote: remote, Why: []sallyport.Dropped{}}
	v, err := w.trusted(ctx)
	if err != nil {
		return t, err
	}
	over, err := w.readyCarrier(ctx, v)
	if err != nil {
		return t, err
	}
	old, err := w.repo.Ref(ctx, EvidenceRef)
	if err != nil && !errors.Is(err, git.ErrNotFound) {
		return t, err
	}
	tips := []string{old}
	theirs := ""
	if remote != "" {
		o.step("fetching from " + remote)
		if theirs, err = w.repo.Fetch(ctx, remote, EvidenceRef); err != nil {
			return t, remoteHint(err)
		}
		tips = append(tips, theirs)
	}
	o.step("verifying")
	b := refBuilder{w: w, rebuild: true, old: old}
	seen := map[sallyport.Digest]bool{}
	sort := func(att sallyport.Attestation, err error) error {
		d := att.Digest()
		switch {
		case err != nil:
			t.leave(att.Source, err.Error(), "")
		case seen[d]:
		case junk(ctx, over, att.Raw):
			seen[d] = true
			_, err := v.Verify(ctx, att)
			t.leave(att.Source, err.Error(), d)
		default:
			seen[d] = true
			t.Known++
			return b.add(ctx, att)
		}
		return nil
	}
	kept, _, err := w.evidenceDir().All(ctx)
	if err != nil {
		return t, err
	}
	words, err := w.remembered(ctx)
	if err != nil {
		return t, err
	}
	for _, att := range append(kept, words...) {
		if err := sort(att, nil); err != nil {
			return t, err
		}
	}
	for _, tip := range tips {
		if tip == "" {
			continue
		}
		at, err := w.readable(ctx, tip)
		if err != nil {
			return t, err
		}
		if at != tip {
			t.Note = fmt.Sprintf("%s cannot be listed as a whole; what it held at %s was read instead", shortID(tip), shortID(at))
		}
		err = w.eachOnRef(ctx, at, func(e git.Entry, raw []byte, err error) error {
			return sort(sallyport.Attestation{Raw: raw, Source: refSource(e.Path)}, err)
		})
		if err != nil {
			return t, err
		}
	}
	if t.Commit, err = b.commit(ctx); err != nil || remote == "" {
		return t, err
	}
	o.step("pushing to " + remote)
	if err := w.repo.Push(ctx, remote, t.Commit, EvidenceRef, theirs); err != nil {
		return t, remoteHint(err)
	}
	return t, nil
}

// readable returns tip, or the newest commit before it whose tree is small enough to be listed.
func (w *workspace) readable(ctx context.Context, tip string) (string, error) {
	out, err := w.repo.Output(ctx, 1<<20, nil, "rev-list", "--first-parent", "--max-count=1000", tip)
	if err != nil {
		return "", err
	}
	for _, c := range strings.Fields(string(out)) {
		_, err := w.listRef(ctx, c)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, errFlood) && !errors.Is(err, git.ErrTooLarge) {
			return "", err
		}
	}
	return "", flooded("none of its last 1000 commits can be listed")
}
