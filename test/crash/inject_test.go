//go:build e2e

package crash

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestKillAtEveryCall kills check merge at each system call that changes a file, one after the
// other, in a state folder that exists and in one that is being made. What random moments hit
// by luck is hit on purpose here. Strace counts calls by thread, so that some of the numbers hit
// nothing, or two places; the invariant is the same for all of them.
func TestKillAtEveryCall(t *testing.T) {
	s := newSite(t)
	killed := 0
	s.eachCall(func(call string, n int, isNew bool) {
		head, a := s.injected(call, fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n))
		switch a.status {
		case -1:
			killed++
		case 0:
		default:
			t.Fatalf("killed at %s %d: ended with %d: %s%s", call, n, a.status, a.stdout, a.stderr)
		}
		s.opens()
		s.recorded(head, a, s.log())
		s.verify()
	})
	t.Logf("%d kills", killed)
	if killed == 0 {
		t.Error("nothing was killed")
	}
}

// TestFailEveryCall makes each of the same calls fail: the disk is full, or it is broken. Either the
// decision is recorded all the same, or nothing was decided and one line says so. Once the
// disk is well again, nothing needs repair.
func TestFailEveryCall(t *testing.T) {
	s := newSite(t)
	failed := 0
	fault := map[string]string{"fsync": "EIO", "renameat": "EIO", "unlinkat": "EIO", "pwrite64": "ENOSPC", "mkdirat": "ENOSPC", "ftruncate": "ENOSPC"}
	s.eachCall(func(call string, n int, isNew bool) {
		head, a := s.injected(call, fmt.Sprintf("inject=%s:error=%s:when=%d", call, fault[call], n))
		if a.status != 0 {
			failed++
			s.undecided(fmt.Sprintf("%s at %s %d, new folder %v", fault[call], call, n, isNew), a)
			t.Logf("%s at %s %d: %s", fault[call], call, n, strings.TrimSpace(a.stderr))
		}
		s.opens()
		s.recorded(head, a, s.log())
		s.verify()
	})
	t.Logf("%d runs failed", failed)
	if failed == 0 {
		t.Error("nothing failed")
	}
}

// injected checks a new head while strace does to a call what inject says. Strace itself can fail where a
// thread ends under it ("ptrace(PTRACE_LISTEN,…): Input/output error"), and then its exit status is not the
// program's: such a run is told, and made again.
func (s *site) injected(call, inject string) (head string, a answer) {
	for try := 0; ; try++ {
		head = s.head()
		a = s.run(s.strace(s.check(head), filepath.Join(s.Dir, "trace"), "-qq", "-e", "trace="+call, "-e", inject))
		if !strings.Contains(a.stderr, "strace: ptrace(") || try == 3 {
			return head, a
		}
		s.t.Logf("%s: strace failed, again: %s", inject, strings.TrimSpace(a.stderr))
	}
}

// eachCall calls f for every call by number, for a new state folder and for one in use.
func (s *site) eachCall(f func(call string, n int, isNew bool)) {
	for _, c := range []struct {
		call string
		most int
	}{{"fsync", 14}, {"renameat", 6}, {"unlinkat", 4}, {"mkdirat", 6}, {"pwrite64", 90}, {"ftruncate", 2}} {
		for n := 1; n <= c.most; n++ {
			if c.call == "pwrite64" && n > 6 && n%6 != 0 {
				continue // a transaction is a run of writes, of which no reader sees a part
			}
			for _, isNew := range []bool{false, true} {
				if isNew {
					s.fresh()
				}
				f(c.call, n, isNew)
			}
		}
	}
}
