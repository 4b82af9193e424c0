//go:build linux || darwin

package term

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Relay copies between a person's terminal and a command's until [Relay.Close].
type Relay struct {
	in, out *os.File
	master  *os.File
	mode    *Mode

	resized chan os.Signal
	ending  chan os.Signal
	stop    *os.File // closing it ends the reading of keys
	stopped *os.File
	mu      sync.Mutex
	closed  bool
	printed chan struct{} // closed when everything was printed
	wg      sync.WaitGroup
}

// Attach makes the person's terminal raw and begins to copy. in and out are the person's terminal,
// master the other side of the command's. signaled is called for each signal by which this program is
// told to end; for those of the keyboard, which come only while the terminal is not raw, it should pass
// them on, and for the others, before which the terminal is restored, end the command.
func Attach(in, out, master *os.File, signaled func(syscall.Signal)) (*Relay, error) {
	mode, err := Raw(in)
	if err != nil {
		return nil, err
	}
	r := &Relay{in: in, out: out, master: master, mode: mode, printed: make(chan struct{})}
	if r.stopped, r.stop, err = os.Pipe(); err != nil {
		_ = mode.Restore()
		return nil, err
	}
	r.resize()
	r.resized = make(chan os.Signal, 1)
	signal.Notify(r.resized, syscall.SIGWINCH)
	r.ending = make(chan os.Signal, 1)
	signal.Notify(r.ending, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	r.wg.Go(func() {
		for range r.resized {
			r.resize()
		}
	})
	r.wg.Go(func() {
		for sig := range r.ending {
			sig, _ := sig.(syscall.Signal)
			if sig == syscall.SIGTERM || sig == syscall.SIGHUP {
				_ = r.mode.Restore()
			}
			signaled(sig)
		}
	})
	r.wg.Go(r.keys)
	go func() {
		_, _ = io.Copy(out, master) // ends with an error when the command's side is gone
		close(r.printed)
	}()
	return r, nil
}

// resize gives the command's terminal the size of the person's; its foreground is told by the kernel.
func (r *Relay) resize() {
	if w, err := unix.IoctlGetWinsize(int(r.in.Fd()), unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(int(r.master.Fd()), unix.TIOCSWINSZ, w)
	}
}

// keys copies keys. Reading them by turns with a pipe lets it end without taking a key that is
// meant for whoever has the terminal next.
func (r *Relay) keys() {
	in := int(r.in.Fd())
	poll := []unix.PollFd{{Fd: int32(in), Events: unix.POLLIN}, {Fd: int32(r.stopped.Fd()), Events: unix.POLLIN}}
	b := make([]byte, 4096)
	for {
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if poll[1].Revents != 0 {
			return
		}
		if poll[0].Revents == 0 {
			continue
		}
		n, err := unix.Read(in, b)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		if _, err := r.master.Write(b[:n]); err != nil {
			return
		}
	}
}

// Suspend stops this program as ^Z stops a program that has the terminal itself: the terminal is
// restored, the program's process group stopped, and, when it is continued, the terminal made raw
// again and given its size. The caller then continues the command.
func (r *Relay) Suspend() error {
	if err := r.mode.Restore(); err != nil {
		return err
	}
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	if err := unix.Kill(0, unix.SIGSTOP); err != nil {
		return err
	}
	<-continued
	if err := r.mode.Raw(); err != nil {
		return err
	}
	r.resize()
	return nil
}

// Close waits until what the command printed has been shown, ends the copying and restores the
// terminal. It is called once the command has ended.
func (r *Relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	<-r.printed
	r.stop.Close()
	signal.Stop(r.resized)
	signal.Stop(r.ending)
	close(r.resized)
	close(r.ending)
	r.wg.Wait()
	r.stopped.Close()
	r.master.Close()
	return r.mode.Restore()
}
