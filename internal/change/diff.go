package change

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// Algorithm names how trees are compared and cut. Another name would mean other units.
const Algorithm = "git-myers-u3/v1"

// maxLine is the longest line, in bytes, of a file that is cut into lines.
const maxLine = 1 << 20

// diffArgs is the command that reads pairs of trees and writes their differences.
func diffArgs(context int) []string {
	return []string{
		"diff-tree", "--stdin", "-r", "--raw", "--patch", "--no-abbrev", "--full-index",
		"--diff-algorithm=myers", "--no-indent-heuristic", "--unified=" + strconv.Itoa(context), "--inter-hunk-context=0",
		"--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short",
		"--src-prefix=a/", "--dst-prefix=b/",
	}
}

// Modes as the raw format writes them.
const (
	modeNone      = "000000"
	modeSymlink   = "120000"
	modeSubmodule = "160000"
)

// A rawEntry is one path that differs between two trees.
type rawEntry struct {
	oldMode, newMode string
	oldBlob, newBlob string
	status           byte // A, D, M or T
	path             string
	quoted           string // as git wrote it
}

// A diffSink is told what a stream of diffs holds, in order. Entries are told by their index
// in the slice that entries got; the text of a line is valid during the call only.
type diffSink interface {
	pair(i int) error
	entries(e []rawEntry) error
	hunk(e, oldStart, newStart int)
	line(e int, op byte, text []byte, long bool) error // text ends with its line feed if it has one
	endHunk(e int)
	binary(e int)
}

var errDiff = errors.New("git diff-tree: unexpected output")

type diffReader struct {
	in     *bufio.Reader
	sink   diffSink
	oidLen int

	buf     []byte // a line that the reader's own buffer does not hold
	pairs   int
	raw     []rawEntry
	told    bool // raw was passed on
	current int  // entry of the section, -1 before the first
	section int  // of a type change: 1 or 2; else 1
	lines   [2]int
	open    bool // a hunk has been told and not ended
}

// readDiffs reads the differences of n pairs of trees from what diffArgs writes.
func readDiffs(in io.Reader, n, oidLen int, sink diffSink) error {
	r := &diffReader{in: bufio.NewReaderSize(in, 256<<10), sink: sink, oidLen: oidLen, current: -1}
	for {
		line, long, err := r.readLine()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := r.dispatch(line, long); err != nil {
			return err
		}
	}
	if r.lines != [2]int{} {
		return fmt.Errorf("%w: %w", errDiff, io.ErrUnexpectedEOF)
	}
	if err := r.endPair(); err != nil {
		return err
	}
	if r.pairs != n {
		return fmt.Errorf("%w: %d pairs of %d: %w", errDiff, r.pairs, n, io.ErrUnexpectedEOF)
	}
	return nil
}

// readLine returns the next line with its line feed. Of a line over maxLine only the beginning is
// kept, and long is true.
func (r *diffReader) readLine() (line []byte, long bool, err error) {
	line, err = r.in.ReadSlice('\n')
	if err == nil {
		return line, false, nil
	}
	if len(line) == 0 {
		return nil, false, err
	}
	r.buf = append(r.buf[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.in.ReadSlice('\n')
		if len(r.buf) <= maxLine {
			r.buf = append(r.buf, line...)
		}
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", errDiff, io.ErrUnexpectedEOF) // git ends every line
	}
	return r.buf, len(r.buf) > maxLine+2, err // the operator and the line feed are not of the file
}

func (r *diffReader) dispatch(line []byte, long bool) error {
	if r.lines != [2]int{} {
		return r.body(line, long)
	}
	r.endHunk()
	text := string(bytes.TrimSuffix(line, []byte{'\n'}))
	switch {
	case text == "":
		return nil
	case text[0] == ':':
		if r.told || r.pairs == 0 {
			return fmt.Errorf("%w: %q", errDiff, text)
		}
		e, err := parseRaw(text, r.oidLen)
		if err != nil {
			return err
		}
		if r.raw = append(r.raw, e); len(r.raw) > MaxFiles {
			return fmt.Errorf("%w: more than %d files", ErrTooLarge, MaxFiles)
		}
		return nil
	case strings.HasPrefix(text, "diff --git "):
		if err := r.tell(); err != nil {
			return err
		}
		return r.nextSection(text)
	case r.current >= 0 && strings.HasPrefix(text, "@@ -"):
		oldStart, oldLines, newStart, newLines, err := parseHunkHeader(text)
		if err != nil {
			return err
		}
		r.lines = [2]int{oldLines, newLines}
		r.open = true
		r.sink.hunk(r.current, oldStart, newStart)
		return nil
	case r.current >= 0 && strings.HasPrefix(text, "Binary files "):
		r.sink.binary(r.current)
		return nil
	case r.current >= 0 && isSectionHeader(text):
		return nil
	case len(text) == 2*r.oidLen+1 && isOID(text[:r.oidLen], r.oidLen) && isOID(text[r.oidLen+1:], r.oidLen):
		if err := r.endPair(); err != nil {
			return err
		}
		r.pairs++
		return r.sink.pair(r.pairs - 1)
	}
	return fmt.Errorf("%w: %.200q", errDiff, text)
}

// body reads one line of a hunk.
func (r *diffReader) body(line []byte, long bool) error {
	op := line[0]
	switch op {
	case ' ':
		r.lines[0]--
		r.lines[1]--
	case '-':
		r.lines[0]--
	case '+':
		r.lines[1]--
	default:
		return fmt.Errorf("%w: %.200q in a hunk", errDiff, line)
	}
	if r.lines[0] < 0 || r.lines[1] < 0 {
		return fmt.Errorf("%w: a hunk is longer than it says", errDiff)
	}
	text := line[1:]
	if r.in.Buffered() == 0 {
		// Looking at the next byte will overwrite the buffer that text is in.
		r.buf = append(r.buf[:0], line...)
		text = r.buf[1:]
	}
	if next, err := r.in.Peek(1); err == nil && next[0] == '\\' {
		if _, err := r.in.ReadBytes('\n'); err != nil {
			return fmt.Errorf("%w: %w", errDiff, io.ErrUnexpectedEOF)
		}
		text = bytes.TrimSuffix(text, []byte{'\n'})
	}
	return r.sink.line(r.current, op, text, long)
}

func (r *diffReader) endHunk() {
	if r.open {
		r.open = false
		r.sink.endHunk(r.current)
	}
}

func (r *diffReader) tell() error {
	if r.told {
		return nil
	}
	r.told = true
	return r.sink.entries(r.raw)
}

func (r *diffReader) endPair() error {
	r.endHunk()
	if r.pairs > 0 {
		if err := r.tell(); err != nil {
			return err
		}
		if r.current >= 0 || len(r.raw) > 0 {
			last := len(r.raw) - 1
			if r.current != last || (r.raw[last].status == 'T' && r.section != 2) {
				return fmt.Errorf("%w: fewer diffs than paths", errDiff)
			}
		}
	}
	r.raw, r.told, r.current, r.section = r.raw[:0], false, -1, 0
	return nil
}

// nextSection moves to the entry that a "diff --git" line is about: the next one, or the second
// half of a type change, which git writes as a deletion and an addition.
func (r *diffReader) nextSection(text string) error {
	if r.current >= 0 && r.raw[r.current].status == 'T' && r.section == 1 {
		r.section = 2
	} else {
		r.current++
		r.section = 1
	}
	if r.current >= len(r.raw) {
		return fmt.Errorf("%w: more diffs than paths", errDiff)
	}
	q := r.raw[r.current].quoted
	a, b := "a/"+q, "b/"+q
	if q[0] == '"' {
		a, b = `"a/`+q[1:], `"b/`+q[1:]
	}
	if text != "diff --git "+a+" "+b {
		return fmt.Errorf("%w: %.200q where %s was expected", errDiff, text, q)
	}
	return nil
}

func isSectionHeader(text string) bool {
	for _, p := range []string{"index ", "--- ", "+++ ", "old mode ", "new mode ", "new file mode ", "deleted file mode "} {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

// parseRaw reads ":100644 100755 BLOB BLOB M<TAB>path".
func parseRaw(text string, oidLen int) (rawEntry, error) {
	meta, quoted, ok := strings.Cut(text, "\t")
	f := strings.Split(strings.TrimPrefix(meta, ":"), " ")
	if !ok || len(f) != 5 || !isMode(f[0]) || !isMode(f[1]) || !isOID(f[2], oidLen) || !isOID(f[3], oidLen) ||
		len(f[4]) != 1 || !strings.Contains("ADMT", f[4]) || quoted == "" {
		return rawEntry{}, fmt.Errorf("%w: %.200q", errDiff, text)
	}
	path, err := git.Unquote(quoted)
	if err != nil || path == "" {
		return rawEntry{}, fmt.Errorf("%w: path %.200q", errDiff, quoted)
	}
	return rawEntry{f[0], f[1], f[2], f[3], f[4][0], path, quoted}, nil
}

func isMode(s string) bool { return len(s) == 6 && strings.Trim(s, "01234567") == "" }

// parseHunkHeader reads "@@ -1,2 +3,4 @@ anything". A length that is left out is 1.
func parseHunkHeader(text string) (oldStart, oldLines, newStart, newLines int, err error) {
	ranges, _, ok := strings.Cut(strings.TrimPrefix(text, "@@ -"), " @@")
	before, after, ok2 := strings.Cut(ranges, " +")
	if !ok || !ok2 {
		return 0, 0, 0, 0, fmt.Errorf("%w: %.200q", errDiff, text)
	}
	parse := func(s string) (start, n int) {
		a, b, found := strings.Cut(s, ",")
		start, e1 := strconv.Atoi(a)
		n = 1
		var e2 error
		if found {
			n, e2 = strconv.Atoi(b)
		}
		if e1 != nil || e2 != nil || start < 0 || n < 0 || start > 1<<40 || n > 1<<40 {
			err = fmt.Errorf("%w: %.200q", errDiff, text)
		}
		return start, n
	}
	oldStart, oldLines = parse(before)
	newStart, newLines = parse(after)
	if err == nil && oldLines == 0 && newLines == 0 {
		err = fmt.Errorf("%w: %.200q", errDiff, text)
	}
	return oldStart, oldLines, newStart, newLines, err
}
