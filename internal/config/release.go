package config

import (
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// A ReleaseGate says what the release gate asks for.
type ReleaseGate struct {
	// Adoption is the commit, by its whole object id, from which on every commit needs an open
	// decision of the merge gate; what it holds needs none. Default: none, so that all of the history
	// needs one until a release has passed.
	Adoption string `yaml:"adoption"`

	// Builders are the ids of the builders whose provenance counts, as it names them: URIs, whole and
	// exact. Default: every builder whose key may sign provenance by trust.yaml.
	Builders []string `yaml:"builders"`

	// Grades are those at which provenance, tests, bills of materials, rebuilds and decisions of the merge
	// gate count. Default: observed.
	Grades []sallyport.Grade `yaml:"grades"`

	// Require names what has to be there beside provenance: sbom, tests, checksums, rebuild. An empty
	// list asks for nothing else. Default: sbom and tests.
	Require []string `yaml:"require"`

	// Sets names the policy sets that judge: "release" is the built-in one, any other name a folder
	// under .sallyport/ whose manifest says gate: release. Default: [release].
	Sets []string `yaml:"sets"`
}

// ReleaseSet names the built-in policy set of the release gate.
const ReleaseSet = "release"

const maxBuilders = 64

// Settings returns what policy is told, with the defaults.
func (g ReleaseGate) Settings() sallyport.ReleaseSettings {
	s := sallyport.ReleaseSettings{Builders: append([]string{}, g.Builders...), Grades: g.Grades, Require: g.Require}
	if s.Grades == nil {
		s.Grades = []sallyport.Grade{sallyport.Observed}
	}
	if s.Require == nil {
		s.Require = []string{"sbom", "tests"}
	}
	return s
}

// PolicySets returns the names of the sets that judge.
func (g ReleaseGate) PolicySets() []string {
	if g.Sets == nil {
		return []string{ReleaseSet}
	}
	return g.Sets
}

func (g ReleaseGate) check() error {
	if id := g.Adoption; id != "" && (len(id) != 40 && len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "") {
		return bad("gates.release.adoption", "is %q, want a commit's whole object id in lower case", clip(id))
	}
	if len(g.Builders) > maxBuilders {
		return bad("gates.release.builders", "names %d builders, the most is %d", len(g.Builders), maxBuilders)
	}
	for i, b := range g.Builders {
		if b == "" || len(b) > 1024 || strings.ContainsAny(b, "* \t") || slices.Contains(g.Builders[:i], b) {
			return bad("gates.release.builders", "%q is empty, a pattern or stands twice; a builder is named whole and exact", clip(b))
		}
	}
	for _, grade := range g.Grades {
		if grade != sallyport.Declared && grade != sallyport.Observed {
			return bad("gates.release.grades", "%q is no grade of a build; it is declared or observed", clip(string(grade)))
		}
	}
	for i, r := range g.Require {
		if !slices.Contains([]string{"sbom", "tests", "checksums", "rebuild"}, r) || slices.Contains(g.Require[:i], r) {
			return bad("gates.release.require", "%q is not sbom, tests, checksums or rebuild, or stands twice", clip(r))
		}
	}
	return checkSets("gates.release.sets", g.Sets)
}
