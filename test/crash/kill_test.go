package crash

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// rounds is how many kills a test makes: SALLYPORT_KILLS, or the default.
func rounds(t *testing.T) int {
	s := os.Getenv("SALLYPORT_KILLS")
	if s == "" {
		return defaultKills
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("SALLYPORT_KILLS=%q is no number of rounds", s)
	}
	return n
}

// TestKill kills check merge at random moments, over and over in one state folder. Whatever was
// printed is recorded and in the log, the log verifies, and the next check needs no repair.
// Every tenth round begins with an empty state folder, so that the making of the store, the
// keys and the log is killed as well.
func TestKill(t *testing.T) {
	s := newSite(t)
	whole := s.typical()
	n := rounds(t)
	type run struct {
		head string
		answer
	}
	var runs []run
	killed, late := 0, 0
	for round := 0; killed < n; round++ {
		if round == 4*n {
			t.Fatalf("only %d of %d runs could be killed", killed, round)
		}
		if round%10 == 9 {
			s.fresh()
			runs = nil
		}
		// Half of the moments are anywhere in a run, half in its end, where it writes.
		from := time.Duration(0)
		if round%2 == 0 {
			from = whole / 2
		}
		head := s.head()
		cmd := s.check(head)
		timer := make(chan *time.Timer, 1)
		wait := from + rand.N(whole-from)
		a := s.runThen(cmd, func() {
			timer <- time.AfterFunc(wait, func() { cmd.Process.Kill() })
		})
		(<-timer).Stop()
		switch a.status {
		case -1:
			killed++
		case 0:
			late++
		default:
			t.Fatalf("round %d: ended with %d: %s%s", round, a.status, a.stdout, a.stderr)
		}
		runs = append(runs, run{head, a})
		if round%10 == 8 || killed == n {
			s.opens() // makes the log if every run before it was killed too early
			log := s.log()
			for _, r := range runs {
				s.recorded(r.head, r.answer, log)
			}
			s.verify()
			s.explained(log)
		}
	}
	s.opens()
	s.verify()
	t.Logf("%d kills, %d runs that ended before; a whole run takes %v", killed, late, whole.Round(time.Millisecond))
}

// typical is how long an undisturbed check takes.
func (s *site) typical() time.Duration {
	s.t.Helper()
	var times []time.Duration
	for range 3 {
		start := time.Now()
		if a := s.run(s.check(s.head())); a.status != 0 {
			s.t.Fatalf("the scene's gate is not open (%d): %s%s", a.status, a.stdout, a.stderr)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[1]
}

// TestKillBetweenLogAndStore hits one moment on purpose: the log holds the decision and the store
// does not know yet. Nobody was told of it; it is listed as pending, the next check appends it
// once more, and a log that holds an entry twice verifies.
func TestKillBetweenLogAndStore(t *testing.T) {
	s := newSite(t)
	s.opens()
	killed := s.head()
	a := s.run(s.strace(s.check(killed), filepath.Join(s.Dir, "trace"), "-qq",
		"-P", filepath.Join(s.state, "log", ".state"), "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL"))
	if a.status != -1 || a.stdout != "" {
		t.Fatalf("not killed: ended with %d: %s%s", a.status, a.stdout, a.stderr)
	}
	s.verify()
	index := func() (index *uint64, found bool) {
		for _, l := range s.log() {
			if l.Subject == "gitCommit:"+killed {
				return l.Index, true
			}
		}
		return nil, false
	}
	if i, found := index(); !found || i != nil {
		t.Errorf("the decision is listed: %v, at index %v; want it pending", found, i)
	}
	s.opens()
	if i, found := index(); !found || i == nil {
		t.Errorf("the decision is listed: %v, at index %v; want it logged", found, i)
	}
	s.verify()
}
