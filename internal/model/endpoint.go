package model

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/sallyport-dev/sallyport/predicate"
)

// An endpoint is where a model is reached.
type endpoint struct {
	scheme, host, path string // host with its port where that is not the scheme's; path without a slash at its end
	prefix             string // scheme://host/path, for the quick comparison; empty if the host holds a *
	external           bool
}

const maxURL = 4096

// parseEndpoint reads an endpoint of an entry.
func parseEndpoint(p predicate.ModelEndpoint) (endpoint, error) {
	wildcard := strings.Contains(p.URL, "*")
	e, err := splitURL(strings.ReplaceAll(p.URL, "*", "x-any-x"))
	if err != nil {
		return endpoint{}, fmt.Errorf("endpoint %.200q: %w", p.URL, err)
	}
	if wildcard {
		e.host = strings.ReplaceAll(e.host, "x-any-x", "*")
		labels := strings.Split(e.host, ".")
		for i, l := range labels {
			if strings.Contains(l, "*") && (l != "*" || i >= len(labels)-2) {
				return endpoint{}, fmt.Errorf("endpoint %.200q: * stands for a whole label of the host, and for none of the last two", p.URL)
			}
		}
		if strings.Contains(e.path, "x-any-x") {
			return endpoint{}, fmt.Errorf("endpoint %.200q: there are no patterns in a path", p.URL)
		}
	} else {
		e.prefix = e.scheme + "://" + e.host + e.path
	}
	e.external = p.Kind != predicate.EndpointInternal
	name := hostname(e.host)
	switch {
	case !e.external && !internal(name):
		return endpoint{}, fmt.Errorf("endpoint %.200q: nothing shows that %s is internal; call it external, which asks for a security approval", p.URL, name)
	case e.scheme == "http" && e.external:
		return endpoint{}, fmt.Errorf("endpoint %.200q: an external endpoint is reached by https", p.URL)
	}
	return e, nil
}

// splitURL takes a URL apart and refuses what two readers could understand in two ways.
func splitURL(s string) (endpoint, error) {
	if len(s) > maxURL {
		return endpoint{}, fmt.Errorf("it is longer than %d bytes", maxURL)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '\\' {
			return endpoint{}, errors.New("it holds a space, a backslash or what is not ASCII")
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return endpoint{}, errors.New("it is no URL such as https://api.example.com/v1")
	}
	if u.User != nil {
		return endpoint{}, errors.New("it holds credentials")
	}
	e := endpoint{scheme: strings.ToLower(u.Scheme), host: strings.ToLower(u.Host)}
	switch port := u.Port(); {
	case e.scheme != "https" && e.scheme != "http":
		return endpoint{}, errors.New("it is neither https nor http")
	case e.scheme == "https" && port == "443", e.scheme == "http" && port == "80":
		e.host = strings.TrimSuffix(e.host, ":"+port)
	case port == "" && strings.HasSuffix(e.host, ":"):
		return endpoint{}, errors.New("its port is empty")
	}
	if name := hostname(e.host); strings.HasSuffix(name, ".") || strings.HasPrefix(name, ".") || strings.Contains(name, "..") {
		return endpoint{}, errors.New("its host is no name")
	}
	if err := climbs(u.EscapedPath()); err != nil {
		return endpoint{}, err
	}
	e.path = strings.TrimRight(u.EscapedPath(), "/")
	return e, nil
}

// climbs refuses a path that could lead elsewhere once somebody decodes or cleans it.
func climbs(path string) error {
	for rest := path; ; {
		at := strings.IndexByte(rest, '%')
		if at < 0 {
			break
		}
		if len(rest) < at+3 {
			return errors.New("its path has a broken escape")
		}
		switch strings.ToLower(rest[at+1 : at+3]) {
		case "2e", "2f", "5c", "25", "00":
			return errors.New("its path has an encoded dot, slash, backslash, percent sign or zero")
		}
		rest = rest[at+3:]
	}
	if strings.Contains(path, "//") {
		return errors.New("its path has an empty segment")
	}
	for seg := range strings.SplitSeq(path, "/") {
		if seg == "." || seg == ".." || strings.HasPrefix(seg, "..;") {
			return errors.New("its path climbs")
		}
	}
	return nil
}

func hostname(host string) string {
	if strings.HasPrefix(host, "[") {
		name, _, _ := strings.Cut(host[1:], "]")
		return name
	}
	name, _, _ := strings.Cut(host, ":")
	return name
}

// internalZones are the ends of names that no public name server answers: RFC 6761, RFC 6762, RFC 8375, ICANN's .internal,
// and those that clusters give.
var internalZones = [...]string{".localhost", ".local", ".internal", ".home.arpa", ".svc", ".test"}

// internal reports whether a host shows by itself that it is one's own.
func internal(name string) bool {
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; name == "" || digits(last) || strings.HasPrefix(last, "0x") {
		return false // a number that some resolvers take for an address
	}
	if !strings.Contains(name, ".") {
		return true
	}
	for _, zone := range internalZones {
		if strings.HasSuffix(name, zone) {
			return true
		}
	}
	return false
}

// quick reports whether a URL is plainly under the endpoint. What it does not see, slow does.
func (e *endpoint) quick(s string) bool {
	if e.prefix == "" || !strings.HasPrefix(s, e.prefix) {
		return false
	}
	rest := s[len(e.prefix):]
	for i := range len(rest) {
		c := rest[i]
		if i == 0 && c != '/' || i > 0 && rest[i-1] == '/' && (c == '.' || c == '/') ||
			c <= ' ' || c > '~' || c == '%' || c == '\\' || c == '@' || c == '#' || c == '?' {
			return false
		}
	}
	return true
}

// under reports whether a URL that was taken apart is under the endpoint.
func (e *endpoint) under(u endpoint) bool {
	if u.scheme != e.scheme || !sameHost(e.host, u.host) {
		return false
	}
	rest, ok := strings.CutPrefix(u.path, e.path)
	return ok && (rest == "" || rest[0] == '/')
}

func sameHost(pattern, host string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == host
	}
	want, have := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if want[i] != have[i] && (want[i] != "*" || have[i] == "") {
			return false
		}
	}
	return true
}
