package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) { os.Exit(scene.Main(m)) }

// ours stages a repository under our own rules.
func ours(t *testing.T) *scene.Scene {
	t.Helper()
	s := scene.New(t, scene.Options{NoRoot: true})
	top := filepath.Join("..", "..", ".sallyport")
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		s.Write(filepath.Join(".sallyport", rel), string(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Commit("Adopt")
	return s
}

// secret looks like one and is none; it is put together so that this file does not hold it.
func secret() string { return "TOKEN = \"ghp_" + strings.Repeat("a1B2c3D4e5F6", 3) + "\"\n" }

func TestOurRules(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *scene.Scene) (repo string)
		want bool // refused
		says string
	}{
		{"nothing to find", func(s *scene.Scene) string {
			s.Append("util.py", "\n\ndef one():\n    return 1\n")
			s.AgentCommit("One")
			return s.Repo
		}, false, "by the rules from before it"},
		{"a secret in the last commit", func(s *scene.Scene) string {
			s.Append("util.py", secret())
			s.AgentCommit("One")
			return s.Repo
		}, true, ""},
		{"a secret that came in before", func(s *scene.Scene) string {
			s.Append("util.py", secret())
			s.AgentCommit("One")
			s.Append("util.py", "\n\ndef one():\n    return 1\n")
			s.AgentCommit("Two")
			return s.Repo
		}, true, ""},
		{"hidden text", func(s *scene.Scene) string {
			s.Append("util.py", "# \u202e txet neddih\n")
			s.AgentCommit("One")
			return s.Repo
		}, true, ""},
		{"a shallow clone", func(s *scene.Scene) string { return shallow(s) }, false, "the clone is shallow"},
		{"a shallow clone with a secret", func(s *scene.Scene) string {
			s.Append("util.py", secret())
			s.AgentCommit("One")
			return shallow(s)
		}, true, ""},
		{"no parent", func(s *scene.Scene) string {
			s.Git("reset", "-q", "--soft", s.Git("commit-tree", "-m", "One", "HEAD^{tree}"))
			return s.Repo
		}, false, "it has no parent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ours(t)
			var out strings.Builder
			err := run(t.Context(), scene.Binary(), tt.do(s), &out)
			if errors.Is(err, errFound) != tt.want || (err != nil && !tt.want) || !strings.Contains(out.String(), tt.says) {
				t.Errorf("got %v, want a refusal: %v, and %q in:\n%s", err, tt.want, tt.says, out.String())
			}
			if err != nil && strings.Contains(err.Error(), "a1B2c3") {
				t.Errorf("the secret is printed: %v", err)
			}
		})
	}
	t.Run("without rules", func(t *testing.T) {
		s := scene.New(t, scene.Options{NoRoot: true})
		if err := run(t.Context(), scene.Binary(), s.Repo, new(strings.Builder)); err == nil {
			t.Error("a repository without rules passed")
		}
	})
}

func shallow(s *scene.Scene) string {
	dir := filepath.Join(s.Dir, "shallow")
	s.Git("clone", "-q", "--depth=1", "file://"+s.Repo, dir)
	return dir
}
