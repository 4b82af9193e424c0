//go:build e2e

package hook

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// A push of 2,000 commits is judged whole: refused for the one line in the middle that touches a
// protected file, and accepted once somebody accounts for all of it.
func TestLargePush(t *testing.T) {
	t.Parallel()
	const n = 2000
	s := newSite(t, options{})
	main := s.ref("refs/heads/main")
	var stream bytes.Buffer
	when := time.Now().Unix()
	for i := range n {
		message := fmt.Sprintf("Change %d%s", i, scene.Trailer)
		fmt.Fprintf(&stream, "commit refs/heads/work\nauthor Alice <alice@example.com> %d +0000\ncommitter Alice <alice@example.com> %d +0000\ndata %d\n%s\n", when, when, len(message), message)
		if i == 0 {
			fmt.Fprintf(&stream, "from %s\n", main)
		}
		path := fmt.Sprintf("src/dir%d/file%d.py", i%40, i%700)
		if i == n/2 {
			path = "deploy/prod.yaml"
		}
		body := strings.Repeat(fmt.Sprintf("line of change %d\n", i), 20)
		fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(body), body)
	}
	if _, err := s.TryGit(scene.Who(scene.Alice), stream.Bytes(), "fast-import", "--quiet"); err != nil {
		t.Fatal(err)
	}
	s.Git("switch", "-q", "work")
	start := time.Now()
	a := s.push("work:main")
	t.Logf("a push of %d commits was judged in %v", n, time.Since(start).Round(time.Millisecond))
	s.refused(a, "refs/heads/main", main, "approval-missing", "attestation-missing")
	s.vouch()
	start = time.Now()
	s.accepted(s.push("--atomic", "work:main", "refs/sallyport/evidence"), "refs/heads/main", s.Rev("work"))
	t.Logf("accepted in %v", time.Since(start).Round(time.Millisecond))
	s.verify()
}
