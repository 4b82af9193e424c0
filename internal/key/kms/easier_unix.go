//go:build unix

package kms

import (
	"io/fs"
	"os"
	"path/filepath"
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

// reachable says why others than root can change what path names, or nothing: the file and each folder
// above it belong to root and can be written by nobody else.
func reachable(path string) string {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "it cannot be looked at"
	}
	for p := path; ; p = filepath.Dir(p) {
		info, err := os.Lstat(p)
		if err != nil {
			return "it cannot be looked at"
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
			return p + " can be changed by others than root"
		}
		if p == filepath.Dir(p) {
			return ""
		}
	}
}
