package sigstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"
)

// BenchmarkVerify measures, for bundles as bytes and end to end: the one ECDSA verification that a
// signature is about, sigstore-go alone (the peer), this package, and the cache of what has verified; for
// a bundle with a key, one with a certificate of an authority with P-256 keys, and one of the public
// instance, whose authority has P-384 keys and whose certificates are logged.
func BenchmarkVerify(b *testing.B) {
	raw := 0.0 // of P-256, in nanoseconds: what every ratio is against
	for _, curve := range []elliptic.Curve{elliptic.P384(), elliptic.P256()} {
		b.Run("raw/"+curve.Params().Name, func(b *testing.B) {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			if err != nil {
				b.Fatal(err)
			}
			sum := sha256.Sum256([]byte("hello"))
			sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
			if err != nil {
				b.Fatal(err)
			}
			raw = measure(b, 0, 0, func() error {
				if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], sig) {
					return errors.New("it does not verify")
				}
				return nil
			})
		})
	}
	for _, c := range benchCases(b) {
		peer := 0.0
		b.Run(c.name+"/sigstore-go", func(b *testing.B) { peer = measure(b, raw, 0, c.peer) })
		b.Run(c.name+"/sallyport", func(b *testing.B) {
			measure(b, raw, peer, func() error {
				_, err := c.root.Verify(c.raw, c.artifact, c.by)
				return err
			})
		})
		b.Run(c.name+"/cache", func(b *testing.B) {
			cache := NewCache(1)
			measure(b, raw, peer, func() error {
				_, err := cache.Verify(c.root, c.raw, c.artifact, c.by)
				return err
			})
		})
	}
}

// measure runs f and reports how often in a second, how many raw verifications one takes, and how many
// times faster it is than the peer. It returns the nanoseconds of one.
func measure(b *testing.B, raw, peer float64, f func() error) float64 {
	b.ReportAllocs()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	one := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	b.ReportMetric(1e9/one, "verifications/s")
	if raw > 0 {
		b.ReportMetric(one/raw, "x-raw")
	}
	if peer > 0 {
		b.ReportMetric(peer/one, "x-faster")
	}
	return one
}

// A benchCase is a bundle that verifies, and the same asked of sigstore-go without what is around it here.
type benchCase struct {
	name     string
	raw      []byte
	root     *Root
	artifact Artifact
	by       Signer
	peer     func() error
}

func benchCases(tb testing.TB) []benchCase {
	tb.Helper()
	check := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatal(err)
		}
	}
	a, err := File("testdata/conformance/a.txt")
	check(err)
	public, err := PublicGood()
	check(err)

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	keyed, err := Sign(context.Background(), key, Content{Artifact: a, Statement: statementOf(a)})
	check(err)
	trusted, err := public.materialFor(&key.PublicKey, false)
	check(err)
	cases := []benchCase{{name: "key", raw: keyed, root: public, artifact: a, by: Signer{Key: &key.PublicKey},
		peer: peer(keyed, trusted, a, []verify.PolicyOption{verify.WithKey()}, verify.WithNoObserverTimestamps())}}

	raw, local := virtual(tb, a)
	cases = append(cases, benchCase{name: "certificate", raw: raw, root: local, artifact: a, by: Signer{Subject: "a@example.com", Issuer: "https://issuer.example"},
		peer: peer(raw, local.material, a, identity(tb, "a@example.com", "https://issuer.example"), verify.WithObserverTimestamps(1), verify.WithTransparencyLog(1))})

	for _, c := range conformanceCases(tb) {
		if c.name == "happy-path-v0.3" {
			cases = append(cases, benchCase{name: "public", raw: c.bundle, root: c.root, artifact: a, by: c.signer,
				peer: peer(c.bundle, c.root.material, a, identity(tb, beacon, github), verify.WithObserverTimestamps(1), verify.WithTransparencyLog(1), verify.WithSignedCertificateTimestamps(1))})
		}
	}
	return cases
}

func identity(tb testing.TB, subject, issuer string) []verify.PolicyOption {
	tb.Helper()
	id, err := verify.NewShortCertificateIdentity(issuer, "", subject, "")
	if err != nil {
		tb.Fatal(err)
	}
	return []verify.PolicyOption{verify.WithCertificateIdentity(id)}
}

// peer verifies with sigstore-go alone, from bytes on.
func peer(raw []byte, trusted root.TrustedMaterial, a Artifact, policy []verify.PolicyOption, options ...verify.VerifierOption) func() error {
	return func() error {
		var b bundle.Bundle
		if err := b.UnmarshalJSON(raw); err != nil {
			return err
		}
		v, err := verify.NewVerifier(trusted, options...)
		if err != nil {
			return err
		}
		_, err = v.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest("sha256", a.sums["sha256"]), policy...))
		return err
	}
}

// virtual signs a statement with sigstore-go's own test authority and log, and returns the bundle and
// the root that trusts them.
func virtual(tb testing.TB, a Artifact) ([]byte, *Root) {
	tb.Helper()
	check := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatal(err)
		}
	}
	v, err := ca.NewVirtualSigstore()
	check(err)
	e, err := v.AttestAtTime("a@example.com", "https://issuer.example", statementOf(a), time.Now().Add(time.Minute), true)
	check(err)
	entries, err := e.TlogEntries()
	check(err)
	with, err := e.VerificationContent()
	check(err)
	signed, err := e.SignatureContent()
	check(err)
	payload, err := signed.EnvelopeContent().RawEnvelope().DecodeB64Payload()
	check(err)
	entry := entries[0].TransparencyLogEntry()
	set, err := v.RekorSignPayload(tlog.RekorPayload{Body: entries[0].Body(), IntegratedTime: entry.GetIntegratedTime(), LogIndex: entry.GetLogIndex(), LogID: hex.EncodeToString(entry.GetLogId().GetKeyId())})
	check(err)
	entry.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: set}
	entry.KindVersion = &protorekor.KindVersion{Kind: "dsse", Version: "0.0.1"}
	raw, err := protojson.Marshal(&protobundle.Bundle{
		MediaType: mediaTypes[0],
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:     &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: with.Certificate().Raw}},
			TlogEntries: []*protorekor.TransparencyLogEntry{entry},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: payload, PayloadType: inTotoPayload, Signatures: []*protodsse.Signature{{Sig: signed.Signature()}}}},
	})
	check(err)
	logs := v.RekorLogs()
	for id, l := range logs {
		l.ID, err = hex.DecodeString(id)
		check(err)
	}
	tr, err := root.NewTrustedRoot(root.TrustedRootMediaType01, v.FulcioCertificateAuthorities(), nil, nil, logs)
	check(err)
	b, err := tr.MarshalJSON()
	check(err)
	r, err := ParseRoot(b)
	check(err)
	return raw, r
}
