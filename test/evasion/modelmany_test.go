//go:build e2e

package evasion

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// TestTouchedAmongMany asks what a model has touched where 10,000 runs are kept, and prints what it took. Every
// hundredth used the model.
func TestTouchedAmongMany(t *testing.T) {
	s := scene.New(t, scene.Options{})
	s.Git("switch", "-q", "-c", "work")
	addFeature(s)
	s.AttestRun("main", "HEAD") // makes the state folder
	base := s.Run("main", "HEAD")
	for n := range 10_000 {
		run := base
		run.RunID = fmt.Sprintf("many-%d", n)
		run.Models = []predicate.Model{{Provider: "anthropic", Name: "claude-opus-4"}}
		if n%100 == 0 {
			run.Models[0].Name = "claude-sonnet-4-20250514"
		}
		run.Changes.Commits = []string{fmt.Sprintf("%040x", n)}
		body, err := sallyport.EncodeJSON(run)
		if err != nil {
			t.Fatal(err)
		}
		bundle := s.Sign(sallyport.Statement{
			Type: sallyport.StatementType, PredicateType: predicate.AgentRunType, Predicate: body,
			Subject: []sallyport.StatementSubject{{Digest: map[string]string{"gitCommit": run.Changes.Commits[0]}}},
		}, scene.Supervisor)
		// Not by the store, which waits for the disk each time.
		if err := os.WriteFile(s.State("evidence", "sha256", sallyport.SHA256(bundle).Hex()+".json"), bundle, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, when := range []string{"first", "second"} {
		began := time.Now()
		out := s.Must("model", "touched", "anthropic/claude-sonnet-4", "--repo", s.Repo, "--root", string(s.Pin), "--target", "main")
		t.Logf("the %s time: %v", when, time.Since(began).Round(time.Millisecond))
		if !strings.Contains(out, "has touched 100 runs, 100 commits") {
			t.Fatalf("%s", out)
		}
	}
}
