package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// An ExitError says that a git process failed: which command, with what status, and what it
// said, in one line.
type ExitError struct {
	Command string
	Status  int
	Stderr  string
}

// Error returns "git COMMAND: what git said".
func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("git %s: exit status %d", e.Command, e.Status)
	}
	return fmt.Sprintf("git %s: %s", e.Command, e.Stderr)
}

func findGit() (string, error) {
	p, err := exec.LookPath("git")
	if err != nil {
		return "", fmt.Errorf("find the git executable: %w", err)
	}
	return p, nil
}

// environ is the whole environment of a git process. Nothing is inherited but where programs
// and temporary files are.
func (r *Repo) environ() []string {
	env := []string{
		"GIT_DIR=" + r.private,
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_SYSTEM=" + os.DevNull,
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_NO_LAZY_FETCH=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_ALLOW_PROTOCOL=",
		"GIT_PAGER=cat",
		"GIT_EDITOR=false",
		"HOME=" + r.private + string(os.PathSeparator) + "home",
		"LC_ALL=C",
		"TZ=UTC",
	}
	for _, name := range []string{"PATH", "TMPDIR", "SYSTEMROOT"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func (r *Repo) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.gitPath, append([]string{"--no-pager", "--literal-pathspecs"}, args...)...)
	cmd.Env = r.environ()
	cmd.Dir = r.private
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Stream runs git in the private folder with stdin, and read on what it prints. If read returns
// before the end of the output, the process is stopped. The error is read's, if it has one, else
// the process's ([ExitError]).
//
// Arguments are the caller's own words and object ids. Names that come from a repository have no
// place in them.
func (r *Repo) Stream(ctx context.Context, stdin io.Reader, read func(io.Reader) error, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	cmd := r.command(ctx, args...)
	cmd.Stdin = stdin
	var stderr tail
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("git %s: %w", args[0], err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("git %s: %w", args[0], err)
	}
	readErr := read(out)
	stopped := false
	if readErr != nil {
		stopped = true
	} else if n, _ := io.ReadFull(out, make([]byte, 1)); n > 0 {
		stopped = true // the caller has seen enough
	}
	if stopped {
		cancel()
	}
	ctxErr := ctx.Err()
	waitErr := cmd.Wait()
	switch {
	case readErr != nil && !stopped:
		return readErr
	case readErr != nil:
		// A cut-off stream is often the sign of a failed process, which knows more.
		var exit *exec.ExitError
		if errors.Is(readErr, io.ErrUnexpectedEOF) && errors.As(waitErr, &exit) && exit.Exited() {
			return exitError(args[0], waitErr, &stderr)
		}
		return readErr
	case stopped:
		return nil
	case ctxErr != nil:
		return fmt.Errorf("git %s: %w", args[0], ctxErr)
	case waitErr != nil:
		return exitError(args[0], waitErr, &stderr)
	}
	return nil
}

// Output runs git and returns what it printed, at most limit bytes.
func (r *Repo) Output(ctx context.Context, limit int64, stdin io.Reader, args ...string) ([]byte, error) {
	var b []byte
	err := r.Stream(ctx, stdin, func(out io.Reader) error {
		var err error
		b, err = io.ReadAll(io.LimitReader(out, limit+1))
		if err == nil && int64(len(b)) > limit {
			return fmt.Errorf("output of git %s: %w: more than %d bytes", args[0], ErrTooLarge, limit)
		}
		return err
	}, args...)
	return b, err
}

// ExitStatus returns the status with which git ended, if err says that it ran and failed.
func ExitStatus(err error) (int, bool) {
	if e, ok := errors.AsType[*ExitError](err); ok {
		return e.Status, true
	}
	return 0, false
}

func exitError(command string, err error, stderr *tail) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("git %s: %w", command, err)
	}
	return &ExitError{Command: command, Status: exit.ExitCode(), Stderr: stderr.line()}
}

// A tail keeps the first few kilobytes of what is written to it.
type tail struct{ buf bytes.Buffer }

const tailSize = 4 << 10

// Write keeps what fits and drops the rest.
func (t *tail) Write(p []byte) (int, error) {
	if room := tailSize - t.buf.Len(); room > 0 {
		t.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// line folds what was kept into one printable line.
func (t *tail) line() string {
	fields := strings.FieldsFunc(t.buf.String(), func(c rune) bool { return c == '\n' || c == '\r' })
	for i, f := range fields {
		fields[i] = strings.Map(func(c rune) rune {
			if c < ' ' || c == 0x7f {
				return '?'
			}
			return c
		}, strings.TrimPrefix(strings.TrimSpace(f), "fatal: "))
	}
	return strings.Join(fields, "; ")
}

// Version returns the version of the git executable, such as "2.39.5".
func (r *Repo) Version(ctx context.Context) (string, error) {
	out, err := r.Output(ctx, 4<<10, nil, "version")
	if err != nil {
		return "", err
	}
	v, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "git version ")
	if !ok {
		return "", fmt.Errorf("git version: unexpected answer %q", out)
	}
	return v, nil
}
