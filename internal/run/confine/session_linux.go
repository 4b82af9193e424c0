package confine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport"
)

// startTimeout bounds how long walls take to stand.
const startTimeout = 30 * time.Second

// A Session is a confined command.
type Session struct {
	cmd     *exec.Cmd
	control *net.UnixConn
	plan    *plan
	profile Profile

	terminal *os.File
	gateway  *gateway
	names    *nameServer
	witness  *witness
	events   *eventQueue
	stops    chan Status
	stderr   *tail
	feeds    sync.WaitGroup // copies of standard input that is a file

	done   chan struct{}
	status Status
	err    error
	once   sync.Once
	stopOn func() bool
}

func start(ctx context.Context, spec Spec) (_ *Session, err error) {
	if len(spec.Args) == 0 || spec.Args[0] == "" {
		return nil, fmt.Errorf("%w: no command is named", ErrSpec)
	}
	if (spec.UID != 0 || spec.GID != 0) && os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: only a supervisor that is root can start a command as user %d", ErrSpec, spec.UID)
	}
	if spec.Mechanism == "" {
		offer, err := Pick(ctx)
		if err != nil {
			return nil, err
		}
		spec.Mechanism = offer.Mechanism
	}
	switch spec.Mechanism {
	case Bubblewrap, Namespaces:
	default:
		return nil, fmt.Errorf("%w: %s is not run by this version on Linux; %s and %s are", ErrUnavailable, spec.Mechanism, Bubblewrap, Namespaces)
	}
	s := &Session{done: make(chan struct{}), stops: make(chan Status, 4), stderr: &tail{}}
	if s.plan, err = newPlan(&spec); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.abandon()
		}
	}()
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	for n := range s.plan.rules {
		if s.plan.rules[n].Target == InitPath {
			s.plan.rules[n].Source = exe
		}
	}
	stdio, err := s.standardFiles(&spec)
	if err != nil {
		return nil, err
	}
	defer closeAll(stdio.own)
	config := s.config(&spec)
	b, err := sallyport.EncodeJSON(config)
	if err != nil {
		return nil, fmt.Errorf("writing what to start: %w", err)
	}
	configFile, err := memoryFile("sallyport-confine", b)
	if err != nil {
		return nil, err
	}
	defer configFile.Close()
	control, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	s.control = control
	defer theirs.Close()

	extra := []*os.File{theirs, configFile}
	defer func() { closeAll(extra[2:]) }()
	if spec.Mechanism == Bubblewrap {
		s.cmd, extra, err = bwrapCommand(s.plan.rules, spec.Nested, extra)
	} else {
		s.cmd = namespacesCommand(exe)
	}
	if err != nil {
		return nil, err
	}
	s.cmd.Env = []string{} // nil would be the supervisor's
	s.cmd.Dir = "/"
	s.cmd.ExtraFiles = extra
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = stdio.files[0], stdio.files[1], stdio.files[2]
	become(s.cmd, &spec, config)
	s.events = newEventQueue(spec.Events)
	if err := startLocked(s.cmd); err != nil {
		return nil, fmt.Errorf("%w: starting %s: %w", ErrUnavailable, s.cmd.Path, err)
	}
	theirs.Close()
	closeAll(stdio.own)
	stdio.feed(&s.feeds)

	deadline := time.Now().Add(startTimeout) //nolint:forbidigo // how long is waited, not what time it is
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = s.control.SetReadDeadline(deadline)
	if err := s.handshake(&spec); err != nil {
		return nil, err
	}
	_ = s.control.SetReadDeadline(time.Time{})
	s.stopOn = context.AfterFunc(ctx, func() { s.Close() })
	go s.follow()
	return s, nil
}

// startLocked starts the command from a thread that stays: the kernel counts the end of the thread
// that started a process as the end of its parent.
func startLocked(cmd *exec.Cmd) error {
	result := make(chan error)
	starter.Do(func() { go starterThread() })
	starts <- func() { result <- cmd.Start() }
	return <-result
}

// config is what the init is told.
func (s *Session) config(spec *Spec) *initConfig {
	c := &initConfig{
		Build: spec.Mechanism == Namespaces, Checks: s.plan.checks(), Home: s.plan.home, Dir: s.plan.dir,
		Args: spec.Args, Env: environment(spec.Env, s.plan.home), Port: spec.Port, Gateway: spec.Gateway != "",
		Terminal: spec.Terminal, Nested: spec.Nested, Debug: spec.Debug, Observe: !spec.Unobserved,
		UID: os.Getuid(), GID: os.Getgid(),
	}
	if c.Build {
		c.Rules = s.plan.rules
	}
	if c.Port == 0 {
		c.Port = DefaultPort
	}
	if spec.UID != 0 {
		c.UID, c.GID = spec.UID, spec.GID
	}
	for _, r := range s.plan.rules {
		switch r.Kind {
		case bindWrite, memory:
			c.Writable = append(c.Writable, r.Target)
		}
	}
	return c
}

// environment adds what a program cannot do without.
func environment(env []string, home string) []string {
	out := slices.Clone(env)
	for _, v := range []string{"HOME=" + home, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=/tmp"} {
		name, _, _ := strings.Cut(v, "=")
		if !slices.ContainsFunc(out, func(o string) bool { return strings.HasPrefix(o, name+"=") }) {
			out = append(out, v)
		}
	}
	return out
}

// handshake waits for the walls, takes over the files that the init made, and has it start the
// command.
func (s *Session) handshake(spec *Spec) error {
	m, files, err := receive(s.control)
	if err == nil && m.Type == typeFailed {
		closeAll(files)
		return fmt.Errorf("%w: %s: %s", ErrUnavailable, spec.Mechanism, m.Error)
	}
	if err != nil || m.Type != typeReady || len(files) != len(m.Files) {
		closeAll(files)
		return fmt.Errorf("%w: %s built no confinement: %s", ErrUnavailable, spec.Mechanism, s.diagnosis(err))
	}
	for n, name := range m.Files {
		switch name {
		case "gateway":
			s.gateway, err = newGateway(files[n], spec.Gateway)
		case "names":
			s.names, err = newNameServer(files[n], s.events)
		case "terminal":
			s.terminal = files[n]
		case "witness":
			s.witness, err = newWitness(files[n], s, spec)
		default:
			files[n].Close()
		}
		if err != nil {
			closeAll(files[n:])
			return fmt.Errorf("taking over %s: %w", name, err)
		}
	}
	if spec.Gateway != "" && s.gateway == nil || spec.Terminal != nil && s.terminal == nil {
		return fmt.Errorf("%w: %s gave no gateway or no terminal", ErrUnavailable, spec.Mechanism)
	}
	if err := s.describe(spec, m); err != nil {
		return err
	}
	if err := send(s.control, message{Type: typeGo}); err != nil {
		return fmt.Errorf("%w: %s ended early: %s", ErrUnavailable, spec.Mechanism, s.diagnosis(err))
	}
	m, files, err = receive(s.control)
	closeAll(files)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s ended early: %s", ErrUnavailable, spec.Mechanism, s.diagnosis(err))
	case m.Type == typeFailed:
		return fmt.Errorf("%w: %s", ErrSpec, m.Error)
	case m.Type != typeStarted:
		return fmt.Errorf("%w: %s said %q", ErrUnavailable, spec.Mechanism, m.Type)
	}
	return nil
}

// diagnosis is why a builder failed, in its own words if it had any.
func (s *Session) diagnosis(err error) string {
	s.control.Close()
	_ = unix.Kill(s.cmd.Process.Pid, unix.SIGKILL)
	_ = s.cmd.Wait()
	if line := s.stderr.last(); line != "" {
		return line
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	return s.cmd.ProcessState.String()
}

// follow hears what the init says until the end.
func (s *Session) follow() {
	var status *Status
	for {
		m, files, err := receive(s.control)
		closeAll(files)
		if err != nil {
			break
		}
		switch m.Type {
		case typeStopped:
			select {
			case s.stops <- Status{Signal: m.Signal}:
			default:
			}
		case typeExit:
			status = &Status{Code: m.Code, Signal: m.Signal}
		}
	}
	s.finish(status)
}

// finish waits until nothing of the session is left.
func (s *Session) finish(status *Status) {
	s.once.Do(func() {
		if s.stopOn != nil {
			s.stopOn()
		}
		if status == nil {
			_ = s.cmd.Process.Kill()
		}
		_ = s.cmd.Wait()
		s.control.Close()
		s.gateway.close()
		s.names.close()
		s.witness.close()
		s.plan.sweep(s.events)
		s.plan.cleanUp()
		s.events.close()
		s.err = ErrLost
		if status != nil {
			s.status, s.err = *status, nil
		}
		close(s.stops)
		close(s.done)
	})
}

// abandon undoes a start that failed.
func (s *Session) abandon() {
	if s.control != nil {
		s.control.Close()
	}
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	s.gateway.close()
	s.names.close()
	s.witness.close()
	if s.terminal != nil {
		s.terminal.Close()
	}
	s.plan.cleanUp()
	if s.events != nil {
		s.events.close()
	}
}

// Wait waits for the command and for everything that it started to be gone, and every event to have
// been told. The error is [ErrLost] if the command was ended by Close or with its confinement.
func (s *Session) Wait() (Status, error) {
	<-s.done
	return s.status, s.err
}

// Close ends the command and everything that it started, and waits for that.
func (s *Session) Close() error {
	select {
	case <-s.done:
		return nil
	default:
	}
	_ = s.cmd.Process.Kill() // bwrap's or the init's own end is the namespace's
	s.control.Close()
	<-s.done
	return nil
}

// Profile returns what stands around the command.
func (s *Session) Profile() Profile { return s.profile }

// Terminal returns the other side of the command's terminal, nil if it has none. It is the caller's
// to close.
func (s *Session) Terminal() *os.File { return s.terminal }

// Stops tells each time that the command was stopped, as by ^Z, and is closed at its end.
// [Session.Continue] lets it go on.
func (s *Session) Stops() <-chan Status { return s.stops }

// Continue lets a stopped command go on in the foreground.
func (s *Session) Continue() error { return send(s.control, message{Type: typeContinue}) }

// Signal sends a signal to the command's process group.
func (s *Session) Signal(sig int) error {
	return send(s.control, message{Type: typeSignal, Signal: sig})
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// describe fills in the profile.
func (s *Session) describe(spec *Spec, m message) error {
	var u unix.Utsname
	_ = unix.Uname(&u)
	p := Profile{
		Mechanism: spec.Mechanism, Version: version(spec.Mechanism), Kernel: unix.ByteSliceToString(u.Release[:]),
		Files: s.plan.files(), Network: "loopback", PIDs: true, Users: !spec.Nested, Landlock: m.Landlock,
		Guarded: s.plan.guards, UID: os.Getuid(), Terminal: spec.Terminal != nil, Notes: m.Notes,
		Seccomp: sallyport.Digest(m.Filter),
	}
	if spec.Gateway != "" {
		p.Network = "loopback with gateway"
	}
	if spec.UID != 0 {
		p.UID = spec.UID
	}
	p.Separate = p.UID != os.Getuid()
	switch {
	case m.Landlock == 0 && spec.Mechanism == Namespaces && !spec.Nested:
		return fmt.Errorf("%w: this kernel has no Landlock, which %s needs; install bubblewrap, or boot with lsm=landlock,… (Linux 5.13 or newer)", ErrUnavailable, Namespaces)
	case m.Landlock == 0:
		p.Notes = append(p.Notes, "file rules stand on mounts alone: no Landlock")
	case spec.Nested:
		p.Notes = append(p.Notes, "Landlock's file rules are left out, since the command may make namespaces")
	case m.Landlock < 6:
		p.Notes = append(p.Notes, "this kernel's Landlock does not speak of signals and abstract sockets")
	}
	if s.witness != nil {
		p.Observed = []Kind{Process, Read, Write, Network, Signal, Memory}
	} else {
		p.Partial = "the kernel has no seccomp notification that can continue a call (Linux 5.5 has)"
		if spec.Unobserved {
			p.Partial = "it was not asked for"
		}
		p.Observed = []Kind{}
		if !spec.Unobserved {
			return fmt.Errorf("%w: no witness: %s", ErrUnavailable, p.Partial)
		}
	}
	b, err := sallyport.EncodeJSON(p)
	if err != nil {
		return fmt.Errorf("digesting the profile: %w", err)
	}
	p.Digest = sallyport.SHA256(b)
	s.profile = p
	return nil
}
