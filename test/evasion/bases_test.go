package evasion

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// bases are attacks on what a change is compared with: the base may leave out what has not
// landed, or stand where weaker rules did.
var bases = []row{
	{
		name: "base above the attack", attack: "the caller names a base that holds the agent's commit already", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			return s.Check("--base", ownWork(s, attack))
		},
		status: sallyport.ExitUndecided, says: "the base is no commit of the target",
	},
	{
		name: "event's base above the attack", attack: "the job's event names such a base", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			base := ownWork(s, attack)
			event := filepath.Join(s.Dir, "event.json")
			body := fmt.Sprintf(`{"pull_request": {"number": 1, "base": {"ref": "main", "sha": %q}, "head": {"ref": "work", "sha": %q}}, "repository": {"default_branch": "main"}}`, base, s.Rev("HEAD"))
			if err := os.WriteFile(event, []byte(body), 0o600); err != nil {
				s.TB.Fatal(err)
			}
			return s.CheckIn(s.Repo, []string{"GITHUB_ACTIONS=true", "GITHUB_EVENT_PATH=" + event})
		},
		status: sallyport.ExitUndecided, says: "the base is no commit of the target",
	},
	{
		name: "base below the rules", attack: "nothing is pinned, and the caller names a base from before the repository enforced", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = s.Restage(s.TB, scene.Options{Files: map[string]string{configFile: observing}})
			base := s.Rev("HEAD")
			s.Write(configFile, scene.Config)
			s.RootInit()
			s.Commit("Enforce")
			s.Pin = ""
			s.Git("switch", "-q", "-c", "work")
			addFeature(s)
			if !attack {
				base = s.Rev("main")
				s.AttestRun("main", "HEAD")
			}
			return s.Check("--base", base)
		},
		status: sallyport.ExitShut, codes: []string{"approval-missing", "attestation-missing", "policy-changed", "unattributed"},
	},
}

// ownWork plays Dave's own commit, which may land, on top of one of the agent's if it is an
// attack. It returns the commit below Dave's.
func ownWork(s *scene.Scene, attack bool) string {
	if attack {
		addFeature(s)
	}
	base := s.Rev("HEAD")
	s.Write("NOTES.md", "Mine.\n")
	s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Take notes")
	return base
}
