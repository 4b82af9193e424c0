package advisory

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// osv is a record about one package, with events written as "introduced 1.0".
func osv(id, ecosystem, name string, events ...string) string {
	var es []map[string]string
	for _, e := range events {
		kind, v, _ := strings.Cut(e, " ")
		es = append(es, map[string]string{kind: v})
	}
	kind := "ECOSYSTEM"
	if ecosystem == "npm" || ecosystem == "Go" {
		kind = "SEMVER"
	}
	b, err := json.Marshal(map[string]any{
		"id": id, "modified": "2026-11-19T00:00:00Z", "summary": id + " of " + name,
		"affected": []any{map[string]any{
			"package": map[string]string{"ecosystem": ecosystem, "name": name},
			"ranges":  []any{map[string]any{"type": kind, "events": es}},
		}},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// folder writes files below a new folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func zipped(t testing.TB, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, body := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(t.TempDir(), "all.zip")
	if err := os.WriteFile(p, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// imported makes a database of sources that have all records of the ecosystems that they have any of.
func imported(t testing.TB, paths ...string) (*DB, string) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "advisories.db")
	var from []Origin
	for _, f := range paths {
		from = append(from, Origin{Path: f})
	}
	meta, err := Import(context.Background(), p, from, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range meta.Ecosystems {
		for i := range from {
			from[i].Covers = append(from[i].Covers, e.Name)
		}
	}
	if _, err := Import(context.Background(), p, from, now); err != nil {
		t.Fatal(err)
	}
	db, err := Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, p
}

func ids(a Answer) string {
	var out []string
	for _, m := range a.Matches {
		out = append(out, m.ID)
	}
	if a.Unknown != "" {
		out = append(out, "unknown:"+a.Unknown)
	}
	return strings.Join(out, " ")
}

// TestEvaluate goes through the evaluation that the schema describes.
func TestEvaluate(t *testing.T) {
	listed := strings.Replace(osv("V-11", "PyPI", "listed", "introduced 9"), `"ranges"`, `"versions":["1.0","2.0rc1","2004d"],"ranges"`, 1)
	git := strings.Replace(osv("V-12", "PyPI", "git-only", "introduced 0"), "ECOSYSTEM", "GIT", 1)
	bare := `{"id":"V-13","modified":"2026-11-19T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"bare"}}]}`
	gone := strings.Replace(osv("V-14", "npm", "gone", "introduced 0"), `"id"`, `"withdrawn":"2026-01-01T00:00:00Z","id"`, 1)
	db, _ := imported(t, folder(t, map[string]string{
		"1.json": osv("V-1", "npm", "simple", "introduced 1.0.0", "fixed 1.2.0", "introduced 2.0.0", "fixed 2.0.1"),
		"2.json": osv("V-2", "npm", "last", "introduced 0", "last_affected 1.2.0"),
		"3.json": osv("V-3", "npm", "limited", "introduced 0", "limit 2.0.0"),
		"4.json": osv("V-4", "npm", "unsorted", "fixed 2.0.1", "introduced 2.0.0", "fixed 1.2.0", "introduced 1.0.0"),
		"5.json": osv("V-5", "npm", "one", "introduced 1.0.0", "last_affected 1.0.0"),
		"6.json": osv("V-6", "npm", "again", "introduced 0", "fixed 1.0.0", "introduced 1.0.0", "fixed 1.1.0"),
		"7.json": osv("V-7", "npm", "all", "introduced 0"),
		"8.json": osv("V-8", "Go", "example.com/Mod/v2", "introduced 0", "fixed 2.3.0"),
		"9.json": osv("V-9", "PyPI", "Zope.Interface", "introduced 0", "fixed 4.0"),
		"a.json": osv("V-10", "npm", "JSONThing", "introduced 0", "fixed 2.0.0"),
		"b.json": listed, "c.json": git, "d.json": bare, "e.json": gone,
		"f.json": osv("V-15", "Maven", "org.acme:lib", "introduced 0", "fixed 1.10"),
		"g.json": osv("V-16", "crates.io", "my_crate", "introduced 0.0.0-0", "fixed 0.2.0"),
		"h.json": osv("V-17", "RubyGems", "nokogiri", "introduced 0", "fixed 1.16.5"),
		"i.json": osv("V-18", "Packagist", "Acme/Lib", "introduced 0", "fixed 2.0"),
		"j.json": osv("V-19", "NuGet", "Acme.Lib", "introduced 0", "fixed 13.0.1"),
	}))
	for _, c := range []struct{ typ, name, version, want string }{
		{"npm", "simple", "0.9.9", ""},
		{"npm", "simple", "1.0.0-rc.1", ""},
		{"npm", "simple", "1.0.0", "V-1"},
		{"npm", "simple", "1.2.0-beta", "V-1"},
		{"npm", "simple", "1.2.0", ""},
		{"npm", "simple", "1.2.0+build", ""},
		{"npm", "simple", "2.0.0", "V-1"},
		{"npm", "simple", "2.0.1", ""},
		{"npm", "simple", "latest", "unknown:version"},
		{"npm", "simple", "^1.0.0", "unknown:version"},
		{"npm", "simple", "", "unknown:version"},
		{"npm", "last", "1.2.0", "V-2"},
		{"npm", "last", "1.2.1", ""},
		{"npm", "limited", "1.9.9", "V-3"},
		{"npm", "limited", "2.0.0", ""},
		{"npm", "unsorted", "1.1.0", "V-4"},
		{"npm", "unsorted", "1.5.0", ""},
		{"npm", "one", "1.0.0", "V-5"},
		{"npm", "one", "1.0.1", ""},
		{"npm", "again", "1.0.0", "V-6"},
		{"npm", "again", "1.1.0", ""},
		{"npm", "all", "99.0.0", "V-7"},
		{"npm", "all", "", "V-7"},
		{"npm", "nothing", "no version", ""}, // no advisory is about any version of it
		{"npm", "gone", "1.0.0", ""},
		{"npm", "JSONThing", "1.0.0", "V-10"},
		{"npm", "jsonthing", "1.0.0", "V-10"}, // a package URL that was lowered
		{"npm", "JsonThing", "1.0.0", ""},
		{"golang", "example.com/mod/v2", "v2.2.9", "V-8"},
		{"golang", "example.com/Mod/v2", "v2.3.1-0.20260101000000-0123456789ab", ""},
		{"golang", "example.com/Mod/v2", "v2.3.0-0.20260101000000-0123456789ab", "V-8"},
		{"golang", "example.com/Mod/v2", "v2.3.0+incompatible", ""},
		{"golang", "example.com/Mod/v2", "main", "unknown:version"},
		{"golang", "example.com/Mod/v2", "v2.2-rc.1", "unknown:version"}, // only a full version has a pre-release
		{"golang", "example.com/Mod/v2", "v2.2.0.1", "unknown:version"},
		{"golang", "example.com/Mod/v2", "v2.2", "V-8"},
		{"pypi", "zope-interface", "3.9", "V-9"},
		{"pypi", "ZOPE_interface", "4.0.0", ""},
		{"pypi", "zope.interface", "4.0rc1", "V-9"},
		{"pypi", "zope.interface", "4.0+cu118", ""},
		{"pypi", "zope.interface", "somewhen", "unknown:version"},
		{"pypi", "listed", "1.0.0", "V-11"},
		{"pypi", "listed", "1.0+cu118", "V-11"},
		{"pypi", "listed", "2.0.rc1", "V-11"},
		{"pypi", "listed", "2004d", "V-11"}, // no version by its rules, and listed all the same
		{"pypi", "listed", "2.0", ""},
		{"pypi", "git-only", "1.0", "unknown:version"},
		{"pypi", "bare", "1.0", "unknown:version"},
		{"maven", "org.acme:lib", "1.9", "V-15"},
		{"maven", "org.acme:lib", "1.10", ""},
		{"maven", "org.acme:lib", "${lib.version}", "unknown:version"},
		{"maven", "org.acme:lib", "[1.0,2.0)", "unknown:version"},
		{"maven", "org.acme:lib", "RELEASE", "unknown:version"},
		{"cargo", "my-crate", "0.1.9", "V-16"},
		{"gem", "nokogiri", "1.16.4-x86_64-linux", "V-17"},
		{"gem", "nokogiri", "1.16.5-x86_64-linux", ""},
		{"gem", "nokogiri", "1.16.5.rc1", "V-17"},
		{"composer", "acme/lib", "v1.9.9", "V-18"},
		{"composer", "acme/lib", "dev-main", "unknown:version"},
		{"composer", "acme/lib", "1.0.x-dev", "unknown:version"},
		{"nuget", "acme.lib", "13.0.0.1", "V-19"},
		{"nuget", "acme.lib", "13.0.1", ""},
		{"hex", "phoenix", "1.0.0", "unknown:ecosystem"},
		{"deb", "curl", "1.0.0", "unknown:ecosystem"},
		{"", "", "", "unknown:ecosystem"},
	} {
		if got := ids(db.Match(Package{c.typ, c.name, c.version})); got != c.want {
			t.Errorf("%s %s %q: got %q, want %q", c.typ, c.name, c.version, got, c.want)
		}
	}
	a := db.Match(Package{"npm", "simple", "1.0.1"})
	if !slices.Equal(a.Matches[0].Fixed, []string{"1.2.0"}) || a.Matches[0].Severity != "" || a.Matches[0].Summary != "V-1 of simple" {
		t.Errorf("got %+v", a.Matches)
	}
	if err := db.Verify(); err != nil {
		t.Error(err)
	}
}

// TestAliases: one advisory that three databases tell is told once, with what each knows.
func TestAliases(t *testing.T) {
	with := func(record, more string) string {
		return strings.Replace(record, `{"affected"`, "{"+more+`,"affected"`, 1)
	}
	db, _ := imported(t, folder(t, map[string]string{
		"a.json": with(osv("GHSA-aaaa-bbbb-cccc", "npm", "p", "introduced 0", "fixed 2.0.0"), `"aliases":["CVE-2026-1"],"database_specific":{"severity":"MODERATE"}`),
		"b.json": with(osv("SNYK-1", "npm", "p", "introduced 0", "fixed 2.0.1"), `"aliases":["CVE-2026-1"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`),
		"c.json": with(osv("GHSA-dddd-eeee-ffff", "npm", "p", "introduced 0"), `"database_specific":{"cwe_ids":["CWE-506"]}`),
		"d.json": with(osv("MAL-2026-7", "npm", "p", "introduced 0"), `"aliases":["GHSA-dddd-eeee-ffff"],"database_specific":{"malicious-packages-origins":[{"sha256":"00"}]}`),
		"e.json": with(osv("X-1", "npm", "p", "introduced 0"), `"severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N"}]`),
		"f.json": with(osv("X-2", "npm", "p", "introduced 0"), `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/what"}]`),
	}))
	var got []string
	for _, m := range db.Match(Package{"npm", "p", "1.0.0"}).Matches {
		got = append(got, fmt.Sprintf("%s %v %s %v %v", m.ID, m.Aliases, m.Severity, m.Malicious, m.Fixed))
	}
	want := []string{
		"GHSA-dddd-eeee-ffff [MAL-2026-7]  true []",
		"SNYK-1 [CVE-2026-1 GHSA-aaaa-bbbb-cccc] critical false [2.0.0 2.0.1]",
		"X-1 [] medium false []",
		"X-2 []  false []", // a vector that nobody can read rates nothing
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestLayouts reads the layouts that advisories are published in, and says of each how old it is.
func TestLayouts(t *testing.T) {
	dated := strings.Replace(osv("GO-2026-1", "Go", "example.com/m", "introduced 0"), "2026-11-19T00:00:00Z", "0001-01-01T00:00:00Z", 1)
	old := strings.Replace(osv("GHSA-1", "npm", "q", "introduced 0", "fixed 9.0.0"), "2026-11-19", "2026-11-01", 1)
	future := strings.Replace(osv("X-9", "PyPI", "r", "introduced 0"), "2026-11-19", "2036-11-19", 1)
	deb := strings.Replace(osv("DSA-1", "Debian:12", "curl", "introduced 0"), "SEMVER", "ECOSYSTEM", 1)
	mixed := strings.Replace(osv("M-1", "Maven:https://repo.example", "a:b", "introduced 0"), `"affected":[`, `"affected":[{"package":{"ecosystem":"Linux","name":"Kernel"}},`, 1)
	vulndb := folder(t, map[string]string{
		"ID/GO-2026-1.json": dated, "index/db.json": `{"modified":"2026-11-18T10:00:00Z"}`,
		"index/modules.json": `[{"path":"example.com/m","vulns":[]}]`, "index/vulns.json": `[]`,
	})
	github := folder(t, map[string]string{
		"advisories/github-reviewed/2026/01/GHSA-1/GHSA-1.json": old, "README.md": "#", ".git/x.json": "no JSON", "package.json": `{"name":"x"}`,
	})
	if err := os.Symlink(vulndb, filepath.Join(github, "advisories", "elsewhere")); err != nil {
		t.Fatal(err)
	}
	export := zipped(t, map[string]string{"X-9.json": future, "DSA-1.json": deb, "M-1.json": mixed, "GHSA-1.json": osv("GHSA-1", "npm", "q", "introduced 0", "fixed 2.0.0")})
	db, _ := imported(t, vulndb, github, export)
	m := db.Meta()
	var got []string
	for _, s := range m.Sources {
		got = append(got, fmt.Sprintf("%s %d/%d/%d left %d none %d links %d undated %d future %d", s.AsOf.Format("01-02"), s.Records, s.Withdrawn, s.Older, s.LeftOut, s.NoRecords, s.NotFollow, s.Undated, s.FutureDate))
	}
	want := []string{
		"11-18 1/0/0 left 0 none 3 links 0 undated 1 future 0",
		"11-01 0/0/1 left 0 none 1 links 1 undated 0 future 0",
		"11-19 3/0/0 left 2 none 0 links 0 undated 0 future 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("sources: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	got = nil
	for _, e := range m.Ecosystems {
		age, known := e.Age(now)
		got = append(got, fmt.Sprintf("%s %d/%d %v %v", e.Name, e.Records, e.Packages, age, known))
	}
	want = []string{"Go 1/1 50h0m0s true", "Maven 1/1 36h0m0s true", "PyPI 1/1 36h0m0s true", "npm 1/1 36h0m0s true"}
	if !slices.Equal(got, want) {
		t.Errorf("ecosystems: got %q, want %q", got, want)
	}
	// The newer record counts, whichever came first.
	if got := ids(db.Match(Package{"npm", "q", "3.0.0"})); got != "" {
		t.Errorf("an older record counts: %s", got)
	}
	// Without a time no age is known, and a later one is none.
	undated, _ := imported(t, folder(t, map[string]string{"a.json": dated}))
	if e, _ := undated.Meta().Ecosystem("Go"); !e.AsOf.IsZero() {
		t.Errorf("got %v", e.AsOf)
	}
	if _, known := (EcosystemMeta{AsOf: now.Add(48 * time.Hour)}).Age(now); known {
		t.Error("data of tomorrow has an age")
	}
}

// TestRefused: what cannot be read whole leaves the database as it was.
func TestRefused(t *testing.T) {
	good := osv("A-1", "npm", "p", "introduced 0")
	_, p := imported(t, folder(t, map[string]string{"a.json": good}))
	before, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat("d/", maxDepth+2) + "a.json"
	for _, c := range []struct{ name, path, want string }{
		{"broken JSON", folder(t, map[string]string{"a.json": good, "b.json": `{"id":`}), "b.json"},
		{"a key twice", folder(t, map[string]string{"a.json": strings.Replace(good, `"id"`, `"id":"B","id"`, 1)}), "a.json"},
		{"unknown range", folder(t, map[string]string{"a.json": strings.Replace(good, "SEMVER", "MAYBE", 1)}), "MAYBE"},
		{"unknown event", folder(t, map[string]string{"a.json": strings.Replace(good, "introduced", "imagined", 1)}), "imagined"},
		{"no time", folder(t, map[string]string{"a.json": strings.Replace(good, "2026-11-19T00:00:00Z", "yesterday", 1)}), "yesterday"},
		{"withdrawn somehow", folder(t, map[string]string{"a.json": strings.Replace(good, `{"affected"`, `{"withdrawn":"yes","affected"`, 1)}), "withdrawn"},
		{"hidden letters", folder(t, map[string]string{"a.json": strings.Replace(good, `"p"`, "\"p\u202e\"", 1)}), "name of a package"},
		{"empty folder", t.TempDir(), "no OSV records"},
		{"another project", folder(t, map[string]string{"package.json": `{"name":"x"}`}), "1 JSON files are something else"},
		{"nothing there", filepath.Join(t.TempDir(), "none"), "no such file"},
		{"too deep", folder(t, map[string]string{deep: good}), "nested"},
		{"no archive", filepath.Join(folder(t, map[string]string{"a.zip": "PK\x03\x04 cut"}), "a.zip"), "zip"},
		{"a folder with half an archive", folder(t, map[string]string{"a.json": good, "b.zip": "PK\x03\x04 cut"}), "zip"},
		{"only withdrawn", folder(t, map[string]string{"a.json": `{"id":"A","modified":"2026-11-19T00:00:00Z","withdrawn":"2026-11-19T00:00:00Z"}`}), "no record is about"},
		{"bomb", zipped(t, map[string]string{"a.json": good, "b.json": strings.Repeat(" ", MaxRecord+1)}), "larger"},
		{"many bombs", zipped(t, bombs(good)), "times its size"},
	} {
		_, err := Import(context.Background(), p, []Origin{{Path: c.path}}, now)
		if err == nil || !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want an error about %q", c.name, err, c.want)
		}
	}
	if after, err := os.ReadFile(p); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a refused import changed the database: %v", err)
	}
}

// bombs are files within the bounds of one, that together are beyond all measure.
func bombs(good string) map[string]string {
	m := map[string]string{}
	for i := range 6 {
		m[fmt.Sprint(i, ".json")] = good + strings.Repeat(" ", MaxRecord-len(good)-1)
	}
	return m
}

// TestDamage changes each byte of a database, cuts it at each place, and puts zeros over each stretch: the
// answer is as before or an error, never another one.
func TestDamage(t *testing.T) {
	_, p := imported(t, folder(t, map[string]string{
		"a.json": osv("A-1", "npm", "p", "introduced 0", "fixed 2.0.0"), "b.json": osv("A-2", "Go", "example.com/m", "introduced 1.0.0"),
		"c.json": osv("A-3", "PyPI", "r", "introduced 0"),
	}))
	whole, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	asked := []Package{{"npm", "p", "1.0.0"}, {"golang", "example.com/m", "v1.0.0"}, {"pypi", "r", "1"}, {"npm", "other", "1.0.0"}}
	answers := func(b []byte) (out []string, err error) {
		db, err := open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return nil, err
		}
		for _, p := range asked {
			out = append(out, ids(db.Match(p)))
		}
		return out, db.Verify()
	}
	want, err := answers(whole)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, b []byte) {
		got, err := answers(b)
		if err == nil {
			t.Errorf("%s: Verify finds nothing", what)
		}
		for i := range got {
			if got[i] != want[i] && got[i] != "unknown:damaged" {
				t.Errorf("%s: %v: got %q, want %q or an error", what, asked[i], got[i], want[i])
			}
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1 << (i % 8)
		try(fmt.Sprint("byte ", i), b)
		try(fmt.Sprint("cut at ", i), whole[:i])
		b = bytes.Clone(whole)
		clear(b[i:min(i+rowSize, len(b))])
		if !bytes.Equal(b, whole) {
			try(fmt.Sprint("zeros at ", i), b)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
	if _, err := open(strings.NewReader("SQLite format 3\x00"), 16); !errors.Is(err, ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
}

// TestForgedTable: whoever rewrites a bucket and what the table says of it still has to rewrite the digest by which
// decisions name the database.
func TestForgedTable(t *testing.T) {
	_, p := imported(t, folder(t, map[string]string{"a.json": osv("A-1", "npm", "p", "introduced 0", "fixed 2.0.0"), "b.json": osv("A-2", "npm", "q", "introduced 0")}))
	whole, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	db, err := open(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	h := db.head
	row := rowOf("npm", "p", h.rows)
	at := headSize + int(row)*rowSize
	place, size := binary.BigEndian.Uint64(whole[at:]), binary.BigEndian.Uint32(whole[at+8:])
	b := bytes.Clone(whole)
	bucket := b[place : place+uint64(size)]
	copy(bucket, bytes.Replace(bucket, []byte("2.0.0"), []byte("0.0.1"), 1))
	sum := digest16(h.seed, row, bucket)
	copy(b[at+12:], sum[:])
	forged, err := open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(forged.Match(Package{"npm", "p", "1.0.0"})); got != "unknown:damaged" {
		t.Errorf("a bucket that the table agrees with: got %q", got)
	}
	if err := forged.Verify(); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
	page := sha256.Sum256(b[headSize:][:int(h.rows)*rowSize])
	copy(b[headSize+int(h.rows)*rowSize:], page[:])
	if _, err := open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrDamaged) {
		t.Errorf("a whole table that is another: got %v, want ErrDamaged", err)
	}
}

// TestManyPages: a table of more than one page answers for each of its packages.
func TestManyPages(t *testing.T) {
	files := map[string]string{}
	for i := range 3 * pageRows {
		files[fmt.Sprint(i, ".json")] = osv(fmt.Sprint("A-", i), "npm", fmt.Sprint("p", i), "introduced 0")
	}
	db, _ := imported(t, folder(t, files))
	for i := range 3 * pageRows {
		if got := ids(db.Match(Package{"npm", fmt.Sprint("p", i), "1.0.0"})); got != fmt.Sprint("A-", i) {
			t.Errorf("p%d: got %q", i, got)
		}
	}
	if err := db.Verify(); err != nil {
		t.Error(err)
	}
}

// TestSame: the same records at the same time give the same bytes.
func TestSame(t *testing.T) {
	from := folder(t, map[string]string{"a.json": osv("A-1", "npm", "p", "introduced 0"), "b.json": osv("A-2", "npm", "q", "introduced 0")})
	_, p := imported(t, from)
	_, q := imported(t, from)
	a, _ := os.ReadFile(p)
	b, _ := os.ReadFile(q)
	if !bytes.Equal(a, b) {
		t.Error("two builds differ")
	}
}

func TestRating(t *testing.T) {
	for score, want := range map[float64]sallyport.Severity{0: "low", 3.9: "low", 4: "medium", 6.9: "medium", 7: "high", 8.9: "high", 9: "critical", 10: "critical"} {
		if got := rating(score); got != want {
			t.Errorf("%v: got %s, want %s", score, got, want)
		}
	}
	if _, ok := score("AV:N/AC:L/Au:N/C:P/I:P/A:P"); !ok {
		t.Error("a vector of version 2 is not read")
	}
}
