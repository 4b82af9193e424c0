package merge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A run is run evidence that may account for units.
type run struct {
	id       string
	agent    string
	operator string
	commits  map[string]bool
	blobs    map[blobKey]bool
	hunks    map[string]int  // how often the run made this hunk and has not yet been used for it
	trees    map[string]bool // that its statement is about
	payload  sallyport.Digest
	signer   string
	part     int64
	sealed   bool

	commitList []string
	chained    bool // by its ends, it made the change or a part of it that others complete; see [Gate.chain]

	used  bool
	whole bool // all that it names by content is in the change; see [run.landsWhole]
}

type blobKey struct{ path, mode, blob string }

// A hunkPlace is a hunk where it stands: hunks at two places of one file may have one digest.
type hunkPlace struct {
	digest sallyport.Digest
	place  int
}

// runs returns the runs that policy accepts, those that it does not, and why not.
func (g *Gate) runs(evidence []sallyport.Evidence) (accepted, others []*run, why []string) {
	type refused struct {
		r    *run
		text string
	}
	var not []refused
	for _, ev := range evidence {
		if ev.Statement.PredicateType != predicate.AgentRunType {
			continue
		}
		p, err := predicate.DecodeAgentRun(ev.Statement.Predicate)
		var r *run
		if err == nil {
			r = newRun(p)
			r.trees, r.payload, r.signer = treesOf(ev), ev.Payload, ev.Key
			if err = g.accept(ev, p); err == nil {
				accepted = append(accepted, r)
				continue
			}
			others = append(others, r)
		}
		not = append(not, refused{r, fmt.Sprintf("run evidence %s: %v", ev.Attestation.Short(), err)})
	}
	all := slices.Clone(accepted)
	accepted = slices.DeleteFunc(accepted, func(r *run) bool {
		text := contradicted(r, all, others)
		if text == "" {
			return false
		}
		not, others = append(not, refused{nil, text}), append(others, r)
		return true
	})
	for _, n := range not {
		// A checkpoint is not sealed, and nobody misses that once the run is.
		if n.r == nil || n.r.sealed || !slices.ContainsFunc(accepted, func(r *run) bool { return r.sameAs(n.r) && n.r.part < r.part }) {
			why = append(why, n.text)
		}
	}
	return accepted, others, why
}

func treesOf(ev sallyport.Evidence) map[string]bool {
	trees := map[string]bool{}
	for _, s := range ev.Statement.Subject {
		if t := s.Digest["gitTree"]; t != "" {
			trees[t] = true
		}
	}
	return trees
}

// sameAs reports whether two records are of one run, by its name and by who signed.
func (r *run) sameAs(o *run) bool { return r.id == o.id && r.signer == o.signer }

// contradicted says why a sealed record cannot be the last word about its run: the same signer says
// otherwise in another seal, or in a checkpoint that comes after it.
func contradicted(r *run, accepted, others []*run) string {
	for _, o := range accepted {
		if o.sameAs(r) && o.payload != r.payload {
			return "run evidence about " + r.id + ": two sealed records of the run differ, and neither counts"
		}
	}
	for _, o := range others {
		switch {
		case !o.sameAs(r):
		case !o.sealed && o.part > r.part:
			return "run evidence about " + r.id + ": the record was sealed before its last checkpoint, and does not count"
		case o.sealed && o.payload != r.payload:
			return "run evidence about " + r.id + ": another sealed record of the run differs, and is not accepted: neither counts"
		}
	}
	return ""
}

// Accepts decodes the record of a run, and says why policy does not accept it, if it does not.
func (g *Gate) Accepts(ev sallyport.Evidence) (predicate.AgentRun, error) {
	p, err := predicate.DecodeAgentRun(ev.Statement.Predicate)
	if err != nil {
		return p, err
	}
	return p, g.accept(ev, p)
}

// accept says why policy does not accept the record of a run, or nil.
func (g *Gate) accept(ev sallyport.Evidence, p predicate.AgentRun) error {
	grade := ev.Grade
	if p.Supervisor.Separation == predicate.SeparationNone {
		grade = sallyport.Declared // the agent could reach its supervisor, whatever key signed
	}
	switch {
	case !slices.Contains(g.Accepted.RunGrades, grade):
		return fmt.Errorf("its grade is %q and policy accepts %s", grade, sallyport.EitherGrade(g.Accepted.RunGrades))
	case p.Repository != g.Repository:
		return fmt.Errorf("it is about repository %q, not %q", p.Repository, g.Repository)
	case !p.Sealed:
		return fmt.Errorf("the run is not sealed, so its record may have been cut short")
	case p.Conclusion != predicate.ConclusionSuccess:
		return fmt.Errorf("the run ended with %q", p.Conclusion)
	case !g.Identifier.Person(p.Operator):
		return fmt.Errorf("its operator %q is not in the roster", p.Operator)
	}
	return nil
}

func newRun(p predicate.AgentRun) *run {
	r := &run{id: p.RunID, agent: p.Agent.Name, operator: p.Operator, part: p.Part, sealed: p.Sealed, commitList: p.Changes.Commits,
		commits: map[string]bool{}, blobs: map[blobKey]bool{}, hunks: map[string]int{}}
	for _, c := range p.Changes.Commits {
		r.commits[c] = true
	}
	for _, b := range p.Changes.Blobs {
		r.blobs[blobKey{b.Path, b.Mode, b.GitBlob}] = true
	}
	for _, h := range p.Changes.Hunks {
		r.hunks[h]++
	}
	return r
}

// names reports whether the run says that it made any part of the change.
func (r *run) names(c *sallyport.Change) bool {
	if r.used || r.chained {
		return true
	}
	for i := range c.Commits {
		if r.commits[c.Commits[i].ID.Hex()] {
			return true
		}
	}
	for i := range c.Files {
		if r.wrote(&c.Files[i]) {
			return true
		}
	}
	return false
}

// landsWhole reports whether the change holds every hunk of the run, as often as the run made it,
// and touches every path that the run wrote. A run's work may be squashed and rebased, and then no
// commit tells whose it is; but a part of it is another work than the whole, such as a feature
// without the check that the same run put before it.
func (r *run) landsWhole(c *sallyport.Change) bool {
	left, paths := maps.Clone(r.hunks), map[string]bool{}
	for i := range c.Files {
		f := &c.Files[i]
		paths[string(f.Path)] = true
		seen := map[hunkPlace]bool{}
		for _, u := range f.Units {
			if at := (hunkPlace{u.Hunk, u.Place}); !seen[at] {
				seen[at] = true
				left[u.Hunk.Hex()]--
			}
		}
	}
	for _, n := range left {
		if n > 0 {
			return false
		}
	}
	for b := range r.blobs {
		if !paths[b.path] {
			return false
		}
	}
	return true
}

// wrote reports whether the run names the file's content, or one of its hunks.
func (r *run) wrote(f *sallyport.File) bool {
	return r.blobs[blobKey{string(f.Path), f.NewMode, f.NewBlob}] ||
		slices.ContainsFunc(f.Units, func(u sallyport.Unit) bool { return r.hunks[u.Hunk.Hex()] > 0 })
}

// coverage attributes units and works out which of them run evidence covers.
type coverage struct {
	gate    *Gate
	x       *Examined
	runs    []*run
	grades  []sallyport.Grade
	claimed map[hunkPlace]*run // hunks of the file at hand that a run has accounted for
	held    Held

	// unaccounted are the commits of the range that no accepted person, no bot and no run
	// accounts for. While there is one, nothing is accounted for by commit; see [Gate.cover].
	unaccounted []sallyport.Digest

	files  []sallyport.FileInput
	open   [][]sallyport.Unit // by file: what nobody accounts for
	total  sallyport.Coverage
	agents map[string]int // weight by agent named
}

// cover attributes every unit of x and works out what runs account for. Units are attributed to
// the commits that made their lines, and a commit that takes away what another one made leaves no
// line of its own. So what is accounted for by commit (a person's or bot's signature, a run's list
// of commits) counts only where every commit of the range is accounted for in one of these ways:
// else a signed guard could be deleted by an unsigned commit, and what remains be the signer's.
func (g *Gate) cover(x *Examined, runs []*run, held Held) *coverage {
	c := &coverage{gate: g, x: x, runs: runs, grades: g.Accepted.PersonGrades, held: held, agents: map[string]int{}}
	for i := range x.Change.Commits {
		if !c.accounted(i) {
			c.unaccounted = append(c.unaccounted, x.Change.Commits[i].ID)
		}
	}
	for _, r := range runs {
		r.whole = r.landsWhole(&x.Change)
	}
	if len(c.unaccounted) == 0 { // every run that names a commit is relied on
		for _, r := range runs {
			for i := range x.Change.Commits {
				if r.commits[x.Change.Commits[i].ID.Hex()] {
					r.used = true
					c.agents[r.agent] += 0
				}
			}
		}
	}
	c.files = make([]sallyport.FileInput, 0, len(x.Change.Files))
	c.open = make([][]sallyport.Unit, len(x.Change.Files))
	for _, r := range runs {
		if r.chained {
			r.used = true
			c.agents[r.agent] += 0
		}
	}
	for i := range x.Change.Files {
		c.files = append(c.files, c.file(&x.Change.Files[i]))
	}
	return c
}

// accounted reports whether somebody accounts for commit i as a whole.
func (c *coverage) accounted(i int) bool {
	a := c.x.Authors[i].Attribution
	switch a.Principal.Kind {
	case sallyport.Person:
		if slices.Contains(c.grades, a.Grade) {
			return true
		}
	case sallyport.Bot:
		// A bot's scope is checked where its lines are. Where it takes away what others made in
		// this range there are none, so a bot accounts only for a range that is all its own.
		alone := func(o Author) bool { return o.Attribution.Principal == a.Principal }
		if !slices.ContainsFunc(c.x.Authors, func(o Author) bool { return !alone(o) }) {
			return true
		}
	}
	for _, r := range c.runs {
		if r.commits[c.x.Change.Commits[i].ID.Hex()] && !contradicts(a, r) {
			return true
		}
	}
	return false
}

// contradicts reports whether an attribution names another agent than the run.
func contradicts(a sallyport.Attribution, r *run) bool {
	return a.Principal.Kind == sallyport.Agent && a.Principal.Name != r.agent
}

func (c *coverage) file(f *sallyport.File) sallyport.FileInput {
	in := fileInput(f)
	c.claimed = map[hunkPlace]*run{}
	signed := c.x.rotation && governed(f)
	for _, u := range f.Units {
		a := c.x.unit(f, u)
		w := u.Weight()
		bucket := c.bucket(a)
		if signed {
			a, bucket = sallyport.Attribution{}, sallyport.Person
		}
		add(&in.Attribution, bucket, w)
		add(&c.total.Units, bucket, 1)
		add(&c.total.Lines, bucket, w)
		c.total.Total += w
		if a.Principal.Kind == sallyport.Agent {
			c.agents[a.Principal.Name] += w
		}
		if bucket == sallyport.Person || bucket == sallyport.Bot {
			continue
		}
		if r := c.coveringRun(f, u, a); r != nil {
			r.used = true
			c.total.Attested += w
			c.agents[r.agent] += 0
			continue
		}
		add(&in.Uncovered, bucket, w)
		c.open[len(c.files)] = append(c.open[len(c.files)], u)
		if u.Kind == sallyport.UnitLines && u.Side == sallyport.AddedSide {
			in.UncoveredLines = join(in.UncoveredLines, sallyport.LineRange{Start: u.Start, Lines: u.Lines})
		}
	}
	return in
}

// maxUncovered bounds how many places of a file are listed.
const maxUncovered = 100

// join adds lines to ranges that are in order, and nothing beyond the bound.
func join(ranges []sallyport.LineRange, r sallyport.LineRange) []sallyport.LineRange {
	if n := len(ranges); n > 0 && ranges[n-1].Start+ranges[n-1].Lines == r.Start {
		ranges[n-1].Lines += r.Lines
		return ranges
	}
	if len(ranges) >= maxUncovered {
		return ranges
	}
	return append(ranges, r)
}

// governedDir is where the files stand whose digests a root lists.
const governedDir = ".sallyport/"

// governed reports whether all of a file's change is to governed files.
func governed(f *sallyport.File) bool {
	return strings.HasPrefix(string(f.Path), governedDir) && (f.OldPath == "" || strings.HasPrefix(string(f.OldPath), governedDir))
}

// bucket says under whom a unit counts. A person at a grade that policy does not accept counts
// under nobody: a name and an ordinary key are things that an agent has too.
func (c *coverage) bucket(a sallyport.Attribution) sallyport.PrincipalKind {
	whole := len(c.unaccounted) == 0
	switch a.Principal.Kind {
	case sallyport.Person:
		if whole && slices.Contains(c.grades, a.Grade) {
			return sallyport.Person
		}
	case sallyport.Bot:
		if whole {
			return sallyport.Bot
		}
	case sallyport.Agent:
		return sallyport.Agent
	}
	return sallyport.Nobody
}

// coveringRun returns the run that accounts for u, or nil.
func (c *coverage) coveringRun(f *sallyport.File, u sallyport.Unit, a sallyport.Attribution) *run {
	for _, r := range c.runs {
		if contradicts(a, r) {
			continue // a contradiction covers nothing
		}
		if r.chained || c.madeCommits(r, u) {
			return r
		}
		if !r.whole || c.held[f.Path][f.NewBlob] {
			continue // a part of its work, or what the target has held before, is not the run's work
		}
		if c.madeBlob(r, f, u) {
			return r
		}
		// A hunk may hold several units; it is used up by the first of them, once for each time
		// that it occurs, so that one attested hunk never vouches for two.
		at := hunkPlace{u.Hunk, u.Place}
		if c.claimed[at] == r {
			return r
		}
		if h := u.Hunk.Hex(); r.hunks[h] > 0 {
			r.hunks[h]--
			c.claimed[at] = r
			return r
		}
	}
	return nil
}

// heldBefore asks what the target has held at the paths that a run's blobs are about.
func (g *Gate) heldBefore(ctx context.Context, x *Examined, runs []*run) (Held, error) {
	var paths []sallyport.Path
	for i := range x.Change.Files {
		f := &x.Change.Files[i]
		if slices.ContainsFunc(runs, func(r *run) bool { return r.wrote(f) }) {
			paths = append(paths, f.Path)
		}
	}
	if len(paths) == 0 || x.Change.Base.Zero() {
		return nil, nil
	}
	held, err := g.Differ.Held(ctx, x.Change.Base.Hex(), paths)
	if err != nil {
		return nil, fmt.Errorf("read what the target has held: %w", err)
	}
	return held, nil
}

// madeCommits reports whether the run made one of the unit's commits, where all of the range is
// accounted for, and so the unit's other commits are too.
func (c *coverage) madeCommits(r *run, u sallyport.Unit) bool {
	return len(c.unaccounted) == 0 && slices.ContainsFunc(u.Commits, func(i int) bool {
		return r.commits[c.x.Change.Commits[i].ID.Hex()]
	})
}

// madeBlob reports whether the run wrote what the unit is. A blob says what a file came to, and
// not from what: it accounts for a file that is new, and for content that has no lines. Of a file
// that was there before, the lines are the hunks' business, which hold what was taken away too.
func (c *coverage) madeBlob(r *run, f *sallyport.File, u sallyport.Unit) bool {
	if u.Kind == sallyport.UnitLines && f.Status != "added" {
		return false
	}
	return r.blobs[blobKey{string(f.Path), f.NewMode, f.NewBlob}]
}

func fileInput(f *sallyport.File) sallyport.FileInput {
	return sallyport.FileInput{
		Path: f.Path, OldPath: f.OldPath, Status: f.Status, OldMode: f.OldMode, NewMode: f.NewMode,
		Classes: append([]string{}, f.Classes...), Binary: f.Binary, Added: f.Added, Removed: f.Removed,
		Line: firstLine(f), UncoveredLines: []sallyport.LineRange{}, Stray: []sallyport.LineRange{}, Owners: []string{}, OwnersUnknown: []string{},
	}
}

// firstLine is where a reader should look first.
func firstLine(f *sallyport.File) int {
	for _, side := range []sallyport.Side{sallyport.AddedSide, sallyport.RemovedSide} {
		for _, u := range f.Units {
			if u.Kind == sallyport.UnitLines && u.Side == side {
				return u.Start
			}
		}
	}
	return 0
}

func add(w *sallyport.Weights, kind sallyport.PrincipalKind, n int) {
	switch kind {
	case sallyport.Agent:
		w.Agent += n
	case sallyport.Person:
		w.Person += n
	case sallyport.Bot:
		w.Bot += n
	default:
		w.Unattributed += n
	}
}
