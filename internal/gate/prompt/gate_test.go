package prompt

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// asks are one request to a model in each dialect.
var asks = []struct{ name, path, body string }{
	{"messages", "/v1/messages?beta=true", `{"model":"MODEL","max_tokens":1,"context_management":{"edits":[]},"messages":[{"role":"user","content":"hi"}]}`},
	{"count_tokens", "/v1/messages/count_tokens", `{"model":"MODEL","messages":[]}`},
	{"chat", "/v1/chat/completions", `{"model":"MODEL","messages":[],"stream_options":{"include_usage":true}}`},
	{"responses", "/v1/responses", `{"model":"MODEL","input":"hi","client_metadata":{"a":1},"include":[],"prompt_cache_key":"k","store":false}`},
	{"input_tokens", "/v1/responses/input_tokens", `{"model":"MODEL","input":"hi"}`},
	{"generateContent", "/v1beta/models/MODEL:generateContent", `{"contents":[]}`},
	{"streamGenerateContent", "/v1beta/models/MODEL:streamGenerateContent?alt=sse", `{"contents":[]}`},
	{"countTokens", "/v1beta/models/MODEL:countTokens", `{"generateContentRequest":{"model":"models/MODEL","contents":[]}}`},
	{"bedrock by rule", "/model/MODEL/invoke", `{"anthropic_version":"x","messages":[]}`},
	{"by the provider's name", "/anthropic/v1/messages", `{"model":"MODEL","messages":[]}`},
}

func with(s, model string) string { return strings.ReplaceAll(s, "MODEL", model) }

func TestModels(t *testing.T) {
	cases := []struct{ model, key, code string }{
		{"good-1", "key-1", ""},
		{"bad", "key-1", "model-unapproved"},
		{"unknown", "key-1", "model-unknown"},
		{"expired", "key-1", "model-expired"},
		{"revoked", "key-1", "model-revoked"},
		{"ours", "key-1", "model-not-for-repository"},
		{"ours", "key-ours", ""},
		{"hers", "key-1", "model-not-for-principal"},
		{"hers", "key-hers", ""},
	}
	r := newRig(t, nil, nil)
	for _, ask := range asks {
		for _, c := range cases {
			before, records := len(r.reached()), len(r.journal.all())
			got := r.do("POST", with(ask.path, c.model), with(ask.body, c.model), "X-Api-Key", c.key)
			reached := len(r.reached()) - before
			if code := got.header.Get("X-Sallyport-Reason"); code != c.code {
				t.Errorf("%s, %s by %s: code %q, want %q: %s", ask.name, c.model, c.key, code, c.code, got.body)
			}
			if c.code != "" {
				all := r.journal.wait(t, records+1)
				if last := all[len(all)-1]; reached != 0 || got.status != http.StatusForbidden || last.Kind != KindRefused || last.Code != c.code || last.Time.IsZero() {
					t.Errorf("%s, %s by %s: %d reached the vendor, status %d, record %+v", ask.name, c.model, c.key, reached, got.status, last)
				}
				continue
			}
			all := r.journal.wait(t, records+2)
			req, end := all[len(all)-2], all[len(all)-1]
			if reached != 1 || got.status != http.StatusOK || req.Kind != KindRequest || end.Kind != KindResponse || req.ID != end.ID || end.Outcome != Complete || len(req.Models) != 1 || req.Models[0].Entry.Zero() {
				t.Errorf("%s, %s by %s: %d reached, status %d, records %+v, %+v", ask.name, c.model, c.key, reached, got.status, req, end)
				continue
			}
			// What was sent is what came, and its record was there before.
			s := r.reached()[before]
			if s.body != with(ask.body, c.model) || s.recorded < records+1 {
				t.Errorf("%s: the vendor got %s after %d records", ask.name, s.body, s.recorded-records)
			}
		}
	}
}

// The agent's credential stays here, the vendor's is added, and of the other headers those pass that are listed.
func TestCredentials(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Request-Id", "req_1")
		fmt.Fprint(w, `{}`)
	}, nil)
	body := `{"model":"good","messages":[]}`
	got := r.do("POST", "/v1/messages", body, "X-Api-Key", "", "Authorization", "Bearer key-1", "Cookie", "c=d", "X-Forwarded-For", "10.0.0.1",
		"Anthropic-Beta", "a,b", "X-Claude-Code-Session-Id", "s", "Openai-Organization", "other", "X-Secret-Thing", "v", "X-Goog-User-Project", "other")
	s := r.reached()[0]
	if h := s.header; h.Get("X-Api-Key") != "the-real-one" || h.Get("Authorization")+h.Get("Cookie")+h.Get("X-Forwarded-For")+h.Get("Openai-Organization")+h.Get("X-Secret-Thing")+h.Get("X-Goog-User-Project") != "" ||
		h.Get("Anthropic-Beta") != "a,b" || h.Get("X-Claude-Code-Session-Id") != "s" {
		t.Errorf("the vendor got %v", h)
	}
	if got.header.Get("Set-Cookie") != "" || got.header.Get("Request-Id") != "req_1" {
		t.Errorf("the client got %v", got.header)
	}
	r.do("POST", "/v1beta/models/good:generateContent?key=key-1&alt=json", `{}`, "X-Api-Key", "")
	if s := r.reached()[1]; s.uri != "/v1beta/models/good:generateContent?alt=json" || s.header.Get("X-Goog-Api-Key") != "the-real-one" {
		t.Errorf("the vendor got %s, %v", s.uri, s.header)
	}
}

func TestRefused(t *testing.T) {
	ok := `{"model":"good","messages":[]}`
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	cases := []struct {
		name, method, path, body string
		headers                  []string
		code                     string
	}{
		{"no credential", "POST", "/v1/messages", ok, []string{"X-Api-Key", ""}, "credential-missing"},
		{"the vendor's key", "POST", "/v1/messages", ok, []string{"X-Api-Key", "sk-" + "ant-x"}, "credential-unknown"},
		{"two credentials", "POST", "/v1/messages", ok, []string{"Authorization", "Bearer key-ours"}, "credential-ambiguous"},
		{"no bearer", "POST", "/v1/messages", ok, []string{"Authorization", "Basic key-1"}, "credential-ambiguous"},
		{"double slash", "POST", "/v1//messages", ok, nil, "path-refused"},
		{"escaped slash", "POST", "/v1%2fmessages", ok, nil, "path-refused"},
		{"dots", "POST", "/v1/x/../messages", ok, nil, "path-refused"},
		{"escaped dots", "POST", "/v1/%2e%2e/messages", ok, nil, "path-refused"},
		{"parameters in the path", "POST", "/v1/messages;a=b", ok, nil, "path-refused"},
		{"slash at the end", "POST", "/v1/messages/", ok, nil, "path-refused"},
		{"unknown path", "POST", "/v1/complete", ok, nil, "endpoint-unknown"},
		{"telemetry", "POST", "/api/event_logging/batch", `{}`, nil, "endpoint-unknown"},
		{"another method", "PUT", "/v1/messages", ok, nil, "endpoint-unknown"},
		{"rule of another provider", "POST", "/anthropic/model/good/invoke", `{}`, nil, "endpoint-unknown"},
		{"method override", "POST", "/v1/messages", ok, []string{"X-HTTP-Method-Override", "DELETE"}, "method-override"},
		{"websocket", "GET", "/v1/models", "", []string{"Connection", "Upgrade", "Upgrade", "websocket"}, "upgrade-refused"},
		{"unknown parameter", "POST", "/v1/messages?x=1", ok, nil, "query-refused"},
		{"twice a parameter", "POST", "/v1/messages?beta=true&beta=false", ok, nil, "query-refused"},
		{"no JSON type", "POST", "/v1/messages", ok, []string{"Content-Type", "text/plain"}, "body-refused"},
		{"another charset", "POST", "/v1/messages", ok, []string{"Content-Type", "application/json; charset=utf-16"}, "body-refused"},
		{"unknown encoding", "POST", "/v1/messages", ok, []string{"Content-Encoding", "zstd"}, "encoding-refused"},
		{"no gzip", "POST", "/v1/messages", ok, []string{"Content-Encoding", "gzip"}, "body-refused"},
		{"model twice", "POST", "/v1/messages", `{"model":"good","model":"bad","messages":[]}`, nil, "body-refused"},
		{"model twice, once escaped", "POST", "/v1/messages", `{"model":"good","mod\u0065l":"bad","messages":[]}`, nil, "body-refused"},
		{"model in other letters", "POST", "/v1/messages", `{"model":"good","Model":"bad","messages":[]}`, nil, "body-refused"},
		{"a name twice, deep", "POST", "/v1/messages", `{"model":"good","messages":[{"content":"a","content":"b"}]}`, nil, "body-refused"},
		{"deep", "POST", "/v1/messages", `{"model":"good","messages":` + deep + `}`, nil, "body-refused"},
		{"two values", "POST", "/v1/messages", ok + ok, nil, "body-refused"},
		{"cut", "POST", "/v1/messages", ok[:20], nil, "body-refused"},
		{"no object", "POST", "/v1/messages", `["model"]`, nil, "body-refused"},
		{"no UTF-8", "POST", "/v1/messages", "{\"model\":\"good\",\"a\":\"\xff\"}", nil, "body-refused"},
		{"odd stream", "POST", "/v1/messages", `{"model":"good","stream":"true"}`, nil, "body-refused"},
		{"too large", "POST", "/v1/messages", `{"model":"good","a":"` + strings.Repeat("x", 1<<17) + `"}`, nil, "body-too-large"},
		{"no model", "POST", "/v1/messages", `{"messages":[]}`, nil, "model-missing"},
		{"model is a list", "POST", "/v1/messages", `{"model":["good"]}`, nil, "body-refused"},
		{"model with a space", "POST", "/v1/messages", `{"model":"good one"}`, nil, "model-malformed"},
		{"path and body differ", "POST", "/v1beta/models/good:generateContent", `{"model":"models/good-2"}`, nil, "model-ambiguous"},
		{"path and inner body differ", "POST", "/v1beta/models/good:countTokens", `{"generateContentRequest":{"model":"models/good-2"}}`, nil, "model-ambiguous"},
		{"a second model", "POST", "/v1/chat/completions", `{"model":"good","models":["good","bad"]}`, nil, "model-unapproved"},
		{"a model to fall back on", "POST", "/v1/chat/completions", `{"model":"good","fallback_models":["bad"]}`, nil, "model-unapproved"},
		{"a model to draft with", "POST", "/v1/chat/completions", `{"model":"good","draft_model":"bad"}`, nil, "model-unapproved"},
		{"a secret as a file's name", "GET", "/v1/models/good" + "_" + pathSecret, "", nil, "path-refused"},
		{"a secret in the query", "GET", "/v1/models?after=" + pathSecret, "", nil, "path-refused"},
		{"a secret as a model", "POST", "/v1/messages", `{"model":"` + pathSecret + `"}`, nil, "model-unapproved"},
		{"a secret as a path", "POST", "/v1/" + pathSecret, ok, nil, "endpoint-unknown"},
		{"a tool's model", "POST", "/v1/responses", `{"model":"good","tools":[{"type":"image_generation","model":"bad"}]}`, nil, "model-unapproved"},
		{"an image", "POST", "/v1/messages", `{"model":"good","messages":[{"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgoAAA"}}]}]}`, nil, "media-refused"},
		{"an image by reference", "POST", "/v1/chat/completions", `{"model":"good","messages":[{"content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}`, nil, "media-refused"},
		{"a data URL", "POST", "/v1/responses", `{"model":"good","input":[{"content":[{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgoAAA"}]}]}`, nil, "media-refused"},
		{"inline data", "POST", "/v1beta/models/good:generateContent", `{"contents":[{"parts":[{"inlineData":{"mimeType":"application/pdf","data":"JVBERi0xLjcK"}}]}]}`, nil, "media-refused"},
		{"a remote server", "POST", "/v1/messages", `{"model":"good","mcp_servers":[{"type":"url","url":"https://example.com/mcp"}]}`, nil, "server-refused"},
		{"a remote server as a tool", "POST", "/v1/responses", `{"model":"good","tools":[{"type":"mcp","server_url":"https://example.com/mcp"}]}`, nil, "server-refused"},
		{"files", "GET", "/v1/files", "", nil, "operation-refused"},
		{"batches", "POST", "/v1/messages/batches", `{"requests":[{"params":{"model":"good"}}]}`, nil, "operation-refused"},
		{"stored", "GET", "/v1/responses/resp_1", "", nil, "operation-refused"},
		{"a secret in a header", "POST", "/v1/messages", ok, []string{"X-Claude-Code-Session-Id", secret}, "header-refused"},
		{"an unapproved model's name in a list", "GET", "/v1/models/bad", "", nil, "model-unapproved"},
	}
	r := newRig(t, nil, func(o *Options) { o.MaxBody = 1 << 16 })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := len(r.journal.all())
			got := r.do(c.method, c.path, c.body, c.headers...)
			if code := got.header.Get("X-Sallyport-Reason"); code != c.code || !strings.Contains(got.body, c.code) && c.code != "" {
				t.Errorf("code %q, want %q: %d %s", code, c.code, got.status, got.body)
			}
			if b := jsonOf(t, r.journal.wait(t, n+1)[n]); strings.Contains(b, pathSecret) || strings.Contains(b, "hunter2") {
				t.Errorf("the record holds the secret: %s", b)
			}
			if all := r.journal.wait(t, n+1); all[n].Kind != KindRefused || all[n].Code != c.code {
				t.Errorf("record %+v", all[n])
			}
		})
	}
	if n := len(r.reached()); n > 0 {
		t.Errorf("%d refused requests reached the vendor: %+v", n, r.reached())
	}
}

// The twins of refused requests that open and differ in nothing but the rule.
func TestPassedByRule(t *testing.T) {
	r := newRig(t, nil, func(o *Options) {
		o.Rules = Rules{Images: true, Documents: true, Remote: true, RemoteServers: true, Files: true, Batches: true, Stored: true}
	})
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v1/messages", `{"model":"good","messages":[{"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgoAAA"}}]}]}`},
		{"POST", "/v1/chat/completions", `{"model":"good","messages":[{"content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}`},
		{"POST", "/v1/messages", `{"model":"good","mcp_servers":[{"type":"url","url":"https://example.com/mcp"}]}`},
		{"GET", "/v1/files", ""},
		{"GET", "/v1/models", ""},
		{"GET", "/v1/models/good", ""},
		{"GET", "/v1beta/models", ""},
		{"POST", "/v1/messages/batches", `{"requests":[{"params":{"model":"good"}},{"params":{"model":"good-2"}}]}`},
		{"GET", "/v1/responses/resp_1", ""},
	} {
		if got := r.do(c.method, c.path, c.body); got.status != http.StatusOK {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.body)
		}
	}
	got := r.do("POST", "/v1/messages/batches", `{"requests":[{"params":{"model":"good"}},{"params":{"model":"bad"}}]}`)
	if got.header.Get("X-Sallyport-Reason") != "model-unapproved" {
		t.Errorf("a batch with an unapproved model: %d %s", got.status, got.body)
	}
	// What says that it is an image and is none is not spared from being looked through.
	got = r.do("POST", "/v1/messages", `{"model":"good","messages":[{"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"bm90IGFuIGltYWdl"}}]}]}`)
	if got.header.Get("X-Sallyport-Reason") != "media-refused" {
		t.Errorf("text as an image: %d %s", got.status, got.body)
	}
}

// A record that cannot be written stops the request.
func TestNoRecordNoRequest(t *testing.T) {
	r := newRig(t, nil, nil)
	r.journal.fail = errors.New("disk full")
	got := r.do("POST", "/v1/messages", `{"model":"good"}`)
	if got.status != http.StatusServiceUnavailable || got.header.Get("X-Sallyport-Reason") != "record-failed" || len(r.reached()) > 0 {
		t.Errorf("%d %s, %d reached the vendor", got.status, got.body, len(r.reached()))
	}
	r.masker.err = errors.New("broken")
	r.journal.fail = nil
	got = r.do("POST", "/v1/messages", `{"model":"good"}`)
	if got.header.Get("X-Sallyport-Reason") != "mask-failed" || len(r.reached()) > 0 {
		t.Errorf("a masker that fails: %d %s", got.status, got.body)
	}
	r.masker.err = &Refusal{Status: http.StatusForbidden, Code: "never-leave", Text: "a marked document"}
	got = r.do("POST", "/v1/messages", `{"model":"good"}`)
	if got.header.Get("X-Sallyport-Reason") != "never-leave" || len(r.reached()) > 0 {
		t.Errorf("a never-leave document: %d %s", got.status, got.body)
	}
}

func TestLimits(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"usage":{"input_tokens":8,"output_tokens":4}}`)
	}, nil)
	body := `{"model":"good"}`
	var codes []string
	for range 3 {
		codes = append(codes, r.do("POST", "/v1/messages", body, "X-Api-Key", "key-few").header.Get("X-Sallyport-Reason"))
	}
	if fmt.Sprint(codes) != "[  limit-requests]" {
		t.Errorf("requests per minute: %q", codes)
	}
	codes = nil
	for range 2 {
		codes = append(codes, r.do("POST", "/v1/messages", body, "X-Api-Key", "key-poor").header.Get("X-Sallyport-Reason"))
	}
	if fmt.Sprint(codes) != "[ limit-tokens]" {
		t.Errorf("tokens per day: %q", codes)
	}
}

func BenchmarkScan(b *testing.B) {
	body := []byte(`{"model":"good","messages":[{"role":"user","content":"` + strings.Repeat(`func (s *Store) Get(ctx, \"objects/\"+key) }\n`, 2300) + `"}]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, ref := scan(body); ref != nil {
			b.Fatal(ref)
		}
	}
}
