//go:build unix

package app

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// safeToAsk reports whether a program may be run outside the cage by this process. Root runs none that
// another user could have written, since whoever writes it would be root: its file and each folder above
// it belong to root, and nobody else can write them or, in a folder for everybody, replace them.
func safeToAsk(program []string) bool {
	if os.Geteuid() != 0 {
		return true
	}
	for i, name := range program {
		if i == 0 {
			found, err := exec.LookPath(name)
			if err != nil {
				return false
			}
			name = found
		}
		if !onlyRootWrites(name) {
			return false
		}
	}
	return true
}

func onlyRootWrites(name string) bool {
	name, err := filepath.Abs(name)
	if err != nil {
		return false
	}
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return false
	}
	for {
		info, err := os.Lstat(name)
		if err != nil {
			return false
		}
		kept := info.Mode().Perm()&0o022 == 0 || info.IsDir() && info.Mode()&fs.ModeSticky != 0
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Uid != 0 || !kept {
			return false
		}
		parent := filepath.Dir(name)
		if parent == name {
			return true
		}
		name = parent
	}
}
