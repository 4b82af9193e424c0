package key

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestGenerateAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "key")
	made, err := Generate(path, LocalLabel)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %04o, want 0600", info.Mode().Perm())
	}
	for _, ref := range []string{path, "file:" + path} {
		k, err := Load(ref, func() ([]byte, error) { t.Error("asked for a passphrase"); return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		if k.Hint() != made.Hint() || k.Label != "local" || !k.Local {
			t.Errorf("loaded %s %q local=%v, want %s \"local\" local=true", k.Hint(), k.Label, k.Local, made.Hint())
		}
		sig, err := k.Sign(rand.Reader, []byte("m"), crypto.Hash(0))
		if err != nil || !ed25519.Verify(made.Public().(ed25519.PublicKey), []byte("m"), sig) {
			t.Errorf("signature does not verify: %v", err)
		}
	}
	pub, err := os.ReadFile(path + ".pub")
	if err != nil || !bytes.Equal(pub, made.PublicPEM()) {
		t.Errorf("public half = %q, %v", pub, err)
	}
	if _, err := Generate(path, LocalLabel); !errors.Is(err, ErrExists) {
		t.Errorf("a second key at the same path: %v, want ErrExists", err)
	}
}

// However many processes ask at once, one key is made and its public half belongs to it.
func TestGenerateRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	var wg sync.WaitGroup
	made := make(chan *Key, 8)
	for range cap(made) {
		wg.Go(func() {
			k, err := Generate(path, "race")
			switch {
			case err == nil:
				made <- k
			case !errors.Is(err, ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(made)
	first := <-made
	if _, more := <-made; first == nil || more {
		t.Fatal("not exactly one key was made")
	}
	k, err := Load(path, nil)
	if err != nil || k.Hint() != first.Hint() || k.Local {
		t.Errorf("loaded %v, %v; want the key that was made, not local", k, err)
	}
}

func TestEncrypted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := GenerateEncrypted(path, "ada", []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	phrase := func(s string) func() ([]byte, error) { return func() ([]byte, error) { return []byte(s), nil } }
	k, err := Load(path, phrase("correct horse"))
	if err != nil || k.Hint() != made.Hint() || k.Local {
		t.Errorf("Load = %v, %v", k, err)
	}
	if _, err := Load(path, phrase("wrong")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := Load(path, nil); !errors.Is(err, ErrEncrypted) {
		t.Errorf("nobody to ask: %v", err)
	}
	gone := errors.New("terminal is gone")
	if _, err := Load(path, func() ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Errorf("passphrase not given: %v", err)
	}
	if _, err := GenerateEncrypted(path+"2", "ada", nil); !errors.Is(err, ErrPassphrase) {
		t.Errorf("empty passphrase: %v", err)
	}
}

// OpenSSL reads what we write, and we read what it writes.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed: install openssl")
		}
		t.Skip("NOT TESTED: openssl is not installed; install openssl")
	}
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	path := filepath.Join(dir, "ours")
	made, err := GenerateEncrypted(path, "ada", []byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	run("pkey", "-in", path, "-passin", "pass:pw", "-pubout", "-out", path+".out")
	if got, _ := os.ReadFile(path + ".out"); !bytes.Equal(got, made.PublicPEM()) {
		t.Errorf("openssl reads another public key: %s", got)
	}
	plain := filepath.Join(dir, "plain")
	run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", plain)
	for _, args := range [][]string{{"-v2", "aes-256-cbc"}, {"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"}, {"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"}} {
		theirs := filepath.Join(dir, "theirs")
		run(append([]string{"pkcs8", "-topk8", "-in", plain, "-passout", "pass:pw", "-out", theirs}, args...)...)
		if err := os.Chmod(theirs, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(theirs, func() ([]byte, error) { return []byte("pw"), nil }); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	encode := func(priv any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(priv)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p521, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	rsa2048, _ := rsa.GenerateKey(rand.Reader, 2048)
	good := encode(ed)
	tests := []struct {
		name string
		file []byte
		mode os.FileMode
		want error
		says string
	}{
		{"Ed25519", good, 0o600, nil, ""},
		{"read-only", good, 0o400, nil, ""},
		{"P-256", encode(p256), 0o600, nil, ""},
		{"RSA", encode(rsa2048), 0o600, nil, ""},
		{"P-521", encode(p521), 0o600, ErrFormat, "it is ecdsa-sha2-512-nistp521"},
		{"readable by the group", good, 0o640, ErrMode, "0640"},
		{"readable by all", good, 0o604, ErrMode, "chmod"},
		{"not PEM", []byte("hello"), 0o600, ErrFormat, "no PEM"},
		{"empty", nil, 0o600, ErrFormat, "no PEM"},
		{"two keys", append(append([]byte{}, good...), good...), 0o600, ErrFormat, "more after"},
		{"a public key", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}}), 0o600, ErrFormat, "PUBLIC KEY"},
		{"an OpenSSH key", pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte{1}}), 0o600, ErrFormat, "ssh:PATH"},
		{"broken PKCS#8", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret bytes")}), 0o600, ErrFormat, "broken"},
		{"too large", bytes.Repeat([]byte("\n"), maxFile+1), 0o600, ErrFormat, "larger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && errors.Is(tt.want, ErrMode) {
				t.Skip("no such modes")
			}
			path := filepath.Join(dir, "key")
			_ = os.Remove(path)
			if err := os.WriteFile(path, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, nil)
			if !errors.Is(err, tt.want) || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("Load = %v, want %v saying %q", err, tt.want, tt.says)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the key: %v", err)
			}
		})
	}
	if _, err := Load(dir, nil); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrMode) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none"), nil); !errors.Is(err, ErrMissing) {
		t.Errorf("no file: %v", err)
	}
}

func TestReferences(t *testing.T) {
	for _, ref := range []string{"ssh:/home/ada/.ssh/id_ed25519", "ssh-agent:SHA256:abc"} {
		var e *SSHError
		if _, err := Load(ref, nil); !errors.As(err, &e) || e.Scheme+":"+e.Rest != ref {
			t.Errorf("Load(%q) = %v, want an SSHError", ref, err)
		}
	}
	for _, ref := range []string{"awskms://alias/x", "", "file:", "pkcs11:token=x", "env://X"} {
		if _, err := Load(ref, nil); !errors.Is(err, ErrScheme) {
			t.Errorf("Load(%q) = %v, want ErrScheme", ref, err)
		}
	}
}

// Whatever parses can sign, and nothing in an error is longer than a line.
func FuzzParse(f *testing.F) {
	_, priv, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKCS8PrivateKey(priv)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	f.Add([]byte("-----BEGIN ENCRYPTED SIGSTORE " + "PRIVATE KEY-----\neyJrZGYiOnt9fQ==\n-----END ENCRYPTED SIGSTORE " + "PRIVATE KEY-----\n"))
	f.Add([]byte("label: x\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parse(b, nil)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		if k.Hint() == "" || k.Local != (k.Label == "" || k.Label == LocalLabel) || k.Public() == nil {
			t.Errorf("parsed to an unusable key: %+v", k)
		}
	})
}

// FuzzDecrypt: only what carries the right padding decrypts, and hostile parameters end early.
func FuzzDecrypt(f *testing.F) {
	f.Add([]byte{0x30, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := decrypt(b, []byte("pw"))
		if err == nil && len(out) >= len(b) {
			t.Errorf("%d bytes decrypt to %d", len(b), len(out))
		}
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrPassphrase) {
			t.Errorf("an error of no kind: %v", err)
		}
	})
}
