package deep

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of an answer.
const (
	maxComponents = 500_000
	maxUnread     = 500_000
	maxPaths      = 10_000
	maxLicences   = 1_000
	maxText       = 4 << 10
)

// hashSizes are the digests that are taken over, with their lengths in bytes.
var hashSizes = map[string]int{"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}

var forms = map[string]bool{"folder": true, "file": true, "oci-layout": true, "oci-archive": true, "docker-archive": true}

// check refuses an answer that no honest helper gives. It was made from what a stranger wrote.
func (a *Answer) check() error {
	if !forms[a.Form] {
		return fmt.Errorf("it read a %.40q", a.Form)
	}
	if len(a.Components) > maxComponents || len(a.Unread) > maxUnread {
		return errors.New("it lists too much")
	}
	if s := a.System; s != nil {
		if err := texts(s.Name, s.Version); err != nil {
			return fmt.Errorf("the operating system: %w", err)
		}
	}
	for i := range a.Components {
		if err := a.Components[i].check(); err != nil {
			return fmt.Errorf("component %d: %w", i, err)
		}
	}
	for i, u := range a.Unread {
		if err := texts(u.Path, u.Why); err != nil {
			return fmt.Errorf("unread file %d: %w", i, err)
		}
	}
	return nil
}

func (c *Component) check() error {
	if c.Name == "" || c.Kind == "" {
		return errors.New("it has no name or no kind")
	}
	if len(c.Paths) > maxPaths || len(c.Licences) > maxLicences || len(c.Hashes) > 100 {
		return errors.New("it lists too much")
	}
	if err := texts(c.Purl, c.Kind, c.Name, c.Version); err != nil {
		return err
	}
	if c.Purl != "" && !strings.HasPrefix(c.Purl, "pkg:") {
		return fmt.Errorf("%.60q is no package URL", c.Purl)
	}
	if err := texts(c.Licences...); err != nil {
		return err
	}
	for _, p := range c.Paths {
		if p == "" || path.IsAbs(p) {
			return fmt.Errorf("%.60q is no path inside the input", p)
		}
	}
	if err := texts(c.Paths...); err != nil {
		return err
	}
	for _, h := range c.Hashes {
		if b, err := hex.DecodeString(h.Hex); err != nil || len(b) != hashSizes[h.Algorithm] || len(b) == 0 || h.Hex != strings.ToLower(h.Hex) {
			return fmt.Errorf("%.60q is no %.20q digest", h.Hex, h.Algorithm)
		}
	}
	return nil
}

// texts refuses what is no text of reasonable length.
func texts(all ...string) error {
	for _, s := range all {
		if len(s) > maxText || !utf8.ValidString(s) {
			return errors.New("a text is too long, or none")
		}
		if strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("%.60q has control characters", s)
		}
	}
	return nil
}
