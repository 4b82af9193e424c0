package merge

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// staff answers as it is told, and notes what it was asked.
type staff struct {
	excepts   []sallyport.Exception
	found     []sallyport.Finding
	owners    []string
	approved  bool
	asked     map[string]string // ineligible
	approvers []string
}

func (s *staff) Except(_ []sallyport.Evidence, _ string, _ []sallyport.Finding, ineligible map[string]string, _ time.Time) ([]sallyport.Exception, []sallyport.Finding) {
	s.asked = ineligible
	return s.excepts, s.found
}

func (s *staff) Thresholds(*sallyport.Change, []sallyport.Finding) []sallyport.ThresholdInput {
	return []sallyport.ThresholdInput{{Required: 2}}
}

func (s *staff) Owners(_ *sallyport.File, approvers []string) ([]string, bool, []string) {
	s.approvers = approvers
	return s.owners, s.approved, []string{"@stranger"}
}

// What exceptions and teams say reaches policy, with who may not speak.
func TestTeamReachesPolicy(t *testing.T) {
	s := newScene(file("a", lines(3, hunk1, 0, 0)))
	s.evidence = []sallyport.Evidence{aRun(madeBy(commit1, commit2))}
	g := s.gate()
	st := &staff{
		excepts: []sallyport.Exception{{By: "sam", Counts: true}}, owners: []string{"@bob"}, approved: true,
		found: []sallyport.Finding{{ID: "f", State: sallyport.FindingAccepted}},
	}
	g.Excepter, g.Team = st, st
	_, in, err := g.Check(t.Context(), Params{TargetRef: "refs/heads/main", Action: "update"})
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Exceptions) != 1 || len(in.Findings) != 1 || in.Findings[0].State != sallyport.FindingAccepted || len(in.Change.Thresholds) != 1 {
		t.Errorf("policy saw %+v, %+v, %+v", in.Exceptions, in.Findings, in.Change.Thresholds)
	}
	if st.asked["alice"] == "" {
		t.Errorf("the operator may except: %v", st.asked)
	}
	f := in.Change.Files[0]
	if !slices.Equal(f.Owners, []string{"@bob"}) || !f.OwnersApproved || !slices.Equal(f.OwnersUnknown, []string{"@stranger"}) {
		t.Errorf("the file is %+v", f)
	}
}

// Approval by owners takes owners, and without anybody to ask nothing is excepted or approved.
func TestNoTeam(t *testing.T) {
	s := newScene(file("a", lines(3, hunk1, 0, 0)))
	in := s.check(t, Params{})
	if in.Exceptions == nil || len(in.Exceptions) != 0 || in.Change.Thresholds == nil || in.Change.Files[0].OwnersApproved {
		t.Errorf("%+v", in)
	}
	g := s.gate()
	g.Team = &staff{approved: true}
	_, in, err := g.Check(t.Context(), Params{TargetRef: "refs/heads/main", Action: "update"})
	if err != nil || in.Change.Files[0].OwnersApproved {
		t.Errorf("a file without owners is approved by them: %v", err)
	}
}

// A commit is an agent's by what it says, and by what an accepted run says.
func TestCommitsNameAgents(t *testing.T) {
	s := newScene(file("a", lines(3, hunk1, 0, 0)))
	s.everything(by(sallyport.Nobody, "", ""))
	s.evidence = []sallyport.Evidence{aRun(madeBy(commit1)), aRun(func(r *predicate.AgentRun) {
		madeBy(commit2)(r)
		r.Sealed, r.RecordHead = false, "" // not accepted
	})}
	in := s.check(t, Params{})
	if got := in.Change.Commits; !slices.Equal(got[0].Agents, []string{"claude-code"}) || len(got[1].Agents) != 0 {
		t.Errorf("%+v", got)
	}
}
