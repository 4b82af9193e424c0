package evasion

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// modelFile is a registry with one model, which may be used until the time that is filled in.
const modelFile = `version: 1
models:
  - provider: anthropic
    name: claude-sonnet-4
    snapshots: true
    endpoints: [{url: "https://api.anthropic.com/v1", kind: external}]
    licence: LicenseRef-vendor-terms
    owner: alice
    uses: [code]
    principals: ["agent:claude-code"]
    repositories: ["*"]
    expires: %q
`

// A modelStory is a run with a model, and what persons have said about the model. The zero story opens.
type modelStory struct {
	ends      time.Time   // zero: in two days
	approvers []scene.Key // nil: Erin, who has the role security
	run       func(*predicate.AgentRun)
	revoked   bool
	lost      bool // the evidence is lost, and all but what was revoked is brought along again
}

// sayOfModel has somebody say something about the model.
func sayOfModel(s *scene.Scene, k scene.Key, verb string, more ...string) {
	s.TB.Helper()
	sayOf(s, "anthropic/claude-sonnet-4", k, verb, more...)
}

func sayOf(s *scene.Scene, model string, k scene.Key, verb string, more ...string) {
	s.TB.Helper()
	s.Must(append([]string{"model", verb, model, "--repo", s.Repo, "--root", string(s.Pin), "--target", "main", "--key", s.KeyRef(k)}, more...)...)
}

// withModels stages a repository with a registry, whose model some approve, and lets the agent do its work.
func withModels(s *scene.Scene, ends time.Time, approvers ...scene.Key) *scene.Scene {
	s.TB.Helper()
	s = s.Restage(s.TB, scene.Options{Files: map[string]string{".sallyport/models.yaml": fmt.Sprintf(modelFile, predicate.FormatTime(ends))}})
	sayOfModel(s, scene.Alice, "add")
	for _, k := range approvers {
		sayOfModel(s, k, "approve")
	}
	s.Git("switch", "-q", "-c", "work")
	addFeature(s)
	return s
}

// usedModel plays a story in a scene that withModels staged.
func usedModel(s *scene.Scene, m modelStory) scene.Verdict {
	s.TB.Helper()
	if m.approvers != nil || !m.ends.IsZero() {
		if m.ends.IsZero() {
			m.ends = time.Now().Add(48 * time.Hour)
		}
		if m.approvers == nil {
			m.approvers = []scene.Key{scene.Erin}
		}
		s = withModels(s, m.ends, m.approvers...)
	}
	run := s.Run("main", "HEAD")
	run.Models = []predicate.Model{{Provider: "anthropic", Name: "claude-sonnet-4-20250514", Endpoint: "https://api.anthropic.com/v1/messages", Requests: 1}}
	if m.run != nil {
		m.run(&run)
	}
	s.Attest(run, scene.Supervisor)
	if !m.lost {
		if m.revoked {
			sayOfModel(s, scene.Erin, "revoke", "--reason", "It answers with the data of others.")
		}
		return s.Check()
	}
	words := s.KeptOf(predicate.ModelType)
	if m.revoked {
		sayOfModel(s, scene.Erin, "revoke", "--reason", "It answers with the data of others.")
	}
	s.LoseEvidence()
	for _, w := range words {
		s.Keep(w)
	}
	s.Attest(run, scene.Supervisor)
	return s.Check()
}

// usedAs is a row's story: base with the attack, and without it.
func usedAs(base modelStory, attack func(*modelStory)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, is bool) scene.Verdict {
		if is {
			attack(&base)
		}
		return usedModel(s, base)
	}
}

func withModel(edit func(*predicate.Model)) func(*modelStory) {
	return func(m *modelStory) { m.run = func(r *predicate.AgentRun) { edit(&r.Models[0]) } }
}

// models are attacks by an agent that used what it might not. The run itself is attested.
var models = []row{
	{
		name: "unknown model", attack: "the agent's work comes from a model that the registry does not have", from: modelled,
		do:     usedAs(modelStory{}, withModel(func(m *predicate.Model) { m.Name = "claude-opus-4-20250514" })),
		status: sallyport.ExitShut, codes: []string{"model-unknown"},
	},
	{
		name: "look-alike model", attack: "a model's name differs from an approved one in a letter of another alphabet", from: modelled,
		do:     usedAs(modelStory{}, withModel(func(m *predicate.Model) { m.Name = "cl\u0430ude-sonnet-4-20250514" })),
		status: sallyport.ExitShut, codes: []string{"model-unknown"},
	},
	{
		name: "unstated model", attack: "a run does not say which models it used", from: modelled,
		do:     usedAs(modelStory{}, func(m *modelStory) { m.run = func(r *predicate.AgentRun) { r.Models = nil } }),
		status: sallyport.ExitShut, codes: []string{"model-unknown"},
	},
	{
		name: "unstated model past the gateway", attack: "a run that nothing confined counts no request at the gateway, and names no model", from: modelled,
		do: usedAs(modelStory{run: func(r *predicate.AgentRun) {
			r.Models, r.Prompts, r.Sandbox = nil, &predicate.Prompts{}, &predicate.Sandbox{Mechanism: "bubblewrap"}
		}}, func(m *modelStory) {
			closed := m.run
			m.run = func(r *predicate.AgentRun) { closed(r); r.Sandbox.Mechanism = "none" }
		}),
		status: sallyport.ExitShut, codes: []string{"model-unknown"},
	},
	{
		name: "unapproved model", attack: "an entry stands in the registry, and nobody has approved it", from: modelled,
		do:     usedAs(modelStory{}, func(m *modelStory) { m.approvers = []scene.Key{} }),
		status: sallyport.ExitShut, codes: []string{"model-unapproved"},
	},
	{
		name: "external endpoint approved by a reviewer", attack: "a reviewer without the role security approves an external endpoint", from: modelled,
		do:     usedAs(modelStory{}, func(m *modelStory) { m.approvers = []scene.Key{scene.Bob} }),
		status: sallyport.ExitShut, codes: []string{"endpoint-unapproved"},
	},
	{
		name: "model at another endpoint", attack: "the approved model is reached through somebody else's proxy", from: modelled,
		do:     usedAs(modelStory{}, withModel(func(m *predicate.Model) { m.Endpoint = "https://api.anthropic.com.evil.example/v1/messages" })),
		status: sallyport.ExitShut, codes: []string{"endpoint-unknown"},
	},
	{
		name: "model that had expired", attack: "the run ended after the entry expired; its twin did before, and is judged after", from: modelled,
		do: usedAs(modelStory{ends: time.Now().Add(-30 * time.Minute), run: func(r *predicate.AgentRun) {
			at := time.Now().Add(-time.Hour)
			r.StartedAt, r.EndedAt = predicate.FormatTime(at.Add(-time.Minute)), predicate.FormatTime(at)
		}}, func(m *modelStory) { m.run = nil }),
		status: sallyport.ExitShut, codes: []string{"model-expired"},
	},
	{
		name: "unknown model before a squash", attack: "the work of a run with an unknown model is squashed with an honest run's, so that nothing of it is left but its lines", from: modelled,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			return squashedModel(s, attack, func(r *predicate.AgentRun) { r.Models[0].Name = "gpt-9" })
		},
		status: sallyport.ExitShut, codes: []string{"model-unknown"},
	},
	{
		name: "unknown model under another run's claim before a squash", attack: "a second run claims the first one's commits beside its own, and both are squashed", from: modelled,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			run := s.Run("main", "HEAD")
			run.RunID += "-first"
			run.RecordHead = string(sallyport.SHA256([]byte(run.RunID)))
			run.Models = []predicate.Model{{Provider: "anthropic", Name: "claude-sonnet-4-20250514", Endpoint: "https://api.anthropic.com/v1/messages", Requests: 1}}
			if attack {
				run.Models[0].Name = "gpt-9"
			}
			s.Attest(run, scene.Supervisor)
			s.Append("server.py", "# tail\n")
			s.AgentCommit("Say where it ends")
			all := s.Run("main", "HEAD")
			all.Models = []predicate.Model{{Provider: "anthropic", Name: "claude-sonnet-4-20250514", Endpoint: "https://api.anthropic.com/v1/messages", Requests: 1}}
			s.Attest(all, scene.Supervisor)
			squash(s, false)
			return s.Check()
		},
		status: sallyport.ExitShut, codes: []string{"model-unknown"},
	},
	{
		name: "silent hooks before a squash", attack: "the same, and the first run's hooks were never heard", from: modelled,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			return squashedModel(s, attack, func(r *predicate.AgentRun) {
				r.Hooks, r.Prompts = &predicate.HookBeats{Installed: true}, &predicate.Prompts{Requests: 3}
			})
		},
		status: sallyport.ExitShut, codes: []string{"run-hooks-silent"},
	},
	{
		name: "revoked model before a squash", attack: "the same, and the first run's model was revoked after it", from: modelled,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			haiku := "  - " + strings.SplitN(strings.ReplaceAll(modelFile, "claude-sonnet-4", "claude-haiku-4"), "  - ", 2)[1]
			ends := predicate.FormatTime(time.Now().Add(48 * time.Hour))
			s = s.Restage(s.TB, scene.Options{Files: map[string]string{".sallyport/models.yaml": fmt.Sprintf(modelFile+haiku, ends, ends)}})
			for _, name := range []string{"anthropic/claude-sonnet-4", "anthropic/claude-haiku-4"} {
				sayOf(s, name, scene.Alice, "add")
				sayOf(s, name, scene.Erin, "approve")
			}
			s.Git("switch", "-q", "-c", "work")
			addFeature(s)
			if attack {
				sayOf(s, "anthropic/claude-haiku-4", scene.Erin, "revoke", "--reason", "It answers with the data of others.")
			}
			return squashedModel(s, true, func(r *predicate.AgentRun) { r.Models[0].Name = "claude-haiku-4-20250514" })
		},
		status: sallyport.ExitShut, codes: []string{"model-revoked"},
	},
	{
		name: "revoked model", attack: "the model was revoked after the run", from: modelled,
		do:     usedAs(modelStory{}, func(m *modelStory) { m.revoked = true }),
		status: sallyport.ExitShut, codes: []string{"model-revoked"},
	},
	{
		name: "revoked model whose revocation is lost", attack: "whoever holds the evidence deletes the revocation, and brings the rest back", from: modelled,
		do:     usedAs(modelStory{lost: true}, func(m *modelStory) { m.revoked = true }),
		status: sallyport.ExitShut, codes: []string{"model-revoked"},
	},
}

// squashedModel has two runs write one below the other, and lands their squash. Bad changes what the
// first of them says of itself.
func squashedModel(s *scene.Scene, attack bool, bad func(*predicate.AgentRun)) scene.Verdict {
	s.TB.Helper()
	sonnet := func(r predicate.AgentRun) predicate.AgentRun {
		r.Models = []predicate.Model{{Provider: "anthropic", Name: "claude-sonnet-4-20250514", Endpoint: "https://api.anthropic.com/v1/messages", Requests: 1}}
		return r
	}
	first := s.Rev("HEAD")
	run := sonnet(s.Run("main", "HEAD"))
	if attack {
		bad(&run)
	}
	s.Attest(run, scene.Supervisor)
	s.Append("server.py", "# tail\n")
	s.AgentCommit("Say where it ends")
	s.Attest(sonnet(s.Run(first, "HEAD")), scene.Supervisor)
	squash(s, false)
	return s.Check()
}
