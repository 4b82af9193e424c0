package evasion

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// A runPlay is how a run's evidence is signed with a key of its own.
type runPlay struct {
	binding runcert.Binding
	trust   string    // the rest of the authority's entry
	signed  time.Time // by the timestamp; zero for none
	change  func(*predicate.AgentRun)
	foreign bool // the authority is another than the trust file's
}

// runKeys are attacks with keys that live for one run.
var runKeys = []row{
	runKeyRow("run key of the agent's own user", "what holds the key is not separated from the agent, and the trust file calls its authority's word observed",
		func(p *runPlay) {
			p.binding.Separation = predicate.SeparationNone
			p.change = func(r *predicate.AgentRun) { r.Supervisor.Separation = predicate.SeparationNone }
		}),
	runKeyRow("run key of another repository", "a run's key of another repository attests a run of this one", func(p *runPlay) { p.trust = strings.Replace(p.trust, scene.Repository, "example.com/acme/other", 1) }),
	runKeyRow("run key after its minutes", "the key of a run that is over is found, and signs", func(p *runPlay) { p.signed = p.signed.Add(2 * time.Hour) }),
	runKeyRow("run key without a time", "nothing proves when a run's key signed", func(p *runPlay) { p.signed = time.Time{} }),
	runKeyRow("run key of an authority of one's own", "an agent certifies a key itself", func(p *runPlay) { p.foreign = true }),
	runKeyRow("run key of a revoked run", "a run that was revoked attests", func(p *runPlay) { p.trust += "    revoked_runs: [run-1]\n" }),
}

func runKeyRow(name, attack string, edit func(*runPlay)) row {
	return row{name: name, attack: attack, from: plain, status: sallyport.ExitShut, codes: missing, do: func(s *scene.Scene, attacks bool) scene.Verdict {
		s.TB.Helper()
		now := time.Now().Add(-3 * time.Hour)
		p := runPlay{signed: now.Add(time.Minute),
			binding: runcert.Binding{RunID: "run-1", Repository: scene.Repository, Operator: "alice", Separation: predicate.SeparationHost,
				Principal: sallyport.Principal{Kind: sallyport.Workload, Name: "run-supervisor"}},
			trust: "    repositories: [" + scene.Repository + "]\n    principals: [{kind: workload, name: run-supervisor}]\n    types: [" + predicate.AgentRunType + "]\n    grade: observed\n"}
		if attacks {
			edit(&p)
		}
		ca, other := freshKey(), freshKey()
		der, err := x509.MarshalPKIXPublicKey(ca.Public())
		must(err)
		text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		entry := "run_authorities:\n  - name: run-ca\n    key: |\n      " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ") + "\n" + p.trust
		tsa := keylesstest.New(s.TB, now)
		const trust = ".sallyport/trust.yaml"
		s = s.Restage(s.TB, scene.Options{Files: map[string]string{trust: s.Read(trust) + entry, ".sallyport/trusted_root.json": string(tsa.TrustedRoot())}})
		s.Git("switch", "-q", "-c", "work")
		addFeature(s)
		run := s.Run("main", "HEAD")
		run.RunID = p.binding.RunID
		if p.change != nil {
			p.change(&run)
		}
		s.Attest(run, scene.Supervisor) // for its subjects
		st := s.Statement(s.KeptOf(predicate.AgentRunType)[0])
		s.LoseEvidence()
		if p.foreign {
			ca = other
		}
		key := freshKey()
		cert, err := runcert.Issue(ca, key.Public(), p.binding, now, runcert.DefaultValidity)
		must(err)
		raw, err := evidence.Sign(context.Background(), st, certified{key, cert})
		must(err)
		s.Keep(timestamped(raw, tsa, p.signed))
		return s.Check()
	}}
}

func freshKey() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	return k
}

type certified struct {
	crypto.Signer
	der []byte
}

func (c certified) Certificate() []byte { return c.der }

// timestamped adds a timestamp to a bundle, unless the time is zero.
func timestamped(raw []byte, by *keylesstest.Authority, at time.Time) []byte {
	if at.IsZero() {
		return raw
	}
	var b map[string]any
	must(json.Unmarshal(raw, &b))
	var envelope struct {
		Envelope struct {
			Signatures []struct {
				Sig []byte `json:"sig"`
			} `json:"signatures"`
		} `json:"dsseEnvelope"`
	}
	must(json.Unmarshal(raw, &envelope))
	b["verificationMaterial"].(map[string]any)["timestampVerificationData"] = map[string]any{
		"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": by.Stamp(envelope.Envelope.Signatures[0].Sig, at)}}}
	out, err := json.Marshal(b)
	must(err)
	return out
}
