//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
)

// history returns the commit that HEAD names, and how many lead to it.
func (b *bench) history(ctx context.Context) (head string, total int, err error) {
	if head, err = b.output(ctx, "rev-parse", "--verify", "HEAD^{commit}"); err != nil {
		return "", 0, err
	}
	total, err = b.count(ctx, head)
	return head, total, err
}

func (b *bench) count(ctx context.Context, revs ...string) (int, error) {
	out, err := b.output(ctx, append([]string{"rev-list", "--count"}, append(revs, "--")...)...)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}

// base returns the first parent of head from which the number of commits comes closest to n.
// Going one further back never makes the range smaller, so halving finds it.
func (b *bench) base(ctx context.Context, head string, n int) (base string, commits int, err error) {
	// The range from the d-th first parent holds d commits or more, so n of them are enough.
	out, err := b.output(ctx, "rev-list", "--first-parent", "--max-count="+strconv.Itoa(n+1), head, "--")
	if err != nil {
		return "", 0, err
	}
	line := strings.Fields(out)
	if len(line) < 2 {
		return "", 0, fmt.Errorf("the history behind %s is too short to measure", head)
	}
	lo, hi := 1, len(line)-1
	at := func(d int) (int, error) { return b.count(ctx, line[d]+".."+head) }
	for lo < hi {
		mid := (lo + hi + 1) / 2
		c, err := at(mid)
		if err != nil {
			return "", 0, err
		}
		if c <= n {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	under, err := at(lo)
	if err != nil {
		return "", 0, err
	}
	if lo+1 < len(line) {
		over, err := at(lo + 1)
		if err != nil {
			return "", 0, err
		}
		if over-n < n-under {
			return line[lo+1], over, nil
		}
	}
	return line[lo], under, nil
}

// synthesize makes a bare repository of about n commits, the same at every call: some hundred
// files in folders, commits that edit a few of them and add others, every tenth by an agent that
// says so, side branches that are merged, a deploy file and a lock file now and then.
func (b *bench) synthesize(ctx context.Context, dir string, n int) error {
	if _, err := b.measure(ctx, []string{b.git, "init", "-q", "--bare", "-b", "main", dir}); err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() {
		buf := bufio.NewWriter(w)
		newImport(buf).run(n)
		w.CloseWithError(buf.Flush())
	}()
	cmd := exec.CommandContext(ctx, b.git, "-C", dir, "fast-import", "--quiet")
	var stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stderr = b.env, r, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("git fast-import: %w\n%s", err, stderr.Bytes())
	}
	return nil
}

// An importer writes a fast-import stream. Errors are the writer's to keep.
type importer struct {
	w     *bufio.Writer
	rand  *rand.Rand
	files map[string][]string // lines
	names []string
	mark  int
	clock int64
}

func newImport(w *bufio.Writer) *importer {
	return &importer{w: w, rand: rand.New(rand.NewPCG(1, 2)), files: map[string][]string{}, clock: 1_750_000_000}
}

func (m *importer) run(n int) {
	first := make([]string, 0, 400)
	for i := range 400 {
		first = append(first, m.create(fmt.Sprintf("pkg%02d/part%d/file%03d.go", i%20, i%7, i)))
	}
	tip := m.commit("refs/heads/main", 0, 0, first)
	for m.mark < n {
		if m.rand.IntN(25) > 0 {
			tip = m.commit("refs/heads/main", tip, 0, m.edits())
			continue
		}
		side := m.commit("refs/heads/side", tip, 0, m.edits())
		side = m.commit("refs/heads/side", side, 0, m.edits())
		tip = m.commit("refs/heads/main", tip, side, nil)
	}
}

var words = strings.Fields(`if err nil return value ctx request response buffer index length name path
	write read close open token secret config := = == != for range func type struct string int`)

func (m *importer) text() string {
	var s []string
	for range 4 + m.rand.IntN(10) {
		s = append(s, words[m.rand.IntN(len(words))])
	}
	return "\t" + strings.Join(s, " ") + " // " + strconv.FormatUint(m.rand.Uint64(), 36)
}

func (m *importer) create(name string) string {
	var lines []string
	for range 40 + m.rand.IntN(120) {
		lines = append(lines, m.text())
	}
	if m.files[name] == nil {
		m.names = append(m.names, name)
	}
	m.files[name] = lines
	return name
}

// edits changes a few files and returns their names.
func (m *importer) edits() []string {
	var names []string
	for range 1 + m.rand.IntN(5) {
		name := m.names[m.rand.IntN(len(m.names))]
		lines := m.files[name]
		for range 1 + m.rand.IntN(8) {
			lines[m.rand.IntN(len(lines))] = m.text()
		}
		names = append(names, name)
	}
	switch m.rand.IntN(12) {
	case 0:
		names = append(names, m.create(fmt.Sprintf("pkg%02d/new%04d.go", m.rand.IntN(20), m.mark)))
	case 1:
		names = append(names, m.create(fmt.Sprintf("deploy/service%04d.yaml", m.mark)))
	case 2:
		names = append(names, m.create("go.sum"))
	}
	return names
}

func (m *importer) commit(ref string, from, merge int, names []string) int {
	m.mark++
	m.clock += 60 + m.rand.Int64N(7200)
	message := fmt.Sprintf("Change %d files\n\nThis is commit %d of a synthetic history.\n", len(names), m.mark)
	if m.rand.IntN(10) == 0 {
		message += "\nCo-authored-by: Claude <noreply@anthropic.com>\n"
	}
	who := fmt.Sprintf("Person %d <person%[1]d@example.org> %d +0000", m.rand.IntN(9), m.clock)
	fmt.Fprintf(m.w, "commit %s\nmark :%d\nauthor %s\ncommitter %s\ndata %d\n%s", ref, m.mark, who, who, len(message), message)
	if from > 0 {
		fmt.Fprintf(m.w, "from :%d\n", from)
	}
	if merge > 0 {
		fmt.Fprintf(m.w, "merge :%d\n", merge)
		names = m.names // what main and side hold together
	}
	for _, name := range names {
		body := strings.Join(m.files[name], "\n") + "\n"
		fmt.Fprintf(m.w, "M 100644 inline %s\ndata %d\n%s\n", name, len(body), body)
	}
	m.w.WriteByte('\n')
	return m.mark
}
