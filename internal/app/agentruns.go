package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/render"
	"github.com/sallyport-dev/sallyport/internal/run/record"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Bounds of what is told about a run.
const (
	maxStandingFiles = 200
	maxLocalRecords  = 10_000
	maxReplayed      = 64 << 20 // bytes of text
)

// AgentRunOptions say which run is asked about, and what of it.
type AgentRunOptions struct {
	Run      string // its id, or the beginning of its evidence's digest
	Record   string // folder of its record; empty: where records are kept
	Auditor  string // file with an auditor's private key, to replay texts
	Standing bool   // also say which of its lines stand in HEAD
}

// AgentRuns lists the runs that are known here: by evidence, and by records, the newest first.
func (a *App) AgentRuns(ctx context.Context, o Options) (_ []render.RunSummary, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, w.Close)
	groups, _, err := w.runsByID(ctx)
	if err != nil {
		return nil, err
	}
	journals := w.localRecords()
	out := []render.RunSummary{}
	for _, g := range groups {
		s := g[0].summary(len(g))
		if r := journals[s.ID]; r != nil {
			s.Record = r.Dir()
			delete(journals, s.ID)
		}
		out = append(out, s)
	}
	for _, r := range journals {
		out = append(out, recordSummary(r))
	}
	slices.SortStableFunc(out, func(x, y render.RunSummary) int {
		return cmp.Or(cmp.Compare(cmp.Or(y.EndedAt, y.StartedAt), cmp.Or(x.EndedAt, x.StartedAt)), cmp.Compare(x.ID, y.ID))
	})
	return out, nil
}

// runsByID returns what is kept of runs, judged, by run and signer; the word that counts comes first in each.
func (w *workspace) runsByID(ctx context.Context) ([][]*runRecord, *runJudge, error) {
	tip, err := FindTip(ctx, refs{w.repo, w.differ(ctx)}, w.app.Getenv, TargetOptions{Ref: w.opts.Target.Ref})
	if err != nil {
		return nil, nil, w.targetHint(err, tip)
	}
	w.target = tip
	if err := w.inForce(ctx, ""); err != nil {
		return nil, nil, err
	}
	records, err := w.runRecords(ctx)
	if err != nil {
		return nil, nil, err
	}
	j := w.runJudge(ctx)
	inParallel(len(records), func(i int) { j.judge(ctx, records[i]) })
	by := map[string][]*runRecord{}
	var keys []string
	for _, r := range records {
		key := r.run.RunID
		if !r.verified {
			key += "\x00" // an unverified statement is never a part of a verified run
		}
		if by[key] == nil {
			keys = append(keys, key)
		}
		by[key] = append(by[key], r)
	}
	slices.Sort(keys)
	var groups [][]*runRecord
	for _, k := range keys {
		g := by[k]
		slices.SortStableFunc(g, func(x, y *runRecord) int {
			return cmp.Or(rank(y)-rank(x), cmp.Compare(y.run.Part, x.run.Part), cmp.Compare(y.run.EndedAt, x.run.EndedAt))
		})
		groups = append(groups, g)
	}
	return groups, j, nil
}

// rank orders what is said of a run: what is accepted, then what is sealed, then what verifies.
func rank(r *runRecord) int {
	n := 0
	for i, yes := range []bool{r.verified, r.run.Sealed, r.accepted} {
		if yes {
			n += 1 << i
		}
	}
	return n
}

func (r *runRecord) summary(parts int) render.RunSummary {
	s := render.RunSummary{
		ID: r.run.RunID, Agent: r.run.Agent.Name, Version: r.run.Agent.Version, Operator: r.run.Operator, Models: r.models(),
		StartedAt: r.run.StartedAt, EndedAt: r.run.EndedAt, State: render.RunClaimed, Why: r.why, Grade: r.grade, Evidence: r.att.Digest(), Parts: parts,
		Commits: len(r.run.Changes.Commits), Hunks: len(r.run.Changes.Hunks), Files: len(r.run.Changes.Blobs),
	}
	if r.accepted {
		s.State = render.RunAccepted
	}
	return s
}

func recordSummary(r *record.Reader) render.RunSummary {
	h := r.Header()
	s := render.RunSummary{ID: h.Run, Agent: h.Agent, Operator: h.Operator, Models: []string{}, StartedAt: h.Started, State: render.RunRecorded, Record: r.Dir(), Grade: sallyport.Declared}
	s.Why = "nobody signed for it"
	return s
}

// localRecords returns the records of runs in the state folder, by run.
func (w *workspace) localRecords() map[string]*record.Reader {
	found := map[string]*record.Reader{}
	for _, parent := range []string{"runs", "records", "journal"} {
		entries, err := os.ReadDir(w.path(parent))
		if err != nil {
			continue
		}
		for _, e := range entries {
			for _, dir := range []string{filepath.Join(w.path(parent), e.Name()), filepath.Join(w.path(parent), e.Name(), "record")} {
				if len(found) >= maxLocalRecords || !e.IsDir() || !record.Is(dir) {
					continue
				}
				if r, err := record.Open(dir); err == nil && r.Header().Run != "" {
					found[r.Header().Run] = r
				}
			}
		}
	}
	return found
}

// AgentRun tells the story of one run.
func (a *App) AgentRun(ctx context.Context, o Options, ro AgentRunOptions) (_ render.RunReport, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return render.RunReport{}, err
	}
	defer done(&err, w.Close)
	groups, j, err := w.runsByID(ctx)
	if err != nil {
		return render.RunReport{}, err
	}
	journal, err := w.recordOf(ro)
	if err != nil {
		return render.RunReport{}, err
	}
	var all []*runRecord
	for _, g := range groups {
		if g[0].run.RunID == ro.Run || slices.ContainsFunc(g, func(r *runRecord) bool { return matchesDigest(r.att.Digest(), ro.Run) }) {
			all = append(all, g...)
		}
	}
	if len(all) == 0 && journal == nil {
		return render.RunReport{}, withHint(fmt.Errorf("no run %q is known here", ro.Run), "sallyport agent list")
	}
	rep := render.RunReport{Others: []render.RunSummary{}}
	if len(all) == 0 {
		rep.Run = recordSummary(journal)
	} else {
		slices.SortStableFunc(all, func(x, y *runRecord) int { return rank(y) - rank(x) })
		best := all[0]
		rep.Run, rep.Statement, rep.Signer = best.summary(len(all)), &best.run, best.ev.Signer
		for _, r := range all[1:] {
			rep.Others = append(rep.Others, r.summary(1))
		}
		if journal == nil {
			journal = w.localRecords()[best.run.RunID]
		}
		if ro.Standing {
			if rep.Standing, err = w.standing(ctx, j, groups, best); err != nil {
				return rep, err
			}
		}
	}
	if journal == nil {
		if ro.Auditor != "" {
			return rep, withHint(errors.New("the run's record is not here, and only there its texts are kept"), "name its folder: --record DIR")
		}
		return rep, nil
	}
	rep.Run.Record = journal.Dir()
	rep.Journal, err = readJournal(journal, rep.Statement, ro.Auditor)
	return rep, err
}

func matchesDigest(d sallyport.Digest, s string) bool {
	hex := strings.TrimPrefix(s, "sha256:")
	return len(hex) >= 8 && strings.HasPrefix(d.Hex(), hex)
}

func (w *workspace) recordOf(ro AgentRunOptions) (*record.Reader, error) {
	if ro.Record == "" {
		return w.localRecords()[ro.Run], nil
	}
	r, err := record.Open(ro.Record)
	if err != nil {
		return nil, fmt.Errorf("open the record: %w", err)
	}
	return r, nil
}

// readJournal tells what a record holds: its entries by kind, whether it ends as the statement says,
// and for an auditor its texts. A record that breaks off is told up to there.
func readJournal(r *record.Reader, st *predicate.AgentRun, auditor string) (*render.RunJournal, error) {
	j := &render.RunJournal{Folder: r.Dir(), ID: r.ID().String(), Agrees: "unknown", Kinds: []render.RunKind{}, Texts: []render.RunText{}}
	replay := func(record.Entry) {}
	if auditor != "" {
		f, err := os.Open(auditor)
		if err != nil {
			return nil, fmt.Errorf("read the auditor's key: %w", err)
		}
		defer f.Close()
		ids, err := record.ParseIdentities(f)
		if err != nil {
			return nil, err
		}
		size := 0
		replay = func(e record.Entry) {
			for _, c := range e.Commits {
				t := render.RunText{Seq: e.Seq, Time: e.Time.Format("2006-01-02T15:04:05Z"), Kind: c.Kind}
				if b, err := r.Text(c, ids); err != nil {
					t.Why = err.Error()
				} else if size += len(b); size > maxReplayed {
					t.Why = fmt.Sprintf("more than %d MiB of text: read the record itself", maxReplayed>>20)
				} else {
					t.Text = string(b)
				}
				j.Texts = append(j.Texts, t)
			}
		}
	}
	counts := map[string]int64{}
	var head record.Head
	for e, err := range r.Entries() {
		if err != nil {
			j.Problem = err.Error()
			break
		}
		j.Entries, head = e.Seq, e.Head
		kind := string(e.Kind)
		if counts[kind] == 0 {
			j.Kinds = append(j.Kinds, render.RunKind{Kind: kind})
		}
		counts[kind]++
		j.Events = append(j.Events, render.RunEvent{Kind: kind, Time: e.Time})
		replay(e)
	}
	for i := range j.Kinds {
		j.Kinds[i].Count = counts[j.Kinds[i].Kind]
	}
	if n := len(j.Events); n > 0 {
		j.Span = [2]string{j.Events[0].Time.Format("2006-01-02T15:04:05Z"), j.Events[n-1].Time.Format("2006-01-02T15:04:05Z")}
	}
	seal, err := r.Seal()
	if err != nil {
		j.Problem = cmp.Or(j.Problem, err.Error())
	}
	j.Sealed = seal != nil
	if st != nil && st.Sealed {
		j.Agrees = "no"
		if j.Problem == "" && st.Records == j.Entries && st.RecordHead == head.String() {
			j.Agrees = "yes"
		}
	}
	return j, nil
}

// standing counts which lines of a run stand in HEAD.
func (w *workspace) standing(ctx context.Context, j *runJudge, groups [][]*runRecord, of *runRecord) (*render.RunStanding, error) {
	head, err := w.repo.Resolve(ctx, "HEAD")
	if err != nil {
		return nil, fmt.Errorf("find HEAD: %w", err)
	}
	s := &render.RunStanding{Commit: sallyport.GitCommit(head), Wrote: -1, Files: []render.RunFile{}}
	paths := map[string]bool{}
	for b := range of.made.Blobs {
		paths[b.Path] = true
	}
	if l, err := w.diff.Lineage(ctx, of.run.Changes.Commits); err == nil {
		files, err := w.diff.Residue(ctx, l.StartTree, l.EndTree)
		if err != nil {
			return nil, err
		}
		s.Wrote = 0
		for i := range files {
			s.Wrote += files[i].Added
			if files[i].Status != "deleted" {
				paths[string(files[i].Path)] = true
			}
		}
	}
	var records []*runRecord
	for _, g := range groups {
		records = append(records, g...)
	}
	for n, p := range sortedKeys(paths) {
		if n == maxStandingFiles {
			s.NotLooked = len(paths) - n
			break
		}
		w.opts.step("looking at " + sallyport.Path(p).String())
		f, err := w.standingIn(ctx, j, records, of, head, p)
		if err != nil {
			return nil, err
		}
		s.Files = append(s.Files, f)
		s.Lines += max(0, f.Lines)
	}
	return s, nil
}

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (w *workspace) standingIn(ctx context.Context, j *runJudge, records []*runRecord, of *runRecord, head, name string) (render.RunFile, error) {
	f := render.RunFile{Path: sallyport.Path(name), Lines: -1}
	e, err := w.repo.Entry(ctx, head, name)
	if errors.Is(err, git.ErrNotFound) || err == nil && !e.IsFile() {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	b := &blaming{
		workspace: w, commit: map[string]int{}, records: slices.Clone(records), judge: j, id: w.newIdentifier(ctx, w.app.now()),
		req: git.BlameRequest{Commit: head, Path: name},
	}
	if b.found, err = w.repo.Blame(ctx, b.req); err != nil {
		return f, err
	}
	if err := b.attribute(ctx); err != nil {
		return f, err
	}
	rep, err := b.join(ctx)
	if err != nil {
		return f, err
	}
	f.Lines, f.Of = 0, len(rep.Lines)
	for _, l := range rep.Lines {
		o := &rep.Origins[l.Origin]
		mine := o.Run >= 0 && rep.Runs[o.Run].Attestation == of.att.Digest()
		if !of.accepted {
			mine = slices.ContainsFunc(o.Claims, func(c render.BlameClaim) bool { return c.Source == "run" && c.Session == of.run.RunID })
		}
		if mine {
			f.Lines++
		}
	}
	return f, nil
}
