//go:build peers

package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// missing says that something of the machine is not there: a failure where all has to run.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf("NOT TESTED: "+format, args...)
}

var helpersBuilt sync.Map

// helper builds a helper program beside the binary under test, once.
func helper(t *testing.T, name, cgo string) {
	t.Helper()
	once, _ := helpersBuilt.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(filepath.Dir(scene.Binary()), name), "github.com/sallyport-dev/sallyport/cmd/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		out, err := build.CombinedOutput()
		return string(out), err
	}))
	if out, err := once.(func() (string, error))(); err != nil {
		missing(t, "%s cannot be built here: %v\n%s", name, err, out)
	}
}

func newP256(t *testing.T) crypto.Signer { return newEC(t, elliptic.P256()) }

func newEC(t *testing.T, c elliptic.Curve) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRSA(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const builtType = "https://example.com/built/v1"

// attested is a file that was attested under a key reference, with the public key that the same
// reference shows.
type attested struct {
	s                 *scene.Scene
	c                 cosign
	artifact, changed string // files
	public, foreign   string // public keys
	bundle            string
	sha384            bool // the signature is over SHA-384, as P-384 keys make them
}

// attestWith attests a file with the key that ref names, and returns what was made. A second key
// stands by that signed nothing.
func attestWith(t *testing.T, s *scene.Scene, c cosign, ref string) attested {
	t.Helper()
	a := attested{s: s, c: c, public: filepath.Join(s.Dir, "ref.pub"), bundle: filepath.Join(s.Dir, "bundle.json")}
	a.artifact = write(t, s.Dir, "artifact", "what is attested\n")
	a.changed = write(t, s.Dir, "changed", "what is attested.\n")
	predicate := write(t, s.Dir, "predicate.json", `{"built":true}`)
	foreign := filepath.Join(t.TempDir(), "foreign")
	s.Must("key", "generate", foreign)
	a.foreign = foreign + ".pub"
	shown := s.Must("key", "show", ref)
	_, public, _ := strings.Cut(shown, "\n") // after the fingerprint
	write(t, s.Dir, "ref.pub", public)
	signed := filepath.Join(s.Dir, "signed.json")
	s.Must("sign", a.artifact, "--key", ref, "--bundle", signed)
	s.Must("verify", a.artifact, "--key", a.public, "--bundle", signed)
	s.Must("attest", a.artifact, "--repo", s.Repo, "--type", builtType, "--predicate", predicate, "--key", ref, "--bundle", a.bundle)
	return a
}

// holds checks that sallyport and cosign accept the attestation under its key, and that both
// refuse each case that differs in one thing. cosign's verify-blob-attestation takes every key in a
// file for one that signs SHA-256, so that it refuses what a P-384 key signed; docs/keys.md says so.
func (a attested) holds(t *testing.T) {
	t.Helper()
	for _, tt := range []struct {
		name, key, typ, file string
		ok                   bool
	}{
		{"as it was signed", a.public, builtType, a.artifact, true},
		{"a changed byte of the file", a.public, builtType, a.changed, false},
		{"another key", a.foreign, builtType, a.artifact, false},
		{"another type", a.public, otherType, a.artifact, false},
	} {
		r := a.s.Sallyport("verify", tt.file, "--repo", a.s.Repo, "--key", tt.key, "--type", tt.typ, "--bundle", a.bundle)
		if want := map[bool]int{true: sallyport.ExitOpen, false: sallyport.ExitShut}[tt.ok]; r.Status != want {
			t.Errorf("%s: sallyport: %v", tt.name, r)
		}
		status, out := a.c.run("verify-blob-attestation", "--key", tt.key, "--bundle", a.bundle, "--insecure-ignore-tlog", "--type", tt.typ, tt.file)
		if (status == 0) != (tt.ok && !a.sha384) {
			t.Errorf("%s: cosign: status %d\n%s", tt.name, status, out)
		}
	}
}

// refused checks that nothing is signed with ref, for the reason given.
func refused(t *testing.T, s *scene.Scene, ref, says string) {
	t.Helper()
	artifact := write(t, s.Dir, "artifact", "what is attested\n")
	predicate := write(t, s.Dir, "predicate.json", `{"built":true}`)
	bundle := filepath.Join(t.TempDir(), "none.json")
	r := s.Sallyport("attest", artifact, "--repo", s.Repo, "--type", builtType, "--predicate", predicate, "--key", ref, "--bundle", bundle)
	if r.Status != sallyport.ExitUndecided || !strings.Contains(r.Stderr, says) {
		t.Errorf("want status 1 and %q: %v", says, r)
	}
	if _, err := os.Stat(bundle); err == nil {
		t.Error("a bundle was written")
	}
}

// AWS KMS through Sigstore's client: ECDSA on both curves, and RSA.
func TestAWSKMS(t *testing.T) {
	helper(t, "sallyport-kms", "0")
	c := newCosign(t)
	base := scene.New(t, scene.Options{})
	for name, key := range map[string]crypto.Signer{"P-256": newP256(t), "P-384": newEC(t, elliptic.P384()), "RSA": newRSA(t)} {
		t.Run(name, func(t *testing.T) {
			s, aws := base.Fork(t), newFakeAWS(t, key)
			s.Env = awsEnv(t, aws)
			ref := "awskms://" + aws.Listener.Addr().String() + "/alias/release"
			a := attestWith(t, s, c, ref)
			a.sha384 = name == "P-384"
			a.holds(t)
			if !slices.Contains(aws.calls, "Sign") {
				t.Errorf("the service was never asked to sign: %v", aws.calls)
			}
			if name != "P-256" {
				return
			}
			aws.set(func() { aws.signer = newP256(t) })
			refused(t, s, ref, "not a signature by the key that was named")
			aws.set(func() { aws.signer, aws.denied = nil, true })
			refused(t, s, ref, "not authorized to perform")
			aws.set(func() { aws.denied = false })
			s.Env = append(slices.DeleteFunc(s.Env, func(v string) bool { return strings.HasPrefix(v, "AWS_CA_BUNDLE=") }), "AWS_TLS_INSECURE_SKIP_VERIFY=1")
			refused(t, s, ref, "certificate")
		})
	}
}

func awsEnv(t *testing.T, aws *service) []string {
	return []string{
		"AWS_CA_BUNDLE=" + write(t, t.TempDir(), "ca.pem", aws.authority()), "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=fake",
		"AWS_SECRET_ACCESS_KEY=fake", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1",
	}
}

// decisions has the gate sign a decision with the key that ref names, which its public key verifies.
func decisions(t *testing.T, s *scene.Scene, a attested, ref string) {
	t.Helper()
	env := s.Env
	defer func() { s.Env = env }()
	s.Env = append(slices.Clone(env), "SALLYPORT_VERIFIER_KEY="+ref)
	v := s.Check()
	vsa := write(t, s.Dir, "vsa.json", s.Must("explain", string(v.ID), "--repo", s.Repo, "--vsa"))
	const typ = "https://slsa.dev/verification_summary/v1"
	for key, want := range map[string]int{a.public: sallyport.ExitOpen, a.foreign: sallyport.ExitShut} {
		if r := s.Sallyport("verify", "git:HEAD", "--repo", s.Repo, "--key", key, "--type", typ, "--bundle", vsa); r.Status != want {
			t.Errorf("the decision under %s: %v", filepath.Base(key), r)
		}
	}
}

// Vault's transit engine through Sigstore's client, and OpenBao's, which is the same API. What
// cosign signs with the same key verifies here.
func TestVaultTransit(t *testing.T) {
	helper(t, "sallyport-kms", "0")
	c := newCosign(t)
	base := scene.New(t, scene.Options{})
	for _, tt := range []struct{ name, ref, address, token string }{
		{"Vault", "hashivault://release", "VAULT_ADDR", "VAULT_TOKEN"},
		{"OpenBao", "openbao://release", "BAO_ADDR", "BAO_TOKEN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, vault := base.Fork(t), newFakeVault(t, newP256(t))
			s.Env = []string{tt.address + "=" + vault.URL, tt.token + "=fake-token"}
			a := attestWith(t, s, c, tt.ref)
			a.holds(t)

			c.env = s.Env
			defer func() { c.env = nil }()
			if status, out := c.run("verify-blob-attestation", "--key", tt.ref, "--bundle", a.bundle, "--insecure-ignore-tlog", "--type", builtType, a.artifact); status != 0 {
				t.Errorf("cosign with the same reference: status %d\n%s", status, out)
			}
			config, theirs := filepath.Join(s.Dir, "signing.json"), filepath.Join(s.Dir, "theirs.json")
			c.must("signing-config", "create", "--out", config)
			c.must("attest-blob", "--yes", "--key", tt.ref, "--signing-config", config, "--predicate", filepath.Join(s.Dir, "predicate.json"), "--type", builtType, "--bundle", theirs, a.artifact)
			a.bundle = theirs
			a.holds(t)

			decisions(t, s, a, tt.ref)

			vault.set(func() { vault.signer = newP256(t) })
			refused(t, s, tt.ref, "not a signature by the key that was named")
			vault.set(func() { vault.signer = nil })
			s.Env[1] = tt.token + "=wrong"
			refused(t, s, tt.ref, "permission denied")
		})
	}
}

// Keys that cosign made, and kept in files of its own kind or in a variable.
func TestCosignKeyFiles(t *testing.T) {
	c := newCosign(t)
	s := scene.New(t, scene.Options{})
	prefix := filepath.Join(s.Dir, "theirs")
	c.must("generate-key-pair", "--output-key-prefix", prefix)
	s.Env = []string{"COSIGN_PASSWORD=x"}
	attestWith(t, s, c, prefix+".key").holds(t)
	b, err := os.ReadFile(prefix + ".key")
	if err != nil {
		t.Fatal(err)
	}
	s.Env = append(s.Env, "SIGNING_KEY="+string(b))
	attestWith(t, s, c, "env://SIGNING_KEY").holds(t)
	s.Env[0] = "COSIGN_PASSWORD=y"
	refused(t, s, prefix+".key", "wrong passphrase")
	s.Env = nil
	refused(t, s, prefix+".key", "SALLYPORT_KEY_PASSPHRASE")
}

// A timestamp beside the signature of a key does not disturb cosign.
func TestCosignVerifiesStamped(t *testing.T) {
	c := newCosign(t)
	s := scene.New(t, scene.Options{})
	authority := keylesstest.New(t, time.Now())
	tsa := timestampServer(t, authority)
	artifact, predicate := write(t, s.Dir, "artifact", "what is attested\n"), write(t, s.Dir, "predicate.json", `{"built":true}`)
	key, bundle := filepath.Join(s.Dir, "k"), filepath.Join(s.Dir, "bundle.json")
	root := write(t, s.Dir, "root.json", string(authority.TrustedRoot()))
	s.Must("key", "generate", key)
	s.Must("attest", artifact, "--repo", s.Repo, "--type", builtType, "--predicate", predicate, "--key", key, "--bundle", bundle, "--timestamp-server-url", tsa.URL, "--trusted-root", root)
	for _, more := range [][]string{{"--insecure-ignore-tlog"}, {"--insecure-ignore-tlog", "--use-signed-timestamps", "--trusted-root", root}} {
		if status, out := c.run(append([]string{"verify-blob-attestation", "--key", key + ".pub", "--bundle", bundle, "--type", builtType, artifact}, more...)...); status != 0 {
			t.Errorf("cosign %v: status %d\n%s", more, status, out)
		}
	}
}

// A token of SoftHSM's, through its real module.
func TestSoftHSM(t *testing.T) {
	const module = "/usr/lib/softhsm/libsofthsm2.so"
	for _, name := range []string{"softhsm2-util", "pkcs11-tool"} {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, "%s is not installed: apt-get install softhsm2 opensc", name)
		}
	}
	if _, err := os.Stat(module); err != nil {
		missing(t, "SoftHSM's module is not where it is expected: %v", err)
	}
	helper(t, "sallyport-pkcs11", "1")
	c := newCosign(t)
	s := scene.New(t, scene.Options{})
	tokens := t.TempDir()
	conf := write(t, s.Dir, "softhsm2.conf", "directories.tokendir = "+tokens+"\nobjectstore.backend = file\nlog.level = ERROR\n")
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+conf)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run("softhsm2-util", "--init-token", "--free", "--label", "release token", "--so-pin", "5678", "--pin", "1234")
	for i, kind := range []string{"EC:prime256v1", "EC:secp384r1", "rsa:2048"} {
		run("pkcs11-tool", "--module", module, "--login", "--pin", "1234", "--token-label", "release token", "--keypairgen", "--key-type", kind,
			"--label", "key "+kind, "--id", "0"+string(rune('1'+i)))
	}
	s.Env = []string{"SOFTHSM2_CONF=" + conf, "COSIGN_PKCS11_PIN=1234"}
	for _, ref := range []string{
		"pkcs11:token=release%20token;object=key%20EC:prime256v1?module-path=" + module,
		"pkcs11:token=release%20token;id=%02?module-path=" + module,
		"pkcs11:token=release%20token;object=key%20rsa:2048?module-path=" + module,
	} {
		t.Run(ref, func(t *testing.T) {
			a := attestWith(t, s, c, ref)
			a.sha384 = strings.Contains(ref, "id=%02")
			a.holds(t)
		})
	}
	good := "pkcs11:token=release%20token;id=%01?module-path=" + module
	refused(t, s, "pkcs11:token=release%20token;object=none?module-path="+module, "find the key")
	refused(t, s, "pkcs11:token=other;id=%01?module-path="+module, "open the token")
	refused(t, s, "pkcs11:token=release%20token;id=%01?module-path=softhsm.so", "relative")
	refused(t, s, "pkcs11:token=release%20token;serial=1;id=%01?module-path="+module, "not known")
	s.Env[1] = "COSIGN_PKCS11_PIN=4321"
	refused(t, s, good, "PIN")
	s.Env = s.Env[:1]
	refused(t, s, good, "there is no PIN")
	pin := write(t, s.Dir, "pin", "1234\n")
	attestWith(t, s, c, good+"&pin-source=file:"+pin).holds(t)
	if err := os.Chmod(pin, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, s, good+"&pin-source=file:"+pin, "chmod 600")
	attestWith(t, s, c, good+"&pin-value=1234").holds(t)
}
