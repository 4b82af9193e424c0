package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// On a git ref, an attestation is found by what it is about without reading others. It lies there
// under a path for each of its keys: for each subject, for its type and who signed it, and, for an
// approval or an exception, for the bundle itself (see [RefKeys]).
//
//	<kk>/<kkkkkkkkkkkkkk>-<32 hex digits>.json
//
// The k are the first 16 hex digits of the SHA-256 of the key, the others the first of that of
// the bundle. All paths of an attestation are the same blob. A path is a claim as everything on
// the ref is: one that does not follow from the content only hides it.

const (
	refFolder = 2  // hex digits that name a folder
	refKey    = 14 // hex digits of the key in the name
	refDigest = 32 // hex digits of the bundle's digest in the name
)

// RefKeys returns the keys by which an attestation is looked up on a ref: its subjects, [TypedBy],
// and for an approval or an exception its own digest. It fails for what is no attestation.
func RefKeys(raw []byte) ([]string, error) {
	subjects, err := subjectsOf(raw)
	if err != nil {
		return nil, err
	}
	var keys []string
	seen := map[string]bool{}
	add := func(k string) {
		if !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	p, err := parse(raw)
	if err != nil {
		return nil, err
	}
	st, err := decodeStatement(p.envelope.Payload)
	if err != nil {
		return nil, err
	}
	typed := TypeDigest(st.PredicateType)
	add(TypedBy(typed, p.hint))
	for _, s := range subjects {
		if s != typed {
			add(string(s))
		}
	}
	if st.PredicateType == predicate.ApprovalType || st.PredicateType == predicate.ExceptionType || st.PredicateType == predicate.ModelType {
		add(string(sallyport.SHA256(raw))) // a log names revocations and declines so
	}
	return keys, nil
}

// TypedBy is the key of all that the key with a hint signed of a type, given by [TypeDigest]. What
// is looked up by its type alone is looked up for each key that may sign it, so that what others
// sign of that type is not read.
func TypedBy(typ sallyport.Digest, hint string) string { return string(typ) + " by " + hint }

// RefPlace returns the folder of a key on a ref, and how the names there begin.
func RefPlace(key string) (folder, prefix string) {
	sum := sha256.Sum256([]byte(key))
	h := hex.EncodeToString(sum[:])
	return h[:refFolder], h[refFolder:refFolder+refKey] + "-"
}

// RefPaths returns the paths of an attestation on a ref. It fails for what is no attestation.
func RefPaths(raw []byte) ([]string, error) {
	keys, err := RefKeys(raw)
	if err != nil {
		return nil, err
	}
	digest := sallyport.SHA256(raw).Hex()[:refDigest]
	paths := make([]string, len(keys))
	for i, k := range keys {
		folder, prefix := RefPlace(k)
		paths[i] = folder + "/" + prefix + digest + ".json"
	}
	return paths, nil
}

// CheckRefPaths reports whether an attestation may lie at each of paths on a ref: at one of its own
// paths, or in the top folder, where the first version of this layout had each under one name of
// any kind. It returns the first of paths that may not hold it, with why; the first of all if raw is
// no attestation. An attestation about thousands of hunks has as many places, so it is read once
// for all of them.
func CheckRefPaths(paths []string, raw []byte) (string, error) {
	own, err := RefPaths(raw)
	if err != nil {
		if len(paths) == 0 {
			return "", err
		}
		return paths[0], err
	}
	may := make(map[string]bool, len(own))
	for _, p := range own {
		may[p] = true
	}
	for _, p := range paths {
		if strings.Contains(p, "/") && !may[p] {
			return p, fmt.Errorf("it would lie where it is not looked for; %s is a place of it", own[0])
		}
	}
	return "", nil
}

// IsRefFolder reports whether a folder of the ref is one of those that hold attestations.
func IsRefFolder(name string) bool {
	_, err := hex.DecodeString(name)
	return len(name) == refFolder && err == nil && strings.ToLower(name) == name
}

// ClaimedKey returns the hint of the key that a bundle says it was signed with, at a fraction of
// the cost of reading it whole; empty if it says none or is no bundle. It is a claim, good for
// not looking closer at what no known key could have signed.
func ClaimedKey(raw []byte) string {
	var b struct {
		Material struct {
			PublicKey struct {
				Hint string `json:"hint"`
			} `json:"publicKey"`
		} `json:"verificationMaterial"`
	}
	if len(raw) > MaxBundle || json.Unmarshal(raw, &b) != nil {
		return ""
	}
	return b.Material.PublicKey.Hint
}
