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
	if a.Signed && !a.Required {
		return bad("advisories.signed", "what has to be signed has to be known: it takes required: true")
	}
	if _, ok := given["database"]; ok && (len(a.Database) > 256 || !filepath.IsLocal(a.Database) || strings.ContainsAny(a.Database, "\\\x00") || a.Database == ".") {
		return bad("advisories.database", "%q is no file below the state folder", clip(a.Database))
	}
	return nil
}
