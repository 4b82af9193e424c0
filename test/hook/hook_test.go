// Package hook pushes with the real git through the built binary as a bare repository's
// pre-receive hook, and looks at what the pusher sees and at what the server then holds.
package hook

import (
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// An agent's push is refused with the reasons, and the same commits pass once the run is
// attested and two reviewers approved.
func TestRefusedThenAccepted(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options options
		url     func(*site) string
	}{
		{"a path", options{}, func(s *site) string { return s.server }},
		{"a file URL", options{}, func(s *site) string { return "file://" + s.server }},
		{"SHA-256", options{sha256: true}, func(s *site) string { return s.server }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.options)
			s.Git("remote", "set-url", "origin", tt.url(s))
			main := s.ref("refs/heads/main")
			s.agentWork("work")
			a := s.push("work:main")
			s.refused(a, "refs/heads/main", main, "approval-missing", "attestation-missing")
			t.Logf("what the pusher sees:\n%s", a.stderr)

			// The branch may lie on the server meanwhile, and evidence travels.
			s.accepted(s.push("work"), "refs/heads/work", s.Rev("work"))
			s.AttestRun("main", "HEAD")
			s.pushEvidence()
			s.refused(s.push("work:main"), "refs/heads/main", main, "approval-missing")
			s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			s.pushEvidence()
			a = s.push("work:main")
			s.accepted(a, "refs/heads/main", s.Rev("work"))
			t.Logf("what the pusher sees:\n%s", a.stderr)
			s.verify()
			if got := strings.Count(s.Must("log", "tail", "--repo", s.server), "\n"); got != 3 {
				t.Errorf("%d decisions are recorded, want 3", got)
			}
		})
	}
}

// Evidence may come in the same push as what it is about.
func TestEvidenceInTheSamePush(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.agentWork("work")
	s.vouch()
	s.refused(s.push("work:main"), "refs/heads/main", s.ref("refs/heads/main"), "approval-missing", "attestation-missing")
	s.accepted(s.push("--atomic", "work:main", "refs/sallyport/evidence"), "refs/heads/main", s.Rev("work"))
}
