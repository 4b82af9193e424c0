package hook

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The hook is killed at random moments of a push that would be accepted. Git reads that as a
// refusal; a push that went through is recorded as open, and the next one needs no repair.
func TestKilledHook(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	base := s.ref("refs/heads/main")
	s.agentWork("work")
	s.vouch()
	s.pushEvidence()
	s.accepted(s.push("work"), "refs/heads/work", s.Rev("work")) // what was approved can be compared with
	tree := s.Rev("work^{tree}")
	pushed := 0
	push := func() (head string, landed bool) {
		pushed++
		head = s.Git("commit-tree", "-p", base, "-m", fmt.Sprintf("In words of its own: %d", pushed), tree)
		a := s.push(head + ":refs/heads/main")
		if landed = s.ref("refs/heads/main") == head; landed {
			s.administer("update-ref", "refs/heads/main", base)
		}
		if landed != (a.status == 0) {
			t.Errorf("the push ended with %d, landed: %v: %s", a.status, landed, a.stderr)
		}
		return head, landed
	}
	start := time.Now()
	if _, landed := push(); !landed {
		t.Fatal("the push is not accepted when nobody kills the hook")
	}
	whole := time.Since(start)
	script := filepath.Join(s.server, "hooks", "pre-receive")
	plain, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	command := strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(string(plain), "#!/bin/sh\n")), "exec ")
	passed, stopped := map[string]bool{}, 0
	for range 15 {
		killing := fmt.Sprintf("#!/bin/sh\nexec 3<&0\n%s <&3 &\npid=$!\n(sleep %.3f; kill -9 $pid) >/dev/null 2>&1 </dev/null &\nwait $pid\n", command, rand.Float64()*whole.Seconds())
		if err := os.WriteFile(script, []byte(killing), 0o755); err != nil {
			t.Fatal(err)
		}
		if head, landed := push(); landed {
			passed[head] = true
		} else {
			stopped++
		}
	}
	if err := os.WriteFile(script, plain, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, landed := push(); !landed {
		t.Error("the next push is not accepted")
	}
	var lines []struct {
		Index   *uint64 `json:"index"`
		Outcome string  `json:"outcome"`
		Subject string  `json:"subject"`
	}
	if err := json.Unmarshal([]byte(s.Must("log", "tail", "--repo", s.server, "-n", "1000", "--json")), &lines); err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Outcome == "open" && l.Index != nil {
			delete(passed, strings.TrimPrefix(l.Subject, "gitCommit:"))
		}
	}
	for head := range passed {
		t.Errorf("%s landed and is not recorded as open", head)
	}
	s.verify()
	t.Logf("%d pushes stopped by killing the hook", stopped)
}
