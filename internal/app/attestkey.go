package app

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/fido"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/identity"
)

// KeyAttestOptions say which attestation of a security key to verify.
type KeyAttestOptions struct {
	Attestation string // files
	Key         string
	Roots       string
	Person, By  string // ids of the roster
	Challenge   string
	Models      []string // empty for all
}

// AttestedKey is what a verified attestation says, and the key's entry in a roster.
type AttestedKey struct {
	AAGUID   string `json:"aaguid"`
	Maker    string `json:"maker"`
	Verified bool   `json:"user_verified"`
	Entry    string `json:"entry"` // YAML
}

// VerifyKeyAttestation verifies a security key's attestation as a roster's reader would.
func (a *App) VerifyKeyAttestation(o KeyAttestOptions) (AttestedKey, error) {
	att, err := readSmall(o.Attestation)
	if err != nil {
		return AttestedKey{}, fmt.Errorf("read the attestation: %w", err)
	}
	line, err := readSmall(o.Key)
	if err != nil {
		return AttestedKey{}, fmt.Errorf("read the public key: %w", err)
	}
	pem, err := readSmall(o.Roots)
	if err != nil {
		return AttestedKey{}, fmt.Errorf("read the makers' roots: %w", err)
	}
	roots, err := fido.ParseRoots(pem)
	if err != nil {
		return AttestedKey{}, fmt.Errorf("%s: %w", o.Roots, err)
	}
	pub, err := sshsig.ParseAuthorizedKey(string(line))
	if err != nil {
		return AttestedKey{}, fmt.Errorf("%s: %w", o.Key, err)
	}
	if !strings.HasPrefix(o.Challenge, identity.ChallengePrefix(o.Person, o.By)) {
		return AttestedKey{}, withHint(fmt.Errorf("the challenge %.80q is not one for a key of %s that %s enrols", o.Challenge, o.Person, o.By),
			"it has to start with "+identity.ChallengePrefix(o.Person, o.By))
	}
	info, err := identity.VerifyKeyAttestation(att, sshsig.Canonical(pub), o.Challenge, roots, o.Models)
	if err != nil {
		return AttestedKey{}, fmt.Errorf("%s: %w", o.Attestation, err)
	}
	entry := fmt.Sprintf("      - key: %s\n        enrolled_by: %s\n        attestation:\n          challenge: %q\n          data: %s\n",
		sshsig.Canonical(pub), o.By, o.Challenge, base64.StdEncoding.EncodeToString(att))
	return AttestedKey{AAGUID: info.AAGUID, Maker: info.Maker, Verified: info.Verified, Entry: entry}, nil
}
