package sigstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The beacon signed most cases of the suite.
const (
	beacon = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
	github = "https://token.actions.githubusercontent.com"
)

// A conformanceCase is one folder of sigstore-conformance's data.
type conformanceCase struct {
	name     string
	bundle   []byte
	artifact string
	root     *Root
	signer   Signer
}

func (c conformanceCase) mustFail() bool { return strings.HasSuffix(c.name, "_fail") }

func conformanceCases(tb testing.TB) []conformanceCase {
	tb.Helper()
	dirs, err := filepath.Glob("testdata/conformance/*/bundle.sigstore.json")
	if err != nil || len(dirs) < 42 {
		tb.Fatalf("%d cases of the suite: %v", len(dirs), err)
	}
	cases := make([]conformanceCase, 0, len(dirs))
	for _, p := range dirs {
		dir := filepath.Dir(p)
		read := func(name, otherwise string) string {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return otherwise
			}
			return strings.TrimSpace(string(b))
		}
		c := conformanceCase{name: filepath.Base(dir), bundle: []byte(read(filepath.Base(p), "")), artifact: filepath.Join(dir, "artifact")}
		if _, err := os.Stat(c.artifact); err != nil {
			c.artifact = "testdata/conformance/a.txt"
		}
		c.root, err = ParseRoot([]byte(read("trusted_root.json", string(publicGood))))
		if err != nil {
			if !c.mustFail() {
				tb.Fatalf("%s: %v", c.name, err)
			}
			continue // a root that cannot be read trusts nobody
		}
		if pem := read("key.pub", ""); pem != "" {
			key, err := ParsePublicKey([]byte(pem))
			if err != nil {
				tb.Fatalf("%s: %v", c.name, err)
			}
			c.signer = Signer{Key: key, Logged: true}
		} else {
			c.signer = Signer{Subject: read("identity", beacon), Issuer: read("issuer", github)}
		}
		cases = append(cases, c)
	}
	return cases
}

// TestConformance runs the cases of sigstore-conformance that are here, with nothing but files.
func TestConformance(t *testing.T) {
	for _, c := range conformanceCases(t) {
		t.Run(c.name, func(t *testing.T) {
			a, err := File(c.artifact)
			if err != nil {
				t.Fatal(err)
			}
			res, err := c.root.Verify(c.bundle, a, c.signer)
			if c.mustFail() != (err != nil) {
				t.Errorf("Verify: %v, want failure: %t", err, c.mustFail())
			}
			if err != nil {
				t.Log(err)
				if res.MediaType != "" || res.Statement != nil || res.Identity != nil {
					t.Error("a failed verification says something")
				}
			}
		})
	}
}
