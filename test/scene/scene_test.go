package scene_test

import (
	"os"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) { os.Exit(scene.Main(m)) }

// TestScene tells the story that other tests take apart: staged, changed, attested, approved.
func TestScene(t *testing.T) {
	s := scene.New(t, scene.Options{})
	s.Git("switch", "-q", "-c", "work")
	s.Append("server.py", "\n# A line of the agent's.\n")
	s.Append("deploy/prod.yaml", "  minReadySeconds: 5\n")
	s.AgentCommit("Wait a little")
	if v := s.Check(); v.Status != sallyport.ExitShut || !v.Decided() {
		t.Fatalf("without evidence: %v", v.Result)
	}
	s.AttestRun("main", "HEAD")
	if v := s.Check(); v.Status != sallyport.ExitWaiting {
		t.Fatalf("without approvals: %v", v.Result)
	}
	s.Approve(scene.Bob)
	s.Approve(scene.Carol)
	f := s.Fork(t)
	for _, s := range []*scene.Scene{s, f} {
		if v := s.Check(); v.Status != sallyport.ExitOpen || v.Decision.Outcome != sallyport.Open || len(v.Codes()) != 0 {
			t.Errorf("approved: %v", v.Result)
		}
	}
}

// TestSignedCommit shows that what SignedCommit makes is a signature to git's own readers.
func TestSignedCommit(t *testing.T) {
	s := scene.New(t, scene.Options{})
	s.Git("switch", "-q", "-c", "work")
	s.Append("server.py", "\n# A line of Dave's.\n")
	s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Say hello")
	if v := s.Check(); v.Status != sallyport.ExitOpen {
		t.Errorf("a person's own line, signed with a touched key: %v", v.Result)
	}
}
