package git

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// states returns the files that are not the same, by path.
func states(s *WorkTreeState) []string {
	var out []string
	for _, f := range s.Files {
		if f.State != FileSame {
			out = append(out, f.State+" "+f.Path)
		}
	}
	return out
}

func TestCompareWorkTree(t *testing.T) {
	dir := sample(t)
	write(t, dir, ".gitignore", "*.o\n")
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-q", "-m", "ignore")
	head := run(t, dir, "rev-parse", "HEAD")
	compare := func() *WorkTreeState {
		t.Helper()
		s, err := open(t, dir).CompareWorkTree(t.Context(), head)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	clean := compare()
	if clean.Dirty() || len(clean.Files) != 3 {
		t.Fatalf("a fresh checkout: %v of %d files", states(clean), len(clean.Files))
	}

	for _, tt := range []struct {
		name string
		do   func()
		want []string
	}{
		{"an ignored file", func() { write(t, dir, "x.o", "object") }, nil},
		{"a file that the repository's own exclude hides", func() {
			write(t, dir, ".git/info/exclude", "hidden.go\n")
			write(t, dir, "hidden.go", "package evil\n")
		}, []string{"untracked hidden.go"}},
		{"the same length, the same time", func() {
			p := filepath.Join(dir, "a.txt")
			before, err := os.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "a.txt", "two\nmore\n")
			if err := os.Chtimes(p, time.Time{}, before.ModTime()); err != nil {
				t.Fatal(err)
			}
			run(t, dir, "update-index", "--assume-unchanged", "a.txt")
		}, []string{"modified a.txt", "untracked hidden.go"}},
		{"a mode", func() {
			if err := os.Chmod(filepath.Join(dir, "sub/deep/b.txt"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, []string{"modified a.txt", "untracked hidden.go", "modified sub/deep/b.txt"}},
		{"deleted, and a link in its place", func() {
			if err := os.Remove(filepath.Join(dir, "a.txt")); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(dir, "sub")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/etc/hostname", filepath.Join(dir, "a.txt")); err != nil {
				t.Fatal(err)
			}
		}, []string{"modified a.txt", "untracked hidden.go", "deleted sub/deep/b.txt"}},
		{"a folder that is a link out of the work tree", func() {
			if err := os.Symlink(t.TempDir(), filepath.Join(dir, "sub")); err != nil {
				t.Fatal(err)
			}
		}, []string{"modified a.txt", "untracked hidden.go", "untracked sub", "modified sub/deep/b.txt"}},
	} {
		before := compare().Difference()
		tt.do()
		got := compare()
		if !slices.Equal(states(got), tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, states(got), tt.want)
		}
		if tt.want != nil && got.Difference() == before {
			t.Errorf("%s: the digest of the difference is the same", tt.name)
		}
	}
}

// A filter or a hook that the repository's configuration names is not run to compare.
func TestCompareWorkTreeRunsNothing(t *testing.T) {
	dir := sample(t)
	mark := filepath.Join(t.TempDir(), "ran")
	run(t, dir, "config", "filter.evil.clean", "touch "+mark+"; cat")
	run(t, dir, "config", "core.fsmonitor", "touch "+mark)
	write(t, dir, ".gitattributes", "*.txt filter=evil\n")
	write(t, dir, "a.txt", "other\n")
	s, err := open(t, dir).CompareWorkTree(t.Context(), run(t, dir, "rev-parse", "HEAD"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := states(s), []string{"untracked .gitattributes", "modified a.txt"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a program of the repository's choice ran")
	}
}

// What Git LFS put in a pointer's place is what the commit names; anything else there is not.
func TestCompareWorkTreeLFS(t *testing.T) {
	dir := sample(t)
	sum := sha256.Sum256([]byte("large\n"))
	write(t, dir, "large.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:"+hex.EncodeToString(sum[:])+"\nsize 6\n")
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-q", "-m", "large")
	head := run(t, dir, "rev-parse", "HEAD")
	for content, dirty := range map[string]bool{"large\n": false, "larger": true} {
		write(t, dir, "large.bin", content)
		s, err := open(t, dir).CompareWorkTree(t.Context(), head)
		if err != nil {
			t.Fatal(err)
		}
		if s.Dirty() != dirty {
			t.Errorf("%q: %q", content, states(s))
		}
	}
}

// A submodule's folder is told, not looked into, and a repository that is in no commit is untracked.
func TestCompareWorkTreeNested(t *testing.T) {
	dir, other := sample(t), sample(t)
	run(t, dir, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other, "lib")
	run(t, dir, "commit", "-q", "-m", "lib")
	run(t, t.TempDir(), "clone", "-q", other, filepath.Join(dir, "stray"))
	s, err := open(t, dir).CompareWorkTree(t.Context(), run(t, dir, "rev-parse", "HEAD"))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Submodules) != 1 || s.Submodules[0].Path != "lib" {
		t.Errorf("submodules %v", s.Submodules)
	}
	if got, want := states(s), []string{"untracked stray/"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
