package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/hook"
	"github.com/sallyport-dev/sallyport/internal/hook/mcp"
	"github.com/sallyport-dev/sallyport/internal/policy"
	shipped "github.com/sallyport-dev/sallyport/policy"
)

// PreviewMerge says what the merge gate would say about the change that o is about. Nothing is recorded.
func (a *App) PreviewMerge(ctx context.Context, o Options) (_ sallyport.Decision, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return sallyport.Decision{}, err
	}
	defer done(&err, w.Close)
	w.compileAhead(ctx)
	if err := w.find(ctx); err != nil {
		return sallyport.Decision{}, err
	}
	g, p, err := w.mergeGate(ctx)
	if err != nil {
		return sallyport.Decision{}, err
	}
	preview, err := g.Preview(ctx, p)
	if err != nil {
		return sallyport.Decision{}, err
	}
	return preview.Decision, nil
}

// MCP is the server that agents ask before they push. All of its tools only read.
func (a *App) MCP(o Options) *mcp.Server {
	return &mcp.Server{
		Name: "sallyport", Version: Version(),
		Instructions: "Sallyport decides what may be merged here. Ask it before you commit or push, and mend what it says. Its answers are previews: nothing is recorded, and nothing is allowed by them.",
		Tools: []mcp.Tool{
			{
				Name: "gate_preview", Title: "What would the merge gate say?",
				Description: "Judges the commits of this checkout as if they were to land on the target, and says for each reason what mends it. What is not committed is not looked at.",
				Parameters:  []mcp.Parameter{{Name: "target", Description: "the ref to land on, such as refs/heads/main; default: the remote's default branch"}},
				Call: func(ctx context.Context, args map[string]string) (string, error) {
					q := o
					q.Target.Ref = orDefault(args["target"], o.Target.Ref)
					d, err := a.PreviewMerge(ctx, q)
					if err != nil {
						return "", err
					}
					return told(map[string]any{"outcome": d.Outcome, "reasons": d.Reasons})
				},
			},
			{
				Name: "explain_reason", Title: "What does a reason code mean?",
				Description: "Says of a reason code what it means, why the rule is there, and what mends it.",
				Parameters:  []mcp.Parameter{{Name: "code", Description: "such as approval-missing", Required: true}},
				Call:        func(_ context.Context, args map[string]string) (string, error) { return explainCode(args["code"]) },
			},
			{
				Name: "protected_paths", Title: "Which files may an agent not change?",
				Description: "Lists the patterns of files that tools may not change, and of those that wait for a person.",
				Call:        func(context.Context, map[string]string) (string, error) { return protectedPaths() },
			},
			{
				Name: "check_tool_call", Title: "May this command run?",
				Description: "Judges a command line, or a file to be written, as the hook would: allow, ask or deny, with reasons. An install of a package is a command line. Nothing is run.",
				Parameters:  []mcp.Parameter{{Name: "command", Description: "a command line for bash"}, {Name: "path", Description: "a file that would be written"}},
				Call: func(ctx context.Context, args map[string]string) (string, error) {
					return a.checkToolCall(ctx, o, args["command"], args["path"])
				},
			},
			{
				Name: "check_model", Title: "May this model be used?",
				Description: "Asks the model registry that is in force.",
				Parameters: []mcp.Parameter{
					{Name: "provider", Description: "such as anthropic", Required: true}, {Name: "model", Description: "the model's name", Required: true},
					{Name: "endpoint", Description: "the address that is asked"}, {Name: "principal", Description: "KIND:NAME, such as agent:claude-code", Required: true},
				},
				Call: func(ctx context.Context, args map[string]string) (string, error) {
					v, err := a.CheckModel(ctx, o, ModelQuestion{Provider: args["provider"], Model: args["model"], Endpoint: args["endpoint"], Principal: args["principal"]})
					if err != nil {
						return "", err
					}
					return told(v)
				},
			},
		},
	}
}

func told(v any) (string, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return string(b), err
}

func (a *App) checkToolCall(ctx context.Context, o Options, command, path string) (string, error) {
	if command == "" && path == "" {
		return "", errors.New("want a command or a path")
	}
	ev := hook.Event{Agent: hook.Claude, Kind: hook.PreTool, Tool: "mcp", Dir: o.Repo}
	if command != "" {
		ev.Class, ev.Call.Commands = hook.Shell, []string{command}
	}
	if path != "" {
		ev.Call.Writes = []string{path}
	}
	return told(a.JudgeToolCall(ctx, ev))
}

// shippedData reads the data files of the shipped sets.
func shippedData(set fs.FS, into any) error {
	b, err := fs.ReadFile(set, "data.json")
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func explainCode(code string) (string, error) {
	for _, set := range []fs.FS{shipped.Baseline(), shipped.Release(), shipped.Tool()} {
		var d struct {
			Rules map[string]policy.Rule `json:"rules"`
		}
		if err := shippedData(set, &d); err != nil {
			return "", err
		}
		if r, ok := d.Rules[code]; ok {
			return told(map[string]any{"code": code, "title": r.Title, "why": r.Why, "severity": r.Severity, "mend": r.Remedy})
		}
	}
	return "", fmt.Errorf("no shipped rule has the code %.80q; docs/reasons.md has those of errors", strings.TrimSpace(code))
}

func protectedPaths() (string, error) {
	var d struct {
		Protected        []string `json:"protected"`
		ProtectedOutside []string `json:"protected_outside"`
		Guarded          []string `json:"guarded"`
		Credentials      []string `json:"credentials"`
		SecretFiles      []string `json:"secret_files"`
	}
	if err := shippedData(shipped.Tool(), &d); err != nil {
		return "", err
	}
	return told(map[string]any{
		"never_written": slices.Concat(d.Protected, d.ProtectedOutside), "written_when_a_person_agrees": d.Guarded,
		"never_read": d.Credentials, "read_when_a_person_agrees": d.SecretFiles,
	})
}

// ServeMCP answers on standard input and output.
func (a *App) ServeMCP(ctx context.Context, o Options) error {
	if o.Repo == "" {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		o.Repo = dir
	}
	return a.MCP(o).Serve(ctx, a.Stdin, a.Stdout)
}
