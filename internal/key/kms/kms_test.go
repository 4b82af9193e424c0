package kms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/predicate"
)

// The test binary, under the name of a helper, is the helper. What it does is in a file beside
// it, since it is given no variable of ours.
func TestMain(m *testing.M) {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	if name == "sallyport-kms" || name == "sallyport-pkcs11" || strings.HasPrefix(name, "sigstore-kms-") {
		fakeHelper()
		return
	}
	os.Exit(m.Run())
}

// fakeHelper answers with the key in the file "key", in the way that the file "how" says.
func fakeHelper() {
	dir := filepath.Dir(os.Args[0])
	how, _ := os.ReadFile(filepath.Join(dir, "how"))
	_ = os.WriteFile(filepath.Join(dir, "args"), []byte(strings.Join(os.Args, "\n")), 0o600)
	cwd, _ := os.Getwd()
	_ = os.WriteFile(filepath.Join(dir, "cwd"), []byte(cwd), 0o600)
	_ = os.WriteFile(filepath.Join(dir, "env"), []byte(strings.Join(os.Environ(), "\n")), 0o600)
	switch string(how) {
	case "hang":
		time.Sleep(time.Minute)
	case "flood":
		for {
			if _, err := os.Stdout.Write(bytes.Repeat([]byte(" "), 4096)); err != nil {
				time.Sleep(time.Minute) // it does not go away by itself
			}
		}
	case "quiet":
		return
	case "crash":
		fmt.Fprintln(os.Stderr, "panic: \x1b[31mno such region")
		os.Exit(2)
	case "refuse":
		fmt.Println(`{"errorMessage":"AccessDenied:\n not yours"}`)
		os.Exit(1)
	case "twice":
		fmt.Println(`{"publicKey":{"publicKeyPEM":""},"publicKey":{"publicKeyPEM":""}}`)
		return
	}
	raw, _ := os.ReadFile(filepath.Join(dir, "key"))
	if string(how) == "other" && strings.Contains(os.Args[2], "signMessage") {
		raw, _ = os.ReadFile(filepath.Join(dir, "other"))
	}
	priv, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := priv.(crypto.Signer)
	var q common.PluginArgs
	if err := json.Unmarshal([]byte(os.Args[2]), &q); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var a common.PluginResp
	switch q.MethodName {
	case common.PublicKeyMethodName:
		der, _ := x509.MarshalPKIXPublicKey(s.Public())
		a.PublicKey = &common.PublicKeyResp{PublicKeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
	case common.SignMessageMethodName:
		message, _ := io.ReadAll(os.Stdin)
		h := crypto.Hash(0)
		if o := q.SignMessage.SignOptions.MessageOptions; o.Digest != nil {
			message, h = *o.Digest, *o.HashFunc
		}
		if string(how) == "elsewhere" {
			message[0] ^= 1
		}
		sig, err := s.Sign(rand.Reader, message, h)
		if err != nil {
			a.ErrorMessage = err.Error()
		}
		a.SignMessage = &common.SignMessageResp{Signature: sig}
	}
	_ = json.NewEncoder(os.Stdout).Encode(a)
}

// A stage is a folder with an executable and a helper beside it.
type stage struct {
	t      *testing.T
	dir    string
	helper Helper
}

func newStage(t *testing.T, name, how string, priv crypto.Signer) stage {
	t.Helper()
	s := stage{t: t, dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	s.write("sallyport"+executableSuffix(), nil, 0o755)
	s.write(name+executableSuffix(), b, 0o755)
	s.write("how", []byte(how), 0o600)
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	s.write("key", der, 0o600)
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	if _, ok := priv.(ed25519.PrivateKey); !ok {
		o, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		der, _ = x509.MarshalPKCS8PrivateKey(o)
	} else {
		der, _ = x509.MarshalPKCS8PrivateKey(other)
	}
	s.write("other", der, 0o600)
	s.helper = Helper{Executable: filepath.Join(s.dir, "sallyport"+executableSuffix()), Getenv: func(string) string { return "" }, Timeout: 20 * time.Second}
	return s
}

func (s stage) write(name string, b []byte, mode os.FileMode) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, b, mode); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s stage) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func ref(t *testing.T, s string) key.Ref {
	t.Helper()
	r, err := key.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A key of each algorithm signs, with the hash that verifiers expect of it and no other.
func TestSign(t *testing.T) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsa2048, _ := rsa.GenerateKey(rand.Reader, 2048)
	for _, tt := range []struct {
		ref, helper string
		priv        crypto.Signer
		h           crypto.Hash
	}{
		{"awskms:///alias/release", "sallyport-kms", p256(t), crypto.SHA256},
		{"hashivault://release", "sallyport-kms", p384, crypto.SHA384},
		{"gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "sallyport-kms", rsa2048, crypto.SHA256},
		{"somehsm://slot/4", "sigstore-kms-somehsm", ed, 0},
		{"pkcs11:token=t;object=k", "sallyport-pkcs11", p256(t), crypto.SHA256},
	} {
		t.Run(tt.ref, func(t *testing.T) {
			s := newStage(t, tt.helper, "", tt.priv)
			k, err := s.helper.Open(t.Context(), ref(t, tt.ref))
			if err != nil {
				t.Fatal(err)
			}
			if k.Local || k.Label == "" {
				t.Errorf("label %q, local %v: the key is out of the user's reach", k.Label, k.Local)
			}
			digest := []byte("the message itself")
			if tt.h != 0 {
				d := tt.h.New()
				d.Write(digest)
				digest = d.Sum(nil)
			}
			if _, err := k.Sign(rand.Reader, digest, tt.h); err != nil {
				t.Error(err)
			}
			if _, err := k.Sign(rand.Reader, make([]byte, 64), crypto.SHA512); !errors.Is(err, ErrRefused) {
				t.Errorf("with another hash: %v, want ErrRefused", err)
			}
		})
	}
}

// What a helper does that it should not, each with its own error; the first row does nothing.
func TestHelperMisbehaves(t *testing.T) {
	for _, tt := range []struct {
		how  string
		want error
		says string
	}{
		{"", nil, ""},
		{"other", ErrSignature, "not a signature by the key"},
		{"elsewhere", ErrSignature, "not a signature by the key"},
		{"hang", ErrTimeout, "stopped after"},
		{"flood", ErrAnswer, "more than 65536 bytes"},
		{"quiet", ErrAnswer, "empty"},
		{"crash", ErrAnswer, "it said: panic: [31mno such region"},
		{"refuse", ErrRefused, "AccessDenied: not yours"},
		{"twice", ErrAnswer, "twice"},
	} {
		t.Run(tt.how, func(t *testing.T) {
			s := newStage(t, "sallyport-kms", tt.how, p256(t))
			if tt.how == "hang" {
				s.helper.Timeout = 300 * time.Millisecond
			}
			began := time.Now()
			k, err := s.helper.Open(t.Context(), ref(t, "awskms:///alias/x"))
			if err == nil {
				d := sha256.Sum256([]byte("m"))
				_, err = k.Sign(rand.Reader, d[:], crypto.SHA256)
			}
			if !errors.Is(err, tt.want) || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%v, want %v saying %q", err, tt.want, tt.says)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("a helper's words reach the terminal: %q", err)
			}
			if d := time.Since(began); d > 15*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// A helper is found beside the executable, and only if it is no easier to replace.
func TestFind(t *testing.T) {
	s := newStage(t, "sallyport-kms", "", p256(t))
	open := func() error {
		_, err := s.helper.Open(t.Context(), ref(t, "awskms:///alias/x"))
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, "sallyport-kms"+executableSuffix())
	if runtime.GOOS != "windows" {
		for _, mode := range []os.FileMode{0o757, 0o775, 0o644} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if err := open(); !errors.Is(err, ErrUnsafe) {
				t.Errorf("mode %04o: %v, want ErrUnsafe", mode, err)
			}
		}
		away := filepath.Join(t.TempDir(), "away")
		if err := os.Rename(path, away); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(away, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(away, path); err != nil {
			t.Fatal(err)
		}
		if err := open(); !errors.Is(err, ErrUnsafe) {
			t.Errorf("a symbolic link: %v, want ErrUnsafe", err)
		}
		// A link to the whole program is how package managers install: helpers lie beside its end.
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(away, path); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(t.TempDir(), "sallyport")
		if err := os.Symlink(s.helper.Executable, link); err != nil {
			t.Fatal(err)
		}
		linked := s
		linked.helper.Executable = link
		if _, err := linked.helper.Open(t.Context(), ref(t, "awskms:///alias/x")); err != nil {
			t.Errorf("through a link to the program: %v", err)
		}
	}
	// Neither $PATH nor the folder that somebody works in is looked at.
	if err := os.Rename(path, filepath.Join(t.TempDir(), "sallyport-kms"+executableSuffix())); err != nil {
		t.Fatal(err)
	}
	other := newStage(t, "sallyport-kms", "", p256(t))
	t.Setenv("PATH", other.dir)
	t.Chdir(other.dir)
	if err := open(); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), s.dir) {
		t.Errorf("%v, want ErrMissing and the folder", err)
	}
	if _, err := s.helper.Open(t.Context(), ref(t, "k8s://ns/secret")); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "pkcs11:") {
		t.Errorf("%v, want ErrMissing and the kinds that there are", err)
	}
}

// A helper sees what its vendor's library needs. The PIN of a token is in its environment, and in
// no argument.
func TestEnvironment(t *testing.T) {
	s := newStage(t, "sallyport-pkcs11", "", p256(t))
	given := map[string]string{"HOME": "/home/x", "SOFTHSM2_CONF": "/x", "AWS_SECRET_ACCESS_KEY": "a", "GITHUB_TOKEN": "g", "LD_PRELOAD": "/evil", "SALLYPORT_KEY_PASSPHRASE": "p"}
	s.helper.Getenv = func(n string) string { return given[n] }
	k, err := s.helper.Open(t.Context(), ref(t, "pkcs11:token=t;object=k?module-path=/x.so&pin-value=12%2034"))
	if err != nil {
		t.Fatal(err)
	}
	if args := s.read("args"); strings.Contains(args, "12") && strings.Contains(args, "pin-value") || !strings.Contains(args, "module-path=/x.so") {
		t.Errorf("arguments: %s", args)
	}
	var got []string
	for line := range strings.Lines(s.read("env")) {
		name, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		if got = append(got, name); name == "COSIGN_PKCS11_PIN" && v != "12 34" {
			t.Errorf("the PIN is %q", v)
		}
	}
	slices.Sort(got)
	if want := []string{"COSIGN_PKCS11_PIN", "HOME", "PATH", "SOFTHSM2_CONF"}; runtime.GOOS == "linux" && !slices.Equal(got, want) {
		t.Errorf("the helper sees %v, want %v", got, want)
	}
	_ = k
	s = newStage(t, "sallyport-pkcs11", "refuse", p256(t))
	if _, err = s.helper.Open(t.Context(), ref(t, "pkcs11:token=t;object=k?pin-value=98765")); err == nil || strings.Contains(err.Error(), "98765") {
		t.Errorf("an error with the PIN in it: %v", err)
	}
}

// A helper does not run where its caller does: an agent plants files there.
func TestElsewhere(t *testing.T) {
	s := newStage(t, "sallyport-kms", "", p256(t))
	t.Chdir(t.TempDir())
	if _, err := s.helper.Open(t.Context(), ref(t, "awskms:///alias/x")); err != nil {
		t.Fatal(err)
	}
	if cwd := s.read("cwd"); runtime.GOOS != "windows" && cwd != "/" {
		t.Errorf("the helper ran in %s", cwd)
	}
}

// Variables that name what is run are taken from root alone, and paths are whole.
func TestUnsafeVariables(t *testing.T) {
	planted := filepath.Join(t.TempDir(), "module.so")
	if err := os.WriteFile(planted, []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(planted), 0o777); err != nil {
		t.Fatal(err)
	}
	system := "/bin/sh" // root's, in folders of root's
	for _, tt := range []struct {
		ref, name, value string
		ok               bool
	}{
		{"pkcs11:token=t;object=k", "COSIGN_PKCS11_MODULE_PATH", planted, false},
		{"pkcs11:token=t;object=k", "COSIGN_PKCS11_MODULE_PATH", "module.so", false},
		{"pkcs11:token=t;object=k", "COSIGN_PKCS11_MODULE_PATH", "/none/module.so", false},
		{"pkcs11:token=t;object=k", "COSIGN_PKCS11_MODULE_PATH", system, true},
		{"pkcs11:token=t;object=k", "OPENSC_CONF", planted, false},
		{"pkcs11:token=t;object=k", "ChrystokiConfigurationPath", filepath.Dir(planted), false},
		{"pkcs11:token=t;object=k", "SOFTHSM2_CONF", "softhsm.conf", false},
		{"pkcs11:token=t;object=k", "SOFTHSM2_CONF", planted, true},
		{"awskms:///alias/x", "AWS_CONFIG_FILE", "aws/config", false},
		{"awskms:///alias/x", "AWS_CONFIG_FILE", planted, true},
		{"awskms:///alias/x", "COSIGN_PKCS11_MODULE_PATH", planted, true}, // not passed on
		{"gcpkms://projects/p", "GOOGLE_APPLICATION_CREDENTIALS", "./key.json", false},
		{"hashivault://k", "VAULT_CACERT", "ca.pem", false},
		{"hashivault://k", "SSL_CERT_DIR", planted + string(filepath.ListSeparator) + "certs", false},
	} {
		if runtime.GOOS == "windows" && tt.value == system {
			continue
		}
		_, err := environment(ref(t, tt.ref), func(n string) string {
			if n == tt.name {
				return tt.value
			}
			return ""
		})
		if (err == nil) != tt.ok || err != nil && (!errors.Is(err, ErrVariable) || !strings.Contains(err.Error(), tt.name)) {
			t.Errorf("%s=%s for %s: %v", tt.name, tt.value, tt.ref, err)
		}
	}
}

// Another helper sees no variables, and what it writes is bounded.
func TestRunAnother(t *testing.T) {
	s := newStage(t, "sallyport-kms", "quiet", p256(t))
	s.helper.Getenv = func(string) string { return "x" }
	if out, err := s.helper.Run(t.Context(), "sallyport-kms", []byte("in"), 100); !errors.Is(err, ErrAnswer) || out != nil {
		t.Errorf("nothing was written: %q, %v", out, err)
	}
	if env := s.read("env"); env != "" && runtime.GOOS == "linux" {
		t.Errorf("it sees %s", env)
	}
	s = newStage(t, "sallyport-kms", "refuse", p256(t))
	if out, err := s.helper.Run(t.Context(), "sallyport-kms", nil, 100); err != nil || !strings.Contains(string(out), "AccessDenied") {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := s.helper.Run(t.Context(), "sallyport-kms", nil, 5); !errors.Is(err, ErrAnswer) {
		t.Errorf("too much: %v", err)
	}
	if _, err := s.helper.Run(t.Context(), "sallyport-none", nil, 5); !errors.Is(err, ErrMissing) {
		t.Errorf("none: %v", err)
	}
}

// What gives access is named, and nothing else: a build still finds its region and its home.
func TestSecrets(t *testing.T) {
	for text, want := range map[string][]string{
		"hashivault://k": {"VAULT_TOKEN", "VAULT_CLIENT_KEY"},
		"openbao://k":    {"BAO_TOKEN", "BAO_CLIENT_KEY", "VAULT_CLIENT_KEY"},
		"pkcs11:token=t": {"COSIGN_PKCS11_PIN"},
		"some-hsm://k":   {"SOME_HSM_ADDR", "SOME_HSM_TOKEN", "SOME_HSM_CONFIG", "SOME_HSM_CA_CERT", "SOME_HSM_CLIENT_CERT", "SOME_HSM_CLIENT_KEY", "SOME_HSM_PROFILE"},
		"my.key":         {},
	} {
		if got := Secrets(ref(t, text)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if got := Secrets(ref(t, "awskms:///alias/x")); !slices.Contains(got, "AWS_SECRET_ACCESS_KEY") || slices.Contains(got, "AWS_REGION") || slices.Contains(got, "HOME") {
		t.Errorf("awskms: %v", got)
	}
}

// Our documents are Sigstore's.
func TestProtocol(t *testing.T) {
	if version != common.ProtocolVersion {
		t.Errorf("version %q, Sigstore's is %q", version, common.ProtocolVersion)
	}
	digest, hash := []byte("d"), uint(crypto.SHA384)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	args := &signArgs{}
	args.Options.Message = messageOptions{Digest: &digest, Hash: &hash}
	b, err := json.Marshal(request{Init: initOptions{Version: version, Resource: "x://y", Hash: hash, Deadline: at}, Method: "signMessage", Sign: args})
	if err != nil {
		t.Fatal(err)
	}
	var got common.PluginArgs
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	i, m := got.InitOptions, got.SignMessage.SignOptions.MessageOptions
	if !i.CtxDeadline.Equal(at) || i.HashFunc != crypto.SHA384 || i.KeyResourceID != "x://y" || got.MethodName != common.SignMessageMethodName ||
		!bytes.Equal(*m.Digest, digest) || *m.HashFunc != crypto.SHA384 {
		t.Errorf("Sigstore reads %s as %+v", b, got)
	}
}

// Whatever a helper writes, it is an answer without an error, or one line that says why not.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"publicKey":{"publicKeyPEM":"LS0tLS0="}}`))
	f.Add([]byte(`{"signMessage":{"signature":"AAAA"}}`))
	f.Add([]byte("{\"errorMessage\":\"no\\u202e\\n\"}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b)
		if err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b\u202e") {
			t.Errorf("an error of several lines: %q", err)
		}
		if err == nil && a.Error != "" {
			t.Error("an error was taken for an answer")
		}
	})
}

// A key in a service or token certifies the keys of runs.
func TestCertifies(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := runcert.Binding{RunID: "run-1", Repository: "example.com/acme/service", Separation: predicate.SeparationHost,
		Principal: sallyport.Principal{Kind: sallyport.Workload, Name: "run-supervisor"}}
	for name, priv := range map[string]crypto.Signer{"P-256": p256(t), "P-384": p384, "RSA": r, "Ed25519": ed} {
		s := newStage(t, "sallyport-kms", "", priv)
		k, err := s.helper.Open(t.Context(), ref(t, "awskms:///alias/run-ca"))
		if err != nil {
			t.Fatal(err)
		}
		der, err := runcert.Issue(k, pub, b, time.Now(), runcert.DefaultValidity)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if err := runcert.CheckIssuer(c, priv.Public()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// executableSuffix is what a program's name ends in.
func executableSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}
