// Package build runs one step of a build and says what happened, as SLSA provenance v1 and as
// in-toto link metadata. It signs nothing: what it returns are statements' bodies.
//
// A [Step] is a command with its folder and environment. [Run] starts it in a process group of its
// own, passes its output on while it takes the digest of it, forwards signals to the group, and
// ends what is left of the group when the command has ended. Whatever happens gives a [Result]: a
// command that is not there, that fails, is interrupted or takes too long is a failed run with an
// exit status other than 0, as a shell would give it (126, 127, 128 and the signal's number), or
// 124, as timeout(1) does.
//
// A [Watch] says which files the run made. It remembers what matched the patterns before the run
// and, after it, reads the files that match then: regular files below the folder, no links, none
// that changes while it is read, and none that lay there untouched before, unless the caller takes
// those too.
//
// [Provenance.Statement] refuses to name artifacts of a failed run: its subject is the commit, and
// nothing of it can be released. What the environment of a CI system says ([CIFacts]) is
// "declared": each step of the job can set it. [SecretName] names variables whose values are not
// recorded.
//
// A process that leaves the group (setsid) is not found, and may go on. It cannot change what was
// attested: the digest is of the bytes that were read.
//
// Specifications: https://slsa.dev/spec/v1.1/provenance,
// https://github.com/in-toto/attestation/blob/main/spec/predicates/link.md.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// How a run ended.
const (
	Exited      = "exited"
	Signaled    = "signaled"    // by a signal that nobody sent through us
	Interrupted = "interrupted" // whoever started it stopped it
	TimedOut    = "timed-out"
	NotStarted  = "not-started"
)

// Exit statuses that a shell gives, and timeout(1).
const (
	statusTimeout     = 124
	statusCannotStart = 126
	statusNotFound    = 127
	statusSignal      = 128
)

// How long what is told to end may take, and how long output is waited for once it has.
const (
	grace   = 10 * time.Second
	trailer = 2 * time.Second
)

// afterwards bounds what is read of a stream whose writer has ended: what a pipe can hold at most.
// More than that was written by somebody else, later.
const afterwards = 1 << 20

// A Step is a command to run.
type Step struct {
	Args           []string // the program and its arguments; at least one
	Dir            string
	Env            []string // whole; see [os.Environ]
	Stdin          *os.File // may be nil
	Stdout, Stderr io.Writer
	Signals        <-chan os.Signal // what to pass on; may be nil
	Timeout        time.Duration    // 0 means none
	Keep           int              // how many bytes of each stream to keep, from its start
	Now            func() time.Time // required
}

// A Log is what a command wrote to one stream.
type Log struct {
	SHA256   string // hex, of all of it
	Size     int64
	Complete bool   // nobody had the stream open any more when the last byte was read
	Kept     []byte // the first bytes, as many as the step says
}

// A Result is how a run ended.
type Result struct {
	Started, Finished time.Time
	Ended             string
	ExitStatus        int    // 0 only if the command ended by itself and said so
	Why               string // of a run that was not started
	Leftover          bool   // processes of its group were there after it, and were ended
	Program           string // the file that was run; empty if there is none
	ProgramSHA256     string
	Stdout, Stderr    Log
}

// Failed reports whether the run may not be built upon. The zero Result has failed.
func (r Result) Failed() bool { return r.Ended != Exited || r.ExitStatus != 0 }

// Run runs the step. The error is about what is needed to run anything at all; how the command fared
// is in the result. Cancelling ctx kills the group.
func Run(ctx context.Context, s Step) (Result, error) {
	// Not ended by ctx: wait ends the whole group.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.Args[0], s.Args[1:]...)
	cmd.Dir, cmd.Env = s.Dir, s.Env
	ownGroup(cmd)
	stdin, err := newInput(s.Stdin)
	if err != nil {
		return Result{}, err
	}
	defer stdin.close()
	cmd.Stdin = stdin.file()
	var ended atomic.Bool
	outs := [2]*stream{{to: s.Stdout, keep: s.Keep, now: s.Now, ended: &ended}, {to: s.Stderr, keep: s.Keep, now: s.Now, ended: &ended}}
	var writers [2]*os.File
	for i, o := range outs {
		if o.r, writers[i], err = os.Pipe(); err != nil {
			return Result{}, err
		}
		defer o.r.Close()
		defer writers[i].Close()
		o.start()
	}
	cmd.Stdout, cmd.Stderr = writers[0], writers[1]

	r := Result{Started: s.Now()}
	if sum, err := programDigest(cmd); err == nil {
		r.Program, r.ProgramSHA256 = cmd.Path, sum
	}
	startErr := cmd.Start()
	for _, w := range writers {
		w.Close()
	}
	if startErr == nil {
		stdin.started()
		r.Ended, r.ExitStatus = wait(ctx, cmd, s)
		r.Leftover = endGroup(cmd.Process.Pid)
	} else {
		r.Ended, r.ExitStatus, r.Why = NotStarted, statusCannotStart, startErr.Error()
		if errors.Is(startErr, exec.ErrNotFound) || errors.Is(startErr, fs.ErrNotExist) {
			r.ExitStatus = statusNotFound
		}
	}
	r.Finished = s.Now()
	ended.Store(true)
	r.Stdout, r.Stderr = outs[0].finish(), outs[1].finish()
	return r, nil
}

// wait waits for the command, and ends it when it is told to.
func wait(ctx context.Context, cmd *exec.Cmd, s Step) (ended string, status int) {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }() // what it says is in cmd.ProcessState
	var timeout, kill <-chan time.Time
	if s.Timeout > 0 {
		t := time.NewTimer(s.Timeout)
		defer t.Stop()
		timeout = t.C
	}
	pid, cancelled := cmd.Process.Pid, ctx.Done()
	stopped := 0
	stop := func(how string, sig os.Signal, as int) {
		if stopped++; stopped > 1 {
			sig = os.Kill // whoever asks twice does not want to wait
		} else {
			ended, status, kill = how, as, time.After(grace)
		}
		signalGroup(pid, sig)
	}
	for {
		select {
		case <-done: //nolint:errcheck // see above
			if ended != "" {
				return ended, status
			}
			return exitOf(cmd.ProcessState)
		case sig := <-s.Signals:
			stop(Interrupted, sig, statusSignal+number(sig))
		case <-timeout:
			stop(TimedOut, terminate, statusTimeout)
		case <-cancelled:
			cancelled = nil
			stop(Interrupted, os.Kill, statusSignal+number(os.Kill))
		case <-kill:
			signalGroup(pid, os.Kill)
		}
	}
}

// programDigest returns the SHA-256 of the file that will be run.
func programDigest(cmd *exec.Cmd) (string, error) {
	if cmd.Err != nil {
		return "", cmd.Err
	}
	p := cmd.Path
	if !isAbs(p) {
		p = cmd.Dir + string(os.PathSeparator) + p
	}
	f, err := os.Open(p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", fs.ErrInvalid
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func isAbs(p string) bool { return strings.HasPrefix(p, string(os.PathSeparator)) }

// A stream reads what a command writes, takes its digest and passes it on.
type stream struct {
	r     *os.File
	to    io.Writer
	keep  int
	now   func() time.Time
	ended *atomic.Bool
	done  chan struct{}
	sum   hash.Hash
	log   Log
}

func (s *stream) start() {
	s.done, s.sum = make(chan struct{}), sha256.New()
	go func() {
		defer close(s.done)
		buf := make([]byte, 32<<10)
		late := 0
		for {
			if s.ended.Load() {
				if late > afterwards {
					return
				}
				_ = s.r.SetReadDeadline(s.now().Add(trailer))
			}
			n, err := s.r.Read(buf)
			if s.ended.Load() {
				late += n
			}
			s.take(buf[:n])
			if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || n == 0) {
				s.log.Complete = errors.Is(err, io.EOF)
				return
			}
		}
	}()
}

func (s *stream) take(b []byte) {
	s.sum.Write(b)
	s.log.Size += int64(len(b))
	if room := s.keep - len(s.log.Kept); room > 0 {
		s.log.Kept = append(s.log.Kept, b[:min(room, len(b))]...)
	}
	if s.to != nil && len(b) > 0 {
		if _, err := s.to.Write(b); err != nil {
			s.to = nil // the reader went away; the command and its digest go on
		}
	}
}

func (s *stream) finish() Log {
	_ = s.r.SetReadDeadline(s.now().Add(trailer))
	<-s.done
	s.log.SHA256 = hex.EncodeToString(s.sum.Sum(nil))
	return s.log
}

// An input is a command's standard input. A terminal is read for it, since a process group that is
// not the terminal's may not read it; anything else it reads itself.
type input struct {
	from, r, w *os.File
}

func newInput(f *os.File) (*input, error) {
	in := &input{from: f}
	if f == nil {
		return in, nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeCharDevice == 0 || f.Name() == os.DevNull {
		return in, nil //nolint:nilerr // a closed input is the command's to find out
	}
	var err error
	in.r, in.w, err = os.Pipe()
	return in, err
}

func (in *input) file() io.Reader {
	switch {
	case in.r != nil:
		return in.r
	case in.from != nil:
		return in.from
	}
	return nil
}

func (in *input) started() {
	if in.r == nil {
		return
	}
	in.r.Close()
	go func() {
		_, _ = io.Copy(in.w, in.from)
		in.w.Close()
	}()
}

func (in *input) close() {
	if in.w != nil {
		in.w.Close()
	}
}
