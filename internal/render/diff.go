package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// maxCells bounds the table that Diff works with; beyond it the middle of a file is told as
// replaced.
const maxCells = 4 << 20

// Diff writes what changes between two texts as a unified diff with three lines of context, in
// which nothing is left that acts on a terminal. It writes nothing if nothing changes.
func Diff(w io.Writer, name string, before, after []byte, o Options) error {
	if string(before) == string(after) {
		return nil
	}
	bw := bufio.NewWriter(w)
	t := text{w: bw, o: o}
	name = Clean(name)
	fmt.Fprintf(bw, "--- %s\n+++ %s\n", name, name)
	ops := edits(split(before), split(after))
	const around = 3
	for at := 0; at < len(ops); {
		for at < len(ops) && ops[at].kind == ' ' {
			at++
		}
		if at == len(ops) {
			break
		}
		from, to, same := max(0, at-around), at, 0
		for end := at; end < len(ops) && same <= 2*around; end++ {
			if same++; ops[end].kind != ' ' {
				same, to = 0, end+1
			}
		}
		at = to
		to = min(len(ops), to+around)
		olds, news := 0, 0
		for _, op := range ops[from:to] {
			if op.kind != '+' {
				olds++
			}
			if op.kind != '-' {
				news++
			}
		}
		fmt.Fprintf(bw, "@@ -%d,%d +%d,%d @@\n", ops[from].old+1, olds, ops[from].new+1, news)
		for _, op := range ops[from:to] {
			colour := map[byte]string{'+': green, '-': red}[op.kind]
			fmt.Fprintln(bw, t.paint(colour, string(op.kind)+tabbed(op.line)))
		}
	}
	return bw.Flush()
}

// tabbed is Clean for a line of source, whose tabs stay.
func tabbed(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = Clean(parts[i])
	}
	return strings.Join(parts, "\t")
}

func split(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// An edit keeps, removes or adds a line; old and new count the lines before it.
type edit struct {
	kind     byte
	line     string
	old, new int
}

// edits is a shortest way from a to b, by their longest common subsequence.
func edits(a, b []string) []edit {
	lead := 0
	for lead < len(a) && lead < len(b) && a[lead] == b[lead] {
		lead++
	}
	tail := 0
	for tail < len(a)-lead && tail < len(b)-lead && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	x, y := a[lead:len(a)-tail], b[lead:len(b)-tail]
	var out []edit
	i, j := 0, 0 // lines of a and b that are told
	add := func(kind byte, line string) {
		out = append(out, edit{kind, line, i, j})
		if kind != '+' {
			i++
		}
		if kind != '-' {
			j++
		}
	}
	for _, line := range a[:lead] {
		add(' ', line)
	}
	common := make([][]int32, len(x)+1)
	if (len(x)+1)*(len(y)+1) <= maxCells {
		for k := range common {
			common[k] = make([]int32, len(y)+1)
		}
		for p := len(x) - 1; p >= 0; p-- {
			for q := len(y) - 1; q >= 0; q-- {
				if x[p] == y[q] {
					common[p][q] = common[p+1][q+1] + 1
				} else {
					common[p][q] = max(common[p+1][q], common[p][q+1])
				}
			}
		}
	}
	p, q := 0, 0
	for p < len(x) || q < len(y) {
		switch {
		case p < len(x) && q < len(y) && x[p] == y[q]:
			add(' ', x[p])
			p, q = p+1, q+1
		case q == len(y) || p < len(x) && (common[p] == nil || common[p+1][q] >= common[p][q+1]):
			add('-', x[p])
			p++
		default:
			add('+', y[q])
			q++
		}
	}
	for _, line := range a[len(a)-tail:] {
		add(' ', line)
	}
	return out
}
