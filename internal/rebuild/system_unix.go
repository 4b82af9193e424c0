//go:build unix

package rebuild

import (
	"syscall"
	"time"
)

// nonBlocking keeps a named pipe that took an artifact's place from holding us up.
const nonBlocking = syscall.O_NONBLOCK

// endGroup ends a process group. A killed process may still be inside a write, so it is waited for, if
// not for ever: one that nobody reaps counts as there.
func endGroup(pid int) error {
	if pid <= 1 {
		return nil
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil {
		return err
	}
	for n := 0; n < 50 && syscall.Kill(-pid, 0) == nil; n++ {
		time.Sleep(10 * time.Millisecond)
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
