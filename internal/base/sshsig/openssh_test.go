package sshsig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// skDummy is OpenSSH's own test provider: a security key in software, which ssh-keygen uses
// through the interface of a real one.
const skDummy = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so"

// need skips loudly where a tool is missing, and fails in CI, where it must not be.
func need(t *testing.T, what string, ok bool, install string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; install %s", what, install)
	}
	t.Skipf("NOT TESTED: %s is missing; install %s to test this", what, install)
}

func needKeygen(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("ssh-keygen")
	need(t, "ssh-keygen", err == nil, "openssh-client")
}

func needDummy(t *testing.T) {
	t.Helper()
	needKeygen(t)
	_, err := os.Stat(skDummy)
	need(t, skDummy, err == nil, "openssh-tests")
}

func keygen(t *testing.T, stdin []byte, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// newKey makes a key with ssh-keygen and returns its file.
func newKey(t *testing.T, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	out, err := keygen(t, nil, append([]string{"-q", "-N", "", "-C", "", "-f", path}, args...)...)
	if err != nil {
		t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
	}
	return path
}

// opensshVerify asks ssh-keygen whether sig is pub's.
func opensshVerify(t *testing.T, pub string, sig, message []byte, namespace string) error {
	t.Helper()
	dir := t.TempDir()
	allowed, sigFile := filepath.Join(dir, "allowed"), filepath.Join(dir, "sig")
	os.WriteFile(allowed, []byte("me@example.com "+pub+"\n"), 0o600)
	os.WriteFile(sigFile, sig, 0o600)
	out, err := keygen(t, message, "-Y", "verify", "-f", allowed, "-I", "me@example.com", "-n", namespace, "-s", sigFile)
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(out))
	}
	return nil
}

var keyTypes = []struct {
	name string
	args []string
}{
	{"ed25519", []string{"-t", "ed25519"}},
	{"rsa 2048", []string{"-t", "rsa", "-b", "2048"}},
	{"ecdsa 256", []string{"-t", "ecdsa", "-b", "256"}},
	{"ecdsa 384", []string{"-t", "ecdsa", "-b", "384"}},
	{"ecdsa 521", []string{"-t", "ecdsa", "-b", "521"}},
}

func TestKeyFileAndOpenSSHAgree(t *testing.T) {
	needKeygen(t)
	msg := []byte("what is signed\n")
	for _, tt := range keyTypes {
		t.Run(tt.name, func(t *testing.T) {
			path := newKey(t, tt.args...)
			s, err := OpenKeyFile(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := s.Sign(t.Context(), "git", msg)
			if err != nil {
				t.Fatal(err)
			}
			if err := opensshVerify(t, s.PublicKey(), ours, msg, "git"); err != nil {
				t.Errorf("ssh-keygen refuses our signature: %v", err)
			}
			for _, hash := range []string{"sha256", "sha512"} {
				theirs, err := keygen(t, msg, "-q", "-Y", "sign", "-n", "git", "-O", "hashalg="+hash, "-f", path)
				if err != nil {
					t.Fatalf("ssh-keygen -Y sign: %v\n%s", err, theirs)
				}
				info, err := Verify([]byte(theirs), msg, "git")
				if err != nil {
					t.Fatalf("we refuse ssh-keygen's signature (%s): %v", hash, err)
				}
				if info.Fingerprint != s.Fingerprint() || info.SK || info.Touched {
					t.Errorf("info = %+v, want key %s and no touch", info, s.Fingerprint())
				}
				blob, err := Dearmor([]byte(theirs))
				if err != nil {
					t.Fatal(err)
				}
				if got := Armor(blob); string(got) != theirs {
					t.Errorf("Armor(Dearmor(x)) differs from what ssh-keygen wrote:\n%s\nwant\n%s", got, theirs)
				}
			}
		})
	}
}

func TestEncryptedKeyFile(t *testing.T) {
	needKeygen(t)
	path := filepath.Join(t.TempDir(), "key")
	if out, err := keygen(t, nil, "-q", "-t", "ed25519", "-a", "1", "-N", "open sesame", "-f", path); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := OpenKeyFile(path, nil); !errors.Is(err, ErrPassphrase) {
		t.Errorf("without a passphrase: %v, want ErrPassphrase", err)
	}
	s, err := OpenKeyFile(path, func() ([]byte, error) { return []byte("wrong"), nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), "git", nil); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v, want ErrPassphrase", err)
	}
	s, _ = OpenKeyFile(path, func() ([]byte, error) { return []byte("open sesame"), nil })
	sig, err := s.Sign(t.Context(), "git", []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(sig, []byte("m"), "git"); err != nil {
		t.Error(err)
	}
}

func TestSecurityKeyThroughKeygen(t *testing.T) {
	needDummy(t)
	t.Setenv("SSH_SK_PROVIDER", skDummy)
	msg := []byte("touched or not")
	for _, tt := range []struct {
		name  string
		args  []string
		touch bool
	}{
		{"ed25519-sk, touched", []string{"-t", "ed25519-sk"}, true},
		{"ed25519-sk, no touch required", []string{"-t", "ed25519-sk", "-O", "no-touch-required"}, false},
		{"ecdsa-sk, touched", []string{"-t", "ecdsa-sk"}, true},
		{"ecdsa-sk, no touch required", []string{"-t", "ecdsa-sk", "-O", "no-touch-required"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := OpenKeyFile(newKey(t, append(tt.args, "-w", skDummy)...), nil)
			if err != nil {
				t.Fatal(err)
			}
			if k, ok := s.(*Keygen); ok {
				k.Notice = t.Output()
			} else {
				t.Fatalf("a sk- key file is opened as %T, want *Keygen", s)
			}
			sig, err := s.Sign(t.Context(), "sallyport.dev/dsse", msg)
			if err != nil {
				t.Fatal(err)
			}
			info, err := Verify(sig, msg, "sallyport.dev/dsse")
			if err != nil {
				t.Fatal(err)
			}
			if !info.SK || info.Touched != tt.touch || info.Application != "ssh:" || info.Fingerprint != s.Fingerprint() {
				t.Errorf("info = %+v, want SK, Touched=%v, application ssh:", info, tt.touch)
			}
			if _, err := Verify(sig, append(msg, '!'), "sallyport.dev/dsse"); !errors.Is(err, ErrSignature) {
				t.Errorf("other message: %v, want ErrSignature", err)
			}
		})
	}
}

func TestSimulatedKeyAgainstOpenSSH(t *testing.T) {
	needKeygen(t)
	msg := []byte("message")
	for _, tt := range []struct {
		name  string
		touch bool
	}{
		{"touched", true},
		{"untouched", false}, // ssh-keygen -Y verify does not look at the flags: we must
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := NewSimulatedSK(SimulatedOptions{Touch: tt.touch})
			if err != nil {
				t.Fatal(err)
			}
			sig, err := k.Sign(t.Context(), "git", msg)
			if err != nil {
				t.Fatal(err)
			}
			if err := opensshVerify(t, k.PublicKey(), sig, msg, "git"); err != nil {
				t.Errorf("ssh-keygen refuses it: %v", err)
			}
			if err := opensshVerify(t, k.PublicKey(), sig, []byte("other"), "git"); err == nil {
				t.Error("ssh-keygen accepts it for another message")
			}
			info, err := Verify(sig, msg, "git")
			if err != nil || info.Touched != tt.touch || !info.Simulated() {
				t.Errorf("info = %+v, %v; want simulated, touched = %v", info, err, tt.touch)
			}
		})
	}
}

// serveAgent runs an agent in process, on a socket of its own.
func serveAgent(t *testing.T, keyring agent.Agent) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // t.TempDir may be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _ = agent.ServeAgent(keyring, c) }()
		}
	}()
	return socket
}

func TestAgent(t *testing.T) {
	needKeygen(t)
	keyring := agent.NewKeyring()
	var files []Signer
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "rsa", "-b", "2048"}} {
		path := newKey(t, args...)
		f, err := OpenKeyFile(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		b, _ := os.ReadFile(path)
		key, err := ssh.ParseRawPrivateKey(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := keyring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SSH_AUTH_SOCK", serveAgent(t, keyring))
	for _, f := range files {
		for _, name := range []string{f.Fingerprint(), f.PublicKey(), f.PublicKey() + " a comment"} {
			s, err := OpenAgent(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := s.Sign(t.Context(), "git", []byte("m"))
			if err != nil {
				t.Fatal(err)
			}
			info, err := Verify(sig, []byte("m"), "git")
			if err != nil || info.Fingerprint != f.Fingerprint() {
				t.Errorf("signed by %s, %v; want %s", info.Fingerprint, err, f.Fingerprint())
			}
		}
	}
	for _, tt := range []struct{ name, key string }{
		{"unknown fingerprint", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		{"no name, two keys", ""},
	} {
		if _, err := OpenAgent(t.Context(), tt.key); !errors.Is(err, ErrAgent) {
			t.Errorf("%s: %v, want ErrAgent", tt.name, err)
		}
	}
	t.Setenv("SSH_AUTH_SOCK", "")
	if _, err := OpenAgent(t.Context(), ""); !errors.Is(err, ErrAgent) {
		t.Errorf("no agent: %v, want ErrAgent", err)
	}
}

// A security key through a real ssh-agent: what most people who have one do.
func TestSecurityKeyThroughAgent(t *testing.T) {
	needDummy(t)
	_, err := exec.LookPath("ssh-agent")
	need(t, "ssh-agent", err == nil, "openssh-client")
	path := newKey(t, "-t", "ed25519-sk", "-w", skDummy)
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	// -D keeps it in the foreground, as our child; -P allows the provider.
	cmd := exec.Command("ssh-agent", "-D", "-a", socket, "-P", skDummy)
	ready, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := ready.Read(make([]byte, 1)); err != nil { // it prints once it listens
		t.Fatal(err)
	}
	t.Setenv("SSH_AUTH_SOCK", socket)
	t.Setenv("SSH_SK_PROVIDER", skDummy)
	if out, err := exec.Command("ssh-add", "-q", "-S", skDummy, path).CombinedOutput(); err != nil {
		t.Fatalf("ssh-add: %v\n%s", err, out)
	}
	s, err := OpenAgent(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(t.Context(), "git", []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := Verify(sig, []byte("m"), "git")
	if err != nil || !info.SK || !info.Touched {
		t.Errorf("info = %+v, %v; want a touched sk- key", info, err)
	}
}

func TestSignCancelled(t *testing.T) {
	k, err := NewSimulatedSK(SimulatedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Sign(ctx, "git", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}
