package config

import (
	"errors"
	"testing"
	"time"
)

func TestAdvisories(t *testing.T) {
	const head = "version: 1\nrepository: example/shop\n"
	for _, c := range []struct {
		text, file string
		required   bool
		age        time.Duration
	}{
		{"", "advisories.db", false, 0},
		{"advisories: {required: true}\n", "advisories.db", true, 168 * time.Hour},
		{"advisories: {required: true, max_age: 24h}\n", "advisories.db", true, 24 * time.Hour},
		{"advisories: {max_age: 24h, database: data/osv.db}\n", "data/osv.db", false, 24 * time.Hour},
	} {
		got, err := Parse([]byte(head + c.text))
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if a := got.Advisories; a.Required != c.required || a.Age() != c.age || a.File() != c.file {
			t.Errorf("%q: got %v, %v, %v", c.text, a.Required, a.Age(), a.File())
		}
	}
	for _, text := range []string{
		"{required: maybe}", "{max_age: soon}", "{max_age: 1m}", "{max_age: 9000h}", "{max_age: \"\"}", "{database: ../x.db}", "{database: /x.db}", "{database: \"\"}",
		"{database: .}", "{maxage: 1h}", "{required: }", "true", "{signed: true}", "{names_max_age: soon}", "{names_max_age: 1m}", "{names_max_age: 9000h}", "{names_max_age: \"\"}", "{min_package_age: 1h}", "{min_package_age: soon}", "{min_package_age: \"\"}", "{names_required: 3}", "{signed: yes please, required: true}",
	} {
		if _, err := Parse([]byte(head + "advisories: " + text + "\n")); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want a refusal", text, err)
		}
	}
}

// TestNamesAge: where an index of names is demanded, one that is too old is none.
func TestNamesAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"{}":                      0,
		"{required: true}":        0,
		"{names_required: true}":  168 * time.Hour,
		"{min_package_age: 336h}": 168 * time.Hour,
		"{names_max_age: 48h}":    48 * time.Hour,
		"{names_required: true, names_max_age: 48h}": 48 * time.Hour,
	} {
		got, err := Parse([]byte("version: 1\nrepository: example/shop\nadvisories: " + text + "\n"))
		if err != nil || got.Advisories.NamesAge() != want {
			t.Errorf("%s: got %v, %v, want %v", text, got.Advisories.NamesAge(), err, want)
		}
	}
}
