package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestArtifacts(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "dist/old", "old")
	w, err := NewWatch(t.Context(), dir, []string{"./dist/**", "app"})
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "app", "app")
	put(t, dir, "dist/a/b.tar", "b")
	put(t, dir, "other", "no artifact")
	if _, err := w.Artifacts(t.Context(), false); !errors.Is(err, ErrUnchanged) {
		t.Errorf("a file that lay there before: %v", err)
	}
	as, err := w.Artifacts(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	want := []Artifact{{"app", hexSum("app"), 3, false}, {"dist/a/b.tar", hexSum("b"), 1, false}, {"dist/old", hexSum("old"), 3, true}}
	if len(as) != len(want) {
		t.Fatalf("%v", as)
	}
	for i := range want {
		if as[i] != want[i] {
			t.Errorf("%+v, want %+v", as[i], want[i])
		}
	}
	// The same bytes, written again, are made by the run.
	put(t, dir, "dist/new", "old")
	if err := os.Rename(filepath.Join(dir, "dist/new"), filepath.Join(dir, "dist/old")); err != nil {
		t.Fatal(err)
	}
	if as, err := w.Artifacts(t.Context(), false); err != nil || len(as) != 3 {
		t.Errorf("%v, %v", as, err)
	}
}

func TestArtifactsRefused(t *testing.T) {
	outside := t.TempDir()
	put(t, outside, "secret", "secret")
	for _, tt := range []struct {
		name, pattern string
		make          func(dir string) error
		want          error
		said          string
	}{
		{"nothing matches", "dist/*", func(string) error { return nil }, ErrNone, "dist/*"},
		{"a link to a file outside", "app", func(d string) error { return os.Symlink(filepath.Join(outside, "secret"), filepath.Join(d, "app")) }, ErrArtifact, "link"},
		{"a link to a file inside", "app*", func(d string) error {
			return errors.Join(os.WriteFile(filepath.Join(d, "app1"), nil, 0o600), os.Symlink("app1", filepath.Join(d, "app")))
		}, ErrArtifact, "link"},
		{"a link in a folder's place", "dist/*", func(d string) error { return os.Symlink(outside, filepath.Join(d, "dist")) }, ErrNone, "dist/*"},
		{"a named pipe", "app", func(d string) error { return syscall.Mkfifo(filepath.Join(d, "app"), 0o600) }, ErrArtifact, "regular"},
		{"one of two patterns", "nowhere", func(d string) error { return os.WriteFile(filepath.Join(d, "app"), nil, 0o600) }, ErrNone, "nowhere"},
	} {
		dir := t.TempDir()
		w, err := NewWatch(t.Context(), dir, []string{tt.pattern})
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.make(dir); err != nil {
			t.Fatal(err)
		}
		if as, err := w.Artifacts(t.Context(), false); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.said) || as != nil {
			t.Errorf("%s: %v, %v", tt.name, as, err)
		}
	}
	for _, p := range []string{"/etc/passwd", "../x", "a/../b", "", "[a]", ".git/../x"} {
		if _, err := NewWatch(t.Context(), t.TempDir(), []string{p}); !errors.Is(err, ErrPattern) {
			t.Errorf("the pattern %q: %v", p, err)
		}
	}
}

// A file that is written to while it is read has no digest that anybody could rely on.
func TestArtifactsThatChange(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWatch(t.Context(), dir, []string{"app"})
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "app", strings.Repeat("x", 16<<20))
	f, err := os.OpenFile(filepath.Join(dir, "app"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		defer f.Close()
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = f.WriteString("y")
			}
		}
	}()
	as, err := w.Artifacts(t.Context(), false)
	close(stop)
	<-stopped
	if !errors.Is(err, ErrArtifact) || !strings.Contains(err.Error(), "changed") {
		t.Errorf("%v, %v", as, err)
	}
}

// What git keeps is no artifact, whatever a pattern says.
func TestArtifactsLeaveGitAlone(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWatch(t.Context(), dir, []string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, ".git/config", "x")
	put(t, dir, "a", "x")
	if as, err := w.Artifacts(t.Context(), false); err != nil || len(as) != 1 {
		t.Errorf("%v, %v", as, err)
	}
}
