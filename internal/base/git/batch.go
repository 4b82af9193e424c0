package git

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// A batch is one long-lived "git cat-file --batch-command" process. Requests are lines; answers
// come in the same order once "flush" was sent, so that many objects cost one round trip.
//
// After any failure the position in the stream is unknown: the process is killed and the next
// request starts a new one.
type batch struct {
	repo *Repo

	mu     sync.Mutex // held for one exchange; guards what follows
	closed bool
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stdin  io.WriteCloser
	in     *bufio.Writer
	out    *bufio.Reader
	stderr *tail
}

var errClosed = errors.New("the repository is closed")

func (b *batch) start() error {
	if b.closed {
		return errClosed
	}
	if b.cmd != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background()) // lives longer than one request's context
	cmd := b.repo.command(ctx, "cat-file", "--batch-command", "--buffer")
	stderr := &tail{}
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		cancel()
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return err
	}
	b.cmd, b.cancel, b.stdin, b.stderr = cmd, cancel, stdin, stderr
	b.in, b.out = bufio.NewWriterSize(stdin, 32<<10), bufio.NewReaderSize(stdout, 128<<10)
	return nil
}

// stop ends the process; b.mu is held.
func (b *batch) stop() {
	if b.cmd == nil {
		return
	}
	b.cancel()
	b.stdin.Close()
	_ = b.cmd.Wait() // killed: its status says nothing
	b.cmd = nil
}

func (b *batch) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
	b.closed = true
}

// exchange sends n request lines and calls read for the answer to each, in order.
func (b *batch) exchange(ctx context.Context, n int, line func(i int) string, read func(i int, out *bufio.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.repo.timeout)
	defer cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read objects: %w", err)
	}
	if err := b.start(); err != nil {
		return fmt.Errorf("start git cat-file: %w", err)
	}
	defer context.AfterFunc(ctx, b.cancel)()
	written := make(chan error, 1)
	send := func() error {
		for i := range n {
			b.in.WriteString(line(i))
			b.in.WriteByte('\n')
		}
		b.in.WriteString("flush\n")
		return b.in.Flush()
	}
	// Many requests are written while answers are read, or both sides would wait for ever.
	if n > 64 {
		go func() { written <- send() }()
	} else {
		written <- send()
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		err = read(i, b.out)
	}
	if err != nil {
		b.cancel() // unblocks the writer
	}
	err = errors.Join(err, <-written)
	if err == nil {
		return nil
	}
	stderr := b.stderr
	b.stop()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("read objects: %w", ctx.Err())
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		if said := stderr.line(); said != "" {
			return fmt.Errorf("read objects: git cat-file: %s", said)
		}
	}
	return err
}

// An answer is the first line of what cat-file says about an object.
type answer struct {
	oid, kind string
	size      int64
	state     string // "missing", "ambiguous", or empty
}

func readAnswer(out *bufio.Reader) (answer, error) {
	s, err := out.ReadSlice('\n')
	if err != nil {
		return answer{}, err
	}
	return parseAnswer(strings.TrimSuffix(string(s), "\n"))
}

func parseAnswer(line string) (answer, error) {
	for _, state := range []string{"missing", "ambiguous"} {
		if name, ok := strings.CutSuffix(line, " "+state); ok {
			return answer{oid: name, state: state}, nil
		}
	}
	f := strings.Split(line, " ")
	if len(f) != 3 || !isHex(f[0]) {
		return answer{}, fmt.Errorf("read objects: unexpected answer %q", line)
	}
	size, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil || size < 0 {
		return answer{}, fmt.Errorf("read objects: unexpected answer %q", line)
	}
	return answer{oid: f[0], kind: f[1], size: size}, nil
}

// info asks for the id, kind and size of each name. Names hold no line feed.
func (b *batch) info(ctx context.Context, names []string) ([]answer, error) {
	answers := make([]answer, len(names))
	err := b.exchange(ctx, len(names),
		func(i int) string { return "info " + names[i] },
		func(i int, out *bufio.Reader) (err error) {
			answers[i], err = readAnswer(out)
			return err
		})
	return answers, err
}

// contents calls fn with the bytes of each object, which fn may keep. An object larger than
// limit, of another kind than kind (where kind is not empty), or absent is an error. Of one that
// is refused no more crosses the pipe than it holds: the process is ended, and git streams what
// is large.
func (b *batch) contents(ctx context.Context, names []string, kind string, limit int64, fn func(i int, a answer, content []byte) error) error {
	var absent error
	err := b.exchange(ctx, len(names),
		func(i int) string { return "contents " + names[i] },
		func(i int, out *bufio.Reader) error {
			a, err := readAnswer(out)
			if err != nil {
				return err
			}
			switch err := a.check(names[i], kind, limit); {
			case err != nil && a.state != "": // no content follows, and the process can go on
				absent = cmp.Or(absent, err)
				return nil
			case err != nil:
				return err
			}
			content := make([]byte, a.size)
			if _, err := io.ReadFull(out, content); err != nil {
				return err
			}
			if c, err := out.ReadByte(); err != nil || c != '\n' {
				return fmt.Errorf("read object %s: unexpected end", a.oid)
			}
			if got := b.repo.hash(a.kind, content); got != a.oid {
				return fmt.Errorf("read object %s: %w: it hashes to %s", a.oid, ErrCorrupt, got)
			}
			return fn(i, a, content)
		})
	return cmp.Or(err, absent)
}

func (a answer) check(name, kind string, limit int64) error {
	switch {
	case a.state == "missing":
		return fmt.Errorf("read object %s: %w", name, ErrMissingObject)
	case a.state == "ambiguous":
		return fmt.Errorf("read object %s: %w", name, ErrAmbiguous)
	case kind != "" && a.kind != kind:
		return fmt.Errorf("read object %s: it is a %s, not a %s", name, a.kind, kind)
	case a.size > limit:
		return fmt.Errorf("read object %s: %w: %d bytes, the limit is %d", name, ErrTooLarge, a.size, limit)
	}
	return nil
}
