package sigstore

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the public instance's root
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// MaxRoot is the largest trusted root that is read, in bytes.
const MaxRoot = 1 << 20

// A Root is who is trusted to vouch for identities, entries and times: a Sigstore trusted root. It
// is safe for concurrent use.
type Root struct {
	material    *root.TrustedRoot
	authorities []root.CertificateAuthority // of material, with what is known of them
	digest      string
	name        string
}

// ParseRoot reads a trusted root (application/vnd.dev.sigstore.trustedroot+json). One that names no
// certificate authority and no log is refused: it would trust nobody, or, with a key, nothing more
// than the key.
func ParseRoot(b []byte) (*Root, error) {
	if err := strict.CheckJSON(b, MaxRoot); err != nil {
		return nil, fmt.Errorf("read trusted root: %w", err)
	}
	tr, err := root.NewTrustedRootFromJSON(b)
	if err != nil {
		return nil, fmt.Errorf("read trusted root: %s", oneLine(err))
	}
	if len(tr.FulcioCertificateAuthorities()) == 0 && len(tr.RekorLogs()) == 0 {
		return nil, errors.New("read trusted root: it names neither a certificate authority nor a log")
	}
	sum := sha256.Sum256(b)
	return &Root{material: tr, authorities: newAuthorities(tr), digest: "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// Digest names the root's bytes.
func (r *Root) Digest() string { return r.digest }

// Name says what the root is, for people: empty for one that is nobody's but the caller's.
func (r *Root) Name() string { return r.name }

// Named returns the root with a name for people.
func (r *Root) Named(name string) *Root {
	named := *r
	named.name = name
	return &named
}

// PublicGoodJSON is [PublicGood] as bytes.
func PublicGoodJSON() []byte { return bytes.Clone(publicGood) }

//go:embed public_good.json
var publicGood []byte

// PublicGood returns the root of the public Sigstore instance as this release ships it: the snapshot
// that sigstore-conformance tests with, which names what the instance used until the middle of
// 2025. Its newer log and timestamp authority are not in it; a trusted root that was fetched with
// TUF (`sallyport trust update`, cosign trusted-root) is.
var PublicGood = sync.OnceValues(func() (*Root, error) {
	r, err := ParseRoot(publicGood)
	if err != nil {
		return nil, err
	}
	r.name = "the public Sigstore instance as of the middle of 2025, shipped with sallyport"
	return r, nil
})

// Authorities counts what the root names, for people.
func (r *Root) Authorities() (certificates, logs, times int) {
	return len(r.material.FulcioCertificateAuthorities()), len(r.material.RekorLogs()), len(r.material.TimestampingAuthorities())
}

// stampedBy reports whether the root names an authority that could have made a timestamp.
func (r *Root) stampedBy() bool { return len(r.material.TimestampingAuthorities()) > 0 }

// A Time is one that somebody other than the signer vouches for.
type Time struct {
	Kind string    `json:"kind"` // log or timestamp-authority
	By   string    `json:"by"`   // its URI
	Time time.Time `json:"time"`
}
