package dep

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/want.txt from what the readers give")

// show writes what a reading gives in one line for each package.
func show(ps []Package) string {
	var b strings.Builder
	for i := range ps {
		p := &ps[i]
		fmt.Fprintf(&b, "%s %q", p.Purl(), p.Version)
		for _, f := range []struct {
			set  bool
			name string
		}{{p.Direct, "direct"}, {p.Dev, "dev"}, {p.Script, "script"}, {!p.Default, "from " + p.Registry}} {
			if f.set {
				b.WriteString(" " + f.name)
			}
		}
		b.WriteString(" digest " + p.Integrity + "\n")
		if p.Problem != "" {
			b.WriteString("  " + p.Problem + "\n")
		}
	}
	return b.String()
}

// testFiles returns the files under testdata that have a format.
func testFiles(tb testing.TB) []string {
	tb.Helper()
	var out []string
	err := filepath.WalkDir("testdata", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && FormatOf(strings.ToLower(filepath.ToSlash(p))) != nil {
			out = append(out, filepath.ToSlash(p))
		}
		return err
	})
	if err != nil || len(out) < 20 {
		tb.Fatalf("%d files, %v", len(out), err)
	}
	return out
}

func TestReaders(t *testing.T) {
	var b strings.Builder
	for _, p := range testFiles(t) {
		body, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		ps, err := FormatOf(strings.ToLower(p)).Read(body)
		if err != nil {
			t.Errorf("%s: %v", p, err)
		}
		fmt.Fprintf(&b, "# %s\n%s\n", strings.TrimPrefix(p, "testdata/"), show(ps))
	}
	if *update {
		if err := os.WriteFile("testdata/want.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/want.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(wanted)) {
		if i >= len(got) || i >= len(wanted) || got[i] != wanted[i] {
			t.Fatalf("line %d of testdata/want.txt: got %q, want %q", i+1, at(got, i), at(wanted, i))
		}
	}
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return ""
}

// Each of these is a lock file that some package manager could still install from, or that looks
// as if it had nothing in it. None of them is "no dependencies".
func TestUnread(t *testing.T) {
	for _, tt := range []struct{ name, file, text string }{
		{"nothing", "package-lock.json", ""},
		{"cut short", "package-lock.json", `{"lockfileVersion": 3, "packages": {`},
		{"another document behind", "package-lock.json", `{"lockfileVersion": 3, "packages": {}} {}`},
		{"a key twice", "package-lock.json", `{"lockfileVersion": 3, "packages": {}, "packages": {"node_modules/a": {"version": "1"}}}`},
		{"a version of the future", "package-lock.json", `{"lockfileVersion": 4, "packages": {}}`},
		{"packages as a list", "package-lock.json", `{"lockfileVersion": 3, "packages": []}`},
		{"a package that is text", "package-lock.json", `{"lockfileVersion": 3, "packages": {"node_modules/a": "1.0.0"}}`},
		{"a name that moves the cursor", "package-lock.json", `{"lockfileVersion": 3, "packages": {"node_modules/a\u001b[2J": {"version": "1"}}}`},
		{"a name that is a repository to npm", "package-lock.json", `{"lockfileVersion": 3, "packages": {"node_modules/evil/repo": {"version": "1.0.0"}}}`},
		{"a name that is an address to npm", "package-lock.json", `{"lockfileVersion": 1, "dependencies": {"git+https://evil.example/x.git": {"version": "1.0.0"}}}`},
		{"a name with an equals sign", "package-lock.json", `{"lockfileVersion": 3, "packages": {"node_modules/a=b": {"version": "1.0.0"}}}`},
		{"an alias of what is no name", "package-lock.json", `{"lockfileVersion": 3, "packages": {"node_modules/a": {"name": "evil/repo", "version": "1.0.0"}}}`},
		{"a name of no package in a manifest", "package.json", `{"dependencies": {"evil/repo": "^1.0.0"}}`},
		{"not UTF-8", "package-lock.json", "{\"lockfileVersion\": 3, \"packages\": {\"node_modules/\xff\": {}}}"},
		{"a pointer of Git LFS", "package-lock.json", "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n"},
		{"an anchor", "pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages: &p\n  a@1.0.0: {}\n"},
		{"a merged mapping", "pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages:\n  <<: *p\n"},
		{"a tab", "pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages:\n\ta@1.0.0: {}\n"},
		{"a key of YAML twice", "pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages: {}\npackages:\n  a@1.0.0: {}\n"},
		{"a value over two lines", "pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages:\n  a@1.0.0: {resolution:\n    {integrity: x}}\n"},
		{"no version", "pnpm-lock.yaml", "packages:\n  a@1.0.0: {}\n"},
		{"a version of pnpm's future", "pnpm-lock.yaml", "lockfileVersion: '10.0'\n"},
		{"yarn without its mark", "yarn.lock", "# nothing\n"},
		{"an entry of yarn without a version", "yarn.lock", "# yarn lockfile v1\na@^1:\n  resolved \"https://registry.yarnpkg.com/a/-/a-1.0.0.tgz\"\n"},
		{"a field of yarn twice", "yarn.lock", "# yarn lockfile v1\na@^1:\n  version \"1.0.0\"\n  version \"2.0.0\"\n"},
		{"no TOML", "cargo.lock", "[[package]\n"},
		{"a key of TOML twice", "cargo.lock", "version = 3\n[[package]]\nname = \"a\"\nname = \"b\"\n"},
		{"no lock file at all", "poetry.lock", "a = 1\n"},
		{"a version of uv's future", "uv.lock", "version = 2\n"},
		{"go.mod with a word that is none", "go.mod", "module a\nrequir b v1.0.0\n"},
		{"go.sum with half a line", "go.sum", "a v1.0.0\n"},
		{"an option that is not known", "requirements.txt", "--install-from=https://evil.example\n"},
		{"prose", "requirements.txt", "You will need a computer.\n"},
		{"an entity", "pom.xml", "<!DOCTYPE p [<!ENTITY x \"y\">]><project><dependencies><dependency><groupId>&x;</groupId><artifactId>a</artifactId></dependency></dependencies></project>"},
		{"another document", "pom.xml", "<settings/>"},
		{"a line of Gradle without configurations", "gradle.lockfile", "a:b:1.0\n"},
		{"a conflict", "gemfile.lock", "GEM\n  specs:\n<<<<<<< HEAD\n    a (1)\n"},
		{"a gem without a version", "gemfile.lock", "GEM\n  remote: https://rubygems.org/\n  specs:\n    a\n"},
		{"a composer.lock without packages", "composer.lock", "{}"},
		{"a packages.lock.json of the future", "packages.lock.json", `{"version": 3, "dependencies": {}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ps, err := FormatOf(tt.file).Read([]byte(tt.text))
			if !errors.Is(err, ErrUnread) || len(ps) != 0 {
				t.Errorf("got %v and %v, want ErrUnread", ps, err)
			}
			if err != nil && (strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 300) {
				t.Errorf("not one line to show: %q", err)
			}
		})
	}
	if _, err := FormatOf("a/bun.lock").Read(nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("bun.lock: %v", err)
	}
	deep := strings.Repeat("[", 1<<20)
	for _, file := range []string{"package-lock.json", "pnpm-lock.yaml", "cargo.lock"} {
		if _, err := FormatOf(file).Read([]byte("a = " + deep)); !errors.Is(err, ErrUnread) {
			t.Errorf("%s, deeply nested: %v", file, err)
		}
	}
	if _, err := FormatOf("pom.xml").Read([]byte(strings.Repeat("<a>", 1<<18))); !errors.Is(err, ErrUnread) {
		t.Errorf("pom.xml, deeply nested: %v", err)
	}
	if _, err := FormatOf("go.sum").Read(make([]byte, MaxSize+1)); !errors.Is(err, ErrUnread) {
		t.Errorf("too large: %v", err)
	}
}

func TestFormatOf(t *testing.T) {
	for p, want := range map[string]string{
		"package-lock.json": "package-lock.json", "a/b/yarn.lock": "yarn.lock", "a/requirements-dev.txt": "requirements.txt",
		"requirements/base.txt": "requirements.txt", "constraints.txt": "requirements.txt", "a/shop.csproj": "project",
		"gradle/dependency-locks/compile.lockfile": "gradle/dependency-locks", "buildscript-gradle.lockfile": "buildscript-gradle.lockfile",
		"gradle/libs.versions.toml": "libs.versions.toml", "tool.py.lock": "uv.lock",
		"node_modules/a/package.json": "", "a/node_modules/b/yarn.lock": "", "package.json.bak": "", "docs/requirements.md": "", "lock": "",
	} {
		got := ""
		if f := FormatOf(p); f != nil {
			got = f.Name
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", p, got, want)
		}
	}
}

// An entry of a lock file that says one thing and fetches another is told, and its twin is not.
func TestMismatch(t *testing.T) {
	for _, tt := range []struct {
		name, file, good, bad string
	}{
		{
			"npm: another package", "package-lock.json", "", "https://registry.npmjs.org/right-pad/-/right-pad-1.3.0.tgz",
		}, {"npm: another version", "package-lock.json", "", "https://registry.npmjs.org/left-pad/-/left-pad-1.2.9.tgz"},
		{"npm: a package of another scope", "package-lock.json", "", "https://registry.npmjs.org/@evil/left-pad/-/left-pad-1.3.0.tgz"},
		{"npm: no package's place", "package-lock.json", "", "https://registry.npmjs.org/left-pad-1.3.0.tgz"},
		{"npm: another package of another registry", "package-lock.json", "", "https://npm.example.com/right-pad/-/right-pad-1.3.0.tgz"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entry := func(url string) string {
				return `{"lockfileVersion": 3, "packages": {"node_modules/left-pad": {"version": "1.3.0", "resolved": "` + url + `", "integrity": "sha512-x"}}}`
			}
			good, err := FormatOf(tt.file).Read([]byte(entry("https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz")))
			if err != nil || len(good) != 1 || good[0].Problem != "" || !good[0].Default {
				t.Fatalf("the twin: %+v, %v", good, err)
			}
			bad, err := FormatOf(tt.file).Read([]byte(entry(tt.bad)))
			if err != nil || len(bad) != 1 || bad[0].Problem == "" {
				t.Errorf("got %+v, %v, want a problem", bad, err)
			}
		})
	}
	for name, url := range map[string]string{
		"no TLS": "http://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz", "a host that ends like it": "https://evil.registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz",
		"a user that looks like it": "https://registry.npmjs.org@evil.example/left-pad/-/left-pad-1.3.0.tgz", "a port": "https://registry.npmjs.org:8443/left-pad/-/left-pad-1.3.0.tgz",
		"git": "git+https://github.com/left-pad/left-pad.git#abc", "a file": "file:vendor/left-pad-1.3.0.tgz",
	} {
		ps, err := FormatOf("package-lock.json").Read([]byte(`{"lockfileVersion": 3, "packages": {"node_modules/left-pad": {"version": "1.3.0", "resolved": "` + url + `"}}}`))
		if err != nil || len(ps) != 1 || ps[0].Default {
			t.Errorf("%s passes for the default registry: %+v, %v", name, ps, err)
		}
	}
}
