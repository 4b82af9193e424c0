package crash

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// traced are the calls that the model needs to see.
const traced = "trace=write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,openat,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,unlink,unlinkat,ftruncate,fallocate"

// strace returns a command that runs cmd under strace. Without strace the test fails in CI and
// says elsewhere that it did not run.
func (s *site) strace(cmd *exec.Cmd, trace string, options ...string) *exec.Cmd {
	s.t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") == "true" {
			s.t.Fatal("strace is missing: apt-get install strace")
		}
		s.t.Skip("NOT RUN: strace is missing, so the order of syncs and answers was not looked at (apt-get install strace)")
	}
	args := append([]string{"-f", "-y", "-s", "16", "-o", trace}, options...)
	outer := exec.Command(path, append(append(args, "--"), cmd.Args...)...)
	outer.Env, outer.Dir, outer.Stdin = cmd.Env, cmd.Dir, cmd.Stdin
	return outer
}

// record runs cmd under strace with its standard output in a file, and returns the trace.
func (s *site) record(cmd *exec.Cmd, answerFile string, want int) []byte {
	s.t.Helper()
	trace := filepath.Join(s.Dir, "trace")
	outer := s.strace(cmd, trace, "-e", traced, "-e", "signal=none")
	out, err := os.Create(answerFile)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	outer.Stdout = out
	var stderr strings.Builder
	outer.Stderr = &stderr
	if _ = outer.Run(); outer.ProcessState.ExitCode() != want {
		if strings.Contains(stderr.String(), "ptrace") && os.Getenv("CI") != "true" {
			s.t.Skipf("NOT RUN: this machine lets nobody trace: %s", stderr.String())
		}
		s.t.Fatalf("the traced run ended with %d, want %d: %s", outer.ProcessState.ExitCode(), want, stderr.String())
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// files lists what is below the scene's folder.
func (s *site) files() []string {
	var list []string
	err := filepath.WalkDir(s.Dir, func(p string, d fs.DirEntry, err error) error {
		list = append(list, p)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// evidenceOf reports whether a path below the state folder must outlive a power cut. The cache
// may be lost, SQLite's shared memory is rebuilt, and locks are the kernel's.
func (s *site) evidenceOf(path string) bool {
	rel, ok := strings.CutPrefix(path, s.state)
	if !ok {
		return false
	}
	base := filepath.Base(rel)
	return !strings.HasPrefix(base, "cache.db") && !strings.HasSuffix(base, "-shm") && !strings.HasSuffix(base, "lock") && rel != "/requests"
}

// steps are what every recorded decision leaves on the disk, in this order: its digest in the log,
// and the store's note of where. Before them the store takes in the decision itself.
var steps = []*regexp.Regexp{
	regexp.MustCompile(`^log/tile/entries/\d+\.p/\d{1,3}$`),
	regexp.MustCompile(`^log/tile/0/\d+\.p/\d{1,3}$`),
	regexp.MustCompile(`^log/\.state/treeState$`),
	regexp.MustCompile(`^state\.db-wal$`),
}

// durableFirst reports what is wrong with a trace in which a file got an answer: that it was
// written while something it rests on was not on the disk.
func (s *site) durableFirst(trace []byte, existing []string, answerFile string) error {
	calls, err := parseTrace(strings.NewReader(string(trace)))
	if err != nil {
		return err
	}
	isAnswer := func(c *syscall) bool { return c.name == "write" && fdPath(splitArgs(c.args), 0) == answerFile }
	m, answered := replay(calls, existing, isAnswer, s.evidenceOf)
	if !answered {
		return fmt.Errorf("no answer was written to %s", answerFile)
	}
	before := 0
	for _, step := range steps {
		last := 0
		for p, line := range m.durable {
			if step.MatchString(s.short(p)) {
				last = max(last, line)
			}
		}
		if last <= before {
			return fmt.Errorf("%s was not forced to the disk, in its turn and before the answer", step)
		}
		before = last
	}
	if lost := m.unsynced(); len(lost) > 0 {
		return fmt.Errorf("a power cut at the answer would lose %s", strings.ReplaceAll(strings.Join(lost, ", "), s.Dir+"/", ""))
	}
	return nil
}

// TestSyncBeforeAnswer reads from the kernel's trace of check merge that everything a decision
// rests on is on the disk when the first byte of the answer is written: in a state folder that
// exists, and in one that this run has to make.
func TestSyncBeforeAnswer(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"a state folder that is new", "a state folder in use"} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			if strings.HasSuffix(name, "new") {
				s.fresh()
			}
			answer := filepath.Join(s.Dir, "answer")
			cmd, existing := s.check(s.head()), s.files()
			trace := s.record(cmd, answer, 0)
			if err := s.durableFirst(trace, existing, answer); err != nil {
				t.Error(err)
			}
			t.Logf("\n%s", s.excerpt(trace, answer))
			s.faults(t, trace, existing, answer)
		})
	}
}

// faults holds the reading itself to account: a trace from which a sync is missing is refused.
func (s *site) faults(t *testing.T, trace []byte, existing []string, answer string) {
	state := regexp.QuoteMeta(s.state)
	for _, tt := range []struct {
		name     string
		old, new string
	}{
		{"the store's journal is not synced", `(?m)^.*f(data)?sync\(\d+<` + state + `/state\.db-wal>.*\n`, ""},
		{"the folder of the log's state is not synced", `(?m)^.*fsync\(\d+<` + state + `/log/\.state>.*\n`, ""},
		{"the folder of the log's entries is not synced", `(?m)^.*fsync\(\d+<` + state + `/(log|\.tmp-log-\d+)/tile/entries/\d+\.p>.*\n`, ""},
		{"the log's files are not opened for synchronous writes", `O_SYNC\|`, ""},
		{"the log is never written", `(?m)^.*renameat\(.*/\.state/treeState"\).*\n`, ""},
		{"syncs fail", `(f(?:data)?sync\(\d+<[^>]*>\)) += 0`, "$1 = -1 EIO (Input/output error)"},
	} {
		changed := regexp.MustCompile(tt.old).ReplaceAll(trace, []byte(tt.new))
		if string(changed) == string(trace) {
			t.Errorf("%s: the trace holds nothing to take away", tt.name)
		} else if s.durableFirst(changed, existing, answer) == nil {
			t.Errorf("%s: and nobody noticed", tt.name)
		}
	}
	// The answer first, all the rest as it was.
	lines := strings.SplitAfter(string(trace), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "<"+answer+">") })
	early := strings.Join(slices.Concat(lines[i:i+1], lines[:i], lines[i+1:]), "")
	if s.durableFirst([]byte(early), existing, answer) == nil {
		t.Error("an answer before everything else: and nobody noticed")
	}
}

// excerpt is the part of a trace that a reader wants to see: what touched the files that
// decisions rest on, runs of writes to one file in one line, and the answer.
func (s *site) excerpt(trace []byte, answer string) string {
	calls, err := parseTrace(strings.NewReader(string(trace)))
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	last, times := "", 0
	flush := func() {
		if times > 1 {
			out[len(out)-1] += fmt.Sprintf("  (%d times)", times)
		}
		last, times = "", 0
	}
	for i := range calls {
		c := &calls[i]
		args := splitArgs(c.args)
		path := fdPath(args, 0)
		if path == answer {
			flush()
			out = append(out, fmt.Sprintf("write(1, %s…)   <- the answer", args[1]))
			break
		}
		var line string
		switch c.name {
		case "write", "pwrite64", "fsync", "fdatasync":
			if !s.evidenceOf(path) {
				continue
			}
			line = fmt.Sprintf("%s(%s)", c.name, s.short(path))
		case "openat":
			if path = at(args, 0); !s.evidenceOf(path) || !strings.Contains(args[2], "SYNC") {
				continue
			}
			line = fmt.Sprintf("openat(%s, %s)", s.short(path), args[2])
		case "renameat", "rename", "renameat2":
			from, to := at(args, 0), at(args, 2)
			if !s.evidenceOf(to) {
				continue
			}
			line = fmt.Sprintf("%s(%s, %s)", c.name, s.short(from), s.short(to))
		default:
			continue
		}
		result, _, _ := strings.Cut(c.ret, "<")
		line += " = " + result
		key := c.name + path
		if strings.HasPrefix(c.name, "pwrite") && key == last {
			times++
			continue
		}
		flush()
		out = append(out, line)
		last, times = key, 1
	}
	return strings.Join(out, "\n")
}

func (s *site) short(path string) string {
	if path == s.state {
		return "."
	}
	return strings.TrimPrefix(path, s.state+"/")
}
