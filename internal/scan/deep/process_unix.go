//go:build unix

package deep

import (
	"os/exec"
	"syscall"
)

// alone gives a process a group of its own, so that it can be stopped with all that it started.
func alone(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(c *exec.Cmd) {
	if c.Process != nil && c.Process.Pid > 0 {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	}
}
