package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/helper"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// The documents of the protocol, as far as they are used here. What sallyport-kms parses them
// with is Sigstore's own package, so a test through it keeps these true.
type request struct {
	Init      initOptions    `json:"initOptions"`
	Method    string         `json:"methodName"`
	PublicKey *publicKeyArgs `json:"publicKey,omitempty"`
	Sign      *signArgs      `json:"signMessage,omitempty"`
}

type initOptions struct {
	Deadline time.Time `json:"ctxDeadline"`
	Version  string    `json:"protocolVersion"`
	Resource string    `json:"keyResourceID"`
	Hash     uint      `json:"hashFunc"` // as package crypto numbers them
	RPC      struct{}  `json:"rpcOptions"`
}

type publicKeyArgs struct {
	Options struct {
		RPC struct{} `json:"rpcOptions"`
	} `json:"publicKeyOptions"`
}

type signArgs struct {
	Options struct {
		RPC     struct{}       `json:"rpcOptions"`
		Message messageOptions `json:"messageOptions"`
	} `json:"signOptions"`
}

type messageOptions struct {
	Digest *[]byte `json:"digest,omitempty"`
	Hash   *uint   `json:"hashFunc,omitempty"`
}

type answer struct {
	Error     string `json:"errorMessage"`
	PublicKey *struct {
		PEM []byte `json:"publicKeyPEM"`
	} `json:"publicKey"`
	Sign *struct {
		Signature []byte `json:"signature"`
	} `json:"signMessage"`
}

// version is the protocol's.
const version = "v1"

// elsewhere returns a folder for a helper to run in. The caller's is a repository mostly, in which an
// agent plants what a library or a module looks for beside itself.
func elsewhere(env []string) string {
	if runtime.GOOS != "windows" {
		return "/"
	}
	for _, kv := range env {
		if root, ok := strings.CutPrefix(kv, "SYSTEMROOT="); ok && filepath.IsAbs(root) {
			return root
		}
	}
	return filepath.VolumeName(os.TempDir()) + `\`
}

// ask starts the program and returns its answer.
func (c client) ask(ctx context.Context, r request, stdin []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r.Init.Version, r.Init.Resource = version, c.resource
	r.Init.Deadline, _ = ctx.Deadline()
	doc, err := sallyport.EncodeJSON(r)
	if err != nil {
		return answer{}, fmt.Errorf("encode the request: %w", err)
	}
	out, said, err := c.run(ctx, stdin, MaxAnswer, version, string(doc))
	if err != nil {
		return answer{}, err
	}
	a, err := parseAnswer(out)
	if err != nil {
		// A program that failed to start properly says why on standard error, if anywhere.
		if said != "" {
			err = fmt.Errorf("%w; it said: %s", err, said)
		}
		return answer{}, fmt.Errorf("%s: %w", c.name, err)
	}
	return a, nil
}

// run starts the program and returns what it wrote, however it ended.
func (c client) run(ctx context.Context, stdin []byte, limit int, args ...string) (wrote []byte, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, complaint := &limited{limit: limit, full: cancel}, &limited{limit: 4 << 10}
	cmd := exec.CommandContext(ctx, c.program, args...) //nolint:gosec // found beside this executable and nowhere else
	cmd.Env, cmd.Dir = c.env, elsewhere(c.env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), out, complaint
	cmd.WaitDelay = time.Second // a child of its own may hold the pipes open
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case out.over:
		return nil, "", fmt.Errorf("%w: %s wrote more than %d bytes", ErrAnswer, c.name, limit)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, "", fmt.Errorf("%w: %s was stopped after %v", ErrTimeout, c.name, c.timeout)
	case ctx.Err() != nil:
		return nil, "", ctx.Err()
	case err != nil && !errors.As(err, &exit):
		return nil, "", fmt.Errorf("start %s: %w", c.name, err)
	}
	return out.buf.Bytes(), oneLine(complaint.buf.String()), nil
}

// Run starts another helper of the same release, found and held as those for keys are, with no variables
// and no arguments: it reads stdin, and writes at most limit bytes, which are returned however it ended.
func (h Helper) Run(ctx context.Context, name string, stdin []byte, limit int) ([]byte, error) {
	c := client{name: name, env: []string{}, timeout: h.Timeout}
	if c.timeout == 0 {
		c.timeout = Timeout
	}
	var err error
	if c.program, err = helper.Find(h.Executable, name); err != nil {
		return nil, err
	}
	out, said, err := c.run(ctx, stdin, limit)
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%w: %s wrote nothing: %s", ErrAnswer, name, said)
	}
	return out, err
}

// parseAnswer reads what a helper wrote. Fields that are not known are passed over: the protocol
// may grow.
func parseAnswer(b []byte) (answer, error) {
	var a answer
	if len(bytes.TrimSpace(b)) == 0 {
		return answer{}, fmt.Errorf("%w: it is empty", ErrAnswer)
	}
	if err := strict.LaxJSON(b, MaxAnswer, &a); err != nil {
		return answer{}, fmt.Errorf("%w: %s", ErrAnswer, oneLine(err.Error()))
	}
	if a.Error != "" {
		return answer{}, fmt.Errorf("%w: %s", ErrRefused, oneLine(a.Error))
	}
	return a, nil
}

// A limited buffer holds what fits, and says when more came. The buffer is not embedded: its
// ReadFrom would be found by io.Copy, and knows no limit.
type limited struct {
	buf   bytes.Buffer
	limit int
	full  func() // nil if what is too much is dropped
	over  bool
}

func (l *limited) Write(b []byte) (int, error) {
	if room := l.limit - l.buf.Len(); len(b) > room {
		l.over = true
		l.buf.Write(b[:room])
		if l.full != nil {
			l.full()
			return room, io.ErrShortWrite
		}
		return len(b), nil
	}
	return l.buf.Write(b)
}

// oneLine makes a stranger's words fit to print: one line, no control characters, not long.
func oneLine(s string) string {
	const limit = 300
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case r < ' ', r >= 0x7f && r <= 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
			return ' '
		}
		return r
	}, s)), " ")
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "…"
	}
	return s
}
