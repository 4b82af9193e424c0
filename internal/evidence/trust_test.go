package evidence

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/keyalg"
)

// The PEM key is the example of RFC 8410; the SSH key is 32 bytes that nobody has a private half of.
const (
	trustSSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHqg6yl2m0q+OZOwFcLZYA3lT8c+O4N1y2hXgcbKZb5U"
	trustPEM = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----`
)

func indent(s string) string { return "      " + strings.ReplaceAll(s, "\n", "\n      ") }

func trustYAML(key string) string {
	return `version: 1
keys:
  - name: runner
    key: |
` + indent(key) + `
    principal: {kind: workload, name: supervisor}
    types:
      - https://sallyport.dev/predicate/agent-run/v0.1
      - https://example.com/test/v1
    grade: observed
    not_before: 2026-01-01T00:00:00Z
    not_after: "2027-01-01T00:00:00+01:00"
`
}

// A day counts whole, in UTC, as in roster.yaml: both as the first and as the last.
func TestTrustedDays(t *testing.T) {
	at := func(s string) time.Time {
		t.Helper()
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct {
		name, before, after string
		first, last         time.Time
	}{
		{"days", "2026-01-01", "2026-12-31", at("2026-01-01T00:00:00Z"), at("2026-12-31T23:59:59.999999999Z")},
		{"one day", "2028-02-29", "2028-02-29", at("2028-02-29T00:00:00Z"), at("2028-02-29T23:59:59.999999999Z")},
		{"quoted days", `"2026-01-01"`, `"2026-12-31"`, at("2026-01-01T00:00:00Z"), at("2026-12-31T23:59:59.999999999Z")},
		{"times", "2026-01-01T12:00:00Z", "2026-01-01T14:00:00+01:00", at("2026-01-01T12:00:00Z"), at("2026-01-01T13:00:00Z")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			y := strings.NewReplacer("2026-01-01T00:00:00Z", tt.before, `"2027-01-01T00:00:00+01:00"`, tt.after).Replace(trustYAML(trustPEM))
			got, err := ParseTrust([]byte(y))
			if err != nil {
				t.Fatal(err)
			}
			if k := got.Keys[0]; !k.NotBefore.Equal(tt.first) || !k.NotAfter.Equal(tt.last) {
				t.Errorf("valid from %v to %v, want %v to %v", k.NotBefore, k.NotAfter, tt.first, tt.last)
			}
		})
	}
}

func TestParseTrust(t *testing.T) {
	got, err := ParseTrust([]byte(trustYAML(trustPEM)))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(trustPEM))
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	k := got.Keys[0]
	if !k.NotAfter.Equal(time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("not_after = %v", k.NotAfter)
	}
	k.NotAfter = time.Time{}
	want := Key{
		Name: "runner", Principal: sallyport.Principal{Kind: sallyport.Workload, Name: "supervisor"},
		Types: []string{"https://sallyport.dev/predicate/agent-run/v0.1", testType}, Grade: sallyport.Observed,
		Public: pub, NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	if !reflect.DeepEqual(k, want) {
		t.Errorf("got  %+v\nwant %+v", k, want)
	}
	got, err = ParseTrust([]byte(trustYAML(trustSSH + " a comment")))
	if err != nil {
		t.Fatal(err)
	}
	if k := got.Keys[0]; k.Public != nil || k.SK || !strings.HasPrefix(k.SSH, "SHA256:") || k.Hint() != k.SSH {
		t.Errorf("SSH key = %+v", k)
	}
	if got, err := ParseTrust([]byte("version: 1\n")); err != nil || len(got.Keys) != 0 {
		t.Errorf("nobody trusted: %v, %v", got, err)
	}
}

func TestParseTrustRefuses(t *testing.T) {
	edit := func(old, repl string) string {
		y := trustYAML(trustPEM)
		if !strings.Contains(y, old) {
			t.Fatalf("%q is not in the file", old)
		}
		return strings.Replace(y, old, repl, 1)
	}
	second := func(name, key string) string {
		_, entry, _ := strings.Cut(trustYAML(key), "keys:\n")
		return trustYAML(trustPEM) + strings.Replace(entry, "runner", name, 1)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(p521.Public())
	if err != nil {
		t.Fatal(err)
	}
	encode := func(typ string, der []byte) string {
		return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})))
	}
	tests := []struct{ name, yaml, says string }{
		{"empty", "", "empty"},
		{"no version", "keys: []\n", "version is 0"},
		{"another version", "version: 2\n", "version is 2"},
		{"unknown key", edit("    grade:", "    rank: x\n    grade:"), "rank"},
		{"key of the file twice", edit("version: 1", "version: 1\nversion: 1"), ""},
		{"two names for one key", second("second", trustPEM), `the key is that of "runner"`},
		{"one name for two keys", second("runner", trustSSH), "stands twice"},
		{"no name", edit("name: runner", `name: ""`), "name is missing"},
		{"name with a newline", edit("name: runner", `name: "a\nb"`), "name is missing"},
		{"no principal", edit("kind: workload", `kind: ""`), "principal.kind"},
		{"unknown kind", edit("kind: workload", "kind: robot"), "principal.kind"},
		{"no principal name", edit("name: supervisor", `name: ""`), "principal.name"},
		{"no types", edit("      - https://sallyport.dev/predicate/agent-run/v0.1\n      - https://example.com/test/v1\n", "      []\n"), "types has 0"},
		{"a pattern", edit("https://example.com/test/v1", "https://example.com/*"), "pattern"},
		{"not a URI", edit("https://example.com/test/v1", "approval"), "not a URI"},
		{"a type twice", edit("https://example.com/test/v1", "https://sallyport.dev/predicate/agent-run/v0.1"), "stands twice"},
		{"no grade", edit("grade: observed", `grade: ""`), "grade"},
		{"present by fiat", edit("grade: observed", "grade: present"), "want declared or observed"},
		{"recomputed by fiat", edit("grade: observed", "grade: recomputed"), "want declared or observed"},
		{"an agent that observes", edit("kind: workload", "kind: agent"), "cannot prove"},
		{"a person who observes", edit("kind: workload", "kind: person"), "cannot prove"},
		{"a day that does not exist", edit("2026-01-01T00:00:00Z", "2026-02-30"), "not_before"},
		{"a time without a zone", edit("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"), "not_before"},
		{"a time that is not quite a day", edit("2026-01-01T00:00:00Z", "2026-1-1"), "not_before"},
		{"an end before the start", edit("2026-01-01T00:00:00Z", "2028-01-01T00:00:00Z"), "before"},
		{"no key", trustYAML(""), "key is missing"},
		{"neither kind of key", trustYAML("hello"), "neither"},
		{"a broken PEM block", trustYAML("-----BEGIN PUBLIC KEY-----\nx"), "PEM"},
		{"a private key", trustYAML(encode("PRIVATE KEY", []byte{1})), "private key"},
		{"a certificate", trustYAML(encode("CERTIFICATE", []byte{1})), "PUBLIC KEY"},
		{"two PEM blocks", trustYAML(trustPEM + "\n" + trustPEM), "more after"},
		{"P-521", trustYAML(encode("PUBLIC KEY", der)), "P-384"},
		{"an SSH key of another type in front", trustYAML(strings.Replace(trustSSH, "ssh-ed25519 ", "ssh-rsa ", 1)), "key"},
		{"an SSH key with options", trustYAML("no-pty " + trustSSH), "key"},
		{"too large", trustYAML(trustPEM) + strings.Repeat("#\n", MaxTrust/2), "too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTrust([]byte(tt.yaml))
			if err == nil || got != nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("ParseTrust = %v, %v; want an error saying %q", got, err, tt.says)
			}
		})
	}
}

// A post-quantum key is told as what it is, and not as a file that is broken.
func TestParseTrustPostQuantum(t *testing.T) {
	der, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}}, asn1.BitString{Bytes: make([]byte, 1952), BitLength: 1952 * 8}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if _, err := ParseTrust([]byte(trustYAML(strings.TrimSpace(text)))); !errors.Is(err, keyalg.ErrRefused) || !strings.Contains(err.Error(), "it is ml-dsa-65, ML-DSA-65 (FIPS 204): no release verifies it yet") {
		t.Errorf("%v", err)
	}
}
