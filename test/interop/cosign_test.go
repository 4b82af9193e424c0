//go:build peers

package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// cosign runs cosign, built from the versions that test/peers/cosign pins, with nothing of this
// machine's configuration. SALLYPORT_COSIGN names one that is built already.
type cosign struct {
	t    *testing.T
	path string
	home string
	env  []string // more of it
}

func newCosign(t *testing.T) cosign {
	t.Helper()
	c := cosign{t: t, path: os.Getenv("SALLYPORT_COSIGN"), home: t.TempDir()}
	if c.path != "" {
		return c
	}
	c.path = filepath.Join(t.TempDir(), "cosign")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", c.path, "github.com/sigstore/cosign/v3/cmd/cosign")
	build.Dir = filepath.Join("..", "peers", "cosign")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("build cosign: %v\n%s", err, out)
		}
		t.Skipf("cosign cannot be built here: %v: %s", err, lastLine(out))
	}
	return c
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// run returns cosign's exit status and what it said.
func (c cosign) run(args ...string) (int, string) {
	c.t.Helper()
	cmd := exec.Command(c.path, args...)
	cmd.Dir = c.home
	cmd.Env = []string{"HOME=" + c.home, "TUF_ROOT=" + c.home, "COSIGN_PASSWORD=x", "PATH=" + os.Getenv("PATH")}
	cmd.Env = append(cmd.Env, c.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func (c cosign) must(args ...string) {
	c.t.Helper()
	if status, out := c.run(args...); status != 0 {
		c.t.Fatalf("cosign %s: status %d\n%s", strings.Join(args, " "), status, out)
	}
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

const otherType = "https://example.com/other/v1"

// Cosign verifies what we sign, and refuses what we did not: each refusal differs in one thing.
func TestCosignVerifiesOurs(t *testing.T) {
	c := newCosign(t)
	s := scene.New(t, scene.Options{})
	artifact := write(t, s.Dir, "artifact", "what is attested\n")
	changed := write(t, s.Dir, "changed", "what is attested.\n")
	predicate := write(t, s.Dir, "predicate.json", `{"built":true}`)
	for _, k := range []string{"one", "two"} {
		s.Must("key", "generate", filepath.Join(s.Dir, k))
	}
	one, two := filepath.Join(s.Dir, "one"), filepath.Join(s.Dir, "two")
	bundle := filepath.Join(s.Dir, "bundle.json")
	const typ = "https://example.com/built/v1"
	s.Must("attest", artifact, "--repo", s.Repo, "--type", typ, "--predicate", predicate, "--key", one, "--bundle", bundle)
	b, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	edited := filepath.Join(s.Dir, "edited.json")
	if err := os.WriteFile(edited, s.EditBundle(b, func(e *scene.Envelope) {
		e.Payload = bytes.Replace(e.Payload, []byte("true"), []byte("false"), 1)
	}), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(key, bundle, typ, file string) (int, string) {
		return c.run("verify-blob-attestation", "--key", key+".pub", "--bundle", bundle, "--insecure-ignore-tlog", "--type", typ, file)
	}
	if status, out := verify(one, bundle, typ, artifact); status != 0 {
		t.Fatalf("cosign refuses what we signed: status %d\n%s", status, out)
	}
	for name, got := range map[string]func() (int, string){
		"a changed byte of the file": func() (int, string) { return verify(one, bundle, typ, changed) },
		"a changed statement":        func() (int, string) { return verify(one, edited, typ, artifact) },
		"another key":                func() (int, string) { return verify(two, bundle, typ, artifact) },
		"another type":               func() (int, string) { return verify(one, bundle, otherType, artifact) },
	} {
		if status, out := got(); status == 0 {
			t.Errorf("%s: cosign says it verifies\n%s", name, out)
		}
	}
}

// We verify what cosign signs, by its own names for types too, and refuse what it did not.
func TestWeVerifyCosigns(t *testing.T) {
	c := newCosign(t)
	s := scene.New(t, scene.Options{})
	artifact := write(t, s.Dir, "artifact", "what is attested\n")
	changed := write(t, s.Dir, "changed", "what is attested.\n")
	predicate := write(t, s.Dir, "predicate.json", `{"built":true}`)
	key, other := filepath.Join(s.Dir, "k"), filepath.Join(s.Dir, "o")
	c.must("generate-key-pair", "--output-key-prefix", key)
	c.must("generate-key-pair", "--output-key-prefix", other)
	config := filepath.Join(s.Dir, "signing.json")
	c.must("signing-config", "create", "--out", config)
	for _, typ := range []string{"https://example.com/built/v1", "slsaprovenance1", "cyclonedx"} {
		bundle := filepath.Join(s.Dir, "bundle.json")
		c.must("attest-blob", "--yes", "--key", key+".key", "--signing-config", config, "--predicate", predicate, "--type", typ, "--bundle", bundle, artifact)
		verify := func(key, bundle, typ, file string) scene.Result {
			return s.Sallyport("verify", file, "--repo", s.Repo, "--key", key+".pub", "--type", typ, "--bundle", bundle)
		}
		if r := verify(key, bundle, typ, artifact); r.Status != 0 {
			b, _ := os.ReadFile(bundle)
			t.Fatalf("%s: we refuse what cosign signed: %v\n%s", typ, r, b)
		}
		b, err := os.ReadFile(bundle)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		edited := filepath.Join(s.Dir, "edited.json")
		if err := os.WriteFile(edited, s.EditBundle(b, func(e *scene.Envelope) {
			e.Payload = bytes.Replace(e.Payload, []byte("predicate"), []byte("predicatf"), 1)
		}), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]scene.Result{
			"a changed byte of the file": verify(key, bundle, typ, changed),
			"a changed statement":        verify(key, edited, typ, artifact),
			"another key":                verify(other, bundle, typ, artifact),
			"another type":               verify(key, bundle, otherType, artifact),
		} {
			if r.Status != sallyport.ExitShut {
				t.Errorf("%s, %s: %v", typ, name, r)
			}
		}
	}
}
