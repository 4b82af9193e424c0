package evidence

import (
	"fmt"

	"github.com/sallyport-dev/sallyport"
)

// TypeDigest is the digest under which [Dir] files every attestation of a predicate type, beside
// its subjects. An approval that covers a squash onto a newer base is about another head and
// another tree than the squash, and is found by its type.
func TypeDigest(predicateType string) sallyport.Digest {
	return sallyport.SHA256([]byte("predicate type\n" + predicateType))
}

// KeyFor returns a key that may sign attestations of the given types, from a public key as
// trust.yaml has it: PEM, or an SSH authorized-key line. It is for a caller who trusts that key;
// what it signs is declared.
func KeyFor(public []byte, types ...string) (Key, error) {
	if err := checkTypes(types); err != nil {
		return Key{}, fmt.Errorf("read public key: %w", err)
	}
	k, err := parsePublic(string(public))
	if err != nil {
		return Key{}, fmt.Errorf("read public key: %w", err)
	}
	k.Name, k.Types, k.Grade = "given", types, sallyport.Declared
	return k, nil
}
