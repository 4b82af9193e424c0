//go:build !linux

package run

import (
	"os"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
)

// Nothing is confined here, so that a terminal is the command's own.
func isTerminal(*os.File) bool { return false }

func terminalSize(*os.File) confine.Size { return confine.Size{} }

func joinTerminal(*os.File, *os.File) func() { return func() {} }
