package app

import (
	"slices"
	"strings"
	"testing"
)

func TestGitVersion(t *testing.T) {
	for _, tt := range []struct {
		said string
		want CheckState
	}{
		{"git version 2.39.5", OK},
		{"git version 2.39.0.windows.1", OK},
		{"git version 2.51.0 (Apple Git-154)", OK},
		{"git version 2.100.0", OK},
		{"git version 3.0.0-rc1", OK},
		{"git version 2.38.9", Broken},
		{"git version 1.99.1", Broken},
		{"git version next", Advice},
		{"", Advice},
	} {
		t.Run(tt.said, func(t *testing.T) {
			if got := gitIs(tt.said); got.State != tt.want || got.Name != "git" || (got.State != OK) != (got.Next != "") {
				t.Errorf("got %+v, want %s", got, tt.want)
			}
		})
	}
}

func TestWorkflow(t *testing.T) {
	const pin = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	const step = "jobs: {gate: {steps: [{run: sallyport check merge}]}}\n"
	const env = "env: {SALLYPORT_ROOT: \"${{ vars.SALLYPORT_ROOT }}\"}\n"
	for _, tt := range []struct {
		name, body string
		want       CheckState
		says       string
	}{
		{"on the base's version", "on: pull_request_target\n" + env + step, OK, "taken from the default branch"},
		{"the same, as init writes it", "on:\n  pull_request_target:\n    types: [opened]\n  merge_group:\n    types: [checks_requested]\n" + env + step, OK, ""},
		{"called by others", "on: [workflow_call]\n" + env + step, OK, ""},
		{"on the head's version", "on: [pull_request]\n" + env + step, Advice, "the change's own version of it runs"},
		{"on both", "on: {pull_request: {}, pull_request_target: {}}\n" + env + step, Advice, "the change's own version of it runs"},
		{"on a push", "on: push\n" + env + step, Advice, "that of the commit that it judges"},
		{"a pin in the file", "on: pull_request_target\nenv: {SALLYPORT_ROOT: \"" + pin + "\"}\n" + step, Advice, "holds the pin itself"},
		{"a pin on the command line", "on: pull_request_target\njobs: {gate: {steps: [{run: sallyport check merge --root " + pin + "}]}}\n", Advice, "holds the pin itself"},
		{"no pin", "on: pull_request_target\n" + step, Advice, "without a pin"},
		{"on nothing", step, Advice, "does not say on what it runs"},
		{"not YAML", "on: [\n", Advice, "cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := checkWorkflow("w.yml", []byte(tt.body))
			if got.State != tt.want || !strings.Contains(got.Text, tt.says) || (got.State != OK) != (got.Next != "") {
				t.Errorf("got %+v, want %s that says %q", got, tt.want, tt.says)
			}
		})
	}
}

func TestJob(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want bool // a warning
	}{
		{"nowhere", nil, false},
		{"GitHub, from the base", []string{"GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=pull_request_target", "GITHUB_WORKFLOW_REF=a/b/.github/workflows/x.yml@refs/heads/main"}, false},
		{"GitHub, from the head", []string{"GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=pull_request", "GITHUB_WORKFLOW_REF=a/b/.github/workflows/x.yml@refs/pull/1/merge"}, true},
		{"GitLab, from the project", []string{"GITLAB_CI=true", "CI_CONFIG_PATH=.gitlab-ci.yml"}, true},
		{"GitLab, from nowhere", []string{"GITLAB_CI=true"}, true},
		{"GitLab, from another project", []string{"GITLAB_CI=true", "CI_CONFIG_PATH=sallyport.gitlab-ci.yml@group/gates"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			getenv := func(name string) string {
				i := slices.IndexFunc(tt.env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
				if i < 0 {
					return ""
				}
				return tt.env[i][len(name)+1:]
			}
			if got := checkJob(getenv); (len(got) > 0) != tt.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}
