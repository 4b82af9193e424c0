package app

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/key"
	keyrun "github.com/sallyport-dev/sallyport/internal/key/run"
	"github.com/sallyport-dev/sallyport/internal/run"
	"github.com/sallyport-dev/sallyport/predicate"
)

// runKind is the kind of log entries for statements about runs.
const runKind = "agent-run"

// supervisorName is the workload whose word a run's statement is; a run authority has to list it.
const supervisorName = "run-supervisor"

// A sealer signs what a run has done so far, and what it did.
type sealer struct {
	ro       *RunOptions
	start    *runStart
	run      predicate.AgentRun // what was known when it began
	ca, key  *key.Key           // one of them
	traffic  *runTraffic
	parts    int64
	previous string // digest of the last checkpoint's payload
}

// openKeys opens the key that will sign, so that a run does not begin that cannot be sealed.
func (s *sealer) openKeys(ctx context.Context, w *workspace) (err error) {
	switch {
	case s.ro.Authority != "" && s.ro.Key != "":
		return usagef("--ca and --key are two ways to sign: choose one")
	case s.ro.Authority != "":
		if w.cfg.Runs.Timestamps == "" || w.keyless == nil {
			return withHint(errors.New("what a run authority certifies counts only with a timestamp, and the configuration in force names no authority for those that the trusted root knows"),
				"runs.timestamps in sallyport.yaml and .sallyport/trusted_root.json; or sign with --key REF")
		}
		if s.ca, err = w.app.loadKey(ctx, s.ro.Authority); err == nil && s.ca.Certificate() != nil {
			err = errors.New("the key of a run certifies no other keys")
		}
	case s.ro.Key != "":
		if s.key, err = w.app.loadKey(ctx, s.ro.Key); err == nil && s.key.Certificate() != nil {
			err = errors.New("the key of another run signs nothing about this one")
		}
	default:
		s.key, err = w.verifierKey(ctx)
	}
	return err
}

// binding is what a run's key is bound to.
func (s *sealer) binding() runcert.Binding {
	return runcert.Binding{RunID: s.run.RunID, Repository: s.run.Repository, Operator: s.run.Operator, Separation: s.run.Supervisor.Separation,
		Principal: sallyport.Principal{Kind: sallyport.Workload, Name: supervisorName}}
}

// statement is what is said about a run: at its end, and at checkpoints.
func (s *sealer) statement(end *runEnd, tally run.Tally, confinement run.Confinement) (sallyport.Statement, error) {
	p := s.run
	p.Changes = end.changes
	p.Part, p.Previous = s.parts, s.previous
	s.traffic.fill(&p)
	p.Hooks = &predicate.HookBeats{Events: tally.Hooks, Denied: tally.Denied, Installed: p.Hooks != nil && p.Hooks.Installed}
	p.Sandbox = &predicate.Sandbox{Mechanism: orDefault(confinement.Mechanism, run.Unconfined), Version: confinement.Version, Profile: confinement.Digest}
	for _, kind := range slices.Sorted(maps.Keys(tally.Refused)) {
		p.Sandbox.Refused = append(p.Sandbox.Refused, predicate.RefusedCount{Kind: kind, Count: tally.Refused[kind]})
	}
	// Hooks and answers tell of the same calls, and Codex by other names. The answers are what the supervisor
	// saw itself, so that hooks count where no model was asked through it.
	if len(p.Tools) == 0 {
		for _, name := range slices.Sorted(maps.Keys(tally.Tools)) {
			p.Tools = append(p.Tools, predicate.ToolUse{Name: name, Calls: tally.Tools[name]})
		}
	}
	if err := p.Validate(); err != nil {
		return sallyport.Statement{}, err
	}
	body, err := sallyport.EncodeJSON(p)
	if err != nil {
		return sallyport.Statement{}, err
	}
	st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: predicate.AgentRunType, Predicate: json.RawMessage(body)}
	seen := map[sallyport.Digest]bool{}
	add := func(d sallyport.Digest) {
		if !seen[d] {
			seen[d] = true
			st.Subject = append(st.Subject, sallyport.StatementSubject{Digest: map[string]string{d.Algorithm(): d.Hex()}})
		}
	}
	for _, d := range end.subjects {
		add(d)
	}
	for _, b := range end.changes.Blobs {
		add(sallyport.Digest("gitBlob:" + b.GitBlob))
	}
	for _, h := range end.changes.Hunks {
		add(sallyport.Digest("sha256:" + h))
	}
	return st, nil
}

// sign signs a statement about the run, with a key that lives for it alone where there is an authority.
func (s *sealer) sign(ctx context.Context, w *workspace, st sallyport.Statement) ([]byte, error) {
	if s.ca == nil {
		return evidence.Sign(ctx, st, s.key)
	}
	issued, err := keyrun.Issue(s.ca, s.binding(), w.app.now(), 0)
	if err != nil {
		return nil, err
	}
	defer issued.Close()
	if _, err := w.recordRunKey(ctx, s.ca, issued); err != nil {
		return nil, fmt.Errorf("record the run's key: %w", err)
	}
	bundle, err := evidence.Sign(ctx, st, issued.Key)
	if err != nil {
		return nil, err
	}
	return evidence.Stamp(ctx, bundle, w.cfg.Runs.Timestamps, w.keyless)
}

// file keeps a statement as evidence, and puts its digest into the log where that is here.
func (s *sealer) file(ctx context.Context, w *workspace, bundle []byte) (sallyport.Digest, error) {
	d, err := w.keep(ctx, bundle)
	if err != nil || !w.cfg.Log.Local() {
		return d, err
	}
	st, err := w.openState(ctx, true)
	if err != nil {
		return d, err
	}
	defer done(&err, st.Close)
	if err := st.remember(ctx, []negative{{runKind, bundle}}); err != nil {
		return d, err
	}
	return d, st.append(ctx)
}

// logHead returns the newest checkpoint of the verifier's own log that it has signed, where there is one: a
// run that names it has begun after it.
func (w *workspace) logHead(ctx context.Context) (_ *predicate.LogAnchor, err error) {
	if !w.cfg.Log.Local() {
		return nil, nil
	}
	st, err := w.openState(ctx, true)
	if err != nil {
		return nil, err
	}
	defer done(&err, st.Close)
	h, ok, err := st.db.KnownHead(ctx)
	if err != nil || !ok || h.Size > 1<<53 {
		return nil, err
	}
	return &predicate.LogAnchor{Origin: st.marker.Origin, Size: int64(h.Size), Root: "sha256:" + hex.EncodeToString(h.Root)}, nil //nolint:gosec // bounded above
}

// checkpoint signs what a run has done so far. The statement is not sealed: no gate takes it for the whole.
func (s *sealer) checkpoint(ctx context.Context, w *workspace, j runJournal, tally run.Tally, confinement run.Confinement) ([]byte, error) {
	end, err := w.changed(ctx, s.start)
	if err != nil {
		return nil, err
	}
	s.run.EndedAt = predicate.FormatTime(w.app.now())
	s.run.Sealed, s.run.Conclusion = false, predicate.ConclusionAborted // as it would be if nothing followed
	records, head := j.w.Head()
	s.run.Records, s.run.RecordHead = records, head.String()
	st, err := s.statement(end, tally, confinement)
	if err != nil {
		return nil, err
	}
	bundle, err := s.sign(ctx, w, st)
	if err != nil {
		return nil, err
	}
	payload, err := payloadOf(bundle)
	if err != nil {
		return nil, err
	}
	s.parts, s.previous = s.parts+1, string(sallyport.SHA256(payload))
	return bundle, j.Append("checkpoint", map[string]any{"part": s.parts, "payload": s.previous, "files": len(end.files), "commits": end.changes.Commits})
}

// payloadOf returns what a bundle's signature is about.
func payloadOf(bundle []byte) ([]byte, error) {
	var b struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &b); err != nil || len(b.Envelope.Payload) == 0 {
		return nil, errors.New("the checkpoint that was signed cannot be read")
	}
	return b.Envelope.Payload, nil
}
