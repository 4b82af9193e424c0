package confine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
)

func TestMain(m *testing.M) {
	if confine.IsInit(os.Args) {
		os.Exit(confine.Init())
	}
	if os.Getenv("SALLYPORT_CONFINE_PROBE") != "" {
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// mechanisms are those that every test runs under. One that is missing fails in CI, where a green
// run has to have run everything.
func mechanisms(t *testing.T, f func(t *testing.T, m confine.Mechanism)) {
	for _, m := range []confine.Mechanism{confine.Bubblewrap, confine.Namespaces} {
		t.Run(string(m), func(t *testing.T) {
			for _, o := range offers() {
				if o.Mechanism == m && !o.Usable {
					if os.Getenv("CI") == "true" {
						t.Fatalf("%s cannot be had: %s; %s", m, o.Why, o.Install)
					}
					t.Skipf("%s cannot be had: %s", m, o.Why)
				}
			}
			f(t, m)
		})
	}
}

var offers = func() func() []confine.Offer {
	var got []confine.Offer
	return func() []confine.Offer {
		if got == nil {
			got = confine.Available(context.Background())
		}
		return got
	}
}()

// workspace makes a repository with one commit.
func workspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"config", "user.name", "A"}, {"config", "user.email", "a@example.com"},
	} {
		git(t, dir, args...)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "first")
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// A result is what came of a confined command.
type result struct {
	out    string
	status confine.Status
	err    error
	events []confine.Event
	prof   confine.Profile
}

func runIn(t *testing.T, spec confine.Spec) result {
	t.Helper()
	var r result
	spec.Events = func(e confine.Event) { r.events = append(r.events, e) }
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if spec.Stdout == nil {
		spec.Stdout, spec.Stderr = pw, pw
	}
	s, err := confine.Start(t.Context(), spec)
	pw.Close()
	if err != nil {
		pr.Close()
		t.Fatalf("starting: %v", err)
	}
	var b bytes.Buffer
	io.Copy(&b, pr)
	pr.Close()
	r.status, r.err = s.Wait()
	r.out, r.prof = b.String(), s.Profile()
	return r
}

func shell(m confine.Mechanism, ws, script string) confine.Spec {
	return confine.Spec{Mechanism: m, Workspace: ws, Args: []string{"/bin/sh", "-c", script}}
}

func TestStatusIsPassedThrough(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		ws := workspace(t)
		for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -9 $$": 137, "exec false": 1} {
			r := runIn(t, shell(m, ws, script))
			if r.err != nil || r.status.Exit() != want {
				t.Errorf("%q: status %d, %v; want %d\n%s", script, r.status.Exit(), r.err, want, r.out)
			}
		}
	})
}

func TestNoSuchProgram(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		_, err := confine.Start(t.Context(), confine.Spec{Mechanism: m, Workspace: workspace(t), Args: []string{"no-such-program"}})
		if err == nil || !strings.Contains(err.Error(), "no-such-program: no such program inside the confinement") {
			t.Errorf("error %v", err)
		}
	})
}

func TestCommitInside(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		ws := workspace(t)
		r := runIn(t, shell(m, ws, "echo two >>file && git commit -qam second && git status --short && git log --oneline | wc -l"))
		if r.err != nil || r.status.Exit() != 0 || strings.TrimSpace(r.out) != "2" {
			t.Errorf("status %d, %v\n%s", r.status.Exit(), r.err, r.out)
		}
		if left := git(t, ws, "status", "--short"); left != "" {
			t.Errorf("left in the workspace: %s", left)
		}
		if _, err := os.Lstat(filepath.Join(ws, ".sallyport")); err == nil {
			t.Error("a placeholder was left")
		}
	})
}

func TestCommitInLinkedWorktree(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		main := workspace(t)
		ws := filepath.Join(t.TempDir(), "tree")
		git(t, main, "worktree", "add", "-q", "-b", "agent/1", ws)
		r := runIn(t, shell(m, ws, "echo two >>file && git commit -qam second && git log --oneline | wc -l; cat "+main+"/file; echo x >"+main+"/.git/HEAD; echo x >"+main+"/.git/hooks/post-commit; mv "+main+"/.git/worktrees "+main+"/.git/w"))
		if r.err != nil || !strings.HasPrefix(r.out, "2\n") {
			t.Errorf("status %d, %v\n%s", r.status.Exit(), r.err, r.out)
		}
		for _, want := range []string{"file: No such file", "HEAD: Read-only file system", "post-commit: Read-only file system", "Device or resource busy"} {
			if !strings.Contains(r.out, want) {
				t.Errorf("no %q in\n%s", want, r.out)
			}
		}
		if got := git(t, main, "rev-list", "--count", "agent/1"); got != "2" {
			t.Errorf("the branch has %s commits", got)
		}
	})
}

func TestGateway(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					b, _ := io.ReadAll(c)
					fmt.Fprintf(c, "got %d bytes", len(b))
				}()
			}
		}()
		spec := confine.Spec{
			Mechanism: m, Workspace: workspace(t), Gateway: socket, Port: 9999,
			Args: []string{"/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9999; echo hello >&3; perl -e 'open(F,\"+<&=3\"); shutdown(F,1); print <F>'"},
		}
		r := runIn(t, spec)
		if r.out != "got 6 bytes" {
			t.Errorf("%q, %d, %v", r.out, r.status.Exit(), r.err)
		}
		if r.prof.Network != "loopback with gateway" {
			t.Error(r.prof.Network)
		}
	})
}

// TestForeignWorktree: a .git that points into a repository that knows nothing of it shows nothing.
func TestForeignWorktree(t *testing.T) {
	main := workspace(t)
	git(t, main, "worktree", "add", "-q", "-b", "agent/1", filepath.Join(t.TempDir(), "tree"))
	forged := t.TempDir()
	if err := os.WriteFile(filepath.Join(forged, ".git"), []byte("gitdir: "+main+"/.git/worktrees/tree\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := confine.Start(t.Context(), shell(confine.Namespaces, forged, "true"))
	if !errors.Is(err, confine.ErrSpec) {
		t.Errorf("error %v", err)
	}
}

// What is laid into /etc is there under its own name, and stays as it is.
func TestEtc(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		spec := shell(m, workspace(t), `cat /etc/agent/a.json; exec 3</etc/agent/a.json; readlink /proc/self/fd/3
for f in /etc/agent/a.json /etc/agent/b /etc/c; do echo x 2>/dev/null >$f && echo $f is written; done
rm -f /etc/agent/a.json 2>/dev/null; mv /etc/agent /etc/other 2>/dev/null; cat /etc/agent/a.json`)
		spec.Etc = map[string]string{"agent/a.json": "{}\n"}
		r := runIn(t, spec)
		if r.err != nil || strings.ReplaceAll(r.out, "/etc/agent/a.json: ", "") != "{}\n/etc/agent/a.json\n{}\n" && r.out != "{}\n/etc/agent/a.json\n{}\n" {
			t.Errorf("%v\n%s", r.err, r.out)
		}
	})
}

func TestEtcRefused(t *testing.T) {
	ws := workspace(t)
	for _, name := range []string{"hosts", "ssl/x", "passwd", "../x", "/x", "", ".", "a/../b", "a\nb"} {
		spec := shell("", ws, "exit 0")
		spec.Etc = map[string]string{name: "x"}
		if s, err := confine.Start(t.Context(), spec); err == nil {
			s.Close()
			t.Errorf("%q was laid", name)
		} else if !errors.Is(err, confine.ErrSpec) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
