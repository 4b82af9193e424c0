package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/scan/deep"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

// Why a package of the fixtures is told of by one of the two alone. docs/dependencies.md explains the words.
var (
	onlyOurs = map[string]string{
		"pkg:pypi/pytest-mock@3.0.0":                                "dev",
		"pkg:composer/phpunit/phpunit@10.0.0":                       "dev",
		"pkg:maven/org.apache.maven.plugins/maven-jar-plugin@3.4.1": "plugin",
		"pkg:npm/%40x/y@3.0.0":                                      "manifest",
		"pkg:npm/b@2.0.0":                                           "manifest",
	}
	onlySyfts = map[string]string{
		"": "own", "pkg:npm/packages/mine@1.0.0": "own", "pkg:npm/mine": "own", "pkg:npm/shop@1.0.0": "own", "pkg:npm/shop@0.0.0-use.local": "own",
		"pkg:maven/com.example/shop@1.0.0": "own", "pkg:nuget/mine": "own", "pkg:pypi/shop@0.1.0": "own", "pkg:golang/example.com/local": "own",
		"pkg:gem/shop@1.0.0": "own", "pkg:maven/com.example/managed": "parent",
	}
)

// TestLocksEqual reads the fixtures of every lock file format with our readers and with Syft. The two
// lists are the same but for what is listed above, each for a reason; and each reason has to be
// needed.
func TestLocksEqual(t *testing.T) {
	dir, err := filepath.Abs("../../internal/scan/dep/testdata")
	if err != nil {
		t.Fatal(err)
	}
	v := &sbom.Inventory{}
	err = fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !sbom.Wants(p) {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, p))
		if err != nil {
			return err
		}
		return v.Add(p, b)
	})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := map[string]bool{}, map[string]bool{}
	for _, c := range v.Components() {
		ours[c.Purl] = true
	}
	for _, c := range look(t, deep.Folder, dir).Components {
		theirs[c.Purl] = true
	}
	equal := 0
	for p := range ours {
		switch {
		case theirs[p]:
			equal++
		case onlyOurs[p] == "":
			t.Errorf("only ours: %s", p)
		}
	}
	for p := range theirs {
		if !ours[p] && onlySyfts[p] == "" {
			t.Errorf("only Syft's: %q", p)
		}
	}
	for p, why := range onlyOurs {
		if theirs[p] || !ours[p] {
			t.Errorf("%s is not ours alone, for which %q is the reason", p, why)
		}
	}
	for p, why := range onlySyfts {
		if ours[p] || !theirs[p] {
			t.Errorf("%q is not Syft's alone, for which %q is the reason", p, why)
		}
	}
	if equal < 30 {
		t.Errorf("only %d packages are equal", equal)
	}
	t.Logf("%d packages are equal", equal)
}
