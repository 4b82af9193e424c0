package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// The supervisor and the init speak over a pair of sockets, one short JSON document a packet. The
// supervisor trusts the init until it has started the command, and only for the state of the walls:
// until then nothing of the command's has run.

// The files that the init begins with beside the standard ones.
const (
	controlFD = 3
	configFD  = 4
	firstFD   = 5 // contents of rules of kind file, for bwrap, which closes them
)

// maxMessage bounds a packet.
const maxMessage = 32 << 10

// An initConfig is what the init does. It is passed in a file without a name, since what it holds of
// the environment is not for other users' eyes.
type initConfig struct {
	Build    bool // the root is still to be built, from Rules
	Rules    []rule
	Checks   []check
	Writable []string // for Landlock
	Home     string
	Dir      string
	Args     []string
	Env      []string
	Port     int
	Gateway  bool
	Terminal *Size
	Nested   bool
	Debug    bool
	Observe  bool
	UID, GID int
}

// A message is one packet.
type message struct {
	Type  string `json:"type"`
	Error string `json:"error,omitempty"`

	// ready, with the files that it names
	Files    []string `json:"files,omitempty"` // gateway, names, terminal, witness
	Landlock int      `json:"landlock,omitempty"`
	Filter   string   `json:"filter,omitempty"`
	Notes    []string `json:"notes,omitempty"`

	// exit, stopped; and signal
	Code   int `json:"code,omitempty"`
	Signal int `json:"signal,omitempty"`
}

const (
	typeReady    = "ready"    // init: the walls stand; says nothing of the command yet
	typeGo       = "go"       // supervisor: start it
	typeStarted  = "started"  // init
	typeFailed   = "failed"   // init: Error says why nothing was started
	typeExit     = "exit"     // init: the command ended
	typeStopped  = "stopped"  // init: the command was stopped
	typeContinue = "continue" // supervisor
	typeSignal   = "signal"   // supervisor: to the command's process group
)

func send(c *net.UnixConn, m message, files ...*os.File) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(b) > maxMessage {
		return fmt.Errorf("a message of %d bytes", len(b))
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix(b, rights, nil)
	return err
}

func receive(c *net.UnixConn) (message, []*os.File, error) {
	var m message
	b := make([]byte, maxMessage+1)
	oob := make([]byte, unix.CmsgSpace(8*4))
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return m, nil, err
	}
	var files []*os.File
	if oobn > 0 {
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return m, nil, err
		}
		for _, sc := range messages {
			fds, err := unix.ParseUnixRights(&sc)
			if err != nil {
				continue
			}
			for _, fd := range fds {
				unix.CloseOnExec(fd)
				files = append(files, os.NewFile(uintptr(fd), "received"))
			}
		}
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || n > maxMessage {
		return m, files, errors.New("a message that is too long")
	}
	return m, files, json.Unmarshal(b[:n], &m)
}

// controlPair returns the supervisor's end and the file for the init's.
func controlPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making the control sockets: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "control")
	c, err := controlConn(os.NewFile(uintptr(fds[0]), "control"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c, theirs, nil
}

func controlConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("the control file is no Unix socket")
	}
	return u, nil
}

// memoryFile returns a file without a name that holds b.
func memoryFile(name string, b []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("making a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(b); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
