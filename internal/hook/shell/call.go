package shell

import (
	"encoding/base64"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// shells read a script from -c, from a file or from their input.
var shells = []string{"sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "rbash", "mksh", "busybox"}

// interpreters run programs that this package does not read.
var interpreters = []string{"python", "python2", "python3", "perl", "ruby", "node", "nodejs", "deno", "bun", "php", "lua", "awk", "gawk", "mawk", "nawk", "tclsh", "osascript", "pwsh", "powershell"}

// call reads a simple command.
func (r *reader) call(c *syntax.CallExpr, depth int, from, into string, document Word, hasDocument bool) error {
	var env []string
	for _, a := range c.Assigns {
		if a.Name != nil {
			env = append(env, a.Name.Value)
		}
		if err := r.walk(a, depth, "", "$("); err != nil {
			return err
		}
		r.assign(a)
		if err := r.variable(a, depth); err != nil {
			return err
		}
	}
	if len(c.Args) == 0 {
		if len(env) > 0 {
			r.script.Commands = append(r.script.Commands, Command{Words: []Word{{Text: ":"}}, Env: env, Elevated: r.elevated})
		}
		return nil
	}
	var words []Word
	for _, a := range spreadAll(c.Args) {
		w := r.word(a)
		if split := strings.Fields(w.Text); !quotedWord(a) && len(split) > 1 {
			// A variable that holds several words, unquoted.
			for _, s := range split {
				words = append(words, Word{s, w.Dynamic})
			}
		} else {
			words = append(words, w)
		}
		if err := r.inside(a, depth); err != nil {
			return err
		}
	}
	return r.start(words, env, depth, from, into, document, hasDocument)
}

func spreadAll(args []*syntax.Word) []*syntax.Word {
	var out []*syntax.Word
	for _, w := range args {
		out = append(out, spread(w)...)
	}
	return out
}

// quotedWord reports whether no part of a word that the shell would split again stands outside quotes.
func quotedWord(w *syntax.Word) bool {
	for _, p := range w.Parts {
		switch p.(type) {
		case *syntax.ParamExp, *syntax.CmdSubst:
			return false
		}
	}
	return true
}

// start reads a command by its words, and the commands that it starts in its turn.
func (r *reader) start(words []Word, env []string, depth int, from, into string, document Word, hasDocument bool) error {
	if depth > 100 {
		return errDeep
	}
	inner, w := unwrap(words)
	env = append(env, w.env...)
	if len(inner) == 0 {
		inner = words // env or sudo without a command
	}
	piped := slices.Contains(w.through, "xargs") || slices.Contains(w.through, "parallel")
	if piped {
		inner = r.fed(inner, from)
	}
	program := inner[0].Text
	cmd := Command{Words: slices.Clone(inner), Env: env, From: from, Into: into, Elevated: r.elevated || w.elevated, Indirect: r.indirect}
	cmd.Words[0].Text = path.Base(cmd.Words[0].Text)
	name := cmd.Name()
	if cmd.Words[0].Dynamic {
		r.unclear("the program that is started is not known before it runs")
	}
	if w.unknown != "" {
		r.unclear("%s starts what its input names", w.unknown)
	}
	r.script.Commands = append(r.script.Commands, cmd)
	switch {
	case w.cleared:
		r.unclear("%s starts without the variables that send its connections through the gate", name)
	case piped && slices.Contains(shells, name):
		r.unclear("%s runs what comes out of a pipe", name)
	case piped && !slices.Contains(readers, name):
		r.unclear("what %s is given comes out of a pipe", name)
	}
	r.keep(cmd, document, hasDocument)
	was, wasIndirect := r.elevated, r.indirect
	r.elevated, r.indirect = cmd.Elevated, true
	defer func() { r.elevated, r.indirect = was, wasIndirect }()
	for _, line := range w.lines { // env -S, su -c, watch
		if err := r.nested(line, depth); err != nil {
			return err
		}
	}
	args := cmd.Words[1:]
	if strings.Contains(program, "/") {
		if err := r.file(program, program, depth); err != nil {
			return err
		}
	}
	switch {
	case name == "git":
		return r.git(args, depth)
	case slices.Contains(shells, name):
		return r.shell(name, args, depth, from, document, hasDocument)
	case slices.Contains(interpreters, name):
		return r.interpreter(name, args, depth, from, document, hasDocument)
	case name == "eval":
		var parts []string
		dynamic := false
		for _, a := range args {
			parts = append(parts, a.Text)
			dynamic = dynamic || a.Dynamic
		}
		return r.nested(Word{strings.Join(parts, " "), dynamic}, depth)
	case name == "source" || name == ".":
		if len(args) > 0 && (args[0].Dynamic || strings.HasPrefix(args[0].Text, "/dev/")) {
			r.unclear("%s reads a script that is not known before it runs", name)
		} else if len(args) > 0 {
			return r.file("sh", args[0].Text, depth)
		}
	case name == "trap" && len(args) > 0 && args[0].Text != "-":
		return r.nested(args[0], depth)
	case name == "alias":
		for _, a := range args {
			if _, line, ok := strings.Cut(a.Text, "="); ok {
				if err := r.nested(Word{line, a.Dynamic}, depth); err != nil {
					return err
				}
			}
		}
	case name == "find" || name == "fd" || name == "fdfind":
		return r.find(args, depth, into)
	case name == "ssh" || name == "docker" || name == "podman" || name == "kubectl":
		// What runs elsewhere is judged as if it ran here, where it can be told apart.
		if i := slices.IndexFunc(args, func(a Word) bool { return slices.Contains(shells, path.Base(a.Text)) }); i >= 0 {
			return r.start(args[i:], nil, depth+1, "", "", Word{}, false)
		}
	}
	return nil
}

// nested reads a command line that stands in a word.
func (r *reader) nested(w Word, depth int) error {
	if w.Dynamic {
		r.unclear("a command line is put together when it runs")
	}
	return r.line(w.Text, depth+1)
}

// shell reads what a shell is given to run.
func (r *reader) shell(name string, args []Word, depth int, from string, document Word, hasDocument bool) error {
	if name == "busybox" {
		if len(args) == 0 {
			return nil
		}
		return r.start(args, nil, depth+1, from, "", document, hasDocument)
	}
	for i := 0; i < len(args); i++ {
		a := args[i].Text
		switch {
		case a == "--rcfile" || a == "--init-file" || a == "-o" || a == "+o" || a == "-O" || a == "+O":
			i++
		case strings.HasPrefix(a, "--") && a != "--":
		case strings.HasPrefix(a, "-") && len(a) > 1 && strings.Contains(a, "c") && a != "--":
			// The script is the first word after the options.
			for i++; i < len(args) && strings.HasPrefix(args[i].Text, "-") && args[i].Text != "-"; i++ {
			}
			if i < len(args) {
				return r.nested(args[i], depth)
			}
			return nil
		case a == "-s" || a == "-" || a == "/dev/stdin":
			return r.standard(name, depth, from, document, hasDocument)
		case strings.HasPrefix(a, "-") || strings.HasPrefix(a, "+"):
		default:
			if args[i].Dynamic {
				r.unclear("%s runs a script that is not known before it runs", name)
			}
			return r.file(name, args[i].Text, depth)
		}
	}
	return r.standard(name, depth, from, document, hasDocument)
}

// standard reads what a shell gets on its standard input.
func (r *reader) standard(name string, depth int, from string, document Word, hasDocument bool) error {
	switch {
	case hasDocument:
		return r.nested(document, depth)
	case from == "echo" || from == "printf":
		if line, ok := r.printed(); ok {
			return r.nested(Word{Text: line}, depth)
		}
		r.unclear("%s runs what comes out of a pipe", name)
	case from != "":
		if from == "base64" || from == "openssl" {
			if line, ok := r.decoded(); ok {
				return r.nested(Word{Text: line}, depth)
			}
		}
		r.unclear("%s runs what comes out of a pipe", name)
	}
	return nil
}

// before is the command that was read i before the last one.
func (r *reader) before(i int) (Command, bool) {
	n := len(r.script.Commands) - 1 - i
	if n < 0 {
		return Command{}, false
	}
	return r.script.Commands[n], true
}

// printed is what an echo or a printf of constants before a shell prints.
func (r *reader) printed() (string, bool) {
	c, ok := r.before(1)
	if !ok || c.Name() != "echo" && c.Name() != "printf" {
		return "", false
	}
	var parts []string
	for _, w := range c.Words[1:] {
		if w.Dynamic {
			return "", false
		}
		if c.Name() == "echo" && strings.HasPrefix(w.Text, "-") && len(parts) == 0 && len(w.Text) <= 4 {
			continue
		}
		parts = append(parts, w.Text)
	}
	return strings.NewReplacer(`\n`, "\n", "%s", " ", "%b", " ").Replace(strings.Join(parts, " ")), true
}

// decoded is what echo CONSTANT | base64 -d prints.
func (r *reader) decoded() (string, bool) {
	if c, ok := r.before(1); !ok || c.Name() != "base64" {
		return "", false
	}
	c, ok := r.before(2)
	if !ok || c.Name() != "echo" && c.Name() != "printf" || len(c.Words) < 2 || c.Words[len(c.Words)-1].Dynamic {
		return "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(c.Words[len(c.Words)-1].Text))
	return string(b), err == nil && len(b) <= MaxLine
}

// interpreter says what cannot be told of a program in another language: it is not read, only whether it stands
// in a file, in the line, or comes out of a pipe.
func (r *reader) interpreter(name string, args []Word, depth int, from string, document Word, hasDocument bool) error {
	flags := []string{"-c", "-e", "-E", "-r", "--eval", "-pe", "-ne", "-p", "eval", "--command", "-Command", "-EncodedCommand"}
	if strings.HasSuffix(name, "awk") {
		r.awk(name, args)
		return nil
	}
	for _, a := range args {
		if slices.Contains(flags, a.Text) {
			r.program(name, strings.Join(textsOf(args), "\n"))
			return nil
		}
		if !strings.HasPrefix(a.Text, "-") {
			return r.file(name, a.Text, depth)
		}
	}
	switch {
	case hasDocument:
		if document.Dynamic {
			r.unclear("%s runs a program that is put together when it runs", name)
		}
		r.program(name, document.Text)
	case from != "" && (len(args) == 0 || slices.ContainsFunc(args, func(a Word) bool { return a.Text == "-" })):
		r.unclear("%s runs what comes out of a pipe", name)
	}
	return nil
}

// reaches are what a program of a few lines holds if it does more than compute.
var reaches = []string{
	"subprocess", "os.system", "os.popen", "os.remove", "os.unlink", "shutil", "pty.", "socket", "urllib", "requests", "exec(", "eval(",
	"child_process", "execSync", "spawn", "unlinkSync", "rmSync", "writeFile", "fetch(", "require(", "open(", "write_text", "__import__",
	"system", "qx", "unlink", "IO.popen", "File.write", "Kernel", "`", "b64decode", "fromCharCode", "atob(",
}

func (r *reader) program(name, text string) {
	for _, s := range reaches {
		if strings.Contains(text, s) {
			r.unclear("a program in %s that reaches files or programs (%s)", name, strings.TrimRight(s, "(."))
			return
		}
	}
}

func textsOf(words []Word) []string {
	var out []string
	for _, w := range words {
		out = append(out, w.Text)
	}
	return out
}

// find reads the commands of find -exec and fd -x.
func (r *reader) find(args []Word, depth int, into string) error {
	for i, a := range args {
		switch a.Text {
		case "-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch":
			end := i + 1
			for end < len(args) && args[end].Text != ";" && args[end].Text != "+" {
				end++
			}
			if end > i+1 {
				words := slices.Clone(args[i+1 : end])
				// What stands for a file that was found is one below the folder that is searched.
				for j := range words {
					if words[j].Text == "{}" && len(args) > 0 && !strings.HasPrefix(args[0].Text, "-") {
						words[j] = Word{strings.TrimSuffix(args[0].Text, "/") + "/*", args[0].Dynamic}
					}
				}
				if err := r.start(words, nil, depth+1, "", into, Word{}, false); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
