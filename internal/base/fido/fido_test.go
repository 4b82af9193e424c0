package fido_test

import (
	"bytes"
	"crypto"
	"errors"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/fido"
	"github.com/sallyport-dev/sallyport/internal/base/fido/fidotest"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const challenge = "sallyport:alice:bob:0123456789abcdef"

func options(t testing.TB, m *fidotest.Maker, key crypto.Signer) fido.Options {
	t.Helper()
	roots, err := fido.ParseRoots(m.Roots())
	if err != nil {
		t.Fatal(err)
	}
	return fido.Options{PublicKey: key.Public(), Application: "ssh:", Challenge: []byte(challenge), Roots: roots, Now: now}
}

func TestVerify(t *testing.T) {
	m, other := fidotest.NewMaker(t, now), fidotest.NewMaker(t, now)
	_, foreign, _ := m.Make(fidotest.Order{Challenge: challenge})
	for _, tt := range []struct {
		name  string
		order fidotest.Order
		edit  func(*fido.Options)
		want  error
	}{
		{"packed, Ed25519", fidotest.Order{}, nil, nil},
		{"U2F, P-256", fidotest.Order{U2F: true}, nil, nil},
		{"the model is accepted", fidotest.Order{}, func(o *fido.Options) { o.Models = []string{fidotest.AAGUID} }, nil},
		{"another model", fidotest.Order{}, func(o *fido.Options) { o.Models = []string{"00000000-0000-0000-0000-000000000000"} }, fido.ErrModel},
		{"the certificate is of another model", fidotest.Order{CertModel: bytes.Repeat([]byte{1}, 16)}, nil, fido.ErrModel},
		{"another challenge", fidotest.Order{Challenge: "sallyport:alice:bob:x"}, nil, fido.ErrSignature},
		{"no challenge", fidotest.Order{}, func(o *fido.Options) { o.Challenge = nil }, fido.ErrSignature},
		{"nobody touched it", fidotest.Order{Untouched: true}, nil, fido.ErrSignature},
		{"another key", fidotest.Order{}, func(o *fido.Options) { o.PublicKey = foreign.Public() }, fido.ErrKey},
		{"no key", fidotest.Order{}, func(o *fido.Options) { o.PublicKey = nil }, fido.ErrKey},
		{"another application", fidotest.Order{App: "ssh:other"}, nil, fido.ErrKey},
		{"another maker", fidotest.Order{}, func(o *fido.Options) { o.Roots, _ = fido.ParseRoots(other.Roots()) }, fido.ErrUntrusted},
		{"no maker", fidotest.Order{}, func(o *fido.Options) { o.Roots = nil }, fido.ErrUntrusted},
		{"the device's certificate has run out", fidotest.Order{Lifetime: 24 * time.Hour}, nil, fido.ErrUntrusted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.order.Challenge == "" {
				tt.order.Challenge = challenge
			}
			_, key, b := m.Make(tt.order)
			a, err := fido.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			o := options(t, m, key)
			if tt.edit != nil {
				tt.edit(&o)
			}
			info, err := a.Verify(o)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %+v, %v, want %v", info, err, tt.want)
			}
			if err != nil && info != (fido.Info{}) || err == nil && info.Maker == "" {
				t.Errorf("got %+v, %v", info, err)
			}
			if want := (map[bool]string{false: fidotest.AAGUID, true: "00000000-0000-0000-0000-000000000000"})[tt.order.U2F]; err == nil && info.AAGUID != want {
				t.Errorf("model %s, want %s", info.AAGUID, want)
			}
		})
	}
}

// A file of which one byte changed is of nobody.
func TestEveryByteCounts(t *testing.T) {
	m := fidotest.NewMaker(t, now)
	for _, u2f := range []bool{false, true} {
		_, key, b := m.Make(fidotest.Order{Challenge: challenge, U2F: u2f})
		o := options(t, m, key)
		for i := range b {
			if i >= len(b)-8 && i < len(b)-4 {
				continue // reserved flags, which nobody signs
			}
			edited := bytes.Clone(b)
			edited[i] ^= 1
			a, err := fido.Parse(edited)
			if err != nil {
				continue
			}
			// U2F signs neither the flags nor the counter nor the model that OpenSSH makes up for it.
			if info, err := a.Verify(o); err == nil && !u2f {
				t.Errorf("byte %d: %+v", i, info)
			} else if err == nil && info.AAGUID == fidotest.AAGUID {
				t.Errorf("byte %d: a model out of nothing", i)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	_, _, good := fidotest.NewMaker(t, now).Make(fidotest.Order{Challenge: challenge})
	for name, b := range map[string][]byte{
		"nothing":       nil,
		"data after it": append(bytes.Clone(good), 0),
		"cut short":     good[:len(good)-1],
		"too large":     make([]byte, fido.MaxSize+1),
		"an old one":    bytes.Replace(good, []byte("attest-v01"), []byte("attest-v00"), 1),
	} {
		if _, err := fido.Parse(b); !errors.Is(err, fido.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string]string{"nothing": "", "no PEM": "hello", "a key": "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n"} {
		if _, err := fido.ParseRoots([]byte(b)); !errors.Is(err, fido.ErrFormat) {
			t.Errorf("roots, %s: %v", name, err)
		}
	}
}

// FuzzParse: what verifies is of the key that was asked about.
func FuzzParse(f *testing.F) {
	m := fidotest.NewMaker(f, now)
	_, key, good := m.Make(fidotest.Order{Challenge: challenge})
	_, _, old := m.Make(fidotest.Order{Challenge: challenge, U2F: true})
	f.Add(good)
	f.Add(old)
	o := options(f, m, key)
	_, stranger, _ := m.Make(fidotest.Order{Challenge: challenge})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := fido.Parse(b)
		if err != nil {
			if !errors.Is(err, fido.ErrFormat) {
				t.Errorf("an error without a name: %v", err)
			}
			return
		}
		p := o
		p.PublicKey = stranger.Public()
		if info, err := a.Verify(p); err == nil {
			t.Errorf("a key that no device made is attested: %+v", info)
		}
	})
}
