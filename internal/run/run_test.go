package run

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/predicate"
)

// A notebook is a Journal in memory, which fails from an entry on.
type notebook struct {
	mu    sync.Mutex
	kinds []string
	fail  string // the kind that cannot be written
}

func (n *notebook) Append(kind string, _ any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if kind == n.fail {
		return errors.New("no room")
	}
	n.kinds = append(n.kinds, kind)
	return nil
}

func (n *notebook) AppendText(kind string, body any, _ string, _ []byte) (string, error) {
	return "sha256:00", n.Append(kind, body)
}

func options(t *testing.T, n *notebook, args ...string) Options {
	t.Helper()
	return Options{
		ID: "run-1", Folder: t.TempDir(), Token: "token", Cage: Open{}, Journal: n, Started: func(string) {}, Now: time.Now,
		Environ: func(int) []string { return nil },
		Process: Process{Args: args, Env: []string{"PATH=" + os.Getenv("PATH")}, Dir: t.TempDir(), UID: -1, GID: -1},
	}
}

// How a command ends is how the run ends.
func TestSupervise(t *testing.T) {
	for _, c := range []struct {
		script string
		status int
		want   predicate.Conclusion
	}{{"exit 0", 0, predicate.ConclusionSuccess}, {"exit 3", 3, predicate.ConclusionFailure}, {"kill -TERM $$", 143, predicate.ConclusionFailure}} {
		n := &notebook{}
		out, err := Supervise(t.Context(), options(t, n, "sh", "-c", c.script))
		if err != nil || out.ExitStatus != c.status || out.Conclusion != c.want || out.Confinement.Mechanism != Unconfined {
			t.Errorf("%s: %+v, %v", c.script, out, err)
		}
		if !slices.Equal(n.kinds, []string{KindStart, KindProcess}) {
			t.Errorf("%s: recorded %v", c.script, n.kinds)
		}
	}
	out, err := Supervise(t.Context(), options(t, &notebook{}, "no-such-program"))
	if !errors.Is(err, ErrStart) || out.ExitStatus != statusNotFound || out.Conclusion == predicate.ConclusionSuccess {
		t.Errorf("a program that is not there: %+v, %v", out, err)
	}
}

// Nothing runs that cannot be recorded: without the first entry nothing starts, and a later one that
// fails ends the run.
func TestUnrecorded(t *testing.T) {
	o := options(t, &notebook{fail: KindStart}, "touch", "ran")
	if _, err := Supervise(t.Context(), o); !errors.Is(err, ErrRecord) {
		t.Error(err)
	}
	if _, err := os.Lstat(o.Process.Dir + "/ran"); err == nil {
		t.Error("it ran")
	}
	out, err := Supervise(t.Context(), options(t, &notebook{fail: KindProcess}, "sleep", "300"))
	if !errors.Is(err, ErrRecord) || out.Conclusion == predicate.ConclusionSuccess {
		t.Errorf("%+v, %v", out, err)
	}
}

// Whoever calls the run off ends the command.
func TestCalledOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := options(t, &notebook{}, "sleep", "300")
	o.Started = func(string) { cancel() }
	out, err := Supervise(ctx, o)
	if err != nil || out.Conclusion != predicate.ConclusionAborted {
		t.Errorf("%+v, %v", out, err)
	}
}

// The gateway takes reports of hooks with the run's token, refuses to connect anywhere, and writes it down.
func TestGateway(t *testing.T) {
	n := &notebook{}
	s := &supervisor{o: Options{Token: "token", Journal: n, Now: time.Now}, tally: Tally{Refused: map[string]int64{}, Tools: map[string]int64{}}, failed: make(chan error, 1)}
	ask := func(method, url, token, body string) int {
		r := httptest.NewRequest(method, url, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.gateway().ServeHTTP(w, r)
		return w.Code
	}
	for _, c := range []struct {
		method, url, token, body string
		want                     int
	}{
		{"POST", HookPath, "token", `{"event":{"kind":"pre-tool","tool":"Bash"},"decision":{"verdict":"deny"}}`, http.StatusNoContent},
		{"POST", HookPath, "other", `{"event":{"kind":"pre-tool"}}`, http.StatusUnauthorized},
		{"POST", HookPath, "", `{"event":{"kind":"pre-tool"}}`, http.StatusUnauthorized},
		{"POST", HookPath, "token", `{}`, http.StatusBadRequest},
		{"POST", HookPath, "token", strings.Repeat("x", maxHook+1), http.StatusRequestEntityTooLarge},
		{"GET", HookPath, "token", "", http.StatusMethodNotAllowed},
		{"GET", "http://example.com/", "token", "", http.StatusForbidden},
		{"POST", "/v1/messages", "token", "{}", http.StatusForbidden},
	} {
		if got := ask(c.method, c.url, c.token, c.body); got != c.want {
			t.Errorf("%s %s as %q: %d, want %d", c.method, c.url, c.token, got, c.want)
		}
	}
	got := s.counted()
	if got.Hooks != 1 || got.Denied != 1 || got.Tools["Bash"] != 1 || got.Refused["network"] != 1 || got.Refused["request"] != 1 {
		t.Errorf("counted %+v", got)
	}
	if !slices.Equal(n.kinds, []string{KindHook, KindRefused, KindRefused}) {
		t.Errorf("recorded %v", n.kinds)
	}
}

// The environment holds what the list allows, and no secret.
func TestClean(t *testing.T) {
	got := Clean([]string{"PATH=/bin", "LC_ALL=C", "SSH_AUTH_SOCK=/s", "LD_PRELOAD=x", "GO_TOKEN=hush", "GOFLAGS=-v", "=x", "X"},
		append(slices.Clone(Allowed), "GO*"), func(name, _ string) bool { return strings.Contains(name, "TOKEN") }, func(name, _ string) string { return Sentinel(name) })
	if want := []string{"GOFLAGS=-v", "GO_TOKEN=sallyport-withheld-go_token", "LC_ALL=C", "PATH=/bin"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzHook(f *testing.F) {
	for _, s := range []string{`{"event":{"kind":"pre-tool","tool":"Bash"},"decision":{"verdict":"deny","reasons":[{"code":"x"}]}}`, `{"event":1}`, `[]`, `{"event":{"kind":"` + strings.Repeat("x", 500) + `"}}`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseHook(b)
		if err == nil && (r.Event == "" || len(r.SHA256) != 64 || len(r.Event) > 700 || len(r.Tool) > 700) {
			t.Errorf("%+v", r)
		}
	})
}
