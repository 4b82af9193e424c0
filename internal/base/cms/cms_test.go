package cms

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const message = "tree 0\n\nFix\n"

// openssl runs openssl in a folder.
func openssl(t testing.TB, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

// signed returns what OpenSSL makes of message: certificates and signatures by another hand.
func signed(t testing.TB, newkey []string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is missing")
		}
		t.Skip("NOT TESTED: openssl is missing")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "message"), []byte(message), 0o600); err != nil {
		t.Fatal(err)
	}
	openssl(t, dir, append([]string{"req", "-x509", "-nodes", "-subj", "/CN=Test", "-days", "2", "-keyout", "key", "-out", "cert"}, newkey...)...)
	openssl(t, dir, append([]string{"cms", "-sign", "-binary", "-in", "message", "-signer", "cert", "-inkey", "key", "-outform", "DER", "-out", "sig"}, args...)...)
	der, err := os.ReadFile(filepath.Join(dir, "sig"))
	if err != nil {
		t.Fatal(err)
	}
	return armour(der)
}

func armour(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "SIGNED MESSAGE", Bytes: der})
}

var (
	p256    = []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}
	rsa2048 = []string{"-newkey", "rsa:2048"}
)

func TestOpenSSL(t *testing.T) {
	for _, tt := range []struct {
		name   string
		newkey []string
		args   []string
		want   error
	}{
		{"P-256", p256, []string{"-md", "sha256"}, nil},
		{"P-384", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, []string{"-md", "sha384"}, nil},
		{"RSA", rsa2048, []string{"-md", "sha512"}, nil},
		{"signer named by key identifier", p256, []string{"-md", "sha256", "-keyid"}, nil},
		{"RSA of 1024 bits", []string{"-newkey", "rsa:1024"}, []string{"-md", "sha256"}, ErrUnsupported},
		{"SHA-1", p256, []string{"-md", "sha1"}, ErrUnsupported},
		{"content inside", p256, []string{"-md", "sha256", "-nodetach"}, ErrUnsupported},
		{"without its certificate", p256, []string{"-md", "sha256", "-nocerts"}, ErrUnsupported},
		{"without signed attributes", p256, []string{"-md", "sha256", "-noattr"}, ErrFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := signed(t, tt.newkey, tt.args...)
			s, err := Parse(b)
			if err == nil {
				err = s.Verify([]byte(message))
			}
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.want != nil {
				return
			}
			if err := s.Verify([]byte(message + "x")); !errors.Is(err, ErrSignature) {
				t.Errorf("over another message: %v", err)
			}
			s.Signature[len(s.Signature)-1] ^= 1
			if err := s.Verify([]byte(message)); !errors.Is(err, ErrSignature) {
				t.Errorf("with a damaged signature: %v", err)
			}
		})
	}
}

// Bytes that no signature covers, or that two readers could read in two ways.
func TestParseRefuses(t *testing.T) {
	good := seed(t)
	if s, err := Parse(good); err != nil || s.Verify([]byte(message)) != nil || s.Certificate.Subject.CommonName != "Test" {
		t.Fatal(err)
	}
	block, _ := pem.Decode(good)
	for name, b := range map[string][]byte{
		"nothing":           nil,
		"text before":       append([]byte("x\n"), good...),
		"text after":        append(bytes.Clone(good), "x\n"...),
		"two blocks":        append(bytes.Clone(good), good...),
		"another block":     bytes.ReplaceAll(good, []byte("SIGNED MESSAGE"), []byte("PKCS7")),
		"data after it":     armour(append(bytes.Clone(block.Bytes), 5, 0)),
		"cut short":         armour(block.Bytes[:len(block.Bytes)-3]),
		"no ASN.1":          armour([]byte("hello")),
		"too large":         bytes.Repeat([]byte("x"), MaxSize+1),
		"not signed data":   armour(bytes.Replace(block.Bytes, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2}, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3}, 1)),
		"not data":          armour(bytes.Replace(block.Bytes, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1}, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 5}, 1)),
		"attribute renamed": armour(bytes.Replace(block.Bytes, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4}, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 9}, 1)),
	} {
		if _, err := Parse(b); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse: what verifies is the signature of this message and of no other.
func FuzzParse(f *testing.F) {
	f.Add(seed(f))
	f.Add([]byte("-----BEGIN SIGNED MESSAGE-----\nMAA=\n-----END SIGNED MESSAGE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("an error without a name: %v", err)
			}
			return
		}
		if s.Certificate == nil || len(s.Attributes) == 0 || s.Attributes[0] != 0x31 {
			t.Errorf("%+v", s)
		}
		if s.Verify([]byte(message)) == nil && s.Verify([]byte(message+"x")) == nil {
			t.Error("one signature of two messages")
		}
	})
}

// seed is a signature that OpenSSL made.
func seed(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile("testdata/openssl.sig")
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
