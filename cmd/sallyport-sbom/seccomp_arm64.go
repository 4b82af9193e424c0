//go:build linux

package main

import "golang.org/x/sys/unix"

// audit is the kernel's number of this architecture.
const audit = uint32(unix.AUDIT_ARCH_AARCH64)

// refusedHere has nothing: this architecture never had the older calls.
var refusedHere []uint32

var ignoredHere []uint32
