package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	otherABI  = 0
)

func oldCalls() []call {
	return []call{refused(Process, unix.EPERM, unix.SYS_KEXEC_FILE_LOAD, "kexec_file_load")}
}

const (
	unlinkNr = -1
	rmdirNr  = -1
)
