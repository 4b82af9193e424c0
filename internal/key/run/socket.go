package run

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/key"
)

// The protocol: a client connects, writes one JSON document on a line, and reads one. Documents are
// bounded, and so is the time that either side waits for the other.
const (
	maxLine    = MaxMessage*4/3 + 1024 // a message in base64
	maxAnswer  = 64 << 10
	lineWait   = 10 * time.Second
	maxClients = 16
	maxPath    = 100 // Linux takes 107
)

type request struct {
	Version int    `json:"version"`           // 1
	Message []byte `json:"message,omitempty"` // the encoding of an envelope; without it, the certificate is asked for
}

type answer struct {
	Certificate []byte `json:"certificate,omitempty"`
	Signature   []byte `json:"signature,omitempty"`
	Error       string `json:"error,omitempty"`
}

// A Server answers at a socket.
type Server struct {
	Ref string // of the key: run:PATH

	listener *net.UnixListener
	dir      string
	slots    chan struct{}
	clients  sync.WaitGroup
}

// Serve opens a socket in a new folder below dir, empty for that of temporary files, and answers until
// ctx or the server ends.
func (i *Issued) Serve(ctx context.Context, dir string) (*Server, error) {
	if !kernelTells {
		return nil, ErrNoKernel
	}
	if dir == "" {
		dir = os.TempDir()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("serve the run's key: %w", err)
	}
	own, err := os.MkdirTemp(dir, "sallyport-run-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("serve the run's key: %w", err)
	}
	path := filepath.Join(own, "key")
	if len(path) > maxPath {
		return nil, errors.Join(fmt.Errorf("serve the run's key: the path of a socket has at most %d bytes, and %s has %d: set TMPDIR to a shorter one", maxPath, path, len(path)), os.RemoveAll(own))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve the run's key: %w", err), os.RemoveAll(own))
	}
	s := &Server{Ref: "run:" + path, listener: l, dir: own, slots: make(chan struct{}, maxClients)}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	s.clients.Go(func() {
		defer stop()
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			s.slots <- struct{}{}
			s.clients.Go(func() {
				defer func() { <-s.slots }()
				defer c.Close()
				i.serve(c)
			})
		}
	})
	return s, nil
}

// Close ends the server and takes its folder away.
func (s *Server) Close() error {
	err := s.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	s.clients.Wait()
	return errors.Join(err, os.RemoveAll(s.dir))
}

// serve answers one client.
func (i *Issued) serve(c *net.UnixConn) {
	// A client that does not say what it wants in time is let go.
	hangUp := time.AfterFunc(lineWait, func() { c.Close() })
	defer hangUp.Stop()
	reply := func(a answer) {
		b, err := json.Marshal(a)
		if err == nil {
			_, _ = c.Write(append(b, '\n'))
		}
	}
	if err := samePeer(c); err != nil {
		reply(answer{Error: err.Error()})
		return
	}
	line, err := readLine(c, maxLine)
	if err != nil {
		reply(answer{Error: err.Error()})
		return
	}
	a, err := i.answer(line)
	if err != nil {
		a = answer{Error: err.Error()}
	}
	reply(a)
}

// answer answers one request.
func (i *Issued) answer(line []byte) (answer, error) {
	var r request
	if err := strict.JSON(line, maxLine, &r); err != nil {
		return answer{}, fmt.Errorf("%w: the request cannot be read", ErrRefused)
	}
	if r.Version != 1 {
		return answer{}, fmt.Errorf("%w: the request is of version %d, want 1", ErrRefused, r.Version)
	}
	if r.Message == nil {
		return answer{Certificate: i.Certificate.Raw}, nil
	}
	sig, err := i.Key.Sign(nil, r.Message, crypto.Hash(0))
	return answer{Signature: sig}, err
}

func readLine(r io.Reader, limit int) ([]byte, error) {
	line, err := bufio.NewReader(io.LimitReader(r, int64(limit)+1)).ReadBytes('\n')
	switch {
	case len(line) > limit:
		return nil, fmt.Errorf("%w: more than %d bytes came", ErrSocket, limit)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSocket, err)
	}
	return line, nil
}

// Open opens the key at the socket path, which another process holds. Its answers are not believed: the
// certificate has to be a run's, and each signature is verified under it.
func Open(ctx context.Context, path string) (*key.Key, error) {
	a, err := ask(ctx, path, request{Version: 1})
	if err != nil {
		return nil, fmt.Errorf("open key run:%s: %w", path, err)
	}
	c, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return nil, fmt.Errorf("open key run:%s: %w: what answered has no certificate", path, ErrSocket)
	}
	if _, err := runcert.Parse(c); err != nil {
		return nil, fmt.Errorf("open key run:%s: %w: %w", path, ErrSocket, err)
	}
	pub, ok := c.PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("open key run:%s: %w: the key is not Ed25519", path, ErrSocket)
	}
	return key.NewCertified(remote{ctx, path, pub}, label, c.Raw)
}

// A remote signs at a socket.
type remote struct {
	ctx  context.Context
	path string
	pub  ed25519.PublicKey
}

func (r remote) Public() crypto.PublicKey { return r.pub }

func (r remote) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != 0 || len(message) > MaxMessage {
		return nil, fmt.Errorf("sign with run:%s: %w: it signs statements of at most %d bytes, and no files", r.path, ErrRefused, MaxMessage)
	}
	a, err := ask(r.ctx, r.path, request{Version: 1, Message: message})
	if err != nil {
		return nil, fmt.Errorf("sign with run:%s: %w", r.path, err)
	}
	if !ed25519.Verify(r.pub, message, a.Signature) {
		return nil, fmt.Errorf("sign with run:%s: %w: what came back is no signature by its key", r.path, ErrSocket)
	}
	return a.Signature, nil
}

// ask sends one request.
func ask(ctx context.Context, path string, r request) (answer, error) {
	if !kernelTells {
		return answer{}, ErrNoKernel
	}
	ctx, cancel := context.WithTimeout(ctx, lineWait)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return answer{}, fmt.Errorf("%w: is the run over? %w", ErrSocket, err)
	}
	defer c.Close()
	if err := samePeer(c.(*net.UnixConn)); err != nil {
		return answer{}, err
	}
	if at, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(at)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return answer{}, err
	}
	if _, err := c.Write(append(b, '\n')); err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrSocket, err)
	}
	line, err := readLine(c, maxAnswer)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := strict.JSON(line, maxAnswer, &a); err != nil {
		return answer{}, fmt.Errorf("%w: its answer cannot be read", ErrSocket)
	}
	if a.Error != "" {
		return answer{}, fmt.Errorf("%w: %s", ErrRefused, oneLine(a.Error))
	}
	return a, nil
}

// oneLine makes another process's words fit to print.
func oneLine(s string) string {
	if len(s) > 500 {
		s = s[:500] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0xa0 || r >= 0x200b && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
