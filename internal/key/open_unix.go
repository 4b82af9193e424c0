//go:build unix

package key

import (
	"os"
	"syscall"
)

// openFile opens without waiting, so that a named pipe in the key's place cannot hang us.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}
