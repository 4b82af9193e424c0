package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/run/record"
)

// A proxyProcess is `sallyport proxy` as people start it.
type proxyProcess struct {
	url, record string
	cmd         *exec.Cmd
	key         string
	stderr      *strings.Builder
}

// startProxy starts the program with a configuration for one vendor of each dialect at upstream.
func startProxy(t *testing.T, dir, upstream, key, more string) *proxyProcess {
	t.Helper()
	var b strings.Builder
	b.WriteString("version: 1\nrepository: github.com/acme/app\nprompt:\n  providers:\n")
	for _, d := range []string{"anthropic", "openai", "gemini"} {
		fmt.Fprintf(&b, "    - {name: %s, dialect: %s, endpoints: [%q], credential: \"env:VENDOR_KEY\"}\n", d, d, upstream)
	}
	fmt.Fprintf(&b, "  models:\n    - {provider: anthropic, name: good*}\n    - {provider: openai, name: good*}\n    - {provider: gemini, name: good*}\n    - {provider: openai, name: good-old, revoked: it leaks}\n")
	fmt.Fprintf(&b, "  keys:\n    - {name: laptop, hash: %q, principal: \"agent:robot\", repositories: [github.com/acme/app]}\n%s", hashOf(t, key), more)
	conf := filepath.Join(dir, "gate.yaml")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &proxyProcess{key: key, stderr: &strings.Builder{}, record: filepath.Join(dir, "record")}
	p.cmd = exec.CommandContext(t.Context(), sallyportPath(t), "proxy", "--config", conf, "--record", p.record, "--listen", "127.0.0.1:0", "--json")
	p.cmd.Env = append(os.Environ(), "VENDOR_KEY="+"the-vendors-key")
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	var started app.ProxyStarted
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&started); err != nil {
		t.Fatalf("it did not start: %v\n%s", err, p.stderr)
	}
	p.url = started.Listening
	return p
}

var proxyKeys sync.Map

// hashOf makes keys through the program's own function and remembers their hashes.
func hashOf(t *testing.T, key string) string {
	t.Helper()
	h, ok := proxyKeys.Load(key)
	if !ok {
		t.Fatal("an unknown key")
	}
	return h.(string)
}

func newKey() string {
	k := app.NewProxyKey()
	proxyKeys.Store(k.Key, k.Hash)
	return k.Key
}

func (p *proxyProcess) ask(t *testing.T, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.key)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func entries(t *testing.T, dir string) (out []record.Entry) {
	t.Helper()
	r, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range r.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// A secret in a prompt does not reach the vendor, the vendor's key is added, an unapproved model is refused,
// and what was forwarded stands in the record, also after the gate was killed.
func TestProxy(t *testing.T) {
	token := "ghp_" + strings.Repeat("aB3dE5gH7j", 3) + "kLmN4q" // of the right form; masked with or without its checksum
	var last atomic.Pointer[string]
	var reached atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		s := string(b) + "\n" + r.Header.Get("X-Api-Key") + r.Header.Get("Authorization")
		last.Store(&s)
		reached.Add(1)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"content":[{"type":"text","text":"ok"}],"usage":{"input_tokens":5,"output_tokens":2}}`)
	}))
	defer upstream.Close()
	dir := t.TempDir()
	p := startProxy(t, dir, upstream.URL, newKey(), "  mask: {environment: [VENDOR_KEY]}\n")
	status, body := p.ask(t, "/v1/messages", `{"model":"good","messages":[{"role":"user","content":"export GITHUB_TOKEN=`+token+`\nand the-vendors-key"}]}`)
	if status != http.StatusOK {
		t.Fatalf("%d %s\n%s", status, body, p.stderr)
	}
	got := *last.Load()
	sent, auth, _ := strings.Cut(got, "\n")
	if strings.Contains(sent, token) || strings.Contains(sent, "the-vendors-key") || !strings.Contains(sent, "⟦secret:") || auth != "the-vendors-key" {
		t.Errorf("the vendor got %s", got)
	}
	for model, code := range map[string]string{"good-old": "model-revoked", "other": "model-unknown"} {
		n := reached.Load()
		if status, body := p.ask(t, "/v1/chat/completions", `{"model":"`+model+`","messages":[]}`); status != http.StatusForbidden || !strings.Contains(body, code) || reached.Load() != n {
			t.Errorf("%s: %d %s", model, status, body)
		}
	}
	// How the request ended is written beside the answer.
	for range 200 {
		if len(entries(t, p.record)) >= 4 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	var kinds []string
	for _, e := range entries(t, p.record) {
		kinds = append(kinds, string(e.Kind))
		if strings.Contains(string(e.Body), token) {
			t.Error("the record holds the secret")
		}
	}
	slices.Sort(kinds)
	if got := strings.Join(kinds, " "); got != "refused refused request response" {
		t.Errorf("the record holds %s", got)
	}
	// It goes on with the same record.
	p = startProxy(t, dir, upstream.URL, newKey(), "")
	if status, body := p.ask(t, "/v1beta/models/good:generateContent", `{"contents":[]}`); status != http.StatusOK {
		t.Errorf("after the kill: %d %s", status, body)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("told to stop: %v\n%s", err, p.stderr)
	}
	if n := len(entries(t, p.record)); n < 6 {
		t.Errorf("%d entries after it went on", n)
	}
}
