package hook

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
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sallyport-hook-")
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

const repository = "example.com/acme/service"

// A scene is a bare repository on a server with the hook in it, and a developer's clone. Alice
// operates the agent, Bob and Carol review.
type scene struct {
	t      testing.TB
	dir    string
	server string
	dev    string
	pin    string
	now    time.Time
}

// options say how a scene differs from the usual one.
type options struct {
	sha256 bool
	unborn bool     // the server's main does not exist yet
	mode   string   // enforce unless set
	refs   []string // what the hook's --ref names; refs/heads/main unless set
}

func newScene(t testing.TB, o options) *scene {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, dir: dir, server: filepath.Join(dir, "server.git"), dev: filepath.Join(dir, "dev"), now: time.Now()}
	format := "--object-format=sha1"
	if o.sha256 {
		format = "--object-format=sha256"
	}
	s.must("git", "init", "-q", "--bare", "-b", "main", format, s.server)
	s.must("git", "init", "-q", "-b", "main", format, s.dev)
	s.git("remote", "add", "origin", s.server)
	s.govern(o)
	s.git("add", "-A")
	s.git("commit", "-q", "-m", "A service, and who may change it")
	if !o.unborn {
		s.git("push", "-q", "origin", "main") // there is no hook yet
		s.git("fetch", "-q", "origin")
		s.git("remote", "set-head", "origin", "main")
	}
	refs := o.refs
	if refs == nil {
		refs = []string{"refs/heads/main"}
	}
	s.install(refs...)
	return s
}

// install puts the hook into the server's repository, as docs/merge-gate.md says.
func (s *scene) install(refs ...string) {
	s.t.Helper()
	script := "#!/bin/sh\nexec '" + binary + "' hook pre-receive --root " + s.pin
	for _, r := range refs {
		script += " --ref '" + r + "'"
	}
	s.writeFile(filepath.Join(s.server, "hooks", "pre-receive"), script+"\n", 0o755)
}

// govern writes the governed files and pins them.
func (s *scene) govern(o options) {
	s.t.Helper()
	var roster strings.Builder
	roster.WriteString("version: 1\npersons:\n")
	for _, p := range []struct{ id, by, roles string }{{"alice", "bob", "operator"}, {"bob", "carol", "reviewer, root"}, {"carol", "alice", "reviewer, root"}} {
		public := s.sallyport("key", "generate", "--simulated-sk", s.key(p.id))
		lines := strings.Split(strings.TrimSpace(public), "\n")
		fmt.Fprintf(&roster, "  - id: %s\n    emails: [%s@example.com]\n    keys: [{key: %s, enrolled_by: %s}]\n    roles: [%s]\n", p.id, p.id, lines[len(lines)-1], p.by, p.roles)
	}
	roster.WriteString("agents:\n  - name: claude-code\n    operators: [alice]\n")
	_, pem, _ := strings.Cut(s.sallyport("key", "generate", s.key("supervisor")), "-----BEGIN")
	var trust strings.Builder
	trust.WriteString("version: 1\nkeys:\n  - name: supervisor\n    key: |\n")
	for line := range strings.Lines("-----BEGIN" + strings.TrimRight(pem, "\n") + "\n") {
		trust.WriteString("      " + line)
	}
	fmt.Fprintf(&trust, "    principal: {kind: workload, name: supervisor}\n    types: [%q]\n    grade: observed\n", predicate.AgentRunType)
	mode := o.mode
	if mode == "" {
		mode = "enforce"
	}
	s.write(".sallyport/sallyport.yaml", "version: 1\nrepository: "+repository+"\nmode: "+mode+"\ngates:\n  merge:\n    refs: [refs/heads/main]\n")
	s.write(".sallyport/roster.yaml", roster.String())
	s.write(".sallyport/trust.yaml", trust.String())
	s.write("deploy/prod.yaml", "kind: Deployment\nspec:\n  replicas: 2\n")
	s.write("server.py", "print('hello')\n")
	for line := range strings.Lines(s.sallyport("root", "init", "--repo", s.dev)) {
		if pin, ok := strings.CutPrefix(line, "pin "); ok {
			s.pin = strings.TrimSpace(pin)
		}
	}
	if s.pin == "" {
		s.t.Fatal("root init printed no pin")
	}
}

func (s *scene) key(name string) string { return filepath.Join(s.dir, name+".key") }

func (s *scene) write(path, content string) {
	s.t.Helper()
	s.writeFile(filepath.Join(s.dev, filepath.FromSlash(path)), content, 0o644)
}

func (s *scene) writeFile(path, content string, mode os.FileMode) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		s.t.Fatal(err)
	}
}

// An answer is what a program printed, and how it ended.
type answer struct {
	status         int
	stdout, stderr string
}

// run runs a program in the developer's clone, with an environment that no CI system and no git
// configuration of the machine reaches.
func (s *scene) run(name string, args ...string) answer {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C.UTF-8", "NO_COLOR=1",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com", "GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com",
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (s *scene) must(name string, args ...string) string {
	s.t.Helper()
	a := s.run(name, args...)
	if a.status != 0 {
		s.t.Fatalf("%s %s ended with %d: %s%s", filepath.Base(name), strings.Join(args, " "), a.status, a.stdout, a.stderr)
	}
	return strings.TrimSpace(a.stdout)
}

func (s *scene) git(args ...string) string {
	s.t.Helper()
	return s.must("git", append([]string{"-C", s.dev}, args...)...)
}

func (s *scene) sallyport(args ...string) string {
	s.t.Helper()
	return s.must(binary, args...)
}

const trailer = "\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n"

// agentWork commits an agent's work, a protected file among it, on a new branch of main.
func (s *scene) agentWork(branch string) {
	s.t.Helper()
	s.git("switch", "-q", "-c", branch, "main")
	s.write("server.py", "print('hello, "+branch+"')\n")
	s.git("add", "-A")
	s.git("commit", "-q", "-m", "Greet by name"+trailer)
	s.write("deploy/prod.yaml", "kind: Deployment\nspec:\n  replicas: 4\n")
	s.git("commit", "-q", "-a", "-m", "Scale"+trailer)
}

// attest is the supervisor's part: it saw the agent write base..HEAD.
func (s *scene) attest(base string) {
	s.t.Helper()
	commits := strings.Fields(s.git("rev-list", "--reverse", base+"..HEAD"))
	run := predicate.AgentRun{
		RunID: "run-1", Agent: predicate.Agent{Name: "claude-code"}, Operator: "alice", Repository: repository,
		Models:    []predicate.Model{{Name: "claude"}},
		StartedAt: predicate.FormatTime(s.now), EndedAt: predicate.FormatTime(time.Now()),
		Supervisor: predicate.Supervisor{Version: "test", Separation: predicate.SeparationHost},
		Changes:    predicate.Changes{Commits: commits, Hunks: []string{}, Blobs: []predicate.Blob{}},
		Sealed:     true, Records: 1, RecordHead: string(sallyport.SHA256([]byte("records"))), Conclusion: predicate.ConclusionSuccess,
	}
	body, err := json.Marshal(run)
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.dir, "run.json")
	s.writeFile(file, string(body), 0o644)
	s.sallyport("attest", "--repo", s.dev, "--type", "agent-run", "--predicate", file, "--key", s.key("supervisor"), "git:HEAD")
}

// approve has both reviewers approve HEAD for main.
func (s *scene) approve() {
	s.t.Helper()
	for _, name := range []string{"bob", "carol"} {
		s.sallyport("approval", "give", "--repo", s.dev, "--root", s.pin, "--target", "main", "--yes", "--key", "simulated-sk:"+s.key(name))
	}
}

// push pushes refspecs to the server.
func (s *scene) push(args ...string) answer {
	s.t.Helper()
	return s.run("git", append([]string{"-C", s.dev, "push", "origin"}, args...)...)
}

// ref returns what a ref of the server points to, or nothing.
func (s *scene) ref(name string) string {
	a := s.run("git", "-C", s.server, "rev-parse", "-q", "--verify", name)
	return strings.TrimSpace(a.stdout)
}

// remote returns what the hook printed, as the pusher sees it.
func (a answer) remote() string {
	var b strings.Builder
	for line := range strings.Lines(a.stderr) {
		if rest, ok := strings.CutPrefix(line, "remote:"); ok {
			b.WriteString(strings.TrimRight(strings.TrimPrefix(rest, " "), " \n") + "\n")
		}
	}
	return b.String()
}

// codes returns the reason codes in what the hook printed, sorted.
func (a answer) codes() []string {
	var codes []string
	for line := range strings.Lines(a.remote()) {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") {
			if code, _, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && !strings.ContainsAny(code, " :") {
				codes = append(codes, code)
			}
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// refused fails the test unless the push was refused with exactly these reason codes and the
// server's ref did not move.
func (s *scene) refused(a answer, ref, before string, codes ...string) {
	s.t.Helper()
	if a.status == 0 || !strings.Contains(a.stderr, "pre-receive hook declined") {
		s.t.Errorf("the push was not refused by the hook (%d): %s", a.status, a.stderr)
	}
	slices.Sort(codes)
	if got := a.codes(); !slices.Equal(got, codes) {
		s.t.Errorf("refused with %v, want %v:\n%s", got, codes, a.stderr)
	}
	if got := s.ref(ref); got != before {
		s.t.Errorf("%s is %q after a refused push, was %q", ref, got, before)
	}
	s.plain(a.stderr)
}

// accepted fails the test unless the push went through and the server's ref is at want.
func (s *scene) accepted(a answer, ref, want string) {
	s.t.Helper()
	if a.status != 0 {
		s.t.Errorf("the push ended with %d: %s", a.status, a.stderr)
	}
	if got := s.ref(ref); got != want {
		s.t.Errorf("%s is %q on the server, pushed was %q", ref, got, want)
	}
	s.plain(a.stderr)
}

// plain fails the test if text holds anything that moves a cursor or reorders what is shown. Git
// itself ends progress lines with a carriage return or an erase sequence.
func (s *scene) plain(text string) {
	s.t.Helper()
	text = strings.ReplaceAll(text, "\x1b[K", "")
	for _, r := range text {
		if r != '\n' && r != '\r' && (r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)) {
			s.t.Errorf("the pusher's terminal was sent %U: %q", r, text)
			return
		}
	}
}

// verify fails the test unless the server's log verifies.
func (s *scene) verify() {
	s.t.Helper()
	s.sallyport("log", "verify", "--repo", s.server)
}
