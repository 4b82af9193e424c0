package trace

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

func hash(n int) string { return fmt.Sprintf("%040x", n) }

func statement(t testing.TB, typ string, body any, subjects ...sallyport.StatementSubject) sallyport.Statement {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return sallyport.Statement{Type: sallyport.StatementType, PredicateType: typ, Subject: subjects, Predicate: b}
}

func commit(n int) sallyport.StatementSubject {
	return sallyport.StatementSubject{Digest: map[string]string{"gitCommit": hash(n)}}
}

// ran is a run that used a model and made a commit.
func ran(t testing.TB, n int, model string) sallyport.Evidence {
	r := predicate.AgentRun{
		RunID: fmt.Sprintf("run-%d", n), Agent: predicate.Agent{Name: "claude-code"}, Operator: "alice", Repository: "example.org/app",
		Models:    []predicate.Model{{Name: model, Provider: "anthropic"}},
		StartedAt: "2026-01-01T00:00:00Z", EndedAt: "2026-01-01T00:00:00Z", Supervisor: predicate.Supervisor{Version: "1", Separation: predicate.SeparationHost},
		Changes: predicate.Changes{Hunks: []string{}, Blobs: []predicate.Blob{{Path: "a", Mode: "100644", GitBlob: hash(n)}}, Commits: []string{hash(n)}},
		Sealed:  true, Records: 1, RecordHead: "sha256:" + strings.Repeat("0", 64), Conclusion: predicate.ConclusionSuccess,
	}
	st := statement(t, predicate.AgentRunType, r, commit(n))
	return sallyport.Evidence{Attestation: sallyport.SHA256(st.Predicate), Statement: st, Grade: sallyport.Observed}
}

// decided is the summary of a decision that relied on attestations.
func decided(t testing.TB, gate sallyport.Gate, outcome string, relied []sallyport.Digest, subjects ...sallyport.StatementSubject) sallyport.Statement {
	result := "FAILED"
	if outcome == "open" {
		result = "PASSED"
	}
	s := predicate.Summary{Verifier: predicate.SummaryVerifier{ID: "https://example.org/v"}, TimeVerified: "2026-01-02T00:00:00Z", ResourceURI: "git+https://example.org/app",
		VerificationResult: result, VerifiedLevels: []string{result}, SLSAVersion: "1.2", Gate: string(gate), Outcome: outcome,
		Reasons: []string{}, Advice: []string{}, Policies: []predicate.SummaryPolicy{}}
	for _, d := range relied {
		s.InputAttestations = append(s.InputAttestations, predicate.SummaryResource{Digest: map[string]string{"sha256": d.Hex()}})
	}
	s.Decision = string(sallyport.SHA256([]byte(fmt.Sprint(gate, outcome, relied, subjects))))
	return statement(t, predicate.SummaryType, s, subjects...)
}

func file(name string, n int) sallyport.StatementSubject {
	return sallyport.StatementSubject{Name: name, Digest: map[string]string{"sha256": fmt.Sprintf("%064x", n)}}
}

func sonnet(m predicate.Model) bool { return m.Name == "claude-sonnet-4" }

// One model's work is followed to the artifact, and another's beside it is not.
func TestTouched(t *testing.T) {
	x := new(Index)
	mine, other, lone := ran(t, 1, "claude-sonnet-4"), ran(t, 2, "claude-opus-4"), ran(t, 3, "claude-sonnet-4")
	x.Add(mine, "")
	x.Add(mine, "") // the same bytes may be kept twice
	x.Add(other, "")
	x.Add(lone, "its grade is declared")
	x.AddClaim(sallyport.SHA256([]byte("x")), ran(t, 4, "claude-sonnet-4").Statement, "unknown key")
	x.AddDecision(decided(t, sallyport.GateMerge, "open", []sallyport.Digest{mine.Attestation}, commit(10)))  // a squash of run 1
	x.AddDecision(decided(t, sallyport.GateMerge, "shut", []sallyport.Digest{mine.Attestation}, commit(11)))  // which landed nowhere
	x.AddDecision(decided(t, sallyport.GateMerge, "open", []sallyport.Digest{other.Attestation}, commit(12))) // of the other
	x.AddDecision(decided(t, sallyport.GateRelease, "open", nil, commit(20), file("app", 20)))                // holds commit 10
	x.AddDecision(decided(t, sallyport.GateRelease, "shut", nil, commit(21), file("bad", 21)))                // was not released
	x.AddDecision(decided(t, sallyport.GateRelease, "open", nil, commit(22), file("clean", 22)))              // holds commit 12 alone
	x.Add(sallyport.Evidence{Attestation: sallyport.SHA256([]byte("p")), Statement: statement(t, provenanceTypes[0],
		map[string]any{"buildDefinition": map[string]any{"resolvedDependencies": []any{map[string]any{"digest": map[string]string{"gitCommit": hash(1)}}}}}, file("built", 30))}, "")
	holds := map[string][]string{hash(20): {hash(10), hash(1)}, hash(21): {hash(10)}, hash(22): {hash(12)}}
	got, err := x.Touched(Query{
		Model: sonnet,
		Reaches: func(from string) (func(string) bool, error) {
			return func(c string) bool { return slices.Contains(holds[from], c) }, nil
		},
		Holding: func(w map[predicate.Blob][]string) (map[string][]string, error) {
			if len(w) != 1 {
				t.Errorf("asked for %v", w)
			}
			return map[string][]string{hash(13): {"run-1"}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var commits, artifacts, claims []string
	for _, c := range got.Commits {
		commits = append(commits, c.ID)
	}
	for _, a := range got.Artifacts {
		artifacts = append(artifacts, a.Name)
	}
	for _, c := range got.Claims {
		claims = append(claims, c.ID)
	}
	if want := []string{hash(1), hash(10), hash(13)}; !slices.Equal(commits, want) {
		t.Errorf("commits %v, want %v", commits, want)
	}
	if want := []string{"app", "built"}; !slices.Equal(artifacts, want) {
		t.Errorf("artifacts %v, want %v", artifacts, want)
	}
	if want := []string{"run-3", "run-4"}; !slices.Equal(claims, want) {
		t.Errorf("claims %v, want %v", claims, want)
	}
	if len(got.Runs) != 1 || got.Runs[0].ID != "run-1" || len(got.Decisions) != 4 {
		t.Errorf("runs %+v, decisions %+v", got.Runs, got.Decisions)
	}
}

func TestNothingTouched(t *testing.T) {
	got, err := new(Index).Touched(Query{Model: sonnet})
	if err != nil || len(got.Runs)+len(got.Commits)+len(got.Artifacts) != 0 || got.Runs == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// The index of 10,000 runs of which each tenth used the model.
func BenchmarkTouched(b *testing.B) {
	x := new(Index)
	for i := range 10_000 {
		model := "claude-opus-4"
		if i%10 == 0 {
			model = "claude-sonnet-4"
		}
		ev := ran(b, i, model)
		x.Add(ev, "")
		x.AddDecision(decided(b, sallyport.GateMerge, "open", []sallyport.Digest{ev.Attestation}, commit(100_000+i)))
	}
	for b.Loop() {
		t, err := x.Touched(Query{Model: sonnet})
		if err != nil || len(t.Runs) != 1000 || len(t.Commits) != 2000 {
			b.Fatal(len(t.Runs), len(t.Commits), err)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	ev := ran(b, 1, "claude-opus-4")
	ev.Attestation = ""
	for b.Loop() {
		new(Index).Add(ev, "")
	}
}
