package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) {
	if confine.IsInit(os.Args) { // testscript would call it sallyport
		os.Exit(confine.Init())
	}
	scene.InMemory()
	testscript.Main(m, map[string]func(){"sallyport": main})
}

// TestScripts runs testdata/*.txt: a file per command, through the program itself. Besides
// testscript's own commands there are
//
//	stage STATE             puts a repository into $WORK/service; see states
//	exits STATUS CMD ARG... runs a command that must end with STATUS, and holds every answer of
//	                        sallyport to the form that all of them have
//	json FILE PATH [VALUE]  compares what stands at a path such as decision.reasons.0.code with
//	                        VALUE; len is how many. "! json" says that it is not so, or not there
//	let NAME FILE PATH      puts what stands there into the environment
//	tuf WHAT [FILE]         serves a repository of trusted roots; see tufRepositories
//	registry KIND           starts a registry with an image in it; see registries
//	quotes FOLDER           puts this program and sallyport-quote into a folder
//	tsa FILE                starts a timestamp authority: $TSA, and its trusted root in FILE
//	edit FILE OLD NEW       replaces every OLD by NEW in a file that holds it
//	record RUN sealed|killed [audited]  keeps the record of a run; see keepRecord
//	play HEADING N          runs the Nth block of commands under a heading of the playbook
func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal("gpg is missing (package gnupg): a script would skip itself")
	}
	scene.Use(sallyportPath(t))
	staged := states(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			for name, path := range map[string]string{
				"CONFORMANCE": "../../internal/evidence/sigstore/testdata/conformance", "LAYOUTS": "testdata/layout",
				"PLAYBOOK": playbook, "QUOTES": "../sallyport-quote/testdata",
			} {
				abs, err := filepath.Abs(path)
				if err != nil {
					return err
				}
				e.Vars = append(e.Vars, name+"="+abs)
			}
			// Nothing of the machine's git, CI system or terminal.
			e.Vars = append(e.Vars, "HOME="+e.WorkDir, "LC_ALL=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
				"GIT_AUTHOR_NAME=Alice Example", "GIT_AUTHOR_EMAIL=alice@example.com",
				"GIT_COMMITTER_NAME=Alice Example", "GIT_COMMITTER_EMAIL=alice@example.com", "TERM=xterm")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"registry": registries,
			"tuf":      tufRepositories(t),
			"quotes":   quoteHelper,
			"tsa":      timestamps(t),
			"stage":    func(ts *testscript.TestScript, neg bool, args []string) { stage(ts, neg, args, staged) },
			"exits":    exits,
			"json":     jsonIs,
			"let":      let,
			"edit":     edit,
			"play":     play,
			"record":   keepRecord,
			"relabel":  relabelEntries,
		},
	})
}

// quoteHelper builds the program that verifies quotes, beside a copy of this one in a folder.
func quoteHelper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: quotes FOLDER")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	self, err := exec.LookPath("sallyport")
	ts.Check(err)
	b, err := os.ReadFile(self)
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "sallyport"), b, 0o755)) //nolint:gosec // a program
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "sallyport-quote"), "../sallyport-quote")
	if out, err := build.CombinedOutput(); err != nil {
		ts.Fatalf("build sallyport-quote: %v\n%s", err, out)
	}
}

// sallyportPath returns where testscript put this program.
func sallyportPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("sallyport")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// states stages what scripts start from: plain (no policy), guarded (main and its pinned root),
// shut (an agent's branch without evidence), waiting (with the evidence of its run), open (two
// reviewers approved it) and observe (shut, in that mode).
func states(t *testing.T) map[string]*scene.Scene {
	t.Helper()
	guarded := scene.New(t, scene.Options{})
	shut := guarded.Fork(t)
	agentWorks(shut)
	waiting := shut.Fork(t)
	waiting.AttestRun("main", "HEAD")
	opened := waiting.Fork(t)
	opened.Approve(scene.Bob)
	opened.Approve(scene.Carol)
	observe := guarded.Restage(t, scene.Options{Files: map[string]string{
		".sallyport/sallyport.yaml": strings.Replace(scene.Config, "mode: enforce", "mode: observe", 1),
	}})
	agentWorks(observe)
	plain := guarded.Restage(t, scene.Options{NoRoot: true})
	return map[string]*scene.Scene{"plain": plain, "guarded": guarded, "shut": shut, "waiting": waiting, "open": opened, "observe": observe}
}

func agentWorks(s *scene.Scene) {
	s.Git("switch", "-q", "-c", "agent")
	s.Write("deploy/prod.yaml", strings.Replace(s.Read("deploy/prod.yaml"), "replicas: 2", "replicas: 3", 1))
	s.AgentCommit("Scale up")
}

// stage copies a staged repository and says what is in it: $PIN, the root to pin; $BASE and
// $HEAD; $KEY_ALICE and so on, what --key takes; and $SUPERVISOR, the key of runs.
func stage(ts *testscript.TestScript, neg bool, args []string, staged map[string]*scene.Scene) {
	if neg || len(args) != 1 || staged[args[0]] == nil {
		ts.Fatalf("usage: stage STATE")
	}
	s := staged[args[0]]
	dir := ts.MkAbs("staged")
	s.CopyTo(dir)
	repo := filepath.Join(dir, filepath.Base(s.Repo))
	ts.Check(ts.Exec("mv", repo, ts.MkAbs("service")))
	ts.Setenv("PIN", string(s.Pin))
	ts.Setenv("BASE", s.Rev("main"))
	ts.Setenv("HEAD", s.Rev("HEAD"))
	for name, key := range map[string]scene.Key{
		"ALICE": scene.Alice, "BOB": scene.Bob, "CAROL": scene.Carol, "DAVE": scene.Dave, "ROB": scene.Rob,
		"ERIN": scene.Erin, "MALLORY": scene.Mallory, "UNTOUCHED": scene.DaveUntouched,
	} {
		ts.Setenv("KEY_"+name, s.KeyRef(key))
	}
	ts.Setenv("SUPERVISOR", s.KeyFile(scene.Supervisor))
	ts.Setenv("ROGUE", s.KeyFile(scene.Rogue))
	ts.Check(ts.Chdir("service"))
}

// told is one line on standard error: an error, a hint below it, or a note.
var told = regexp.MustCompile(`^sallyport: (error|hint|note): \S[^\x00-\x1f\x7f]*$`)

// exits runs a command that must end with a status. Whatever sallyport prints has to be in the
// form that all its answers have: on standard error at most a note, or one error with at most
// one hint; an error wherever nothing was decided; no escape sequences in a pipe.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARGUMENT]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	status := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		status = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if status != want {
		ts.Fatalf("exit status %d, want %d", status, want)
	}
	if args[1] != "sallyport" {
		return
	}
	out, errs := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if strings.ContainsRune(out+errs, '\x1b') {
		ts.Fatalf("an escape sequence in a pipe")
	}
	if slices.Contains(args, "pre-receive") || slices.Contains(args, "pre-push") {
		return // answers whoever pushes, on standard error
	}
	count := map[string]int{}
	for line := range strings.Lines(errs) {
		m := told.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			ts.Fatalf("standard error has the line %q, want an error, a hint or a note", line)
		}
		count[m[1]]++
		if m[1] == "hint" && count["error"] == 0 {
			ts.Fatalf("a hint before its error")
		}
	}
	if count["error"] > 1 || count["hint"] > 1 || count["note"] > 1 {
		ts.Fatalf("more than one of a kind on standard error")
	}
	if status == 0 && count["error"] > 0 {
		ts.Fatalf("an error, and exit status 0")
	}
	if status == 1 && count["error"] == 0 {
		ts.Fatalf("exit status 1 without an error")
	}
	if status == 64 && count["error"] == 0 && !strings.Contains(out, "Usage:") {
		ts.Fatalf("exit status 64 without an error or the usage")
	}
}

// at finds what stands at a path in a JSON document.
func at(doc any, path string) (any, error) {
	for _, word := range strings.Split(path, ".") {
		switch v := doc.(type) {
		case map[string]any:
			if word == "len" {
				return len(v), nil
			}
			inner, ok := v[word]
			if !ok {
				return nil, fmt.Errorf("no %q in it", word)
			}
			doc = inner
		case []any:
			if word == "len" {
				return len(v), nil
			}
			i, err := strconv.Atoi(word)
			if err != nil || i < 0 || i >= len(v) {
				return nil, fmt.Errorf("no element %q among %d", word, len(v))
			}
			doc = v[i]
		default:
			return nil, fmt.Errorf("%q of %v", word, doc)
		}
	}
	return doc, nil
}

func readJSON(ts *testscript.TestScript, file, path string) (string, error) {
	var doc any
	if err := json.Unmarshal([]byte(ts.ReadFile(file)), &doc); err != nil {
		ts.Fatalf("%s is no JSON: %v", file, err)
	}
	v, err := at(doc, path)
	if err != nil {
		return "", err
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

func jsonIs(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: [!] json FILE PATH [VALUE]")
	}
	got, err := readJSON(ts, args[0], args[1])
	is := err == nil && (len(args) == 2 || got == args[2])
	if is == neg {
		ts.Fatalf("%s: got %q, %v", args[1], got, err)
	}
}

func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: let NAME FILE PATH")
	}
	v, err := readJSON(ts, args[1], args[2])
	ts.Check(err)
	ts.Setenv(args[0], v)
}

func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o644))
}
