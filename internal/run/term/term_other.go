//go:build !linux && !darwin

package term

import (
	"errors"
	"os"
	"syscall"
)

// ErrNotTerminal is wrapped by errors about files that are none.
var ErrNotTerminal = errors.New("not a terminal")

// Interactive reports false: commands get pipes.
func Interactive(_, _, _ *os.File) bool { return false }

// IsTerminal reports false.
func IsTerminal(*os.File) bool { return false }

// Size returns none.
func Size(*os.File) (rows, columns uint16, err error) { return 0, 0, ErrNotTerminal }

// A Relay does not exist here.
type Relay struct{}

// Attach attaches nothing.
func Attach(_, _, _ *os.File, _ func(syscall.Signal)) (*Relay, error) { return nil, ErrNotTerminal }

// Suspend stops nothing.
func (r *Relay) Suspend() error { return ErrNotTerminal }

// Close closes nothing.
func (r *Relay) Close() error { return nil }
