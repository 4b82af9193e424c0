package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
	"unsafe"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/internal/scan/deep"
)

// A call is one thing that a confined process may not do.
type call struct {
	name string
	try  func() error
}

// calls reach what is no file's content: other processes, what they share, and what a file is besides.
func calls() []call {
	secret := filepath.Join(filepath.Dir(filepath.Dir(os.Getenv("CONFINE"))), "secret")
	victim, _ := strconv.Atoi(os.Getenv("VICTIM"))
	var past [2]unix.Timespec
	same := func(f func() error) func() error {
		return func() error {
			before, err := os.Stat(secret)
			if err != nil {
				return nil
			}
			_ = f() // which may say that it did
			if after, err := os.Stat(secret); err == nil && after.Mode() == before.Mode() && after.ModTime().Equal(before.ModTime()) {
				return errors.New("nothing was changed")
			}
			return nil
		}
	}
	raw := func(nr uintptr, args ...uintptr) func() error {
		return func() error {
			var a [6]uintptr
			copy(a[:], args)
			r, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
			if errno != 0 {
				return errno
			}
			if r == 0 && (nr == unix.SYS_CLONE || nr == unix.SYS_CLONE3) {
				unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0) // the new process
			}
			return nil
		}
	}
	var info [128]byte
	info[0] = byte(unix.SIGKILL)
	*(*int32)(unsafe.Pointer(&info[8])) = -1
	var limit unix.Rlimit
	clone3 := struct{ flags, pidfd, child, parent, exit, stack, size, tls uint64 }{exit: uint64(unix.SIGCHLD)}
	return []call{
		{"chmod", same(func() error { return os.Chmod(secret, 0o666) })},
		{"fchmodat", same(func() error { return unix.Fchmodat(unix.AT_FDCWD, secret, 0o666, 0) })},
		{"chown", func() error { return os.Chown(secret, os.Getuid(), os.Getgid()) }},
		{"lchown", func() error { return os.Lchown(secret, os.Getuid(), os.Getgid()) }},
		{"change times", same(func() error { return os.Chtimes(secret, time.Unix(1, 0), time.Unix(1, 0)) })},
		{"utimensat", same(func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, secret, past[:], 0) })},
		{"setxattr", func() error { return unix.Setxattr(secret, "user.x", []byte("y"), 0) }},
		{"removexattr", func() error {
			if err := unix.Removexattr(secret, "user.x"); !errors.Is(err, unix.ENODATA) {
				return err
			}
			return nil // it looked for the attribute
		}},
		{"limits of another process", func() error { return unix.Prlimit(victim, unix.RLIMIT_NOFILE, nil, &limit) }},
		{"its own limits", func() error { return unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &limit) }},
		{"queue a signal", raw(unix.SYS_RT_SIGQUEUEINFO, uintptr(victim), uintptr(unix.SIGKILL), uintptr(unsafe.Pointer(&info[0])))},
		{"tgkill another process", raw(unix.SYS_TGKILL, uintptr(victim), uintptr(victim), 0)},
		{"kill", raw(unix.SYS_KILL, uintptr(victim), 0)},
		{"priority of another process", func() error { return unix.Setpriority(unix.PRIO_PROCESS, victim, 10) }},
		{"shared memory", raw(unix.SYS_SHMGET, 0, 4096, 0o1600)},
		{"message queue", raw(unix.SYS_MSGGET, 0, 0o1600)},
		{"semaphores", raw(unix.SYS_SEMGET, 0, 1, 0o1600)},
		{"setsid", func() error { _, err := unix.Setsid(); return err }},
		{"setpgid", func() error { return unix.Setpgid(0, 0) }},
		{"fork", raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD))},
		{"clone a process that shares memory", raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD)|unix.CLONE_FILES)},
		{"clone3", func() error {
			err := raw(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&clone3)), unsafe.Sizeof(clone3))()
			if err != nil && !errors.Is(err, unix.ENOSYS) {
				fmt.Println("clone3:", err)
			}
			return err
		}},
	}
}

// landlockedAs confines this process as a version of Landlock can, and says what that came to.
func landlockedAs(abi int) int {
	if have, err := ll.LandlockGetABIVersion(); err != nil || have < abi {
		fmt.Println("no Landlock of that version")
		return 0
	}
	fmt.Println("before:", shut())
	input, scratch := os.Getenv("CONFINE"), os.Getenv("TMPDIR")
	if err := landlocked(deep.Request{Path: input, Scratch: scratch}, abi); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("after:", shut())
	_, err := os.ReadFile(input)
	fmt.Println("input:", err)
	fmt.Println("scratch:", os.WriteFile(filepath.Join(scratch, "a"), []byte("x"), 0o600))
	_, err = os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(input)), "secret"))
	fmt.Println("secret:", errors.Is(err, unix.EACCES))
	return 0
}
