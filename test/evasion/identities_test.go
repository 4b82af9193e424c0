package evasion

import (
	"bytes"
	"encoding/base64"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
	"github.com/sallyport-dev/sallyport/test/scene"
)

const (
	daves  = "  - id: dave\n"
	roster = ".sallyport/roster.yaml"

	// Ordinary keys count here, so that a row is about its own attack.
	declaring = scene.Config + "data:\n  person_grades: [present, declared]\n"

	issuer = "https://accounts.example.com"
)

// identities are attacks with OpenPGP keys and with certificates.
var identities = []row{
	{
		name: "expired OpenPGP key", attack: "a commit is signed with a key that has expired since", from: plain,
		do: openPGP(func(e *pgp.Entity, attack bool) { expire(e, attack) }), status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "revoked OpenPGP key", attack: "a commit is signed, and back-dated, with a key that was revoked as compromised", from: plain,
		do: openPGP(func(e *pgp.Entity, attack bool) {
			if attack {
				must(e.Revoke(packet.KeyCompromised, "stolen", at(-time.Minute)))
			}
		}), status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "OpenPGP subkey without back-signature", attack: "a certificate adopts a subkey whose key never agreed", from: plain,
		do: openPGP(func(e *pgp.Entity, attack bool) {
			sub := &e.Subkeys[len(e.Subkeys)-1]
			if attack {
				b := *sub.Bindings[0].Packet
				b.EmbeddedSignature = nil
				must(b.SignKey(sub.PublicKey, e.PrivateKey, at(-time.Hour)))
				sub.Bindings[0] = packet.NewVerifiableSig(&b)
			}
		}), status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "identity of another issuer", attack: "a certificate names a person, known by an issuer that anybody can run", from: plain,
		do:     keyless(func(s *keylesstest.Signing) { s.Identity.Issuer = "https://issuer.attacker.example" }),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "certificate outside its validity", attack: "a commit is signed with the key of a certificate that had run out by then", from: plain,
		do:     keyless(func(s *keylesstest.Signing) { s.Stamped = s.From.Add(s.Lifetime + time.Hour) }),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "certificate without a time", attack: "nothing proves that a commit was signed while its certificate was valid", from: plain,
		do:     keyless(func(s *keylesstest.Signing) { s.Stamped = time.Time{} }),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
}

// openPGP plays a line that Dave commits and signs with the OpenPGP key that the roster names, after
// edit had it.
func openPGP(edit func(e *pgp.Entity, attack bool)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		s.TB.Helper()
		e, err := pgp.NewEntity("Dave", "", "dave@example.com", at(-time.Hour))
		must(err)
		must(e.AddSigningSubkey(at(-time.Hour)))
		// Signed before the certificate is edited: the library signs with no key that is not good.
		sign := func(raw []byte) []byte {
			var b bytes.Buffer
			must(pgp.DetachSign(&b, []*pgp.Entity{e}, bytes.NewReader(raw), at(-30*time.Minute)))
			return armour("PGP SIGNATURE", b.Bytes())
		}
		edited := *e
		edited.Subkeys = append([]pgp.Subkey(nil), e.Subkeys...)
		for i := range edited.Subkeys {
			edited.Subkeys[i].Bindings = append([]*packet.VerifiableSignature(nil), e.Subkeys[i].Bindings...)
		}
		edit(&edited, attack)
		var b bytes.Buffer
		must(edited.Serialize(&b))
		cert := strings.ReplaceAll(strings.TrimSpace(string(armour("PGP PUBLIC KEY BLOCK", b.Bytes()))), "\n", "\n          ")
		return halve(s, "    openpgp:\n      - certificate: |\n          "+cert+"\n", nil, sign)
	}
}

// keyless plays a line that Dave commits and signs with a certificate, as gitsign does.
func keyless(edit func(*keylesstest.Signing)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		s.TB.Helper()
		now := time.Now().Add(-2 * time.Hour)
		a := keylesstest.New(s.TB, now)
		signing := keylesstest.Signing{From: now, Stamped: now.Add(time.Minute), Lifetime: 10 * time.Minute,
			Identity: keylesstest.Identity{Subject: "dave@example.com", Issuer: issuer}}
		if attack {
			edit(&signing)
		}
		return halve(s, "    identities: [{issuer: "+issuer+", subject: dave@example.com}]\n",
			map[string]string{".sallyport/trusted_root.json": string(a.TrustedRoot())},
			func(raw []byte) []byte { return a.Sign(raw, signing) })
	}
}

// halve stages a repository whose roster says more of Dave, and lets Dave commit a line there.
func halve(s *scene.Scene, more string, files map[string]string, sign func([]byte) []byte) scene.Verdict {
	s.TB.Helper()
	all := map[string]string{configFile: declaring, roster: strings.Replace(s.Read(roster), daves, daves+more, 1)}
	for path, content := range files {
		all[path] = content
	}
	s = s.Restage(s.TB, scene.Options{Files: all})
	s.Git("switch", "-q", "-c", "work")
	s.Append("util.py", helper)
	s.ResignWith(s.CommitAs(scene.Who(scene.Dave), "Halve"), sign)
	return s.Check()
}

// expire lets a key end half a minute ago.
func expire(e *pgp.Entity, attack bool) {
	if !attack {
		return
	}
	life := uint32(59 * 60)
	for name, u := range e.Identities {
		c := *u.SelfCertifications[0].Packet
		c.KeyLifetimeSecs = &life
		must(c.SignUserId(u.Name, e.PrimaryKey, e.PrivateKey, at(-time.Hour)))
		n := *u
		n.SelfCertifications = []*packet.VerifiableSignature{packet.NewVerifiableSig(&c)}
		e.Identities = map[string]*pgp.Identity{name: &n}
	}
}

// at is the library's configuration at a time from now.
func at(d time.Duration) *packet.Config {
	now := time.Now().Add(d)
	return &packet.Config{Time: func() time.Time { return now }}
}

func armour(kind string, b []byte) []byte {
	out := "-----BEGIN " + kind + "-----\n\n"
	for text := base64.StdEncoding.EncodeToString(b); text != ""; text = text[min(64, len(text)):] {
		out += text[:min(64, len(text))] + "\n"
	}
	return []byte(out + "-----END " + kind + "-----\n")
}

// must is for what cannot fail with the constant arguments of these rows.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
