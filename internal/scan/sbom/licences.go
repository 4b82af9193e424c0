package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
}

// CheckLicences holds components to rules. of says which licence a package URL has, with or without its
// version, whatever the component says. A component without a licence is a finding of its own, and so
// is one whose licence is no more than a name. An operating system is the sum of its packages, and is passed over.
func CheckLicences(parts []Component, rules *licence.Rules, of map[string]string) LicenceCheck {
	out := LicenceCheck{Findings: []sallyport.Finding{}}
	for i := range parts {
		c := &parts[i]
		if c.Type == System {
			continue
		}
		expression, said := licenceOf(c, of)
		e, err := licence.Parse(expression)
		if expression == "" || err != nil {
			out.tell(c, LicenceUnknown, sallyport.Medium, "nobody knows under which licence it comes")
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
			out.tell(c, LicenceUnknown, sallyport.Medium, "what it calls its licence is not on the SPDX list: "+list)
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
		return c.Licence, false
	}
	p, _, _ = strings.Cut(p, "#")
	p, _, _ = strings.Cut(p, "?")
	if s, ok := of[p]; ok {
		return s, true
	}
	if i := strings.LastIndexByte(p, '@'); i > 0 {
		if s, ok := of[p[:i]]; ok {
			return s, true
		}
	}
	return c.Licence, false
}

// words are what a LicenseRef stands for.
func words(c *Component, term string) string {
	for _, t := range c.Terms {
		if t.Ref == term {
			return fmt.Sprintf("%.200q", t.Name)
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
