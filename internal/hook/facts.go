package hook

import (
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/hook/shell"
)

// A Place is where a tool call happens, for reading the paths in it.
type Place struct {
	Root string // of the repository; empty: there is none
	Home string
	// Look returns what a path really is: with links followed as far as it exists, and with wildcards
	// replaced by what they match. Nil: it is not looked at.
	Look     func(path string) []string
	Confined bool
}

// maxFacts bounds each list of a tool call's input.
const maxFacts = 3000

// Facts says what a tool call is about to do, for policy to judge. It fails if a command line cannot be read.
func Facts(ev Event, p Place, now time.Time) (sallyport.ToolInput, error) {
	f := facts{place: p, dir: ev.Dir, in: sallyport.ToolInput{
		Version: "v1", Gate: sallyport.GateTool, Time: now.UTC().Format(time.RFC3339), Mode: sallyport.Enforce,
		Agent: string(ev.Agent), Tool: ev.Tool, Class: string(ev.Class), Server: ev.Call.Server, Confined: p.Confined,
	}}
	if f.dir == "" {
		f.dir = p.Root
	}
	start := f.dir
	for _, line := range ev.Call.Commands {
		f.dir = start
		s, err := shell.Parse(line)
		if err != nil {
			return f.in, err
		}
		f.in.Unclear = append(f.in.Unclear, s.Unclear...)
		for _, c := range s.Commands {
			f.command(c)
		}
	}
	f.dir = start
	for _, w := range ev.Call.Writes {
		f.write(ev.Tool, shell.Word{Text: w}, false, false)
	}
	for _, r := range ev.Call.Reads {
		f.read(ev.Tool, shell.Word{Text: r})
	}
	for _, u := range ev.Call.URLs {
		f.host(u)
	}
	if n := max(len(f.in.Writes), len(f.in.Reads), len(f.in.Hosts), len(f.in.Commands)); n > maxFacts {
		f.in.Unclear = append(f.in.Unclear, "it touches more than can be listed")
		f.in.Writes, f.in.Reads, f.in.Hosts = f.in.Writes[:min(n, maxFacts, len(f.in.Writes))], f.in.Reads[:min(maxFacts, len(f.in.Reads))], f.in.Hosts[:min(maxFacts, len(f.in.Hosts))]
	}
	return f.in, nil
}

type facts struct {
	place Place
	dir   string // the working folder; empty: not known
	in    sallyport.ToolInput
	links map[string]string // that the line makes, by their absolute names
}

func (f *facts) command(c shell.Command) {
	tc := sallyport.ToolCommand{Name: c.Name(), Args: c.Args(), Env: c.Env, From: c.From, Into: c.Into, Elevated: c.Elevated}
	f.in.Commands = append(f.in.Commands, tc)
	for _, w := range c.Writes {
		f.write(tc.Name, w, false, false)
	}
	for _, r := range c.Reads {
		f.read(tc.Name, r)
	}
	args := c.Words
	if len(args) > 0 {
		args = args[1:]
	}
	f.arguments(tc.Name, args)
	f.packages(tc.Name, tc.Args)
	for _, a := range tc.Args {
		if strings.Contains(a, "://") {
			f.host(a[max(0, strings.LastIndexAny(a[:strings.Index(a, "://")], "=@ ")+1):])
		}
	}
	if tc.Name == "cd" || tc.Name == "pushd" {
		f.enter(args)
	}
}

// enter follows cd.
func (f *facts) enter(args []shell.Word) {
	args = slices.DeleteFunc(slices.Clone(args), func(w shell.Word) bool { return strings.HasPrefix(w.Text, "-") && w.Text != "-" })
	switch {
	case len(args) == 0:
		f.dir = f.place.Home
	case args[0].Dynamic || args[0].Text == "-":
		f.dir = ""
	default:
		f.dir = f.through(f.absolute(args[0].Text))
	}
}

// absolute is a path from the file system's root, or a relative one where the working folder is not known.
func (f *facts) absolute(s string) string {
	switch {
	case s == "~" || strings.HasPrefix(s, "~/"):
		return filepath.Join(f.place.Home, s[1:])
	case filepath.IsAbs(s):
		return filepath.Clean(s)
	case f.dir == "":
		return filepath.Clean(s)
	default:
		return filepath.Join(f.dir, s)
	}
}

// paths returns what a path is, and what it leads to.
func (f *facts) paths(w shell.Word) []sallyport.ToolPath {
	abs := f.absolute(w.Text)
	all := []string{abs}
	if to := f.through(abs); to != abs {
		all = append(all, to)
	}
	if f.place.Look != nil && filepath.IsAbs(abs) && !w.Dynamic {
		for _, p := range slices.Clone(all) {
			all = append(all, f.place.Look(p)...)
		}
	}
	var out []sallyport.ToolPath
	for _, p := range all {
		t := sallyport.ToolPath{Path: p, Unknown: w.Dynamic || !filepath.IsAbs(p)}
		if rel, ok := below(f.place.Root, p); ok {
			t.Path, t.Inside = rel, true
		} else if rel, ok := below(f.place.Home, p); ok {
			t.Path = path.Join("~", rel)
		}
		if !slices.ContainsFunc(out, func(o sallyport.ToolPath) bool { return o.Path == t.Path }) {
			out = append(out, t)
		}
	}
	return out
}

// below returns p relative to dir, if it is dir or lies in it.
func below(dir, p string) (string, bool) {
	if dir == "" || dir == "/" {
		return "", false
	}
	rel, err := filepath.Rel(dir, p)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false
	}
	return rel, true
}

func (f *facts) write(by string, w shell.Word, removes, tree bool) {
	for _, t := range f.paths(w) {
		t.By, t.Removes, t.Tree = by, removes, tree
		f.in.Writes = append(f.in.Writes, t)
	}
}

func (f *facts) read(by string, w shell.Word) {
	for _, t := range f.paths(w) {
		t.By = by
		f.in.Reads = append(f.in.Reads, t)
	}
}

func (f *facts) host(s string) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		f.in.Hosts = append(f.in.Hosts, "?")
		return
	}
	if h := strings.ToLower(u.Hostname()); !slices.Contains(f.in.Hosts, h) {
		f.in.Hosts = append(f.in.Hosts, h)
	}
}

// split parts options from the rest.
func split(args []shell.Word) (options []string, rest []shell.Word) {
	for i, a := range args {
		switch {
		case a.Text == "--":
			return options, append(rest, args[i+1:]...)
		case strings.HasPrefix(a.Text, "-") && len(a.Text) > 1:
			options = append(options, a.Text)
		default:
			rest = append(rest, a)
		}
	}
	return options, rest
}

// short reports whether one of the options is the short one, alone or among others, or one of the long ones.
func has(options []string, short string, long ...string) bool {
	for _, o := range options {
		name, _, _ := strings.Cut(o, "=")
		if slices.Contains(long, name) || len(o) > 1 && o[1] != '-' && short != "" && strings.Contains(o, short) {
			return true
		}
	}
	return false
}
