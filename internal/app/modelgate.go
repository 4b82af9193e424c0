package app

import (
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/gate/merge"
	"github.com/sallyport-dev/sallyport/internal/model"
	"github.com/sallyport-dev/sallyport/predicate"
)

// useOfRuns is what an agent's run uses a model for.
const useOfRuns = "code"

// modelJudge is merge.Registry under what governs the workspace.
type modelJudge struct{ w *workspace }

// modelJudge returns what judges the models of runs, and nil where there is no registry.
func (w *workspace) modelJudge() merge.Registry {
	if w.models == nil {
		return nil
	}
	return modelJudge{w}
}

func (j modelJudge) At(evidence []sallyport.Evidence, at time.Time) (func(predicate.AgentRun) []sallyport.ModelInput, error) {
	r, err := model.New(j.w.models, evidence, j.w.modelContext(at))
	if err != nil {
		return nil, err
	}
	return func(p predicate.AgentRun) []sallyport.ModelInput { return modelsOf(r, p) }, nil
}

// modelsOf holds the models of a run against the registry, at both ends of the run: what expired before it
// ended was used without leave. A revocation counts whenever it came. A run that does not say which
// models it used says so itself only if its network was closed but for the gateway, and that counted no request.
func modelsOf(r *model.Registry, p predicate.AgentRun) []sallyport.ModelInput {
	if len(p.Models) == 0 {
		if p.Prompts != nil && p.Prompts.Requests == 0 && p.Sandbox != nil && p.Sandbox.Mechanism != "none" {
			return nil
		}
		return []sallyport.ModelInput{{
			Run: p.RunID, Agent: p.Agent.Name, Code: model.CodeUnknown,
			Text: fmt.Sprintf("run %s does not say which models it used", p.RunID),
		}}
	}
	out := make([]sallyport.ModelInput, 0, len(p.Models))
	for _, m := range p.Models {
		in := sallyport.ModelInput{Run: p.RunID, Agent: p.Agent.Name, Provider: m.Provider, Name: m.Name, Endpoint: m.Endpoint}
		v := verdictOf(r, p, m)
		in.Entry, in.Allowed, in.Code = v.Entry, v.Allowed, v.Code
		if !v.Allowed {
			in.Text = fmt.Sprintf("run %s used a model that it might not: %s", p.RunID, v.Text)
		}
		out = append(out, in)
	}
	return out
}

func verdictOf(r *model.Registry, p predicate.AgentRun, m predicate.Model) model.Verdict {
	if _, revoked := r.Known(sallyport.Digest(m.Entry)); revoked {
		return model.Verdict{Code: model.CodeRevoked, Entry: sallyport.Digest(m.Entry), Text: fmt.Sprintf("the entry %s of %s was revoked", sallyport.Digest(m.Entry).Short(), m.Name)}
	}
	var v model.Verdict
	for _, when := range []string{p.StartedAt, p.EndedAt} {
		at, err := predicate.ParseTime(when)
		if err != nil {
			return model.Verdict{Code: model.CodeUnknown, Text: "the times of the run cannot be read"}
		}
		v = r.Check(model.Request{
			Principal: sallyport.Principal{Kind: sallyport.Agent, Name: p.Agent.Name}, Operator: p.Operator, Repository: p.Repository,
			Provider: m.Provider, Model: m.Name, Endpoint: m.Endpoint, Use: useOfRuns, Time: at,
		})
		if !v.Allowed {
			return v
		}
	}
	return v
}
