package record

import (
	"errors"
	"os"
	"syscall"
)

// syncData makes a file's bytes and its length durable. Its times, which fsync would write too, prove nothing here.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
