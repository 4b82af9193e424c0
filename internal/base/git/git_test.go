package git

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// run executes git as a user would, in dir, with a plain identity and no configuration.
func run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=1700000000 +0000")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// sample makes a repository with two commits, a tag, a folder and a branch.
func sample(t testing.TB, init ...string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, append([]string{"init", "-q", "-b", "main"}, init...)...)
	write(t, dir, "a.txt", "one\n")
	write(t, dir, "sub/deep/b.txt", "two\n")
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-q", "-m", "first")
	run(t, dir, "branch", "side")
	write(t, dir, "a.txt", "one\nmore\n")
	run(t, dir, "commit", "-q", "-a", "-m", "second")
	run(t, dir, "tag", "-a", "-m", "v1", "v1")
	return dir
}

func open(t testing.TB, dir string, opts ...Option) *Repo {
	t.Helper()
	r, err := Open(t.Context(), dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestOpenFindsEveryKindOfRepository(t *testing.T) {
	dir := sample(t)
	head := run(t, dir, "rev-parse", "HEAD")
	linked := filepath.Join(t.TempDir(), "linked")
	run(t, dir, "worktree", "add", "-q", linked, "side")
	bare := filepath.Join(t.TempDir(), "bare.git")
	run(t, dir, "clone", "-q", "--bare", dir, bare)
	odd := filepath.Join(t.TempDir(), "new\nline \"quoted\" \xff")
	run(t, dir, "clone", "-q", dir, odd)
	sha256 := sample(t, "--object-format=sha256")
	for _, tt := range []struct{ name, dir, head string }{
		{"work tree", dir, head},
		{"subfolder", filepath.Join(dir, "sub", "deep"), head},
		{".git folder", filepath.Join(dir, ".git"), head},
		{"linked worktree", linked, run(t, dir, "rev-parse", "side")},
		{"bare", bare, head},
		{"folder with an odd name", odd, head},
		{"sha256", sha256, run(t, sha256, "rev-parse", "HEAD")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, tt.dir)
			got, err := r.Resolve(t.Context(), "HEAD")
			if err != nil || got != tt.head {
				t.Fatalf("Resolve(HEAD) = %q, %v; want %q", got, err, tt.head)
			}
			if b, err := r.File(t.Context(), got, "sub/deep/b.txt", 100); err != nil || string(b) != "two\n" {
				t.Errorf("File = %q, %v", b, err)
			}
		})
	}
	if _, err := Open(t.Context(), t.TempDir()); !errors.Is(err, ErrNotRepository) {
		t.Errorf("Open of a plain folder: %v, want ErrNotRepository", err)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "a.txt")); err == nil {
		t.Error("Open of a file succeeded")
	}
}

// A git folder that cannot be read is an error, and never "go on to the one further up".
func TestOpenStaysWithTheNearestRepository(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
	}{
		{"objects that cannot be followed", func(t *testing.T, dir string) {
			run(t, dir, "init", "-q", "-b", "main")
			loop(t, filepath.Join(dir, ".git", "objects"))
		}},
		{"refs that cannot be followed", func(t *testing.T, dir string) {
			run(t, dir, "init", "-q", "-b", "main")
			loop(t, filepath.Join(dir, ".git", "refs"))
		}},
		{"git folder elsewhere that cannot be followed", func(t *testing.T, dir string) {
			write(t, dir, ".git", "gitdir: elsewhere\n")
			loop(t, filepath.Join(dir, "elsewhere"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inner := filepath.Join(sample(t), "inner")
			if err := os.Mkdir(inner, 0o700); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, inner)
			r, err := Open(t.Context(), inner)
			if err == nil {
				t.Errorf("Open took %s", r.CommonDir())
				r.Close()
			} else if !errors.Is(err, syscall.ELOOP) {
				t.Errorf("Open: %v, want ELOOP", err)
			}
		})
	}
}

// loop puts a symbolic link that names itself in the place of what is at path.
func loop(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Base(path), path); err != nil {
		t.Fatal(err)
	}
}

func TestResolve(t *testing.T) {
	dir := sample(t)
	run(t, dir, "pack-refs", "--all")
	run(t, dir, "branch", "fresh", "side")
	run(t, dir, "tag", "both", "side")
	run(t, dir, "branch", "both", "main")
	run(t, dir, "symbolic-ref", "refs/heads/alias", "refs/heads/side")
	first, second := run(t, dir, "rev-parse", "side"), run(t, dir, "rev-parse", "main")
	r := open(t, dir)
	for _, tt := range []struct {
		name, rev, want string
		err             error
	}{
		{"head", "HEAD", second, nil},
		{"at", "@", second, nil},
		{"full id", first, first, nil},
		{"short id", first[:12], first, nil},
		{"packed branch", "side", first, nil},
		{"loose branch", "fresh", first, nil},
		{"full name", "refs/heads/main", second, nil},
		{"annotated tag is peeled", "v1", second, nil},
		{"parent", "main~1", first, nil},
		{"first parent", "HEAD^", first, nil},
		{"chain", "v1^{commit}~1^0", first, nil},
		{"symbolic ref", "alias", first, nil},
		{"ambiguous", "both", "", ErrAmbiguous},
		{"unknown", "nowhere", "", ErrNotFound},
		{"no such parent", "side~1", "", ErrNotFound},
		{"unknown id", strings.Repeat("1", 40), "", ErrNotFound},
		{"option", "--all", "", ErrRevision},
		{"message search", "HEAD^{/first}", "", ErrRevision},
		{"path", "HEAD:a.txt", "", ErrRevision},
		{"escape", "../../etc/passwd", "", ErrRevision},
		{"line feed", "HEAD\nflush", "", ErrRevision},
		{"empty", "", "", ErrRevision},
		{"no upstream", "@{u}", "", ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := r.Resolve(t.Context(), tt.rev)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Resolve(%q) = %q, %v; want %q, %v", tt.rev, got, err, tt.want, tt.err)
			}
		})
	}
}

func TestUpstreamAndRemoteDefault(t *testing.T) {
	origin := sample(t)
	dir := filepath.Join(t.TempDir(), "clone")
	run(t, origin, "clone", "-q", origin, dir)
	r := open(t, dir)
	ctx := t.Context()
	if got, err := r.SymbolicHead(ctx); got != "refs/heads/main" || err != nil {
		t.Errorf("SymbolicHead = %q, %v", got, err)
	}
	if got, err := r.Upstream(ctx); got != "refs/remotes/origin/main" || err != nil {
		t.Errorf("Upstream = %q, %v", got, err)
	}
	if got, err := r.RemoteDefault(ctx, "origin"); got != "refs/remotes/origin/main" || err != nil {
		t.Errorf("RemoteDefault = %q, %v", got, err)
	}
	if got, err := r.Resolve(ctx, "@{u}"); got != run(t, origin, "rev-parse", "main") || err != nil {
		t.Errorf("Resolve(@{u}) = %q, %v", got, err)
	}
	run(t, dir, "checkout", "-q", "--detach")
	if _, err := r.SymbolicHead(ctx); !errors.Is(err, ErrNotFound) {
		t.Errorf("SymbolicHead when detached: %v", err)
	}
}

func TestObjects(t *testing.T) {
	for _, format := range []string{SHA1, SHA256} {
		t.Run(format, func(t *testing.T) {
			dir := sample(t, "--object-format="+format)
			r := open(t, dir)
			ctx := t.Context()
			head, err := r.Resolve(ctx, "HEAD")
			if err != nil {
				t.Fatal(err)
			}
			if want := run(t, dir, "hash-object", "-t", "tree", "/dev/null"); r.EmptyTree() != want {
				t.Errorf("EmptyTree = %s, want %s", r.EmptyTree(), want)
			}
			entries, err := r.Ls(ctx, head, "")
			if err != nil || len(entries) != 2 || entries[1].Path != "sub/deep/b.txt" || entries[1].Mode != "100644" {
				t.Fatalf("Ls = %v, %v", entries, err)
			}
			below, err := r.Ls(ctx, head, "sub/")
			if err != nil || len(below) != 1 || below[0] != entries[1] {
				t.Errorf("Ls below sub = %v, %v", below, err)
			}
			if none, err := r.Ls(ctx, r.EmptyTree(), ""); err != nil || len(none) != 0 {
				t.Errorf("Ls of the empty tree = %v, %v", none, err)
			}
			blob := entries[0].OID
			if b, err := r.Blob(ctx, blob, 9); err != nil || string(b) != "one\nmore\n" {
				t.Errorf("Blob = %q, %v", b, err)
			}
			for _, tt := range []struct {
				name string
				err  error
				do   func() error
			}{
				{"blob over its limit", ErrTooLarge, func() error { _, err := r.Blob(ctx, blob, 8); return err }},
				{"absent blob", ErrMissingObject, func() error { _, err := r.Blob(ctx, strings.Repeat("1", r.oidLen()), 8); return err }},
				{"malformed id", ErrRevision, func() error { _, err := r.Blob(ctx, "HEAD", 8); return err }},
				{"absent path", ErrNotFound, func() error { _, err := r.File(ctx, head, "sub/none", 8); return err }},
				{"path through a file", ErrNotFound, func() error { _, err := r.File(ctx, head, "a.txt/x", 8); return err }},
				{"folder as file", ErrNotFound, func() error { _, err := r.File(ctx, head, "sub", 8); return err }},
				{"unclean path", ErrNotFound, func() error { _, err := r.File(ctx, head, "sub/../a.txt", 8); return err }},
				{"absent prefix", ErrNotFound, func() error { _, err := r.Ls(ctx, head, "none"); return err }},
			} {
				if err := tt.do(); !errors.Is(err, tt.err) {
					t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
				}
			}
			// The process survives all these refusals, or is replaced.
			if sizes, err := r.Sizes(ctx, []string{blob, head}); err != nil || sizes[0] != 9 {
				t.Errorf("Sizes = %v, %v", sizes, err)
			}
		})
	}
}

// A doctored object store must not pass one object off as another.
func TestObjectThatDoesNotMatchItsID(t *testing.T) {
	dir := sample(t)
	a, b := run(t, dir, "rev-parse", "HEAD:a.txt"), run(t, dir, "rev-parse", "HEAD:sub/deep/b.txt")
	file := func(oid string) string { return filepath.Join(dir, ".git", "objects", oid[:2], oid[2:]) }
	content, err := os.ReadFile(file(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file(a)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file(a), content, 0o444); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir)
	if got, err := r.Blob(t.Context(), a, 100); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Blob = %q, %v; want ErrCorrupt", got, err)
	}
}

func TestQuarantine(t *testing.T) {
	bare := filepath.Join(t.TempDir(), "bare.git")
	dir := sample(t)
	run(t, dir, "clone", "-q", "--bare", dir, bare)
	quarantine := filepath.Join(t.TempDir(), "incoming")
	if err := os.MkdirAll(quarantine, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "hash-object", "-w", "--stdin")
	cmd.Dir, cmd.Stdin = bare, strings.NewReader("quarantined")
	cmd.Env = append(os.Environ(), "GIT_OBJECT_DIRECTORY="+quarantine)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	oid := strings.TrimSpace(string(out))
	if _, err := open(t, bare).Blob(t.Context(), oid, 100); !errors.Is(err, ErrMissingObject) {
		t.Errorf("without the quarantine: %v", err)
	}
	env := map[string]string{"GIT_OBJECT_DIRECTORY": quarantine, "GIT_ALTERNATE_OBJECT_DIRECTORIES": bare + "/objects"}
	r := open(t, bare, QuarantineFromEnv(func(k string) string { return env[k] }))
	if b, err := r.Blob(t.Context(), oid, 100); err != nil || string(b) != "quarantined" {
		t.Errorf("with the quarantine: %q, %v", b, err)
	}
}

func TestShallow(t *testing.T) {
	dir := sample(t)
	clone := filepath.Join(t.TempDir(), "shallow")
	run(t, dir, "clone", "-q", "--depth=1", "file://"+dir, clone)
	if err := open(t, dir).Shallow(); err != nil {
		t.Errorf("whole repository: %v", err)
	}
	err := open(t, clone).Shallow()
	if !errors.Is(err, ErrShallow) || !strings.Contains(err.Error(), "git fetch --unshallow") {
		t.Errorf("shallow clone: %v", err)
	}
}

func TestCancelAndClose(t *testing.T) {
	r := open(t, sample(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Resolve(ctx, "HEAD"); !errors.Is(err, context.Canceled) {
		t.Errorf("Resolve with a cancelled context: %v", err)
	}
	if _, err := r.Resolve(t.Context(), "HEAD"); err != nil {
		t.Errorf("Resolve afterwards: %v", err)
	}
	private := r.private
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(private); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the private folder is still there: %v", err)
	}
	if _, err := r.Resolve(t.Context(), "HEAD"); err == nil {
		t.Error("Resolve after Close succeeded")
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	r := open(t, sample(t))
	_, err := r.Output(t.Context(), 100, nil, "merge-base", "--is-ancestor", "nope", "nope")
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "git merge-base: ") {
		t.Errorf("error = %q", err)
	}
	if status, ok := ExitStatus(err); !ok || status != 128 {
		t.Errorf("ExitStatus = %d, %v", status, ok)
	}
	if _, err := r.Output(t.Context(), 3, nil, "version"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("output over its limit: %v", err)
	}
}
