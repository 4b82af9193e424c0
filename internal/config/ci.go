package config

import (
	"net/url"
	"path"
	"strings"
)

// A CI says which identity tokens of a CI system are believed about this repository's jobs. No server is
// asked: the issuer's keys are pinned in a file beside this one. Default: none is believed, and what a
// job's environment says is declared.
type CI struct {
	// System is the CI system: github or gitlab. Required.
	System string `yaml:"system"`
	// Issuer is that of the tokens. Default: https://token.actions.githubusercontent.com for github,
	// the repository's server for gitlab.
	Issuer string `yaml:"issuer"`
	// Audience is what a job has to ask its token for. Default: sallyport.
	Audience string `yaml:"audience"`
	// Keys is the file below .sallyport/ with the issuer's keys, a JSON Web Key Set as the issuer
	// publishes it. Required.
	Keys string `yaml:"keys"`
}

// Used reports whether the section is there.
func (c CI) Used() bool { return c != CI{} }

// KeysPath is the key set's path in the repository.
func (c CI) KeysPath() string { return path.Join(path.Dir(Path), c.Keys) }

func (c CI) validate(raw map[string]any) error {
	if _, ok := raw["ci"]; !ok {
		return nil
	}
	switch {
	case c.System != "github" && c.System != "gitlab":
		return bad("ci.system", "%q is unknown; it is github or gitlab", clip(c.System))
	case c.Keys == "":
		return bad("ci.keys", "is missing; it is a file below .sallyport/ with the issuer's keys")
	case c.Keys != path.Clean(c.Keys) || path.IsAbs(c.Keys) || c.Keys == ".." || strings.HasPrefix(c.Keys, "../") || strings.Contains(c.Keys, `\`):
		return bad("ci.keys", "%q is no file below .sallyport/", clip(c.Keys))
	case len(c.Audience) > 256:
		return bad("ci.audience", "is longer than 256 bytes")
	}
	if u, err := url.Parse(c.Issuer); c.Issuer != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		return bad("ci.issuer", "%q is no https address", clip(c.Issuer))
	}
	return nil
}

// ForRepository fills in what the section leaves open, for the repository that the configuration
// names, and returns the server and the repository's path there.
func (c CI) ForRepository(repository string) (full CI, server, name string) {
	host, name, _ := strings.Cut(repository, "/")
	server = "https://" + host
	if c.Issuer == "" {
		c.Issuer = server
		if c.System == "github" {
			c.Issuer = "https://token.actions.githubusercontent.com"
		}
	}
	if c.Audience == "" {
		c.Audience = "sallyport"
	}
	return c, server, name
}
