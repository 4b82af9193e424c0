//go:build linux || darwin

package term

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotTerminal is wrapped by errors about files that are none.
var ErrNotTerminal = errors.New("not a terminal")

// Interactive reports whether all three standard files are terminals, and a command should get one.
func Interactive(in, out, err *os.File) bool {
	return IsTerminal(in) && IsTerminal(out) && IsTerminal(err)
}

// IsTerminal reports whether a file is a terminal.
func IsTerminal(f *os.File) bool {
	if f == nil {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	return err == nil
}

// Size returns a terminal's rows and columns.
func Size(f *os.File) (rows, columns uint16, err error) {
	w, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the terminal's size: %w", err)
	}
	return w.Row, w.Col, nil
}

// A Mode is how a terminal was.
type Mode struct {
	file *os.File
	was  unix.Termios
}

// Raw makes a terminal pass every key as it is, and returns how it was.
func Raw(f *os.File) (*Mode, error) {
	was, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotTerminal, err)
	}
	m := &Mode{f, *was}
	if err := m.Raw(); err != nil {
		return nil, err
	}
	return m, nil
}

// Raw makes the terminal raw again after [Mode.Restore].
func (m *Mode) Raw() error {
	t := m.was
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(m.file.Fd()), setTermios, &t); err != nil {
		return fmt.Errorf("making the terminal raw: %w", err)
	}
	return nil
}

// Restore makes the terminal what it was. It can be called more than once.
func (m *Mode) Restore() error {
	if m == nil {
		return nil
	}
	if err := unix.IoctlSetTermios(int(m.file.Fd()), setTermios, &m.was); err != nil {
		return fmt.Errorf("restoring the terminal: %w", err)
	}
	return nil
}
