package app

import (
	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/pipeline"
)

// A PipelineReport is what came of a pipeline.
type PipelineReport struct {
	Commit    sallyport.Digest
	Ref       string
	Output    string // the folder; what is in it is of this run
	Steps     []pipeline.Result
	Artifacts []PipelineFile
	Release   *ReleaseReport // nil if the gate was not asked
}

// A PipelineFile is an artifact in the folder.
type PipelineFile struct {
	Name   string           `json:"name"`
	Digest sallyport.Digest `json:"digest"`
}

// ExitStatus is the gate's. Without its answer, a step that failed shuts, and one that could not be done is no answer.
func (r PipelineReport) ExitStatus() int {
	failed := false
	for _, s := range r.Steps {
		if s.State == pipeline.Broken {
			return sallyport.ExitUndecided
		}
		failed = failed || s.State == pipeline.Failed
	}
	switch {
	case r.Release != nil:
		return r.Release.Decision.ExitStatus()
	case failed:
		return sallyport.ExitShut
	}
	return sallyport.ExitUndecided
}

// A PipelineSummary is what a pipeline says of itself for machines. It is signed by nobody: what it says stands
// in statements that are.
type PipelineSummary struct {
	Version    string           `json:"version"`
	Commit     sallyport.Digest `json:"commit"`
	Ref        string           `json:"ref"`
	Outcome    string           `json:"outcome"` // of the gate, whatever the mode; "failed" or "undecided" if it was not asked
	Mode       sallyport.Mode   `json:"mode,omitempty"`
	ExitStatus int              `json:"exit_status"`
	Output     string           `json:"output"`
	Decision   sallyport.Digest `json:"decision,omitempty"`
	Reasons    []string         `json:"reasons"` // codes of the gate's
	Steps      []PipelineStep   `json:"steps"`
	Artifacts  []PipelineFile   `json:"artifacts"`
}

// A PipelineStep is one step in a summary.
type PipelineStep struct {
	Name         string `json:"name"`
	State        string `json:"state"`
	Detail       string `json:"detail,omitempty"`
	Error        string `json:"error,omitempty"`
	Milliseconds int64  `json:"milliseconds"`
}

// Summary returns the report for machines.
func (r PipelineReport) Summary() PipelineSummary {
	s := PipelineSummary{
		Version: "v1", Commit: r.Commit, Ref: r.Ref, Output: r.Output, ExitStatus: r.ExitStatus(), Reasons: []string{},
		Artifacts: append([]PipelineFile{}, r.Artifacts...), Outcome: "undecided",
	}
	switch {
	case r.Release != nil:
		d := r.Release.Decision
		s.Outcome, s.Mode, s.Decision, s.Reasons = d.Outcome.String(), d.Mode, r.Release.Receipt.ID, codesOf(d.Reasons)
	case s.ExitStatus == sallyport.ExitShut:
		s.Outcome = "failed"
	}
	for _, step := range r.Steps {
		state, _ := step.State.MarshalText()
		one := PipelineStep{Name: step.Name, State: string(state), Detail: step.Detail, Milliseconds: step.Duration.Milliseconds()}
		if step.Err != nil {
			one.Error = step.Err.Error()
		}
		s.Steps = append(s.Steps, one)
	}
	return s
}
