package escape

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attemptMain is one attempt that no shell command makes. It exits with 0 if it succeeded, which
// it must not, and says the error otherwise.
func attemptMain(name string) int {
	supervisor, _ := strconv.Atoi(os.Getenv("SUPERVISOR"))
	err := errors.New("no such attempt")
	raw := func(nr uintptr, args ...uintptr) error {
		var a [6]uintptr
		copy(a[:], args)
		if _, _, e := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); e != 0 {
			return e
		}
		return nil
	}
	socket := func(family, kind, protocol int) error {
		fd, err := unix.Socket(family, kind, protocol)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	switch name {
	case "ptrace":
		err = unix.PtraceAttach(supervisor)
	case "process_vm_readv":
		b := make([]byte, 8)
		v := []unix.Iovec{{Base: &b[0], Len: 8}}
		_, err = unix.ProcessVMReadv(supervisor, v, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
	case "trace-init":
		err = unix.PtraceAttach(1)
	case "io_uring":
		var params [120]byte
		err = raw(unix.SYS_IO_URING_SETUP, 8, uintptr(unsafe.Pointer(&params[0])))
	case "userns":
		err = raw(unix.SYS_UNSHARE, unix.CLONE_NEWUSER)
	case "clone-userns":
		err = raw(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(syscall.SIGCHLD))
	case "mount":
		err = unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "")
	case "remount":
		err = unix.Mount("", "/usr", "", unix.MS_REMOUNT|unix.MS_BIND, "")
	case "umount":
		err = unix.Unmount(os.Getenv("WORKSPACE")+"/.git/hooks", unix.MNT_DETACH)
	case "chroot":
		err = unix.Chroot("/tmp")
	case "tiocsti":
		b := byte('x')
		err = raw(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&b)))
	case "vsock":
		err = socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	case "alg":
		err = socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)
	case "packet":
		err = socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	case "netlink-audit":
		err = socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT)
	case "keyring":
		_, err = unix.KeyctlInt(unix.KEYCTL_GET_KEYRING_ID, unix.KEY_SPEC_SESSION_KEYRING, 0, 0, 0)
	case "bpf":
		err = raw(unix.SYS_BPF, 0, 0, 0)
	case "listener":
		prog := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
		p := unix.SockFprog{Len: 1, Filter: &prog[0]}
		err = raw(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&p)))
	case "udp":
		err = sendUDP(&unix.SockaddrInet4{Port: 53, Addr: [4]byte{192, 0, 2, 1}}, unix.AF_INET)
	case "udp6":
		err = sendUDP(&unix.SockaddrInet6{Port: 53, Addr: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}}, unix.AF_INET6)
	case "tcp6":
		fd, e := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
		if err = e; err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet6{Port: 443, Addr: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}})
		}
	case "abstract":
		fd, e := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err = e; err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: "@" + os.Getenv("ABSTRACT")})
		}
	case "descriptors":
		err = errors.New("none is open")
		for fd := 3; fd < 1024; fd++ {
			if to, e := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); e == nil && to == os.Getenv("SECRET") {
				err = nil
			}
		}
	}
	if err == nil {
		fmt.Println("succeeded")
		return 0
	}
	fmt.Println("refused:", err)
	return 3
}

func sendUDP(to unix.Sockaddr, family int) error {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte("x"), 0, to)
}
