package confine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A witness is asked about every call that the filter stops. It lets through to the kernel what the
// kernel's own walls decide about, and ends with an error what those would refuse anyway, so that
// what it tells as refused was.
type witness struct {
	file   *os.File
	wake   [2]*os.File // closing the second ends the loop
	byNr   map[int32][]call
	events *eventQueue
	plan   *plan
	gate   int // the gateway's port, 0 if there is none
	end    func()
	wg     sync.WaitGroup
	once   sync.Once
	root   int // the command's root, -1 until its first call
	mounts map[string]bool
	names  bool // a name server answers inside
}

// A notification is struct seccomp_notif.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// An answer is struct seccomp_notif_resp.
type answer struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// A verdict is what becomes of a call. The zero verdict lets the kernel decide, and tells nothing.
type verdict struct {
	err   syscall.Errno // refused with it
	event *Event        // told before the call goes on
}

func newWitness(f *os.File, s *Session, spec *Spec) (*witness, error) {
	w := &witness{
		file: f, byNr: map[int32][]call{}, events: s.events, plan: s.plan, root: -1, mounts: map[string]bool{}, names: s.names != nil,
		end: func() { _ = s.cmd.Process.Kill() },
	}
	if spec.Gateway != "" {
		if w.gate = spec.Port; w.gate == 0 {
			w.gate = DefaultPort
		}
	}
	for _, c := range calls(spec.Nested, spec.Debug) {
		w.byNr[int32(c.nr)] = append(w.byNr[int32(c.nr)], c)
	}
	for _, r := range s.plan.rules {
		switch r.Kind {
		case link, folder, content:
		default:
			w.mounts[r.Target] = true
		}
	}
	var err error
	if w.wake[0], w.wake[1], err = os.Pipe(); err != nil {
		return nil, err
	}
	// Whom a call wakes runs where the caller ran (Linux 6.6).
	_ = unix.IoctlSetInt(int(f.Fd()), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	w.wg.Go(w.serve)
	return w, nil
}

// serve answers until nothing is left that could ask. If it has to give up before, it ends the
// command: the kernel refuses every seen call from then on, and nothing half-watched goes on.
func (w *witness) serve() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd := int(w.file.Fd())
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(w.wake[0].Fd()), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(poll, -1); err != nil && err != unix.EINTR {
			w.end()
			return
		}
		switch {
		case poll[1].Revents != 0 || poll[0].Revents&(unix.POLLHUP|unix.POLLNVAL) != 0:
			return
		case poll[0].Revents&unix.POLLIN == 0:
			continue
		}
		var n notification
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); e != 0 { //nolint:gosec // a structure of the kernel's interface
			if e == unix.EINTR || e == unix.ENOENT { // the caller was killed meanwhile
				continue
			}
			w.end()
			return
		}
		v := w.judge(&n)
		if v.event != nil {
			v.event.PID, v.event.Refused = int(n.pid), v.event.Refused || v.err != 0
			w.events.tell(*v.event)
		}
		a := answer{id: n.id, err: -int32(v.err)}
		if v.err == 0 {
			a.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
		}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a))); e != 0 && e != unix.ENOENT && e != unix.EINTR { //nolint:gosec // a structure of the kernel's interface
			w.end()
			return
		}
	}
}

// judge finds the call. One that is refused by the filter's own class is refused here before
// anything else is looked at.
func (w *witness) judge(n *notification) verdict {
	for _, c := range w.byNr[n.nr] {
		if !c.matches(n) {
			continue
		}
		if c.refuse != 0 {
			return verdict{c.refuse, &Event{Kind: c.kind, Call: c.name, Detail: fmt.Sprintf("%#x %#x", n.args[0], n.args[1])}}
		}
		v := c.see(w, n)
		if v.event != nil {
			v.event.Call = c.name
			if v.event.Kind == "" {
				v.event.Kind = c.kind
			}
		}
		return v
	}
	return verdict{err: unix.EPERM, event: &Event{Kind: Process, Call: fmt.Sprintf("call %d", n.nr)}}
}

func (c *call) matches(n *notification) bool {
	for _, t := range c.when {
		low, ok := uint32(n.args[t.arg]), false
		switch t.op {
		case anyBit:
			ok = low&t.vals[0] != 0
		case nonzero:
			ok = n.args[t.arg] != 0
		case oneOf:
			ok = slices.Contains(t.vals, low)
		case noneOf:
			ok = !slices.Contains(t.vals, low)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (w *witness) close() {
	if w == nil {
		return
	}
	w.once.Do(func() {
		w.wake[1].Close()
		w.wg.Wait()
		w.wake[0].Close()
		w.file.Close()
		if w.root >= 0 {
			unix.Close(w.root)
		}
	})
}

// read reads memory of the caller, as far as it goes within a page.
func (w *witness) read(n *notification, addr uint64, size int) []byte {
	if addr == 0 || size <= 0 {
		return nil
	}
	b := make([]byte, size)
	got := 0
	for got < size {
		// A range that runs into a hole gives nothing, so each piece stays within a page.
		piece := min(size-got, 4096-int((addr+uint64(got))%4096))
		local := []unix.Iovec{{Base: &b[got]}}
		local[0].SetLen(piece)
		m, err := unix.ProcessVMReadv(int(n.pid), local, []unix.RemoteIovec{{Base: uintptr(addr) + uintptr(got), Len: piece}}, 0)
		if err != nil || m <= 0 {
			break
		}
		got += m
	}
	return b[:got]
}

// text reads a string. One without an end is none.
func (w *witness) text(n *notification, addr uint64) (string, bool) {
	const short = 256 // nearly every path
	for _, size := range []int{short, unix.PathMax} {
		b := w.read(n, addr, size)
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return string(b[:i]), true
		}
	}
	return "", false
}

const (
	maxArguments    = 64
	maxArgumentText = 4096
)

// argv reads the arguments of a program, as many as are worth telling.
func (w *witness) argv(n *notification, addr uint64) []string {
	var out []string
	pointers := w.read(n, addr, 8*maxArguments)
	for i := 0; i+8 <= len(pointers); i += 8 {
		p := *(*uint64)(unsafe.Pointer(&pointers[i])) //nolint:gosec // a structure of the kernel's interface
		if p == 0 {
			break
		}
		b := w.read(n, p, maxArgumentText)
		if end := bytes.IndexByte(b, 0); end >= 0 {
			b = b[:end]
		}
		out = append(out, string(b))
	}
	return out
}

// full makes a path absolute as the caller sees it. It is not resolved.
func (w *witness) full(n *notification, dirfd int32, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	base := fmt.Sprintf("/proc/%d/cwd", n.pid)
	if dirfd != unix.AT_FDCWD {
		base = fmt.Sprintf("/proc/%d/fd/%d", n.pid, dirfd)
	}
	dir, err := os.Readlink(base)
	if err != nil || !filepath.IsAbs(dir) {
		return ""
	}
	return dir + "/" + path
}

// open a path in the command's root. Every process has the same: none may change it.
func (w *witness) resolve(n *notification, path string, flags uint64) (int, error) {
	if w.root < 0 {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/root", n.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		w.root = fd
	}
	return unix.Openat2(w.root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
}

// A place is a path as the kernel would find it at this moment.
type place struct {
	path     string
	exists   bool
	readOnly bool // its mount, or the one that it would be made in
	point    bool // something is mounted there
}

func (w *witness) look(n *notification, path string, follow bool) (place, bool) {
	flags := uint64(0)
	if !follow {
		flags = unix.O_NOFOLLOW
	}
	for range 8 { // a link that leads to what does not exist yet is followed by hand
		fd, err := w.resolve(n, path, flags)
		if err == nil {
			p, ok := placeOf(fd)
			p.exists, p.point = true, w.mounts[p.path]
			unix.Close(fd)
			return p, ok
		}
		if !errors.Is(err, unix.ENOENT) {
			return place{}, false
		}
		parent, name := filepath.Split(strings.TrimRight(path, "/"))
		if fd, err = w.resolve(n, parent, unix.O_DIRECTORY); err != nil {
			return place{}, false
		}
		var buf [unix.PathMax]byte
		length, linkErr := unix.Readlinkat(fd, name, buf[:])
		p, ok := placeOf(fd)
		unix.Close(fd)
		if !ok || linkErr != nil || !follow {
			p.path = filepath.Join(p.path, name)
			return p, ok
		}
		if path = string(buf[:length]); !filepath.IsAbs(path) {
			path = p.path + "/" + path
		}
	}
	return place{}, false
}

func placeOf(fd int) (place, bool) {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	var fs unix.Statfs_t
	if err != nil || !filepath.IsAbs(name) || unix.Fstatfs(fd, &fs) != nil {
		return place{}, false
	}
	return place{path: strings.TrimSuffix(name, " (deleted)"), readOnly: fs.Flags&unix.ST_RDONLY != 0}, true
}
