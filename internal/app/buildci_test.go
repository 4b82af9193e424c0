package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/build"
)

// A token under the keys that the configuration pins makes what it states of a job observed. One that does not
// verify, or says another thing than the environment or the checkout, stops the build before it begins.
func TestBuildConfirmedByToken(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=A", "-c", "user.email=a@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main")
	if err := os.Mkdir(filepath.Join(dir, ".sallyport"), 0o755); err != nil {
		t.Fatal(err)
	}
	roster := "version: 1\nsimulated_keys: true\npersons:\n"
	for id, by := range map[string]string{"bob": "carol", "carol": "bob"} {
		sk, err := sshsig.NewSimulatedSK(sshsig.SimulatedOptions{Touch: true})
		if err != nil {
			t.Fatal(err)
		}
		roster += fmt.Sprintf("  - id: %s\n    name: %s\n    emails: [%s@example.com]\n    roles: [reviewer, root]\n    keys: [{key: %s, enrolled_by: %s}]\n", id, id, id, sk.PublicKey(), by)
	}
	for name, content := range map[string]string{
		"roster.yaml":    roster,
		"trust.yaml":     "version: 1\nkeys: []\n",
		"sallyport.yaml": "version: 1\nrepository: github.com/acme/app\nci: {system: github, keys: ci-keys.json}\n",
		"ci-keys.json":   fmt.Sprintf(`{"keys":[{"kty":"EC","kid":"k","crv":"P-256","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:])),
	} {
		if err := os.WriteFile(filepath.Join(dir, ".sallyport", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pinned := func() sallyport.Digest {
		t.Helper()
		made, err := (&App{Getenv: func(string) string { return "" }}).RootInit(t.Context(), Options{Repo: dir, StateDir: t.TempDir()}, RootChoices{})
		if err != nil {
			t.Fatal(err)
		}
		return made.Pin
	}
	pin := pinned()
	git("add", "-A")
	git("commit", "-q", "-m", "Begin")
	head := git("rev-parse", "HEAD")
	now := time.Now()
	token := func(key *ecdsa.PrivateKey, change map[string]any) string {
		claims := map[string]any{"iss": "https://token.actions.githubusercontent.com", "aud": "sallyport", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
			"sub": "repo:acme/app:ref:refs/heads/main", "repository": "acme/app", "ref": "refs/heads/main", "sha": head, "event_name": "push",
			"job_workflow_ref": "acme/app/.github/workflows/release.yml@refs/heads/main", "runner_environment": "github-hosted", "run_id": "7"}
		for name, v := range change {
			claims[name] = v
		}
		body, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		text := b64([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + b64(body)
		sum := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	github := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/app", "GITHUB_SHA": head,
		"GITHUB_WORKFLOW_REF": "acme/app/.github/workflows/forged.yml@refs/heads/main", "GITHUB_ACTOR": "mallory"}
	builder := ""
	run := func(env map[string]string, token string) (build.Internal, string, error) {
		t.Helper()
		var out bytes.Buffer
		getenv := func(n string) string {
			if n == ciTokenVariable {
				return token
			}
			return env[n]
		}
		a := &App{Stdout: &out, Stderr: &out, Getenv: getenv}
		file := filepath.Join(t.TempDir(), "st.json")
		environ := append(os.Environ(), ciTokenVariable+"="+token)
		if _, err := a.Build(t.Context(), Options{Repo: dir, StateDir: t.TempDir(), Pin: string(pin)}, BuildOptions{Args: []string{"sh", "-c", "echo \"<$" + ciTokenVariable + ">\""}, Statement: file, Environ: environ, Builder: builder}); err != nil {
			return build.Internal{}, out.String(), err
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var st sallyport.Statement
		var p build.Provenance
		if err := json.Unmarshal(b, &st); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(st.Predicate, &p); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(token)) && token != "" {
			t.Error("the statement holds the token")
		}
		return p.BuildDefinition.InternalParameters, out.String(), nil
	}

	in, out, err := run(github, token(k, nil))
	if err != nil {
		t.Fatal(err)
	}
	if in.Grade != sallyport.Observed || in.CI.Grade != sallyport.Observed || in.CI.Workflow != "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main" || in.CI.Actor != "" {
		t.Errorf("%+v %+v", in.Grade, in.CI)
	}
	if in.Initiator.Grade != sallyport.Declared || out != "<>\n" {
		t.Errorf("initiator %+v, the command got %q", in.Initiator, out)
	}
	if in, _, err := run(nil, token(k, nil)); err != nil || in.Grade != sallyport.Observed {
		t.Errorf("without the runner's variables: %+v, %v", in, err)
	}
	if in, _, err := run(github, ""); err != nil || in.Grade != sallyport.Declared || in.CI.Grade != sallyport.Declared {
		t.Errorf("without a token: %+v, %v", in, err)
	}
	wrong := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "mallory/app"}
	for name, tt := range map[string]struct {
		env   map[string]string
		token string
	}{
		"another key":                      {github, token(other, nil)},
		"another commit":                   {nil, token(k, map[string]any{"sha": strings.Repeat("1", 40)})},
		"another repository":               {nil, token(k, map[string]any{"repository": "mallory/app"})},
		"another audience":                 {nil, token(k, map[string]any{"aud": "sigstore"})},
		"expired":                          {nil, token(k, map[string]any{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-time.Minute).Unix()})},
		"the environment says another":     {wrong, token(k, nil)},
		"no token at all, but a word":      {github, "token"},
		"GitLab's, from an unknown issuer": {nil, token(k, map[string]any{"iss": "https://gitlab.com"})},
	} {
		if in, out, err := run(tt.env, tt.token); err == nil || out != "" {
			t.Errorf("%s: %+v, the command said %q", name, in, out)
		}
	}
	builder = "https://example.com/other-builder"
	if _, out, err := run(github, token(k, nil)); err == nil || out != "" {
		t.Errorf("another builder than the token's: the command said %q", out)
	}
	if in, _, err := run(github, ""); err != nil || in.Grade != sallyport.Declared {
		t.Errorf("a builder that is named, without a token: %+v, %v", in, err)
	}
	builder = ""
	was := pin
	pin = ""
	if _, _, err := run(github, token(k, nil)); err == nil || !strings.Contains(err.Error(), "no root is pinned") {
		t.Errorf("without a pin: %v", err)
	}
	pin = was
	git("rm", "-q", ".sallyport/ci-keys.json", ".sallyport/root.json")
	pin = pinned()
	git("add", "-A")
	git("commit", "-q", "-m", "No keys")
	head = git("rev-parse", "HEAD")
	if _, _, err := run(nil, token(k, nil)); err == nil || !strings.Contains(err.Error(), "ci-keys.json") {
		t.Errorf("without keys: %v", err)
	}
}
