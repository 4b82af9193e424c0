//go:build unix

package crash

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

// A reader that went away: the answer cannot be given, and that is said.
func TestReaderThatWentAway(t *testing.T) {
	s := newSite(t)
	for _, more := range [][]string{nil, {"--json"}, {"--output", "sarif=-"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd := s.check(s.head(), more...)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = w, &stderr
		_ = cmd.Run()
		w.Close()
		s.undecided("a pipe without a reader", answer{cmd.ProcessState.ExitCode(), "", stderr.String()})
	}
	s.opens()
	s.verify()
}

// A standard output that was closed before the program began. Go puts the null device in its place,
// so that no file of the store can take its number; the status is then the answer. It is
// that of the decision, which is recorded, and never 0 for one that is not open.
func TestClosedOutput(t *testing.T) {
	s := newSite(t)
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	closed := func(cmd *exec.Cmd, fds string) answer {
		cmd.Args = append([]string{"sh", "-c", `exec "$0" "$@" ` + fds}, cmd.Args...)
		cmd.Path = sh
		return s.run(cmd)
	}
	for _, fds := range []string{">&-", ">&- 2>&-", "<&- >&- 2>&-"} {
		s.fresh() // the store, the keys and the log are made under these numbers
		open := s.head()
		if a := closed(s.check(open), fds); a.status != 0 || a.stdout+a.stderr != "" {
			t.Errorf("%s: an open gate ended with %d: %s%s", fds, a.status, a.stdout, a.stderr)
		}
		s.Append("util.py", "x = 1\n")
		shut := s.Commit("Not approved")
		if a := closed(s.check(shut), fds); a.status != 3 {
			t.Errorf("%s: a gate that waits ended with %d: %s%s", fds, a.status, a.stdout, a.stderr)
		}
		s.Git("reset", "-q", "--hard", "HEAD~")
		log := s.log()
		for head, want := range map[string]string{open: "open", shut: "waiting"} {
			found := false
			for _, l := range log {
				found = found || l.Subject == "gitCommit:"+head && l.Outcome == want && l.Index != nil
			}
			if !found {
				t.Errorf("%s: the decision about %.12s is not recorded as %s", fds, head, want)
			}
		}
		s.opens()
		s.verify()
	}
}

// A clock that was set back would bring what has expired back to life. No environment variable
// moves the product's clock, so this goes through the seam that it has for it.
func TestClockSetBack(t *testing.T) {
	s := newSite(t)
	now := time.Now()
	check := func(at time.Time) (sallyport.Outcome, error) {
		a := &app.App{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }, Clock: func() time.Time { return at }}
		r, err := a.CheckMerge(t.Context(), app.Options{Repo: s.Repo, Pin: string(s.Pin), Target: app.TargetOptions{Ref: "main", Base: s.base, Head: s.head()}})
		return r.Decision.Outcome, err
	}
	for _, tt := range []struct {
		name string
		at   time.Time
		back bool
	}{
		{"at first", now, false},
		{"an hour later", now.Add(time.Hour), false},
		{"back by less than a minute", now.Add(time.Hour - 50*time.Second), false},
		{"back by an hour", now, true},
		{"back by years", now.Add(-5 * 365 * 24 * time.Hour), true},
		{"right again", now.Add(61 * time.Minute), false},
	} {
		outcome, err := check(tt.at)
		if (err != nil) != tt.back || (outcome == sallyport.Open) == tt.back {
			t.Errorf("%s: %v, %v", tt.name, outcome, err)
		}
		if tt.back && !strings.Contains(err.Error(), "the clock was set back") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	s.verify()
	if _, err := os.Stat(filepath.Join(s.state, "state.db")); err != nil {
		t.Error(err)
	}
	// The built binary, by the real clock, which is an hour behind what it sees in the store.
	s.undecided("the real clock", s.run(s.check(s.head())))
}
