package hook

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// Creating, deleting and rewriting a gated ref are judged, each with a code of its own.
func TestGatedRefs(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{refs: []string{"refs/heads/main", "refs/heads/release/*", "refs/tags/*"}})
	main := s.ref("refs/heads/main")
	s.agentWork("work")
	approved := func() {
		s.vouch()
		s.pushEvidence()
	}
	for _, tt := range []struct {
		name  string
		args  []string
		ref   string
		codes []string
	}{
		{"creation with an agent's commits", []string{"work:refs/heads/release/1"}, "refs/heads/release/1", []string{"approval-missing", "attestation-missing"}},
		{"a tag with an agent's commits", []string{"work:refs/tags/v1"}, "refs/tags/v1", []string{"approval-missing", "attestation-missing"}},
		{"deletion", []string{":main"}, "refs/heads/main", []string{"ref-deleted"}},
		{"two refs, one refused", []string{"work:refs/heads/fine", "work:main"}, "refs/heads/main", []string{"approval-missing", "attestation-missing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := s.in(t)
			before := s.ref(tt.ref)
			s.refused(s.push(tt.args...), tt.ref, before, tt.codes...)
			if got := s.ref("refs/heads/fine"); got != "" {
				t.Errorf("a ref beside a refused one was made: %s", got)
			}
		})
	}
	t.Run("rewriting", func(t *testing.T) {
		s := s.in(t)
		approved()
		s.accepted(s.push("work:main"), "refs/heads/main", s.Rev("work"))
		landed := s.ref("refs/heads/main")
		s.refused(s.push("--force", main+":refs/heads/main"), "refs/heads/main", landed, "approval-missing", "ref-rewritten", "unattributed")
		s.Git("switch", "-q", "-c", "other", main)
		s.Git("commit", "-q", "--allow-empty", "-m", "elsewhere")
		s.refused(s.push("--force", "other:main"), "refs/heads/main", landed, "approval-missing", "ref-rewritten", "unattributed")
	})
	t.Run("a release branch of what was accepted", func(t *testing.T) {
		s := s.in(t)
		s.accepted(s.push("work:refs/heads/release/2"), "refs/heads/release/2", s.Rev("work"))
	})
	s.verify()
}

// What is not gated passes, unjudged.
func TestOtherRefsPass(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.agentWork("work")
	head := s.Rev("work")
	for _, ref := range []string{"refs/heads/work", "refs/heads/main2", "refs/heads/mainx/y", "refs/for/main", "refs/tags/v1"} {
		a := s.push("work:" + ref)
		s.accepted(a, ref, head)
		if r := a.remote(); r != "" {
			t.Errorf("%s: the hook spoke: %s", ref, r)
		}
	}
	s.accepted(s.push(":refs/heads/work"), "refs/heads/work", "")
}

// A name on the server that stands for the gated branch is the gated branch.
func TestSymbolicRef(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	main := s.ref("refs/heads/main")
	s.administer("symbolic-ref", "refs/heads/trunk", "refs/heads/main")
	s.agentWork("work")
	a := s.push("work:trunk")
	s.refused(a, "refs/heads/main", main, "approval-missing", "attestation-missing")
}

// The first push of a new repository is judged under the root that it brings, if that is the one
// that the server pins. Nobody has approved it, so it is refused until an administrator has put
// the first commit there; a root that is not the pinned one leaves nothing to judge by.
func TestUnbornMain(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{unborn: true})
	s.refused(s.push("main"), "refs/heads/main", "", "approval-missing", "unattributed")
	s.Git("switch", "-q", "-c", "other")
	s.Write(".sallyport/roster.yaml", "version: 1\npersons: []\n")
	s.Git("commit", "-q", "-a", "-m", "other rules")
	a := s.push("other:main")
	s.refused(a, "refs/heads/main", "")
	if got := a.remote(); !strings.HasPrefix(got, "sallyport: refs/heads/main: ") || !strings.Contains(got, "sallyport: hint: ") || strings.Count(got, "\n") != 2 {
		t.Errorf("want one line and a hint, got %q", got)
	}
	t.Log(a.stderr)
}

// Names that would move a cursor or forge a line reach the pusher's terminal as text.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	main := s.ref("refs/heads/main")
	s.Git("switch", "-q", "-c", "work")
	for i, name := range []string{"deploy/\x1b[2J\x1b[1;1Hmerge gate: open.yaml", "deploy/a\nmerge gate: open\n.yaml", "deploy/\u202egnp.yaml", "deploy/\x9b31m.yaml", "deploy/\xff\xfe.yaml", "deploy/\u2066x.yaml", "deploy/\rx.yaml"} {
		s.Write(name, fmt.Sprintf("a: %d\n", i))
	}
	s.Git("add", "-A")
	s.Git("commit", "-q", "-m", "\x1b]0;title\x07 and\x1b[31m more"+scene.Trailer)
	a := s.push("work:main")
	s.refused(a, "refs/heads/main", main, "approval-missing", "attestation-missing", "hidden-unicode")
	if strings.Contains(a.remote(), "\nmerge gate: open") {
		t.Error("a file name forged a verdict")
	}
	s.install("refs/heads/*")
	a = s.push("work:refs/heads/\u202eniam", "work:refs/heads/a\u2066b")
	if a.status == 0 {
		t.Error("not refused")
	}
	s.plain(a.remote()) // what git itself prints of a ref is git's
}
