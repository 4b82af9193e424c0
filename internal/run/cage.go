package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
	"github.com/sallyport-dev/sallyport/internal/run/term"
)

// Confined is the cage of package confine.
type Confined struct {
	Mechanism confine.Mechanism // empty for the best that can be had
	Hidden    []string
}

// Bridged reports true: the network of a confined command is its own.
func (Confined) Bridged() bool { return true }

// Start confines p and starts it.
func (c Confined) Start(ctx context.Context, p Process) (Session, error) {
	args, shown, err := programPaths(p)
	if err != nil {
		return nil, err
	}
	s := &confinedSession{}
	spec := confine.Spec{
		Mechanism: c.Mechanism, Workspace: p.Workspace, ReadOnly: append(shown, p.ReadOnly...), ReadWrite: p.ReadWrite, Protected: p.Protected, Hidden: c.Hidden, Etc: p.Etc,
		Home: p.Home, Dir: p.Dir, Args: args, Env: p.Env, Gateway: p.Gateway, Port: p.Port,
		Events: func(e confine.Event) {
			if told(e) {
				p.Event(Event{Kind: string(e.Kind), Refused: e.Refused, Path: clip(e.Path), Address: clip(e.Address), Args: e.Argv, PID: e.PID, Time: e.Time})
			}
		},
	}
	if p.UID > 0 {
		spec.UID, spec.GID = p.UID, p.GID
	}
	if err := s.files(&spec, p); err != nil {
		return nil, err
	}
	s.Session, err = confine.Start(context.WithoutCancel(ctx), spec)
	s.started()
	if err != nil {
		s.finish()
		return nil, err
	}
	s.attach(p)
	return s, nil
}

// told says which events are recorded: what is read and written without being refused is seen in the
// end, by content.
func told(e confine.Event) bool {
	return e.Refused || e.Kind != confine.Read && e.Kind != confine.Write
}

// A confinedSession is a confined command with what carries its input and output.
type confinedSession struct {
	*confine.Session
	given   []*os.File // that only the command needs
	copied  []chan struct{}
	restore func()
	lost    error // why it was ended at once
}

// files gives the command its standard files. A terminal of the operator's is never the command's: who
// holds one can type into it. With a terminal on both sides the command gets one of its own.
func (s *confinedSession) files(spec *confine.Spec, p Process) error {
	if term.IsTerminal(p.Stdin) && term.IsTerminal(p.Stdout) {
		size := confine.Size{Rows: 24, Columns: 80}
		if rows, columns, err := term.Size(p.Stdout); err == nil {
			size = confine.Size{Rows: rows, Columns: columns}
		}
		spec.Terminal = &size
		return nil
	}
	if !term.IsTerminal(p.Stdin) {
		spec.Stdin = p.Stdin
	}
	for _, f := range []struct {
		from *os.File
		to   **os.File
	}{{p.Stdout, &spec.Stdout}, {p.Stderr, &spec.Stderr}} {
		if !term.IsTerminal(f.from) {
			*f.to = f.from
			continue
		}
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		*f.to = w
		s.given = append(s.given, w)
		s.carry(f.from, r)
	}
	return nil
}

// carry copies what the command writes until nobody has the other end.
func (s *confinedSession) carry(to io.Writer, from *os.File) {
	done := make(chan struct{})
	s.copied = append(s.copied, done)
	go func() {
		defer close(done)
		_, _ = io.Copy(to, from)
		from.Close()
	}()
}

func (s *confinedSession) started() {
	for _, f := range s.given {
		f.Close()
	}
	s.given = nil
}

// attach joins the command's terminal with the operator's.
func (s *confinedSession) attach(p Process) {
	pty := s.Session.Terminal()
	if pty == nil {
		return
	}
	// The supervisor passes signals on by itself.
	relay, err := term.Attach(p.Stdin, p.Stdout, pty, func(syscall.Signal) {})
	if err != nil {
		s.lost = fmt.Errorf("join the agent's terminal with yours: %w", err)
		go s.Session.Close() //nolint:errcheck // Wait says how it ended
		return
	}
	s.restore = func() { _ = relay.Close() }
	go func() {
		for range s.Session.Stops() { // by ^Z, which stops this program too, until fg
			if relay.Suspend() != nil || s.Session.Continue() != nil {
				_ = s.Session.Close()
			}
		}
	}()
}

func (s *confinedSession) finish() {
	for _, done := range s.copied {
		<-done
	}
	s.copied = nil
	if s.restore != nil {
		s.restore()
		s.restore = nil
	}
}

// Wait returns when nothing of the session is left.
func (s *confinedSession) Wait() (int, error) {
	st, err := s.Session.Wait()
	s.finish()
	if s.lost != nil {
		return st.Exit(), s.lost
	}
	if errors.Is(err, confine.ErrLost) {
		return statusSignal + int(syscall.SIGKILL), nil // ended from outside, as [confinedSession.Signal] does
	}
	return st.Exit(), err
}

// End has nothing to do: a process namespace ends with its first process.
func (s *confinedSession) End() error { return nil }

func (s *confinedSession) Signal(sig os.Signal) {
	n, ok := sig.(syscall.Signal)
	if !ok || n == syscall.SIGKILL {
		go s.Session.Close() //nolint:errcheck // Wait says how it ended
		return
	}
	_ = s.Session.Signal(int(n))
}

func (s *confinedSession) Profile() Confinement {
	p := s.Session.Profile()
	return Confinement{Mechanism: string(p.Mechanism), Version: clip(p.Version), Digest: string(p.Digest)}
}

// programPaths returns the command with its program as a whole path, and the folders without which that
// would not run: those of a program that is installed in a home folder, which a cage hides.
func programPaths(p Process) (args, shown []string, err error) {
	args = slices.Clone(p.Args)
	cmd := &exec.Cmd{Path: args[0]}
	if err := lookIn(cmd, args[0], p.Env); err != nil {
		return nil, nil, err
	}
	if filepath.Base(args[0]) == args[0] {
		args[0] = cmd.Path
	}
	file := args[0]
	if !filepath.IsAbs(file) {
		file = filepath.Join(p.Dir, file)
	}
	if _, err := os.Stat(file); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", args[0], exec.ErrNotFound)
	}
	shown = installed(file, p)
	if real, err := filepath.EvalSymlinks(file); err == nil && real != file && len(installed(real, p)) > 0 {
		args[0] = real // a link in a hidden folder is not there inside
		shown = append(shown, installed(real, p)...)
	}
	for _, name := range append([]string{interpreter(args[0])}, scriptOf(args)...) {
		it := &exec.Cmd{Path: name}
		if name == "" || lookIn(it, name, p.Env) != nil {
			continue
		}
		for _, f := range []string{it.Path, resolved(it.Path)} {
			shown = append(shown, installed(f, p)...)
		}
	}
	slices.Sort(shown)
	return args, slices.Compact(shown), nil
}

func resolved(file string) string {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		return real
	}
	return file
}

// scriptOf returns what an interpreter is given to run, if that is a whole path.
func scriptOf(args []string) []string {
	if len(args) > 1 && filepath.IsAbs(args[1]) {
		return args[1:2]
	}
	return nil
}

// interpreter returns the program that a script's first line names through env, which looks it up.
func interpreter(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 256)
	n, _ := io.ReadFull(f, b)
	line, _, _ := strings.Cut(string(b[:n]), "\n")
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if !strings.HasPrefix(line, "#!") || len(words) < 2 || filepath.Base(words[0]) != "env" {
		return ""
	}
	for _, w := range words[1:] {
		if !strings.HasPrefix(w, "-") && !strings.Contains(w, "=") {
			return w
		}
	}
	return ""
}

// systemRoots are shown by every cage.
var systemRoots = []string{"/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/nix/store/"}

// installed returns the folder that has to be shown so that file can run: the packages that it is one
// of, or its own folder. It is nothing where a cage shows the file anyway.
func installed(file string, p Process) []string {
	if strings.HasPrefix(file, p.Workspace+string(filepath.Separator)) || slices.ContainsFunc(systemRoots, func(r string) bool { return strings.HasPrefix(file, r) }) {
		return nil
	}
	if i := strings.Index(file, "/node_modules/"); i > 0 {
		return []string{file[:i+len("/node_modules")]}
	}
	dir := filepath.Dir(file)
	home, _ := os.UserHomeDir()
	if up := filepath.Dir(dir); filepath.Base(dir) == "bin" && up != "/" && up != home && filepath.Base(up) != ".local" {
		return []string{up} // an installation with its libraries
	}
	if dir == home || dir == "/" || filepath.Base(dir) == "bin" {
		return []string{file} // not all of somebody's programs
	}
	return []string{dir}
}
