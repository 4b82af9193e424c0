// Package workflow reads CI definitions and says what in them an attacker would be glad of.
//
// It reads workflows and composite actions of GitHub Actions (and of Forgejo and Gitea, which
// take the same language), pipelines of GitLab CI with the local files that they include, and,
// line by line, scripts and the settings of agents. [Rules] lists what it looks for; docs/scans.md
// is that list for people.
//
// [Scan] is given one file and returns hits. It follows text that strangers write (titles, bodies,
// comments, branch names, commit messages) from where the event holds it through env, shell
// variables, step and job outputs to where it is run by a shell or read by a model. It evaluates
// no condition: a step behind an "if" counts like any other, since what the condition is worth
// is nothing that a reader of one file can tell.
//
// What is new in a change is told by [New]: the hits of the new content without those of the old,
// matched by rule, severity and what was found, not by line. An action that nobody pinned years
// ago is not a finding of today's change; the day on which a trigger is added that lets strangers
// start it, is.
//
// What is not seen: a file that a script writes and a later step reads, text that reaches a script
// through a program of the repository's own, an action's inside, and names that are put together
// at run time. A definition that cannot be parsed is an error, and its caller says "unscanned".
//
// The package holds no state; its functions are safe for concurrent use. It follows GitHub's
// "Workflow syntax" and "Evaluate expressions" references, and GitLab's "CI/CD YAML syntax".
package workflow

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// MaxSize is the most that a CI definition may weigh, in bytes. GitHub takes half of it.
const MaxSize = 1 << 20

// A Kind says how a file is read.
type Kind int

// The kinds of file.
const (
	None         Kind = iota
	GitHub            // a workflow, or an action
	GitLab            // a pipeline, or a part of one, by its name
	MaybeGitLab       // any other YAML, which is read only if it looks like a pipeline
	Script            // runs: scripts, build files, package manifests
	AgentSetting      // is read by an agent as settings
	Prose             // is read by an agent, or by people, as text
	Source            // program text
)

// KindOf returns how the file at p is read. The path is in the folded form in which classes are
// matched: small letters, forward slashes.
func KindOf(p string, agentConfig bool) Kind {
	full, base := "/"+p, path.Base(p)
	ext := path.Ext(base)
	yaml := ext == ".yml" || ext == ".yaml"
	in := func(dirs ...string) bool {
		return slices.ContainsFunc(dirs, func(d string) bool { return strings.Contains(full, d) })
	}
	switch {
	case yaml && in("/.github/workflows/", "/.forgejo/workflows/", "/.gitea/workflows/"), base == "action.yml", base == "action.yaml":
		return GitHub
	case yaml && (strings.HasSuffix(base, ".gitlab-ci"+ext) || in("/.gitlab/ci/", "/.gitlab-ci/")):
		return GitLab
	case agentConfig && (ext == ".md" || ext == ".mdc" || ext == ".txt" || ext == ".mdx"):
		return Prose
	case agentConfig:
		return AgentSetting
	case yaml:
		return MaybeGitLab
	case scriptNames[base], scriptExts[ext], strings.HasPrefix(base, "dockerfile"), strings.HasPrefix(base, "jenkinsfile"), in("/.husky/", "/.githooks/", "/.git-hooks/"):
		return Script
	case sourceExts[ext]:
		return Source
	}
	return None
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

var (
	scriptNames = set("makefile gnumakefile containerfile justfile .justfile package.json procfile crontab rakefile .envrc tasks.json launch.json devcontainer.json")
	scriptExts  = set(".sh .bash .zsh .fish .ksh .ps1 .psm1 .bat .cmd .mk .dockerfile")
	sourceExts  = set(".js .mjs .cjs .jsx .ts .mts .cts .tsx .py .rb .pl .php .go .rs .java .kt .kts .cs .swift .lua .ex .exs .groovy .gradle .c .cc .cpp .h .pth .scala .dart .r .jl")
)

// A Hit is one thing that a rule saw.
type Hit struct {
	Rule     string
	Severity sallyport.Severity
	Line     int
	Text     string // one sentence, safe to print
	Key      string // tells it from other hits of the rule; the same when it moves to another line
}

// Scan reads one file of the given kind. The error says why it could not be read whole; it
// is nil for a [MaybeGitLab] that does not look like a definition. The rules run over every document of a
// file: which of them a forge takes is its own affair.
func Scan(kind Kind, text []byte) ([]Hit, error) {
	var hits []Hit
	switch kind {
	case GitHub, GitLab:
		f, err := parse(text)
		if err != nil {
			return nil, err
		}
		if err := f.onlyMaps(); err != nil {
			return nil, err
		}
		if kind == GitHub {
			f.each(f.github)
		} else {
			f.each(f.gitlab)
		}
		hits = f.hits
	case MaybeGitLab:
		if looksLikePipeline(text) {
			f, err := parse(text)
			if err != nil {
				return nil, err // a forge's reader may be more lenient, and run it
			}
			if f.isPipeline() {
				f.each(f.gitlab)
				hits = f.hits
				kind = GitLab
			}
		}
	}
	hits = append(hits, unguarded(kind, text)...)
	if len(hits) >= maxHits {
		return nil, fmt.Errorf("it gives %d findings or more, behind which others could hide", maxHits)
	}
	slices.SortStableFunc(hits, func(a, b Hit) int {
		return cmp.Or(a.Line-b.Line, strings.Compare(a.Rule, b.Rule))
	})
	return hits, nil
}

// New returns the hits of now without those of before. A hit that stands three times and stood
// twice is new once, at its last place.
func New(before, now []Hit) []Hit {
	type what struct{ rule, severity, key string }
	had := map[what]int{}
	for _, h := range before {
		had[what{h.Rule, string(h.Severity), h.Key}]++
	}
	var out []Hit
	for _, h := range now {
		k := what{h.Rule, string(h.Severity), h.Key}
		if had[k] > 0 {
			had[k]--
			continue
		}
		out = append(out, h)
	}
	return out
}

// A file is one definition while its rules run.
type file struct {
	lines []string
	docs  []*strict.Node
	root  *strict.Node // the document whose rules run
	hits  []Hit
	seen  map[string]bool
}

func parse(text []byte) (*file, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	docs, err := strict.YAMLNodes(text, MaxSize)
	if err != nil {
		return nil, err
	}
	return &file{lines: strings.Split(string(text), "\n"), docs: docs, root: docs[0], seen: map[string]bool{}}, nil
}

// onlyMaps refuses a definition with a document that is neither a map nor empty, or with no map.
func (f *file) onlyMaps() error {
	maps := 0
	for _, d := range f.docs {
		switch d.Kind {
		case strict.MapNode:
			maps++
		case strict.NullNode:
		default:
			return fmt.Errorf("line %d: the definition is no map", d.Line)
		}
	}
	if maps == 0 {
		return fmt.Errorf("line %d: the definition is no map", f.docs[0].Line)
	}
	return nil
}

// each runs rules once for each document that is a map.
func (f *file) each(rules func()) {
	for _, d := range f.docs {
		if d.Kind == strict.MapNode {
			f.root = d
			rules()
		}
	}
}

// add notes a hit. The same thing is told once for each line.
func (f *file) add(rule string, severity sallyport.Severity, line int, key, format string, args ...any) {
	at := fmt.Sprintf("%s\x00%d\x00%s", rule, line, key)
	if f.seen[at] || len(f.hits) >= maxHits {
		return
	}
	f.seen[at] = true
	f.hits = append(f.hits, Hit{Rule: rule, Severity: severity, Line: max(1, line), Key: key, Text: fmt.Sprintf(format, args...)})
}

// maxHits bounds what one file may yield.
const maxHits = 2000

// place returns the line on which word stands inside the scalar n, or the line of n.
func (f *file) place(n *strict.Node, word string) int {
	if n == nil {
		return 1
	}
	last := n.Line + strings.Count(n.Value, "\n") + 1
	if !n.Block {
		last = n.Line + len(n.Value)/40 + 8 // a plain or quoted scalar that goes on over lines
	}
	for i := n.Line; i <= last && i <= len(f.lines); i++ {
		if strings.Contains(f.lines[i-1], word) {
			return i
		}
	}
	return n.Line
}

// quoted makes what the author wrote safe to print, and short.
func quoted(s string) string {
	if i := strings.Index(s, "://"); i >= 0 {
		if j := strings.LastIndexByte(s, '@'); j > i && !strings.Contains(s[j:], "sha256") {
			s = s[:i+3] + "…" + s[j:] // what stands before the @ may be a password
		}
	}
	r := []rune(s)
	if len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	for _, c := range s {
		if c < 0x20 || c > 0x7e && c != '…' || c == '"' || c == '\\' {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// list returns the words of a scalar or of a list of scalars.
func list(n *strict.Node) []string {
	switch {
	case n == nil:
		return nil
	case n.Kind == strict.ScalarNode:
		return []string{n.Value}
	}
	var out []string
	for _, i := range n.Items {
		out = append(out, list(i)...)
	}
	return out
}

// walk calls fn for every scalar below n, with the key that it stands under.
func walk(n *strict.Node, key string, fn func(key string, n *strict.Node)) {
	if n == nil {
		return
	}
	switch n.Kind {
	case strict.ScalarNode:
		fn(key, n)
	case strict.SeqNode:
		for _, i := range n.Items {
			walk(i, key, fn)
		}
	case strict.MapNode:
		for _, p := range n.Pairs {
			walk(p.Value, p.Key, fn)
		}
	}
}
