//go:build e2e && linux

package agents

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/agents/vendor"
)

// Without Sallyport every client completes the story against the fake, and the vendor sees the secret:
// what TestClients shows is Sallyport's doing, and not a client's or the fake's.
func TestDirect(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			program := c.program(t)
			dir := workspace(t)
			home, err := os.MkdirTemp(filepath.Dir(dir), "home")
			if err != nil {
				t.Fatal(err)
			}
			v := &vendor.Vendor{Script: play(dir)}
			srv := httptest.NewServer(v)
			defer srv.Close()
			env := append(c.direct(t, home, srv.URL),
				"PATH="+os.Getenv("PATH"), "HOME="+home, "TERM=xterm", "LANG=C.UTF-8",
				"GIT_AUTHOR_NAME=Grace", "GIT_AUTHOR_EMAIL=grace@example.com", "GIT_COMMITTER_NAME=Grace", "GIT_COMMITTER_EMAIL=grace@example.com")
			out, err := run(t, dir, env, program, c.args...)
			got, _ := os.ReadFile(filepath.Join(dir, summary))
			if err != nil || string(got) != "first line\nowner: nobody\nlast line\n" || git(t, dir, "log", "-1", "--format=%s") != "Add a summary" {
				t.Fatalf("%v: %s is %q\n%s\n%s", err, summary, got, out, tell(v))
			}
			if !v.Saw(secret) {
				t.Errorf("the vendor did not see the secret, so hiding it shows nothing\n%s", tell(v))
			}
		})
	}
}

// workspace returns a repository in which notes.txt lies untracked. (Some clients do not read what git
// ignores, nor a file whose name ends in .env.) The repository does not lie under
// the system's temporary folder, where Codex refuses to keep its programs.
func workspace(t *testing.T) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	top, err := os.MkdirTemp(base, "sallyport-agents-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	dir := filepath.Join(top, "repo")
	write(t, filepath.Join(dir, "README.md"), "# A repository\n")
	git(t, dir, "init", "-q", "-b", "main")
	git(t, dir, "config", "user.name", "Grace")
	git(t, dir, "config", "user.email", "grace@example.com")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "Begin")
	write(t, filepath.Join(dir, notes), "OWNER="+address+"\nPAYMENTS="+secret+"\n")
	return dir
}

// tell lists what the vendor was asked.
func tell(v *vendor.Vendor) string {
	var b strings.Builder
	for _, r := range v.Requests() {
		b.WriteString(r.Method + " " + r.Path)
		if !r.Known {
			b.WriteString(" (unknown)")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
