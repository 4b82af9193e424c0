package workflow

import (
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A taint says that a stranger may have written a value.
type taint struct {
	level int    // 0 no; 1 whoever may push, or perhaps; 2 anyone
	what  string // where it comes from, safe to print
}

func (t taint) max(o taint) taint {
	if o.level > t.level {
		return o
	}
	return t
}

// severity of text that reaches where it must not.
func (t taint) severity() sallyport.Severity {
	if t.level > 1 {
		return sallyport.High
	}
	return sallyport.Medium
}

// strangers are events that anyone may cause and whose runs hold the repository's own token,
// secrets and cache.
var strangers = set("pull_request_target workflow_run issues issue_comment discussion discussion_comment fork watch gollum")

// forks are events that a fork may cause whose runs hold none of these.
var forks = set("pull_request pull_request_review pull_request_review_comment")

// A scope is what is known at a step.
type scope struct {
	env     map[string]taint // by name
	outputs map[string]taint // by steps.ID.outputs.NAME or needs.JOB.outputs.NAME
}

func (s scope) with(f *file, env *strict.Node) scope {
	out := scope{map[string]taint{}, s.outputs}
	for k, v := range s.env {
		out.env[k] = v
	}
	if env != nil && env.Kind == strict.MapNode {
		for _, p := range env.Pairs {
			if t := f.taintOf(p.Value, s); t.level > 0 {
				out.env[p.Key] = t
			} else {
				delete(out.env, p.Key)
			}
		}
	}
	return out
}

// taintOf returns the worst of what the expressions in the scalar n bring in.
func (f *file) taintOf(n *strict.Node, s scope) taint {
	var t taint
	for _, v := range list(n) {
		for _, e := range exprs(v) {
			t = t.max(f.taintOfExpr(e, s))
		}
	}
	return t
}

func (f *file) taintOfExpr(e string, s scope) taint {
	var t taint
	for _, path := range flows(e) {
		t = t.max(f.taintOfPath(path, s))
	}
	return t
}

func (f *file) taintOfPath(path string, s scope) taint {
	what := quoted(path)
	switch head, rest, _ := strings.Cut(path, "."); head {
	case "github":
		if overlaps(path, eventText) {
			return taint{2, what}
		}
		if overlaps(path, branchText) {
			return taint{1, what}
		}
	case "env":
		var t taint
		for k, v := range s.env {
			if strings.EqualFold(k, rest) || rest == "" || rest == "*" {
				t = t.max(taint{v.level, what + " (" + v.what + ")"})
			}
		}
		return t
	case "steps", "needs", "jobs":
		var t taint
		for k, v := range s.outputs {
			if overlaps(path, [][]string{strings.Split(k, ".")}) {
				t = t.max(taint{v.level, what + " (" + v.what + ")"})
			}
		}
		return t
	case "inputs":
		if f.called() {
			return taint{1, what}
		}
	}
	return taint{}
}

// called reports whether somebody else's workflow chooses the inputs.
func (f *file) called() bool {
	_, ok := f.triggers()["workflow_call"]
	return ok || f.root.Get("runs") != nil
}

// triggers returns the events that start the workflow.
func (f *file) triggers() map[string]*strict.Node {
	out := map[string]*strict.Node{}
	on := f.root.Get("on")
	if on == nil {
		on = f.root.Get("true") // a YAML 1.1 writer's "on"
	}
	if on != nil && on.Kind == strict.MapNode {
		for _, p := range on.Pairs {
			out[strings.ToLower(p.Key)] = p.Value
		}
		return out
	}
	for _, name := range list(on) {
		out[strings.ToLower(name)] = on
	}
	return out
}

func (f *file) has(events map[string]bool) (name string, ok bool) {
	var names []string
	for t := range f.triggers() {
		if events[t] {
			names = append(names, t)
		}
	}
	if len(names) == 0 {
		return "", false
	}
	slices.Sort(names)
	return names[0], true
}

// github runs the rules for a workflow or an action.
func (f *file) github() {
	f.anywhere()
	if runs := f.root.Get("runs"); runs != nil {
		f.actionImage(runs)
		j := &job{f: f, name: "action", node: runs, scope: scope{map[string]taint{}, map[string]taint{}}}
		j.steps()
	}
	jobs := f.root.Get("jobs")
	if jobs == nil || jobs.Kind != strict.MapNode {
		return
	}
	f.triggerRules()
	base := scope{map[string]taint{}, map[string]taint{}}
	base = base.with(f, f.root.Get("env"))
	// Outputs of jobs reach the jobs that need them; two rounds see through a job between.
	for round := range 3 {
		hits, seen := f.hits, maps.Clone(f.seen)
		for _, p := range jobs.Pairs {
			if p.Value.Kind != strict.MapNode {
				continue
			}
			j := &job{f: f, name: p.Key, line: p.Line, node: p.Value, scope: base.with(f, p.Value.Get("env"))}
			j.scope.outputs = maps.Clone(base.outputs) // the steps of a job are its own
			j.steps()
			j.rules()
			j.export(base.outputs)
		}
		if round < 2 {
			f.hits, f.seen = hits, seen
		}
	}
}

// A job is one job while its rules run. An action is one without a name of its own.
type job struct {
	f     *file
	name  string
	line  int
	node  *strict.Node
	scope scope

	agent     *strict.Node // a step that starts an agent
	agentLine int
	publishes bool // a step publishes
	checkout  bool // of what a stranger wrote
	caches    []cacheUse
	secrets   map[string]int // names of secrets that the job hands to steps, with a line
}

// export notes what of the job's outputs is tainted, for the jobs that need it.
func (j *job) export(outputs map[string]taint) {
	o := j.node.Get("outputs")
	if o == nil {
		return
	}
	for _, p := range o.Pairs {
		if t := j.f.taintOf(p.Value, j.scope); t.level > 0 {
			outputs["needs."+strings.ToLower(j.name)+".outputs."+strings.ToLower(p.Key)] = taint{t.level, "job " + quoted(j.name)}
		}
	}
}

// A step with what it is made of.
type step struct {
	node   *strict.Node
	line   int
	uses   string // the action in small letters, without its version
	ref    string
	with   *strict.Node
	run    *strict.Node
	script string
	scope  scope
}

// commands are inputs whose value is run, and prompts those that a model reads.
var (
	commandInputs = set("script inlinescript inline-script run cmd command commands shell")
	promptInputs  = set("prompt direct_prompt override_prompt custom_instructions system_prompt append_system_prompt user_prompt instructions instruction task initial_prompt prompt_text custom_prompt agent_prompt additional_instructions")
)

// agentActions are actions that run an agent or ask a model.
var agentActions = []string{
	"anthropics/claude-code-action", "anthropics/claude-code-base-action", "openai/codex-action", "google-github-actions/run-gemini-cli",
	"google-gemini/gemini-cli-action", "actions/ai-inference", "sst/opencode", "anomalyco/opencode", "warpdotdev/", "augmentcode/",
	"factory-ai/droid-action", "all-hands-ai/openhands", "openhands/", "qwenlm/qwen-code-action", "coderabbitai/", "qodo-ai/pr-agent", "codium-ai/pr-agent",
	"the-pr-agent/", "block/goose", "cursor/", "ampcode/", "sourcegraph/amp", "github/copilot", "cline/", "kirodotdev/", "devinai/", "cognition-ai/", "jules-", "google-labs-code/jules",
}

func isAgentAction(uses string) bool {
	return slices.ContainsFunc(agentActions, func(a string) bool { return strings.HasPrefix(uses, a) })
}

// input returns the spelling in which inputs are compared: GitHub takes them in any case.
func input(key string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(key)), "-", "_")
}

func (j *job) steps() {
	steps := j.node.Get("steps")
	if steps == nil {
		return
	}
	for _, n := range steps.Items {
		if n.Kind != strict.MapNode {
			continue
		}
		s := &step{node: n, line: n.Line, with: n.Get("with"), run: n.Get("run"), scope: j.scope.with(j.f, n.Get("env"))}
		s.script = s.run.Text()
		if u := n.Get("uses"); u.Text() != "" {
			s.line = u.Line
			s.uses, s.ref, _ = strings.Cut(strings.ToLower(strings.TrimSpace(u.Text())), "@")
			j.f.pinned(u, "step")
		}
		j.step(s)
	}
}

func (j *job) step(s *step) {
	agent := isAgentAction(s.uses) || s.script != "" && agentCommand().MatchString(s.script)
	if agent && j.agent == nil {
		j.agent, j.agentLine = s.node, s.line
	}
	if s.script != "" {
		j.script(s, agent)
	}
	if s.with != nil && s.with.Kind == strict.MapNode {
		j.inputs(s, agent)
	}
	j.checkouts(s)
	j.cacheOf(s)
	if publishAction(s.uses) || s.script != "" && publishes().MatchString(s.script) {
		j.publishes = true
		j.regardless(s)
	}
	j.secretsOf(s.node.Get("env"), agent)
	j.secretsOf(s.with, agent)
	j.outputsOf(s)
}

// script judges what a step gives to a shell.
func (j *job) script(s *step, agent bool) {
	f := j.f
	var worst taint // of expressions, which are pasted into the script before a shell reads it
	for _, e := range exprs(s.script) {
		t := f.taintOfExpr(e, s.scope)
		if t.level == 0 {
			continue
		}
		worst = worst.max(t)
		line := f.place(s.run, strings.TrimSpace(e))
		f.add("script-injection", t.severity(), line, t.what, "${{ %s }} is pasted into the script of job %s: whoever writes that text runs commands here", t.what, quoted(j.name))
	}
	vars := tainted(s.script, s.scope.env)
	for _, u := range varUses(s.script) {
		t := vars[u.name]
		if t.level == 0 || u.single {
			continue
		}
		worst = worst.max(t)
		line := s.run.Line + u.line
		switch before, _, _ := strings.Cut(u.text, "$"+u.name); {
		case interpreter().MatchString(before), interpreter().MatchString(strings.ReplaceAll(u.text, "${"+u.name, "")) && strings.Contains(u.text, "${"+u.name):
			f.add("script-injection", t.severity(), line, "eval "+u.name, "$%s holds %s and is run as program text in job %s", quoted(u.name), t.what, quoted(j.name))
		case u.bare:
			f.add("unquoted-text", sallyport.Medium, line, u.name, "$%s holds %s and stands outside quotation marks in job %s: the shell splits it into options and file names", quoted(u.name), t.what, quoted(j.name))
		}
	}
	if worst.level == 0 {
		f.piped(s.run, quoted(j.name))
		return
	}
	if agent {
		f.add("prompt-injection", worst.severity(), s.line, worst.what, "a script of job %s starts an agent and gives it %s: whoever writes that text instructs the agent", quoted(j.name), worst.what)
	}
	for _, l := range logicalLines(s.script) {
		if strings.Contains(l.text, "GITHUB_ENV") || strings.Contains(l.text, "GITHUB_PATH") {
			f.add("env-injection", worst.severity(), s.run.Line+l.at, worst.what, "a script of job %s that reads %s writes to GITHUB_ENV or GITHUB_PATH: a line break in that text sets variables that later steps run by", quoted(j.name), worst.what)
			break
		}
	}
	f.piped(s.run, quoted(j.name))
}

// inputs judges what a step gives to an action.
func (j *job) inputs(s *step, agent bool) {
	f := j.f
	for _, p := range s.with.Pairs {
		key := input(p.Key)
		f.anyone(p, key)
		t := f.taintOf(p.Value, s.scope)
		switch {
		case t.level == 0:
		case commandInputs[key]:
			f.add("script-injection", t.severity(), f.place(p.Value, "${{"), key+" "+t.what, "${{ %s }} is pasted into the input %s of job %s, which is run: whoever writes that text runs commands here", t.what, quoted(p.Key), quoted(j.name))
		case promptInputs[key], agent && key != "github_token":
			f.add("prompt-injection", t.severity(), f.place(p.Value, "${{"), key+" "+t.what, "the input %s of job %s gives an agent %s: whoever writes that text instructs the agent", quoted(p.Key), quoted(j.name), t.what)
		}
	}
}

// listing are actions whose outputs are names that the change's author chose.
var listing = []string{"tj-actions/changed-files", "tj-actions/branch-names", "dorny/paths-filter", "jitterbit/get-changed-files", "trilom/file-changes-action", "xt0rted/pull-request-comment-branch", "peter-evans/find-comment", "eficode/resolve-pr-refs"}

// outputsOf notes which outputs of the step may hold a stranger's text.
func (j *job) outputsOf(s *step) {
	id := strings.ToLower(s.node.Get("id").Text())
	if id == "" {
		return
	}
	var t taint
	if slices.ContainsFunc(listing, func(a string) bool { return s.uses == a }) {
		t = taint{1, "outputs of " + quoted(s.uses)}
	}
	if strings.Contains(s.script, "GITHUB_OUTPUT") || strings.Contains(s.script, "set-output") {
		var from taint
		for _, e := range exprs(s.script) {
			from = from.max(j.f.taintOfExpr(e, s.scope))
		}
		vars := tainted(s.script, s.scope.env)
		for _, u := range varUses(s.script) {
			from = from.max(vars[u.name])
		}
		if from.level > 0 {
			t = t.max(taint{1, from.what}) // the script may have cleaned it
		}
	}
	if t.level > 0 {
		j.scope.outputs["steps."+id+".outputs"] = t
		return
	}
	delete(j.scope.outputs, "steps."+id+".outputs")
}

var pullRef = lazily(`(?i)refs/pull/|refs/remotes/pull/`)

// headText names the head of somebody's pull request.
var headText = splitPaths(`github.event.pull_request.head github.head_ref github.event.workflow_run.head_sha
github.event.workflow_run.head_branch github.event.workflow_run.head_commit github.event.workflow_run.head_repository
github.event.workflow_run.pull_requests github.event.pull_request.merge_commit_sha`)

var fetchesHead = lazily(`(?i)\bgh\s+pr\s+checkout\b|\bgit\b[^\n]*\b(?:fetch|pull|checkout|switch|clone|worktree|reset|merge)\b[^\n]*(?:\bpull/|\$\{\{[^}]*(?:pull_request\.head|head_ref|head_sha|head_branch|merge_commit_sha))`)

// checkouts judges whether a run that holds the repository's rights fetches a stranger's files.
func (j *job) checkouts(s *step) {
	event, ok := j.f.has(strangers)
	if !ok {
		return
	}
	severity := sallyport.High
	if event == "pull_request_target" || event == "workflow_run" {
		severity = sallyport.Critical
	}
	tell := func(line int, key, what string) {
		j.checkout = true
		j.f.add("pwn-request", severity, line, key, "job %s is started by %s, holds the repository's own token and secrets, and checks out %s: what lies in it runs with them", quoted(j.name), event, what)
	}
	if s.with != nil && (s.uses == "actions/checkout" || strings.HasSuffix(s.uses, "/checkout") || strings.Contains(s.uses, "checkout")) {
		for _, key := range []string{"ref", "repository"} {
			n := inputNode(s.with, key)
			if n == nil {
				continue
			}
			if pullRef().MatchString(n.Text()) {
				tell(n.Line, key+" pull", "the head of a pull request")
				continue
			}
			for _, e := range exprs(n.Text()) {
				for _, path := range flows(e) {
					head, _, _ := strings.Cut(path, ".")
					switch {
					case overlaps(path, headText), head == "env" && j.f.taintOfPath(path, s.scope).level > 0:
						tell(n.Line, key+" "+path, quoted(path))
					case (head == "steps" || head == "needs") && event != "workflow_run":
						tell(n.Line, key+" "+path, quoted(path)+", which nothing here shows not to be a pull request's head")
					}
				}
			}
		}
	}
	for _, l := range logicalLines(s.script) {
		if !comment(l.text) && fetchesHead().MatchString(l.text) {
			tell(s.run.Line+l.at, "run", "the head of a pull request")
		}
	}
}

func inputNode(with *strict.Node, key string) *strict.Node { // key as input spells it
	if with == nil {
		return nil
	}
	for _, p := range with.Pairs {
		if input(p.Key) == key {
			return p.Value
		}
	}
	return nil
}
