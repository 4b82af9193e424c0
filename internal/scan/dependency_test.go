package scan

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

func lock(entries ...string) string {
	return `{"lockfileVersion": 3, "packages": {` + strings.Join(entries, ",") + `}}`
}

func entry(name, version, more string) string {
	return fmt.Sprintf(`"node_modules/%s": {"version": "%s", "resolved": "https://registry.npmjs.org/%s/-/%s-%s.tgz", "integrity": "sha512-%s"%s}`, name, version, name, name, version, name+version, more)
}

func TestDependencies(t *testing.T) {
	for _, tt := range []struct {
		name, path, before, after string
		want                      []string // change, purl
		findings                  []string // kind, rule
	}{
		{
			name: "a package is added", path: "package-lock.json", before: lock(entry("a", "1.0.0", "")), after: lock(entry("a", "1.0.0", ""), entry("b", "2.0.0", "")),
			want: []string{"added pkg:npm/b@2.0.0"},
		}, {
			name: "a package is updated", path: "a/package-lock.json", before: lock(entry("a", "1.0.0", "")), after: lock(entry("a", "1.1.0", "")),
			want: []string{"updated pkg:npm/a@1.1.0 from 1.0.0"},
		}, {
			name: "a package gets a script", path: "package-lock.json", before: lock(entry("a", "1.0.0", "")), after: lock(entry("a", "1.0.0", `, "hasInstallScript": true`)),
			want: []string{"updated pkg:npm/a@1.0.0 from 1.0.0 script"},
		}, {
			name: "a name that differs in case", path: "Package-Lock.JSON", after: lock(entry("a", "1.0.0", "")),
			want: []string{"added pkg:npm/a@1.0.0"},
		}, {
			name: "an archive of the repository becomes the registry's package of that version", path: "package-lock.json",
			before: strings.Replace(lock(entry("a", "1.0.0", "")), "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "file:a-1.0.0.tgz", 1), after: lock(entry("a", "1.0.0", "")),
			want: []string{"added pkg:npm/a@1.0.0"},
		}, {
			name: "nothing is left", path: "package-lock.json", before: lock(entry("a", "1.0.0", "")), after: lock(),
			want: []string{"removed pkg:npm/a@1.0.0"},
		}, {
			name: "what cannot be read is not nothing", path: "package-lock.json", before: lock(entry("a", "1.0.0", "")), after: lock(entry("a", "1.0.0", ""), `"a": 1`),
			findings: []string{"unscanned dependencies-unread"},
		}, {
			name: "what could not be read before counts as nothing", path: "package-lock.json", before: "{", after: lock(entry("a", "1.0.0", "")),
			want: []string{"added pkg:npm/a@1.0.0"},
		}, {
			name: "a lock file that nothing reads", path: "bun.lock", before: "{}", after: `{"lockfileVersion": 1}`,
			findings: []string{"dependency unread-format"},
		}, {
			name: "another package's address", path: "package-lock.json", before: lock(entry("a", "1.0.0", "")), after: strings.Replace(lock(entry("a", "1.0.0", "")), "a/-/a-", "b/-/b-", 1),
			want: []string{"updated pkg:npm/a@1.0.0 from 1.0.0"}, findings: []string{"dependency lock-mismatch"},
		}, {
			name: "other bytes for one version", path: "package-lock.json", before: lock(entry("a", "1.0.0", "")), after: strings.Replace(lock(entry("a", "1.0.0", "")), "sha512-a", "sha512-b", 1),
			want: []string{"updated pkg:npm/a@1.0.0 from 1.0.0"}, findings: []string{"dependency lock-rewritten"},
		}, {
			name: "go.sum with a digest more", path: "go.sum", before: "example.com/a v1.0.0 h1:a=\n", after: "example.com/a v1.0.0 h1:a=\nexample.com/b v1.0.0 h1:b=\n",
		}, {
			name: "go.sum with another digest", path: "go.sum", before: "example.com/a v1.0.0 h1:a=\n", after: "example.com/a v1.0.0 h1:c=\n",
			findings: []string{"dependency lock-rewritten"},
		}, {
			name: "a file that is no lock file", path: "package-lock.json.md", before: "a", after: "{",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &blobs{data: map[string][]byte{}}
			f := store.added(tt.path, tt.after)
			if tt.before != "" {
				f = store.modified(tt.path, tt.before, tt.after, 1, 1)
			}
			c := &sallyport.Change{Files: []sallyport.File{f}}
			memory := &cache{data: map[string][]byte{}}
			for _, run := range []string{"first", "from the cache"} {
				found, err := New(store, memory).Change(context.Background(), c)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, d := range c.Dependencies {
					s := d.Change + " " + d.Purl
					if d.OldVersion != "" {
						s += " from " + d.OldVersion
					}
					if d.InstallScript {
						s += " script"
					}
					if d.Path != sallyport.Path(tt.path) {
						t.Errorf("path %q", d.Path)
					}
					got = append(got, s)
				}
				if c.Dependencies == nil || !slices.Equal(got, tt.want) {
					t.Errorf("%s: got %q, want %q", run, got, tt.want)
				}
				if got := kinds(found); !slices.Equal(got, tt.findings) {
					t.Errorf("%s: findings %q, want %q: %v", run, got, tt.findings, found)
				}
			}
		})
	}
}

func kinds(fs []sallyport.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, string(f.Kind)+" "+f.Rule)
	}
	return out
}

// Ways to keep the readers from looking, each told.
func TestDependenciesHidden(t *testing.T) {
	full := lock(entry("a", "1.0.0", ""))
	for _, tt := range []struct {
		name     string
		edit     func(f *sallyport.File, store *blobs)
		findings []string
		want     int
	}{
		{"the twin", func(*sallyport.File, *blobs) {}, nil, 1},
		{"a link", func(f *sallyport.File, _ *blobs) {
			f.NewMode, f.Units = modeSymlink, []sallyport.Unit{{Kind: sallyport.UnitSymlink}}
		}, []string{"unscanned dependencies-unread"}, 0},
		{"a submodule", func(f *sallyport.File, _ *blobs) {
			f.NewMode, f.Units = modeSubmodule, []sallyport.Unit{{Kind: sallyport.UnitSubmodule}}
		}, []string{"unscanned dependencies-unread", "unscanned submodule"}, 0},
		{"a blob that is not there", func(f *sallyport.File, _ *blobs) { f.NewBlob = strings.Repeat("9", 40) },
			[]string{"unscanned dependencies-unread", "unscanned unreadable"}, 0},
		{"a rename into the name", func(f *sallyport.File, _ *blobs) {
			f.Status, f.OldPath, f.OldBlob, f.OldMode = "renamed", "notes.txt", f.NewBlob, "100644"
			f.Units = []sallyport.Unit{{Kind: sallyport.UnitRenamed}}
		}, nil, 1},
		{"a rename out of a folder that is not read", func(f *sallyport.File, _ *blobs) {
			f.Status, f.OldPath, f.OldBlob, f.OldMode = "renamed", "node_modules/x/package-lock.json", f.NewBlob, "100644"
			f.Units = []sallyport.Unit{{Kind: sallyport.UnitRenamed}}
		}, nil, 1},
		{"too large to be cut into lines", func(f *sallyport.File, _ *blobs) {
			f.Truncated, f.Units = true, []sallyport.Unit{{Kind: sallyport.UnitBinary}}
		}, nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &blobs{data: map[string][]byte{}}
			f := store.added("package-lock.json", full)
			tt.edit(&f, store)
			c := &sallyport.Change{Files: []sallyport.File{f}}
			found, err := New(store, nil).Change(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			got := kinds(found)
			slices.Sort(got)
			if len(c.Dependencies) != tt.want || !slices.Equal(got, tt.findings) {
				t.Errorf("%d dependencies and %q, want %d and %q", len(c.Dependencies), got, tt.want, tt.findings)
			}
		})
	}
}

// What a commit holds in passing is not built, and so no change of dependencies.
func TestDependenciesInPassing(t *testing.T) {
	store := &blobs{data: map[string][]byte{}}
	c := &sallyport.Change{Passing: []sallyport.Passage{{Commit: "gitCommit:aa", File: store.added("package-lock.json", "{")}}}
	found, err := New(store, nil).Change(context.Background(), c)
	if err != nil || len(found) != 0 || c.Dependencies == nil || len(c.Dependencies) != 0 {
		t.Errorf("%v, %v, %v", found, c.Dependencies, err)
	}
}
