package sshsig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// ErrKeygen is wrapped when ssh-keygen is missing or fails.
var ErrKeygen = errors.New("ssh-keygen")

const keygenWait = 2 * time.Minute // a PIN and a touch

// A Keygen signs by calling ssh-keygen -Y sign, which talks to the security key. It inherits
// the environment, so SSH_SK_PROVIDER chooses the library that reaches the device and
// SSH_ASKPASS what asks for a PIN.
type Keygen struct {
	identity
	path string

	// Notice receives what ssh-keygen says while it waits ("Confirm user presence …"). It is
	// never nil when made by [OpenKeyFile]; nil discards it.
	Notice io.Writer
}

// Sign runs ssh-keygen and returns its signature once it verified under the key of the file.
func (k *Keygen) Sign(ctx context.Context, namespace string, message []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keygenWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "sign", "-n", namespace, "-f", k.path)
	cmd.WaitDelay = time.Second
	// ssh-keygen asks the agent first when there is one; the file is what the caller chose.
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=")
	cmd.Stdin = bytes.NewReader(message)
	out, said := &capped{max: MaxSize}, &capped{max: 4 << 10}
	cmd.Stdout = out
	cmd.Stderr = said
	if k.Notice != nil {
		cmd.Stderr = io.MultiWriter(k.Notice, said)
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w -Y sign: %w", ErrKeygen, ctx.Err())
		}
		return nil, fmt.Errorf("%w -Y sign: %w: %.200q", ErrKeygen, err, bytes.TrimSpace(said.Bytes()))
	}
	sig, err := Parse(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w -Y sign: %w", ErrKeygen, err)
	}
	info, err := sig.Verify(message, namespace)
	if err != nil {
		return nil, fmt.Errorf("check the signature just made: %w", err)
	}
	if info.Fingerprint != k.Fingerprint() {
		return nil, fmt.Errorf("%w -Y sign: signed with %s, want %s", ErrKeygen, info.Fingerprint, k.Fingerprint())
	}
	return out.Bytes(), nil
}

// capped keeps the first max bytes and swallows the rest, so that a child can neither fill
// memory nor block. Output that was cut does not parse.
type capped struct {
	buf bytes.Buffer // not embedded: its ReadFrom would go round the limit
	max int
}

func (c *capped) Write(p []byte) (int, error) {
	if room := c.max + 1 - c.buf.Len(); room > 0 {
		c.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (c *capped) Bytes() []byte { return c.buf.Bytes() }
