package advisory

import "testing"

// TestMend: the lowest version above the one in use that nothing is known about.
func TestMend(t *testing.T) {
	db, _ := imported(t, folder(t, map[string]string{
		"1.json": osv("V-1", "npm", "one", "introduced 0", "fixed 1.2.0", "introduced 2.0.0", "fixed 2.0.1"),
		"2.json": osv("V-2", "npm", "two", "introduced 0", "fixed 1.2.0"),
		"3.json": osv("V-3", "npm", "two", "introduced 1.2.0", "fixed 1.10.0"),
		"4.json": osv("V-4", "npm", "pre", "introduced 0", "fixed 2.0.0-rc.1"),
		"5.json": osv("V-5", "npm", "pre", "introduced 0", "fixed 2.0.0"),
		"6.json": osv("V-6", "npm", "only-pre", "introduced 0", "fixed 2.0.0-rc.1"),
		"7.json": osv("V-7", "npm", "never", "introduced 0"),
		"8.json": osv("V-8", "npm", "last", "introduced 0", "last_affected 1.0.0"),
		"9.json": osv("MAL-9", "npm", "taken-over", "introduced 1.3.0"),
		"a.json": osv("V-9", "npm", "taken-over", "introduced 0", "fixed 1.3.0"),
		"b.json": osv("V-10", "Go", "example.com/m", "introduced 0", "fixed 1.2.3"),
		"c.json": osv("V-11", "PyPI", "p", "introduced 0", "fixed 2.0rc1", "introduced 2.1", "fixed 2.2"),
		"d.json": osv("V-12", "Maven", "g:a", "introduced 0", "fixed 32.0.0-android"),
	}))
	for _, c := range []struct {
		typ, name, version, want string
		passed                   int
	}{
		{"npm", "one", "1.0.0", "1.2.0", 0},
		{"npm", "one", "2.0.0", "2.0.1", 0},
		{"npm", "two", "1.0.0", "1.10.0", 1},
		{"npm", "pre", "1.0.0", "2.0.0", 0},
		{"npm", "only-pre", "1.0.0", "2.0.0-rc.1", 0},
		{"npm", "never", "1.0.0", "", 0},
		{"npm", "last", "1.0.0", "", 0},
		{"npm", "taken-over", "1.0.0", "", 1}, // what mends it is malicious
		{"npm", "one", "latest", "", 0},
		{"npm", "nothing", "1.0.0", "", 0},
		{"golang", "example.com/m", "v1.0.0", "v1.2.3", 0},
		{"pypi", "p", "1.0", "2.2", 0},
		{"maven", "g:a", "31.0", "32.0.0-android", 0},
		{"deb", "curl", "1", "", 0},
	} {
		got := db.Mend(Package{c.typ, c.name, c.version})
		if got.Version != c.want || got.Passed != c.passed || (got.Version == "") != (got.Why != "") {
			t.Errorf("%s %s %s: got %+v, want %q after %d", c.typ, c.name, c.version, got, c.want, c.passed)
		}
	}
}
