package interop

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// timestampServer serves an authority's timestamps, as RFC 3161 has it over HTTP.
func timestampServer(t *testing.T, a *keylesstest.Authority) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, _ := io.ReadAll(r.Body)
		answer, err := a.Answer(query, time.Now())
		if err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
			t.Errorf("%s: %v", r.Header.Get("Content-Type"), err)
		}
		_, _ = w.Write(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

// What was attested with a timestamp outlives the rotation of its key, and what was attested
// without does not. After a compromise neither counts.
func TestRotationAndTimestamps(t *testing.T) {
	authority, stranger := keylesstest.New(t, time.Now()), keylesstest.New(t, time.Now())
	tsa, other := timestampServer(t, authority), timestampServer(t, stranger)

	const built = "https://example.com/built/v1"
	base := scene.New(t, scene.Options{})
	builder := filepath.Join(t.TempDir(), "builder")
	base.Must("key", "generate", builder)
	pub, err := os.ReadFile(builder + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	trust := base.Read(".sallyport/trust.yaml") + "  - name: builder\n    key: |\n      " + strings.ReplaceAll(strings.TrimSpace(string(pub)), "\n", "\n      ") +
		"\n    principal: {kind: workload, name: builder}\n    types: [" + built + "]\n    grade: observed\n"
	s := base.Restage(t, scene.Options{Files: map[string]string{".sallyport/trust.yaml": trust, ".sallyport/trusted_root.json": string(authority.TrustedRoot())}})
	artifact, predicate := filepath.Join(s.Dir, "artifact"), filepath.Join(s.Dir, "predicate.json")
	for name, content := range map[string]string{artifact: "what is attested\n", predicate: `{"built":true}`} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	attest := func(bundle string, more ...string) scene.Result {
		return s.Sallyport(append([]string{"attest", artifact, "--repo", s.Repo, "--type", built, "--predicate", predicate, "--key", builder, "--bundle", bundle}, more...)...)
	}
	stamped, plain, none := filepath.Join(s.Dir, "stamped.json"), filepath.Join(s.Dir, "plain.json"), filepath.Join(s.Dir, "none.json")
	if r := attest(stamped, "--timestamp-server-url", tsa.URL); r.Status != 0 {
		t.Fatal(r)
	}
	if r := attest(plain); r.Status != 0 {
		t.Fatal(r)
	}
	for url, says := range map[string]string{
		other.URL:                  "not of an authority of the trusted root",
		"http://192.0.2.1/":        "is not https",
		"ftp://localhost/":         "is not https",
		"https://user@tsa.example": "no address",
		"tsa":                      "no address",
	} {
		if r := attest(none, "--timestamp-server-url", url); r.Status != sallyport.ExitUndecided || !strings.Contains(r.Stderr, says) {
			t.Errorf("%s: want %q: %v", url, says, r)
		}
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("a bundle was written whose timestamp does not verify")
	}

	verify := func(when string, want map[string]int) {
		t.Helper()
		for bundle, status := range want {
			r := s.Sallyport("verify", artifact, "--repo", s.Repo, "--target", "main", "--root", string(s.Pin), "--bundle", bundle)
			if r.Status != status || (status != 0 && !strings.Contains(r.Stdout, "the key that signed was revoked")) {
				t.Errorf("%s, %s: want status %d: %v", when, filepath.Base(bundle), status, r)
			}
		}
	}
	land := func(message string) {
		t.Helper()
		s.Pin = s.RootInit()
		s.Commit(message)
	}
	verify("before", map[string]int{stamped: sallyport.ExitOpen, plain: sallyport.ExitOpen})
	time.Sleep(1100 * time.Millisecond) // timestamps and revocations have whole seconds
	s.Must("key", "rotate", "builder", "--generate", filepath.Join(s.Dir, "next"), "--now", "--repo", s.Repo)
	verify("rotated in the work tree only", map[string]int{stamped: sallyport.ExitOpen, plain: sallyport.ExitOpen})
	land("Rotate the builder's key")
	verify("rotated", map[string]int{stamped: sallyport.ExitOpen, plain: sallyport.ExitShut})
	late := filepath.Join(s.Dir, "late.json")
	if r := attest(late, "--timestamp-server-url", tsa.URL); r.Status != 0 {
		t.Fatal(r)
	}
	verify("signed after the rotation", map[string]int{late: sallyport.ExitShut})
	s.Must("key", "revoke", "builder", "--reason", "compromised", "--repo", s.Repo)
	land("It was stolen")
	verify("compromised", map[string]int{stamped: sallyport.ExitShut, plain: sallyport.ExitShut, late: sallyport.ExitShut})
}
