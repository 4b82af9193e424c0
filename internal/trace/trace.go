// Package trace answers what something has touched: from a model to the runs that used it, the commits
// that the runs made, the decisions that let them pass, and the artifacts that were made from them.
//
// An [Index] is filled with verified statements and asked as often as one likes. What it is told as a
// claim stays one: it is listed apart, and nothing is derived from it.
//
//   - A run is touched if it says that it used the model.
//   - A commit is touched if a run lists it among those that it made or left, if its content holds a file that a run
//     wrote (the caller looks that up), or if an open merge decision about it relied on a run's statement.
//   - A decision is touched if it relied on a run's statement, or is about a touched commit.
//   - An artifact is touched if verified provenance names a touched commit as its source, or an open release decision
//     is about a commit from which a touched one can be reached, or about one.
//
// The package reads no clock, no file and no git. An index is safe for concurrent reading once it is filled.
package trace

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A Run is one run of an agent, by what its supervisor said.
type Run struct {
	Attestation sallyport.Digest    `json:"attestation"`
	ID          string              `json:"run"`
	Agent       string              `json:"agent"`
	Operator    string              `json:"operator"`
	Repository  string              `json:"repository"`
	Started     string              `json:"started"`
	Ended       string              `json:"ended"`
	Signer      sallyport.Principal `json:"signer"`
	Grade       sallyport.Grade     `json:"grade"`
	Models      []predicate.Model   `json:"models"`
	Why         string              `json:"why,omitempty"` // why it is a claim alone

	commits []string // hex
	trees   []string
	blobs   []predicate.Blob
}

// A Commit is one that was touched.
type Commit struct {
	ID  string   `json:"commit"`
	Why []string `json:"why"` // run ID, or decision ID
}

// A Decision is one that a gate made and signed.
type Decision struct {
	ID      sallyport.Digest   `json:"decision"`
	Gate    sallyport.Gate     `json:"gate"`
	Outcome string             `json:"outcome"`
	Time    string             `json:"time"`
	Where   string             `json:"where"` // the repository, as a URI
	Subject []sallyport.Digest `json:"subject"`
	Why     string             `json:"why"`

	names    []string // of the subjects
	evidence []string // sha256, hex
}

// An Artifact is a file or image that was made from what was touched.
type Artifact struct {
	Digest sallyport.Digest `json:"digest"`
	Name   string           `json:"name,omitempty"`
	Why    []string         `json:"why"`
}

// Touched is the answer.
type Touched struct {
	Runs      []Run      `json:"runs"`
	Claims    []Run      `json:"claims"` // of runs whose statements do not count
	Commits   []Commit   `json:"commits"`
	Trees     []string   `json:"trees"`
	Blobs     []string   `json:"blobs"` // PATH at its git blob
	Decisions []Decision `json:"decisions"`
	Artifacts []Artifact `json:"artifacts"`
}

// A product is an artifact with the commits of its sources.
type product struct {
	artifact Artifact
	sources  []string
	by       sallyport.Digest
}

// An Index holds what is known. Its zero value is empty and ready.
type Index struct {
	runs, claims []Run
	decisions    []Decision
	products     []product
	seen         map[sallyport.Digest]bool
}

// provenanceTypes are the types of SLSA provenance.
var provenanceTypes = []string{"https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"}

// Types returns the predicate types that an index has a use for.
func Types() []string {
	return append([]string{predicate.AgentRunType, predicate.SummaryType}, provenanceTypes...)
}

// Add takes in verified evidence. What it has no use for is ignored. A run that the caller does not accept, and why,
// is kept as a claim.
func (x *Index) Add(ev sallyport.Evidence, notAccepted string) {
	if x.twice(ev.Attestation) {
		return
	}
	switch {
	case ev.Statement.PredicateType == predicate.AgentRunType:
		r, ok := runOf(ev.Statement)
		if !ok {
			return
		}
		r.Attestation, r.Signer, r.Grade, r.Why = ev.Attestation, ev.Signer, ev.Grade, notAccepted
		if notAccepted != "" {
			x.claims = append(x.claims, r)
		} else {
			x.runs = append(x.runs, r)
		}
	case ev.Statement.PredicateType == predicate.SummaryType:
		x.decide(ev.Statement)
	case slices.Contains(provenanceTypes, ev.Statement.PredicateType):
		x.produced(ev)
	}
}

// AddClaim takes in a statement of a run that does not verify, and why not.
func (x *Index) AddClaim(attestation sallyport.Digest, st sallyport.Statement, why string) {
	if st.PredicateType != predicate.AgentRunType || x.twice(attestation) {
		return
	}
	if r, ok := runOf(st); ok {
		r.Attestation, r.Why = attestation, why
		x.claims = append(x.claims, r)
	}
}

// AddDecision takes in the summary of a decision that the caller's own store holds.
func (x *Index) AddDecision(st sallyport.Statement) { x.decide(st) }

func (x *Index) twice(d sallyport.Digest) bool {
	if x.seen == nil {
		x.seen = map[sallyport.Digest]bool{}
	}
	was := x.seen[d]
	x.seen[d] = true
	return was && !d.Zero()
}

func runOf(st sallyport.Statement) (Run, bool) {
	p, err := predicate.DecodeAgentRun(st.Predicate)
	if err != nil {
		return Run{}, false
	}
	r := Run{ID: p.RunID, Agent: p.Agent.Name, Operator: p.Operator, Repository: p.Repository, Started: p.StartedAt, Ended: p.EndedAt,
		Models: p.Models, commits: slices.Clone(p.Changes.Commits), blobs: p.Changes.Blobs}
	for _, s := range st.Subject {
		if c := s.Digest["gitCommit"]; c != "" && !slices.Contains(r.commits, c) {
			r.commits = append(r.commits, c)
		}
		if t := s.Digest["gitTree"]; t != "" {
			r.trees = append(r.trees, t)
		}
	}
	return r, true
}

func (x *Index) decide(st sallyport.Statement) {
	if st.PredicateType != predicate.SummaryType {
		return
	}
	s, err := predicate.DecodeSummary(st.Predicate)
	if err != nil {
		return // another verifier's
	}
	d := Decision{ID: sallyport.Digest(s.Decision), Gate: sallyport.Gate(s.Gate), Outcome: s.Outcome, Time: s.TimeVerified, Where: s.ResourceURI}
	if x.twice(d.ID) {
		return
	}
	for _, sub := range st.Subject {
		for alg, hex := range sub.Digest {
			d.Subject = append(d.Subject, sallyport.Digest(alg+":"+hex))
			d.names = append(d.names, sub.Name)
		}
	}
	for _, in := range s.InputAttestations {
		if h := in.Digest["sha256"]; h != "" {
			d.evidence = append(d.evidence, h)
		}
	}
	x.decisions = append(x.decisions, d)
}

// produced notes the artifacts of provenance, with the commits that it names.
func (x *Index) produced(ev sallyport.Evidence) {
	type resource struct {
		Digest map[string]string `json:"digest"`
	}
	var p struct {
		BuildDefinition struct {
			ResolvedDependencies []resource `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		Materials []resource `json:"materials"` // of v0.2
	}
	if json.Unmarshal(ev.Statement.Predicate, &p) != nil {
		return
	}
	var sources []string
	for _, r := range append(p.BuildDefinition.ResolvedDependencies, p.Materials...) {
		for _, alg := range []string{"gitCommit", "sha1"} {
			if c := r.Digest[alg]; c != "" {
				sources = append(sources, c)
			}
		}
	}
	for _, s := range ev.Statement.Subject {
		if h := s.Digest["sha256"]; h != "" && len(sources) > 0 {
			x.products = append(x.products, product{Artifact{Digest: sallyport.Digest("sha256:" + h), Name: s.Name}, sources, ev.Attestation})
		}
	}
}

// A Query says what is asked about, and what the index cannot know itself.
type Query struct {
	// Model reports whether a model of a run is the one that is asked about.
	Model func(predicate.Model) bool
	// Holding returns the commits whose content holds one of the files, by git's id, each with the runs that wrote
	// it. Nil: nobody looks.
	Holding func(written map[predicate.Blob][]string) (map[string][]string, error)
	// Reaches returns what reports whether a commit can be reached from the one that is given. Nil: each reaches
	// itself alone.
	Reaches func(from string) (func(commit string) bool, error)
}

// Touched answers a query.
func (x *Index) Touched(q Query) (Touched, error) {
	t := Touched{Runs: []Run{}, Claims: []Run{}, Commits: []Commit{}, Trees: []string{}, Blobs: []string{}, Decisions: []Decision{}, Artifacts: []Artifact{}}
	uses := func(r Run) bool { return slices.ContainsFunc(r.Models, q.Model) }
	commits := map[string][]string{}
	because := func(commit, why string) {
		if !slices.Contains(commits[commit], why) {
			commits[commit] = append(commits[commit], why)
		}
	}
	statements := map[string]string{} // of runs, by the digest of the attestation: the run
	written := map[predicate.Blob][]string{}
	for _, r := range x.claims {
		if uses(r) {
			t.Claims = append(t.Claims, r)
		}
	}
	for _, r := range x.runs {
		if !uses(r) {
			continue
		}
		t.Runs = append(t.Runs, r)
		statements[r.Attestation.Hex()] = r.ID
		for _, c := range r.commits {
			because(c, "run "+r.ID)
		}
		t.Trees = append(t.Trees, r.trees...)
		for _, b := range r.blobs {
			written[b] = append(written[b], r.ID)
			t.Blobs = append(t.Blobs, b.Path+" at "+b.GitBlob)
		}
	}
	if q.Holding != nil && len(written) > 0 {
		found, err := q.Holding(written)
		if err != nil {
			return Touched{}, err
		}
		for c, runs := range found {
			for _, r := range runs {
				because(c, "content of run "+r)
			}
		}
	}
	if err := x.decided(&t, q, commits, statements, because); err != nil {
		return Touched{}, err
	}
	for c, why := range commits {
		slices.Sort(why)
		t.Commits = append(t.Commits, Commit{c, why})
	}
	sorted(&t)
	return t, nil
}

// decided adds the decisions and artifacts. A merge decision that relied on a run touches its commit, so merges
// come before releases.
func (x *Index) decided(t *Touched, q Query, commits map[string][]string, statements map[string]string, because func(commit, why string)) error {
	artifacts := map[sallyport.Digest]*Artifact{}
	made := func(a Artifact, why string) {
		have := artifacts[a.Digest]
		if have == nil {
			have = &Artifact{Digest: a.Digest, Name: a.Name}
			artifacts[a.Digest] = have
		}
		if !slices.Contains(have.Why, why) {
			have.Why = append(have.Why, why)
		}
	}
	for _, gate := range []sallyport.Gate{sallyport.GateMerge, sallyport.GateRelease} {
		for _, d := range x.decisions {
			if d.Gate != gate {
				continue
			}
			for _, e := range d.evidence {
				if run, ok := statements[e]; ok {
					d.Why = "relied on run " + run
					break
				}
			}
			if d.Why != "" && gate == sallyport.GateMerge && d.Outcome == sallyport.Open.String() {
				for _, s := range d.Subject {
					if s.Algorithm() == "gitCommit" {
						because(s.Hex(), "decision "+d.ID.Short())
					}
				}
			}
			if err := d.about(q, commits); err != nil {
				return err
			}
			if d.Why == "" {
				continue
			}
			t.Decisions = append(t.Decisions, d)
			if gate != sallyport.GateRelease || d.Outcome != sallyport.Open.String() {
				continue
			}
			for i, s := range d.Subject {
				if s.Algorithm() == "sha256" {
					made(Artifact{Digest: s, Name: d.names[i]}, "released by decision "+d.ID.Short())
				}
			}
		}
	}
	for _, p := range x.products {
		for _, c := range p.sources {
			if _, ok := commits[c]; ok {
				made(p.artifact, "built from commit "+short(c))
				continue
			}
			reaches, err := q.reaches(c, commits)
			if err != nil {
				return err
			}
			if hit := firstReached(reaches, commits); hit != "" {
				made(p.artifact, "built from commit "+short(c)+", which holds "+short(hit))
			}
		}
	}
	for _, a := range artifacts {
		slices.Sort(a.Why)
		t.Artifacts = append(t.Artifacts, *a)
	}
	return nil
}

// about sets why a decision is touched by its subject, if it is. A decision about a release is about all that
// its commit holds.
func (d *Decision) about(q Query, commits map[string][]string) error {
	for _, s := range d.Subject {
		if d.Why != "" || s.Algorithm() != "gitCommit" {
			continue
		}
		if _, ok := commits[s.Hex()]; ok {
			d.Why = "is about commit " + short(s.Hex())
			continue
		}
		if d.Gate != sallyport.GateRelease {
			continue
		}
		reaches, err := q.reaches(s.Hex(), commits)
		if err != nil {
			return err
		}
		if hit := firstReached(reaches, commits); hit != "" {
			d.Why = "is about commit " + short(s.Hex()) + ", which holds " + short(hit)
		}
	}
	return nil
}

func (q Query) reaches(from string, commits map[string][]string) (func(string) bool, error) {
	if q.Reaches == nil || len(commits) == 0 {
		return func(c string) bool { return c == from }, nil
	}
	return q.Reaches(from)
}

// firstReached returns the smallest commit that is reached, so that answers are the same each time.
func firstReached(reaches func(string) bool, commits map[string][]string) string {
	hit := ""
	for c := range commits {
		if (hit == "" || c < hit) && reaches(c) {
			hit = c
		}
	}
	return hit
}

func short(hex string) string { return hex[:min(12, len(hex))] }

func sorted(t *Touched) {
	byRun := func(a, b Run) int {
		return cmp.Or(strings.Compare(a.Started, b.Started), strings.Compare(a.ID, b.ID), strings.Compare(string(a.Attestation), string(b.Attestation)))
	}
	slices.SortFunc(t.Runs, byRun)
	slices.SortFunc(t.Claims, byRun)
	slices.SortFunc(t.Commits, func(a, b Commit) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(t.Decisions, func(a, b Decision) int {
		return cmp.Or(strings.Compare(a.Time, b.Time), strings.Compare(string(a.ID), string(b.ID)))
	})
	slices.SortFunc(t.Artifacts, func(a, b Artifact) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	slices.Sort(t.Trees)
	t.Trees = slices.Compact(t.Trees)
	slices.Sort(t.Blobs)
	t.Blobs = slices.Compact(t.Blobs)
}
