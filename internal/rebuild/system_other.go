//go:build unix && !linux

package rebuild

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
)

// otherID stands for a user that is never had here.
const otherID = 0

func ownGroup(cmd *exec.Cmd, _, _ bool) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func canNamespace(context.Context, bool) error {
	return errors.New("only Linux has user namespaces")
}
