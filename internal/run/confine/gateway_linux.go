package confine

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A gateway carries connections from a listening socket inside to a Unix socket outside. It runs
// in the supervisor, so there is no bridge inside that could be taken over.
type gateway struct {
	listener net.Listener
	socket   string
	mu       sync.Mutex
	open     map[net.Conn]bool
	closed   bool
	wg       sync.WaitGroup
}

// maxConnections bounds what a command can make the supervisor hold.
const maxConnections = 4096

func newGateway(f *os.File, socket string) (*gateway, error) {
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	g := &gateway{listener: l, socket: socket, open: map[net.Conn]bool{}}
	g.wg.Go(g.serve)
	return g, nil
}

func (g *gateway) serve() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				continue
			}
			return
		}
		if !g.hold(c) {
			c.Close()
			continue
		}
		g.wg.Go(func() { g.carry(c) })
	}
}

// hold remembers a connection, so that close can end it.
func (g *gateway) hold(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.open) >= 2*maxConnections {
		return false
	}
	g.open[c] = true
	return true
}

func (g *gateway) drop(c net.Conn) {
	g.mu.Lock()
	delete(g.open, c)
	g.mu.Unlock()
	c.Close()
}

func (g *gateway) carry(inside net.Conn) {
	defer g.drop(inside)
	outside, err := net.DialTimeout("unix", g.socket, 10*time.Second) //nolint:noctx // it ends with the session's gateway
	if err != nil {
		return
	}
	if !g.hold(outside) {
		outside.Close()
		return
	}
	defer g.drop(outside)
	var wg sync.WaitGroup
	wg.Go(func() { pass(outside, inside) })
	pass(inside, outside)
	wg.Wait()
}

// pass copies one direction and passes its end on.
func pass(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (g *gateway) close() {
	if g == nil {
		return
	}
	g.listener.Close()
	g.mu.Lock()
	g.closed = true
	for c := range g.open {
		c.Close()
	}
	g.mu.Unlock()
	g.wg.Wait()
}
