//go:build linux

package main

import "golang.org/x/sys/unix"

// audit is the kernel's number of this architecture.
const audit = uint32(unix.AUDIT_ARCH_X86_64)
