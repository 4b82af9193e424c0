//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// The prompt gate under load: each target is a process of its own, the load comes from this one. A target
// answers closed loops of 1, 32 and 512 clients, one after another, so that all share the machine's mood.
// "floor" is httputil.ReverseProxy with nothing added. Portkey's gateway is measured if SALLYPORT_PORTKEY
// names the folder in which npm installed it.

const proxyRole = "SALLYPORT_BENCH_ROLE"

// A shape is a request that is measured.
type shape struct {
	name, path string
	body       []byte
	stream     bool
}

// A proxyTarget is what is measured.
type proxyTarget struct {
	name    string
	url     string
	headers map[string]string
}

type sample struct {
	latencies []time.Duration // until the answer ends; of streams, until the first event is there
	failed    int
	took      time.Duration
}

func (b *bench) proxies(ctx context.Context) error {
	upstream, stop, err := b.role(ctx, "upstream", "")
	if err != nil {
		return err
	}
	defer stop()
	floor, stop, err := b.role(ctx, "floor", upstream)
	if err != nil {
		return err
	}
	defer stop()
	gate, key, pid, stop, err := b.gate(ctx, upstream)
	if err != nil {
		return err
	}
	defer stop()
	targets := []proxyTarget{
		{"direct", upstream, nil},
		{"ReverseProxy (floor)", floor, nil},
		{"sallyport proxy", gate, map[string]string{"Authorization": "Bearer " + key}},
	}
	if folder := os.Getenv("SALLYPORT_PORTKEY"); folder != "" {
		portkey, stop, err := b.portkey(ctx, folder)
		if err != nil {
			return err
		}
		defer stop()
		targets = append(targets, proxyTarget{"Portkey, masks nothing", portkey, map[string]string{"X-Portkey-Custom-Host": upstream + "/v1", "Authorization": "Bearer x"}})
	}
	shapes := []shape{
		{"OpenAI, 2 KiB", "/v1/chat/completions", chatBody(2<<10, false), false},
		{"Anthropic stream, 2 KiB: first event", "/v1/messages", messagesBody(2<<10, 0, true), true},
		{"Anthropic, 100 KiB with 14 secrets", "/v1/messages", messagesBody(100<<10, 14, false), false},
	}
	for _, s := range shapes {
		fmt.Fprintf(b.out, "\n%s\n", s.name)
		w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "target\tclients\trequests/s\tp50\tp99\tfailed\t")
		for _, clients := range []int{1, 32, 512} {
			for _, t := range targets {
				r := t.measure(ctx, s, clients, b.seconds)
				if len(r.latencies) == 0 {
					fmt.Fprintf(w, "%s\t%d\t-\t-\t-\t%d\t\n", t.name, clients, r.failed)
					continue
				}
				slices.Sort(r.latencies)
				at := func(q float64) time.Duration {
					return r.latencies[int(q*float64(len(r.latencies)-1))].Round(time.Microsecond)
				}
				fmt.Fprintf(w, "%s\t%d\t%.0f\t%s\t%s\t%d\t\n", t.name, clients, float64(len(r.latencies))/r.took.Seconds(), at(0.5), at(0.99), r.failed)
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if peak := procStatus(pid, "VmHWM"); peak != "" {
		fmt.Fprintf(b.out, "\nmost memory that sallyport proxy had: %s\n", peak)
	}
	return nil
}

// procStatus reads a line of what the kernel says of a process.
func procStatus(pid int, name string) string {
	f, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(f)) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// measure runs closed loops against the target.
func (t proxyTarget) measure(ctx context.Context, s shape, clients int, seconds float64) sample {
	client := &http.Transport{MaxIdleConns: 2 * clients, MaxIdleConnsPerHost: 2 * clients, DisableCompression: true}
	defer client.CloseIdleConnections()
	one := func() (time.Duration, error) {
		start := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+s.path, bytes.NewReader(s.body))
		if err != nil {
			return 0, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Portkey-Provider", map[bool]string{true: "anthropic", false: "openai"}[strings.HasSuffix(s.path, "messages")])
		for k, v := range t.headers {
			req.Header.Set(k, v)
		}
		resp, err := client.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		r := bufio.NewReader(resp.Body)
		first := time.Duration(0)
		if s.stream {
			if _, err := r.ReadString('\n'); err != nil {
				return 0, err
			}
			first = time.Since(start)
		}
		rest, err := io.ReadAll(r)
		if err != nil || resp.StatusCode != http.StatusOK || s.stream && !bytes.Contains(rest, []byte("message_stop")) {
			return 0, errors.Join(err, fmt.Errorf("status %d", resp.StatusCode))
		}
		if s.stream {
			return first, nil
		}
		return time.Since(start), nil
	}
	for range min(clients, 50) {
		_, _ = one() // warm
	}
	var mu sync.Mutex
	var out sample
	start := time.Now()
	until := start.Add(time.Duration(seconds * float64(time.Second)))
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			var mine []time.Duration
			failed := 0
			for time.Now().Before(until) && ctx.Err() == nil {
				d, err := one()
				if err != nil {
					if failed++; failed > 20 {
						break
					}
					continue
				}
				mine = append(mine, d)
			}
			mu.Lock()
			out.latencies, out.failed = append(out.latencies, mine...), out.failed+failed
			mu.Unlock()
		})
	}
	wg.Wait()
	out.took = time.Since(start)
	return out
}

// chatBody and messagesBody make requests of about n bytes, with secrets that nobody has.
func chatBody(n int, stream bool) []byte {
	b, err := json.Marshal(map[string]any{"model": "bench-model", "stream": stream, "messages": []any{map[string]any{"role": "user", "content": filler(n)}}})
	if err != nil {
		panic(err)
	}
	return b
}

func messagesBody(n, secrets int, stream bool) []byte {
	var content []any
	for i := range max(secrets, 1) {
		text := filler(n / max(secrets, 1))
		if secrets > 0 {
			sum := sha256.Sum256([]byte{byte(i)})
			text += "\nexport SERVICE_" + string(rune('A'+i)) + "_TOKEN=" + hex.EncodeToString(sum[:20]) + "\n"
		}
		content = append(content, map[string]any{"type": "text", "text": text})
	}
	b, err := json.Marshal(map[string]any{"model": "bench-model", "max_tokens": 100, "stream": stream, "messages": []any{map[string]any{"role": "user", "content": content}}})
	if err != nil {
		panic(err)
	}
	return b
}

func filler(n int) string {
	const line = "func (s *Store) Get(ctx context.Context, key string) ([]byte, error) { return s.read(ctx, \"objects/\"+key) }\n"
	return strings.Repeat(line, n/len(line)+1)[:n]
}

// role starts this program again as the upstream or the floor, and returns its address.
func (b *bench) role(ctx context.Context, role, to string) (string, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), proxyRole+"="+role+" "+to)
	return listening(cmd, func(line string) string { return line })
}

// listening starts a program and waits for the line that says where it listens.
func listening(cmd *exec.Cmd, address func(line string) string) (string, func(), error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("%s did not start: %w", cmd.Path, err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return address(strings.TrimSpace(line)), stop, nil
}

// playRole is this program as one of its own parts.
func playRole(ctx context.Context, role string) error {
	role, to, _ := strings.Cut(role, " ")
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "http://"+l.Addr().String())
	var h http.Handler = http.HandlerFunc(fakeVendor)
	if role == "floor" {
		u, err := url.Parse(to)
		if err != nil {
			return err
		}
		h = &httputil.ReverseProxy{
			Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(u) },
			FlushInterval: -1,
			Transport:     &http.Transport{MaxIdleConns: 2048, MaxIdleConnsPerHost: 1024, DisableCompression: true},
		}
	}
	return (&http.Server{Handler: h, ReadHeaderTimeout: time.Minute}).Serve(l)
}

// fakeVendor answers at once.
func fakeVendor(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	if !bytes.Contains(b, []byte(`"stream":true`)) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/messages") {
			fmt.Fprint(w, `{"id":"msg_1","type":"message","role":"assistant","model":"bench-model","content":[{"type":"text","text":"all done"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":5}}`)
			return
		}
		fmt.Fprint(w, `{"id":"c1","object":"chat.completion","created":1,"model":"bench-model","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"ok"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(name, data string) {
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data)
		_ = http.NewResponseController(w).Flush()
	}
	event("message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"bench-model","content":[],"usage":{"input_tokens":10,"output_tokens":1}}}`)
	event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	for range 40 {
		event("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"some words of it "}}`)
	}
	event("content_block_stop", `{"type":"content_block_stop","index":0}`)
	event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":40}}`)
	event("message_stop", `{"type":"message_stop"}`)
}

// gate starts the product with a configuration for the upstream.
func (b *bench) gate(ctx context.Context, upstream string) (address, key string, pid int, stop func(), err error) {
	out, err := exec.CommandContext(ctx, b.binary, "proxy", "key", "--json").Output()
	if err != nil {
		return "", "", 0, nil, err
	}
	var k struct{ Key, Hash string }
	if err := json.Unmarshal(out, &k); err != nil {
		return "", "", 0, nil, err
	}
	conf := filepath.Join(b.dir, "gate.yaml")
	text := fmt.Sprintf(`version: 1
repository: github.com/acme/app
prompt:
  providers:
    - {name: anthropic, dialect: anthropic, endpoints: [%[1]q], credential: none}
    - {name: openai, dialect: openai, endpoints: [%[1]q], credential: none}
  models: [{provider: anthropic, name: bench-*}, {provider: openai, name: bench-*}]
  keys: [{name: bench, hash: %[2]q, principal: "agent:bench"}]
`, upstream, k.Hash)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", "", 0, nil, err
	}
	cmd := exec.CommandContext(ctx, b.binary, "proxy", "--config", conf, "--record", filepath.Join(b.dir, "record"), "--listen", "127.0.0.1:0", "--json")
	cmd.Env = b.env
	// The object that it prints begins on one line and ends on another.
	address, stop, err = startGate(cmd)
	if err != nil {
		return "", "", 0, nil, err
	}
	return address, k.Key, cmd.Process.Pid, stop, nil
}

func startGate(cmd *exec.Cmd) (string, func(), error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	var s struct{ Listening string }
	if err := json.NewDecoder(out).Decode(&s); err != nil {
		_ = cmd.Process.Kill()
		return "", nil, err
	}
	return s.Listening, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }, nil
}

// portkey starts Portkey's gateway. On node 20 it cannot stream (it changes immutable headers), which the
// preload mends.
func (b *bench) portkey(ctx context.Context, folder string) (string, func(), error) {
	preload := filepath.Join(b.dir, "preload.cjs")
	const mend = `const f = globalThis.fetch
globalThis.fetch = async (...a) => { const r = await f(...a); return new Response(r.body, { status: r.status, headers: new Headers(r.headers) }) }
`
	if err := os.WriteFile(preload, []byte(mend), 0o600); err != nil {
		return "", nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(ctx, "node", "-r", preload, filepath.Join(folder, "node_modules/@portkey-ai/gateway/build/start-server.js"), "--headless", "--port="+port)
	cmd.Env = append(os.Environ(), "TRUSTED_CUSTOM_HOSTS=127.0.0.1")
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	for range 200 {
		var d net.Dialer
		if c, err := d.DialContext(ctx, "tcp", address); err == nil {
			_ = c.Close()
			return "http://" + address, stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return "", nil, errors.New("portkey did not start")
}
