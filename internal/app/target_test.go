package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// fakeRefs is a history without git: names of commits, and the parents of each. A commit's name
// is its object id.
type fakeRefs struct {
	names   map[string]string   // revision to commit
	parents map[string][]string // commit to parents; a commit that is no key does not exist
	branch  string              // what HEAD is on; empty if detached
	remote  string              // the remote's default branch
}

var errNoRev = fmt.Errorf("no such revision: %w", git.ErrNotFound)

func (f fakeRefs) Resolve(_ context.Context, rev string) (string, error) {
	if base, ok := strings.CutSuffix(rev, "^1"); ok {
		oid, err := f.Resolve(context.Background(), base)
		if err != nil || len(f.parents[oid]) == 0 {
			return "", errNoRev
		}
		return f.parents[oid][0], nil
	}
	if oid, ok := f.names[rev]; ok {
		return oid, nil
	}
	if _, ok := f.parents[rev]; ok {
		return rev, nil
	}
	return "", errNoRev
}

func (f fakeRefs) Head(context.Context) (string, error) { return f.branch, nil }

func (f fakeRefs) Upstream(context.Context, string) (string, error) {
	if f.remote == "" {
		return "", errNoRev
	}
	return f.remote, nil
}

func (f fakeRefs) IsAncestor(_ context.Context, a, b string) (bool, error) {
	for _, p := range append([]string{b}, f.parents[b]...) {
		if p == a {
			return true, nil
		}
		if p != b {
			if ok, _ := f.IsAncestor(context.Background(), a, p); ok {
				return true, nil
			}
		}
	}
	return false, nil
}

// history is root - old - tip on main, and old - work - head on a branch that left it.
func history() fakeRefs {
	return fakeRefs{
		parents: map[string][]string{"root": nil, "old": {"root"}, "tip": {"old"}, "work": {"old"}, "head": {"work"}},
		names:   map[string]string{"HEAD": "head", "refs/heads/feature": "head", "refs/heads/main": "tip"},
		branch:  "refs/heads/feature",
	}
}

func with(f fakeRefs, names ...string) fakeRefs {
	m := map[string]string{}
	for k, v := range f.names {
		m[k] = v
	}
	for i := 0; i+1 < len(names); i += 2 {
		m[names[i]] = names[i+1]
		if names[i+1] == "" {
			delete(m, names[i])
		}
	}
	f.names = m
	return f
}

func TestFindTarget(t *testing.T) {
	const zero = "0000000000000000000000000000000000000000"
	github := func(event string) map[string]string {
		return map[string]string{"GITHUB_ACTIONS": "true", "event": event}
	}
	gitlab := func(kv ...string) map[string]string {
		m := map[string]string{"GITLAB_CI": "true"}
		for i := 0; i+1 < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	onMain := history()
	onMain.branch = "refs/heads/main"
	origin := history()
	origin.remote = "refs/heads/trunk"

	for _, c := range []struct {
		name string
		refs fakeRefs
		env  map[string]string
		opts TargetOptions
		want Target
		err  error  // sentinel
		says string // part of the error, or of the note
	}{
		{
			name: "a feature branch lands on main",
			refs: history(),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "tip", Head: "head", Branch: "feature"},
		}, {
			name: "the remote's default branch comes first",
			refs: with(origin, "refs/remotes/origin/HEAD", "old"),
			want: Target{Ref: "refs/heads/trunk", Action: "update", Base: "old", Head: "head", Branch: "feature"},
		}, {
			name: "then what the remote calls main",
			refs: with(history(), "refs/remotes/origin/main", "old"),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "old", Head: "head", Branch: "feature"},
		}, {
			name: "then master",
			refs: with(history(), "refs/heads/main", "", "refs/heads/master", "tip"),
			want: Target{Ref: "refs/heads/master", Action: "update", Base: "tip", Head: "head", Branch: "feature"},
		}, {
			name: "a named target is the remote's, if that is known",
			refs: with(history(), "refs/heads/next", "tip", "refs/remotes/origin/next", "old"),
			opts: TargetOptions{Ref: "next"},
			want: Target{Ref: "refs/heads/next", Action: "update", Base: "old", Head: "head", Branch: "feature"},
		}, {
			name: "a named tag is not looked for among the remote's branches",
			refs: with(history(), "refs/tags/v1", "tip", "refs/remotes/origin/refs/tags/v1", "root"),
			opts: TargetOptions{Ref: "refs/tags/v1"},
			want: Target{Ref: "refs/tags/v1", Action: "update", Base: "tip", Head: "head", Branch: "feature"},
		}, {
			name: "base and head are what the caller says",
			refs: history(),
			opts: TargetOptions{Base: "old", Head: "work"},
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "old", Head: "work", Branch: "feature"},
		}, {
			name: "a detached HEAD has no branch",
			refs: func() fakeRefs { f := history(); f.branch = ""; return f }(),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "tip", Head: "head"},
		}, {
			name: "a landed commit is judged against its parent, and that is told",
			refs: with(onMain, "HEAD", "tip"),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "old", Head: "tip", Branch: "main"},
			says: "against its parent",
		}, {
			name: "a first commit is judged whole",
			refs: with(onMain, "HEAD", "root", "refs/heads/main", "root"),
			want: Target{Ref: "refs/heads/main", Action: "create", Head: "root", Branch: "main"},
			says: "has no parent",
		}, {
			name: "one commit, landed or not",
			refs: history(),
			opts: TargetOptions{Commit: "work"},
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "old", Head: "work", Branch: "feature"},
		}, {
			name: "one commit that has no parent",
			refs: history(),
			opts: TargetOptions{Commit: "root"},
			want: Target{Ref: "refs/heads/main", Action: "create", Head: "root", Branch: "feature"},
		}, {
			name: "no branch, no remote: nothing to land on",
			refs: func() fakeRefs {
				f := with(history(), "refs/heads/main", "")
				f.branch = ""
				return f
			}(),
			err: ErrNoTarget,
		},
		{name: "a range that the caller named and that is empty", refs: history(), opts: TargetOptions{Base: "tip", Head: "old"}, err: ErrEmptyRange},
		{name: "no commit yet", refs: with(history(), "HEAD", ""), err: errNoRev, says: "find the head"},
		{name: "a target that is not there", refs: history(), opts: TargetOptions{Ref: "nowhere"}, err: errNoRev, says: "find the tip of refs/heads/nowhere"},
		{name: "a base that is not there", refs: history(), opts: TargetOptions{Base: "gone"}, err: errNoRev, says: "find the tip of refs/heads/main"},

		// GitHub Actions.
		{
			name: "a pull request says everything",
			refs: history(),
			env:  github(`{"pull_request":{"number":7,"html_url":"https://forge.example/7","base":{"ref":"main","sha":"tip"},"head":{"ref":"agent/x","sha":"work"}}}`),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "tip", Head: "work", Branch: "agent/x", Number: 7, URL: "https://forge.example/7", CI: "github"},
		}, {
			name: "a pull request that holds nothing new is no pass",
			refs: history(),
			env:  github(`{"pull_request":{"base":{"ref":"main","sha":"tip"},"head":{"ref":"x","sha":"old"}}}`),
			err:  ErrEmptyRange,
		}, {
			name: "a merge queue's entry",
			refs: history(),
			env:  github(`{"merge_group":{"base_ref":"refs/heads/main","base_sha":"tip","head_ref":"refs/heads/gh-readonly-queue/main/pr-7","head_sha":"head"}}`),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "tip", Head: "head", Branch: "refs/heads/gh-readonly-queue/main/pr-7", CI: "github"},
		}, {
			name: "a push is judged from where the ref was",
			refs: history(),
			env:  github(`{"ref":"refs/heads/main","before":"old","after":"tip"}`),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "old", Head: "tip", Branch: "feature", CI: "github"},
		}, {
			name: "a forced push is told by history, whatever the event says",
			refs: history(),
			env:  github(`{"ref":"refs/heads/main","before":"tip","after":"head","forced":false}`),
			want: Target{Ref: "refs/heads/main", Action: "rewrite", Base: "tip", Head: "head", Branch: "feature", CI: "github"},
		}, {
			name: "a forced push back to an older commit holds nothing to judge, which is no pass",
			refs: history(),
			env:  github(`{"ref":"refs/heads/main","before":"tip","after":"old","forced":true}`),
			err:  ErrEmptyRange,
		}, {
			name: "a forced push whose former tip is gone cannot be judged",
			refs: history(),
			env:  github(`{"ref":"refs/heads/main","before":"lost","after":"head","forced":true}`),
			err:  errNoRev,
		}, {
			name: "a created branch",
			refs: history(),
			env:  github(`{"ref":"refs/heads/feature","before":"` + zero + `","after":"head","created":true,"repository":{"default_branch":"main"}}`),
			want: Target{Ref: "refs/heads/feature", Action: "create", Head: "head", Branch: "feature", CI: "github", branched: "refs/heads/main", defaultBranch: "refs/heads/main"},
		}, {
			name: "the default branch itself, created",
			refs: history(),
			env:  github(`{"ref":"refs/heads/main","before":"` + zero + `","after":"tip","created":true,"repository":{"default_branch":"main"}}`),
			want: Target{Ref: "refs/heads/main", Action: "create", Head: "tip", Branch: "feature", CI: "github", defaultBranch: "refs/heads/main"},
		}, {
			name: "a run that a person started knows a ref and no range",
			refs: with(onMain, "HEAD", "tip"),
			env:  github(`{"ref":"refs/heads/main","inputs":{}}`),
			err:  ErrEmptyRange,
		}, {
			name: "another target than the event's has its own tip",
			refs: with(history(), "refs/heads/next", "old"),
			env:  github(`{"pull_request":{"base":{"ref":"main","sha":"tip"},"head":{"ref":"x","sha":"head"}}}`),
			opts: TargetOptions{Ref: "next"},
			want: Target{Ref: "refs/heads/next", Action: "update", Base: "old", Head: "head", Branch: "x", CI: "github"},
		}, {
			name: "a head that the caller names is no push any more",
			refs: history(),
			env:  github(`{"ref":"refs/heads/feature","before":"` + zero + `","after":"head","created":true}`),
			opts: TargetOptions{Ref: "main", Head: "work"},
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "tip", Head: "work", Branch: "feature", CI: "github"},
		},
		{name: "an event that is no JSON", refs: history(), env: github(`pull_request`), says: "read the GitHub event"},
		{name: "an event that is not there", refs: history(), env: map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": "nowhere.json"}, err: os.ErrNotExist},
		{name: "no event", refs: history(), env: map[string]string{"GITHUB_ACTIONS": "true"}, says: "GITHUB_EVENT_PATH is not set"},

		// GitLab CI.
		{
			name: "a merge request, for merged results",
			refs: history(),
			env: gitlab("CI_COMMIT_SHA", "merged", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "agent/x",
				"CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "tip", "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "head", "CI_MERGE_REQUEST_PROJECT_URL", "https://forge.example/p"),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "tip", Head: "head", Branch: "agent/x", URL: "https://forge.example/p", CI: "gitlab"},
		}, {
			name: "a merge base is never taken for the target's tip",
			refs: with(history(), "refs/remotes/origin/main", "tip"),
			env:  gitlab("CI_COMMIT_SHA", "head", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main", "CI_MERGE_REQUEST_DIFF_BASE_SHA", "root"),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "tip", Head: "head", CI: "gitlab", Branch: "feature"},
		}, {
			name: "a target that the job did not fetch",
			refs: with(history(), "refs/heads/main", ""),
			env:  gitlab("CI_COMMIT_SHA", "head", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main", "CI_MERGE_REQUEST_DIFF_BASE_SHA", "root"),
			err:  errNoRev,
		}, {
			name: "a push",
			refs: history(),
			env:  gitlab("CI_COMMIT_SHA", "tip", "CI_COMMIT_BRANCH", "main", "CI_COMMIT_BEFORE_SHA", "old"),
			want: Target{Ref: "refs/heads/main", Action: "update", Base: "old", Head: "tip", Branch: "feature", CI: "gitlab"},
		}, {
			name: "a created branch",
			refs: history(),
			env:  gitlab("CI_COMMIT_SHA", "head", "CI_COMMIT_BRANCH", "feature", "CI_COMMIT_BEFORE_SHA", zero, "CI_DEFAULT_BRANCH", "main"),
			want: Target{Ref: "refs/heads/feature", Action: "create", Head: "head", Branch: "feature", CI: "gitlab", branched: "refs/heads/main", defaultBranch: "refs/heads/main"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := FindTarget(t.Context(), c.refs, environment(t, c.env), c.opts)
			if c.err != nil || (c.says != "" && c.want == Target{}) {
				if err == nil || (c.err != nil && !errors.Is(err, c.err)) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("got %+v and the error %v, want the error %v that says %q", got, err, c.err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.Note, c.says) || (c.says == "" && got.Note != "") {
				t.Errorf("note %q, want one that says %q", got.Note, c.says)
			}
			got.Note, got.pushed, got.queued, got.only = "", false, false, false
			if got != c.want {
				t.Errorf("got\n%+v\nwant\n%+v", got, c.want)
			}
		})
	}
}

// A base says what is compared. It neither chooses the rules nor hides what has not landed.
func TestStand(t *testing.T) {
	const below, landed = "what lies below it was not judged", "has landed already"
	for _, c := range []struct {
		name   string
		refs   fakeRefs
		target Target
		at     string // policy's commit
		base   string // if it moves
		says   string // the advice
		err    error
	}{
		{name: "from the tip", refs: history(), target: Target{Base: "tip", Head: "head"}},
		{name: "from below the tip", refs: history(), target: Target{Base: "old", Head: "head"}, at: "tip", says: below},
		{name: "from the middle of the branch", refs: history(), target: Target{Base: "work", Head: "head"}, err: ErrNotBelow},
		{name: "a queue's entry upon another", refs: history(), target: Target{Base: "work", Head: "head", queued: true}, base: "tip"},
		{name: "the remote's tip goes before a branch of that name", refs: with(history(), "refs/remotes/origin/main", "old"), target: Target{Base: "tip", Head: "head"}, err: ErrNotBelow},
		{name: "one commit that has landed", refs: history(), target: Target{Base: "root", Head: "old", only: true}, says: landed},
		{name: "a first commit that has landed", refs: history(), target: Target{Action: "create", Head: "root", only: true}, says: landed},
		{name: "a range that has landed", refs: history(), target: Target{Base: "root", Head: "tip"}, says: landed},
		{name: "a push that has landed", refs: history(), target: Target{Base: "old", Head: "tip", pushed: true}},
		{name: "a push that is not there", refs: history(), target: Target{Base: "old", Head: "head", pushed: true}, at: "tip", says: below},
		{name: "a push that rewrote", refs: history(), target: Target{Action: "rewrite", Base: "work", Head: "head", pushed: true}, at: "tip"},
		{name: "a ref that is created", refs: history(), target: Target{Action: "create", Head: "head"}},
		{name: "a tip that is not here", refs: with(history(), "refs/heads/main", ""), target: Target{Base: "old", Head: "head"}, says: "not known here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := c.target
			target.Ref = "refs/heads/main"
			got, err := Stand(t.Context(), c.refs, &target)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %+v and the error %v, want the error %v", got, err, c.err)
			}
			if advice := strings.Join(got.Advice, "; "); got.PolicyAt != c.at || !strings.Contains(advice, c.says) || (c.says == "" && advice != "") {
				t.Errorf("got %+v, want policy of %q and advice that says %q", got, c.at, c.says)
			}
			if c.base == "" {
				c.base = c.target.Base
			}
			if target.Base != c.base {
				t.Errorf("the base is %s, want %s", target.Base, c.base)
			}
		})
	}
}

// What is in force is asked at the tip, so nothing about the head may move it.
func TestFindTip(t *testing.T) {
	onTip := with(history(), "HEAD", "tip")
	for _, c := range []struct {
		name string
		refs fakeRefs
		env  map[string]string
		opts TargetOptions
		want string
	}{
		{name: "from a branch", refs: history(), want: "tip"},
		{name: "from the target itself", refs: onTip, want: "tip"},
		{name: "without a commit of one's own", refs: with(history(), "HEAD", ""), want: "tip"},
		{name: "at a base that was named", refs: onTip, opts: TargetOptions{Base: "old"}, want: "old"},
		{
			name: "in a job that has nothing to judge", refs: onTip, want: "tip",
			env: map[string]string{"GITLAB_CI": "true", "CI_COMMIT_SHA": "tip", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := FindTip(t.Context(), c.refs, environment(t, c.env), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			if got.Base != c.want || got.Head != "" || got.Ref != "refs/heads/main" {
				t.Errorf("got %+v, want the tip %s of main and no head", got, c.want)
			}
		})
	}
}

// environment returns a getenv. The key "event" stands for GitHub's event file.
func environment(t *testing.T, env map[string]string) func(string) string {
	t.Helper()
	path := env["GITHUB_EVENT_PATH"]
	if event := env["event"]; event != "" {
		path = filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(path, []byte(event), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(name string) string {
		if name == "GITHUB_EVENT_PATH" {
			return path
		}
		return env[name]
	}
}

// FuzzGitHubEvent: whatever a job's event holds, what it names is a full ref name or nothing, and
// a target never comes with a head but without a ref.
func FuzzGitHubEvent(f *testing.F) {
	f.Add([]byte(`{"pull_request":{"base":{"ref":"main","sha":"a"},"head":{"ref":"x","sha":"b"}}}`))
	f.Add([]byte(`{"ref":"refs/heads/main","before":"0000","after":"b"}`))
	f.Add([]byte(`{"merge_group":{"base_ref":"refs/heads/main","base_sha":"a","head_sha":"b"}}`))
	f.Add([]byte(`{"ref":1}`))
	f.Add([]byte(`{"pull_request":{}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		path := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(path, event, 0o600); err != nil {
			t.Fatal(err)
		}
		target := Target{Action: "update"}
		if err := fromGitHub(func(string) string { return path }, &target); err != nil {
			return
		}
		if target.Ref != "" && !strings.HasPrefix(target.Ref, "refs/") {
			t.Errorf("the ref is %q", target.Ref)
		}
		if target.Head != "" && target.Ref == "" {
			t.Errorf("a head without a ref: %+v", target)
		}
	})
}
