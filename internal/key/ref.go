package key

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Kind is what a reference refers to, and with that who opens it.
type Kind int

// The kinds of reference. The zero Kind is none.
const (
	File    Kind = iota + 1 // PATH, file:PATH
	Env                     // env://VARIABLE
	Service                 // awskms://…, gcpkms://…, azurekms://…, hashivault://…, openbao://…
	Token                   // pkcs11:…
	Plugin                  // NAME://…
	Run                     // run:PATH
	Person                  // ssh:PATH, ssh-agent:FINGERPRINT, simulated-sk:PATH, openpgp:FINGERPRINT
)

// A Ref is a reference to a key, taken apart.
type Ref struct {
	Kind   Kind
	Scheme string // "file" for a bare path
	Rest   string // what follows the scheme and its separator
	Text   string // as it was given
}

// maxRef bounds a reference: it becomes an argument of a program.
const maxRef = 4096

// services are the key management services that a reference can name.
var services = []string{"awskms", "gcpkms", "azurekms", "hashivault", "openbao"}

// kinds lists them for whoever wrote another.
const kinds = "there are PATH or file:PATH, env://VARIABLE, awskms://…, gcpkms://…, azurekms://…, hashivault://…, openbao://…, pkcs11:… " +
	"NAME://… for a plugin sigstore-kms-NAME, and run:PATH, the key of a run (sallyport key issue); reviewers sign with ssh:PATH, ssh-agent:FINGERPRINT or openpgp:FINGERPRINT"

var (
	scheme   = regexp.MustCompile(`^([a-z][a-z0-9+-]+):(.*)$`) // two letters or more, so that a Windows drive is not one
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	plugin   = regexp.MustCompile(`^[a-z][a-z0-9-]{1,62}$`)
)

// ParseRef takes a reference apart. It opens nothing, and says nothing about whether the key is
// there.
func ParseRef(ref string) (Ref, error) {
	r := Ref{Kind: File, Scheme: "file", Rest: ref, Text: ref}
	if len(ref) > maxRef {
		return Ref{}, fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrScheme, len(ref), maxRef)
	}
	if strings.ContainsFunc(ref, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return Ref{}, fmt.Errorf("%w: the reference holds control characters", ErrScheme)
	}
	m := scheme.FindStringSubmatch(ref)
	if m == nil {
		switch {
		case ref == "":
			return Ref{}, fmt.Errorf("%w: the reference is empty", ErrScheme)
		case strings.Contains(ref, "://"):
			return Ref{}, fmt.Errorf("%w %.100q: %s", ErrScheme, ref, kinds)
		}
		return r, nil
	}
	r.Scheme, r.Rest = m[1], m[2]
	after, url := strings.CutPrefix(r.Rest, "//")
	switch {
	case r.Scheme == "file":
	case slices.Contains([]string{"ssh", "ssh-agent", "simulated-sk", "openpgp"}, r.Scheme):
		r.Kind = Person
	case r.Scheme == "pkcs11":
		r.Kind = Token
	case r.Scheme == "run" && filepath.IsAbs(r.Rest) && !url:
		r.Kind = Run
	case r.Scheme == "run":
		return Ref{}, fmt.Errorf("%w %.100q: want run:/PATH, the socket that sallyport key issue names", ErrScheme, ref)
	case r.Scheme == "env" && url && variable.MatchString(after):
		r.Kind, r.Rest = Env, after
	case r.Scheme == "env":
		return Ref{}, fmt.Errorf("%w %.100q: want env://VARIABLE, the name of an environment variable", ErrScheme, ref)
	case slices.Contains(services, r.Scheme) && url:
		r.Kind, r.Rest = Service, after
	case slices.Contains(services, r.Scheme):
		return Ref{}, fmt.Errorf("%w %.100q: want %s://…", ErrScheme, ref, r.Scheme)
	case url && plugin.MatchString(r.Scheme):
		r.Kind, r.Rest = Plugin, after
	default:
		return Ref{}, fmt.Errorf("%w %.100q: %s", ErrScheme, r.Scheme+":", kinds)
	}
	if r.Rest == "" {
		return Ref{}, fmt.Errorf("%w: %q names no key", ErrScheme, ref)
	}
	return r, nil
}

// Kinds returns the kinds of reference in words, for error messages.
func Kinds() string { return kinds }
