package identity

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/fido/fidotest"
)

func TestAttestedKeys(t *testing.T) {
	m, other := fidotest.NewMaker(t, now), fidotest.NewMaker(t, now)
	const challenge = "sallyport:alice:bob:0123456789abcdef"
	made := fidotest.Order{Challenge: challenge}
	for _, tt := range []struct {
		name       string
		order      fidotest.Order
		challenge  string // in the roster
		enrolledBy string
		makers     string
		want       string // the grade, or a part of the error
	}{
		{"attested", made, challenge, "bob", "roots: m.pem", "attested"},
		{"attested, of the model", made, challenge, "bob", "roots: m.pem, models: [" + fidotest.AAGUID + "]", "attested"},
		{"U2F", fidotest.Order{Challenge: challenge, U2F: true}, challenge, "bob", "roots: m.pem", "attested"},
		{"no attestation", made, "", "bob", "roots: m.pem", "present"},
		{"another model", made, challenge, "bob", `roots: m.pem, models: ["00000000-0000-0000-0000-000000000000"]`, "model of the security key"},
		{"another maker", made, challenge, "bob", "roots: other.pem", "of no maker"},
		{"no maker", made, challenge, "bob", "", "no maker is trusted"},
		{"another challenge", made, "sallyport:alice:bob:fedcba9876543210", "bob", "roots: m.pem", "this key and this challenge"},
		{"a challenge for somebody else", fidotest.Order{Challenge: "sallyport:bob:carol:0123456789abcdef"}, "sallyport:bob:carol:0123456789abcdef", "bob", "roots: m.pem", "want \"sallyport:alice:bob:\""},
		{"a challenge that nobody chose", fidotest.Order{Challenge: "sallyport:alice:bob:"}, "sallyport:alice:bob:", "bob", "roots: m.pem", "at least 16 characters"},
		{"enrolled by nobody", made, challenge, "", "roots: m.pem", "enrolled by nobody"},
		{"models without roots", made, "", "bob", "models: [" + fidotest.AAGUID + "]", "nobody vouches"},
		{"a model that is none", made, "", "bob", "roots: m.pem, models: [YubiKey]", "want each AAGUID once"},
		{"roots that are not there", made, "", "bob", "roots: x.pem", "is not under"},
		{"roots that are none", made, "", "bob", "roots: k.att", "roots: want"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			public, _, att := m.Make(tt.order)
			files := map[string][]byte{".sallyport/m.pem": m.Roots(), ".sallyport/other.pem": other.Roots(), ".sallyport/k.att": att}
			for _, place := range []string{"file: k.att", "data: " + base64.StdEncoding.EncodeToString(att)} {
				text := "version: 1\nsecurity_keys: {" + tt.makers + "}\npersons:\n- id: bob\n- id: carol\n- id: alice\n  keys:\n  - key: " + public + "\n"
				if tt.enrolledBy != "" {
					text += "    enrolled_by: " + tt.enrolledBy + "\n"
				}
				if tt.challenge != "" {
					text += fmt.Sprintf("    attestation: {challenge: %q, %s}\n", tt.challenge, place)
				}
				r, err := ParseRosterFiles([]byte(text), files)
				if err != nil {
					if !strings.Contains(err.Error(), tt.want) {
						t.Errorf("%v, want %q", err, tt.want)
					}
					continue
				}
				k := r.Keys()[0]
				if got := k.Grade(true, now); string(got) != tt.want {
					t.Errorf("grade %s, want %s", got, tt.want)
				}
				if got := k.Grade(false, now); got != sallyport.Declared {
					t.Errorf("untouched: %s", got)
				}
			}
		})
	}
}

// An attestation that names neither a file nor data, or both, and one of an ordinary key.
func TestAttestationRefuses(t *testing.T) {
	const head = "version: 1\npersons:\n- id: bob\n- id: alice\n  keys:\n  - enrolled_by: bob\n    key: "
	public, _, _ := fidotest.NewMaker(t, now).Make(fidotest.Order{})
	const ordinary = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"
	for _, tt := range []struct{ want, text string }{
		{"want one of data and file", head + public + "\n    attestation: {challenge: x}\n"},
		{"want one of data and file", head + public + "\n    attestation: {challenge: x, file: a, data: b}\n"},
		{"is not under", head + public + "\n    attestation: {challenge: x, file: a}\n"},
		{"illegal base64", head + public + "\n    attestation: {challenge: x, data: '*'}\n"},
		{"only a key in a security key", head + ordinary + "\n    attestation: {challenge: 'sallyport:alice:bob:0123456789abcdef', data: AAAA}\n"},
	} {
		if _, err := ParseRoster([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}

// OpenSSH's security key in software attests nothing, and what ssh-keygen writes of it is refused.
func TestSKDummyIsNotAttested(t *testing.T) {
	if _, err := os.Stat(skDummy); err != nil {
		missing(t, skDummy+" (package openssh-tests)")
	}
	dir := t.TempDir()
	const challenge = "sallyport:alice:bob:0123456789abcdef"
	if err := os.WriteFile(filepath.Join(dir, "challenge"), []byte(challenge), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519-sk", "-w", skDummy, "-N", "", "-C", "", "-f", "key",
		"-O", "write-attestation=att", "-O", "challenge=challenge")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	att, readErr := os.ReadFile(filepath.Join(dir, "att"))
	if err != nil || readErr != nil {
		t.Logf("ssh-keygen writes no attestation: %v, %v, %s", err, readErr, out)
		return
	}
	public, err := os.ReadFile(filepath.Join(dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := VerifyKeyAttestation(att, string(public), challenge, nil, nil)
	if err == nil {
		t.Errorf("got %+v", info)
	}
	t.Logf("an attestation of %d bytes: %v", len(att), err)
}
