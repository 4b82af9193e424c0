package evasion

import (
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// gaps are ways round the gate that are open, each of them named in docs/threat-model.md under
// "What is not defended". Their status is what they get today.
var gaps = []row{
	{
		name: "old hunk in a new file", attack: "lines that a run added and a person has taken out since are added again without a run, where the file has changed elsewhere and so is new as a whole", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("switch", "-q", "main")
			s.Git("merge", "-q", "--ff-only", "work")
			replace(s, "server.py", feature, "")
			replace(s, "server.py", "import os\n", "import os\n\nos.umask(0o077)\n")
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Do not say which version this is")
			s.Git("switch", "-q", "-C", "work", "main")
			s.Append("server.py", feature)
			byDave(s, attack, "Back")
			return s.Check()
		},
		status: sallyport.ExitOpen,
	},
	{
		name: "hunk that never landed", attack: "lines of a run whose branch was given up are added without a run", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("switch", "-q", "-C", "work", "main")
			s.Append("server.py", feature)
			byDave(s, attack, "Say which version this is")
			return s.Check()
		},
		status: sallyport.ExitOpen,
	},
}

// TestGaps fails when a gap closes, so that its row moves to the table of evasions and its line
// leaves the documentation.
func TestGaps(t *testing.T) {
	scenes := stageAll(t)
	for _, r := range gaps {
		t.Run(r.name, func(t *testing.T) {
			for _, attack := range []bool{false, true} {
				v := r.do(scenes[r.from].Fork(t), attack)
				if v.Status != r.status {
					t.Errorf("attack %v: status %d, want %d\n%v", attack, v.Status, r.status, v.Result)
				}
			}
		})
	}
}
