package git

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// plainGit runs git in a folder and returns what it prints.
func plainGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// A snapshot's tree is the one that git would commit.
func TestSnapshotWorkTree(t *testing.T) {
	dir := t.TempDir()
	plainGit(t, dir, "init", "-q", "-b", "main")
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(".gitignore", "*.log\n")
	write("kept", "same\n")
	write("changed", "before\n")
	write("gone", "x\n")
	write("folder/file", "x\n")
	plainGit(t, dir, "add", "-A")
	plainGit(t, dir, "commit", "-q", "-m", "one")
	r, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head, err := r.Resolve(t.Context(), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	tree, st, err := r.SnapshotWorkTree(t.Context(), head)
	if err != nil || st.Dirty() || tree != plainGit(t, dir, "rev-parse", "HEAD^{tree}") {
		t.Fatalf("clean: %s, %v", tree, err)
	}
	write("changed", "after\n")
	write("build.log", "ignored\n")
	write("new/a \"quoted\\\" \u00e4\ttab", "new\n")
	if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "folder")); err != nil { // a folder becomes a link
		t.Fatal(err)
	}
	if err := os.Symlink("new", filepath.Join(dir, "folder")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "kept"), 0o755); err != nil { //nolint:gosec // that is the change
		t.Fatal(err)
	}
	tree, st, err = r.SnapshotWorkTree(t.Context(), head)
	if err != nil || !st.Dirty() {
		t.Fatal(err)
	}
	plainGit(t, dir, "add", "-A")
	if want := plainGit(t, dir, "write-tree"); tree != want {
		t.Errorf("the tree is %s, want %s", tree, want)
	}
}

// Refs finds loose and packed refs, and leaves out what is symbolic.
func TestRefs(t *testing.T) {
	dir := t.TempDir()
	plainGit(t, dir, "init", "-q", "-b", "main")
	plainGit(t, dir, "commit", "-q", "--allow-empty", "-m", "one")
	plainGit(t, dir, "branch", "packed")
	plainGit(t, dir, "tag", "v1")
	plainGit(t, dir, "pack-refs", "--all")
	one := plainGit(t, dir, "rev-parse", "HEAD")
	plainGit(t, dir, "commit", "-q", "--allow-empty", "-m", "two")
	two := plainGit(t, dir, "rev-parse", "HEAD")
	plainGit(t, dir, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/main")
	r, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := r.Refs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"refs/heads/main": two, "refs/heads/packed": one, "refs/tags/v1": one}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, oid := range want {
		if got[name] != oid {
			t.Errorf("%s is %s, want %s", name, got[name], oid)
		}
	}
}

// A work tree that AddWorkTree makes is one to git, clean, and runs no hook.
func TestAddWorkTree(t *testing.T) {
	dir := t.TempDir()
	plainGit(t, dir, "init", "-q", "-b", "main")
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	plainGit(t, dir, "add", "a")
	plainGit(t, dir, "commit", "-q", "-m", "one")
	hook := filepath.Join(dir, ".git", "hooks", "post-checkout")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\ntouch "+filepath.Join(dir, "hooked")+"\n"), 0o755); err != nil { //nolint:gosec // a hook
		t.Fatal(err)
	}
	r, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head, err := r.Resolve(t.Context(), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "runs", "one")
	if err := r.AddWorkTree(t.Context(), head, at, "agent/run-1"); err != nil {
		t.Fatal(err)
	}
	if got := plainGit(t, at, "status", "--porcelain", "--branch"); got != "## agent/run-1" {
		t.Errorf("its status is %q", got)
	}
	if list := plainGit(t, dir, "worktree", "list"); !strings.Contains(list, "[agent/run-1]") {
		t.Errorf("git lists\n%s", list)
	}
	if _, err := os.Lstat(filepath.Join(dir, "hooked")); err == nil {
		t.Error("a hook ran")
	}
	if err := r.AddWorkTree(t.Context(), head, at+"2", "agent/run-1"); err == nil {
		t.Error("a branch that is there was taken again")
	}
	elsewhere, err := r.CheckedOutElsewhere()
	if err != nil || len(elsewhere) != 1 || elsewhere[0] != "refs/heads/agent/run-1" {
		t.Errorf("checked out elsewhere: %v, %v", elsewhere, err)
	}
}
