package app

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
)

// A remote's ref that cannot be read does not make way for the local branch of its name, which
// whoever made the change can move past what is to be judged.
func TestDamagedRemoteRefIsNotAbsent(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "one"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	ref := filepath.Join(dir, ".git", "refs", "remotes", "origin", "main")
	if err := os.MkdirAll(filepath.Dir(ref), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]TargetOptions{"found": {}, "named": {Ref: "main"}} {
		t.Run(name, func(t *testing.T) {
			find := func() error {
				repo, err := git.Open(t.Context(), dir)
				if err != nil {
					t.Fatal(err)
				}
				defer repo.Close()
				_, err = FindTarget(t.Context(), refs{repo, change.New(repo, nil)}, func(string) string { return "" }, o)
				return err
			}
			if err := os.RemoveAll(ref); err != nil {
				t.Fatal(err)
			}
			if err := find(); err != nil {
				t.Errorf("without the remote's ref: %v", err)
			}
			if err := os.WriteFile(ref, []byte("damaged\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := find(); err == nil {
				t.Error("the local branch was taken for the remote's")
			}
		})
	}
}
