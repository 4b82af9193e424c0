package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/internal/scan/deep"
)

// confine gives up what reading the input does not need. What the kernel cannot do is told in the
// result; what it can and refuses is an error.
func confine(r deep.Request) (deep.Confinement, error) {
	var c deep.Confinement
	if err := limit(r); err != nil {
		return c, err
	}
	c.Limits = true
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return c, fmt.Errorf("give up new privileges: %w", err)
	}
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		c.Note = "the kernel has no Landlock"
	} else {
		c.Landlock = abi
		if err := landlocked(r, abi); err != nil {
			return c, fmt.Errorf("give up files: %w", err)
		}
		// What was asked for is not believed: a restriction that came to nothing looks the same.
		if c.Files = shut(); c.Files {
			c.Network = abi >= 4 // TCP, in the first version that knows the network
		} else {
			c.Note = "files outside the input can be opened although Landlock was asked to refuse them"
		}
	}
	filtered, err := filter()
	if err != nil {
		return c, fmt.Errorf("filter system calls: %w", err)
	}
	c.Network, c.Processes = c.Network || filtered, filtered
	return c, nil
}

// rulesets are what each version of Landlock can refuse, from the first.
var rulesets = []landlock.Config{landlock.V1, landlock.V2, landlock.V3, landlock.V4, landlock.V5, landlock.V6}

// landlocked leaves the input to be read and the temporary folder to be written to, as far as a version
// of the kernel's interface can. Files that are open already, standard input and output, stay so.
//
// It asks for what that version has and for nothing else. Asked to do its best, the library gives up
// the whole restriction where a rule needs a right that the kernel lacks, and reports success.
func landlocked(r deep.Request, abi int) error {
	info, err := os.Stat(r.Path)
	if err != nil {
		return err
	}
	// Neither may be executed.
	const readFile, readDir = ll.AccessFSReadFile, ll.AccessFSReadDir
	input := landlock.PathAccess(readFile, r.Path)
	if info.IsDir() {
		input = landlock.PathAccess(readFile|readDir, r.Path)
	}
	rights := landlock.AccessFSSet(readFile | readDir | ll.AccessFSWriteFile |
		ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSMakeSym | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir)
	if abi >= 2 {
		rights |= ll.AccessFSRefer
	}
	if abi >= 3 {
		rights |= ll.AccessFSTruncate
	}
	return rulesets[min(abi, len(rulesets))-1].Restrict(input, landlock.PathAccess(rights, r.Scratch))
}

// shut tries to open the root of the file system, which every process may list that is not confined. It
// is what an input that is the root itself leaves open.
func shut() bool {
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd)
	}
	return errors.Is(err, unix.EACCES)
}

// limit bounds memory, processor time, and the files that are written, and lets no core be dumped.
func limit(r deep.Request) error {
	for _, l := range []struct {
		what string
		kind int
		n    uint64
	}{
		{"memory", unix.RLIMIT_AS, r.Memory}, {"processor time", unix.RLIMIT_CPU, r.Seconds},
		{"the size of files", unix.RLIMIT_FSIZE, r.Size}, {"core dumps", unix.RLIMIT_CORE, 0},
	} {
		if l.n == 0 && l.kind != unix.RLIMIT_CORE {
			return fmt.Errorf("the request sets no limit for %s", l.what)
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(l.kind, &now); err != nil {
			return fmt.Errorf("limit %s: %w", l.what, err)
		}
		n := min(l.n, now.Max)
		if err := unix.Setrlimit(l.kind, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("limit %s: %w", l.what, err)
		}
	}
	return nil
}

// filter refuses system calls that reading never needs: sockets, other programs and processes, shared
// memory and queues, changes of owner, mode, time and attributes of a file, which Landlock does not
// know, and interfaces of the kernel that are attacked most. It holds for every thread. It reports false
// where the numbers of the calls are not known here.
func filter() (bool, error) {
	if audit == 0 {
		return false, nil
	}
	const allow, refuse, kill = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), unix.SECCOMP_RET_KILL_PROCESS
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 4}, // seccomp_data.arch
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: audit, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: kill},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 0x40000000, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: refuse}, // calls of the x32 interface
	}
	for _, nr := range slices.Concat(refused, refusedHere) {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: refuse})
	}
	// Whoever unpacks an archive sets modes and times, and gives up if it cannot: it is told that it did,
	// and nothing is done.
	for _, nr := range slices.Concat([]uint32{unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_UTIMENSAT}, ignoredHere) {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO})
	}
	// The low halves of the first argument; both architectures are little-endian. A thread is begun
	// and a process is not: clone3 keeps its flags in memory, which no filter can read.
	const thread = unix.CLONE_THREAD | unix.CLONE_VM
	program = append(program,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE3, Jf: 1},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE, Jf: 4},
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // seccomp_data.args[0]
		unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: thread},
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: thread, Jt: 1},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: refuse},
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		// Go interrupts its own threads, and needs no signal to any other process.
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_TGKILL, Jf: 3},
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16},
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(os.Getpid()), Jt: 1},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: refuse})
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: allow})
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread() // it must be the thread that gave up new privileges
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return false, err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno == unix.ENOSYS || errno == unix.EINVAL {
		return false, nil // the kernel was built without it
	}
	if errno != 0 {
		return false, errno
	}
	return true, nil
}

// refused are the calls that are on every architecture.
var refused = []uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
	// Other programs and processes. The limits that were set bind no process but this one.
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE,
	unix.SYS_PROCESS_MRELEASE, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_KCMP, unix.SYS_PRLIMIT64,
	unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_SETSID, unix.SYS_SETPGID,
	unix.SYS_SETPRIORITY, unix.SYS_IOPRIO_SET, unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETSCHEDULER,
	unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES, unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_PERSONALITY,
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_SHMDT, unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL,
	unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_SEMCTL, unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
	// What is no writing, so that Landlock lets it pass.
	unix.SYS_FCHOWN, unix.SYS_FCHOWNAT,
	unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, setxattrat, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, removexattrat,
	fileSetattr,
	// Interfaces of the kernel.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_TREE,
	unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE,
	unix.SYS_DELETE_MODULE,
}

// Calls of recent kernels, whose numbers are the same everywhere.
const (
	setxattrat    = 463
	removexattrat = 466
	fileSetattr   = 469
)
