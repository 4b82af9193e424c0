// Package crash kills the built binary at every moment that it can, makes its writes and syncs
// fail, and reads from the kernel's own trace that a decision is on the disk before anybody is
// told of it.
package crash

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) { os.Exit(scene.Main(m)) }

// A site is a repository with a change that two reviewers approved, so that its gate is open: the
// verdict that must never be told without a record.
type site struct {
	*scene.Scene
	t     testing.TB
	state string
	base  string
	tree  string // of every head
	heads int    // made so far
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{Scene: scene.New(t, scene.Options{}), t: t}
	s.state = s.State()
	s.base = s.Rev("main")
	s.Git("switch", "-q", "-c", "change")
	s.Append("util.py", "\n\ndef twice(n):\n    return 2 * n\n")
	s.Commit("Double")
	s.tree = s.Rev("HEAD^{tree}")
	s.Approve(scene.Bob)
	s.Approve(scene.Carol)
	return s
}

// in returns the site for a subtest.
func (s *site) in(t testing.TB) *site {
	c, sc := *s, *s.Scene
	sc.TB, c.Scene, c.t = t, &sc, t
	return &c
}

// head makes a commit like no other that lands what was approved.
func (s *site) head() string {
	s.t.Helper()
	s.heads++
	return s.Git("commit-tree", "-p", s.base, "-m", fmt.Sprintf("Double, in words of its own: %d, %s", s.heads, s.t.Name()), s.tree)
}

// check returns a check merge about head that is ready to run.
func (s *site) check(head string, more ...string) *exec.Cmd {
	args := []string{"check", "merge", "--repo", s.Repo, "--root", string(s.Pin), "--target", "main", "--base", s.base, "--head", head}
	return s.command(append(args, more...)...)
}

func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.Command(scene.Binary(), args...)
	// A process that is killed leaves its temporary folder behind.
	cmd.Env, cmd.Dir = append(scene.Env(s.Dir), "TMPDIR="+s.Dir), s.Dir
	return cmd
}

// An answer is what a run of the binary printed, and how it ended.
type answer struct {
	status         int // -1 if it was killed
	stdout, stderr string
}

func (s *site) run(cmd *exec.Cmd) answer {
	s.t.Helper()
	return s.runThen(cmd, func() {})
}

// decision returns the digest of the decision that was printed whole, or nothing.
func (a answer) decision() string {
	for line := range strings.Lines(a.stdout) {
		if id, ok := strings.CutPrefix(line, "decision: "); ok && strings.HasSuffix(id, "\n") {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

// A line is one of log tail.
type line struct {
	Index   *uint64 `json:"index"`
	Outcome string  `json:"outcome"`
	ID      string  `json:"id"`
	Subject string  `json:"subject"`
}

// log returns what log tail lists, by decision. An empty state folder has no log yet.
func (s *site) log() map[string]line {
	s.t.Helper()
	var lines []line
	if err := json.Unmarshal([]byte(s.Must("log", "tail", "--repo", s.Repo, "-n", "10000", "--json")), &lines); err != nil {
		s.t.Fatal(err)
	}
	byID := map[string]line{}
	for _, l := range lines {
		byID[l.ID] = l
	}
	return byID
}

// verify fails the test unless the whole log verifies.
func (s *site) verify() {
	s.t.Helper()
	s.Must("log", "verify", "--repo", s.Repo)
}

// recorded fails the test unless each answer that says anything about an outcome is recorded
// with that outcome and stands in the log.
func (s *site) recorded(head string, a answer, log map[string]line) {
	s.t.Helper()
	id := a.decision()
	switch l, ok := log[id]; {
	case id == "" && strings.Contains(a.stdout, "gate:"):
		// It was killed between two writes of one answer: the record is found by its subject.
		if !slices.ContainsFunc(mapValues(log), func(l line) bool { return l.Subject == "gitCommit:"+head && l.Outcome == "open" && l.Index != nil }) {
			s.t.Errorf("an answer about %s was begun and is not recorded: %q", head, a.stdout)
		}
	case id == "":
	case !ok:
		s.t.Errorf("the decision %s was printed and is not recorded", id)
	case l.Index == nil:
		s.t.Errorf("the decision %s was printed and is not in the log", id)
	case l.Outcome != "open" || l.Subject != "gitCommit:"+head || !strings.HasPrefix(a.stdout, "merge gate: open\n"):
		s.t.Errorf("printed %q about %s, recorded %+v", a.stdout, head, l)
	}
}

func mapValues(m map[string]line) []line {
	out := make([]line, 0, len(m))
	for _, l := range m {
		out = append(out, l)
	}
	return out
}

// opens fails the test unless a further check needs no repair and is open.
func (s *site) opens() {
	s.t.Helper()
	head := s.head()
	a := s.run(s.check(head))
	if a.status != 0 || a.decision() == "" || a.stderr != "" {
		s.t.Fatalf("a check after all of it ended with %d: %s%s", a.status, a.stdout, a.stderr)
	}
	s.recorded(head, a, s.log())
}

// runThen is run, with then called once the process exists.
func (s *site) runThen(cmd *exec.Cmd, then func()) answer {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	then()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// fresh takes away everything of the state folder but the evidence.
func (s *site) fresh() {
	s.t.Helper()
	entries, err := os.ReadDir(s.state)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "evidence" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.state, e.Name())); err != nil {
			s.t.Fatal(err)
		}
	}
}

// explained fails the test unless a recorded decision can be derived again from its inputs.
func (s *site) explained(log map[string]line) {
	s.t.Helper()
	for id := range log { // any one
		out := s.Must("explain", "--repo", s.Repo, "--root", string(s.Pin), id)
		if !strings.Contains(out, "derived again") {
			s.t.Errorf("explain %s: %s", id, out)
		}
		return
	}
}
