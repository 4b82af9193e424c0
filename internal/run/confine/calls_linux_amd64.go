package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	// otherABI is the bit of x32's numbers, by which every call could be made past a filter.
	otherABI = 0x40000000
)

// oldCalls are those that newer architectures do without.
func oldCalls() []call {
	return []call{
		seen(Read, (*witness).open, unix.SYS_OPEN, "open"),
		seen(Write, (*witness).path, unix.SYS_CREAT, "creat"),
		seen(Write, (*witness).path, unix.SYS_UNLINK, "unlink"),
		seen(Write, (*witness).path, unix.SYS_RMDIR, "rmdir"),
		seen(Write, (*witness).path, unix.SYS_MKDIR, "mkdir"),
		seen(Write, (*witness).path, unix.SYS_MKNOD, "mknod"),
		seen(Write, (*witness).path, unix.SYS_CHMOD, "chmod"),
		seen(Write, (*witness).path, unix.SYS_CHOWN, "chown"),
		seen(Write, (*witness).path, unix.SYS_LCHOWN, "lchown"),
		seen(Write, (*witness).rename, unix.SYS_RENAME, "rename"),
		seen(Write, (*witness).link, unix.SYS_LINK, "link"),
		seen(Write, (*witness).symlink, unix.SYS_SYMLINK, "symlink"),
		refused(Process, unix.EPERM, unix.SYS_IOPL, "iopl"),
		refused(Process, unix.EPERM, unix.SYS_IOPERM, "ioperm"),
		refused(Process, unix.EPERM, unix.SYS_KEXEC_FILE_LOAD, "kexec_file_load"),
	}
}

// Those of path that remove a name.
const (
	unlinkNr = unix.SYS_UNLINK
	rmdirNr  = unix.SYS_RMDIR
)
