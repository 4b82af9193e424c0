package release

import (
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

const summaryType = predicate.SummaryType

// A decision is an accepted decision of the merge or release gate.
type decision struct {
	sallyport.MergeDecision
	gate    string
	outcome string
	tree    string // the merge result
}

// decisions returns those that count here: by an accepted verifier, about the ref that releases come
// from, of this repository.
func (g *Gate) decisions(p Params, evidence []sallyport.Evidence) []decision {
	var out []decision
	for _, ev := range evidence {
		if ev.Statement.PredicateType != summaryType || !counts(p.Settings.Grades, ev.Grade) || ev.Signer.Kind != sallyport.Workload {
			continue
		}
		s, err := predicate.DecodeSummary(ev.Statement.Predicate)
		if err != nil || len(ev.Statement.Subject) == 0 || !g.here(p, s, ev.Statement.Subject[0]) {
			continue
		}
		d := decision{gate: s.Gate, outcome: s.Outcome, MergeDecision: sallyport.MergeDecision{
			Decision: sallyport.Digest(s.Decision), Attestation: ev.Attestation, Signer: ev.Signer, Base: sallyport.Digest(s.Base),
		}}
		for _, subject := range ev.Statement.Subject {
			if id := subject.Digest["gitCommit"]; id != "" && d.Head.Zero() {
				d.Head = sallyport.GitCommit(id)
			}
			if id := subject.Digest["gitTree"]; id != "" && d.tree == "" {
				d.tree = id
			}
		}
		if !d.Head.Zero() {
			out = append(out, d)
		}
	}
	return out
}

// here reports whether a summary is about this repository and ref. The repository stands in it as a URI,
// whose end is the name that the gate knows.
func (g *Gate) here(p Params, s predicate.Summary, subject sallyport.StatementSubject) bool {
	uri := strings.TrimPrefix(strings.TrimPrefix(s.ResourceURI, "git+https://"), "sallyport:")
	if uri != g.Repository && s.ResourceURI != g.Repository {
		return false
	}
	refs, _ := subject.Annotations["sourceRefs"].([]any)
	for _, r := range refs {
		if r == p.Ref {
			return true
		}
	}
	return false
}

// A history is the commits that a release may bring, as a graph.
type history struct {
	commits []Commit // each after its children
	at      map[string]int
	below   func(commit string) bool // of one that is not in it: does the release hold it, below all of these?
}

func newHistory(commits []Commit) history {
	h := history{commits: commits, at: make(map[string]int, len(commits))}
	for i, c := range commits {
		h.at[c.ID] = i
	}
	return h
}

// reach returns the commits of the history that head has and none of not has.
func (h history) reach(head string, not map[int]bool) map[int]bool {
	out := map[int]bool{}
	todo := []string{head}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		i, known := h.at[id]
		if !known || out[i] || not[i] {
			continue
		}
		out[i] = true
		todo = append(todo, h.commits[i].Parents...)
	}
	return out
}

// source says what a release brings, and what of it was decided.
func (h history) source(p Params, onRef bool, decisions []decision) sallyport.Release {
	r := sallyport.Release{
		Ref: p.Ref, Commit: sallyport.GitCommit(p.Commit), Tree: sallyport.GitTree(p.Tree), Basis: "none", OnRef: onRef,
		Undecided: []sallyport.ReleaseCommit{}, Decisions: []sallyport.MergeDecision{}, Tests: []sallyport.TestInput{},
	}
	if p.Adoption != "" {
		r.Basis, r.Since = "adoption", sallyport.GitCommit(p.Adoption)
	}
	released := map[int]bool{}
	newest := len(h.commits)
	for _, d := range decisions {
		if d.gate != string(sallyport.GateRelease) || d.outcome != sallyport.Open.String() {
			continue
		}
		if i, known := h.at[d.Head.Hex()]; known {
			for c := range h.reach(d.Head.Hex(), released) {
				released[c] = true
			}
			if i < newest {
				newest, r.Basis, r.Since = i, "release", d.Head
			}
		}
	}
	covered, refused := map[int]bool{}, map[int]string{}
	for _, d := range decisions {
		if d.gate != string(sallyport.GateMerge) {
			continue
		}
		cover := h.covered(d)
		n := 0
		for c := range cover {
			if released[c] {
				continue
			}
			n++
			if d.outcome == sallyport.Open.String() {
				covered[c] = true
			} else {
				refused[c] = d.outcome
			}
		}
		if d.outcome == sallyport.Open.String() && n > 0 {
			d.Covers = n
			r.Decisions = append(r.Decisions, d.MergeDecision)
		}
	}
	for i, c := range h.commits {
		if released[i] {
			continue
		}
		r.Commits++
		if !covered[i] {
			r.Undecided = append(r.Undecided, sallyport.ReleaseCommit{ID: sallyport.GitCommit(c.ID), Title: c.Title, Refused: refused[i]})
		}
	}
	return r
}

// covered returns the commits that a merge decision is about; see the package comment. Without a base
// (a branch that was made), or with one that is not known here, it is about its head alone.
func (h history) covered(d decision) map[int]bool {
	head := d.Head.Hex()
	base := d.Base.Hex()
	if _, known := h.at[base]; !known && (d.Base.Zero() || !h.below(base)) {
		i, known := h.at[head]
		if !known {
			return nil
		}
		return map[int]bool{i: true}
	}
	out := h.reach(head, h.reach(base, nil))
	if d.tree == "" {
		return out
	}
	for i, c := range h.commits {
		if c.Tree == d.tree && len(c.Parents) > 0 && c.Parents[0] == base {
			out[i] = true
		}
	}
	return out
}
