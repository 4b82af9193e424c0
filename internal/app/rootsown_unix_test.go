//go:build unix

package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/run/profile"
)

// Root asks no program for its version that another user can write: whoever wrote it would be root.
func TestRootAsksOnlyItsOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this is not root, and CI asks what root runs")
		}
		t.Skip("NOT TESTED: what root runs, since this is not root")
	}
	const other = 4711
	for _, tt := range []struct {
		name   string
		spoil  func(t *testing.T, folder, file string) error
		asked  bool
		script bool // behind an interpreter
	}{
		{"root's own", func(*testing.T, string, string) error { return nil }, true, false},
		{"root's own script", func(*testing.T, string, string) error { return nil }, true, true},
		{"another's", func(_ *testing.T, _, file string) error { return os.Chown(file, other, other) }, false, false},
		{"another's script", func(_ *testing.T, _, file string) error { return os.Chown(file, other, other) }, false, true},
		{"everybody writes it", func(_ *testing.T, _, file string) error { return os.Chmod(file, 0o777) }, false, false},
		{"in another's folder", func(_ *testing.T, folder, _ string) error { return os.Chown(folder, other, other) }, false, false},
		{"in everybody's folder", func(_ *testing.T, folder, _ string) error { return os.Chmod(folder, 0o777) }, false, false},
		{"in everybody's, where each keeps his own", func(_ *testing.T, folder, _ string) error { return os.Chmod(folder, 0o777|os.ModeSticky) }, true, false},
		{"by a link to another's", func(_ *testing.T, _, file string) error {
			if err := os.Rename(file, file+".real"); err != nil {
				return err
			}
			if err := os.Chown(file+".real", other, other); err != nil {
				return err
			}
			return os.Symlink(file+".real", file)
		}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "node_modules", "@anthropic-ai", "claude-code")
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			file, ran := filepath.Join(folder, "claude"), filepath.Join(t.TempDir(), "ran")
			if err := os.WriteFile(file, []byte("#!/bin/sh\n: > '"+ran+"'\necho 1.2.3\n"), 0o755); err != nil { //nolint:gosec // a program
				t.Fatal(err)
			}
			if err := tt.spoil(t, folder, file); err != nil {
				t.Fatal(err)
			}
			args := []string{file}
			if tt.script {
				node := filepath.Join(t.TempDir(), "node")
				if err := os.Symlink("/bin/sh", node); err != nil {
					t.Fatal(err)
				}
				args = []string{node, file}
			}
			p, ok := profile.Recognise(args)
			if !ok {
				t.Fatalf("%q is not recognised", args)
			}
			rep, want := &RunReport{}, ""
			if tt.asked {
				want = "1.2.3"
			}
			got := agentVersion(t.Context(), rep, args, p, os.Environ())
			_, err := os.Stat(ran)
			if got != want || (err == nil) != tt.asked || (len(rep.Notes) == 0) != tt.asked {
				t.Errorf("version %q, ran: %v, notes %q; want %q", got, err == nil, rep.Notes, want)
			}
		})
	}
}
