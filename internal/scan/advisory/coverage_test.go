package advisory

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestCoverage: a few records do not make an ecosystem known. A source is whole if somebody says so, and not if
// it is not what it says.
func TestCoverage(t *testing.T) {
	a, b := osv("A-1", "npm", "p", "introduced 0", "fixed 2.0.0"), osv("A-2", "npm", "q", "introduced 0")
	vuln := osv("GO-2026-1", "Go", "example.com/m", "introduced 0", "fixed 1.0.0")
	for _, c := range []struct {
		name   string
		files  map[string]string
		covers []string
		want   string // the ecosystems that are whole, or what the error says
	}{
		{"some records", map[string]string{"a.json": a}, nil, ""},
		{"its bringer says so", map[string]string{"a.json": a}, []string{"npm"}, "npm"},
		{"and has none of that ecosystem", map[string]string{"a.json": a}, []string{"PyPI"}, "has a record of PyPI"},
		{"its own word", map[string]string{"a.json": a, "b.json": b, CoverageFile: `{"covers": {"npm": 2}}`}, nil, "npm"},
		{"cut short", map[string]string{"a.json": a, CoverageFile: `{"covers": {"npm": 2}}`}, nil, "1 records of npm, and its coverage.json says 2"},
		{"added to", map[string]string{"a.json": a, "b.json": b, CoverageFile: `{"covers": {"npm": 1}}`}, nil, "says 1"},
		{"all records are none", map[string]string{"a.json": a, CoverageFile: `{"covers": {"PyPI": 0}}`}, nil, "are 0"},
		{"another ecosystem", map[string]string{"a.json": a, CoverageFile: `{"covers": {"NPM": 1}}`}, nil, "no ecosystem that is kept"},
		{"more than that", map[string]string{"a.json": a, CoverageFile: `{"covers": {"npm": 1}, "all": true}`}, nil, CoverageFile},
		{"not at its top", map[string]string{"a.json": a, "d/" + CoverageFile: `{"covers": {"npm": 1}}`}, nil, ""},
		{"Go's database", map[string]string{"ID/1.json": vuln, "index/vulns.json": `[{"id": "GO-2026-1"}]`}, nil, "Go"},
		{"a part of Go's database", map[string]string{"ID/1.json": vuln, "index/vulns.json": `[{"id": "GO-2026-1"}, {"id": "GO-2026-2"}]`}, nil, ""},
		{"of nothing", map[string]string{"ID/1.json": vuln, "index/vulns.json": `[]`}, nil, ""},
	} {
		for _, pack := range []func(testing.TB, map[string]string) string{folder, zipped} {
			p := filepath.Join(t.TempDir(), "a.db")
			meta, err := Import(context.Background(), p, []Origin{{Path: pack(t, c.files), Covers: c.covers}}, now)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) || c.want == "" {
					t.Errorf("%s: got %v, want %q", c.name, err, c.want)
				}
				continue
			}
			var whole []string
			for _, e := range meta.Ecosystems {
				if e.Whole {
					whole = append(whole, e.Name)
				}
			}
			if got := strings.Join(whole, " "); got != c.want {
				t.Errorf("%s: whole for %q, want %q", c.name, got, c.want)
			}
		}
	}
	// What is known of a package is told all the same, and what is not is no clean answer.
	p := filepath.Join(t.TempDir(), "a.db")
	if _, err := Import(context.Background(), p, []Origin{{Path: folder(t, map[string]string{"a.json": a})}}, now); err != nil {
		t.Fatal(err)
	}
	db, err := Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for version, want := range map[string]string{"1.0.0": "A-1 unknown:coverage", "2.0.0": "unknown:coverage", "latest": "unknown:version"} {
		if got := ids(db.Match(Package{"npm", "p", version})); got != want {
			t.Errorf("p %s: got %q, want %q", version, got, want)
		}
	}
}

// TestUndated: a record that does not say when it was modified is one all the same, and takes nothing away from
// another.
func TestUndated(t *testing.T) {
	dated := osv("A-1", "npm", "p", "introduced 0", "fixed 2.0.0")
	without := func(s string) string { return strings.Replace(s, `"modified":"2026-11-19T00:00:00Z",`, "", 1) }
	null := func(s string) string { return strings.Replace(s, `"2026-11-19T00:00:00Z"`, "null", 1) }
	later := osv("A-1", "npm", "p", "introduced 3.0.0")
	const gone, goneNobodyKnowsWhen = `{"id": "A-1", "withdrawn": "2026-11-20T00:00:00Z", "modified": "2026-11-20T00:00:00Z"}`, `{"id": "A-1", "withdrawn": "2026-11-20T00:00:00Z"}`
	for i, c := range []struct {
		records []string
		want    string // what affects 1.0.0 and 3.0.0
	}{
		{[]string{without(dated)}, "A-1|"},
		{[]string{null(dated)}, "A-1|"},
		{[]string{dated, without(later)}, "A-1|A-1"},
		{[]string{without(later), dated}, "A-1|A-1"},
		{[]string{dated, goneNobodyKnowsWhen}, "A-1|"},
		{[]string{goneNobodyKnowsWhen, dated}, "A-1|"},
		{[]string{without(dated), gone}, "A-1|"},
		{[]string{without(later), dated, gone}, "|A-1"}, // in whatever order
		{[]string{dated, gone, without(later)}, "|A-1"},
		{[]string{gone, without(later), dated}, "|A-1"},
	} {
		files := map[string]string{"z.json": osv("Z", "npm", "z", "introduced 0")}
		for n, r := range c.records {
			files[fmt.Sprint(n, ".json")] = r
		}
		db, _ := imported(t, folder(t, files))
		got := ids(db.Match(Package{"npm", "p", "1.0.0"})) + "|" + ids(db.Match(Package{"npm", "p", "3.0.0"}))
		if got != c.want {
			t.Errorf("%d: got %q, want %q", i, got, c.want)
		}
		if n := db.Meta().Sources[0].Undated; n != 1 {
			t.Errorf("%d: %d records without a time are told, want 1", i, n)
		}
	}
	noID := folder(t, map[string]string{"a.json": strings.Replace(dated, `"id":"A-1",`, "", 1)})
	if _, err := Import(context.Background(), filepath.Join(t.TempDir(), "a.db"), []Origin{{Path: noID}}, now); err == nil || !strings.Contains(err.Error(), "it has no id") {
		t.Errorf("a record without an id: got %v", err)
	}
}
