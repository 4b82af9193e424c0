package prompt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// The fake masker knows one secret and one name. Its sentinels have the form of the product's.
const (
	secret     = "hunter2-\"quoted\""
	pathSecret = "swordfish99"
	personal   = "Ada Lovelace"
	sentinel   = "⟦secret:test:1⟧"
	nameMark   = "⟦personal:name:1⟧"
)

type fakeMasker struct {
	putBack bool // secrets, too
	err     error
}

func (f *fakeMasker) MaskJSON(_ string, body []byte, _ []Span) ([]byte, map[string]int, error) {
	if f.err != nil {
		return nil, nil, f.err
	}
	found := map[string]int{}
	q := string(quote(nil, []byte(secret)))
	n := bytes.Count(body, []byte(q[1:len(q)-1]))
	if n > 0 {
		found["secret:test"] = n
		body = bytes.ReplaceAll(body, []byte(q[1:len(q)-1]), []byte(sentinel))
	}
	if n := bytes.Count(body, []byte(personal)); n > 0 {
		found["personal:name"] = n
		body = bytes.ReplaceAll(body, []byte(personal), []byte(nameMark))
	}
	return body, found, nil
}

func (f *fakeMasker) MaskText(_ string, text []byte) ([]byte, map[string]int, error) {
	found := map[string]int{}
	if n := bytes.Count(text, []byte(secret)); n > 0 {
		found["secret:test"] = n
	}
	if n := bytes.Count(text, []byte(pathSecret)); n > 0 {
		found["secret:test"] += n
	}
	text = bytes.ReplaceAll(text, []byte(pathSecret), []byte("gone"))
	return bytes.ReplaceAll(text, []byte(secret), []byte(sentinel)), found, nil
}

func (f *fakeMasker) Unmask(_ string, _ Where, inJSON bool) Unmasker {
	u := &fakeUnmasker{marks: map[string]string{nameMark: personal}}
	if f.putBack {
		u.marks[sentinel] = secret
		if inJSON {
			q := string(quote(nil, []byte(secret)))
			u.marks[sentinel] = q[1 : len(q)-1]
		}
	}
	return u
}

type fakeUnmasker struct {
	marks map[string]string
	held  []byte
}

func (u *fakeUnmasker) Write(dst, text []byte) []byte {
	u.held = append(u.held, text...)
	for mark, v := range u.marks {
		u.held = bytes.ReplaceAll(u.held, []byte(mark), []byte(v))
	}
	keep := 0
	for mark := range u.marks {
		for n := min(len(mark)-1, len(u.held)); n > keep; n-- {
			if strings.HasSuffix(string(u.held), mark[:n]) {
				keep = n
				break
			}
		}
	}
	dst = append(dst, u.held[:len(u.held)-keep]...)
	u.held = append([]byte(nil), u.held[len(u.held)-keep:]...)
	return dst
}

func (u *fakeUnmasker) Flush(dst []byte) []byte {
	dst = append(dst, u.held...)
	u.held = nil
	return dst
}

// fakeJournal remembers, and fails when it is told to.
type fakeJournal struct {
	mu      sync.Mutex
	records []Record
	bodies  [][]byte
	fail    error
}

func (j *fakeJournal) Append(_ context.Context, r *Record, body []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		return j.fail
	}
	j.records = append(j.records, *r)
	j.bodies = append(j.bodies, bytes.Clone(body))
	return nil
}

func (j *fakeJournal) all() []Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Record(nil), j.records...)
}

// wait returns the records once there are n, since the last one is written after the answer.
func (j *fakeJournal) wait(t *testing.T, n int) []Record {
	t.Helper()
	for range 2000 {
		if r := j.all(); len(r) >= n {
			return r
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d records, want %d", len(j.all()), n)
	return nil
}

type fakeAuth map[string]Caller

func (a fakeAuth) Authenticate(_ context.Context, c Credential) (Caller, error) {
	if caller, ok := a[c.Token]; ok {
		return caller, nil
	}
	if caller, ok := a[c.Subject]; ok && c.Subject != "" {
		return caller, nil
	}
	return Caller{}, ErrUnknown
}

// fakeRegistry approves "good" models, and others as their names say.
type fakeRegistry struct{}

func (fakeRegistry) Check(_ context.Context, r ModelRequest) Verdict {
	switch {
	case r.Model == "expired", r.Model == "revoked", r.Model == "unknown":
		return Verdict{Code: "model-" + r.Model}
	case r.Model == "ours" && r.Repository != "github.com/acme/ours":
		return Verdict{Code: "model-not-for-repository"}
	case r.Model == "hers" && r.Principal.Name != "hers":
		return Verdict{Code: "model-not-for-principal"}
	case r.Model == "second" && !strings.Contains(r.Endpoint, "second") && !strings.HasSuffix(r.Endpoint, "/second"):
		return Verdict{Code: "endpoint-unapproved"}
	case strings.HasPrefix(r.Model, "good"), r.Model == "ours", r.Model == "hers", r.Model == "second":
		return Verdict{Allowed: true, Entry: sallyport.SHA256([]byte(r.Model))}
	}
	return Verdict{}
}

// A rig is a gate before an upstream.
type rig struct {
	t        *testing.T
	gate     *Gate
	journal  *fakeJournal
	masker   *fakeMasker
	front    *httptest.Server
	upstream *httptest.Server

	mu   sync.Mutex
	seen []seen
}

// seen is a request that reached the upstream.
type seen struct {
	method, uri string
	header      http.Header
	body        string
	recorded    int // how many records there were then
}

func newRig(t *testing.T, answer http.HandlerFunc, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, journal: &fakeJournal{}, masker: &fakeMasker{}}
	r.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.seen = append(r.seen, seen{req.Method, req.RequestURI, req.Header, string(b), len(r.journal.all())})
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"ok":true}`)
	}))
	t.Cleanup(r.upstream.Close)
	real := func(name, value string) func(context.Context) (http.Header, error) {
		return func(context.Context) (http.Header, error) { return http.Header{name: {value}}, nil }
	}
	provider := func(name string, d Dialect, header string) Provider {
		return Provider{Name: name, Dialect: d, Endpoints: []Endpoint{{r.upstream.URL, real(header, "the-real-one")}}}
	}
	o := Options{
		Auth: fakeAuth{
			"key-1":    {Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "robot"}, Key: "k1", Session: "s1", Repository: "github.com/acme/app"},
			"key-ours": {Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "robot"}, Key: "k2", Session: "s2", Repository: "github.com/acme/ours"},
			"key-hers": {Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "hers"}, Key: "k3", Session: "s3"},
			"key-few":  {Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "few"}, Key: "k4", Session: "s4", Limits: Limits{RequestsPerMinute: 2}},
			"key-poor": {Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "poor"}, Key: "k5", Session: "s5", Limits: Limits{TokensPerDay: 10}},
			"key-one":  {Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "one"}, Key: "k6", Session: "s6", Limits: Limits{Concurrent: 1}},
		},
		Registry: fakeRegistry{}, Masker: r.masker, Journal: r.journal, Clock: time.Now,
		Providers: []Provider{
			provider("anthropic", Anthropic, "X-Api-Key"), provider("openai", OpenAI, "Authorization"), provider("google", Gemini, "X-Goog-Api-Key"),
			{Name: "bedrock", Endpoints: []Endpoint{{r.upstream.URL, real("Authorization", "the-real-one")}}, Rules: []Rule{{Methods: []string{"POST"}, Path: "/model/{model}/invoke"}, {Methods: []string{"POST"}, Path: "/raw/{model}", Opaque: true}}},
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if r.gate, err = New(o); err != nil {
		t.Fatal(err)
	}
	r.front = httptest.NewServer(r.gate)
	t.Cleanup(r.front.Close)
	return r
}

func (r *rig) reached() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]seen(nil), r.seen...)
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request with key-1 unless headers say otherwise.
func (r *rig) do(method, path, body string, headers ...string) reply {
	r.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.front.URL+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", "key-1")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		r.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
