package release

import (
	"slices"

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
	time    string // RFC 3339 in UTC, as the verifier says
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
		d := decision{gate: s.Gate, outcome: s.Outcome, time: s.TimeVerified, MergeDecision: sallyport.MergeDecision{
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

// here reports whether a summary is about this repository and ref, under a pinned root that the ref has held.
func (g *Gate) here(p Params, s predicate.Summary, subject sallyport.StatementSubject) bool {
	if s.Root == "" || !p.Roots[sallyport.Digest(s.Root)] || s.ResourceURI != predicate.ResourceURI(g.Repository) {
		return false
	}
	refs, _ := subject.Annotations["sourceRefs"].([]any)
	return slices.ContainsFunc(refs, func(r any) bool { return r == p.Ref })
}

// A history is the commits that a release may bring, as a graph.
type history struct {
	commits []Commit // each after its children
	at      map[string]int

	covered map[int]bool // accounted for by a decision that counts, or let pass by a release decision
	judged  map[int]bool // by itself: what a decision may have as its base
}

func newHistory(commits []Commit) *history {
	h := &history{commits: commits, at: make(map[string]int, len(commits)), covered: map[int]bool{}, judged: map[int]bool{}}
	for i, c := range commits {
		h.at[c.ID] = i
	}
	return h
}

// cover marks what id has as covered, and returns how many commits are new. What a covered commit has is
// covered already, so the walk stops there: over all calls each commit is visited once.
func (h *history) cover(id string) int {
	n := 0
	for todo := []string{id}; len(todo) > 0; {
		id, todo = todo[len(todo)-1], todo[:len(todo)-1]
		i, known := h.at[id]
		if !known || h.covered[i] {
			continue
		}
		h.covered[i] = true
		n++
		todo = append(todo, h.commits[i].Parents...)
	}
	return n
}

// source says what a release brings, and what of it was decided.
func (h *history) source(p Params, onRef bool, decisions []decision) sallyport.Release {
	r := sallyport.Release{
		Ref: p.Ref, Commit: sallyport.GitCommit(p.Commit), Tree: sallyport.GitTree(p.Tree), Basis: "none", OnRef: onRef, Gated: p.Gated,
		Undecided: []sallyport.ReleaseCommit{}, Decisions: []sallyport.MergeDecision{}, Tests: []sallyport.TestInput{},
	}
	if p.Adoption != "" {
		r.Basis, r.Since = "adoption", sallyport.GitCommit(p.Adoption)
	}
	released := h.release(&r, decisions)
	byHead, byLanding, refused := h.index(decisions)
	// From the oldest on: a decision counts only on a base that was judged before.
	for i := len(h.commits) - 1; i >= 0; i-- {
		c := h.commits[i]
		for _, d := range slices.Concat(byHead[c.ID], byLanding[landing{first(c.Parents), c.Tree}]) {
			if d.tree != c.Tree || !h.base(p, d.Base.Hex()) {
				continue
			}
			n := h.cover(d.Head.Hex())
			if !h.covered[i] {
				h.covered[i] = true
				n++
			}
			// All that it has is accounted for: a merge may have a side that nobody judged.
			h.judged[i] = h.judged[i] || h.all(c.Parents)
			if n > 0 {
				d.Covers = n
				r.Decisions = append(r.Decisions, d.MergeDecision)
			}
		}
	}
	for i, c := range h.commits {
		if released[i] {
			continue
		}
		r.Commits++
		if !h.covered[i] {
			r.Undecided = append(r.Undecided, sallyport.ReleaseCommit{ID: sallyport.GitCommit(c.ID), Title: c.Title, Refused: refused[c.ID]})
		}
	}
	if i, known := h.at[p.Commit]; known {
		r.Decided = h.judged[i]
	}
	return r
}

// all reports whether all of these are covered, or below the history.
func (h *history) all(ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { i, known := h.at[id]; return known && !h.covered[i] })
}

// base reports whether a decision on this base may count.
func (h *history) base(p Params, id string) bool {
	i, known := h.at[id]
	return known && h.judged[i] || !known && id != "" && id == p.Adoption
}

// release marks what release decisions have let pass, and says of the newest that it is the basis.
func (h *history) release(r *sallyport.Release, decisions []decision) map[int]bool {
	newest := len(h.commits)
	for _, d := range decisions {
		if d.gate != string(sallyport.GateRelease) || d.outcome != sallyport.Open.String() {
			continue
		}
		i, known := h.at[d.Head.Hex()]
		if !known {
			continue
		}
		h.cover(d.Head.Hex())
		h.judged[i] = true
		if i < newest {
			newest, r.Basis, r.Since = i, "release", d.Head
		}
	}
	released := make(map[int]bool, len(h.covered))
	for i := range h.covered {
		released[i] = true
	}
	return released
}

// A landing is a commit by what it landed on and what it gave.
type landing struct{ base, tree string }

// index sorts the open decisions of the merge gate by their head and by how they may have landed, and tells
// of which heads others are.
func (h *history) index(decisions []decision) (byHead map[string][]decision, byLanding map[landing][]decision, refused map[string]string) {
	byHead, byLanding, refused = map[string][]decision{}, map[landing][]decision{}, map[string]string{}
	for _, d := range latest(decisions) {
		switch {
		case d.gate != string(sallyport.GateMerge):
		case d.outcome != sallyport.Open.String():
			refused[d.Head.Hex()] = d.outcome
		case d.tree != "" && !d.Base.Zero():
			byHead[d.Head.Hex()] = append(byHead[d.Head.Hex()], d)
			at := landing{d.Base.Hex(), d.tree}
			byLanding[at] = append(byLanding[at], d)
		}
	}
	return byHead, byLanding, refused
}

// latest keeps of several decisions about the same (an approval was revoked since, or a package turned out to
// be malicious) the newest. Of two of one moment, the one that does not open.
func latest(decisions []decision) []decision {
	type question struct{ gate, head, base, tree string }
	at := map[question]int{}
	var out []decision
	for _, d := range decisions {
		q := question{d.gate, string(d.Head), string(d.Base), d.tree}
		i, known := at[q]
		switch open := d.outcome == sallyport.Open.String(); {
		case !known:
			at[q] = len(out)
			out = append(out, d)
		case d.time > out[i].time || d.time == out[i].time && !open:
			out[i] = d
		}
	}
	return out
}

func first(parents []string) string {
	if len(parents) == 0 {
		return ""
	}
	return parents[0]
}
