//go:build peers

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// Files that we sign verify with cosign, for each kind of key, and those that cosign signs with us.
func TestCosignBlobs(t *testing.T) {
	c := newCosign(t)
	s := scene.New(t, scene.Options{})
	artifact, changed := write(t, s.Dir, "artifact", "what is signed\n"), write(t, s.Dir, "changed", "what is signed.\n")
	bundle := filepath.Join(s.Dir, "bundle.json")
	for kind, args := range map[string][]string{
		"p256": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"rsa":  {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		"ed":   {"-algorithm", "ED25519"},
	} {
		key, pub := filepath.Join(s.Dir, kind), filepath.Join(s.Dir, kind+".pub")
		openssl(t, append([]string{"genpkey", "-out", key}, args...)...)
		openssl(t, "pkey", "-in", key, "-pubout", "-out", pub)
		if err := os.Chmod(key, 0o600); err != nil {
			t.Fatal(err)
		}
		s.Must("sign", artifact, "--key", key, "--bundle", bundle)
		if status, out := c.run("verify-blob", "--key", pub, "--bundle", bundle, "--insecure-ignore-tlog", artifact); status != 0 {
			t.Errorf("%s: cosign refuses what we signed: status %d\n%s", kind, status, out)
		}
		if status, out := c.run("verify-blob", "--key", pub, "--bundle", bundle, "--insecure-ignore-tlog", changed); status == 0 {
			t.Errorf("%s: cosign takes another file\n%s", kind, out)
		}
	}
	key, config := filepath.Join(s.Dir, "k"), filepath.Join(s.Dir, "signing.json")
	c.must("generate-key-pair", "--output-key-prefix", key)
	c.must("signing-config", "create", "--out", config)
	c.must("sign-blob", "--yes", "--key", key+".key", "--signing-config", config, "--bundle", bundle, artifact)
	s.Must("verify", artifact, "--key", key+".pub", "--bundle", bundle)
	if r := s.Sallyport("verify", changed, "--key", key+".pub", "--bundle", bundle); r.Status != 2 {
		t.Errorf("we take another file: %s", r)
	}
}

func openssl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Without a key, on a Sigstore instance of this machine: what we sign verifies with us and with cosign,
// what cosign signs verifies with us, and neither for anybody else or any other file.
func TestKeyless(t *testing.T) {
	c := newCosign(t)
	st := newStack(t)
	s := scene.New(t, scene.Options{})
	artifact, changed := write(t, s.Dir, "artifact", "what is signed\n"), write(t, s.Dir, "changed", "what is signed.\n")
	const who = "release@sallyport.example"
	token := write(t, s.Dir, "token", st.token(who))
	ours, theirs := filepath.Join(s.Dir, "ours.json"), filepath.Join(s.Dir, "theirs.json")
	out := s.Must("sign", artifact, "--identity-token", token, "--signing-config", st.config, "--trusted-root", st.root, "--bundle", ours)
	if !strings.Contains(out, who) {
		t.Errorf("who signed is not told:\n%s", out)
	}
	c.must("sign-blob", "--yes", "--identity-token", token, "--signing-config", st.config, "--trusted-root", st.root, "--bundle", theirs, artifact)
	conformance := filepath.Join(s.Dir, "conformance.json")
	s.Must("conformance", "sign-bundle", "--identity-token", st.token(who), "--signing-config", st.config, "--trusted-root", st.root, "--bundle", conformance, artifact)
	for name, bundle := range map[string]string{"ours": ours, "cosign's": theirs, "the conformance command's": conformance} {
		verify := func(file, identity, issuer, root string) int {
			return s.Sallyport("verify", file, "--bundle", bundle, "--certificate-identity", identity, "--certificate-oidc-issuer", issuer, "--trusted-root", root).Status
		}
		if got := verify(artifact, who, st.issuer, st.root); got != 0 {
			t.Errorf("%s does not verify: status %d", name, got)
		}
		for what, got := range map[string]int{
			"another file":   verify(changed, who, st.issuer, st.root),
			"another person": verify(artifact, "mallory@sallyport.example", st.issuer, st.root),
			"another issuer": verify(artifact, who, st.issuer+"0", st.root),
		} {
			if got != 2 {
				t.Errorf("%s, %s: status %d, want 2", name, what, got)
			}
		}
		public := s.Sallyport("verify", artifact, "--bundle", bundle, "--certificate-identity", who, "--certificate-oidc-issuer", st.issuer)
		if public.Status != 2 {
			t.Errorf("%s, under the public root: %s", name, public)
		}
		status, out := c.run("verify-blob", "--bundle", bundle, "--trusted-root", st.root, "--certificate-identity", who,
			"--certificate-oidc-issuer", st.issuer, "--insecure-ignore-sct", "--use-signed-timestamps", artifact)
		if status != 0 {
			t.Errorf("cosign refuses %s: status %d\n%s", name, status, out)
		}
	}
	// A statement, by the conformance command, and by its type.
	predicate := write(t, s.Dir, "predicate.json", `{"built":true}`)
	c.must("attest-blob", "--yes", "--identity-token", token, "--signing-config", st.config, "--trusted-root", st.root, "--predicate", predicate,
		"--type", "https://example.com/built/v1", "--bundle", theirs, artifact)
	verify := func(typ string) int {
		return s.Sallyport("verify", artifact, "--bundle", theirs, "--certificate-identity", who, "--certificate-oidc-issuer", st.issuer,
			"--trusted-root", st.root, "--type", typ).Status
	}
	if got := verify("https://example.com/built/v1"); got != 0 {
		t.Errorf("cosign's statement: status %d", got)
	}
	if got := verify(otherType); got != 2 {
		t.Errorf("cosign's statement as of another type: status %d", got)
	}
	// Nothing is written where what the services answer does not verify.
	never := filepath.Join(s.Dir, "never.json")
	if r := s.Sallyport("sign", artifact, "--identity-token", token, "--signing-config", st.config,
		"--trusted-root", filepath.Join("..", "..", "internal", "evidence", "sigstore", "public_good.json"), "--bundle", never); r.Status != 1 {
		t.Errorf("under the public root: %s", r)
	}
	if _, err := os.Stat(never); err == nil {
		t.Error("a bundle that does not verify was written")
	}
}
