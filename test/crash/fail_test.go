package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// told is what a reader gets when no decision can be made: one line, perhaps a hint, no answer.
var told = regexp.MustCompile(`^sallyport: error: [^\n]+\n(sallyport: hint: [^\n]+\n)?$`)

// undecided fails the test unless a says, in one line, that nothing was decided.
func (s *site) undecided(what string, a answer) {
	s.t.Helper()
	if a.status != 1 || a.stdout != "" || !told.MatchString(a.stderr) {
		s.t.Errorf("%s: ended with %d, want 1, no answer and one line:\nstdout %q\nstderr %q", what, a.status, a.stdout, a.stderr)
	}
}

// What stands where the state folder's parts should be. Nothing can be recorded, so nothing is
// decided; and nothing is put in its place.
func TestStateThatCannotBe(t *testing.T) {
	s := newSite(t)
	file := func(path string) func() error {
		return func() error { return os.WriteFile(filepath.Join(s.state, path), []byte("in the way\n"), 0o600) }
	}
	folder := func(path string) func() error {
		return func() error { return os.Mkdir(filepath.Join(s.state, path), 0o700) }
	}
	for _, tt := range []struct {
		name string
		put  func() error
	}{
		{"a file in place of the store", file("state.db")},
		{"a folder in place of the store", folder("state.db")},
		{"a file in place of the log", file("log")},
		{"a full folder in place of the log", func() error {
			return os.WriteFile(filepath.Join(s.state, "log", "other"), nil, 0o600)
		}},
		{"a folder in place of the log's key", folder("log.key")},
		{"an empty file in place of the log's key", func() error { return os.WriteFile(filepath.Join(s.state, "log.key"), nil, 0o600) }},
		{"a folder in place of the verifier's key", folder("verifier.key")},
		{"a folder in place of the lock", folder("lock")},
		{"a link to nowhere in place of the store", func() error { return os.Symlink("nowhere/at/all", filepath.Join(s.state, "state.db")) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := s.in(t)
			s.fresh()
			if strings.Contains(tt.name, "full folder") {
				if err := folder("log")(); err != nil {
					t.Fatal(err)
				}
			}
			if err := tt.put(); err != nil {
				t.Fatal(err)
			}
			a := s.run(s.check(s.head()))
			s.undecided(tt.name, a)
			t.Log(strings.TrimSpace(a.stderr))
			s.undecided(tt.name+", again", s.run(s.check(s.head())))
			s.fresh()
			s.opens()
		})
	}
	t.Run("a file in place of the state folder", func(t *testing.T) {
		s := s.in(t)
		plain := filepath.Join(s.Dir, "plain")
		if err := os.WriteFile(plain, []byte("a file\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.undecided("check", s.run(s.check(s.head(), "--state", plain)))
	})
}

// A state folder that may be read and not written. The superuser may write everywhere, so the
// check runs as somebody else then.
func TestReadOnlyState(t *testing.T) {
	for _, used := range []bool{false, true} {
		t.Run(fmt.Sprintf("used %v", used), func(t *testing.T) {
			s := newSite(t)
			if used {
				s.opens()
			}
			cmd := s.check(s.head())
			if err := s.asReader(cmd); err != nil {
				t.Skipf("NOT RUN: %v", err)
			}
			a := s.run(cmd)
			s.undecided("a read-only state folder", a)
			t.Log(strings.TrimSpace(a.stderr))
			if err := os.Chmod(s.state, 0o700); err != nil {
				t.Fatal(err)
			}
			s.opens()
		})
	}
}

// A disk that is full is told by the file size that a process may reach, which needs no disk: at
// each limit some other file is the one that cannot grow.
func TestFullDisk(t *testing.T) {
	s := newSite(t)
	failed, opened := 0, 0
	for _, blocks := range []int{0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 224, 256, 320, 1024, 4096} {
		if blocks%3 != 1 {
			s.fresh()
		}
		head := s.head()
		cmd := s.check(head)
		cmd.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -f %d && exec "$0" "$@"`, blocks)}, cmd.Args...)
		cmd.Path, _ = exec.LookPath("sh")
		a := s.run(cmd)
		if a.status == 0 {
			opened++
			s.recorded(head, a, s.log())
		} else {
			failed++
			s.undecided(fmt.Sprintf("files of at most %d blocks", blocks), a)
			t.Logf("%4d blocks: %s", blocks, strings.TrimSpace(a.stderr))
		}
		s.opens() // once there is space again, with no repair
		s.verify()
	}
	if failed == 0 || opened == 0 {
		t.Errorf("%d runs failed and %d opened: the limits hit nothing or everything", failed, opened)
	}
}

// An answer that nobody can read is no answer.
func TestAnswerThatCannotBePrinted(t *testing.T) {
	s := newSite(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
	defer full.Close()
	for _, more := range [][]string{nil, {"--json"}, {"--output", "sarif=-"}, {"--output", "json=/dev/full"}} {
		cmd := s.check(s.head(), more...)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = full, &stderr
		_ = cmd.Run()
		s.undecided(fmt.Sprintf("%v", more), answer{cmd.ProcessState.ExitCode(), "", stderr.String()})
	}
	s.verify()
}

// Checks at the same time, in one state folder that one of them has to make, all recorded.
func TestAtOnce(t *testing.T) {
	s := newSite(t)
	for range 3 {
		s.fresh()
		const n = 8
		heads, answers := make([]string, n), make([]answer, n)
		for i := range heads {
			heads[i] = s.head()
		}
		var wg sync.WaitGroup
		for i := range heads {
			wg.Go(func() { answers[i] = s.run(s.check(heads[i])) })
		}
		wg.Wait()
		log := s.log()
		for i, a := range answers {
			if a.status != 0 || a.decision() == "" || a.stderr != "" {
				t.Errorf("ended with %d: %s%s", a.status, a.stdout, a.stderr)
			}
			s.recorded(heads[i], a, log)
		}
		if len(log) != n {
			t.Errorf("%d decisions are recorded, %d were made", len(log), n)
		}
		s.verify()
	}
}
