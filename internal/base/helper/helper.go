// Package helper finds the programs that lie beside this one, and bounds what they say.
//
// A helper program is looked for in one place: the folder of the running executable, links resolved.
// $PATH is not searched and no variable names another place, since an agent that shares a job with
// whoever runs this program can set variables and write files in its repository. For the same
// reason the file must not be easier to replace than this executable: it is regular, has the same
// owner or root, and no one may write to it who may not write to this one.
package helper

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"unicode/utf8"
)

// Errors that callers tell apart.
var (
	ErrMissing = errors.New("the helper program is not there")
	ErrUnsafe  = errors.New("the helper program may have been replaced")
)

// Find returns the path of the program name beside executable, or beside the one that is running if
// that is empty.
func Find(executable, name string) (string, error) {
	self := executable
	if self == "" {
		var err error
		if self, err = os.Executable(); err != nil {
			return "", fmt.Errorf("find this program: %w", err)
		}
	}
	self, err := filepath.EvalSymlinks(self)
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), name+suffix())
	theirs, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: %s, of the same release, has to lie beside sallyport in %s", ErrMissing, name, filepath.Dir(self))
	}
	if err != nil {
		return "", fmt.Errorf("look at the helper program: %w", err)
	}
	ours, err := os.Stat(self)
	if err != nil {
		return "", fmt.Errorf("look at this program: %w", err)
	}
	if !theirs.Mode().IsRegular() {
		return "", fmt.Errorf("%w: %s is not a regular file", ErrUnsafe, path)
	}
	if why := easier(theirs, ours); why != "" {
		return "", fmt.Errorf("%w: %s %s", ErrUnsafe, path, why)
	}
	return path, nil
}

// suffix is what a program's name ends in.
func suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// Build names the source that this program was built from: the commit, if the toolchain recorded
// one, or else the module's version, or "devel". Programs that are built together have one name,
// also if they are of different modules of one repository.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				modified = "+changes"
			}
		}
	}
	switch v := info.Main.Version; {
	case revision != "":
		return revision + modified
	case v != "" && v != "(devel)":
		return v
	}
	return "devel"
}

// A Limited buffer holds what fits, and says when more came. The buffer is not embedded: its
// ReadFrom would be found by io.Copy, and knows no limit. It may be asked while it is written to.
type Limited struct {
	Limit int
	Full  func() // called when more comes; nil if what is too much is dropped
	Over  bool   // more came; to be asked when nobody writes any more

	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps b as far as it fits.
func (l *Limited) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if room := l.Limit - l.buf.Len(); len(b) > room {
		l.Over = true
		l.buf.Write(b[:room])
		if l.Full != nil {
			l.Full()
			return room, io.ErrShortWrite
		}
		return len(b), nil
	}
	return l.buf.Write(b)
}

// Bytes returns a copy of what is held.
func (l *Limited) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}

// OneLine makes a stranger's words fit to print: one line, no control characters, not long.
func OneLine(s string) string {
	const limit = 300
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case r < ' ', r >= 0x7f && r <= 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
			return ' '
		}
		return r
	}, s)), " ")
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "…"
	}
	return s
}
