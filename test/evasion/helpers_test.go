package evasion

import (
	"strings"

	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// moveSignature replaces HEAD by a commit with another tree and, byte for byte, the rest of rev:
// its signature too.
func moveSignature(s *scene.Scene, rev, tree string) {
	s.TB.Helper()
	raw := s.Git("cat-file", "commit", rev) + "\n"
	_, rest, _ := strings.Cut(raw, "\n")
	id := s.WriteObject("commit", []byte("tree "+tree+"\n"+rest))
	s.Git("reset", "-q", "--hard", id)
}

// runWith plays an attested feature whose run evidence the attack edits.
func runWith(edit func(*predicate.AgentRun)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		addFeature(s)
		run := s.Run("main", "HEAD")
		if attack {
			edit(&run)
		}
		s.Attest(run, scene.Supervisor)
		return s.Check()
	}
}

// besideRun plays an attested feature, and keeps a second attestation about the run, edited.
func besideRun(edit func(r *predicate.AgentRun, attack bool)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		addFeature(s)
		run := s.Run("main", "HEAD")
		s.Attest(run, scene.Supervisor)
		edit(&run, attack)
		s.Attest(run, scene.Supervisor)
		return s.Check()
	}
}

// moveMain lets Dave land something else on main, and returns to the branch that was out.
func moveMain(s *scene.Scene) {
	s.TB.Helper()
	branch := s.Git("symbolic-ref", "--short", "HEAD")
	s.Git("switch", "-q", "main")
	s.Write("NOTES.md", "Written on main meanwhile.\n")
	s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Take notes")
	s.Git("switch", "-q", branch)
}

// smuggle adds a line that nobody agreed to.
func smuggle(s *scene.Scene) {
	s.TB.Helper()
	s.Append("util.py", "\nimport os; os.system(os.environ.get(\"HOOK\", \"true\"))\n")
}
