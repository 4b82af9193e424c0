// Package confine starts a command that cannot reach what it was not given.
//
// The command is an agent, and whoever steers it. Around it stand walls of the kernel, which an
// existing mechanism raises, and a witness outside, which tells what was tried against them:
//
//   - Files. The command has a root of its own, an empty one into which only what it may see is
//     bound: the system read-only, the workspace and what [Spec.ReadWrite] names writable, a HOME
//     and temporary folders of its own. The operator's home, sockets and processes are not hidden,
//     they are not there. Inside the workspace, [Spec.Protected], .sallyport and what git runs
//     (hooks, configuration, attributes) are read-only, and every folder on the way to them is a
//     mount point, so that none can be renamed away and made anew.
//   - Network. The command's network namespace has a loopback device and nothing else.
//     127.0.0.1:[Spec.Port] in it is a listening socket that the supervisor holds: what connects
//     there is carried to [Spec.Gateway]. Names are answered by the supervisor too, with a refusal.
//   - Processes. The command's process namespace begins with an init of ours and ends with it:
//     when the command ends, when [Session.Close] is called, and when the supervisor dies.
//   - Privileges. No capability, none to be had by exec, no namespaces of its own, no new keyring
//     but an empty one, and a seccomp filter that leaves out what a confined command has no use for.
//   - Landlock is laid over all of it where the kernel has it: the same file rules once more, by
//     another part of the kernel, and no signal, and no abstract socket, to outside.
//
// The witness is seccomp's user notification. It names what was tried; it lets nothing through
// that the kernel would refuse, and if it ends the command ends. A path in the memory of another
// process can change after it was read, so what the witness says about paths is what was asked
// for, and what holds is the mount.
//
// Nothing degrades silently. What a [Spec] asks for and cannot be had is an error before the
// command starts. The init looks at what was built, from inside, and starts nothing if one wall is
// missing; what stood is in [Profile], with a digest over it.
//
// docs/confinement.md says what each mechanism enforces and what none of them does.
package confine

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// A Mechanism is a way to confine.
type Mechanism string

// The mechanisms. The empty one asks for the best that can be had.
const (
	Bubblewrap Mechanism = "bubblewrap" // bwrap builds the namespaces
	Namespaces Mechanism = "namespaces" // this package builds them, and lays Landlock over them
	SRT        Mechanism = "srt"        // sandbox-runtime
	Nono       Mechanism = "nono"
	Seatbelt   Mechanism = "seatbelt" // sandbox-exec of macOS
)

// InitPath is where the program that runs [Init] is seen inside, and the name by which it knows
// what it is.
const InitPath = "/run/sallyport/sallyport"

// DefaultPort is where the gateway is inside, unless a [Spec] says otherwise.
const DefaultPort = 8118

// Errors that callers tell apart.
var (
	// ErrUnavailable is wrapped by every error about a mechanism, or a part of one, that this
	// machine cannot give.
	ErrUnavailable = errors.New("confinement cannot be had")
	// ErrSpec is wrapped by every error about what was asked for.
	ErrSpec = errors.New("confinement cannot be as asked for")
	// ErrLost is returned by Wait if the confinement ended and nobody could say how.
	ErrLost = errors.New("the confinement ended without a status")
)

// A Spec is what is asked for. Paths are absolute.
type Spec struct {
	Mechanism Mechanism // empty: the best of those that can be had

	Workspace string   // the folder that the command works in; writable
	ReadOnly  []string // visible beside the system's folders
	ReadWrite []string
	// Protected are paths in the workspace, or relative to it, that stay as they are: read-only,
	// or absent. A path that does not exist yet is taken for a folder if it ends in a slash. What
	// git runs, and .sallyport, are protected without being named.
	Protected []string
	// Hidden are paths that the command must not see: a Spec that shows one by another field is
	// refused. The operator's home is hidden without being named.
	Hidden []string
	// Etc are read-only files below /etc, by their paths there, with their content: an agent's settings as
	// an administrator gives them. None takes the place of what is shown of /etc without being named.
	Etc  map[string]string
	Home string // the command's HOME, a folder made for it; empty: one in memory

	Dir  string   // where the command starts; empty: the workspace
	Args []string // the command
	Env  []string // its whole environment; HOME, TMPDIR and PATH are added if they are missing

	Gateway string // the Unix socket that 127.0.0.1:Port inside leads to; empty: nothing does
	Port    int    // 0: DefaultPort

	// UID and GID are whom the command runs as, if the supervisor is root. 0: as the supervisor.
	UID, GID int

	// Nested lets the command make user namespaces, for agents that bring a sandbox of their own.
	// Landlock, which forbids every mount, is left out then, and the profile says so.
	Nested bool
	// Debug lets the command trace its own processes.
	Debug bool
	// Unobserved does without the witness on a kernel that has none. Otherwise such a kernel is
	// refused.
	Unobserved bool

	// Terminal, if set, gives the command a terminal of its own, whose other side is
	// [Session.Terminal]. Otherwise the three files are its standard ones; nil is /dev/null. A
	// terminal of the operator's is refused here, since who holds one can type into it.
	Terminal              *Size
	Stdin, Stdout, Stderr *os.File

	// Events is called for each event, one after another. While it runs the command waits for
	// what it asked for, so a record that has been written is a record of everything before.
	Events func(Event)
}

// A Size is a terminal's.
type Size struct{ Rows, Columns uint16 }

// A Kind of event.
type Kind string

// The kinds.
const (
	Process Kind = "process" // a program was started, or a namespace or privilege asked for
	Read    Kind = "read"    // something was opened that is not for the command's eyes
	Write   Kind = "write"   // something was opened for writing, removed, renamed, changed
	Network Kind = "network" // an address, or a name
	Signal  Kind = "signal"  // a signal to a process that is not the command's
	Memory  Kind = "memory"  // another process's memory
)

// An Event is something that the command did or tried.
type Event struct {
	Kind    Kind
	Refused bool   // it was refused; otherwise it was let through to the kernel, which decides
	Call    string // the system call
	Path    string
	Address string   // of a connection, or the name that was asked for
	Argv    []string // of a process
	Detail  string   // what else there is to say
	PID     int      // as the supervisor sees it
	Target  int      // of a signal, as the command sees it
	Time    time.Time
}

// A Profile is what stood around a command.
type Profile struct {
	Mechanism Mechanism        `json:"mechanism"`
	Version   string           `json:"version"`
	Kernel    string           `json:"kernel"`
	Files     []string         `json:"files"`    // each rule, as "ro /usr"
	Network   string           `json:"network"`  // "loopback with gateway", "loopback"
	PIDs      bool             `json:"pids"`     // a process namespace
	Users     bool             `json:"users"`    // no user namespaces inside
	Seccomp   sallyport.Digest `json:"seccomp"`  // of the filter
	Landlock  int              `json:"landlock"` // the ABI whose rules were laid; 0: none
	Observed  []Kind           `json:"observed"` // what the witness sees
	Partial   string           `json:"partial"`  // why it sees no more; empty: it sees all of that
	Guarded   []string         `json:"guarded"`  // paths that no mount protects, see docs/confinement.md
	UID       int              `json:"uid"`      // whom the command ran as
	Separate  bool             `json:"separate"` // that is another uid than the supervisor's
	Terminal  bool             `json:"terminal"` // it had a terminal
	Notes     []string         `json:"notes"`    // what is weaker than it could be
	Digest    sallyport.Digest `json:"-"`        // over all of the above
}

// An Offer is a mechanism as this machine has it.
type Offer struct {
	Mechanism Mechanism
	Usable    bool
	Version   string
	Gives     []string // what it enforces
	Why       string   // if it is not usable, why not
	Install   string   // and what would make it so
	Landlock  int      // the kernel's ABI, if it would be used
	Observes  bool     // whether there would be a witness
}

// A Status is how a command ended.
type Status struct {
	Code   int // its exit status, if Signal is 0
	Signal int
}

// Exit returns the exit status by which a shell would tell it.
func (s Status) Exit() int {
	if s.Signal != 0 {
		return 128 + s.Signal
	}
	return s.Code
}

// Start confines a command and starts it. The context bounds the start and, when it is done, ends
// the command as [Session.Close] does.
func Start(ctx context.Context, spec Spec) (*Session, error) { return start(ctx, spec) }

// Available tells of every mechanism whether it can be had here, best first. It tries them.
func Available(ctx context.Context) []Offer { return available(ctx) }

// Pick returns the best mechanism that can be had. The error says what to install.
func Pick(ctx context.Context) (Offer, error) { return pick(available(ctx)) }
