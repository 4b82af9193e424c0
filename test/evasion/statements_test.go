package evasion

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// statements are attacks on the form of signed statements. The supervisor's own key signs each, as
// a supervisor with a fault would, or one that reads it in another way than we do.
var statements = []row{
	{
		name: "statement without subject", attack: "evidence is about nothing", from: plain,
		do:     worded(func(p string) string { return replaceOnce(p, `"subject":[`, `"subject":[],"was":[`) }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "statement with two digests", attack: "a subject carries the digest of the head and, under another name, that of something else", from: plain,
		do: worded(func(p string) string {
			return replaceOnce(p, `"digest":{"gitCommit":"`, `"digest":{"gitTree":"`+strings.Repeat("1", 40)+`","gitCommit":"`)
		}),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "statement with a key twice", attack: "the predicate stands twice, and readers differ in which they take", from: plain,
		do:     worded(func(p string) string { return replaceOnce(p, `{"_type"`, `{"predicate":{},"_type"`) }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "statement with a key twice in two spellings", attack: "a key stands twice, in two cases", from: plain,
		do:     worded(func(p string) string { return replaceOnce(p, `{"_type"`, `{"Subject":[],"_type"`) }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "statement with a nested key twice", attack: "the operator stands twice in the predicate", from: plain,
		do: worded(func(p string) string {
			return replaceOnce(p, `"operator":"alice"`, `"operator":"bob","operator":"alice"`)
		}),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "statement with trailing data", attack: "another statement follows the first", from: plain,
		do:     worded(func(p string) string { return p + `{}` }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "statement of another type", attack: "the statement's own type is one that is not known", from: plain,
		do:     worded(func(p string) string { return replaceOnce(p, "in-toto.io/Statement/v1", "in-toto.io/Statement/v2") }),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "run attested by its operator", attack: "who operates the agent mints the evidence of its run with their own touched key", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			addFeature(s)
			s.AttestRun("main", "HEAD")
			b := s.KeptOf(predicate.AgentRunType)[0]
			if attack {
				b = s.Sign(s.Statement(b), scene.Alice)
			}
			s.LoseEvidence()
			return s.Check("--bundle", file(s, b))
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "replayed approval", attack: "the approvals of one change are brought along for the next, whose files they name", from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Append("deploy/prod.yaml", "  progressDeadlineSeconds: 1\n")
				s.AgentCommit("Wait less")
				s.AttestRun("main", "HEAD")
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"approval-missing", "residue"},
	},
}

func replaceOnce(s, old, with string) string {
	if !strings.Contains(s, old) {
		return "" // which is no statement either, and is noticed as the twin that does not open
	}
	return strings.Replace(s, old, with, 1)
}

// worded plays an attested feature whose evidence is signed anew by the supervisor: as it is, or
// with other bytes.
func worded(edit func(payload string) string) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		addFeature(s)
		s.AttestRun("main", "HEAD")
		k, err := key.Load(s.KeyRef(scene.Supervisor), nil)
		if err != nil {
			s.TB.Fatal(err)
		}
		b := s.EditBundle(s.KeptOf(predicate.AgentRunType)[0], func(e *scene.Envelope) {
			payload := string(e.Payload)
			if edited := edit(payload); edited == "" || edited == payload {
				s.TB.Fatalf("the attack changes nothing in %s", payload)
			} else if attack {
				payload = edited
			}
			e.Payload = []byte(payload)
			sum := sha256.Sum256(dsse.PAE(e.PayloadType, e.Payload))
			message, hash := sum[:], crypto.SHA256
			if _, ok := k.Public().(ed25519.PublicKey); ok {
				message, hash = dsse.PAE(e.PayloadType, e.Payload), 0
			}
			if e.Signatures[0].Sig, err = k.Sign(rand.Reader, message, hash); err != nil {
				s.TB.Fatal(err)
			}
		})
		s.LoseEvidence()
		return s.Check("--bundle", file(s, b))
	}
}
