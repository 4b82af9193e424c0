package shell

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// commandVariables hold a command line that some program runs.
var commandVariables = []string{
	"EDITOR", "VISUAL", "PAGER", "BROWSER", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER", "GIT_EXTERNAL_DIFF", "GIT_ASKPASS",
	"SSH_ASKPASS", "GIT_PROXY_COMMAND", "MANPAGER", "LESSOPEN", "SHELL",
}

// variable reads the command line in a variable that is set to one.
func (r *reader) variable(a *syntax.Assign, depth int) error {
	if a.Name == nil || a.Value == nil || !slices.Contains(commandVariables, a.Name.Value) {
		return nil
	}
	return r.nested(r.word(a.Value), depth)
}

// readers change nothing, whichever files they are given. What xargs gives to any other program is unclear.
var readers = []string{
	"cat", "ls", "grep", "egrep", "fgrep", "rg", "wc", "head", "tail", "echo", "printf", "stat", "file", "du", "basename", "dirname",
	"realpath", "md5sum", "sha1sum", "sha256sum", "cksum", "test", "jq", "true", "diff", "cmp", "nl", "cut", "od", "xxd", "strings",
}

// fed puts what echo or printf of constants print behind the words that xargs starts.
func (r *reader) fed(words []Word, from string) []Word {
	c, ok := r.before(0)
	if !ok || c.Name() != from || from != "echo" && from != "printf" {
		return words
	}
	words = slices.Clone(words)
	for _, w := range c.Words[1:] {
		text := strings.NewReplacer(`\n`, " ", `\0`, " ", `\t`, " ", "%s", " ", "%b", " ").Replace(w.Text)
		for _, f := range strings.Fields(text) {
			words = append(words, Word{strings.Trim(f, `"'`), w.Dynamic})
		}
	}
	return words
}

// keep remembers which files a command leaves, for whoever runs them later in the line. What is put into them is
// known where it is a document; of everything else only the name is.
func (r *reader) keep(c Command, document Word, hasDocument bool) {
	unknown := Word{Text: "?", Dynamic: true}
	switch c.Name() {
	case "tee":
		if hasDocument {
			unknown = document
		}
	case "curl", "wget", "cp", "mv", "install", "dd", "ln", "base64", "openssl", "scp", "rsync", "aria2c", "uudecode", "xxd", "gunzip", "sponge":
	default:
		return
	}
	for _, w := range c.Words[1:] {
		_, value, inline := strings.Cut(w.Text, "=")
		switch {
		case inline:
			r.files[path.Base(value)] = unknown
		case cluster(w.Text): // -oFILE, -qOFILE
			if i := strings.IndexAny(w.Text, "oO"); i > 0 && i+1 < len(w.Text) {
				r.files[path.Base(w.Text[i+1:])] = unknown
			}
		case !strings.HasPrefix(w.Text, "-"):
			r.files[path.Base(w.Text)] = unknown
		}
	}
}

// redirected remembers the files that a command's output goes to.
func (r *reader) redirected(c Command, writes []Word, document Word, hasDocument bool) {
	for _, w := range writes {
		name := path.Base(w.Text)
		_, again := r.files[name]
		switch args := c.Words[1:]; {
		case again: // a second part
			r.files[name] = Word{Text: "?", Dynamic: true}
		case c.Name() == "cat" && len(args) == 0 && hasDocument:
			r.files[name] = document
		case c.Name() == "echo" && c.From == "":
			text := Word{Text: strings.Join(textsOf(args), " ")}
			for _, a := range args {
				text.Dynamic = text.Dynamic || a.Dynamic || strings.HasPrefix(a.Text, "-") || strings.Contains(a.Text, `\`)
			}
			r.files[name] = text
		default:
			r.files[name] = Word{Text: "?", Dynamic: true}
		}
	}
}

// file reads the script that a line has just written and now runs. One that was there before is not read.
func (r *reader) file(name, file string, depth int) error {
	text, written := r.files[path.Base(file)]
	switch {
	case !written:
		return nil
	case text.Dynamic:
		r.unclear("it runs %s, which the same line writes", path.Base(file))
		return nil
	case slices.Contains(interpreters, name):
		r.program(name, text.Text)
		return nil
	case !slices.Contains(shells, name) && strings.HasPrefix(text.Text, "#!") && !strings.HasSuffix(strings.SplitN(text.Text, "\n", 2)[0], "sh"):
		r.program("a script", text.Text)
		return nil
	}
	return r.nested(text, depth)
}

var awkWrites = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`system\s*\(|getline|print[^;}\n]*>|>\s*"|\|&?\s*"|print[^;}\n]*\|[^|]|@load|@include`)
})

// awk says what cannot be told of a program in awk: those that do more than filter write files or start programs.
func (r *reader) awk(name string, args []Word) {
	for i, a := range args {
		if awkWrites().MatchString(a.Text) || a.Text == "inplace" || strings.HasSuffix(a.Text, "=inplace") || a.Text == "-iinplace" {
			r.unclear("%s writes files or starts programs", name)
		}
		if (a.Text == "-f" || a.Text == "--file") && i+1 < len(args) {
			if _, written := r.files[path.Base(args[i+1].Text)]; written {
				r.unclear("%s runs a program that the same line writes", name)
			}
		}
	}
}

// gitValues are git's own options that take the next word.
var gitValues = []string{"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--super-prefix", "--attr-source"}

// git reads the command lines in git's arguments, and says where git is given settings that nobody looked at.
func (r *reader) git(args []Word, depth int) error {
	i := 0
	for ; i < len(args) && strings.HasPrefix(args[i].Text, "-"); i++ {
		option, _, inline := strings.Cut(args[i].Text, "=")
		if option == "--git-dir" || option == "--exec-path" && inline {
			r.unclear("git takes settings, hooks or programs from the folder that %s names", option)
		}
		if slices.Contains(gitValues, args[i].Text) {
			i++
		}
	}
	if i >= len(args) {
		return nil
	}
	verb, rest := args[i].Text, args[i+1:]
	switch {
	case verb == "bisect" && len(rest) > 1 && rest[0].Text == "run":
		return r.start(rest[1:], nil, depth+1, "", "", Word{}, false)
	case verb == "submodule" && len(rest) > 1 && slices.ContainsFunc(rest, func(w Word) bool { return w.Text == "foreach" }):
		line := Word{}
		for _, w := range rest[slices.IndexFunc(rest, func(w Word) bool { return w.Text == "foreach" })+1:] {
			if line.Text == "" && strings.HasPrefix(w.Text, "-") {
				continue
			}
			line.Text, line.Dynamic = strings.TrimSpace(line.Text+" "+w.Text), line.Dynamic || w.Dynamic
		}
		return r.nested(line, depth)
	}
	for j, w := range rest {
		if w.Text == "--" {
			break
		}
		_, value, inline := strings.Cut(w.Text, "=")
		line := Word{value, w.Dynamic}
		if !inline && j+1 < len(rest) {
			line = rest[j+1]
		}
		known := false
		switch {
		case long(w.Text, "template", 4):
			r.unclear("git copies hooks and settings from a template")
		case long(w.Text, "upload-pack", 2), long(w.Text, "receive-pack", 3), long(w.Text, "exec", 2), long(w.Text, "extcmd", 3), long(w.Text, "open-files-in-pager", 2):
			known = true
		case verb == "rebase" || verb == "difftool":
			if known = strings.HasPrefix(w.Text, "-x"); known && len(w.Text) > 2 {
				line = Word{w.Text[2:], w.Dynamic}
			}
		case verb == "clone":
			known = w.Text == "-u"
		case verb == "grep":
			if known = strings.HasPrefix(w.Text, "-O"); known {
				line = Word{w.Text[2:], w.Dynamic}
			}
		}
		if known && line.Text != "" {
			if err := r.nested(line, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// long reports whether a word is the long option name, of which least letters are enough.
func long(word, name string, least int) bool {
	option, _, _ := strings.Cut(word, "=")
	option, ok := strings.CutPrefix(option, "--")
	return ok && len(option) >= least && strings.HasPrefix(name, option)
}

// cluster reports whether a word is short options.
func cluster(word string) bool { return len(word) > 1 && word[0] == '-' && word[1] != '-' }
