package confine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport"
)

// Offsets in struct seccomp_data.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16
)

func statement(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

func jump(op uint16, k uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: uint8(yes), Jf: uint8(no), K: k}
}

const load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS

func ret(k uint32) unix.SockFilter { return statement(unix.BPF_RET|unix.BPF_K, k) }

// filter assembles the program: another architecture's calls kill, what [calls] lists goes to the
// witness or, without one, ends with its error; everything else passes.
func filter(list []call, notify bool) ([]unix.SockFilter, error) {
	if auditArch == 0 {
		return nil, fmt.Errorf("%w: there is no filter for %s", ErrUnavailable, runtime.GOARCH)
	}
	prog := []unix.SockFilter{
		statement(load, dataArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		ret(unix.SECCOMP_RET_KILL_PROCESS),
		statement(load, dataNumber),
	}
	if otherABI != 0 {
		prog = append(prog, jump(unix.BPF_JGE, otherABI, 0, 1), ret(unix.SECCOMP_RET_KILL_PROCESS))
	}
	fail := func(e uint32) uint32 { return unix.SECCOMP_RET_ERRNO | e }
	// clone3 has its flags in memory, where no filter can look; libraries fall back to clone.
	prog = append(prog, jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), ret(fail(uint32(unix.ENOSYS))))
	// Of two listeners the newer would be asked, so there must not be a second.
	block := []unix.SockFilter{
		statement(load, dataArgs+8),
		jump(unix.BPF_JSET, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, 0, 1),
		ret(fail(uint32(unix.EBUSY))),
	}
	prog = append(prog, jump(unix.BPF_JEQ, unix.SYS_SECCOMP, 0, len(block)+1))
	prog = append(append(prog, block...), ret(unix.SECCOMP_RET_ALLOW))
	for i := 0; i < len(list); {
		// Calls with several sets of tests follow each other.
		last := i + 1
		for last < len(list) && list[last].nr == list[i].nr {
			last++
		}
		var block []unix.SockFilter
		for _, c := range list[i:last] {
			action := uint32(unix.SECCOMP_RET_USER_NOTIF)
			if !notify {
				if c.refuse == 0 {
					continue
				}
				action = fail(uint32(c.refuse))
			}
			block = append(block, c.tests(action)...)
		}
		block = append(block, ret(unix.SECCOMP_RET_ALLOW))
		if len(block) > 255 {
			return nil, errors.New("a block of the filter is too long")
		}
		prog = append(prog, jump(unix.BPF_JEQ, uint32(list[i].nr), 0, len(block)))
		prog = append(prog, block...)
		i = last
	}
	return append(prog, ret(unix.SECCOMP_RET_ALLOW)), nil
}

// tests assembles what leads to an action, and otherwise past it.
func (c *call) tests(action uint32) []unix.SockFilter {
	block := []unix.SockFilter{ret(action)}
	for n := len(c.when) - 1; n >= 0; n-- {
		t := c.when[n]
		low := uint32(dataArgs + 8*t.arg)
		rest := len(block)
		var head []unix.SockFilter
		switch t.op {
		case anyBit:
			head = []unix.SockFilter{statement(load, low), jump(unix.BPF_JSET, t.vals[0], 0, rest)}
		case nonzero:
			head = []unix.SockFilter{
				statement(load, low), jump(unix.BPF_JEQ, 0, 0, 2),
				statement(load, low+4), jump(unix.BPF_JEQ, 0, rest, 0),
			}
		case oneOf:
			head = []unix.SockFilter{statement(load, low)}
			for i, v := range t.vals {
				left := len(t.vals) - 1 - i
				miss := 0
				if left == 0 {
					miss = rest
				}
				head = append(head, jump(unix.BPF_JEQ, v, left, miss))
			}
		case noneOf:
			head = []unix.SockFilter{statement(load, low)}
			for i, v := range t.vals {
				head = append(head, jump(unix.BPF_JEQ, v, len(t.vals)-1-i+rest, 0))
			}
		}
		block = append(head, block...)
	}
	return block
}

// filterDigest names a filter in a profile.
func filterDigest(prog []unix.SockFilter) sallyport.Digest {
	var b []byte
	for _, i := range prog {
		b = binary.LittleEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.LittleEndian.AppendUint32(b, i.K)
	}
	return sallyport.SHA256(b)
}

// install lays the filter over the calling thread. With notify it returns the file at which the
// witness listens, which the thread itself must not send: sending is a call that is seen.
func install(list []call, notify bool) (*os.File, string, error) {
	prog, err := filter(list, notify)
	if err != nil {
		return nil, "", err
	}
	p := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	flags := uintptr(0)
	if notify {
		flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	}
	fd, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&p))) //nolint:gosec // a structure of the kernel's interface
	if e == unix.EINVAL && notify {
		// Before Linux 5.19 a signal may have a call seen twice.
		fd, _, e = unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&p))) //nolint:gosec // a structure of the kernel's interface
	}
	runtime.KeepAlive(prog)
	if e != 0 {
		return nil, "", fmt.Errorf("installing the seccomp filter: %w", e)
	}
	digest := string(filterDigest(prog))
	if !notify {
		return nil, digest, nil
	}
	return os.NewFile(fd, "witness"), digest, nil
}
