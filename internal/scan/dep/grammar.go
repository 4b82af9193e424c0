package dep

import (
	"regexp"
	"strings"
	"sync"
)

// grammars are what a name and one version look like, by ecosystem: what a registry takes today, so that a name which passes
// is no address, no path, no option and no pattern to the ecosystem's own tool.
//
// References: npm's package.json and SemVer 2.0, PEP 508 and PEP 440, the Go modules reference, Cargo's manifest, Maven's POM
// reference, NuGet's package identifier, RubyGems' and Composer's schemas.
var grammars = sync.OnceValue(func() map[string][2]*regexp.Regexp {
	const semver = `[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?`
	of := func(name, version string) [2]*regexp.Regexp {
		return [2]*regexp.Regexp{regexp.MustCompile(`^(?:` + name + `)$`), regexp.MustCompile(`^(?:` + version + `)$`)}
	}
	return map[string][2]*regexp.Regexp{
		// Old names have capitals. One that could be a file's, or a home folder's, is written by hand.
		typeNpm:      of(`(?:@[A-Za-z0-9][A-Za-z0-9._~-]*/)?[A-Za-z0-9][A-Za-z0-9._~-]*`, semver),
		typePyPI:     of(`[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?`, `v?(?:[0-9]+!)?[0-9][0-9A-Za-z._-]*(?:\+[0-9A-Za-z._-]+)?`),
		typeGo:       of(`[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+(?:/[A-Za-z0-9_~][A-Za-z0-9._~-]*)*`, `v`+semver),
		typeCargo:    of(`[A-Za-z][A-Za-z0-9_-]*`, semver),
		typeMaven:    of(`[A-Za-z0-9_][A-Za-z0-9_.-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*`, `[0-9A-Za-z][0-9A-Za-z._+-]*`),
		typeNuget:    of(`[A-Za-z0-9_]+(?:[_.-][A-Za-z0-9_]+)*`, `[0-9]+(?:\.[0-9]+){0,3}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?`),
		typeGem:      of(`[A-Za-z0-9_][A-Za-z0-9._-]*`, `[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z.-]+)?`),
		typeComposer: of(`[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*`, `v?[0-9][0-9A-Za-z._+-]*`),
	}
})

// longestTerm bounds a name or a version that a command is given, in bytes.
const longestTerm = 256

// Plain reports whether a name and a version are such that the ecosystem's own tool takes them, on a command line, for nothing
// else. Of an ecosystem that is not known here no name is.
func Plain(ecosystem, name, version string) bool {
	g, ok := grammars()[ecosystem]
	if !ok || len(name) > longestTerm || len(version) > longestTerm || !g[0].MatchString(name) || !g[1].MatchString(version) {
		return false
	}
	if ecosystem == typeNpm { // it takes what ends so for a file, and installs from it
		for _, s := range []string{name, version} {
			s = strings.ToLower(s)
			if strings.HasSuffix(s, ".tgz") || strings.HasSuffix(s, ".tar") || strings.HasSuffix(s, ".gz") {
				return false
			}
		}
	}
	return true
}

// npmName are the names that npm takes, the old ones too. With a stroke and no scope it is an address of GitHub to npm, or a
// path, and no package of its registry.
var npmName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:@[A-Za-z0-9_.!~*()-]+/[A-Za-z0-9_.!~*()-]+|[A-Za-z0-9!~*()-][A-Za-z0-9_.!~*()-]*)$`)
})
