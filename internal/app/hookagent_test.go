package app

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/hook"
)

// TestHookReports: inside a run each event reaches the supervisor with the run's token, and a supervisor that
// does not answer, or is not on this machine, changes no decision.
func TestHookReports(t *testing.T) {
	const deny = `{"session_id":"s","cwd":"/nowhere","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"git push --force"}}`
	var got []HookReport
	token, status := "", http.StatusNoContent
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		var report HookReport
		if r.URL.Path != "/sallyport/v0/hook" || json.NewDecoder(r.Body).Decode(&report) != nil {
			t.Errorf("a report to %s cannot be read", r.URL)
		}
		got = append(got, report)
		w.WriteHeader(status)
	}))
	defer srv.Close()
	ask := func(gateway string) (hook.Answer, string) {
		var stderr bytes.Buffer
		env := map[string]string{hookGatewayEnv: gateway, hookTokenEnv: "t0", "HOME": "/nowhere"}
		a := &App{Stdin: strings.NewReader(deny), Stdout: &bytes.Buffer{}, Stderr: &stderr, Getenv: func(n string) string { return env[n] }}
		return a.HookEvent(t.Context(), hook.Claude, hook.PreTool), stderr.String()
	}
	if got, said := ask(srv.URL); got.Exit != 2 || said != "" {
		t.Errorf("status %d, %s", got.Exit, said)
	}
	if len(got) != 1 || got[0].Decision.Verdict != hook.Deny || got[0].Event.Session != "s" || token != "Bearer t0" {
		t.Errorf("the supervisor got %+v with %q", got, token)
	}
	status = http.StatusServiceUnavailable
	for _, gateway := range []string{srv.URL, "http://127.0.0.1:1", "http://192.0.2.1:80", "https://127.0.0.1", ":"} {
		if got, said := ask(gateway); got.Exit != 2 || !strings.Contains(said, "was not told") {
			t.Errorf("%s: status %d, %q", gateway, got.Exit, said)
		}
	}
}
