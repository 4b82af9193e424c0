//go:build unix

package rebuild

import (
	"syscall"
)

// nonBlocking keeps a named pipe that took an artifact's place from holding us up.
const nonBlocking = syscall.O_NONBLOCK

func endGroup(pid int) error {
	if pid > 1 {
		return syscall.Kill(-pid, syscall.SIGKILL)
	}
	return nil
}

// masked calls fn under another mask of file modes. The mask is the whole process's, which starts
// nothing else meanwhile.
func (r *runner) masked(fn func() error) error {
	first := !r.hasVaried(VaryUmask)
	if r.skip(VaryUmask) {
		if first {
			r.vary.not(VaryUmask, "as the caller asked")
		}
		return fn()
	}
	mask := 0o027
	here := syscall.Umask(mask)
	defer syscall.Umask(here)
	if here == mask {
		mask = 0o002
		syscall.Umask(mask)
	}
	if first {
		r.vary.made(VaryUmask, "%04o (here: %04o)", mask, here)
	}
	return fn()
}
