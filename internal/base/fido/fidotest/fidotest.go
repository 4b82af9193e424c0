// Package fidotest is a fake security key for tests: software that makes sk- keys and attests them
// in the real formats, under a maker's certificate of its own.
//
// OpenSSH's own security key in software, sk-dummy, attests nothing, so that this stands in for hardware:
// the bytes follow PROTOCOL.u2f and WebAuthn, section 6.5, and only who vouches for them is
// made up. Nothing here is linked into the product.
package fidotest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// AAGUID is the model that the fake says it is.
const AAGUID = "0a0b0c0d-0a0b-0c0d-0a0b-0c0d0a0b0c0d"

var aaguid = bytes.Repeat([]byte{0x0a, 0x0b, 0x0c, 0x0d}, 4)

// A Maker makes devices.
type Maker struct {
	tb      testing.TB
	root    *x509.Certificate
	rootKey *ecdsa.PrivateKey
	from    time.Time
}

// An Order says what to make and attest. The zero value is an Ed25519 key for "ssh:", touched, in the
// packed format.
type Order struct {
	Challenge string
	App       string         // default "ssh:"
	U2F       bool           // a U2F device: P-256, and its signature format
	Untouched bool           // the flags say that nobody touched it
	Lifetime  time.Duration  // of the device's certificate; default ten years
	CertModel []byte         // the model in the certificate; default the device's
	Edit      func(d []byte) // changes the authenticator data before they are signed
}

// NewMaker makes a maker that began a year before now.
func NewMaker(tb testing.TB, now time.Time) *Maker {
	tb.Helper()
	m := &Maker{tb: tb, rootKey: newKey(tb), from: now.AddDate(-1, 0, 0)}
	t := &x509.Certificate{Subject: pkix.Name{CommonName: "fake maker's root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	m.root = m.certificate(t, t, &m.rootKey.PublicKey, 20*365*24*time.Hour)
	return m
}

// Roots returns the maker's root as PEM.
func (m *Maker) Roots() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.root.Raw})
}

// Make makes a key and returns its public half, as a .pub file has it, its private half, and the attestation.
func (m *Maker) Make(o Order) (public string, private crypto.Signer, attestation []byte) {
	m.tb.Helper()
	if o.App == "" {
		o.App = "ssh:"
	}
	if o.Lifetime == 0 {
		o.Lifetime = 10 * 365 * 24 * time.Hour
	}
	handle := make([]byte, 48)
	if _, err := rand.Read(handle); err != nil {
		m.tb.Fatal(err)
	}
	var cose, point []byte
	if o.U2F {
		k := newKey(m.tb)
		var err error
		if point, err = k.PublicKey.Bytes(); err != nil {
			m.tb.Fatal(err)
		}
		cose = bytes.Join([][]byte{{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33], {0x22, 0x58, 32}, point[33:]}, nil)
		public, private = line("sk-ecdsa-sha2-nistp256@openssh.com", []byte("nistp256"), point, []byte(o.App)), k
	} else {
		pub, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			m.tb.Fatal(err)
		}
		cose = append([]byte{0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32}, pub...)
		public, private = line("sk-ssh-ed25519@openssh.com", pub, []byte(o.App)), k
	}
	app, challenge := sha256.Sum256([]byte(o.App)), sha256.Sum256([]byte(o.Challenge))
	flags := byte(0x41)
	if o.Untouched {
		flags = 0x40
	}
	model := aaguid
	if o.U2F {
		model = make([]byte, 16)
	}
	data := bytes.Join([][]byte{app[:], {flags, 0, 0, 0, 1}, model, {0, byte(len(handle))}, handle, cose}, nil)
	if o.Edit != nil {
		o.Edit(data)
	}
	t := &x509.Certificate{Subject: pkix.Name{CommonName: "fake key", OrganizationalUnit: []string{"Authenticator Attestation"}}, BasicConstraintsValid: true}
	if !o.U2F {
		if o.CertModel == nil {
			o.CertModel = model
		}
		id, err := asn1.Marshal(o.CertModel)
		if err != nil {
			m.tb.Fatal(err)
		}
		t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: id}}
	}
	device := newKey(m.tb)
	cert := m.certificate(t, m.root, &device.PublicKey, o.Lifetime)
	message := append(bytes.Clone(data), challenge[:]...)
	if o.U2F {
		message = bytes.Join([][]byte{{0}, app[:], challenge[:], handle, point}, nil)
	}
	sum := sha256.Sum256(message)
	sig, err := ecdsa.SignASN1(rand.Reader, device, sum[:])
	if err != nil {
		m.tb.Fatal(err)
	}
	cbor := append([]byte{0x58, byte(len(data))}, data...)
	if len(data) > 255 {
		m.tb.Fatal("fidotest: authenticator data too long")
	}
	return public, private, bytes.Join([][]byte{str([]byte("ssh-sk-attest-v01")), str(cert.Raw), str(sig), str(cbor), {0, 0, 0, 0}, str(nil)}, nil)
}

func (m *Maker) certificate(t, parent *x509.Certificate, pub *ecdsa.PublicKey, life time.Duration) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		m.tb.Fatal(err)
	}
	t.SerialNumber, t.NotBefore, t.NotAfter = serial, m.from, m.from.Add(life)
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, m.rootKey)
	if err != nil {
		m.tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		m.tb.Fatal(err)
	}
	return c
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func str(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }

func line(kind string, fields ...[]byte) string {
	b := str([]byte(kind))
	for _, f := range fields {
		b = append(b, str(f)...)
	}
	return kind + " " + base64.StdEncoding.EncodeToString(b)
}
