package names

import (
	"fmt"
	"strings"
	"testing"
)

// Names that were published to be taken for others, or are as such names are, beside a twin that is
// what it is called.
func TestLookAlike(t *testing.T) {
	list, err := Parse([]byte(`{
		"npm": ["cross-env", "lodash", "react", "@types/node", "ms", "electron", "commander", "@acme/client-s3"],
		"pypi": ["python-dateutil", "requests", "Flask_Login", "urllib3"],
		"golang": ["github.com/stretchr/testify", "gopkg.in/yaml.v3"],
		"maven": ["com.google.guava:guava"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ ecosystem, name, entry, how string }{
		{"npm", "crossenv", "cross-env", Separator},
		{"npm", "cross-env", "", ""},
		{"npm", "Cross-Env", "", ""},
		{"npm", "l0dash", "lodash", Confusable},
		{"npm", "1odash", "lodash", Confusable},
		{"npm", "comrnander", "commander", Confusable},
		{"npm", "l\u043edash", "lodash", Confusable}, // a Cyrillic letter
		{"npm", "l\u0585dash", "lodash", Confusable}, // an Armenian one
		{"npm", "\uff4codash", "lodash", Confusable},
		{"npm", "lo\u13a0ash", "lodash", Confusable}, // a Cherokee one, which is small in lower case
		{"npm", "Iodash", "lodash", Confusable},      // a capital I
		{"npm", "lo\u200bdash", "lodash", Confusable},
		{"golang", "gopkg.in/yamll.v3", "gopkg.in/yaml.v3", Letter},
		{"npm", "lodahs", "lodash", Letter},
		{"npm", "loadash", "lodash", Letter},
		{"npm", "lodsh", "", ""}, // too short to be compared
		{"npm", "elect" + "orn", "electron", Letter},
		{"npm", "electrn", "electron", Letter},
		{"npm", "electrom", "electron", Letter},
		{"npm", "leectorn", "", ""}, // two swaps
		{"npm", "recat", "", ""},    // five letters
		{"npm", "types-node", "@types/node", Scope},
		{"npm", "@types/nodes", "", ""}, // of the same owner
		{"npm", "@tpyes/node", "@types/node", Letter},
		{"npm", "@acme/client-s4", "", ""},
		{"npm", "m-s", "", ""},
		{"pypi", "pythondateutil", "python-dateutil", Separator},
		{"pypi", "python_dateutil", "", ""},
		{"pypi", "flask.login", "", ""},
		{"pypi", "reqeusts", "requests", Letter},
		{"pypi", "urllib", "urllib3", Letter},
		{"golang", "github.com/strechr/testify", "github.com/stretchr/testify", Letter},
		{"golang", "github.com/stretchr/testifi", "", ""},
		{"maven", "com.goog1e.guava:guava", "com.google.guava:guava", Confusable},
		{"gem", "rials", "", ""}, // the list has none of these
		{"npm", "", "", ""},
		{"npm", strings.Repeat("a", 300), "", ""},
		{"npm", "\xff", "", ""},
	} {
		if entry, how := list.LookAlike(tt.ecosystem, tt.name); !strings.EqualFold(strings.ReplaceAll(entry, "-", "_"), strings.ReplaceAll(tt.entry, "-", "_")) || how != tt.how {
			t.Errorf("%s %q: got %q %q, want %q %q", tt.ecosystem, tt.name, entry, how, tt.entry, tt.how)
		}
	}
}

// No name that is built in looks like another: it is on the list.
func TestBuiltin(t *testing.T) {
	l := Builtin()
	for eco, list := range l.names {
		for _, n := range list {
			if e, how := l.LookAlike(eco, n); e != "" {
				t.Errorf("%s %s: %s %s", eco, n, e, how)
			}
		}
	}
	if len(l.names) != len(ecosystems) || l.Names < 4000 || l.Digest != BuiltinDigest() {
		t.Errorf("%d ecosystems, %d names", len(l.names), l.Names)
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("a", maxName+1)
	many := `{"npm":["` + strings.Repeat(`a","`, MaxNames) + `a"]}`
	for name, s := range map[string]string{
		"nothing": "", "an array": "[]", "no names": `{"npm":[]}`, "another ecosystem": `{"apt":["x"]}`, "a space": `{"npm":["a b"]}`,
		"an empty name": `{"npm":[""]}`, "a long name": `{"npm":["` + long + `"]}`, "a name twice": `{"npm":["a"],"npm":["b"]}`,
		"too many": many, "too large": strings.Repeat(" ", MaxList+1), "trailing": `{"npm":["a"]} x`,
	} {
		if _, err := Parse([]byte(s)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse holds what is close to a name by the index to what is close by definition.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"npm":["cross-env","lodash"]}`), "npm", "lodahs")
	f.Add([]byte(`{"pypi":["aaaaaab"]}`), "pypi", "aaaaaa")
	f.Add([]byte(`{"cargo":["serde_json"],"gem":["rails"]}`), "cargo", "serde-json")
	f.Fuzz(func(t *testing.T, b []byte, ecosystem, name string) {
		if len(b) > 2000 {
			return
		}
		l, err := Parse(b)
		if err != nil {
			return
		}
		entry, how := l.LookAlike(ecosystem, name)
		if (entry == "") != (how == "") {
			t.Fatalf("%q %q", entry, how)
		}
		if !plausible(name) || name != visible(name) {
			return
		}
		n := normal(ecosystem, name)
		known, near := false, false
		for _, e := range l.names[ecosystem] {
			e = normal(ecosystem, e)
			known = known || e == n
			near = near || len(e) >= shortest && len(n) >= shortest && owner(n) == "" && owner(e) == "" && distance(n, e) == 1
		}
		if known && entry != "" || near && !known && entry == "" {
			t.Fatalf("%q: known %v, near %v, got %q %q", name, known, near, entry, how)
		}
	})
}

// distance is 0, 1 or 2 for more, by trying every change.
func distance(a, b string) int {
	if a == b {
		return 0
	}
	if len(a) < len(b) {
		a, b = b, a
	}
	for i := range len(a) {
		less := a[:i] + a[i+1:]
		if less == b {
			return 1
		}
		if i < len(b) && len(a) == len(b) && (less == b[:i]+b[i+1:] || i+1 < len(a) && a[:i]+string(a[i+1])+string(a[i])+a[i+2:] == b) {
			return 1
		}
	}
	return 2
}

func BenchmarkLookAlike(b *testing.B) {
	l := Builtin()
	var list []string
	for i := range 1000 {
		list = append(list, fmt.Sprintf("package-number-%d", i))
	}
	l.LookAlike("npm", "x")
	for b.Loop() {
		for _, n := range list {
			l.LookAlike("npm", n)
		}
	}
}
