package identity

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/fido"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

// SecurityKeys says which makers of security keys the roster believes.
type SecurityKeys struct {
	// Roots is a file of PEM certificates under .sallyport/, of the makers whose attestations
	// count. Without it no key can be attested.
	Roots string `yaml:"roots"`
	// Models are the AAGUIDs of the models that are accepted: "2fc0579f-8113-47ea-b116-bb5a8db9202a".
	// Default: every model of these makers.
	Models []string `yaml:"models"`

	pool *x509.CertPool
}

// A KeyAttestation is what a security key's maker says about a key that was made in it.
type KeyAttestation struct {
	// Only one of Data and File.
	//
	// Data is the file that ssh-keygen -O write-attestation=FILE wrote, in base64.
	Data string `yaml:"data"`
	// File is the same in a file, by its path under .sallyport/.
	File string `yaml:"file"`
	// Challenge is what ssh-keygen -O challenge=FILE was given: the text "sallyport:", the
	// person's id, ":", the id of who enrolled the key, ":", and at least 16 characters that
	// the latter chose. So an attestation that was made for somebody else does not count here.
	Challenge string `yaml:"challenge"`
}

// minNonce is how much of a challenge its giver chooses.
const minNonce = 16

// ChallengePrefix is how the challenge for a key of person begins that by enrols.
func ChallengePrefix(person, by string) string { return "sallyport:" + person + ":" + by + ":" }

// indexSecurityKeys reads the makers' roots.
func (r *Roster) indexSecurityKeys() error {
	s := &r.SecurityKeys
	for i, m := range s.Models {
		if len(m) != 36 || strings.Trim(strings.ReplaceAll(m, "-", ""), "0123456789abcdef") != "" || slices.Contains(s.Models[:i], m) {
			return fmt.Errorf("security_keys: model %.60q: want each AAGUID once, in lower case", m)
		}
	}
	if s.Roots == "" {
		if len(s.Models) > 0 {
			return errors.New("security_keys: models without roots: nobody vouches for them")
		}
		return nil
	}
	b, err := r.governedFile(s.Roots)
	if err != nil {
		return fmt.Errorf("security_keys: %w", err)
	}
	if s.pool, err = fido.ParseRoots(b); err != nil {
		return fmt.Errorf("security_keys: %w", err)
	}
	return nil
}

// attested verifies the attestation of a person's key. What does not verify is an error: a
// roster that says that a key is attested has to be right.
//
// The maker's certificate is judged at its own beginning: that it has run out since does not take
// the key out of the device. To stop believing a maker, take its root out.
func (r *Roster) attested(pk PersonKey, person string) (bool, error) {
	a := pk.Attestation
	if a == nil {
		return false, nil
	}
	var b []byte
	var err error
	switch {
	case (a.Data == "") == (a.File == ""):
		return false, errors.New("want one of data and file")
	case a.File != "":
		b, err = r.governedFile(a.File)
	default:
		b, err = base64.StdEncoding.Strict().DecodeString(a.Data)
	}
	if err != nil {
		return false, err
	}
	if pk.EnrolledBy == "" {
		return false, errors.New("the key was enrolled by nobody: an attestation tells what made the key, not whose it is")
	}
	if nonce, ok := strings.CutPrefix(a.Challenge, ChallengePrefix(person, pk.EnrolledBy)); !ok || len(nonce) < minNonce || len(nonce) > 256 {
		return false, fmt.Errorf("challenge %.80q: want %q and at least %d characters that %s chose", a.Challenge, ChallengePrefix(person, pk.EnrolledBy), minNonce, pk.EnrolledBy)
	}
	_, err = VerifyKeyAttestation(b, pk.Key, a.Challenge, r.SecurityKeys.pool, r.SecurityKeys.Models)
	return err == nil, err
}

// VerifyKeyAttestation verifies that the sk- key, as in a .pub file, was made in a device of a maker in
// roots, and of one of the models if there are any, for exactly this challenge.
func VerifyKeyAttestation(attestation []byte, key, challenge string, roots *x509.CertPool, models []string) (fido.Info, error) {
	pub, err := sshsig.ParseAuthorizedKey(key)
	if err != nil {
		return fido.Info{}, err
	}
	if !sshsig.IsSK(pub) || sshsig.IsSimulated(pub) {
		return fido.Info{}, errors.New("only a key in a security key (sk-…) can be attested")
	}
	a, err := fido.Parse(attestation)
	if err != nil {
		return fido.Info{}, err
	}
	return a.Verify(fido.Options{PublicKey: sshsig.CryptoKey(pub), Application: sshsig.Application(pub),
		Challenge: []byte(challenge), Roots: roots, Models: models})
}
