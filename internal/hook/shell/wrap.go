package shell

import (
	"errors"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

var errDeep = errors.Join(ErrUnreadable, errors.New("nested too deeply"))

// A wrapper is a program that starts the program that its arguments name.
type wrapper struct {
	values   string // options that take a value, which is the next word
	lines    string // options whose value is a command line
	skip     int    // words before the program
	assigns  bool   // VAR=value may stand before the program
	elevates bool
	input    bool // words come from its input
}

var wrappers = map[string]wrapper{
	"sudo":        {values: "-u -g -h -p -C -r -t -T -U -D -R --user --group --host --prompt --chdir --chroot --close-from", assigns: true, elevates: true},
	"doas":        {values: "-u -C -a", elevates: true},
	"pkexec":      {values: "--user", elevates: true},
	"su":          {values: "-s -g -G -w --shell --group", lines: "-c --command --session-command", elevates: true},
	"runuser":     {values: "-u -g -G -s --user --shell", lines: "-c --command", elevates: true},
	"env":         {values: "-u -C --unset --chdir -P", lines: "-S --split-string", assigns: true},
	"nice":        {values: "-n --adjustment"},
	"ionice":      {values: "-c -n -p --class --classdata"},
	"chrt":        {skip: 1},
	"taskset":     {skip: 1},
	"nohup":       {},
	"setsid":      {},
	"stdbuf":      {values: "-i -o -e"},
	"time":        {values: "-f -o --format --output"},
	"timeout":     {values: "-s -k --signal --kill-after", skip: 1},
	"command":     {},
	"builtin":     {},
	"exec":        {values: "-a"},
	"xargs":       {values: "-I -n -P -d -E -L -s -a --max-args --max-procs --replace --delimiter", input: true},
	"parallel":    {values: "-j --jobs -a", input: true},
	"chroot":      {skip: 1, values: "--userspec --groups", elevates: true},
	"unshare":     {values: "-S -G -R -w"},
	"nsenter":     {values: "-t --target -S -G", elevates: true},
	"strace":      {values: "-o -e -p -s -u -E"},
	"ltrace":      {values: "-o -e -p -s -u"},
	"watch":       {values: "-n --interval"},
	"flock":       {skip: 1, values: "-w -E --timeout", lines: "-c --command"},
	"script":      {lines: "-c --command"},
	"systemd-run": {values: "-p --unit --uid --gid -u", assigns: false},
	"caffeinate":  {values: "-t -w"},
	"torsocks":    {},
	"proxychains": {values: "-f"},
	"unbuffer":    {},
	"fakeroot":    {},
	"coproc":      {},
	"arch":        {},
	"gosu":        {skip: 1, elevates: true},
}

// wrapped is what stood round a program.
type wrapped struct {
	env      []string
	elevated bool
	through  []string
	lines    []Word
	cleared  bool   // nothing is left of the variables
	unknown  string // the wrapper that takes the program from its input
}

// unwrap takes wrappers away from the front of a command, and returns what they start.
func unwrap(words []Word) (inner []Word, w wrapped) {
	for range 20 {
		if len(words) == 0 {
			return words, w
		}
		name := path.Base(words[0].Text)
		by, known := wrappers[name]
		if !known || words[0].Dynamic {
			return words, w
		}
		rest, lines, env := by.peel(words[1:])
		w.elevated = w.elevated || by.elevates
		w.env = append(w.env, env...)
		w.lines = append(w.lines, lines...)
		if name == "env" {
			w.environment(words[1 : len(words)-len(rest)])
		}
		if len(rest) == 0 {
			if by.input && len(lines) == 0 {
				return words, w
			}
			return words, w
		}
		w.through = append(w.through, name)
		if by.input && (rest[0].Text == "{}" || strings.HasPrefix(rest[0].Text, "{")) {
			w.unknown = name
		}
		if name == "su" || name == "runuser" && len(lines) > 0 || name == "script" {
			return words, w // what is left is a user or a file
		}
		words = rest
	}
	return words, w
}

// environment reads what env takes away, and variables in which a command line stands.
func (w *wrapped) environment(args []Word) {
	for i, a := range args {
		option, value, inline := strings.Cut(a.Text, "=")
		switch {
		case a.Text == "-", long(a.Text, "ignore-environment", 1), cluster(a.Text) && strings.Contains(strings.SplitN(a.Text, "u", 2)[0], "i"):
			w.cleared = true
		case long(a.Text, "unset", 1) && inline:
			w.env = append(w.env, value)
		case (a.Text == "-u" || long(a.Text, "unset", 1)) && i+1 < len(args):
			w.env = append(w.env, args[i+1].Text)
		case cluster(a.Text) && len(a.Text) > 2 && a.Text[1] == 'u':
			w.env = append(w.env, a.Text[2:])
		case inline && slices.Contains(commandVariables, option):
			w.lines = append(w.lines, Word{value, a.Dynamic})
		}
	}
}

// peel skips a wrapper's own options.
func (by wrapper) peel(args []Word) (rest, lines []Word, env []string) {
	values, lined := strings.Fields(by.values), strings.Fields(by.lines)
	skip := by.skip
	for i := 0; i < len(args); i++ {
		a := args[i].Text
		option, inline, hasInline := strings.Cut(a, "=")
		switch {
		case a == "--":
			if i+1+skip > len(args) {
				return nil, lines, env
			}
			return args[i+1+skip:], lines, env
		case slices.Contains(lined, option) && strings.HasPrefix(a, "-"):
			if hasInline {
				lines = append(lines, Word{inline, args[i].Dynamic})
			} else if i++; i < len(args) {
				lines = append(lines, args[i])
			}
		case len(a) > 2 && a[0] == '-' && a[1] != '-' && slices.Contains(lined, a[:2]):
			lines = append(lines, Word{a[2:], args[i].Dynamic}) // env -S'sh -c …'
		case slices.Contains(values, a):
			i++
		case strings.HasPrefix(a, "-") && (a != "-" || by.assigns): // env - is env -i
		case by.assigns && hasInline && option != "" && !strings.ContainsAny(option, "/ "):
			env = append(env, option)
		case skip > 0:
			skip--
		default:
			return args[i:], lines, env
		}
	}
	return nil, lines, env
}

// maxBraces bounds into how many words braces may grow.
const maxBraces = 200

// spread splits {a,b} as bash does, into a bounded number of words.
func spread(w *syntax.Word) []*syntax.Word {
	w = &syntax.Word{Parts: slices.Clone(w.Parts)}
	if !syntax.SplitBraces(w) {
		return []*syntax.Word{w}
	}
	var out []*syntax.Word
	for _, parts := range product(w.Parts) {
		out = append(out, &syntax.Word{Parts: parts})
	}
	return out
}

func product(parts []syntax.WordPart) [][]syntax.WordPart {
	all := [][]syntax.WordPart{nil}
	for _, p := range parts {
		b, ok := p.(*syntax.BraceExp)
		var choices [][]syntax.WordPart
		if ok && !b.Sequence {
			for _, e := range b.Elems {
				choices = append(choices, product(e.Parts)...)
			}
		} else {
			choices = [][]syntax.WordPart{{p}}
			if ok { // a sequence: a part that is not known
				choices[0][0] = &syntax.ParamExp{Short: true, Param: &syntax.Lit{Value: "{..}"}}
			}
		}
		var next [][]syntax.WordPart
		for _, left := range all {
			for _, c := range choices {
				if len(next) < maxBraces {
					next = append(next, append(slices.Clone(left), c...))
				}
			}
		}
		all = next
	}
	return all
}
