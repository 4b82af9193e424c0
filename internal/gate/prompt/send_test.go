package prompt

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// unreachable is an address of this machine at which nobody listens.
func unreachable(t *testing.T) string {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func nobody(context.Context) (http.Header, error) { return nil, nil }

// A request goes on to the next endpoint only if the first could not be reached, and only if the registry
// approves the next for the model.
func TestFailover(t *testing.T) {
	down := unreachable(t)
	r := newRig(t, nil, nil)
	second := r.upstream.URL + "/second"
	g, err := New(Options{Auth: r.gate.o.Auth, Registry: r.gate.o.Registry, Masker: r.masker, Journal: r.journal, Clock: time.Now, Retries: 1,
		Providers: []Provider{{Name: "a", Dialect: Anthropic, Endpoints: []Endpoint{{down, nobody}, {second, nobody}}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.front.Config.Handler = g
	got := r.do("POST", "/v1/messages", `{"model":"good"}`)
	all := r.journal.wait(t, 2)
	if got.status != http.StatusOK || len(r.reached()) != 1 || r.reached()[0].uri != "/second/v1/messages" || all[1].Endpoint != second || all[1].Attempts != 3 {
		t.Errorf("%d %s, record %+v", got.status, got.body, all[1])
	}
	// Approved at the second alone: the first is not even tried.
	if got := r.do("POST", "/v1/messages", `{"model":"second"}`); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	if all := r.journal.wait(t, 4); all[3].Attempts != 1 {
		t.Errorf("record %+v", all[3])
	}
	// The twin: the same failure, and the registry approves no other endpoint.
	g, err = New(Options{Auth: r.gate.o.Auth, Registry: onlyAt(down), Masker: r.masker, Journal: r.journal, Clock: time.Now,
		Providers: []Provider{{Name: "a", Dialect: Anthropic, Endpoints: []Endpoint{{down, nobody}, {second, nobody}}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.front.Config.Handler = g
	n := len(r.reached())
	if got := r.do("POST", "/v1/messages", `{"model":"good"}`); got.status/100 == 2 || len(r.reached()) != n {
		t.Errorf("an unapproved endpoint was used: %d %s", got.status, got.body)
	}
}

type onlyAt string

func (o onlyAt) Check(_ context.Context, r ModelRequest) Verdict {
	return Verdict{Allowed: r.Endpoint == string(o), Code: "endpoint-unapproved"}
}

// What may have had an effect is not sent again: a vendor that takes the request and closes the connection
// gets it once, also with a key that says that it could have it twice.
func TestSentOnce(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		var n atomic.Int64
		r := newRig(t, func(http.ResponseWriter, *http.Request) {
			n.Add(1)
			panic(http.ErrAbortHandler)
		}, func(o *Options) { o.Retries = 2 })
		body := `{"model":"good"}`
		path := "/v1/messages"
		if method == "GET" {
			body, path = "", "/v1/models"
		}
		got := r.do(method, path, body, "Idempotency-Key", "k")
		if got.status != http.StatusBadGateway || method == "POST" && n.Load() != 1 || method == "GET" && n.Load() < 2 {
			t.Errorf("%s: status %d, sent %d times", method, got.status, n.Load())
		}
		if end := r.journal.wait(t, 2)[1]; end.Outcome != Unreachable || end.Code != "upstream-failed" {
			t.Errorf("%s: record %+v", method, end)
		}
	}
}

// What a vendor sends that would lead the client elsewhere, or cannot be read, is not passed.
func TestAnswersRefused(t *testing.T) {
	for code, answer := range map[string]http.HandlerFunc{
		"upstream-redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"upstream-encoding": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			fmt.Fprint(w, "x")
		},
		"upstream-too-large": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `"`+strings.Repeat("x", 5000)+`"`)
		},
		"upstream-cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"a":`)
		},
	} {
		r := newRig(t, answer, func(o *Options) { o.MaxResponse = 4096 })
		got := r.do("POST", "/v1/chat/completions", `{"model":"good"}`)
		if got.status != http.StatusBadGateway || got.header.Get("X-Sallyport-Reason") != code || got.header.Get("Location") != "" {
			t.Errorf("%s: %d %v %s", code, got.status, got.header, got.body)
		}
		if end := r.journal.wait(t, 2)[1]; end.Outcome != Cut || end.Code != code {
			t.Errorf("%s: record %+v", code, end)
		}
	}
	// An error of the vendor's is passed as it is.
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"type":"error","error":{"type":"rate_limit_error"}}`)
	}, nil)
	if got := r.do("POST", "/v1/messages", `{"model":"good"}`); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "7" || !strings.Contains(got.body, "rate_limit_error") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if end := r.journal.wait(t, 2)[1]; end.Outcome != Complete || end.Status != http.StatusTooManyRequests {
		t.Errorf("record %+v", end)
	}
}

func TestNoCredential(t *testing.T) {
	r := newRig(t, nil, func(o *Options) {
		o.Providers[0].Endpoints[0].Credential = func(context.Context) (http.Header, error) { return nil, errors.New("no key") }
	})
	if got := r.do("POST", "/v1/messages", `{"model":"good"}`); got.status != http.StatusBadGateway || len(r.reached()) > 0 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A compressed body is read within its bound, and sent on as what it is.
func TestGzip(t *testing.T) {
	zip := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(s))
		_ = z.Close()
		return b.String()
	}
	r := newRig(t, nil, func(o *Options) { o.MaxBody = 1 << 16 })
	body := `{"model":"good","messages":[]}`
	if got := r.do("POST", "/v1/messages", zip(body), "Content-Encoding", "gzip"); got.status != http.StatusOK || r.reached()[0].body != body || r.reached()[0].header.Get("Content-Encoding") != "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	bomb := zip(`{"model":"good","a":"` + strings.Repeat("x", 1<<20) + `"}`)
	if got := r.do("POST", "/v1/messages", bomb, "Content-Encoding", "gzip"); got.header.Get("X-Sallyport-Reason") != "body-too-large" {
		t.Errorf("a bomb of %d bytes: %d %s", len(bomb), got.status, got.body)
	}
	// One without a length, in chunks.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.front.URL+"/v1/messages", io.MultiReader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", "key-1")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("in chunks: %d", resp.StatusCode)
	}
}

func form(t *testing.T, parts ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		var p io.Writer
		var err error
		if parts[i] == "file" {
			p, err = w.CreateFormFile("file", "a.jsonl")
		} else {
			p, err = w.CreateFormField(parts[i])
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(p, parts[i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// Files are masked as what they are for, and a batch's models are looked at line by line.
func TestUpload(t *testing.T) {
	r := newRig(t, nil, func(o *Options) { o.Rules.Files = true })
	line := func(model, text string) string {
		return `{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"` + model + `","messages":[{"content":"` + text + `"}]}}` + "\n"
	}
	q := string(quote(nil, []byte(secret)))
	for _, c := range []struct {
		name  string
		parts []string
		code  string
		sent  string
	}{
		{"text", []string{"purpose", "assistants", "file", "hello " + secret}, "", "hello " + sentinel},
		{"batch", []string{"purpose", "batch", "file", line("good", "hi") + line("good-2", q[1:len(q)-1])}, "", sentinel},
		{"batch with an unapproved model", []string{"purpose", "batch", "file", line("good", "hi") + line("bad", "hi")}, "model-unapproved", ""},
		{"batch without a model", []string{"purpose", "batch", "file", `{"body":{}}`}, "model-missing", ""},
		{"batch that is none", []string{"purpose", "batch", "file", "hello"}, "body-refused", ""},
		{"purpose after the file", []string{"file", line("bad", "hi"), "purpose", "batch"}, "body-refused", ""},
		{"binary", []string{"purpose", "assistants", "file", "a\x00b"}, "media-refused", ""},
		{"two files", []string{"purpose", "assistants", "file", "a", "file", "b"}, "body-refused", ""},
		{"no file", []string{"purpose", "assistants"}, "body-refused", ""},
		{"a secret in a field", []string{"purpose", secret, "file", "a"}, "field-refused", ""},
	} {
		body, contentType := form(t, c.parts...)
		n := len(r.reached())
		got := r.do("POST", "/v1/files", body, "Content-Type", contentType)
		reached := r.reached()[n:]
		if code := got.header.Get("X-Sallyport-Reason"); code != c.code || (len(reached) == 1) != (c.code == "") {
			t.Errorf("%s: code %q, want %q, %d reached: %s", c.name, code, c.code, len(reached), got.body)
			continue
		}
		if c.code == "" && (!strings.Contains(reached[0].body, c.sent) || strings.Contains(reached[0].body, secret)) {
			t.Errorf("%s: the vendor got %s", c.name, reached[0].body)
		}
	}
}

// Health, readiness, metrics, what others serve here, and draining.
func TestOwnPaths(t *testing.T) {
	r := newRig(t, nil, func(o *Options) {
		o.Extra = map[string]http.Handler{"/sallyport/v0/hook": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hooked") })}
	})
	r.do("POST", "/v1/messages", `{"model":"good"}`)
	r.do("POST", "/v1/messages", `{"model":"bad"}`)
	r.journal.wait(t, 3)
	for path, want := range map[string]string{"/sallyport/v0/health": "alive", "/sallyport/v0/ready": `"ready":true`, "/sallyport/v0/hook": "hooked", "/sallyport/v0/nothing": "404",
		"/sallyport/v0/metrics": `sallyport_prompt_requests_total{dialect="anthropic",operation="messages",outcome="complete"} 1`} {
		if got := r.do("GET", path, ""); !strings.Contains(got.body, want) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	if got := r.do("GET", "/sallyport/v0/metrics", ""); !strings.Contains(got.body, `sallyport_prompt_refusals_total{code="model-unapproved"} 1`) || !strings.Contains(got.body, "sallyport_prompt_answer_seconds_count 1\n") {
		t.Error(got.body)
	}
	if got := r.do("HEAD", "/", "", "X-Api-Key", ""); got.status != http.StatusOK {
		t.Errorf("HEAD /: %d", got.status)
	}
	r.gate.Drain()
	if got := r.do("GET", "/sallyport/v0/ready", ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("draining: %d", got.status)
	}
	if got := r.do("POST", "/v1/messages", `{"model":"good"}`); got.header.Get("X-Sallyport-Reason") != "draining" {
		t.Errorf("draining: %d %s", got.status, got.body)
	}
}

// Requests of strangers are recorded up to a bound, and the others are counted in the record after them.
func TestStrangers(t *testing.T) {
	var s strangers
	now := time.Unix(1000, 0)
	kept := 0
	for range 100 {
		if _, keep := s.note(now); keep {
			kept++
		}
	}
	n, keep := s.note(now.Add(time.Second))
	if kept != strangersPerSecond || !keep || n != 100-strangersPerSecond {
		t.Errorf("kept %d, then %v with %d counted", kept, keep, n)
	}
}

func TestConcurrent(t *testing.T) {
	hold, in := make(chan struct{}), make(chan struct{}, 1)
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { in <- struct{}{}; <-hold }, nil)
	done := make(chan reply, 1)
	go func() { done <- r.do("POST", "/v1/messages", `{"model":"good"}`, "X-Api-Key", "key-one") }()
	<-in
	if got := r.do("POST", "/v1/messages", `{"model":"good"}`, "X-Api-Key", "key-one"); got.header.Get("X-Sallyport-Reason") != "limit-concurrent" || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	close(hold)
	<-done
	r.gate.Wait()
	go func() { <-in }()
	if got := r.do("POST", "/v1/messages", `{"model":"good"}`, "X-Api-Key", "key-one"); got.header.Get("X-Sallyport-Reason") != "" {
		t.Errorf("after it ended: %d %s", got.status, got.body)
	}
}
