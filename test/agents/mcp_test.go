//go:build e2e && linux

package agents

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/agents/vendor"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// TestMCP lets Claude Code list the tools of sallyport mcp and call one, as its model asks.
func TestMCP(t *testing.T) {
	const tool = "mcp__sallyport__check_tool_call"
	c := clients[0]
	program := c.program(t)
	home, dir := t.TempDir(), t.TempDir()
	git(t, dir, "init", "-q")
	servers, err := json.Marshal(map[string]any{"mcpServers": map[string]any{"sallyport": map[string]any{"command": scene.Binary(), "args": []string{"mcp"}}}})
	if err != nil {
		t.Fatal(err)
	}
	v := &vendor.Vendor{Script: func(conv vendor.Conversation) vendor.Reply {
		if len(conv.Results) == 0 && conv.Has(tool) != "" {
			return vendor.Reply{Call: &vendor.Call{Tool: tool, Args: map[string]any{"command": "git push --force"}}}
		}
		return vendor.Reply{Text: "All done."}
	}}
	server := httptest.NewServer(v)
	defer server.Close()
	env := append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TERM=xterm", "LANG=C.UTF-8", "ENABLE_TOOL_SEARCH=false"}, c.direct(t, home, server.URL)...)
	out, err := run(t, dir, env, program, "-p", task, "--mcp-config", string(servers), "--strict-mcp-config", "--allowedTools", tool, "--output-format", "json")
	told := false
	for _, r := range v.Requests() {
		told = told || strings.Contains(string(r.Body), "tool-history")
	}
	if err != nil || !told {
		t.Errorf("%v: the answer did not reach the model\n%s", err, out)
	}
}
