package claims

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// The texts here are made by hand from the formats' specifications; none is a copy of anybody's.
const gitAINote = `src/main.go
  s_0123456789abcd::t_fedcba98765432 1-3,7
  h_0011223344 8
"src/with \"quote\".go"
  89abcdef01234567 4-4
---
{
  "schema_version": "authorship/3.0.0",
  "base_commit_sha": "` + commit + `",
  "sessions": {"s_0123456789abcd": {"agent_id": {"tool": "claude", "id": "6ef2299e", "model": "claude-opus-4-6"}, "human_author": "Alice <alice@example.com>"}},
  "prompts": {"89abcdef01234567": {"agent_id": {"tool": "cursor", "id": "c1", "model": "unknown"}, "custom_attributes": {"team": "pay"}}},
  "humans": {"h_0011223344": {"author": "Bob <bob@example.com>"}},
  "something_new": [1, 2]
}
`

const traceText = `{"version":"0.1.0","id":"550e8400-e29b-41d4-a716-446655440000","timestamp":"2026-01-23T14:30:00Z",
"vcs":{"type":"git","revision":"` + commit + `"},"tool":{"name":"cursor","version":"2.4"},
"files":[{"path":"src/a.ts","conversations":[{"url":"https://api.example.com/c/1","contributor":{"type":"ai","model_id":"anthropic/claude-opus-4-5"},
"ranges":[{"start_line":5,"end_line":9,"content_hash":"murmur3:9f2e8a1b"},{"start":12,"end":12,"contributor":{"type":"human"}}]}]}]}`

const entireText = `{"checkpoint_id":"a1b2c3d4e5f6","session_id":"2026-01-02-x","agent":"Claude Code","files_touched":["a.go","b.go"],"initial_attribution":{"agent_percentage":73.4}}`

const chainloopText = `{"chainloop.material.evidence.id":"CHAINLOOP_AI_CODING_SESSION","schema":"https://schemas.chainloop.dev/aicodingsession/0.1/ai-coding-session.schema.json",
"data":{"schema_version":"v1","agent":{"name":"claude-code","version":"2.1"},"session":{"id":"11111111-2222-3333-4444-555555555555"},
"git_context":{"commits":["` + commit + `"]},"model":{"primary":"claude-opus-4-6"},"code_changes":{"files":[{"path":"a.go","ranges":[{"start":1,"end":2,"attribution":"ai"}]}]},"usage":{}}}`

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		name string
		read func() ([]Claim, error)
		want []Claim
	}{
		{"git-ai", func() ([]Claim, error) { return FromGitAI(commit, []byte(gitAINote)) }, []Claim{
			{Kind: GitAI, Commit: commit, Path: "src/main.go", Start: 1, End: 3, By: ByAgent, Agent: "claude", Model: "claude-opus-4-6", Session: "6ef2299e", Human: "Alice <alice@example.com>"},
			{Kind: GitAI, Commit: commit, Path: "src/main.go", Start: 7, End: 7, By: ByAgent, Agent: "claude", Model: "claude-opus-4-6", Session: "6ef2299e", Human: "Alice <alice@example.com>"},
			{Kind: GitAI, Commit: commit, Path: "src/main.go", Start: 8, End: 8, By: ByHuman, Human: "Bob <bob@example.com>"},
			{Kind: GitAI, Commit: commit, Path: `src/with "quote".go`, Start: 4, End: 4, By: ByAgent, Agent: "cursor", Model: "unknown", Session: "c1"},
		}},
		{"agent-trace", func() ([]Claim, error) { return FromAgentTrace([]byte(traceText)) }, []Claim{
			{Kind: AgentTrace, Commit: commit, Path: "src/a.ts", Start: 5, End: 9, By: ByAgent, Agent: "cursor", Model: "anthropic/claude-opus-4-5", Session: "https://api.example.com/c/1"},
			{Kind: AgentTrace, Commit: commit, Path: "src/a.ts", Start: 12, End: 12, By: ByHuman, Agent: "cursor", Session: "https://api.example.com/c/1"},
		}},
		{"entire", func() ([]Claim, error) { return FromEntire([]byte(entireText)) }, []Claim{
			{Kind: Entire, Path: "a.go", By: ByMixed, Agent: "Claude Code", Session: "a1b2c3d4e5f6", Note: "session 2026-01-02-x; 73% of the lines by the agent"},
			{Kind: Entire, Path: "b.go", By: ByMixed, Agent: "Claude Code", Session: "a1b2c3d4e5f6", Note: "session 2026-01-02-x; 73% of the lines by the agent"},
		}},
		{"chainloop", func() ([]Claim, error) { return FromChainloop([]byte(chainloopText)) }, []Claim{
			{Kind: Chainloop, Path: "a.go", By: ByMixed, Agent: "claude-code", Model: "claude-opus-4-6", Session: "11111111-2222-3333-4444-555555555555"},
			{Kind: Chainloop, Commit: commit, Path: "a.go", Start: 1, End: 2, By: ByAgent, Agent: "claude-code", Model: "claude-opus-4-6", Session: "11111111-2222-3333-4444-555555555555"},
		}},
		{"message", func() ([]Claim, error) {
			return FromMessage("Fix it\n\nSee https://cursor.com/agents/bc-1 (and [this](https://claude.ai/code/session_01X)).\n\n" +
				"Assisted-by: Claude:claude-3-opus [coccinelle] [sparse]\nAssisted-by: Opus 4.7\nAssisted-by: Claude Code (Sonnet 4.6)\n" +
				"Assisted-by: A Person <p@example.com>\nAgent-Logs-Url: https://github.com/o/r/sessions/7\nChainloop-Trace-Sessions: aa,bb\nMade-with: Cursor\n"), nil
		}, []Claim{
			{Kind: Text, By: ByAgent, Agent: "claude-code", Session: "https://claude.ai/code/session_01X", Note: "a link"},
			{Kind: Text, By: ByAgent, Agent: "cursor", Session: "https://cursor.com/agents/bc-1", Note: "a link"},
			{Kind: Text, By: ByMixed, Agent: "Claude", Model: "claude-3-opus", Note: "with coccinelle, sparse"},
			{Kind: Text, By: ByMixed, Agent: "Opus 4.7", Model: "Opus 4.7"},
			{Kind: Text, By: ByMixed, Agent: "Claude Code", Model: "Sonnet 4.6"},
			{Kind: Text, By: ByAgent, Agent: "copilot", Session: "https://github.com/o/r/sessions/7", Note: "the line agent-logs-url"},
			{Kind: Text, By: ByAgent, Session: "aa", Note: "the line chainloop-trace-sessions"},
			{Kind: Text, By: ByAgent, Session: "bb", Note: "the line chainloop-trace-sessions"},
			{Kind: Text, By: ByMixed, Agent: "Cursor"},
		}},
	} {
		got, err := c.read()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, read := range map[string]func() ([]Claim, error){
		"a note without metadata":     func() ([]Claim, error) { return FromGitAI(commit, []byte("a\n  x 1\n")) },
		"a range that goes backwards": func() ([]Claim, error) { return FromGitAI(commit, []byte("a\n  x 5-2\n---\n{}")) },
		"lines before any path":       func() ([]Claim, error) { return FromGitAI(commit, []byte("  x 5\n---\n{}")) },
		"metadata with a key twice": func() ([]Claim, error) {
			return FromGitAI(commit, []byte("a\n  x 5\n---\n{\"prompts\":{},\"prompts\":{}}"))
		},
		"a record of something else":   func() ([]Claim, error) { return FromAgentTrace([]byte(`{"a":1}`)) },
		"a checkpoint without an id":   func() ([]Claim, error) { return FromEntire([]byte(`{"session_id":"x"}`)) },
		"a material of something else": func() ([]Claim, error) { return FromChainloop([]byte(`{"data":{}}`)) },
	} {
		if _, err := read(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
	ranges := strings.TrimSuffix(strings.Repeat("1,", MaxClaims+1), ",")
	if _, err := FromGitAI(commit, []byte("a\n  x "+ranges+"\n---\n{}")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many claims: %v, want ErrTooLarge", err)
	}
}

// A record of a session says something about every commit whose message names the session.
func TestIndexJoinsSessions(t *testing.T) {
	all, err := FromEntire([]byte(entireText))
	if err != nil {
		t.Fatal(err)
	}
	got := NewIndex(all).About(commit, "Do it\n\nEntire-Checkpoint: a1b2c3d4e5f6\n")
	if len(got) != 3 || got[1].Agent != "Claude Code" || got[1].Commit != commit || got[1].Path != "a.go" {
		t.Errorf("got %+v, want the trailer and the checkpoint's two files", got)
	}
	if got := NewIndex(all).About(commit, "Do it\n"); len(got) != 0 {
		t.Errorf("a commit that names no session has claims: %+v", got)
	}
}

// check holds claims to what every reader of them relies on.
func check(t *testing.T, all []Claim, err error) {
	t.Helper()
	if err != nil && len(all) > 0 && !errors.Is(err, ErrTooLarge) {
		t.Errorf("claims beside the error %v", err)
	}
	if len(all) > MaxClaims {
		t.Errorf("%d claims", len(all))
	}
	for _, c := range all {
		switch {
		case c.Start < 0 || (c.Start > 0) != (c.End > 0) || c.End < c.Start:
			t.Errorf("lines %d to %d", c.Start, c.End)
		case c.Commit != "" && !isCommit(c.Commit):
			t.Errorf("commit %q", c.Commit)
		case c.By == "" || c.Kind == "":
			t.Errorf("nobody's: %+v", c)
		case len(c.Path) > maxPath || max(len(c.Agent), len(c.Model), len(c.Session), len(c.Human), len(c.Note)) > MaxName:
			t.Errorf("a name beyond its bound: %+v", c)
		}
	}
}

func FuzzGitAI(f *testing.F) {
	f.Add([]byte(gitAINote))
	f.Add([]byte("a\n  x 1-\n---\n{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := FromGitAI(commit, b)
		check(t, all, err)
	})
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(traceText))
	f.Add([]byte("[" + traceText + "]"))
	f.Add([]byte(entireText))
	f.Add([]byte(chainloopText))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func([]byte) ([]Claim, error){FromAgentTrace, FromEntire, FromChainloop} {
			all, err := read(b)
			check(t, all, err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add("x\n\nAssisted-by: a:b [c] [d\nClaude-Session: https://claude.ai/code/session_1\n")
	f.Fuzz(func(t *testing.T, s string) {
		all := FromMessage(s)
		check(t, all, nil)
		if len(all) > 2*maxSaid {
			t.Errorf("%d claims of one text", len(all))
		}
	})
}
