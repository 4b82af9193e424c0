package sigstore

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sallyport-dev/sallyport"
)

// maxWhole is the largest file that is read into memory, in bytes. Only plain Ed25519 signatures
// over a file need that: every other is over a digest.
const maxWhole = 256 << 20

// An Artifact is what a signature has to be about. The zero Artifact is nothing, and nothing
// verifies against it.
type Artifact struct {
	sums map[string][]byte // by in-toto's name of the algorithm
	open func() (io.ReadCloser, error)
	size int64
}

// File reads a file once and remembers its digests. It has to stay as it is until it was verified.
func File(path string) (Artifact, error) {
	f, err := os.Open(path)
	if err != nil {
		return Artifact{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return Artifact{}, err
	} else if !info.Mode().IsRegular() {
		return Artifact{}, fmt.Errorf("%s is no regular file", path)
	}
	a, err := digest(f)
	if err != nil {
		return Artifact{}, fmt.Errorf("read %s: %w", path, err)
	}
	a.open = func() (io.ReadCloser, error) { return os.Open(path) }
	return a, nil
}

// Bytes is an artifact that is at hand.
func Bytes(b []byte) Artifact {
	a, _ := digest(bytes.NewReader(b)) // which does not fail
	a.open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	return a
}

func digest(r io.Reader) (Artifact, error) {
	h256, h384, h512 := sha256.New(), sha512.New384(), sha512.New()
	n, err := io.Copy(io.MultiWriter(h256, h384, h512), r)
	if err != nil {
		return Artifact{}, err
	}
	return Artifact{size: n, sums: map[string][]byte{"sha256": h256.Sum(nil), "sha384": h384.Sum(nil), "sha512": h512.Sum(nil)}}, nil
}

// Digested is an artifact of which only a digest is known.
func Digested(d sallyport.Digest) (Artifact, error) {
	d, err := sallyport.ParseDigest(string(d))
	if err != nil {
		return Artifact{}, err
	}
	sum, err := hex.DecodeString(d.Hex())
	if err != nil {
		return Artifact{}, err
	}
	return Artifact{sums: map[string][]byte{d.Algorithm(): sum}}, nil
}

// Digest returns the artifact's digest under an algorithm as in-toto names it, or "" if it is not
// known.
func (a Artifact) Digest(algorithm string) sallyport.Digest {
	if sum, ok := a.sums[algorithm]; ok {
		return sallyport.Digest(algorithm + ":" + hex.EncodeToString(sum))
	}
	return ""
}

// Known reports whether anything is known of the artifact.
func (a Artifact) Known() bool { return len(a.sums) > 0 }

// whole returns all bytes, for signatures that are not over a digest.
func (a Artifact) whole() ([]byte, error) {
	switch {
	case a.open == nil:
		return nil, errors.New("an Ed25519 signature is over all bytes of the file, and only a digest is known")
	case a.size > maxWhole:
		return nil, fmt.Errorf("an Ed25519 signature is over all bytes of the file, which is larger than %d MiB: sign its checksums, or with an ECDSA key", maxWhole>>20)
	}
	f, err := a.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxWhole+1))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], a.sums["sha256"]) {
		return nil, errors.New("the file changed while it was verified")
	}
	return b, nil
}

// about reports whether a subject's digest set is the artifact's. Every algorithm that both know
// has to agree: a subject of which one digest is right and another wrong is of two things.
func (a Artifact) about(digests map[string]string) bool {
	matched := false
	for algorithm, value := range digests {
		sum, ok := a.sums[algorithm]
		if !ok {
			continue
		}
		if value != hex.EncodeToString(sum) {
			return false
		}
		matched = true
	}
	return matched
}
