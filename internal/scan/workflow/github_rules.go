package workflow

import (
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// anywhere judges every scalar of the file, wherever it stands.
func (f *file) anywhere() {
	for _, d := range f.docs {
		walk(d, "", func(key string, n *strict.Node) {
			for _, e := range exprs(n.Value) {
				for _, path := range flows(e) {
					if path == "secrets" || path == "secrets.*" {
						f.add("secrets-dump", sallyport.Critical, f.place(n, "secrets"), "secrets", "all secrets of the repository are put into one text")
					}
				}
			}
			if strings.EqualFold(key, "ACTIONS_ALLOW_UNSECURE_COMMANDS") && !strings.EqualFold(strings.TrimSpace(n.Value), "false") {
				f.add("unsecure-commands", sallyport.High, n.Line, key, "ACTIONS_ALLOW_UNSECURE_COMMANDS lets whatever a step prints set variables of later steps")
			}
		})
	}
}

// triggerRules judges who may start the workflow, and with which rights.
func (f *file) triggerRules() {
	triggers := f.triggers()
	for name, n := range triggers {
		if strangers[name] && name != "watch" && name != "fork" && name != "gollum" {
			line := 1
			if n != nil {
				line = n.Line
			}
			f.add("privileged-trigger", sallyport.Medium, f.trigger(name, line), name, "%s lets people who may not write here start a run that holds the repository's token and secrets", name)
		}
	}
	f.permissions(f.root.Get("permissions"), "", "the workflow")
}

// trigger returns the line on which the name of an event stands, from the "on" on.
func (f *file) trigger(name string, from int) int {
	start := from
	for _, p := range f.root.Pairs {
		if p.Key == "on" || p.Key == "true" {
			start = p.Line
		}
	}
	for i := start; i <= len(f.lines) && i < start+200; i++ {
		if strings.Contains(f.lines[i-1], name) {
			return i
		}
	}
	return from
}

// takesOver are permissions with which a stranger's run can change what others run.
var takesOver = set("contents id-token actions packages attestations deployments pages workflows")

// permissions judges a permissions key; key is "" for the workflow's own.
func (f *file) permissions(n *strict.Node, key, whose string) {
	event, strange := f.has(strangers)
	if n == nil {
		return
	}
	if strings.EqualFold(strings.TrimSpace(n.Text()), "write-all") {
		f.add("permissions-all", sallyport.High, n.Line, key, "%s asks for every permission (write-all)", whose)
		return
	}
	for _, p := range n.Pairs {
		name, value := strings.ToLower(p.Key), strings.ToLower(strings.TrimSpace(p.Value.Text()))
		if value != "write" {
			continue
		}
		if strange && takesOver[name] {
			f.add("permissions-untrusted", sallyport.High, p.Line, key+" "+name, "%s asks for %s: write and is started by %s, which people who may not write here can cause", whose, quoted(name), event)
			continue
		}
		f.add("permissions-granted", sallyport.Medium, p.Line, key+" "+name, "%s asks for %s: write", whose, quoted(name))
	}
}

// effective returns the permissions in force in the job, nil for the repository's default.
func (j *job) effective() *strict.Node {
	if p := j.node.Get("permissions"); p != nil {
		return p
	}
	return j.f.root.Get("permissions")
}

func (j *job) may(name string) bool {
	p := j.effective()
	return strings.EqualFold(strings.TrimSpace(p.Text()), "write-all") || strings.EqualFold(strings.TrimSpace(p.Get(name).Text()), "write")
}

// rules judges the job as a whole, once its steps are known.
func (j *job) rules() {
	f, name := j.f, quoted(j.name)
	event, strange := f.has(strangers)
	f.permissions(j.node.Get("permissions"), "job "+j.name, "job "+name)
	if j.effective() == nil {
		if strange {
			f.add("permissions-default", sallyport.High, j.line, j.name, "job %s is started by %s and says no permissions: it holds what the repository's setting gives, which may be everything", name, event)
		} else {
			f.add("permissions-default", sallyport.Medium, j.line, j.name, "job %s says no permissions: it holds what the repository's setting gives, which may be everything", name)
		}
	}
	if u := j.node.Get("uses"); u.Text() != "" {
		f.pinned(u, "call")
		j.inherits(u, strange)
		for _, p := range pairs(j.node.Get("with")) {
			f.anyone(p, input(p.Key))
			if t := f.taintOf(p.Value, j.scope); t.level > 0 && promptInputs[input(p.Key)] {
				f.add("prompt-injection", t.severity(), p.Line, input(p.Key)+" "+t.what, "the input %s of the workflow that job %s calls gives an agent %s", quoted(p.Key), name, t.what)
			}
		}
	}
	f.images(j.node, name)
	j.runner()
	j.secretsOf(j.node.Get("env"), false)
	j.agentRules(event, strange)
	j.cacheRules(event, strange)
}

func pairs(n *strict.Node) []strict.Pair {
	if n == nil {
		return nil
	}
	return n.Pairs
}

var (
	fullCommit = lazily(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
	byDigest   = lazily(`@sha256:[0-9a-f]{64}$`)
	versioned  = lazily(`^v?[0-9]`)
	agentName  = lazily(`(?i)(?:^|[^a-z])(?:claude|codex|gemini|copilot|agent|agents|ai|llm|gpt|opencode|openhands|devin|cursor)(?:[^a-z]|$)`)
)

// pinned judges a "uses".
func (f *file) pinned(n *strict.Node, what string) {
	uses := strings.TrimSpace(n.Text())
	if strings.HasPrefix(uses, "./") || strings.HasPrefix(uses, "../") {
		return // of this repository, and judged as part of it
	}
	if image, ok := strings.CutPrefix(uses, "docker://"); ok {
		f.image(n, image)
		return
	}
	name, ref, _ := strings.Cut(uses, "@")
	if fullCommit().MatchString(strings.ToLower(ref)) {
		return
	}
	severity := sallyport.High
	owner, _, _ := strings.Cut(strings.ToLower(name), "/")
	if (owner == "actions" || owner == "github") && versioned().MatchString(ref) {
		severity = sallyport.Medium // the forge's own, which is trusted with the run anyway
	}
	what = map[string]string{"step": "action", "call": "workflow"}[what]
	f.add("unpinned-action", severity, n.Line, uses, "the %s %s is named by %s and not by a full commit: whoever may move that name runs other code here", what, quoted(name), refWord(ref))
}

func refWord(ref string) string {
	switch {
	case ref == "":
		return "no version"
	case versioned().MatchString(ref):
		return "the tag " + quoted(ref)
	}
	return "the branch or tag " + quoted(ref)
}

// image judges the name of a container image.
func (f *file) image(n *strict.Node, image string) {
	image = strings.TrimSpace(image)
	if image == "" || byDigest().MatchString(strings.ToLower(image)) || strings.HasPrefix(image, "./") || strings.EqualFold(image, "dockerfile") {
		return
	}
	f.add("unpinned-image", sallyport.Medium, n.Line, image, "the image %s is named without a digest: whoever may move that name runs other code here", quoted(image))
}

// images judges the images that a job runs in and beside.
func (f *file) images(n *strict.Node, _ string) {
	each := func(c *strict.Node) {
		if c.Text() != "" {
			f.image(c, c.Text())
		} else if i := c.Get("image"); i.Text() != "" {
			f.image(i, i.Text())
		}
	}
	each(n.Get("container"))
	for _, p := range pairs(n.Get("services")) {
		each(p.Value)
	}
}

// actionImage judges the image that a container action runs.
func (f *file) actionImage(runs *strict.Node) {
	if i := runs.Get("image"); i != nil {
		if image, ok := strings.CutPrefix(i.Text(), "docker://"); ok {
			f.image(i, image)
		}
	}
}

// anyone judges inputs of agents' actions that say who may instruct them.
func (f *file) anyone(p strict.Pair, key string) {
	everyone := false
	for _, v := range list(p.Value) {
		for _, w := range strings.FieldsFunc(v, func(r rune) bool {
			return r == ',' || r == ' ' || r == '\n' || r == '[' || r == ']' || r == '"' || r == '\''
		}) {
			everyone = everyone || w == "*"
		}
	}
	value := strings.TrimSpace(p.Value.Text())
	switch key {
	case "allowed_non_write_users", "allow_users", "allowed_users", "trusted_users":
		switch {
		case everyone:
			f.add("agent-anyone", sallyport.Critical, p.Line, key, "%s: \"*\" lets anyone instruct an agent that holds this job's token and secrets", quoted(p.Key))
		case value != "" && strings.Contains(key, "non_write"):
			f.add("agent-anyone", sallyport.Medium, p.Line, key+" some", "%s lets people who may not write here instruct an agent that holds this job's token and secrets", quoted(p.Key))
		}
	case "allowed_bots", "allow_bots":
		if everyone || strings.EqualFold(value, "true") {
			f.add("agent-anyone", sallyport.High, p.Line, key, "%s lets any bot, and who steers one, instruct an agent that holds this job's token and secrets", quoted(p.Key))
		}
	}
}

// piped judges downloads that are run unseen.
func (f *file) piped(n *strict.Node, job string) {
	for _, l := range logicalLines(n.Text()) {
		if !comment(l.text) && pipedShell().MatchString(l.text) {
			f.add("piped-download", sallyport.Medium, n.Line+l.at, strings.Join(strings.Fields(l.text), " "), "job %s runs what it downloads without looking at it: the far end chooses what runs here", job)
		}
	}
}

// runner judges where the job runs.
func (j *job) runner() {
	n := j.node.Get("runs-on")
	self := false
	for _, w := range append(list(n), list(n.Get("labels"))...) {
		self = self || strings.Contains(strings.ToLower(w), "self-hosted")
	}
	if n.Get("group") != nil {
		self = true
	}
	event, ok := j.f.has(strangers)
	if !ok {
		event, ok = j.f.has(forks)
	}
	if !self || !ok {
		return
	}
	severity := sallyport.High
	if guard := j.node.Get("if").Text(); forks[event] && (strings.Contains(guard, "head.repo.full_name") || strings.Contains(guard, "head.repo.fork")) {
		severity = sallyport.Medium
	}
	j.f.add("self-hosted-fork", severity, n.Line, j.name, "job %s runs on a machine of your own and is started by %s: a stranger's code stays there after the run", quoted(j.name), event)
}

// inherits judges secrets that a called workflow is given.
func (j *job) inherits(u *strict.Node, strange bool) {
	s := j.node.Get("secrets")
	if !strings.EqualFold(strings.TrimSpace(s.Text()), "inherit") {
		return
	}
	severity, why := sallyport.Medium, ""
	switch {
	case agentName().MatchString(u.Text()) || agentName().MatchString(j.name):
		severity, why = sallyport.High, ", which seems to run an agent"
	case !strings.HasPrefix(u.Text(), "./"):
		severity, why = sallyport.High, " of another repository"
	case strange:
		severity, why = sallyport.High, " in a run that strangers start"
	}
	j.f.add("secrets-inherited", severity, s.Line, j.name, "job %s hands every secret of the repository to the workflow %s%s", quoted(j.name), quoted(u.Text()), why)
}

// modelKeys are names of secrets that an agent needs for its model or for the forge.
var modelKeys = lazily(`^(?:github_token|gh_token|.*(?:anthropic|claude|openai|codex|gemini|copilot|openrouter|mistral|groq|xai|deepseek|cohere|bedrock|vertex|azure_ai|azure_openai|huggingface|hf_|cursor|amp_|factory|augment|qwen|dashscope|llm|litellm|ollama|google_api|google_ai).*)$`)

// secretsOf notes the secrets that a map hands over. Of a step's, only those of an agent's count
// as an agent's; what the whole job is given reaches every step.
func (j *job) secretsOf(n *strict.Node, agent bool) {
	for _, p := range pairs(n) {
		for _, v := range list(p.Value) {
			for _, e := range exprs(v) {
				for _, path := range flows(e) {
					name, ok := strings.CutPrefix(path, "secrets.")
					if !ok {
						continue
					}
					if j.secrets == nil {
						j.secrets = map[string]int{}
					}
					if n == j.node.Get("env") || agent {
						name = "*" + name // within the agent's reach
					}
					if j.secrets[name] == 0 {
						j.secrets[name] = p.Line
					}
				}
			}
		}
	}
}

// agentRules judges a job that runs an agent.
func (j *job) agentRules(event string, strange bool) {
	if j.agent == nil {
		return
	}
	f, name := j.f, quoted(j.name)
	j.secretsOf(f.root.Get("env"), true)
	for s, line := range j.secrets {
		if key, ok := strings.CutPrefix(s, "*"); ok && !modelKeys().MatchString(key) {
			f.add("agent-secrets", sallyport.High, line, key, "the agent of job %s is given the secret %s beside its model's key: text that it reads can have it sent away", name, quoted(strings.ToUpper(key)))
		}
	}
	if strange {
		f.add("agent-untrusted", sallyport.Medium, j.agentLine, j.name, "job %s runs an agent when %s happens, which people who may not write here can cause", name, event)
	}
}

var releaseWord = lazily(`(?i)(?:^|[^a-z])(?:release|publish|deploy|deployment|prod|production|npm|pypi|crates|registry|ship)(?:[^a-z]|$)`)

var registrySecret = lazily(`(?:npm|pypi|twine|cargo|crates|docker|ghcr|quay|registry|gpg|sign|cosign|maven|ossrh|sonatype|nuget|gem|release|deploy|publish|vsce|ovsx|artifactory|aws_|gcp_|azure_|kube|pat$|_pat_)`)

var publishing = []string{
	"pypa/gh-action-pypi-publish", "js-devtools/npm-publish", "softprops/action-gh-release", "ncipollo/release-action", "goreleaser/goreleaser-action", "changesets/action",
	"googleapis/release-please-action", "google-github-actions/release-please", "cycjimmy/semantic-release-action", "docker/login-action", "actions/attest", "actions/deploy-pages",
	"peaceiris/actions-gh-pages", "rubygems/release-gem", "katyo/publish-crates", "crazy-max/ghaction-docker", "aws-actions/configure-aws-credentials", "google-github-actions/auth",
	"azure/login", "sigstore/cosign-installer", "crazy-max/ghaction-import-gpg", "haaLeo/publish-vscode-extension", "gradle-build-action/publish",
}

func publishAction(uses string) bool {
	return slices.ContainsFunc(publishing, func(p string) bool { return strings.HasPrefix(uses, strings.ToLower(p)) })
}

// releases reports whether the job can publish, and how that is seen.
func (j *job) releases() (string, bool) {
	env := j.node.Get("environment")
	envName := env.Text()
	if envName == "" {
		envName = env.Get("name").Text()
	}
	switch {
	case j.publishes:
		return "publishes", true
	case j.may("id-token"):
		return "holds id-token: write", true
	case releaseWord().MatchString(envName):
		return "runs in the environment " + quoted(envName), true
	}
	for s := range j.secrets {
		if registrySecret().MatchString(strings.TrimPrefix(s, "*")) {
			return "holds a registry's secret", true
		}
	}
	return "", false
}

// runsAnyway finds conditions under which a step runs although one before it failed.
var runsAnyway = lazily(`(?i)(?:\balways\s*\(|!\s*cancelled\s*\(|!\s*success\s*\(|\bfailure\s*\()`)

// regardless judges a step that publishes whatever came before it.
func (j *job) regardless(s *step) {
	for _, n := range []*strict.Node{s.node, j.node} {
		if c := n.Get("if"); runsAnyway().MatchString(c.Text()) {
			j.f.add("publish-regardless", sallyport.High, c.Line, j.name, "job %s publishes even if a step or job before it failed", quoted(j.name))
			return
		}
	}
}

// A cacheUse is one step that restores or saves a cache.
type cacheUse struct {
	line  int
	what  string
	plain bool // the file says so; else it is the action's default
}

var cacheOff = lazily(`(?i)^\s*(?:false|no|never|off|none|''|"")?\s*$`)

// cacheOf notes what the step does with the forge's cache.
func (j *job) cacheOf(s *step) {
	get := func(key string) (string, bool) {
		n := inputNode(s.with, key)
		return n.Text(), n != nil
	}
	note := func(plain bool) { j.caches = append(j.caches, cacheUse{s.line, quoted(s.uses), plain}) }
	on := func(key string, byDefault bool) {
		v, ok := get(key)
		switch {
		case ok && !cacheOff().MatchString(v):
			note(true)
		case !ok && byDefault:
			note(false)
		}
	}
	switch {
	case s.uses == "actions/cache" || s.uses == "actions/cache/restore" || s.uses == "actions/cache/save", strings.HasPrefix(s.uses, "buildjet/cache"), strings.HasPrefix(s.uses, "useblacksmith/cache"), strings.HasPrefix(s.uses, "runs-on/cache"):
		note(true)
	case s.uses == "actions/setup-node", s.uses == "actions/setup-python", s.uses == "actions/setup-java", s.uses == "actions/setup-dotnet", s.uses == "pnpm/action-setup":
		on("cache", false)
	case s.uses == "actions/setup-go":
		on("cache", true)
	case s.uses == "astral-sh/setup-uv":
		on("enable_cache", true)
	case s.uses == "swatinem/rust-cache", s.uses == "mozilla-actions/sccache-action", s.uses == "cachix/cachix-action", s.uses == "hendrikmuhs/ccache-action", s.uses == "nix-community/cache-nix-action":
		note(true)
	case s.uses == "ruby/setup-ruby":
		on("bundler_cache", false)
	case strings.HasPrefix(s.uses, "gradle/actions/setup-gradle"), s.uses == "gradle/gradle-build-action":
		if v, ok := get("cache_disabled"); !ok || !strings.EqualFold(strings.TrimSpace(v), "true") {
			note(false)
		}
	case s.uses == "docker/build-push-action", s.uses == "docker/bake-action":
		if v, _ := get("cache_from"); strings.Contains(v, "gha") {
			note(true)
		}
	}
}

// cacheRules judges caches: what a stranger's run leaves in one, a release must not take out.
func (j *job) cacheRules(event string, strange bool) {
	how, releases := j.releases()
	for _, c := range j.caches {
		severity := sallyport.Medium
		if c.plain {
			severity = sallyport.High
		}
		if releases {
			j.f.add("release-cache", severity, c.line, c.what, "job %s %s and restores a cache (%s): a run that others can start may have filled it", quoted(j.name), how, c.what)
		}
		if strange {
			if !j.checkout && j.agent == nil && event != "pull_request_target" && event != "workflow_run" {
				severity = sallyport.Medium
			}
			j.f.add("untrusted-cache", severity, c.line, c.what, "job %s is started by %s and shares the default branch's cache (%s): what a stranger has it leave there, later runs take out", quoted(j.name), event, c.what)
		}
	}
}
