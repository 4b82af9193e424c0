package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/registry"
)

// TestStrangers: which new packages their registry does not have, or has not had for long; and what nobody can tell.
func TestStrangers(t *testing.T) {
	dir := t.TempDir()
	from, p := filepath.Join(dir, "npm.txt"), filepath.Join(dir, "names.db")
	if err := os.WriteFile(from, []byte("react 2013-05-24\nfresh 2026-11-12\nyoungest 2026-11-13\nundated\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Import(context.Background(), p, []registry.Origin{{Type: "npm", Path: from}}, adviceNow); err != nil {
		t.Fatal(err)
	}
	x, err := registry.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	added := func(name string, edit ...func(*sallyport.Dependency)) sallyport.Dependency {
		d := sallyport.Dependency{Purl: "pkg:npm/" + name + "@1.0.0", Ecosystem: "npm", Name: name, Version: "1.0.0", Change: "added", DefaultRegistry: true, Path: "package-lock.json"}
		for _, f := range edit {
			f(&d)
		}
		return d
	}
	cargo := func(d *sallyport.Dependency) { d.Ecosystem, d.Purl = "cargo", "pkg:cargo/x@1.0.0" }
	known := Names{Index: x, Now: adviceNow}
	asOf := func(typ, file, when string, now time.Time) *Names {
		o := registry.Origin{Type: typ, Path: file}
		o.AsOf, _ = time.Parse(time.DateOnly, when)
		p := filepath.Join(t.TempDir(), "names.db")
		if _, err := registry.Import(context.Background(), p, []registry.Origin{o}, adviceNow); err != nil {
			t.Fatal(err)
		}
		x, err := registry.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = x.Close() })
		return &Names{Index: x, Required: true, MaxAge: 168 * time.Hour, Now: now}
	}
	undated := filepath.Join(dir, "undated.txt")
	if err := os.WriteFile(undated, []byte("react\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	told := asOf("npm", from, "2026-11-01", adviceNow)
	told.Required = false
	aged := Names{Index: x, Now: adviceNow, Required: true, MinAge: 7 * 24 * time.Hour}
	for _, tt := range []struct {
		name  string
		names *Names
		deps  []sallyport.Dependency
		want  []string
	}{
		{"nobody asked", nil, []sallyport.Dependency{added("made-up")}, nil},
		{"no index, and nobody asked for one", &Names{}, []sallyport.Dependency{added("made-up")}, nil},
		{"no index", &Names{Required: true}, []sallyport.Dependency{added("a"), added("b")}, []string{"advisory names high"}},
		{"a damaged one", &Names{Why: errors.New("damaged")}, []sallyport.Dependency{added("a")}, []string{"advisory names low"}},
		{"a damaged one, where it is required", &Names{Why: errors.New("damaged"), Required: true}, []sallyport.Dependency{added("a")}, []string{"advisory names high"}},
		{"known", &known, []sallyport.Dependency{added("react")}, nil},
		{"made up", &known, []sallyport.Dependency{added("made-up"), added("made-up"), added("react")}, []string{"unknown-package unknown-name high"}},
		{"in two files", &known, []sallyport.Dependency{added("made-up"), added("made-up", func(d *sallyport.Dependency) { d.Path = "web/package.json" })},
			[]string{"unknown-package unknown-name high", "unknown-package unknown-name high"}},
		{"updated, not new", &known, []sallyport.Dependency{added("made-up", func(d *sallyport.Dependency) { d.Change = "updated" })}, nil},
		{"removed", &known, []sallyport.Dependency{added("made-up", func(d *sallyport.Dependency) { d.Change = "removed" })}, nil},
		{"of a registry of one's own", &known, []sallyport.Dependency{added("made-up", func(d *sallyport.Dependency) { d.Registry, d.DefaultRegistry = "npm.example", false })}, nil},
		{"of the repository", &known, []sallyport.Dependency{added("made-up", func(d *sallyport.Dependency) { d.Registry = local })}, nil},
		{"another ecosystem", &known, []sallyport.Dependency{added("x", cargo)}, nil},
		{"another ecosystem, where it is required", &aged, []sallyport.Dependency{added("x", cargo), added("y", cargo)}, []string{"advisory names high"}},
		{"old enough", &aged, []sallyport.Dependency{added("react"), added("fresh")}, nil},
		{"young", &aged, []sallyport.Dependency{added("youngest")}, []string{"new-package young high"}},
		{"of unknown age", &aged, []sallyport.Dependency{added("undated")}, []string{"advisory names high"}},
		{"an index that is young enough", asOf("npm", from, "2026-11-19", adviceNow), []sallyport.Dependency{added("react")}, nil},
		{"an index that is too old", asOf("npm", from, "2026-11-01", adviceNow), []sallyport.Dependency{added("react"), added("fresh")}, []string{"advisory names high"}},
		{"an old index that does not have it either", asOf("npm", from, "2026-11-01", adviceNow), []sallyport.Dependency{added("made-up")}, []string{"advisory names high", "unknown-package unknown-name high"}},
		{"an old index, told", told, []sallyport.Dependency{added("react")}, []string{"advisory names low"}},
		{"an index from a time to come", asOf("npm", from, "2026-11-19", adviceNow.AddDate(0, 0, -7)), []sallyport.Dependency{added("react")}, []string{"advisory names high"}},
		{"an index of which nobody says how old it is", asOf("npm", undated, "", adviceNow), []sallyport.Dependency{added("react")}, []string{"advisory names high"}},
		{"an old index of another ecosystem", asOf("cargo", from, "2026-11-19", adviceNow), []sallyport.Dependency{added("react")}, []string{"advisory names high"}},
		{"of unknown age, and any will do", &known, []sallyport.Dependency{added("undated"), added("youngest")}, nil},
	} {
		var got []string
		for _, f := range new(Scanner).Named(tt.names).strangers(tt.deps) {
			got = append(got, fmt.Sprintf("%s %s %s", f.Kind, f.Rule, f.Severity))
			if strings.Contains(f.Text, "\n") || f.Path == "" || f.ID == "" || f.State != "open" {
				t.Errorf("%s: got %+v", tt.name, f)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
