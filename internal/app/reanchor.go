package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/internal/tlog"
	"github.com/sallyport-dev/sallyport/predicate"
)

// An ImportReport says what of a pack is kept here now.
type ImportReport struct {
	PackReport
	New   int    `json:"new"`   // attestations that were not here
	Known int    `json:"known"` // those that were
	Pack  string `json:"pack"`  // where the pack is kept
}

// ImportPack verifies a pack and keeps what it holds: its attestations and its summary with the evidence of
// this repository, the pack itself beside. Nothing is kept of a pack that does not verify, and what is kept counts at
// a gate only if it verifies there.
func (a *App) ImportPack(ctx context.Context, o Options, b []byte, po PackOptions) (r ImportReport, err error) {
	v, report, err := a.verifyPack(ctx, b, po)
	if err != nil {
		return r, err
	}
	r.PackReport = report
	w, err := a.open(ctx, o)
	if err != nil {
		return r, err
	}
	defer done(&err, w.Close)
	return r, w.keepPack(ctx, v, b, &r)
}

// keepPack keeps a pack that has verified. It may be done again.
func (w *workspace) keepPack(ctx context.Context, v *packVerifier, b []byte, r *ImportReport) error {
	dir := w.evidenceDir()
	names := append(v.evidenceNames(), packVSA)
	for name := range v.files {
		if strings.HasPrefix(name, packAnchors) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		raw := v.files[name]
		_, err := dir.Get(ctx, sallyport.SHA256(raw))
		known := err == nil
		if _, err := dir.Put(ctx, raw); err != nil {
			return fmt.Errorf("keep %s: %w", name, err)
		}
		if known {
			r.Known++
		} else {
			r.New++
		}
	}
	// Its name is that of its bytes: the same decision may come with a newer proof.
	r.Pack = w.path("packs/" + v.head.Decision.Hex()[:16] + "-" + sallyport.SHA256(b).Hex()[:16] + ".tar")
	if _, err := os.Lstat(r.Pack); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := durable.MkdirAll(w.path("packs"), 0o700); err != nil {
		return fmt.Errorf("keep the pack: %w", err)
	}
	if err := durable.WriteFile(r.Pack, b, 0o644); err != nil {
		return fmt.Errorf("keep the pack: %w", err)
	}
	return nil
}

// ReanchorOptions say what is carried over, and why.
type ReanchorOptions struct {
	Root   sallyport.Digest // that was pinned when it was decided
	LogKey string           // of the old log; empty: as the old configuration names it
	Reason string           // log, key, algorithm or store
	Key    string           // of the new signer; empty: the verifier's
	To     string           // where the statement with its proof is written; empty: nowhere
}

// A ReanchorReport says what was carried over.
type ReanchorReport struct {
	Import    ImportReport     `json:"import"`
	Statement sallyport.Digest `json:"statement"`
	Signer    string           `json:"signer"`
	NewLog    string           `json:"new_log"`
	Index     uint64           `json:"index"`  // of the statement in the new log
	Before    string           `json:"before"` // what is carried is proven to be older than this
	Carried   int              `json:"carried"`
	Left      []LeftOut        `json:"left"`
}

// A LeftOut attestation was considered by the decision, and is not carried over.
type LeftOut struct {
	Attestation sallyport.Digest `json:"attestation"`
	Why         string           `json:"why"`
}

// Reanchor verifies a decision of the past under the root and the log of then, whole, and signs that it did: with
// the new key, into the new log. The decision is a pack, or one that is recorded here, of which a pack is made.
// It is refused unless the root in force follows the old one, and the log is the one that the old configuration names, if
// it names one.
func (a *App) Reanchor(ctx context.Context, o Options, subject string, ro ReanchorOptions) (r ReanchorReport, err error) {
	b, err := ReadPack(subject)
	if errors.Is(err, fs.ErrNotExist) {
		b, _, err = a.packOf(ctx, o, subject, "")
	}
	if err != nil {
		return r, err
	}
	v, report, err := a.verifyPack(ctx, b, PackOptions{Root: ro.Root, LogKey: ro.LogKey})
	if err != nil {
		return r, err
	}
	r.Import.PackReport = report
	var proof []byte
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		if !w.gov.Trust.Pinned {
			return withHint(errors.New("no root is pinned: whoever can write to the repository would choose who may carry evidence over"), "give the digest of the root that is in force now as SALLYPORT_ROOT or --root")
		}
		if name := v.cfg.Repository; name != w.repository() {
			return fmt.Errorf("%w: the pack is of the repository %q, and this is %q", ErrRefused, name, w.repository())
		}
		line, err := w.lineage(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(line, ro.Root) {
			return withHint(fmt.Errorf("%w: the root in force, %s, does not follow %s", ErrRefused, w.gov.Trust.Root, ro.Root),
				"name the branch with --target; a root follows the one before it if sallyport root rotate wrote it, and root init begins anew")
		}
		if l := v.cfg.Log; !l.Local() && l.Key != v.logKey {
			return fmt.Errorf("%w: the configuration under that root names the log %s, and not %s", ErrRefused, l.Key, v.logKey)
		}
		if err := w.overruled(ctx, v); err != nil {
			return err
		}
		p, err := w.reanchoring(v, ro, &r)
		if err != nil {
			return err
		}
		raw, err := w.signReanchoring(ctx, &p, ro.Key, &r)
		if err != nil {
			return err
		}
		proof = raw
		return w.keepPack(ctx, v, b, &r.Import)
	})
	if err != nil || ro.To == "" {
		return r, err
	}
	logged, err := a.LogProve(ctx, o, string(r.Statement))
	if err != nil {
		return r, err
	}
	r.Index = logged.Index
	file, err := sallyport.EncodeJSON(reanchorFile{reanchorVersion, proof, logged})
	if err != nil {
		return r, err
	}
	return r, durable.WriteFile(ro.To, file, 0o644)
}

// reanchoring says what of a pack that has verified is carried over.
func (w *workspace) reanchoring(v *packVerifier, ro ReanchorOptions, r *ReanchorReport) (predicate.Reanchor, error) {
	proof, err := tlog.ParseProof(v.files[packProof])
	if err != nil {
		return predicate.Reanchor{}, err
	}
	at, err := v.at()
	if err != nil {
		return predicate.Reanchor{}, err
	}
	now := w.app.now()
	p := predicate.Reanchor{
		Repository: w.repository(), Reason: ro.Reason, Decision: string(v.head.Decision), DecidedAt: predicate.FormatTime(at),
		Summary: string(sallyport.SHA256(v.files[packVSA])), ReanchoredAt: predicate.FormatTime(now),
		Old:  predicate.ReanchorOld{Root: string(ro.Root), Log: v.logKey, Size: int64(proof.TreeSize), Proof: string(v.files[packProof])}, //nolint:gosec // a log's size
		Tool: predicate.Tool{Name: "sallyport", Version: Version()},
	}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails: see crypto/rand
	p.Nonce = hex.EncodeToString(nonce[:])
	if p.Old.CheckpointAt, err = checkpointAt(proof, v.logKey); err != nil {
		return p, err
	}
	before, err := p.Before()
	if err != nil {
		return p, err
	}
	r.Before, r.Left = predicate.FormatTime(before), []LeftOut{}
	then, err := w.app.asOf(v.governedFiles(), at, v.d.Solo)
	if err != nil {
		return p, err
	}
	old, today := then.newVerifier(then.keys()), w.newVerifier(w.keys())
	names := map[string]string{}
	for _, k := range v.keys {
		names[k.Hint()] = k.Name
	}
	for _, ev := range v.evidence {
		if !ev.Reanchored.Zero() {
			r.Left = append(r.Left, LeftOut{ev.Attestation, "it was carried over itself: carry the decision over that it comes from"})
			continue
		}
		if err := today.Outlives(old, v.raw(ev.Attestation), before); err != nil {
			r.Left = append(r.Left, LeftOut{ev.Attestation, err.Error()})
			continue
		}
		p.Evidence = append(p.Evidence, predicate.ReanchorEvidence{Attestation: string(ev.Attestation), PredicateType: ev.Statement.PredicateType, Key: ev.Key})
		if !slices.ContainsFunc(p.Old.Keys, func(k predicate.ReanchorKey) bool { return k.Hint == ev.Key }) {
			p.Old.Keys = append(p.Old.Keys, predicate.ReanchorKey{Hint: ev.Key, Name: orDefault(names[ev.Key], "unnamed")})
		}
	}
	if !slices.ContainsFunc(p.Evidence, func(e predicate.ReanchorEvidence) bool { return e.Attestation == p.Summary }) {
		for _, l := range r.Left {
			if string(l.Attestation) == p.Summary {
				return p, fmt.Errorf("%w: the decision's summary cannot be carried over: %s", ErrRefused, l.Why)
			}
		}
		return p, fmt.Errorf("%w: the decision's summary cannot be carried over", ErrRefused)
	}
	r.Carried = len(p.Evidence)
	return p, nil
}

// signReanchoring signs a statement that carries evidence over, puts it into the log, and keeps it. It
// returns the bundle.
func (w *workspace) signReanchoring(ctx context.Context, p *predicate.Reanchor, ref string, r *ReanchorReport) ([]byte, error) {
	s, err := w.openState(ctx, true)
	if err != nil {
		return nil, err
	}
	p.NewLog = s.marker.VerifierKey
	if err := s.Close(); err != nil {
		return nil, err
	}
	if w.cfg.Log.URL != "" && w.cfg.Log.Key != p.NewLog {
		return nil, withHint(fmt.Errorf("the log that is in force, %s, is kept elsewhere", w.cfg.Log.Origin), "run it where that log is kept, or sallyport log add the statement there")
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := continues(*p); err != nil {
		return nil, err
	}
	body, err := sallyport.EncodeJSON(p)
	if err != nil {
		return nil, err
	}
	st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: predicate.ReanchorType, Predicate: body}
	for _, d := range p.Subjects() {
		st.Subject = append(st.Subject, sallyport.StatementSubject{Digest: map[string]string{"sha256": sallyport.Digest(d).Hex()}})
	}
	var k *key.Key
	if ref == "" {
		k, err = w.verifierKey(ctx)
	} else {
		k, err = w.app.openKey(ctx, ref)
	}
	if err != nil {
		return nil, err
	}
	raw, err := evidence.Sign(ctx, st, k)
	if err != nil {
		return nil, err
	}
	ev, err := w.newVerifier(w.keys()).Verify(ctx, sallyport.Attestation{Raw: raw, Source: "just signed"})
	if err == nil && (ev.Signer.Kind != sallyport.Workload || ev.Grade != sallyport.Observed) {
		err = fmt.Errorf("its signer is a %s at grade %s, and a workload's at grade observed carries evidence over", ev.Signer.Kind, ev.Grade)
	}
	if err != nil {
		return nil, withHint(fmt.Errorf("what was just signed does not count: %w", err), "let the new key sign "+predicate.ReanchorType+" in "+trustPath)
	}
	if err := w.logNegative(ctx, negative{kindReanchor, raw}); err != nil {
		return nil, err
	}
	if r.Statement, err = w.keep(ctx, raw); err != nil {
		return nil, err
	}
	r.Signer, r.NewLog = ev.Signer.Name, p.NewLog
	return raw, nil
}
