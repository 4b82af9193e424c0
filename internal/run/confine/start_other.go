//go:build !linux

package confine

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// A Session is a confined command. This system starts none yet.
type Session struct{}

// IsInit reports whether the program is the init of a confinement, which only Linux has.
func IsInit([]string) bool { return false }

// Init is Linux's.
func Init() int { return 64 }

func start(context.Context, Spec) (*Session, error) {
	return nil, fmt.Errorf("%w: this version of Sallyport confines nothing on %s; run it on Linux, or in a Linux machine or container", ErrUnavailable, runtime.GOOS)
}

func available(context.Context) []Offer {
	why := "this version of Sallyport starts it on Linux only"
	return []Offer{
		{Mechanism: Bubblewrap, Why: why, Install: "run it on Linux"},
		{Mechanism: Namespaces, Why: why, Install: "run it on Linux"},
		adapterOffer(SRT), adapterOffer(Nono), adapterOffer(Seatbelt),
	}
}

// Wait waits for nothing.
func (s *Session) Wait() (Status, error) { return Status{}, ErrLost }

// Close ends nothing.
func (s *Session) Close() error { return nil }

// Profile returns that of nothing.
func (s *Session) Profile() Profile { return Profile{} }

// Terminal returns none.
func (s *Session) Terminal() *os.File { return nil }

// Stops returns a channel without an end.
func (s *Session) Stops() <-chan Status { return nil }

// Continue does nothing.
func (s *Session) Continue() error { return ErrLost }

// Signal does nothing.
func (s *Session) Signal(int) error { return ErrLost }
