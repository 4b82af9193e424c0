package identity

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

// skDummy is OpenSSH's own security key in software.
const skDummy = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so"

// Commits that git itself signed, with an ordinary key and with a security key.
func TestCommitsSignedByGit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		grade sallyport.Grade
	}{
		{"ordinary key", []string{"-t", "ed25519"}, sallyport.Declared},
		{"security key", []string{"-t", "ed25519-sk", "-w", skDummy}, sallyport.Present},
		{"security key that wants no touch", []string{"-t", "ed25519-sk", "-w", skDummy, "-O", "no-touch-required"}, sallyport.Declared},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, tool := range []string{"git", "ssh-keygen"} {
				if _, err := exec.LookPath(tool); err != nil {
					missing(t, tool)
				}
			}
			if _, err := os.Stat(skDummy); err != nil && len(tt.args) > 2 {
				missing(t, skDummy+" (package openssh-tests)")
			}
			t.Setenv("SSH_SK_PROVIDER", skDummy)
			dir := t.TempDir()
			key := filepath.Join(dir, "key")
			run(t, dir, "ssh-keygen", append([]string{"-q", "-N", "", "-C", "", "-f", key}, tt.args...)...)
			run(t, dir, "git", "init", "-q")
			run(t, dir, "git", "commit", "-q", "-S", "--allow-empty", "-m", "Fix\n\nWith a body")
			pub, err := os.ReadFile(key + ".pub")
			if err != nil {
				t.Fatal(err)
			}
			r, err := ParseRoster([]byte("version: 1\npersons:\n- id: bob\n- id: alice\n  emails: [alice@example.com]\n  keys:\n  - key: " +
				strings.TrimSpace(string(pub)) + "\n    enrolled_by: bob\n"))
			if err != nil {
				t.Fatal(err)
			}
			co := cut(t, run(t, dir, "git", "cat-file", "commit", "HEAD"))
			got := New(r, now).Commit(co)
			if got.Attribution.Principal != (sallyport.Principal{Kind: sallyport.Person, Name: "alice"}) || got.Attribution.Grade != tt.grade {
				t.Errorf("got %+v with %+v, want alice at %s", got.Attribution, got.SignatureCheck, tt.grade)
			}
			if want, _ := sshsig.ParseAuthorizedKey(string(pub)); got.SignatureCheck.Key != sshsig.Fingerprint(want) {
				t.Errorf("key %s, want %s", got.SignatureCheck.Key, sshsig.Fingerprint(want))
			}
			co.Signed = bytes.Replace(co.Signed, []byte("Fix"), []byte("fix"), 1)
			if got := New(r, now).Commit(co); got.SignatureCheck.State != sallyport.SignatureBad {
				t.Errorf("after a change of one letter: %+v", got.SignatureCheck)
			}
		})
	}
}

// A commit that git had gpg sign.
func TestCommitSignedByGPG(t *testing.T) {
	for _, tool := range []string{"git", "gpg", "gpgconf"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool)
		}
	}
	home, err := os.MkdirTemp("", "gpg") // the agent's socket needs a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	t.Setenv("GNUPGHOME", home)
	dir := t.TempDir()
	run(t, dir, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Alice <alice@example.com>", "ed25519", "sign,cert", "1d")
	run(t, dir, "git", "init", "-q")
	run(t, dir, "git", "-c", "gpg.format=openpgp", "-c", "user.signingkey=alice@example.com", "commit", "-q", "-S", "--allow-empty", "-m", "Fix")
	text := "version: 1\npersons:\n- id: alice\n  emails: [alice@example.com]\n  openpgp: [{file: alice.asc}]\n"
	r, err := ParseRosterFiles([]byte(text), map[string][]byte{".sallyport/alice.asc": run(t, dir, "gpg", "--armor", "--export")})
	if err != nil {
		t.Fatal(err)
	}
	co := cut(t, run(t, dir, "git", "cat-file", "commit", "HEAD"))
	co.SignatureKind = "openpgp"
	for at, want := range map[time.Duration]string{0: sallyport.SignatureGood, 48 * time.Hour: sallyport.SignatureExpired} {
		got := New(r, time.Now().Add(at)).Commit(co)
		if got.SignatureCheck.State != want || (want == sallyport.SignatureGood) != (got.Attribution.Principal.Name == "alice") {
			t.Errorf("after %v: %+v with %+v", at, got.Attribution, got.SignatureCheck)
		}
	}
}

// missing skips loudly, and fails in CI, where every tool must be there.
func missing(t *testing.T, tool string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", tool)
	}
	t.Skipf("NOT TESTED: %s is missing", tool)
}

func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com",
		"GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com",
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=gpg.format", "GIT_CONFIG_VALUE_0=ssh",
		"GIT_CONFIG_KEY_1=user.signingkey", "GIT_CONFIG_VALUE_1="+filepath.Join(dir, "key"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.Bytes())
	}
	return out
}

// cut takes a commit object apart: its signature, what that covers, and its message.
func cut(t *testing.T, object []byte) *sallyport.Commit {
	t.Helper()
	var signed, sig bytes.Buffer
	head, body, _ := strings.Cut(string(object), "\n\n")
	in := false
	for line := range strings.Lines(head + "\n") {
		switch {
		case strings.HasPrefix(line, "gpgsig "):
			in = true
			sig.WriteString(strings.TrimPrefix(line, "gpgsig "))
		case in && strings.HasPrefix(line, " "):
			sig.WriteString(line[1:])
		default:
			in = false
			signed.WriteString(line)
		}
	}
	signed.WriteString("\n" + body)
	if sig.Len() == 0 {
		t.Fatalf("no signature in %q", object)
	}
	me := sallyport.Ident{Name: "Alice", Email: "alice@example.com"}
	return &sallyport.Commit{Author: me, Committer: me, Message: body, SignatureKind: "ssh",
		Signature: sig.Bytes(), Signed: signed.Bytes()}
}
