//go:build unix

package app

import "syscall"

// nonblock opens without waiting, so that a named pipe in a file's place cannot hang us.
const nonblock = syscall.O_NONBLOCK
