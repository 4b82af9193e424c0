package model

import (
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/predicate"
)

// Names are turned into entries by the documented rules, and by no others.
func TestNames(t *testing.T) {
	entry := func(provider, name string, edit func(*predicate.ModelEntry)) predicate.ModelEntry {
		e := sonnet()
		e.Provider, e.Name, e.Snapshots = provider, name, true
		if edit != nil {
			edit(&e)
		}
		return e
	}
	entries := []predicate.ModelEntry{
		entry("anthropic", "claude-sonnet-4", nil),
		entry("openai", "gpt-4o", nil),
		entry("openai", "ft:gpt-4o-mini-2024-07-18:acme", func(e *predicate.ModelEntry) { e.Patterns = []string{"ft:gpt-4o-mini-2024-07-18:acme::*"} }),
		entry("google", "gemini-2.0-flash", func(e *predicate.ModelEntry) { e.Latest = true }),
		entry("bedrock", "anthropic.claude-sonnet-4", func(e *predicate.ModelEntry) { e.Regions = []string{"us"} }),
		entry("bedrock", "amazon.nova-pro", func(e *predicate.ModelEntry) { e.Snapshots, e.Version = false, "v1:0" }),
		entry("vertex", "anthropic/claude-sonnet-4", nil),
		entry("vertex", "google/gemini-2.0-flash", nil),
		entry("azure", "our-deployment", func(e *predicate.ModelEntry) { e.Snapshots = false }),
		entry("openrouter", "anthropic/claude-sonnet-4", func(e *predicate.ModelEntry) { e.Snapshots = false }),
		entry("ollama", "llama3:8b", func(e *predicate.ModelEntry) { e.Snapshots = false }),
	}
	r := registry(t, team(), nil, entries...)
	for _, tt := range []struct{ provider, model, want string }{
		{"anthropic", "claude-sonnet-4", "anthropic/claude-sonnet-4"},
		{"anthropic", "claude-sonnet-4-20250514", "anthropic/claude-sonnet-4"},
		{"anthropic", "anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4"},
		{"", "anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4"},
		{"anthropic", "anthropic/anthropic/claude-sonnet-4", ""},
		{"openai", "anthropic/claude-sonnet-4", ""},
		{"", "claude-sonnet-4", ""},
		{"anthropic", "Claude-Sonnet-4", ""},
		{"Anthropic", "claude-sonnet-4", ""},
		{"anthropic", "claude-sonnet-4 ", ""},
		{"anthropic", " claude-sonnet-4", ""},
		{"anthropic", "claude-sonnet-4\n", ""},
		{"anthropic", "claude-sonnet-4\x00", ""},
		{"anthropic", "cl\u0430ude-sonnet-4", ""},
		{"anthropic", "claude\u2010sonnet-4", ""},
		{"anthropic", "claude-sonnet-4\u200b", ""},
		{"anthropic", "claude-sonnet-4-2025051", ""},
		{"anthropic", "claude-sonnet-4-2025-05-14", ""},
		{"anthropic", "claude-sonnet-4-20250514-20250514", ""},
		{"anthropic", "claude-sonnet-4@20250514", ""},
		{"anthropic", "us.claude-sonnet-4", ""},
		{"openai", "gpt-4o-2024-08-06", "openai/gpt-4o"},
		{"openai", "gpt-4o-20240806", ""},
		{"openai", "gpt-4o-mini", ""},
		{"openai", "ft:gpt-4o-2024-08-06:evil::abc", ""},
		{"openai", "ft:gpt-4o", ""},
		{"openai", "ft:gpt-4o-mini-2024-07-18:acme::abc123", "openai/ft:gpt-4o-mini-2024-07-18:acme"},
		{"openai", "ft:gpt-4o-mini-2024-07-18:acme::abc:evil", ""},
		{"google", "models/gemini-2.0-flash", "google/gemini-2.0-flash"},
		{"gemini", "gemini-2.0-flash-001", "google/gemini-2.0-flash"},
		{"google", "gemini-2.0-flash-latest", "google/gemini-2.0-flash"},
		{"google", "tunedModels/gemini-2.0-flash", ""},
		{"google", "models/models/gemini-2.0-flash", ""},
		{"bedrock", "anthropic.claude-sonnet-4-20250514-v1:0", "bedrock/anthropic.claude-sonnet-4"},
		{"bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0", "bedrock/anthropic.claude-sonnet-4"},
		{"bedrock", "eu.anthropic.claude-sonnet-4-20250514-v1:0", ""},
		{"bedrock", "global.anthropic.claude-sonnet-4-20250514-v1:0", ""},
		{"bedrock", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0", "bedrock/anthropic.claude-sonnet-4"},
		{"", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0", "bedrock/anthropic.claude-sonnet-4"},
		{"bedrock", "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/anthropic.claude-sonnet-4", ""},
		{"bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", ""},
		{"bedrock", "arn:evil:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4", ""},
		{"bedrock", "amazon.nova-pro-v1:0", "bedrock/amazon.nova-pro"},
		{"bedrock", "amazon.nova-pro-v2:0", ""},
		{"bedrock", "amazon.nova-pro", ""},
		{"vertex", "publishers/anthropic/models/claude-sonnet-4@20250514", "vertex/anthropic/claude-sonnet-4"},
		{"vertex", "projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4@20250514", "vertex/anthropic/claude-sonnet-4"},
		{"vertex_ai", "vertex_ai/anthropic/claude-sonnet-4@20250514", "vertex/anthropic/claude-sonnet-4"},
		{"vertex", "google/gemini-2.0-flash-001", "vertex/google/gemini-2.0-flash"},
		{"vertex", "claude-sonnet-4@20250514", ""},
		{"vertex", "anthropic/claude-sonnet-4@default", ""},
		{"vertex", "projects/p/locations/us-east5/endpoints/123", ""},
		{"azure", "our-deployment", "azure/our-deployment"},
		{"azure", "our-deployment-2024-08-06", ""},
		{"openrouter", "anthropic/claude-sonnet-4", "openrouter/anthropic/claude-sonnet-4"},
		{"ollama", "llama3:8b", "ollama/llama3:8b"},
		{"ollama", "llama3", ""},
		{"ollama", "llama3:8b:latest", ""},
		{"anthropic", strings.Repeat("a", 5000), ""},
	} {
		q := ask()
		q.Provider, q.Model = tt.provider, tt.model
		v := r.Check(q)
		if v.Model != tt.want || v.Allowed || tt.want == "" && v.Code != CodeUnknown {
			t.Errorf("%s %.100q: got %q (%s: %.200s), want %q", tt.provider, tt.model, v.Model, v.Code, v.Text, tt.want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	parse := func(url string, kind predicate.EndpointKind) (endpoint, error) {
		return parseEndpoint(predicate.ModelEndpoint{URL: url, Kind: kind})
	}
	for _, tt := range []struct {
		endpoint, url string
		want          bool
	}{
		{"https://api.anthropic.com", "https://api.anthropic.com/v1/messages", true},
		{"https://api.anthropic.com", "https://api.anthropic.com", true},
		{"https://api.anthropic.com/", "https://api.anthropic.com/", true},
		{"https://api.anthropic.com", "https://API.anthropic.com:443/v1/messages?beta=true", true},
		{"https://api.anthropic.com", "http://api.anthropic.com/v1/messages", false},
		{"https://api.anthropic.com", "https://api.anthropic.com.evil.example/v1", false},
		{"https://api.anthropic.com", "https://api.anthropic.com@evil.example/v1", false},
		{"https://api.anthropic.com", "https://api.anthropic.com:8443/v1", false},
		{"https://api.anthropic.com", "https://api.anthropic.com./v1", false},
		{"https://api.anthropic.com", "https://evil.example/https://api.anthropic.com/v1", false},
		{"https://api.anthropic.com", "https://api.anthropic.com\\@evil.example/", false},
		{"https://api.anthropic.com", "https://api.anthropic.co\u043c/v1", false},
		{"https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages", true},
		{"https://api.anthropic.com/v1", "https://api.anthropic.com/v1", true},
		{"https://api.anthropic.com/v1", "https://api.anthropic.com/v10/messages", false},
		{"https://api.anthropic.com/v1", "https://api.anthropic.com/v1/../admin", false},
		{"https://api.anthropic.com/v1", "https://api.anthropic.com/v1/%2e%2e/admin", false},
		{"https://api.anthropic.com/v1", "https://api.anthropic.com/v1/%252e%252e/admin", false},
		{"https://api.anthropic.com/v1", "https://api.anthropic.com/v1%2f..%2fadmin", false},
		{"https://api.anthropic.com/v1", "https://api.anthropic.com//v1/messages", false},
		{"https://api.anthropic.com/v1", "https://api.anthropic.com/v1/./x", false},
		{"https://bedrock-runtime.*.amazonaws.com", "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-v1%3A0/invoke", true},
		{"https://bedrock-runtime.*.amazonaws.com", "https://bedrock-runtime.us-east-1.amazonaws.com.evil.example/", false},
		{"https://bedrock-runtime.*.amazonaws.com", "https://bedrock-runtime.a.b.amazonaws.com/", false},
		{"https://bedrock-runtime.*.amazonaws.com", "https://bedrock-runtime..amazonaws.com/", false},
	} {
		e, err := parse(tt.endpoint, predicate.EndpointExternal)
		if err != nil {
			t.Fatal(err)
		}
		it := &item{compiled: &compiled{endpoints: []endpoint{e}}}
		if known, allowed := it.reaches(tt.url, now); known != tt.want || allowed {
			t.Errorf("%s under %s: %v, want %v (allowed: %v)", tt.url, tt.endpoint, known, tt.want, allowed)
		}
	}
	for _, tt := range []struct {
		url  string
		kind predicate.EndpointKind
		ok   bool
	}{
		{"http://127.0.0.1:8080/v1", predicate.EndpointInternal, true},
		{"http://[::1]:8080/v1", predicate.EndpointInternal, true},
		{"http://10.1.2.3", predicate.EndpointInternal, true},
		{"http://ollama:11434", predicate.EndpointInternal, true},
		{"https://llm.corp.internal", predicate.EndpointInternal, true},
		{"https://llm.default.svc", predicate.EndpointInternal, true},
		{"https://api.anthropic.com", predicate.EndpointInternal, false},
		{"https://internal.example.com", predicate.EndpointInternal, false},
		{"https://134744072", predicate.EndpointInternal, false},
		{"https://0x08080808", predicate.EndpointInternal, false},
		{"https://8.8.8.8", predicate.EndpointInternal, false},
		{"http://api.example.com", predicate.EndpointExternal, false},
		{"https://*.com", predicate.EndpointExternal, false},
		{"https://*.example.com", predicate.EndpointExternal, true},
		{"https://a*.x.example.com", predicate.EndpointExternal, false},
		{"https://api.example.com/*/v1", predicate.EndpointExternal, false},
	} {
		if _, err := parse(tt.url, tt.kind); (err == nil) != tt.ok {
			t.Errorf("%s %s: %v", tt.url, tt.kind, err)
		}
	}
}

const exampleFile = `version: 1
models:
  - provider: anthropic
    name: claude-sonnet-4
    snapshots: true
    endpoints:
      - {url: https://api.anthropic.com/v1, kind: external}
    licence: LicenseRef-vendor-terms
    datasets:
      - {name: unpublished, source: "the vendor's model card"}
    tuning:
      - {method: rlhf, by: Anthropic}
    evaluations:
      - {name: SWE-bench Verified, metric: resolved, value: "0.727", date: 2025-05-22}
    owner: alice
    uses: [code]
    principals: ["agent:claude-code"]
    repositories: ["*"]
    expires: 2026-12-31
`

func TestFile(t *testing.T) {
	f, err := ParseFile([]byte(exampleFile))
	if err != nil {
		t.Fatal(err)
	}
	if e := f.Models[0]; e.Expires != "2027-01-01T00:00:00Z" || e.ID() == "" || e.Evaluations[0].Value != "0.727" {
		t.Errorf("got %+v", e)
	}
	for _, tt := range []struct{ old, with, want string }{
		{"version: 1", "version: 2", "version is 2"},
		{"licence:", "license:", "unknown field"},
		{"owner: alice", "owner: \"\"", "owner is missing"},
		{"uses: [code]", "uses: []", "uses is empty"},
		{"kind: external", "kind: internal", "nothing shows"},
		{"kind: external", "kind: other", "endpoints.kind"},
		{"expires: 2026-12-31", "expires: soon", "expires"},
		{"    expires: 2026-12-31\n", "", "expires is missing"},
		{`["agent:claude-code"]`, `[claude-code]`, "principals"},
		{"name: claude-sonnet-4", "name: \"cl\\u0430ude\"", "not ASCII"},
		{"snapshots: true", "version: \"20250514\"\n    snapshots: true", "stands beside"},
		{"snapshots: true", "patterns: [\"c*\"]", "fewer than four"},
		{"snapshots: true", "aliases: [claude-sonnet-4]", "is that of"},
	} {
		bad := strings.Replace(exampleFile, tt.old, tt.with, 1)
		if _, err := ParseFile([]byte(bad)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.with, err, tt.want)
		}
	}
}

// What is appended is read as it was given, behind what stood there.
func TestAppendEntry(t *testing.T) {
	full := sonnet()
	full.Aliases, full.Regions, full.Notes = []string{"x:y", "true"}, []string{"us"}, "two\nlines: \"quoted\" # no comment"
	full.Datasets = []predicate.ModelDataset{{Name: "a, b", Source: "https://example.com/{x}"}}
	full.Tuning = []predicate.ModelTuning{{Method: "rlhf", Base: "a/b", Date: "2026-01-02", Datasets: full.Datasets}}
	full.Evaluations = []predicate.ModelEvaluation{{Name: "e", Value: "0.50"}}
	for _, before := range []string{"", "version: 1\nmodels: []\n", strings.Replace(exampleFile, "claude-sonnet-4", "claude-opus-4", 1) + "# the end"} {
		out, err := AppendEntry([]byte(before), full)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		f, err := ParseFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Models[len(f.Models)-1]; got.ID() != full.ID() {
			t.Errorf("got %+v\nwant %+v", got, full)
		}
	}
	if _, err := AppendEntry([]byte(exampleFile), sonnet()); err == nil {
		t.Error("a name stands twice")
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add([]byte(exampleFile))
	f.Add([]byte("version: 1\nmodels: []\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := ParseFile(b)
		if err != nil {
			return
		}
		r, err := New(file, nil, team())
		if err != nil {
			t.Fatalf("what was parsed makes no registry: %v", err)
		}
		for _, e := range file.Models {
			if err := e.Validate(); err != nil {
				t.Error(err)
			}
			if v := r.Check(Request{Provider: e.Provider, Model: e.Name, Time: now}); v.Allowed {
				t.Error("allowed without a word")
			}
		}
	})
}

// FuzzCheck: nothing but visible ASCII is ever allowed, and no URL that another reader could take for
// another host.
func FuzzCheck(f *testing.F) {
	e := sonnet()
	e.Patterns, e.Latest = []string{"claude-sonnet-4-x*"}, true
	r := registry(f, team(), approved(f, e), e)
	f.Add("anthropic", "claude-sonnet-4", "https://api.anthropic.com/v1/messages")
	f.Add("", "anthropic/claude-sonnet-4-20250514", "https://api.anthropic.com:443/v1?x#y")
	f.Fuzz(func(t *testing.T, provider, model, url string) {
		q := ask()
		q.Provider, q.Model, q.Endpoint = provider, model, url
		if v := r.Check(q); v.Allowed {
			if !strings.Contains(model, "claude-sonnet-4") || strings.ContainsFunc(model, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("allowed %q", model)
			}
			low, _, _ := strings.Cut(strings.ToLower(url), "#")
			low, _, _ = strings.Cut(low, "?")
			if !strings.HasPrefix(low, "https://api.anthropic.com/v1") && !strings.HasPrefix(low, "https://api.anthropic.com:443/v1") || strings.Contains(low, "/..") {
				t.Errorf("allowed at %q", url)
			}
		}
	})
}
