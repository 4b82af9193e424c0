package runcert

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/predicate"
)

// provenanceType is SLSA's. Its invocation is the run, and its source the repository.
const provenanceType = "https://slsa.dev/provenance/v1"

// buildType is that of `sallyport build` and pipelines, whose provenance says which agent started the run.
const buildType = "https://sallyport.dev/build/command/v1"

// Types returns the predicate types that a run's key can sign: those that name the run that made
// them. What does not name it could be taken from one run for another's.
func Types() []string { return []string{predicate.AgentRunType, provenanceType} }

// Nameable reports whether statements of a predicate type name the run that made them.
func Nameable(predicateType string) bool { return slices.Contains(Types(), predicateType) }

// Covers reports, as an error, in what a statement is about another run, repository or principal
// than b. Its error wraps [ErrOther].
func (b Binding) Covers(predicateType string, body []byte) error {
	differ := func(what, is, want string) error {
		return fmt.Errorf("%w: its %s is %.200q, and the key is bound to %.200q", ErrOther, what, is, want)
	}
	switch predicateType {
	case predicate.AgentRunType:
		r, err := predicate.DecodeAgentRun(body)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %s", ErrOther, err)
		case r.RunID != b.RunID:
			return differ("run", r.RunID, b.RunID)
		case r.Repository != b.Repository:
			return differ("repository", r.Repository, b.Repository)
		case r.Operator != b.Operator:
			return differ("operator", r.Operator, b.Operator)
		case b.Principal.Kind != "workload" && r.Agent.Name != b.Principal.Name:
			return differ("principal", r.Agent.Name, b.Principal.Name)
		case r.Supervisor.Separation != b.Separation:
			return differ("supervisor's separation", string(r.Supervisor.Separation), string(b.Separation))
		}
		return nil
	case provenanceType:
		return b.coversProvenance(body, differ)
	}
	return fmt.Errorf("%w: what %.200q says of its run is not known here", ErrOther, predicateType)
}

// coversProvenance asks for the run as the invocation, and the repository as the first dependency,
// which is the source (docs/build.md). An agent that our own build type states as the initiator has to be the key's, unless that
// is a workload's, in whose jobs agents work. An operator provenance has no place for. The builder, whose word it is, is the release gate's to compare.
func (b Binding) coversProvenance(body []byte, differ func(what, is, want string) error) error {
	var p struct {
		BuildDefinition struct {
			BuildType            string          `json:"buildType"`
			InternalParameters   json.RawMessage `json:"internalParameters"`
			ResolvedDependencies []struct {
				URI string `json:"uri"`
			} `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Metadata struct {
				InvocationID string `json:"invocationId"`
			} `json:"metadata"`
		} `json:"runDetails"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("%w: its provenance cannot be read", ErrOther)
	}
	if id := p.RunDetails.Metadata.InvocationID; id != b.RunID {
		return differ("run", id, b.RunID)
	}
	source := ""
	if d := p.BuildDefinition.ResolvedDependencies; len(d) > 0 {
		source = d[0].URI
	}
	uri := strings.TrimPrefix(source, "git+")
	if i := strings.LastIndexByte(uri, '@'); i >= 0 { // what follows is the ref
		uri = uri[:i]
	}
	bare := func(s string) string { return strings.TrimPrefix(s, "https://") } // configurations name a host and path
	if bare(uri) != bare(b.Repository) || source == "" {
		return differ("repository", source, b.Repository)
	}
	if p.BuildDefinition.BuildType != buildType || b.Principal.Kind == "workload" {
		return nil
	}
	var own struct {
		Initiator struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"initiator"`
	}
	if raw := p.BuildDefinition.InternalParameters; raw != nil && json.Unmarshal(raw, &own) != nil {
		return fmt.Errorf("%w: its internal parameters cannot be read", ErrOther)
	}
	if own.Initiator.Kind == "agent" && own.Initiator.Name != b.Principal.Name {
		return differ("initiator", own.Initiator.Name, b.Principal.Name)
	}
	return nil
}
