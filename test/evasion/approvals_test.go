package evasion

import (
	"bytes"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

var waits = []string{"approval-missing"}

// approvals are attacks on who approves, what, and until when. Where one of two approvals is the
// attack, Bob gave the other.
var approvals = []row{
	{
		name: "approval by the operator", attack: "who operates the agent approves its work with a touched key", from: half,
		do:     second(scene.Alice, scene.Carol),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval by a co-author", attack: "a reviewer whom a commit names as co-author approves it", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("deploy/prod.yaml", manifest)
			message := "Wait before a pod is ready" + scene.Trailer
			if attack {
				message += "Co-authored-by: Dave Example <dave@example.com>\n"
			}
			s.Commit(message)
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Bob)
			s.Approve(scene.Dave)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval by an author", attack: "a reviewer who wrote a commit of the branch approves it", from: asked,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("util.py", helper)
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Halve")
			s.Approve(scene.Bob)
			s.Approve(either(attack, scene.Dave, scene.Carol))
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval by a committer", attack: "a reviewer approves what they committed for the agent", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("deploy/prod.yaml", manifest)
			s.CommitAs(scene.Who(scene.Dave), "Wait"+scene.Trailer)
			s.Git("commit", "-q", "--amend", "--no-edit", "--author=Alice Example <alice@example.com>")
			if attack {
				s.GitAs(scene.Who(scene.Dave), "commit", "-q", "--amend", "--no-edit")
			}
			s.AttestRun("main", "HEAD")
			s.Approve(scene.Bob)
			s.Approve(scene.Dave)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval by the author of what a squash hides", attack: "a reviewer approves a squash of a branch that they wrote a part of", from: asked,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Append("util.py", helper)
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Halve")
			s.Approve(scene.Bob)
			s.Approve(either(attack, scene.Dave, scene.Carol))
			s.Git("switch", "-q", "--detach", "main")
			s.Git("merge", "-q", "--squash", "work")
			s.Commit("Say which version this is (#1)")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "unattributed"},
	},
	{
		name: "approval by a bot", attack: "a bot in the roster signs an approval with its key", from: half,
		do:     forged(scene.Renovate, func(p *predicate.Approval) { p.Reviewer = "renovate" }),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval by a tool's key", attack: "the key that may sign run evidence signs an approval", from: half,
		do:     forged(scene.Supervisor, func(p *predicate.Approval) { p.Reviewer = "carol" }),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval by somebody without the role", attack: "a person in the roster who is no reviewer approves", from: half,
		do:     second(scene.Erin, scene.Carol),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval with an ordinary key", attack: "a reviewer's ordinary key approves, which the agent on that machine can use", from: half,
		do:     second(scene.Rob, scene.Carol),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval without a touch", attack: "software signs with a reviewer's security key, and nobody touched it", from: half,
		do:     second(scene.CarolUntouched, scene.Carol),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval with an unknown key", attack: "a key that the roster does not hold signs in a reviewer's name", from: half,
		do:     forged(scene.Mallory, func(p *predicate.Approval) { p.Reviewer = "carol" }),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval in another's name", attack: "one reviewer's key signs in another reviewer's name", from: half,
		do:     forged(scene.Bob, func(p *predicate.Approval) { p.Reviewer = "carol" }),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "two approvals by one person", attack: "one reviewer approves twice where two are needed", from: half,
		do:     second(scene.Bob, scene.Carol),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval of a sibling commit", attack: "what was approved is another commit on the same base", from: asked,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			head := s.Rev("HEAD")
			if attack {
				s.Git("switch", "-q", "-c", "sibling", "main")
				s.Append("server.py", feature)
				s.Append("deploy/prod.yaml", "  minReadySeconds: 50\n")
				s.AgentCommit("Wait before a pod is ready")
				s.AttestRun("main", "HEAD")
			}
			s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			return s.Check("--head", head)
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval for another target", attack: "an approval for a release branch is used on main", from: half,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Git("branch", "release", "main")
			s.Approve(scene.Carol, "--target", either(attack, "release", "main"))
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval from another repository", attack: "the approvals of the same commits in another repository are brought along", from: asked,
		do:     elsewhere(func(p *predicate.Approval) { p.Repository = "example.com/mallory/fork" }),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval under other rules", attack: "the approvals were asked for under another policy set", from: asked,
		do: elsewhere(func(p *predicate.Approval) {
			p.Policy[0].Digest = string(sallyport.SHA256([]byte("a laxer set")))
		}),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "expired approval", attack: "an approval is used after its time", from: half,
		do: forgedWith(scene.Carol, func(p *predicate.Approval, attack bool) {
			p.Reviewer = "carol"
			if attack {
				at := time.Now().Add(-8 * 24 * time.Hour)
				p.IssuedAt, p.ExpiresAt = predicate.FormatTime(at), predicate.FormatTime(at.Add(7*24*time.Hour))
			}
		}),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval that never ends", attack: "an approval claims to last for ten years", from: half,
		do: forgedWith(scene.Carol, func(p *predicate.Approval, attack bool) {
			p.Reviewer = "carol"
			if attack {
				p.ExpiresAt = predicate.FormatTime(time.Now().Add(10 * 365 * 24 * time.Hour))
			}
		}),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval from the future", attack: "an approval is dated a day ahead, to outlive a revocation", from: half,
		do: forgedWith(scene.Carol, func(p *predicate.Approval, attack bool) {
			p.Reviewer = "carol"
			if attack {
				p.IssuedAt = predicate.FormatTime(time.Now().Add(24 * time.Hour))
			}
		}),
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "approval reused after the change was backed out", attack: "what two persons approved landed and was reverted, and their approvals are to land it again", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if !attack {
				moveMain(s)
				return s.Check()
			}
			s.Git("switch", "-q", "main")
			s.Git("merge", "-q", "--squash", "work")
			s.Commit("Say which version this is (#1)")
			s.Git("revert", "--no-edit", "HEAD")
			s.Git("switch", "-q", "work")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "revoked approval", attack: "an approval is used that its reviewer took back", from: half,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			d := s.Approve(scene.Carol)
			if attack {
				s.Revoke(scene.Carol, d)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "revoked approval respelled", attack: "a revoked approval is written anew with a blank before it, so that it has another digest; the twin has it as it was, and no revocation", from: half,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			d := s.Approve(scene.Carol)
			if attack {
				raw := s.Kept(d)
				s.Revoke(scene.Carol, d)
				s.Keep(append([]byte(" "), raw...))
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "revoked approval lost and respelled", attack: "a revoked approval is deleted, and kept with its JSON written anew", from: half,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			d := s.Approve(scene.Carol)
			kept := append(s.KeptOf(predicate.ApprovalType), s.KeptOf(predicate.AgentRunType)...)
			raw := s.Kept(d)
			if attack {
				s.Revoke(scene.Carol, d)
			}
			s.LoseEvidence()
			for _, b := range kept {
				if attack && bytes.Equal(b, raw) {
					b = bytes.Replace(b, []byte(`"payload":`), []byte(`"payload" :`), 1)
				}
				s.Keep(b)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "lost revocation", attack: "an approval is taken back, and the revocation deleted from the evidence", from: half,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			d := s.Approve(scene.Carol)
			kept := append(s.KeptOf(predicate.ApprovalType), s.KeptOf(predicate.AgentRunType)...)
			if attack {
				s.Revoke(scene.Carol, d)
			}
			s.LoseEvidence()
			for _, b := range kept {
				s.Keep(b)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: waits,
	},
	{
		name: "declined", attack: "two reviewers approve what a third declined", from: asked,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Approve(scene.Dave, "--decline")
			}
			s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "declined"},
	},
	{
		name: "lost decline", attack: "a reviewer declines, and the objection is deleted from the evidence", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			kept := append(s.KeptOf(predicate.ApprovalType), s.KeptOf(predicate.AgentRunType)...)
			if attack {
				s.Approve(scene.Dave, "--decline")
			}
			s.LoseEvidence()
			for _, b := range kept {
				s.Keep(b)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "declined"},
	},
	{
		name: "decline lost after a check", attack: "an objection comes from elsewhere, is seen by one check, and deleted before the next", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			there := s.Fork(s.TB)
			d := there.Approve(scene.Dave, "--decline")
			kept := append(s.KeptOf(predicate.ApprovalType), s.KeptOf(predicate.AgentRunType)...)
			if attack {
				s.Keep(there.Kept(d))
			}
			s.Check()
			s.LoseEvidence()
			for _, b := range kept {
				s.Keep(b)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "declined"},
	},
}

func either[T any](attack bool, a, b T) T {
	if attack {
		return a
	}
	return b
}

// second plays the second approval, by the attacker or by somebody who may.
func second(attacker, twin scene.Key) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		s.Approve(either(attack, attacker, twin))
		return s.Check()
	}
}

// forged plays a second approval that says what Bob's says, but for the edit, signed with the
// attacker's key. The twin's is signed by Carol.
func forged(k scene.Key, edit func(*predicate.Approval)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		bob := s.KeptOf(predicate.ApprovalType)[0]
		if attack {
			s.Keep(s.Forge(bob, k, edit))
		} else {
			s.Keep(s.Forge(bob, scene.Carol, func(p *predicate.Approval) { p.Reviewer = "carol" }))
		}
		return s.Check()
	}
}

// forgedWith is forged for an edit that the twin has in part.
func forgedWith(k scene.Key, edit func(p *predicate.Approval, attack bool)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		bob := s.KeptOf(predicate.ApprovalType)[0]
		s.Keep(s.Forge(bob, k, func(p *predicate.Approval) { edit(p, attack) }))
		return s.Check()
	}
}

// elsewhere plays approvals that two reviewers signed with what the edit changes, somewhere else.
func elsewhere(edit func(*predicate.Approval)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		there := s.Fork(s.TB)
		there.Approve(scene.Bob)
		template := there.KeptOf(predicate.ApprovalType)[0]
		for _, k := range []scene.Key{scene.Bob, scene.Carol} {
			s.Keep(s.Forge(template, k, func(p *predicate.Approval) {
				p.Reviewer = string(k)
				if attack {
					edit(p)
				}
			}))
		}
		return s.Check()
	}
}
