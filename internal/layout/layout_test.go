package layout

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "example.org/fort"

// TestTree holds the tree that this file lies in to its rules.
func TestTree(t *testing.T) {
	root, name := findModule(t)
	problems, err := Check(os.DirFS(root), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%v", p)
	}
}

func findModule(t *testing.T) (root, module string) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, err := os.Open(filepath.Join(dir, "go.mod"))
		if err == nil {
			defer f.Close()
			s := bufio.NewScanner(f)
			for s.Scan() {
				if name, ok := strings.CutPrefix(s.Text(), "module "); ok {
					return dir, strings.TrimSpace(name)
				}
			}
			t.Fatalf("no module line in %s (%v)", f.Name(), s.Err())
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}

// source writes a Go file of a package with the imports given, and a comment that satisfies.
func source(name string, imports ...string) string {
	var b strings.Builder
	kind := "Package " + name
	if c, ok := strings.CutPrefix(name, "main:"); ok {
		name, kind = "main", "Command "+c
	}
	b.WriteString("// " + kind + " is part of a tree\n// that exists only while\n// this test runs.\npackage " + name + "\n")
	for _, i := range imports {
		b.WriteString("import _ \"" + i + "\"\n")
	}
	return b.String()
}

// bare is source without the package comment, as second files and tests have it.
func bare(name string, imports ...string) string {
	s := source(name, imports...)
	return s[strings.Index(s, "package "):]
}

// house returns a tree in which every level is present and every arrow points down.
func house() fstest.MapFS {
	m := func(folder string) string { return module + "/" + folder }
	files := map[string]string{
		"fort.go":                             source("fort", "encoding/json"),
		"predicate/doc.go":                    source("predicate", "encoding/json"),
		"internal/base/git/git.go":            source("git", module, "os/exec"),
		"internal/base/strict/strict.go":      source("strict", "github.com/goccy/go-yaml"),
		"internal/change/change.go":           source("change", module, m("predicate"), m("internal/base/git")),
		"internal/change/inner/inner.go":      source("inner", m("internal/change")),
		"internal/scan/scan.go":               source("scan", module, "golang.org/x/sync/errgroup"),
		"internal/policy/policy.go":           source("policy", m("policy"), "github.com/open-policy-agent/opa/v1/rego"),
		"policy/embed.go":                     source("policy", "embed"),
		"internal/store/store.go":             source("store", module),
		"internal/store/storetest/suite.go":   source("storetest", m("internal/store"), "testing"),
		"internal/store/sqlite/sqlite.go":     source("sqlite", m("internal/store"), "database/sql", "modernc.org/sqlite"),
		"internal/store/sqlite/a_test.go":     bare("sqlite_test", m("internal/store/storetest")),
		"internal/store/postgres/postgres.go": source("postgres", m("internal/store")),
		"internal/engine/engine.go":           source("engine", module),
		"internal/gate/merge/merge.go":        source("merge", module, m("internal/base/git"), m("internal/engine")),
		"internal/gate/release/release.go":    source("release", m("internal/engine")),
		"internal/render/render.go":           source("render", module),
		"internal/app/app.go":                 source("app", m("internal/gate/merge"), m("internal/store/sqlite"), m("internal/change"), m("policy")),
		"internal/layout/doc.go":              source("layout", "go/parser"),
		"cmd/sallyport/main.go":               source("main:sallyport", module, m("internal/app"), m("internal/render"), m("internal/change"), "github.com/spf13/cobra"),
		"cmd/sallyport/main_test.go":          bare("main", m("internal/base/git"), m("test/scene"), "github.com/rogpeppe/go-internal/testscript"),
		"test/evasion/evasion_test.go":        bare("evasion", m("internal/base/git"), "os/exec"),
		"test/peers/cosign/go.mod":            "module peers\n",
		"test/peers/cosign/tools.go":          "package peers\nimport _ \"example.net/anything\"\n",
		"docs/readme.md":                      "A tree.\n",
	}
	tree := fstest.MapFS{}
	for name, s := range files {
		tree[name] = &fstest.MapFile{Data: []byte(s)}
	}
	return tree
}

// TestHouse is the twin of every row of TestTurned: without the row's file there is no problem.
func TestHouse(t *testing.T) {
	problems, err := Check(house(), module)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%v", p)
	}
}

// TestTurned adds one file to a sound tree and expects the one problem that it brings.
func TestTurned(t *testing.T) {
	m := func(folder string) string { return module + "/" + folder }
	long := strings.Repeat("//\n", maxLines)
	tests := []struct {
		name, file, source string
		want               string // "rule: part of the text" of the only problem, or nothing
	}{
		{"vocabulary imports predicates", "x.go", bare("fort", m("predicate")), "arrow: standard library only"},
		{"vocabulary imports a tool", "x.go", bare("fort", m("internal/base/git")), "arrow: on level 1"},
		{"predicates import the vocabulary", "predicate/x.go", bare("predicate", module), "arrow: standard library only"},
		{"vocabulary imports a library", "x.go", bare("fort", "github.com/goccy/go-yaml"), "library: not for .:"},
		{"vocabulary's test imports a library", "x_test.go", bare("fort", "github.com/goccy/go-yaml"), "library: not for .:"},
		{"tool imports a service", "internal/base/git/x.go", bare("git", m("internal/change")), "arrow: on level 2"},
		{"tool imports a tool", "internal/base/git/x.go", bare("git", m("internal/base/strict")), "arrow: tools do not"},
		{"tool's test imports a service", "internal/base/git/x_test.go", bare("git_test", m("internal/change")), "arrow: on level 2"},
		{"service imports a service", "internal/change/x.go", bare("change", m("internal/scan")), "arrow: services do not"},
		{"service's test imports a service", "internal/change/x_test.go", bare("change", m("internal/scan")), "arrow: services do not"},
		{"service's inner package imports a service", "internal/change/inner/x.go", bare("inner", m("internal/scan")), "arrow: services do not"},
		{"service imports another's inner package", "internal/scan/x.go", bare("scan", m("internal/change/inner")), "arrow: services do not"},
		{"service imports the shipped Rego of another", "internal/scan/x.go", bare("scan", m("policy")), "arrow: services do not"},
		{"service imports the engine", "internal/change/x.go", bare("change", m("internal/engine")), "arrow: on level 3"},
		{"service imports its backend", "internal/store/x.go", bare("store", m("internal/store/sqlite")), "arrow: never the reverse"},
		{"service's test imports its backend", "internal/store/x_test.go", bare("store_test", m("internal/store/sqlite")), "arrow: never the reverse"},
		{"service imports another's backend", "internal/change/x.go", bare("change", m("internal/store/sqlite")), "arrow: never the reverse"},
		{"backend imports a backend", "internal/store/sqlite/x.go", bare("sqlite", m("internal/store/postgres")), "arrow: its own service only"},
		{"backend imports another service", "internal/store/sqlite/x.go", bare("sqlite", m("internal/scan")), "arrow: its own service only"},
		{"backend ships its suite", "internal/store/sqlite/x.go", bare("sqlite", m("internal/store/storetest")), "arrow: a suite is for the tests"},
		{"service ships its suite", "internal/store/x.go", bare("store", m("internal/store/storetest")), "arrow: a suite is for the tests"},
		{"wiring ships a suite", "internal/app/x.go", bare("app", m("internal/store/storetest")), "arrow: a suite is for the tests"},
		{"engine imports a tool", "internal/engine/x.go", bare("engine", m("internal/base/git")), "arrow: vocabulary only"},
		{"engine imports a service", "internal/engine/x.go", bare("engine", m("internal/store")), "arrow: vocabulary only"},
		{"engine's test imports a backend", "internal/engine/x_test.go", bare("engine", m("internal/store/sqlite")), "arrow: vocabulary only"},
		{"gate imports a gate", "internal/gate/merge/x.go", bare("merge", m("internal/gate/release")), "arrow: levels 0, 1 and 3"},
		{"gate imports a service", "internal/gate/merge/x.go", bare("merge", m("internal/change")), "arrow: levels 0, 1 and 3"},
		{"renderer imports a gate", "internal/render/x.go", bare("render", m("internal/gate/merge")), "arrow: levels 0, 1 and 3"},
		{"gate imports the wiring", "internal/gate/merge/x.go", bare("merge", m("internal/app")), "arrow: on level 5"},
		{"wiring imports a command", "internal/app/x.go", bare("app", m("cmd/sallyport")), "arrow: on level 6"},
		{"command imports a tool", "cmd/sallyport/x.go", bare("main", m("internal/base/git")), "arrow: a command imports"},
		{"command imports the engine", "cmd/sallyport/x.go", bare("main", m("internal/engine")), "arrow: a command imports"},
		{"command imports a gate", "cmd/sallyport/x.go", bare("main", m("internal/gate/merge")), "arrow: a command imports"},
		{"command imports a backend", "cmd/sallyport/x.go", bare("main", m("internal/store/sqlite")), "arrow: a command imports"},
		{"product imports tests", "internal/app/x.go", bare("app", m("test/evasion")), "arrow: nothing imports test"},
		{"command imports tests", "cmd/sallyport/x.go", bare("main", m("test/scene")), "arrow: nothing imports test"},
		{"wiring's test imports tests", "internal/app/x_test.go", bare("app", m("test/scene")), "arrow: nothing imports test"},
		{"command imports the layout", "cmd/sallyport/x.go", bare("main", m("internal/layout")), "arrow: nothing imports internal/layout"},
		{"layout imports the product", "internal/layout/x.go", bare("layout", m("internal/app")), "arrow: the judge"},
		{"import of a folder in no part", "internal/app/x.go", bare("app", m("internal/util")), "arrow: in no part"},
		{"import behind a build constraint", "internal/change/x.go", "//go:build windows\n\n" + bare("change", m("internal/scan")), "arrow: services do not"},
		{"import in a program run by hand", "internal/change/x.go", "//go:build ignore\n\n" + bare("main", m("internal/scan")), "arrow: services do not"},
		{"wiring may import everything below", "internal/app/x.go", bare("app", module, m("internal/base/git"), m("internal/engine"), m("internal/render")), ""},
		{"program run by hand may use any library", "internal/scan/x.go", "//go:build ignore\n\n" + bare("main", "example.net/toml", "os/exec"), ""},

		{"unknown folder", "internal/util/x.go", source("util"), "folder: no part of the layout"},
		{"unknown folder below internal/gate", "internal/gate/x.go", source("gate"), "folder: no part of the layout"},
		{"unknown folder of tests", "docs/x_test.go", bare("docs"), "folder: no part of the layout"},
		{"folder in testdata", "internal/scan/testdata/x.go", bare("x", "example.net/anything"), ""},

		{"library outside its folder", "internal/scan/x.go", bare("scan", "github.com/open-policy-agent/opa/v1/ast"), "library: only internal/policy"},
		{"library in the service of its backend", "internal/store/x.go", bare("store", "modernc.org/sqlite"), "library: only internal/store/sqlite"},
		{"library that the table lacks", "internal/scan/x.go", bare("scan", "github.com/go-git/go-git/v5"), "library: in no line"},
		{"library that the table lacks, in a test", "internal/scan/x_test.go", bare("scan", "github.com/stretchr/testify"), "library: in no line"},
		{"library whose name another one begins with", "internal/policy/x.go", bare("policy", "github.com/open-policy-agent/opa-tools"), "library: in no line"},
		{"library for tests in the product", "cmd/sallyport/x.go", bare("main", "github.com/rogpeppe/go-internal/testscript"), "library: only tests"},
		{"library of another folder in a test", "internal/scan/x_test.go", bare("scan", "golang.org/x/crypto/ssh"), ""},
		{"library known, elsewhere in the same module", "internal/change/x.go", bare("change", "golang.org/x/crypto/ssh/agent"), "library: only internal/base/sshsig"},

		{"cgo", "internal/scan/x.go", "package scan\nimport \"C\"\n", "reach: only tests"},
		{"another program started", "internal/scan/x.go", bare("scan", "os/exec"), "reach: only internal/base/git"},
		{"another program started by a test", "internal/scan/x_test.go", bare("scan", "os/exec"), ""},
		{"engine speaks HTTP", "internal/engine/x.go", bare("engine", "net/http"), "reach: not for internal/engine"},

		{"second package comment", "internal/scan/x.go", source("scan"), "doc: one file should carry"},
		{"no package comment", "internal/mask/x.go", bare("mask"), "doc: no file has"},
		{"package comment of one line", "internal/mask/x.go", "// Package mask masks.\npackage mask\n", "doc: of 1 lines specifies nothing"},
		{"package comment under another name", "internal/mask/x.go", strings.Replace(source("mask"), "Package mask", "Package masks", 1), "doc: should with \"Package mask \""},
		{"package comment on a test", "internal/scan/x_test.go", source("scan"), ""},
		{"package of tests alone", "internal/mask/x_test.go", bare("mask"), ""},

		{"longest file", "internal/scan/x.go", "package scan\n" + strings.TrimSuffix(long, "//\n"), ""},
		{"file one line longer", "internal/scan/x.go", "package scan\n" + long, "length: 601 lines"},
		{"note about work", "internal/scan/x.go", "package scan\n// T" + "ODO: later\n", "note: finish it"},
		{"note about work in a test", "internal/scan/x_test.go", "package scan\n// F" + "IXME\n", "note: finish it"},
		{"word that holds a note's", "internal/scan/x.go", "package scan\nconst mT" + "ODOs = 1\n", ""},
		{"machine's path in a document", "docs/x.md", "see /w" + "ork/main/x.go\n", "machine: is a path of one machine"},
		{"machine's path in test data", "internal/scan/testdata/x.txt", "/r" + "oot/go/pkg/mod\n", "machine: is a path of one machine"},
		{"path of every machine", "docs/x.md", "write to /etc/ssh/ssh_config or /workspace/main\n", ""},
		{"file that is not Go", "internal/scan/x.go", "this is not Go\n", "parse: expected 'package'"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree := house()
			if tree[test.file] != nil {
				t.Fatalf("%s is in the sound tree already", test.file)
			}
			tree[test.file] = &fstest.MapFile{Data: []byte(test.source)}
			problems, err := Check(tree, module)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" {
				for _, p := range problems {
					t.Errorf("got %v, want no problem", p)
				}
				return
			}
			rule, text, _ := strings.Cut(test.want, ": ")
			if len(problems) != 1 || problems[0].Rule != rule || !strings.Contains(problems[0].Text, text) {
				t.Errorf("got %q, want one problem of rule %s with %q", problems, rule, text)
			}
		})
	}
}

// TestNothingRead shows that a tree that was not read is never a tree without problems.
func TestNothingRead(t *testing.T) {
	tests := []struct {
		name string
		tree fs.FS
	}{
		{"no file", fstest.MapFS{}},
		{"no Go file", fstest.MapFS{"readme.md": {Data: []byte("hello\n")}}},
		{"Go files in other modules only", fstest.MapFS{"x/go.mod": {}, "x/x.go": {Data: []byte("package x\n")}}},
		{"no such folder", os.DirFS(filepath.Join(t.TempDir(), "gone"))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if problems, err := Check(test.tree, module); err == nil {
				t.Errorf("got %v and no error, want an error", problems)
			}
		})
	}
}

// TestTables looks for lines that could never match, which is how a table rots.
func TestTables(t *testing.T) {
	for _, table := range [][]Library{Libraries, Reaches} {
		seen := map[string]bool{}
		for _, l := range table {
			if seen[l.Prefix] {
				t.Errorf("%s has two lines", l.Prefix)
			}
			seen[l.Prefix] = true
			for _, folder := range l.Folders {
				if _, ok := partOf(strings.Replace(folder, "*", "x", 1)); !ok {
					t.Errorf("%s names %s, which is in no part", l.Prefix, folder)
				}
			}
		}
	}
	seen := map[string]bool{}
	for _, p := range Parts {
		if seen[p.Path] {
			t.Errorf("%s is two parts", p.Path)
		}
		seen[p.Path] = true
	}
}
