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
	"github.com/sallyport-dev/sallyport/internal/scan/advisory"
)

const adviceRecords = `{"id":"GHSA-1","modified":"2026-11-19T00:00:00Z","aliases":["CVE-1"],"summary":"Pads too much","database_specific":{"severity":"HIGH"},"affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.3.0"}]}]}]}
{"id":"MAL-1","modified":"2026-11-19T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}
{"id":"GHSA-2","modified":"2026-11-19T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"unrated"},"versions":["1.0.0"]}]}`

func adviceDB(t *testing.T) *advisory.DB {
	t.Helper()
	dir := t.TempDir()
	for i, r := range strings.Split(adviceRecords, "\n") {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".json")), []byte(r), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := filepath.Join(dir, "a.db")
	if _, err := advisory.Import(context.Background(), p, []advisory.Origin{{Path: dir, Covers: []string{"npm"}}}, adviceNow); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

var adviceNow = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

// TestAdvised: what is known of packages that a change brings, and what is not.
func TestAdvised(t *testing.T) {
	db := adviceDB(t)
	npm := func(name, version string) sallyport.Dependency {
		return sallyport.Dependency{Purl: "pkg:npm/" + name + "@" + version, Ecosystem: "npm", Name: name, Version: version, Change: "added", Lock: true, Path: "package-lock.json"}
	}
	with := func(d sallyport.Dependency, f func(*sallyport.Dependency)) sallyport.Dependency { f(&d); return d }
	open := func(name, asked string) sallyport.Dependency {
		return sallyport.Dependency{Purl: "pkg:npm/" + name, Ecosystem: "npm", Name: name, Version: asked, Change: "added", Path: "package.json"}
	}
	at := func(d sallyport.Dependency, p sallyport.Path) sallyport.Dependency { d.Path = p; return d }
	cargo := sallyport.Dependency{Purl: "pkg:cargo/serde@1.0.0", Ecosystem: "cargo", Name: "serde", Version: "1.0.0", Change: "added", Path: "Cargo.lock"}
	known := Advice{DB: db, Now: adviceNow}
	required := Advice{DB: db, Now: adviceNow, Required: true, MaxAge: 168 * time.Hour}
	unsigned := required
	unsigned.Unsigned = map[string]string{"npm": "nobody signed them"}
	stale := required
	stale.Now = adviceNow.Add(169 * time.Hour)
	early := required
	early.Now = adviceNow.Add(-100 * time.Hour)
	for _, tt := range []struct {
		name   string
		advice Advice
		deps   []sallyport.Dependency
		want   []string
	}{
		{"vulnerable", known, []sallyport.Dependency{npm("left-pad", "1.2.0")}, []string{"vulnerability GHSA-1 high"}},
		{"told once for a file", known, []sallyport.Dependency{npm("left-pad", "1.2.0"), npm("left-pad", "1.2.0")}, []string{"vulnerability GHSA-1 high"}},
		{"fixed", required, []sallyport.Dependency{npm("left-pad", "1.3.0")}, nil},
		{"nobody rated it", known, []sallyport.Dependency{npm("unrated", "1.0.0")}, []string{"vulnerability GHSA-2 high"}},
		{"malicious", known, []sallyport.Dependency{npm("evil", "9.9.9")}, []string{"malicious-package MAL-1 critical"}},
		{"malicious, asked for by a range", known, []sallyport.Dependency{open("evil", "^1.0.0")}, []string{"malicious-package MAL-1 critical"}},
		{"removed", required, []sallyport.Dependency{with(npm("evil", "1.0.0"), func(d *sallyport.Dependency) { d.Change = "removed" })}, nil},
		{"a folder of that name", required, []sallyport.Dependency{with(npm("evil", "1.0.0"), func(d *sallyport.Dependency) { d.Registry = "file" })}, nil},
		{"as vulnerable as before", required, []sallyport.Dependency{with(npm("left-pad", "1.2.0"), func(d *sallyport.Dependency) { d.Change, d.OldVersion = "updated", "1.2.0" })}, nil},
		{"as malicious as before", required, []sallyport.Dependency{with(npm("evil", "1.2.0"), func(d *sallyport.Dependency) { d.Change, d.OldVersion = "updated", "1.2.0" })}, []string{"malicious-package MAL-1 critical"}},
		{"downgraded", known, []sallyport.Dependency{with(npm("left-pad", "1.2.0"), func(d *sallyport.Dependency) { d.Change, d.OldVersion = "updated", "1.3.0" })}, []string{"vulnerability GHSA-1 high"}},
		{"no version", required, []sallyport.Dependency{npm("left-pad", "next")}, []string{"advisory version high"}},
		{"pinned nowhere", required, []sallyport.Dependency{open("left-pad", "^1.2.0")}, []string{"advisory unpinned medium"}},
		{"pinned elsewhere in the change", required, []sallyport.Dependency{open("left-pad", "^1.3.0"), npm("left-pad", "1.3.0")}, nil},
		{"pinned in another folder of the change", required, []sallyport.Dependency{open("left-pad", "^1.2.0"), at(npm("left-pad", "1.3.0"), "other/package-lock.json")}, []string{"advisory unpinned medium"}},
		{"pinned in a folder below", required, []sallyport.Dependency{at(open("left-pad", "^1.2.0"), "a/package.json"), at(npm("left-pad", "1.3.0"), "a/b/package-lock.json")}, []string{"advisory unpinned medium"}},
		{"pinned for the workspace", required, []sallyport.Dependency{at(open("left-pad", "^1.3.0"), "packages/a/package.json"), npm("left-pad", "1.3.0")}, nil},
		{"a version in a manifest above, which pins nothing here", required, []sallyport.Dependency{at(open("left-pad", "^1.2.0"), "a/package.json"),
			with(npm("left-pad", "1.3.0"), func(d *sallyport.Dependency) { d.Lock = false })}, []string{"advisory unpinned medium"}},
		{"nothing is known about any version", required, []sallyport.Dependency{open("right-pad", "^1.3.0")}, nil},
		{"another ecosystem", required, []sallyport.Dependency{cargo, cargo}, []string{"advisory uncovered high"}},
		{"another ecosystem, told", known, []sallyport.Dependency{cargo}, []string{"advisory uncovered low"}},
		{"stale", stale, []sallyport.Dependency{npm("left-pad", "1.3.0"), npm("right-pad", "1.0.0")}, []string{"advisory stale high"}},
		{"stale, and vulnerable all the same", stale, []sallyport.Dependency{npm("left-pad", "1.2.0")}, []string{"vulnerability GHSA-1 high", "advisory stale high"}},
		{"of a time to come", early, []sallyport.Dependency{npm("left-pad", "1.3.0")}, []string{"advisory stale high"}},
		{"not signed", unsigned, []sallyport.Dependency{npm("left-pad", "1.3.0"), npm("left-pad", "1.2.0")}, []string{"advisory unsigned high", "vulnerability GHSA-1 high"}},
		{"none", Advice{Missing: true, Required: true}, []sallyport.Dependency{npm("left-pad", "1.3.0")}, []string{"advisory missing high"}},
		{"none, and nobody asked", Advice{Missing: true}, []sallyport.Dependency{npm("left-pad", "1.2.0")}, nil},
		{"none, and nothing to look up", Advice{Missing: true, Required: true}, nil, nil},
		{"damaged", Advice{Why: errors.New("damaged"), Required: true}, []sallyport.Dependency{npm("left-pad", "1.3.0")}, []string{"advisory damaged high"}},
		{"damaged, told", Advice{Why: errors.New("damaged")}, []sallyport.Dependency{npm("left-pad", "1.3.0")}, []string{"advisory damaged low"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range new(Scanner).Advised(&tt.advice).advised(tt.deps, nil) {
				got = append(got, fmt.Sprintf("%s %s %s", f.Kind, f.Rule, f.Severity))
				if strings.Contains(f.Text, "\n") || f.Path == "" || f.ID == "" || f.State != "open" {
					t.Errorf("got %+v", f)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	unread := []sallyport.Finding{{Kind: sallyport.FindingDependency, Rule: ruleUnreadFormat, Path: "bun.lock"}}
	if got := new(Scanner).Advised(&required).advised(nil, unread); len(got) != 1 || got[0].Rule != adviceUnread || got[0].Path != "bun.lock" {
		t.Errorf("a lock file that nothing reads: got %+v", got)
	}
	if got := new(Scanner).Advised(&known).advised(nil, unread); got != nil {
		t.Errorf("a lock file that nothing reads, where nothing is required: got %+v", got)
	}
}

// TestAdvisedAnew: a cached scan does not keep what was known.
func TestAdvisedAnew(t *testing.T) {
	store := &blobs{data: map[string][]byte{}}
	c := sallyport.Change{Files: []sallyport.File{store.added("package-lock.json", lock(entry("left-pad", "1.2.0", "")))}}
	memory := &cache{data: map[string][]byte{}}
	for _, tt := range []struct {
		advice *Advice
		want   int
	}{{nil, 0}, {&Advice{DB: adviceDB(t), Now: adviceNow}, 1}, {&Advice{Missing: true, Required: true}, 1}, {nil, 0}} {
		found, err := New(store, memory).Advised(tt.advice).Change(context.Background(), &c)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range found {
			if f.Kind == sallyport.FindingVulnerability || f.Kind == sallyport.FindingAdvisory {
				n++
			}
		}
		if n != tt.want {
			t.Errorf("%+v: got %d findings, want %d", tt.advice, n, tt.want)
		}
	}
}
