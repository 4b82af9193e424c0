package rebuild

import (
	"context"
	"os"
	"os/exec"
	"syscall"
)

// otherID is the user and group that the command has in its namespace.
const otherID = 60321

// ownGroup makes the command the leader of a process group and, if it is asked, another user.
func ownGroup(cmd *exec.Cmd, user, cut bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !user {
		return
	}
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
	if cut {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNET
	}
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: otherID, HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: otherID, HostID: os.Getgid(), Size: 1}}
}

// canNamespace tries whether a command can be started as another user, and cut off if that is asked.
func canNamespace(ctx context.Context, cut bool) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", ":")
	cmd.Env = []string{}
	ownGroup(cmd, true, cut)
	return cmd.Run()
}
