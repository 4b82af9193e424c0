package sbom

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// algorithms are the digests that both formats know, with their lengths in bytes.
var algorithms = map[string]struct {
	name string
	size int
}{"sha1": {"SHA1", 20}, "sha256": {"SHA256", 32}, "sha384": {"SHA384", 48}, "sha512": {"SHA512", 64}}

// hashes reads the digests of an archive as a lock file writes them. What is the digest of something
// else is left out: Go's "h1:" is of a list of files, NuGet's content hash of a package without its
// signature, and Python's lists name every wheel of a release, of which one is installed.
func hashes(ecosystem, written string) []Hash {
	switch ecosystem {
	case "npm":
		return integrity(written)
	case "cargo":
		if h, ok := hexHash("sha256", written); ok {
			return []Hash{h}
		}
	}
	return nil
}

// integrity reads Subresource Integrity as package-lock.json, yarn.lock and pnpm-lock.yaml hold it
// (https://www.w3.org/TR/SRI/).
func integrity(s string) []Hash {
	var out []Hash
	for _, part := range strings.Fields(s) {
		alg, b64, ok := strings.Cut(part, "-")
		a, known := algorithms[strings.ToLower(alg)]
		if !ok || !known {
			continue
		}
		b64, _, _ = strings.Cut(b64, "?")
		raw, err := base64.StdEncoding.DecodeString(b64)
		if err != nil || len(raw) != a.size {
			continue
		}
		out = append(out, Hash{a.name, hex.EncodeToString(raw)})
	}
	return out
}

func hexHash(algorithm, s string) (Hash, bool) {
	a := algorithms[algorithm]
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != a.size {
		return Hash{}, false
	}
	return Hash{a.name, strings.ToLower(s)}, true
}
