package app

import (
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// TestMendCommands: what each package manager is told, and that a name is never more than a name.
func TestMendCommands(t *testing.T) {
	for _, c := range []struct {
		eco, name, file string
		direct          bool
		want            string // the commands, or a part of what is said in their place
	}{
		{"npm", "left-pad", "package-lock.json", true, "npm install left-pad@2.0.0"},
		{"npm", "@types/node", "web/package-lock.json", true, "npm install @types/node@2.0.0"},
		{"npm", "left-pad", "package-lock.json", false, "npm pkg set overrides.left-pad=2.0.0; npm install"},
		{"npm", "lodash.merge", "package-lock.json", false, "set \"lodash.merge\""},
		{"npm", "left-pad", "yarn.lock", true, "yarn up left-pad@2.0.0"},
		{"npm", "left-pad", "pnpm-lock.yaml", false, "pnpm.overrides"},
		{"golang", "example.com/m", "go.mod", true, "go get example.com/m@2.0.0; go mod tidy"},
		{"pypi", "requests", "uv.lock", true, "uv lock --upgrade-package requests==2.0.0"},
		{"pypi", "requests", "poetry.lock", true, "poetry add requests==2.0.0"},
		{"pypi", "requests", "pdm.lock", true, "pdm add requests==2.0.0"},
		{"pypi", "requests", "Pipfile.lock", true, "pipenv upgrade requests==2.0.0"},
		{"pypi", "requests", "requirements.txt", true, "Write requests==2.0.0 in requirements.txt."},
		{"cargo", "serde", "Cargo.lock", true, "cargo update --package serde@1.0.0 --precise 2.0.0"},
		{"maven", "g:a", "pom.xml", true, "mvn versions:use-dep-version -Dincludes=g:a -DdepVersion=2.0.0"},
		{"maven", "g:a", "gradle.lockfile", true, "--write-locks"},
		{"nuget", "Acme.Lib", "packages.lock.json", true, "dotnet add package Acme.Lib --version 2.0.0"},
		{"gem", "rack", "Gemfile.lock", true, "bundle update --conservative rack"},
		{"composer", "acme/lib", "composer.lock", true, "composer require acme/lib:2.0.0"},
		{"composer", "acme/lib", "composer.lock", false, "composer update acme/lib --with acme/lib:2.0.0"},
		{"other", "x", "x.lock", true, "Write 2.0.0 in x.lock."},
		{"npm", "--registry=https://evil.example", "package-lock.json", true, "looks like an option"},
		{"npm", "a;rm -rf $HOME", "package-lock.json", true, "npm install 'a;rm -rf $HOME@2.0.0'"},
		{"golang", "a'$(id)'", "go.mod", true, `go get 'a'\''$(id)'\''@2.0.0'; go mod tidy`},
	} {
		commands, how := mendCommands(sallyport.Dependency{Ecosystem: c.eco, Name: c.name, Version: "1.0.0", Direct: c.direct, Path: sallyport.Path(c.file)}, "2.0.0")
		var lines []string
		for _, args := range commands {
			lines = append(lines, ShellWords(args))
		}
		got := strings.Join(lines, "; ")
		if len(lines) == 0 && !strings.Contains(how, c.want) || len(lines) > 0 && got != c.want {
			t.Errorf("%s %s in %s: got %q, %q, want %q", c.eco, c.name, c.file, got, how, c.want)
		}
		if strings.Contains(c.file, "/") != strings.Contains(how, "in the folder web") {
			t.Errorf("%s %s in %s: %q", c.eco, c.name, c.file, how)
		}
	}
}
