package confine

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlockABI returns the kernel's, or 0.
func landlockABI() int {
	v, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0
	}
	return int(v)
}

const (
	landlockRead  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landlockFile  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	landlockWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM
)

// maxABI is the newest whose rights are known here; a newer kernel keeps its promises of this one.
const maxABI = 7

// landlockRights returns the rights that rules of an ABI can speak of.
func landlockRights(abi int) (fs, scoped uint64) {
	fs = landlockRead | landlockWrite
	if abi >= 2 {
		fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return fs, scoped
}

// restrict lays Landlock's rules over the calling thread: reading everywhere, since the root holds
// only what may be read, and writing below the given paths. It returns the ABI that it used, 0 where
// the kernel has none. The init's other threads stay outside of the domain, so nothing inside may
// signal or trace the init.
func restrict(writable []string, nested bool) (int, error) {
	abi := min(landlockABI(), maxABI)
	if abi == 0 {
		return 0, nil
	}
	fs, scoped := landlockRights(abi)
	if nested {
		// A domain with file rules forbids every mount, and a sandbox inside would not start.
		if fs = 0; scoped == 0 {
			return 0, nil
		}
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: fs, Scoped: scoped}
	size := unsafe.Offsetof(attr.Quiet_access_fs)
	if abi < 4 {
		size = unsafe.Offsetof(attr.Handled_access_net)
	} else if abi < 6 {
		size = unsafe.Offsetof(attr.Scoped)
	}
	ruleset, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0) //nolint:gosec // a structure of the kernel's interface
	if e != 0 {
		return 0, fmt.Errorf("making a ruleset: %w", e)
	}
	defer unix.Close(int(ruleset))
	if fs != 0 {
		if err := landlockAllow(int(ruleset), "/", fs&landlockRead); err != nil {
			return 0, err
		}
		for _, path := range append([]string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/shm"}, writable...) {
			if err := landlockAllow(int(ruleset), path, fs); err != nil {
				return 0, err
			}
		}
	}
	if _, _, e := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); e != 0 {
		return 0, fmt.Errorf("entering the domain: %w", e)
	}
	return abi, nil
}

func landlockAllow(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT && strings.HasPrefix(path, "/dev/") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= landlockFile
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	if _, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0); e != 0 { //nolint:gosec // a structure of the kernel's interface
		return fmt.Errorf("allowing %s: %w", path, e)
	}
	return nil
}
