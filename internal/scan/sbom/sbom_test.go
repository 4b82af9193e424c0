package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var made = Description{Name: "shop", Version: "1.2.0", Digest: "gitCommit:" + strings.Repeat("a", 40), Created: time.Unix(1_795_000_000, 0), Tool: "test"}

// project is a lock file, the manifest that it belongs to, and a manifest that nothing pins.
var project = map[string]string{
	"package.json": `{"name":"shop","dependencies":{"left-pad":"^1.3.0"},"devDependencies":{"tape":"5.0.0"}}`,
	"package-lock.json": `{"name":"shop","version":"1.0.0","lockfileVersion":3,"packages":{
		"":{"name":"shop","version":"1.0.0","dependencies":{"left-pad":"^1.3.0"},"devDependencies":{"tape":"5.0.0"}},
		"node_modules/left-pad":{"version":"1.3.0","resolved":"https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz","integrity":"sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA=="},
		"node_modules/tape":{"version":"5.0.0","resolved":"https://registry.npmjs.org/tape/-/tape-5.0.0.tgz","integrity":"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=","dev":true}}}`,
	"web/package.json":      `{"name":"web","dependencies":{"left-pad":"1.3.0"}}`,
	"tool/requirements.txt": "requests==2.32.3\nflask>=3\n",
	"go.sum":                "example.com/x v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
}

func inventory(t testing.TB, files map[string]string, order func([]string)) *Inventory {
	t.Helper()
	var paths []string
	for p := range files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	if order != nil {
		order(paths)
	}
	v := &Inventory{}
	for _, p := range paths {
		if err := v.Add(p, []byte(files[p])); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func TestInventory(t *testing.T) {
	v := inventory(t, project, nil)
	var got []string
	for _, c := range v.Components() {
		s := c.Purl + " " + strings.Join(c.Paths, "+")
		if c.Direct {
			s += " direct"
		}
		if c.Dev {
			s += " dev"
		}
		for _, h := range c.Hashes {
			s += " " + h.Algorithm + ":" + h.Hex[:4]
		}
		got = append(got, s)
	}
	want := []string{
		"pkg:npm/left-pad@1.3.0 package-lock.json direct SHA512:5c8e", // web/ is below a lock file
		"pkg:npm/tape@5.0.0 package-lock.json direct dev SHA1:da39",
		"pkg:pypi/requests@2.32.3 tool/requirements.txt direct",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var files []string
	for _, f := range v.Files() {
		files = append(files, f.Path)
		if (f.Path == "tool/requirements.txt") != (f.Open == 1) || len(f.SHA256) != 64 {
			t.Errorf("%+v", f)
		}
	}
	if want := []string{"package-lock.json", "package.json", "tool/requirements.txt", "web/package.json"}; !slices.Equal(files, want) {
		t.Errorf("files %v", files)
	}
	if v.Complete() {
		t.Error("flask is open, and the bill says that it is complete")
	}
	whole := inventory(t, map[string]string{"package-lock.json": project["package-lock.json"]}, nil)
	if !whole.Complete() {
		t.Error("a lock file is all there is, and the bill says that something is missing")
	}
}

// What would make a bill look whole that is not: a lock file above a manifest that it does not hold,
// and a lock file that nothing reads.
func TestIncomplete(t *testing.T) {
	lock := map[string]string{"package-lock.json": project["package-lock.json"]}
	for name, tt := range map[string]struct {
		path, content string
		complete      bool
	}{
		"a manifest that the lock file holds":   {"web/package.json", `{"dependencies":{"left-pad":"1.3.0"}}`, true},
		"one with a package that it does not":   {"web/package.json", `{"dependencies":{"left-pad":"1.3.0","evil":"1.0.0"}}`, false},
		"one with another version of one":       {"web/package.json", `{"dependencies":{"left-pad":"9.9.9"}}`, false},
		"one with a folder for a package":       {"web/package.json", `{"dependencies":{"mine":"file:../mine"}}`, true},
		"a lock file that nothing reads":        {"ios/Podfile.lock", "PODS:\n", false},
		"a manifest of another ecosystem, bare": {"tool/requirements.txt", "requests==2.32.3\n", true},
	} {
		files := maps.Clone(lock)
		files[tt.path] = tt.content
		v := inventory(t, files, nil)
		if !Wants(tt.path) || v.Complete() != tt.complete {
			t.Errorf("%s: complete is %v: %+v", name, v.Complete(), v.Files())
		}
		b, err := v.SPDX(made)
		if err != nil || strings.Contains(string(b), "Incomplete") == tt.complete {
			t.Errorf("%s: the comment says otherwise: %v", name, err)
		}
	}
}

// A place that could not be looked into is told, and a file beyond the limit is no file that is told.
func TestOmit(t *testing.T) {
	v := inventory(t, map[string]string{"package-lock.json": project["package-lock.json"]}, nil)
	v.Omit("vendor/lib", "submodule")
	if fs := v.Files(); v.Complete() || len(fs) != 2 || fs[1].Path != "vendor/lib" || !fs[1].Unread {
		t.Errorf("%+v", fs)
	}
	if err := v.Add("Podfile.lock", make([]byte, MaxFileSize+1)); err == nil {
		t.Error("a large file that nothing reads was taken")
	}
}

// The same files in any order are the same bytes; another file, name or time is another bill.
func TestDeterministic(t *testing.T) {
	write := func(v *Inventory, d Description) []byte {
		a, err := v.SPDX(d)
		b, err2 := v.CycloneDX(d)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return append(a, b...)
	}
	one := write(inventory(t, project, nil), made)
	if two := write(inventory(t, project, slices.Reverse[[]string]), made); !bytes.Equal(one, two) {
		t.Error("the order of the files makes a difference")
	}
	later := made
	later.Created = later.Created.Add(time.Second)
	if bytes.Equal(one, write(inventory(t, project, nil), later)) {
		t.Error("the time makes none")
	}
	v := inventory(t, project, nil)
	v.Components()
	if err := v.Add("x/Cargo.lock", []byte("version = 3\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \""+strings.Repeat("ab", 32)+"\"\n")); err != nil {
		t.Fatal(err)
	}
	if got := write(v, made); !strings.Contains(string(got), "pkg:cargo/serde@1.0.0") || v.identity(made) == inventory(t, project, nil).identity(made) {
		t.Error("a file that was added later is not in it")
	}
}

// Both formats name every component, once, and what refers to something refers to what is there. The
// whole of the schemas is asked by test/peers.
func TestFormats(t *testing.T) {
	v := inventory(t, project, nil)
	spdx, err := v.SPDX(made)
	if err != nil {
		t.Fatal(err)
	}
	var s spdxDocument
	if err := json.Unmarshal(spdx, &s); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{s.ID: true}
	for _, p := range s.Packages {
		if ids[p.ID] {
			t.Errorf("%s stands twice", p.ID)
		}
		ids[p.ID] = true
	}
	kinds := map[string]int{}
	for _, r := range s.Relationships {
		if !ids[r.Element] || !ids[r.Related] {
			t.Errorf("%+v leads nowhere", r)
		}
		kinds[r.Type]++
	}
	if len(s.Packages) != 4 || kinds["DEPENDENCY_OF"] != 2 || kinds["DEV_DEPENDENCY_OF"] != 1 || kinds["DESCRIBES"] != 1 {
		t.Errorf("%d packages, %v", len(s.Packages), kinds)
	}
	if !strings.Contains(s.Comment, "tool/requirements.txt asks for 1") || s.Creation.Created != "2026-11-18T11:06:40Z" {
		t.Errorf("%q %q", s.Comment, s.Creation.Created)
	}

	cdx, err := v.CycloneDX(made)
	if err != nil {
		t.Fatal(err)
	}
	var c cdxBOM
	if err := json.Unmarshal(cdx, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Components) != 3 || len(c.Dependencies) != 1 || len(c.Dependencies[0].DependsOn) != 3 || c.Compositions[0].Aggregate != "incomplete" {
		t.Errorf("%d components, %+v, %+v", len(c.Components), c.Dependencies, c.Compositions)
	}
	if h := c.Components[0].Hashes[0]; h.Alg != "SHA-512" || len(h.Content) != 128 {
		t.Errorf("%+v", h)
	}
	if len(c.Serial) != len("urn:uuid:")+36 || c.Serial[9+14] != '8' || c.Serial[9+19] != '8' {
		t.Errorf("serial number %s is no UUID of version 8", c.Serial)
	}
}

func TestRefuses(t *testing.T) {
	v := &Inventory{}
	if err := v.Add("package-lock.json", []byte("{")); err == nil || !strings.HasPrefix(err.Error(), "package-lock.json ") {
		t.Errorf("a broken file: %v", err)
	}
	if err := v.Add("package-lock.json", make([]byte, MaxFileSize+1)); err == nil {
		t.Error("a file beyond the limit was read")
	}
	v = &Inventory{packages: MaxPackages}
	if err := v.Add("requirements.txt", []byte("requests==1.0.0\n")); !errors.Is(err, ErrTooMany) {
		t.Errorf("too many packages: %v", err)
	}
	for p, want := range map[string]bool{"package-lock.json": true, "a/Cargo.lock": true, "go.sum": false, "node_modules/x/package.json": false, "main.go": false} {
		if Wants(p) != want {
			t.Errorf("Wants(%s) is %v", p, !want)
		}
	}
}

func TestHashes(t *testing.T) {
	for _, tt := range []struct {
		ecosystem, written string
		want               int
	}{
		{"npm", "sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA== sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", 2},
		{"npm", "sha512-XI5MPzVN", 0}, {"npm", "md5-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", 0}, {"npm", "", 0}, {"npm", "10c0/abcdef", 0},
		{"cargo", strings.Repeat("AB", 32), 1}, {"cargo", "xyz", 0},
		{"pypi", strings.Repeat("ab", 32), 0}, {"golang", "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", 0},
	} {
		if got := hashes(tt.ecosystem, tt.written); len(got) != tt.want {
			t.Errorf("%s %q: %v", tt.ecosystem, tt.written, got)
		}
	}
}

// BenchmarkBill makes both bills of all the fixtures of the readers.
func BenchmarkBill(b *testing.B) {
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS("../dep/testdata"), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && Wants(p) {
			var c []byte
			c, err = os.ReadFile(filepath.Join("../dep/testdata", p))
			files[p] = string(c)
		}
		return err
	})
	if err != nil || len(files) < 10 {
		b.Fatal(len(files), err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v := inventory(b, files, nil)
		if _, err := v.SPDX(made); err != nil {
			b.Fatal(err)
		}
		if _, err := v.CycloneDX(made); err != nil {
			b.Fatal(err)
		}
	}
}
