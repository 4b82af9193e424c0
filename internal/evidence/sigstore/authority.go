package sigstore

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// An authority is one of the root's certificate authorities that remembers which of its intermediate
// certificates its root certificate has signed: that is the same for every bundle, and costs as much
// as the leaf's own signature (a millisecond of P-384 with the public instance). The leaf is verified
// each time.
//
// The short way only says yes, and only where the long way would: everything that it does not answer,
// and everything that is unusual about the certificates, goes to sigstore-go's own verification.
type authority struct {
	*root.FulcioCertificateAuthority
	links []link
}

// Quick returns a trusted root whose certificate authorities remember what of their chains they have
// verified; it says what tr says.
func Quick(tr *root.TrustedRoot) root.TrustedMaterial {
	return material{TrustedRoot: tr, authorities: newAuthorities(tr)}
}

func newAuthorities(tr *root.TrustedRoot) []root.CertificateAuthority {
	var out []root.CertificateAuthority
	for _, ca := range tr.FulcioCertificateAuthorities() {
		if f, ok := ca.(*root.FulcioCertificateAuthority); ok {
			ca = newAuthority(f)
		}
		out = append(out, ca)
	}
	return out
}

// A link is an intermediate certificate that the root certificate has signed.
type link struct {
	pool *x509.CertPool // of the intermediate alone
}

// Extensions of certificates, as RFC 5280 numbers them.
var (
	oidKeyUsage          = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectKeyID      = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidBasicConstraints  = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidAuthorityKeyID    = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidPolicyConstraints = asn1.ObjectIdentifier{2, 5, 29, 36}
	oidExtKeyUsage       = asn1.ObjectIdentifier{2, 5, 29, 37}
)

var codeSigning = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}

// newAuthority proves the intermediates of ca once.
func newAuthority(ca *root.FulcioCertificateAuthority) *authority {
	a := &authority{FulcioCertificateAuthority: ca}
	if ca.Root == nil || !usual(ca.Root) || ca.Root.MaxPathLen == 0 {
		return a
	}
	for _, c := range ca.Intermediates {
		if !usual(c) || bytes.Equal(c.Raw, ca.Root.Raw) {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca.Root)
		at := c.NotBefore
		if at.Before(ca.Root.NotBefore) {
			at = ca.Root.NotBefore
		}
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: at, KeyUsages: codeSigning}); err != nil {
			continue
		}
		pool := x509.NewCertPool()
		pool.AddCert(c)
		a.links = append(a.links, link{pool: pool})
	}
	return a
}

// usual reports whether a certificate of an authority has nothing that binds the certificates below it
// but what the short way looks at: no constraints of names or policies, nothing unknown.
func usual(c *x509.Certificate) bool {
	if !c.BasicConstraintsValid || !c.IsCA {
		return false
	}
	for _, e := range c.Extensions {
		known := slices.ContainsFunc([]asn1.ObjectIdentifier{oidBasicConstraints, oidKeyUsage, oidExtKeyUsage, oidSubjectKeyID, oidAuthorityKeyID}, e.Id.Equal)
		if !known {
			return false
		}
	}
	return true
}

// Verify builds the chains of a leaf that was used at a time.
func (a *authority) Verify(leaf *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	if a.short(leaf, at) {
		for _, l := range a.links {
			chains, err := leaf.Verify(x509.VerifyOptions{Roots: l.pool, Intermediates: x509.NewCertPool(), CurrentTime: at, KeyUsages: codeSigning})
			if err != nil || len(chains) == 0 {
				continue
			}
			for i := range chains {
				chains[i] = append(chains[i], a.Root)
			}
			return chains, nil
		}
	}
	if a.Root == nil { // which sigstore-go's reader does not make, and its verification panics on
		return nil, errors.New("the authority has no root certificate")
	}
	return a.FulcioCertificateAuthority.Verify(leaf, at)
}

// short reports whether the short way may answer.
func (a *authority) short(leaf *x509.Certificate, at time.Time) bool {
	return len(a.links) > 0 && !at.IsZero() && !leaf.IsCA && !a.before(at) && !a.after(at) &&
		!slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidPolicyConstraints) })
}

func (a *authority) before(at time.Time) bool {
	return !a.ValidityPeriodStart.IsZero() && at.Before(a.ValidityPeriodStart) || at.Before(a.Root.NotBefore)
}

func (a *authority) after(at time.Time) bool {
	return !a.ValidityPeriodEnd.IsZero() && at.After(a.ValidityPeriodEnd) || at.After(a.Root.NotAfter)
}
