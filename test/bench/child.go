//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// verdicts are the exit statuses of a check that came to a decision.
var verdicts = []int{0, 2, 3}

// measured is one run of a program.
type measured struct {
	wall, cpu time.Duration
	own       int64 // peak of the program alone in bytes, 0 if unknown
	tree      int64 // peak of the largest of its processes in bytes
	status    int
}

// sampling is how often a running program's own peak is read.
const sampling = 3 * time.Millisecond

// measure runs a program without input, in a clean environment. Any exit status but 0 and those
// in also is an error.
func (b *bench) measure(ctx context.Context, args []string, also ...int) (measured, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Dir = b.env, b.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return measured{}, err
	}
	ended, peak := make(chan struct{}), make(chan int64)
	go func() {
		var own int64
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		for {
			own = max(own, highWater(cmd.Process.Pid))
			select {
			case <-ended:
				peak <- own
				return
			case <-tick.C:
			}
		}
	}()
	err := cmd.Wait()
	m := measured{wall: time.Since(began)}
	close(ended)
	m.own = <-peak
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return m, err
	}
	m.status = cmd.ProcessState.ExitCode()
	if m.status != 0 && !slices.Contains(also, m.status) {
		return m, fmt.Errorf("%s: exit status %d\n%s", strings.Join(args, " "), m.status, stderr.Bytes())
	}
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		m.tree = int64(u.Maxrss) //nolint:unconvert // another width elsewhere
		if runtime.GOOS != "darwin" {
			m.tree <<= 10
		}
	}
	return m, nil
}

// highWater returns the peak resident size of a running process, which /proc forgets when it
// ends. Wait4 cannot tell it: its figure is the maximum over the process and its children.
func highWater(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(b), "VmHWM:")
	if !ok {
		return 0
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// output runs git in the repository, or where there is none yet, and returns what it printed.
func (b *bench) output(ctx context.Context, args ...string) (string, error) {
	dir := b.repo
	if dir == "" {
		dir = b.dir
	}
	cmd := exec.CommandContext(ctx, b.git, append([]string{"--no-pager", "-C", dir}, args...)...)
	cmd.Env = b.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

func walls(ms []measured) []time.Duration {
	var ds []time.Duration
	for _, m := range ms {
		ds = append(ds, m.wall)
	}
	return ds
}

func cpus(ms []measured) []time.Duration {
	var ds []time.Duration
	for _, m := range ms {
		ds = append(ds, m.cpu)
	}
	return ds
}

func ownPeak(m measured) int64  { return m.own }
func treePeak(m measured) int64 { return m.tree }

func largest(ms []measured, of func(measured) int64) int64 {
	var n int64
	for _, m := range ms {
		n = max(n, of(m))
	}
	return n
}

func median(ds []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(ds))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
