package identity

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-dev/sallyport/internal/base/openpgp"
)

// governedDir is where the files lie that a roster may name.
const governedDir = ".sallyport/"

// keysets is what a roster knows beside SSH keys.
type keysets struct {
	files      map[string][]byte // only while the roster is read
	certs      openpgp.Keyring
	certOf     map[string]owner // by fingerprint of the certificate, and of each of its keys
	materialOf map[string]owner // by the SHA-256 of a SubjectPublicKeyInfo
	subjectOf  map[Subject]owner
	certKeys   []Key // of OpenPGP, in the roster's order
}

// An OpenPGPKey is an OpenPGP certificate of a person. A signature under it is worth what one
// under an ordinary SSH key is: nothing in it tells a key on a card from one in a file.
type OpenPGPKey struct {
	// Only one of Certificate and File.
	//
	// Certificate is the armoured public key, as gpg --armor --export writes it. It is what
	// decides, with the expiry and the revocations in it: what a key server knows since then is
	// not asked.
	Certificate string `yaml:"certificate"`
	// File is the same in a file, by its path under .sallyport/.
	File string `yaml:"file"`
	// NotAfter is the last day, in UTC, on which the key counts whatever its certificate says:
	// 2027-01-01. Default: the certificate decides alone.
	NotAfter string `yaml:"not_after"`
}

// A Subject is how a certificate authority knows somebody. Both are compared exactly.
type Subject struct {
	// Issuer is that of the token which the authority saw: https://accounts.example.com
	Issuer string `yaml:"issuer"`
	// Subject is the certificate's only subject alternative name: an address, or the URI of a
	// workflow.
	Subject string `yaml:"subject"`
}

// String returns "subject (issuer)".
func (s Subject) String() string { return s.Subject + " (" + s.Issuer + ")" }

// openPGPName is how the fingerprint of a certificate is written where other keys have theirs.
func openPGPName(fingerprint string) string { return "openpgp:" + fingerprint }

// OpenPGPKeys returns the certificates of all persons, expired ones too, in the roster's order. The
// Fingerprint of each is "openpgp:" and its own.
func (r *Roster) OpenPGPKeys() []Key {
	if r == nil {
		return nil
	}
	return slices.Clone(r.certKeys)
}

// VerifyOpenPGP verifies a binary signature over message under the certificates of the roster at
// the time now, and returns the key that made it. It fails for a key that the roster
// ends, too.
func (r *Roster) VerifyOpenPGP(sig, message []byte, now time.Time) (Key, error) {
	if r == nil {
		return Key{}, openpgp.ErrUnknownKey
	}
	info, err := r.certs.VerifyBinary(sig, message, now)
	if err != nil {
		return Key{}, err
	}
	o, ok := r.certOf[info.Fingerprint]
	switch {
	case !ok:
		return Key{}, openpgp.ErrUnknownKey
	case o.key.Expired(now):
		return Key{}, fmt.Errorf("%w: the roster let the key count until %s", openpgp.ErrExpired, o.key.NotAfter.Format(time.DateOnly))
	}
	return o.key, nil
}

// PersonByOpenPGP returns whose key it is that has this fingerprint, written with or without
// blanks, "0x" and "openpgp:"; a subkey's will do. Key ids are too short to name a key.
func (r *Roster) PersonByOpenPGP(fingerprint string) (Person, Key, bool) {
	if r == nil {
		return Person{}, Key{}, false
	}
	f := strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(fingerprint, "openpgp:"), " ", ""))
	o, ok := r.certOf[strings.TrimSuffix(strings.TrimPrefix(f, "0X"), "!")]
	if !ok {
		return Person{}, Key{}, false
	}
	p, ok := r.Person(o.id)
	return p, o.key, ok
}

// indexFurther takes a person's keys and identities that are no SSH keys.
func (r *Roster) indexFurther(p *Person, me owner) error {
	for _, k := range p.OpenPGP {
		if err := r.addOpenPGP(k, me); err != nil {
			return fmt.Errorf("openpgp: %w", err)
		}
	}
	return r.addSubjects(p.Identities, me)
}

func (r *Roster) addOpenPGP(k OpenPGPKey, o owner) error {
	text := []byte(k.Certificate)
	switch {
	case (k.Certificate == "") == (k.File == ""):
		return errors.New("want one of certificate and file")
	case k.File != "":
		var err error
		if text, err = r.governedFile(k.File); err != nil {
			return err
		}
	}
	cert, err := openpgp.ParseCertificate(text)
	if err != nil {
		return err
	}
	o.key = Key{Person: o.id, Fingerprint: openPGPName(cert.Fingerprint)}
	if k.NotAfter != "" {
		if o.key.NotAfter, err = parseDay(k.NotAfter); err != nil {
			return fmt.Errorf("not_after: %w", err)
		}
	}
	if r.certOf == nil {
		r.certOf = map[string]owner{}
	}
	prints, materials := cert.Keys()
	o.key.Materials = slices.DeleteFunc(slices.Clone(materials), func(m string) bool { return m == "" })
	for i, fp := range prints {
		if other, ok := r.certOf[fp]; ok {
			return fmt.Errorf("key %s stands twice, at %s and %s", fp, other.id, o.id)
		}
		if err := r.addMaterial(materials[i], fp, o); err != nil {
			return err
		}
	}
	for _, fp := range prints {
		r.certOf[fp] = o
	}
	r.certs.Add(cert)
	r.certKeys = append(r.certKeys, o.key)
	return nil
}

// addMaterial refuses one key under two names, by which two persons would have it: the
// fingerprint of an OpenPGP key covers the time at which it says that it was made, so whoever has
// the key can make it others. A person may use one key in both ways.
func (r *Roster) addMaterial(material, name string, o owner) error {
	if material == "" {
		return nil
	}
	if other, ok := r.materialOf[material]; ok && !other.is(o) {
		return fmt.Errorf("key %s stands twice, at %s and %s: the same key under another name", name, other.id, o.id)
	}
	if r.materialOf == nil {
		r.materialOf = map[string]owner{}
	}
	r.materialOf[material] = o
	return nil
}

func (r *Roster) addSubjects(list []Subject, o owner) error {
	for _, s := range list {
		for name, v := range map[string]string{"issuer": s.Issuer, "subject": s.Subject} {
			if v == "" || len(v) > 1024 || strings.ContainsFunc(v, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) || c == '*' }) {
				return fmt.Errorf("identities: %s %.80q: want it whole and exact, without blanks and patterns", name, v)
			}
		}
		if !strings.HasPrefix(s.Issuer, "https://") && !strings.HasPrefix(s.Issuer, "http://") {
			return fmt.Errorf("identities: issuer %.80q is no URL", s.Issuer)
		}
		if other, ok := r.subjectOf[s]; ok {
			return fmt.Errorf("identity %.200q stands twice, at %s and %s", s.String(), other.id, o.id)
		}
		if r.subjectOf == nil {
			r.subjectOf = map[Subject]owner{}
		}
		r.subjectOf[s] = owner{kind: o.kind, id: o.id}
	}
	return nil
}

// governedFile returns a file that the roster names by its path under .sallyport/.
func (r *Roster) governedFile(name string) ([]byte, error) {
	if path.Clean(name) != name || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || name == "." {
		return nil, fmt.Errorf("file %.80q: want a path under %s", name, governedDir)
	}
	b, ok := r.files[governedDir+name]
	if !ok {
		return nil, fmt.Errorf("file %.80q is not under %s", name, governedDir)
	}
	return b, nil
}
