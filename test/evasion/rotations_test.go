package evasion

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// rotations are attacks on the next version of the root, and on what a version has put out.
var rotations = []row{
	{
		name: "root signed twice by one person", attack: "one of two root persons signs with both of his keys", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			// Mallory's key is Bob's second one here, and Carol saw it.
			s = s.Restage(s.TB, scene.Options{Files: map[string]string{rosterFile: strings.Replace(s.Read(rosterFile),
				"      - key: "+s.PublicKey(scene.Bob)+"\n", "      - key: "+s.PublicKey(scene.Mallory)+"\n        enrolled_by: carol\n      - key: "+s.PublicKey(scene.Bob)+"\n", 1)}})
			s.Git("switch", "-q", "-c", "work")
			demoteDave(s)
			rotate(s, "--threshold", "1")
			second := scene.Carol
			if attack {
				second = scene.Mallory
			}
			signRoot(s, scene.Bob, second)
			s.AgentCommit("The next root")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "root signed by one", attack: "a next version lands on one of two signatures", from: plain,
		do:     nextRoot(func(s *scene.Scene, attack bool) { signRoot(s, some(attack, scene.Bob)...) }),
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "root signed by its own new key", attack: "a branch makes the attacker a root, and the attacker signs as one", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Write(rosterFile, strings.Replace(s.Read(rosterFile), "agents:\n", "  - id: mallory\n    name: Mallory\n    emails: [mallory@example.com]\n    roles: [reviewer, root]\n    keys:\n      - key: "+s.PublicKey(scene.Mallory)+"\n        enrolled_by: bob\nagents:\n", 1))
			rotate(s)
			if attack {
				signRoot(s, scene.Bob, scene.Mallory)
			} else {
				signRoot(s, scene.Bob, scene.Carol)
			}
			s.AgentCommit("The next root")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "root signed without a touch", attack: "software signs with a root person's security key", from: plain,
		do: nextRoot(func(s *scene.Scene, attack bool) {
			signRoot(s, scene.Bob)
			if attack {
				forgeRootSignature(s, scene.CarolUntouched, policy.RootNamespace, nil)
			} else {
				forgeRootSignature(s, scene.Carol, policy.RootNamespace, nil)
			}
		}),
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "root changed after it was signed", attack: "one byte of a signed root is another one", from: plain,
		do: nextRoot(func(s *scene.Scene, attack bool) {
			signRoot(s, scene.Bob, scene.Carol)
			if attack {
				s.Append(rootFile, "\n")
			}
		}),
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "version of the root skipped", attack: "a signed root counts two further", from: plain,
		do: nextRoot(func(s *scene.Scene, attack bool) {
			s.Write(rootFile, strings.Replace(s.Read(rootFile), `"version": 2`, `"version": `+either(attack, "3", "2"), 1))
			forgeRootSignature(s, scene.Bob, policy.RootNamespace, nil)
			forgeRootSignature(s, scene.Carol, policy.RootNamespace, nil)
		}),
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "root of another repository", attack: "root persons signed it for a fork", from: plain,
		do: nextRoot(func(s *scene.Scene, attack bool) {
			s.Write(rootFile, strings.Replace(s.Read(rootFile), `"repository": "`+scene.Repository+`"`, `"repository": "`+scene.Repository+either(attack, "-fork", "")+`"`, 1))
			forgeRootSignature(s, scene.Bob, policy.RootNamespace, nil)
			forgeRootSignature(s, scene.Carol, policy.RootNamespace, nil)
		}),
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "signature meant for a commit", attack: "what a root person signed as a commit is shown as a signature of the root", from: plain,
		do: nextRoot(func(s *scene.Scene, attack bool) {
			signRoot(s, scene.Bob)
			forgeRootSignature(s, scene.Carol, either(attack, "git", policy.RootNamespace), nil)
		}),
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "stowaway beside a signed root", attack: "a file that nobody signed travels among the signatures", from: plain,
		do: nextRoot(func(s *scene.Scene, attack bool) {
			signRoot(s, scene.Bob, scene.Carol)
			if attack {
				s.Write(policy.SignaturesDir+"rules.rego", quiet)
			}
		}),
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "code beside a signed root", attack: "a branch with a signed root changes a deploy manifest as well", from: plain,
		do: nextRoot(func(s *scene.Scene, attack bool) {
			signRoot(s, scene.Bob, scene.Carol)
			if attack {
				s.Append("deploy/prod.yaml", manifest)
			}
		}),
		status: sallyport.ExitShut, codes: []string{"approval-missing", "attestation-missing"},
	},
	{
		name: "root that nobody could be judged under", attack: "root persons signed a configuration that cannot be read", from: plain,
		do: nextRoot(func(s *scene.Scene, attack bool) {
			if attack {
				s.Append(configFile, "modes: observe\n")
				relist(s)
			}
			forgeRootSignature(s, scene.Bob, policy.RootNamespace, nil)
			forgeRootSignature(s, scene.Carol, policy.RootNamespace, nil)
		}),
		status: sallyport.ExitShut, codes: unsignedRoot,
	},
	{
		name: "root rolled back", attack: "somebody put the first version back past the gate, to which the pin still leads", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			first := s.Rev("main")
			landRoot(s, demoteDave, scene.Bob, scene.Carol)
			if attack {
				s.Git("checkout", "-q", first, "--", ".sallyport")
				s.Commit("As it was")
			}
			return onWork(s)
		},
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "root rolled back by a merge the wrong way round", attack: "a merge with main as its second parent lands by fast-forward, and holds the first version", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			first := s.Rev("main")
			landRoot(s, demoteDave, scene.Bob, scene.Carol)
			s.Git("reset", "-q", "--hard", s.Git("commit-tree", "-p", first, "-p", "main", "-m", "Merge main", either(attack, first, "main")+"^{tree}"))
			return onWork(s)
		},
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "signature of the root overwritten", attack: "an agent's change writes junk over a signature of the version in force", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			landRoot(s, demoteDave, scene.Bob, scene.Carol)
			s.Git("switch", "-q", "-C", "work", "main")
			addFeature(s)
			if attack {
				s.Write(policy.SignaturePath(2, s.SSHSigner(scene.Bob).Fingerprint()), "junk\n")
				s.AgentCommit("Tidy up")
			}
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"approval-missing", "policy-changed"},
	},
	{
		name: "signature of the root behind junk", attack: "junk that landed past the gate stands where a signature stood, and the first version is put back", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			first := s.Rev("main")
			landRoot(s, demoteDave, scene.Bob, scene.Carol)
			for i := range 20 {
				s.Write(policy.SignaturePath(2, s.SSHSigner(scene.Bob).Fingerprint()), fmt.Sprintf("junk %d\n", i))
				s.Commit("Tidy up")
			}
			if attack {
				s.Git("checkout", "-q", first, "--", ".sallyport")
				s.Commit("As it was")
			}
			return onWork(s)
		},
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "a given-up version in the history of a change", attack: "a merge that changes nothing brings in another version that root persons had signed, so that nothing could be decided any more", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("switch", "-q", "-c", "aside", "main")
			s.Write(rosterFile, strings.Replace(s.Read(rosterFile), "    name: Erin Example\n", "    name: Erin\n", 1))
			rotate(s, "--target", "aside")
			if attack {
				signRoot(s, scene.Bob, scene.Carol)
			} else {
				signRoot(s, scene.Bob)
			}
			s.Commit("Another")
			s.Git("rm", "-rq", ".sallyport")
			s.Git("checkout", "-q", "main", "--", ".sallyport")
			s.Commit("Not this one")
			landRoot(s, demoteDave, scene.Bob, scene.Carol)
			s.Git("switch", "-q", "-C", "work", "main")
			addFeature(s)
			s.Git("merge", "-q", "--no-ff", "-m", "Merge aside", "aside")
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"policy-changed"},
	},
	{
		name: "two next versions", attack: "a second version that root persons signed landed past the gate", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			first := s.Rev("main")
			landRoot(s, demoteDave, scene.Bob, scene.Carol)
			if attack {
				s.Git("switch", "-q", "-c", "aside", first)
				s.Write(rosterFile, strings.Replace(s.Read(rosterFile), "    name: Erin Example\n", "    name: Erin\n", 1))
				rotate(s, "--target", "aside")
				signRoot(s, scene.Bob, scene.Carol)
				s.Git("add", "-A")
				tree := s.Git("write-tree")
				s.Git("reset", "-q", "--hard")
				s.Git("switch", "-q", "main")
				s.Git("reset", "-q", "--hard", s.Git("commit-tree", "-p", "main", "-m", "Another", tree))
			}
			return onWork(s)
		},
		status: sallyport.ExitUndecided, says: "two next versions of the root are signed",
	},
	{
		name: "keys of a root that landed unsigned", attack: "an agent's merged change made the attacker a root, and the attacker signs what follows", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("switch", "-q", "main")
			if attack {
				s.Write(rosterFile, strings.Replace(s.Read(rosterFile), s.PublicKey(scene.Bob), s.PublicKey(scene.Mallory), 1))
				rotate(s)
				signRootAs(s, scene.Mallory)
				s.AgentCommit("Tidy up the roster")
			}
			s.Git("switch", "-q", "-c", "next")
			demoteDave(s)
			rotate(s)
			if attack {
				forgeRootSignature(s, scene.Mallory, policy.RootNamespace, nil)
				forgeRootSignature(s, scene.Carol, policy.RootNamespace, nil)
			} else {
				signRoot(s, scene.Bob, scene.Carol)
			}
			s.AgentCommit("The next root")
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"approval-missing", "attestation-missing", "policy-changed", "root-changed"},
	},
	{
		name: "approver whose key an agent's merged change brought in", attack: "the attacker's key landed in the roster past the gate, and approves", from: half,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			bob := s.KeptOf(predicate.ApprovalType)[0]
			if !attack {
				s.Approve(scene.Carol)
				return s.Check()
			}
			s.Git("switch", "-q", "main")
			s.Write(rosterFile, strings.Replace(s.Read(rosterFile), "agents:\n", "  - id: mallory\n    name: Mallory\n    emails: [mallory@example.com]\n    roles: [reviewer]\n    keys:\n      - key: "+s.PublicKey(scene.Mallory)+"\n        enrolled_by: bob\nagents:\n", 1))
			s.RootInit()
			s.AgentCommit("Tidy up the roster")
			s.Git("switch", "-q", "work")
			s.Keep(s.Forge(bob, scene.Mallory, func(p *predicate.Approval) { p.Reviewer = "mallory" }))
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"approval-missing", "root-changed"},
	},
	{
		name: "approver removed from the roster", attack: "a reviewer approves whom the next version has put out", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			edit := demoteDave
			if !attack {
				edit = func(s *scene.Scene) {
					s.Write(rosterFile, strings.Replace(s.Read(rosterFile), "    name: Erin Example\n", "    name: Erin\n", 1))
				}
			}
			landRoot(s, edit, scene.Bob, scene.Carol)
			s.Git("switch", "-q", "-C", "work", "main")
			addFeature(s)
			s.Append("deploy/prod.yaml", manifest)
			s.AgentCommit("Wait before a pod is ready")
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Bob)
			s.Approve(scene.Dave)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing"},
	},
	{
		name: "a weaker target branch", attack: "the change goes to a branch that still holds the version before", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("branch", "-q", "release", "main")
			landRoot(s, demoteDave, scene.Bob, scene.Carol)
			if !attack {
				s.Git("branch", "-q", "-f", "release", "main")
			}
			for _, branch := range []string{"main", "release"} {
				s.Git("update-ref", "refs/remotes/origin/"+branch, branch)
			}
			s.Git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
			s.Git("switch", "-q", "-C", "work", "release")
			addFeature(s)
			s.AttestRun("release", "HEAD")
			return s.Check("--target", "release")
		},
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "a weaker target branch in a bare clone", attack: "the change goes to a branch that still holds the version before, and a job without a work tree judges it", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			bare := bareRelease(s, attack)
			s.Git("-C", bare, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
			s.Repo = bare
			return s.Check("--target", "release", "--head", "refs/sallyport/head")
		},
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "default branch hidden by a ref", attack: "a ref that anybody can push names an old commit as the default branch of a server", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			bare := bareRelease(s, attack)
			s.Git("-C", bare, "update-ref", "refs/heads/main", "refs/remotes/origin/main")
			s.Git("-C", bare, "symbolic-ref", "HEAD", "refs/heads/main")
			s.Git("-C", bare, "update-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main~1")
			s.Repo = bare
			return s.Check("--target", "release", "--head", "refs/sallyport/head")
		},
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "first configuration replaced", attack: "history is rewritten so that it begins with the attacker's own rules", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("switch", "-q", "--orphan", "fresh")
			s.Git("checkout", "-q", "main", "--", ".")
			if attack {
				s.Write(configFile, observing)
				s.RootInit()
			}
			s.Commit("A small service")
			s.Git("branch", "-q", "-f", "main", "fresh")
			s.Git("switch", "-q", "main")
			return onWork(s)
		},
		status: sallyport.ExitUndecided, says: "the pinned root is nowhere to be found",
	},
	{
		name: "team of one that the root does not name", attack: "one person approves what their own agent made, and no root says that there is nobody else", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = s.Restage(s.TB, scene.Options{Files: map[string]string{rosterFile: "version: 1\nsimulated_keys: true\npersons:\n  - id: alice\n    name: Alice Example\n    emails: [alice@example.com]\n" +
				"    roles: [reviewer, root, operator]\n    keys:\n      - key: " + s.PublicKey(scene.Alice) + "\nagents:\n  - name: claude-code\n    operators: [alice]\n"}})
			args := []string{"root", "init", "--repo", s.Repo}
			if !attack {
				args = append(args, "--solo", "alice")
			}
			s.Must(args...)
			s.Commit("Who we are")
			s.Pin = sallyport.SHA256([]byte(s.Read(rootFile)))
			s.Git("switch", "-q", "-c", "work")
			s.Append("deploy/prod.yaml", manifest)
			s.AgentCommit("Wait before a pod is ready")
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Alice)
			v := s.Check()
			if (v.Decision.Solo == "alice") == attack || strings.Contains(v.Stdout, "solo: the root names alice as the whole team") == attack {
				s.TB.Errorf("the decision does not carry who decides alone, or carries it without need: %v", v.Result)
			}
			return v
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing"},
	},
}

// bareRelease is a clone without a work tree, in which main has been brought to the next version of
// the root and, in the attack, the branch release has not. An attested feature on top of release
// is its refs/sallyport/head.
func bareRelease(s *scene.Scene, attack bool) string {
	s.TB.Helper()
	s.Git("branch", "-q", "release", "main")
	landRoot(s, demoteDave, scene.Bob, scene.Carol)
	if !attack {
		s.Git("branch", "-q", "-f", "release", "main")
	}
	s.Git("switch", "-q", "-C", "work", "release")
	addFeature(s)
	s.AttestRun("release", "HEAD")
	s.Must("evidence", "publish", "--repo", s.Repo)
	bare := filepath.Join(s.Dir, "bare.git")
	s.Git("init", "-q", "--bare", bare)
	s.Git("-C", bare, "fetch", "-q", s.Repo, "+refs/heads/main:refs/remotes/origin/main", "+refs/heads/release:refs/remotes/origin/release",
		"+refs/heads/work:refs/sallyport/head", "+refs/sallyport/evidence:refs/sallyport/evidence")
	return bare
}

// unsignedRoot is what becomes of an agent's change to governed files that is no next version.
var unsignedRoot = []string{"approval-missing", "attestation-missing", "policy-changed"}

// demoteDave takes the role of a reviewer from Dave.
func demoteDave(s *scene.Scene) {
	s.TB.Helper()
	before, after, ok := strings.Cut(s.Read(rosterFile), "  - id: dave\n")
	if !ok {
		s.TB.Fatal("there is no Dave in the roster")
	}
	s.Write(rosterFile, before+"  - id: dave\n"+strings.Replace(after, "roles: [reviewer]", "roles: [auditor]", 1))
}

// rotate makes the next version of the root over the work tree.
func rotate(s *scene.Scene, args ...string) {
	s.TB.Helper()
	s.Must(append([]string{"root", "rotate", "--repo", s.Repo, "--target", "main", "--root", string(s.Pin)}, args...)...)
}

// signRoot has persons sign the root of the work tree, as docs/root.md says.
func signRoot(s *scene.Scene, keys ...scene.Key) {
	s.TB.Helper()
	for _, k := range keys {
		target := s.Git("symbolic-ref", "--short", "HEAD")
		if target != "aside" {
			target = "main"
		}
		s.Must("root", "sign", "--yes", "--repo", s.Repo, "--target", target, "--root", string(s.Pin), "--key", s.KeyRef(k))
	}
}

// signRootAs signs whatever root is in the work tree.
func signRootAs(s *scene.Scene, k scene.Key) {
	s.TB.Helper()
	forgeRootSignature(s, k, policy.RootNamespace, nil)
}

// forgeRootSignature writes a signature over the root of the work tree, or over another message,
// that the program itself would not make.
func forgeRootSignature(s *scene.Scene, k scene.Key, namespace string, message []byte) {
	s.TB.Helper()
	raw := []byte(s.Read(rootFile))
	var root policy.Root
	if err := json.Unmarshal(raw, &root); err != nil {
		s.TB.Fatal(err)
	}
	if message == nil {
		message = raw
	}
	signer := s.SSHSigner(k)
	sig, err := signer.Sign(context.Background(), namespace, message)
	if err != nil {
		s.TB.Fatal(err)
	}
	if !strings.HasPrefix(string(sig), "-----BEGIN") {
		sig = sshsig.Armor(sig)
	}
	s.Write(policy.SignaturePath(root.Version, signer.Fingerprint()), string(sig))
}

// relist brings the digests of a root.json up to date with the files, as an editor would.
func relist(s *scene.Scene) {
	s.TB.Helper()
	root, err := policy.ParseRoot([]byte(s.Read(rootFile)))
	if err != nil {
		s.TB.Fatal(err)
	}
	for i, f := range root.Files {
		root.Files[i].SHA256 = sallyport.SHA256([]byte(s.Read(f.Path)))
	}
	b, err := sallyport.EncodeJSON(root)
	if err != nil {
		s.TB.Fatal(err)
	}
	s.Write(rootFile, string(b))
}

// nextRoot plays an agent's branch that brings the next version of the root.
func nextRoot(sign func(s *scene.Scene, attack bool)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		demoteDave(s)
		rotate(s)
		sign(s, attack)
		s.AgentCommit("The next root")
		return s.Check()
	}
}

// some is one key in the attack, and two in the twin.
func some(attack bool, k scene.Key) []scene.Key {
	if attack {
		return []scene.Key{k}
	}
	return []scene.Key{k, scene.Carol}
}

// landRoot lands a signed next version on main, and stays there.
func landRoot(s *scene.Scene, edit func(*scene.Scene), keys ...scene.Key) {
	s.TB.Helper()
	s.Git("switch", "-q", "main")
	edit(s)
	rotate(s)
	signRoot(s, keys...)
	s.Commit("The next root")
}

// onWork plays an attested feature on top of main.
func onWork(s *scene.Scene) scene.Verdict {
	s.TB.Helper()
	s.Git("switch", "-q", "-C", "work", "main")
	addFeature(s)
	s.AttestRun("main", "HEAD")
	return s.Check()
}
