package sallyport

// A Dependency is a package that a change adds, updates or removes, by what a lock or manifest file
// says before it and after. A registry that a manifest begins to name is one too: it has a name and
// no Purl.
type Dependency struct {
	Purl       string `json:"purl"` // of the new version, or of the removed one; a range is no version
	Ecosystem  string `json:"ecosystem"`
	Name       string `json:"name"`
	Version    string `json:"version"`     // exact in a lock file, in a manifest what is asked for
	OldVersion string `json:"old_version"` // of an update
	Change     string `json:"change"`      // added, updated or removed

	Direct        bool   `json:"direct"`         // the file says that the project asks for it itself
	Dev           bool   `json:"dev"`            // the file says that it is not needed at run time
	InstallScript bool   `json:"install_script"` // the file says that it runs code when it is installed
	Registry      string `json:"registry"`       // the host that the file names, "file" for a path, empty if none
	// DefaultRegistry is true if it comes from the default registry of its ecosystem, or the file
	// leaves open from where.
	DefaultRegistry bool `json:"default_registry"`
	// Integrity is present if the file holds a digest of it, missing if it should and does not,
	// elsewhere if the format, or an entry of this kind, has none.
	Integrity string `json:"integrity"`
	Lock      bool   `json:"lock"` // the file pins versions
	Path      Path   `json:"path"` // the file that says so
}

// FindingDependency marks what contradicts itself in a lock file, or cannot be told from it.
const FindingDependency FindingKind = "dependency"

// FindingLookAlike marks a new package whose name could be taken for a well-known one's.
const FindingLookAlike FindingKind = "look-alike"

// The kinds of finding about the name of a new package.
const (
	FindingUnknownPackage FindingKind = "unknown-package" // its registry's index does not have it
	FindingNewPackage     FindingKind = "new-package"     // it is younger than policy wants
)

// The kinds of finding about what is known of a package that a change brings.
const (
	FindingVulnerability FindingKind = "vulnerability"
	FindingMalicious     FindingKind = "malicious-package"
	FindingAdvisory      FindingKind = "advisory" // it is not known whether either is so: never "clean"
)
