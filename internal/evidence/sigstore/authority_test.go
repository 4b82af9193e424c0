package sigstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// A testChain is a root, an intermediate and a leaf that verify, before a row of the test changes them.
type testChain struct {
	root, middle, leaf         *x509.Certificate
	rootKey, middleKey         *ecdsa.PrivateKey
	signRoot, signMiddle       *ecdsa.PrivateKey // what signs the intermediate and the leaf
	start, end, at             time.Time
	withoutMiddle, extraMiddle bool
}

// TestAuthority: the short way says what sigstore-go's verification of the whole chain says, whatever
// is wrong with the chain.
func TestAuthority(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	stranger := newKey(t)
	for _, c := range []struct {
		name   string
		change func(c *testChain)
		good   bool
		links  int
	}{
		{"good", func(*testChain) {}, true, 1},
		{"the leaf's time is over", func(c *testChain) { c.at = now.Add(20 * time.Minute) }, false, 1},
		{"before the leaf's time", func(c *testChain) { c.at = now.Add(-time.Minute) }, false, 1},
		{"the intermediate's time is over", func(c *testChain) { c.middle.NotAfter = now.Add(-time.Hour) }, false, 1},
		{"the root's time is over", func(c *testChain) { c.root.NotAfter = now.Add(-time.Hour) }, false, 1},
		{"the root's time has not come", func(c *testChain) { c.root.NotBefore = now.Add(time.Hour) }, false, 1},
		{"the root's and the intermediate's times never meet", func(c *testChain) {
			c.root.NotAfter, c.middle.NotBefore = now.Add(-2*time.Hour), now.Add(-time.Hour)
		}, false, 0},
		{"the authority's time is over", func(c *testChain) { c.end = now.Add(-time.Minute) }, false, 1},
		{"the authority's time has not come", func(c *testChain) { c.start = now.Add(time.Hour) }, false, 1},
		{"within the authority's time", func(c *testChain) { c.start, c.end = now.Add(-time.Hour), now.Add(time.Hour) }, true, 1},
		{"another signed the leaf", func(c *testChain) { c.signMiddle = stranger }, false, 1},
		{"another signed the intermediate", func(c *testChain) { c.signRoot = stranger }, false, 0},
		{"no intermediate", func(c *testChain) { c.withoutMiddle = true }, false, 0},
		{"a second intermediate", func(c *testChain) { c.extraMiddle = true }, true, 2},
		{"the intermediate is no authority", func(c *testChain) { c.middle.IsCA = false }, false, 0},
		{"the intermediate may not sign certificates", func(c *testChain) { c.middle.KeyUsage = x509.KeyUsageDigitalSignature }, false, 1},
		{"the root allows none below it", func(c *testChain) { c.root.MaxPathLen, c.root.MaxPathLenZero = 0, true }, false, 0},
		{"the root allows one below it", func(c *testChain) { c.root.MaxPathLen = 1 }, true, 1},
		{"the intermediate allows none below it", func(c *testChain) { c.middle.MaxPathLen, c.middle.MaxPathLenZero = 0, true }, true, 1},
		{"the leaf is for servers", func(c *testChain) { c.leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, false, 1},
		{"the leaf is for anything", func(c *testChain) { c.leaf.ExtKeyUsage = nil }, true, 1},
		{"the intermediate is for servers", func(c *testChain) { c.middle.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, false, 0},
		{"the root is for servers", func(c *testChain) { c.root.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, false, 0},
		{"the root limits names, which do not fit", func(c *testChain) {
			c.root.PermittedDNSDomains, c.root.PermittedDNSDomainsCritical = []string{"example.org"}, true
		}, false, 0},
		{"the root limits names, which fit", func(c *testChain) {
			c.root.PermittedDNSDomains, c.root.PermittedDNSDomainsCritical = []string{"example.com"}, true
		}, true, 0},
		{"the intermediate limits names", func(c *testChain) { c.middle.ExcludedDNSDomains = []string{"example.com"} }, false, 0},
		{"the leaf is an authority", func(c *testChain) { c.leaf.IsCA, c.leaf.KeyUsage = true, x509.KeyUsageCertSign }, true, 1},
		{"something critical that nobody knows", func(c *testChain) {
			c.leaf.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}, false, 1},
		{"the leaf asks for a policy", func(c *testChain) {
			c.leaf.ExtraExtensions = []pkix.Extension{{Id: oidPolicyConstraints, Critical: true, Value: []byte{0x30, 3, 0x80, 1, 0}}}
		}, false, 1},
		{"the root has something unknown", func(c *testChain) {
			c.root.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
		}, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			ca, leaf, at := build(t, now, c.change)
			_, want := ca.Verify(leaf, at)
			a := newAuthority(ca)
			chains, err := a.Verify(leaf, at)
			if (err == nil) != (want == nil) || (err == nil) != c.good {
				t.Errorf("%v, and of the whole chain: %v; want good: %t", err, want, c.good)
			}
			if len(a.links) != c.links {
				t.Errorf("%d links, want %d", len(a.links), c.links)
			}
			if err == nil && (len(chains) == 0 || !chains[0][0].Equal(leaf) || !chains[0][len(chains[0])-1].Equal(ca.Root)) {
				t.Errorf("the chains are %v", chains)
			}
		})
	}
	ca, leaf, at := build(t, now, func(*testChain) {})
	a := newAuthority(ca)
	if !a.short(leaf, at) {
		t.Error("the short way is not taken")
	}
	if _, err := newAuthority(&root.FulcioCertificateAuthority{}).Verify(leaf, at); err == nil {
		t.Error("an authority without a root vouches")
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// build makes the certificates of a chain.
func build(t *testing.T, now time.Time, change func(*testChain)) (*root.FulcioCertificateAuthority, *x509.Certificate, time.Time) {
	t.Helper()
	c := &testChain{rootKey: newKey(t), middleKey: newKey(t), at: now.Add(time.Minute)}
	template := func(name string, serial int64, life time.Duration) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-life), NotAfter: now.Add(life), BasicConstraintsValid: true, MaxPathLen: -1}
	}
	c.root, c.middle, c.leaf = template("root", 1, 1000*time.Hour), template("middle", 2, 500*time.Hour), template("leaf", 3, 10*time.Minute)
	c.root.IsCA, c.root.KeyUsage = true, x509.KeyUsageCertSign
	c.middle.IsCA, c.middle.KeyUsage, c.middle.ExtKeyUsage = true, x509.KeyUsageCertSign, codeSigning
	c.leaf.NotBefore, c.leaf.KeyUsage, c.leaf.ExtKeyUsage, c.leaf.DNSNames = now, x509.KeyUsageDigitalSignature, codeSigning, []string{"a.example.com"}
	c.signRoot, c.signMiddle = c.rootKey, c.middleKey
	change(c)
	if !c.middle.IsCA {
		c.middle.MaxPathLen = 0
	}
	if !c.leaf.IsCA {
		c.leaf.MaxPathLen = 0
	}
	rootCert := create(t, c.root, c.root, &c.rootKey.PublicKey, c.rootKey)
	middle := create(t, c.middle, c.root, &c.middleKey.PublicKey, c.signRoot)
	leaf := create(t, c.leaf, c.middle, &newKey(t).PublicKey, c.signMiddle)
	ca := &root.FulcioCertificateAuthority{Root: rootCert, ValidityPeriodStart: c.start, ValidityPeriodEnd: c.end}
	if c.extraMiddle {
		extra := template("extra", 4, 500*time.Hour)
		extra.IsCA, extra.KeyUsage = true, x509.KeyUsageCertSign
		ca.Intermediates = append(ca.Intermediates, create(t, extra, c.root, &newKey(t).PublicKey, c.rootKey))
	}
	if !c.withoutMiddle {
		ca.Intermediates = append(ca.Intermediates, middle)
	}
	return ca, leaf, c.at
}

func create(t *testing.T, template, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
