package dep

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// fuzzFormat fuzzes the reader of the files that are called base. Of what it reads it must be
// true that
//
//   - it reads the same a second time;
//   - each package is named once, in order, with a package URL that parses back to its name and,
//     if it is exact, its version;
//   - nothing in it moves a terminal's cursor, and nothing is longer than its bound;
//   - compared with itself nothing changed, and compared with nothing all of it is new.
func fuzzFormat(f *testing.F, bases ...string) {
	f.Helper()
	format := FormatOf(bases[0])
	for _, p := range testFiles(f) {
		if of := FormatOf(strings.ToLower(p)); of == nil || reflect.ValueOf(of.read).Pointer() != reflect.ValueOf(format.read).Pointer() {
			continue
		}
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ps, err := format.Read(b)
		again, err2 := format.Read(b)
		if (err == nil) != (err2 == nil) || !reflect.DeepEqual(ps, again) {
			t.Fatalf("read once %v, %v and then %v, %v", ps, err, again, err2)
		}
		if err != nil {
			if len(ps) != 0 || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("%d packages beside %q", len(ps), err)
			}
			return
		}
		for i := range ps {
			p := &ps[i]
			if i > 0 && order(&ps[i-1], p) >= 0 {
				t.Fatalf("%+v and %+v are not in order", ps[i-1], p)
			}
			if len(p.Name) > maxField || len(p.Version) > maxField || strings.ContainsAny(p.Name+p.Version+p.Registry+p.Problem, "\n\r\x1b") {
				t.Fatalf("not safe to show: %+v", p)
			}
			if p.Integrity != Present && p.Integrity != Missing && p.Integrity != Elsewhere {
				t.Fatalf("integrity %q", p.Integrity)
			}
			checkPurl(t, p)
		}
		if c := Compare(ps, ps, format.Sums); len(c) != 0 {
			t.Fatalf("a reading differs from itself: %+v", c)
		}
		if c := Compare(nil, ps, false); len(c) != len(ps) {
			t.Fatalf("%d packages are new, of %d", len(c), len(ps))
		}
	})
}

func checkPurl(t *testing.T, p *Package) {
	t.Helper()
	if p.Version == RegistryEntry {
		if p.Purl() != "" {
			t.Fatalf("a registry has the package URL %q", p.Purl())
		}
		return
	}
	ecosystem, namespace, name, version, err := ParsePurl(p.Purl())
	if err != nil {
		t.Fatalf("%q: %v", p.Purl(), err)
	}
	full := name
	if namespace != "" {
		separator := "/"
		if ecosystem == typeMaven {
			separator = ":"
		}
		full = namespace + separator + name
	}
	if full != p.Name || p.Exact && version != p.Version || !p.Exact && version != "" {
		t.Fatalf("%+v became %q and came back as %q %q", p, p.Purl(), full, version)
	}
}

func FuzzPackageJSON(f *testing.F)    { fuzzFormat(f, "package.json") }
func FuzzPackageLock(f *testing.F)    { fuzzFormat(f, "package-lock.json") }
func FuzzPnpmLock(f *testing.F)       { fuzzFormat(f, "pnpm-lock.yaml") }
func FuzzYarnLock(f *testing.F)       { fuzzFormat(f, "yarn.lock") }
func FuzzGoMod(f *testing.F)          { fuzzFormat(f, "go.mod") }
func FuzzGoSum(f *testing.F)          { fuzzFormat(f, "go.sum") }
func FuzzCargoToml(f *testing.F)      { fuzzFormat(f, "cargo.toml") }
func FuzzCargoLock(f *testing.F)      { fuzzFormat(f, "cargo.lock") }
func FuzzRequirements(f *testing.F)   { fuzzFormat(f, "requirements.txt") }
func FuzzPyproject(f *testing.F)      { fuzzFormat(f, "pyproject.toml") }
func FuzzPipfile(f *testing.F)        { fuzzFormat(f, "pipfile") }
func FuzzPipfileLock(f *testing.F)    { fuzzFormat(f, "pipfile.lock") }
func FuzzPoetryLock(f *testing.F)     { fuzzFormat(f, "poetry.lock") }
func FuzzUvLock(f *testing.F)         { fuzzFormat(f, "uv.lock") }
func FuzzPdmLock(f *testing.F)        { fuzzFormat(f, "pdm.lock") }
func FuzzPom(f *testing.F)            { fuzzFormat(f, "pom.xml") }
func FuzzGradleLock(f *testing.F)     { fuzzFormat(f, "gradle.lockfile") }
func FuzzGradleCatalog(f *testing.F)  { fuzzFormat(f, "libs.versions.toml") }
func FuzzNugetLock(f *testing.F)      { fuzzFormat(f, "packages.lock.json") }
func FuzzMSBuild(f *testing.F)        { fuzzFormat(f, "shop.csproj") }
func FuzzPackagesConfig(f *testing.F) { fuzzFormat(f, "packages.config") }
func FuzzGemfileLock(f *testing.F)    { fuzzFormat(f, "gemfile.lock") }
func FuzzComposerLock(f *testing.F)   { fuzzFormat(f, "composer.lock") }
func FuzzComposerJSON(f *testing.F)   { fuzzFormat(f, "composer.json") }

// The parser of JSON accepts nothing that the standard library refuses, and what both accept
// means the same to both.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a": [1, -0.5e3, true, null, "x\u00e9\ud83d\ude00\n"]}`, `{"a": 1, "A": 2}`, `{"a": 1, "a": 2}`, `"\ud800"`, `01`, `[1,]`, `{"a":{}} `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseJSON(b)
		if err != nil || !utf8.Valid(b) { // the latter is refused before any reader
			return
		}
		var want any
		dec := json.NewDecoder(strings.NewReader(string(b)))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if !equalTrees(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func equalTrees(got, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			if !equalTrees(g[k], w[k]) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !equalTrees(g[i], w[i]) {
				return false
			}
		}
		return true
	case string:
		g, ok := got.(string)
		return ok && g == w
	case json.Number:
		return got == literal(w)
	case bool:
		return w && got == literal("true") || !w && got == literal("false")
	}
	return got == literal("null")
}

// The parser of YAML reads the same from what it read, written again in its plainest form.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{"a: {b: [c, 'd''e', \"f\\n\"]}\ng:\n- h\n- i: j\n  k: |-\n    l\n", "? a\n: b: c\n  d: e\n", "---\na: b\n---\nc: d\n", "a:\n  - b:\n      c: d\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		docs, err := parseYAML(b)
		if err != nil {
			return
		}
		for _, d := range docs {
			plain, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(plain), `\u`) || strings.Contains(string(plain), `\b`) || strings.Contains(string(plain), `\f`) {
				return // escapes that differ between JSON and YAML
			}
			back, err := parseYAML([]byte("x: " + string(plain)))
			if err != nil || len(back) != 1 || !reflect.DeepEqual(back[0].(object)["x"], d) {
				t.Fatalf("%s came back as %v, %v", plain, back, err)
			}
		}
	})
}
