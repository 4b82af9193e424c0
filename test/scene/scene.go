// Package scene stages repositories for tests of the product as a whole.
//
// A test binary calls [Main], which builds sallyport once and runs the tests. A [Scene] is a git
// repository with everything around it: a configuration, a roster, trust roots, a pinned root
// and keys. Its methods do what the people in the story do: an agent commits, a supervisor
// attests its run, reviewers approve, somebody asks the gate. All of it goes through real git
// and through the built binary, as children with an environment of their own that no CI
// variable, pin or git configuration of the caller reaches.
//
// The cast: Alice operates the agent, so that commits of the agent carry her name. Bob, Carol
// and Dave review with (simulated) security keys that other persons enrolled. Erin, with one too,
// reviews nothing and may grant exceptions. Rob's key is an ordinary one, Mallory is in no roster.
// Renovate is a bot whose scope is go.mod. Supervisor signs run evidence at the grade observed; Rogue is a
// key like the supervisor's that no trust root names.
//
// Staging takes tens of processes, so scenes are copied: stage once, then [Scene.Fork] for each
// test. Methods fail the test when something does not go as it should, except [Scene.Sallyport]
// and [Scene.Check], whose answer is what a test looks at.
package scene

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// timeout bounds each child.
const timeout = 2 * time.Minute

// binary is what Main built.
var binary string

// Main builds the binary without cgo, runs the tests and returns their exit status.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sallyport-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "scene:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "sallyport")
	build := exec.Command("go", "build", "-o", name, "github.com/sallyport-dev/sallyport/cmd/sallyport")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "scene: build the binary: %v\n%s", err, out)
		return 1
	}
	binary = name
	return m.Run()
}

// Binary returns the path of the binary that Main built.
func Binary() string { return binary }

// A Scene is a staged repository. It belongs to one test at a time.
type Scene struct {
	TB   testing.TB
	Dir  string           // everything but the keys is below
	Repo string           // the checkout
	Pin  sallyport.Digest // of the root that was staged; empty for none
	Env  []string         // more environment for the binary

	cast *cast
	runs int // runs that were attested
}

// Fork copies the scene, with all that was recorded in it, for another test.
func (s *Scene) Fork(tb testing.TB) *Scene {
	tb.Helper()
	f := *s
	f.TB, f.Dir, f.Env = tb, tempDir(tb), slices.Clone(s.Env)
	f.Repo = filepath.Join(f.Dir, filepath.Base(s.Repo))
	copyTree(tb, s.Dir, f.Dir)
	return &f
}

// tempDir is TB.TempDir with its links resolved, since git prints paths so.
func tempDir(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// copyTree copies regular files, folders and links with their modes, which os.CopyFS widens.
func copyTree(tb testing.TB, from, to string) {
	tb.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(at, info.Mode().Perm())
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, at)
		}
		// git writes an object once and never again: a link will do.
		if strings.Contains(filepath.ToSlash(rel), "/.git/objects/") && os.Link(path, at) == nil {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(at, b, info.Mode().Perm())
	})
	if err != nil {
		tb.Fatalf("copy the scene: %v", err)
	}
}

// CopyFolder copies a folder of the scene to another place in it, and replaces what is there.
func (s *Scene) CopyFolder(from, to string) {
	s.TB.Helper()
	if err := os.RemoveAll(to); err != nil {
		s.TB.Fatal(err)
	}
	copyTree(s.TB, from, to)
}

// State returns the path of a file in the state folder.
func (s *Scene) State(name ...string) string {
	return filepath.Join(append([]string{s.Repo, ".git", "sallyport"}, name...)...)
}

// A Result is how a run of the binary ended, and what it printed.
type Result struct {
	Args   []string
	Status int
	Stdout string
	Stderr string
}

// Sallyport runs the binary in the scene's folder.
func (s *Scene) Sallyport(args ...string) Result {
	s.TB.Helper()
	return s.SallyportIn(s.Dir, nil, args...)
}

// SallyportIn runs the binary in a folder, with more environment.
func (s *Scene) SallyportIn(dir string, env []string, args ...string) Result {
	s.TB.Helper()
	cmd, cancel := s.Command(binary, args...)
	defer cancel()
	cmd.Dir, cmd.Env = dir, append(append(cmd.Env, s.Env...), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.TB.Fatalf("sallyport %s: %v", strings.Join(args, " "), err)
	}
	return Result{args, cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// Must runs the binary and demands that it ends with status 0. It returns standard output.
func (s *Scene) Must(args ...string) string {
	s.TB.Helper()
	r := s.Sallyport(args...)
	if r.Status != 0 {
		s.TB.Fatalf("%v", r)
	}
	return r.Stdout
}

// String returns the command, its status and its output, for a failing test.
func (r Result) String() string {
	return fmt.Sprintf("sallyport %s: status %d\n%s%s", strings.Join(r.Args, " "), r.Status, r.Stdout, r.Stderr)
}

// Command prepares a child with the scene's environment. The caller calls cancel.
func (s *Scene) Command(name string, args ...string) (cmd *exec.Cmd, cancel func()) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	cmd = exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = s.Dir, Env(s.Dir)
	return cmd, cancel
}

// Env is an environment in which only home is set and nothing of the caller's is found.
func Env(home string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C.UTF-8", "NO_COLOR=1",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
	}
	for _, name := range []string{"TMPDIR", "GOCOVERDIR"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// A Verdict is the answer of check merge.
type Verdict struct {
	Result
	ID       sallyport.Digest // zero if nothing was decided
	Decision sallyport.Decision
	Entry    struct {
		Origin string `json:"origin"`
		Index  uint64 `json:"index"`
	}
}

// Check asks the merge gate about HEAD's way to main, under the scene's pin. More arguments
// override both.
func (s *Scene) Check(args ...string) Verdict {
	s.TB.Helper()
	return s.CheckIn(s.Dir, nil, args...)
}

// CheckIn is Check in a folder and with more environment.
func (s *Scene) CheckIn(dir string, env []string, args ...string) Verdict {
	s.TB.Helper()
	file := filepath.Join(tempDir(s.TB), "decision.json")
	all := append(s.gate("check", "merge"), "--output", "json="+file)
	v := Verdict{Result: s.SallyportIn(dir, env, append(all, args...)...)}
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return v
	}
	if err != nil {
		s.TB.Fatal(err)
	}
	var doc struct {
		ID       sallyport.Digest   `json:"id"`
		Decision sallyport.Decision `json:"decision"`
		Log      json.RawMessage    `json:"log"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		s.TB.Fatalf("read the decision: %v\n%s", err, b)
	}
	v.ID, v.Decision = doc.ID, doc.Decision
	if err := json.Unmarshal(doc.Log, &v.Entry); err != nil {
		s.TB.Fatalf("read the decision's log entry: %v\n%s", err, b)
	}
	return v
}

// gate returns a command with the arguments that name repository, target and pin.
func (s *Scene) gate(words ...string) []string {
	args := append(slices.Clone(words), "--repo", s.Repo, "--target", "main")
	if !s.Pin.Zero() {
		args = append(args, "--root", string(s.Pin))
	}
	return args
}

// Decided reports whether there is a decision.
func (v Verdict) Decided() bool { return !v.ID.Zero() }

// Codes returns the reason codes, sorted, each once.
func (v Verdict) Codes() []string {
	codes := []string{}
	for _, r := range v.Decision.Reasons {
		codes = append(codes, r.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}
