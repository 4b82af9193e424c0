package identity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/openpgp"
)

// certificate returns what gpg made: Alice's certificate, as it is, expired or revoked.
func certificate(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("../base/openpgp/testdata", name+".asc"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// signOpenPGP replaces the commit's content by what gpg signed with Alice's key.
func signOpenPGP(c *sallyport.Commit) {
	sig, err := os.ReadFile("../base/openpgp/testdata/sig.asc")
	if err != nil {
		panic(err)
	}
	c.SignatureKind, c.Signature, c.Signed = "openpgp", sig, []byte("tree 0\n\nFix\n")
}

// indented is text as a YAML block of that depth.
func indented(text string, depth int) string {
	pad := strings.Repeat(" ", depth)
	return "|\n" + pad + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+pad)
}

const roster2 = `version: 1
persons:
  - id: alice
    emails: [alice@example.com, alice@home.example]
    roles: [reviewer]
%s
  - id: bob
    emails: [bob@example.com]
%s
`

func TestOpenPGPCommits(t *testing.T) {
	for _, tt := range []struct {
		name, cert, more string
		change           func(*sallyport.Commit)
		want, state, why string
	}{
		{"good", "cert", "", nil, "person:alice at declared", sallyport.SignatureGood, "an ordinary key of alice"},
		{"expired", "cert-expired", "", nil, ": at ", sallyport.SignatureExpired, "expired: key"},
		{"revoked", "cert-revoked", "", nil, ": at ", sallyport.SignatureRevoked, "revoked: key"},
		{"ended by the roster", "cert", "        not_after: 2026-11-22", nil, ": at ", sallyport.SignatureExpired, "counted until 2026-11-22"},
		{"not ended yet", "cert", "        not_after: 2026-11-23", nil, "person:alice at declared", sallyport.SignatureGood, ""},
		{"one byte changed", "cert", "", func(c *sallyport.Commit) { c.Signed = append(c.Signed, '.') }, ": at ", sallyport.SignatureBad, "does not verify"},
		{"another author", "cert", "", func(c *sallyport.Commit) { c.Author = ident("Bob <bob@example.com>") }, ": at ", sallyport.SignatureGood, "signed by alice, but the author is"},
		{"rubbish", "cert", "", func(c *sallyport.Commit) { c.Signature = []byte("-----BEGIN PGP SIGNATURE-----\n") }, ": at ", sallyport.SignatureBad, "malformed"},
		{"an old kind of armour", "cert", "", func(c *sallyport.Commit) { c.Signature = []byte("-----BEGIN PGP MESSAGE-----\n") }, ": at ", sallyport.SignatureUnsupported, "unsupported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := fmt.Sprintf(roster2, "    openpgp:\n      - certificate: "+indented(certificate(t, tt.cert), 10)+"\n"+tt.more, "")
			r, err := ParseRoster([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			co := &sallyport.Commit{ID: sallyport.GitCommit(strings.Repeat("a", 40)), Author: ident(alice), Committer: ident(alice), Message: "Fix\n"}
			signOpenPGP(co)
			if tt.change != nil {
				tt.change(co)
			}
			got := New(r, now).Commit(co)
			a := got.Attribution
			if s := fmt.Sprintf("%s:%s at %s", a.Principal.Kind, a.Principal.Name, a.Grade); s != tt.want {
				t.Errorf("attributed to %q, want %q; why: %q", s, tt.want, a.Why)
			}
			if got.SignatureCheck.State != tt.state || !strings.Contains(strings.Join(a.Why, "\n"), tt.why) {
				t.Errorf("%+v, %q", got.SignatureCheck, a.Why)
			}
			// Whose key it is may not approve, whether the key counts or not.
			if owned := tt.state == sallyport.SignatureExpired || tt.state == sallyport.SignatureRevoked; owned && !strings.Contains(strings.Join(got.Claimed, " "), "alice") {
				t.Errorf("claimed %q", got.Claimed)
			}
		})
	}
}

func TestX509Commits(t *testing.T) {
	const issuer = "https://accounts.example.com"
	text := fmt.Sprintf(roster2, "    identities: [{issuer: "+issuer+", subject: alice@example.com}]", "    identities: [{issuer: "+issuer+", subject: bob@example.com}]") + `bots:
  - id: ci
    emails: [ci@example.com]
    identities: [{issuer: https://token.actions.example.com, subject: "https://github.com/acme/service/.github/workflows/update.yml@refs/heads/main"}]
    scope: [go.mod]
    expires: 2027-01-01
  - id: oldci
    emails: [oldci@example.com]
    identities: [{issuer: https://token.actions.example.com, subject: "https://github.com/acme/service/.github/workflows/old.yml@refs/heads/main"}]
    scope: [go.mod]
    expires: 2026-01-01
`
	r, err := ParseRoster([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const workflow = "https://github.com/acme/service/.github/workflows/"
	for _, tt := range []struct {
		name, author string
		info         X509Info
		err          error
		want, state  string
	}{
		{"good", alice, X509Info{issuer, "alice@example.com"}, nil, "person:alice at declared", sallyport.SignatureGood},
		{"another issuer", alice, X509Info{"https://evil.example.com", "alice@example.com"}, nil, ": at ", sallyport.SignatureUnknownKey},
		{"another subject", alice, X509Info{issuer, "Alice@example.com"}, nil, ": at ", sallyport.SignatureUnknownKey},
		{"another person", alice, X509Info{issuer, "bob@example.com"}, nil, ": at ", sallyport.SignatureGood},
		{"nobody in it", alice, X509Info{}, nil, ": at ", sallyport.SignatureUnknownKey},
		{"not verified", alice, X509Info{issuer, "alice@example.com"}, ErrX509NotVerified, ": at ", sallyport.SignatureUnsupported},
		{"expired", alice, X509Info{issuer, "alice@example.com"}, ErrX509Expired, ": at ", sallyport.SignatureExpired},
		{"of another authority", alice, X509Info{issuer, "alice@example.com"}, ErrX509Untrusted, ": at ", sallyport.SignatureUnknownKey},
		{"any other error", alice, X509Info{issuer, "alice@example.com"}, errors.New("no"), ": at ", sallyport.SignatureBad},
		{"a bot", "CI <ci@example.com>", X509Info{"https://token.actions.example.com", workflow + "update.yml@refs/heads/main"}, nil, "bot:ci at declared", sallyport.SignatureGood},
		{"a bot from a branch", "CI <ci@example.com>", X509Info{"https://token.actions.example.com", workflow + "update.yml@refs/heads/evil"}, nil, ": at ", sallyport.SignatureUnknownKey},
		{"a bot whose time has run out", "Old <oldci@example.com>", X509Info{"https://token.actions.example.com", workflow + "old.yml@refs/heads/main"}, nil, ": at ", sallyport.SignatureUnknownKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := New(r, now)
			id.X509 = func(sig, message []byte) (X509Info, error) { return tt.info, tt.err }
			co := &sallyport.Commit{Author: ident(tt.author), Committer: ident(tt.author), Message: "Fix\n", SignatureKind: "x509"}
			got := id.Commit(co)
			a := got.Attribution
			if s := fmt.Sprintf("%s:%s at %s", a.Principal.Kind, a.Principal.Name, a.Grade); s != tt.want || got.SignatureCheck.State != tt.state {
				t.Errorf("attributed to %q, want %q; %+v; why: %q", s, tt.want, got.SignatureCheck, a.Why)
			}
		})
	}
}

// What would make one key or identity two persons', or two persons one.
func TestRosterKeysets(t *testing.T) {
	cert := "    openpgp:\n      - certificate: " + indented(certificate(t, "cert"), 10)
	file := "    openpgp: [{file: keys/alice.asc}]"
	files := map[string][]byte{".sallyport/keys/alice.asc": []byte(certificate(t, "cert")), "keys/alice.asc": nil}
	who := "    identities: [{issuer: https://accounts.example.com, subject: alice@example.com}]"
	for _, tt := range []struct{ name, alice, bob, want string }{
		{"certificate", cert, "", ""},
		{"file", file, "", ""},
		{"identity", who, "", ""},
		{"a certificate twice", cert, file, "stands twice, at alice and bob"},
		{"a certificate twice at one person", cert + "\n      - file: keys/alice.asc", "", "stands twice, at alice and alice"},
		{"the same, revoked", cert, "    openpgp:\n      - certificate: " + indented(certificate(t, "cert-revoked"), 10), "stands twice"},
		{"an identity twice", who, who, "stands twice, at alice and bob"},
		{"neither", "    openpgp: [{not_after: 2027-01-01}]", "", "want one of certificate and file"},
		{"both", cert + "\n        file: keys/alice.asc", "", "want one of certificate and file"},
		{"no such file", "    openpgp: [{file: keys/bob.asc}]", "", "is not under .sallyport/"},
		{"a file elsewhere", "    openpgp: [{file: ../keys/alice.asc}]", "", "want a path under .sallyport/"},
		{"an absolute path", "    openpgp: [{file: /etc/passwd}]", "", "want a path under .sallyport/"},
		{"a bad day", cert + "\n        not_after: soon", "", "is not a day"},
		{"rubbish", "    openpgp: [{certificate: AAAA}]", "", "malformed OpenPGP data"},
		{"an issuer without a scheme", "    identities: [{issuer: accounts.example.com, subject: a@example.com}]", "", "is no URL"},
		{"a pattern", "    identities: [{issuer: https://accounts.example.com, subject: \"*@example.com\"}]", "", "whole and exact"},
		{"no subject", "    identities: [{issuer: https://accounts.example.com}]", "", "whole and exact"},
		{"an address of two persons", "", "    logins: {github: x}", ""},
	} {
		r, err := ParseRosterFiles(fmt.Appendf(nil, roster2, tt.alice, tt.bob), files)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (!errors.Is(err, ErrRoster) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		case tt.want == "" && strings.Contains(tt.alice, "openpgp"):
			k := r.OpenPGPKeys()
			if len(k) != 1 || k[0].Person != "alice" || len(r.Keys()) != 0 {
				t.Fatalf("%s: keys %+v", tt.name, k)
			}
			bare := strings.TrimPrefix(k[0].Fingerprint, "openpgp:")
			for _, name := range []string{bare, "0x" + strings.ToLower(bare), k[0].Fingerprint, bare[:20] + " " + bare[20:] + "!"} {
				if p, _, ok := r.PersonByOpenPGP(name); !ok || p.ID != "alice" {
					t.Errorf("%s: nobody has %q", tt.name, name)
				}
			}
			if _, _, ok := r.PersonByOpenPGP(bare[24:]); ok {
				t.Error("a short key id names a key")
			}
		}
	}
}

// One key in another format is one key: two persons may not share it, and one may use it twice.
func TestRosterKeyInTwoFormats(t *testing.T) {
	cert, err := openpgp.ParseCertificate([]byte(certificate(t, "cert")))
	if err != nil {
		t.Fatal(err)
	}
	prints, materials := cert.Keys()
	r := &Roster{}
	alice, bob := owner{kind: sallyport.Person, id: "alice"}, owner{kind: sallyport.Person, id: "bob"}
	for i := range prints {
		if err := errors.Join(r.addMaterial(materials[i], prints[i], alice), r.addMaterial(materials[i], "SHA256:x", alice)); err != nil {
			t.Error(err)
		}
		if err := r.addMaterial(materials[i], "SHA256:x", bob); err == nil || !strings.Contains(err.Error(), "the same key under another name") {
			t.Errorf("Bob's too: %v", err)
		}
	}
}

// A person with two addresses is one person, whichever the author line says.
func TestTwoAddressesOfOnePerson(t *testing.T) {
	c := newCast(t)
	both := c.commit(t, alice, "Fix\n\nCo-authored-by: A <ALICE@home.example>", "alice")
	got := c.Commit(both)
	if got.Attribution.Principal.Name != "alice" {
		t.Errorf("got %+v", got.Attribution)
	}
	n := 0
	for _, id := range got.Claimed {
		if id == "alice" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("alice is claimed %d times: %q", n, got.Claimed)
	}
	for _, text := range []string{
		fmt.Sprintf(roster2, "", "  - id: carol\n    emails: [ALICE@example.com]"),
		fmt.Sprintf(roster2, "", "bots:\n  - {id: b, emails: [alice@home.example], keys: [], scope: [x], expires: 2027-01-01}"),
		fmt.Sprintf(roster2, "", "agents:\n  - {name: a, operators: [bob], emails: [Bob@example.com]}"),
	} {
		if _, err := ParseRoster([]byte(text)); err == nil || !strings.Contains(err.Error(), "stands twice") {
			t.Errorf("one address of two: %v", err)
		}
	}
}
