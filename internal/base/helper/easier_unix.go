//go:build unix

package helper

import (
	"io/fs"
	"syscall"
)

// easier says in what way the file theirs is easier to replace than ours, or nothing.
func easier(theirs, ours fs.FileInfo) string {
	if theirs.Mode().Perm()&0o111 == 0 {
		return "is not executable"
	}
	if theirs.Mode().Perm()&^ours.Mode().Perm()&0o022 != 0 {
		return "can be written by more users than sallyport itself; chmod go-w it"
	}
	t, ok := theirs.Sys().(*syscall.Stat_t)
	o, also := ours.Sys().(*syscall.Stat_t)
	if !ok || !also {
		return "has an owner that cannot be told"
	}
	if t.Uid != 0 && t.Uid != o.Uid {
		return "belongs to another user than sallyport itself"
	}
	return ""
}
