package merge

import (
	"encoding/json"
	"fmt"
	"slices"

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
	hunks    map[string]int // how often the run made this hunk and has not yet been used for it
	used     bool
}

type blobKey struct{ path, mode, blob string }

// A hunkPlace is a hunk where it stands: hunks at two places of one file may have one digest.
type hunkPlace struct {
	digest sallyport.Digest
	place  int
}

// runs returns the run evidence that policy accepts, and why the rest is not accepted.
func (g *Gate) runs(evidence []sallyport.Evidence) ([]*run, []string) {
	var rs []*run
	var why []string
	for _, ev := range evidence {
		if ev.Statement.PredicateType != predicate.AgentRunType {
			continue
		}
		r, err := g.run(ev)
		if err != nil {
			why = append(why, fmt.Sprintf("run evidence %s: %v", ev.Attestation.Short(), err))
			continue
		}
		rs = append(rs, r)
	}
	return rs, why
}

func (g *Gate) run(ev sallyport.Evidence) (*run, error) {
	var p predicate.AgentRun
	if err := json.Unmarshal(ev.Statement.Predicate, &p); err != nil {
		return nil, fmt.Errorf("its predicate cannot be read: %w", err)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	grade := ev.Grade
	if p.Supervisor.Separation == predicate.SeparationNone {
		grade = sallyport.Declared // the agent could reach its supervisor, whatever key signed
	}
	switch {
	case !slices.Contains(g.Accepted.RunGrades, grade):
		return nil, fmt.Errorf("its grade is %q and policy accepts %v", grade, g.Accepted.RunGrades)
	case p.Repository != g.Repository:
		return nil, fmt.Errorf("it is about repository %q, not %q", p.Repository, g.Repository)
	case !p.Sealed:
		return nil, fmt.Errorf("the run is not sealed, so its record may have been cut short")
	case p.Conclusion != predicate.ConclusionSuccess:
		return nil, fmt.Errorf("the run ended with %q", p.Conclusion)
	case !g.Identifier.Person(p.Operator):
		return nil, fmt.Errorf("its operator %q is not in the roster", p.Operator)
	}
	r := &run{id: p.RunID, agent: p.Agent.Name, operator: p.Operator,
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
	return r, nil
}

// coverage attributes units and works out which of them run evidence covers.
type coverage struct {
	gate    *Gate
	x       *Examined
	runs    []*run
	grades  []sallyport.Grade
	claimed map[hunkPlace]*run // hunks of the file at hand that a run has accounted for

	files  []sallyport.FileInput
	total  sallyport.Coverage
	agents map[string]int // weight by agent named
}

func (g *Gate) cover(x *Examined, runs []*run) *coverage {
	c := &coverage{gate: g, x: x, runs: runs, grades: g.Accepted.PersonGrades, agents: map[string]int{}}
	c.files = make([]sallyport.FileInput, 0, len(x.Change.Files))
	for i := range x.Change.Files {
		c.files = append(c.files, c.file(&x.Change.Files[i]))
	}
	return c
}

func (c *coverage) file(f *sallyport.File) sallyport.FileInput {
	in := fileInput(f)
	c.claimed = map[hunkPlace]*run{}
	for _, u := range f.Units {
		a := c.x.unit(f, u)
		w := u.Weight()
		bucket := c.bucket(a)
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
	}
	return in
}

// bucket says under whom a unit counts. A person at a grade that policy does not accept counts
// under nobody: a name and an ordinary key are things that an agent has too.
func (c *coverage) bucket(a sallyport.Attribution) sallyport.PrincipalKind {
	switch a.Principal.Kind {
	case sallyport.Person:
		if slices.Contains(c.grades, a.Grade) {
			return sallyport.Person
		}
	case sallyport.Agent, sallyport.Bot:
		return a.Principal.Kind
	}
	return sallyport.Nobody
}

// coveringRun returns the run that accounts for u, or nil.
func (c *coverage) coveringRun(f *sallyport.File, u sallyport.Unit, a sallyport.Attribution) *run {
	for _, r := range c.runs {
		if a.Principal.Kind == sallyport.Agent && a.Principal.Name != r.agent {
			continue // the commits name another agent: a contradiction covers nothing
		}
		if r.madeCommits(c.x, u) || r.blobs[blobKey{string(f.Path), f.NewMode, f.NewBlob}] {
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

func (r *run) madeCommits(x *Examined, u sallyport.Unit) bool {
	for _, i := range u.Commits {
		if !r.commits[x.Change.Commits[i].ID.Hex()] {
			return false
		}
	}
	return len(u.Commits) > 0
}

func fileInput(f *sallyport.File) sallyport.FileInput {
	return sallyport.FileInput{
		Path: f.Path, OldPath: f.OldPath, Status: f.Status, OldMode: f.OldMode, NewMode: f.NewMode,
		Classes: append([]string{}, f.Classes...), Binary: f.Binary, Added: f.Added, Removed: f.Removed,
		Line: firstLine(f),
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
