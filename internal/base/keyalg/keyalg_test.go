package keyalg

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The table names each algorithm once, and says of each whether it is accepted, and why not.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range Table() {
		if seen[a.ID] || a.ID == "" || a.Key == "" || (a.Since == "") == (a.Refused == "") || a.Accepted() != (a.Refused == "") {
			t.Errorf("%+v", a)
		}
		seen[a.ID] = true
		if got, ok := Named(a.ID); !ok || got != a {
			t.Errorf("Named(%s) = %+v", a.ID, got)
		}
	}
	if a, ok := Named("rot13"); ok || a.Accepted() || (Algorithm{}).Accepted() {
		t.Errorf("%+v", a)
	}
}

// Every kind that Go makes has its name; the accepted ones sign as many bytes as the table says.
func TestOf(t *testing.T) {
	ec := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for id, s := range map[string]crypto.Signer{
		"ed25519": ed, "ecdsa-sha2-256-nistp256": ec(elliptic.P256()), "ecdsa-sha2-384-nistp384": ec(elliptic.P384()),
		"rsa-sign-pkcs1-2048-sha256": r, "ecdsa-sha2-512-nistp521": ec(elliptic.P521()), "ecdsa-nistp224": ec(elliptic.P224()),
	} {
		a := Of(s.Public())
		if a.ID != id {
			t.Errorf("%T is %q, want %q", s.Public(), a.ID, id)
		}
		err := Check(s.Public())
		if (err == nil) != a.Accepted() || err != nil && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), id)) {
			t.Errorf("%s: %v", id, err)
		}
		h, sum := crypto.SHA256, sha256.Sum256(nil)
		digest := sum[:]
		switch id {
		case "ed25519":
			h = 0
		case "ecdsa-sha2-384-nistp384":
			long := sha512.Sum384(nil)
			h, digest = crypto.SHA384, long[:]
		}
		if sig, err := s.Sign(rand.Reader, digest, h); a.Accepted() && (err != nil || len(sig) > a.Signature || len(sig) < a.Signature-12) {
			t.Errorf("%s signs %d bytes, the table says %d: %v", id, len(sig), a.Signature, err)
		}
	}
	for _, pub := range []crypto.PublicKey{nil, struct{}{}, "x", ed25519.PublicKey("short")} {
		if err := Check(pub); !errors.Is(err, ErrRefused) {
			t.Errorf("%T: %v", pub, err)
		}
	}
}

// A post-quantum key is told as what it is, whichever half is given.
func TestUnreadable(t *testing.T) {
	for id, oid := range map[string]asn1.ObjectIdentifier{
		"ml-dsa-44": {2, 16, 840, 1, 101, 3, 4, 3, 17}, "ml-dsa-65": {2, 16, 840, 1, 101, 3, 4, 3, 18}, "ml-dsa-87": {2, 16, 840, 1, 101, 3, 4, 3, 19},
		"slh-dsa-sha2-128s": {2, 16, 840, 1, 101, 3, 4, 3, 20}, "ed448": {1, 3, 101, 113},
	} {
		alg := pkix.AlgorithmIdentifier{Algorithm: oid}
		public, err1 := asn1.Marshal(struct {
			A pkix.AlgorithmIdentifier
			K asn1.BitString
		}{alg, asn1.BitString{Bytes: make([]byte, 1952), BitLength: 1952 * 8}})
		private, err2 := asn1.Marshal(struct {
			V int
			A pkix.AlgorithmIdentifier
			K []byte
		}{0, alg, make([]byte, 32)})
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		for _, der := range [][]byte{public, private} {
			if err := Unreadable(der); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "it is "+id+",") {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	for _, der := range [][]byte{nil, []byte("x"), {0x30, 0}} {
		if err := Unreadable(der); err != nil {
			t.Errorf("%x: %v", der, err)
		}
	}
}

func FuzzUnreadable(f *testing.F) {
	f.Add([]byte{0x30, 0x12, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12, 0x03, 0x03, 0x00, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, der []byte) {
		if err := Unreadable(der); err != nil && (!errors.Is(err, ErrRefused) || strings.ContainsAny(err.Error(), "\n\x1b")) {
			t.Error(err)
		}
	})
}

// The manual's table is this one.
func TestManual(t *testing.T) {
	b, err := os.ReadFile("../../../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## Algorithms\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, a := range Table() {
		if !strings.Contains(section, "`"+a.ID+"`") || a.Signature != 0 && !strings.Contains(section, strconv.Itoa(a.Signature)) {
			t.Errorf("docs/keys.md does not have %s with %d bytes", a.ID, a.Signature)
		}
	}
}
