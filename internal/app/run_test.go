package app

import (
	"strings"
	"testing"
)

func TestVersionIn(t *testing.T) {
	for in, want := range map[string]string{"2.1.197 (Claude Code)\n": "2.1.197", "codex-cli 0.169.0": "0.169.0", "v1.18.33": "1.18.33", "none": "", "1": "", "": ""} {
		if got := versionIn(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A server's digest is that of its definition, however it is spaced; names that cannot be told are left out.
func FuzzServers(f *testing.F) {
	for _, s := range []string{`{"mcpServers":{"a":{"command":"x"},"b":{"url":"y"}}}`, `{"mcpServers":[]}`, `{"mcpServers":{"":1,"a\nb":2}}`, `[]`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, v := range serversIn([]byte(s), "mcpServers") {
			if v.Name == "" || strings.ContainsAny(v.Name, "\n\x00") || !strings.HasPrefix(v.Digest, "sha256:") {
				t.Errorf("%+v", v)
			}
		}
	})
}
