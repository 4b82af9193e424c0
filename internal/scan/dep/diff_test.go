package dep

import (
	"fmt"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	pkg := func(name, version, hash string) Package {
		return Package{Name: name, Version: version, Exact: true, Default: true, Integrity: Present, Hash: hash}
	}
	from := func(p Package, resolved string) Package { p.Resolved = resolved; return p }
	for _, tt := range []struct {
		name          string
		before, after []Package
		sums          bool
		want          string
	}{
		{"nothing", nil, nil, false, ""},
		{"the same", []Package{pkg("a", "1", "x:1")}, []Package{pkg("a", "1", "x:1")}, false, ""},
		{"new", nil, []Package{pkg("a", "1", "x:1")}, false, "added a 1"},
		{"gone", []Package{pkg("a", "1", "x:1")}, nil, false, "removed a 1"},
		{"updated", []Package{pkg("a", "1", "x:1")}, []Package{pkg("a", "2", "x:2")}, false, "updated a 1 to 2"},
		{"a second version", []Package{pkg("a", "1", "x:1")}, []Package{pkg("a", "1", "x:1"), pkg("a", "2", "x:2")}, false, "added a 2"},
		{"one of two updated", []Package{pkg("a", "1", "x:1"), pkg("a", "3", "x:3")}, []Package{pkg("a", "2", "x:2"), pkg("a", "3", "x:3")}, false, "updated a 1 to 2"},
		{"two become one", []Package{pkg("a", "1", "x:1"), pkg("a", "2", "x:2")}, []Package{pkg("a", "3", "x:3")}, false, "removed a 2; updated a 1 to 3"},
		{"another under the name of one", []Package{pkg("a", "1", "x:1")}, []Package{pkg("b", "1", "x:1")}, false, "removed a 1; added b 1"},
		{"other bytes for one version", []Package{pkg("a", "1", "x:1")}, []Package{pkg("a", "1", "x:2")}, false, "updated a 1 to 1 rewritten"},
		{"a digest less", []Package{pkg("a", "1", "x:1")}, []Package{pkg("a", "1", "")}, false, "updated a 1 to 1 rewritten"},
		{"one digest more", []Package{pkg("a", "1", "x:1")}, []Package{pkg("a", "1", "x:1 x:2")}, false, "updated a 1 to 1"},
		{"a digest of another algorithm", []Package{pkg("a", "1", "x:1")}, []Package{pkg("a", "1", "y:2")}, false, "updated a 1 to 1"},
		{"another address for one version", []Package{from(pkg("a", "1", "x:1"), "https://a")}, []Package{from(pkg("a", "1", "x:1"), "https://b")}, false, "updated a 1 to 1"},
		{"a list of digests: what is new in it says nothing", nil, []Package{pkg("a", "1", "h1:1")}, true, ""},
		{"a list of digests: one that changed does", []Package{pkg("a", "1", "h1:1")}, []Package{pkg("a", "1", "h1:2")}, true, "updated a 1 to 1 rewritten"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range Compare(tt.before, tt.after, tt.sums) {
				s := fmt.Sprintf("%s %s %s", c.Kind, c.New.Name, c.New.Version)
				if c.Kind == Updated {
					s = fmt.Sprintf("%s %s %s to %s", c.Kind, c.New.Name, c.Old.Version, c.New.Version)
				}
				if c.Rewritten {
					s += " rewritten"
				}
				got = append(got, s)
			}
			if s := strings.Join(got, "; "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}
