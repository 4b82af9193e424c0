package evidence

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/oidc"
)

// ciToken signs claims as a CI system would.
func ciToken(t *testing.T, k *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	text := enc([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + enc(b)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + enc(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func TestCI(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	keys, err := oidc.ParseKeySet(fmt.Appendf(nil, `{"keys":[{"kty":"EC","kid":"k","crv":"P-256","x":%q,"y":%q}]}`, enc(point[1:33]), enc(point[33:])))
	if err != nil {
		t.Fatal(err)
	}
	github := CI{System: GitHub, Server: "https://github.com", Issuer: "https://token.actions.githubusercontent.com", Audience: "sallyport", Repository: "acme/service", Keys: keys}
	gitlab := CI{System: GitLab, Server: "https://gitlab.com", Issuer: "https://gitlab.com", Audience: "sallyport", Repository: "acme/service", Keys: keys}
	sha := strings.Repeat("1", 40)
	fromGitHub := func() map[string]any {
		return map[string]any{"iss": github.Issuer, "aud": "sallyport", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
			"sub": "repo:acme/service:ref:refs/heads/main", "repository": "acme/service", "ref": "refs/heads/main", "sha": sha, "event_name": "push",
			"job_workflow_ref": "acme/service/.github/workflows/gate.yml@refs/heads/main", "runner_environment": "github-hosted", "run_id": "7"}
	}
	fromGitLab := func() map[string]any {
		return map[string]any{"iss": gitlab.Issuer, "aud": "sallyport", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
			"sub": "project_path:acme/service:ref_type:branch:ref:main", "project_path": "acme/service", "ref": "main", "ref_type": "branch", "sha": sha,
			"ci_config_ref_uri": "gitlab.com/acme/service//.gitlab-ci.yml@refs/heads/main", "pipeline_source": "merge_request_event", "pipeline_id": "9",
			"runner_environment": "gitlab-hosted"}
	}
	wantGitHub := Claims{Repository: "https://github.com/acme/service", Ref: "refs/heads/main", SHA: sha, Event: "push", Runner: "github-hosted",
		Workflow: "https://github.com/acme/service/.github/workflows/gate.yml@refs/heads/main", Run: "https://github.com/acme/service/actions/runs/7"}
	wantGitLab := Claims{Repository: "https://gitlab.com/acme/service", Ref: "refs/heads/main", SHA: sha, Event: "merge_request_event", Runner: "gitlab-hosted",
		Workflow: "https://gitlab.com/acme/service//.gitlab-ci.yml@refs/heads/main", Run: "https://gitlab.com/acme/service/-/pipelines/9"}
	edit := func(m map[string]any, name string, v any) map[string]any { m[name] = v; return m }
	tag := wantGitLab
	tag.Ref = "refs/tags/main"
	for _, tt := range []struct {
		name   string
		ci     CI
		claims map[string]any
		at     time.Time
		want   Claims
		err    error
	}{
		{"GitHub", github, fromGitHub(), now, wantGitHub, nil},
		{"GitLab", gitlab, fromGitLab(), now, wantGitLab, nil},
		{"GitLab, a tag of the branch's name", gitlab, edit(fromGitLab(), "ref_type", "tag"), now, tag, nil},
		{"another repository", github, edit(fromGitHub(), "repository", "mallory/service"), now, Claims{}, ErrRepository},
		{"another repository, by case", github, edit(fromGitHub(), "repository", "Acme/service"), now, Claims{}, ErrRepository},
		{"another project", gitlab, edit(fromGitLab(), "project_path", "mallory/service"), now, Claims{}, ErrRepository},
		{"GitLab's token at GitHub's", github, edit(fromGitLab(), "iss", github.Issuer), now, Claims{}, ErrRepository},
		{"another issuer", github, edit(fromGitHub(), "iss", "https://token.example.com"), now, Claims{}, oidc.ErrIssuer},
		{"another audience", github, edit(fromGitHub(), "aud", "sigstore"), now, Claims{}, oidc.ErrAudience},
		{"expired", github, fromGitHub(), now.Add(5 * time.Minute), Claims{}, oidc.ErrExpired},
		{"no workflow", github, edit(fromGitHub(), "job_workflow_ref", ""), now, Claims{}, oidc.ErrFormat},
		{"no commit", github, edit(fromGitHub(), "sha", ""), now, Claims{}, oidc.ErrFormat},
		{"no subject", github, edit(fromGitHub(), "sub", ""), now, Claims{}, oidc.ErrFormat},
		{"a ref of no kind", gitlab, edit(fromGitLab(), "ref_type", "x"), now, Claims{}, oidc.ErrFormat},
		{"a ref that is a number", github, edit(fromGitHub(), "ref", 7), now, Claims{}, oidc.ErrFormat},
	} {
		who, got, err := tt.ci.Verify(ciToken(t, k, tt.claims), tt.at)
		if !errors.Is(err, tt.err) || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", tt.name, got, err, tt.want, tt.err)
		}
		if want := (sallyport.Principal{Kind: sallyport.Workload, Name: tt.want.Workflow}); err == nil && who != want || err != nil && who != (sallyport.Principal{}) {
			t.Errorf("%s: %+v", tt.name, who)
		}
	}
	for name, broken := range map[string]func(*CI){
		"no keys":        func(c *CI) { c.Keys = nil },
		"no repository":  func(c *CI) { c.Repository = "" },
		"no server":      func(c *CI) { c.Server = "" },
		"unknown system": func(c *CI) { c.System = "jenkins" },
		"the zero value": func(c *CI) { *c = CI{} },
		"no issuer":      func(c *CI) { c.Issuer = "" },
		"no audience":    func(c *CI) { c.Audience = "" },
		"plain http":     func(c *CI) { c.Server = "http://github.com" },
	} {
		c := github
		broken(&c)
		if who, _, err := c.Verify(ciToken(t, k, fromGitHub()), now); err == nil {
			t.Errorf("%s: %+v", name, who)
		}
	}
}
