package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/git"
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

	pushed   bool   // the ref has moved already, and CI says from where
	queued   bool   // the base may be another entry of a merge queue
	only     bool   // the base is the head's parent, whatever the tip is
	branched string // where CI says that a created ref came from: the default branch

	defaultBranch string // fully qualified, as CI says; empty if it does not
}

// TargetOptions are what a caller may say about the target. Nothing here can choose policy: it
// always comes from the target ref's tip or from the pinned root.
type TargetOptions struct {
	Ref  string // --target
	Base string // --base
	Head string // --head

	Commit string // one commit, judged against its first parent, in place of Base and Head
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

// ErrEmptyRange says that a range that CI or the caller named holds nothing to judge.
var ErrEmptyRange = errors.New("the range is empty: there is nothing to judge")

// FindTarget finds what a check is about: from the options, else from the CI system's
// environment and event, else from this checkout.
func FindTarget(ctx context.Context, refs Refs, getenv func(string) string, o TargetOptions) (Target, error) {
	t, err := namedTarget(getenv, o)
	if err != nil {
		return t, err
	}
	t.Head, err = refs.Resolve(ctx, orDefault(t.Head, "HEAD"))
	if err != nil {
		return t, fmt.Errorf("find the head: %w", err)
	}
	if t, err = findBase(ctx, refs, t); err != nil {
		return t, err
	}
	if o.Commit != "" {
		return onlyHead(ctx, refs, t), nil
	}
	if t.Base == "" {
		return t, nil // created: what it adds depends on where it came from
	}
	landed, err := refs.IsAncestor(ctx, t.Head, t.Base)
	if err != nil {
		return t, fmt.Errorf("compare the head with %s: %w", t.Ref, err)
	}
	if landed && (t.CI != "" || o.Base != "") {
		return t, fmt.Errorf("%w: %.12s is already in %s", ErrEmptyRange, t.Head, t.Ref)
	}
	if landed {
		t = onlyHead(ctx, refs, t)
		t.Note = fmt.Sprintf("%.12s is already in %s: judging that one commit against its parent", t.Head, t.Ref)
		if t.Base == "" {
			t.Note = fmt.Sprintf("%.12s is already in %s and has no parent: judging all that it holds", t.Head, t.Ref)
		}
		return t, nil
	}
	if t.pushed {
		onTop, err := refs.IsAncestor(ctx, t.Base, t.Head)
		if err != nil {
			return t, fmt.Errorf("compare the head with what %s was: %w", t.Ref, err)
		}
		if !onTop {
			t.Action = "rewrite"
		}
	}
	return t, nil
}

// FindTip finds the ref that a check would be about and its tip: what is in force is decided
// there, whatever the head is. The head stays empty.
func FindTip(ctx context.Context, refs Refs, getenv func(string) string, o TargetOptions) (Target, error) {
	t, err := namedTarget(getenv, o)
	if err != nil {
		return t, err
	}
	t.Head = ""
	return findBase(ctx, refs, t)
}

// namedTarget is what the options and the CI system name, unresolved.
func namedTarget(getenv func(string) string, o TargetOptions) (Target, error) {
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
	// What CI says about one range must not be mixed with another.
	if o.Ref != "" && qualify(o.Ref) != t.Ref {
		t.Ref, t.Base, t.Action, t.pushed, t.queued, t.branched = qualify(o.Ref), "", "update", false, false, ""
	}
	if head := orDefault(o.Commit, o.Head); head != "" {
		t.Head = head
		t.Action, t.pushed = "update", false
	}
	if o.Base != "" {
		t.Base = o.Base
		t.Action, t.pushed, t.queued = "update", false, false
	}
	return t, nil
}

// findBase resolves the target's tip, and finds the target where nobody named it.
func findBase(ctx context.Context, refs Refs, t Target) (Target, error) {
	branch, _ := refs.Head(ctx)
	if t.Branch == "" {
		t.Branch = strings.TrimPrefix(branch, "refs/heads/")
	}
	if t.Action == "create" {
		return t, nil
	}
	tip := t.Base
	if t.Ref == "" {
		var err error
		if t.Ref, tip, err = localTarget(ctx, refs, branch, t.Base); err != nil {
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
	return t, nil
}

// onlyHead narrows t to its head against the head's first parent. A commit without a parent is
// judged whole.
func onlyHead(ctx context.Context, refs Refs, t Target) Target {
	t.only = true
	parent, err := refs.Resolve(ctx, t.Head+"^1")
	if err != nil {
		t.Action, t.Base = "create", ""
		return t
	}
	t.Action, t.Base = "update", parent
	return t
}

// localTarget finds the ref that this checkout would land on, and the revision of its tip. Only a
// ref that is not there is passed over: one that cannot be read must not make way for a local
// branch, which whoever made the change can move.
func localTarget(ctx context.Context, refs Refs, branch, base string) (ref, tip string, err error) {
	for _, c := range []struct{ ref, rev string }{
		{"", "refs/remotes/origin/HEAD"},
		{"refs/heads/main", "refs/remotes/origin/main"},
		{"refs/heads/master", "refs/remotes/origin/master"},
		{"refs/heads/main", "refs/heads/main"},
		{"refs/heads/master", "refs/heads/master"},
	} {
		if _, err := refs.Resolve(ctx, c.rev); errors.Is(err, git.ErrNotFound) {
			continue
		} else if err != nil {
			return "", "", fmt.Errorf("read %s: %w", c.rev, err)
		}
		if c.ref == "" {
			up, err := refs.Upstream(ctx, c.rev)
			if errors.Is(err, git.ErrNotFound) {
				continue
			} else if err != nil {
				return "", "", fmt.Errorf("read %s: %w", c.rev, err)
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

// tipOf returns the revision of ref's tip as this checkout sees it: the remote's, if there is one.
// A remote's that cannot be read is returned too, and resolving it then says why.
func tipOf(ctx context.Context, refs Refs, ref string) string {
	remote := "refs/remotes/origin/" + strings.TrimPrefix(ref, "refs/heads/")
	if !strings.HasPrefix(ref, "refs/heads/") {
		return ref
	}
	if _, err := refs.Resolve(ctx, remote); errors.Is(err, git.ErrNotFound) {
		return ref
	}
	return remote
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
		MergeGroup *struct {
			BaseRef string `json:"base_ref"`
			BaseSHA string `json:"base_sha"`
			HeadRef string `json:"head_ref"`
			HeadSHA string `json:"head_sha"`
		} `json:"merge_group"`
		Repository struct {
			DefaultBranch string `json:"default_branch"`
		} `json:"repository"`
		Ref    string `json:"ref"`
		Before string `json:"before"`
		After  string `json:"after"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxEvent)).Decode(&ev); err != nil {
		return fmt.Errorf("read the GitHub event: %w", err)
	}
	if ev.Repository.DefaultBranch != "" {
		t.defaultBranch = qualify(ev.Repository.DefaultBranch)
	}
	switch {
	case ev.PullRequest != nil:
		pr := ev.PullRequest
		t.Ref, t.Head, t.Branch = qualify(pr.Base.Ref), pr.Head.SHA, pr.Head.Ref
		t.Base, t.Number, t.URL = pr.Base.SHA, pr.Number, pr.HTMLURL
	case ev.MergeGroup != nil:
		mg := ev.MergeGroup
		t.Ref, t.Base, t.Head, t.Branch = qualify(mg.BaseRef), mg.BaseSHA, mg.HeadSHA, mg.HeadRef
		t.queued = true
	case ev.Ref != "" && ev.After != "":
		pushedTo(t, ev.Ref, ev.Before, ev.After, ev.Repository.DefaultBranch)
	case ev.Ref != "":
		t.Ref = qualify(ev.Ref) // a run that a person or a clock started
	}
	return nil
}

// pushedTo is a ref that has moved already. Before it is created there is nothing to compare it
// with but the branch that it came from.
func pushedTo(t *Target, ref, before, after, defaultBranch string) {
	t.Ref, t.Head, t.Base, t.pushed = qualify(ref), after, before, true
	if isZeroID(before) {
		t.Action, t.Base, t.pushed = "create", "", false
		if defaultBranch != "" && qualify(defaultBranch) != t.Ref {
			t.branched = qualify(defaultBranch)
		}
	}
}

// fromGitLab reads GitLab's predefined variables.
func fromGitLab(getenv func(string) string, t *Target) {
	t.Head = getenv("CI_COMMIT_SHA")
	if name := getenv("CI_DEFAULT_BRANCH"); name != "" {
		t.defaultBranch = qualify(name)
	}
	if target := getenv("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"); target != "" {
		t.Ref = qualify(target)
		t.Branch = getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
		t.URL = getenv("CI_MERGE_REQUEST_PROJECT_URL")
		// Only pipelines for merged results know the target's tip. The others offer a merge base,
		// which whoever wrote the branch chose, so the tip must be in the clone.
		t.Base = getenv("CI_MERGE_REQUEST_TARGET_BRANCH_SHA")
		if source := getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"); source != "" {
			t.Head = source
		}
		return
	}
	if branch := getenv("CI_COMMIT_BRANCH"); branch != "" {
		pushedTo(t, branch, getenv("CI_COMMIT_BEFORE_SHA"), t.Head, getenv("CI_DEFAULT_BRANCH"))
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
