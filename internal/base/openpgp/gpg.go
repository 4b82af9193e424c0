package openpgp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// ErrGPG is wrapped when gpg is missing or fails.
var ErrGPG = errors.New("gpg")

const gpgWait = 2 * time.Minute // a PIN and a touch

// SignGPG returns a binary detached signature over message by the key with that fingerprint. It
// calls gpg, so that the key may be on a card and its PIN is asked for as its owner is used to; it runs
// in the environment env, by its own configuration. Notice, if it is not nil, receives what gpg says.
// What is returned was not verified: whoever has a [Keyring] can.
func SignGPG(ctx context.Context, env []string, fingerprint string, message []byte, notice io.Writer) ([]byte, error) {
	if len(fingerprint) < 40 || strings.Trim(fingerprint, "0123456789ABCDEF") != "" {
		return nil, fmt.Errorf("%w: %.80q is no fingerprint", ErrGPG, fingerprint)
	}
	ctx, cancel := context.WithTimeout(ctx, gpgWait)
	defer cancel()
	// The owner's gpg.conf may ask for armour, text mode or an old digest; none of these verifies.
	cmd := exec.CommandContext(ctx, "gpg", "--no-armor", "--no-textmode", "--digest-algo", "SHA512",
		"--local-user", fingerprint, "--output", "-", "--detach-sign")
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(message)
	out, said := &capped{max: MaxSignature}, &capped{max: 4 << 10}
	cmd.Stdout, cmd.Stderr = out, said
	if notice != nil {
		cmd.Stderr = io.MultiWriter(notice, said)
	}
	cmd.Env = env
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w --detach-sign: %w", ErrGPG, ctx.Err())
		}
		return nil, fmt.Errorf("%w --detach-sign: %w: %.300q", ErrGPG, err, bytes.TrimSpace(said.Bytes()))
	}
	if _, err := parseSignature(out.Bytes()); err != nil {
		return nil, fmt.Errorf("%w --detach-sign: %w", ErrGPG, err)
	}
	return out.Bytes(), nil
}

// A capped buffer keeps the first max bytes and drops the rest.
type capped struct {
	bytes.Buffer
	max int
}

func (c *capped) Write(p []byte) (int, error) {
	if room := c.max - c.Len(); room > 0 {
		c.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
