package evasion

import (
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// gaps are ways round the gate that are open, each of them named in docs/threat-model.md under
// "What is not defended". Their status is what they get today.
var gaps = []row{
	{
		name: "old content brought back", attack: "a file is set back, without a run, to what an earlier run made and a person has mended since", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			was := s.Read("server.py")
			s.Git("switch", "-q", "main")
			s.Git("merge", "-q", "--ff-only", "work")
			s.Write("server.py", strings.Replace(was, "1.1", "1.2", 1))
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Mend the version")
			s.Git("switch", "-q", "-C", "work", "main")
			s.Write("server.py", was)
			id := s.CommitAs(scene.Who(scene.Dave), "Back")
			if !attack {
				s.Resign(id, scene.Dave)
			}
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
