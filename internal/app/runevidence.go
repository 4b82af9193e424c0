package app

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/gate/merge"
	"github.com/sallyport-dev/sallyport/internal/trace/blame"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A runRecord is what one attestation says of a run. It is verified when somebody first asks.
type runRecord struct {
	run  predicate.AgentRun
	att  sallyport.Attestation
	made blame.Run

	once     sync.Once
	ev       sallyport.Evidence
	accepted bool
	why      string // why it is not
	grade    sallyport.Grade
	verified bool
}

// runRecords returns what is kept here, or was brought along, of the type of run evidence: each
// statement once, in the order of their digests. What cannot be read is passed over.
func (w *workspace) runRecords(ctx context.Context) ([]*runRecord, error) {
	presented, err := readBundles(w.opts.Bundles)
	if err != nil {
		return nil, err
	}
	subjects := []sallyport.Digest{evidence.TypeDigest(predicate.AgentRunType)}
	kept, _, err := w.evidenceDir().Collect(ctx, subjects)
	if err != nil {
		return nil, err
	}
	travelled, _, err := w.travelled(ctx, subjects)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(presented, kept, travelled)
	records := make([]*runRecord, len(all))
	inParallel(len(all), func(i int) { records[i] = readRunRecord(all[i]) })
	seen := map[sallyport.Digest]bool{}
	return slices.DeleteFunc(records, func(r *runRecord) bool {
		if r == nil {
			return true
		}
		d := r.att.Digest()
		known := seen[d]
		seen[d] = true
		return known
	}), nil
}

// inParallel calls fn for 0 to n-1, a few at a time.
func inParallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	const workers = 4
	for k := range min(workers, n) {
		wg.Go(func() {
			for i := k; i < n; i += workers {
				fn(i)
			}
		})
	}
	wg.Wait()
}

func readRunRecord(att sallyport.Attestation) *runRecord {
	st, err := evidence.Statement(att.Raw)
	if err != nil || st.PredicateType != predicate.AgentRunType {
		return nil
	}
	p, err := predicate.DecodeAgentRun(st.Predicate)
	if err != nil {
		return nil
	}
	r := &runRecord{run: p, att: att, made: blame.Run{
		Commits: map[string]bool{}, Trees: map[string]bool{}, Blobs: map[blame.Blob]bool{}, Hunks: map[string]int{},
	}}
	for _, c := range p.Changes.Commits {
		r.made.Commits[c] = true
	}
	for _, b := range p.Changes.Blobs {
		r.made.Blobs[blame.Blob{Path: b.Path, Mode: b.Mode, Blob: b.GitBlob}] = true
	}
	for _, h := range p.Changes.Hunks {
		r.made.Hunks["sha256:"+h]++
	}
	for _, s := range st.Subject {
		if t := s.Digest["gitTree"]; t != "" {
			r.made.Trees[t] = true
		}
	}
	return r
}

// A runJudge verifies records of runs, each when it is first asked about it.
type runJudge struct {
	gate *merge.Gate
	v    *evidence.Verifier
}

func (w *workspace) runJudge(ctx context.Context) *runJudge {
	return &runJudge{
		gate: &merge.Gate{
			Identifier: identifier{w.newIdentifier(ctx, w.app.now()), w.roster}, Repository: w.repository(),
			Accepted: merge.Accepted{PersonGrades: w.data.PersonGrades, RunGrades: w.data.RunGrades},
		},
		v: w.newVerifier(w.keys()),
	}
}

// judge verifies r and says whether policy accepts it. It may be called from several goroutines.
func (j *runJudge) judge(ctx context.Context, r *runRecord) bool {
	r.once.Do(func() {
		ev, err := j.v.Verify(ctx, r.att)
		if err != nil {
			r.why = fmt.Sprintf("its evidence %s does not verify: %v", r.att.Digest().Short(), err)
			return
		}
		r.ev, r.verified, r.grade = ev, true, ev.Grade
		if r.run.Supervisor.Separation == predicate.SeparationNone {
			r.grade = sallyport.Declared
		}
		if _, err := j.gate.Accepts(ev); err != nil {
			r.why = fmt.Sprintf("its evidence %s is not accepted: %v", r.att.Digest().Short(), err)
			return
		}
		r.accepted = true
	})
	return r.accepted
}

func (r *runRecord) models() []string {
	models := []string{}
	for _, m := range r.run.Models {
		if !slices.Contains(models, m.Name) {
			models = append(models, m.Name)
		}
	}
	return models
}
