// Package evasion holds ways round the merge gate, and shows through the built binary that each
// of them is seen.
//
// A row of the table is an attack, and a twin that goes through: the same story with the same
// commands, which differs in the attack alone. An attack has to end with the row's exit status
// and with exactly its reason codes; its twin has to open without any. So a row fails when a
// rule is missing, and when the rule that fires is another one than the row is about.
//
//	go test -v -run TestEvasions ./test/evasion
package evasion

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) {
	scene.InMemory()
	os.Exit(scene.Main(m))
}

// A stage is where a row's story begins. Each builds on the one before.
type stage int

const (
	plain    stage = iota // branch work, at main
	attested              // the agent changed server.py there, and its run is attested: it may land
	asked                 // the agent changed a deploy manifest too, attested: it waits for two persons
	half                  // Bob has approved
	approved              // and Carol: it may land
	modelled              // from main: a registry with an approved model, and the agent's change, not attested yet
	stages
)

// The story of the stages.
const (
	feature  = "\n\ndef version():\n    return \"1.1\"\n"
	manifest = "  minReadySeconds: 5\n  paused: false\n"
)

// A row is one way round the gate.
type row struct {
	name   string
	attack string // what the attacker does
	from   stage

	// do plays the story in a scene of its own, with or without the attack, and asks the gate.
	do func(s *scene.Scene, attack bool) scene.Verdict

	status int      // of the attack
	codes  []string // its reason codes, sorted
	says   string   // where nothing could be decided (status 1 without codes): what the error names
}

// TestEvasions plays every row twice.
func TestEvasions(t *testing.T) {
	scenes := stageAll(t)
	names := map[string]bool{}
	for _, rows := range [][]row{
		makers, shapes, contents, approvals, runs, policies, roots, logs, repositories, bases, ranges, travels, scans, exceptions, teams, rotations, statements, identities, runKeys, parts, models,
	} {
		for _, r := range rows {
			if names[r.name] {
				t.Fatalf("two rows are called %q", r.name)
			}
			names[r.name] = true
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				r.play(t, scenes[r.from])
			})
		}
	}
}

// stageAll plays the story once, and keeps a scene of each stage.
func stageAll(t *testing.T) [stages]*scene.Scene {
	t.Helper()
	var at [stages]*scene.Scene
	s := scene.New(t, scene.Options{})
	s.Git("switch", "-q", "-c", "work")
	at[plain] = s.Fork(t)
	addFeature(s)
	s.AttestRun("main", "HEAD")
	at[attested] = s.Fork(t)
	s.Append("deploy/prod.yaml", manifest)
	s.AgentCommit("Wait before a pod is ready")
	s.AttestRun("main", "HEAD")
	at[asked] = s.Fork(t)
	s.Approve(scene.Bob)
	at[half] = s.Fork(t)
	s.Approve(scene.Carol)
	at[approved] = s
	at[modelled] = withModels(at[plain], time.Now().Add(48*time.Hour), scene.Erin)
	return at
}

// addFeature is what the agent was asked for.
func addFeature(s *scene.Scene) string {
	s.Append("server.py", feature)
	return s.AgentCommit("Say which version this is")
}

func (r row) play(t *testing.T, from *scene.Scene) {
	twin := r.do(from.Fork(t), false)
	if twin.Status != sallyport.ExitOpen || twin.Decision.Outcome != sallyport.Open || len(twin.Codes()) != 0 {
		t.Errorf("the twin does not open: %v", twin.Result)
	}
	got := r.do(from.Fork(t), true)
	t.Logf("%s: %s", r.attack, outcome(got))
	switch {
	case got.Status != r.status:
		t.Errorf("status %d, want %d\n%v", got.Status, r.status, got.Result)
	case r.says != "" && (got.Decided() || !strings.Contains(got.Stderr, r.says)):
		t.Errorf("want no decision, and an error that names %s\n%v", r.says, got.Result)
	case r.says == "" && !slices.Equal(got.Codes(), r.codes):
		t.Errorf("reasons %v, want %v\n%v", got.Codes(), r.codes, got.Result)
	case r.says == "" && got.Decision.Outcome == sallyport.Open:
		t.Errorf("the recorded outcome is open\n%v", got.Result)
	}
}

// outcome is an answer in a few words, for the table that -v prints.
func outcome(v scene.Verdict) string {
	if !v.Decided() {
		line, _, _ := strings.Cut(strings.TrimPrefix(v.Stderr, "sallyport: error: "), "\n")
		return fmt.Sprintf("status %d, %s", v.Status, line)
	}
	return fmt.Sprintf("status %d, %v [%s]; the twin opens", v.Status, v.Decision.Outcome, strings.Join(v.Codes(), " "))
}
