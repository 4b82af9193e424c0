package run

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLeft says that processes of a run would not end.
var ErrLeft = errors.New("processes of the run could not be ended")

// An adoption makes orphans below this process its children, so that a command that detaches itself is
// found when the run ends.
type adoption struct {
	before map[int]bool // children that this process had already
}

func adopt() *adoption {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // since Linux 3.4
	a := &adoption{before: map[int]bool{}}
	for _, pid := range descendants() {
		a.before[pid] = true
	}
	return a
}

func (a *adoption) release() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }

// kill kills all that descends from this process and was not there before.
func (a *adoption) kill() {
	for _, pid := range descendants() {
		if !a.before[pid] {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// How often the remaining processes are looked for, and how long each time is waited.
const (
	endRounds = 250
	endPause  = 20 * time.Millisecond
)

// end kills what is left until nothing is.
func (a *adoption) end() error {
	defer a.release()
	for range endRounds {
		left := 0
		for _, pid := range descendants() {
			if a.before[pid] {
				continue
			}
			_ = unix.Kill(pid, unix.SIGKILL)
			// Those that became ours have to be waited for; of the others their parents' end makes ours.
			if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != nil || got == 0 {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		time.Sleep(endPause)
	}
	return ErrLeft
}

// descendants returns the processes below this one.
func descendants() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// pid (name) state ppid …, and the name may hold anything.
		if fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]); len(fields) > 1 {
			if parent, err := strconv.Atoi(string(fields[1])); err == nil {
				children[parent] = append(children[parent], pid)
			}
		}
	}
	var out []int
	for next := []int{os.Getpid()}; len(next) > 0; next = next[1:] {
		out = append(out, children[next[0]]...)
		next = append(next, children[next[0]]...)
	}
	return out
}

// asUser has the command run as another user.
func asUser(cmd *exec.Cmd, p Process) {
	if p.UID >= 0 && p.UID != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(p.UID), Gid: uint32(p.GID)}} //nolint:gosec // ids of the kernel
	}
}
