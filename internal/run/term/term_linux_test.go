package term_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
	"github.com/sallyport-dev/sallyport/internal/run/term"
)

func TestMain(m *testing.M) {
	if confine.IsInit(os.Args) {
		os.Exit(confine.Init())
	}
	if os.Getenv("SALLYPORT_CONFINE_PROBE") != "" {
		os.Exit(0)
	}
	if len(os.Args) > 2 && os.Args[1] == "confined" {
		os.Exit(confined(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// confined runs a command as sallyport run does.
func confined(args []string) int {
	rows, columns, err := term.Size(os.Stdin)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ws := os.Getenv("WS")
	s, err := confine.Start(context.Background(), confine.Spec{Mechanism: confine.Mechanism(os.Getenv("MECHANISM")), Workspace: ws, Args: args, Env: []string{"TERM=xterm"}, Terminal: &confine.Size{Rows: rows, Columns: columns}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	status, err := term.Run(s, os.Stdin, os.Stdout)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return status.Exit()
}

// A person sits at a terminal with a shell in it.
type person struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	mu     sync.Mutex
	screen bytes.Buffer
	grew   chan struct{}
}

func sitDown(t *testing.T, m confine.Mechanism) *person {
	t.Helper()
	master, slave, err := term.Open()
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, master: master, slave: slave, grew: make(chan struct{}, 1)}
	unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 31, Col: 101})
	cmd := exec.Command("/bin/bash", "--norc", "--noprofile", "-i")
	cmd.Env = append(os.Environ(), "PS1=ready> ", "WS="+t.TempDir(), "MECHANISM="+string(m), "SELF="+os.Args[0], "HISTFILE=", "TERM=dumb")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			p.mu.Lock()
			p.screen.Write(b[:n])
			p.mu.Unlock()
			select {
			case p.grew <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		slave.Close()
		master.Close()
	})
	p.see("ready> ")
	return p
}

func (p *person) keys(text string) {
	p.t.Helper()
	if _, err := p.master.Write([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// see waits for a text, and takes it and what came before off the screen.
func (p *person) see(text string) string {
	p.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		before, after, ok := strings.Cut(p.screen.String(), text)
		if ok {
			p.screen.Reset()
			p.screen.WriteString(after)
		}
		p.mu.Unlock()
		if ok {
			return before
		}
		select {
		case <-p.grew:
		case <-timeout:
			p.t.Fatalf("no %q on the screen:\n%q", text, p.screen.String())
		}
	}
}

// mode is what stty would say of the person's terminal.
func (p *person) mode() unix.Termios {
	m, err := unix.IoctlGetTermios(int(p.master.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *m
}

func mechanisms(t *testing.T, f func(t *testing.T, m confine.Mechanism)) {
	usable := map[confine.Mechanism]string{}
	for _, o := range confine.Available(t.Context()) {
		usable[o.Mechanism] = o.Why
	}
	for _, m := range []confine.Mechanism{confine.Bubblewrap, confine.Namespaces} {
		t.Run(string(m), func(t *testing.T) {
			if why := usable[m]; why != "" {
				if os.Getenv("CI") == "true" {
					t.Fatal(why)
				}
				t.Skip(why)
			}
			f(t, m)
		})
	}
}

func TestAsIfItWereNotThere(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		p := sitDown(t, m)
		before := p.mode()
		p.keys("\"$SELF\" confined /bin/bash -c 'tty; stty size; printf \"\\033[31mred\\033[0m\"; read x; echo got-$x; stty size; exit 5'; echo status-$?\n")
		p.see("/dev/pts/0\r\n31 101\r\n\x1b[31mred\x1b[0m")

		// Another size reaches the command.
		unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 90})
		p.keys("word\r")
		p.see("got-word\r\n")
		p.see("\r\n")
		p.see("status-5")
		p.see("ready> ")
		if p.mode() != before {
			t.Error("the terminal was not restored")
		}
	})
}

func TestInterruptAndStop(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		p := sitDown(t, m)
		before := p.mode()
		p.keys("\"$SELF\" confined /bin/sh -c 'trap \"echo caught; exit 9\" INT; trap \"echo again\" CONT; echo begun; while :; do read x; done'; echo status-$?\n")
		p.see("begun\r\n")
		p.keys("\x1a")
		p.see("Stopped")
		p.see("ready> ")
		if p.mode() != before {
			t.Error("the terminal was not restored when it stopped")
		}
		p.keys("fg\n")
		p.see("again\r\n")
		p.keys("\x03")
		p.see("caught\r\n")
		p.see("ready> ")
		if p.mode() != before {
			t.Error("the terminal was not restored at the end")
		}
	})
}
