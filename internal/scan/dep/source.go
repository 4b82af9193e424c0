package dep

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// defaults are the hosts of each ecosystem's default registry.
var defaults = map[string][]string{
	typeNpm:      {"registry.npmjs.org", "registry.yarnpkg.com"},
	typePyPI:     {"pypi.org", "pypi.python.org", "files.pythonhosted.org"},
	typeCargo:    {"github.com/rust-lang/crates.io-index", "index.crates.io"},
	typeMaven:    {"repo.maven.apache.org", "repo1.maven.org"},
	typeNuget:    {"api.nuget.org", "www.nuget.org"},
	typeGem:      {"rubygems.org", "index.rubygems.org"},
	typeComposer: {"packagist.org", "repo.packagist.org"},
}

// Registry says of a package where it is from, and whether that is the default.
func (p *Package) from(ecosystem, raw string) {
	p.Resolved = raw
	switch host := hostOf(raw); {
	case raw == "":
		p.Default = true
	case host == "":
		p.Registry = "file"
	default:
		p.Registry = host
		p.Default = slices.Contains(defaults[ecosystem], host) && strings.HasPrefix(raw, "https://")
	}
}

// local marks a package that lies in the file system.
func (p *Package) local(raw string) { p.Resolved, p.Registry, p.Default = raw, "file", false }

// hostOf returns the host that a URL or a git remote names, in lower case and without user, or ""
// for a path. What is no URL that can be parsed names the host "unreadable", which is no default.
func hostOf(raw string) string {
	s := raw
	if rest, ok := strings.CutPrefix(s, "git+"); ok {
		s = rest
	}
	for prefix, host := range map[string]string{"github:": "github.com", "gitlab:": "gitlab.com", "bitbucket:": "bitbucket.org", "gist:": "gist.github.com"} {
		if strings.HasPrefix(s, prefix) {
			return host
		}
	}
	if strings.HasPrefix(s, "file:") {
		return ""
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok && isScheme(scheme) {
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" {
			// ssh://git@host:owner/repo, as npm writes it, has no port there.
			rest = rest[strings.LastIndexByte(firstPart(rest), '@')+1:]
			host, _, _ := strings.Cut(firstPart(rest), ":")
			if host == "" || strings.ContainsAny(host, "[]% ") {
				return "unreadable"
			}
			return strings.ToLower(host)
		}
		host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		if port := u.Port(); port != "" && port != "443" {
			host += ":" + port
		}
		return host
	}
	if at, rest, ok := strings.Cut(s, "@"); ok && !strings.ContainsAny(at, "/:") { // git@host:path
		if host, _, ok := strings.Cut(rest, ":"); ok && !strings.ContainsAny(host, "/") {
			return strings.ToLower(host)
		}
	}
	return ""
}

func firstPart(s string) string {
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		return s[:i]
	}
	return s
}

func isScheme(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-") == ""
}

// isGit reports whether the URL is fetched by git, and so pinned by a commit and not by a digest.
func isGit(raw string) bool {
	return strings.HasPrefix(raw, "git") && (strings.HasPrefix(raw, "git+") || strings.HasPrefix(raw, "git:") || strings.HasPrefix(raw, "git@") ||
		strings.HasPrefix(raw, "github:") || strings.HasPrefix(raw, "gitlab:")) || strings.HasPrefix(raw, "bitbucket:") || strings.HasPrefix(raw, "gist:") ||
		strings.HasPrefix(raw, "ssh://")
}

// registries returns an entry for each registry that a manifest names beside the default: packages
// may come from it that no entry says so of.
func registries(ecosystem string, urls []string) []Package {
	var out []Package
	for _, u := range urls {
		p := Package{Name: hostOf(u), Direct: true, Integrity: Elsewhere}
		p.from(ecosystem, u)
		if p.Default || strings.Contains(u, "${") && hostOf(u) == "" {
			continue
		}
		if p.Name == "" {
			p.Name = "file"
		}
		p.Version = RegistryEntry
		out = append(out, p)
	}
	return out
}

// RegistryEntry is the Version of an entry that is no package: a registry that a manifest names.
const RegistryEntry = "(registry)"

var exactVersion = regexp.MustCompile(`^v?[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?$`)
