// Package deep asks a helper program what lies inside archives, images, executables and folders.
//
// The helper is sallyport-sbom, which is Syft. It parses what strangers made, in some ninety formats,
// so nothing about it is trusted once it has read a byte:
//
//   - It is found beside this program and nowhere else (package helper), and must be built from the
//     same source. A helper that is missing or another is an error, never a shorter list.
//   - It is started with an environment of its own: a temporary folder, and nothing of the caller's.
//     No token, proxy, home folder or search path reaches it.
//   - It reads a copy that this program made and took the digest of while copying ([Stage]), so that what
//     is told about a digest was read from those bytes. Folders alone are read where they lie.
//   - Before it reads, it gives up what it does not need, and its answer says how far that went
//     ([Confinement]).
//   - It is stopped, with its process group, after a time, when its answer is too long, or when its
//     temporary folder grows too large.
//   - Its answer is checked: sizes, characters, package URLs, digests. What is malformed refuses the
//     whole answer.
//
// Syft takes more than a second to prepare the recognition of licence texts. A worker does that
// before it is asked anything, and serves one request; a process that served two could be made by
// the first input to lie about the second. So a [Pool] keeps workers that have prepared and wait,
// and a single run starts its worker before it copies the input or speaks to a registry.
package deep

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/helper"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Limits of a worker, unless a Starter says otherwise.
const (
	Timeout    = 15 * time.Minute
	maxMemory  = 16 << 30 // address space, of which Go reserves more than it uses
	maxFile    = 8 << 30
	maxScratch = 32 << 30
)

// Errors that callers tell apart.
var (
	ErrVersion = errors.New("the helper program is of another build")
	ErrAnswer  = errors.New("the helper program's answer cannot be used")
	ErrTimeout = errors.New("the helper program did not answer in time")
	ErrRefused = errors.New("the helper program could not read it")
	ErrSize    = errors.New("what the helper program unpacks is too large")
)

// A Starter says how workers are started. The zero Starter is ready.
type Starter struct {
	Executable string        // the program beside which the helper lies; empty for the one that is running
	Temp       string        // the folder for temporary folders; empty for the system's
	Timeout    time.Duration // of one request; zero for [Timeout]
	Scratch    int64         // bytes that a worker may have unpacked at any time; zero for 32 GiB
}

// A Worker is a helper process that serves one request. It is not safe for concurrent use.
type Worker struct {
	starter Starter
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
	said    *helper.Limited
	dir     string // holds scratch, and what is staged
	closed  bool
	// Syft is the version that the helper says is linked, once it is ready.
	Syft string
}

// Start starts a worker, and does not wait until it is ready. Close has to be called.
func (s Starter) Start() (*Worker, error) {
	program, err := helper.Find(s.Executable, Program)
	if errors.Is(err, helper.ErrMissing) {
		return nil, fmt.Errorf("what lies in archives, images and executables is read by another program: %w", err)
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.Temp, "sallyport-sbom-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err == nil {
		err = os.Mkdir(filepath.Join(dir, "scratch"), 0o700)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	w := &Worker{starter: s, dir: dir, said: &helper.Limited{Limit: 4 << 10}}
	w.cmd = exec.Command(program, Protocol) //nolint:gosec,noctx // found beside this executable and nowhere else; Close ends it
	w.cmd.Dir = w.Scratch()
	w.cmd.Env = environment(w.Scratch())
	w.cmd.Stderr = w.said
	w.cmd.WaitDelay = time.Second
	alone(w.cmd)
	w.stdin, err = w.cmd.StdinPipe()
	var out io.ReadCloser
	if err == nil {
		out, err = w.cmd.StdoutPipe()
	}
	if err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w", Program, err)
	}
	w.stdout = bufio.NewReaderSize(out, 64<<10)
	return w, nil
}

// environment is all that a worker is given.
func environment(scratch string) []string {
	return []string{"TMPDIR=" + scratch, "TMP=" + scratch, "HOME=" + scratch, "LC_ALL=C", "GOTRACEBACK=none"}
}

// Scratch is the folder that the worker may write to.
func (w *Worker) Scratch() string { return filepath.Join(w.dir, "scratch") }

// Input is a folder for what is staged, which the worker may only read.
func (w *Worker) Input() string { return filepath.Join(w.dir, "input") }

// Close stops the worker and all that it started, and removes its folders.
func (w *Worker) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	_ = w.stdin.Close()
	killGroup(w.cmd)
	_ = w.cmd.Wait() // it was killed
	return os.RemoveAll(w.dir)
}

// Ready waits until the worker can serve, and checks that it is the helper of this build.
func (w *Worker) Ready(ctx context.Context) error {
	if w.Syft != "" {
		return nil
	}
	var hello Hello
	if err := w.line(ctx, time.Minute, 4<<10, &hello); err != nil {
		return err
	}
	ours := helper.Build()
	if hello.Protocol != Protocol || hello.Build != ours {
		return fmt.Errorf("%w: %s is of %s, sallyport of %s; install both from one release", ErrVersion, w.cmd.Path, helper.OneLine(orUnknown(hello.Build)), ours)
	}
	w.Syft = helper.OneLine(orUnknown(hello.Syft))
	return nil
}

// Ask has the worker read one input, and checks what it answers. The worker serves nothing after it.
func (w *Worker) Ask(ctx context.Context, kind, path string, exclude []string) (*Answer, error) {
	if err := w.Ready(ctx); err != nil {
		return nil, err
	}
	timeout := w.starter.Timeout
	if timeout == 0 {
		timeout = Timeout
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go w.watch(ctx, cancel)
	line, err := json.Marshal(Request{
		Kind: kind, Path: path, Scratch: w.Scratch(), Exclude: exclude,
		Memory: maxMemory, Size: maxFile, Seconds: uint64(4 * timeout / time.Second),
	})
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	if len(line) > MaxRequest {
		return nil, errors.New("the path is too long")
	}
	if _, err := w.stdin.Write(append(line, '\n')); err != nil {
		return nil, w.died(err)
	}
	var a Answer
	if err := w.line(ctx, timeout, MaxAnswer, &a); err != nil {
		return nil, err
	}
	if a.Error != "" {
		return nil, fmt.Errorf("%w: %s", ErrRefused, helper.OneLine(a.Error))
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return &a, nil
}

// line reads one line of JSON, and stops the worker if it does not come whole.
func (w *Worker) line(ctx context.Context, timeout time.Duration, limit int, v any) error {
	type read struct {
		b   []byte
		err error
	}
	got := make(chan read, 1)
	go func() {
		b, err := readLine(w.stdout, limit)
		got <- read{b, err}
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		killGroup(w.cmd)
		<-got
		return context.Cause(ctx)
	case <-timer.C:
		killGroup(w.cmd)
		<-got
		return fmt.Errorf("%w: %s was stopped after %v", ErrTimeout, Program, timeout)
	case r := <-got:
		switch {
		case errors.Is(r.err, bufio.ErrTooLong):
			killGroup(w.cmd)
			return fmt.Errorf("%w: it has more than %d bytes", ErrAnswer, limit)
		case r.err != nil:
			return w.died(r.err)
		}
		if err := strict.JSON(r.b, limit, v); err != nil {
			killGroup(w.cmd)
			return fmt.Errorf("%w: %s", ErrAnswer, helper.OneLine(err.Error()))
		}
		return nil
	}
}

// died is the error of a worker that ended before it answered.
func (w *Worker) died(err error) error {
	killGroup(w.cmd)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) {
		err = errors.New("it ended before it answered")
	}
	if s := helper.OneLine(string(w.said.Bytes())); s != "" {
		err = fmt.Errorf("%w; it said: %s", err, s)
	}
	return fmt.Errorf("%w: %w", ErrAnswer, err)
}

// readLine reads up to a line feed, and no more than limit bytes.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var out bytes.Buffer
	for {
		part, err := r.ReadSlice('\n')
		if out.Len()+len(part) > limit {
			return nil, bufio.ErrTooLong
		}
		out.Write(part)
		switch {
		case err == nil:
			return out.Bytes(), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// watch ends a request whose worker unpacks too much.
func (w *Worker) watch(ctx context.Context, stop context.CancelCauseFunc) {
	limit := w.starter.Scratch
	if limit == 0 {
		limit = maxScratch
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if used := usage(w.Scratch(), limit); used > limit {
				stop(fmt.Errorf("%w: more than %d bytes", ErrSize, limit))
				return
			}
		}
	}
}

// usage adds up the sizes of the files below dir, up to more than limit.
func usage(dir string, limit int64) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // files come and go
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		if sum > limit {
			return filepath.SkipAll
		}
		return nil
	})
	return sum
}

func orUnknown(s string) string {
	if strings.TrimSpace(s) == "" {
		return "an unknown build"
	}
	return s
}
