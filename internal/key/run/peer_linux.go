package run

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// kernelTells says whether samePeer can tell anything.
const kernelTells = true

// samePeer fails unless the process at the other end of c runs under our own user, as the kernel knew it
// when the connection was made.
func samePeer(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPeer, err)
	}
	var who *syscall.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		who, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED) //nolint:gosec // a file descriptor
	}); err != nil {
		return fmt.Errorf("%w: %w", ErrPeer, err)
	}
	if failed != nil {
		return fmt.Errorf("%w: %w", ErrPeer, failed)
	}
	return sameUser(who.Uid, os.Geteuid())
}

func sameUser(theirs uint32, ours int) error {
	if ours < 0 || int64(theirs) != int64(ours) {
		return fmt.Errorf("%w: it is of user %d", ErrPeer, theirs)
	}
	return nil
}
