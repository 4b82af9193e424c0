package evasion

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

var missing = []string{"attestation-missing"}

// runs are attacks on the evidence of an agent's run.
var runs = []row{
	{
		name: "run signed with a key of one's own", attack: "an agent attests its own run, with a key that no trust root names", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			s.Attest(s.Run("main", "HEAD"), either(attack, scene.Rogue, scene.Supervisor))
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "run signed by a reviewer's key", attack: "a key that may sign approvals signs run evidence", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			s.AttestRun("main", "HEAD")
			b := s.KeptOf(predicate.AgentRunType)[0]
			s.LoseEvidence()
			s.Keep(s.Sign(s.Statement(b), either(attack, scene.Alice, scene.Supervisor)))
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "run signed with a revoked key", attack: "a run is attested with a key after it was revoked and has expired", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			const trust = ".sallyport/trust.yaml"
			text := s.Read(trust)
			if attack {
				text = strings.Replace(text, "    grade: observed\n", "    grade: observed\n    not_after: 2026-01-31\n    revoked: {at: 2026-01-31T12:00:00Z, reason: superseded}\n", 1)
			}
			s = s.Restage(s.TB, scene.Options{Files: map[string]string{trust: text}})
			s.Git("switch", "-q", "-c", "work")
			addFeature(s)
			s.AttestRun("main", "HEAD")
			v := s.Check()
			if attack && (len(v.Decision.Dropped) != 1 || !strings.Contains(v.Decision.Dropped[0].Why, "revoked at 2026-01-31T12:00:00Z (superseded)")) {
				s.TB.Errorf("that the key was revoked is not told: %v", v.Decision.Dropped)
			}
			return v
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "run not sealed", attack: "the record of a run is cut short", from: plain,
		do:     runWith(func(r *predicate.AgentRun) { r.Sealed = false }),
		status: sallyport.ExitShut, codes: []string{"attestation-missing", "run-unsealed"},
	},
	{
		name: "killed run covered by another", attack: "the supervisor of a run is killed after a checkpoint, and a second run claims the commits", from: plain,
		do: besideRun(func(r *predicate.AgentRun, attack bool) {
			// The opening twin is a checkpoint of the run that was sealed.
			r.Sealed, r.Records = false, 1
			if attack {
				r.RunID += "-killed"
			}
		}),
		status: sallyport.ExitShut, codes: []string{"run-unsealed"},
	},
	{
		name: "killed run covered by another before a squash", attack: "the same, and both are squashed", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			killed := s.Run("main", "HEAD")
			killed.RunID += "-killed"
			killed.Sealed = !attack
			killed.RecordHead = string(sallyport.SHA256([]byte(killed.RunID)))
			s.Attest(killed, scene.Supervisor)
			s.Append("server.py", "# tail\n")
			s.AgentCommit("Say where it ends")
			s.Attest(s.Run("main", "HEAD"), scene.Supervisor)
			squash(s, false)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"run-unsealed"},
	},
	{
		name: "record sealed under two names", attack: "the seal of one run's record is moved to another run", from: plain,
		do: besideRun(func(r *predicate.AgentRun, attack bool) {
			r.RunID += "-moved"
			if !attack {
				r.RecordHead = string(sallyport.SHA256([]byte(r.RunID)))
			}
		}),
		status: sallyport.ExitShut, codes: []string{"run-forged"},
	},
	{
		name: "checkpoint with more than the seal", attack: "the record of a run is cut, and sealed shorter than its checkpoint was", from: plain,
		do: besideRun(func(r *predicate.AgentRun, attack bool) {
			r.Sealed = false
			if r.Records--; attack {
				r.Records += 4
			}
		}),
		status: sallyport.ExitShut, codes: []string{"run-forged"},
	},
	{
		name: "hooks that were never heard", attack: "the agent removes its hooks, which fail open", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			run := s.Run("main", "HEAD")
			run.Prompts = &predicate.Prompts{Requests: 3}
			run.Hooks = &predicate.HookBeats{Installed: true, Events: 7}
			if attack {
				run.Hooks.Events = 0
			}
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"run-hooks-silent"},
	},
	{
		name: "hooks silenced after the first call", attack: "the agent removes its hooks once they were heard", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			run := s.Run("main", "HEAD")
			run.Prompts, run.Tools = &predicate.Prompts{Requests: 30}, []predicate.ToolUse{{Name: "Bash", Calls: 30}}
			run.Hooks = &predicate.HookBeats{Installed: true, Events: 61}
			if attack {
				run.Hooks.Events = 3
			}
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"run-hooks-silent"},
	},
	{
		name: "hooks never heard by a run past the gateway", attack: "the same without any request that the gateway saw", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			run := s.Run("main", "HEAD")
			run.Tools = []predicate.ToolUse{{Name: "Bash", Calls: 2}}
			run.Hooks = &predicate.HookBeats{Installed: true, Events: 5}
			if attack {
				run.Hooks.Events = 0
			}
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"run-hooks-silent"},
	},
	{
		name: "failed run", attack: "the run ended with an error", from: plain,
		do:     runWith(func(r *predicate.AgentRun) { r.Conclusion = predicate.ConclusionFailure }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "aborted run", attack: "somebody had to stop the run", from: plain,
		do:     runWith(func(r *predicate.AgentRun) { r.Conclusion = predicate.ConclusionAborted }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "run of another repository", attack: "the evidence is of a run elsewhere", from: plain,
		do:     runWith(func(r *predicate.AgentRun) { r.Repository = "example.com/mallory/fork" }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "supervisor within reach", attack: "the supervisor ran as the same user as the agent", from: plain,
		do:     runWith(func(r *predicate.AgentRun) { r.Supervisor.Separation = predicate.SeparationNone }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "run of other commits", attack: "the evidence names the head as its subject, and the run made something else", from: plain,
		do: runWith(func(r *predicate.AgentRun) {
			r.Changes = predicate.Changes{Commits: []string{}, Hunks: []string{}, Blobs: []predicate.Blob{}}
		}),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "failed signature beside a good one", attack: "an envelope carries a second signature that does not verify", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			s.AttestRun("main", "HEAD")
			b := s.KeptOf(predicate.AgentRunType)[0]
			s.LoseEvidence()
			if attack {
				b = s.EditBundle(b, func(e *scene.Envelope) {
					bad := e.Signatures[0]
					bad.Sig = bytes.Repeat([]byte{7}, len(bad.Sig))
					e.Signatures = append(e.Signatures, bad)
				})
			}
			return s.Check("--bundle", file(s, b))
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "altered payload beside a good bundle", attack: "a copy of good evidence is altered to cover another commit, and stands beside it", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			good := s.KeptOf(predicate.AgentRunType)[0]
			first := s.Rev("HEAD")
			s.Append("util.py", helper)
			second := s.AgentCommit("Halve")
			if !attack {
				s.AttestRun("main", "HEAD")
				return s.Check()
			}
			bad := file(s, s.EditBundle(good, func(e *scene.Envelope) {
				e.Payload = bytes.ReplaceAll(e.Payload, []byte(first), []byte(second))
			}))
			v := s.Check("--bundle", bad)
			if len(v.Decision.Evidence) != 1 || len(v.Decision.Dropped) != 1 || v.Decision.Dropped[0].Source != bad {
				s.TB.Errorf("the good bundle should count and the altered one be listed: %v, dropped %v", v.Decision.Evidence, v.Decision.Dropped)
			}
			return v
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "hunk moved to another file", attack: "a hunk that a run made is moved to another file, where it does something else", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Write(either(attack, "jobs/new.py", "lib/new.py"), "print(1)\n")
			s.AgentCommit("Print")
			run := hunksOnly(s.Run("main", "HEAD"), added("lib/new.py", "100644", "print(1)\n"))
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "file attested at another path", attack: "a blob that a run wrote turns up under another name", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Write(either(attack, "jobs/new.py", "lib/new.py"), "print(1)\n")
			s.AgentCommit("Print")
			run := s.Run("main", "HEAD")
			run.Changes.Commits, run.Changes.Hunks = []string{}, []string{}
			run.Changes.Blobs[0].Path = "lib/new.py"
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "file attested in another mode", attack: "a blob that a run wrote turns up as an executable", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Write("lib/new.py", "print(1)\n")
			s.Git("add", "-A")
			if attack {
				s.Git("update-index", "--chmod=+x", "lib/new.py")
			}
			s.Git("commit", "-q", "-m", "Print"+scene.Trailer)
			run := s.Run("main", "HEAD")
			run.Changes.Commits, run.Changes.Hunks = []string{}, []string{}
			run.Changes.Blobs[0].Mode = "100644"
			s.Attest(run, scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "hunk attested once and used twice", attack: "a hunk that a run made once stands in the change twice", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			// Two places that look alike, far enough apart to be two hunks of one digest.
			same := "a\nb\nc\nd\ne\nf\ng\nh\n"
			s.Git("switch", "-q", "main")
			s.Write("list.txt", same+same)
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "List letters")
			s.Git("switch", "-q", "-C", "work", "main")
			changed := "a\nb\nc\nd\nNEW\ne\nf\ng\nh\n"
			s.Write("list.txt", changed+changed)
			s.AgentCommit("Mark the middle")
			h := hunk("list.txt", "100644", "100644", " b\n", " c\n", " d\n", "+NEW\n", " e\n", " f\n", " g\n")
			hunks := []string{h, h}
			if attack {
				hunks = hunks[:1]
			}
			s.Attest(hunksOnly(s.Run("main", "HEAD"), hunks...), scene.Supervisor)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "evidence replayed by digest", attack: "the evidence for the approved head is filed under another head", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Append("util.py", helper)
			}
			id := s.AgentCommit("Halve")
			b := s.KeptOf(predicate.AgentRunType)[0]
			st := s.Statement(b)
			st.Subject = append(st.Subject, sallyport.StatementSubject{Digest: map[string]string{"gitCommit": id}})
			payload, err := json.Marshal(st)
			if err != nil {
				s.TB.Fatal(err)
			}
			b2 := s.EditBundle(b, func(e *scene.Envelope) { e.Payload = payload })
			return s.Check("--bundle", file(s, b2))
		},
		status: sallyport.ExitShut, codes: missing,
	},
}

// file writes a bundle for --bundle.
func file(s *scene.Scene, b []byte) string {
	s.TB.Helper()
	name := filepath.Join(s.Dir, "bundle.json")
	if err := os.WriteFile(name, b, 0o644); err != nil {
		s.TB.Fatal(err)
	}
	return name
}

// hunksOnly leaves a run nothing but hunks to account for a change.
func hunksOnly(r predicate.AgentRun, hunks ...string) predicate.AgentRun {
	r.Changes = predicate.Changes{Commits: []string{}, Hunks: hunks, Blobs: []predicate.Blob{}}
	return r
}

func hunk(path, oldMode, newMode string, lines ...string) string {
	h := predicate.Hunk{Path: path, OldMode: oldMode, NewMode: newMode}
	for _, l := range lines {
		h.Lines = append(h.Lines, predicate.HunkLine{Op: l[0], Text: l[1:]})
	}
	return predicate.HunkDigest(h)
}

// added is the digest of a new file's only hunk.
func added(path, mode, line string) string { return hunk(path, "000000", mode, "+"+line) }
