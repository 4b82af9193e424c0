package hook

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/hook/shell"
)

// link remembers the links that a line makes, so that what it does through one is known for what it is. To give
// something in the repository another name counts as changing it: that is how it would be changed in the next call.
func (f *facts) link(args, rest []shell.Word) {
	if len(rest) == 0 {
		return
	}
	targets, at := rest, "."
	if into := slices.IndexFunc(args, func(w shell.Word) bool { return w.Text == "-t" || w.Text == "--target-directory" }); into >= 0 && into+1 < len(args) {
		at = args[into+1].Text
	} else if len(rest) > 1 {
		targets, at = rest[:len(rest)-1], rest[len(rest)-1].Text
	}
	for _, t := range targets {
		name := f.absolute(at)
		for _, n := range []string{name, filepath.Join(name, path.Base(t.Text))} { // a link, or a folder to hold it
			was := f.dir
			f.dir = filepath.Dir(n)
			to := f.absolute(t.Text)
			f.dir = was
			if f.links == nil {
				f.links = map[string]string{}
			}
			if n != to && n != f.place.Root && !strings.HasPrefix(f.place.Root, n+"/") && len(f.links) < maxFacts {
				f.links[n] = to
			}
			for _, p := range f.paths(shell.Word{Text: to, Dynamic: t.Dynamic}) {
				if p.By = "ln"; p.Inside {
					f.in.Writes = append(f.in.Writes, p)
				}
			}
		}
		f.read("ln", t)
	}
}

// through is where a path leads by the links that the line has made.
func (f *facts) through(p string) string {
	for range 10 {
		again := false
		for at := p; at != "/" && at != "."; at = filepath.Dir(at) {
			if to, ok := f.links[at]; ok {
				p, again = filepath.Join(to, strings.TrimPrefix(p, at)), true
				break
			}
		}
		if !again {
			break
		}
	}
	return p
}

// unclear says what of the call cannot be told.
func (f *facts) unclear(why string) {
	if !slices.Contains(f.in.Unclear, why) && len(f.in.Unclear) < 40 {
		f.in.Unclear = append(f.in.Unclear, why)
	}
}

// whole says that a folder is written of which everything that governs is a part.
func (f *facts) whole(by string, w shell.Word) {
	for _, p := range f.paths(w) {
		if root := f.place.Root; p.Inside && p.Path == "." || !p.Inside && root != "" && strings.HasPrefix(root+"/", strings.TrimSuffix(p.Path, "/")+"/") {
			f.unclear(by + " writes the whole folder, and what it puts there is not looked at")
			return
		}
	}
}

// copied reads a copy of folders: what is in them is not known.
func (f *facts) copied(by string, rest []shell.Word) {
	if len(rest) < 2 {
		return
	}
	to := rest[len(rest)-1]
	for _, from := range rest[:len(rest)-1] {
		base := path.Base(from.Text)
		w := shell.Word{Text: to.Text + "/" + base, Dynamic: to.Dynamic || from.Dynamic}
		if base == "." || base == ".." || strings.HasSuffix(from.Text, "/") && by == "rsync" {
			w = to
		}
		f.write(by, w, false, true)
		f.whole(by, w)
	}
}

// brought reads git checkout TREE PATHS and git restore --source TREE PATHS, which put there what another commit has.
func (f *facts) brought(verb string, options []string, args, rest []shell.Word) {
	source := false
	paths := rest
	if verb == "restore" {
		for i, a := range args {
			option, _, inline := strings.Cut(a.Text, "=")
			if strings.HasPrefix(a.Text, "-s") || len(option) > 3 && strings.HasPrefix("--source", option) {
				source = true
				if !inline && (a.Text == "-s" || option != a.Text || strings.HasPrefix(a.Text, "--")) && i+1 < len(args) {
					paths = slices.DeleteFunc(slices.Clone(rest), func(w shell.Word) bool { return w == args[i+1] })
				}
			}
		}
	} else if len(rest) > 1 && !has(options, "bB", "--orphan") {
		// checkout -- PATHS takes them from the index; a word before -- is a commit.
		if source = len(args) > 0 && args[0].Text != "--"; source {
			paths = rest[1:]
		}
	}
	if !source {
		return
	}
	for _, w := range paths {
		f.write("git", w, false, true)
		f.whole("git", w)
	}
}

// governing are places of which find -delete would remove one if its pattern of a name matches.
var governing = []string{
	".git", ".git/config", ".git/HEAD", ".git/hooks", ".git/hooks/pre-commit", ".git/hooks/pre-push", ".git/hooks/commit-msg",
	".git/info", ".git/info/attributes", ".git/objects", ".git/refs", ".sallyport", ".sallyport/policy", ".claude/settings.json",
	".codex/hooks.json", ".gemini/settings.json", ".cursor/hooks.json", ".github/hooks/sallyport.json",
}

// byName reads find START -name PATTERN -delete.
func (f *facts) byName(args []shell.Word, start shell.Word) {
	for i, a := range args {
		if a.Text != "-name" && a.Text != "-iname" || i+1 >= len(args) {
			continue
		}
		for _, g := range governing {
			if ok, err := path.Match(strings.ToLower(args[i+1].Text), strings.ToLower(path.Base(g))); !ok && err == nil {
				continue
			}
			// Where the search starts above it, or in the folder that holds it.
			if at := f.absolute(start.Text); f.place.Root != "" {
				if _, within := below(at, filepath.Join(f.place.Root, g)); within {
					f.write("find", shell.Word{Text: filepath.Join(f.place.Root, g)}, true, true)
				}
			}
		}
	}
}
