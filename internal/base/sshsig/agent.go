package sshsig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// ErrAgent is wrapped when no ssh-agent answers, or it does not hold the key.
var ErrAgent = errors.New("ssh-agent")

const (
	agentAnswer = 10 * time.Second // for a question that needs no person
	agentTouch  = 2 * time.Minute  // for a signature that may need one
)

// OpenAgent returns a signer for a key that the agent at SSH_AUTH_SOCK holds. The key is named
// by its fingerprint ("SHA256:…") or as a public key line. If key is empty and the agent holds
// exactly one usable key, it is that one.
func OpenAgent(ctx context.Context, key string) (Signer, error) {
	return openAgent(ctx, os.Getenv("SSH_AUTH_SOCK"), key)
}

func openAgent(ctx context.Context, socket, key string) (Signer, error) {
	if socket == "" {
		return nil, fmt.Errorf("%w: SSH_AUTH_SOCK is not set", ErrAgent)
	}
	want := key
	if key != "" && len(key) > 7 && key[:7] != "SHA256:" {
		pub, err := ParseAuthorizedKey(key)
		if err != nil {
			return nil, fmt.Errorf("name a key by its SHA256 fingerprint or its public key: %w", err)
		}
		want = Fingerprint(pub)
	}
	var keys []*agent.Key
	err := withAgent(ctx, socket, agentAnswer, func(c agent.ExtendedAgent) (err error) {
		keys, err = c.List()
		return err
	})
	if err != nil {
		return nil, err
	}
	var found []ssh.PublicKey
	for _, k := range keys {
		pub, err := parseKey(k.Blob) // certificates and weak keys are not offered
		if err == nil && (want == "" || Fingerprint(pub) == want) {
			found = append(found, pub)
		}
	}
	switch {
	case len(found) == 0 && want != "":
		return nil, fmt.Errorf("%w: holds no key %s; ssh-add -l lists what it holds", ErrAgent, want)
	case len(found) == 0:
		return nil, fmt.Errorf("%w: holds no usable key", ErrAgent)
	case len(found) > 1:
		return nil, fmt.Errorf("%w: holds %d keys; name one by its fingerprint", ErrAgent, len(found))
	}
	return &agentSigner{identity{found[0]}, socket}, nil
}

type agentSigner struct {
	identity
	socket string
}

func (a *agentSigner) Sign(ctx context.Context, namespace string, message []byte) ([]byte, error) {
	data := signedData(namespace, hashName, message)
	var flags agent.SignatureFlags
	if a.pub.Type() == ssh.KeyAlgoRSA {
		flags = agent.SignatureFlagRsaSha512
	}
	var sig *ssh.Signature
	err := withAgent(ctx, a.socket, agentTouch, func(c agent.ExtendedAgent) (err error) {
		sig, err = c.SignWithFlags(a.pub, data, flags)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", a.Fingerprint(), err)
	}
	return a.finish(namespace, message, sig)
}

// withAgent calls f with a connection of its own, which is cut when ctx is done.
func withAgent(ctx context.Context, socket string, wait time.Duration, f func(agent.ExtendedAgent) error) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("%w: connect: %w", ErrAgent, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := f(agent.NewClient(conn)); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: no answer: %w", ErrAgent, ctx.Err())
		}
		return fmt.Errorf("%w: %w", ErrAgent, err)
	}
	return nil
}
