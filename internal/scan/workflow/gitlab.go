package workflow

import (
	"bytes"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// gitlabText are GitLab's variables that hold what an author wrote: 2 for text of any kind, 1 for
// names of refs, which have no spaces and come from people who may push.
var gitlabText = map[string]int{
	"CI_COMMIT_MESSAGE": 2, "CI_COMMIT_TITLE": 2, "CI_COMMIT_DESCRIPTION": 2, "CI_COMMIT_AUTHOR": 2, "CI_COMMIT_TAG_MESSAGE": 2,
	"CI_MERGE_REQUEST_TITLE": 2, "CI_MERGE_REQUEST_DESCRIPTION": 2, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": 2,
	"CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME": 2, "CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY": 2, "GITLAB_USER_NAME": 2,
	"TRIGGER_PAYLOAD": 2, "AI_FLOW_INPUT": 2, "AI_FLOW_CONTEXT": 2,
	"CI_COMMIT_BRANCH": 1, "CI_COMMIT_REF_NAME": 1, "CI_COMMIT_TAG": 1, "CI_MERGE_REQUEST_LABELS": 1, "CI_MERGE_REQUEST_MILESTONE": 1,
}

// looksLikePipeline is a quick look at whether a YAML file can be part of a pipeline.
func looksLikePipeline(text []byte) bool {
	return bytes.Contains(text, []byte("script")) && scriptKey().Match(text) || bytes.IndexByte(text, '\\') >= 0 && escapedKey().Match(text)
}

// A key may also stand behind a question mark, or be spelt with escapes.
var (
	scriptKey  = lazily(`(?:^|[^a-zA-Z])script["']?[ \t]*:|(?m:^)[ \t-]*\?\s+["']?[a-z_]*script`)
	escapedKey = lazily(`"[^"\n]*\\[^"\n]*"[ \t]*:`)
)

// notJobs are keys of a pipeline that name no job.
var notJobs = set("stages variables include default workflow image services cache before_script after_script hooks spec pages_")

// isPipeline reports whether a document of the file, or a map of one, looks like a job or like a
// part that jobs take up.
func (f *file) isPipeline() bool {
	for _, d := range f.docs {
		if d.Kind != strict.MapNode {
			continue
		}
		if runs(d) {
			return true
		}
		for _, p := range d.Pairs {
			if (!notJobs[p.Key] || p.Key == "default") && runs(p.Value) {
				return true
			}
		}
	}
	return false
}

// commands returns what a job, or a part of one, gives to a shell, in the order in which it runs.
func commands(n *strict.Node) []*strict.Node {
	return []*strict.Node{n.Get("hooks").Get("pre_get_sources_script"), n.Get("before_script"), n.Get("script"), n.Get("after_script")}
}

// runs reports whether n gives anything to a shell.
func runs(n *strict.Node) bool {
	return slices.ContainsFunc(commands(n), func(c *strict.Node) bool {
		return c != nil && (c.Kind == strict.SeqNode || c.Kind == strict.ScalarNode)
	})
}

// gitlab runs the rules for a pipeline, or a part of one.
func (f *file) gitlab() {
	f.includes()
	f.debug()
	vars := map[string]taint{}
	for name, level := range gitlabText {
		vars[name] = taint{level, name}
	}
	// A variable that any job sets from such text is followed in all of them: jobs extend each
	// other, and across files.
	for range 3 {
		for _, n := range f.variables() {
			for _, p := range pairs(n) {
				text := p.Value.Text()
				if text == "" {
					text = p.Value.Get("value").Text()
				}
				for _, u := range usesIn(logicalLine{text, 0}, true) {
					if t := vars[u.name]; t.level > vars[p.Key].level {
						vars[p.Key] = taint{t.level, quoted(p.Key) + " (" + t.what + ")"}
					}
				}
			}
		}
	}
	top := &glJob{f: f, name: "default", node: f.root, vars: vars}
	top.images()
	top.scripts()
	if d := f.root.Get("default"); d != nil {
		j := &glJob{f: f, name: "default", node: d, vars: vars}
		j.images()
		j.scripts()
	}
	for _, p := range f.root.Pairs {
		if notJobs[p.Key] || p.Value.Kind != strict.MapNode {
			continue
		}
		j := &glJob{f: f, name: p.Key, node: p.Value, vars: vars}
		j.images()
		j.scripts()
		j.rules()
	}
}

// variables returns every map of variables: the pipeline's, the jobs', and those of rules.
func (f *file) variables() []*strict.Node {
	var out []*strict.Node
	add := func(n *strict.Node) {
		if v := n.Get("variables"); v != nil && v.Kind == strict.MapNode {
			out = append(out, v)
		}
		if r := n.Get("rules"); r != nil {
			for _, i := range r.Items {
				if v := i.Get("variables"); v != nil {
					out = append(out, v)
				}
			}
		}
	}
	add(f.root)
	add(f.root.Get("workflow"))
	for _, p := range f.root.Pairs {
		add(p.Value)
	}
	return out
}

// includes judges what other pipelines are taken in.
func (f *file) includes() {
	n := f.root.Get("include")
	if n == nil {
		return
	}
	items := n.Items
	if n.Kind != strict.SeqNode {
		items = []*strict.Node{n}
	}
	for _, i := range items {
		switch {
		case strings.Contains(i.Text(), "://"):
			f.add("unpinned-include", sallyport.High, i.Line, i.Text(), "the pipeline includes %s by its address alone: the far end chooses what runs here", quoted(i.Text()))
		case i.Get("remote") != nil && i.Get("integrity").Text() == "":
			r := i.Get("remote")
			f.add("unpinned-include", sallyport.High, r.Line, r.Text(), "the pipeline includes %s without its digest (integrity): the far end chooses what runs here", quoted(r.Text()))
		case i.Get("project") != nil && !fullCommit().MatchString(strings.ToLower(i.Get("ref").Text())):
			p := i.Get("project")
			f.add("unpinned-include", sallyport.Medium, p.Line, p.Text(), "the pipeline includes a file of %s by a name and not by a full commit: whoever may move that name runs other code here", quoted(p.Text()))
		case i.Get("component") != nil:
			c := i.Get("component")
			_, ref, _ := strings.Cut(c.Text(), "@")
			if !fullCommit().MatchString(strings.ToLower(ref)) {
				f.add("unpinned-include", sallyport.Medium, c.Line, c.Text(), "the pipeline includes the component %s by a name and not by a full commit", quoted(c.Text()))
			}
		}
	}
}

func (f *file) debug() {
	walk(f.root, "", func(key string, n *strict.Node) {
		if (key == "CI_DEBUG_TRACE" || key == "CI_DEBUG_SERVICES") && strings.EqualFold(strings.TrimSpace(n.Value), "true") {
			f.add("debug-trace", sallyport.High, n.Line, key, "%s writes every variable of the job, secrets included, to its log", key)
		}
	})
}

// A glJob is one job of a pipeline while its rules run.
type glJob struct {
	f         *file
	name      string
	node      *strict.Node
	vars      map[string]taint
	agent     bool
	publishes bool
}

func (j *glJob) images() {
	each := func(n *strict.Node) {
		if n.Text() == "" {
			n = n.Get("name")
		}
		if n.Text() != "" && !strings.Contains(n.Text(), "$") {
			j.f.image(n, n.Text())
		}
	}
	each(j.node.Get("image"))
	if s := j.node.Get("services"); s != nil && s.Kind == strict.SeqNode {
		for _, i := range s.Items {
			each(i)
		}
	}
}

// scripts judges what the job gives to a shell, all of it together: its parts run one after the
// other in one shell.
func (j *glJob) scripts() {
	var text strings.Builder
	var lines []int // of the file, by line of text
	var collect func(n *strict.Node)
	collect = func(n *strict.Node) {
		switch {
		case n == nil || n.Tag == "!reference": // what is referred to is judged where it stands
		case n.Kind == strict.SeqNode:
			for _, i := range n.Items {
				collect(i)
			}
		case n.Kind == strict.ScalarNode:
			for i, l := range strings.Split(strings.TrimRight(n.Value, "\n"), "\n") {
				text.WriteString(l + "\n")
				at := n.Line
				if n.Block {
					at += i
				}
				lines = append(lines, at)
			}
		}
	}
	for _, c := range commands(j.node) {
		collect(c)
	}
	script := text.String()
	if script == "" {
		return
	}
	at := func(i int) int { return lines[min(i, len(lines)-1)] }
	name := quoted(j.name)
	j.agent = agentCommand().MatchString(script)
	j.publishes = publishes().MatchString(script)
	vars := tainted(script, j.vars)
	var worst taint
	worstLine := 0
	for _, u := range varUses(script) {
		t := vars[u.name]
		if t.level == 0 || u.single {
			continue
		}
		if t.level > worst.level {
			worst, worstLine = t, at(u.line)
		}
		before, _, _ := strings.Cut(strings.ReplaceAll(u.text, "${", "$"), "$"+u.name)
		switch {
		case interpreter().MatchString(before):
			j.f.add("script-injection", t.severity(), at(u.line), "eval "+u.name, "$%s holds %s and is run as program text in job %s", quoted(u.name), t.what, name)
		case u.bare && t.level > 1:
			j.f.add("unquoted-text", sallyport.Medium, at(u.line), u.name, "$%s holds %s and stands outside quotation marks in job %s: the shell splits it into options and file names", quoted(u.name), t.what, name)
		}
	}
	if j.agent && worst.level > 0 {
		j.f.add("prompt-injection", worst.severity(), worstLine, worst.what, "job %s starts an agent and gives it %s: whoever writes that text instructs the agent", name, worst.what)
	}
	for _, l := range logicalLines(script) {
		if !comment(l.text) && pipedShell().MatchString(l.text) {
			j.f.add("piped-download", sallyport.Medium, at(l.at), strings.Join(strings.Fields(l.text), " "), "job %s runs what it downloads without looking at it: the far end chooses what runs here", name)
		}
	}
}

// rules judges the job as a whole.
func (j *glJob) rules() {
	name := quoted(j.name)
	env := j.node.Get("environment")
	envName := env.Text()
	if envName == "" {
		envName = env.Get("name").Text()
	}
	releases := j.publishes || j.node.Get("release") != nil || releaseWord().MatchString(envName) || j.node.Get("id_tokens") != nil && !j.agent
	if j.agent {
		for _, key := range []string{"id_tokens", "secrets"} {
			if n := j.node.Get(key); n != nil {
				j.f.add("agent-secrets", sallyport.High, n.Line, key, "job %s runs an agent and is given %s: text that it reads can have them sent away", name, key)
			}
		}
	}
	caches := []*strict.Node{j.node.Get("cache"), j.f.root.Get("cache"), j.f.root.Get("default").Get("cache")}
	for _, c := range caches {
		if c == nil {
			continue
		}
		items := []*strict.Node{c}
		if c.Kind == strict.SeqNode {
			items = c.Items
		}
		for _, i := range items {
			if !releases || i.Kind != strict.MapNode || i.Get("policy").Text() == "push" {
				continue
			}
			severity, why := sallyport.Medium, ""
			if strings.EqualFold(strings.TrimSpace(i.Get("unprotect").Text()), "true") {
				severity, why = sallyport.High, " that jobs of unprotected branches write as well"
			}
			j.f.add("release-cache", severity, i.Line, j.name, "job %s publishes and restores a cache%s", name, why)
		}
		break // the nearest one is in force
	}
	if releases {
		always := strings.EqualFold(j.node.Get("when").Text(), "always")
		line := j.node.Get("when")
		if r := j.node.Get("rules"); r != nil {
			for _, i := range r.Items {
				if strings.EqualFold(i.Get("when").Text(), "always") {
					always, line = true, i.Get("when")
				}
			}
		}
		if always {
			j.f.add("publish-regardless", sallyport.High, line.Line, j.name, "job %s publishes even if a job before it failed", name)
		}
	}
}
