package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/hook"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// toolSetsDir holds the repository's own sets for tool calls, a folder each. They judge beside the built-in
// one, and the strictest answer holds, so that whoever edits them can only take away what they add.
const toolSetsDir = policy.GovernedDir + "tools"

// HookEvent answers one event of an agent, and never takes longer than [hook.Deadline]. What goes wrong denies.
func (a *App) HookEvent(ctx context.Context, agent hook.Agent, kind hook.Kind) hook.Answer {
	ctx, stop := context.WithTimeout(ctx, hook.Deadline)
	defer stop()
	answer := make(chan hook.Answer, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				answer <- hook.Encode(agent, kind, hook.Refusal(hook.CodeNoDecision, fmt.Errorf("sallyport failed: %v", p)))
			}
		}()
		answer <- a.hookEvent(ctx, agent, kind)
	}()
	select {
	case got := <-answer:
		return got
	case <-ctx.Done():
		return hook.Encode(agent, kind, hook.Refusal(hook.CodeNoDecision, fmt.Errorf("no decision within %s", hook.Deadline)))
	}
}

func (a *App) hookEvent(ctx context.Context, agent hook.Agent, kind hook.Kind) hook.Answer {
	var ev hook.Event
	stdin, err := io.ReadAll(io.LimitReader(a.Stdin, hook.MaxInput+1))
	if err == nil {
		ev, err = hook.Decode(agent, kind, stdin)
	}
	var d hook.Decision
	if err != nil {
		ev.Agent, ev.Kind = agent, kind
		d = hook.Refusal(hook.CodeUnreadable, err)
	} else {
		d = a.JudgeToolCall(ctx, ev)
	}
	a.reportHook(ctx, HookReport{Event: ev, Decision: d, Time: a.now().UTC()})
	return hook.Encode(agent, kind, d)
}

// JudgeToolCall asks the policy for tool calls about an event. Only what is about to happen can be refused.
func (a *App) JudgeToolCall(ctx context.Context, ev hook.Event) hook.Decision {
	if ev.Kind != hook.PreTool {
		return hook.Decision{Verdict: hook.Allow, Reasons: []sallyport.Reason{}}
	}
	ev.Dir = hookDir(ev.Dir)
	root := repositoryAbove(ev.Dir)
	home := a.Getenv("HOME")
	facts, err := hook.Facts(ev, hook.Place{Root: root, Home: home, Look: lookAt, Confined: a.Getenv(hookTokenEnv) != ""}, a.now())
	if err != nil {
		return hook.Refusal(hook.CodeUnreadable, err)
	}
	d, err := judgeTool(ctx, root, facts)
	if err != nil {
		return hook.Refusal(hook.CodeNoDecision, err)
	}
	return d
}

// hookDir is where an agent works: where it says, or where it started the hook.
func hookDir(said string) string {
	if dir, err := filepath.Abs(said); err == nil { // of nothing: the working folder
		return dir
	}
	return said
}

func judgeTool(ctx context.Context, root string, facts sallyport.ToolInput) (hook.Decision, error) {
	sets, err := toolSets(root)
	if err != nil {
		return hook.Decision{}, err
	}
	eval, err := policy.Compile(ctx, sets, policy.Data{})
	if err != nil {
		return hook.Decision{}, err
	}
	input, err := sallyport.EncodeJSON(facts)
	if err != nil {
		return hook.Decision{}, fmt.Errorf("encode the policy input: %w", err)
	}
	v, err := eval.Evaluate(ctx, sallyport.GateTool, input)
	if err != nil {
		return hook.Decision{}, err
	}
	d := hook.Decision{Verdict: hook.Deny, Reasons: v.Reasons}
	switch v.Outcome {
	case sallyport.Open:
		d.Verdict = hook.Allow
	case sallyport.Waiting:
		d.Verdict = hook.Ask
	}
	return d, nil
}

// toolSets returns the built-in set and those of the repository's work tree.
func toolSets(root string) ([]policy.Set, error) {
	sets := []policy.Set{policy.BuiltinTool()}
	if root == "" {
		return sets, nil
	}
	dir := filepath.Join(root, filepath.FromSlash(toolSetsDir))
	folders, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return sets, nil
	}
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		set := policy.Set{Name: f.Name(), Files: map[string][]byte{}}
		files, err := os.ReadDir(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range files {
			b, err := readAtMost(filepath.Join(dir, f.Name(), e.Name()), 4<<20)
			if err != nil {
				return nil, err
			}
			set.Files[e.Name()] = b
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// readAtMost reads a regular file that is not larger than limit.
func readAtMost(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s is no regular file of at most %d bytes", path, limit)
	}
	return os.ReadFile(path)
}

// repositoryAbove finds the work tree that a folder is in without starting git, which would take longer than
// everything else that a hook does. It is empty where there is none.
func repositoryAbove(dir string) string {
	if !filepath.IsAbs(dir) {
		return ""
	}
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// gitDirOf is the common git folder of a work tree, or empty.
func gitDirOf(root string) string {
	git := filepath.Join(root, ".git")
	info, err := os.Lstat(git)
	if err != nil {
		return ""
	}
	if info.IsDir() {
		return git
	}
	b, err := readAtMost(git, 1<<16)
	to, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "gitdir: ")
	if err != nil || !ok {
		return ""
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(root, to)
	}
	if b, err := readAtMost(filepath.Join(to, "commondir"), 1<<16); err == nil {
		common := strings.TrimSpace(string(b))
		if !filepath.IsAbs(common) {
			common = filepath.Join(to, common)
		}
		return filepath.Clean(common)
	}
	return to
}

// maxMatches bounds what a wildcard is looked up as.
const maxMatches = 500

// lookAt says where a path leads: links are followed as far as it exists, and wildcards matched.
func lookAt(path string) []string {
	found := []string{path}
	if strings.ContainsAny(path, "*?[") {
		if m, err := filepath.Glob(path); err == nil {
			found = append(found, m[:min(len(m), maxMatches)]...)
		}
	}
	var out []string
	for _, p := range found {
		out = append(out, p)
		rest := ""
		for at := p; ; at = filepath.Dir(at) {
			if real, err := filepath.EvalSymlinks(at); err == nil {
				out = append(out, filepath.Join(real, rest))
				break
			}
			if at == filepath.Dir(at) {
				break
			}
			rest = filepath.Join(filepath.Base(at), rest)
		}
	}
	return out
}
