package evasion

import (
	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

var residue = []string{"approval-missing", "residue", "unattributed"}

// shapes are attacks on what an approval covers once history is shaped anew.
var shapes = []row{
	{
		name: "squash", attack: "a line is smuggled into the squash of an approved branch", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			base := s.Rev("main")
			s.Git("switch", "-q", "--detach", base)
			s.Git("merge", "-q", "--squash", "work")
			if attack {
				smuggle(s)
			}
			head := s.Commit("Say which version this is (#1)")
			return s.Check("--base", base, "--head", head)
		},
		status: sallyport.ExitWaiting, codes: residue,
	},
	{
		name: "squash onto a moved base", attack: "the same, after main has moved", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			moveMain(s)
			s.Git("switch", "-q", "--detach", "main")
			s.Git("merge", "-q", "--squash", "work")
			if attack {
				smuggle(s)
			}
			s.Commit("Say which version this is (#1)")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: residue,
	},
	{
		name: "rebase", attack: "an approved branch is rebased onto a moved base with an edit on the way", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			moveMain(s)
			s.Git("rebase", "-q", "main")
			if attack {
				smuggle(s)
				s.Git("add", "-A")
				s.Git("commit", "-q", "--amend", "--no-edit")
			}
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"approval-missing", "attestation-missing", "residue"},
	},
	{
		name: "amend after approval", attack: "the approved commit is amended with another line", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				smuggle(s)
				s.Git("add", "-A")
			}
			s.Git("commit", "-q", "--amend", "-m", "Wait before a pod is ready, in other words"+scene.Trailer)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"approval-missing", "attestation-missing", "residue"},
	},
	{
		name: "commit after approval", attack: "one more commit is pushed to an approved branch", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				smuggle(s)
			}
			s.Commit("Tidy up")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: residue,
	},
	{
		name: "attested commit after approval", attack: "the agent adds an attested commit that nobody approved", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				smuggle(s)
			}
			s.AgentCommit("Tidy up")
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "residue"},
	},
	{
		name: "line dropped from a squash", attack: "an approved line is left out of what lands", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("switch", "-q", "--detach", "main")
			s.Git("merge", "-q", "--squash", "work")
			if attack {
				s.Write("deploy/prod.yaml", scene.Service["deploy/prod.yaml"]+"  minReadySeconds: 5\n")
			}
			s.Commit("Say which version this is (#1)")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: residue,
	},
	{
		name: "evil merge", attack: "main is merged into the approved branch, with a line that neither side has", from: approved,
		do:     evilMerge,
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "evil-merge", "residue", "unattributed"},
	},
	{
		name: "evil merge of attested work", attack: "the same, on a branch that needs no approval", from: attested,
		do:     evilMerge,
		status: sallyport.ExitWaiting, codes: []string{"evil-merge", "unattributed"},
	},
	{
		name: "evil merge by the agent", attack: "the agent's merge hides a line, and its supervisor attests it", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			moveMain(s)
			s.Git("merge", "-q", "--no-commit", "--no-ff", "main")
			if attack {
				smuggle(s)
			}
			s.AgentCommit("Merge main")
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"evil-merge"},
	},
	{
		name: "deleted check", attack: "the agent removes the workflow that tests it", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Remove(".github/workflows/test.yml")
			} else {
				s.Remove("util.py")
			}
			s.AgentCommit("Remove what is not needed")
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing"},
	},
	{
		name: "deleted test", attack: "a test is removed, which adds no line", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Remove("test_server.py")
			id := s.CommitAs(scene.Who(scene.Dave), "Tidy up")
			if !attack {
				s.Resign(id, scene.Dave)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "mode change", attack: "a deploy script becomes executable after the approval", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Git("update-index", "--chmod=+x", "deploy/run.sh")
			}
			s.Git("commit", "-q", "--allow-empty", "-m", "Tidy up")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: residue,
	},
	{
		name: "mode change alone", attack: "a deploy script becomes executable, and no line changes", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("update-index", "--chmod=+x", "deploy/run.sh")
			s.GitAs(scene.Who(scene.Dave), "commit", "-q", "-m", "Make it executable")
			if !attack {
				s.Resign("HEAD", scene.Dave)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "unattributed"},
	},
	{
		name: "renamed out of protection", attack: "the agent moves a manifest out of the protected folder", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Git("mv", "deploy/prod.yaml", "prod.txt")
			} else {
				s.Git("mv", "util.py", "helpers.py")
			}
			s.AgentCommit("Move a file")
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing"},
	},
	{
		name: "one change undone by another", attack: "an unattributed line is added and taken out again beside one that stays", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			was := s.Read("util.py")
			smuggle(s)
			s.Commit("Try something")
			if !attack {
				s.Write("util.py", was)
			} else {
				s.Write("util.py", was+helper)
			}
			s.Commit("Take it back")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "merge signed by a person", attack: "a person's signed merge brings in a commit that nobody accounts for", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("switch", "-q", "-c", "side", "main")
			s.Append("util.py", helper)
			id := s.CommitAs(scene.Who(scene.Dave), "Halve")
			if !attack {
				s.Resign(id, scene.Dave)
			}
			s.Git("switch", "-q", "work")
			s.GitAs(scene.Who(scene.Dave), "merge", "-q", "--no-ff", "-m", "Merge side", "side")
			s.Resign("HEAD", scene.Dave)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "unrelated history", attack: "a branch that shares no commit with main brings a file", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Git("switch", "-q", "--orphan", "other")
			}
			s.Write("extra.py", "print(1)\n")
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Print")
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "unrelated",
	},
	{
		name: "conflict", attack: "the branch conflicts with main, so that whoever resolves it writes what lands", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("switch", "-q", "main")
			if attack {
				s.Append("deploy/prod.yaml", "  minReadySeconds: 1\n")
			} else {
				s.Append("util.py", helper)
			}
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Wait less")
			s.Git("switch", "-q", "work")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"merge-conflict"},
	},
}

// evilMerge merges a main that moved, with a line that neither side has if it is the attack.
func evilMerge(s *scene.Scene, attack bool) scene.Verdict {
	moveMain(s)
	s.Git("merge", "-q", "--no-commit", "--no-ff", "main")
	if attack {
		smuggle(s)
	}
	s.Commit("Merge main")
	return s.Check()
}
