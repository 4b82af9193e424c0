package scan

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

func TestClassify(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\n"
	tests := []struct {
		path, mode, head string
		want             string // joined by spaces
	}{
		{"main.go", "", "", ""},
		{"README.md", "", "# Deploy\n", ""},
		{"src/builder/x.py", "", "", ""},
		{"docs/skillset.md", "", "", ""},

		{"Makefile", "", "", "build"},
		{"rules.mk", "", "", "build"},
		{"Dockerfile", "", "", "build"},
		{"docker/Dockerfile.prod", "", "", "build"},
		{"api.Dockerfile", "", "", "build"},
		{"pkg/BUILD", "", "", "build"},
		{"tools/defs.bzl", "", "", "build"},
		{"CMakeLists.txt", "", "", "build"},
		{"app/build.gradle.kts", "", "", "build dependency"},
		{"package.json", "", "", "build dependency"},
		{"pom.xml", "", "", "build dependency"},
		{"setup.py", "", "", "build dependency"},
		{"build.rs", "", "", "build"},
		{".goreleaser.yaml", "", "", "build"},
		{".idea/runConfigurations/Server.xml", "", "", "build"},
		{".idea/misc.xml", "", "", ""},
		{"etc/pip.conf", "", "", "build"},
		{"pip.ini", "", "", "build"},
		{"uv.toml", "", "", "build"},
		{"poetry.toml", "", "", "build"},
		{".nvmrc", "", "", "build"},
		{".node-version", "", "", "build"},
		{".python-version", "", "", "build"},
		{".tool-versions", "", "", "build"},
		{"mise.toml", "", "", "build"},
		{".gitattributes", "", "", "build policy"},
		{".cargo/config.toml", "", "", "build"},
		{"vite.config.ts", "", "", "build"},

		{"x/pod.yaml", "", pod, "deploy"},
		{"x/pod.yaml", "", "a: 1\n---\n" + pod, "deploy"},
		{"x/notpod.yaml", "", "name: x\n", ""},
		{"x/late.yaml", "", strings.Repeat("# note\n", headSize) + pod, "deploy"},
		{"x/late.yaml", "", strings.Repeat("# note\n", headSize), ""},
		{"x/late.json", "", `{"a":"` + strings.Repeat("-", headSize) + `","kind":"Pod","apiVersion":"v1"}`, "deploy"},
		{"x/pod.json", "", `{"kind":"Pod","apiVersion":"v1","spec":{}}`, "deploy"},
		{"x/cut.json", "", `{"kind":"Pod","apiVersion":"v1","spec":{"a`, "deploy"},
		{"charts/app/values.yaml", "", "", "deploy"},
		{"Chart.yaml", "", "", "dependency deploy"},
		{"deploy/prod.yaml", "", "", "deploy"},
		{"k8s/x.txt", "", "", "deploy"},
		{"infra/main.tf", "", "", "deploy"},
		{"main.tf", "", "", "deploy"},
		{"docker-compose.override.yml", "", "", "deploy"},
		{"stack.yml", "", "services:\n  web:\n    image: x\n", "deploy"},
		{"serverless.yml", "", "", "deploy"},
		{"Procfile", "", "", "deploy"},
		{"sys/app.service", "", "", "deploy"},
		{"play.yml", "", "- name: x\n  hosts: all\n", "deploy"},
		{"cf.yaml", "", "AWSTemplateFormatVersion: '2010-09-09'\n", "deploy"},

		{".github/workflows/ci.yml", "", "", "ci"},
		{".github/actions/x/action.yml", "", "", "ci"},
		{"action.yml", "", "", "ci"},
		{".gitlab-ci.yml", "", "", "ci"},
		{".circleci/config.yml", "", "", "ci"},
		{"Jenkinsfile", "", "", "ci"},
		{"azure-pipelines.yml", "", "", "ci"},
		{".drone.yml", "", "", "ci"},
		{"bitbucket-pipelines.yml", "", "", "ci"},
		{".buildkite/pipeline.yml", "", "", "ci"},
		{".pre-commit-config.yaml", "", "", "ci"},
		{".husky/pre-commit", "", "", "ci"},
		{"lefthook.yml", "", "", "ci"},
		{"elsewhere.yml", "", "on: push\njobs:\n  a:\n    runs-on: x\n", "ci"},

		{"go.mod", "", "", "dependency"},
		{"requirements-dev.txt", "", "", "build dependency"},
		{"Cargo.toml", "", "", "build dependency"},
		{"Gemfile", "", "", "dependency"},
		{"go.sum", "", "", "lockfile"},
		{"web/package-lock.json", "", "", "lockfile"},
		{"Cargo.lock", "", "", "lockfile"},
		{"uv.lock", "", "", "lockfile"},

		{".claude/settings.json", "", "", "agent-config"},
		{"sub/.cursor/rules/a.mdc", "", "", "agent-config"},
		{".codex/config.toml", "", "", "agent-config"},
		{".gemini/settings.json", "", "", "agent-config"},
		{".github/copilot-instructions.md", "", "", "agent-config"},
		{".github/hooks/x.json", "", "", "agent-config"},
		{".github/instructions/a.instructions.md", "", "", "agent-config"},
		{".github/prompts/a.prompt.md", "", "", "agent-config"},
		{"AGENTS.md", "", "", "agent-config"},
		{"pkg/CLAUDE.md", "", "", "agent-config"},
		{"CLAUDE.local.md", "", "", "agent-config"},
		{"GEMINI.md", "", "", "agent-config"},
		{".mcp.json", "", "", "agent-config"},
		{"x/tools.json", "", `{"mcpServers":{}}`, "agent-config"},
		{".vscode/tasks.json", "", "", "agent-config"},
		{"a/.vscode/tasks.json", "", "", "agent-config"},
		{"vscode/tasks.json", "", "", ""},
		{".cursorrules", "", "", "agent-config"},
		{".windsurfrules", "", "", "agent-config"},
		{".clinerules", "", "", "agent-config"},
		{".roo/rules.md", "", "", "agent-config"},
		{".aider.conf.yml", "", "", "agent-config"},
		{"opencode.json", "", "", "agent-config"},
		{".kiro/steering/a.md", "", "", "agent-config"},
		{".junie/guidelines.md", "", "", "agent-config"},
		{"skills/x/SKILL.md", "", "", "agent-config"},

		{".sallyport/roster.yaml", "", "", "policy"},
		{"CODEOWNERS", "", "", "policy"},
		{".github/CODEOWNERS", "", "", "policy"},
		{"docs/CODEOWNERS", "", "", "policy"},
		{".gitlab/CODEOWNERS", "", "", "ci policy"},
		{"p/x.rego", "", "", "policy"},

		{"logo.png", "", "", "binary"},
		{"blob", "", "a\x00b", "binary"},
		{"x.go", "", "// Code generated by protoc. DO NOT EDIT.\n", "generated"},
		{"x.go", "", strings.Repeat("//\n", 20) + "// Code generated by protoc. DO NOT EDIT.\n", ""},
		{"x.pb.go", "", "", "generated"},

		// Other spellings of the same path.
		{"agents.MD", "", "", "agent-config"},
		{".Claude/Settings.JSON", "", "", "agent-config"},
		{".claude./settings.json", "", "", "agent-config"},
		{".claude \u00a0/x", "", "", "agent-config"},
		{"CLAUDE.md.", "", "", "agent-config"},
		{"CLAUDE.md ", "", "", "agent-config"},
		{"CLAUDE.md::$DATA", "", "", "agent-config"},
		{"a\\.mcp.json", "", "", "agent-config"},
		{"C\u200bODEOWNERS", "", "", "policy"},
		{"\uff23\uff2f\uff24\uff25\uff2f\uff37\uff2e\uff25\uff32\uff33", "", "", "policy"},
		{".\u017fallyport/x", "", "", "policy"},
		{".gith\u200dub/workflow\u017f/x.yml", "", "", "ci"},
		{".\u212airo/a.md", "", "", "agent-config"},
		{".\uff53allyport/root", "", "", "policy"},
		{".github//workflows/./x", "", "", "ci"},

		{"notes", "120000", "CLAUDE.md", "agent-config"},
		{"docs/owners-link", "120000", "../.github/CODEOWNERS", "policy"},
		{"CLAUDE.md", "120000", "README", "agent-config"},
		{"third_party/x", "160000", "", "dependency"},

		// What stands where a folder is looked for is what the folder holds.
		{".claude", "120000", "notes", "agent-config"},
		{"a/.Claude", "120000", "notes", "agent-config"},
		{".claude", "160000", "", "agent-config dependency"},
		{".github", "120000", "notes", "agent-config ci policy"},
		{".github/workflows", "120000", "../notes", "agent-config ci"},
		{".vscode", "120000", "notes", "agent-config"},
		{"deploy", "120000", "notes", "deploy"},
		{"handy", "120000", ".claude", "agent-config"},
		{"handy", "120000", "notes", ""},
		{"claude", "120000", "notes", ""},
		{".claude", "", "x\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			mode := tt.mode
			if mode == "" {
				mode = "100644"
			}
			if got := strings.Join(Classify(sallyport.Path(tt.path), mode, []byte(tt.head)), " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The table is matched against folded paths: a pattern that does not fold to itself is dead.
func TestClassTableIsFolded(t *testing.T) {
	for _, c := range classTable {
		for _, list := range [][]string{c.bases, c.exts, c.globs} {
			for _, s := range list {
				if fold(s) != s {
					t.Errorf("%s: %q folds to %q", c.class, s, fold(s))
				}
			}
		}
		for _, s := range c.dirs {
			if !strings.HasPrefix(s, "/") || !strings.HasSuffix(s, "/") || s != "/"+fold(s[1:]) {
				t.Errorf("%s: folder %q", c.class, s)
			}
		}
		for _, s := range c.paths {
			if !strings.HasPrefix(s, "/") || s != "/"+fold(s[1:]) {
				t.Errorf("%s: path %q", c.class, s)
			}
		}
	}
}

// A manifest that stops being one, and a file that is deleted, keep the classes they had.
func TestClassesOfWhatWasThere(t *testing.T) {
	b := &blobs{}
	pod := "apiVersion: v1\nkind: Pod\n"
	gone := b.added("x.yaml", pod)
	gone.Status, gone.OldBlob, gone.OldMode, gone.NewBlob, gone.NewMode = "deleted", gone.NewBlob, "100644", zeros, "000000"
	gone.Units = []sallyport.Unit{{Kind: sallyport.UnitDeleted}}
	moved := b.added("notes.txt", "x\n")
	moved.Status, moved.OldPath, moved.OldBlob, moved.OldMode = "renamed", "CODEOWNERS", moved.NewBlob, "100644"
	moved.Units = []sallyport.Unit{{Kind: sallyport.UnitRenamed}}
	header := b.modified("y.go", "// Code generated. DO NOT EDIT.\npackage y\n", "package y\n", 1, 1)
	_, change := scanFiles(t, b, nil, b.modified("a.yaml", pod, "x: 1\n", 1, 1), gone, moved, header)
	for i, want := range []string{"deploy", "deploy", "policy", ""} {
		if got := strings.Join(change.Files[i].Classes, " "); got != want {
			t.Errorf("%s: got %q, want %q", change.Files[i].Path, got, want)
		}
	}
}

// No spelling that a file system takes for the same path loses a class.
func FuzzClassify(f *testing.F) {
	for _, p := range []string{"CLAUDE.md", ".github/workflows/x.yml", "a/CODEOWNERS", "x/.vscode/tasks.json", "main.go", "k8s/a.yaml", "\xff/Makefile"} {
		f.Add(p, []byte("apiVersion: v1\nkind: Pod\n"))
	}
	f.Fuzz(func(t *testing.T, p string, head []byte) {
		if len(p) > 500 || len(head) > headSize || strings.ContainsAny(p, ":\\") {
			return
		}
		want := Classify(sallyport.Path(p), "100644", head)
		if !slices.IsSorted(want) {
			t.Fatalf("not sorted: %q", want)
		}
		spellings := []string{fold(p), p + " ", strings.ReplaceAll(p, "/", "//"), "./" + p}
		if !strings.HasSuffix(p, "/") {
			spellings = append(spellings, p+"..")
		}
		for _, s := range spellings {
			if p == "" || strings.HasSuffix(p, "/") {
				continue
			}
			got := Classify(sallyport.Path(s), "100644", head)
			for _, c := range want {
				if !slices.Contains(got, c) {
					t.Fatalf("%q has class %s and %q has %q", p, c, s, got)
				}
			}
		}
	})
}

// TestClassPatterns holds the shortcut by both ends to path.Match.
func TestClassPatterns(t *testing.T) {
	var patterns []string
	for _, r := range classTable {
		patterns = append(append(patterns, r.paths...), r.globs...)
	}
	patterns = append(patterns, `a\*`, `[ab]c`, `x?`, `ab*ab`, `*`)
	for _, pattern := range patterns {
		p := newClassPattern(pattern, "")
		plain := strings.NewReplacer("*", "", "?", "q", `\`, "").Replace(pattern)
		for _, name := range []string{plain, plain + "x", "x" + plain, strings.ReplaceAll(pattern, "*", "mid"), "ab", "abab", "a*", "bc", ""} {
			want, err := path.Match(pattern, name)
			if err != nil {
				t.Fatalf("%s: %v", pattern, err)
			}
			if got := p.match(name); got != want {
				t.Errorf("%s on %q: got %v, path.Match says %v", pattern, name, got, want)
			}
		}
	}
}
