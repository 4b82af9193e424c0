package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/licence"
)

// Licences say under which licences what is shipped may come; `sallyport sbom --check` holds a bill of
// materials to it. docs/sbom.md has an example.
type Licences struct {
	// Allow lists what is acceptable, each one SPDX identifier, with "WITH exception" if it is to hold for that
	// alone, or a LicenseRef-. Default: every licence on the SPDX list that Deny does not name.
	Allow []string `yaml:"allow"`

	// Deny lists what is not, in the same way.
	Deny []string `yaml:"deny"`

	// Of says which licence a package has, as an SPDX expression, whatever a bill says: by package URL, with a
	// version or for all versions; what has no package URL by the component:DIGEST that its finding names. It is how a package whose licence no scanner finds is let in.
	Of map[string]string `yaml:"of"`
}

// Used reports whether there are rules.
func (l Licences) Used() bool { return len(l.Allow) > 0 || len(l.Deny) > 0 }

func (l Licences) validate() error {
	if _, err := licence.NewRules(l.Allow, l.Deny); err != nil {
		return bad("licences", "%s", strings.TrimPrefix(err.Error(), "licences."))
	}
	if len(l.Of) > 0 && !l.Used() {
		return bad("licences.of", "needs licences.allow or licences.deny, or nothing is held to it")
	}
	for _, p := range slices.Sorted(maps.Keys(l.Of)) {
		if !strings.HasPrefix(p, "pkg:") && !strings.HasPrefix(p, "component:") || strings.ContainsAny(p, "?#") {
			return bad("licences.of", "%q is no package URL without qualifiers, and no component:DIGEST", clip(p))
		}
		if _, err := licence.Parse(l.Of[p]); err != nil {
			return bad("licences.of", "%s: %v", clip(p), err)
		}
	}
	return nil
}
