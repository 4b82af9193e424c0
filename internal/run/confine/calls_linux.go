package confine

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// A call is a system call that the filter does not let pass by itself.
type call struct {
	nr   uintptr
	name string
	when []test // all have to hold for the call to be seen; none: always
	// refuse is the error that the call ends with, whatever the witness would say. It has no way to let
	// such a call through.
	refuse syscall.Errno
	kind   Kind
	see    func(*witness, *notification) verdict
}

// A test compares an argument. Arguments are in registers, so what the filter and the witness see
// of them is what the kernel acts on.
type test struct {
	arg  int
	op   testOp
	vals []uint32
}

type testOp int

const (
	anyBit  testOp = iota // of the lower half
	nonzero               // of the whole
	oneOf                 // the lower half
	noneOf
)

// Flags by which a clone or an unshare asks for namespaces.
const (
	namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
	unshareFlags = namespaceFlags | unix.CLONE_NEWTIME
)

func refused(kind Kind, e syscall.Errno, nr uintptr, name string, when ...test) call {
	return call{nr: nr, name: name, when: when, refuse: e, kind: kind}
}

func seen(kind Kind, see func(*witness, *notification) verdict, nr uintptr, name string, when ...test) call {
	return call{nr: nr, name: name, when: when, kind: kind, see: see}
}

// calls returns what the filter stops, most frequent first.
func calls(nested, debug bool) []call {
	out := []call{
		seen(Read, (*witness).openat, unix.SYS_OPENAT, "openat"),
		seen(Process, (*witness).execve, unix.SYS_EXECVE, "execve"),
		seen(Network, (*witness).connect, unix.SYS_CONNECT, "connect"),
		seen(Network, (*witness).sendto, unix.SYS_SENDTO, "sendto", test{4, nonzero, nil}),
		seen(Network, (*witness).sendmsg, unix.SYS_SENDMSG, "sendmsg"),
		seen(Network, (*witness).sendmmsg, unix.SYS_SENDMMSG, "sendmmsg"),
		seen(Write, (*witness).unlinkat, unix.SYS_UNLINKAT, "unlinkat"),
		seen(Write, (*witness).renameat, unix.SYS_RENAMEAT2, "renameat2"),
		seen(Write, (*witness).renameat, unix.SYS_RENAMEAT, "renameat"),
		seen(Write, (*witness).linkat, unix.SYS_LINKAT, "linkat"),
		seen(Write, (*witness).symlinkat, unix.SYS_SYMLINKAT, "symlinkat"),
		seen(Write, (*witness).pathat, unix.SYS_MKDIRAT, "mkdirat"),
		seen(Write, (*witness).pathat, unix.SYS_MKNODAT, "mknodat"),
		seen(Write, (*witness).pathat, unix.SYS_FCHMODAT, "fchmodat"),
		seen(Write, (*witness).pathat, unix.SYS_FCHMODAT2, "fchmodat2"),
		seen(Write, (*witness).pathat, unix.SYS_FCHOWNAT, "fchownat"),
		seen(Write, (*witness).path, unix.SYS_TRUNCATE, "truncate"),
		seen(Read, (*witness).openat2, unix.SYS_OPENAT2, "openat2"),
		seen(Process, (*witness).execveat, unix.SYS_EXECVEAT, "execveat"),
		seen(Signal, (*witness).kill, unix.SYS_KILL, "kill"),
		seen(Signal, (*witness).kill, unix.SYS_TKILL, "tkill"),
		// Go preempts its own threads with SIGURG, often; whom it does not reach is settled elsewhere.
		seen(Signal, (*witness).tgkill, unix.SYS_TGKILL, "tgkill", test{2, noneOf, []uint32{uint32(unix.SIGURG)}}),
		seen(Signal, (*witness).kill, unix.SYS_RT_SIGQUEUEINFO, "rt_sigqueueinfo"),
		seen(Signal, (*witness).kill, unix.SYS_PIDFD_OPEN, "pidfd_open"),

		refused(Network, unix.EAFNOSUPPORT, unix.SYS_SOCKET, "socket", test{0, noneOf, []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}}),
		refused(Network, unix.EPROTONOSUPPORT, unix.SYS_SOCKET, "socket", test{0, oneOf, []uint32{unix.AF_NETLINK}}, test{2, noneOf, []uint32{unix.NETLINK_ROUTE}}),
		refused(Process, unix.EPERM, unix.SYS_IOCTL, "ioctl", test{1, oneOf, []uint32{unix.TIOCSTI, tiocLinux, unix.TIOCSETD, unix.TIOCCONS}}),

		refused(Process, unix.ENOSYS, unix.SYS_IO_URING_SETUP, "io_uring_setup"),
		refused(Process, unix.ENOSYS, unix.SYS_IO_URING_ENTER, "io_uring_enter"),
		refused(Process, unix.ENOSYS, unix.SYS_IO_URING_REGISTER, "io_uring_register"),
		refused(Process, unix.EPERM, unix.SYS_BPF, "bpf"),
		refused(Process, unix.EPERM, unix.SYS_PERF_EVENT_OPEN, "perf_event_open"),
		refused(Memory, unix.EPERM, unix.SYS_USERFAULTFD, "userfaultfd"),
		refused(Process, unix.EPERM, unix.SYS_KEYCTL, "keyctl"),
		refused(Process, unix.EPERM, unix.SYS_ADD_KEY, "add_key"),
		refused(Process, unix.EPERM, unix.SYS_REQUEST_KEY, "request_key"),
		refused(Memory, unix.EPERM, unix.SYS_PIDFD_GETFD, "pidfd_getfd"),
		refused(Memory, unix.EPERM, unix.SYS_PROCESS_VM_WRITEV, "process_vm_writev"),
		refused(Memory, unix.EPERM, unix.SYS_KCMP, "kcmp"),
		refused(Read, unix.EPERM, unix.SYS_OPEN_BY_HANDLE_AT, "open_by_handle_at"),
		refused(Read, unix.EPERM, unix.SYS_FANOTIFY_INIT, "fanotify_init"),
		refused(Process, unix.EPERM, unix.SYS_SYSLOG, "syslog"),
		refused(Process, unix.EPERM, unix.SYS_INIT_MODULE, "init_module"),
		refused(Process, unix.EPERM, unix.SYS_FINIT_MODULE, "finit_module"),
		refused(Process, unix.EPERM, unix.SYS_DELETE_MODULE, "delete_module"),
		refused(Process, unix.EPERM, unix.SYS_KEXEC_LOAD, "kexec_load"),
		refused(Process, unix.EPERM, unix.SYS_REBOOT, "reboot"),
		refused(Process, unix.EPERM, unix.SYS_ACCT, "acct"),
		refused(Process, unix.EPERM, unix.SYS_SWAPON, "swapon"),
		refused(Process, unix.EPERM, unix.SYS_SWAPOFF, "swapoff"),
		refused(Process, unix.EPERM, unix.SYS_QUOTACTL, "quotactl"),
		refused(Process, unix.EPERM, unix.SYS_SETTIMEOFDAY, "settimeofday"),
		refused(Process, unix.EPERM, unix.SYS_CLOCK_SETTIME, "clock_settime"),
	}
	if !debug {
		out = append(out,
			refused(Memory, unix.EPERM, unix.SYS_PTRACE, "ptrace"),
			refused(Memory, unix.EPERM, unix.SYS_PROCESS_VM_READV, "process_vm_readv"),
		)
	}
	if !nested {
		out = append(out,
			refused(Process, unix.EPERM, unix.SYS_CLONE, "clone", test{0, anyBit, []uint32{namespaceFlags}}),
			refused(Process, unix.EPERM, unix.SYS_UNSHARE, "unshare", test{0, anyBit, []uint32{unshareFlags}}),
			refused(Process, unix.EPERM, unix.SYS_SETNS, "setns"),
			refused(Process, unix.EPERM, unix.SYS_CHROOT, "chroot"),
			refused(Process, unix.EPERM, unix.SYS_PIVOT_ROOT, "pivot_root"),
			refused(Write, unix.EPERM, unix.SYS_MOUNT, "mount"),
			refused(Write, unix.EPERM, unix.SYS_UMOUNT2, "umount2"),
			refused(Write, unix.EPERM, unix.SYS_MOVE_MOUNT, "move_mount"),
			refused(Write, unix.EPERM, unix.SYS_OPEN_TREE, "open_tree"),
			refused(Write, unix.EPERM, unix.SYS_FSOPEN, "fsopen"),
			refused(Write, unix.EPERM, unix.SYS_FSPICK, "fspick"),
			refused(Write, unix.EPERM, unix.SYS_FSMOUNT, "fsmount"),
			refused(Write, unix.EPERM, unix.SYS_FSCONFIG, "fsconfig"),
			refused(Write, unix.EPERM, unix.SYS_MOUNT_SETATTR, "mount_setattr"),
		)
	}
	return append(out, oldCalls()...)
}

// tiocLinux types into virtual consoles.
const tiocLinux = 0x541C
