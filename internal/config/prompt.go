package config

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Prompt says what the prompt gate, `sallyport proxy`, lets pass. It is shut where it says nothing: a
// provider, a model and a key that are not named here do not exist.
type Prompt struct {
	// Listen is where the gate listens: an address of this machine such as 127.0.0.1:8788, or unix:PATH.
	// Any other address needs tls. Default: 127.0.0.1:8788.
	Listen string `yaml:"listen"`
	// TLS has the gate speak TLS. Files are paths on the gate's machine.
	TLS PromptTLS `yaml:"tls"`
	// Providers are the vendors, and other servers that speak their dialects. Required.
	Providers []PromptProvider `yaml:"providers"`
	// Registry is a checkout or bare repository on the gate's machine whose registry of models
	// (.sallyport/models.yaml) is asked. Default: that of the repository whose configuration this is.
	Registry string `yaml:"registry"`
	// Models are those that may be used, where there is no registry. Both at once are refused.
	Models []PromptModel `yaml:"models"`
	// Auditors are public keys (age1…) of whoever may read what was sent: prompts are then kept in the gate's
	// record, encrypted to them. In a run, runs.auditors counts. Default: none, and no text is kept.
	Auditors []string `yaml:"auditors"`
	// Keys are the virtual keys. `sallyport proxy key` makes one and prints the entry.
	Keys []PromptKey `yaml:"keys"`
	// Certificates are who comes with a client certificate that tls.client_ca issued.
	Certificates []PromptCertificate `yaml:"certificates"`
	// OIDC are the issuers whose identity tokens count.
	OIDC []PromptOIDC `yaml:"oidc"`
	// Pass is what passes beside text and tool calls: images, documents, audio, remote (references that
	// the vendor fetches), remote-servers (MCP servers that the vendor calls), files, batches, stored
	// (answers that the vendor keeps). Default: none.
	Pass []string `yaml:"pass"`
	// Mask says what is masked beside secrets, and what is put back.
	Mask PromptMask `yaml:"mask"`
	// Limits hold for each caller who has none of their own. Default: none.
	Limits PromptLimits `yaml:"limits"`
	// Timeouts: header until an answer begins (default 10m), idle between two pieces of it (5m), body until
	// a request is there (2m), drain for what runs when the gate is told to stop (30s).
	Timeouts PromptTimeouts `yaml:"timeouts"`
	// Retries are further attempts at an endpoint that cannot be reached, 0 to 5. Default: 0.
	Retries int `yaml:"retries"`
	// Metrics are pushed as OpenTelemetry JSON: an http address of a collector, or file:PATH for a file of
	// JSON lines. Default: they are only there to be read, at /sallyport/v0/metrics.
	Metrics string `yaml:"metrics"`
}

// A PromptTLS names files in PEM.
type PromptTLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// ClientCA issues the client certificates that are believed. Default: none is asked for.
	ClientCA string `yaml:"client_ca"`
}

// A PromptProvider is a vendor.
type PromptProvider struct {
	// Name is what the registry of models calls it, and the first segment of the path by which a client
	// can choose it: small letters, digits, dashes. Required.
	Name string `yaml:"name"`
	// Dialect is anthropic, openai or gemini; without one only rules let anything pass.
	Dialect string `yaml:"dialect"`
	// Endpoints are addresses, in the order in which they are tried. https, but for this machine. Required.
	Endpoints []string `yaml:"endpoints"`
	// Credential is where the vendor's key is: env:NAME or file:PATH, read anew for each request. Required;
	// the word none is for a server that wants no key.
	Credential string `yaml:"credential"`
	// Header carries the credential. Default: x-api-key for anthropic, x-goog-api-key for gemini, else
	// authorization, as a bearer token.
	Header string `yaml:"header"`
	// Forward are further request headers that reach the vendor.
	Forward []string `yaml:"forward"`
	// Rules let paths pass that no dialect knows, such as those of Bedrock and Vertex.
	Rules []PromptRule `yaml:"rules"`
}

// A PromptRule lets a path pass.
type PromptRule struct {
	// Path has words, * for any one segment, and {model} or {model}:verb for the model. Required.
	Path string `yaml:"path"`
	// Methods default to POST.
	Methods []string `yaml:"methods"`
	// Model is "none" if requests name no model, neither in the path nor in the body.
	Model string `yaml:"model"`
	// Body is json (the default), or opaque: anything, which is not looked through.
	Body string `yaml:"body"`
}

// A PromptModel may be used.
type PromptModel struct {
	Provider string `yaml:"provider"` // required
	// Name is the model's name as requests have it; * stands for any letters. Required.
	Name string `yaml:"name"`
	// Principals are those who may use it, as kind:name with *; default: all.
	Principals []string `yaml:"principals"`
	// Repositories in which it may be used, with *; default: all, and also where none is known.
	Repositories []string `yaml:"repositories"`
	// Endpoints that may be asked; default: all of the provider's.
	Endpoints []string `yaml:"endpoints"`
	// Expires ends the approval, as 2027-01-31 or a time in RFC 3339. Default: never.
	Expires string `yaml:"expires"`
	// Revoked says why it may not be used any more; it goes before every other entry.
	Revoked string `yaml:"revoked"`
}

// A PromptCaller is who somebody is, once they have shown it.
type PromptCaller struct {
	// Principal is kind:name, kind being agent, person, bot or workload. Required.
	Principal string `yaml:"principal"`
	// Operator is the person who answers for an agent.
	Operator string `yaml:"operator"`
	// Use is what for, as entries of the registry of models have it. Default: coding.
	Use string `yaml:"use"`
	// Repositories that requests may be about, with *. A request says which by X-Sallyport-Repository, and
	// need not if there is one only.
	Repositories []string     `yaml:"repositories"`
	Limits       PromptLimits `yaml:"limits"`
}

// A PromptKey is a virtual key.
type PromptKey struct {
	// Name is what records call it: small letters, digits, dashes. Required.
	Name string `yaml:"name"`
	// Hash is the key's, as sha256:…; the key itself is nowhere. Required.
	Hash string `yaml:"hash"`
	// Expires ends it. Default: never.
	Expires      string `yaml:"expires"`
	PromptCaller `yaml:",inline"`
}

// A PromptCertificate is a subject that a client certificate may have.
type PromptCertificate struct {
	// Subject is the certificate's first URI, else its first DNS name, else its common name. Required.
	Subject      string `yaml:"subject"`
	PromptCaller `yaml:",inline"`
}

// A PromptOIDC is an issuer of identity tokens.
type PromptOIDC struct {
	Issuer   string `yaml:"issuer"`   // required
	Audience string `yaml:"audience"` // required
	// Keys is the file with the issuer's keys, a JSON Web Key Set. Required; nothing is fetched.
	Keys string `yaml:"keys"`
	// Subject is what the token's sub has to be, with *. Required.
	Subject string `yaml:"subject"`
	// RepositoryClaim names the claim that says the repository, such as repository; Server is put before
	// it, such as github.com. Default: repositories of the caller.
	RepositoryClaim string `yaml:"repository_claim"`
	Server          string `yaml:"server"`
	PromptCaller    `yaml:",inline"`
}

// PromptLimits bound a caller. Zero is no bound.
type PromptLimits struct {
	RequestsPerMinute int   `yaml:"requests_per_minute"`
	TokensPerDay      int64 `yaml:"tokens_per_day"`
	Concurrent        int   `yaml:"concurrent"`
}

// PromptTimeouts are times such as 30s.
type PromptTimeouts struct {
	Header string `yaml:"header"`
	Idle   string `yaml:"idle"`
	Body   string `yaml:"body"`
	Drain  string `yaml:"drain"`
}

// A PromptMask says what is replaced, and what returns.
type PromptMask struct {
	// Personal are the kinds of personal data that are masked, such as email, phone, iban. Secrets always
	// are. Default: none.
	Personal []string `yaml:"personal"`
	// Text and Tools say what is put back in an answer's text and in the arguments of its tool calls: none,
	// personal or all. Default: personal in both, so that secrets never return.
	Text  string `yaml:"text"`
	Tools string `yaml:"tools"`
	// Secrets are files with values that are known to be secret: .env files, or a value in each line.
	Secrets []string `yaml:"secrets"`
	// Documents are files that must never leave: a request with a passage of one is refused.
	Documents []string `yaml:"documents"`
	// Environment are variables of the gate whose values are known to be secret.
	Environment []string `yaml:"environment"`
}

// Bounds of the prompt section.
const (
	maxProviders = 64
	maxKeys      = 4096
	maxPatternOf = 256
)

// DefaultPromptListen is where the prompt gate listens unless told otherwise.
const DefaultPromptListen = "127.0.0.1:8788"

// Passes are the words of prompt.pass.
var Passes = []string{"images", "documents", "audio", "remote", "remote-servers", "files", "batches", "stored"}

var principalPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(agent|person|bot|workload):[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$`)
})

// Used reports whether the section is there.
func (p Prompt) Used() bool { return len(p.Providers) > 0 }

func (p Prompt) validate(raw map[string]any) error {
	if _, ok := raw["prompt"]; !ok {
		return nil
	}
	if len(p.Providers) == 0 || len(p.Providers) > maxProviders || len(p.Models) > maxKeys || len(p.Keys) > maxKeys || len(p.Certificates) > maxKeys || len(p.OIDC) > maxProviders {
		return bad("prompt.providers", "is missing, or a list of the section is too long")
	}
	if err := p.validateListen(); err != nil {
		return err
	}
	if err := validAuditors("prompt.auditors", p.Auditors); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, v := range p.Providers {
		if !stepPattern().MatchString(v.Name) || names[v.Name] {
			return bad("prompt.providers", "%q is no name of small letters, digits and dashes, or stands twice", clip(v.Name))
		}
		names[v.Name] = true
		if err := v.validate(); err != nil {
			return err
		}
	}
	for _, m := range p.Models {
		if !names[m.Provider] || m.Name == "" || len(m.Name) > maxPatternOf {
			return bad("prompt.models", "%q of %q: the provider is not one of prompt.providers, or the model has no name", clip(m.Name), clip(m.Provider))
		}
		if _, err := ParseUntil(m.Expires); err != nil {
			return bad("prompt.models", "%q expires at %q, which is neither a date nor a time", clip(m.Name), clip(m.Expires))
		}
	}
	if err := p.validateCallers(); err != nil {
		return err
	}
	for i, w := range p.Pass {
		if !slices.Contains(Passes, w) || slices.Contains(p.Pass[:i], w) {
			return bad("prompt.pass", "%q is not one of %s, or stands twice", clip(w), strings.Join(Passes, ", "))
		}
	}
	for _, w := range []string{p.Mask.Text, p.Mask.Tools} {
		if !slices.Contains([]string{"", "none", "personal", "all"}, w) {
			return bad("prompt.mask", "%q is not none, personal or all", clip(w))
		}
	}
	for _, t := range []string{p.Timeouts.Header, p.Timeouts.Idle, p.Timeouts.Body, p.Timeouts.Drain} {
		if d, err := time.ParseDuration(t); t != "" && (err != nil || d < time.Second || d > maxTimeout) {
			return bad("prompt.timeouts", "%q is not a time from 1s to 24h", clip(t))
		}
	}
	if p.Retries < 0 || p.Retries > 5 {
		return bad("prompt.retries", "%d is not from 0 to 5", p.Retries)
	}
	if m := p.Metrics; m != "" && !strings.HasPrefix(m, "file:") && !validEndpoint(m) {
		return bad("prompt.metrics", "%q is neither file:PATH nor an https address (http on this machine)", clip(m))
	}
	return p.Limits.validate("prompt.limits")
}

func (p Prompt) validateListen() error {
	l := p.Listen
	if strings.HasPrefix(l, "unix:") {
		if !path.IsAbs(strings.TrimPrefix(l, "unix:")) {
			return bad("prompt.listen", "%q is no absolute path of a socket", clip(l))
		}
	} else if l != "" {
		a, err := netip.ParseAddrPort(l)
		if err != nil {
			return bad("prompt.listen", "%q is neither an address and a port, such as 127.0.0.1:8788, nor unix:PATH", clip(l))
		}
		if !a.Addr().IsLoopback() && p.TLS.Certificate == "" {
			return bad("prompt.listen", "%q can be reached from other machines, and prompts and keys would cross the network in the clear: give tls", clip(l))
		}
	}
	if (p.TLS.Certificate == "") != (p.TLS.Key == "") || p.TLS.ClientCA != "" && p.TLS.Certificate == "" {
		return bad("prompt.tls", "needs a certificate and a key")
	}
	if len(p.Certificates) > 0 && p.TLS.ClientCA == "" {
		return bad("prompt.certificates", "needs tls.client_ca, which issues them")
	}
	return nil
}

// validEndpoint reports whether s is an https address without a query, or an http address of this machine.
func validEndpoint(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(s, "/") || u.Path != "" && u.Path != path.Clean(u.Path) {
		return false
	}
	if u.Scheme == "http" {
		a, err := netip.ParseAddr(u.Hostname())
		return u.Hostname() == "localhost" || err == nil && a.IsLoopback()
	}
	return u.Scheme == "https"
}

func (v PromptProvider) validate() error {
	key := "prompt.providers." + v.Name
	if !slices.Contains([]string{"", "anthropic", "openai", "gemini"}, v.Dialect) {
		return bad(key, "the dialect %q is not anthropic, openai or gemini", clip(v.Dialect))
	}
	if len(v.Endpoints) == 0 || len(v.Endpoints) > 16 || v.Dialect == "" && len(v.Rules) == 0 || len(v.Rules) > 256 || len(v.Forward) > 64 {
		return bad(key, "has no endpoints, or neither a dialect nor rules, or too many")
	}
	for _, e := range v.Endpoints {
		if !validEndpoint(e) {
			return bad(key+".endpoints", "%q is no https address without a slash at its end (http is for this machine)", clip(e))
		}
	}
	kind, name, _ := strings.Cut(v.Credential, ":")
	if v.Credential != "none" && (kind != "env" && kind != "file" || name == "") {
		return bad(key+".credential", "is not env:NAME, file:PATH or none; the key itself has no place here") // and is not repeated: it may be one
	}
	for _, r := range v.Rules {
		if r.Path == "" || r.Path[0] != '/' || !slices.Contains([]string{"", "none"}, r.Model) || !slices.Contains([]string{"", "json", "opaque"}, r.Body) {
			return bad(key+".rules", "%q is no path, its model is not none, or its body neither json nor opaque", clip(r.Path))
		}
	}
	return nil
}

func (p Prompt) validateCallers() error {
	names := map[string]bool{}
	hashes := map[string]bool{}
	for _, k := range p.Keys {
		h, ok := strings.CutPrefix(k.Hash, "sha256:")
		b, err := hex.DecodeString(h)
		switch {
		case !stepPattern().MatchString(k.Name) || names[k.Name]:
			return bad("prompt.keys", "%q is no name of small letters, digits and dashes, or stands twice", clip(k.Name))
		case !ok || err != nil || len(b) != sha256.Size || h != strings.ToLower(h) || hashes[h]:
			return bad("prompt.keys", "%s: the hash is no sha256:… as sallyport proxy key prints it, or stands twice", k.Name) // never its text: it may be the key
		}
		if _, err := ParseUntil(k.Expires); err != nil {
			return bad("prompt.keys", "%s expires at %q, which is neither a date nor a time", k.Name, clip(k.Expires))
		}
		names[k.Name], hashes[h] = true, true
		if err := k.validate("prompt.keys." + k.Name); err != nil {
			return err
		}
	}
	for _, c := range p.Certificates {
		if c.Subject == "" || len(c.Subject) > maxPatternOf {
			return bad("prompt.certificates", "one has no subject")
		}
		if err := c.validate("prompt.certificates"); err != nil {
			return err
		}
	}
	for _, o := range p.OIDC {
		if o.Issuer == "" || o.Audience == "" || o.Keys == "" || o.Subject == "" {
			return bad("prompt.oidc", "needs an issuer, an audience, keys and a subject")
		}
		if err := o.validate("prompt.oidc"); err != nil {
			return err
		}
	}
	return nil
}

func (c PromptCaller) validate(key string) error {
	if !principalPattern().MatchString(c.Principal) {
		return bad(key, "the principal %q is not kind:name, such as agent:claude-code", clip(c.Principal))
	}
	if len(c.Repositories) > maxPatterns {
		return bad(key, "names too many repositories")
	}
	return c.Limits.validate(key)
}

func (l PromptLimits) validate(key string) error {
	if l.RequestsPerMinute < 0 || l.TokensPerDay < 0 || l.Concurrent < 0 {
		return bad(key, "has a limit below zero")
	}
	return nil
}

// ParseUntil reads the end of something: a day, which counts until it is over in UTC, or a moment. Empty is
// the zero time: no end.
func ParseUntil(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.Parse(time.DateOnly, s); err == nil {
		return d.AddDate(0, 0, 1), nil
	}
	return time.Parse(time.RFC3339, s)
}
