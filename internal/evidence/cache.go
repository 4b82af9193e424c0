package evidence

import (
	"crypto/sha256"
	"slices"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/recent"
)

// maxCached is the largest bundle that a cache keeps, in bytes.
const maxCached = 4 << 20

// A Cache remembers signatures that have verified, so that a gate that meets the same attestation again does
// not verify it again. It is safe for concurrent use, and may be shared by verifiers under other keys and
// at other times.
//
// What it keeps follows from bytes alone: that a bundle's envelope was signed under the key of a hint, which is
// the key's digest, or under a certificate that a trusted root vouches for. Whether that key is trusted, for
// what, until when, and whether it was revoked is asked of the verifier each time. So a revocation needs no
// entry to be deleted, and another trusted root finds none.
//
// Only what verified is kept, in memory, and never on disk: whoever can write there could write that
// something verified.
type Cache struct {
	found *recent.Map[cacheKey, fact]
}

// A cacheKey is a bundle, and the trusted root that vouched for its certificate, if it has one. Roots are
// compared as what they are in memory: one that is read anew is another.
type cacheKey struct {
	bundle  [sha256.Size]byte
	keyless *Keyless
}

// A fact is a good signature.
type fact struct {
	parsed    parsed
	statement sallyport.Statement
	who       KeylessSigner // of a certificate
}

// NewCache returns a cache that holds bundles of at most so many mebibytes together.
func NewCache(mebibytes int) *Cache {
	return &Cache{recent.New[cacheKey, fact](mebibytes << 20)}
}

// read reads a bundle and verifies its signature.
func (v *Verifier) read(raw []byte) (parsed, signed, sallyport.Statement, error) {
	var key cacheKey
	if v.Cache != nil && len(raw) <= maxCached {
		key = cacheKey{sha256.Sum256(raw), v.Keyless}
		if f, ok := v.Cache.found.Get(key); ok {
			s, err := v.known(f)
			if err != nil {
				return parsed{}, signed{}, sallyport.Statement{}, err
			}
			return f.parsed.own(), s, ownStatement(f.statement), nil
		}
	}
	p, err := parse(raw)
	if err != nil {
		return parsed{}, signed{}, sallyport.Statement{}, err
	}
	s, err := v.verifySignature(p)
	if err != nil {
		return parsed{}, signed{}, sallyport.Statement{}, err
	}
	st, err := decodeStatement(p.envelope.Payload)
	if err != nil {
		return parsed{}, signed{}, sallyport.Statement{}, err
	}
	// Who a run's certificate is of follows from the trust roots, and is asked each time.
	if key != (cacheKey{}) && s.run == nil && (p.cert || !p.isSSH() && v.pem[p.hint] != nil) {
		v.Cache.found.Put(key, fact{parsed: p.own(), statement: ownStatement(st), who: s.who}, len(raw))
	}
	return p, s, ownStatement(st), nil
}

// known says who made a signature that has verified, under the keys of today.
func (v *Verifier) known(f fact) (signed, error) {
	if f.parsed.cert {
		return v.identity(f.who)
	}
	return v.underPEM(f.parsed.hint)
}

// own is a parsed bundle of which nothing is shared that sigstore-go writes to.
func (p parsed) own() parsed {
	b := *p.bundle
	p.bundle = &b
	return p
}

// ownStatement is a statement whose list of subjects is nobody else's.
func ownStatement(st sallyport.Statement) sallyport.Statement {
	st.Subject = slices.Clone(st.Subject)
	return st
}
