package evasion

import (
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// parts are attacks on how several records make up a change, and on what outlives its commits.
var parts = []row{
	{
		name: "line by hand after a run", attack: "a commit with one more line stands on top of a run's", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				smuggle(s)
				s.Commit("Tidy up")
			}
			v := s.Check()
			says(s, v, attack, "no run wrote util.py:")
			return v
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "line by hand in a run's hunk", attack: "a line is put into the middle of what a run wrote, and the commit amended", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("util.py", helper) // by which the run is found, whatever becomes of the other file
			addFeature(s)
			s.AttestRun("main", "HEAD")
			if attack {
				s.Write("server.py", strings.Replace(s.Read("server.py"), "def version():\n", "def version():\n    import os; os.system(\"true\")\n", 1))
				s.Git("add", "-A")
			}
			s.Git("commit", "-q", "--amend", "-m", "Say which version this is")
			v := s.Check()
			says(s, v, attack, "no run wrote server.py:"+lineOf(s.Read("server.py"), "os.system"))
			return v
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "squash of several runs", attack: "a line is smuggled into a squash of two runs that touch the same place", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			twoRuns(s)
			squash(s, attack)
			v := s.Check()
			says(s, v, attack, "no run wrote util.py:")
			return v
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "squash of runs with one left out", attack: "two runs are squashed, and only the second has evidence", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("server.py", feature)
			first := s.AgentCommit("Say which version this is")
			if !attack {
				s.Attest(s.Run("main", "HEAD"), scene.Supervisor)
			}
			s.Write("server.py", strings.Replace(s.Read("server.py"), "1.1", "1.2", 1))
			s.AgentCommit("Bump")
			s.Attest(s.Run(first, "HEAD"), scene.Supervisor)
			squash(s, false)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "run landed again after it was taken back", attack: "a run's work is landed again by its ends, after somebody took it back", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			twoRuns(s)
			if attack {
				tree := s.Git("rev-parse", "main^{tree}")
				s.Git("switch", "-q", "main")
				s.Git("merge", "-q", "--squash", "work")
				s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Land it")
				s.Git("read-tree", "-u", "--reset", tree)
				s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Take it back")
			}
			squash(s, false)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "tree of a run on another base", attack: "the tree that a run left is landed where the target has moved on, and undoes what came between", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			twoRuns(s)
			tree := s.Git("rev-parse", "work^{tree}")
			if attack {
				moveMain(s)
			}
			s.Git("switch", "-q", "--detach", "main")
			s.Git("read-tree", "-u", "--reset", tree)
			s.Git("commit", "-q", "-m", "Say which version this is (#1)")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "two seals of one run", attack: "a supervisor seals one run twice, with another account of it", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			run := s.Run("main", "HEAD")
			s.Attest(run, scene.Supervisor)
			if attack {
				run.Records++
				s.Attest(run, scene.Supervisor)
			}
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"attestation-missing", "run-forged"},
	},
	{
		name: "checkpoint after the seal", attack: "a run goes on after its record was sealed", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			run := s.Run("main", "HEAD")
			part := run
			part.Sealed, part.Part, part.Previous = false, 1, string(sallyport.SHA256([]byte("part 0")))
			if attack {
				part.Part = 3
			}
			s.Attest(part, scene.Supervisor)
			run.Part, run.Previous = 2, string(sallyport.SHA256([]byte("part 1")))
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"attestation-missing", "run-forged"},
	},
}

// twoRuns plays two runs that touch the same lines, of which each knows its own commits only.
func twoRuns(s *scene.Scene) {
	s.TB.Helper()
	s.Append("server.py", feature)
	first := s.AgentCommit("Say which version this is")
	s.Attest(s.Run("main", "HEAD"), scene.Supervisor)
	s.Write("server.py", strings.Replace(s.Read("server.py"), "1.1", "1.2", 1))
	s.AgentCommit("Bump")
	s.Attest(s.Run(first, "HEAD"), scene.Supervisor)
}

// squash lands work on main as one commit of somebody else, without a trailer.
func squash(s *scene.Scene, attack bool) {
	s.TB.Helper()
	s.Git("switch", "-q", "--detach", "main")
	s.Git("merge", "-q", "--squash", "work")
	if attack {
		smuggle(s)
		s.Git("add", "-A")
	}
	s.Git("commit", "-q", "-m", "Say which version this is (#1)")
}

// says holds the reasons of an attack to naming something.
func says(s *scene.Scene, v scene.Verdict, attack bool, want string) {
	s.TB.Helper()
	if !attack {
		return
	}
	for _, r := range v.Decision.Reasons {
		if strings.Contains(r.Text, want) {
			return
		}
	}
	s.TB.Errorf("no reason says %q: %v", want, v.Result)
}

// lineOf is the number of the line that holds a text.
func lineOf(text, what string) string {
	n := 1
	for line := range strings.Lines(text) {
		if strings.Contains(line, what) {
			break
		}
		n++
	}
	return strconv.Itoa(n)
}
