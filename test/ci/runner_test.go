package ci

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// A run is what became of a job.
type run struct {
	ok       bool
	output   string   // of all steps
	summary  string   // GITHUB_STEP_SUMMARY
	commands []string // workflow commands that GitHub's runner would have obeyed
	steps    []string // those that were begun
	files    string   // everything that the steps left, one path a line
}

// A workflow holds the keys of our GitHub template. Decoding is strict: a key that this runner
// does not know is an error and not something that it silently leaves out.
type workflow struct {
	Name        string         `yaml:"name"`
	On          map[string]any `yaml:"on"`
	Permissions map[string]any `yaml:"permissions"`
	Jobs        map[string]struct {
		Name           string                       `yaml:"name"`
		RunsOn         string                       `yaml:"runs-on"`
		Needs          string                       `yaml:"needs"`
		If             string                       `yaml:"if"`
		TimeoutMinutes int                          `yaml:"timeout-minutes"`
		Permissions    map[string]string            `yaml:"permissions"`
		Defaults       map[string]map[string]string `yaml:"defaults"`
		Outputs        map[string]string            `yaml:"outputs"`
		Env            map[string]string            `yaml:"env"`
		Steps          []struct {
			Name string            `yaml:"name"`
			ID   string            `yaml:"id"`
			Env  map[string]string `yaml:"env"`
			Run  string            `yaml:"run"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

func parseWorkflow(t testing.TB, text string) (w workflow) {
	t.Helper()
	if err := strict.YAML([]byte(text), 1<<20, &w); err != nil {
		t.Fatalf("read the workflow: %v", err)
	}
	return w
}

// runGitHub runs the steps of a job as GitHub's runner does: each in a bash of its own, with the
// job's and the step's environment, the files that steps write to, and expressions replaced by
// what facts say. The first step that fails ends the job.
func runGitHub(t testing.TB, text, job string, facts map[string]string, env []string) run {
	t.Helper()
	j, ok := parseWorkflow(t, text).Jobs[job]
	if !ok {
		t.Fatalf("the workflow has no job %s", job)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	temp, space := filepath.Join(dir, "temp"), filepath.Join(dir, "workspace")
	for _, d := range []string{temp, space} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	summary := filepath.Join(dir, "summary.md")
	env = append(slices.Clone(env), "GITHUB_ACTIONS=true", "CI=true", "RUNNER_TEMP="+temp, "GITHUB_WORKSPACE="+space,
		"GITHUB_STEP_SUMMARY="+summary, "GITHUB_OUTPUT="+filepath.Join(dir, "output"))
	env = append(env, pairs(t, j.Env, facts)...)
	r := run{ok: true}
	for i, step := range j.Steps {
		if strings.Contains(step.Run, "${{") {
			t.Errorf("step %q has an expression in its script", step.Name)
		}
		r.steps = append(r.steps, step.Name)
		script := filepath.Join(dir, fmt.Sprintf("step-%d.sh", i))
		if err := os.WriteFile(script, []byte(step.Run), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), bash, "--noprofile", "--norc", "-eo", "pipefail", script)
		cmd.Dir, cmd.Env = space, append(slices.Clone(env), pairs(t, step.Env, facts)...)
		out, err := cmd.CombinedOutput()
		r.output += string(out)
		r.commands = append(r.commands, obeyed(string(out))...)
		if err != nil {
			r.ok = false
			break
		}
	}
	if b, err := os.ReadFile(summary); err == nil {
		r.summary = string(b)
	}
	r.files = tree(t, dir)
	return r
}

var expression = regexp.MustCompile(`\$\{\{ ([^}]*) \}\}`)

// pairs evaluates an env mapping. It knows contexts and "||", which is what our template uses.
func pairs(t testing.TB, env, facts map[string]string) []string {
	t.Helper()
	var out []string
	for name, value := range env {
		value = expression.ReplaceAllStringFunc(value, func(e string) string {
			for alternative := range strings.SplitSeq(expression.FindStringSubmatch(e)[1], "||") {
				alternative = strings.TrimSpace(alternative)
				if !regexp.MustCompile(`^(vars|github|steps|needs)(\.[A-Za-z_-]+)+$`).MatchString(alternative) {
					t.Fatalf("the expression %q is more than this runner knows", e)
				}
				if v := facts[alternative]; v != "" {
					return v
				}
			}
			return ""
		})
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

// obeyed returns the commands that GitHub's runner reads out of what a step prints: "::name ...::"
// at the start of a line, blanks aside, and "##[name]" anywhere in it, until a word stops it.
func obeyed(out string) []string {
	var names []string
	stopped := ""
	v2 := regexp.MustCompile(`^\s*::([A-Za-z-]+)([^:]*)::(.*)$`)
	v1 := regexp.MustCompile(`##\[([A-Za-z-]+)[^\]]*\]`)
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		if stopped != "" {
			if strings.TrimSpace(line) == "::"+stopped+"::" {
				stopped = ""
			}
			continue
		}
		if m := v2.FindStringSubmatch(line); m != nil {
			names = append(names, m[1])
			if m[1] == "stop-commands" {
				stopped = m[3]
			}
		} else if m := v1.FindStringSubmatch(line); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

// runGitLab runs the script of a job as GitLab's runner does in a container: all lines in one
// shell that stops at the first command that fails.
func runGitLab(t testing.TB, text, job string, env []string) run {
	t.Helper()
	var doc map[string]any
	if err := strict.YAML([]byte(text), 1<<20, &doc); err != nil {
		t.Fatalf("read the job: %v", err)
	}
	j, ok := doc[job].(map[string]any)
	if !ok {
		t.Fatalf("there is no job %s", job)
	}
	script := "if set -o | grep pipefail >/dev/null; then set -o pipefail; fi; set -o errexit\n"
	for _, line := range j["script"].([]any) {
		script += line.(string) + "\n"
	}
	dir := t.TempDir()
	project := filepath.Join(dir, "project")
	if err := os.Mkdir(project, 0o755); err != nil {
		t.Fatal(err)
	}
	env = append(slices.Clone(env), "GITLAB_CI=true", "CI=true", "CI_PROJECT_DIR="+project, "TMPDIR="+dir)
	for name, value := range j["variables"].(map[string]any) {
		env = append(env, fmt.Sprintf("%s=%v", name, value))
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Dir, cmd.Env = project, env
	out, err := cmd.CombinedOutput()
	return run{ok: err == nil, output: string(out), files: tree(t, dir)}
}

func tree(t testing.TB, dir string) string {
	t.Helper()
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "objects" {
			return filepath.SkipDir
		}
		rel, _ := filepath.Rel(dir, path)
		fmt.Fprintln(&b, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// plainEnv is what a runner has beside the forge's variables.
func plainEnv(t testing.TB, more ...string) []string {
	return append(scene.Env(t.TempDir()), more...)
}
