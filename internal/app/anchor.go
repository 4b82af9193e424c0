package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/tlog/remote"
	"github.com/sallyport-dev/sallyport/predicate"
)

// kindReanchor is the kind of log entries for statements that carry evidence over from an old trust.
const kindReanchor = "reanchor"

// An anchor is an accepted statement that carries evidence over, and what it says of one attestation.
type anchor struct {
	statement sallyport.Digest
	raw       []byte
	says      predicate.Reanchor
	of        predicate.ReanchorEvidence
}

// anchors are the statements that carry evidence over and count here: signed by a workload's key that
// the trust roots in force let sign them, at another grade than declared, about this repository, and in the log
// that is kept elsewhere, if there is one. What a check relies on is put into the log that is kept here
// before the decision is.
type anchors struct {
	by    map[sallyport.Digest][]anchor // by what they carry
	hints map[string]bool               // of the old keys
	old   map[string]*evidence.Verifier // by root and time; nil: there are no such files here
	heard map[sallyport.Digest]bool
	files map[sallyport.Digest]map[string][]byte // of the old roots that were asked for
	line  []sallyport.Digest                     // the roots that lead to the one in force, once somebody asked
}

func newAnchors() *anchors {
	return &anchors{
		by: map[sallyport.Digest][]anchor{}, hints: map[string]bool{}, old: map[string]*evidence.Verifier{},
		heard: map[sallyport.Digest]bool{}, files: map[sallyport.Digest]map[string][]byte{},
	}
}

// mayReanchor reports whether any key of the trust roots may sign such statements. Where none may, nothing
// is looked for.
func (w *workspace) mayReanchor() bool {
	return slices.ContainsFunc(w.trust, func(k evidence.Key) bool { return slices.Contains(k.Types, predicate.ReanchorType) })
}

// loadAnchors reads, once, the statements that are kept here and have travelled. One that does not count is none.
func (w *workspace) loadAnchors(ctx context.Context) error {
	if w.carried != nil || !w.mayReanchor() {
		return nil
	}
	w.carried = newAnchors()
	typ := []sallyport.Digest{evidence.TypeDigest(predicate.ReanchorType)}
	found, _, err := w.evidenceDir().Collect(ctx, typ)
	if err != nil {
		return err
	}
	travelled, _, err := w.travelled(ctx, typ)
	if err != nil {
		return err
	}
	v := w.newVerifier(w.keys())
	seen := map[sallyport.Digest]bool{}
	for _, att := range append(found, travelled...) {
		if seen[att.Digest()] {
			continue
		}
		seen[att.Digest()] = true
		ev, err := v.Verify(ctx, att)
		if err != nil || ev.Statement.PredicateType != predicate.ReanchorType || ev.Signer.Kind != sallyport.Workload || ev.Grade != sallyport.Observed || ev.Lapsed {
			continue
		}
		r, err := predicate.DecodeReanchor(ev.Statement.Predicate)
		if err != nil || r.Repository != w.repository() || !w.anchorLogged(ev.Attestation) || continues(r) != nil {
			continue
		}
		for _, e := range r.Evidence {
			d := sallyport.Digest(e.Attestation)
			w.carried.by[d] = append(w.carried.by[d], anchor{ev.Attestation, att.Raw, r, e})
		}
		for _, k := range r.Old.Keys {
			w.carried.hints[k.Hint] = true
		}
	}
	return nil
}

// anchorLogged reports whether a log that is kept elsewhere, and that was read, holds the statement. The one that is kept here
// will, before anything is decided.
func (w *workspace) anchorLogged(d sallyport.Digest) bool {
	return !w.elsewhere || slices.ContainsFunc(w.anchored, func(e remote.Entry) bool { return e.Kind == kindReanchor && e.Digest == d })
}

// splitAnchors parts the entries of a log that is kept elsewhere: the statements that carry evidence need not
// all be at hand, since one that is missing opens nothing.
func splitAnchors(entries []remote.Entry) (negatives, anchored []remote.Entry) {
	for _, e := range entries {
		if e.Kind == kindReanchor {
			anchored = append(anchored, e)
		} else {
			negatives = append(negatives, e)
		}
	}
	return negatives, anchored
}

// gateVerifier verifies under the trust roots in force, and what they do not know any more under those of its
// time, if a statement that counts carries it.
func (w *workspace) gateVerifier() engine.Verifier {
	return listener{carrier{w.newVerifier(w.keys()), w}, w}
}

// A carrier is the engine.Verifier behind gateVerifier.
type carrier struct {
	*evidence.Verifier
	w *workspace
}

// readyCarrier returns a carrier that asks the repository for nothing any more: for where attestations are verified while
// git still sends them, and would not answer another question.
func (w *workspace) readyCarrier(ctx context.Context, v *evidence.Verifier) (carrier, error) {
	if err := w.loadAnchors(ctx); err != nil || w.carried == nil {
		return carrier{v, w}, err
	}
	for _, list := range w.carried.by {
		for _, n := range list {
			_, err := w.oldVerifier(ctx, n.says)
			if _, known := w.carried.old[oldName(n.says)]; !known {
				return carrier{}, err // that there is none is known as well
			}
		}
	}
	return carrier{v, w}, nil
}

func (c carrier) Verify(ctx context.Context, a sallyport.Attestation) (sallyport.Evidence, error) {
	ev, err := c.Verifier.Verify(ctx, a)
	ended := errors.Is(err, evidence.ErrUnknownKey) || errors.Is(err, evidence.ErrExpired) || errors.Is(err, evidence.ErrRevoked)
	if err == nil || !ended && !errors.Is(err, evidence.ErrNotAllowed) {
		return ev, err
	}
	if lerr := c.w.loadAnchors(ctx); lerr != nil {
		return ev, lerr
	}
	if c.w.carried == nil {
		return ev, err
	}
	for _, n := range c.w.carried.by[a.Digest()] {
		if !ended {
			break // the key is known, and may not say this any more: only what shuts is heard
		}
		old, oerr := c.w.verifyCarried(ctx, a, n)
		if oerr == nil {
			return old, nil
		}
		err = fmt.Errorf("%w; the reanchoring %s does not carry it: %w", err, n.statement.Short(), oerr)
	}
	if old, _, ok := c.w.refusal(ctx, a); ok {
		return old, nil
	}
	return ev, err
}

// verifyCarried verifies what a statement carries: its signature under the trust roots that the statement names, if
// the root in force follows them, at the time of the decision that it went into.
func (w *workspace) verifyCarried(ctx context.Context, a sallyport.Attestation, n anchor) (sallyport.Evidence, error) {
	v, err := w.oldVerifier(ctx, n.says)
	if err != nil {
		return sallyport.Evidence{}, err
	}
	ev, err := v.Verify(ctx, a)
	switch {
	case err != nil:
		return ev, err
	case ev.Key != n.of.Key || ev.Statement.PredicateType != n.of.PredicateType:
		return ev, errors.New("it is of another key, or says another thing")
	case ev.Signer.Kind != sallyport.Workload && ev.Signer.Kind != sallyport.Bot:
		return ev, errors.New("a person's word, and an agent's, is not carried over")
	}
	before, err := n.says.Before()
	if err != nil {
		return ev, err
	}
	if err := w.newVerifier(w.keys()).Outlives(v, a.Raw, before); err != nil {
		return ev, err
	}
	return w.reanchoredBy(ev, n), nil
}

// reanchoredBy says of evidence which statement it is heard by, which goes into the log before the decision does.
func (w *workspace) reanchoredBy(ev sallyport.Evidence, n anchor) sallyport.Evidence {
	ev.Reanchored = n.statement
	if !w.carried.heard[n.statement] {
		w.carried.heard[n.statement] = true
		w.heard = append(w.heard, negative{kindReanchor, n.raw})
	}
	return ev
}

// oldName tells the old trust roots of statements apart, at the time at which they verify.
func oldName(r predicate.Reanchor) string { return r.Old.Root + " " + r.DecidedAt }

// oldVerifier returns a verifier under the trust roots that a statement names.
func (w *workspace) oldVerifier(ctx context.Context, r predicate.Reanchor) (*evidence.Verifier, error) {
	name := oldName(r)
	v, known := w.carried.old[name]
	if !known {
		at, err := predicate.ParseTime(r.DecidedAt)
		if err != nil {
			return nil, err
		}
		files, err := w.oldFiles(ctx, sallyport.Digest(r.Old.Root))
		if err != nil {
			return nil, err
		}
		if len(files) > 0 {
			// What could not be read then was in force for nobody.
			if then, err := w.app.asOf(files, at, ""); err == nil && (then.cfg.Log.Local() || then.cfg.Log.Key == r.Old.Log) {
				v = then.newVerifier(then.keys())
			}
		}
		w.carried.old[name] = v
	}
	if v == nil {
		return nil, fmt.Errorf("its old trust roots, %s, are none that the root in force follows, or name another log", sallyport.Digest(r.Old.Root).Short())
	}
	return v, nil
}

// oldFiles returns the governed files of a root that the one in force follows, and none otherwise: what a branch has held
// was not in force by that.
func (w *workspace) oldFiles(ctx context.Context, root sallyport.Digest) (map[string][]byte, error) {
	if w.carried.line == nil {
		line, err := w.lineage(ctx)
		if err != nil {
			return nil, err
		}
		w.carried.line = append([]sallyport.Digest{}, line...)
	}
	if files, known := w.carried.files[root]; known {
		return files, nil
	}
	var files map[string][]byte
	switch {
	case !slices.Contains(w.carried.line, root):
	case w.repo == nil:
		files = w.olden[root]
	default:
		var err error
		if files, err = w.governedAs(ctx, root); err != nil {
			return nil, err
		}
	}
	w.carried.files[root] = files
	return files, nil
}

// lineage returns the roots that lead to the one in force, the newest first. Without a pin nobody vouches for any.
func (w *workspace) lineage(ctx context.Context) ([]sallyport.Digest, error) {
	if w.repo == nil { // a pack, whose root its reader knows
		return policy.Lineage(w.gov.Files, func(d sallyport.Digest) []byte { return w.olden[d][policy.RootPath] }), nil
	}
	if !w.gov.Trust.Pinned {
		return nil, nil
	}
	roots, err := w.rootFiles(ctx)
	return policy.Lineage(w.gov.Files, func(d sallyport.Digest) []byte { return roots[d] }), err
}

// rootFiles returns every root.json that the history of the target holds, by its digest.
func (w *workspace) rootFiles(ctx context.Context) (map[sallyport.Digest][]byte, error) {
	src := source{w.repo}
	commits, err := src.History(ctx, w.target.Base)
	if err != nil {
		return nil, err
	}
	roots := map[sallyport.Digest][]byte{}
	for _, c := range append([]string{w.target.Base}, commits...) {
		files, err := src.Files(ctx, c)
		if err != nil && !errors.Is(err, policy.ErrGoverned) {
			return nil, err
		}
		if b := files[policy.RootPath]; err == nil && b != nil {
			roots[sallyport.SHA256(b)] = b
		}
	}
	return roots, nil
}

// asOf returns a workspace in which governed files are in force at a time, and nothing else is.
func (a *App) asOf(files map[string][]byte, at time.Time, solo string) (*workspace, error) {
	then := &App{Stdin: a.Stdin, Stdout: a.Stdout, Stderr: a.Stderr, Getenv: a.Getenv, Clock: func() time.Time { return at }}
	w := &workspace{app: then, signatures: evidence.NewCache(32), cfg: config.Default(), roster: &identity.Roster{}, gov: policy.Governing{Files: files}}
	w.gov.Trust.Solo = solo
	if len(files) > 0 {
		if err := w.parseGoverned(); err != nil {
			return nil, err
		}
	}
	return w, nil
}
