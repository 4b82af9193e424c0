package openpgp

import (
	"crypto"
	stdecdsa "crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/ecdsa"
	ed25519pgp "github.com/ProtonMail/go-crypto/openpgp/ed25519"
	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	minRSABits = 2048
	maxRSABits = 16384
)

// A Certificate is a transferable public key. Its self-signatures were verified when it was read;
// which of them count depends on the time and is decided anew for every signature. It is not
// changed afterwards and safe for concurrent use.
type Certificate struct {
	Fingerprint string // of the primary key, upper-case hex

	primary *packet.PublicKey
	revs    []*packet.Signature
	direct  []*packet.Signature
	users   []user
	subkeys []subkey
}

type user struct {
	id          string
	certs, revs []*packet.Signature
}

type subkey struct {
	pub            *packet.PublicKey
	bindings, revs []*packet.Signature
}

// ParseCertificate reads one armoured certificate ("PGP PUBLIC KEY BLOCK"). It refuses a secret
// key, a second certificate beside the first, a primary key of a kind that proves too little, and
// a revocation that cannot be verified: negative evidence is not skipped because it is broken.
// Third parties' signatures, user attributes and subkeys of unknown kinds are left out.
func ParseCertificate(armoured []byte) (*Certificate, error) {
	blob, err := dearmor(armoured, "PGP PUBLIC KEY BLOCK", MaxCertificate)
	if err != nil {
		return nil, err
	}
	raw, err := split(blob)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 || raw[0].tag != tagPublicKey {
		return nil, fmt.Errorf("%w: it does not start with a public key", ErrFormat)
	}
	c := &Certificate{}
	if c.primary, err = raw[0].publicKey(); err != nil {
		return nil, err
	}
	if err := acceptable(c.primary); err != nil {
		return nil, err
	}
	c.Fingerprint = fingerprint(c.primary)
	r := certReader{c: c, take: c.takeDirect}
	for _, p := range raw[1:] {
		if err := r.packet(p); err != nil {
			return nil, fmt.Errorf("certificate %s: %w", c.Fingerprint, err)
		}
	}
	return c, nil
}

// A certReader walks the packets after the primary key. Take says what becomes of a signature,
// which is about the packet that stands before it.
type certReader struct {
	c    *Certificate
	take func(*packet.Signature) error
}

func (r *certReader) packet(p rawPacket) error {
	ignore := func(*packet.Signature) error { return nil }
	switch {
	case p.tag == tagSignature:
		sig, err := p.signature()
		if err != nil {
			if len(p.body) > 1 && isRevocation(packet.SignatureType(p.body[1])) {
				return fmt.Errorf("a revocation that cannot be read: %w", err)
			}
			return nil // what vouches and cannot be read does not vouch
		}
		return r.take(sig)
	case p.tag == tagUserID:
		r.c.users = append(r.c.users, user{id: string(p.body)})
		u := &r.c.users[len(r.c.users)-1]
		r.take = func(sig *packet.Signature) error { return r.c.takeUser(u, sig) }
	case p.tag == tagPublicSub:
		pub, err := p.publicKey()
		if err != nil || acceptable(pub) != nil {
			r.take = ignore
			return nil //nolint:nilerr // for encryption, or of a kind that may not sign here
		}
		r.c.subkeys = append(r.c.subkeys, subkey{pub: pub})
		s := &r.c.subkeys[len(r.c.subkeys)-1]
		r.take = func(sig *packet.Signature) error { return r.c.takeSubkey(s, sig) }
	case p.tag == tagUserAttr:
		r.take = ignore
	case p.tag == tagMarker, p.tag == tagTrust, p.tag == tagPadding, p.tag >= tagPrivateMin:
	case p.tag == tagSecretKey || p.tag == tagSecretSub:
		return fmt.Errorf("%w: this is a private key; whoever can read this file has it now", ErrFormat)
	case p.tag == tagPublicKey:
		return fmt.Errorf("%w: a second certificate stands behind the first", ErrFormat)
	default:
		return fmt.Errorf("%w: a packet of type %d", ErrFormat, p.tag)
	}
	return nil
}

func isRevocation(t packet.SignatureType) bool {
	return t == packet.SigTypeKeyRevocation || t == packet.SigTypeSubkeyRevocation || t == packet.SigTypeCertificationRevocation
}

// mine reports whether sig says that the primary key made it. Who else did is of no interest:
// anybody can hang a signature on a certificate.
func (c *Certificate) mine(sig *packet.Signature) bool { return sig.CheckKeyIdOrFingerprint(c.primary) }

// badRevocation is why a certificate is refused whose primary key's revocation does not verify.
var errBadRevocation = fmt.Errorf("%w: a revocation in its own name does not verify", ErrFormat)

// takeDirect takes a signature over the primary key.
func (c *Certificate) takeDirect(sig *packet.Signature) error {
	switch {
	case !c.mine(sig):
	case sig.SigType == packet.SigTypeKeyRevocation:
		if c.primary.VerifyRevocationSignature(sig) != nil {
			return errBadRevocation
		}
		c.revs = append(c.revs, sig)
	case sig.SigType == packet.SigTypeDirectSignature:
		if strong(sig) == nil && c.primary.VerifyDirectKeySignature(sig) == nil {
			c.direct = append(c.direct, sig)
		}
	}
	return nil
}

func (c *Certificate) takeUser(u *user, sig *packet.Signature) error {
	switch sig.SigType {
	case packet.SigTypeKeyRevocation: // out of its place, and no less a revocation
		return c.takeDirect(sig)
	case packet.SigTypeGenericCert, packet.SigTypePersonaCert, packet.SigTypeCasualCert, packet.SigTypePositiveCert:
		if c.mine(sig) && strong(sig) == nil && c.primary.VerifyUserIdSignature(u.id, c.primary, sig) == nil {
			u.certs = append(u.certs, sig)
		}
	case packet.SigTypeCertificationRevocation:
		if !c.mine(sig) {
			return nil
		}
		if c.primary.VerifyUserIdSignature(u.id, c.primary, sig) != nil {
			return errBadRevocation
		}
		u.revs = append(u.revs, sig)
	}
	return nil
}

func (c *Certificate) takeSubkey(s *subkey, sig *packet.Signature) error {
	switch sig.SigType {
	case packet.SigTypeKeyRevocation:
		return c.takeDirect(sig)
	case packet.SigTypeSubkeyBinding:
		// VerifyKeySignature verifies the back-signature of a binding that lets the subkey sign.
		if c.mine(sig) && strong(sig) == nil && c.primary.VerifyKeySignature(s.pub, sig) == nil {
			s.bindings = append(s.bindings, sig)
		}
	case packet.SigTypeSubkeyRevocation:
		if !c.mine(sig) {
			return nil
		}
		if c.primary.VerifySubkeyRevocationSignature(sig, s.pub) != nil {
			return errBadRevocation
		}
		s.revs = append(s.revs, sig)
	}
	return nil
}

// maySign reports why the primary key, or the subkey s, may not sign at the time now.
func (c *Certificate) maySign(s *subkey, now time.Time) error {
	if c.primary.CreationTime.After(now.Add(MaxSkew)) {
		return fmt.Errorf("%w: the key says that it was made at %s", ErrNotYet, stamp(c.primary.CreationTime))
	}
	if err := revoked(c.revs, now, "key "+c.Fingerprint); err != nil {
		return err
	}
	self, err := c.selfSignature(now)
	if err != nil {
		return err
	}
	if lapsed(c.primary.CreationTime, self.KeyLifetimeSecs, now) {
		return fmt.Errorf("%w: key %s, on %s", ErrExpired, c.Fingerprint, stamp(end(c.primary.CreationTime, self.KeyLifetimeSecs)))
	}
	if s == nil {
		if !self.FlagsValid || !self.FlagSign {
			return fmt.Errorf("%w: the primary key %s is not meant for signatures", ErrMayNotSign, c.Fingerprint)
		}
		return nil
	}
	return s.maySign(now)
}

func (s *subkey) maySign(now time.Time) error {
	name := fingerprint(s.pub)
	if s.pub.CreationTime.After(now.Add(MaxSkew)) {
		return fmt.Errorf("%w: the subkey says that it was made at %s", ErrNotYet, stamp(s.pub.CreationTime))
	}
	if err := revoked(s.revs, now, "subkey "+name); err != nil {
		return err
	}
	b, state := newest(s.bindings, now)
	if b == nil {
		return fmt.Errorf("%w: subkey %s%s", orErr(state, ErrMayNotSign), name, why(state, " is bound to its key by nothing that counts, its own back-signature included"))
	}
	if !b.FlagsValid || !b.FlagSign {
		return fmt.Errorf("%w: subkey %s is not meant for signatures", ErrMayNotSign, name)
	}
	back := b.EmbeddedSignature
	if back == nil || strong(back) != nil {
		return fmt.Errorf("%w: subkey %s has no back-signature that counts", ErrMayNotSign, name)
	}
	if got, state := newest([]*packet.Signature{back}, now); got == nil {
		return fmt.Errorf("%w: the back-signature of subkey %s", orErr(state, ErrNotYet), name)
	}
	if lapsed(s.pub.CreationTime, b.KeyLifetimeSecs, now) {
		return fmt.Errorf("%w: subkey %s, on %s", ErrExpired, name, stamp(end(s.pub.CreationTime, b.KeyLifetimeSecs)))
	}
	return nil
}

// selfSignature returns the newest self-signature over the primary key that counts: a direct one,
// or one over a user id that is not revoked.
func (c *Certificate) selfSignature(now time.Time) (*packet.Signature, error) {
	candidates := append([]*packet.Signature(nil), c.direct...)
	var gone error
	for i := range c.users {
		u := &c.users[i]
		for _, sig := range u.certs {
			if err := u.revoked(sig, now); err != nil {
				gone = err
				continue
			}
			candidates = append(candidates, sig)
		}
	}
	self, state := newest(candidates, now)
	switch {
	case self != nil:
		return self, nil
	case state != nil:
		return nil, fmt.Errorf("%w: the self-signatures of key %s", state, c.Fingerprint)
	case gone != nil:
		return nil, gone
	}
	return nil, fmt.Errorf("%w: key %s", ErrUnbound, c.Fingerprint)
}

// revoked reports whether a certification of the user id does not count any more.
func (u *user) revoked(cert *packet.Signature, now time.Time) error {
	for _, rev := range u.revs {
		soft := rev.RevocationReason != nil && *rev.RevocationReason == packet.UserIDNotValid
		if soft && (rev.CreationTime.After(now) || cert.CreationTime.After(rev.CreationTime)) {
			continue
		}
		return fmt.Errorf("%w: the user id of the key, on %s", ErrRevoked, stamp(rev.CreationTime))
	}
	return nil
}

// revoked reports whether one of the revocations counts. A key's is never taken back.
func revoked(revs []*packet.Signature, now time.Time, what string) error {
	for _, rev := range revs {
		soft := rev.RevocationReason != nil &&
			(*rev.RevocationReason == packet.KeySuperseded || *rev.RevocationReason == packet.KeyRetired)
		if soft && rev.CreationTime.After(now) {
			continue
		}
		return fmt.Errorf("%w: %s, on %s", ErrRevoked, what, stamp(rev.CreationTime))
	}
	return nil
}

// newest returns the newest of the signatures that has begun and has not expired. If there is
// none, the error says what is wrong with them; nil if there are none at all.
func newest(list []*packet.Signature, now time.Time) (best *packet.Signature, state error) {
	for _, sig := range list {
		switch {
		case sig.CreationTime.After(now.Add(MaxSkew)):
			state = ErrNotYet
		case lapsed(sig.CreationTime, sig.SigLifetimeSecs, now):
			state = ErrExpired
		case best == nil || sig.CreationTime.After(best.CreationTime):
			best = sig
		}
	}
	return best, state
}

func orErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func why(state error, text string) string {
	if state != nil {
		return ", its binding"
	}
	return text
}

// acceptable refuses keys that prove too little.
func acceptable(pub *packet.PublicKey) error {
	if pub.Version != 4 && pub.Version != 6 {
		return fmt.Errorf("%w: a key of version %d", ErrUnsupported, pub.Version)
	}
	switch pub.PubKeyAlgo {
	case packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448:
		return nil
	case packet.PubKeyAlgoRSA:
		if k, ok := pub.PublicKey.(*rsa.PublicKey); ok {
			if n := k.N.BitLen(); n < minRSABits || n > maxRSABits {
				return fmt.Errorf("%w: RSA key of %d bits, want %d to %d", ErrUnsupported, n, minRSABits, maxRSABits)
			}
			return nil
		}
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoECDSA:
		curve, err := pub.Curve()
		if err != nil {
			return fmt.Errorf("%w: %s", ErrUnsupported, oneLine(err))
		}
		switch curve {
		case packet.Curve25519, packet.Curve448, packet.CurveNistP256, packet.CurveNistP384, packet.CurveNistP521:
			return nil
		}
		return fmt.Errorf("%w: a key on the curve %s", ErrUnsupported, curve)
	}
	return fmt.Errorf("%w: key algorithm %d", ErrUnsupported, pub.PubKeyAlgo)
}

// Keys returns the fingerprints of all keys of the certificate that could sign, the primary key's
// first, and for each the SHA-256 of its SubjectPublicKeyInfo, or nothing if there is none. One
// key has several fingerprints, since they cover the time at which it says that it was made.
func (c *Certificate) Keys() (fingerprints, materials []string) {
	pubs := []*packet.PublicKey{c.primary}
	for _, s := range c.subkeys {
		pubs = append(pubs, s.pub)
	}
	for _, p := range pubs {
		fingerprints, materials = append(fingerprints, fingerprint(p)), append(materials, material(p))
	}
	return fingerprints, materials
}

// material is the SHA-256 of the key's SubjectPublicKeyInfo in hex.
func material(pub *packet.PublicKey) string {
	key, err := public(pub)
	if err != nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func public(pub *packet.PublicKey) (crypto.PublicKey, error) {
	switch k := pub.PublicKey.(type) {
	case *rsa.PublicKey:
		return k, nil
	case *ed25519pgp.PublicKey:
		return ed25519.PublicKey(k.Point), nil
	case *eddsa.PublicKey:
		if point := k.MarshalPoint(); len(point) == 1+ed25519.PublicKeySize && point[0] == 0x40 {
			return ed25519.PublicKey(point[1:]), nil
		}
	case *ecdsa.PublicKey:
		curve, err := pub.Curve()
		if err != nil {
			return nil, err
		}
		for name, c := range map[packet.Curve]elliptic.Curve{
			packet.CurveNistP256: elliptic.P256(), packet.CurveNistP384: elliptic.P384(), packet.CurveNistP521: elliptic.P521(),
		} {
			if name == curve {
				return stdecdsa.ParseUncompressedPublicKey(c, k.MarshalPoint())
			}
		}
	}
	return nil, errors.New("no SubjectPublicKeyInfo is made of this key")
}
