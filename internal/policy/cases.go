package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// ErrCases is wrapped by errors about case files. Cases that fail are results, not errors.
var ErrCases = errors.New("cases cannot be run")

const (
	maxCaseBytes = 1 << 20
	maxCases     = 10_000
)

// caseFile is a *_test.yaml file.
type caseFile struct {
	Cases []testCase `yaml:"cases"`
}

type testCase struct {
	// Note says in a sentence what the case shows. No two cases of a set share one.
	Note string `yaml:"note"`
	// Data replaces top-level keys of the set's data and of the settings.
	Data map[string]any `yaml:"data"`
	// Input is laid over a change that passes: see openInput. Objects are joined key by key; a
	// list replaces the list below it, and what its members leave out is empty, zero or false.
	Input map[string]any `yaml:"input"`
	// Want are the codes that the set gives, in any order, each once. It must be stated.
	Want *[]string `yaml:"want"`
	// WantOutcome is shut, waiting or open; without it only the codes are compared.
	WantOutcome string `yaml:"want_outcome"`
}

// Results are what running cases gave.
type Results struct {
	Set   string       `json:"set"`
	Cases []CaseResult `json:"cases"`
	// Unproved are the codes of the rule table that no passing case wants: rules that could be
	// deleted without a case noticing.
	Unproved []string `json:"unproved"`
}

// A CaseResult is what one case gave.
type CaseResult struct {
	File    string            `json:"file"`
	Note    string            `json:"note"`
	Pass    bool              `json:"pass"`
	Want    []string          `json:"want"`
	Got     []string          `json:"got"`
	Outcome sallyport.Outcome `json:"outcome"`
	Why     string            `json:"why,omitempty"` // why it failed
}

// Failed counts the cases that did not pass.
func (r Results) Failed() int {
	n := 0
	for _, c := range r.Cases {
		if !c.Pass {
			n++
		}
	}
	return n
}

// Test runs cases against a set: those of the given files by name, or the set's own if files
// is nil. It is an error if a file does not parse or holds no cases, if two cases have one
// note, or if there are no cases at all: a test that tests nothing must not pass.
func Test(ctx context.Context, set Set, files map[string][]byte) (Results, error) {
	c, err := compileSet(set, Data{})
	if err != nil {
		return Results{}, err
	}
	if files == nil {
		files = map[string][]byte{}
		for _, name := range c.loaded.cases {
			files[name] = set.Files[name]
		}
	}
	if len(files) == 0 {
		return Results{}, fmt.Errorf("%w: set %s has no *_test.yaml", ErrCases, set.Name)
	}
	res := Results{Set: set.Name, Unproved: []string{}}
	notes := map[string]string{}
	proved := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		cases, err := parseCases(files[name])
		if err != nil {
			return Results{}, fmt.Errorf("%w: %s: %w", ErrCases, name, err)
		}
		for _, tc := range cases {
			if first, dup := notes[tc.Note]; dup {
				return Results{}, fmt.Errorf("%w: %q stands in %s and in %s", ErrCases, tc.Note, first, name)
			}
			notes[tc.Note] = name
			if len(notes) > maxCases {
				return Results{}, fmt.Errorf("%w: more than %d", ErrCases, maxCases)
			}
			r := c.run(ctx, tc)
			r.File = name
			if err := ctx.Err(); err != nil {
				return Results{}, fmt.Errorf("run cases of %s: %w", set.Name, err)
			}
			for _, code := range r.Want {
				proved[code] = proved[code] || r.Pass
			}
			res.Cases = append(res.Cases, r)
		}
	}
	for code := range c.rules {
		if !proved[code] {
			res.Unproved = append(res.Unproved, code)
		}
	}
	slices.Sort(res.Unproved)
	return res, nil
}

func parseCases(b []byte) ([]testCase, error) {
	var f caseFile
	if err := strict.YAML(b, maxCaseBytes, &f); err != nil {
		return nil, err
	}
	if len(f.Cases) == 0 {
		return nil, errors.New("it holds no cases")
	}
	for i, tc := range f.Cases {
		switch {
		case strings.TrimSpace(tc.Note) == "":
			return nil, fmt.Errorf("case %d has no note", i+1)
		case tc.Want == nil:
			return nil, fmt.Errorf("%q does not say what it wants", tc.Note)
		case tc.WantOutcome != "":
			var o sallyport.Outcome
			if err := o.UnmarshalText([]byte(tc.WantOutcome)); err != nil {
				return nil, fmt.Errorf("%q: want_outcome: %w", tc.Note, err)
			}
		}
	}
	return f.Cases, nil
}

// run runs one case on a copy of the set that has the case's data.
func (c *compiled) run(ctx context.Context, tc testCase) CaseResult {
	want := slices.Clone(*tc.Want)
	slices.Sort(want)
	r := CaseResult{Note: tc.Note, Want: slices.Compact(want), Got: []string{}}
	with := *c
	with.loaded = &loaded{set: c.loaded.set, data: maps.Clone(c.loaded.data)}
	gate := c.loaded.manifest.gate()
	if with.loaded.data == nil {
		with.loaded.data = map[string]any{}
	}
	maps.Copy(with.loaded.data, tc.Data)
	data, err := with.loaded.dataObject(Data{})
	if err != nil {
		r.Why = err.Error()
		return r
	}
	with.store = inmem.NewFromASTObject(data)
	input, err := caseInput(gate, tc.Input)
	if err != nil {
		r.Why = err.Error()
		return r
	}
	v, err := (&Evaluator{sets: []*compiled{&with}, gate: gate}).Evaluate(ctx, gate, input)
	if err != nil {
		r.Why = err.Error()
		return r
	}
	r.Outcome = v.Outcome
	r.Got = append(r.Got, v.PerSet[0].Codes...)
	switch {
	case !slices.Equal(r.Got, r.Want):
		r.Why = fmt.Sprintf("got %v, want %v", r.Got, r.Want)
	case tc.WantOutcome != "" && tc.WantOutcome != v.Outcome.String():
		r.Why = fmt.Sprintf("the outcome is %s, want %s", v.Outcome, tc.WantOutcome)
	default:
		r.Pass = true
	}
	return r
}

// caseInput lays a partial input over one that passes, and encodes it.
func caseInput(gate sallyport.Gate, partial map[string]any) ([]byte, error) {
	var open any = openInput()
	switch gate {
	case sallyport.GateRelease:
		open = openRelease()
	case sallyport.GateTool:
		open = openTool()
	}
	b, err := sallyport.EncodeJSON(open)
	if err != nil {
		return nil, err
	}
	var below map[string]any
	if err := json.Unmarshal(b, &below); err != nil {
		return nil, err
	}
	// The partial input goes through JSON so that numbers and keys are what JSON has.
	b, err = sallyport.EncodeJSON(partial)
	if err != nil {
		return nil, err
	}
	var over map[string]any
	if err := json.Unmarshal(b, &over); err != nil {
		return nil, err
	}
	return sallyport.EncodeJSON(lay(gates[gate](), below, over))
}

// lay puts over on below. What over has and the vocabulary does not know stays, so that the
// evaluation refuses it.
func lay(s *shape, below, over any) any {
	switch o := over.(type) {
	case map[string]any:
		b, ok := below.(map[string]any)
		if !ok || s.kind != kindObject {
			return over
		}
		out := maps.Clone(b)
		for key, v := range o {
			if f := s.fields[key]; f != nil {
				out[key] = lay(f.shape, b[key], v)
			} else {
				out[key] = v
			}
		}
		return out
	case []any:
		if s.kind != kindArray || s.elem.kind != kindObject {
			return over
		}
		out := make([]any, len(o))
		for i, v := range o {
			out[i] = lay(s.elem, zeroOf(s.elem), v)
		}
		return out
	default:
		return over
	}
}

// zeroOf is the emptiest value of a shape.
func zeroOf(s *shape) any {
	switch s.kind {
	case kindObject:
		m := map[string]any{}
		for name, f := range s.fields {
			if f.required {
				m[name] = zeroOf(f.shape)
			}
		}
		return m
	case kindArray:
		return []any{}
	case kindString:
		return ""
	case kindBool:
		return false
	case kindCount, kindInteger:
		return 0
	default:
		return nil
	}
}

// openInput is what cases start from: a change by an approved agent, in a run that is attested,
// approved by a person, under a pinned root that it does not touch. The baseline lets it pass.
func openInput() sallyport.Input {
	commit := func(digit string) sallyport.Digest { return sallyport.GitCommit(strings.Repeat(digit, 40)) }
	tree := sallyport.GitTree(strings.Repeat("3", 40))
	root := sallyport.SHA256([]byte("root"))
	lines := sallyport.Weights{Agent: 3}
	return sallyport.Input{
		Version: "v1", Gate: sallyport.GateMerge, Time: "2026-11-22T12:00:00Z", Mode: sallyport.Enforce,
		Subject:    sallyport.Subject{Digest: commit("2")},
		Repository: "example.org/acme/app",
		Trust:      sallyport.Trust{Pinned: true, Root: root, Source: SourceRef, ResultRoot: root},
		PullRequest: sallyport.PullRequest{
			FromAgent: true, HasAttestation: true, HumanApproved: true,
			Base: "refs/heads/main", Head: commit("2"),
		},
		Change: sallyport.ChangeInput{
			TargetRef: "refs/heads/main", RefAction: "update",
			Base: commit("1"), Head: commit("2"), MergeTree: tree,
			Commits: []sallyport.CommitInput{{
				ID: commit("2"), Title: "add a feature",
				Author: sallyport.Ident{Name: "Ada", Email: "ada@example.org", Time: 1},
				Attribution: sallyport.Attribution{
					Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "claude-code"}, Grade: sallyport.Observed,
				},
				Signature: sallyport.SignatureCheck{Kind: "none", State: sallyport.SignatureNone},
			}},
			Files: []sallyport.FileInput{{
				Path: "src/app.go", Status: "modified", OldMode: "100644", NewMode: "100644", Added: 3, Attribution: lines,
			}},
			Coverage:          sallyport.Coverage{Units: sallyport.Weights{Agent: 1}, Lines: lines, Attested: 3, Total: 3},
			ApprovalsRequired: 1, ApprovalsCounting: 1,
		},
		Approvals: []sallyport.Approval{{
			Attestation: sallyport.SHA256([]byte("approval")), Reviewer: "grace", Grade: sallyport.Present,
			Eligible: true, Fresh: true, Counts: true, Head: commit("2"),
		}},
		Agents: []sallyport.AgentInput{{Name: "claude-code", Approved: true, Operator: "ada", Weight: 3}},
	}
}

// openRelease is what cases of the release gate start from: one commit since the last release, which the
// merge gate has let pass, and one artifact with provenance of an observed run, a bill of materials and
// tests that passed. The release set lets it pass.
func openRelease() sallyport.ReleaseInput {
	commit := sallyport.GitCommit(strings.Repeat("2", 40))
	ci := sallyport.Principal{Kind: sallyport.Workload, Name: "ci"}
	root := sallyport.SHA256([]byte("root"))
	test := sallyport.TestInput{Attestation: sallyport.SHA256([]byte("tests")), Signer: ci, Grade: sallyport.Observed, Result: "PASSED"}
	return sallyport.ReleaseInput{
		Version: "v1", Gate: sallyport.GateRelease, Time: "2026-11-22T12:00:00Z", Mode: sallyport.Enforce,
		Subject:    sallyport.Subject{Digest: commit},
		Repository: "example.org/acme/app",
		Trust:      sallyport.Trust{Pinned: true, Root: root, Source: SourceRef, ResultRoot: root},
		Settings:   sallyport.ReleaseSettings{Grades: []sallyport.Grade{sallyport.Observed}, Require: []string{"sbom", "tests"}, Advisories: sallyport.ReleaseAdvisories{ShutAt: "high"}, BuildInputs: "tell"},
		Advisories: sallyport.AdvisoryLook{State: "looked", Files: 1, Bills: 1, Packages: 1},
		Release: sallyport.Release{
			Ref: "refs/heads/main", Commit: commit, Tree: sallyport.GitTree(strings.Repeat("3", 40)),
			Since: sallyport.GitCommit(strings.Repeat("1", 40)), Basis: "release", OnRef: true, Gated: true, Decided: true, Commits: 1,
			Decisions: []sallyport.MergeDecision{{Decision: sallyport.SHA256([]byte("decision")), Signer: ci, Head: commit, Covers: 1}},
			Tests:     []sallyport.TestInput{test},
		},
		Artifacts: []sallyport.ArtifactInput{{
			Name: "app.tar.gz", Digest: sallyport.SHA256([]byte("artifact")),
			Provenance: []sallyport.ProvenanceInput{{
				Attestation: sallyport.SHA256([]byte("provenance")), Signer: ci, Grade: sallyport.Observed,
				Builder: "https://ci.example.org/runner", Source: true, Succeeded: true,
			}},
			SBOM: []sallyport.SBOMInput{{
				Attestation: sallyport.SHA256([]byte("sbom")), Signer: ci, Grade: sallyport.Observed,
				PredicateType: "https://cyclonedx.org/bom", About: "artifact",
			}},
		}},
	}
}

// openTool is what cases of tool calls start from: a command that lists a folder.
func openTool() sallyport.ToolInput {
	return sallyport.ToolInput{
		Version: "v1", Gate: sallyport.GateTool, Time: "2026-11-22T12:00:00Z", Mode: sallyport.Enforce,
		Agent: "claude", Tool: "Bash", Class: "shell",
		Commands: []sallyport.ToolCommand{{Name: "ls", Args: []string{"-la"}}},
	}
}
