package dep

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// The types of package URL that the readers give.
const (
	typeNpm      = "npm"
	typeGo       = "golang"
	typeCargo    = "cargo"
	typePyPI     = "pypi"
	typeMaven    = "maven"
	typeNuget    = "nuget"
	typeGem      = "gem"
	typeComposer = "composer"
	typeOther    = "other"
)

// purl returns the package URL of a package. Names of npm and Go keep their case, against the
// letter of the specification and as every scanner does: they are not the same package in another.
func purl(ecosystem, name, version string) string {
	var namespace string
	switch ecosystem {
	case typeMaven:
		if i := strings.LastIndexByte(name, ':'); i >= 0 {
			namespace, name = name[:i], name[i+1:]
		}
	case typePyPI:
		name = normalPython(name)
	case typeComposer:
		name = strings.ToLower(name)
		fallthrough
	case typeNpm, typeGo:
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			namespace, name = name[:i], name[i+1:]
		}
	}
	var b strings.Builder
	b.WriteString("pkg:")
	b.WriteString(ecosystem)
	b.WriteByte('/')
	if namespace != "" {
		for s := range strings.SplitSeq(namespace, "/") {
			escape(&b, s)
			b.WriteByte('/')
		}
	}
	escape(&b, name)
	if version != "" {
		b.WriteByte('@')
		escape(&b, version)
	}
	return b.String()
}

// escape writes s with all percent-encoded that the specification wants encoded in a segment.
func escape(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(".-_~:", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
}

// ParsePurl takes a package URL without qualifiers apart; namespace, name and version are decoded.
func ParsePurl(s string) (ecosystem, namespace, name, version string, err error) {
	rest, ok := strings.CutPrefix(s, "pkg:")
	ecosystem, rest, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 || ecosystem == "" || strings.ContainsAny(rest, "?#") {
		return "", "", "", "", errors.New("not a package URL")
	}
	rest, version, _ = strings.Cut(rest, "@")
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		namespace, rest = rest[:i], rest[i+1:]
	}
	parts := []*string{&namespace, &rest, &version}
	for _, p := range parts {
		if *p, err = url.PathUnescape(*p); err != nil {
			return "", "", "", "", err
		}
	}
	if rest == "" {
		return "", "", "", "", errors.New("not a package URL: it has no name")
	}
	return ecosystem, namespace, rest, version, nil
}

var pythonSeparators = regexp.MustCompile(`[-_.]+`)

// normalPython returns the one spelling of a Python project's name (PEP 503).
func normalPython(name string) string {
	plain := true
	for i := range len(name) {
		if c := name[i]; c == '_' || c == '.' || c >= 'A' && c <= 'Z' || c == '-' && i+1 < len(name) && name[i+1] == '-' {
			plain = false
		}
	}
	if plain {
		return name
	}
	return strings.ToLower(pythonSeparators.ReplaceAllString(name, "-"))
}
