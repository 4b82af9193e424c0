package confine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func event(k Kind, path string) *Event { return &Event{Kind: k, Path: path} }

// openat judges an open by its flags: for reading by name alone, for writing by where it leads.
func (w *witness) openat(n *notification) verdict {
	return w.opened(n, int32(n.args[0]), n.args[1], n.args[2])
}

func (w *witness) open(n *notification) verdict {
	return w.opened(n, unix.AT_FDCWD, n.args[0], n.args[1])
}

func (w *witness) openat2(n *notification) verdict {
	b := w.read(n, n.args[2], 8) // the flags come first
	if len(b) < 8 {
		return verdict{}
	}
	return w.opened(n, int32(n.args[0]), n.args[1], binary.NativeEndian.Uint64(b))
}

func (w *witness) opened(n *notification, dirfd int32, addr, flags uint64) verdict {
	path, ok := w.text(n, addr)
	if !ok {
		return verdict{}
	}
	writing := flags&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC) != 0
	if flags&unix.O_PATH == unix.O_PATH {
		writing = false
	}
	v := w.secret(n, dirfd, path)
	if v.event != nil && v.event.Kind == Read && writing {
		v.event.Kind = Write
	}
	if v.err != 0 || !writing {
		return v
	}
	return w.write(n, dirfd, path, flags&unix.O_NOFOLLOW == 0, flags&(unix.O_CREAT|unix.O_TMPFILE) != 0)
}

// secret judges a name that is not for the command's eyes. None of what is meant exists inside; the
// attempt is told.
func (w *witness) secret(n *notification, dirfd int32, path string) verdict {
	if !strings.HasPrefix(path, "/") && !strings.Contains(path, "..") {
		return verdict{}
	}
	if strings.HasPrefix(path, "/usr/") && !strings.Contains(path, "..") {
		return verdict{}
	}
	full := filepath.Clean(w.full(n, dirfd, path))
	if of, what, ok := procSecret(full); ok {
		if of == 1 || !w.lives(n, of) {
			return verdict{unix.EACCES, &Event{Kind: Memory, Path: full, Target: of, Detail: what + " of a process that is not the command's"}}
		}
		return verdict{}
	}
	for _, h := range w.plan.hidden {
		if within(full, h) && !w.shown(full, h) {
			return verdict{unix.ENOENT, event(Read, full)}
		}
	}
	for _, name := range secretPlaces {
		if within(full, name) && !w.shown(full, name) {
			return verdict{unix.ENOENT, event(Read, full)}
		}
	}
	return verdict{}
}

// secretPlaces are what an attacker looks for first. None of it is inside.
var secretPlaces = []string{
	"/root", "/etc/shadow", "/etc/gshadow", "/etc/ssh", "/etc/sudoers", "/etc/sallyport", "/sys", "/boot", "/mnt", "/media",
	"/run/user", "/run/docker.sock", "/var/run", "/var/lib", "/proc/kcore", "/proc/1",
}

// shown reports whether a path lies in something of a hidden folder that was bound all the same.
func (w *witness) shown(path, hidden string) bool {
	return slices.ContainsFunc(w.plan.rules, func(r rule) bool {
		switch r.Kind {
		case bindRead, bindWrite, pin, memory:
			return within(path, r.Target) && within(r.Target, hidden)
		}
		return false
	})
}

// procSecret reports whether a path is of another process's inside.
func procSecret(path string) (pid int, what string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/proc/")
	if !ok {
		return 0, "", false
	}
	number, rest, _ := strings.Cut(rest, "/")
	pid, err := strconv.Atoi(number)
	if err != nil || rest == "" {
		return 0, "", false
	}
	what, _, _ = strings.Cut(rest, "/")
	switch what {
	case "mem", "environ", "maps", "smaps", "root", "cwd", "fd", "exe", "map_files", "pagemap", "auxv", "task", "stack", "syscall":
		return pid, what, true
	}
	return 0, "", false
}

// lives reports whether a process is the command's, by its number inside.
func (w *witness) lives(n *notification, pid int) bool {
	fd, err := w.resolve(n, fmt.Sprintf("/proc/%d", pid), 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// ownFiles are ways to one's own open files and terminal.
var ownFiles = []string{"/proc/self/", "/proc/thread-self/", "/dev/"}

// write judges a write by where it leads now.
func (w *witness) write(n *notification, dirfd int32, path string, follow, creates bool) verdict {
	full := w.full(n, dirfd, path)
	if full == "" {
		return verdict{}
	}
	for _, own := range ownFiles {
		if strings.HasPrefix(full, own) && !strings.Contains(full, "..") {
			return verdict{}
		}
	}
	if p, _, ok := procSecret(filepath.Clean(full)); ok && p != 1 && w.lives(n, p) {
		return verdict{}
	}
	p, ok := w.look(n, full, follow)
	if !ok {
		return verdict{}
	}
	if e := w.forbidden(p); e != 0 {
		return verdict{e, event(Write, p.path)}
	}
	if !p.exists && !creates {
		return verdict{}
	}
	if within(p.path, w.plan.workspace) && !slices.ContainsFunc(w.plan.gitDirs, func(d string) bool { return within(p.path, d) }) {
		return verdict{event: event(Write, p.path)}
	}
	return verdict{}
}

// forbidden is the error that the kernel's walls have for a write.
func (w *witness) forbidden(p place) syscall.Errno {
	if slices.ContainsFunc(w.plan.guards, func(g string) bool { return strings.EqualFold(g, p.path) }) {
		return unix.EPERM
	}
	if p.readOnly {
		return unix.EROFS
	}
	return 0
}

// change judges what removes, renames or changes a name itself.
func (w *witness) change(n *notification, dirfd int32, addr uint64, removes bool) verdict {
	path, ok := w.text(n, addr)
	if !ok || path == "" {
		return verdict{}
	}
	if v := w.secret(n, dirfd, path); v.err != 0 {
		if v.event.Kind == Read {
			v.event.Kind = Write
		}
		return v
	}
	full := w.full(n, dirfd, path)
	if full == "" {
		return verdict{}
	}
	p, ok := w.look(n, full, false)
	if !ok {
		return verdict{}
	}
	if e := w.forbidden(p); e != 0 {
		return verdict{e, event(Write, p.path)}
	}
	if p.point && removes {
		return verdict{unix.EBUSY, event(Write, p.path)}
	}
	if within(p.path, w.plan.workspace) && !slices.ContainsFunc(w.plan.gitDirs, func(d string) bool { return within(p.path, d) }) {
		return verdict{event: event(Write, p.path)}
	}
	return verdict{}
}

// both tells the refused one of two names, or the second.
func both(a, b verdict) verdict {
	if a.err != 0 || b.event == nil {
		return a
	}
	return b
}

func (w *witness) path(n *notification) verdict {
	removes := n.nr == unlinkNr || n.nr == rmdirNr
	return w.change(n, unix.AT_FDCWD, n.args[0], removes)
}

func (w *witness) pathat(n *notification) verdict {
	return w.change(n, int32(n.args[0]), n.args[1], false)
}

func (w *witness) unlinkat(n *notification) verdict {
	return w.change(n, int32(n.args[0]), n.args[1], true)
}

func (w *witness) renameat(n *notification) verdict {
	return both(w.change(n, int32(n.args[0]), n.args[1], true), w.change(n, int32(n.args[2]), n.args[3], true))
}

func (w *witness) rename(n *notification) verdict {
	return both(w.change(n, unix.AT_FDCWD, n.args[0], true), w.change(n, unix.AT_FDCWD, n.args[1], true))
}

// Of a link, the place where it is made is what is changed, and its target must not be one that is
// held: the kernel refuses a second name across mounts.
func (w *witness) linkat(n *notification) verdict {
	return both(w.change(n, int32(n.args[0]), n.args[1], true), w.change(n, int32(n.args[2]), n.args[3], false))
}

func (w *witness) link(n *notification) verdict {
	return both(w.change(n, unix.AT_FDCWD, n.args[0], true), w.change(n, unix.AT_FDCWD, n.args[1], false))
}

func (w *witness) symlinkat(n *notification) verdict {
	return w.change(n, int32(n.args[1]), n.args[2], false)
}

func (w *witness) symlink(n *notification) verdict {
	return w.change(n, unix.AT_FDCWD, n.args[1], false)
}

func (w *witness) execve(n *notification) verdict {
	path, _ := w.text(n, n.args[0])
	return w.program(n, unix.AT_FDCWD, path, n.args[1])
}

func (w *witness) execveat(n *notification) verdict {
	path, _ := w.text(n, n.args[1])
	if path == "" {
		// A file that may have no name at all.
		at, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.pid, int32(n.args[0])))
		return verdict{event: &Event{Kind: Process, Path: at, Argv: w.argv(n, n.args[2]), Detail: "started from an open file"}}
	}
	return w.program(n, int32(n.args[0]), path, n.args[2])
}

// program tells what is started: what a shell tries along its PATH and does not find is not.
func (w *witness) program(n *notification, dirfd int32, path string, argv uint64) verdict {
	full := w.full(n, dirfd, path)
	if full == "" {
		full = path
	}
	if fd, err := w.resolve(n, full, 0); err == nil {
		unix.Close(fd)
	} else if errors.Is(err, unix.ENOENT) {
		return verdict{}
	}
	return verdict{event: &Event{Kind: Process, Path: filepath.Clean(full), Argv: w.argv(n, argv)}}
}

// kill judges a signal, or a handle to send one by: the number is in a register.
func (w *witness) kill(n *notification) verdict { return w.signalTo(n, int(int32(n.args[0]))) }

func (w *witness) tgkill(n *notification) verdict { return w.signalTo(n, int(int32(n.args[1]))) }

func (w *witness) signalTo(n *notification, pid int) verdict {
	switch {
	case pid == 1:
		return verdict{unix.EPERM, &Event{Kind: Signal, Target: pid}}
	case pid > 1 && !w.lives(n, pid) && !w.thread(n, pid):
		return verdict{unix.ESRCH, &Event{Kind: Signal, Target: pid}}
	}
	return verdict{}
}

// thread reports whether a number is a thread's, which /proc lists only below its process.
func (w *witness) thread(n *notification, tid int) bool {
	fd, err := w.resolve(n, fmt.Sprintf("/proc/%d/comm", tid), 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

func (w *witness) connect(n *notification) verdict {
	return w.address(n, w.read(n, n.args[1], int(min(n.args[2], 128))))
}

func (w *witness) sendto(n *notification) verdict {
	return w.address(n, w.read(n, n.args[4], int(min(n.args[5], 128))))
}

func (w *witness) sendmsg(n *notification) verdict { return w.header(n, n.args[1]) }

// sendmmsg looks at the first messages; what goes to an address that none of them has is refused
// by the network namespace and not told.
func (w *witness) sendmmsg(n *notification) verdict {
	for i := range min(n.args[2], 8) {
		v := w.header(n, n.args[1]+64*i)
		if v.event == nil && !w.names {
			v = w.question(n, n.args[1]+64*i)
		}
		if v.event != nil {
			return v
		}
	}
	return verdict{}
}

// question reads the name that a program asks a connected name server for, where nobody answers for
// one. The C library sends its questions this way.
func (w *witness) question(n *notification, addr uint64) verdict {
	b := w.read(n, addr+16, 8)
	if len(b) < 8 {
		return verdict{}
	}
	if b = w.read(n, binary.NativeEndian.Uint64(b), 16); len(b) < 16 {
		return verdict{}
	}
	size := min(binary.NativeEndian.Uint64(b[8:]), maxQuestion)
	if name, _, ok := refuseName(w.read(n, binary.NativeEndian.Uint64(b), int(size))); ok {
		return verdict{unix.ECONNREFUSED, &Event{Kind: Network, Address: name}}
	}
	return verdict{}
}

// header reads the address of a struct msghdr.
func (w *witness) header(n *notification, addr uint64) verdict {
	b := w.read(n, addr, 12)
	if len(b) < 12 {
		return verdict{}
	}
	name := binary.NativeEndian.Uint64(b)
	if name == 0 {
		return verdict{}
	}
	return w.address(n, w.read(n, name, int(min(binary.NativeEndian.Uint32(b[8:]), 128))))
}

// address judges a socket address. There is nothing but the loopback device to refuse what the
// witness would let through.
func (w *witness) address(n *notification, b []byte) verdict {
	if len(b) < 2 {
		return verdict{}
	}
	switch family := binary.NativeEndian.Uint16(b); family {
	case unix.AF_UNIX:
		return w.unixAddress(n, b[2:])
	case unix.AF_INET, unix.AF_INET6:
		to, ok := parseAddress(family, b)
		if !ok {
			return verdict{}
		}
		if !to.Addr().IsLoopback() && !to.Addr().IsUnspecified() {
			return verdict{unix.ENETUNREACH, &Event{Kind: Network, Address: to.String()}}
		}
		if port := int(to.Port()); port == w.gate || port == 53 || w.listens(n, port) {
			return verdict{}
		}
		return verdict{unix.ECONNREFUSED, &Event{Kind: Network, Address: to.String()}}
	}
	return verdict{}
}

func parseAddress(family uint16, b []byte) (netip.AddrPort, bool) {
	size := 8
	if family == unix.AF_INET6 {
		size = 24
	}
	if len(b) < size {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(b[2:])
	if family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port), true
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])).Unmap(), port), true
}

// listens reports whether something inside listens on a port.
func (w *witness) listens(n *notification, port int) bool {
	want := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", n.pid, table))
		if err != nil {
			return true // the kernel decides
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], want) {
				return true
			}
		}
	}
	return false
}

// unixAddress judges a socket that has a name. One in the workspace may be of a process outside.
func (w *witness) unixAddress(n *notification, name []byte) verdict {
	if len(name) == 0 {
		return verdict{}
	}
	text := string(name)
	if text[0] == 0 {
		text = "@" + strings.ReplaceAll(text[1:], "\x00", "@")
	} else {
		text, _, _ = strings.Cut(text, "\x00")
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/unix", n.pid))
	if err != nil {
		return verdict{}
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 8 && (f[7] == text || filepath.Base(f[7]) == filepath.Base(text)) {
			return verdict{}
		}
	}
	// Programs look for name service daemons at every start.
	if text == "/var/run/nscd/socket" || text == "/run/nscd/socket" || strings.HasPrefix(text, "/run/systemd/") {
		return verdict{err: unix.ENOENT}
	}
	return verdict{unix.ECONNREFUSED, &Event{Kind: Network, Address: (&net.UnixAddr{Name: text, Net: "unix"}).String()}}
}
