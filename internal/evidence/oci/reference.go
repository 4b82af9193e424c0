package oci

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport"
)

// A Reference names an image in a registry, by tag, by digest, or both; then the digest counts.
type Reference struct {
	Registry   string // host, or host:port
	Repository string
	Tag        string // "latest" if neither tag nor digest was given
	Digest     sallyport.Digest
}

const maxReference = 1024

var (
	repository = lazily(`^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$`)
	tagName    = lazily(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	hostName   = lazily(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)
)

// lazily compiles a pattern when it is first asked: these three cost a start-up most of a millisecond.
func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// ParseReference reads "registry/repository[:tag][@digest]". The registry has to be named: which
// one a short name means is a setting of the machine, and an answer must not depend on it.
func ParseReference(s string) (Reference, error) {
	bad := func(why string) (Reference, error) {
		return Reference{}, fmt.Errorf("%w: %.200q: %s", ErrReference, s, why)
	}
	if len(s) > maxReference {
		return bad("it is too long")
	}
	if strings.Contains(s, "://") {
		return bad("it has no scheme: TLS is always used, except on the loopback interface")
	}
	var r Reference
	host, rest, ok := strings.Cut(s, "/")
	if !ok || (!strings.ContainsAny(host, ".:") && host != "localhost") {
		return bad("it does not begin with the name of a registry, as in registry.example.com/team/app:v1")
	}
	if !validHost(host) {
		return bad("its registry is no host name")
	}
	r.Registry = strings.ToLower(host)
	rest, digest, ok := strings.Cut(rest, "@")
	if ok {
		d, err := sallyport.ParseDigest(digest)
		if err != nil || !isContent(d) {
			return bad("what follows the @ is no sha256 or sha512 digest")
		}
		r.Digest = d
	}
	rest, tag, ok := strings.Cut(rest, ":")
	switch {
	case ok && !tagName().MatchString(tag):
		return bad("its tag is malformed")
	case ok:
		r.Tag = tag
	case r.Digest.Zero():
		r.Tag = "latest"
	}
	if len(rest) > 255 || !repository().MatchString(rest) {
		return bad("its repository is malformed; there are no capital letters in one")
	}
	r.Repository = rest
	if r.Registry == hubName && !strings.Contains(rest, "/") {
		r.Repository = "library/" + rest
	}
	return r, nil
}

// hubName is what everybody calls the Docker Hub; its registry answers at hubHost.
const (
	hubName = "docker.io"
	hubHost = "registry-1.docker.io"
)

// validHost reports whether s is a host name or an address, with or without a port.
func validHost(s string) bool {
	host, port := s, ""
	if h, p, err := net.SplitHostPort(s); err == nil {
		if host, port = h, p; port == "" {
			return false
		}
	} else if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		host = s[1 : len(s)-1]
	}
	if port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			return false
		}
	}
	if strings.Contains(host, ":") { // only an address has colons of its own, and stands in brackets
		a, err := netip.ParseAddr(host)
		return err == nil && a.Zone() == "" && strings.HasPrefix(s, "[")
	}
	return len(host) <= 253 && hostName().MatchString(host)
}

// hostOnly is host:port without the port and without brackets.
func hostOnly(s string) string {
	if h, _, err := net.SplitHostPort(s); err == nil {
		return h
	}
	return strings.Trim(s, "[]")
}

// isLoopback reports whether host, with or without a port, is this machine.
func isLoopback(host string) bool {
	h := hostOnly(host)
	if h == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(h)
	return err == nil && a.Unmap().IsLoopback()
}

// origin is where the registry answers: scheme and host.
func (r Reference) origin() string {
	switch {
	case isLoopback(r.Registry):
		return "http://" + r.Registry
	case r.Registry == hubName:
		return "https://" + hubHost
	}
	return "https://" + r.Registry
}

// String is the reference as ParseReference reads it.
func (r Reference) String() string {
	s := r.Registry + "/" + r.Repository
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if !r.Digest.Zero() {
		s += "@" + string(r.Digest)
	}
	return s
}

// at is the reference to d in the same repository.
func (r Reference) at(d sallyport.Digest) Reference {
	return Reference{Registry: r.Registry, Repository: r.Repository, Digest: d}
}

// target is what the registry is asked for.
func (r Reference) target() string {
	if !r.Digest.Zero() {
		return string(r.Digest)
	}
	return r.Tag
}

// isContent reports whether d is the digest of content, as registries have it.
func isContent(d sallyport.Digest) bool {
	return d.Algorithm() == "sha256" || d.Algorithm() == "sha512"
}

// fallbackTag is the tag under which the referrers tag schema keeps what is attached to d.
func fallbackTag(d sallyport.Digest) string {
	return d.Algorithm() + "-" + d.Hex()[:64] // the schema cuts what would be too long for a tag
}

// cosignTag is the tag under which cosign before version 3 keeps what is attached to d.
func cosignTag(d sallyport.Digest, suffix string) string {
	t := d.Algorithm() + "-" + d.Hex() + "." + suffix
	if len(t) > 128 {
		return "" // no tag is as long; cosign has none for such digests
	}
	return t
}
