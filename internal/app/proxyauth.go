package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/oidc"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
)

// proxyAuth knows the callers of a configuration. Keys are looked up by their hash, so that the time that
// it takes tells nothing about one.
type proxyAuth struct {
	keys     map[string]proxyKey // by hex of the hash
	subjects map[string]config.PromptCaller
	issuers  []proxyIssuer
	limits   config.PromptLimits
	now      func() time.Time
}

type proxyKey struct {
	config.PromptKey
	until time.Time
}

type proxyIssuer struct {
	config.PromptOIDC
	keys *oidc.KeySet
}

func newProxyAuth(c *config.Prompt, now func() time.Time) (*proxyAuth, error) {
	a := &proxyAuth{keys: map[string]proxyKey{}, subjects: map[string]config.PromptCaller{}, limits: c.Limits, now: now}
	for _, k := range c.Keys {
		until, err := config.ParseUntil(k.Expires)
		if err != nil {
			return nil, err
		}
		a.keys[strings.TrimPrefix(k.Hash, "sha256:")] = proxyKey{k, until}
	}
	for _, s := range c.Certificates {
		a.subjects[s.Subject] = s.PromptCaller
	}
	for _, o := range c.OIDC {
		b, err := readLimit(o.Keys, oidc.MaxKeySet)
		if err != nil {
			return nil, fmt.Errorf("prompt.oidc: the keys of %s: %w", o.Issuer, err)
		}
		keys, err := oidc.ParseKeySet(b)
		if err != nil {
			return nil, fmt.Errorf("prompt.oidc: the keys of %s: %w", o.Issuer, err)
		}
		a.issuers = append(a.issuers, proxyIssuer{o, keys})
	}
	return a, nil
}

// Authenticate implements [prompt.Authenticator].
func (a *proxyAuth) Authenticate(_ context.Context, c prompt.Credential) (prompt.Caller, error) {
	switch {
	case strings.Count(c.Token, ".") == 2 && len(a.issuers) > 0:
		return a.token(c)
	case c.Token != "":
		sum := sha256.Sum256([]byte(c.Token))
		k, ok := a.keys[hex.EncodeToString(sum[:])]
		if !ok {
			if s, known := a.subjects[c.Subject]; known && c.Subject != "" {
				// A client that has to send some key and comes with a certificate: the certificate says who.
				return a.caller(s, "certificate:"+c.Subject, c.Repository)
			}
			return prompt.Caller{}, prompt.ErrUnknown
		}
		if !k.until.IsZero() && !a.now().Before(k.until) {
			return prompt.Caller{}, &prompt.Refusal{Status: 401, Code: "credential-expired", Text: "the virtual key " + k.Name + " has expired", Hint: "ask whoever runs the gate for a new one"}
		}
		return a.caller(k.PromptCaller, "key:"+k.Name, c.Repository)
	}
	s, ok := a.subjects[c.Subject]
	if !ok || c.Subject == "" {
		return prompt.Caller{}, prompt.ErrUnknown
	}
	return a.caller(s, "certificate:"+c.Subject, c.Repository)
}

// token is somebody who comes with an identity token.
func (a *proxyAuth) token(c prompt.Credential) (prompt.Caller, error) {
	var last error
	for _, i := range a.issuers {
		claims, err := i.keys.Verify(c.Token, oidc.Expect{Issuer: i.Issuer, Audience: i.Audience, Now: a.now()})
		if err != nil {
			last = err
			continue
		}
		var m map[string]any
		if err := json.Unmarshal(claims, &m); err != nil {
			return prompt.Caller{}, prompt.ErrUnknown
		}
		sub, _ := m["sub"].(string)
		if sub == "" || !wild(i.Subject, sub) {
			continue
		}
		who, wish := i.PromptCaller, c.Repository
		if i.RepositoryClaim != "" {
			name, _ := m[i.RepositoryClaim].(string)
			if name == "" {
				continue
			}
			if i.Server != "" {
				name = i.Server + "/" + name
			}
			// The token says which repository, whatever the request wishes.
			if len(who.Repositories) > 0 && !anyWild(who.Repositories, name) {
				return prompt.Caller{}, notForRepository(name)
			}
			who.Repositories, wish = []string{name}, ""
		}
		return a.caller(who, "oidc:"+i.Issuer+":"+sub, wish)
	}
	if errors.Is(last, oidc.ErrExpired) {
		return prompt.Caller{}, &prompt.Refusal{Status: 401, Code: "credential-expired", Text: "the identity token is outside its time", Hint: "ask the issuer for a new one"}
	}
	return prompt.Caller{}, prompt.ErrUnknown
}

func notForRepository(name string) *prompt.Refusal {
	return &prompt.Refusal{Status: 403, Code: "credential-not-for-repository", Text: "the credential is not for the repository " + clipText(name, 100), Hint: "name one of its own in X-Sallyport-Repository"}
}

// caller makes a caller of what the configuration says, and of the repository that the request wishes.
func (a *proxyAuth) caller(c config.PromptCaller, key, wish string) (prompt.Caller, error) {
	kind, name, _ := strings.Cut(c.Principal, ":")
	out := prompt.Caller{
		Principal: sallyport.Principal{Kind: sallyport.PrincipalKind(kind), Name: name},
		Operator:  c.Operator, Key: key, Session: key, Use: orDefault(c.Use, "coding"),
	}
	switch {
	case wish != "":
		if !anyWild(c.Repositories, wish) {
			return prompt.Caller{}, notForRepository(wish)
		}
		out.Repository = wish
	case len(c.Repositories) == 1 && !strings.Contains(c.Repositories[0], "*"):
		out.Repository = c.Repositories[0]
	}
	// What was masked for one repository does not return in another's answers.
	out.Session = key + "\x00" + out.Repository
	l := c.Limits
	if l == (config.PromptLimits{}) {
		l = a.limits
	}
	out.Limits = prompt.Limits{RequestsPerMinute: l.RequestsPerMinute, TokensPerDay: l.TokensPerDay, Concurrent: l.Concurrent}
	return out, nil
}

// wild reports whether s is what the pattern says, in which * stands for any letters.
func wild(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

func anyWild(patterns []string, s string) bool {
	for _, p := range patterns {
		if wild(p, s) {
			return true
		}
	}
	return false
}

func clipText(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
