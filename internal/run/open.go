package run

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Open is the cage that confines nothing. It ends what the command leaves behind as far as the operating
// system lets it find that.
type Open struct{}

// Unconfined is the mechanism that Open names.
const Unconfined = "none"

// Exit statuses that a shell gives.
const (
	statusCannotStart = 126
	statusNotFound    = 127
	statusSignal      = 128
)

// statusOf is the exit status for a command that could not be started.
func statusOf(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return statusNotFound
	}
	return statusCannotStart
}

// Bridged reports false.
func (Open) Bridged() bool { return false }

// Start starts p in the process group of the supervisor, so that a terminal is its own.
func (Open) Start(ctx context.Context, p Process) (Session, error) {
	// Not ended by ctx: the supervisor ends the whole session.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.Args[0], p.Args[1:]...)
	cmd.Dir, cmd.Env = p.Dir, p.Env
	// A nil *os.File in an interface is not a nil reader.
	if p.Stdin != nil {
		cmd.Stdin = p.Stdin
	}
	if p.Stdout != nil {
		cmd.Stdout = p.Stdout
	}
	if p.Stderr != nil {
		cmd.Stderr = p.Stderr
	}
	if err := lookIn(cmd, p.Args[0], p.Env); err != nil {
		return nil, err
	}
	asUser(cmd, p)
	keep := adopt()
	if err := cmd.Start(); err != nil {
		keep.release()
		return nil, err
	}
	p.Event(Event{Kind: "process", Path: cmd.Path, Args: p.Args, PID: cmd.Process.Pid})
	return &openSession{cmd: cmd, keep: keep}, nil
}

type openSession struct {
	cmd  *exec.Cmd
	keep *adoption
}

func (s *openSession) Wait() (int, error) {
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return statusCannotStart, err
	}
	if ws, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return statusSignal + int(ws.Signal()), nil
	}
	return s.cmd.ProcessState.ExitCode(), nil
}

// End ends what the command left behind.
func (s *openSession) End() error { return s.keep.end() }

func (s *openSession) Signal(sig os.Signal) {
	_ = s.cmd.Process.Signal(sig) // it may have ended
	if sig == os.Kill {
		s.keep.kill()
	}
}

func (s *openSession) Profile() Confinement { return Confinement{Mechanism: Unconfined} }

// lookIn finds the program by the PATH of the run, which may not be the supervisor's.
func lookIn(cmd *exec.Cmd, name string, env []string) error {
	if filepath.Base(name) != name {
		return cmd.Err
	}
	for _, kv := range env {
		list, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			if !filepath.IsAbs(dir) {
				continue // the workspace is the agent's
			}
			file := filepath.Join(dir, name)
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				cmd.Path, cmd.Err = file, nil
				return nil
			}
		}
	}
	return &exec.Error{Name: name, Err: exec.ErrNotFound}
}
