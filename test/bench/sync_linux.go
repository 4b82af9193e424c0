package main

import (
	"os"
	"syscall"
)

// fdatasync makes what was written to f durable, without its times.
func fdatasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
