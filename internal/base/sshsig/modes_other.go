//go:build !windows

package sshsig

// noFileModes is true where a file's mode does not say who may read it.
const noFileModes = false
