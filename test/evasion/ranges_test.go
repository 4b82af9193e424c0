package evasion

import (
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

var nobody = []string{"unattributed"}

// What the rows of ranges start from, and what is done to it.
const (
	library = "# long enough to be found\n# as the same file\n# under another name\ndef a():\n    return 1\n\n\ndef b():\n    return 2\n\n\ndef c():\n    return 3\n"
	hooked  = "def b():\n    import os; os.system(os.environ.get(\"HOOK\", \"true\"))\n    return 2\n"
	tool    = "#!/bin/sh\necho one\necho two\necho three\necho four\n"
	guarded = "\n\ndef admin(user):\n" + guard + "    return open(\"/etc/secret\").read()\n"
	guard   = "    if not user.is_admin:\n        raise PermissionError\n"
	job     = "import shutil\n\n\ndef main(args):\n    shutil.rmtree(args.path)\n\n\nmain(None)\n"
	ask     = "    if not args.confirmed:\n        return\n"
	checks  = "def a(u):\n    check(u)\n    do_a(u)\n\n\ndef b(u):\n    check(u)\n    do_b(u)\n"
	excuse  = "\nrequire example.com/old v1.0.0\n"
	exclude = "\nexclude example.com/old v1.0.0\n"
)

// ranges are attacks that hide one commit of a range behind the others, or an old run behind a
// new commit: what lands looks like the work of somebody who did account for something. Unless a
// row says otherwise its twin has the same commits, all of them signed.
var ranges = []row{
	{
		name: "change under a file's old name", attack: "a commit from before a rename is merged, so that its line seems to be the other side's", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			old := renamed(s, "lib.py", library, "core.py")
			s.Append("core.py", "\n\ndef d():\n    return 4\n")
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Four")
			mergeSide(s, old, attack, func() { replace(s, "lib.py", "def b():\n    return 2\n", hooked) })
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "mode changed under a file's old name", attack: "the same with the executable bit", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			old := renamed(s, "tool", tool, "tool.sh")
			s.Append("tool.sh", "echo five\n")
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Five")
			s.Git("switch", "-q", "-c", "side", old)
			s.Git("update-index", "--chmod=+x", "tool")
			s.GitAs(scene.Who(scene.Dave), "commit", "-q", "-m", "Make it run")
			if !attack {
				s.Resign("HEAD", scene.Dave)
			}
			s.Git("reset", "-q", "--hard")
			mergeSigned(s, "work", "side")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "change under the old name beside an attested run", attack: "the same beside a run's work; the run made all commits but that one", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			old := renamed(s, "lib.py", library, "core.py")
			s.Append("core.py", "\n\ndef d():\n    return 4\n")
			s.AgentCommit("Four")
			run := s.Run("main", "HEAD")
			s.Git("switch", "-q", "-c", "side", old)
			replace(s, "lib.py", "def b():\n    return 2\n", hooked)
			side := s.AgentCommit("Two")
			s.Git("switch", "-q", "work")
			s.Git("merge", "-q", "--no-ff", "-m", "Merge side"+scene.Trailer, "side")
			run.Changes.Commits = append(run.Changes.Commits, s.Rev("HEAD"))
			if !attack {
				run.Changes.Commits = append(run.Changes.Commits, side)
			}
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "change beside a rename", attack: "a branch that changes a file is merged into one that renames it", from: plain,
		do:     parallel("dave", "side"),
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "rename beside a change", attack: "the same the other way round", from: plain,
		do:     parallel("side", "dave"),
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "signed guard dropped", attack: "a commit takes two lines out of what a person signed, and adds none", from: plain,
		do: dropped(func(s *scene.Scene) { s.Append("util.py", guarded) },
			func(s *scene.Scene) { replace(s, "util.py", guard, "") }),
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "line moved round signed lines", attack: "a line that was there before moves past the check that a person put in front of it", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			onMain(s, "job.py", job)
			return dropped(func(s *scene.Scene) { replace(s, "job.py", "    shutil.rmtree", ask+"    shutil.rmtree") },
				func(s *scene.Scene) {
					s.Write("job.py", strings.Replace(job, "(args.path)\n", "(args.path)\n"+ask, 1))
				})(s, attack)
		},
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "detour through a binary", attack: "a file has no lines for one commit, in which a second check goes the way of a signed one", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			onMain(s, "a.py", checks)
			one := strings.Replace(checks, "    check(u)\n", "", 1)
			none := strings.ReplaceAll(checks, "    check(u)\n", "")
			s.Write("a.py", one)
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "a needs no check")
			for _, content := range []string{"\x00" + none, none} {
				s.Write("a.py", content)
				byDave(s, attack, "Tidy up")
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "signed file dropped", attack: "of two files that a person signed together, a commit removes the one that guards", from: plain,
		do: dropped(func(s *scene.Scene) {
			s.Write("deploy/deny.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: deny\n")
			s.Write("deploy/admin.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: admin\n")
		}, func(s *scene.Scene) { s.Remove("deploy/deny.yaml") }),
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "unattributed"},
	},
	{
		name: "signed change reverted in part", attack: "a commit sets one of the lines back that a person changed, to what it was", from: plain,
		do: dropped(func(s *scene.Scene) { replace(s, "deploy/prod.yaml", "2\n", "3\n  hostNetwork: false\n") },
			func(s *scene.Scene) { replace(s, "deploy/prod.yaml", "  hostNetwork: false\n", "") }),
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "unattributed"},
	},
	{
		name: "attested guard dropped", attack: "a commit outside of the run takes two lines out of what the run made; the twin's run made it too", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("util.py", guarded)
			s.AgentCommit("Admins may read it")
			run := s.Run("main", "HEAD")
			replace(s, "util.py", guard, "")
			last := s.AgentCommit("Tidy up")
			if !attack {
				run.Changes.Commits = append(run.Changes.Commits, last)
			}
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "bot's line dropped", attack: "a commit under the bot's name, without its key, keeps some of its lines", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("go.mod", excuse+exclude)
			s.SignedCommit(scene.Who(scene.Renovate), scene.Renovate, "Update old")
			replace(s, "go.mod", exclude, "")
			id := s.CommitAs(scene.Who(scene.Renovate), "Tidy up")
			if !attack {
				s.Resign(id, scene.Renovate)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"dependency-added", "unattributed"},
	},
	{
		name: "signed in another repository", attack: "what a person signed for a repository of their own is merged here by somebody else", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			other := s.Restage(s.TB, scene.Options{NoRoot: true})
			other.Git("switch", "-q", "--orphan", "poc")
			other.Write("poc/exploit.py", "import os; os.system(\"id\")\n")
			id := other.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Show that it can be done")
			s.Git("fetch", "-q", other.Repo, id)
			s.GitAs(scene.Who(scene.Dave), "merge", "-q", "--allow-unrelated-histories", "-m", "Merge poc", id)
			if !attack {
				s.Resign("HEAD", scene.Dave)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "old file over a newer fix", attack: "a file that a run wrote is laid over one that main has mended meanwhile", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			was := s.Read("server.py")
			s.Git("switch", "-q", "main")
			replace(s, "server.py", "import os\n", "import os\n\nos.umask(0o077)\n")
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Keep files private")
			s.Git("switch", "-q", "-C", "work", "main")
			s.Write("server.py", was)
			byDave(s, attack, "Say which version this is")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "old content brought back", attack: "a file is set back, without a run, to what an earlier run made and a person has mended since", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			was := s.Read("server.py")
			s.Git("switch", "-q", "main")
			s.Git("merge", "-q", "--ff-only", "work")
			replace(s, "server.py", "1.1", "1.2")
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Mend the version")
			s.Git("switch", "-q", "-C", "work", "main")
			s.Write("server.py", was)
			byDave(s, attack, "Back")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "old lines brought back", attack: "what a run added and a person has taken out since is added again without a run", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			was := s.Read("server.py")
			s.Git("switch", "-q", "main")
			s.Git("merge", "-q", "--ff-only", "work")
			replace(s, "server.py", feature, "")
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Do not say which version this is")
			s.Git("switch", "-q", "-C", "work", "main")
			s.Write("server.py", was)
			byDave(s, attack, "Back")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "old file brought back", attack: "a file that a run added and a person has removed since is added again without a run", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Write("run.py", guarded)
			s.AgentCommit("Admins may read it")
			s.AttestRun("main", "HEAD")
			s.Git("switch", "-q", "main")
			s.Git("merge", "-q", "--ff-only", "work")
			s.Remove("run.py")
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "They may not")
			s.Git("switch", "-q", "-C", "work", "main")
			s.Write("run.py", guarded)
			byDave(s, attack, "Back")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: nobody,
	},
	{
		name: "both operators of one commit approve", attack: "two runs claim one commit, and each one's operator approves as if the other's alone counted", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			twoOperators(s)
			s.Append("deploy/prod.yaml", manifest)
			s.AgentCommit("Wait before a pod is ready")
			for _, operator := range []string{"alice", "bob"} {
				run := s.Run("main", "HEAD")
				run.Operator = operator
				s.Attest(run, scene.Supervisor)
			}
			s.Approve(either(attack, scene.Alice, scene.Carol))
			s.Approve(either(attack, scene.Bob, scene.Dave))
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "operator of a failed run approves", attack: "a run's evidence does not count, and its operator approves as if there had been none", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("deploy/prod.yaml", manifest)
			s.CommitAs(scene.Ident{Name: "Somebody", Email: "somebody@elsewhere.example"}, "Wait before a pod is ready")
			run := s.Run("main", "HEAD")
			run.Conclusion = predicate.ConclusionFailure
			s.Attest(run, scene.Supervisor)
			s.Approve(either(attack, scene.Alice, scene.Carol))
			s.Approve(scene.Bob)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "unattributed"},
	},
	{
		name: "attested hunk dropped as a whole", attack: "of two files that a run changed, a commit outside of it sets the one that guards back", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			was := s.Read("util.py")
			addFeature(s)
			s.Append("util.py", guarded)
			s.AgentCommit("Admins may read it")
			run := s.Run("main", "HEAD")
			s.Write("util.py", was)
			last := s.AgentCommit("Tidy up")
			if !attack {
				run.Changes.Commits = append(run.Changes.Commits, last)
			}
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"attestation-missing"},
	},
}

// byDave commits everything in Dave's name; he signed it unless it is an attack.
func byDave(s *scene.Scene, attack bool, message string) {
	s.TB.Helper()
	id := s.CommitAs(scene.Who(scene.Dave), message)
	if !attack {
		s.Resign(id, scene.Dave)
	}
}

// dropped plays a change that Dave signs, and one on top that he signed unless it is an attack.
func dropped(change, undo func(s *scene.Scene)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		change(s)
		s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Change it")
		undo(s)
		byDave(s, attack, "Tidy up")
		return s.Check()
	}
}

// parallel plays a branch that renames a file and one that changes it, and merges the second of
// the two into the first.
func parallel(into, from string) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		s.Git("switch", "-q", "-c", "dave", "main")
		s.Git("mv", "server.py", "service.py")
		s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Call it a service")
		s.Git("switch", "-q", "-c", "side", "main")
		s.Append("server.py", feature)
		byDave(s, attack, "Say which version this is")
		mergeSigned(s, into, from)
		return s.Check()
	}
}

// onMain lets Dave land a file on main, and starts work there again.
func onMain(s *scene.Scene, path, content string) (commit string) {
	s.TB.Helper()
	s.Git("switch", "-q", "main")
	s.Write(path, content)
	commit = s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Add "+path)
	s.Git("switch", "-q", "-C", "work", "main")
	return commit
}

// renamed lets a file land on main and then be renamed there. It returns the commit between.
func renamed(s *scene.Scene, path, content, now string) (before string) {
	s.TB.Helper()
	before = onMain(s, path, content)
	s.Git("switch", "-q", "main")
	s.Git("mv", path, now)
	s.SignedCommit(scene.Who(scene.Dave), scene.Dave, path+" is "+now+" now")
	s.Git("switch", "-q", "-C", "work", "main")
	return before
}

// mergeSide makes a change on a branch from an earlier commit, in Dave's name, and has him merge
// it into work.
func mergeSide(s *scene.Scene, from string, attack bool, change func()) {
	s.TB.Helper()
	s.Git("switch", "-q", "-c", "side", from)
	change()
	byDave(s, attack, "Change it")
	mergeSigned(s, "work", "side")
}

// mergeSigned has Dave merge one branch into another, and sign that.
func mergeSigned(s *scene.Scene, into, from string) {
	s.TB.Helper()
	s.Git("switch", "-q", into)
	s.GitAs(scene.Who(scene.Dave), "merge", "-q", "--no-ff", "-m", "Merge "+from, from)
	s.Resign("HEAD", scene.Dave)
}

// replace replaces the first occurrence of a text that the file has to hold.
func replace(s *scene.Scene, path, old, text string) {
	s.TB.Helper()
	was := s.Read(path)
	if !strings.Contains(was, old) {
		s.TB.Fatalf("%s does not hold %q", path, old)
	}
	s.Write(path, strings.Replace(was, old, text, 1))
}

// twoOperators lets Bob operate the agent too, and pins the rules that say so.
func twoOperators(s *scene.Scene) {
	s.TB.Helper()
	s.Git("switch", "-q", "main")
	replace(s, rosterFile, "operators: [alice]", "operators: [alice, bob]")
	s.Pin = s.RootInit()
	s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Bob may operate it too")
	s.Git("switch", "-q", "-C", "work", "main")
}
