package evasion

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// exceptions are attacks by a word that is to hold a reason off. Without it, what the agent did
// lacks the evidence of its run; the twin's word is one that holds.
var exceptions = []row{
	{
		name: "exception that never ends", attack: "an exception names no end", from: plain,
		do:     except(scene.Erin, func(p *predicate.Exception) { p.ExpiresAt = "" }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception that lasts too long", attack: "an exception lasts for 181 days", from: plain,
		do: except(scene.Erin, func(p *predicate.Exception) {
			p.ExpiresAt = predicate.FormatTime(time.Now().Add(181 * 24 * time.Hour))
		}),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception that reaches back", attack: "an exception begins before it was given, as if somebody had known", from: plain,
		do: except(scene.Erin, func(p *predicate.Exception) {
			p.NotBefore = predicate.FormatTime(time.Now().Add(-48 * time.Hour))
		}),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "expired exception", attack: "an exception is used after its time", from: plain,
		do: except(scene.Erin, func(p *predicate.Exception) {
			at := time.Now().Add(-48 * time.Hour)
			p.IssuedAt, p.NotBefore = predicate.FormatTime(at), predicate.FormatTime(at)
			p.ExpiresAt = predicate.FormatTime(at.Add(24 * time.Hour))
		}),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception from the future", attack: "an exception is dated a day ahead", from: plain,
		do: except(scene.Erin, func(p *predicate.Exception) {
			p.IssuedAt = predicate.FormatTime(time.Now().Add(24 * time.Hour))
			p.NotBefore = p.IssuedAt
		}),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception by the operator", attack: "who operates the agent excepts its work, with the role and a touched key", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = rostered(s, "roles: [reviewer, operator]", "roles: [reviewer, operator, security]", "")
			return excepted(s, either(attack, scene.Alice, scene.Erin), nil)
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception by somebody without the role", attack: "a reviewer who grants no exceptions grants one", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			return excepted(s, either(attack, scene.Bob, scene.Erin), nil)
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception without a touch", attack: "software signs with a security key, and nobody touched it", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = rostered(s, "emails: [dave@example.com]\n    roles: [reviewer]", "emails: [dave@example.com]\n    roles: [security]", "")
			return excepted(s, either(attack, scene.DaveUntouched, scene.Dave), func(p *predicate.Exception) { p.Who = "dave" })
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception in another's name", attack: "a reviewer's key signs an exception in the name of somebody with the role", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			return excepted(s, either(attack, scene.Bob, scene.Erin), func(p *predicate.Exception) { p.Who = "erin" })
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception by the key of runs", attack: "the key that may sign run evidence signs an exception", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			return excepted(s, either(attack, scene.Supervisor, scene.Erin), func(p *predicate.Exception) { p.Who = "erin" })
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception for another path", attack: "an exception for one file is to hold for another", from: plain,
		do:     except(scene.Erin, func(p *predicate.Exception) { p.Scope.Paths = []string{"util.py"} }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception for a part", attack: "beside what is excepted the agent changes another file", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				smuggle(s)
				s.AgentCommit("Tidy up")
			}
			return excepted(s, scene.Erin, nil)
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "excepted file moved away", attack: "a file that is not excepted is moved to where exceptions hold", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("mv", "util.py", "vendored.py")
			s.AgentCommit("Move")
			return excepted(s, scene.Erin, func(p *predicate.Exception) {
				p.Scope.Paths = append(p.Scope.Paths, "vendored.py")
				if !attack {
					p.Scope.Paths = append(p.Scope.Paths, "util.py")
				}
			})
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception of what may never be excepted", attack: "an exception names a code for which there are none, beside another", from: plain,
		do:     except(scene.Erin, func(p *predicate.Exception) { p.Codes = append(p.Codes, "root-changed") }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception of another code", attack: "an exception of one code is to hold for another", from: plain,
		do:     except(scene.Erin, func(p *predicate.Exception) { p.Codes = []string{"unattributed"} }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception of an approval", attack: "one person excepts the approval for which others are asked", from: plain,
		do:     except(scene.Erin, func(p *predicate.Exception) { p.Codes = append(p.Codes, "approval-missing") }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception of everything", attack: "one person excepts that agents account for their work, wherever", from: plain,
		do: except(scene.Erin, func(p *predicate.Exception) {
			p.Scope = &predicate.ExceptionScope{Everything: true}
		}),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception from another repository", attack: "an exception that was granted to a fork is brought along", from: plain,
		do:     except(scene.Erin, func(p *predicate.Exception) { p.Repository = "example.com/mallory/fork" }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "exception for another target", attack: "an exception for a development branch is used on main", from: plain,
		do:     except(scene.Erin, func(p *predicate.Exception) { p.TargetRefs = []string{"refs/heads/dev"} }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "lost revocation of an exception", attack: "an exception is revoked, and the revocation deleted from the evidence", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			bundle := s.Sign(exceptionOf(s, scene.Erin, nil), scene.Erin)
			s.Keep(bundle)
			if attack {
				s.Must("exception", "revoke", string(sallyport.SHA256(bundle)), "--repo", s.Repo, "--target", "main", "--root", string(s.Pin), "--key", s.KeyRef(scene.Erin))
				s.LoseEvidence()
				s.Keep(bundle)
			}
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "revoked exception respelled", attack: "a revoked exception is written anew with a blank before it, so that it has another digest", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			bundle := s.Sign(exceptionOf(s, scene.Erin, nil), scene.Erin)
			s.Keep(bundle)
			if attack {
				s.Must("exception", "revoke", string(sallyport.SHA256(bundle)), "--repo", s.Repo, "--target", "main", "--root", string(s.Pin), "--key", s.KeyRef(scene.Erin))
				s.Keep(append([]byte(" "), bundle...))
			}
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "revocation of an exception that names no key", attack: "the name of the key is taken off a revocation on its way, so that it lies where nobody's words are looked for; the twin's is of another exception", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			bundle := s.Sign(exceptionOf(s, scene.Erin, nil), scene.Erin)
			s.Keep(bundle)
			of := either(attack, sallyport.SHA256(bundle), sallyport.SHA256(nil))
			revocation := s.Sign(exceptionOf(s, scene.Erin, func(p *predicate.Exception) {
				*p = predicate.Exception{
					Action: predicate.ExceptionRevoke, Who: p.Who, Repository: p.Repository, Revokes: string(of),
					IssuedAt: p.IssuedAt, Nonce: strings.Repeat("1e", 16), Tool: p.Tool,
				}
			}), scene.Erin)
			s.Keep(bytes.Replace(revocation, []byte(fingerprint(s, scene.Erin)), nil, 1))
			s.Must("evidence", "publish", "--repo", s.Repo)
			remove(s, s.State("evidence"))
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "revoker loses the role", attack: "whoever revoked an exception no longer has the role; the twin revokes nothing", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			const had, has = "emails: [dave@example.com]\n    roles: [reviewer, security]", "emails: [dave@example.com]\n    roles: [reviewer]"
			s = rostered(s, has, had, "")
			bundle := s.Sign(exceptionOf(s, scene.Erin, nil), scene.Erin)
			s.Keep(bundle)
			if attack {
				s.Must("exception", "revoke", string(sallyport.SHA256(bundle)), "--repo", s.Repo, "--target", "main", "--root", string(s.Pin), "--key", s.KeyRef(scene.Dave))
			}
			landRoot(s, func(s *scene.Scene) { s.Write(rosterFile, strings.Replace(s.Read(rosterFile), had, has, 1)) }, scene.Bob, scene.Carol)
			s.Git("switch", "-q", "-C", "work", "main")
			addFeature(s)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "revocation seen before the revoker loses the role", attack: "a check sees a revocation that comes from elsewhere, and its signer loses the role before the next; the twin's is of another exception", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			const had, has = "emails: [dave@example.com]\n    roles: [reviewer, security]", "emails: [dave@example.com]\n    roles: [reviewer]"
			s = rostered(s, has, had, "")
			bundle := s.Sign(exceptionOf(s, scene.Erin, nil), scene.Erin)
			s.Keep(bundle)
			of := either(attack, sallyport.SHA256(bundle), sallyport.SHA256(nil))
			s.Keep(s.Sign(exceptionOf(s, scene.Dave, func(p *predicate.Exception) {
				*p = predicate.Exception{
					Action: predicate.ExceptionRevoke, Who: "dave", Repository: p.Repository, Revokes: string(of),
					IssuedAt: p.IssuedAt, Nonce: strings.Repeat("1e", 16), Tool: p.Tool,
				}
			}), scene.Dave))
			addFeature(s)
			s.Check()
			landRoot(s, func(s *scene.Scene) { s.Write(rosterFile, strings.Replace(s.Read(rosterFile), had, has, 1)) }, scene.Bob, scene.Carol)
			s.Git("switch", "-q", "-C", "work", "main")
			addFeature(s)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "revoker's key runs out", attack: "the key that revoked an exception has run out since; the twin revokes nothing", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = rostered(s, "emails: [dave@example.com]\n    roles: [reviewer]", "emails: [dave@example.com]\n    roles: [reviewer, security]", "")
			bundle := s.Sign(exceptionOf(s, scene.Erin, nil), scene.Erin)
			s.Keep(bundle)
			if attack {
				s.Must("exception", "revoke", string(sallyport.SHA256(bundle)), "--repo", s.Repo, "--target", "main", "--root", string(s.Pin), "--key", s.KeyRef(scene.Dave))
			}
			landRoot(s, func(s *scene.Scene) {
				key := "      - key: " + s.PublicKey(scene.Dave) + "\n        enrolled_by: bob\n"
				roster := strings.Replace(s.Read(rosterFile), key, key+"        not_after: 2020-12-31\n", 1)
				if roster == s.Read(rosterFile) {
					s.TB.Fatal("Dave's key is not in the roster")
				}
				s.Write(rosterFile, roster)
			}, scene.Bob, scene.Carol)
			s.Git("switch", "-q", "-C", "work", "main")
			addFeature(s)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "secret excepted elsewhere", attack: "a credential that is accepted in one file turns up in another", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Write(either(attack, "settings.py", "fixtures/settings.py"), "token = \"ghp_"+strings.Repeat("wWPw5k4aXcaT4fNP0UcnZwJUVFk6", 2)[:36]+"\"\n")
			s.AgentCommit("Settings")
			s.AttestRun("main", "HEAD")
			s.Keep(s.Sign(exceptionOf(s, scene.Erin, func(p *predicate.Exception) {
				p.Codes, p.Scope.Paths = []string{"secret"}, []string{"fixtures/**"}
			}), scene.Erin))
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"secret"},
	},
}

// except plays an exception that the attack edits.
func except(k scene.Key, edit func(*predicate.Exception)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		if !attack {
			return excepted(s, k, nil)
		}
		return excepted(s, k, edit)
	}
}

// excepted adds the feature without the evidence of a run, and an exception for it.
func excepted(s *scene.Scene, k scene.Key, edit func(*predicate.Exception)) scene.Verdict {
	s.TB.Helper()
	addFeature(s)
	st := exceptionOf(s, k, edit)
	if k == scene.Supervisor {
		s.Keep(s.Sign(st, k))
	} else {
		s.Keep(signAnything(s, st, k))
	}
	return s.Check()
}

// signAnything signs a statement as a program would that does not care whether it is a valid one.
func signAnything(s *scene.Scene, st sallyport.Statement, k scene.Key) []byte {
	s.TB.Helper()
	return s.EditBundle(s.Sign(exceptionOf(s, k, nil), k), func(e *scene.Envelope) {
		var err error
		if e.Payload, err = json.Marshal(st); err != nil {
			s.TB.Fatal(err)
		}
		sig, err := s.SSHSigner(k).Sign(s.TB.Context(), evidence.SSHNamespace, dsse.PAE(e.PayloadType, e.Payload))
		if err != nil {
			s.TB.Fatal(err)
		}
		if block, _ := pem.Decode(sig); block != nil {
			sig = block.Bytes
		}
		e.Signatures[0].Sig = sig
	})
}

// exceptionOf says that the run evidence of server.py may be missing for a month.
func exceptionOf(s *scene.Scene, k scene.Key, edit func(*predicate.Exception)) sallyport.Statement {
	s.TB.Helper()
	now := time.Now()
	p := predicate.Exception{
		Action: predicate.ExceptionGrant, Who: string(k), Repository: scene.Repository, TargetRefs: []string{"refs/heads/main"},
		Codes: missing, Scope: &predicate.ExceptionScope{Paths: []string{"server.py"}}, Justification: "The supervisor is not ready.",
		IssuedAt: predicate.FormatTime(now), NotBefore: predicate.FormatTime(now), ExpiresAt: predicate.FormatTime(now.Add(30 * 24 * time.Hour)),
		Nonce: strings.Repeat("0f", 16), Tool: predicate.Tool{Name: "test", Version: "1"},
	}
	if edit != nil {
		edit(&p)
	}
	body, err := json.Marshal(p)
	if err != nil {
		s.TB.Fatal(err)
	}
	return sallyport.Statement{
		Type: sallyport.StatementType, PredicateType: predicate.ExceptionType, Predicate: body,
		Subject: []sallyport.StatementSubject{{Digest: map[string]string{"sha256": sallyport.Digest(predicate.ExceptionSubject(p.Repository)).Hex()}}},
	}
}

// rostered stages the repository anew, with a roster in which text was replaced and a
// configuration with more in it, and goes to the branch.
func rostered(s *scene.Scene, old, text, config string) *scene.Scene {
	s.TB.Helper()
	return withFiles(s, old, text, config, nil)
}

func withFiles(s *scene.Scene, old, text, config string, more map[string]string) *scene.Scene {
	s.TB.Helper()
	roster := s.Read(rosterFile)
	if !strings.Contains(roster, old) {
		s.TB.Fatalf("the roster does not hold %q", old)
	}
	files := map[string]string{rosterFile: strings.Replace(roster, old, text, 1), ".sallyport/sallyport.yaml": scene.Config + config}
	for path, content := range more {
		files[path] = content
	}
	s = s.Restage(s.TB, scene.Options{Files: files})
	s.Git("switch", "-q", "-c", "work")
	return s
}
