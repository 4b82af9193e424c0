package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A checkout has the commit's files and nothing of the repository's configuration, and git in it
// says of it what it said of the repository.
func TestCheckout(t *testing.T) {
	for _, format := range []string{SHA1, SHA256} {
		t.Run(format, func(t *testing.T) {
			src := sample(t, "--object-format="+format)
			run(t, src, "tag", "v1.2.3")
			run(t, src, "tag", "-a", "-m", "old", "v1.0.0")
			run(t, src, "pack-refs", "--all")
			run(t, src, "tag", "loose/v2")
			// What the repository's owner configured must not run.
			ran := filepath.Join(t.TempDir(), "ran")
			run(t, src, "config", "filter.evil.smudge", "touch "+ran)
			write(t, src, ".gitattributes", "* filter=evil\n")
			if err := os.Symlink("a", filepath.Join(src, "link")); err != nil {
				t.Fatal(err)
			}
			run(t, src, "add", "-A")
			run(t, src, "commit", "-q", "-m", "more")
			run(t, src, "config", "core.hooksPath", src)
			write(t, src, "post-checkout", "#!/bin/sh\ntouch "+ran+"\n")
			r := open(t, src)
			oid, err := r.Resolve(t.Context(), "HEAD")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			out, err := r.Checkout(t.Context(), oid, dir, "work")
			if err != nil {
				t.Fatal(err)
			}
			if out.Files == 0 || len(out.Submodules) > 0 {
				t.Errorf("%+v", out)
			}
			if _, err := os.Stat(ran); err == nil {
				t.Error("a program that the repository names ran")
			}
			if got := run(t, dir, "status", "--porcelain"); strings.TrimSpace(got) != "" {
				t.Errorf("the checkout is not clean: %s", got)
			}
			for _, args := range [][]string{{"rev-parse", "HEAD"}, {"ls-files", "-s"}, {"describe", "--tags"}, {"tag", "--list"}} {
				if got, want := run(t, dir, args...), run(t, src, args...); got != want {
					t.Errorf("git %v: %q, want %q", args, got, want)
				}
			}
			if got := strings.TrimSpace(run(t, dir, "symbolic-ref", "HEAD")); got != "refs/heads/work" {
				t.Errorf("HEAD is %s", got)
			}
			if to, err := os.Readlink(filepath.Join(dir, "link")); err != nil || to != "a" {
				t.Errorf("the link leads to %q, %v", to, err)
			}
			if _, err := r.Checkout(t.Context(), oid, dir, ""); err == nil {
				t.Error("a folder that holds something was written into")
			}
		})
	}
}

// A doctored store does not bring other files into a checkout.
func TestCheckoutOfDoctoredStore(t *testing.T) {
	src := sample(t)
	oid := strings.TrimSpace(run(t, src, "rev-parse", "HEAD"))
	blob := strings.Fields(run(t, src, "ls-tree", "-r", "HEAD"))[2]
	write(t, src, "post", "other\n")
	other := strings.TrimSpace(run(t, src, "hash-object", "-w", "post"))
	path := func(oid string) string { return filepath.Join(src, ".git", "objects", oid[:2], oid[2:]) }
	b, err := os.ReadFile(path(other))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path(blob)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(blob), b, 0o444); err != nil {
		t.Fatal(err)
	}
	r := open(t, src)
	if _, err := r.Checkout(t.Context(), oid, t.TempDir(), ""); err == nil {
		t.Error("an object that is not what its id says was checked out")
	}
}
