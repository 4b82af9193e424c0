package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sallyport-dev/sallyport"
)

var update = flag.Bool("update", false, "rewrite what events are read as and answered with")

// refusal and question are the decisions that every recorded event is answered with.
var decisions = map[string]Decision{
	"allow": {Verdict: Allow},
	"ask":   {Verdict: Ask, Reasons: []sallyport.Reason{{Code: "tool-package", Text: "a package is new", Next: "let a person install it"}}},
	"deny":  {Verdict: Deny, Reasons: []sallyport.Reason{{Code: "tool-protected-path", Text: "a file is protected"}}},
}

// TestContracts reads what each agent is recorded or documented to write, and answers it in three ways. Each
// file says where its standard input comes from; the rest of it is what this package makes of it.
func TestContracts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 30 {
		t.Fatalf("only %d recorded events (%v)", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			have := map[string]string{}
			for _, f := range ar.Files {
				have[f.Name] = string(f.Data)
			}
			if strings.TrimSpace(have["origin"]) == "" {
				t.Error("nobody knows where this was recorded")
			}
			agent, _, _ := strings.Cut(filepath.Base(name), "_")
			a, err := ParseAgent(agent)
			if err != nil {
				t.Fatal(err)
			}
			k, err := ParseKind(strings.TrimSpace(have["kind"]))
			if err != nil {
				t.Fatal(err)
			}
			ev, err := Decode(a, k, []byte(have["stdin"]))
			if err != nil {
				t.Fatal(err)
			}
			event, err := json.MarshalIndent(ev, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			want := []txtar.File{{Name: "origin", Data: []byte(have["origin"])}, {Name: "kind", Data: []byte(have["kind"])}, {Name: "stdin", Data: []byte(have["stdin"])}, {Name: "event", Data: append(event, '\n')}}
			for _, verdict := range []string{"allow", "ask", "deny"} {
				got := Encode(a, k, decisions[verdict])
				want = append(want, txtar.File{Name: verdict, Data: fmt.Appendf(nil, "exit %d\nstdout: %sstderr: %s", got.Exit, orLine(got.Stdout), orLine(got.Stderr))})
			}
			b := txtar.Format(&txtar.Archive{Files: want})
			if *update {
				if err := os.WriteFile(name, b, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if raw, err := os.ReadFile(name); err != nil || !bytes.Equal(raw, b) {
				t.Errorf("%s: got\n%s\nwant\n%s (%v)", name, b, raw, err)
			}
		})
	}
}

func orLine(b []byte) []byte {
	if len(b) == 0 {
		return []byte("\n")
	}
	return b
}

// TestDenyBlocks holds what each agent is known to act on: without it, a refusal is a remark.
func TestDenyBlocks(t *testing.T) {
	for _, a := range Agents() {
		got := Encode(a, PreTool, Decision{}) // the zero decision, which nobody has given a reason
		if got.Exit != blocked && !bytes.Contains(got.Stdout, []byte(`"permissionDecision":"deny"`)) {
			t.Errorf("%s: the zero decision does not block: %+v", a, got)
		}
		if a != Copilot && len(bytes.TrimSpace(got.Stderr)) == 0 {
			t.Errorf("%s: a refusal without a reason, which Codex takes for none", a)
		}
		if ok := Encode(a, PreTool, Decision{Verdict: Allow}); ok.Exit != 0 || strings.Contains(string(ok.Stdout), "allow") {
			t.Errorf("%s: no objection must not switch the agent's own rules off: %s", a, ok.Stdout)
		}
	}
}

func TestUnreadable(t *testing.T) {
	good := `{"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"ls"}}`
	if _, err := Decode(Claude, PreTool, []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, stdin string }{
		{"nothing", ``},
		{"no object", `[]`},
		{"null", `null`},
		{"cut off", good[:40]},
		{"two documents", good + good},
		{"a key twice", `{"tool_name":"Bash",` + good[1:]},
		{"a command twice", strings.Replace(good, `{"command":"ls"}`, `{"command":"ls","Command":"rm -rf /"}`, 1)},
		{"no session", strings.Replace(good, "session_id", "session", 1)},
		{"no event", strings.Replace(good, "hook_event_name", "event", 1)},
		{"an event of next year", strings.Replace(good, "PreToolUse", "PreToolUse2", 1)},
		{"another event", strings.Replace(good, "PreToolUse", "SessionEnd", 1)},
		{"no tool", strings.Replace(good, "tool_name", "tool", 1)},
		{"a tool that is no string", strings.Replace(good, `"Bash"`, `7`, 1)},
		{"an empty tool", strings.Replace(good, `"Bash"`, `" "`, 1)},
		{"no arguments", strings.Replace(good, "tool_input", "input", 1)},
		{"arguments that are a list", strings.Replace(good, `{"command":"ls"}`, `["ls"]`, 1)},
		{"a shell without a command", strings.Replace(good, `"command"`, `"text"`, 1)},
		{"a command that is a number", strings.Replace(good, `"ls"`, `7`, 1)},
		{"a command of numbers", strings.Replace(good, `"ls"`, `["ls",7]`, 1)},
		{"a patch without files", `{"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse","tool_name":"apply_patch","tool_input":{"input":"*** Begin Patch\n*** End Patch"}}`},
		{"deep", strings.Replace(good, `"ls"`, `"ls","x":`+strings.Repeat(`{"x":`, 50)+`1`+strings.Repeat(`}`, 50), 1)},
	} {
		_, err := Decode(Claude, PreTool, []byte(tt.stdin))
		if !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: got %v, want an error", tt.name, err)
		}
	}
}
