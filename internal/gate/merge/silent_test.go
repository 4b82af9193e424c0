package merge

import (
	"math"
	"testing"

	"github.com/sallyport-dev/sallyport/predicate"
)

func TestSilent(t *testing.T) {
	tools := func(calls ...int64) (out []predicate.ToolUse) {
		for _, n := range calls {
			out = append(out, predicate.ToolUse{Name: "Bash", Calls: n})
		}
		return out
	}
	asked := &predicate.Prompts{Requests: 1}
	for _, tt := range []struct {
		name   string
		run    predicate.AgentRun
		silent bool
	}{
		{"no hooks", predicate.AgentRun{Prompts: asked, Tools: tools(20)}, false},
		{"not installed", predicate.AgentRun{Hooks: &predicate.HookBeats{}, Prompts: asked, Tools: tools(20)}, false},
		{"nothing happened", predicate.AgentRun{Hooks: &predicate.HookBeats{Installed: true}}, false},
		{"asked, never heard", predicate.AgentRun{Hooks: &predicate.HookBeats{Installed: true}, Prompts: asked}, true},
		{"one call, never heard", predicate.AgentRun{Hooks: &predicate.HookBeats{Installed: true}, Tools: tools(1)}, true},
		{"silenced after the first call", predicate.AgentRun{Hooks: &predicate.HookBeats{Installed: true, Events: 3}, Prompts: asked, Tools: tools(10, 10)}, true},
		{"few calls of the vendor's own tools", predicate.AgentRun{Hooks: &predicate.HookBeats{Installed: true, Events: 1}, Prompts: asked, Tools: tools(4, 5)}, false},
		{"half of the calls", predicate.AgentRun{Hooks: &predicate.HookBeats{Installed: true, Events: 10}, Prompts: asked, Tools: tools(20)}, false},
		{"more than can be counted", predicate.AgentRun{Hooks: &predicate.HookBeats{Installed: true, Events: 9}, Tools: tools(math.MaxInt64, 2)}, true},
	} {
		if got := silent(tt.run); (got != "") != tt.silent {
			t.Errorf("%s: %q, want silent %v", tt.name, got, tt.silent)
		}
	}
}
