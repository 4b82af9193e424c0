// Package run supervises one session of an agent: it starts the command in a cage, stands between it
// and its model, hears what its hooks say, and keeps a record of what was seen from outside.
//
// # The life of a run
//
//  1. [Clean] makes the environment: what an allow list names, and nothing that looks like a secret.
//  2. [Supervise] opens the gateway, writes the first entry of the record, and starts the command in the
//     [Cage]. No process of the run is started before that entry is durable.
//  3. What the cage sees (processes, refused writes and connections) and what reaches the gateway
//     becomes entries. An entry that cannot be written ends the run: what is not recorded must not go on.
//  4. When the command has ended, the cage ends whatever it left behind, the gateway closes, and the
//     last entry says how it went. Only then does the caller compare the workspace with its state before
//     the run: nothing of the run can write any more.
//
// The package signs nothing and knows no git. What the run changed, and the statement about it, are the
// caller's (internal/app).
//
// # What it does not do
//
// A supervisor under the agent's own user is within the agent's reach wherever the cage does not hold.
// The caller says so in the statement ([predicate.SeparationNone]). A cage is somebody else's
// mechanism; the one here, [Open], confines nothing, and says that.
package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Errors that callers tell apart.
var (
	// ErrRecord says that something could not be recorded, so that the run was ended.
	ErrRecord = errors.New("the run's record could not be written")
	// ErrStart says that the command could not be started.
	ErrStart = errors.New("the command could not be started")
)

// A Journal is the record of one run.
type Journal interface {
	// Append makes an entry durable before it returns. It must be safe for concurrent use.
	Append(kind string, body any) error
	// AppendText is Append with a salted commitment to a text that must not be published.
	AppendText(kind string, body any, name string, text []byte) (commitment string, err error)
}

// The kinds of entries that this package writes.
const (
	KindStart   = "start"
	KindProcess = "process"
	KindWrite   = "write"
	KindNetwork = "network"
	KindRefused = "refused"
	KindHook    = "hook"
)

// A Cage starts a process confined, as far as it can.
type Cage interface {
	// Start starts p. Its events may be sent from any goroutine until the session has ended.
	Start(ctx context.Context, p Process) (Session, error)
	// Bridged reports whether processes in the cage reach the gateway's socket as a port of their own
	// loopback interface. Otherwise the gateway listens on this machine's.
	Bridged() bool
}

// A Session is a started process with all that it started.
type Session interface {
	// Wait returns once the first process has ended, with its status as a shell gives it.
	Wait() (status int, err error)
	// End ends whatever the session left behind, and returns an error unless nothing is left. It is
	// called once, after Wait has returned, while this process has no other children at work.
	End() error
	// Signal passes a signal to the session's first process, or to all.
	Signal(sig os.Signal)
	// Profile says what confined the session.
	Profile() Confinement
}

// A Confinement is what confines a session.
type Confinement struct {
	Mechanism string `json:"mechanism"`
	Version   string `json:"version,omitempty"`
	Digest    string `json:"profile,omitempty"` // sha256 of the rules
}

// A Process is what to start, and what it may reach.
type Process struct {
	Args      []string
	Env       []string
	Dir       string
	Home      string // its own; empty if it has none
	Workspace string
	ReadOnly  []string // beside the workspace and the system
	ReadWrite []string
	Protected []string          // inside the workspace, not to be written
	Etc       map[string]string // files that a cage lays below /etc, by their paths there
	Gateway   string            // the gateway's socket
	Port      int               // where the gateway is, on 127.0.0.1
	UID, GID  int               // whom it runs as; -1 for the supervisor's own
	Stdin     *os.File
	Stdout    *os.File
	Stderr    *os.File
	Event     func(Event)
}

// An Event is what a cage saw.
type Event struct {
	Kind    string    `json:"kind"` // process, write, network, signal, memory
	Refused bool      `json:"refused"`
	Path    string    `json:"path,omitempty"`
	Address string    `json:"address,omitempty"`
	Args    []string  `json:"-"` // may hold secrets: what is recorded is a commitment
	PID     int       `json:"pid,omitempty"`
	Time    time.Time `json:"time"`
}

// Options are what [Supervise] needs.
type Options struct {
	ID      string
	Folder  string // a folder of the supervisor's own, mode 0700, for the socket
	Token   string // what the run shows at the gateway
	Cage    Cage
	Process Process
	Journal Journal
	// Start is the body of the first entry. Started is told the commitment to the command's arguments.
	Start   any
	Started func(commitment string)
	// Gateway answers what the run asks; nil answers nothing but hooks.
	Gateway http.Handler
	// Environ completes the environment once the gateway's address is known.
	Environ func(port int) []string
	// Etc, if set, returns the files for [Process.Etc]. It is called after Environ.
	Etc     func() map[string]string
	Signals <-chan os.Signal
	Now     func() time.Time
	// Every is how often Checkpoint is called while the run goes on; zero for never.
	Every      time.Duration
	Checkpoint func(context.Context, Tally, Confinement) error
}

// A Tally is what was counted so far.
type Tally struct {
	Refused map[string]int64 // by kind
	Hooks   int64
	Denied  int64 // by hooks
	Tools   map[string]int64
}

// An Outcome is how a run went.
type Outcome struct {
	Tally
	Started, Ended time.Time
	ExitStatus     int
	Conclusion     predicate.Conclusion
	Confinement    Confinement
}

// Supervise runs the command to its end. The error is about the supervision, not about how the command
// fared; with one, the outcome tells what is known, and its conclusion is never success.
func Supervise(ctx context.Context, o Options) (Outcome, error) {
	s := &supervisor{o: o, tally: Tally{Refused: map[string]int64{}, Tools: map[string]int64{}}, failed: make(chan error, 1)}
	out := Outcome{Started: o.Now(), Conclusion: predicate.ConclusionAborted}
	socket, port, stop, err := s.listen(ctx)
	if err != nil {
		return out, err
	}
	defer stop()
	commitment, err := o.Journal.AppendText(KindStart, o.Start, "arguments", joinArgs(o.Process.Args))
	if err != nil {
		return out, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	o.Started(commitment)
	p := o.Process
	p.Gateway, p.Port, p.Event = socket, port, s.event
	p.Env = overlay(p.Env, o.Environ(port))
	if o.Etc != nil {
		p.Etc = o.Etc()
	}
	session, err := o.Cage.Start(ctx, p)
	if err != nil {
		out.Ended, out.ExitStatus, out.Conclusion = o.Now(), statusOf(err), predicate.ConclusionFailure
		return out, fmt.Errorf("%w: %w", ErrStart, err)
	}
	out.Confinement = session.Profile()
	status, stopped, err := s.wait(ctx, session)
	out.Ended, out.ExitStatus, out.Tally = o.Now(), status, s.counted()
	switch {
	case err != nil:
		return out, err
	case stopped:
	case status == 0:
		out.Conclusion = predicate.ConclusionSuccess
	default:
		out.Conclusion = predicate.ConclusionFailure
	}
	return out, nil
}

// A supervisor is the state of one run.
type supervisor struct {
	o      Options
	failed chan error // the first entry that could not be written

	mu    sync.Mutex
	tally Tally
}

// record writes an entry, and has the run ended if it cannot.
func (s *supervisor) record(kind string, body any) error {
	err := s.o.Journal.Append(kind, body)
	s.fails(err)
	return err
}

func (s *supervisor) fails(err error) {
	if err != nil {
		select {
		case s.failed <- err:
		default:
		}
	}
}

func (s *supervisor) counted() Tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally
	t.Refused, t.Tools = map[string]int64{}, map[string]int64{}
	for k, n := range s.tally.Refused {
		t.Refused[k] = n
	}
	for k, n := range s.tally.Tools {
		t.Tools[k] = n
	}
	return t
}

// maxKinds bounds what is counted by name, since an agent chooses the names.
const maxKinds = 500

func (s *supervisor) refused(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.tally.Refused[kind]; ok || len(s.tally.Refused) < maxKinds {
		s.tally.Refused[kind]++
	}
}

// An eventEntry is how an event stands in the record; its arguments are committed to.
type eventEntry struct {
	Event
	Program string `json:"program,omitempty"`
}

func (s *supervisor) event(e Event) {
	entry := eventEntry{Event: e}
	kind := KindProcess
	switch {
	case e.Refused:
		s.refused(e.Kind)
		kind = KindRefused
	case e.Kind == "write":
		kind = KindWrite
	case e.Kind == "network":
		kind = KindNetwork
	}
	if len(e.Args) == 0 {
		_ = s.record(kind, entry) // a failure ends the run
		return
	}
	entry.Program = clip(filepath.Base(e.Args[0]))
	_, err := s.o.Journal.AppendText(kind, entry, "arguments", joinArgs(e.Args))
	s.fails(err)
}

// joinArgs is what a commitment to arguments is made of: each, and a NUL.
func joinArgs(args []string) []byte {
	var b []byte
	for _, a := range args {
		b = append(append(b, a...), 0)
	}
	return b
}

// wait waits for the session, passes signals on, and makes checkpoints. stopped says that somebody
// ended the run from outside.
func (s *supervisor) wait(ctx context.Context, session Session) (status int, stopped bool, err error) {
	type end struct {
		status int
		err    error
	}
	done := make(chan end, 1)
	go func() {
		n, err := session.Wait()
		done <- end{n, err}
	}()
	var tick <-chan time.Time
	if s.o.Every > 0 && s.o.Checkpoint != nil {
		t := time.NewTicker(s.o.Every)
		defer t.Stop()
		tick = t.C
	}
	cancelled := ctx.Done()
	var failure error
	for {
		select {
		case e := <-done:
			select {
			case lost := <-s.failed: // the last entries count too
				failure = fmt.Errorf("%w: %w", ErrRecord, lost)
			default:
			}
			if left := session.End(); left != nil {
				failure = errors.Join(failure, left)
			}
			return e.status, stopped, errors.Join(failure, e.err)
		case sig := <-s.o.Signals:
			stopped = stopped || sig != os.Interrupt // an agent at a terminal takes ^C as a word to itself
			session.Signal(sig)
		case lost := <-s.failed:
			stopped, failure = true, fmt.Errorf("%w: %w", ErrRecord, lost)
			session.Signal(os.Kill)
		case <-tick:
			if err := s.o.Checkpoint(ctx, s.counted(), session.Profile()); err != nil {
				stopped, failure = true, fmt.Errorf("make a checkpoint: %w", err)
				session.Signal(os.Kill)
			}
		case <-cancelled:
			cancelled, stopped = nil, true
			session.Signal(os.Kill)
		}
	}
}

// listen opens the gateway.
func (s *supervisor) listen(ctx context.Context) (socket string, port int, stop func(), err error) {
	handler := s.gateway()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	socket = filepath.Join(s.o.Folder, "gateway")
	var lc net.ListenConfig
	unix, err := lc.Listen(ctx, "unix", socket)
	if err != nil {
		return "", 0, nil, fmt.Errorf("open the gateway: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		unix.Close()
		return "", 0, nil, fmt.Errorf("open the gateway: %w", err)
	}
	listeners := []net.Listener{unix}
	port = BridgedPort
	if !s.o.Cage.Bridged() {
		tcp, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			unix.Close()
			return "", 0, nil, fmt.Errorf("open the gateway: %w", err)
		}
		addr, _ := tcp.Addr().(*net.TCPAddr)
		port = addr.Port
		listeners = append(listeners, tcp)
	}
	for _, l := range listeners {
		go server.Serve(l) //nolint:errcheck // ends with Close
	}
	return socket, port, func() { server.Close() }, nil
}

// BridgedPort is where the gateway is inside a cage that has a loopback interface of its own.
const BridgedPort = confine.DefaultPort
