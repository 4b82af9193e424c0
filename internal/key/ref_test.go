package key

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

func TestParseRef(t *testing.T) {
	for _, tt := range []struct {
		ref    string
		kind   Kind
		scheme string
		rest   string
	}{
		{"my.key", File, "file", "my.key"},
		{"/a b/c:d", File, "file", "/a b/c:d"},
		{"C:\\keys\\x", File, "file", "C:\\keys\\x"},
		{"file:my.key", File, "file", "my.key"},
		{"env://SIGNING_KEY", Env, "env", "SIGNING_KEY"},
		{"awskms:///alias/x", Service, "awskms", "/alias/x"},
		{"awskms://localhost:4566/arn:aws:kms:us-east-2:1:key/2", Service, "awskms", "localhost:4566/arn:aws:kms:us-east-2:1:key/2"},
		{"gcpkms://projects/p", Service, "gcpkms", "projects/p"},
		{"azurekms://v/k", Service, "azurekms", "v/k"},
		{"hashivault://k", Service, "hashivault", "k"},
		{"openbao://k", Service, "openbao", "k"},
		{"pkcs11:token=a;object=b?module-path=/m.so", Token, "pkcs11", "token=a;object=b?module-path=/m.so"},
		{"run:/run/user/1/key", Run, "run", "/run/user/1/key"},
		{"somehsm://slot/1", Plugin, "somehsm", "slot/1"},
		{"ssh:/home/ada/id", Person, "ssh", "/home/ada/id"},
		{"ssh-agent:SHA256:x", Person, "ssh-agent", "SHA256:x"},
		{"openpgp:ABCD", Person, "openpgp", "ABCD"},
	} {
		r, err := ParseRef(tt.ref)
		if err != nil || r.Kind != tt.kind || r.Scheme != tt.scheme || r.Rest != tt.rest || r.Text != tt.ref {
			t.Errorf("ParseRef(%q) = %+v, %v", tt.ref, r, err)
		}
	}
	for _, ref := range []string{
		"", "file:", "env:X", "env://", "env://A B", "env://$(x)", "awskms:alias/x", "awskms://", "gpg:ABCD", "nonesuch:x",
		"a..b://x", "k\x00", "my\nkey", "pkcs11:", strings.Repeat("a", maxRef+1), "a+b://x", "run:", "run:key", "run://key", "run:../key",
	} {
		if r, err := ParseRef(ref); !errors.Is(err, ErrScheme) || r != (Ref{}) {
			t.Errorf("ParseRef(%.50q) = %+v, %v; want ErrScheme", ref, r, err)
		}
	}
	if _, err := ParseRef("gpg:ABCD"); err == nil || !strings.Contains(err.Error(), "awskms://") || strings.Contains(err.Error(), "\n") {
		t.Errorf("an unknown kind is not told which there are, in one line: %v", err)
	}
}

// What parses keeps its text, and one that does not says so in a line.
func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"a", "file:a", "env://A", "awskms://a/b", "pkcs11:token=a?pin-value=1", "x-y://z", "C:\\a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		r, err := ParseRef(ref)
		switch {
		case err != nil && (r != Ref{} || strings.ContainsAny(err.Error(), "\r\n\x1b")):
			t.Errorf("ParseRef(%q) = %+v, %q", ref, r, err)
		case err == nil && (r.Kind == 0 || r.Rest == "" || r.Text != ref || !strings.HasSuffix(ref, r.Rest)):
			t.Errorf("ParseRef(%q) = %+v", ref, r)
		}
	})
}

// cosign's own key files open with their passphrase, and with none if it is empty. A file that
// asks for more work than the three settings that are known does not get it.
func TestCosignFiles(t *testing.T) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	write := func(typ string, box []byte) string {
		path := filepath.Join(t.TempDir(), "cosign.key")
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: box}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	seal := func(phrase string) []byte {
		box, err := encrypted.EncryptWithCustomKDFParameters(der, []byte(phrase), encrypted.Legacy)
		if err != nil {
			t.Fatal(err)
		}
		return box
	}
	phrase := func(s string) func() ([]byte, error) { return func() ([]byte, error) { return []byte(s), nil } }
	nobody := func() ([]byte, error) { return nil, ErrEncrypted }
	boxed, empty := seal("pw"), seal("")
	for _, tt := range []struct {
		name string
		typ  string
		box  []byte
		pass func() ([]byte, error)
		want error
	}{
		{"right", sigstoreBlock, boxed, phrase("pw"), nil},
		{"an older release's", cosignBlock, boxed, phrase("pw"), nil},
		{"wrong", sigstoreBlock, boxed, phrase("pv"), ErrPassphrase},
		{"nobody to ask", sigstoreBlock, boxed, nil, ErrEncrypted},
		{"nothing given", sigstoreBlock, boxed, nobody, ErrEncrypted},
		{"empty, nothing given", sigstoreBlock, empty, nobody, nil},
		{"one bit is wrong", sigstoreBlock, bytes.Replace(boxed, []byte(`"ciphertext":"`), []byte(`"ciphertext":"AAAA`), 1), phrase("pw"), ErrPassphrase},
		{"too much work", sigstoreBlock, bytes.Replace(boxed, []byte("32768"), []byte("1073741824"), 1), phrase("pw"), ErrFormat},
		{"another cipher", sigstoreBlock, bytes.Replace(boxed, []byte("nacl/"), []byte("none/"), 1), phrase("pw"), ErrFormat},
		{"a short nonce", sigstoreBlock, bytes.Replace(boxed, []byte(`"nonce":"`), []byte(`"nonce":"AAAA","n":"`), 1), phrase("pw"), ErrFormat},
		{"no JSON", sigstoreBlock, []byte("hello"), phrase("pw"), ErrFormat},
	} {
		k, err := Load(write(tt.typ, tt.box), tt.pass)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err == nil && !priv.PublicKey.Equal(k.Public()) {
			t.Errorf("%s: another key", tt.name)
		}
	}
}
