package hook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// The hook reads what is pushed from git's quarantine, and a refused push leaves nothing behind.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.agentWork("work")
	head, main := s.Rev("work"), s.ref("refs/heads/main")
	s.refused(s.push("work:main"), "refs/heads/main", main, "approval-missing", "attestation-missing")
	if _, err := s.onServer("cat-file", "-e", head); err == nil {
		t.Error("the server kept the objects of a refused push")
	}
	// A server whose objects lie elsewhere too, as in a network of forks.
	fork := filepath.Join(s.Dir, "fork $(touch canary).git")
	s.Git("clone", "-q", "--bare", "--shared", s.server, fork)
	s.server = fork
	s.install("refs/heads/main")
	s.Git("remote", "set-url", "origin", fork)
	s.refused(s.push("work:main"), "refs/heads/main", main, "approval-missing", "attestation-missing")
	s.vouch()
	s.accepted(s.push("--atomic", "work:main", "refs/sallyport/evidence"), "refs/heads/main", head)
	s.verify()
	for _, dir := range []string{s.Dir, s.Repo, fork} {
		if _, err := os.Stat(filepath.Join(dir, "canary")); err == nil {
			t.Error("the path of the repository was run as a command")
		}
	}
}

// Objects that are no commits: pointed to by a ref that is not gated they are nobody's business,
// at a gated one they are refused in a line.
func TestOtherObjects(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{refs: []string{"refs/heads/main", "refs/tags/*"}})
	blob, tree := s.Rev("HEAD:server.py"), s.Rev("HEAD^{tree}")
	for _, oid := range []string{blob, tree} {
		s.accepted(s.push("-f", oid+":refs/meta/x"), "refs/meta/x", oid)
		a := s.push(oid + ":refs/tags/x")
		s.refused(a, "refs/tags/x", "")
		if got := a.remote(); !strings.HasPrefix(got, "sallyport: refs/tags/x: ") || strings.Count(got, "\n") > 2 {
			t.Errorf("want one line, got %q", got)
		}
	}
	s.agentWork("work")
	s.Git("tag", "-a", "-m", "an annotated tag", "v1", "work")
	s.refused(s.push("v1"), "refs/tags/v1", "", "approval-missing", "attestation-missing")
	s.Git("tag", "-a", "-m", "a tag of a commit that is there", "v0", "main")
	s.accepted(s.push("v0"), "refs/tags/v0", s.Rev("v0"))
	s.Git("tag", "-a", "-m", "a tag of a tag", "vv", "v0")
	s.accepted(s.push("vv"), "refs/tags/vv", s.Rev("vv"))
}

// Nobody says --ref: the configuration of the default branch says what is gated, and what is
// pushed, a new configuration too, does not.
func TestGatedByConfiguration(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.install()
	main := s.ref("refs/heads/main")
	s.agentWork("work")
	s.refused(s.push("work:main"), "refs/heads/main", main, "approval-missing", "attestation-missing")
	s.accepted(s.push("work"), "refs/heads/work", s.Rev("work"))

	// The default branch is one that anybody may push to, and its configuration frees main.
	s.administer("symbolic-ref", "HEAD", "refs/heads/develop")
	s.administer("update-ref", "refs/heads/develop", main)
	s.Git("switch", "-q", "-c", "develop", "main")
	s.Write(".sallyport/sallyport.yaml", "version: 1\nrepository: "+scene.Repository+"\nmode: observe\ngates:\n  merge:\n    refs: [refs/heads/nothing]\n")
	s.Git("commit", "-q", "-a", "-m", "free main")
	s.accepted(s.push("develop"), "refs/heads/develop", s.Rev("develop"))
	s.refused(s.push("work:main"), "refs/heads/main", main, "approval-missing", "attestation-missing")

	// A default branch that does not exist: the pin says that there are rules.
	s.administer("symbolic-ref", "HEAD", "refs/heads/gone")
	if a := s.push("work:main"); a.status == 0 {
		t.Error("accepted without rules")
	}
	if got := s.ref("refs/heads/main"); got != main {
		t.Errorf("main moved to %s", got)
	}
	s.administer("symbolic-ref", "HEAD", "refs/heads/main")
	s.verify()
}

// In observe mode nothing is refused, the pusher sees what would have been, and the record is
// truthful.
func TestObserve(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{mode: "observe"})
	s.agentWork("work")
	a := s.push("work:main")
	s.accepted(a, "refs/heads/main", s.Rev("work"))
	if got := strings.Join(a.codes(), " "); got != "approval-missing attestation-missing" {
		t.Errorf("the pusher was told %q: %s", got, a.stderr)
	}
	if tail := s.Must("log", "tail", "--repo", s.server); !strings.Contains(tail, " shut ") {
		t.Errorf("recorded as %s", tail)
	}
	// What landed in observe mode may have changed the rules: then nothing passes any more.
	s.Write(".sallyport/sallyport.yaml", "version: 1\nrepository: "+scene.Repository+"\nmode: observe\ngates:\n  merge:\n    refs: [refs/heads/other]\n")
	s.Git("commit", "-q", "-a", "-m", "other rules")
	s.push("work:main")
	s.Git("commit", "-q", "--allow-empty", "-m", "after that")
	before := s.ref("refs/heads/main")
	a = s.push("work:main")
	if a.status == 0 || s.ref("refs/heads/main") != before {
		t.Errorf("accepted under rules that nobody signed: %s", a.stderr)
	}
}

// A server that cannot record refuses, in one line.
func TestNoState(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	main := s.ref("refs/heads/main")
	s.agentWork("work")
	s.vouch()
	s.pushEvidence()
	state := filepath.Join(s.server, "sallyport")
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, []byte("in the way\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := s.push("work:main")
	s.refused(a, "refs/heads/main", main)
	if got := a.remote(); !strings.HasPrefix(got, "sallyport: refs/heads/main: ") || strings.Count(got, "\n") > 2 {
		t.Errorf("want one line, got %q", got)
	}
	t.Log(a.remote())
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	s.accepted(s.push("work:main"), "refs/heads/main", s.Rev("work"))
}

// Pushes at the same time, from several clones: each is judged and recorded, and of two that
// would move one ref from one commit git lets one through.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{refs: []string{"refs/heads/main", "refs/heads/gated/*"}})
	main := s.ref("refs/heads/main")
	s.agentWork("work")
	s.vouch()
	s.pushEvidence()
	const n = 6
	clones, answers := make([]*site, n), make([]answer, n)
	for i := range clones {
		c := s.in(t)
		c.Repo = filepath.Join(s.Dir, fmt.Sprintf("clone%d", i))
		s.Git("clone", "-q", s.Repo, c.Repo)
		c.Git("remote", "set-url", "origin", s.server)
		clones[i] = c
	}
	var wg sync.WaitGroup
	for i, c := range clones {
		wg.Go(func() {
			if i%2 == 0 {
				answers[i] = c.push("work:main")
			} else {
				answers[i] = c.push(fmt.Sprintf("work:gated/%d", i))
			}
		})
	}
	wg.Wait()
	landed := 0
	for i, a := range answers {
		switch {
		case i%2 == 1:
			s.refused(a, fmt.Sprintf("refs/heads/gated/%d", i), "", "approval-missing")
		case a.status == 0:
			landed++
		case !strings.Contains(a.stderr, "remote rejected"):
			t.Errorf("%s", a.stderr)
		}
	}
	if got := s.ref("refs/heads/main"); landed == 0 || got == main {
		t.Errorf("%d pushes landed, main is at %s", landed, got)
	}
	s.verify()
}

// Whoever may push may add evidence. Nobody takes away what the server holds, an objection least
// of all, or leaves something there that no check could read.
func TestEvidenceGrows(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	const ref = "refs/sallyport/evidence"
	s.agentWork("work")
	s.AttestRun("main", "HEAD")
	first := s.Rev(ref)
	s.Approve(scene.Bob)
	s.Approve(scene.Carol, "--decline")
	s.pushEvidence()
	held := s.ref(ref)
	refused := func(name, remote string, args ...string) {
		t.Helper()
		a := s.push(args...)
		s.refused(a, ref, held)
		if got := a.remote(); !strings.HasPrefix(got, "sallyport: "+ref+": ") || !strings.Contains(got, remote) || strings.Count(got, "\n") > 2 {
			t.Errorf("%s: %s", name, got)
		}
	}
	refused("an older state", "2 of 3 attestations on the server would be lost", "--force", first+":"+ref)
	refused("deletion", "evidence is not deleted", ":"+ref)
	refused("a file that is no tree", "", "--force", s.Rev("HEAD:server.py")+":"+ref)
	// A commit on top, in whose tree one folder is missing: what lay there may lie elsewhere too,
	// and would not be found by what it is about.
	all := s.Git("ls-tree", held)
	tree, err := s.TryGit(scene.Who(scene.Alice), []byte(all[:strings.LastIndex(all, "\n")+1]), "mktree")
	if err != nil {
		t.Fatal(err)
	}
	refused("a folder less", " of 3 attestations on the server would be lost", s.Git("commit-tree", "-p", held, "-m", "x", tree)+":"+ref)
	// The same content with another history, as somebody makes who joins two states.
	union := s.Git("commit-tree", "-m", "union", held+"^{tree}")
	s.accepted(s.push("--force", union+":"+ref), ref, union)
	s.refused(s.push("work:main"), "refs/heads/main", s.ref("refs/heads/main"), "approval-missing", "declined")
}

// A script around the hook that reads what git says and does not pass it on has nothing judged. That
// is no reason to accept.
func TestLostInput(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	script := filepath.Join(s.server, "hooks", "pre-receive")
	b, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(strings.Replace(string(b), "exec", "cat >/dev/null\nexec", 1)), 0o755); err != nil {
		t.Fatal(err)
	}
	main := s.ref("refs/heads/main")
	s.agentWork("work")
	a := s.push("work:main")
	s.refused(a, "refs/heads/main", main)
	if got := a.remote(); !strings.HasPrefix(got, "sallyport: error: read what is pushed: ") || strings.Count(got, "\n") != 2 {
		t.Errorf("want one line and a hint, got %q", got)
	}
}
