package build

import (
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// CIFacts are what the environment of a CI job says of it. Any step of the job can set these
// variables, so they are declared; Grade is another only if a token of the system says the same.
type CIFacts struct {
	System   string          `json:"system"` // github or gitlab
	Grade    sallyport.Grade `json:"grade"`
	Server   string          `json:"server,omitempty"`
	Path     string          `json:"repository,omitempty"` // on the server
	Ref      string          `json:"ref,omitempty"`
	Commit   string          `json:"commit,omitempty"`
	Workflow string          `json:"workflow,omitempty"` // as certificates name it: a URI with the ref
	Run      string          `json:"run,omitempty"`
	Attempt  string          `json:"attempt,omitempty"`
	Job      string          `json:"job,omitempty"`
	Event    string          `json:"event,omitempty"`
	Runner   string          `json:"runner,omitempty"`
	Actor    string          `json:"actor,omitempty"` // the account that started this run
}

// maxFact bounds one fact, in bytes: a variable may hold anything.
const maxFact = 1024

// ReadCI reads the facts from the environment of GitHub Actions or GitLab CI; nil elsewhere.
func ReadCI(getenv func(string) string) *CIFacts {
	get := func(name string) string {
		v := getenv(name)
		if len(v) > maxFact || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return ""
		}
		return v
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := get(n); v != "" {
				return v
			}
		}
		return ""
	}
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		c := &CIFacts{
			System: "github", Grade: sallyport.Declared, Server: get("GITHUB_SERVER_URL"), Path: get("GITHUB_REPOSITORY"),
			Ref: get("GITHUB_REF"), Commit: get("GITHUB_SHA"), Attempt: get("GITHUB_RUN_ATTEMPT"), Job: get("GITHUB_JOB"),
			Event: get("GITHUB_EVENT_NAME"), Runner: get("RUNNER_ENVIRONMENT"), Actor: first("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"),
		}
		if w := get("GITHUB_WORKFLOW_REF"); w != "" && c.Server != "" {
			c.Workflow = c.Server + "/" + w
		}
		if id := get("GITHUB_RUN_ID"); id != "" && c.Server != "" {
			c.Run = c.Server + "/" + c.Path + "/actions/runs/" + id
		}
		return c
	case getenv("GITLAB_CI") == "true":
		c := &CIFacts{
			System: "gitlab", Grade: sallyport.Declared, Server: get("CI_SERVER_URL"), Path: get("CI_PROJECT_PATH"),
			Commit: get("CI_COMMIT_SHA"), Job: get("CI_JOB_NAME"), Event: get("CI_PIPELINE_SOURCE"),
			Run: first("CI_JOB_URL", "CI_PIPELINE_URL"), Actor: get("GITLAB_USER_LOGIN"),
		}
		if tag := get("CI_COMMIT_TAG"); tag != "" {
			c.Ref = "refs/tags/" + tag
		} else if branch := first("CI_COMMIT_BRANCH", "CI_COMMIT_REF_NAME"); branch != "" {
			c.Ref = "refs/heads/" + branch
		}
		if config := first("CI_CONFIG_PATH"); config != "" && c.Server != "" && c.Path != "" {
			c.Workflow = c.Server + "/" + c.Path + "//" + config + "@" + c.Ref
		}
		return c
	}
	return nil
}

// Confirmed returns the facts that a verified token of the system states, at the grade observed. What the
// token does not state is left out, and what it states otherwise is an error: one of the two is a lie.
func (c *CIFacts) Confirmed(system, repository, ref, commit, workflow, run, event, runner string) (*CIFacts, error) {
	i := strings.Index(strings.TrimPrefix(repository, "https://"), "/")
	if i < 0 {
		return nil, fmt.Errorf("the token's repository %.200q is no address", repository)
	}
	i += len(repository) - len(strings.TrimPrefix(repository, "https://"))
	out := &CIFacts{
		System: system, Grade: sallyport.Observed, Server: repository[:i], Path: repository[i+1:],
		Ref: ref, Commit: commit, Workflow: workflow, Run: run, Event: event, Runner: runner,
	}
	if c == nil {
		return out, nil
	}
	for _, f := range []struct{ what, env, token string }{
		{"system", c.System, out.System}, {"server", c.Server, out.Server}, {"repository", c.Path, out.Path}, {"commit", c.Commit, out.Commit},
	} {
		if f.env != "" && !strings.EqualFold(f.env, f.token) {
			return nil, fmt.Errorf("the job's environment names the %s %.200q, and its token %.200q", f.what, f.env, f.token)
		}
	}
	return out, nil
}

// Builder is the URI of what built: the workflow, where CI names one.
func (c *CIFacts) Builder() string {
	if c == nil || c.Workflow == "" {
		return LocalBuilder
	}
	return c.Workflow
}

// Repository is the repository's URI, or empty.
func (c *CIFacts) Repository() string {
	if c == nil || c.Server == "" || c.Path == "" {
		return ""
	}
	return c.Server + "/" + c.Path
}

// Invocation names the run, or is empty.
func (c *CIFacts) Invocation() string {
	switch {
	case c == nil || c.Run == "":
		return ""
	case c.Attempt != "":
		return c.Run + "/attempts/" + c.Attempt
	}
	return c.Run
}

// Initiator is the account that started the job, where CI names one.
func (c *CIFacts) Initiator() Initiator {
	if c == nil || c.Actor == "" {
		return Initiator{Kind: "unattributed", Grade: sallyport.Declared}
	}
	return Initiator{Kind: "account", Name: fmt.Sprintf("%s:%s", c.System, c.Actor), Grade: sallyport.Declared}
}
