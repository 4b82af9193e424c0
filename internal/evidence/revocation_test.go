package evidence

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
)

// stamped adds timestamps over the signature of a bundle.
func stamped(t *testing.T, raw []byte, by *keylesstest.Authority, at ...time.Time) []byte {
	t.Helper()
	p, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return editBundle(t, raw, func(b map[string]any) {
		var stamps []any
		for _, at := range at {
			stamps = append(stamps, map[string]any{"signedTimestamp": base64.StdEncoding.EncodeToString(by.Stamp(p.envelope.Signature, at))})
		}
		b["verificationMaterial"].(map[string]any)["timestampVerificationData"] = map[string]any{"rfc3161Timestamps": stamps}
	})
}

// What was signed before a revocation counts if that is proven and the key was not compromised.
// No clock of ours has a say, and what the statement or the key's dates say neither.
func TestRevoked(t *testing.T) {
	a, other := keylesstest.New(t, now.Add(-48*time.Hour)), keylesstest.New(t, now.Add(-48*time.Hour))
	priv := newEd25519(t)
	at := now.Add(-time.Hour)
	plain := mustSign(t, statement(commit), priv)
	before, after := stamped(t, plain, a, at.Add(-time.Minute)), stamped(t, plain, a, at.Add(time.Minute))
	foreign := stamped(t, mustSign(t, statement(tree), priv), a, at.Add(-time.Minute))
	moved := editBundle(t, plain, func(b map[string]any) { // the timestamp of another signature
		var from map[string]any
		if err := json.Unmarshal(foreign, &from); err != nil {
			t.Fatal(err)
		}
		b["verificationMaterial"].(map[string]any)["timestampVerificationData"] = from["verificationMaterial"].(map[string]any)["timestampVerificationData"]
	})
	revoke := func(r Reason) *Revocation { return &Revocation{At: at, Reason: r} }
	for _, tt := range []struct {
		name    string
		raw     []byte
		revoked *Revocation
		edit    func(*Key)
		clock   time.Time
		want    error
		says    string
	}{
		{"not revoked", plain, nil, nil, now, nil, ""},
		{"superseded, proven before", before, revoke(Superseded), nil, now, nil, ""},
		{"retired, proven before", before, revoke(Retired), nil, now, nil, ""},
		{"superseded, nothing proven", plain, revoke(Superseded), nil, now, ErrRevoked, "no timestamp or log entry proves"},
		{"superseded, proven after", after, revoke(Superseded), nil, now, ErrRevoked, "it signed this at"},
		{"superseded, proven at the very time", stamped(t, plain, a, at), revoke(Superseded), nil, now, ErrRevoked, "it signed this at"},
		{"superseded, another authority's word", stamped(t, plain, other, at.Add(-time.Minute)), revoke(Superseded), nil, now, ErrRevoked, "no timestamp"},
		{"superseded, another signature's timestamp", moved, revoke(Superseded), nil, now, ErrRevoked, "no timestamp"},
		{"compromised, proven before", before, revoke(Compromised), nil, now, ErrRevoked, "nothing that it signed counts"},
		{"the clock set back", plain, revoke(Superseded), nil, at.Add(-24 * time.Hour), ErrRevoked, "no timestamp"},
		{"the clock set back, compromised", before, revoke(Compromised), nil, at.Add(-24 * time.Hour), ErrRevoked, "nothing"},
		{"expired too, nothing proven", plain, revoke(Superseded), func(k *Key) { k.NotAfter = at }, now, ErrRevoked, "revoked at"},
		{"expired too, proven before both", before, revoke(Superseded), func(k *Key) { k.NotAfter = at }, now, nil, ""},
		{"expired too, proven before the revocation alone", before, revoke(Superseded), func(k *Key) { k.NotAfter = at.Add(-2 * time.Minute) }, now, ErrExpired, "was valid until"},
		{"for another type", before, revoke(Superseded), func(k *Key) { k.Types = []string{VSAType} }, now, ErrNotAllowed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := keyFor(priv.Public())
			k.Revoked = tt.revoked
			if tt.edit != nil {
				tt.edit(&k)
			}
			v := NewVerifier([]Key{k}, tt.clock)
			v.Keyless = keyless(t, a)
			ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: tt.raw})
			if !errors.Is(err, tt.want) || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %+v, %v, want %v saying %q", ev, err, tt.want, tt.says)
			}
			if tt.revoked == nil || err != nil {
				return
			}
			v.Keyless = nil
			if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: tt.raw}); !errors.Is(err, ErrRevoked) {
				t.Errorf("without a trusted root: %v", err)
			}
		})
	}
}

// logged adds a Rekor entry about raw to the bundle onto, which is raw unless the entry is stolen. Only
// bundles of version 0.1 may have an entry with a promise and no proof.
func logged(t *testing.T, onto, raw []byte, pub crypto.PublicKey, by *keylesstest.Authority, at time.Time) []byte {
	t.Helper()
	p, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	entry := by.LogEntry(raw, p.envelope.Payload, p.envelope.Signature, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), at)
	return editBundle(t, onto, func(b map[string]any) {
		b["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
		b["verificationMaterial"].(map[string]any)["tlogEntries"] = []any{entry}
	})
}

// A log's entry proves the time as well, of the signature that it is about and of no other.
func TestRevokedLogged(t *testing.T) {
	a, other := keylesstest.New(t, now.Add(-48*time.Hour)), keylesstest.New(t, now.Add(-48*time.Hour))
	priv, mallory := newEd25519(t), newEd25519(t)
	at := now.Add(-time.Hour)
	k := keyFor(priv.Public())
	k.Revoked = &Revocation{At: at, Reason: Superseded}
	plain, second := mustSign(t, statement(commit), priv), mustSign(t, statement(tree), priv)
	for _, tt := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"logged before", logged(t, plain, plain, priv.Public(), a, at.Add(-time.Minute)), nil},
		{"logged after", logged(t, plain, plain, priv.Public(), a, at.Add(time.Minute)), ErrRevoked},
		{"another log", logged(t, plain, plain, priv.Public(), other, at.Add(-time.Minute)), ErrRevoked},
		{"an entry about another statement", logged(t, plain, second, priv.Public(), a, at.Add(-time.Minute)), ErrRevoked},
		{"an entry about another key", logged(t, plain, plain, mallory.Public(), a, at.Add(-time.Minute)), ErrRevoked},
	} {
		v := NewVerifier([]Key{k}, now)
		v.Keyless = keyless(t, a)
		if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: tt.raw}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// A key that stands in two places and is revoked in one is revoked. What takes something back is
// heard all the same: it opens nothing.
func TestRevokedElsewhere(t *testing.T) {
	priv := newEd25519(t)
	one, two := keyFor(priv.Public()), keyFor(priv.Public())
	two.Types, two.Revoked = []string{VSAType}, &Revocation{At: now.Add(-time.Hour), Reason: Superseded}
	raw := mustSign(t, statement(commit), priv)
	if _, err := NewVerifier([]Key{one}, now).Verify(t.Context(), sallyport.Attestation{Raw: raw}); err != nil {
		t.Fatal(err)
	}
	if _, err := NewVerifier([]Key{one, two}, now).Verify(t.Context(), sallyport.Attestation{Raw: raw}); !errors.Is(err, ErrRevoked) {
		t.Errorf("revoked in the other place: %v", err)
	}
	three := two
	three.Revoked = &Revocation{At: now, Reason: Compromised}
	if k, ok := NewVerifier(nil, now).revocation(signed{keys: []Key{one, two, three}}); !ok || k.Revoked.Reason != Compromised {
		t.Errorf("the strictest is %+v", k.Revoked)
	}
}

func TestParseTrustRevoked(t *testing.T) {
	text := trustYAML(trustPEM) + "    revoked: {at: 2026-03-01T10:00:00+01:00, reason: compromised}\n"
	tr, err := ParseTrust([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if r := tr.Keys[0].Revoked; r == nil || r.Reason != Compromised || !r.At.Equal(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", r)
	}
	for from, to := range map[string][2]string{
		"revoked.at is missing":  {"at: 2026-03-01T10:00:00+01:00, ", ""},
		"revoked.at":             {"2026-03-01T10:00:00+01:00", "yesterday"},
		"revoked.reason is \"\"": {", reason: compromised", ""},
		"want compromised":       {"reason: compromised", "reason: Compromised"},
		"unknown field":          {"reason:", "why: x, reason:"},
	} {
		if _, err := ParseTrust([]byte(strings.Replace(text, to[0], to[1], 1))); err == nil || !strings.Contains(err.Error(), from) {
			t.Errorf("%v, want %q", err, from)
		}
	}
	day := strings.Replace(text, "2026-03-01T10:00:00+01:00", "2026-03-01", 1)
	if tr, err = ParseTrust([]byte(day)); err != nil || !tr.Keys[0].Revoked.At.Equal(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("a day: %v", err)
	}
	if tr, err = ParseTrust([]byte(identity + "    revoked: {at: 2026-03-01, reason: retired}\n")); err != nil || tr.Keys[0].Revoked == nil {
		t.Errorf("an identity: %v", err)
	}
}

// An identity is revoked like a key. Its certificates always prove a time.
func TestRevokedIdentity(t *testing.T) {
	a := keylesstest.New(t, now)
	job := keylesstest.Identity{Subject: gateYML, Issuer: actions, Claims: map[int]string{12: "https://github.com/acme/service"}}
	payload, err := sallyport.EncodeJSON(statement(commit))
	if err != nil {
		t.Fatal(err)
	}
	raw := a.Bundle(payload, keylesstest.Signing{Identity: job, From: now, Stamped: now.Add(time.Minute)})
	for revoked, want := range map[string]error{
		"":                                 nil,
		"2026-05-01T12:02:00Z retired":     nil,
		"2026-05-01T12:00:30Z retired":     ErrRevoked,
		"2026-05-01 superseded":            ErrRevoked,
		"2026-05-02T00:00:00Z compromised": ErrRevoked,
	} {
		text := identity
		if at, reason, ok := strings.Cut(revoked, " "); ok {
			text += "    revoked: {at: " + at + ", reason: " + reason + "}\n"
		}
		trust, err := ParseTrust([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		v := NewVerifier(trust.Keys, now.Add(time.Hour))
		v.Keyless = keyless(t, a)
		if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw}); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", revoked, err, want)
		}
	}
}

// A trusted root may name timestamp authorities alone. No certificate counts under it.
func TestTrustedRootOfTimestamps(t *testing.T) {
	a := keylesstest.New(t, now)
	var doc map[string]any
	if err := json.Unmarshal(a.TrustedRoot(), &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc, "certificateAuthorities")
	read := func() (*Keyless, error) {
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return ParseTrustedRoot(b)
	}
	k, err := read()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := sallyport.EncodeJSON(statement(commit))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := ParseTrust([]byte(identity))
	if err != nil {
		t.Fatal(err)
	}
	job := keylesstest.Identity{Subject: gateYML, Issuer: actions, Claims: map[int]string{12: "https://github.com/acme/service"}}
	raw := a.Bundle(payload, keylesstest.Signing{Identity: job, From: now, Stamped: now.Add(time.Minute)})
	for _, want := range []error{nil, ErrSignature} {
		v := NewVerifier(trust.Keys, now.Add(time.Hour))
		v.Keyless = keyless(t, a)
		if want != nil {
			v.Keyless = k
		}
		if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw}); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	delete(doc, "timestampAuthorities")
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "no certificate authority and no timestamp authority") {
		t.Errorf("a root that names neither: %v", err)
	}
}

// What a key signed before its end counts after it as well, if something other than the signer proves
// that it did: an end by plan is no reason to lose the past. Nothing else counts.
func TestEnded(t *testing.T) {
	a, other := keylesstest.New(t, now.Add(-48*time.Hour)), keylesstest.New(t, now.Add(-48*time.Hour))
	priv := newEd25519(t)
	end := now.Add(-time.Hour)
	plain := mustSign(t, statement(commit), priv)
	for _, tt := range []struct {
		name  string
		raw   []byte
		clock time.Time
		begin time.Time
		want  error
	}{
		{"before its end, by the gate's clock", plain, end.Add(-time.Minute), time.Time{}, nil},
		{"after it, nothing proven", plain, now, time.Time{}, ErrExpired},
		{"after it, proven before", stamped(t, plain, a, end.Add(-time.Minute)), now, time.Time{}, nil},
		{"after it, proven at the very end", stamped(t, plain, a, end), now, time.Time{}, nil},
		{"after it, proven after", stamped(t, plain, a, end.Add(time.Minute)), now, time.Time{}, ErrExpired},
		{"after it, proven before its beginning", stamped(t, plain, a, end.Add(-time.Hour)), now, end.Add(-30 * time.Minute), ErrExpired},
		{"after it, another authority's word", stamped(t, plain, other, end.Add(-time.Minute)), now, time.Time{}, ErrExpired},
		{"proven, before its beginning by the gate's clock", stamped(t, plain, a, end.Add(-time.Minute)), end.Add(-time.Hour), end.Add(-30 * time.Minute), ErrExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := keyFor(priv.Public())
			k.NotBefore, k.NotAfter = tt.begin, end
			v := NewVerifier([]Key{k}, tt.clock)
			v.Keyless = keyless(t, a)
			if ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: tt.raw}); !errors.Is(err, tt.want) {
				t.Errorf("got %+v, %v, want %v", ev, err, tt.want)
			}
		})
	}
}

// One key written as PEM and as an SSH line has two hints, and is one key: revoked in one, it is
// revoked in both, whichever entry the signature names.
func TestRevokedInEverySpelling(t *testing.T) {
	priv := newEd25519(t)
	der, err := x509.MarshalPKIXPublicKey(priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sshsig.NewSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	entry := func(name, key, more string) string {
		return "  - name: " + name + "\n    key: |\n" + indent(strings.TrimSpace(key)) + "\n    principal: {kind: workload, name: ci}\n    types: [" + testType + "]\n    grade: declared\n" + more
	}
	const revoked = "    revoked: {at: 2026-03-01, reason: compromised}\n"
	withPEM := mustSign(t, statement(commit), priv)
	withSSH, err := SignSSH(t.Context(), statement(commit), signer)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		pem, ssh string
		want     error
	}{
		{"neither", "", "", nil}, {"the PEM block", revoked, "", ErrRevoked}, {"the SSH line", "", revoked, ErrRevoked},
	} {
		trust, err := ParseTrust([]byte("version: 1\nkeys:\n" + entry("one", asPEM, tt.pem) + entry("two", signer.PublicKey(), tt.ssh)))
		if err != nil {
			t.Fatal(err)
		}
		v := NewVerifier(trust.Keys, now)
		v.SSH = openSSH
		for as, raw := range map[string][]byte{"PEM": withPEM, "SSH": withSSH} {
			if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw}); !errors.Is(err, tt.want) {
				t.Errorf("%s revoked, signed as %s: %v, want %v", tt.name, as, err, tt.want)
			}
		}
	}
}
