package profile

import (
	"strings"
	"testing"
)

func TestRecognise(t *testing.T) {
	for command, want := range map[string]string{
		"claude -p x": "claude-code", "/opt/bin/codex exec": "codex-cli", "gemini": "gemini-cli", "copilot": "copilot-cli", "opencode run": "opencode",
		"node /x/node_modules/@anthropic-ai/claude-code/cli.js": "claude-code", "node --no-warnings /x/node_modules/opencode-ai/bin/x": "opencode",
		"node server.js /@openai/codex/": "", "sh -c claude": "", "claudette": "",
	} {
		p, ok := Recognise(strings.Fields(command))
		if p.Name != want || ok != (want != "") {
			t.Errorf("%s: %q", command, p.Name)
		}
	}
	if _, ok := Recognise(nil); ok {
		t.Error("nothing was recognised as something")
	}
}

// Nothing of a profile keeps a placeholder, and none lets its vendor's credential through.
func TestProfiles(t *testing.T) {
	for _, p := range all {
		f := Fill{Gateway: "http://127.0.0.1:1", Token: "tok", Home: "/h", Model: "m"}
		text := strings.Join(p.Environ(f), "\n")
		for name, content := range p.Generate(f) {
			text += name + content
		}
		for _, left := range []string{"$GATEWAY", "$TOKEN", "$HOME", "$MODEL"} {
			if strings.Contains(text, left) {
				t.Errorf("%s keeps %s:\n%s", p.Name, left, text)
			}
		}
		if !strings.Contains(text, "http://127.0.0.1:1") || !strings.Contains(text, "tok") {
			t.Errorf("%s is not sent to the gateway:\n%s", p.Name, text)
		}
		for _, c := range p.Credentials {
			for _, pass := range p.Pass {
				if pass == c || strings.HasSuffix(pass, "*") && strings.HasPrefix(c, strings.TrimSuffix(pass, "*")) {
					t.Errorf("%s lets %s through", p.Name, c)
				}
			}
		}
	}
}
