package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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
	args := []string{"proxy", "--config", conf, "--record", p.record, "--json"}
	if !strings.Contains(more, "listen:") {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	p.cmd = exec.CommandContext(t.Context(), sallyportPath(t), args...)
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

func (p *proxyProcess) request(t *testing.T, path, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.key)
	return req
}

func (p *proxyProcess) ask(t *testing.T, path, body string) (int, string) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(p.request(t, path, body))
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

// certificates writes an authority, and certificates of this machine and of an agent, into dir.
func certificates(t *testing.T, dir string) {
	t.Helper()
	write := func(name, kind string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	agent, err := url.Parse("spiffe://acme/agent")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	var caKey *ecdsa.PrivateKey
	for i, c := range []*x509.Certificate{
		ca,
		{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
		{SerialNumber: big.NewInt(3), URIs: []*url.URL{agent}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
	} {
		c.NotBefore, c.NotAfter = ca.NotBefore, ca.NotAfter
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			caKey = key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		k, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		name := []string{"ca", "server", "agent"}[i]
		write(name+".pem", "CERTIFICATE", der)
		write(name+".key", "PRIVATE KEY", k)
	}
}

// Over TLS, a client's certificate says who it is, over HTTP/2 as well; one without a certificate has nothing
// to say.
func TestProxyTLS(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{}`)
	}))
	defer upstream.Close()
	dir := t.TempDir()
	certificates(t, dir)
	p := startProxy(t, dir, upstream.URL, newKey(), fmt.Sprintf("  tls: {certificate: %q, key: %q, client_ca: %q}\n  certificates: [{subject: \"spiffe://acme/agent\", principal: \"workload:builder\"}]\n",
		filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"), filepath.Join(dir, "ca.pem")))
	pool := x509.NewCertPool()
	b, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil || !pool.AppendCertsFromPEM(b) {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "agent.pem"), filepath.Join(dir, "agent.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, with := range []bool{true, false} {
		conf := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		want := http.StatusUnauthorized
		if with {
			conf.Certificates, want = []tls.Certificate{pair}, http.StatusOK
		}
		client := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/v1/messages", strings.NewReader(`{"model":"good"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err, p.stderr)
		}
		_ = resp.Body.Close()
		client.CloseIdleConnections()
		if resp.StatusCode != want || resp.ProtoMajor != 2 {
			t.Errorf("with a certificate %v: %s %s", with, resp.Proto, resp.Status)
		}
	}
	if e := entries(t, p.record); !strings.Contains(string(e[0].Body), `"name":"builder"`) {
		t.Errorf("the record says %s", e[0].Body)
	}
}

// At a socket, told to stop: what runs ends as it would have, what is new is refused, and the socket is gone.
func TestProxyDrains(t *testing.T) {
	in, release := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "event: ping\ndata: {\"type\":\"ping\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		close(in)
		<-release
		fmt.Fprint(w, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
	}))
	defer upstream.Close()
	dir, err := os.MkdirTemp("", "sp") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	// What a killed process leaves behind is no obstacle.
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	_ = old.Close()
	p := startProxy(t, dir, upstream.URL, newKey(), "  listen: unix:"+socket+"\n")
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	client := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	p.url = "http://gate"
	req := p.request(t, "/v1/messages", `{"model":"good","stream":true}`)
	resp, err := client.RoundTrip(req)
	if err != nil {
		t.Fatal(err, p.stderr)
	}
	defer resp.Body.Close()
	<-in
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range 500 { // until it listens no more
		c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", socket)
		if err != nil {
			break
		}
		_ = c.Close()
		time.Sleep(5 * time.Millisecond)
	}
	close(release)
	b, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(b), "message_stop") {
		t.Errorf("what ran got %q, %v", b, err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, p.stderr)
	}
	if e := entries(t, p.record); len(e) < 2 || !strings.Contains(string(e[1].Body), `"outcome":"complete"`) {
		t.Errorf("%d entries", len(e))
	}
}
