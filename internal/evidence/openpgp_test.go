package evidence

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/openpgp"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A pgpKey signs with a key of its own, as gpg would.
type pgpKey struct {
	*pgp.Entity
	cert *openpgp.Certificate
}

func newPGP(t *testing.T, lifetime time.Duration) pgpKey {
	t.Helper()
	cfg := &packet.Config{Time: func() time.Time { return now.Add(-time.Hour) }, KeyLifetimeSecs: uint32(lifetime / time.Second)}
	e, err := pgp.NewEntity("Ada", "", "ada@example.com", cfg)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	text := "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"
	for raw := base64.StdEncoding.EncodeToString(b.Bytes()); raw != ""; raw = raw[min(64, len(raw)):] {
		text += raw[:min(64, len(raw))] + "\n"
	}
	cert, err := openpgp.ParseCertificate([]byte(text + "-----END PGP PUBLIC KEY BLOCK-----"))
	if err != nil {
		t.Fatal(err)
	}
	return pgpKey{e, cert}
}

func (k pgpKey) Fingerprint() string { return "openpgp:" + k.cert.Fingerprint }

func (k pgpKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	var b bytes.Buffer
	err := pgp.DetachSign(&b, []*pgp.Entity{k.Entity}, bytes.NewReader(message), &packet.Config{Time: func() time.Time { return now }})
	return b.Bytes(), err
}

// verifier is how internal/app joins the two packages.
func (k pgpKey) verifier(at time.Time) OpenPGPVerifier {
	var ring openpgp.Keyring
	ring.Add(k.cert)
	return func(sig, message []byte) (string, error) {
		info, err := ring.VerifyBinary(sig, message, at)
		if err != nil {
			return "", err
		}
		return "openpgp:" + info.Fingerprint, nil
	}
}

func TestVerifyOpenPGP(t *testing.T) {
	k, other := newPGP(t, 2*time.Hour), newPGP(t, 0)
	ada := sallyport.Principal{Kind: sallyport.Person, Name: "ada"}
	raw, err := SignOpenPGP(t.Context(), approvalStatement(t, now), k)
	if err != nil {
		t.Fatal(err)
	}
	hint := func(s string) []byte {
		return editBundle(t, raw, func(b map[string]any) {
			b["verificationMaterial"] = map[string]any{"publicKey": map[string]any{"hint": s}}
		})
	}
	tampered := editBundle(t, raw, func(b map[string]any) {
		payload, err := sallyport.EncodeJSON(approvalStatement(t, now.Add(-time.Minute)))
		if err != nil {
			t.Fatal(err)
		}
		envelopeOf(b)["payload"] = b64(string(payload))
	})
	entry := func(k pgpKey, types ...string) Key {
		return Key{Name: "ada", Principal: ada, Types: types, Grade: sallyport.Declared, OpenPGP: k.Fingerprint()}
	}
	good := entry(k, predicate.ApprovalType)
	ended := good
	ended.NotAfter = now.Add(-time.Minute)
	present := good
	present.Grade = sallyport.Present
	for _, tt := range []struct {
		name string
		raw  []byte
		key  Key
		at   time.Time
		want error
	}{
		{"good", raw, good, now, nil},
		{"a roster that calls it present", raw, present, now, nil},
		{"tampered", tampered, good, now, ErrSignature},
		{"the key has expired", raw, good, now.Add(time.Hour), ErrSignature},
		{"the roster ends it", raw, ended, now, ErrExpired},
		{"hint of another key", hint(other.Fingerprint()), good, now, ErrSignature},
		{"hint of no kind", hint("x" + k.Fingerprint()), good, now, ErrUnknownKey},
		{"not in the roster", raw, entry(other, predicate.ApprovalType), now, ErrUnknownKey},
		{"for another type", raw, entry(k, testType), now, ErrNotAllowed},
		{"two keys in one entry", raw, Key{Name: "ada", Principal: ada, Types: []string{predicate.ApprovalType}, Grade: sallyport.Declared, OpenPGP: k.Fingerprint(), Public: newEd25519(t).Public()}, now, ErrUnknownKey},
	} {
		v := NewVerifier([]Key{tt.key}, tt.at)
		if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: tt.raw}); err == nil {
			t.Errorf("%s: verifies without an OpenPGP verifier", tt.name)
		}
		v.OpenPGP = k.verifier(tt.at)
		ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: tt.raw})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err == nil && (ev.Grade != sallyport.Declared || ev.Signer != ada || ev.Key != k.Fingerprint()) {
			t.Errorf("%s: %+v", tt.name, ev)
		}
	}
}

// A signer that fails, or names no OpenPGP key, makes no bundle.
func TestSignOpenPGPRefuses(t *testing.T) {
	for name, s := range map[string]OpenPGPSigner{"no OpenPGP key": fixed{"SHA256:x", nil}, "fails": fixed{"openpgp:x", errors.New("no card")}} {
		if b, err := SignOpenPGP(t.Context(), approvalStatement(t, now), s); err == nil || b != nil {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
}

type fixed struct {
	name string
	err  error
}

func (f fixed) Fingerprint() string { return f.name }
func (f fixed) Sign(context.Context, []byte) ([]byte, error) {
	return []byte(strings.Repeat("x", 8)), f.err
}
