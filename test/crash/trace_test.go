package crash

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A syscall is one system call of a trace, however many lines strace printed it on.
type syscall struct {
	start, end int // line numbers: the kernel was entered, and left
	thread     string
	name       string
	args       string
	ret        string
	injected   bool
}

func (c syscall) failed() bool {
	return strings.HasPrefix(c.ret, "-1") || strings.HasPrefix(c.ret, "?")
}

var (
	wholeRE      = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += (.*)$`)
	unfinishedRE = regexp.MustCompile(`^(\d+) +(\w+)\((.*?),? *<unfinished \.\.\.>$`)
	resumedRE    = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (.*)$`)
	fdRE         = regexp.MustCompile(`^(\d+)<([^>]*)>`)
	dirfdRE      = regexp.MustCompile(`^(AT_FDCWD|\d+)<([^>]*)>$`)
)

// parseTrace reads what strace -f -y wrote with -o: each call with the lines on which it began
// and ended, in the order in which they began.
func parseTrace(r io.Reader) ([]syscall, error) {
	var calls []syscall
	open := map[string]int{} // thread and name: index in calls
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	n := 0
	for ; sc.Scan(); n++ {
		line := sc.Text()
		if m := unfinishedRE.FindStringSubmatch(line); m != nil {
			open[m[1]+m[2]] = len(calls)
			calls = append(calls, syscall{start: n, end: 1 << 30, thread: m[1], name: m[2], args: m[3], ret: "?"})
		} else if m := resumedRE.FindStringSubmatch(line); m != nil {
			i, ok := open[m[1]+m[2]]
			if !ok {
				return nil, fmt.Errorf("line %d resumes what never began: %s", n+1, line)
			}
			delete(open, m[1]+m[2])
			calls[i].end, calls[i].ret = n, m[4]
			if rest := strings.TrimPrefix(strings.TrimSpace(m[3]), ","); rest != "" {
				calls[i].args += ", " + strings.TrimSpace(rest)
			}
		} else if m := wholeRE.FindStringSubmatch(line); m != nil {
			calls = append(calls, syscall{start: n, end: n, thread: m[1], name: m[2], args: m[3], ret: m[4]})
		}
	}
	for i := range calls {
		calls[i].injected = strings.Contains(calls[i].ret, "(INJECTED)")
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("no system call in %d lines", n)
	}
	return calls, nil
}

// A model is what a power cut would leave: which bytes and which names were handed to the kernel
// and not yet forced to the disk. It knows the calls that the product uses, and counts a
// rename or a creation as lost until the folder was synced.
type model struct {
	watch   func(path string) bool
	exists  map[string]bool // files that were there before
	sync    map[string]bool // files opened with O_SYNC or O_DSYNC
	dirty   map[string]int  // file: line of the last write that is not synced
	names   map[string]int  // path of a name that its folder may not hold: line
	durable map[string]int  // path: line after which its newest content was on the disk
}

// unsynced lists what would be lost, sorted.
func (m *model) unsynced() []string {
	var out []string
	for p := range m.dirty {
		if m.watch(p) {
			out = append(out, "bytes of "+p)
		}
	}
	for p := range m.names {
		if m.watch(p) {
			out = append(out, "name "+p)
		}
	}
	slices.Sort(out)
	return out
}

// An event is the beginning or the end of a call.
type event struct {
	line int
	end  bool
	call *syscall
}

// replay feeds calls to a new model up to the first call for which answer is true, and reports
// whether there was one. Writes count from their beginning and syncs from their end, and a sync
// covers only what was written before it began.
func replay(calls []syscall, existing []string, isAnswer func(*syscall) bool, watched func(string) bool) (*model, bool) {
	m := &model{watch: watched, exists: map[string]bool{}, sync: map[string]bool{}, dirty: map[string]int{}, names: map[string]int{}, durable: map[string]int{}}
	for _, p := range existing {
		m.exists[p] = true
	}
	var events []event
	for i := range calls {
		c := &calls[i]
		events = append(events, event{c.start, false, c}, event{c.end, true, c})
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.line - b.line })
	for _, e := range events {
		if !e.end && isAnswer(e.call) {
			return m, true
		}
		m.apply(e)
	}
	return m, false
}

func (m *model) apply(e event) {
	c := e.call
	if c.failed() && c.end != 1<<30 {
		return
	}
	args := splitArgs(c.args)
	switch c.name {
	case "write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate":
		p := fdPath(args, 0)
		if p == "" {
			return
		}
		switch {
		case !e.end:
			m.dirty[p] = e.line
		case m.sync[p]:
			delete(m.dirty, p)
			m.durable[p] = e.line
		}
	case "fsync", "fdatasync":
		if p := fdPath(args, 0); e.end && p != "" {
			m.synced(p, c.start, e.line)
		}
	case "openat":
		p := at(args, 0)
		if !e.end || p == "" {
			return
		}
		flags := args[2]
		m.sync[p] = strings.Contains(flags, "O_SYNC") || strings.Contains(flags, "O_DSYNC")
		if strings.Contains(flags, "O_CREAT") && !m.exists[p] {
			m.exists[p] = true
			m.names[p] = e.line
		}
		if strings.Contains(flags, "O_TRUNC") {
			m.dirty[p] = e.line
		}
	case "mkdirat", "mkdir":
		if p := at(args, 0); e.end && p != "" {
			m.exists[p] = true
			m.names[p] = e.line
		}
	case "rename", "renameat", "renameat2", "link", "linkat":
		if !e.end {
			return
		}
		from, to := at(args, 0), at(args, 2)
		if c.name == "rename" || c.name == "link" {
			from, to = at(args, 0), at(args, 1)
		}
		m.moved(from, to, e.line)
	case "unlinkat", "unlink":
		if p := at(args, 0); e.end && p != "" {
			m.gone(p)
		}
	}
}

// synced notes that path, a file or a folder, was synced by a call that began at start.
func (m *model) synced(path string, start, line int) {
	if at, ok := m.dirty[path]; ok && at < start {
		delete(m.dirty, path)
	}
	if _, ok := m.dirty[path]; !ok {
		m.durable[path] = line
	}
	for p, at := range m.names {
		if filepath.Dir(p) == path && at < start {
			delete(m.names, p)
		}
	}
}

// moved notes a rename. What lay below a folder that moves goes with it.
func (m *model) moved(from, to string, line int) {
	for _, set := range []map[string]int{m.dirty, m.names, m.durable} {
		for p, at := range set {
			if rest, ok := strings.CutPrefix(p, from+"/"); ok {
				delete(set, p)
				set[to+"/"+rest] = at
			}
		}
	}
	for p := range m.exists {
		if rest, ok := strings.CutPrefix(p, from+"/"); ok {
			m.exists[to+"/"+rest] = true
		}
	}
	if at, ok := m.dirty[from]; ok {
		m.dirty[to] = at
	} else {
		delete(m.dirty, to)
	}
	delete(m.durable, to)
	if at, ok := m.durable[from]; ok {
		m.durable[to] = max(at, line)
	}
	m.gone(from)
	m.exists[to] = true
	m.names[to] = line
}

func (m *model) gone(path string) {
	delete(m.dirty, path)
	delete(m.names, path)
	delete(m.exists, path)
}

// fdPath returns the path behind a file descriptor that strace -y printed.
func fdPath(args []string, i int) string {
	if i >= len(args) {
		return ""
	}
	if m := fdRE.FindStringSubmatch(args[i]); m != nil && strings.HasPrefix(m[2], "/") {
		return m[2]
	}
	return ""
}

// at returns the path that argument i, or a folder in argument i with a path after it, names.
func at(args []string, i int) string {
	if i >= len(args) {
		return ""
	}
	dir := ""
	if m := dirfdRE.FindStringSubmatch(args[i]); m != nil {
		dir = m[2]
		i++
	}
	if i >= len(args) || !strings.HasPrefix(args[i], `"`) {
		return ""
	}
	p := strings.Trim(args[i], `"`)
	if !strings.HasPrefix(p, "/") {
		p = dir + "/" + p
	}
	return filepath.Clean(p)
}

// splitArgs cuts a call's arguments at the commas that stand outside quotes and brackets.
func splitArgs(s string) []string {
	var out []string
	depth, quoted, from := 0, false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{' || c == '<':
			depth++
		case c == ']' || c == '}' || c == '>':
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[from:]))
}
