package identity

import (
	"reflect"
	"testing"
)

func TestFromEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name    string
		environ []string
		want    Environment
	}{
		{"nothing", []string{"PATH=/bin", "HOME=/home/alice"}, Environment{}},
		{"no environment", nil, Environment{}},
		{"an agent and its session", []string{"CLAUDECODE=1", "CLAUDE_CODE_SESSION_ID=5b2f-1", "A"},
			Environment{"claude-code", []string{"CLAUDECODE", "CLAUDE_CODE_SESSION_ID"}, "5b2f-1"}},
		{"a session that is none", []string{"CODEX_THREAD_ID=a b"}, Environment{Agent: "codex-cli", Markers: []string{"CODEX_THREAD_ID"}}},
		{"some agent", []string{"AI_AGENT=other"}, Environment{Agent: Unnamed, Markers: []string{"AI_AGENT"}}},
		{"named by another variable", []string{"AI_AGENT=other", "GEMINI_CLI=1"}, Environment{Agent: "gemini-cli", Markers: []string{"AI_AGENT", "GEMINI_CLI"}}},
		{"another value", []string{"CLAUDECODE=0", "XCLAUDECODE=1"}, Environment{}},
	} {
		if got := FromEnvironment(tt.environ); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if n := len(environRules()); n < 20 {
		t.Errorf("%d rules about environments, want those of the table", n)
	}
}
