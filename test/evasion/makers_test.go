package evasion

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

const helper = "\n\ndef half(n):\n    return n // 2\n"

// Other ways to sign a commit message.
const (
	codex   = "\n\nCo-authored-by: Codex <noreply@openai.com>\n"
	daveToo = "\n\nCo-authored-by: Dave Example <dave@example.com>\n"
)

// makers are attacks on who made a change.
var makers = []row{
	{
		name: "unattested run", attack: "an agent commits, and nobody saw its run", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			if !attack {
				s.AttestRun("main", "HEAD")
			}
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"attestation-missing"},
	},
	{
		name: "stripped trailer", attack: "an agent leaves its trailer out of a commit that no supervisor saw", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("util.py", helper)
			if attack {
				s.Commit("Halve")
			} else {
				s.AgentCommit("Halve")
				s.AttestRun("HEAD~1", "HEAD")
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "author name changed", attack: "an agent commits under a person's name", from: attested,
		do:     dave(func(s *scene.Scene) { s.CommitAs(scene.Who(scene.Dave), "Halve") }),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "forged trailer: a person as co-author", attack: "an agent names a person as co-author instead of itself", from: attested,
		do:     dave(func(s *scene.Scene) { s.CommitAs(scene.Who(scene.Dave), "Halve"+daveToo) }),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "forged trailer: another, approved agent", attack: "Codex, which the roster does not approve, signs its work as Claude", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			run := s.Run("main", "HEAD")
			if attack {
				run.Agent.Name = "codex-cli"
			}
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"attestation-missing"},
	},
	{
		name: "an agent that nobody approved", attack: "the run of an agent outside the roster is attested, and its trailer stripped", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("server.py", feature)
			s.Commit("Say which version this is")
			run := s.Run("main", "HEAD")
			if attack {
				run.Agent.Name = "codex-cli"
			}
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"agent-not-approved"},
	},
	{
		name: "two agents in one commit", attack: "an approved agent's trailer stands beside that of one that is not", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("server.py", feature)
			message := "Say which version this is" + scene.Trailer
			if attack {
				message = "Say which version this is" + codex + "Co-Authored-By: Claude <noreply@anthropic.com>\n"
			}
			s.Commit(message)
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"agent-not-approved", "attestation-missing"},
	},
	{
		name: "operator's ordinary key", attack: "an agent signs its commit with the SSH key that it shares with its operator", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("util.py", helper)
			key := scene.Alice
			if attack {
				key = scene.AliceOrdinary
			}
			s.SignedCommit(scene.Who(scene.Alice), key, "Halve")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "untouched security key", attack: "software signs with a security key's name, and nobody touched anything", from: attested,
		do:     dave(func(s *scene.Scene) { s.SignedCommit(scene.Who(scene.Dave), scene.DaveUntouched, "Halve") }),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "unknown security key", attack: "a commit under a person's name is signed with a key of somebody else's", from: attested,
		do:     dave(func(s *scene.Scene) { s.SignedCommit(scene.Who(scene.Dave), scene.Mallory, "Halve") }),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "signed for another author", attack: "one person signs what is written in another's name", from: attested,
		do:     dave(func(s *scene.Scene) { s.SignedCommit(scene.Who(scene.Dave), scene.Bob, "Halve") }),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "signature of another commit", attack: "a person's signature is moved to a commit that they never saw", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("util.py", helper)
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Halve")
			if attack {
				s.Append("util.py", "# A line that Dave did not sign.\n")
				s.Git("add", "-A")
				moveSignature(s, "HEAD", s.Git("write-tree"))
			}
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"forged-identity", "unattributed"},
	},
	{
		name: "agent's trailer under a person's signature", attack: "an operator signs with a touched key what the agent wrote and says so", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("util.py", helper)
			message := "Halve"
			if attack {
				message += scene.Trailer
			}
			s.SignedCommit(scene.Who(scene.Alice), scene.Alice, message)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"attestation-missing"},
	},
	{
		name: "bot out of its scope", attack: "a bot that may change go.mod changes code", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("go.mod", "\nrequire example.com/lib v1.2.3\n")
			if attack {
				s.Append("util.py", helper)
			}
			s.SignedCommit(scene.Who(scene.Renovate), scene.Renovate, "Update lib")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "bot's name without its key", attack: "an agent commits under the bot's name and address", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("go.mod", "\nrequire example.com/lib v1.2.3\n")
			id := s.CommitAs(scene.Who(scene.Renovate), "Update lib")
			if !attack {
				s.Resign(id, scene.Renovate)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"dependency-added", "unattributed"},
	},
	{
		name: "bot beside an agent", attack: "a bot signs on top of an attested run, where it could take away what the run made and leave no line", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				addFeature(s)
				s.AttestRun("main", "HEAD")
			}
			s.Append("go.mod", "\nrequire example.com/lib v1.2.3\n")
			s.SignedCommit(scene.Who(scene.Renovate), scene.Renovate, "Update lib")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"dependency-added", "unattributed"},
	},
	{
		name: "package that looks like another", attack: "a bot is led to require a package whose name is read as a well-known one's", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			name := "golang.org/x/crypto"
			if attack {
				name = "g0lang.org/x/crypto"
			}
			s.Append("go.mod", "\nrequire "+name+" v0.41.0\n")
			s.SignedCommit(scene.Who(scene.Renovate), scene.Renovate, "Update crypto")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"dependency-look-alike"},
	},
	{
		name: "vulnerable package in other letters", attack: "a bot updates to a version with a known hole, and writes the module's name otherwise than the advisory", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			record := filepath.Join(s.Dir, "osv", "GO-2026-1.json")
			if err := errors.Join(os.MkdirAll(filepath.Dir(record), 0o755), os.WriteFile(record, []byte(`{"id":"GO-2026-1","modified":"2026-01-02T00:00:00Z","affected":[
				{"package":{"ecosystem":"Go","name":"example.com/holed"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.3.0"}]}]}]}`), 0o644)); err != nil {
				s.TB.Fatal(err)
			}
			s.Must("advisory", "import", filepath.Dir(record), "--repo", s.Repo)
			version := "v1.3.0"
			if attack {
				version = "v1.3.0-0.20260101000000-0123456789ab"
			}
			s.Append("go.mod", "\nrequire example.com/Holed "+version+"\n")
			s.SignedCommit(scene.Who(scene.Renovate), scene.Renovate, "Update holed")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"vulnerability"},
	},
	{
		name: "package that does not exist", attack: "a bot is led to require a package that a model made up, and that nobody has published yet", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			names := filepath.Join(s.Dir, "modules.txt")
			if err := os.WriteFile(names, []byte("example.com/lib\nexample.com/lib/v2 2024-02-01\n"), 0o644); err != nil {
				s.TB.Fatal(err)
			}
			s.Must("advisory", "names", "golang="+names, "--repo", s.Repo)
			s.Append("go.mod", "\nrequire example.com/lib"+either(attack, "-utils", "")+" v1.2.3\n")
			s.SignedCommit(scene.Who(scene.Renovate), scene.Renovate, "Require lib")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"package-unknown"},
	},
	{
		name: "file moved into a bot's scope", attack: "a bot renames a file from outside its scope into it", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Remove("go.mod")
				s.Git("mv", "deploy/run.sh", "go.mod")
			} else {
				s.Append("go.mod", "\nrequire example.com/lib v1.2.3\n")
			}
			s.SignedCommit(scene.Who(scene.Renovate), scene.Renovate, "Update lib")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"approval-missing", "unattributed", "unscanned"},
	},
	{
		name: "forged identity", attack: "an agent's name with an address that is not its own", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			who := scene.Ident{Name: "Claude", Email: "noreply@anthropic.com"}
			if attack {
				who.Email = "claude@users.noreply.github.com"
			}
			s.Append("server.py", feature)
			s.CommitAs(who, "Say which version this is")
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"forged-identity"},
	},
	{
		name: "operator whom the roster does not allow", attack: "a run names an operator who may not run this agent, so that the real one may approve", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("deploy/prod.yaml", manifest)
			s.CommitAs(scene.Who(scene.Erin), "Wait"+scene.Trailer)
			run := s.Run("main", "HEAD")
			if attack {
				run.Operator = "dave"
			}
			s.Attest(run, scene.Supervisor)
			s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"agent-not-approved"},
	},
	{
		name: "operator whom nobody knows", attack: "a run names an operator whom the roster does not know", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			run := s.Run("main", "HEAD")
			if attack {
				run.Operator = "mallory"
			}
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"attestation-missing"},
	},
}

// dave plays a line that Dave commits and signs, or the attack's way to commit it.
func dave(commit func(s *scene.Scene)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		s.Append("util.py", helper)
		if attack {
			commit(s)
		} else {
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Halve")
		}
		return s.Check()
	}
}
