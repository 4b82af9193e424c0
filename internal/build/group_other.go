//go:build !unix

package build

import (
	"os"
	"os/exec"
)

var terminate = os.Kill

func ownGroup(*exec.Cmd) {}

// signalGroup ends the process: there are no groups here, and no signals but the one.
func signalGroup(pid int, _ os.Signal) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
	}
}

func endGroup(int) bool { return false }

func number(os.Signal) int { return 9 }

func exitOf(p *os.ProcessState) (string, int) {
	if n := p.ExitCode(); n >= 0 {
		return Exited, n
	}
	return Signaled, statusSignal
}

func openNow(root *os.Root, p string) (*os.File, error) { return root.Open(p) }
