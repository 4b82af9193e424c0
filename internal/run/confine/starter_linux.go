package confine

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

var (
	starter sync.Once
	starts  = make(chan func())
)

func starterThread() {
	runtime.LockOSThread()
	for f := range starts {
		f()
	}
}

// bwrapCommand returns bubblewrap with its arguments in a file, and the files that it inherits.
func bwrapCommand(rules []rule, nested bool, extra []*os.File) (*exec.Cmd, []*os.File, error) {
	program, err := exec.LookPath("bwrap")
	if err != nil {
		return nil, extra, fmt.Errorf("%w: bubblewrap (bwrap) is not installed", ErrUnavailable)
	}
	args, contents := bwrapArgs(rules, nested, firstFD+1)
	f, err := memoryFile("bwrap-arguments", []byte(strings.Join(args, "\x00")+"\x00"))
	if err != nil {
		return nil, extra, err
	}
	extra = append(extra, f)
	for _, text := range contents {
		f, err := memoryFile("bwrap-content", []byte(text))
		if err != nil {
			return nil, extra, err
		}
		extra = append(extra, f)
	}
	return exec.Command(program, "--args", fmt.Sprint(firstFD), "--", InitPath), extra, nil //nolint:noctx // [Session.Close] ends it
}

// namespacesCommand returns this program, to be the init in namespaces that the kernel makes with it.
func namespacesCommand(exe string) *exec.Cmd {
	cmd := exec.Command(exe) //nolint:noctx // [Session.Close] ends it, and its init with it
	cmd.Args = []string{InitPath}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
			unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
	}
	return cmd
}

// initCapabilities are what the init needs of its own user namespace until the walls stand.
var initCapabilities = []uintptr{
	unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_SETPCAP, unix.CAP_SYS_RESOURCE,
}

// become settles whom the command runs as, and that it does not outlive the supervisor.
func become(cmd *exec.Cmd, spec *Spec, c *initConfig) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	a := cmd.SysProcAttr
	a.Pdeathsig = syscall.SIGKILL
	a.Setsid = true // no terminal of the operator's is the session's
	if spec.UID != 0 {
		a.Credential = &syscall.Credential{Uid: uint32(spec.UID), Gid: uint32(spec.GID), Groups: []uint32{}}
	}
	if a.Cloneflags&unix.CLONE_NEWUSER != 0 {
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: c.UID, HostID: c.UID, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: c.GID, HostID: c.GID, Size: 1}}
		a.GidMappingsEnableSetgroups = spec.UID != 0
		a.AmbientCaps = initCapabilities
	}
}

// standard are the command's standard files as they are passed on.
type standard struct {
	files [3]*os.File
	own   []*os.File // ours to close once they were passed
	pumps []func()
}

func (s *standard) feed(wg *sync.WaitGroup) {
	for _, pump := range s.pumps {
		wg.Go(pump)
	}
}

// standardFiles refuses files by which the command would reach outside: a terminal, into which it
// could type; a folder, from which it could go on; and passes a regular file that is read through
// a pipe, since whoever holds it could open it again for writing.
func (s *Session) standardFiles(spec *Spec) (*standard, error) {
	std := &standard{}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	std.own = append(std.own, null)
	if spec.Terminal != nil {
		// The command's own is made inside; what bwrap or a dying init says is kept for the error.
		r, w, err := os.Pipe()
		if err != nil {
			return std, err
		}
		std.own = append(std.own, w)
		std.files = [3]*os.File{null, null, w}
		std.pumps = append(std.pumps, func() { _, _ = io.Copy(s.stderr, r); r.Close() })
		return std, nil
	}
	for n, f := range []*os.File{spec.Stdin, spec.Stdout, spec.Stderr} {
		if f == nil {
			std.files[n] = null
			continue
		}
		info, err := f.Stat()
		if err != nil {
			return std, fmt.Errorf("%w: standard file %d: %w", ErrSpec, n, err)
		}
		_, err = unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		switch mode := info.Mode(); {
		case err == nil:
			return std, fmt.Errorf("%w: standard file %d is a terminal; a command gets one of its own", ErrSpec, n)
		case mode.IsDir() || mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0:
			return std, fmt.Errorf("%w: standard file %d is a folder or a disk", ErrSpec, n)
		case mode.IsRegular() && n == 0:
			r, w, err := os.Pipe()
			if err != nil {
				return std, err
			}
			std.own = append(std.own, r)
			std.files[n] = r
			std.pumps = append(std.pumps, func() { _, _ = io.Copy(w, f); w.Close() })
		default:
			std.files[n] = f
		}
	}
	return std, nil
}

// A tail keeps the last of what a builder wrote.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - 4096; n > 0 {
		t.b = t.b[n:]
	}
	return len(p), nil
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.b)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
