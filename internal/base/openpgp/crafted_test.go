package openpgp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// What gpg refuses to make is made here with the library.

func config(when time.Time) *packet.Config {
	return &packet.Config{Time: func() time.Time { return when }, Algorithm: packet.PubKeyAlgoEdDSA, Curve: packet.Curve25519}
}

// entity makes a key with a subkey that signs.
func entity(t testing.TB, name string) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.com", config(today.AddDate(0, 0, -10)))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.AddSigningSubkey(config(today.AddDate(0, 0, -10))); err != nil {
		t.Fatal(err)
	}
	return e
}

// armoured writes packets as a certificate.
func armoured(t testing.TB, packets ...interface{ Serialize(io.Writer) error }) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, p := range packets {
		if err := p.Serialize(&b); err != nil {
			t.Fatal(err)
		}
	}
	return wrap("PGP PUBLIC KEY BLOCK", b.Bytes())
}

func wrap(kind string, b []byte) []byte {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	out.WriteString("-----BEGIN " + kind + "-----\n\n")
	for len(text) > 64 {
		out.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	out.WriteString(text + "\n-----END " + kind + "-----\n")
	return []byte(out.String())
}

// A subkey that its owner did not agree to is nobody's: Mallory's key adopts the subkey with which
// Alice signs.
func TestSubkeyWithoutBackSignature(t *testing.T) {
	alice, mallory := entity(t, "alice"), entity(t, "mallory")
	sub := alice.Subkeys[len(alice.Subkeys)-1]
	var sig bytes.Buffer
	cfg := config(today.AddDate(0, 0, -1))
	cfg.SigningKeyId = sub.PublicKey.KeyId
	if err := openpgp.DetachSign(&sig, []*openpgp.Entity{alice}, strings.NewReader(message), cfg); err != nil {
		t.Fatal(err)
	}
	uid := func(e *openpgp.Entity) *openpgp.Identity {
		for _, u := range e.Identities {
			return u
		}
		return nil
	}
	bind := func(owner *openpgp.Entity, back, sign bool) []byte {
		b := &packet.Signature{Version: 4, SigType: packet.SigTypeSubkeyBinding, PubKeyAlgo: owner.PrimaryKey.PubKeyAlgo,
			CreationTime: today.AddDate(0, 0, -9), IssuerKeyId: &owner.PrimaryKey.KeyId, FlagsValid: true, FlagSign: sign, FlagAuthenticate: !sign}
		b.Hash = sub.Bindings[0].Packet.Hash
		if back {
			b.EmbeddedSignature = &packet.Signature{Version: 4, SigType: packet.SigTypePrimaryKeyBinding, PubKeyAlgo: sub.PublicKey.PubKeyAlgo,
				Hash: b.Hash, CreationTime: b.CreationTime, IssuerKeyId: &sub.PublicKey.KeyId}
			if err := b.EmbeddedSignature.CrossSignKey(sub.PublicKey, owner.PrimaryKey, sub.PrivateKey, cfg); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.SignKey(sub.PublicKey, owner.PrivateKey, cfg); err != nil {
			t.Fatal(err)
		}
		return armoured(t, owner.PrimaryKey, uid(owner), sub.PublicKey, b)
	}
	for _, tt := range []struct {
		name  string
		owner *openpgp.Entity
		back  bool
		sign  bool
		want  error
	}{
		{"Alice's, as it should be", alice, true, true, nil},
		{"Alice's, without a back-signature", alice, false, true, ErrMayNotSign},
		{"Alice's, for logging in only", alice, false, false, ErrMayNotSign},
		{"adopted by Mallory", mallory, false, true, ErrMayNotSign},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseCertificate(bind(tt.owner, tt.back, tt.sign))
			if err != nil {
				t.Fatal(err)
			}
			_, err = ring(c).VerifyBinary(sig.Bytes(), []byte(message), today)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			// The adopted one beside the real one changes nothing for Alice.
			real, err := ParseCertificate(bind(alice, true, true))
			if err != nil {
				t.Fatal(err)
			}
			if info, err := ring(c, real).VerifyBinary(sig.Bytes(), []byte(message), today); err != nil || info.Fingerprint != real.Fingerprint {
				t.Errorf("beside Alice's: %+v, %v", info, err)
			}
		})
	}
}

// A revocation that claims to be the key's own and is not refuses the certificate: it was damaged
// or forged, and either has to be looked at.
func TestBrokenRevocation(t *testing.T) {
	alice, mallory := entity(t, "alice"), entity(t, "mallory")
	revoke := func(by *openpgp.Entity, damage byte) []byte {
		reason := packet.KeyCompromised
		s := &packet.Signature{Version: 4, SigType: packet.SigTypeKeyRevocation, PubKeyAlgo: by.PrimaryKey.PubKeyAlgo,
			Hash: alice.Subkeys[0].Bindings[0].Packet.Hash, CreationTime: today, IssuerKeyId: &by.PrimaryKey.KeyId, RevocationReason: &reason}
		if err := s.RevokeKey(alice.PrimaryKey, by.PrivateKey, config(today)); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := errors.Join(alice.PrimaryKey.Serialize(&b), s.Serialize(&b)); err != nil {
			t.Fatal(err)
		}
		b.Bytes()[b.Len()-1] ^= damage
		return wrap("PGP PUBLIC KEY BLOCK", b.Bytes())
	}
	if _, err := ParseCertificate(revoke(alice, 1)); !errors.Is(err, ErrFormat) {
		t.Errorf("damaged: %v", err)
	}
	for who, e := range map[string]*openpgp.Entity{"alice": alice, "mallory": mallory} {
		c, err := ParseCertificate(revoke(e, 0))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.MaySign(today); errors.Is(err, ErrRevoked) != (who == "alice") {
			t.Errorf("by %s: %v", who, err)
		}
	}
}

// Framing that two readers could read in two ways.
func TestSplit(t *testing.T) {
	for name, b := range map[string]string{
		"no packet":       "\x00",
		"partial length":  "\xc2\xe0a",
		"no length":       "\x8ba",
		"cut short":       "\xc2\x05a",
		"cut in the head": "\xc2",
		"four bytes":      "\xc2\xff\xff\xff\xff\xff",
	} {
		if list, err := split([]byte(b)); err == nil {
			t.Errorf("%s: %v", name, list)
		}
	}
	list, err := split([]byte("\xc2\x01a\x88\x01b\xc2\xff\x00\x00\x00\x01c" + "\xcd\xc0\x00" + strings.Repeat("d", 192)))
	if err != nil || len(list) != 4 || string(list[2].body) != "c" || list[1].tag != tagSignature || len(list[3].body) != 192 {
		t.Errorf("%v, %v", list, err)
	}
}

// FuzzVerify: whatever verifies is the key's own signature over this message and no other.
func FuzzVerify(f *testing.F) {
	cert, sig := seeds(f)
	c, err := ParseCertificate(cert)
	if err != nil {
		f.Fatal(err)
	}
	k := ring(c)
	f.Add(sig)
	f.Add([]byte("-----BEGIN PGP SIGNATURE-----\n\n\n-----END PGP SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := k.Verify(b, []byte(message), today)
		if err != nil {
			return
		}
		if info.Fingerprint != c.Fingerprint {
			t.Errorf("signed by %+v", info)
		}
		if _, err := k.Verify(b, []byte(message+"x"), today); err == nil {
			t.Error("the signature verifies over another message too")
		}
	})
}

// FuzzParseCertificate: what is read has keys with fingerprints, and stays what it is.
func FuzzParseCertificate(f *testing.F) {
	cert, sig := seeds(f)
	f.Add(cert)
	f.Add(sig)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCertificate(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("an error without a name: %v", err)
			}
			return
		}
		prints, materials := c.Keys()
		if len(prints) == 0 || prints[0] != c.Fingerprint || len(prints) != len(materials) || len(prints[0])%8 != 0 {
			t.Errorf("keys %q %q", prints, materials)
		}
		if _, err := ParseCertificate(append(b, 'x')); err == nil {
			t.Error("data after the armour is ignored")
		}
	})
}

// seeds are what gpg made: a certificate with a subkey, and a signature over message.
func seeds(tb testing.TB) (cert, sig []byte) {
	tb.Helper()
	for name, to := range map[string]*[]byte{"testdata/cert.asc": &cert, "testdata/sig.asc": &sig} {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		*to = b
	}
	return cert, sig
}

func BenchmarkParseCertificate(b *testing.B) {
	cert, _ := seeds(b)
	for b.Loop() {
		if _, err := ParseCertificate(cert); err != nil {
			b.Fatal(err)
		}
	}
}
