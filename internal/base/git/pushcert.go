package git

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrPushCert is wrapped by every error about a push certificate.
var ErrPushCert = errors.New("malformed push certificate")

// MaxPushCert is the largest push certificate that is read, in bytes.
const MaxPushCert = 1 << 20

// A PushCert is what git push --signed signs (gitprotocol-pack, "push certificate"). Nobody has
// verified it.
type PushCert struct {
	Pusher  string // as the pusher says: a key or a name, and a time
	Pushee  string // the address that was pushed to, as the pusher says
	Nonce   string // what the server asked to be signed
	Updates []PushedRef

	Payload   []byte // what is signed
	Signature []byte // armoured
}

// A PushedRef is one update of a push.
type PushedRef struct{ Old, New, Ref string }

// ParsePushCert takes a certificate apart. It refuses one that could be read in two ways: a
// header twice, a line of another shape, a second signature.
func ParsePushCert(b []byte) (*PushCert, error) {
	c, err := parsePushCert(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPushCert, err)
	}
	return c, nil
}

func parsePushCert(b []byte) (*PushCert, error) {
	if len(b) > MaxPushCert {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(b), MaxPushCert)
	}
	at := bytes.Index(b, []byte("\n-----BEGIN "))
	if at < 0 {
		return nil, errors.New("it is not signed")
	}
	c := &PushCert{Payload: b[:at+1], Signature: b[at+1:]}
	if bytes.Contains(c.Signature[1:], []byte("\n-----BEGIN ")) {
		return nil, errors.New("it has two signatures")
	}
	head, body, ok := strings.Cut(string(c.Payload), "\n\n")
	if !ok || strings.ContainsAny(string(c.Payload), "\r\x00") {
		return nil, errors.New("it has no empty line, or bytes that no line has")
	}
	if err := c.header(strings.Split(head, "\n")); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(body) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(f) != 3 || !isHex(f[0]) || len(f[0]) != len(f[1]) || !isHex(f[1]) || !strings.HasPrefix(f[2], "refs/") {
			return nil, fmt.Errorf("%.200q is not \"old new ref\"", line)
		}
		if seen[f[2]] {
			return nil, fmt.Errorf("%.200q stands twice", f[2])
		}
		seen[f[2]] = true
		c.Updates = append(c.Updates, PushedRef{f[0], f[1], f[2]})
	}
	if len(c.Updates) == 0 {
		return nil, errors.New("it names no ref")
	}
	return c, nil
}

func (c *PushCert) header(lines []string) error {
	if lines[0] != "certificate version 0.1" {
		return fmt.Errorf("it begins with %.80q", lines[0])
	}
	for _, line := range lines[1:] {
		key, value, ok := strings.Cut(line, " ")
		var field *string
		switch key {
		case "pusher":
			field = &c.Pusher
		case "pushee":
			field = &c.Pushee
		case "nonce":
			field = &c.Nonce
		case "push-option":
			continue // what the pusher asked for has no part in who pushed
		}
		if !ok || value == "" || field == nil || *field != "" {
			return fmt.Errorf("header %.80q", line)
		}
		*field = value
	}
	if c.Pusher == "" {
		return errors.New("it names no pusher")
	}
	return nil
}

// Covers reports whether the certificate names exactly this update.
func (c *PushCert) Covers(u PushedRef) bool {
	for _, have := range c.Updates {
		if have == u {
			return true
		}
	}
	return false
}
