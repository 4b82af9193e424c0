package evasion

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

const (
	configFile = ".sallyport/sallyport.yaml"
	rosterFile = ".sallyport/roster.yaml"
	rootFile   = ".sallyport/root.json"
)

// roots are attacks on the rules that judge: configuration, roster, trust and policy.
var roots = []row{
	{
		name: "policy changed in the same branch", attack: "an approved branch lowers what the gate asks for", from: asked,
		do: governed(func(s *scene.Scene) {
			s.Append(configFile, "data:\n  protected_classes: []\n  person_grades: [declared]\n")
		}),
		status: sallyport.ExitShut, codes: []string{"policy-changed"},
	},
	{
		name: "mode changed in the same branch", attack: "a branch sets the mode to observe, so that a refusal exits 0", from: asked,
		do:     governed(func(s *scene.Scene) { s.Write(configFile, observing) }),
		status: sallyport.ExitShut, codes: []string{"policy-changed"},
	},
	{
		name: "roster changed in the same branch", attack: "a branch makes a key of the attacker's a reviewer's", from: asked,
		do: governed(func(s *scene.Scene) {
			s.Write(rosterFile, strings.Replace(s.Read(rosterFile), "agents:\n", "  - id: mallory\n    name: Mallory\n    emails: [mallory@example.com]\n    roles: [reviewer]\n    keys:\n      - key: "+s.PublicKey(scene.Mallory)+"\n        enrolled_by: bob\nagents:\n", 1))
		}),
		status: sallyport.ExitShut, codes: []string{"policy-changed"},
	},
	{
		name: "reviewer from the branch's own roster", attack: "the reviewer whom a branch adds to the roster approves it", from: half,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			bob := s.KeptOf(predicate.ApprovalType)[0]
			if attack {
				s.Keep(s.Forge(bob, scene.Mallory, func(p *predicate.Approval) { p.Reviewer = "mallory" }))
				s.Write(rosterFile, strings.Replace(s.Read(rosterFile), s.PublicKey(scene.Rob), s.PublicKey(scene.Mallory)+"\n        enrolled_by: bob", 1))
				s.AgentCommit("Greet Mallory")
				s.AttestRun("main", "HEAD")
			} else {
				s.Approve(scene.Carol)
			}
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"approval-missing", "policy-changed", "residue"},
	},
	{
		name: "root renewed in the same branch", attack: "a branch changes the rules and lists them in a new root.json", from: asked,
		do: governed(func(s *scene.Scene) {
			s.Append(configFile, "data:\n  protected_classes: []\n")
			s.RootInit()
		}),
		status: sallyport.ExitShut, codes: []string{"policy-changed"},
	},
	{
		name: "rules removed in the same branch", attack: "a branch removes the folder that governs", from: asked,
		do: governed(func(s *scene.Scene) {
			if err := os.RemoveAll(filepath.Join(s.Repo, ".sallyport")); err != nil {
				s.TB.Fatal(err)
			}
		}),
		status: sallyport.ExitShut, codes: []string{"policy-changed"},
	},
	{
		name: "rules behind a symlink", attack: "a branch makes the governing folder a link to one that it can change", from: asked,
		do: governed(func(s *scene.Scene) {
			s.Git("mv", ".sallyport", "rules")
			if err := os.Symlink("rules", filepath.Join(s.Repo, ".sallyport")); err != nil {
				s.TB.Fatal(err)
			}
		}),
		status: sallyport.ExitShut, codes: []string{"policy-changed"},
	},
	{
		name: "policy set added in the same branch", attack: "a branch adds a file below the governing folder", from: asked,
		do:     governed(func(s *scene.Scene) { s.Write(".sallyport/own/rules.rego", quiet) }),
		status: sallyport.ExitShut, codes: []string{"policy-changed"},
	},
	{
		name: "owners changed", attack: "a branch changes who must be asked", from: attested,
		do:     attest(".github/CODEOWNERS", "* @mallory\n", ""),
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "policy-changed"},
	},
	{
		name: "rules in another case", attack: "a file system that folds case checks out the branch's roster over the real one", from: attested,
		do:     attest(".Sallyport/roster.yaml", "version: 1\n", ""),
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "policy-changed"},
	},
	{
		name: "roster landed while in observe mode", attack: "somebody pushed a roster of their own to the target past an observing gate", from: plain,
		do:     landed(func(s *scene.Scene) { s.Write(rosterFile, s.Read(rosterFile)+"# mine\n") }),
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "configuration landed while in observe mode", attack: "the same with the configuration", from: plain,
		do:     landed(func(s *scene.Scene) { s.Append(configFile, "data:\n  protected_classes: []\n") }),
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "rules softened while in observe mode", attack: "somebody gave every rule a mode that only observes, on the target", from: plain,
		do: landed(func(s *scene.Scene) {
			s.Append(configFile, "level: observe\nrules:\n  attestation-missing: {mode: observe}\n  secret: {effective_on: 2099-01-01}\n")
		}),
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "rules removed while in observe mode", attack: "somebody removed the rules from the target", from: plain,
		do: landed(func(s *scene.Scene) {
			if err := os.RemoveAll(filepath.Join(s.Repo, ".sallyport")); err != nil {
				s.TB.Fatal(err)
			}
		}),
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "broken rules landed while in observe mode", attack: "somebody broke the configuration at the target, so that none can be read", from: plain,
		do:     landed(func(s *scene.Scene) { s.Write(configFile, "version: 1\nmode: [\n") }),
		status: sallyport.ExitShut, codes: []string{"root-changed"},
	},
	{
		name: "roster without a pin", attack: "where nothing is pinned, a branch changes the roster and lands unseen", from: asked,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Pin = ""
			if attack {
				s.Append(rosterFile, "# mine\n")
			} else {
				s.Append("util.py", "# mine\n")
			}
			s.Git("checkout", "-q", "main", "--", "deploy/prod.yaml")
			s.AgentCommit("Tidy up")
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "policy-changed"},
	},
	{
		name: "root that has expired", attack: "rules that nobody was to rely on any longer go on to judge", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = s.Restage(s.TB, scene.Options{})
			s.Write(rootFile, strings.Replace(s.Read(rootFile), `"expires": ""`, `"expires": "`+either(attack, "2020", "9020")+`-01-01T00:00:00Z"`, 1))
			s.Commit("Until then")
			s.Pin = sallyport.SHA256([]byte(s.Read(rootFile)))
			s.Git("switch", "-q", "-c", "work")
			addFeature(s)
			s.AttestRun("main", "HEAD")
			for _, args := range [][]string{{"root", "verify"}, {"doctor"}} {
				r := s.Sallyport(append(args, "--repo", s.Repo, "--root", string(s.Pin))...)
				if said := strings.Contains(r.Stdout+r.Stderr, "the pinned root expired on 2020-01-01"); said != attack || (r.Status == 0) == attack {
					s.TB.Errorf("a root that has expired (%v): %v", attack, r)
				}
			}
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "the pinned root expired on 2020-01-01T00:00:00Z",
	},
	{
		name: "another root", attack: "the caller's environment names the root of rules that the attacker wrote", from: asked,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			pin := s.Pin
			if attack {
				s.Append(configFile, "data:\n  protected_classes: []\n")
				pin = s.RootInit()
				s.Git("checkout", "-q", ".")
			}
			return s.Check("--root", string(pin))
		},
		status: sallyport.ExitUndecided, says: "root",
	},
}

// governed plays a branch that changes what governs, or another file, and is attested and
// approved by two.
func governed(change func(s *scene.Scene)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		if attack {
			change(s)
		} else {
			s.Append("util.py", helper)
		}
		s.AgentCommit("Tidy up")
		s.AttestRun("main", "HEAD")
		s.Approve(scene.Bob)
		s.Approve(scene.Carol)
		return s.Check()
	}
}

// landed plays an observing repository at whose target something has landed, and then an
// attested change of another file.
func landed(change func(s *scene.Scene)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		s = s.Restage(s.TB, scene.Options{Files: map[string]string{configFile: observing}})
		if attack {
			change(s)
			s.Commit("Nobody looks")
		}
		s.Git("switch", "-q", "-c", "work")
		addFeature(s)
		s.AttestRun("main", "HEAD")
		return s.Check()
	}
}
