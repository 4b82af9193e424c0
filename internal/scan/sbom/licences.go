package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/licence"
)

// The rules by which a licence is told. docs/reasons.md explains them.
const (
	LicenceDenied   = "licence-denied"   // a rule names it
	LicenceUnlisted = "licence-unlisted" // no rule allows it
	LicenceUnknown  = "licence-unknown"  // nobody knows which it is
)

// A LicenceCheck is what rules say of a bill's components.
type LicenceCheck struct {
	Allowed  int                 `json:"allowed"`
	Findings []sallyport.Finding `json:"findings"` // in the order of the components
	// Advice says why the outcome is advice, as where no root is pinned.
	Advice []string `json:"advice,omitempty"`
}

// CheckLicences holds components to rules. of says which licence a package URL has, with or without its
// version, whatever the component says; of one without a package URL it names the Ref. A component
// without a licence is a finding of its own, and so is one whose licence is no more than a name. The
// operating system of [Inventory.IncludeSystem] is passed over, and no other that calls itself one.
func CheckLicences(parts []Component, rules *licence.Rules, of map[string]string) LicenceCheck {
	out := LicenceCheck{Findings: []sallyport.Finding{}}
	for i := range parts {
		c := &parts[i]
		if c.system {
			continue
		}
		expression, said := licenceOf(c, of)
		e, err := licence.Parse(expression)
		if expression == "" || err != nil {
			out.tell(c, LicenceUnknown, sallyport.Medium, "nobody knows under which licence it comes"+handle(c))
			continue
		}
		verdict, why := rules.Judge(e)
		names := make([]string, len(why))
		own := true // every licence that decided is a name in the package's own words
		for i, w := range why {
			names[i] = words(c, w)
			own = own && strings.Contains(w, "LicenseRef-") && !said
		}
		list := strings.Join(names, ", ")
		switch {
		case verdict == licence.Allowed:
			out.Allowed++
		case verdict == licence.Denied:
			out.tell(c, LicenceDenied, sallyport.High, "it comes under "+list+", which is denied")
		case own:
			out.tell(c, LicenceUnknown, sallyport.Medium, "what it calls its licence is not on the SPDX list: "+list+handle(c))
		default:
			out.tell(c, LicenceUnlisted, sallyport.Medium, "it comes under "+list+", which no rule allows")
		}
	}
	return out
}

// licenceOf returns the licence that counts, and whether the rules themselves say it.
func licenceOf(c *Component, of map[string]string) (string, bool) {
	p := c.Purl
	if p == "" {
		s, ok := of[c.Ref()]
		return cmp.Or(s, c.Licence), ok
	}
	if i := strings.IndexAny(p, "?#"); i >= 0 {
		if elsewhere(p[i:]) {
			return c.Licence, false
		}
		p = p[:i]
	}
	if s, ok := of[p]; ok {
		return s, true
	}
	// A version that leads somewhere, or holds another, is none that the rule was made for.
	start := strings.LastIndexByte(p, '/') + 1
	name, version, ok := strings.Cut(p[start:], "@")
	if v, err := url.PathUnescape(version); !ok || name == "" || err != nil || !plain(v) {
		return c.Licence, false
	}
	if s, ok := of[p[:start]+name]; ok {
		return s, true
	}
	return c.Licence, false
}

// plain reports whether a version is no path, and no name of something else. What is before a colon may be
// a number, such as Debian's.
func plain(version string) bool {
	epoch, _, ok := strings.Cut(version, ":")
	return !strings.ContainsAny(version, "@/\\") && (!ok || strings.Trim(epoch, "0123456789") == "")
}

// elsewhere reports whether the end of a package URL says that the package comes from another place than
// its name: it is another package then.
func elsewhere(end string) bool {
	for _, pair := range strings.FieldsFunc(end, func(r rune) bool { return strings.ContainsRune("?#&", r) }) {
		key, _, _ := strings.Cut(pair, "=")
		if k, err := url.PathUnescape(key); err == nil {
			key = k
		}
		switch strings.ToLower(key) {
		case "download_url", "vcs_url", "repository_url":
			return true
		}
	}
	return false
}

// handle is how the rules can name a component that has no package URL.
func handle(c *Component) string {
	if c.Purl != "" {
		return ""
	}
	return " (" + c.Ref() + ")"
}

// words are what a LicenseRef stands for.
func words(c *Component, term string) string {
	for _, t := range c.Terms {
		switch {
		case t.Ref != term:
		case t.Name == t.Ref, t == ownWords(t.Name):
			return fmt.Sprintf("%.200q", t.Name)
		default: // what it is called may be the name of another licence
			return fmt.Sprintf("%.200q, called %.200q", t.Ref, t.Name)
		}
	}
	return term
}

func (l *LicenceCheck) tell(c *Component, rule string, s sallyport.Severity, text string) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", rule, c.Ref(), c.Licence))
	f := sallyport.Finding{
		ID: hex.EncodeToString(sum[:8]), Kind: sallyport.FindingLicence, Rule: rule, Severity: s, State: "open",
		Text: fmt.Sprintf("%s: %s", sallyport.Path(name(c)), text),
	}
	if len(c.Paths) > 0 {
		f.Path = sallyport.Path(c.Paths[0])
	}
	l.Findings = append(l.Findings, f)
}

func name(c *Component) string {
	if c.Purl != "" {
		return c.Purl
	}
	return strings.TrimSpace(c.Name + " " + c.Version)
}
