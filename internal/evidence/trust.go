package evidence

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/keyalg"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// MaxTrust is the largest trust.yaml that is read, in bytes.
const MaxTrust = 1 << 20

const (
	maxKeys  = 1000
	maxTypes = 64
	maxName  = 256
)

// A Key is a public key and what it may say.
type Key struct {
	Name      string
	Principal sallyport.Principal // whose word a signature by this key is
	Types     []string            // predicate types that it may sign, exact
	Grade     sallyport.Grade     // what its signature proves

	// Exactly one of Public, SSH, OpenPGP and Identity is set. SSH is a fingerprint, "SHA256:…", and
	// OpenPGP one as well, "openpgp:…". Identity is no key but who certificates are issued for:
	// "identity:subject (issuer)".
	Public   crypto.PublicKey
	SSH      string
	OpenPGP  string
	Identity string

	// Repository is the URI that the certificate of an Identity has to name; empty for any.
	Repository string

	// SK says that the SSH key lives in a security key. Its signature counts for more than
	// declared only if somebody touched the key for it.
	SK bool

	// The key is valid from NotBefore to NotAfter, both included; zero means without limit.
	NotBefore, NotAfter time.Time

	// Revoked ends the key; nil if it was not revoked.
	Revoked *Revocation

	// Run makes the key that of an authority, which signs the certificates of runs' keys. What is said
	// above is then said of those: they may sign Types at Grade. Public is the authority's key, and
	// Principal is the authority itself, not whose word such a signature is.
	Run *RunAuthority

	// Materials are the SHA-256 digests, in hex, of the SubjectPublicKeyInfo that SSH or OpenPGP stands
	// for: one key has a hint in every format, and is revoked in all of them at once.
	Materials []string

	// Kind is the algorithm of an SSH key, as package keyalg names it, for lists.
	Kind string
}

// Algorithm returns the name of the key's algorithm, or nothing for what is no key or of several.
func (k Key) Algorithm() string {
	if k.Public != nil {
		return keyalg.Of(k.Public).ID
	}
	return k.Kind
}

// material returns the digests by which the same key is known in any format.
func (k Key) material() []string {
	if k.Public == nil {
		return k.Materials
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(der)
	return []string{hex.EncodeToString(sum[:])}
}

// Hint returns what a bundle calls the key: the fingerprint of an SSH key, or the base64 of the
// SHA-256 of the SubjectPublicKeyInfo. It is empty for a key that cannot be used. An authority has one
// that no bundle can name, so that its key signs certificates and no statements.
func (k Key) Hint() string {
	if k.Run != nil {
		hint, err := Hint(k.Public)
		if err != nil {
			return ""
		}
		return authorityHint + hint
	}
	if k.SSH != "" {
		return k.SSH
	}
	if k.OpenPGP != "" {
		return k.OpenPGP
	}
	if k.Identity != "" {
		return k.Identity
	}
	hint, err := Hint(k.Public)
	if err != nil {
		return ""
	}
	return hint
}

// single reports whether k is one key and not several.
func (k Key) single() bool {
	n := 0
	for _, is := range []bool{k.Public != nil, k.SSH != "", k.OpenPGP != "", k.Identity != ""} {
		if is {
			n++
		}
	}
	return n == 1
}

// Hint returns what a bundle calls the public key pub. It fails for a kind, curve or length of
// key that is not accepted.
func Hint(pub crypto.PublicKey) (string, error) {
	if err := keyalg.Check(pub); err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// Trust is what .sallyport/trust.yaml says.
type Trust struct {
	Keys []Key
}

// trustFile is the file as written; docs/roster.md says what each key means. A key may be a PEM
// public key or an SSH authorized-key line, and a time may be a day, the whole of it in UTC.
type trustFile struct {
	Version    int             `yaml:"version"`
	Keys       []trustKey      `yaml:"keys"`
	Identities []trustIdentity `yaml:"identities"`

	RunAuthorities []trustAuthority `yaml:"run_authorities"`
}

type trustKey struct {
	Name      string         `yaml:"name"`
	Key       string         `yaml:"key"`
	Principal trustPrincipal `yaml:"principal"`
	Types     []string       `yaml:"types"`
	Grade     string         `yaml:"grade"`
	NotBefore string         `yaml:"not_before"`
	NotAfter  string         `yaml:"not_after"`

	Revoked *trustRevocation `yaml:"revoked"`
}

type trustPrincipal struct {
	Kind string `yaml:"kind"`
	Name string `yaml:"name"`
}

// ParseTrust reads a trust.yaml. Unknown keys fail, and so does anything that would make a key
// say more than one thing: a name or a key that stands twice, a pattern for a type.
func ParseTrust(b []byte) (*Trust, error) {
	var f trustFile
	if err := strict.YAML(b, MaxTrust, &f); err != nil {
		return nil, fmt.Errorf("read trust: %w", err)
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("read trust: version is %d, this release reads version 1", f.Version)
	}
	if n := len(f.Keys) + len(f.Identities) + len(f.RunAuthorities); n > maxKeys {
		return nil, fmt.Errorf("read trust: %d keys, the limit is %d", n, maxKeys)
	}
	t := &Trust{Keys: make([]Key, 0, len(f.Keys))}
	names, hints, materials := map[string]bool{}, map[string]string{}, map[string]Key{}
	add := func(where, name string, k Key, err error) error {
		if err != nil {
			return fmt.Errorf("read trust: %s %.100q: %w", where, name, err)
		}
		if names[k.Name] {
			return fmt.Errorf("read trust: %s: the name %q stands twice", where, k.Name)
		}
		if other, ok := hints[k.Hint()]; ok {
			return fmt.Errorf("read trust: %s %q: the key is that of %q", where, k.Name, other)
		}
		for _, m := range k.material() {
			// What signs certificates signs nothing else: a statement that it is talked into could
			// otherwise count twice over.
			if other, ok := materials[m]; ok && (k.Run != nil || other.Run != nil) {
				return fmt.Errorf("read trust: %s %q: the key is that of %q, and a run authority's key has no other use", where, k.Name, other.Name)
			}
			materials[m] = k
		}
		names[k.Name], hints[k.Hint()] = true, k.Name
		t.Keys = append(t.Keys, k)
		return nil
	}
	for i, in := range f.Keys {
		k, err := in.parse()
		if err := add(fmt.Sprintf("keys[%d]", i), in.Name, k, err); err != nil {
			return nil, err
		}
	}
	for i, in := range f.Identities {
		k, err := in.parse()
		if err := add(fmt.Sprintf("identities[%d]", i), in.Name, k, err); err != nil {
			return nil, err
		}
	}
	for i, in := range f.RunAuthorities {
		k, err := in.parse()
		if err := add(fmt.Sprintf("run_authorities[%d]", i), in.Name, k, err); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (in trustKey) parse() (Key, error) {
	k, err := in.parseUse()
	if err != nil {
		return Key{}, err
	}
	public, err := parsePublic(in.Key)
	k.Public, k.SSH, k.SK, k.Materials, k.Kind = public.Public, public.SSH, public.SK, public.Materials, public.Kind
	return k, err
}

// parseUse reads what a key may say, and when.
func (in trustKey) parseUse() (Key, error) {
	k := Key{
		Name:      in.Name,
		Principal: sallyport.Principal{Kind: sallyport.PrincipalKind(in.Principal.Kind), Name: in.Principal.Name},
		Grade:     sallyport.Grade(in.Grade),
		Types:     slices.Clone(in.Types),
	}
	if !validName(in.Name) {
		return Key{}, errors.New("name is missing or not one printable line")
	}
	if !validName(in.Principal.Name) {
		return Key{}, errors.New("principal.name is missing or not one printable line")
	}
	switch k.Principal.Kind {
	case sallyport.Workload, sallyport.Bot, sallyport.Person, sallyport.Agent:
	default:
		return Key{}, fmt.Errorf("principal.kind is %q, want workload, person, agent or bot", in.Principal.Kind)
	}
	switch {
	case k.Grade != sallyport.Declared && k.Grade != sallyport.Observed:
		return Key{}, fmt.Errorf("grade is %q, want declared or observed", in.Grade)
	case k.Grade == sallyport.Observed && (k.Principal.Kind == sallyport.Person || k.Principal.Kind == sallyport.Agent):
		// The agent has its operator's ordinary keys, and its own word is a declaration.
		return Key{}, fmt.Errorf("grade is observed, which the key of a %s cannot prove", k.Principal.Kind)
	}
	if err := checkTypes(in.Types); err != nil {
		return Key{}, err
	}
	var err error
	if k.NotBefore, _, err = parseTime("not_before", in.NotBefore); err != nil {
		return Key{}, err
	}
	if _, k.NotAfter, err = parseTime("not_after", in.NotAfter); err != nil {
		return Key{}, err
	}
	if !k.NotAfter.IsZero() && k.NotAfter.Before(k.NotBefore) {
		return Key{}, errors.New("not_after is before not_before")
	}
	if k.Revoked, err = in.Revoked.parse(); err != nil {
		return Key{}, err
	}
	return k, nil
}

func checkTypes(types []string) error {
	if len(types) == 0 || len(types) > maxTypes {
		return fmt.Errorf("types has %d entries, want 1 to %d predicate types", len(types), maxTypes)
	}
	for i, t := range types {
		u, err := url.Parse(t)
		switch {
		case err != nil || u.Scheme == "" || (u.Host == "" && u.Opaque == ""):
			return fmt.Errorf("types: %.100q is not a URI", t)
		case strings.ContainsAny(t, "* \t\r\n"):
			return fmt.Errorf("types: %.100q is a pattern, and types are exact", t)
		case slices.Contains(types[:i], t):
			return fmt.Errorf("types: %.100q stands twice", t)
		}
	}
	return nil
}

// parseTime returns the first and the last instant of what is named: a day in UTC, as in
// roster.yaml, or a moment.
func parseTime(field, s string) (first, last time.Time, err error) {
	if s == "" {
		return time.Time{}, time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day, day.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, time.Time{}, fmt.Errorf("%s: %.100q is neither a day such as 2026-01-31 nor a time such as 2026-01-31T12:00:00Z", field, s)
	}
	return t, t, nil
}

func validName(s string) bool {
	return s != "" && len(s) <= maxName && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// parsePublic reads a PEM public key, or the fingerprint of an SSH authorized-key line.
func parsePublic(s string) (k Key, err error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return Key{}, errors.New("key is missing")
	case strings.HasPrefix(s, "-----BEGIN "):
		k.Public, err = parsePEM([]byte(s))
	default:
		line, err := sshsig.ParseAuthorizedKey(s)
		if err != nil {
			return Key{}, fmt.Errorf("key is neither a PEM public key nor an SSH key line: %s", oneLine(err)) // it quotes the key's bytes
		}
		k.SSH, k.SK = sshsig.Fingerprint(line), sshsig.IsSK(line)
		if k.Kind = line.Type(); !k.SK {
			k.Kind = keyalg.Of(sshsig.CryptoKey(line)).ID
		}
		if m := sshsig.Material(line); m != "" {
			k.Materials = []string{m}
		}
	}
	return k, err
}

func parsePEM(b []byte) (crypto.PublicKey, error) {
	block, rest := pem.Decode(b)
	switch {
	case block == nil:
		return nil, errors.New("key: the PEM block cannot be read")
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, errors.New("key: this is a private key; whoever can read this file has it now")
	case block.Type != "PUBLIC KEY" || len(block.Headers) != 0:
		return nil, fmt.Errorf("key: the PEM block is a %q, want a PUBLIC KEY", block.Type)
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, errors.New("key: there is more after the PEM block")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		if refused := keyalg.Unreadable(block.Bytes); refused != nil {
			return nil, fmt.Errorf("key: %w", refused)
		}
		return nil, fmt.Errorf("key: %s", oneLine(err))
	}
	if err := keyalg.Check(pub); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return pub, nil
}
