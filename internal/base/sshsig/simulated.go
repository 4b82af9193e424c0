package sshsig

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"
)

// SimulatedApplication is the application of simulated keys unless another is asked for. It is
// part of the public key, so that a simulated key that says so cannot pass for another.
const SimulatedApplication = "ssh:sallyport-simulated"

const simulatedPEM = "SALLYPORT SIMULATED SECURITY KEY"

// A SimulatedSK is a security key made of software, for demonstrations and tests: there is no
// device, nobody touches it, and its flags are whatever its maker chose. It exists because its
// signatures are real ones in every other way (ssh-keygen -Y verify accepts them), and because
// it shows that a sk- key proves a person's presence only if somebody saw the device when the
// key was enrolled.
//
// It is safe for concurrent use.
type SimulatedSK struct {
	identity
	opts SimulatedOptions
	priv ed25519.PrivateKey

	mu      sync.Mutex
	counter uint32 // guarded by mu
}

// SimulatedOptions choose what the simulated device says about itself. The zero value is one
// that nobody touches.
type SimulatedOptions struct {
	Touch       bool      // set UP in every signature
	Verify      bool      // set UV in every signature
	Application string    // default SimulatedApplication
	Counter     uint32    // where the signature counter starts
	Rand        io.Reader // where the key comes from; default crypto/rand
}

// NewSimulatedSK makes a sk-ssh-ed25519@openssh.com key.
func NewSimulatedSK(o SimulatedOptions) (*SimulatedSK, error) {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(o.Rand, seed); err != nil {
		return nil, fmt.Errorf("make simulated security key: %w", err)
	}
	return newSimulatedSK(seed, o)
}

func newSimulatedSK(seed []byte, o SimulatedOptions) (*SimulatedSK, error) {
	if o.Application == "" {
		o.Application = SimulatedApplication
	}
	priv := ed25519.NewKeyFromSeed(seed)
	pub, err := parseKey(ssh.Marshal(struct {
		Type string
		Key  []byte
		App  string
	}{ssh.KeyAlgoSKED25519, priv.Public().(ed25519.PublicKey), o.Application}))
	if err != nil {
		return nil, fmt.Errorf("make simulated security key: %w", err)
	}
	return &SimulatedSK{identity: identity{pub}, opts: o, priv: priv, counter: o.Counter}, nil
}

// Sign signs at once; each signature counts the counter up by one.
func (s *SimulatedSK) Sign(ctx context.Context, namespace string, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.counter++
	counter := s.counter
	s.mu.Unlock()
	var flags byte
	if s.opts.Touch {
		flags |= flagUserPresent
	}
	if s.opts.Verify {
		flags |= flagUserVerified
	}
	data := signedData(namespace, hashName, message)
	return s.finish(namespace, message, &ssh.Signature{
		Format: ssh.KeyAlgoSKED25519,
		Blob:   ed25519.Sign(s.priv, skSignedData(s.opts.Application, flags, counter, data)),
		Rest:   binary.BigEndian.AppendUint32([]byte{flags}, counter),
	})
}

// Simulated reports whether the key says of itself that it is simulated. That it does not say
// so proves nothing.
func (i Info) Simulated() bool { return i.SK && i.Application == SimulatedApplication }

// Save writes the key to a new file that names itself a simulation, mode 0600. The counter
// starts again when it is loaded.
func (s *SimulatedSK) Save(path string) error {
	headers := map[string]string{"Application": s.opts.Application}
	if s.opts.Touch {
		headers["Touch"] = "yes"
	}
	if s.opts.Verify {
		headers["Verify"] = "yes"
	}
	b := pem.EncodeToMemory(&pem.Block{Type: simulatedPEM, Headers: headers, Bytes: s.priv.Seed()})
	if b == nil {
		return fmt.Errorf("save simulated security key: application %.64q", s.opts.Application)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save simulated security key: %w", err)
	}
	if _, err := f.Write(b); err != nil {
		f.Close()
		return fmt.Errorf("save simulated security key: %w", err)
	}
	return f.Close()
}

// LoadSimulatedSK reads what [SimulatedSK.Save] wrote.
func LoadSimulatedSK(path string) (*SimulatedSK, error) {
	b, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != simulatedPEM || len(block.Bytes) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s: %w: want %q", path, ErrKeyFile, simulatedPEM)
	}
	return newSimulatedSK(block.Bytes, SimulatedOptions{
		Touch:       block.Headers["Touch"] == "yes",
		Verify:      block.Headers["Verify"] == "yes",
		Application: block.Headers["Application"],
	})
}

// IsSimulated is [Info.Simulated] of a key that has not signed anything yet.
func IsSimulated(pub ssh.PublicKey) bool {
	return IsSK(pub) && application(pub) == SimulatedApplication
}
