package config

import (
	"path/filepath"
	"strings"
	"time"
)

// Advisories say how the gate looks at what is known about packages; see `sallyport advisory`. A
// database that is there is looked in whatever stands here.
type Advisories struct {
	// Required is true if a change that adds or updates a package must not pass while it is not known whether that
	// one is vulnerable or malicious: without a database, with one that is damaged, too old or has no records of the
	// ecosystem, or where a version cannot be compared. Default: false, and what is not known is told.
	Required bool `yaml:"required"`

	// MaxAge is how old the records of an ecosystem may be, such as 168h: one hour to 8784h (a year). Records of
	// which nobody says how old they are are too old. Default: 168h where advisories are required, else any.
	MaxAge string `yaml:"max_age"`

	// Signed is true if the records have to be signed, by a key that the trust file allows for
	// https://sallyport.dev/predicate/advisories/v0.1; see `sallyport advisory sign`. It takes required: true. Default: false.
	Signed bool `yaml:"signed"`

	// NamesRequired is true if it has to be known of a package that a change adds from its ecosystem's registry whether the
	// registry has one of that name; see `sallyport advisory names`. Default: false: an index that is there is looked in, and
	// without one nothing is said.
	NamesRequired bool `yaml:"names_required"`

	// MinPackageAge is how old a package has to be that a change adds, such as 336h: 24h to 8784h. It asks for an index of
	// names with days, as names_required does: a package of unknown age is not let in. Default: any age.
	MinPackageAge string `yaml:"min_package_age"`

	// Database is the file with the records, below the state folder. Default: advisories.db.
	Database string `yaml:"database"`
}

// DefaultAdvisoryAge is how old advisories may be where they are required and nothing else is said.
const DefaultAdvisoryAge = 168 * time.Hour

// Age returns how old records may be, or 0 for any age.
func (a Advisories) Age() time.Duration {
	if d, err := time.ParseDuration(a.MaxAge); err == nil && a.MaxAge != "" {
		return d
	}
	if a.Required {
		return DefaultAdvisoryAge
	}
	return 0
}

// PackageAge returns how old a new package has to be, or 0 for any age.
func (a Advisories) PackageAge() time.Duration {
	d, err := time.ParseDuration(a.MinPackageAge)
	if err != nil {
		return 0 // it is empty: another text was refused
	}
	return d
}

// File returns the path of the database below the state folder.
func (a Advisories) File() string {
	if a.Database != "" {
		return filepath.FromSlash(a.Database)
	}
	return "advisories.db"
}

func (a Advisories) validate(raw map[string]any) error {
	given, _ := raw["advisories"].(map[string]any)
	if _, ok := given["max_age"]; ok {
		d, err := time.ParseDuration(a.MaxAge)
		if err != nil || d < time.Hour || d > 8784*time.Hour {
			return bad("advisories.max_age", "%q is not a time from 1h to 8784h", clip(a.MaxAge))
		}
	}
	if _, ok := given["min_package_age"]; ok {
		d, err := time.ParseDuration(a.MinPackageAge)
		if err != nil || d < 24*time.Hour || d > 8784*time.Hour {
			return bad("advisories.min_package_age", "%q is not a time from 24h to 8784h", clip(a.MinPackageAge))
		}
	}
	if a.Signed && !a.Required {
		return bad("advisories.signed", "what has to be signed has to be known: it takes required: true")
	}
	if _, ok := given["database"]; ok && (len(a.Database) > 256 || !filepath.IsLocal(a.Database) || strings.ContainsAny(a.Database, "\\\x00") || a.Database == ".") {
		return bad("advisories.database", "%q is no file below the state folder", clip(a.Database))
	}
	return nil
}
