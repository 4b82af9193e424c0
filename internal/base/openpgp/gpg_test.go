package openpgp

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A gnupg is a real gpg with a home of its own. Its clock stands at when, so that keys of other
// days can be made.
type gnupg struct {
	t    testing.TB
	home string
	when time.Time
}

var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newGPG(t testing.TB) *gnupg {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("gpg is missing (package gnupg)")
		}
		t.Skip("NOT TESTED: gpg is missing (package gnupg)")
	}
	// The agent's socket needs a short path.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	return &gnupg{t, home, today.AddDate(0, 0, -10)}
}

// run runs gpg with input and returns what it printed.
func (g *gnupg) run(input string, args ...string) []byte {
	g.t.Helper()
	out, err := g.try(input, args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

func (g *gnupg) try(input string, args ...string) ([]byte, error) {
	// T+! is no clock that runs: gpg refuses a signature within the second of its key.
	args = append([]string{"--homedir", g.home, "--batch", "--no-tty", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "",
		"--faked-system-time", g.when.UTC().Format("20060102T150405") + "!"}, args...)
	cmd := exec.CommandContext(g.t.Context(), "gpg", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New("gpg " + strings.Join(args[9:], " ") + ": " + err.Error() + "\n" + stderr.String())
	}
	return out, nil
}

// key makes a key and returns its fingerprint.
func (g *gnupg) key(uid, algo, usage, expire string) string {
	g.t.Helper()
	g.run("", "--quick-generate-key", uid, algo, usage, expire)
	return g.fingerprints(uid)[0]
}

// fingerprints returns those of the primary key and its subkeys, in their order.
func (g *gnupg) fingerprints(uid string) (list []string) {
	g.t.Helper()
	for line := range strings.Lines(string(g.run("", "--with-colons", "--list-keys", uid))) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			list = append(list, f[9])
		}
	}
	return list
}

func (g *gnupg) sign(message, with string, args ...string) []byte {
	g.t.Helper()
	return g.run(message, append(args, "--armor", "--detach-sign", "--local-user", with)...)
}

func (g *gnupg) export(uid string) *Certificate {
	g.t.Helper()
	c, err := ParseCertificate(g.run("", "--armor", "--export", uid))
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

// delete takes the user id with this address off a key.
func (g *gnupg) delete(fpr, address string) {
	g.t.Helper()
	n := 0
	for line := range strings.Lines(string(g.run("", "--with-colons", "--list-keys", fpr))) {
		if f := strings.Split(line, ":"); f[0] == "uid" {
			if n++; strings.Contains(f[9], address) {
				g.edit(fpr, "uid "+strconv.Itoa(n), "deluid", "y", "save")
				return
			}
		}
	}
	g.t.Fatalf("no user id with %s", address)
}

// edit plays commands to gpg's key editor.
func (g *gnupg) edit(fpr string, commands ...string) {
	g.t.Helper()
	g.run(strings.Join(commands, "\n")+"\n", "--command-fd", "0", "--edit-key", fpr)
}

func ring(certs ...*Certificate) *Keyring {
	var k Keyring
	for _, c := range certs {
		k.Add(c)
	}
	return &k
}

const message = "tree 0\n\nFix\n"

// What gpg makes verifies, for every kind of key that is accepted.
func TestVerifyGPG(t *testing.T) {
	for _, algo := range []string{"ed25519", "rsa2048", "nistp256", "nistp384", "nistp521"} {
		t.Run(algo, func(t *testing.T) {
			g := newGPG(t)
			fpr := g.key("Alice <alice@example.com>", algo, "sign,cert", "0")
			c := g.export(fpr)
			if c.Fingerprint != fpr {
				t.Errorf("fingerprint %s, gpg says %s", c.Fingerprint, fpr)
			}
			if _, m := c.Keys(); len(m) != 1 || len(m[0]) != 64 {
				t.Errorf("materials %q", m)
			}
			sig := g.sign(message, fpr)
			info, err := ring(c).Verify(sig, []byte(message), today)
			if err != nil || info.Fingerprint != fpr || info.Signer != fpr || !info.Created.Equal(g.when) {
				t.Errorf("got %+v, %v", info, err)
			}
			if info, err := ring(c).Verify(sig, []byte(message+"x"), today); !errors.Is(err, ErrSignature) || info != (Info{}) {
				t.Errorf("over another message: %+v, %v", info, err)
			}
		})
	}
}

// Everything that keeps a key from vouching, each beside the same key and signature without it.
func TestStates(t *testing.T) {
	for _, tt := range []struct {
		name string
		// do makes a signature and a certificate, with or without what the row is about.
		do   func(g *gnupg, fpr string, fault bool) (sig []byte)
		at   time.Time
		want error
	}{
		{name: "unknown key", want: ErrUnknownKey, do: func(g *gnupg, fpr string, fault bool) []byte {
			if fault {
				fpr = g.key("Mallory <mallory@example.com>", "ed25519", "sign,cert", "0")
			}
			return g.sign(message, fpr)
		}},
		{name: "expired key", want: ErrExpired, do: func(g *gnupg, fpr string, fault bool) []byte {
			sig := g.sign(message, fpr)
			if fault {
				g.when = g.when.Add(time.Hour)
				g.run("", "--quick-set-expire", fpr, "5d")
			}
			return sig
		}},
		{name: "expired signature", want: ErrExpired, do: func(g *gnupg, fpr string, fault bool) []byte {
			if fault {
				return g.sign(message, fpr, "--default-sig-expire", "5d")
			}
			return g.sign(message, fpr, "--default-sig-expire", "20d")
		}},
		{name: "a signature of the future", want: ErrNotYet, do: func(g *gnupg, fpr string, fault bool) []byte {
			if fault {
				g.when = today.Add(MaxSkew + time.Minute)
			} else {
				g.when = today.Add(MaxSkew - time.Minute)
			}
			return g.sign(message, fpr)
		}},
		{name: "compromised key, revoked", want: ErrRevoked, do: revokeKey("1")},
		{name: "key revoked without a reason", want: ErrRevoked, do: revokeKey("0")},
		{name: "superseded key", want: ErrRevoked, do: revokeKey("2")},
		{name: "the only user id revoked", want: ErrRevoked, do: func(g *gnupg, fpr string, fault bool) []byte {
			sig := g.sign(message, fpr)
			g.when = g.when.Add(time.Hour)
			g.run("", "--quick-add-uid", fpr, "Temporary <temporary@example.com>")
			if fault {
				g.run("", "--quick-revoke-uid", fpr, "Alice <alice@example.com>")
			}
			g.delete(fpr, "temporary@example.com") // gpg would not revoke the last one
			return sig
		}},
		{name: "a further user id revoked", want: nil, do: func(g *gnupg, fpr string, fault bool) []byte {
			sig := g.sign(message, fpr)
			g.when = g.when.Add(time.Hour)
			g.run("", "--quick-add-uid", fpr, "Alice <alice@home.example>")
			if fault {
				g.run("", "--quick-revoke-uid", fpr, "Alice <alice@home.example>")
			}
			return sig
		}},
		{name: "expired subkey", want: ErrExpired, do: func(g *gnupg, fpr string, fault bool) []byte {
			expire := "0"
			if fault {
				expire = "5d"
			}
			g.run("", "--quick-add-key", fpr, "ed25519", "sign", expire)
			return g.sign(message, g.fingerprints(fpr)[1]+"!")
		}},
		{name: "revoked subkey", want: ErrRevoked, do: func(g *gnupg, fpr string, fault bool) []byte {
			g.run("", "--quick-add-key", fpr, "ed25519", "sign", "0")
			g.run("", "--quick-add-key", fpr, "ed25519", "sign", "0")
			sig := g.sign(message, g.fingerprints(fpr)[1]+"!")
			which := "key 2" // the other one
			if fault {
				which = "key 1"
			}
			g.edit(fpr, which, "revkey", "y", "2", "", "y", "save")
			return sig
		}},
		{name: "subkey of an expired key", want: ErrExpired, do: func(g *gnupg, fpr string, fault bool) []byte {
			g.run("", "--quick-add-key", fpr, "ed25519", "sign", "0")
			sig := g.sign(message, g.fingerprints(fpr)[1]+"!")
			if fault {
				g.when = g.when.Add(time.Hour)
				g.run("", "--quick-set-expire", fpr, "5d")
			}
			return sig
		}},
		{name: "SHA-1", want: ErrWeak, do: func(g *gnupg, fpr string, fault bool) []byte {
			hash := "SHA512"
			if fault {
				hash = "SHA1"
			}
			return g.sign(message, fpr, "--digest-algo", hash, "--allow-weak-digest-algos")
		}},
		{name: "SHA-1 in the self-signature", want: ErrUnbound, do: func(g *gnupg, fpr string, fault bool) []byte {
			sig := g.sign(message, fpr)
			hash := "SHA512"
			if fault {
				hash = "SHA1"
			}
			// The new user id's self-signature is the only one that is left.
			g.run("", "--cert-digest-algo", hash, "--allow-weak-digest-algos", "--quick-add-uid", fpr, "Alice <alice@home.example>")
			g.delete(fpr, "alice@example.com")
			return sig
		}},
		{name: "text signature", want: ErrUnsupported, do: func(g *gnupg, fpr string, fault bool) []byte {
			if fault {
				return g.sign(message, fpr, "--textmode")
			}
			return g.sign(message, fpr)
		}},
		{name: "two signatures in one armour", want: ErrFormat, do: func(g *gnupg, fpr string, fault bool) []byte {
			if fault {
				g.run("", "--quick-add-key", fpr, "ed25519", "sign", "0")
				return g.sign(message, fpr+"!", "--local-user", g.fingerprints(fpr)[1]+"!")
			}
			return g.sign(message, fpr)
		}},
		{name: "critical notation", want: ErrUnsupported, do: func(g *gnupg, fpr string, fault bool) []byte {
			note := "k@example.com=v"
			if fault {
				note = "!" + note
			}
			return g.sign(message, fpr, "--sig-notation", note)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, fault := range []bool{false, true} {
				g := newGPG(t)
				fpr := g.key("Alice <alice@example.com>", "ed25519", "sign,cert", "0")
				sig := tt.do(g, fpr, fault)
				info, err := ring(g.export(fpr)).Verify(sig, []byte(message), today)
				switch {
				case !fault && err != nil:
					t.Errorf("the twin: %v", err)
				case fault && tt.want == nil && err != nil, fault && tt.want != nil && !errors.Is(err, tt.want):
					t.Errorf("got %+v, %v, want %v", info, err, tt.want)
				case fault:
					t.Log(err)
				}
			}
		})
	}
}

// revokeKey signs, and then revokes the key for the reason that gpg numbers so.
func revokeKey(reason string) func(*gnupg, string, bool) []byte {
	return func(g *gnupg, fpr string, fault bool) []byte {
		sig := g.sign(message, fpr)
		if fault {
			g.edit(fpr, "revkey", "y", reason, "", "y", "save")
		}
		return sig
	}
}

// A soft revocation begins at its time, and a hard one has always been there.
func TestRevocationTime(t *testing.T) {
	for _, tt := range []struct {
		reason string
		before error
	}{{"2", nil}, {"3", nil}, {"1", ErrRevoked}, {"0", ErrRevoked}} {
		g := newGPG(t)
		fpr := g.key("Alice <alice@example.com>", "ed25519", "sign,cert", "0")
		sig := g.sign(message, fpr)
		g.when = today
		g.edit(fpr, "revkey", "y", tt.reason, "", "y", "save")
		c := g.export(fpr)
		if _, err := ring(c).Verify(sig, []byte(message), today.Add(-time.Hour)); !errors.Is(err, tt.before) {
			t.Errorf("reason %s, an hour before: %v, want %v", tt.reason, err, tt.before)
		}
		if _, err := ring(c).Verify(sig, []byte(message), today.Add(time.Hour)); !errors.Is(err, ErrRevoked) {
			t.Errorf("reason %s, an hour after: %v", tt.reason, err)
		}
		if err := c.MaySign(today.Add(time.Hour)); !errors.Is(err, ErrRevoked) {
			t.Errorf("MaySign: %v", err)
		}
	}
}

// git signs with gpg, and what it writes verifies.
func TestCommitSignedByGit(t *testing.T) {
	g := newGPG(t)
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git is missing: install it")
	}
	g.when = time.Now().Add(-time.Hour)
	fpr := g.key("Alice <alice@example.com>", "ed25519", "cert", "1y")
	g.run("", "--quick-add-key", fpr, "ed25519", "sign", "1y")
	g.run("", "--quick-add-key", fpr, "cv25519", "encr", "1y")
	c := g.export(fpr)
	dir := t.TempDir()
	git := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "GNUPGHOME="+g.home, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com",
			"GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return out
	}
	git("init", "-q")
	git("config", "user.signingkey", fpr)
	git("commit", "-q", "-S", "--allow-empty", "-m", "Fix\n\nWith a body")
	head, body, _ := strings.Cut(string(git("cat-file", "commit", "HEAD")), "\n\n")
	before, sig, _ := strings.Cut(head, "gpgsig ")
	info, err := ring(c).Verify([]byte(strings.ReplaceAll(sig, "\n ", "\n")), []byte(before+"\n"+body), time.Now())
	if err != nil || info.Fingerprint != fpr || info.Signer == fpr {
		t.Errorf("got %+v, %v", info, err)
	}
}

// Certificates that are refused as a whole.
func TestParseCertificateRefuses(t *testing.T) {
	g := newGPG(t)
	fpr := g.key("Alice <alice@example.com>", "ed25519", "sign,cert", "0")
	good := string(g.run("", "--armor", "--export", fpr))
	other := g.key("Bob <bob@example.com>", "ed25519", "sign,cert", "0")
	for name, text := range map[string]string{
		"two certificates": string(g.run("", "--armor", "--export", fpr, other)),
		"two blocks":       good + string(g.run("", "--armor", "--export", other)),
		"text before":      "hello\n" + good,
		"text after":       good + "hello\n",
		"a secret key":     string(g.run("", "--armor", "--export-secret-keys", fpr)),
		"a signature":      string(g.sign(message, fpr)),
		"cut short":        good[:len(good)/2],
		"nothing":          "",
		"DSA":              string(g.run("", "--armor", "--export", g.key("Carol <carol@example.com>", "dsa2048", "sign,cert", "0"))),
		"RSA of 1024 bits": string(g.run("", "--armor", "--export", g.key("Dave <dave@example.com>", "rsa1024", "sign,cert", "0"))),
		"brainpool":        string(g.run("", "--armor", "--export", g.key("Erin <erin@example.com>", "brainpoolP256r1", "sign,cert", "0"))),
	} {
		if _, err := ParseCertificate([]byte(text)); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseCertificate([]byte(strings.ReplaceAll(good, "\n", "\r\n"))); err != nil {
		t.Errorf("with CRLF: %v", err)
	}
}
