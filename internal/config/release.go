package config

import (
	"path"
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

	// Advisories say what is done with what is known, at the time of the release, about the packages
	// that the commit's lock files and the bills of materials name.
	Advisories ReleaseAdvisories `yaml:"advisories"`

	// SourceArchives are patterns of names of artifacts, such as "*.src.tar.gz", that have to hold the
	// commit's tree, member by member, and nothing else; * and ? match within the name. Default: none.
	SourceArchives []string `yaml:"source_archives"`

	// BuildInputs says what is done when an action, a tool or a cache of a build is not pinned, or not
	// known: "shut" keeps the gate shut, "tell" prints it. Default: tell.
	BuildInputs string `yaml:"build_inputs"`
}

// ReleaseAdvisories say what advisories about a release do.
type ReleaseAdvisories struct {
	// Severity is that from which a vulnerability keeps the gate shut: low, medium, high, critical, or
	// none. Malicious packages always do. Default: what findings says of vulnerabilities, else high.
	Severity string `yaml:"severity"`
	// Required is true if it has to be known of every package whether it is vulnerable or malicious.
	// Default: as advisories.required says.
	Required *bool `yaml:"required"`
}

// ReleaseSet names the built-in policy set of the release gate.
const ReleaseSet = "release"

const maxBuilders = 64

// What build inputs that are not pinned or not known do.
const (
	InputsTell = "tell"
	InputsShut = "shut"
)

// ReleaseSettings returns what policy is told of the release gate, with the defaults.
func (c Config) ReleaseSettings() sallyport.ReleaseSettings {
	g := c.Gates.Release
	s := sallyport.ReleaseSettings{
		Builders: append([]string{}, g.Builders...), Grades: g.Grades, Require: g.Require,
		SourceArchives: append([]string{}, g.SourceArchives...), BuildInputs: g.BuildInputs,
		Advisories: sallyport.ReleaseAdvisories{ShutAt: g.Advisories.Severity, Required: c.Advisories.Required},
	}
	if g.Advisories.Required != nil {
		s.Advisories.Required = *g.Advisories.Required
	}
	if s.BuildInputs == "" {
		s.BuildInputs = InputsTell
	}
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
	if s := g.Advisories.Severity; s != "" && !slices.Contains([]string{"low", "medium", "high", "critical", "none"}, s) {
		return bad("gates.release.advisories.severity", "%q is not low, medium, high, critical or none", clip(s))
	}
	if b := g.BuildInputs; b != "" && b != InputsTell && b != InputsShut {
		return bad("gates.release.build_inputs", "%q is not tell or shut", clip(b))
	}
	if len(g.SourceArchives) > maxPatterns {
		return bad("gates.release.source_archives", "has %d patterns, the most is %d", len(g.SourceArchives), maxPatterns)
	}
	for _, p := range g.SourceArchives {
		if _, err := path.Match(p, ""); err != nil || p == "" || strings.ContainsAny(p, "/\\[") {
			return bad("gates.release.source_archives", "%q is no pattern of a file's name", clip(p))
		}
	}
	return checkSets("gates.release.sets", g.Sets)
}
