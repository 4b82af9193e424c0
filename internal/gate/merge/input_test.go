package merge

import (
	"maps"
	"slices"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

func TestIneligible(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(s *scene)
		pars  Params
		want  []string
		where string // part of why the first of them is not eligible
	}{
		{name: "nobody is involved", want: []string{}},
		{name: "who pushed", pars: Params{Pusher: "bob"}, want: []string{"bob"}},
		{name: "who opened the pull request", pars: Params{Author: "bob"}, want: []string{"bob"}},
		{
			name: "who operates the agent, by the roster",
			edit: func(s *scene) { s.authors[0].Attribution.Operator = "alice" }, want: []string{"alice"},
		}, {
			name: "who operated a run that covers something",
			edit: func(s *scene) { s.evidence = []sallyport.Evidence{aRun(madeBy(commit1))} }, want: []string{"alice"},
		}, {
			name: "not who operated a run that covers nothing",
			edit: func(s *scene) { s.evidence = []sallyport.Evidence{aRun(hunks(hunk2))} }, want: []string{},
		}, {
			name: "everybody whom a commit names",
			edit: func(s *scene) { s.authors[0].Names, s.authors[1].Names = []string{"bob"}, []string{"carol", ""} },
			want: []string{"bob", "carol"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(file("a", lines(3, hunk1, 0, 0)))
			if c.edit != nil {
				c.edit(s)
			}
			s.check(t, c.pars)
			got := slices.Sorted(maps.Keys(s.ineligible))
			if !slices.Equal(got, c.want) {
				t.Errorf("not eligible: %v, want %v", s.ineligible, c.want)
			}
			for id, why := range s.ineligible {
				if why == "" {
					t.Errorf("%s is not eligible, and nothing says why", id)
				}
			}
		})
	}
}

func TestApprovalsRequired(t *testing.T) {
	approval := func(who string, counts bool) sallyport.Approval {
		return sallyport.Approval{Reviewer: who, Counts: counts}
	}
	for _, c := range []struct {
		name       string
		pusher     string
		configured int
		approvals  []sallyport.Approval
		required   int
		counting   int
		approved   bool
	}{
		{name: "nobody authenticated the pusher", required: 2},
		{name: "one is not two", approvals: []sallyport.Approval{approval("bob", true)}, required: 2, counting: 1},
		{name: "two persons", approvals: []sallyport.Approval{approval("bob", true), approval("carol", true)}, required: 2, counting: 2, approved: true},
		{name: "one person, twice", approvals: []sallyport.Approval{approval("bob", true), approval("bob", true)}, required: 2, counting: 1},
		{name: "two, of whom one does not count", approvals: []sallyport.Approval{approval("bob", true), approval("carol", false)}, required: 2, counting: 1},
		{name: "the pusher is known", pusher: "alice", approvals: []sallyport.Approval{approval("bob", true)}, required: 1, counting: 1, approved: true},
		{name: "the pusher is known, and nobody approved", pusher: "alice", required: 1},
		{name: "more are configured", pusher: "alice", configured: 3, approvals: []sallyport.Approval{approval("bob", true), approval("carol", true)}, required: 3, counting: 2},
		{name: "fewer are configured, and it is no way round", configured: 1, approvals: []sallyport.Approval{approval("bob", true)}, required: 2, counting: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(file("a", lines(3, hunk1, 0, 0)))
			s.approvals.Approvals = c.approvals
			g := s.gate()
			g.Accepted.Approvals = c.configured
			_, in, err := g.Check(t.Context(), Params{TargetRef: "refs/heads/main", Action: "update", Pusher: c.pusher})
			if err != nil {
				t.Fatal(err)
			}
			if in.Change.ApprovalsRequired != c.required || in.Change.ApprovalsCounting != c.counting || in.PullRequest.HumanApproved != c.approved {
				t.Errorf("%d of %d, approved %v; want %d of %d, %v", in.Change.ApprovalsCounting, in.Change.ApprovalsRequired,
					in.PullRequest.HumanApproved, c.counting, c.required, c.approved)
			}
		})
	}
}

// The facts that the simplest policy asks for: deny if from_agent and not has_attestation; allow
// if from_agent, has_attestation and human_approved.
func TestSimpleFacts(t *testing.T) {
	person := by(sallyport.Person, "bob", sallyport.Present)
	ordinary := by(sallyport.Person, "bob", sallyport.Declared)
	bot := by(sallyport.Bot, "renovate", sallyport.Observed)
	agent := by(sallyport.Agent, "claude-code", sallyport.Declared)
	nobody := by(sallyport.Nobody, "", "")
	for _, c := range []struct {
		name      string
		by        []sallyport.Attribution // of one line each, in one file each
		attested  bool                    // a run covers what was not a person's or a bot's
		vouchable bool
		approved  bool
		fromAgent bool
		hasAttest bool
	}{
		{name: "a person", by: []sallyport.Attribution{person}, hasAttest: true},
		{name: "a bot", by: []sallyport.Attribution{bot}, hasAttest: true},
		{name: "an ordinary key", by: []sallyport.Attribution{ordinary}, fromAgent: true},
		{name: "an agent", by: []sallyport.Attribution{agent}, fromAgent: true},
		{name: "an agent, approved", by: []sallyport.Attribution{agent}, approved: true, vouchable: true, fromAgent: true},
		{name: "an agent, attested", by: []sallyport.Attribution{agent}, attested: true, fromAgent: true, hasAttest: true},
		{name: "a person and an agent", by: []sallyport.Attribution{person, agent}, fromAgent: true},
		{name: "nobody", by: []sallyport.Attribution{nobody}, fromAgent: true},
		{name: "nobody, approved, where that vouches for nothing", by: []sallyport.Attribution{nobody}, approved: true, fromAgent: true},
		{name: "nobody, where an approval could vouch", by: []sallyport.Attribution{nobody}, vouchable: true, fromAgent: true},
		{name: "nobody, and an approval vouches", by: []sallyport.Attribution{nobody}, vouchable: true, approved: true, hasAttest: true},
		{name: "nobody and an agent, and an approval vouches for the one", by: []sallyport.Attribution{nobody, agent}, vouchable: true, approved: true, fromAgent: true},
		{name: "no change at all is not a person's", fromAgent: true},
		{name: "no change at all, approved", approved: true, vouchable: true, fromAgent: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			for i := range c.by {
				s.change.Files = append(s.change.Files, file(string(rune('a'+i)), lines(1, hunk1, 0, 0)))
			}
			s.unit = func(f *sallyport.File, _ sallyport.Unit) sallyport.Attribution { return c.by[f.Path[0]-'a'] }
			for i := range s.authors {
				if len(c.by) > 0 {
					s.authors[i].Attribution = c.by[min(i, len(c.by)-1)]
				}
			}
			if c.attested {
				s.evidence = []sallyport.Evidence{aRun(madeBy(commit1, commit2))}
			}
			if c.approved {
				s.approvals.Approvals = []sallyport.Approval{{Reviewer: "bob", Counts: true}, {Reviewer: "carol", Counts: true}}
			}
			g := s.gate()
			g.Accepted.UnattributedVouch = c.vouchable
			_, in, err := g.Check(t.Context(), Params{TargetRef: "refs/heads/main", Action: "update"})
			if err != nil {
				t.Fatal(err)
			}
			pr := in.PullRequest
			if pr.FromAgent != c.fromAgent || pr.HasAttestation != c.hasAttest || pr.HumanApproved != c.approved {
				t.Errorf("from_agent %v, has_attestation %v, human_approved %v; want %v, %v, %v",
					pr.FromAgent, pr.HasAttestation, pr.HumanApproved, c.fromAgent, c.hasAttest, c.approved)
			}
		})
	}
}

func TestAgents(t *testing.T) {
	run := func(agent, operator string, commits ...string) sallyport.Evidence {
		return aRun(func(r *predicate.AgentRun) {
			r.Agent.Name, r.Operator, r.Changes.Commits = agent, operator, commits
		})
	}
	two := []sallyport.File{file("a", lines(2, hunk1, 0, 0)), file("b", lines(3, hunk2, 0, 1))}
	for _, c := range []struct {
		name     string
		by       sallyport.Attribution
		evidence []sallyport.Evidence
		want     []sallyport.AgentInput
	}{
		{
			name: "an agent that the roster approves", by: by(sallyport.Agent, "claude-code", sallyport.Declared),
			want: []sallyport.AgentInput{{Name: "claude-code", Approved: true, Weight: 5}},
		}, {
			name: "one that it does not", by: by(sallyport.Agent, "wildcat", sallyport.Declared),
			want: []sallyport.AgentInput{{Name: "wildcat", Weight: 5}},
		}, {
			name: "its operator is who may be", by: by(sallyport.Agent, "claude-code", sallyport.Declared),
			evidence: []sallyport.Evidence{run("claude-code", "alice", commit1, commit2)},
			want:     []sallyport.AgentInput{{Name: "claude-code", Approved: true, Operator: "alice", Weight: 5}},
		}, {
			name: "a person who may not operate it", by: by(sallyport.Agent, "claude-code", sallyport.Declared),
			evidence: []sallyport.Evidence{run("claude-code", "bob", commit1, commit2)},
			want:     []sallyport.AgentInput{{Name: "claude-code", Operator: "bob", Weight: 5}},
		}, {
			name: "one of two who may not, told first", by: by(sallyport.Agent, "claude-code", sallyport.Declared),
			evidence: []sallyport.Evidence{run("claude-code", "bob", commit1), run("claude-code", "alice", commit2)},
			want:     []sallyport.AgentInput{{Name: "claude-code", Operator: "bob", Weight: 5}},
		}, {
			name: "one of two who may not, told last", by: by(sallyport.Agent, "claude-code", sallyport.Declared),
			evidence: []sallyport.Evidence{run("claude-code", "alice", commit1), run("claude-code", "bob", commit2)},
			want:     []sallyport.AgentInput{{Name: "claude-code", Operator: "bob", Weight: 5}},
		}, {
			name: "an agent that no commit names, but evidence does", by: by(sallyport.Nobody, "", ""),
			evidence: []sallyport.Evidence{run("claude-code", "alice", commit1, commit2)},
			want:     []sallyport.AgentInput{{Name: "claude-code", Approved: true, Operator: "alice"}},
		}, {
			name: "no agent", by: by(sallyport.Person, "bob", sallyport.Present), want: []sallyport.AgentInput{},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(two...)
			s.everything(c.by)
			s.evidence = c.evidence
			if in := s.check(t, Params{}); !slices.Equal(in.Agents, c.want) {
				t.Errorf("got %+v, want %+v", in.Agents, c.want)
			}
		})
	}
}

// Policy sees what the gate recomputed, and residue as nobody's.
func TestInput(t *testing.T) {
	s := newScene(file("a", lines(2, hunk1, 0, 0)))
	s.findings = []sallyport.Finding{{Kind: sallyport.FindingSecret}}
	s.authors[1].Findings = []sallyport.Finding{{Kind: sallyport.FindingIdentity}}
	s.approvals.Residue = []sallyport.File{file("b", lines(4, hunk2, 0))}
	s.approvals.Declined = []string{"carol"}
	s.check(t, Params{TargetRef: "refs/heads/main", Action: "update", Branch: "x", Number: 7})
	in := *s.seen // as the evaluator read it, after JSON
	if len(in.Findings) != 2 || len(in.Change.Commits) != 2 || in.Change.Commits[0].Title != "one" {
		t.Errorf("findings %v, commits %+v", in.Findings, in.Change.Commits)
	}
	if len(in.Change.Residue) != 1 || in.Change.Residue[0].Uncovered != (sallyport.Weights{Unattributed: 4}) {
		t.Errorf("residue %+v", in.Change.Residue)
	}
	if !slices.Equal(in.Change.Declined, []string{"carol"}) || in.Claims.Branch != "x" || in.PullRequest.Number != 7 {
		t.Errorf("declined %v, branch %q, number %d", in.Change.Declined, in.Claims.Branch, in.PullRequest.Number)
	}
	if in.Change.Conflicts == nil || in.Evidence == nil || in.Approvals == nil || in.Agents == nil {
		t.Error("a list is null where policy expects one that is empty")
	}
	for _, d := range []sallyport.Digest{s.change.Head, s.change.HeadTree, s.change.MergeTree, sallyport.GitCommit(commit1),
		sallyport.Digest("gitBlob:" + blob1), sallyport.Digest("sha256:" + hunk1)} {
		if !slices.Contains(s.asked, d) {
			t.Errorf("evidence about %s was not looked for", d)
		}
	}
}

// A preview asks and evaluates as a check does, and leaves no trace.
func TestPreviewRecordsNothing(t *testing.T) {
	s := newScene(file("a", lines(2, hunk1, 0, 0)))
	p, err := s.gate().Preview(t.Context(), Params{TargetRef: "refs/heads/main", Action: "update"})
	if err != nil {
		t.Fatal(err)
	}
	if s.recorded != 0 || p.Input.Change.Coverage.Total != 2 || p.Decision.Outcome != sallyport.Open {
		t.Errorf("recorded %d, input %+v, outcome %s", s.recorded, p.Input.Change.Coverage, p.Decision.Outcome)
	}
}
