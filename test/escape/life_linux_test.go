package escape

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
)

// supervise starts a command that leaves daemons behind, and waits until it is killed.
func supervise(m string) int {
	s, err := confine.Start(context.Background(), confine.Spec{
		Mechanism: confine.Mechanism(m), Workspace: os.Getenv("WS"),
		Env: []string{"WS=" + os.Getenv("WS")}, Args: []string{"/bin/sh", "-c", daemons + "; while :; do read x </dev/zero; done"}, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	s.Wait()
	return 0
}

// daemons start what outlives a shell elsewhere: in a session of its own, its parent gone, deaf to
// everything but SIGKILL. They hold the standard output, so its end is their end.
const daemons = `(setsid sh -c 'trap "" HUP INT TERM; (trap "" HUP INT TERM; sleep 1000000) & echo $! >$WS/daemon' &); nohup sleep 1000000 & while ! [ -s $WS/daemon ]; do :; done; echo begun`

// TestNoDaemonSurvives ends a command that left daemons; the end of the output is theirs.
func TestNoDaemonSurvives(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		ws := t.TempDir()
		spec := confine.Spec{Mechanism: m, Workspace: ws, Args: []string{"/bin/sh", "-c", daemons}, Env: []string{"WS=" + ws}}
		o := run(t, spec)
		if o.err != nil || o.status.Exit() != 0 || !strings.Contains(o.out, "begun") {
			t.Errorf("%d, %v\n%s", o.status.Exit(), o.err, o.out)
		}
	})
}

// TestSupervisorKilled kills the supervisor, which can clean nothing up.
func TestSupervisorKilled(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		ws := t.TempDir()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		cmd := exec.Command(os.Args[0], "supervise", string(m))
		cmd.Env = append(os.Environ(), "WS="+ws)
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		b := make([]byte, 4096)
		var seen bytes.Buffer
		for !strings.Contains(seen.String(), "begun") {
			n, err := r.Read(b)
			if err != nil {
				t.Fatalf("%v: %s", err, seen.String())
			}
			seen.Write(b[:n])
		}
		cmd.Process.Signal(syscall.SIGKILL)
		cmd.Wait()
		// The pipe ends when the last process that holds it has.
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
	})
}

// TestClose ends a command that would not end, and everything with it.
func TestClose(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		ws := t.TempDir()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		ctx, cancel := context.WithCancel(t.Context())
		s, err := confine.Start(ctx, confine.Spec{Mechanism: m, Workspace: ws, Stdout: w, Args: []string{"/bin/sh", "-c", "trap '' INT TERM; echo begun; sleep 1000000"}})
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 6)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		cancel()
		io.Copy(io.Discard, r)
		if _, err := s.Wait(); err == nil {
			t.Error("no error of a command that was ended")
		}
	})
}

// TestAnotherUser runs the command as a user who is not the supervisor.
func TestAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a command as somebody else")
	}
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		const user = 61234
		// Programs and folders that the user can reach.
		dir, err := os.MkdirTemp("", "sallyport-escape-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		os.Chmod(dir, 0o755)
		ws := filepath.Join(dir, "ws")
		os.Mkdir(ws, 0o755)
		os.WriteFile(filepath.Join(dir, "key"), []byte("secret\n"), 0o600)
		os.WriteFile(filepath.Join(ws, "roots"), []byte("x\n"), 0o600)
		os.Chown(ws, user, user)
		self, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		helper := filepath.Join(dir, "helper")
		if err := os.WriteFile(helper, self, 0o755); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(helper, "as-user", string(m), ws, fmt.Sprint(user)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{"61234 61234", "roots: Permission denied", "uid=61234 separate=true"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		info, err := os.Stat(filepath.Join(ws, "made"))
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != user {
			t.Errorf("the file is not the user's: %v", err)
		}
	})
}

func asUser(m, ws string, user int) int {
	s, err := confine.Start(context.Background(), confine.Spec{
		Mechanism: confine.Mechanism(m), Workspace: ws, UID: user, GID: user, Stdout: os.Stdout, Stderr: os.Stderr,
		Args: []string{"/bin/sh", "-c", "echo $(id -u) $(id -g); cat roots; touch made; echo x >/usr/x; kill -9 " + fmt.Sprint(os.Getpid())},
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	s.Wait()
	fmt.Printf("uid=%d separate=%v\n", s.Profile().UID, s.Profile().Separate)
	return 0
}
