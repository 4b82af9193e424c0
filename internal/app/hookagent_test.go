package app

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/hook"
)

type hookSink struct {
	mu   sync.Mutex
	got  []HookReport
	fail error
}

func (s *hookSink) Hook(_ context.Context, r HookReport) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, r)
	return s.fail
}

// TestHookReports: inside a run each event reaches the supervisor with the run's token, and a supervisor that
// does not answer, or is not on this machine, changes no decision.
func TestHookReports(t *testing.T) {
	const deny = `{"session_id":"s","cwd":"/nowhere","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"git push --force"}}`
	sink := &hookSink{}
	token := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		HookHandler(sink).ServeHTTP(w, r)
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
	if len(sink.got) != 1 || sink.got[0].Decision.Verdict != hook.Deny || sink.got[0].Event.Session != "s" || token != "Bearer t0" {
		t.Errorf("the supervisor got %+v with %q", sink.got, token)
	}
	sink.fail = errors.New("the disk is full")
	for _, gateway := range []string{srv.URL, "http://127.0.0.1:1", "http://192.0.2.1:80", "https://127.0.0.1", ":"} {
		if got, said := ask(gateway); got.Exit != 2 || !strings.Contains(said, "was not told") {
			t.Errorf("%s: status %d, %q", gateway, got.Exit, said)
		}
	}
}

func TestHookHandlerRefuses(t *testing.T) {
	for _, tt := range []struct {
		method, body string
		want         int
	}{
		{"GET", ``, 405},
		{"POST", ``, 400},
		{"POST", `{"event":{"agent":"claude","kind":"pre-tool"}}`, 204},
		{"POST", `{"event":{"agent":"nobody","kind":"pre-tool"}}`, 400},
		{"POST", `{"event":{"agent":"claude","kind":"other"}}`, 400},
		{"POST", strings.Repeat(" ", maxHookReport+1), 413},
	} {
		w := httptest.NewRecorder()
		HookHandler(&hookSink{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, HookPath, strings.NewReader(tt.body)))
		if w.Code != tt.want {
			t.Errorf("%s %.60q: %d, want %d", tt.method, tt.body, w.Code, tt.want)
		}
	}
}
