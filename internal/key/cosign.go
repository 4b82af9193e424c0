package key

import (
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// cosign's names for the PEM block of its own key files: today's, and that of releases before
// version 2. The block holds a JSON document: scrypt's parameters, a nonce, and the PKCS#8 key in
// a NaCl secret box, which unlike PBES2 tells a wrong passphrase from a damaged file.
const (
	sigstoreBlock = "ENCRYPTED SIGSTORE PRIVATE KEY"
	cosignBlock   = "ENCRYPTED COSIGN PRIVATE KEY"
)

// openCosign returns the PKCS#8 bytes of a key file of cosign's. The library accepts three sets of
// parameters for scrypt and no other, so that a hostile file keeps us busy for half a second at
// most. A file is often encrypted under the empty passphrase, which is as good as none: where
// nobody gives a passphrase, that is tried.
func openCosign(box []byte, pass func() ([]byte, error)) ([]byte, error) {
	phrase, err := []byte{}, ErrEncrypted
	if pass != nil {
		phrase, err = pass()
	}
	nobody := errors.Is(err, ErrEncrypted)
	if err != nil && !nobody {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	der, err := encrypted.Decrypt(box, phrase)
	switch {
	case err == nil:
		return der, nil
	case err.Error() != wrongBox:
		return nil, fmt.Errorf("%w: its encryption is not what cosign writes", ErrFormat)
	case nobody:
		return nil, ErrEncrypted
	}
	return nil, ErrPassphrase
}

// wrongBox is the library's error for a box that the key does not open; it has no sentinel.
const wrongBox = "encrypted: decryption failed"
