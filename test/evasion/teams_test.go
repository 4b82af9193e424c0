package evasion

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// Dave owns the payments, whatever they are called.
const owners = "/billing/ dave@example.com\n/caf\u00e9/ dave@example.com\n"

var unasked = []string{"owner-approval-missing"}

// teams are attacks on who must be asked, and on what must be said.
var teams = []row{
	{
		name: "owned path in another case", attack: "a file system that folds case takes the name for one that somebody owns", from: plain,
		do:     owned("Billing/Pay.py", "docs/pay.txt"),
		status: sallyport.ExitWaiting, codes: unasked,
	},
	{
		name: "owned path with a dot at the end", attack: "a file system that drops dots takes the name for one that somebody owns", from: plain,
		do:     owned("billing./pay.py", "docs/pay.txt"),
		status: sallyport.ExitWaiting, codes: unasked,
	},
	{
		name: "owned path in another Unicode form", attack: "a file system that composes letters takes the name for one that somebody owns", from: plain,
		do:     owned("cafe\u0301/menu.py", "docs/menu.txt"),
		status: sallyport.ExitWaiting, codes: unasked,
	},
	{
		name: "link onto an owned folder", attack: "a link takes the place of a folder that somebody owns", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = withFiles(s, "version: 1\n", "version: 1\n", "codeowners: required\n", map[string]string{"CODEOWNERS": owners})
			if err := os.Symlink("util.py", filepath.Join(s.Repo, either(attack, "billing", "memo"))); err != nil {
				s.TB.Fatal(err)
			}
			s.AgentCommit("Link")
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: unasked,
	},
	{
		name: "owned file moved away", attack: "the agent moves a file out of the folder that somebody owns", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = withFiles(s, "version: 1\n", "version: 1\n", "codeowners: required\n", map[string]string{
				"CODEOWNERS": owners, "billing/pay.py": "fee = 3\n", "tools/pay.py": "fee = 4\n",
			})
			s.Git("mv", either(attack, "billing/pay.py", "tools/pay.py"), "pay.py")
			s.AgentCommit("Move")
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: unasked,
	},
	{
		name: "owners changed in the same branch", attack: "a branch gives what Dave owns to Bob, who approves it with Carol", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = withFiles(s, "version: 1\n", "version: 1\n", "codeowners: required\n", map[string]string{"CODEOWNERS": owners})
			s.Write("CODEOWNERS", strings.ReplaceAll(owners, "dave", "bob"))
			s.Write("billing/pay.py", "fee = 3\n")
			s.AgentCommit("Pay")
			s.AttestRun("main", "HEAD")
			s.Approve(either(attack, scene.Bob, scene.Dave))
			s.Approve(scene.Carol)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: unasked,
	},
	{
		name: "owner who wrote it", attack: "the only owner approves a change that names him as an author", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = withFiles(s, "version: 1\n", "version: 1\n", "codeowners: required\n", map[string]string{"CODEOWNERS": owners})
			s.Write("billing/pay.py", "fee = 3\n")
			s.Commit("Pay\n\nCo-authored-by: " + either(attack, "Dave Example <dave@example.com>", "Erin Example <erin@example.com>") + strings.TrimPrefix(scene.Trailer, "\n"))
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Dave)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: unasked,
	},
	{
		name: "two e-mails of one person", attack: "one person approves with two keys, one for each of two addresses, where two persons are needed", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = rostered(s, "emails: [bob@example.com]\n    roles: [reviewer, root]\n    keys:\n",
				"emails: [bob@example.com, robert@work.example]\n    roles: [reviewer, root]\n    keys:\n      - key: "+s.PublicKey(scene.Mallory)+"\n        enrolled_by: carol\n", "")
			s.Append("deploy/prod.yaml", manifest)
			s.AgentCommit("Wait before a pod is ready")
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Bob)
			s.Approve(either(attack, scene.Mallory, scene.Carol))
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "second e-mail of an author", attack: "who wrote a part under a second address approves it", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = rostered(s, "emails: [bob@example.com]", "emails: [bob@example.com, robert@work.example]", "")
			s.Append("deploy/prod.yaml", manifest)
			s.Commit("Wait\n\nCo-authored-by: R. <" + either(attack, "robert@work.example", "rita@work.example") + ">" + strings.TrimPrefix(scene.Trailer, "\n"))
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "threshold by another spelling", attack: "where three must approve, a path is spelt so that two would do", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = rostered(s, "version: 1\n", "version: 1\n", "approvals:\n  - {paths: [\"billing/**\"], required: 3}\n")
			s.Write(either(attack, "BILLING/pay.py", "docs/pay.txt"), "fee = 3\n")
			s.AgentCommit("Pay")
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-threshold"},
	},
	{
		name: "approver without the role", attack: "where the role root must approve, somebody without it does", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = rostered(s, "version: 1\n", "version: 1\n", "approvals:\n  - {paths: [server.py], required: 2, roles: [root]}\n")
			addFeature(s)
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Bob)
			s.Approve(either(attack, scene.Dave, scene.Carol))
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-threshold"},
	},
	{
		name: "disclosure stripped", attack: "an agent's commits do not say so, where they have to", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = rostered(s, "version: 1\n", "version: 1\n", "disclosure: required\n")
			s.Append("server.py", feature)
			s.Commit("Say which version this is" + either(attack, "", scene.Trailer))
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"disclosure-missing"},
	},
	{
		name: "protected path with a dot at the end", attack: "a file system that drops dots takes the name for a protected one", from: attested,
		do:     attest(".github./workflows./release.yml", "on: push\n", ""),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "protected path with an invisible letter", attack: "a file system that ignores some characters takes the name for a protected one", from: attested,
		do:     attest(".git\u200chub/workflows/release.yml", "on: push\n", ""),
		status: sallyport.ExitShut, codes: []string{"approval-missing", "hidden-unicode"},
	},
	{
		name: "submodule bump", attack: "a submodule that main holds moves to another commit", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("switch", "-q", "main")
			s.Write(".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = https://example.com/lib.git\n")
			s.Git("add", "-A")
			s.Git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",lib")
			s.Git("commit", "-q", "-m", "Use lib")
			s.Git("switch", "-q", "-C", "work")
			if attack {
				s.Git("update-index", "--cacheinfo", "160000,"+strings.Repeat("2", 40)+",lib")
			} else {
				s.Append("server.py", feature)
				s.Git("add", "server.py")
			}
			s.Git("commit", "-q", "-m", "Use a newer lib"+scene.Trailer)
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"unscanned"},
	},
	{
		name: "approval after the base moved away", attack: "main is set back past what the reviewers saw as its tip", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			before := s.Rev("main")
			moveMain(s)
			s.Git("switch", "-q", "-C", "work", "main")
			s.Append("deploy/prod.yaml", manifest)
			s.AgentCommit("Wait before a pod is ready")
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			if attack {
				s.Git("branch", "-f", "main", before)
			} else {
				s.Git("switch", "-q", "main")
				s.Write("MORE.md", "Written on main later.\n")
				s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Take more notes")
				s.Git("switch", "-q", "work")
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "back-dated commit", attack: "a commit under a key that no longer counts is dated to when it did", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			key := "      - key: " + s.PublicKey(scene.Dave) + "\n        enrolled_by: bob\n"
			s = rostered(s, key, key+"        not_after: "+either(attack, "2020-12-31", "2099-12-31")+"\n", "")
			s.Append("server.py", feature)
			s.Git("add", "-A")
			s.GitAs(scene.Who(scene.Dave), "commit", "-q", "--date=2020-06-01T12:00:00Z", "-m", "Say which version this is")
			s.Resign(s.Rev("HEAD"), scene.Dave)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
}

// owned plays an attested change of a file, in a repository in which Dave owns the payments.
func owned(path, twin string) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		s = withFiles(s, "version: 1\n", "version: 1\n", "codeowners: required\n", map[string]string{"CODEOWNERS": owners})
		s.Write(either(attack, path, twin), "fee = 3\n")
		s.AgentCommit("Pay")
		s.AttestRun("main", "HEAD")
		return s.Check()
	}
}
