//go:build unix

package kms

import (
	"os"
	"path/filepath"
	"syscall"
)

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
