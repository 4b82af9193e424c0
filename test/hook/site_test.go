package hook

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) {
	scene.InMemory()
	os.Exit(scene.Main(m))
}

// A site is a bare repository on a server with the hook in it, and a developer's checkout.
type site struct {
	*scene.Scene
	t      testing.TB
	server string
}

// options say how a site differs from the usual one.
type options struct {
	sha256 bool
	unborn bool     // the server's main does not exist yet
	mode   string   // enforce unless set
	refs   []string // what the hook's --ref names; refs/heads/main unless set
}

func newSite(t testing.TB, o options) *site {
	t.Helper()
	so := scene.Options{Format: "sha1"}
	if o.sha256 {
		so.Format = "sha256"
	}
	if o.mode != "" {
		so.Files = map[string]string{".sallyport/sallyport.yaml": strings.Replace(scene.Config, "mode: enforce", "mode: "+o.mode, 1)}
	}
	s := &site{Scene: scene.New(t, so), t: t}
	s.server = filepath.Join(s.Dir, "server.git")
	s.Git("init", "-q", "--bare", "-b", "main", "--object-format="+so.Format, s.server)
	s.Git("remote", "add", "origin", s.server)
	if !o.unborn {
		s.Git("push", "-q", "origin", "main") // there is no hook yet
		s.Git("remote", "set-head", "origin", "main")
	}
	refs := o.refs
	if refs == nil {
		refs = []string{"refs/heads/main"}
	}
	s.install(refs...)
	return s
}

// in returns the site for a subtest.
func (s *site) in(t testing.TB) *site {
	c, sc := *s, *s.Scene
	sc.TB, c.Scene, c.t = t, &sc, t
	return &c
}

// install puts the hook into the server's repository, as docs/merge-gate.md says.
func (s *site) install(refs ...string) {
	s.t.Helper()
	script := "#!/bin/sh\nexec '" + scene.Binary() + "' hook pre-receive --root " + string(s.Pin)
	for _, r := range refs {
		script += " --ref '" + r + "'"
	}
	if err := os.WriteFile(filepath.Join(s.server, "hooks", "pre-receive"), []byte(script+"\n"), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// An answer is what a push printed, and how it ended.
type answer struct {
	status         int
	stdout, stderr string
}

// push pushes refspecs to the server.
func (s *site) push(args ...string) answer {
	s.t.Helper()
	cmd, cancel := s.Command("git", append([]string{"-C", s.Repo, "push", "origin"}, args...)...)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// pushEvidence takes what was attested and approved to the server.
func (s *site) pushEvidence() {
	s.t.Helper()
	const ref = "refs/sallyport/evidence"
	s.accepted(s.push(ref), ref, s.Rev(ref))
}

// agentWork commits an agent's work, a protected file among it, on a new branch of main.
func (s *site) agentWork(branch string) {
	s.t.Helper()
	s.Git("switch", "-q", "-c", branch, "main")
	s.Append("server.py", "\n# A line of the agent's.\n")
	s.AgentCommit("Say more")
	s.Append("deploy/prod.yaml", "  minReadySeconds: 5\n")
	s.AgentCommit("Wait a little")
}

// vouch attests the agent's run since main, and has two reviewers approve HEAD.
func (s *site) vouch() {
	s.t.Helper()
	s.AttestRun("main", "HEAD")
	s.Approve(scene.Bob)
	s.Approve(scene.Carol)
}

// onServer runs git in the server's repository.
func (s *site) onServer(args ...string) (string, error) {
	return s.TryGit(scene.Who(scene.Alice), nil, append([]string{"-C", s.server}, args...)...)
}

// administer runs git in the server's repository, as its administrator may.
func (s *site) administer(args ...string) {
	s.t.Helper()
	if _, err := s.onServer(args...); err != nil {
		s.t.Fatal(err)
	}
}

// ref returns what a ref of the server points to, or nothing.
func (s *site) ref(name string) string {
	oid, err := s.onServer("rev-parse", "-q", "--verify", name)
	if err != nil {
		return ""
	}
	return oid
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
func (s *site) refused(a answer, ref, before string, codes ...string) {
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
func (s *site) accepted(a answer, ref, want string) {
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
func (s *site) plain(text string) {
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
func (s *site) verify() {
	s.t.Helper()
	s.Must("log", "verify", "--repo", s.server)
}
