//go:build unix

package build

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

const terminate = syscall.SIGTERM

// ownGroup makes the command the leader of a process group.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalGroup sends a signal to the group whose leader is or was pid. A group that is gone is no error.
func signalGroup(pid int, sig os.Signal) {
	if s, ok := sig.(syscall.Signal); ok && pid > 1 {
		_ = syscall.Kill(-pid, s)
	}
}

// endGroup ends what is left of a group whose leader has been waited for, and reports whether there
// was anything.
func endGroup(pid int) bool {
	if pid <= 1 || syscall.Kill(-pid, 0) != nil {
		return false
	}
	signalGroup(pid, syscall.SIGKILL)
	// A killed process may still be inside a write. One that nobody has waited for yet counts as there.
	for range 50 {
		if syscall.Kill(-pid, 0) != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

func number(sig os.Signal) int {
	if s, ok := sig.(syscall.Signal); ok {
		return int(s)
	}
	return 0
}

// exitOf says how a process ended.
func exitOf(p *os.ProcessState) (string, int) {
	if ws, ok := p.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return Signaled, statusSignal + int(ws.Signal())
	}
	if n := p.ExitCode(); n >= 0 {
		return Exited, n
	}
	return Signaled, statusSignal
}

// openNow opens without waiting, so that a named pipe in an artifact's place cannot hang us.
func openNow(root *os.Root, p string) (*os.File, error) {
	return root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
}
