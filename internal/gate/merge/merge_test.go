package merge

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/predicate"
)

// scene is every interface of the gate: a change, who made it, what is known of it.
type scene struct {
	held      Held
	change    sallyport.Change
	authors   []Author
	unit      func(f *sallyport.File, u sallyport.Unit) sallyport.Attribution
	findings  []sallyport.Finding
	evidence  []sallyport.Evidence
	approvals Judged
	operators map[string][]string // by agent that the roster approves
	persons   []string

	diffErr, scanErr, judgeErr error

	asked      []sallyport.Digest // what evidence was looked for
	ineligible map[string]string
	seen       *sallyport.Input
	recorded   int
}

func (s *scene) Change(context.Context, string, string, string, string) (sallyport.Change, error) {
	return s.change, s.diffErr
}

func (s *scene) Commits([]sallyport.Commit) ([]Author, func(*sallyport.File, sallyport.Unit) sallyport.Attribution) {
	return s.authors, s.unit
}

func (s *scene) Operators(agent string) ([]string, bool) {
	ops, ok := s.operators[agent]
	return ops, ok
}

func (s *scene) Person(id string) bool { return slices.Contains(s.persons, id) }

func (s *scene) Scan(context.Context, *sallyport.Change) ([]sallyport.Finding, error) {
	return s.findings, s.scanErr
}

func (s *scene) Judge(_ context.Context, _ []sallyport.Evidence, _ *sallyport.Change, ineligible map[string]string, _ time.Time) (Judged, error) {
	s.ineligible = maps.Clone(ineligible)
	return s.approvals, s.judgeErr
}

func (s *scene) Held(context.Context, string, []sallyport.Path) (map[sallyport.Path]map[string]bool, error) {
	return s.held, nil
}

func (s *scene) Collect(_ context.Context, subjects []sallyport.Digest) ([]sallyport.Attestation, []sallyport.Dropped, error) {
	s.asked = subjects
	found := make([]sallyport.Attestation, len(s.evidence))
	for i := range found {
		found[i] = sallyport.Attestation{Raw: []byte{byte(i)}}
	}
	return found, nil, nil
}

func (s *scene) Verify(_ context.Context, a sallyport.Attestation) (sallyport.Evidence, error) {
	ev := s.evidence[a.Raw[0]]
	ev.Attestation = a.Digest()
	return ev, nil
}

func (s *scene) Evaluate(_ context.Context, _ sallyport.Gate, input []byte) (engine.Verdict, error) {
	s.seen = new(sallyport.Input)
	return engine.Verdict{Outcome: sallyport.Open}, json.Unmarshal(input, s.seen)
}

func (s *scene) Record(_ context.Context, r engine.Record) (engine.Receipt, error) {
	s.recorded++
	return engine.Receipt{ID: r.ID}, nil
}

const repository = "example.com/acme/service"

func (s *scene) gate() *Gate {
	return &Gate{
		Engine: &engine.Engine{Collector: s, Verifier: s, Evaluator: s, Recorder: s, Now: func() time.Time { return time.Unix(1e9, 0) }},
		Differ: s, Identifier: s, Scanner: s, Approver: s, Repository: repository,
		Accepted: Accepted{PersonGrades: []sallyport.Grade{sallyport.Present}, RunGrades: []sallyport.Grade{sallyport.Observed}},
	}
}

// Names of what the scenes are made of. The digests are as long as real ones.
var (
	commit1 = strings.Repeat("1", 40)
	commit2 = strings.Repeat("2", 40)
	blob1   = strings.Repeat("b", 40)
	hunk1   = strings.Repeat("a", 64)
	hunk2   = strings.Repeat("c", 64)
)

func lines(n int, hunk string, place int, commits ...int) sallyport.Unit {
	return sallyport.Unit{Kind: sallyport.UnitLines, Side: sallyport.AddedSide, Start: 1, Lines: n, Hunk: sallyport.Digest("sha256:" + hunk), Place: place, Commits: commits}
}

func file(path string, units ...sallyport.Unit) sallyport.File {
	return sallyport.File{Path: sallyport.Path(path), Status: "modified", OldMode: "100644", NewMode: "100644", NewBlob: blob1, Units: units}
}

func by(kind sallyport.PrincipalKind, name string, grade sallyport.Grade) sallyport.Attribution {
	return sallyport.Attribution{Principal: sallyport.Principal{Kind: kind, Name: name}, Grade: grade}
}

// always attributes every unit to a.
func always(a sallyport.Attribution) func(*sallyport.File, sallyport.Unit) sallyport.Attribution {
	return func(*sallyport.File, sallyport.Unit) sallyport.Attribution { return a }
}

// everything attributes all commits and units to a.
func (s *scene) everything(a sallyport.Attribution) {
	s.unit = always(a)
	for i := range s.authors {
		s.authors[i].Attribution = a
	}
}

// newScene is a change of two commits by claude-code, whom alice operates.
func newScene(files ...sallyport.File) *scene {
	claude := by(sallyport.Agent, "claude-code", sallyport.Declared)
	return &scene{
		change: sallyport.Change{
			TargetRef: "refs/heads/main", RefAction: "update",
			Base: sallyport.GitCommit(strings.Repeat("0", 39) + "1"), Head: sallyport.GitCommit(commit2),
			HeadTree: sallyport.GitTree(strings.Repeat("d", 40)), MergeTree: sallyport.GitTree(strings.Repeat("e", 40)),
			Commits: []sallyport.Commit{{ID: sallyport.GitCommit(commit1), Message: "one\n\nbody"}, {ID: sallyport.GitCommit(commit2), Message: "two"}},
			Files:   files,
		},
		authors:   []Author{{Attribution: claude}, {Attribution: claude}},
		unit:      always(claude),
		operators: map[string][]string{"claude-code": {"alice"}},
		persons:   []string{"alice", "bob", "carol"},
	}
}

// aRun is acceptable run evidence that covers nothing yet; mend it with edit.
func aRun(edit func(r *predicate.AgentRun)) sallyport.Evidence {
	r := predicate.AgentRun{
		RunID: "run-1", Agent: predicate.Agent{Name: "claude-code"}, Operator: "alice", Repository: repository,
		StartedAt: "2026-11-20T10:00:00Z", EndedAt: "2026-11-20T11:00:00Z",
		Supervisor: predicate.Supervisor{Version: "1", Separation: predicate.SeparationHost},
		Changes:    predicate.Changes{Commits: []string{}, Hunks: []string{}, Blobs: []predicate.Blob{}},
		Sealed:     true, Records: 1, RecordHead: "sha256:" + hunk1, Conclusion: predicate.ConclusionSuccess,
	}
	edit(&r)
	body, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return sallyport.Evidence{
		Statement: sallyport.Statement{Type: sallyport.StatementType, PredicateType: predicate.AgentRunType, Predicate: body},
		Grade:     sallyport.Observed,
	}
}

func hunks(hs ...string) func(*predicate.AgentRun) {
	return func(r *predicate.AgentRun) { r.Changes.Hunks = hs }
}

func madeBy(commits ...string) func(*predicate.AgentRun) {
	return func(r *predicate.AgentRun) { r.Changes.Commits = commits }
}

func (s *scene) check(t *testing.T, p Params) sallyport.Input {
	t.Helper()
	if p.TargetRef == "" {
		p.TargetRef, p.Action = "refs/heads/main", "update"
	}
	_, in, err := s.gate().Check(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// What run evidence accounts for, by weight. Everything else stays uncovered.
func TestCoverage(t *testing.T) {
	both := func(fs ...func(*predicate.AgentRun)) func(*predicate.AgentRun) {
		return func(r *predicate.AgentRun) {
			for _, f := range fs {
				f(r)
			}
		}
	}
	theBlob := func(r *predicate.AgentRun) {
		r.Changes.Blobs = []predicate.Blob{{Path: "a", Mode: "100644", GitBlob: blob1}}
	}
	fresh := func(path string, units ...sallyport.Unit) sallyport.File {
		f := file(path, units...)
		f.Status = "added"
		return f
	}
	for _, c := range []struct {
		name     string
		held     bool // the target has held blob1 at path a
		files    []sallyport.File
		by       *sallyport.Attribution // of every unit; the agent if nil
		evidence []sallyport.Evidence
		attested int
		left     sallyport.Weights // uncovered, of all files
	}{
		{
			name: "nothing attested", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			left: sallyport.Weights{Agent: 3},
		}, {
			name: "by every commit that made the unit", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0, 1))},
			evidence: []sallyport.Evidence{aRun(madeBy(commit1, commit2))}, attested: 3,
		}, {
			name: "one of the commits is another's", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0, 1))},
			evidence: []sallyport.Evidence{aRun(madeBy(commit1))}, left: sallyport.Weights{Agent: 3},
		}, {
			name: "two runs with a commit each", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0, 1))},
			evidence: []sallyport.Evidence{aRun(madeBy(commit1)), aRun(madeBy(commit2))}, attested: 3,
		}, {
			name: "a commit of the unit, beside one that nobody accounts for", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(madeBy(commit1))}, left: sallyport.Weights{Agent: 3},
		}, {
			name: "a unit that no commit made", files: []sallyport.File{file("a", lines(3, hunk1, 0))},
			evidence: []sallyport.Evidence{aRun(madeBy(commit1, commit2))}, left: sallyport.Weights{Agent: 3},
		}, {
			name: "by the blob that a new file is", files: []sallyport.File{fresh("a", lines(3, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(theBlob)}, attested: 3,
		}, {
			name: "a blob that the target held there before", files: []sallyport.File{fresh("a", lines(3, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(theBlob)}, held: true, left: sallyport.Weights{Agent: 3},
		}, {
			name: "a blob does not say from what it came", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(theBlob)}, left: sallyport.Weights{Agent: 3},
		}, {
			name: "by the blob, content without lines", files: []sallyport.File{file("a", sallyport.Unit{Kind: sallyport.UnitBinary, Hunk: sallyport.Digest("sha256:" + hunk2), Commits: []int{0}})},
			evidence: []sallyport.Evidence{aRun(theBlob)}, attested: 1,
		}, {
			name: "the same blob at another path", files: []sallyport.File{fresh("a", lines(3, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(func(r *predicate.AgentRun) {
				r.Changes.Blobs = []predicate.Blob{{Path: "b", Mode: "100644", GitBlob: blob1}}
			})}, left: sallyport.Weights{Agent: 3},
		}, {
			name: "the same blob with another mode", files: []sallyport.File{fresh("a", lines(3, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(func(r *predicate.AgentRun) {
				r.Changes.Blobs = []predicate.Blob{{Path: "a", Mode: "100755", GitBlob: blob1}}
			})}, left: sallyport.Weights{Agent: 3},
		}, {
			name: "by the hunk", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(hunks(hunk1))}, attested: 3,
		}, {
			name: "a hunk of several units is used once", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0), lines(2, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(hunks(hunk1))}, attested: 5,
		}, {
			name: "a hunk attested once, at two places of a file", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0), lines(3, hunk1, 1, 0))},
			evidence: []sallyport.Evidence{aRun(hunks(hunk1))}, attested: 3, left: sallyport.Weights{Agent: 3},
		}, {
			name: "a hunk attested twice, at two places of a file", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0), lines(3, hunk1, 1, 0))},
			evidence: []sallyport.Evidence{aRun(hunks(hunk1, hunk1))}, attested: 6,
		}, {
			name: "a hunk attested once, in two files", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0)), file("b", lines(3, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(hunks(hunk1))}, attested: 3, left: sallyport.Weights{Agent: 3},
		}, {
			name: "two runs that made the same hunk", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0), lines(3, hunk1, 1, 0))},
			evidence: []sallyport.Evidence{aRun(hunks(hunk1)), aRun(both(hunks(hunk1), func(r *predicate.AgentRun) { r.RunID = "run-2" }))}, attested: 6,
		}, {
			name: "evidence of another agent than the commits name", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			evidence: []sallyport.Evidence{aRun(both(madeBy(commit1), hunks(hunk1), func(r *predicate.AgentRun) { r.Agent.Name = "codex" }))},
			left:     sallyport.Weights{Agent: 3},
		}, {
			name: "what nobody accounts for, but a run", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			by: new(by(sallyport.Nobody, "", "")), evidence: []sallyport.Evidence{aRun(hunks(hunk1))}, attested: 3,
		}, {
			name: "what nobody accounts for", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			by: new(by(sallyport.Nobody, "", "")), left: sallyport.Weights{Unattributed: 3},
		}, {
			name: "a person who was there", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			by: new(by(sallyport.Person, "bob", sallyport.Present)),
		}, {
			name: "a person's name and ordinary key", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			by: new(by(sallyport.Person, "bob", sallyport.Declared)), left: sallyport.Weights{Unattributed: 3},
		}, {
			name: "a bot in its scope", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			by: new(by(sallyport.Bot, "renovate", sallyport.Observed)),
		}, {
			name: "a workload is nobody", files: []sallyport.File{file("a", lines(3, hunk1, 0, 0))},
			by: new(by(sallyport.Workload, "ci", sallyport.Observed)), left: sallyport.Weights{Unattributed: 3},
		}, {
			name: "a unit without lines weighs one", files: []sallyport.File{file("a", sallyport.Unit{Kind: sallyport.UnitMode, Hunk: sallyport.Digest("sha256:" + hunk2), Commits: []int{0}})},
			evidence: []sallyport.Evidence{aRun(hunks(hunk2))}, attested: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(c.files...)
			if c.by != nil {
				s.everything(*c.by)
			}
			if c.held {
				s.held = Held{"a": {blob1: true}}
			}
			s.evidence = c.evidence
			in := s.check(t, Params{})
			var left sallyport.Weights
			for _, f := range in.Change.Files {
				left.Agent += f.Uncovered.Agent
				left.Person += f.Uncovered.Person
				left.Bot += f.Uncovered.Bot
				left.Unattributed += f.Uncovered.Unattributed
			}
			if in.Change.Coverage.Attested != c.attested || left != c.left {
				t.Errorf("attested %d, uncovered %+v; want %d, %+v", in.Change.Coverage.Attested, left, c.attested, c.left)
			}
		})
	}
}

// Run evidence that would cover the change, if one thing were not wrong with it.
func TestRunEvidenceThatIsNotAccepted(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*predicate.AgentRun)
		ev   func(*sallyport.Evidence)
		says string // empty: it is accepted
	}{
		{name: "as it should be"},
		{name: "declared", ev: func(e *sallyport.Evidence) { e.Grade = sallyport.Declared }, says: `its grade is "declared"`},
		{name: "no grade", ev: func(e *sallyport.Evidence) { e.Grade = "" }, says: `its grade is ""`},
		{name: "a supervisor that the agent could reach", edit: func(r *predicate.AgentRun) { r.Supervisor.Separation = predicate.SeparationNone }, says: `its grade is "declared"`},
		{name: "another repository", edit: func(r *predicate.AgentRun) { r.Repository = "example.com/acme/other" }, says: "it is about repository"},
		{name: "not sealed", edit: func(r *predicate.AgentRun) { r.Sealed, r.RecordHead = false, "" }, says: "not sealed"},
		{name: "failed", edit: func(r *predicate.AgentRun) { r.Conclusion = predicate.ConclusionFailure }, says: `ended with "failure"`},
		{name: "aborted", edit: func(r *predicate.AgentRun) { r.Conclusion = predicate.ConclusionAborted }, says: `ended with "aborted"`},
		{name: "an operator whom nobody knows", edit: func(r *predicate.AgentRun) { r.Operator = "mallory" }, says: "not in the roster"},
		{name: "a predicate that is none", ev: func(e *sallyport.Evidence) { e.Statement.Predicate = []byte(`[]`) }, says: "is not an object"},
		{name: "a predicate that does not hold together", edit: func(r *predicate.AgentRun) { r.RunID = "" }, says: "run evidence"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(file("a", lines(3, hunk1, 0, 0)))
			ev := aRun(func(r *predicate.AgentRun) {
				madeBy(commit1, commit2)(r)
				if c.edit != nil {
					c.edit(r)
				}
			})
			if c.ev != nil {
				c.ev(&ev)
			}
			s.evidence = []sallyport.Evidence{ev}
			in := s.check(t, Params{})
			if c.says == "" {
				if in.Change.Coverage.Attested != 3 || len(in.Claims.Runs) != 0 || !in.PullRequest.HasAttestation {
					t.Errorf("attested %d, not accepted %q", in.Change.Coverage.Attested, in.Claims.Runs)
				}
				return
			}
			if in.Change.Coverage.Attested != 0 || in.PullRequest.HasAttestation {
				t.Errorf("it was accepted")
			}
			if len(in.Claims.Runs) != 1 || !strings.Contains(in.Claims.Runs[0], c.says) {
				t.Errorf("told %q, want it to say %q", in.Claims.Runs, c.says)
			}
		})
	}
}

// Evidence of another type is nobody's run, whatever its body says.
func TestOtherEvidenceIsNoRun(t *testing.T) {
	s := newScene(file("a", lines(3, hunk1, 0, 0)))
	ev := aRun(madeBy(commit1))
	ev.Statement.PredicateType = "https://slsa.dev/provenance/v1"
	s.evidence = []sallyport.Evidence{ev}
	if in := s.check(t, Params{}); in.Change.Coverage.Attested != 0 || len(in.Evidence) != 1 {
		t.Errorf("attested %d, %d pieces of evidence", in.Change.Coverage.Attested, len(in.Evidence))
	}
}

// An error anywhere leaves nothing recorded, and so nothing open.
func TestErrorsDecideNothing(t *testing.T) {
	boom := errors.New("boom")
	for name, s := range map[string]*scene{
		"git":       {diffErr: boom},
		"scan":      {scanErr: boom, unit: always(by(sallyport.Nobody, "", ""))},
		"approvals": {judgeErr: boom, unit: always(by(sallyport.Nobody, "", ""))},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := s.gate().Check(t.Context(), Params{}); !errors.Is(err, boom) {
				t.Errorf("got %v, want %v", err, boom)
			}
			if s.recorded != 0 || s.seen != nil {
				t.Errorf("recorded %d, policy asked: %v", s.recorded, s.seen != nil)
			}
		})
	}
}
