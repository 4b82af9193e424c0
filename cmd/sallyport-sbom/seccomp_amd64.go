//go:build linux

package main

import "golang.org/x/sys/unix"

// audit is the kernel's number of this architecture.
const audit = uint32(unix.AUDIT_ARCH_X86_64)

// refusedHere are the older calls for what others do as well.
var refusedHere = []uint32{
	unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_FORK, unix.SYS_VFORK,
	unix.SYS_SETRLIMIT,
}

var ignoredHere = []uint32{unix.SYS_CHMOD, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT}
