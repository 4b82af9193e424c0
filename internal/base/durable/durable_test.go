package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"one", "", "two longer"} {
		if err := WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("got %q, %v, want %q", got, err, content)
		}
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	only(t, dir, "file")
}

// only fails if dir holds anything else: no temporary file stays behind.
func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "taken", "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"no folder":                    filepath.Join(dir, "missing", "file"),
		"a folder stands in the way":   filepath.Join(dir, "taken"),
		"a file where a folder is due": filepath.Join(dir, "taken", "inside", "x", "y"),
	} {
		if err := WriteFile(path, []byte("x"), 0o600); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	only(t, dir, "taken")
}

func TestCreateFileOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { errs[i] = CreateFile(path, fmt.Appendf(nil, "%d", i), 0o600) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("%d and %d both created the file", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, fs.ErrExist):
			t.Errorf("got %v, want %v", err, fs.ErrExist)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != strconv.Itoa(winner) {
		t.Errorf("got %q, %v, want %d", got, err, winner)
	}
	only(t, dir, "file")
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"file", "file/below"} {
		if err := MkdirAll(filepath.Join(dir, p), 0o700); err == nil {
			t.Errorf("%s was made of a file", p)
		}
	}
}

func TestRemoveTemporary(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"kept", ".tmp-old", ".tmp-young"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name != ".tmp-young" {
			if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := RemoveTemporary(dir, time.Minute); err != nil {
		t.Fatal(err)
	}
	only(t, dir, ".tmp-young", "kept")
}

func TestLockExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := Acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Acquire(ctx, path)
	var held *HeldError
	if !errors.Is(err, ErrHeld) || !errors.Is(err, context.Canceled) || !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("got %v, want that process %d holds it", err, os.Getpid())
	}
	for range 2 {
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
	l, err = Acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	(*Lock)(nil).Release()
}

// Whoever holds the lock is alone. (The race detector does not know flock, hence the atomics.)
func TestLockTakesTurns(t *testing.T) {
	dir := t.TempDir()
	var inside, turns atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				l, err := Acquire(context.Background(), filepath.Join(dir, "lock"))
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				turns.Add(1)
				inside.Add(-1)
				l.Release()
			}
		})
	}
	wg.Wait()
	if turns.Load() != 40 {
		t.Errorf("%d turns, want 40", turns.Load())
	}
}

func TestLockRefusesSymlink(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(t.Context(), filepath.Join(dir, "lock")); err == nil {
		t.Error("locked through a symbolic link")
	}
	if b, _ := os.ReadFile(victim); string(b) != "precious" {
		t.Errorf("the link's target now holds %q", b)
	}
}

const killEnv = "SALLYPORT_TEST_DURABLE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		for i := 0; ; i = (i + 1) % 10 {
			l, err := Acquire(context.Background(), filepath.Join(dir, "lock"))
			if err == nil {
				err = WriteFile(filepath.Join(dir, "file"), []byte(strings.Repeat(strconv.Itoa(i), 100_000)), 0o600)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			l.Release()
		}
	}
	os.Exit(m.Run())
}

// A writer is killed again and again: the file is always one whole content, and the lock is free.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := WriteFile(file, []byte(strings.Repeat("0", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 15 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), killEnv+"="+dir)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(round*7) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		if cmd.ProcessState.Exited() {
			t.Fatal("the writer ended by itself")
		}
		got, err := os.ReadFile(file)
		if err != nil || len(got) != 100_000 || strings.Trim(string(got), string(got[:1])) != "" {
			t.Fatalf("round %d: the file is torn: %d bytes, %v", round, len(got), err)
		}
		l, err := Acquire(t.Context(), filepath.Join(dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		l.Release()
	}
	if err := RemoveTemporary(dir, 0); err != nil {
		t.Fatal(err)
	}
	only(t, dir, "file", "lock")
}
