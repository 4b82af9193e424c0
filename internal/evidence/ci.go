package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/oidc"
)

// ErrRepository says that a CI token is of another repository's job.
var ErrRepository = errors.New("the token is of another repository")

// The CI systems whose tokens are understood.
const (
	GitHub = "github"
	GitLab = "gitlab"
)

// A CI verifies the identity tokens of one CI system's jobs for one repository, under pinned keys and
// without a network. Every field is required. It is safe for concurrent use.
type CI struct {
	System     string // GitHub or GitLab
	Server     string // "https://github.com"; what the URIs of its repositories start with
	Issuer     string // "https://token.actions.githubusercontent.com"
	Audience   string // that the job asked for
	Repository string // its path on the server: "acme/service"
	Keys       *oidc.KeySet
}

// tokenClaims are those of both systems: of GitHub
// (https://docs.github.com/actions/reference/openid-connect-reference), and of GitLab
// (https://docs.gitlab.com/ci/secrets/id_token_authentication/).
type tokenClaims struct {
	Sub    string `json:"sub"`
	Ref    string `json:"ref"`
	SHA    string `json:"sha"`
	Runner string `json:"runner_environment"`

	Repository     string `json:"repository"`
	JobWorkflowRef string `json:"job_workflow_ref"`
	EventName      string `json:"event_name"`
	RunID          string `json:"run_id"`

	ProjectPath    string `json:"project_path"`
	RefType        string `json:"ref_type"`
	CIConfigRefURI string `json:"ci_config_ref_uri"`
	PipelineSource string `json:"pipeline_source"`
	PipelineID     string `json:"pipeline_id"`
}

// Verify verifies a token at the time now, and returns the job as a workload. Its name is the URI of the
// workflow that ran, with its ref, and its claims are in the form that Fulcio's certificates have, so
// that one rule fits both: a token names refs and workflows in ways of its system's own.
func (c CI) Verify(token string, now time.Time) (sallyport.Principal, Claims, error) {
	nobody := sallyport.Principal{}
	if c.Keys == nil || c.Repository == "" || !strings.HasPrefix(c.Server, "https://") || strings.HasSuffix(c.Server, "/") {
		return nobody, Claims{}, errors.New("verify CI token: server, repository and keys are required")
	}
	b, err := c.Keys.Verify(token, oidc.Expect{Issuer: c.Issuer, Audience: c.Audience, Now: now})
	if err != nil {
		return nobody, Claims{}, fmt.Errorf("verify CI token: %w", err)
	}
	var t tokenClaims
	if err := json.Unmarshal(b, &t); err != nil {
		return nobody, Claims{}, fmt.Errorf("verify CI token: %w: %s", oidc.ErrFormat, oneLine(err))
	}
	var out Claims
	var repository string
	switch c.System {
	case GitHub:
		repository = t.Repository
		out = Claims{Ref: t.Ref, SHA: t.SHA, Workflow: c.Server + "/" + t.JobWorkflowRef, Event: t.EventName, Runner: t.Runner,
			Run: c.Server + "/" + t.Repository + "/actions/runs/" + t.RunID}
		if t.JobWorkflowRef == "" {
			out.Workflow = ""
		}
	case GitLab:
		repository = t.ProjectPath
		out = Claims{Ref: gitLabRef(t), SHA: t.SHA, Event: t.PipelineSource, Runner: t.Runner,
			Run: c.Server + "/" + t.ProjectPath + "/-/pipelines/" + t.PipelineID}
		if t.CIConfigRefURI != "" { // without a scheme: gitlab.com/acme/service//.gitlab-ci.yml@refs/heads/main
			out.Workflow = "https://" + t.CIConfigRefURI
		}
	default:
		return nobody, Claims{}, fmt.Errorf("verify CI token: %.40q is no CI system that is known here", c.System)
	}
	if repository != c.Repository {
		return nobody, Claims{}, fmt.Errorf("verify CI token: %w: %.200q", ErrRepository, repository)
	}
	out.Repository = c.Server + "/" + repository
	if t.Sub == "" || out.Workflow == "" || out.SHA == "" || !strings.HasPrefix(out.Ref, "refs/") {
		return nobody, Claims{}, fmt.Errorf("verify CI token: %w: it does not say which workflow ran for which commit and ref", oidc.ErrFormat)
	}
	return sallyport.Principal{Kind: sallyport.Workload, Name: out.Workflow}, out, nil
}

// gitLabRef qualifies GitLab's ref; empty for what is neither a branch nor a tag.
func gitLabRef(t tokenClaims) string {
	switch t.RefType {
	case "branch":
		return "refs/heads/" + t.Ref
	case "tag":
		return "refs/tags/" + t.Ref
	}
	return ""
}
