package sshsig

import (
	"bytes"
	"crypto"
	"crypto/dsa" //nolint:staticcheck // deprecated, and so refused: TestWeakKeysAreRefused
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

var message = []byte("what is signed")

// seed makes the same key in every run.
type seed byte

func (s seed) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s)
	}
	return len(p), nil
}

func simulated(t testing.TB, o SimulatedOptions) *SimulatedSK {
	t.Helper()
	o.Rand = seed(7)
	k, err := NewSimulatedSK(o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// blobOf signs message and returns the blob.
func blobOf(t testing.TB, s Signer) []byte {
	t.Helper()
	armored, err := s.Sign(t.Context(), "git", message)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := Dearmor(armored)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func edSigner(t testing.TB) (Signer, ed25519.PrivateKey) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	s, err := NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s, key
}

// parts takes a blob apart, so that a test can put another together.
func parts(t testing.TB, blob []byte) (w wire) {
	t.Helper()
	if err := ssh.Unmarshal(blob[len(magic):], &w); err != nil {
		t.Fatal(err)
	}
	return w
}

func join(w wire) []byte { return append([]byte(magic), ssh.Marshal(w)...) }

func TestVerify(t *testing.T) {
	plain, _ := edSigner(t)
	sk := simulated(t, SimulatedOptions{Touch: true})
	sig := func(f func(*ssh.Signature)) func(*wire) {
		return func(w *wire) {
			var s ssh.Signature
			if err := ssh.Unmarshal(w.Signature, &s); err != nil {
				t.Fatal(err)
			}
			f(&s)
			w.Signature = ssh.Marshal(s)
		}
	}
	for _, tt := range []struct {
		name   string
		signer Signer
		change func(*wire)
		want   error
	}{
		{"unchanged", plain, func(*wire) {}, nil},
		{"unchanged, security key", sk, func(*wire) {}, nil},
		{"other version", plain, func(w *wire) { w.Version = 2 }, ErrUnsupported},
		{"version 0", plain, func(w *wire) { w.Version = 0 }, ErrUnsupported},
		{"reserved field filled", plain, func(w *wire) { w.Reserved = "x" }, ErrUnsupported},
		{"no namespace", plain, func(w *wire) { w.Namespace = "" }, ErrFormat},
		{"other namespace", plain, func(w *wire) { w.Namespace = "file" }, ErrNamespace},
		{"namespace with a suffix", plain, func(w *wire) { w.Namespace = "git\x00" }, ErrNamespace},
		{"SHA-1", plain, func(w *wire) { w.Hash = "sha1" }, ErrUnsupported},
		{"other hash than was signed", plain, func(w *wire) { w.Hash = "sha256" }, ErrSignature},
		{"another's key", plain, func(w *wire) { w.PublicKey = sk.pub.Marshal() }, ErrUnsupported},
		{"data after the key", plain, func(w *wire) { w.PublicKey = append(w.PublicKey, 0) }, ErrFormat},
		{"data after the signature", plain, sig(func(s *ssh.Signature) { s.Rest = []byte{0} }), ErrFormat},
		{"one bit of the signature", plain, sig(func(s *ssh.Signature) { s.Blob[0] ^= 1 }), ErrSignature},
		{"signature cut short", plain, sig(func(s *ssh.Signature) { s.Blob = s.Blob[:63] }), ErrSignature},
		{"signature of nothing", plain, func(w *wire) { w.Signature = nil }, ErrFormat},
		{"no flags and counter", sk, sig(func(s *ssh.Signature) { s.Rest = nil }), ErrFormat},
		{"data after the counter", sk, sig(func(s *ssh.Signature) { s.Rest = append(s.Rest, 0) }), ErrFormat},
		{"touch flag removed", sk, sig(func(s *ssh.Signature) { s.Rest[0] = 0 }), ErrSignature},
		{"verification flag added", sk, sig(func(s *ssh.Signature) { s.Rest[0] |= flagUserVerified }), ErrSignature},
		{"counter changed", sk, sig(func(s *ssh.Signature) { s.Rest[4]++ }), ErrSignature},
		{"web authentication format", sk, sig(func(s *ssh.Signature) { s.Format = "webauthn-" + s.Format }), ErrUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := parts(t, blobOf(t, tt.signer))
			tt.change(&w)
			blob := join(w)
			for _, form := range [][]byte{blob, Armor(blob)} {
				info, err := Verify(form, message, "git")
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("err = %v, want %v", err, tt.want)
				}
				if err != nil && info != (Info{}) {
					t.Errorf("an error and yet info: %+v", info)
				}
			}
		})
	}
}

// A touch flag cannot be added to an untouched signature, and one that is there is signed.
func TestTouch(t *testing.T) {
	for _, tt := range []struct {
		name        string
		opts        SimulatedOptions
		touch, user bool
	}{
		{"neither", SimulatedOptions{}, false, false},
		{"touched", SimulatedOptions{Touch: true}, true, false},
		{"touched and verified", SimulatedOptions{Touch: true, Verify: true, Counter: 41}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			blob := blobOf(t, simulated(t, tt.opts))
			info, err := Verify(blob, message, "git")
			if err != nil {
				t.Fatal(err)
			}
			if !info.SK || info.Touched != tt.touch || info.Verified != tt.user || info.Counter != tt.opts.Counter+1 {
				t.Errorf("info = %+v, want touched %v, verified %v, counter %d", info, tt.touch, tt.user, tt.opts.Counter+1)
			}
			for bit := range 8 {
				w := parts(t, blob)
				w.Signature[len(w.Signature)-5] ^= 1 << bit
				if _, err := Verify(join(w), message, "git"); !errors.Is(err, ErrSignature) {
					t.Errorf("flag bit %d turned: %v, want ErrSignature", bit, err)
				}
			}
		})
	}
}

func TestArmor(t *testing.T) {
	s, _ := edSigner(t)
	good := string(Armor(blobOf(t, s)))
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{
		{"as ssh-keygen writes it", good, true},
		{"DOS line ends", strings.ReplaceAll(good, "\n", "\r\n"), true},
		{"without the last newline", strings.TrimSpace(good), true},
		{"text before it", "x\n" + good, false},
		{"text after it", good + "x\n", false},
		{"two of them", good + good, false},
		{"a PEM header", strings.Replace(good, armorBegin, armorBegin+"\nA: b\n", 1), false},
		{"no end", strings.Replace(good, armorEnd, "", 1), false},
		{"begin on the line of the body", strings.Replace(good, armorBegin+"\n", armorBegin, 1), false},
		{"another kind", strings.ReplaceAll(good, "SSH SIGNATURE", "PGP SIGNATURE"), false},
		{"empty", "", false},
		{"nothing in it", armorBegin + "\n" + armorEnd + "\n", false},
		{"too large", armorBegin + "\n" + strings.Repeat("A", MaxSize) + "\n" + armorEnd + "\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Verify([]byte(tt.text), message, "git")
			if (err == nil) != tt.ok || (err != nil && !errors.Is(err, ErrFormat)) {
				t.Errorf("err = %v, want accepted = %v", err, tt.ok)
			}
		})
	}
}

func TestWeakKeysAreRefused(t *testing.T) {
	weakRSA := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
	weakRSA.N.SetBit(weakRSA.N, 0, 1)
	dsaKey := &dsa.PublicKey{Parameters: dsa.Parameters{
		P: new(big.Int).Lsh(big.NewInt(1), 1023), Q: new(big.Int).Lsh(big.NewInt(1), 159), G: big.NewInt(2)}, Y: big.NewInt(4)}
	_, key := edSigner(t)
	for _, tt := range []struct {
		name string
		key  crypto.PublicKey
	}{{"RSA with 1024 bits", weakRSA}, {"DSA", dsaKey}} {
		pub, err := ssh.NewPublicKey(tt.key)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if _, err := ParseAuthorizedKey(Canonical(pub)); err == nil {
			t.Errorf("%s is accepted", tt.name)
		}
	}
	signer, _ := ssh.NewSignerFromKey(key)
	cert := &ssh.Certificate{Key: signer.PublicKey(), CertType: ssh.UserCert, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseAuthorizedKey(Canonical(cert)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a certificate: %v, want ErrUnsupported", err)
	}
}

// RSA with SHA-1 has a signature algorithm named like the key type.
func TestRSAWithSHA1IsRefused(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, signedData("git", "sha512", message), ssh.KeyAlgoRSA)
	if err != nil {
		t.Skipf("this Go does not make such signatures any more: %v", err)
	}
	if _, err := Verify(encode(signer.PublicKey(), "git", "sha512", sig), message, "git"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("err = %v, want ErrUnsupported", err)
	}
}

func TestParseAuthorizedKey(t *testing.T) {
	s, _ := edSigner(t)
	line := s.PublicKey()
	kind, b64, _ := strings.Cut(line, " ")
	blob, _ := base64.StdEncoding.DecodeString(b64)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	// The modulus with a needless zero before it: the same key, another fingerprint.
	padded := ssh.Marshal(struct {
		Type string
		E    *big.Int
		N    []byte
	}{ssh.KeyAlgoRSA, big.NewInt(int64(rsaKey.E)), append([]byte{0, 0}, rsaKey.N.Bytes()...)})
	for _, tt := range []struct {
		name, line string
		ok         bool
	}{
		{"canonical", line, true},
		{"with a comment and blanks", "  " + line + "   me@host of many words\n", true},
		{"type only", kind, false},
		{"options", `no-touch-required ` + line, false},
		{"other type than it says", strings.Replace(line, kind, "ssh-rsa", 1), false},
		{"not base64", kind + " !!!!", false},
		{"data after the key", kind + " " + base64.StdEncoding.EncodeToString(append(blob, 1)), false},
		{"two lines", line + "\n" + line, false},
		{"needless zeros", ssh.KeyAlgoRSA + " " + base64.StdEncoding.EncodeToString(padded), false},
		{"too long", line + " " + strings.Repeat("x", maxKeyLine), false},
		{"empty", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pub, err := ParseAuthorizedKey(tt.line)
			if (err == nil) != tt.ok {
				t.Fatalf("err = %v, want accepted = %v", err, tt.ok)
			}
			if err == nil && Canonical(pub) != line {
				t.Errorf("canonical form %q, want %q", Canonical(pub), line)
			}
		})
	}
}

// A second implementation reads what we write, and we read what it writes.
func TestAgainstAnotherImplementation(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed := edSigner(t)
	for _, key := range []crypto.Signer{ed, ec} {
		ours, err := NewSigner(key)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		armored, err := ours.Sign(t.Context(), "git", message)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := sshsig.Unarmor(armored)
		if err != nil {
			t.Fatal(err)
		}
		if err := sshsig.Verify(bytes.NewReader(message), parsed, signer.PublicKey(), parsed.HashAlgorithm, "git"); err != nil {
			t.Errorf("%T: the other refuses ours: %v", key, err)
		}
		theirs, err := sshsig.Sign(bytes.NewReader(message), signer, sshsig.HashSHA256, "git")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(sshsig.Armor(theirs), message, "git"); err != nil {
			t.Errorf("%T: we refuse the other's: %v", key, err)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tt := range []struct{ name, path string }{
		{"missing", filepath.Join(dir, "nothing")},
		{"a folder", dir},
		{"readable by others", write("open", "x", 0o644)},
		{"not a key", write("text", "hello\n", 0o600)},
		{"another kind of PEM", write("pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600)},
		{"too large", write("large", strings.Repeat("x", maxKeyFile+1), 0o600)},
	} {
		if s, err := OpenKeyFile(tt.path, nil); err == nil {
			t.Errorf("%s: opened as %s", tt.name, s.Fingerprint())
		}
	}
}

func TestSimulatedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sk")
	k := simulated(t, SimulatedOptions{Touch: true})
	if err := k.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := k.Save(path); err == nil {
		t.Error("Save overwrote a key")
	}
	got, err := LoadSimulatedSK(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.PublicKey() != k.PublicKey() {
		t.Errorf("loaded %s, want %s", got.PublicKey(), k.PublicKey())
	}
	info, err := Verify(blobOf(t, got), message, "git")
	if err != nil || !info.Touched || !info.Simulated() || !IsSimulated(info.PublicKey) {
		t.Errorf("info = %+v, %v; want a touched, simulated key", info, err)
	}
	if b, _ := os.ReadFile(path); !strings.Contains(string(b), "SIMULATED") {
		t.Error("the file does not say that it is a simulation")
	}
}

// Whatever verifies is canonical: the same fields in another encoding do not.
func FuzzVerify(f *testing.F) {
	plain, _ := edSigner(f)
	for _, s := range []Signer{plain, simulated(f, SimulatedOptions{Touch: true})} {
		blob := blobOf(f, s)
		f.Add(blob)
		f.Add(Armor(blob))
	}
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			if s != nil {
				t.Fatal("an error and yet a signature")
			}
			return
		}
		blob := b
		if !bytes.HasPrefix(b, []byte(magic)) {
			if blob, err = Dearmor(b); err != nil {
				t.Fatalf("parsed, and yet: %v", err)
			}
		}
		if again := encode(s.PublicKey, s.Namespace, s.Hash, &s.sig); !bytes.Equal(again, blob) {
			t.Fatalf("parsed %x, which encodes as %x", blob, again)
		}
		if _, err := s.Verify(message, s.Namespace+"x"); !errors.Is(err, ErrNamespace) {
			t.Fatalf("for another namespace: %v", err)
		}
	})
}

// A key has one canonical form, and it parses to itself.
func FuzzParseAuthorizedKey(f *testing.F) {
	plain, _ := edSigner(f)
	f.Add(plain.PublicKey())
	f.Add(simulated(f, SimulatedOptions{}).PublicKey() + " comment")
	f.Fuzz(func(t *testing.T, line string) {
		pub, err := ParseAuthorizedKey(line)
		if err != nil {
			return
		}
		again, err := ParseAuthorizedKey(Canonical(pub))
		if err != nil || Fingerprint(again) != Fingerprint(pub) {
			t.Fatalf("%q parses, its canonical form does not: %v", line, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	blob := blobOf(b, simulated(b, SimulatedOptions{Touch: true}))
	for b.Loop() {
		if _, err := Verify(blob, message, "git"); err != nil {
			b.Fatal(err)
		}
	}
}
