package sallyport

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A Digest names content as "algorithm:hex", lower case: "sha256:…", "gitCommit:…",
// "gitTree:…". The algorithms and their spelling are those of in-toto's DigestSet; the git
// ones hold 40 (SHA-1) or 64 (SHA-256) digits. The zero Digest names nothing.
type Digest string

// ErrDigest is wrapped by every error of [ParseDigest].
var ErrDigest = errors.New("invalid digest")

var digestLengths = map[string][]int{
	"sha256": {64}, "sha512": {128},
	"gitCommit": {40, 64}, "gitTree": {40, 64}, "gitBlob": {40, 64}, "gitTag": {40, 64},
}

// ParseDigest validates s. It accepts no spelling but the canonical one.
func ParseDigest(s string) (Digest, error) {
	alg, hexs, ok := strings.Cut(s, ":")
	lengths := digestLengths[alg]
	if !ok || lengths == nil {
		return "", fmt.Errorf("%w: %q", ErrDigest, s)
	}
	for _, n := range lengths {
		if len(hexs) == n && isLowerHex(hexs) {
			return Digest(s), nil
		}
	}
	return "", fmt.Errorf("%w: %q", ErrDigest, s)
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Algorithm returns the part before the colon.
func (d Digest) Algorithm() string { a, _, _ := strings.Cut(string(d), ":"); return a }

// Hex returns the part after the colon.
func (d Digest) Hex() string { _, h, _ := strings.Cut(string(d), ":"); return h }

// Short returns the digest with its hex part cut to twelve digits, for people only.
func (d Digest) Short() string {
	h := d.Hex()
	if len(h) > 12 {
		h = h[:12]
	}
	return d.Algorithm() + ":" + h
}

// Zero reports whether d names nothing.
func (d Digest) Zero() bool { return d == "" }

// GitCommit returns the digest of the commit with object id oid.
func GitCommit(oid string) Digest { return Digest("gitCommit:" + oid) }

// GitTree returns the digest of the tree with object id oid.
func GitTree(oid string) Digest { return Digest("gitTree:" + oid) }

// SHA256 returns the digest of b.
func SHA256(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// EncodeJSON encodes v the way everything that is digested here is encoded: no HTML escaping,
// no indentation, no trailing newline, map keys sorted (as encoding/json does).
func EncodeJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
