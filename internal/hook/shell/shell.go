// Package shell reads a command line as a shell would, without running anything, and says which programs it
// starts with which words.
//
// A rule that looks for "rm -rf /" in a string does not find it in r”m -r -f "/", in sudo -u root sh -c 'rm -rf
// /', after a semicolon, in a function, or in a command substitution. Here the line is parsed, by the grammar of
// bash; quotes, escapes and braces of constant words are taken away; and what is a command in an argument (sh -c,
// eval, env, sudo, xargs, find -exec, timeout, ssh …) is read again, to a bounded depth.
//
// What depends on what only the shell will know (the value of a variable that the line does not set, what a
// command prints, text that comes out of a pipe into a shell) cannot be known here, and is said: a word that is
// partly unknown is Dynamic, and a program that is chosen, or a script that is written, by something unknown makes
// the whole line Unclear. Whoever decides has to take that for what it is.
//
// This is no boundary. A shell script in a file is a command line that nobody shows to this package.
package shell

import (
	"errors"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Limits. What exceeds them is an error.
const (
	MaxLine     = 256 << 10 // bytes of one command line
	maxCommands = 2000
	maxDepth    = 8 // of command lines in command lines
)

// A Word is one word of a command after the shell has taken the quotes away.
type Word struct {
	Text    string
	Dynamic bool // a part of it is not known; Text has ? in its place
}

// A Command is a program that is started.
type Command struct {
	Words []Word   // the program's name first, without its folder
	Env   []string // names of variables that are set for it
	// From and Into are the programs before and after it in a pipe, by name.
	From, Into string
	Writes     []Word // files that its output goes to
	Reads      []Word // files that its input comes from
	Elevated   bool   // by sudo, doas, su or pkexec
	// Indirect says that it starts as another program's argument.
	Indirect bool
}

// Name is the program's name.
func (c Command) Name() string {
	if len(c.Words) == 0 {
		return ""
	}
	return c.Words[0].Text
}

// Args are the words after the name.
func (c Command) Args() []string {
	var args []string
	for i, w := range c.Words {
		if i > 0 {
			args = append(args, w.Text)
		}
	}
	return args
}

// A Script is what a command line does.
type Script struct {
	Commands []Command
	Unclear  []string // why it cannot be told all that it does
}

// ErrUnreadable is wrapped when a line is no command line, or one too large.
var ErrUnreadable = errors.New("the command line cannot be read")

// Parse reads a command line.
func Parse(line string) (s Script, err error) {
	defer func() {
		if p := recover(); p != nil { // in the grammar, on what nobody foresaw
			s, err = Script{}, fmt.Errorf("%w: %v", ErrUnreadable, p)
		}
	}()
	r := &reader{vars: map[string]Word{}, functions: map[string]bool{}, files: map[string]Word{}}
	if err := r.line(line, 0); err != nil {
		return Script{}, err
	}
	return r.script, nil
}

// reader reads one command line and those inside it.
type reader struct {
	script    Script
	vars      map[string]Word // what the line sets, as far as it is constant
	functions map[string]bool
	elevated  bool
	indirect  bool
	// files are those that the line writes, by the last part of their names, with what it puts into them.
	files map[string]Word
}

func (r *reader) unclear(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	for _, u := range r.script.Unclear {
		if u == why {
			return
		}
	}
	if len(r.script.Unclear) < 20 {
		r.script.Unclear = append(r.script.Unclear, why)
	}
}

func (r *reader) line(text string, depth int) error {
	switch {
	case depth > maxDepth:
		return fmt.Errorf("%w: commands in commands, more than %d deep", ErrUnreadable, maxDepth)
	case len(text) > MaxLine:
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrUnreadable, len(text), MaxLine)
	case strings.ContainsRune(text, 0):
		return fmt.Errorf("%w: it holds a zero byte", ErrUnreadable)
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return fmt.Errorf("%w: %s", ErrUnreadable, strings.TrimPrefix(err.Error(), ":"))
	}
	return r.statements(file.Stmts, depth, "", "")
}

func (r *reader) statements(list []*syntax.Stmt, depth int, from, into string) error {
	for _, s := range list {
		if err := r.statement(s, depth, from, into); err != nil {
			return err
		}
	}
	return nil
}

// statement reads one statement, whose input comes from the program from and whose output goes to into.
func (r *reader) statement(s *syntax.Stmt, depth int, from, into string) error {
	if s == nil {
		return nil
	}
	if depth > 100 {
		return fmt.Errorf("%w: nested too deeply", ErrUnreadable)
	}
	var writes, reads []Word
	var document Word
	hasDocument := false
	for _, d := range s.Redirs {
		switch d.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			document, hasDocument = r.word(d.Hdoc), true
		case syntax.WordHdoc:
			document, hasDocument = r.word(d.Word), true
		case syntax.RdrInOut: // for both, as a connection is
			reads = append(reads, r.word(d.Word))
			writes = append(writes, r.word(d.Word))
		case syntax.RdrIn:
			reads = append(reads, r.word(d.Word))
		case syntax.DplIn, syntax.DplOut:
			if w := r.word(d.Word); strings.Trim(w.Text, "0123456789-") != "" || w.Dynamic {
				writes = append(writes, w)
			}
		default:
			writes = append(writes, r.word(d.Word))
		}
		if err := r.inside(d.Word, depth); err != nil {
			return err
		}
		if err := r.inside(d.Hdoc, depth); err != nil {
			return err
		}
	}
	before := len(r.script.Commands)
	if err := r.command(s.Cmd, depth, from, into, document, hasDocument); err != nil {
		return err
	}
	if len(r.script.Commands) > maxCommands {
		return fmt.Errorf("%w: more than %d commands", ErrUnreadable, maxCommands)
	}
	switch {
	case len(writes)+len(reads) == 0:
	case len(r.script.Commands) > before:
		for i := before; i < len(r.script.Commands); i++ {
			r.script.Commands[i].Writes = append(r.script.Commands[i].Writes, writes...)
			r.script.Commands[i].Reads = append(r.script.Commands[i].Reads, reads...)
			r.redirected(r.script.Commands[i], writes, document, hasDocument)
		}
	default: // > file, without a command
		r.script.Commands = append(r.script.Commands, Command{Words: []Word{{Text: ":"}}, Writes: writes, Reads: reads, Elevated: r.elevated})
	}
	return nil
}

func (r *reader) command(c syntax.Command, depth int, from, into string, document Word, hasDocument bool) error {
	switch c := c.(type) {
	case nil:
		return nil
	case *syntax.CallExpr:
		return r.call(c, depth, from, into, document, hasDocument)
	case *syntax.BinaryCmd:
		if c.Op == syntax.Pipe || c.Op == syntax.PipeAll {
			if err := r.statement(c.X, depth+1, from, headOf(c.Y)); err != nil {
				return err
			}
			return r.statement(c.Y, depth+1, tailOf(c.X), into)
		}
		if err := r.statement(c.X, depth+1, from, into); err != nil {
			return err
		}
		return r.statement(c.Y, depth+1, from, into)
	case *syntax.FuncDecl:
		r.functions[c.Name.Value] = true
		return r.statement(c.Body, depth+1, from, into)
	}
	// Whatever else a shell knows (blocks, subshells, loops, conditions, tests, declarations) is gone through for
	// the statements and substitutions in it, in the order in which they stand.
	return r.walk(c, depth, from, into)
}

// walk reads all statements directly below a node.
func (r *reader) walk(node syntax.Node, depth int, from, into string) error {
	var err error
	syntax.Walk(node, func(n syntax.Node) bool {
		if err != nil || n == nil {
			return false
		}
		switch n := n.(type) {
		case *syntax.Stmt:
			err = r.statement(n, depth+1, from, into)
			return false
		case *syntax.DeclClause:
			c := Command{Words: []Word{{Text: ":"}}, Elevated: r.elevated}
			for _, a := range n.Args {
				r.assign(a)
				if err == nil {
					err = r.variable(a, depth)
				}
				if a.Name != nil {
					c.Env = append(c.Env, a.Name.Value)
				}
			}
			r.script.Commands = append(r.script.Commands, c)
		case *syntax.ForClause:
			if it, ok := n.Loop.(*syntax.WordIter); ok {
				r.iterate(it)
			}
		}
		return true
	})
	return err
}

// iterate remembers what a loop's variable can be, if that is one word.
func (r *reader) iterate(it *syntax.WordIter) {
	w := Word{Text: "?", Dynamic: true}
	if len(it.Items) == 1 {
		w = r.word(it.Items[0])
	}
	r.vars[it.Name.Value] = w
}

// inside reads the commands that a word holds: $(…), `…`, <(…).
func (r *reader) inside(w *syntax.Word, depth int) error {
	if w == nil {
		return nil
	}
	return r.walk(w, depth, "", "$(")
}

func (r *reader) assign(a *syntax.Assign) {
	if a == nil || a.Name == nil {
		return
	}
	v := Word{}
	switch {
	case a.Append, a.Array != nil, a.Index != nil:
		v = Word{Text: "?", Dynamic: true}
	case a.Value != nil:
		v = r.word(a.Value)
	}
	if old, set := r.vars[a.Name.Value]; set && old != v {
		v = Word{Text: "?", Dynamic: true} // which of them it is depends on the way that was taken
	}
	r.vars[a.Name.Value] = v
}

// headOf and tailOf name the first and the last program of a statement, for what pipes meet.
func headOf(s *syntax.Stmt) string { return endOf(s, true) }
func tailOf(s *syntax.Stmt) string { return endOf(s, false) }

func endOf(s *syntax.Stmt, first bool) string {
	for range 100 {
		if s == nil {
			return ""
		}
		switch c := s.Cmd.(type) {
		case *syntax.CallExpr:
			r := reader{vars: map[string]Word{}}
			words := []Word{}
			for _, w := range c.Args {
				words = append(words, r.word(w))
			}
			words, _ = unwrap(words)
			if len(words) == 0 {
				return ""
			}
			return words[0].Text
		case *syntax.BinaryCmd:
			if s = c.Y; first {
				s = c.X
			}
		default:
			return "{"
		}
	}
	return ""
}
