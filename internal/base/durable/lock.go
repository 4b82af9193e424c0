package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrHeld is wrapped by [Acquire] when somebody else kept the lock for as long as the caller was
// willing to wait.
var ErrHeld = errors.New("lock is held")

// A HeldError says who holds a lock. It wraps [ErrHeld] and the context's error.
type HeldError struct {
	Path string
	PID  int // process id that the holder wrote into the file; 0 if it is not known
	Err  error
}

// Error names the file and the holder.
func (e *HeldError) Error() string {
	who := "another process"
	if e.PID > 0 {
		who = "process " + strconv.Itoa(e.PID)
	}
	return fmt.Sprintf("lock %s: held by %s: %v", e.Path, who, e.Err)
}

// Unwrap returns [ErrHeld] and the reason why waiting ended.
func (e *HeldError) Unwrap() []error { return []error{ErrHeld, e.Err} }

// A Lock is an exclusive lock on a file. It is released by [Lock.Release] or by the death of the
// process, and excludes other holders in the same process too.
type Lock struct{ f *os.File }

// maxPoll bounds the pause between two attempts. The kernel offers no wait that a context could
// end, so Acquire asks again and again, at first after a millisecond.
const maxPoll = 20 * time.Millisecond

const pidWidth = 20

// Acquire takes the lock at path, creating the file with permissions 0600 if it is missing, and
// waits until ctx is done. A caller that wants to wait no longer than some seconds says so in
// ctx. The file stays after release: removing it would let two processes lock two files of one
// name.
func Acquire(ctx context.Context, path string) (*Lock, error) {
	// Symbolic links are refused, so that nobody makes us write a pid through one.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for pause := time.Millisecond; ; pause = min(2*pause, maxPoll) {
		err := flock(f)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			held := &HeldError{Path: path, PID: readPID(f), Err: context.Cause(ctx)}
			f.Close()
			return nil, held
		}
	}
	// The pid is for people, and the lock holds without it; it need not be durable either. It
	// has a fixed width so that the file is never truncated, on which ext4 would force a write.
	_, _ = fmt.Fprintf(io.NewOffsetWriter(f, 0), "%*d\n", pidWidth, os.Getpid())
	return &Lock{f: f}, nil
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func readPID(f *os.File) int {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// Release gives the lock up. It may be called more than once.
func (l *Lock) Release() error {
	if l == nil || l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}
