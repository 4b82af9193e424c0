// Package keylesstest is a certificate authority, a timestamp authority and a Rekor log for tests:
// local stand-ins for Fulcio, a TSA and Rekor, with keys of their own.
//
// What they make are real certificates, CMS signatures, RFC 3161 timestamps and signed entry
// timestamps in the shape that gitsign writes; only who vouches for them is made up. [New] makes an
// authority whose trusted root verifies them and nobody else's. Nothing here is linked into the product.
package keylesstest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-dev/sallyport/internal/base/dsse"
)

// An Authority vouches for identities, times and entries.
type Authority struct {
	tb        testing.TB
	ca, tsa   *x509.Certificate // the roots
	stamp     *x509.Certificate // the timestamp authority's leaf
	caKey     *ecdsa.PrivateKey
	tsaKey    *ecdsa.PrivateKey
	stampKey  *ecdsa.PrivateKey
	rekorKey  *ecdsa.PrivateKey
	rekorID   [32]byte
	notBefore time.Time
}

// An Identity is what a certificate says: who, and who knew them.
type Identity struct {
	Subject string // an address, or a URI
	Issuer  string
	Claims  map[int]string // further extensions, by the last number of 1.3.6.1.4.1.57264.1.N
}

// A Signing says how a commit is signed.
type Signing struct {
	Identity Identity
	From     time.Time     // when the certificate begins
	Lifetime time.Duration // of the certificate; default ten minutes
	Stamped  time.Time     // an RFC 3161 timestamp of that time; zero for none
	Logged   time.Time     // a Rekor entry of that time; zero for none
}

// New makes an authority that began a year before now.
func New(tb testing.TB, now time.Time) *Authority {
	tb.Helper()
	a := &Authority{tb: tb, notBefore: now.AddDate(-1, 0, 0)}
	a.caKey, a.tsaKey, a.stampKey, a.rekorKey = a.key(), a.key(), a.key(), a.key()
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "local Fulcio"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.ca = a.certificate(ca, ca, &a.caKey.PublicKey, a.caKey, a.notBefore, 10*365*24*time.Hour)
	tsa := &x509.Certificate{Subject: pkix.Name{CommonName: "local TSA root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.tsa = a.certificate(tsa, tsa, &a.tsaKey.PublicKey, a.tsaKey, a.notBefore, 10*365*24*time.Hour)
	a.StampFor(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8})
	der, err := x509.MarshalPKIXPublicKey(&a.rekorKey.PublicKey)
	a.check(err)
	a.rekorID = sha256.Sum256(der)
	return a
}

// StampFor gives the timestamp authority a certificate for another use than stamping, by its extended key
// usage. A trusted root that was asked for before does not know it.
func (a *Authority) StampFor(usage asn1.ObjectIdentifier) {
	a.tb.Helper()
	a.stamp = a.certificate(&x509.Certificate{Subject: pkix.Name{CommonName: "local TSA"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: a.der([]asn1.ObjectIdentifier{usage})}}},
		a.tsa, &a.stampKey.PublicKey, a.tsaKey, a.notBefore, 9*365*24*time.Hour)
}

// TrustedRoot returns the authority's trusted root as JSON.
func (a *Authority) TrustedRoot() []byte {
	a.tb.Helper()
	id := hex.EncodeToString(a.rekorID[:])
	tr, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{Root: a.ca, URI: "https://fulcio.local", ValidityPeriodStart: a.notBefore}},
		map[string]*root.TransparencyLog{},
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{Root: a.tsa, Leaf: a.stamp, URI: "https://tsa.local", ValidityPeriodStart: a.notBefore}},
		map[string]*root.TransparencyLog{id: {BaseURL: "https://rekor.local", ID: a.rekorID[:], HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256,
			PublicKey: &a.rekorKey.PublicKey, ValidityPeriodStart: a.notBefore}})
	a.check(err)
	b, err := tr.MarshalJSON()
	a.check(err)
	return b
}

// Sign returns an armoured CMS signature over message, as gitsign writes it.
func (a *Authority) Sign(message []byte, s Signing) []byte {
	a.tb.Helper()
	if s.Lifetime == 0 {
		s.Lifetime = 10 * time.Minute
	}
	key := a.key()
	leaf := a.leaf(s, &key.PublicKey)
	digest := sha256.Sum256(message)
	attrs := a.set(
		a.attribute("1.2.840.113549.1.9.3", a.der(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1})),
		a.attribute("1.2.840.113549.1.9.4", a.der(digest[:])))
	sum := sha256.Sum256(attrs)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	a.check(err)
	var unsigned [][]byte
	if !s.Logged.IsZero() {
		unsigned = append(unsigned, a.attribute("1.3.6.1.4.1.57264.3.1", a.der(a.entry(sum[:], sig, leaf, s.Logged))))
	}
	if !s.Stamped.IsZero() {
		unsigned = append(unsigned, a.attribute("1.2.840.113549.1.9.16.2.14", a.timestamp(sig, s.Stamped)))
	}
	return pem.EncodeToMemory(&pem.Block{Type: "SIGNED MESSAGE", Bytes: a.signedData(leaf, attrs, sig, unsigned)})
}

func (a *Authority) leaf(s Signing, pub *ecdsa.PublicKey) *x509.Certificate {
	t := &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
	if strings.Contains(s.Identity.Subject, "://") {
		u, err := url.Parse(s.Identity.Subject)
		a.check(err)
		t.URIs = []*url.URL{u}
	} else {
		t.EmailAddresses = []string{s.Identity.Subject}
	}
	add := func(n int, v string) {
		value, err := asn1.MarshalWithParams(v, "utf8")
		a.check(err)
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n}, Value: value})
	}
	add(8, s.Identity.Issuer)
	for n, v := range s.Identity.Claims {
		add(n, v)
	}
	return a.certificate(t, a.ca, pub, a.caKey, s.From, s.Lifetime)
}

// signedData assembles RFC 5652's SignedData with one signer.
func (a *Authority) signedData(leaf *x509.Certificate, attrs, sig []byte, unsigned [][]byte) []byte {
	sha := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}
	ecdsaSHA := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	signer := [][]byte{a.der(1), sequence(leaf.RawIssuer, a.der(leaf.SerialNumber)), a.der(sha),
		append([]byte{0xa0}, attrs[1:]...), a.der(ecdsaSHA), a.der(sig)}
	if unsigned != nil {
		signer = append(signer, append([]byte{0xa1}, a.set(unsigned...)[1:]...))
	}
	return sequence(a.der(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}), wrap(0xa0, sequence(
		a.der(1), wrap(0x31, a.der(sha)), sequence(a.der(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1})),
		wrap(0xa0, leaf.Raw), wrap(0x31, sequence(signer...)))))
}

// Bundle returns an in-toto statement as a Sigstore bundle under a certificate, with an RFC 3161 timestamp
// if the signing has one.
func (a *Authority) Bundle(statement []byte, s Signing) []byte {
	a.tb.Helper()
	if s.Lifetime == 0 {
		s.Lifetime = 10 * time.Minute
	}
	key := a.key()
	leaf := a.leaf(s, &key.PublicKey)
	env := dsse.Envelope{PayloadType: dsse.InTotoPayload, Payload: statement}
	sum := sha256.Sum256(env.PAE())
	var err error
	env.Signature, err = ecdsa.SignASN1(rand.Reader, key, sum[:])
	a.check(err)
	material := map[string]any{"certificate": map[string]any{"rawBytes": leaf.Raw}}
	if !s.Stamped.IsZero() {
		material["timestampVerificationData"] = map[string]any{
			"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": a.response(env.Signature, s.Stamped)}}}
	}
	b, err := json.Marshal(map[string]any{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material, "dsseEnvelope": env})
	a.check(err)
	return b
}

// timestamp returns an RFC 3161 token over the signature.
func (a *Authority) timestamp(sig []byte, at time.Time) []byte {
	var r struct {
		Status asn1.RawValue
		Token  asn1.RawValue
	}
	_, err := asn1.Unmarshal(a.response(sig, at), &r)
	a.check(err)
	return r.Token.FullBytes
}

// LogEntry returns Rekor's entry about an envelope that a key signed, as a bundle holds it, in JSON.
func (a *Authority) LogEntry(envelope, payload, sig, publicPEM []byte, at time.Time) json.RawMessage {
	b64 := base64.StdEncoding.EncodeToString
	body := fmt.Appendf(nil, `{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":{"algorithm":"sha256","value":"%x"},"payloadHash":{"algorithm":"sha256","value":"%x"},"signatures":[{"signature":"%s","verifier":"%s"}]}}`,
		sha256.Sum256(envelope), sha256.Sum256(payload), b64(sig), b64(publicPEM))
	raw, err := protojson.Marshal(&protorekor.TransparencyLogEntry{
		LogIndex: 7, LogId: &protocommon.LogId{KeyId: a.rekorID[:]}, IntegratedTime: at.Unix(), CanonicalizedBody: body,
		KindVersion:      &protorekor.KindVersion{Kind: "dsse", Version: "0.0.1"},
		InclusionPromise: &protorekor.InclusionPromise{SignedEntryTimestamp: a.promise(body, at)},
	})
	a.check(err)
	return raw
}

// promise returns Rekor's signature over an entry.
func (a *Authority) promise(body []byte, at time.Time) []byte {
	payload, err := json.Marshal(struct {
		Body           string `json:"body"`
		IntegratedTime int64  `json:"integratedTime"`
		LogID          string `json:"logID"`
		LogIndex       int64  `json:"logIndex"`
	}{base64.StdEncoding.EncodeToString(body), at.Unix(), hex.EncodeToString(a.rekorID[:]), 7})
	a.check(err)
	sum := sha256.Sum256(bytes.TrimSpace(payload))
	set, err := ecdsa.SignASN1(rand.Reader, a.rekorKey, sum[:])
	a.check(err)
	return set
}

// Stamp returns the answer of the timestamp authority about a signature, as a bundle holds it.
func (a *Authority) Stamp(sig []byte, at time.Time) []byte { return a.response(sig, at) }

// response returns what a timestamp authority answers.
func (a *Authority) response(sig []byte, at time.Time) []byte {
	sum := sha256.Sum256(sig)
	return a.responseFor(sum[:], at)
}

// Answer returns what the timestamp authority answers to a query (RFC 3161).
func (a *Authority) Answer(query []byte, at time.Time) ([]byte, error) {
	q, err := timestamp.ParseRequest(query)
	if err != nil {
		return nil, err
	}
	return a.responseFor(q.HashedMessage, at), nil
}

func (a *Authority) responseFor(sum []byte, at time.Time) []byte {
	t := timestamp.Timestamp{HashAlgorithm: crypto.SHA256, HashedMessage: sum, Time: at, Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
		AddTSACertificate: true}
	resp, err := t.CreateResponseWithOpts(a.stamp, a.stampKey, crypto.SHA256)
	a.check(err)
	return resp
}

// entry returns Rekor's entry without its body, as gitsign keeps it.
func (a *Authority) entry(digest, sig []byte, leaf *x509.Certificate, at time.Time) []byte {
	b64 := base64.StdEncoding.EncodeToString
	body := fmt.Sprintf(`{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"%x"}},"signature":{"content":"%s","publicKey":{"content":"%s"}}}}`,
		digest, b64(sig), b64(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})))
	raw, err := proto.Marshal(&protorekor.TransparencyLogEntry{
		LogIndex: 7, LogId: &protocommon.LogId{KeyId: a.rekorID[:]}, IntegratedTime: at.Unix(),
		KindVersion:      &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.1"},
		InclusionPromise: &protorekor.InclusionPromise{SignedEntryTimestamp: a.promise([]byte(body), at)},
	})
	a.check(err)
	return raw
}

func (a *Authority) certificate(t, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey, from time.Time, life time.Duration) *x509.Certificate {
	a.tb.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	a.check(err)
	t.SerialNumber, t.NotBefore, t.NotAfter = serial, from, from.Add(life)
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	a.check(err)
	c, err := x509.ParseCertificate(der)
	a.check(err)
	return c
}

func (a *Authority) key() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.check(err)
	return k
}

func (a *Authority) attribute(oid string, value []byte) []byte {
	var id asn1.ObjectIdentifier
	for n := range strings.SplitSeq(oid, ".") {
		var i int
		_, err := fmt.Sscan(n, &i)
		a.check(err)
		id = append(id, i)
	}
	return sequence(a.der(id), wrap(0x31, value))
}

// set is a DER SET OF: its elements are sorted.
func (a *Authority) set(list ...[]byte) []byte {
	var raw []asn1.RawValue
	for _, b := range list {
		raw = append(raw, asn1.RawValue{FullBytes: b})
	}
	b, err := asn1.MarshalWithParams(raw, "set")
	a.check(err)
	return b
}

func (a *Authority) der(v any) []byte {
	b, err := asn1.Marshal(v)
	a.check(err)
	return b
}

func (a *Authority) check(err error) {
	if err != nil {
		a.tb.Helper()
		a.tb.Fatal(err)
	}
}

func sequence(parts ...[]byte) []byte { return wrap(0x30, bytes.Join(parts, nil)) }

// wrap puts a tag and a length before b.
func wrap(tag byte, b []byte) []byte {
	head := []byte{tag}
	switch n := len(b); {
	case n < 128:
		head = append(head, byte(n))
	case n < 256:
		head = append(head, 0x81, byte(n))
	default:
		head = append(head, 0x82, byte(n>>8), byte(n))
	}
	return append(head, b...)
}
