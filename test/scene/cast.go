package scene

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A Key names a key of the cast.
type Key string

// The keys. Alice has a security key and the ordinary one that her agent can use as well.
const (
	Alice         Key = "alice"
	AliceOrdinary Key = "alice-ordinary"
	Bob           Key = "bob"
	Carol         Key = "carol"
	Dave          Key = "dave"
	Erin          Key = "erin"         // no reviewer; grants exceptions
	Rob           Key = "rob-ordinary" // a reviewer without a security key
	Mallory       Key = "mallory"      // a security key that the roster does not hold
	Renovate      Key = "renovate-ordinary"

	// Nobody's finger: Dave's and Carol's keys as software would use them, without a touch.
	DaveUntouched  Key = "dave-untouched"
	CarolUntouched Key = "carol-untouched"

	Supervisor Key = "supervisor" // of agents' runs, named in trust.yaml
	Rogue      Key = "rogue"      // named nowhere
)

// Repository is what the configuration calls the staged repository.
const Repository = "example.com/acme/service"

// Trailer is how the approved agent marks its commits.
const Trailer = "\n\nCo-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>\n"

func (k Key) ordinary() bool { return strings.HasSuffix(string(k), "-ordinary") }

// cast holds the keys of everybody.
type cast struct {
	dir    string
	public map[Key]string // an SSH public key line, or PEM of Supervisor and Rogue
}

// newCast makes the keys in a folder.
func newCast(tb testing.TB, s *Scene) *cast {
	tb.Helper()
	c := &cast{dir: tempDir(tb), public: map[Key]string{}}
	for _, k := range []Key{Alice, Bob, Carol, Dave, Erin, Mallory} {
		out := s.Must("key", "generate", "--simulated-sk", c.path(k))
		c.public[k] = lastLine(out)
	}
	for k, untouched := range map[Key]Key{Dave: DaveUntouched, Carol: CarolUntouched} {
		b, err := os.ReadFile(c.path(k))
		if err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(c.path(untouched), bytes.Replace(b, []byte("Touch: yes\n"), nil, 1), 0o600); err != nil {
			tb.Fatal(err)
		}
		c.public[untouched] = c.public[k]
	}
	for _, k := range []Key{AliceOrdinary, Rob, Renovate} {
		c.public[k] = makeOrdinary(tb, c.path(k))
	}
	for _, k := range []Key{Supervisor, Rogue} {
		out := s.Must("key", "generate", c.path(k))
		_, block, ok := strings.Cut(out, "-----BEGIN")
		if !ok {
			tb.Fatalf("key generate printed no public key:\n%s", out)
		}
		c.public[k] = "-----BEGIN" + block
	}
	return c
}

func (c *cast) path(k Key) string { return filepath.Join(c.dir, string(k)) }

// makeOrdinary writes an OpenSSH Ed25519 key and returns its public line.
func makeOrdinary(tb testing.TB, path string) string {
	tb.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		tb.Fatal(err)
	}
	signer, err := sshsig.OpenKeyFile(path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return signer.PublicKey()
}

// KeyFile returns the path of a key's private part.
func (s *Scene) KeyFile(k Key) string { return s.cast.path(k) }

// PublicKey returns a key's public part: an SSH public key line, or PEM of Supervisor and Rogue.
func (s *Scene) PublicKey(k Key) string { return s.cast.public[k] }

// KeyRef returns what --key takes to mean the key.
func (s *Scene) KeyRef(k Key) string {
	switch {
	case k == Supervisor, k == Rogue, k.ordinary():
		return s.cast.path(k)
	}
	return "simulated-sk:" + s.cast.path(k)
}

// SSHSigner opens a key of a person or a bot.
func (s *Scene) SSHSigner(k Key) sshsig.Signer {
	s.TB.Helper()
	var signer sshsig.Signer
	var err error
	if k.ordinary() {
		signer, err = sshsig.OpenKeyFile(s.cast.path(k), nil)
	} else {
		signer, err = sshsig.LoadSimulatedSK(s.cast.path(k))
	}
	if err != nil {
		s.TB.Fatal(err)
	}
	return signer
}

// sign makes an SSH signature.
func (s *Scene) sign(k Key, namespace string, message []byte) []byte {
	s.TB.Helper()
	sig, err := s.SSHSigner(k).Sign(context.Background(), namespace, message)
	if err != nil {
		s.TB.Fatal(err)
	}
	return sig
}

// roster names the cast.
func (c *cast) roster() string {
	var b strings.Builder
	b.WriteString("version: 1\nsimulated_keys: true\npersons:\n")
	for _, p := range []struct {
		id, enrolledBy, roles string
		keys                  []Key
	}{
		{"alice", "bob", "reviewer, operator", []Key{Alice, AliceOrdinary}},
		{"bob", "carol", "reviewer, root", []Key{Bob}},
		{"carol", "alice", "reviewer, root", []Key{Carol}},
		{"dave", "bob", "reviewer", []Key{Dave}},
		{"erin", "bob", "auditor, security", []Key{Erin}},
		{"rob", "", "reviewer", []Key{Rob}},
	} {
		name := strings.ToUpper(p.id[:1]) + p.id[1:]
		fmt.Fprintf(&b, "  - id: %s\n    name: %s Example\n    emails: [%s@example.com]\n    roles: [%s]\n    keys:\n", p.id, name, p.id, p.roles)
		for _, k := range p.keys {
			fmt.Fprintf(&b, "      - key: %s\n", c.public[k])
			if !k.ordinary() {
				fmt.Fprintf(&b, "        enrolled_by: %s\n", p.enrolledBy)
			}
		}
	}
	b.WriteString("agents:\n  - name: claude-code\n    operators: [alice]\n")
	fmt.Fprintf(&b, "bots:\n  - id: renovate\n    emails: [bot@renovate.example]\n    keys: [%s]\n    scope: [go.mod]\n    expires: 2099-12-31\n", c.public[Renovate])
	return b.String()
}

// trust names the supervisor's key.
func (c *cast) trust() string {
	var b strings.Builder
	b.WriteString("version: 1\nkeys:\n  - name: supervisor\n    key: |\n")
	for line := range strings.Lines(strings.TrimSpace(c.public[Supervisor])) {
		b.WriteString("      " + strings.TrimRight(line, "\n") + "\n")
	}
	fmt.Fprintf(&b, "    principal: {kind: workload, name: supervisor}\n    types: [%q]\n    grade: observed\n", predicate.AgentRunType)
	return b.String()
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
