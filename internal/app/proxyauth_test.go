package app

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
)

// issuer signs identity tokens.
type issuer struct {
	key  *ecdsa.PrivateKey
	file string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	i := &issuer{key, filepath.Join(t.TempDir(), "keys.json")}
	set := fmt.Sprintf(`{"keys":[{"kty":"EC","kid":"k","crv":"P-256","x":%q,"y":%q}]}`, b64(pub[1:33]), b64(pub[33:]))
	if err := os.WriteFile(i.file, []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *issuer) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := b64([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + b64(b)
	sum := sha256.Sum256([]byte(text))
	der, err := i.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	// ASN.1 to the two numbers side by side.
	r, s := der[4:4+int(der[3])], der[6+int(der[3]):]
	sig := make([]byte, 64)
	for j, n := range [][]byte{r, s} {
		n = n[max(0, len(n)-32):]
		copy(sig[32*(j+1)-len(n):], n)
	}
	return text + "." + b64(sig)
}

func TestProxyAuth(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	ci := newIssuer(t)
	live, old := NewProxyKey(), NewProxyKey()
	who := func(repositories ...string) config.PromptCaller {
		return config.PromptCaller{Principal: "agent:robot", Operator: "ada", Repositories: repositories}
	}
	a, err := newProxyAuth(&config.Prompt{
		Limits: config.PromptLimits{RequestsPerMinute: 7},
		Keys: []config.PromptKey{
			{Name: "live", Hash: live.Hash, Expires: "2026-12-01", PromptCaller: who("github.com/acme/app", "github.com/acme/lib-*")},
			{Name: "old", Hash: old.Hash, Expires: "2026-11-30", PromptCaller: who()},
		},
		Certificates: []config.PromptCertificate{{Subject: "spiffe://acme/agent", PromptCaller: config.PromptCaller{Principal: "workload:builder", Repositories: []string{"github.com/acme/app"}}}},
		OIDC: []config.PromptOIDC{{Issuer: "https://ci.example", Audience: "sallyport", Keys: ci.file, Subject: "repo:acme/*", RepositoryClaim: "repository", Server: "github.com",
			PromptCaller: config.PromptCaller{Principal: "workload:ci", Repositories: []string{"github.com/acme/*"}}}},
	}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	claims := func(change func(map[string]any)) string {
		m := map[string]any{"iss": "https://ci.example", "aud": "sallyport", "sub": "repo:acme/app", "repository": "acme/app", "iat": now.Unix() - 10, "exp": now.Unix() + 600}
		change(m)
		return ci.token(t, m)
	}
	for _, c := range []struct {
		name       string
		cred       prompt.Credential
		want       string // principal and repository, or the code
		unknownErr bool
	}{
		{"a key, of two repositories none", prompt.Credential{Token: live.Key}, "agent robot ", false},
		{"a key, with one of its repositories", prompt.Credential{Token: live.Key, Repository: "github.com/acme/lib-x"}, "agent robot github.com/acme/lib-x", false},
		{"a key, with another repository", prompt.Credential{Token: live.Key, Repository: "github.com/acme/other"}, "credential-not-for-repository", false},
		{"an expired key", prompt.Credential{Token: old.Key}, "credential-expired", false},
		{"a key with a letter more", prompt.Credential{Token: live.Key + "x"}, "", true},
		{"the hash as the key", prompt.Credential{Token: live.Hash}, "", true},
		{"nothing", prompt.Credential{}, "", true},
		{"a certificate", prompt.Credential{Subject: "spiffe://acme/agent"}, "workload builder github.com/acme/app", false},
		{"a certificate with some key", prompt.Credential{Subject: "spiffe://acme/agent", Token: "dummy"}, "workload builder github.com/acme/app", false},
		{"another certificate", prompt.Credential{Subject: "spiffe://acme/other"}, "", true},
		{"a token", prompt.Credential{Token: claims(func(map[string]any) {})}, "workload ci github.com/acme/app", false},
		{"a token that says another repository than the request", prompt.Credential{Token: claims(func(map[string]any) {}), Repository: "github.com/acme/lib"}, "workload ci github.com/acme/app", false},
		{"a token of another repository's", prompt.Credential{Token: claims(func(m map[string]any) { m["repository"] = "evil/app" })}, "credential-not-for-repository", false},
		{"a token without a repository", prompt.Credential{Token: claims(func(m map[string]any) { delete(m, "repository") })}, "", true},
		{"a token of another subject", prompt.Credential{Token: claims(func(m map[string]any) { m["sub"] = "repo:evil/app" })}, "", true},
		{"a token for another audience", prompt.Credential{Token: claims(func(m map[string]any) { m["aud"] = "other" })}, "", true},
		{"an old token", prompt.Credential{Token: claims(func(m map[string]any) { m["exp"] = now.Unix() - 1 })}, "credential-expired", false},
		{"a token of another key", prompt.Credential{Token: newIssuer(t).token(t, map[string]any{"iss": "https://ci.example", "aud": "sallyport", "sub": "repo:acme/app", "iat": now.Unix(), "exp": now.Unix() + 60})}, "", true},
	} {
		got, err := a.Authenticate(context.Background(), c.cred)
		var ref *prompt.Refusal
		switch {
		case c.unknownErr:
			if !errors.Is(err, prompt.ErrUnknown) {
				t.Errorf("%s: %+v, %v", c.name, got, err)
			}
		case errors.As(err, &ref):
			if ref.Code != c.want {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
		case err != nil || fmt.Sprintf("%s %s %s", got.Principal.Kind, got.Principal.Name, got.Repository) != c.want || got.Limits.RequestsPerMinute != 7 || got.Use != "coding":
			t.Errorf("%s: %+v, %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestListedModels(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	l := listedModels{[]config.PromptModel{
		{Provider: "anthropic", Name: "claude-*"},
		{Provider: "anthropic", Name: "claude-bad-*", Revoked: "it leaks"},
		{Provider: "openai", Name: "gpt-5", Expires: "2026-11-30"},
		{Provider: "openai", Name: "gpt-6", Expires: "2026-12-01", Principals: []string{"agent:codex"}},
		{Provider: "openai", Name: "gpt-7", Repositories: []string{"github.com/acme/*"}},
		{Provider: "openai", Name: "gpt-8", Endpoints: []string{"https://eu.example"}},
	}}
	for _, c := range []struct{ provider, model, principal, repository, want string }{
		{"anthropic", "claude-1", "x", "", ""},
		{"anthropic", "claude-bad-1", "x", "", "model-revoked"},
		{"openai", "claude-1", "x", "", "model-unknown"},
		{"anthropic", "Claude-1", "x", "", "model-unknown"},
		{"anthropic", "xclaude-1", "x", "", "model-unknown"},
		{"openai", "gpt-5", "x", "", "model-expired"},
		{"openai", "gpt-6", "codex", "", ""},
		{"openai", "gpt-6", "x", "", "model-not-for-principal"},
		{"openai", "gpt-7", "x", "github.com/acme/app", ""},
		{"openai", "gpt-7", "x", "github.com/evil/app", "model-not-for-repository"},
		{"openai", "gpt-7", "x", "", "model-not-for-repository"},
		{"openai", "gpt-8", "x", "", "endpoint-unapproved"},
	} {
		v := l.Check(context.Background(), prompt.ModelRequest{Provider: c.provider, Model: c.model, Principal: sallyport.Principal{Kind: sallyport.Agent, Name: c.principal}, Repository: c.repository, Endpoint: "https://us.example", Time: now})
		if v.Allowed != (c.want == "") || v.Code != c.want {
			t.Errorf("%s/%s by %s in %s: %+v, want %q", c.provider, c.model, c.principal, c.repository, v, c.want)
		}
	}
}

func TestSessionOfRepository(t *testing.T) {
	var a proxyAuth
	c := config.PromptCaller{Principal: "agent:a", Repositories: []string{"github.com/acme/*"}}
	one, err := a.caller(c, "key:k", "github.com/acme/one")
	two, err2 := a.caller(c, "key:k", "github.com/acme/two")
	if err != nil || err2 != nil || one.Session == two.Session || one.Session == "" {
		t.Errorf("%q and %q, %v, %v", one.Session, two.Session, err, err2)
	}
}

func TestWild(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{{"a", "a", true}, {"a", "ab", false}, {"a*", "ab", true}, {"*b", "ab", true}, {"a*a", "a", false}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "axxc", false}, {"*", "", true}, {"ab*ba", "aba", false}} {
		if got := wild(c.pattern, c.s); got != c.want {
			t.Errorf("wild(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// What goes to a vendor through the real engine: secrets gone, media that passed untouched, documents refused.
func TestProxyMasker(t *testing.T) {
	dir := t.TempDir()
	marked := filepath.Join(dir, "plan.txt")
	passage := strings.Repeat("The merger of the two departments is planned for the ninth of May and nobody may know of it yet. ", 6)
	env := filepath.Join(dir, ".env")
	for path, text := range map[string]string{marked: passage, env: "# comment\nexport A='tulip-quartz-99'\nSHORT=abc\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := &App{Getenv: func(name string) string { return map[string]string{"DEPLOY": "velvet-harbour-17"}[name] }}
	m, err := newProxyMasker(a, &config.PromptMask{Secrets: []string{env}, Environment: []string{"DEPLOY"}, Documents: []string{marked}, Personal: []string{"email"}, Text: "personal", Tools: "none"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"a":"use tulip-quartz-99 and velvet-harbour-17, ask ada.byron@lovelace-works.org"}`
	out, found, err := m.MaskJSON("s", []byte(body), nil)
	if err != nil || strings.Contains(string(out), "quartz") || strings.Contains(string(out), "harbour") || strings.Contains(string(out), "byron@") || len(found) == 0 {
		t.Fatalf("%s, %v, %v", out, found, err)
	}
	var sentinels struct{ A string }
	if err := json.Unmarshal(out, &sentinels); err != nil {
		t.Fatal(err)
	}
	u := m.Unmask("s", prompt.InText, false)
	back := string(u.Flush(u.Write(nil, []byte(sentinels.A))))
	if !strings.Contains(back, "ada.byron@lovelace-works.org") || strings.Contains(back, "quartz") {
		t.Errorf("back in text: %s", back)
	}
	if m.Unmask("s", prompt.InTool, true) != nil {
		t.Error("something returns to tools")
	}
	other := m.Unmask("another", prompt.InText, false)
	if got := string(other.Flush(other.Write(nil, []byte(sentinels.A)))); strings.Contains(got, "byron@") {
		t.Errorf("another session sees %s", got)
	}
	if out, _, err := m.MaskJSON("s", []byte(body), []prompt.Span{{End: len(body)}}); err != nil || strings.Contains(string(out), "quartz") || !strings.Contains(string(out), "byron@") {
		t.Errorf("of media, all but known values is left as it is: %s", out)
	}
	_, _, err = m.MaskJSON("s", []byte(`{"a":"`+passage+`"}`), nil)
	var ref *prompt.Refusal
	if !errors.As(err, &ref) || ref.Code != "never-leave" {
		t.Errorf("a marked document: %v", err)
	}
}

// The JSON of OTLP has numbers of 64 bits as strings, and one point for each series.
func TestOTLP(t *testing.T) {
	at := time.Unix(1000, 5)
	b, err := json.Marshal(otlp([]prompt.Metric{
		{Name: "sallyport_prompt_requests_total", Points: []prompt.Point{{Labels: [][2]string{{"dialect", "openai"}}, Value: 3}}},
		{Name: "sallyport_prompt_in_flight", Gauge: true, Points: []prompt.Point{{Value: 1}}},
		{Name: "sallyport_prompt_answer_seconds", Histogram: true, Points: []prompt.Point{{Value: 2, Buckets: []int64{1, 1}, Sum: 0.5}}},
	}, at, at))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name":"sallyport.prompt.requests"`, `"asInt":"3"`, `"isMonotonic":true`, `"name":"sallyport.prompt.answer.duration"`, `"bucketCounts":["1","1"]`, `"timeUnixNano":"1000000000005"`, `"stringValue":"openai"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}
