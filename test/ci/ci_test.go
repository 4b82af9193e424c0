// Package ci runs the jobs that "sallyport init --ci" writes.
//
// No forge runs here. What runs is a small runner of our own (runner_test.go): it takes the file
// from where the forge would take it, gives each step the event, the variables and the files that
// the forge would give, and runs the steps in order with the real shell, git, curl and sallyport.
// The forge is a bare repository with the refs that a forge keeps for a pull request. What a
// forge's settings do (which workflow is required, who may edit a variable) is not tested here:
// docs/ci.md says what they have to be.
package ci

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) { os.Exit(scene.Main(m)) }

// A forge is a server with a repository, a pull request, and settings.
type forge struct {
	*scene.Scene
	t       *testing.T
	server  string // the folder above the repository
	bare    string
	base    string
	target  string       // the branch that the change goes to
	branch  string       // what the head's branch is called
	pin     string       // the variable SALLYPORT_ROOT
	release string       // where the judge is downloaded from
	ca      string       // who vouches for that place
	judge   string       // GitLab: the folder of the project that holds the job
	offer   *atomic.Bool // another program is served in the judge's place
}

// newForge stages the repository that is judged by the job of one forge, with a change that an
// agent made, its supervisor attested and two reviewers approved.
func newForge(t *testing.T, kind string) *forge {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is missing: install it", tool)
			}
			t.Skipf("NOT RUN: %s is missing", tool)
		}
	}
	f := &forge{t: t, target: "main", branch: "agent/greet", offer: new(atomic.Bool)}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.offer.Load() {
			_, _ = w.Write([]byte("#!/bin/sh\nexit 0\n"))
			return
		}
		http.ServeFile(w, r, scene.Binary())
	}))
	t.Cleanup(srv.Close)
	f.release = srv.URL + "/sallyport"
	f.ca = filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(f.ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	first := scene.New(t, scene.Options{})
	files := map[string]string{}
	f.judge = t.TempDir()
	first.Must("init", "--ci", kind, "--into", f.judge, "--judge-url", f.release, "--repo", first.Repo)
	if kind == "github" {
		const name = ".github/workflows/sallyport.yml"
		b, err := os.ReadFile(filepath.Join(f.judge, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	f.Scene = first.Restage(t, scene.Options{Files: files})
	f.pin = string(f.Pin)
	f.base = f.Rev("main")
	f.Git("switch", "-q", "-c", "work")
	f.Append("util.py", "\n\ndef greet(name):\n    return f\"hello {name}\"\n")
	f.AgentCommit("Greet people")
	f.vouch()
	f.server = filepath.Join(f.Dir, "forge")
	f.bare = filepath.Join(f.server, "acme", "service")
	f.Git("init", "-q", "--bare", "-b", "main", f.bare)
	return f
}

// vouch attests the branch as its supervisor does and has two reviewers approve it.
func (f *forge) vouch() {
	f.t.Helper()
	f.AttestRun("main", "HEAD")
	f.Approve(scene.Bob)
	f.Approve(scene.Carol)
}

// push puts the branch where a forge keeps the head of a pull request.
func (f *forge) push() {
	f.t.Helper()
	f.Git("push", "-q", "--force", f.bare, "main:refs/heads/main", "HEAD:refs/heads/"+f.branch,
		"HEAD:refs/pull/7/head", "HEAD:refs/merge-requests/7/head")
	if f.target != "main" {
		f.Git("push", "-q", "--force", f.bare, f.target)
	}
	if _, err := f.TryGit(scene.Who(scene.Alice), nil, "rev-parse", "--verify", "-q", "refs/sallyport/evidence"); err == nil {
		f.Git("push", "-q", f.bare, "refs/sallyport/evidence")
	}
}

func (f *forge) event(v any) string {
	f.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		f.t.Fatal(err)
	}
	name := filepath.Join(f.t.TempDir(), "event.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return name
}

type object = map[string]any

// github runs the job for the pull request. On pull_request_target GitHub takes the file from the
// default branch, whatever the head holds.
func (f *forge) github() run {
	f.t.Helper()
	f.push()
	ev := object{"number": 7, "repository": object{"default_branch": "main"}, "pull_request": object{
		"number": 7, "html_url": "https://forge.example/acme/service/pull/7",
		"base": object{"ref": f.target, "sha": f.Rev(f.target)},
		"head": object{"ref": f.branch, "sha": f.Rev("HEAD")},
	}}
	return f.runGitHub(ev, map[string]string{
		"github.event.pull_request.base.ref": f.target, "github.event.pull_request.number": "7",
		"github.event.pull_request.head.sha": f.Rev("HEAD"),
	})
}

func (f *forge) runGitHub(ev any, facts map[string]string) run {
	f.t.Helper()
	text := f.Git("--git-dir", f.bare, "show", "main:.github/workflows/sallyport.yml") + "\n"
	facts["github.event.repository.default_branch"] = "main"
	facts["vars.SALLYPORT_ROOT"], facts["vars.SALLYPORT_URL"] = f.pin, f.release
	facts["github.token"] = "ghs_ThisTokenIsNone"
	return runGitHub(f.t, text, "merge-gate", facts, plainEnv(f.t, "CURL_CA_BUNDLE="+f.ca, "GITHUB_EVENT_PATH="+f.event(ev),
		"GITHUB_SERVER_URL=file://"+f.server, "GITHUB_REPOSITORY=acme/service"))
}

// gitlab runs the job for the merge request, from the file of the other project.
func (f *forge) gitlab() run {
	f.t.Helper()
	f.push()
	b, err := os.ReadFile(filepath.Join(f.judge, "sallyport.gitlab-ci.yml"))
	if err != nil {
		f.t.Fatal(err)
	}
	return runGitLab(f.t, string(b), "sallyport", plainEnv(f.t, "CURL_CA_BUNDLE="+f.ca,
		"SALLYPORT_ROOT="+f.pin, "SALLYPORT_URL="+f.release, "CI_COMMIT_SHA="+f.Rev("HEAD"),
		"CI_MERGE_REQUEST_IID=7", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME="+f.target, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME="+f.branch,
		"CI_MERGE_REQUEST_PROJECT_URL=https://forge.example/acme/service", "CI_DEFAULT_BRANCH=main",
		"CI_PROJECT_URL=file://"+f.bare, "CI_REPOSITORY_URL=file://"+f.bare, "CI_PIPELINE_SOURCE=merge_request_event"))
}

// hostile is a branch name that git accepts and a careless script executes. What git does not
// accept a forge does not have either; the event below says it all the same.
const hostile = "x;touch${IFS}pwned;$(touch${IFS}pwned)`touch${IFS}pwned`&&touch${IFS}pwned"

// attacks differ from the benign branch in nothing but what they say.
var attacks = []struct {
	name string
	// do changes the branch that was attested and approved, or the settings.
	do func(f *forge)
	// want is in the output.
	want []string
}{
	{"the job is edited away on the head", func(f *forge) {
		f.Write(".github/workflows/sallyport.yml", "name: sallyport\non: [pull_request_target, pull_request]\npermissions: {}\njobs:\n  merge-gate:\n    name: merge gate (sallyport)\n    runs-on: ubuntu-24.04\n    steps:\n      - run: \"true\"\n")
		f.Write(".gitlab-ci.yml", "sallyport:\n  script: [\"true\"]\n")
		f.AgentCommit("Make the pipeline faster")
	}, []string{"merge gate: shut", "attestation-missing", "approval-missing", "residue"}},
	{"the policy is changed on the head", func(f *forge) {
		f.Write(".sallyport/sallyport.yaml", strings.Replace(scene.Config, "enforce", "observe", 1))
		f.RootInit()
		f.AgentCommit("Try Sallyport out first")
	}, []string{"merge gate: shut", "policy-changed"}},
	{"the trailer is stripped, and a secret is in", func(f *forge) {
		f.Append("server.py", "\nTOKEN = \"ghp_"+strings.Repeat("a1B2c3D4e5F6", 3)+"\"\n")
		f.Commit("Greet people")
	}, []string{"merge gate: shut", "secret"}},
	{"the branch's name is a script, and a file's a command", func(f *forge) {
		f.branch = hostile
		f.Write("::error file=util.py::pwned", "x\n")
		f.Write("a\n::stop-commands::pwned", "x\n")
		f.Write("##[add-path]pwned", "x\n")
		f.CommitAs(scene.Ident{Name: "::error::pwned", Email: "a@example.com"}, "::error::pwned\n\n##[error]pwned")
	}, []string{"merge gate: shut", "hidden-unicode"}},
	{"the pin is missing", func(f *forge) { f.pin = "" }, []string{"SALLYPORT_ROOT holds no pin"}},
	{"the pin is another", func(f *forge) { f.pin = "sha256:" + strings.Repeat("0", 64) }, []string{"sallyport: error:"}},
	{"the judge is another program", (*forge).otherJudge, nil},
}

func TestGitHub(t *testing.T) {
	f := newForge(t, "github")
	t.Run("benign", func(t *testing.T) {
		g := f.in(t)
		r := g.github()
		green(t, r)
		if !strings.HasPrefix(r.summary, "### Sallyport merge gate: passed\n\n    merge gate: open\n") {
			t.Errorf("the summary begins %.120q", r.summary)
		}
	})
	t.Run("benign, with a name that is a script", func(t *testing.T) {
		g := f.in(t)
		g.branch = hostile
		r := g.github()
		green(t, r)
		harmless(t, r)
	})
	t.Run("benign, in the merge queue", func(t *testing.T) {
		g := f.in(t)
		g.push()
		head := g.Git("commit-tree", "-p", g.base, "-p", "work", "-m", "Merge pull request #7", "work^{tree}")
		queue := "refs/heads/gh-readonly-queue/main/pr-7-" + g.base
		g.Git("push", "-q", g.bare, head+":"+queue)
		r := g.runGitHub(object{"repository": object{"default_branch": "main"}, "merge_group": object{"base_ref": "refs/heads/main", "base_sha": g.base, "head_ref": queue, "head_sha": head}},
			map[string]string{"github.event.merge_group.base_ref": "refs/heads/main", "github.event.merge_group.head_ref": queue})
		green(t, r)
	})
	for i, a := range attacks {
		if i%3 != 0 && !everything {
			continue // make e2e runs them all
		}
		t.Run(a.name, func(t *testing.T) {
			g := f.in(t)
			a.do(g)
			r := g.github()
			red(t, r, a.want)
			harmless(t, r)
			if len(r.steps) == 4 && !strings.HasPrefix(r.summary, "### Sallyport merge gate: ") {
				t.Errorf("the summary begins %.120q", r.summary)
			}
			for line := range strings.Lines(r.summary) {
				if line != "\n" && !strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "### Sallyport merge gate: ") {
					t.Errorf("the summary has a line outside the block: %q", line)
				}
			}
		})
	}
}

func TestGitLab(t *testing.T) {
	f := newForge(t, "gitlab")
	t.Run("benign", func(t *testing.T) { green(t, f.in(t).gitlab()) })
	t.Run("benign, with a name that is a script", func(t *testing.T) {
		g := f.in(t)
		g.branch = hostile
		r := g.gitlab()
		green(t, r)
		harmless(t, r)
	})
	for i, a := range attacks {
		if i%3 != 0 && !everything {
			continue // make e2e runs them all
		}
		t.Run(a.name, func(t *testing.T) {
			g := f.in(t)
			a.do(g)
			r := g.gitlab()
			red(t, r, a.want)
			harmless(t, r)
		})
	}
}

// Whom a version of the root on the default branch put out does not stay in on a branch that still
// holds the version before.
func TestOtherBranch(t *testing.T) {
	for kind, job := range map[string]func(*forge) run{"github": (*forge).github, "gitlab": (*forge).gitlab} {
		t.Run(kind, func(t *testing.T) {
			f := newForge(t, kind)
			f.target = "release"
			f.Git("branch", "-q", "release", "main")
			f.AttestRun("release", "HEAD")
			t.Run("as the default branch has it", func(t *testing.T) { green(t, job(f.in(t))) })
			t.Run("behind the default branch", func(t *testing.T) {
				g := f.in(t)
				g.Git("switch", "-q", "main")
				g.Write(".sallyport/roster.yaml", g.Read(".sallyport/roster.yaml")+"# reviewed\n")
				g.Must("root", "rotate", "--repo", g.Repo, "--target", "main", "--root", g.pin)
				for _, k := range []scene.Key{scene.Bob, scene.Carol} {
					g.Must("root", "sign", "--yes", "--repo", g.Repo, "--target", "main", "--root", g.pin, "--key", g.KeyRef(k))
				}
				g.Commit("The next root")
				g.Git("switch", "-q", "work")
				red(t, job(g), []string{"merge gate: shut", "root-changed"})
			})
		})
	}
}

// otherJudge serves another program, as whoever controls the download could.
func (f *forge) otherJudge() {
	f.offer.Store(true)
	f.t.Cleanup(func() { f.offer.Store(false) })
}

// in copies the forge for a subtest.
func (f *forge) in(t *testing.T) *forge {
	g := *f
	g.t, g.Scene = t, f.Fork(t)
	g.server = filepath.Join(g.Dir, "forge")
	g.bare = filepath.Join(g.server, "acme", "service")
	return &g
}

func green(t *testing.T, r run) {
	t.Helper()
	if !r.ok || !strings.Contains(r.output, "merge gate: open") {
		t.Errorf("red, want green:\n%s", r.output)
	}
}

func red(t *testing.T, r run, want []string) {
	t.Helper()
	if r.ok {
		t.Errorf("green, want red:\n%s", r.output)
	}
	for _, w := range want {
		if !strings.Contains(r.output, w) {
			t.Errorf("the output lacks %q:\n%s", w, r.output)
		}
	}
	if len(want) == 0 && strings.Contains(r.output, "merge gate:") {
		t.Errorf("a gate was asked that should not have been:\n%s", r.output)
	}
}

// harmless fails the test if a name that the author chose was executed or obeyed.
func harmless(t *testing.T, r run) {
	t.Helper()
	for line := range strings.Lines(r.files) {
		if filepath.Base(strings.TrimSpace(line)) == "pwned" {
			t.Errorf("a name was executed: %s", line)
		}
	}
	for _, c := range r.commands {
		if !slices.Contains([]string{"add-mask", "stop-commands", "error"}, c) {
			t.Errorf("a name was obeyed as the command %q:\n%s", c, r.output)
		}
	}
	if n := strings.Count(strings.Join(r.commands, " "), "error"); n > 0 && !strings.Contains(r.output, "SALLYPORT_ROOT holds no pin") {
		t.Errorf("%d error commands were obeyed:\n%s", n, r.output)
	}
}

// The job cannot write, checks nothing out, uses nobody's action, and has no expression in a
// script. actionlint and GitLab's schema are asked by lint.sh.
func TestGitHubJobIsNarrow(t *testing.T) {
	f := newForge(t, "github")
	b, err := os.ReadFile(filepath.Join(f.Repo, ".github", "workflows", "sallyport.yml"))
	if err != nil {
		t.Fatal(err)
	}
	w := parseWorkflow(t, string(b)) // strict: "uses" would be an unknown key
	if len(w.Permissions) != 0 {
		t.Errorf("the workflow has permissions %v, want none", w.Permissions)
	}
	for name, j := range w.Jobs {
		want := map[string]map[string]string{"merge-gate": {"contents": "read"}, "code-scanning": {"security-events": "write"}}[name]
		if len(j.Permissions) != len(want) || len(want) == 0 {
			t.Errorf("%s has permissions %v, want %v", name, j.Permissions, want)
		}
		for scope, level := range want {
			if j.Permissions[scope] != level {
				t.Errorf("%s has %s: %s, want %s", name, scope, j.Permissions[scope], level)
			}
		}
		for _, s := range j.Steps {
			if strings.Contains(s.Run, "${{") || strings.Contains(s.Run, "checkout") {
				t.Errorf("%s: %s: %s", name, s.Name, s.Run)
			}
		}
	}
	if bytes.Contains(b, []byte("uses:")) {
		t.Error("the job uses an action")
	}
	if _, ok := w.On["pull_request"]; ok {
		t.Error("the job runs from the head's own workflow")
	}
}
