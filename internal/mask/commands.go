package mask

import (
	"bytes"

	"github.com/sallyport-dev/sallyport"
)

// This file finds passwords on command lines, where the program says what an option means, and the last string
// of calls that are made for a name and a password.

// A command is a program whose option, or last word, is a password.
type command struct {
	word     string // the program, in lower case, with what must follow it
	options  []string
	attached bool // the value follows the option at once; otherwise white space or = stands between
}

var commandTable = []command{
	{"mysql", []string{"-p"}, true},
	{"mysqldump", []string{"-p"}, true},
	{"mysqladmin", []string{"-p"}, true},
	{"mariadb", []string{"-p"}, true},
	{"sshpass ", []string{"-p"}, false},
	{"sshpass ", []string{"-p"}, true},
	{"psexec", []string{"-p"}, false},
	{"docker login", []string{"-p"}, false},
	{"podman login", []string{"-p"}, false},
	{"az login", []string{"-p"}, false},
	{"openssl ", []string{"-k", "-pass pass:", "-passin pass:", "-passout pass:"}, false},
	{"openssl ", []string{"pass:"}, true},
	{"redis-cli ", []string{"-a"}, false},
	{"operator unseal", []string{""}, false},
}

// maxCommand is how far from its program an option may stand.
const maxCommand = 300

// command looks for the password in a command whose program ends at end.
func (s *search) command(c *command, start, end int) {
	text := s.text
	if start > 0 && (word.has(text[start-1]) || text[start-1] == '-') && !isEscapeBefore(text, start) {
		return
	}
	// Commands in commands share what is looked at.
	limit := min(len(text), end+maxCommand)
	if s.commandEnd >= limit-maxCommand/2 && s.commandEnd > end {
		limit = min(limit, end+maxCommand/4)
	}
	s.commandEnd = limit
	from := end
	if c.word[len(c.word)-1] == ' ' {
		from--
	}
	for i := from; i < limit && text[i] != '|' && text[i] != ';'; i++ {
		if i > 0 && text[i] == '\n' && text[i-1] != '\\' || has(text, i, `\n`) {
			return
		}
		if !blank.has(text[i]) {
			continue
		}
		for _, o := range c.options {
			at := i + 1 + len(o)
			if !hasFold(text, i+1, o) || at >= limit {
				continue
			}
			if o == "" {
				at = i
			}
			if c.attached {
				if space.has(text[at]) {
					continue
				}
			} else if o == "" || o[len(o)-1] != ':' {
				if !blank.has(text[at]) && text[at] != '=' {
					continue
				}
				at++
			}
			v := valueAt(text, at, false, maxValue)
			value := text[v.start:v.end]
			if len(value) < 4 || v.start >= limit || v.cut || value[0] == '-' || value[0] == '/' || urlPlaceholder(value) || placeholder(value) || isLocation(value) {
				continue
			}
			if sh := shapeOf(value); (o == "" || s.e.precise) && !sh.random() || c.attached && !v.quoted && identifier(value, &sh) && sh.digits == 0 && bytes.IndexByte(value, '-') >= 0 {
				continue
			}
			s.add("secret:password", "command-password", v.start, v.end, sallyport.High, byPlace)
			return
		}
	}
}

// pair finds the password in a call or a tuple of a name and a password that opens at i: auth=("a", "b"),
// NetworkCredential("a", "b").
func (s *search) pair(i int) {
	text := s.text
	i = run(text, i, space, 16)
	if i >= len(text) || text[i] != '(' {
		return
	}
	var last value
	n := 0
	for i++; n < 3; n++ {
		i = run(text, i, space, maxGap)
		if i >= len(text) || text[i] != '"' && text[i] != '\'' {
			return
		}
		end := closing(text, i+1, text[i], 0, 120)
		if end < 0 {
			return
		}
		last = value{start: i + 1, end: end, quoted: true}
		i = run(text, end+1, space, maxGap)
		if i >= len(text) {
			return
		}
		if text[i] == ')' {
			break
		}
		if text[i] != ',' {
			return
		}
		i++
	}
	if n == 1 || n == 2 {
		s.judged(last, strong)
	}
}
