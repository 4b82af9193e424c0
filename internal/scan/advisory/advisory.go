// Package advisory keeps a local database of security advisories and says which of them are about
// a package in a version. It opens no socket.
//
// # Records
//
// Records are in OSV format (https://ossf.github.io/osv-schema/), as JSON, one to a file. [Import]
// takes them from zip files, such as OSV's exports of an ecosystem, and from folders in whatever layout:
// Go's vulndb, GitHub's advisory database, the malicious-packages repository of the OpenSSF. A record
// is known by its content. JSON that is no record is counted and passed over; a file that is no
// JSON, a record that contradicts the schema, and an archive that grows beyond all measure fail the
// whole import, since a database that lacks them would look whole. Links are not followed, and counted.
//
// A few records do not make an ecosystem known. A source is whole for one if its bringer says so ([Origin.Covers]), or it says
// so itself: in a file coverage.json at its top,
//
//	{"covers": {"npm": 184216}}
//
// with the number of records of each ecosystem that are in it and not withdrawn, which has to be right; or, as Go's
// vulndb, by an index/vulns.json all of whose records are there.
//
// Of two records with one id the newer counts, by their times of modification. Where one of them has none, nobody can tell,
// and what both say is kept. Withdrawn records
// are counted and not kept. Records of ecosystems that no package URL here names, such as those of
// Linux distributions, are counted and left out.
//
// # The index
//
// [Import] writes one file. It begins with a head of fixed size, which has the format's version and the
// SHA-256 of itself and of the description ([Meta], JSON); then come a table of buckets, the digests of the
// table's pages, the buckets, and the description. A package's entries lie in the bucket that a hash of ecosystem and name selects.
// The table gives for each bucket its place, its length and a digest, over the build's own number,
// the bucket's, and its bytes, of an empty one too. So what was cut off, overwritten with zeros, moved or
// taken from another build is found when it is read ([ErrDamaged]), and is never an empty answer. The
// digest of the whole ([Meta.Digest]) is that of the digests of the table's pages, and so of all buckets. It is held to when the
// database is opened, and each page when it is first asked: what a decision names by that digest is what answered.
// [DB.Verify] reads everything.
// None of this is a signature: who can write the file can write another.
//
// # Matching
//
// A version is affected as the schema's evaluation says: it is among the versions that the record lists, or in one of
// its SEMVER or ECOSYSTEM ranges. Ranges of git commits say nothing about a package's versions. [DB.Match] gives one [Answer] for
// a package, with one [Match] for all records that are aliases of each other.
//
// An answer is that nothing is known to affect the version only if its Unknown is empty. Otherwise nobody
// can tell: the database has no records of the ecosystem, or not all of them, the version is not one that can be compared, or a
// record does not say which versions it is about, or names commits alone.
package advisory

import (
	"maps"
	"slices"
	"strings"
)

// Ecosystems are OSV's names of the ecosystems that are kept, by type of package URL.
var ecosystems = map[string]string{
	"npm": "npm", "golang": "Go", "pypi": "PyPI", "cargo": "crates.io", "maven": "Maven", "nuget": "NuGet",
	"gem": "RubyGems", "composer": "Packagist", "hex": "Hex", "pub": "Pub", "swift": "SwiftURL", "cran": "CRAN",
	"hackage": "Hackage",
}

// Ecosystem returns OSV's name of the ecosystem that a type of package URL stands for.
func Ecosystem(purlType string) (string, bool) {
	e, ok := ecosystems[strings.ToLower(purlType)]
	return e, ok
}

// known are the names that are kept, by themselves in lower case.
var known = func() map[string]string {
	m := map[string]string{}
	for _, e := range ecosystems {
		m[strings.ToLower(e)] = e
	}
	return m
}()

// Names are OSV's names of the ecosystems that are kept.
func Names() []string { return slices.Sorted(maps.Values(ecosystems)) }

// Keeps reports whether records of an ecosystem of that name, as OSV writes it, are kept.
func Keeps(name string) bool { return known[strings.ToLower(name)] == name && name != "" }

// canonical returns the name under which a record's ecosystem is kept. What follows a colon is a
// registry or a release of it; the name of a package means the same there.
func canonical(ecosystem string) (string, bool) {
	base, _, _ := strings.Cut(ecosystem, ":")
	e, ok := known[strings.ToLower(base)]
	return e, ok
}

// key is a name as its ecosystem's registry compares it. Where registries tell names apart by their
// case and others write them in lower case (npm, Go), it is the lower one; see [DB.Match].
func key(ecosystem, name string) string {
	switch ecosystem {
	case "PyPI":
		return python(name)
	case "crates.io":
		return strings.ReplaceAll(strings.ToLower(name), "_", "-")
	case "Maven", "CRAN", "Hackage":
		return name
	}
	return strings.ToLower(name)
}

// python is the one spelling of a Python project's name (PEP 503).
func python(name string) string {
	parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	return strings.Join(parts, "-")
}
