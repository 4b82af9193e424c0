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
)

var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sallyport-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "sallyport")
	build := exec.Command("go", "build", "-o", binary, "github.com/sallyport-dev/sallyport/cmd/sallyport")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the product: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A scene is a repository with a pinned root and a change that two reviewers approved, so that
// its gate is open: the verdict that must never be told without a record.
type scene struct {
	t     testing.TB
	dir   string
	repo  string
	state string
	pin   string
	base  string
	tree  string // of every head
	heads int    // made so far
}

func newScene(t testing.TB) *scene {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, dir: dir, repo: filepath.Join(dir, "repo"), state: filepath.Join(dir, "state")}
	s.git("init", "-q", "-b", "main", s.repo)
	var roster strings.Builder
	roster.WriteString("version: 1\npersons:\n")
	for _, p := range [][2]string{{"alice", "bob"}, {"bob", "carol"}, {"carol", "alice"}} {
		out := s.must("key", "generate", "--simulated-sk", s.key(p[0]))
		lines := strings.Split(strings.TrimSpace(out), "\n")
		fmt.Fprintf(&roster, "  - id: %s\n    emails: [%s@example.com]\n    keys: [{key: %s, enrolled_by: %s}]\n    roles: [reviewer, root]\n",
			p[0], p[0], lines[len(lines)-1], p[1])
	}
	s.write(".sallyport/sallyport.yaml", "version: 1\nrepository: example.com/acme/service\nmode: enforce\ngates:\n  merge:\n    refs: [refs/heads/main]\n")
	s.write(".sallyport/roster.yaml", roster.String())
	s.write(".sallyport/trust.yaml", "version: 1\n")
	s.write("README", "a service\n")
	for line := range strings.Lines(s.must("root", "init", "--repo", s.repo)) {
		if pin, ok := strings.CutPrefix(line, "pin "); ok {
			s.pin = strings.TrimSpace(pin)
		}
	}
	s.git("-C", s.repo, "add", "-A")
	s.git("-C", s.repo, "commit", "-q", "-m", "a service")
	s.base = s.git("-C", s.repo, "rev-parse", "HEAD")
	s.git("-C", s.repo, "switch", "-q", "-c", "change")
	s.write("README", "a service\nthat counts\n")
	s.git("-C", s.repo, "commit", "-q", "-a", "-m", "count")
	s.tree = s.git("-C", s.repo, "rev-parse", "HEAD^{tree}")
	for _, reviewer := range []string{"bob", "carol"} {
		s.must("approval", "give", "--repo", s.repo, "--state", s.state, "--root", s.pin, "--target", "main", "--yes", "--key", "simulated-sk:"+s.key(reviewer))
	}
	return s
}

func (s *scene) key(name string) string { return filepath.Join(s.dir, name+".key") }

func (s *scene) write(path, content string) {
	s.t.Helper()
	path = filepath.Join(s.repo, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// environment is what a child sees: nothing of the machine's git configuration or CI system.
func (s *scene) environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir, "LC_ALL=C.UTF-8", "NO_COLOR=1",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com", "GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com",
	}
}

func (s *scene) git(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = s.environment()
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// head makes a commit like no other that lands what was approved.
func (s *scene) head() string {
	s.t.Helper()
	s.heads++
	return s.git("-C", s.repo, "commit-tree", "-p", s.base, "-m", fmt.Sprintf("count, in words of its own %d", s.heads), s.tree)
}

// check returns a check merge about head that is ready to run.
func (s *scene) check(head string, more ...string) *exec.Cmd {
	args := []string{"check", "merge", "--repo", s.repo, "--state", s.state, "--root", s.pin, "--target", "main", "--base", s.base, "--head", head}
	return s.command(append(args, more...)...)
}

func (s *scene) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Dir = s.environment(), s.dir
	return cmd
}

// An answer is what a run of the binary printed, and how it ended.
type answer struct {
	status         int // -1 if it was killed
	stdout, stderr string
}

func (s *scene) run(cmd *exec.Cmd) answer {
	s.t.Helper()
	return s.runThen(cmd, func() {})
}

func (s *scene) must(args ...string) string {
	s.t.Helper()
	a := s.run(s.command(args...))
	if a.status != 0 {
		s.t.Fatalf("sallyport %s ended with %d: %s%s", strings.Join(args, " "), a.status, a.stdout, a.stderr)
	}
	return a.stdout
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
func (s *scene) log() map[string]line {
	s.t.Helper()
	var lines []line
	if err := json.Unmarshal([]byte(s.must("log", "tail", "--repo", s.repo, "--state", s.state, "-n", "10000", "--json")), &lines); err != nil {
		s.t.Fatal(err)
	}
	byID := map[string]line{}
	for _, l := range lines {
		byID[l.ID] = l
	}
	return byID
}

// verify fails the test unless the whole log verifies.
func (s *scene) verify() {
	s.t.Helper()
	s.must("log", "verify", "--repo", s.repo, "--state", s.state)
}

// recorded fails the test unless each answer that says anything about an outcome is recorded
// with that outcome and stands in the log.
func (s *scene) recorded(head string, a answer, log map[string]line) {
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
func (s *scene) opens() {
	s.t.Helper()
	head := s.head()
	a := s.run(s.check(head))
	if a.status != 0 || a.decision() == "" || a.stderr != "" {
		s.t.Fatalf("a check after all of it ended with %d: %s%s", a.status, a.stdout, a.stderr)
	}
	s.recorded(head, a, s.log())
}

// runThen is run, with then called once the process exists.
func (s *scene) runThen(cmd *exec.Cmd, then func()) answer {
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
func (s *scene) fresh() {
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
func (s *scene) explained(log map[string]line) {
	s.t.Helper()
	for id := range log { // any one
		out := s.must("explain", "--repo", s.repo, "--state", s.state, "--root", s.pin, id)
		if !strings.Contains(out, "derived again") {
			s.t.Errorf("explain %s: %s", id, out)
		}
		return
	}
}
