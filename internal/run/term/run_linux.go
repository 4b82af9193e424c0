package term

import (
	"os"
	"syscall"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
)

// Run ties a confined command that was started with a terminal to the person's, and waits for it. ^Z
// stops the command and then this program, and fg continues both.
func Run(s *confine.Session, in, out *os.File) (confine.Status, error) {
	r, err := Attach(in, out, s.Terminal(), func(sig syscall.Signal) {
		if sig == syscall.SIGINT || sig == syscall.SIGQUIT {
			_ = s.Signal(int(sig))
			return
		}
		s.Close()
	})
	if err != nil {
		s.Close()
		return confine.Status{}, err
	}
	for range s.Stops() {
		if err := r.Suspend(); err != nil {
			s.Close()
			continue // until the end of the command closes the channel
		}
		_ = s.Continue()
	}
	status, err := s.Wait()
	if closing := r.Close(); err == nil {
		err = closing
	}
	return status, err
}
