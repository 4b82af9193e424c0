package scan

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/words"
)

// The classes of files.
const (
	ClassBuild       = "build"        // says how the software is built, or runs while it is
	ClassDeploy      = "deploy"       // says what runs where
	ClassCI          = "ci"           // runs in CI, or in git's hooks
	ClassDependency  = "dependency"   // names what the software is built from
	ClassLockfile    = "lockfile"     // pins it
	ClassAgentConfig = "agent-config" // is read by coding agents as instructions, tools or settings
	ClassPolicy      = "policy"       // says who must review what
	ClassBinary      = "binary"
	ClassGenerated   = "generated"
)

// Classify returns the classes of the file at p, sorted. Mode is git's octal form; content may be
// nil. All of it counts where [classDependsOnContent]: a manifest may begin anywhere in its file.
// Of other files the start is enough.
//
// A path is matched in every spelling that a file system may take for the same: without regard
// to case, with the trailing dots and spaces that Windows drops, the ignorable code points that
// macOS drops, full-width and compatibility forms of ASCII letters, and backslashes as slashes. A
// symbolic link or a submodule has the classes of its own path, and those of what a folder there
// would hold, since whoever reads .claude/settings.json follows a link that is called .claude. A
// link is also of the class agent-config or policy if its target is.
func Classify(p sallyport.Path, mode string, content []byte) []string {
	name := fold(string(p))
	classes := classesOf(name)
	switch mode {
	case modeSymlink:
		classes = append(classes, folderClasses(name)...)
		if len(content) > 0 && len(content) < 4096 {
			target := fold(path.Join(path.Dir(name), string(content)))
			for _, c := range append(classesOf(target), folderClasses(target)...) {
				if c == ClassAgentConfig || c == ClassPolicy {
					classes = append(classes, c)
				}
			}
		}
	case modeSubmodule:
		classes = append(classes, ClassDependency)
		classes = append(classes, folderClasses(name)...)
	default:
		classes = append(classes, contentClasses(name, content)...)
	}
	slices.Sort(classes)
	return slices.Compact(classes)
}

// A classIndex is classTable turned round, so that a path is looked up and not searched for.
type classIndex struct {
	bases, exts map[string][]string
	folders     *words.Set
	byFolder    []string // the class of each folder
	paths       []classPattern
	globs       []classPattern
}

// A classPattern is a path.Match pattern with what must stand at both ends of all that it
// matches, since few names get further than that.
type classPattern struct {
	pattern, head, tail string
	class               string
}

func newClassPattern(pattern, class string) classPattern {
	p := classPattern{pattern: pattern, class: class}
	const special = `*?[]\`
	if i := strings.IndexAny(pattern, special); i >= 0 {
		p.head = pattern[:i]
		p.tail = pattern[strings.LastIndexAny(pattern, special)+1:]
	} else {
		p.head, p.tail = pattern, pattern
	}
	if strings.Contains(pattern, `\`) {
		p.tail = "" // what follows a backslash stands for itself
	}
	return p
}

func (p *classPattern) match(name string) bool {
	if !strings.HasPrefix(name, p.head) || !strings.HasSuffix(name, p.tail) {
		return false
	}
	ok, _ := path.Match(p.pattern, name)
	return ok
}

var classesBy = sync.OnceValue(func() *classIndex {
	x := &classIndex{bases: map[string][]string{}, exts: map[string][]string{}}
	var folders []string
	for _, t := range classTable {
		for _, s := range t.bases {
			x.bases[s] = append(x.bases[s], t.class)
		}
		for _, s := range t.exts {
			x.exts[s] = append(x.exts[s], t.class)
		}
		for _, s := range t.dirs {
			folders = append(folders, s)
			x.byFolder = append(x.byFolder, t.class)
		}
		for _, s := range t.paths {
			x.paths = append(x.paths, newClassPattern(s, t.class))
		}
		for _, s := range t.globs {
			x.globs = append(x.globs, newClassPattern(s, t.class))
		}
	}
	x.folders = words.New(folders)
	return x
})

// classesOf returns the classes that the folded path alone gives, some perhaps twice.
func classesOf(name string) []string {
	x := classesBy()
	dirs, base := path.Split(name)
	full := "/" + name
	out := slices.Concat(x.bases[base], x.exts[path.Ext(base)])
	x.folders.Scan([]byte("/"+dirs), func(i, _ int) { out = append(out, x.byFolder[i]) })
	for i := range x.paths {
		if p := &x.paths[i]; strings.HasSuffix(full, p.tail) && p.match(lastElements(full, strings.Count(p.pattern, "/"))) {
			out = append(out, p.class)
		}
	}
	for i := range x.globs {
		if p := &x.globs[i]; p.match(base) {
			out = append(out, p.class)
		}
	}
	return out
}

// folderClasses returns the classes that anything in a folder of the folded name may have by its
// folders, some perhaps twice: for .github, those of .github/workflows/ too.
func folderClasses(name string) []string {
	out := classesOf(name + "/")
	full := "/" + name + "/"
	for _, t := range classTable {
		for _, patterns := range [][]string{t.dirs, t.paths} {
			if slices.ContainsFunc(patterns, func(p string) bool { return leadsInto(full, p) }) {
				out = append(out, t.class)
				break
			}
		}
	}
	return out
}

// leadsInto reports whether the last elements of folder, which is between slashes, are the first
// ones of the pattern.
func leadsInto(folder, pattern string) bool {
	for i := len(folder) - 1; i > 0; {
		i = strings.LastIndexByte(folder[:i], '/')
		if len(folder)-i < len(pattern) && strings.HasPrefix(pattern, folder[i:]) {
			return true
		}
	}
	return false
}

// lastElements returns the end of full from the n-th slash on, counted from the end, or "" if
// there are not as many.
func lastElements(full string, n int) string {
	i := len(full)
	for range n {
		if i = strings.LastIndexByte(full[:i], '/'); i < 0 {
			return ""
		}
	}
	return full[i:]
}

// fold returns the form of a path in which it is matched.
func fold(p string) string {
	var b strings.Builder
	b.Grow(len(p))
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRuneInString(p[i:])
		if r == utf8.RuneError && n <= 1 {
			b.WriteByte(p[i]) // a byte that is not UTF-8 stays what it is
			i++
			continue
		}
		i += n
		switch {
		case r == '\\':
			r = '/'
		case r >= 0xff01 && r <= 0xff5e: // full-width ASCII
			r -= 0xff01 - '!'
		case r == 0x2024: // one-dot leader
			r = '.'
		case hiddenRule(r) != "":
			continue
		}
		b.WriteRune(foldRune(r))
	}
	parts := strings.Split(b.String(), "/")
	out := parts[:0]
	for i, s := range parts {
		// An alternate data stream is its file, and Windows drops what trails.
		if j := strings.IndexByte(s, ':'); j > 0 {
			s = s[:j]
		}
		if s != "." && s != ".." {
			s = strings.TrimRight(s, ". \u00a0")
		}
		if s != "" && s != "." || i == len(parts)-1 {
			out = append(out, s)
		}
	}
	return strings.Join(out, "/")
}

// foldRune returns one rune for all runes that are equal but for case. The smallest rune of each
// orbit is an upper-case letter where there is ASCII in it, hence the lowering.
func foldRune(r rune) rune {
	least := r
	for x := unicode.SimpleFold(r); x != r; x = unicode.SimpleFold(x) {
		least = min(least, x)
	}
	return unicode.ToLower(least)
}

// A pattern is compiled when it is first matched: most changes need none or few of them.
type pattern struct {
	words []string // one of them stands in all that it matches; finding none is much quicker
	expr  string
	re    lazyRegexp
}

func (p *pattern) Match(b []byte) bool {
	for _, w := range p.words {
		if bytes.Contains(b, []byte(w)) {
			return p.re.match(p.expr, b)
		}
	}
	return len(p.words) == 0 && p.re.match(p.expr, b)
}

var (
	apiVersion = pattern{words: []string{"apiVersion"}, expr: `(?m)^["']?apiVersion["']?[ \t]*:[ \t]*["']?[a-zA-Z{]`}
	kind       = pattern{words: []string{"kind"}, expr: `(?m)^["']?kind["']?[ \t]*:[ \t]*["']?[A-Z{]`}
	ansible    = pattern{words: []string{"hosts", "import_playbook", "ansible.builtin."}, expr: `(?m)^-?[ \t]+(?:hosts|import_playbook|ansible\.builtin\.[a-z_]+)[ \t]*:`}
	cloudForm  = pattern{words: []string{"AWSTemplateFormatVersion", "Transform"}, expr: `(?m)^[ \t"']*(?:AWSTemplateFormatVersion|Transform)["']?[ \t]*:[ \t]*["']?(?:2010-09-09|AWS::)`}
	compose    = pattern{words: []string{"services"}, expr: `(?m)^services[ \t]*:`}
	image      = pattern{words: []string{"image", "build"}, expr: `(?m)^[ \t]+(?:image|build)[ \t]*:`}
	workflow   = pattern{words: []string{"jobs"}, expr: `(?m)^jobs[ \t]*:`}
	runsOn     = pattern{words: []string{"runs-on", "uses", "steps"}, expr: `(?m)^[ \t]+(?:runs-on|uses|steps)[ \t]*:`}
	action     = pattern{words: []string{"runs"}, expr: `(?m)^runs[ \t]*:`}
	generated  = pattern{expr: `(?mi)^[^\n]{0,20}(?:code generated [^\n]{0,200}do not edit|@generated\b|(?:this (?:file|code) (?:is|was) )?(?:auto-?|automatically )generated\b[^\n]{0,120}(?:do not|don't) (?:edit|modify))`}
)

// contentClasses returns the classes that the content gives.
func contentClasses(name string, content []byte) []string {
	if len(content) == 0 {
		return nil
	}
	var out []string
	switch path.Ext(name) {
	case ".yaml", ".yml", ".tpl", ".tmpl":
		switch {
		case apiVersion.Match(content) && kind.Match(content), cloudForm.Match(content), ansible.Match(content),
			compose.Match(content) && image.Match(content):
			out = append(out, ClassDeploy)
		}
		if workflow.Match(content) && runsOn.Match(content) || action.Match(content) && runsOn.Match(content) {
			out = append(out, ClassCI)
		}
	case ".json":
		out = append(out, jsonClasses(content)...)
	}
	head := head(content)
	first := head
	for n, i := 0, 0; ; n++ {
		j := bytes.IndexByte(head[i:], '\n')
		if j < 0 {
			break
		}
		if i += j + 1; n == 9 {
			first = head[:i]
			break
		}
	}
	if generated.Match(first) {
		out = append(out, ClassGenerated)
	}
	if bytes.HasPrefix(head, []byte("#!")) && len(path.Ext(name)) == 0 && strings.HasSuffix(path.Dir("/"+name), "/hooks") {
		out = append(out, ClassCI)
	}
	if bytes.IndexByte(head, 0) >= 0 && !bytes.HasPrefix(head, []byte{0xff, 0xfe}) && !bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		out = append(out, ClassBinary)
	}
	return out
}

// jsonClasses looks at the names of the outermost object only. A document that
// is cut short, or that is none, has the classes of what was seen.
func jsonClasses(content []byte) []string {
	dec := json.NewDecoder(bytes.NewReader(content))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			break
		}
		seen[key] = true
		var skip json.RawMessage
		if dec.Decode(&skip) != nil {
			break
		}
	}
	var out []string
	if seen["apiVersion"] && seen["kind"] || seen["AWSTemplateFormatVersion"] || seen["taskDefinition"] || seen["containerDefinitions"] {
		out = append(out, ClassDeploy)
	}
	if seen["mcpServers"] {
		out = append(out, ClassAgentConfig)
	}
	return out
}
