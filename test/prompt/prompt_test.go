//go:build e2e && linux

// Package prompt holds the prompt gate, as a process, to what it promises under load: no record is lost by
// kill -9 of a request that was forwarded, and 10,000 idle streams are held.
package prompt

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sallyport-prompt-")
	if err != nil {
		return "", err
	}
	to := filepath.Join(dir, "sallyport")
	cmd := exec.Command("go", "build", "-o", to, "../../cmd/sallyport") //nolint:noctx // it ends by itself
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return to, nil
})

type gate struct {
	address, key, record string
	cmd                  *exec.Cmd
}

// start starts the gate before an upstream, with a record that may be there already.
func start(t *testing.T, dir, upstream string, env ...string) *gate {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), bin, "proxy", "key", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var k struct{ Key, Hash string }
	if err := json.Unmarshal(out, &k); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("version: 1\nrepository: github.com/acme/app\nprompt:\n  timeouts: {idle: 10m}\n  providers:\n    - {name: anthropic, dialect: anthropic, endpoints: [%q], credential: none}\n  models: [{provider: anthropic, name: m-*}]\n  keys: [{name: k, hash: %q, principal: \"agent:a\"}]\n", upstream, k.Hash)
	path := filepath.Join(dir, "gate.yaml")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gate{key: k.Key, record: filepath.Join(dir, "record")}
	g.cmd = exec.CommandContext(t.Context(), bin, "proxy", "--config", path, "--record", g.record, "--listen", "127.0.0.1:0", "--json")
	g.cmd.Env = append(os.Environ(), env...)
	g.cmd.Stderr = os.Stderr
	stdout, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.cmd.Process.Kill(); _ = g.cmd.Wait() })
	var s struct{ Listening string }
	if err := json.NewDecoder(stdout).Decode(&s); err != nil {
		t.Fatal(err)
	}
	g.address = strings.TrimPrefix(s.Listening, "http://")
	return g
}

// recorded are the models of the request entries in the record.
func recorded(t *testing.T, folder string) map[string]bool {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(folder, "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatal("no segments", err)
	}
	out := map[string]bool{}
	for _, s := range segments {
		b, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			i := bytes.IndexByte(line, '{')
			var e struct {
				Kind string
				Body struct{ Models []struct{ Name string } }
			}
			if i < 0 || json.Unmarshal(line[i:], &e) != nil || e.Kind != "request" {
				continue // the last line may be half
			}
			for _, m := range e.Body.Models {
				out[m.Name] = true
			}
		}
	}
	return out
}

// Each round sends requests from many clients and kills the gate in the midst of them.
func TestKilled(t *testing.T) {
	var mu sync.Mutex
	reached := map[string]bool{}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b struct{ Model string }
		if json.NewDecoder(r.Body).Decode(&b) == nil {
			mu.Lock()
			reached[b.Model] = true
			mu.Unlock()
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	defer upstream.Close()
	dir := t.TempDir()
	var n atomic.Int64
	for round := range 10 {
		g := start(t, dir, upstream.URL)
		before := n.Load()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				client := &http.Transport{}
				defer client.CloseIdleConnections()
				for {
					body := fmt.Sprintf(`{"model":"m-%d","messages":[]}`, n.Add(1))
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.address+"/v1/messages", strings.NewReader(body))
					if err != nil {
						return
					}
					req.Header.Set("X-Api-Key", g.key)
					req.Header.Set("Content-Type", "application/json")
					resp, err := client.RoundTrip(req)
					if err != nil {
						return // it is dead
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
		}
		for n.Load() < before+int64(100+83*round) {
			time.Sleep(time.Millisecond)
		}
		if err := g.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = g.cmd.Wait()
		wg.Wait()
		have := recorded(t, g.record)
		mu.Lock()
		for m := range reached {
			if !have[m] {
				t.Errorf("round %d: %s reached the vendor and is not in the record", round, m)
			}
		}
		mu.Unlock()
	}
	t.Logf("%d requests reached the vendor, %d are recorded", len(reached), len(recorded(t, filepath.Join(dir, "record"))))
}

// idleStreams are held at once. The vendor is reached over HTTP/2, as real ones are, so that file
// descriptors are those of the clients.
const idleStreams = 10_000

func TestIdleStreams(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max < idleStreams+2000 {
		t.Skipf("%d file descriptors are too few", limit.Max)
	}
	release := make(chan struct{})
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: ping\ndata: {\"type\":\"ping\"}\n\n")
		w.(http.Flusher).Flush()
		<-release
		_, _ = io.WriteString(w, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
	}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	defer upstream.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	g := start(t, dir, upstream.URL, "SSL_CERT_FILE="+ca)
	body := `{"model":"m-1","stream":true,"messages":[]}`
	request := fmt.Sprintf("POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", g.key, len(body), body)
	conns := make([]net.Conn, idleStreams)
	var wg sync.WaitGroup
	var bad atomic.Int64
	began := time.Now()
	next := atomic.Int64{}
	for range 64 {
		wg.Go(func() {
			buf := make([]byte, 2048)
			for {
				i := int(next.Add(1)) - 1
				if i >= idleStreams {
					return
				}
				var d net.Dialer
				c, err := d.DialContext(t.Context(), "tcp", g.address)
				if err != nil {
					bad.Add(1)
					continue
				}
				conns[i] = c
				if _, err := io.WriteString(c, request); err != nil {
					bad.Add(1)
					continue
				}
				got := ""
				for !strings.Contains(got, "ping") {
					n, err := c.Read(buf)
					if err != nil {
						bad.Add(1)
						break
					}
					got += string(buf[:n])
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d streams opened in %s, %d failed", idleStreams, time.Since(began).Round(time.Millisecond), bad.Load())
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") {
			t.Logf("memory with all of them held: %s", strings.Join(strings.Fields(line)[1:], " "))
		}
	}
	close(release)
	for _, c := range conns {
		if c == nil {
			continue
		}
		wg.Go(func() {
			defer c.Close()
			rest, err := io.ReadAll(bufio.NewReaderSize(c, 512))
			if err != nil || !bytes.Contains(rest, []byte("message_stop")) {
				bad.Add(1)
			}
		})
	}
	wg.Wait()
	if bad.Load() > 0 {
		t.Errorf("%d of %d streams failed", bad.Load(), idleStreams)
	}
}
