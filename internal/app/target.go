package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A Target is what a check is about: which commit would land on which ref.
type Target struct {
	Ref    string // fully qualified, as it is called where it is protected
	Action string // update, create, delete or rewrite
	Base   string // object id of the ref's tip as seen from here; empty on create
	Head   string // object id of what would land; empty on delete
	Branch string // source branch, a claim
	Number int
	URL    string
	Note   string // what a person should know about how it was found
	CI     string // github, gitlab or empty
}

// TargetOptions are what a caller may say about the target. Nothing here can choose policy: it
// always comes from the target ref's tip or from the pinned root.
type TargetOptions struct {
	Ref  string // --target
	Base string // --base
	Head string // --head
}

// A Refs resolves names in the repository. It returns an error for what does not exist.
type Refs interface {
	Resolve(ctx context.Context, rev string) (string, error) // peeled to a commit
	Head(ctx context.Context) (branch string, err error)     // fully qualified, empty if detached
	Upstream(ctx context.Context, branch string) (string, error)
	IsAncestor(ctx context.Context, a, b string) (bool, error)
}

// ErrNoTarget says that no target ref could be found.
var ErrNoTarget = errors.New("no target branch found")

// ErrEmptyRange says that a CI job's range holds nothing to judge.
var ErrEmptyRange = errors.New("the range is empty: there is nothing to judge")

// FindTarget finds what a check is about: from the options, else from the CI system's
// environment and event, else from this checkout. protected lists the refs that the
// configuration protects, and decides between candidates only.
func FindTarget(ctx context.Context, refs Refs, getenv func(string) string, o TargetOptions) (Target, error) {
	t := Target{Action: "update"}
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		t.CI = "github"
		if err := fromGitHub(getenv, &t); err != nil {
			return t, err
		}
	case getenv("GITLAB_CI") == "true":
		t.CI = "gitlab"
		fromGitLab(getenv, &t)
	}
	if o.Ref != "" {
		t.Ref = qualify(o.Ref)
		t.Base = ""
	}
	if o.Head != "" {
		t.Head = o.Head
	}
	if o.Base != "" {
		t.Base = o.Base
	}
	return resolveTarget(ctx, refs, t)
}

func resolveTarget(ctx context.Context, refs Refs, t Target) (Target, error) {
	head, err := refs.Resolve(ctx, orDefault(t.Head, "HEAD"))
	if err != nil {
		return t, fmt.Errorf("find the head: %w", err)
	}
	t.Head = head
	branch, _ := refs.Head(ctx)
	if t.Branch == "" {
		t.Branch = strings.TrimPrefix(branch, "refs/heads/")
	}
	tip := t.Base
	if t.Ref == "" {
		t.Ref, tip, err = localTarget(ctx, refs, branch, t.Base)
		if err != nil {
			return t, err
		}
	} else if tip == "" {
		tip = tipOf(ctx, refs, t.Ref)
	}
	base, err := refs.Resolve(ctx, tip)
	if err != nil {
		return t, fmt.Errorf("find the tip of %s: %w", t.Ref, err)
	}
	t.Base = base
	landed, err := refs.IsAncestor(ctx, t.Head, t.Base)
	if err != nil {
		return t, fmt.Errorf("compare the head with %s: %w", t.Ref, err)
	}
	if !landed {
		return t, nil
	}
	if t.CI != "" {
		return t, fmt.Errorf("%w: %.12s is already in %s", ErrEmptyRange, t.Head, t.Ref)
	}
	parent, err := refs.Resolve(ctx, t.Head+"^1")
	if err != nil {
		return t, fmt.Errorf("%w: %.12s is already in %s and has no parent", ErrEmptyRange, t.Head, t.Ref)
	}
	t.Base = parent
	t.Note = fmt.Sprintf("%.12s is already in %s: judging that one commit against its parent", t.Head, t.Ref)
	return t, nil
}

// localTarget finds the ref that this checkout would land on, and the revision of its tip.
func localTarget(ctx context.Context, refs Refs, branch, base string) (ref, tip string, err error) {
	for _, c := range []struct{ ref, rev string }{
		{"", "refs/remotes/origin/HEAD"},
		{"refs/heads/main", "refs/remotes/origin/main"},
		{"refs/heads/master", "refs/remotes/origin/master"},
		{"refs/heads/main", "refs/heads/main"},
		{"refs/heads/master", "refs/heads/master"},
	} {
		if _, err := refs.Resolve(ctx, c.rev); err != nil {
			continue
		}
		if c.ref == "" {
			up, err := refs.Upstream(ctx, c.rev)
			if err != nil {
				continue
			}
			c.ref = up
		}
		return c.ref, orDefault(base, c.rev), nil
	}
	if branch != "" {
		return branch, orDefault(base, branch), nil
	}
	return "", "", ErrNoTarget
}

// tipOf returns the revision of ref's tip as this checkout sees it: the remote's, if known.
func tipOf(ctx context.Context, refs Refs, ref string) string {
	remote := "refs/remotes/origin/" + strings.TrimPrefix(ref, "refs/heads/")
	if _, err := refs.Resolve(ctx, remote); err == nil && strings.HasPrefix(ref, "refs/heads/") {
		return remote
	}
	return ref
}

// maxEvent bounds the CI event file; GitHub's own limit for webhook payloads is 25 MB.
const maxEvent = 25 << 20

// fromGitHub reads the event that started the job.
func fromGitHub(getenv func(string) string, t *Target) error {
	path := getenv("GITHUB_EVENT_PATH")
	if path == "" {
		return errors.New("read the GitHub event: GITHUB_EVENT_PATH is not set")
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the GitHub event: %w", err)
	}
	defer f.Close()
	var ev struct {
		PullRequest *struct {
			Number  int    `json:"number"`
			HTMLURL string `json:"html_url"`
			Base    struct {
				Ref string `json:"ref"`
				SHA string `json:"sha"`
			} `json:"base"`
			Head struct {
				Ref string `json:"ref"`
				SHA string `json:"sha"`
			} `json:"head"`
		} `json:"pull_request"`
		Ref     string `json:"ref"`
		Before  string `json:"before"`
		After   string `json:"after"`
		Created bool   `json:"created"`
		Forced  bool   `json:"forced"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxEvent)).Decode(&ev); err != nil {
		return fmt.Errorf("read the GitHub event: %w", err)
	}
	switch {
	case ev.PullRequest != nil:
		pr := ev.PullRequest
		t.Ref, t.Head, t.Branch = qualify(pr.Base.Ref), pr.Head.SHA, pr.Head.Ref
		t.Base, t.Number, t.URL = pr.Base.SHA, pr.Number, pr.HTMLURL
	case ev.Ref != "":
		t.Ref, t.Head, t.Base = ev.Ref, ev.After, ev.Before
		if ev.Created || isZeroID(ev.Before) {
			t.Base = ""
		}
	}
	return nil
}

// fromGitLab reads GitLab's predefined variables.
func fromGitLab(getenv func(string) string, t *Target) {
	t.Head = getenv("CI_COMMIT_SHA")
	if target := getenv("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"); target != "" {
		t.Ref = qualify(target)
		t.Branch = getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
		t.URL = getenv("CI_MERGE_REQUEST_PROJECT_URL")
		t.Base = orDefault(getenv("CI_MERGE_REQUEST_TARGET_BRANCH_SHA"), getenv("CI_MERGE_REQUEST_DIFF_BASE_SHA"))
		if source := getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"); source != "" {
			t.Head = source
		}
		return
	}
	if branch := getenv("CI_COMMIT_BRANCH"); branch != "" {
		t.Ref = qualify(branch)
		if before := getenv("CI_COMMIT_BEFORE_SHA"); !isZeroID(before) {
			t.Base = before
		}
	}
}

func qualify(ref string) string {
	if strings.HasPrefix(ref, "refs/") {
		return ref
	}
	return "refs/heads/" + ref
}

func isZeroID(oid string) bool { return strings.Trim(oid, "0") == "" }

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
