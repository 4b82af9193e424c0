//go:build peers

// Package dependencies compares the readers of lock files with Syft, on real repositories.
package dependencies

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/scan/dep"
)

// catalogers are those of Syft that read lock files.
const catalogers = "javascript-lock-cataloger,python-package-cataloger,go-module-file-cataloger,rust-cargo-lock-cataloger," +
	"ruby-gemfile-cataloger,php-composer-lock-cataloger,dotnet-packages-lock-cataloger,java-gradle-lockfile-cataloger,java-pom-cataloger"

// compared are the names of the files that both read.
var compared = []string{
	"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "go.mod", "Cargo.lock", "poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock",
	"Gemfile.lock", "composer.lock", "packages.lock.json", "pom.xml",
}

func isCompared(p string) bool {
	base := filepath.Base(p)
	return slices.Contains(compared, base) || strings.HasSuffix(base, ".txt") && strings.Contains(base, "requirements") ||
		strings.HasSuffix(base, "gradle.lockfile")
}

// A key is one package URL in one file.
type key struct{ file, purl string }

// TestAgainstSyft reads the readers' own fixtures, and each repository that PEER_REPOS names, with
// both.
func TestAgainstSyft(t *testing.T) {
	syft := build(t)
	roots := []string{filepath.Join("..", "..", "..", "internal", "scan", "dep", "testdata")}
	roots = append(roots, filepath.SplitList(os.Getenv("PEER_REPOS"))...)
	var table strings.Builder
	fmt.Fprintf(&table, "%-28s %6s %7s %7s %7s  %s\n", "repository", "files", "ours", "syft's", "equal", "excluded")
	for _, root := range roots {
		t.Run(filepath.Base(root), func(t *testing.T) {
			ours, files := read(t, root)
			theirs := run(t, syft, root, files)
			equal := 0
			excluded := map[string]int{}
			for k, p := range ours {
				if theirs[k] {
					equal++
				} else if why := ourExclusion(k, p, files[k.file]); why != "" {
					excluded[why]++
				} else {
					t.Errorf("only ours: %s in %s", k.purl, k.file)
				}
			}
			for k := range theirs {
				if _, ok := ours[k]; ok {
					continue
				}
				if why := theirExclusion(k, files[k.file]); why != "" {
					excluded[why]++
				} else {
					t.Errorf("only Syft's: %s in %s", k.purl, k.file)
				}
			}
			var parts []string
			for _, why := range slices.Sorted(mapKeys(excluded)) {
				parts = append(parts, fmt.Sprintf("%s %d", why, excluded[why]))
			}
			fmt.Fprintf(&table, "%-28s %6d %7d %7d %7d  %s\n", filepath.Base(root), count(files), len(ours), len(theirs), equal, strings.Join(parts, ", "))
			if equal == 0 {
				t.Error("nothing was compared")
			}
		})
	}
	t.Logf("\n%s\n%s", table.String(), exclusionWords())
}

func count(files map[string]*reading) int {
	n := 0
	for name := range files {
		if !strings.HasPrefix(name, "**") {
			n++
		}
	}
	return n
}

func mapKeys(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// build builds Syft from its pinned sources. Without it there is nothing to compare with, and that
// is a failure.
func build(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("SYFT"); p != "" {
		return p
	}
	out := filepath.Join(t.TempDir(), "syft")
	cmd := exec.Command("go", "build", "-o", out, "github.com/anchore/syft/cmd/syft")
	cmd.Dir = filepath.Join("..", "syft")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as its makers build it
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("Syft cannot be built from test/peers/syft: %v\n%s", err, b)
	}
	return out
}

// A reading is what ours made of one file.
type reading struct {
	format   *dep.Format
	packages []dep.Package
	err      error
	own      map[string]bool // names that the file gives to parts of the repository
	direct   map[string]bool // of a pom.xml, what stands in its dependencies and those of its profiles
}

// read reads every compared file under root.
func read(t *testing.T, root string) (map[key]*dep.Package, map[string]*reading) {
	t.Helper()
	ours, files := map[key]*dep.Package{}, map[string]*reading{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == ".git" {
			return errOrSkip(err)
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || !d.Type().IsRegular() || !isCompared(rel) {
			return err
		}
		rel = filepath.ToSlash(rel)
		format := dep.FormatOf(strings.ToLower(rel))
		if format == nil {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		r := &reading{format: format, own: own(filepath.Base(rel), b)}
		r.packages, r.err = format.Read(b)
		files[rel] = r
		if base := filepath.Base(rel); base == "pom.xml" {
			if files[place(rel)] == nil {
				files[place(rel)] = &reading{format: format, own: map[string]bool{}, direct: map[string]bool{}}
			}
			poms(b, files[place(rel)])
		}
		for i := range r.packages {
			if u := r.packages[i].Purl(); u != "" {
				ours[key{place(rel), u}] = &r.packages[i]
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ours, files
}

// place returns the file under which a package URL is compared. Syft tells a dependency of several
// pom.xml for the first of them only, so that they are compared as one.
func place(rel string) string {
	if filepath.Base(rel) == "pom.xml" {
		return "**/pom.xml"
	}
	return rel
}

func errOrSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

// run asks Syft, offline, and returns its package URLs by file.
func run(t *testing.T, syft, root string, files map[string]*reading) map[key]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, syft, "scan", "dir:"+root, "-q", "-o", "syft-json", "--override-default-catalogers", catalogers)
	cmd.Env = append(os.Environ(),
		"SYFT_CHECK_FOR_APP_UPDATE=false", "SYFT_GOLANG_USE_PACKAGES_LIB=false", "SYFT_GOLANG_SEARCH_REMOTE_LICENSES=false",
		"SYFT_GOLANG_SEARCH_LOCAL_MOD_CACHE_LICENSES=false", "SYFT_JAVASCRIPT_INCLUDE_DEV_DEPENDENCIES=true",
		"SYFT_JAVASCRIPT_SEARCH_REMOTE_LICENSES=false", "SYFT_JAVA_USE_NETWORK=false")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("syft: %v\n%s", err, errs.String())
	}
	var doc struct {
		Artifacts []struct {
			Name, Version, PURL string
			Locations           []struct{ Path string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	theirs := map[key]bool{}
	for _, a := range doc.Artifacts {
		if a.PURL == "" {
			continue
		}
		for _, l := range a.Locations {
			if p := strings.TrimPrefix(l.Path, "/"); files[p] != nil {
				theirs[key{place(p), a.PURL}] = true
			}
		}
	}
	return theirs
}
