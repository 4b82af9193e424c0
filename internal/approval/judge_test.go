package approval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// oid makes an object id that is recognisable in a failure.
func oid(s string) string {
	return sallyport.SHA256([]byte(s)).Hex()[:40]
}

func commit(s string) sallyport.Digest { return sallyport.GitCommit(oid(s)) }
func tree(s string) sallyport.Digest   { return sallyport.GitTree(oid(s)) }

// A world is a repository in which nothing is real but the relations: which merge gives which
// tree. A merge that it does not name conflicts.
type world struct {
	merges  map[[2]string]string // onto, head: tree
	missing map[string]bool
	residue map[[2]string]int // want, got: units
	authors map[string]map[string]string
	landed  map[[3]string]bool // base, tip, head
	asked   int
	walks   int
}

func (w *world) replay(_ context.Context, onto, head string) (string, []sallyport.Path, error) {
	w.asked++
	if w.missing[onto] || w.missing[head] {
		return "", nil, fmt.Errorf("read commit: %w", ErrMissing)
	}
	if t, ok := w.merges[[2]string{onto, head}]; ok {
		return t, nil, nil
	}
	return "", []sallyport.Path{"main.go"}, nil
}

func (w *world) ancestor(_ context.Context, ancestor, commit string) (bool, error) {
	if w.missing[ancestor] || w.missing[commit] {
		return false, fmt.Errorf("read commit: %w", ErrMissing)
	}
	return ancestor == oid("B") && commit == oid("B2"), nil
}

func (w *world) hasLanded(_ context.Context, base, tip, head string) (bool, error) {
	w.walks++
	return w.landed[[3]string{base, tip, head}], nil
}

func (w *world) diff(_ context.Context, want, got string) ([]sallyport.File, error) {
	n, ok := w.residue[[2]string{want, got}]
	if !ok {
		n = 100
	}
	return []sallyport.File{{Path: "smuggled.go", Units: make([]sallyport.Unit, n)}}, nil
}

func (w *world) who(_ context.Context, _, head string) (map[string]string, error) {
	return w.authors[head], nil
}

// A scene is a question and the evidence for it, before anything is wrong with it: head H on
// base B, written by alice, to be approved by bob or carol.
type scene struct {
	w   *world
	c   Context
	a   predicate.Approval // bob's
	ev  sallyport.Evidence // that carries it; its predicate is filled in last
	evs []sallyport.Evidence
	raw []byte // the predicate's bytes, if not a's encoding
}

var policies = []sallyport.PolicySet{{Name: "baseline", Digest: sallyport.SHA256([]byte("p1"))}, {Name: "own", Digest: sallyport.SHA256([]byte("p2"))}}

func newScene() *scene {
	w := &world{
		merges:  map[[2]string]string{{oid("B"), oid("H")}: oid("B+H"), {oid("B2"), oid("H")}: oid("B2+H")},
		missing: map[string]bool{}, residue: map[[2]string]int{}, authors: map[string]map[string]string{},
		landed: map[[3]string]bool{},
	}
	change := &sallyport.Change{
		TargetRef: "refs/heads/main", RefAction: "update", Base: commit("B"), Head: commit("H"),
		HeadTree: tree("H"), MergeTree: tree("B+H"), Files: []sallyport.File{{Path: "main.go", Units: make([]sallyport.Unit, 5)}},
	}
	s := &scene{w: w, c: Context{
		Repository: "github.com/acme/app", TargetRef: "refs/heads/main", Change: change, Policies: policies, Now: now,
		Grades:     []sallyport.Grade{sallyport.Present},
		Reviewer:   func(p string) bool { return p == "bob" || p == "carol" || p == "alice" },
		Ineligible: map[string]string{"alice": "operated claude-code in run 7"},
		Replay:     w.replay, Ancestor: w.ancestor, Landed: w.hasLanded, Residue: w.diff, Authors: w.who,
	}}
	s.a = approve("bob", change)
	s.ev = sallyport.Evidence{Signer: sallyport.Principal{Kind: sallyport.Person, Name: "bob"}, Grade: sallyport.Present}
	return s
}

// approve is what a reviewer signs about c.
func approve(person string, c *sallyport.Change) predicate.Approval {
	return answer(Answer{Verdict: predicate.VerdictApprove, Reviewer: person, Repository: "github.com/acme/app", Change: c,
		Policies: policies, Screen: "what was shown", At: now.Add(-time.Hour), Version: "test"})
}

func answer(a Answer) predicate.Approval {
	st, err := NewStatement(a)
	if err != nil {
		panic(err)
	}
	p, err := predicate.DecodeApproval(st.Predicate)
	if err != nil {
		panic(err)
	}
	return p
}

// squash turns the change into another commit on the same base with the same result.
func (s *scene) squash() {
	s.c.Change.Head, s.c.Change.HeadTree = commit("L"), s.c.Change.MergeTree
}

// seal makes evidence of p as it is signed by its reviewer.
func seal(p predicate.Approval) sallyport.Evidence {
	return sealAs(p, sallyport.Evidence{Signer: sallyport.Principal{Kind: sallyport.Person, Name: p.Reviewer}, Grade: sallyport.Present}, nil)
}

func sealAs(p predicate.Approval, ev sallyport.Evidence, raw []byte) sallyport.Evidence {
	body := raw
	if body == nil {
		body, _ = sallyport.EncodeJSON(p)
	}
	ev.Statement.Type, ev.Statement.PredicateType, ev.Statement.Predicate = sallyport.StatementType, predicate.ApprovalType, body
	if ev.Statement.Subject == nil {
		for _, d := range []string{p.Head, p.MergeTree} {
			if d := sallyport.Digest(d); !d.Zero() {
				ev.Statement.Subject = append(ev.Statement.Subject, sallyport.StatementSubject{Digest: map[string]string{d.Algorithm(): d.Hex()}})
			}
		}
	}
	if ev.Attestation == "" {
		b, _ := json.Marshal(ev)
		ev.Attestation = sallyport.SHA256(b)
	}
	return ev
}

func (s *scene) judge(t *testing.T) Judgement {
	t.Helper()
	j, err := Judge(t.Context(), append([]sallyport.Evidence{sealAs(s.a, s.ev, s.raw)}, s.evs...), s.c)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// Each rule has a row whose approval does not count, and a twin that differs in the attack
// alone and counts.
func TestJudge(t *testing.T) {
	type step func(*scene)
	none := func(*scene) {}
	minute := func(p *string, d time.Duration) { *p = predicate.FormatTime(now.Add(d)) }
	for _, tt := range []struct {
		name   string
		set    step // what both have in common
		attack step
		want   string // part of why it does not count
	}{
		{"of another repository", none, func(s *scene) { s.a.Repository = "github.com/evil/app" }, "it is for repository github.com/evil/app, not"},
		{"of another branch", none, func(s *scene) { s.a.TargetRef = "refs/heads/dev" }, "it is for refs/heads/dev, not refs/heads/main"},
		{"of a sibling commit", none, func(s *scene) { s.a = approve("bob", sibling(s)) }, "conflicts with the target as it is now, in main.go"},
		{"of a head that is not here", none, func(s *scene) { s.a.Head = string(commit("X")); s.w.missing[oid("X")] = true }, "approved head is not in this repository"},
		{"of another result", none, func(s *scene) { s.a.MergeTree = string(tree("other")) }, "contradicts itself: the merge result"},
		{"of another head tree", none, func(s *scene) { s.a.HeadTree = string(tree("other")) }, "contradicts itself: the tree"},
		{"under another policy", none, func(s *scene) { s.a.Policy[0].Digest = string(sallyport.SHA256(nil)) }, "other policy sets"},
		{"under a policy of another name", none, func(s *scene) { s.a.Policy[0].Name = "base" }, "other policy sets"},
		{"under fewer policy sets", none, func(s *scene) { s.a.Policy = s.a.Policy[:1] }, "other policy sets"},
		{"under policy sets in another order", none, func(s *scene) { slices.Reverse(s.a.Policy) }, "other policy sets"},
		{"under no policy", none, func(s *scene) { s.c.Policies = nil }, "no policy set is in force"},
		{"expired", none, func(s *scene) { minute(&s.a.ExpiresAt, 0) }, "it expired at"},
		{"just not expired", func(s *scene) { minute(&s.a.ExpiresAt, time.Second) }, func(s *scene) { s.c.Now = now.Add(time.Second) }, "it expired at"},
		{"from the future", func(s *scene) { minute(&s.a.IssuedAt, Skew) }, func(s *scene) { minute(&s.a.IssuedAt, Skew+time.Second) }, "issued in the future"},
		{"without end", func(s *scene) { minute(&s.a.ExpiresAt, MaxLifetime-time.Hour) }, func(s *scene) { minute(&s.a.ExpiresAt, MaxLifetime) }, "longer than the 90 days"},
		{"at a grade not accepted", none, func(s *scene) { s.ev.Grade = sallyport.Declared }, "grade \"declared\""},
		{"at no grade", none, func(s *scene) { s.ev.Grade = ""; s.c.Grades = append(s.c.Grades, "") }, "grade \"\""},
		{"at a grade beside the accepted one", none, func(s *scene) { s.ev.Grade = sallyport.Attested }, "grade \"attested\""},
		{"no grade is accepted", none, func(s *scene) { s.c.Grades = nil }, "policy accepts no grade"},
		{"by somebody else", none, func(s *scene) { s.ev.Signer.Name = "carol" }, "names bob as the reviewer and was signed by carol"},
		{"by a bot", none, func(s *scene) { s.ev.Signer.Kind = sallyport.Bot }, "bob is a bot"},
		{"by an agent", none, func(s *scene) { s.ev.Signer.Kind = sallyport.Agent }, "bob is an agent"},
		{"by a workload", none, func(s *scene) { s.ev.Signer.Kind = sallyport.Workload }, "bob is a workload"},
		{"by nobody", none, func(s *scene) { s.ev.Signer = sallyport.Principal{} }, "nobody that the roster knows"},
		{"without the role", none, func(s *scene) { s.a.Reviewer, s.ev.Signer.Name = "dave", "dave" }, "dave does not have the reviewer role"},
		{"by the operator", none, func(s *scene) { s.a.Reviewer, s.ev.Signer.Name = "alice", "alice" }, "alice operated claude-code in run 7, and nobody approves their own"},
		{"by a co-author", none, func(s *scene) { s.c.Ineligible["bob"] = "is named by commit 1" }, "bob is named by commit 1, and nobody approves"},
		{"by one who is ineligible without a reason", none, func(s *scene) { s.c.Ineligible["bob"] = "" }, "took part in the change"},
		{"with a subject that names another head", none, func(s *scene) {
			s.ev.Statement.Subject = []sallyport.StatementSubject{{Digest: map[string]string{"gitCommit": oid("X")}}}
		}, "no subject of the statement is the head"},
		{"of an unknown verdict", none, func(s *scene) { s.raw = replaceIn(s.a, `"approve"`, `"APPROVE"`) }, "verdict"},
		{"with a duplicate key", none, func(s *scene) { s.raw = replaceIn(s.a, `{"verdict"`, `{"verdict":"approve","verdict"`) }, "twice"},
		{"without what was shown", none, func(s *scene) { s.a.Rendered = nil }, "rendered"},
		{"of a change that conflicts", none, func(s *scene) { s.c.Change.MergeTree = "" }, "without conflict"},

		{"squash with a smuggled line", (*scene).squash, func(s *scene) { s.c.Change.MergeTree = tree("B+H and more") }, "what would land differs"},
		{"squash of a head that is not here", (*scene).squash, func(s *scene) { s.w.missing[oid("H")] = true }, "approved head is not in this repository"},
		{"squash by the author of the head", (*scene).squash, func(s *scene) { s.w.authors[oid("H")] = map[string]string{"bob": "wrote commit 1"} }, "bob wrote commit 1, and nobody approves their own, in the head that was approved"},
		{"squash with authors unknown", (*scene).squash, func(s *scene) { s.c.Authors = nil }, "who wrote that head is not known"},
		{"squash with authors that fail", (*scene).squash, func(s *scene) {
			s.c.Authors = func(context.Context, string, string) (map[string]string, error) { return nil, errors.New("boom") }
		}, "could not be found out: boom"},
		{"squash under another policy", (*scene).squash, func(s *scene) { s.a.Policy[1].Digest = string(sallyport.SHA256(nil)) }, "other policy sets"},
		{"squash of a result that was not the merge", (*scene).squash, func(s *scene) { s.a.MergeTree = string(tree("shown")) }, "contradicts itself"},
		{"base moved and conflicts", baseMoved, func(s *scene) { delete(s.w.merges, [2]string{oid("B2"), oid("H")}) }, "conflicts with the target as it is now, in main.go"},
		{"base moved and old base is gone", baseMoved, func(s *scene) { s.w.missing[oid("B")] = true }, "base that it names is not in this repository"},
		{"base moved and what was seen is not the merge", baseMoved, func(s *scene) { s.a.MergeTree = string(tree("shown")) }, "contradicts itself"},
		{"base moved and git fails", baseMoved, func(s *scene) {
			s.c.Replay = func(context.Context, string, string) (string, []sallyport.Path, error) {
				return "", nil, errors.New("boom")
			}
		}, "could not be replayed: boom"},
		{"base moved and git says nothing", baseMoved, func(s *scene) {
			s.c.Replay = func(context.Context, string, string) (string, []sallyport.Path, error) { return "", nil, nil }
		}, "gave no tree"},
		{"base moved and histories cannot be compared", baseMoved, func(s *scene) {
			s.c.Ancestor = func(context.Context, string, string) (bool, error) { return false, errors.New("boom") }
		}, "could not be compared: boom"},
		{"landed since", baseMoved, (*scene).land, "has landed already; landing it again needs a new approval"},
		{"landed since, and asked for as a squash", func(s *scene) { baseMoved(s); s.squash() }, (*scene).land, "has landed already"},
		{"landed since, and its reviewer was shown the moved base", func(s *scene) {
			baseMoved(s)
			s.a = approve("bob", s.c.Change)
			s.land()
		}, func(s *scene) { s.a = approve("bob", newScene().c.Change) }, "has landed already"},
		{"what landed since cannot be found out", baseMoved, func(s *scene) {
			s.c.Landed = func(context.Context, string, string, string) (bool, error) { return false, errors.New("boom") }
		}, "could not be found out: boom"},
		{"of the difference to a base that the target does not hold", none, func(s *scene) { s.a.Base = string(commit("X")) }, "which the target does not hold"},
		{"of the difference to a newer base", none, func(s *scene) { s.a.Base = string(commit("B2")) }, "which the target does not hold"},
		{"of the difference to a base that is not here", none, func(s *scene) {
			s.a.Base = string(commit("X"))
			s.w.missing[oid("X")] = true
		}, "which is not in this repository"},
		{"squash of the difference to a base that the target does not hold", (*scene).squash, func(s *scene) {
			s.a.Base = string(commit("X"))
			s.w.merges[[2]string{oid("X"), oid("H")}] = oid("B+H")
		}, "which the target does not hold"},
		{"of an update, where the ref is made", none, func(s *scene) { s.c.Change.Base = "" }, "is not one that is changed"},
		{"amended after approval", none, func(s *scene) {
			s.c.Change.Head, s.c.Change.HeadTree, s.c.Change.MergeTree = commit("H2"), tree("H2"), tree("B+H2")
		}, "what would land differs"},

		{"taken back", none, func(s *scene) { s.evs = append(s.evs, seal(revocation("bob", sealAs(s.a, s.ev, nil).Attestation))) }, "bob took it back"},
		{"taken back at a lower grade, long ago", none, func(s *scene) {
			p := revocation("bob", sealAs(s.a, s.ev, nil).Attestation)
			minute(&p.IssuedAt, -1000*time.Hour)
			s.evs = append(s.evs, sealAs(p, sallyport.Evidence{Signer: s.ev.Signer, Grade: sallyport.Declared}, nil))
		}, "bob took it back"},
		{"declined afterwards", none, func(s *scene) { s.evs = append(s.evs, seal(decline("bob", s.c.Change, -time.Minute))) }, "bob has since declined"},
		{"declined in the same second", none, func(s *scene) { s.evs = append(s.evs, seal(decline("bob", s.c.Change, -time.Hour))) }, "bob has since declined"},
		{"declined by another reviewer", none, func(s *scene) { s.evs = append(s.evs, seal(decline("carol", s.c.Change, -2*time.Hour))) }, "carol declined this content"},
		{"declined on another commit of the same content", func(s *scene) { s.w.merges[[2]string{oid("B"), oid("H'")}] = oid("B+H") }, func(s *scene) {
			c := *s.c.Change
			c.Head, c.HeadTree = commit("H'"), tree("H'")
			s.evs = append(s.evs, seal(decline("carol", &c, -2*time.Hour)))
		}, "carol declined this content"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			twin := newScene()
			tt.set(twin)
			if j := twin.judge(t); len(j.Approvals) != 1 || !j.Approvals[0].Counts || !slices.Equal(j.Counting, []string{"bob"}) || j.Approvals[0].Why != "" {
				t.Errorf("the twin does not count: %+v", j)
			}
			s := newScene()
			tt.set(s)
			tt.attack(s)
			j := s.judge(t)
			if len(j.Approvals) != 1 {
				t.Fatalf("got %d approvals, want 1", len(j.Approvals))
			}
			a := j.Approvals[0]
			if a.Counts || len(j.Counting) != 0 {
				t.Errorf("it counts: %+v", a)
			}
			if !strings.Contains(a.Why, tt.want) || strings.ContainsAny(a.Why, "\n\x1b") {
				t.Errorf("got why %q, want one line with %q", a.Why, tt.want)
			}
		})
	}
}

// History is looked through once per base and head, for what would count, and not without end.
func TestJudgeWalks(t *testing.T) {
	s := newScene()
	baseMoved(s)
	s.evs = append(s.evs, seal(approve("carol", newScene().c.Change)), seal(approve("alice", newScene().c.Change)))
	if j := s.judge(t); s.w.walks != 1 || !slices.Equal(j.Counting, []string{"bob", "carol"}) {
		t.Errorf("one base: %d walks, %v count", s.w.walks, j.Counting)
	}

	s = newScene()
	s.c.Ancestor = func(context.Context, string, string) (bool, error) { return true, nil }
	for i := range maxWalks + 10 {
		c := *newScene().c.Change
		c.Base = commit(fmt.Sprint("older ", i))
		s.evs = append(s.evs, seal(approve("carol", &c)))
	}
	if j := s.judge(t); s.w.walks != maxWalks || !slices.Contains(j.Counting, "bob") {
		t.Errorf("many bases: %d walks, want %d; %v count", s.w.walks, maxWalks, j.Counting)
	}
}

func sibling(s *scene) *sallyport.Change {
	c := *s.c.Change
	c.Head, c.HeadTree, c.MergeTree = commit("S"), tree("S"), tree("B+S")
	return &c
}

func baseMoved(s *scene) {
	s.c.Change.Base, s.c.Change.MergeTree = commit("B2"), tree("B2+H")
}

// land makes the approved head one that landed after B was the tip, and was taken out by B2.
func (s *scene) land() { s.w.landed[[3]string{oid("B"), oid("B2"), oid("H")}] = true }

func replaceIn(p predicate.Approval, old, new string) []byte {
	b, _ := sallyport.EncodeJSON(p)
	return []byte(strings.Replace(string(b), old, new, 1))
}

func decline(person string, c *sallyport.Change, at time.Duration) predicate.Approval {
	return answer(Answer{Verdict: predicate.VerdictDecline, Reviewer: person, Repository: "github.com/acme/app", Change: c, At: now.Add(at), Version: "test"})
}

func revocation(person string, d sallyport.Digest) predicate.Approval {
	return answer(Answer{Verdict: predicate.VerdictRevoke, Reviewer: person, Repository: "github.com/acme/app",
		Change: &sallyport.Change{TargetRef: "refs/heads/main", Head: commit("H")}, Revokes: d, At: now, Version: "test"})
}
