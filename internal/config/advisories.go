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

	// NamesMaxAge is how old the index of an ecosystem's names may be, such as 168h: one hour to 8784h. In an older one a name that
	// was taken out of the registry, and that somebody else took since, is known. An index of which nobody says how old it is is
	// too old. Default: 168h where names_required or min_package_age is set, else any.
	NamesMaxAge string `yaml:"names_max_age"`

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

// NamesDemanded reports whether there has to be an index of names.
func (a Advisories) NamesDemanded() bool { return a.NamesRequired || a.PackageAge() > 0 }

// NamesAge returns how old an index of names may be, or 0 for any age.
func (a Advisories) NamesAge() time.Duration {
	if d, err := time.ParseDuration(a.NamesMaxAge); err == nil && a.NamesMaxAge != "" {
		return d
	}
	if a.NamesDemanded() {
		return DefaultAdvisoryAge
	}
	return 0
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
	for key, text := range map[string]string{"max_age": a.MaxAge, "names_max_age": a.NamesMaxAge} {
		if _, ok := given[key]; ok {
			d, err := time.ParseDuration(text)
			if err != nil || d < time.Hour || d > 8784*time.Hour {
				return bad("advisories."+key, "%q is not a time from 1h to 8784h", clip(text))
			}
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
