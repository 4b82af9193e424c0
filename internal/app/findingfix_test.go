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
		{"golang", "example.com/m", "go.mod", true, "go get example.com/m@v2.0.0; go mod tidy"},
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
		{"npm", "JSONStream", "package-lock.json", true, "npm install JSONStream@2.0.0"},
		{"other", "x", "x.lock", true, "by hand"},
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
		if strings.Contains(c.file, "/") != strings.Contains(how, "in the folder \"web\"") {
			t.Errorf("%s %s in %s: %q", c.eco, c.name, c.file, how)
		}
	}
}

// TestMendByHand: no command is given what its tool could take for something else than a package of the registry.
func TestMendByHand(t *testing.T) {
	for _, c := range []struct{ eco, name, file, version string }{
		{"npm", "--registry=https://evil.example", "package-lock.json", "2.0.0"},
		{"npm", "a;rm -rf $HOME", "package-lock.json", "2.0.0"},
		{"npm", "evil/repo", "package-lock.json", "2.0.0"},
		{"npm", "../up", "package-lock.json", "2.0.0"},
		{"npm", "./here", "package-lock.json", "2.0.0"},
		{"npm", "git+https://evil.example/x.git#", "package-lock.json", "2.0.0"},
		{"npm", "a=b", "package-lock.json", "2.0.0"},
		{"npm", "evil.tgz", "package-lock.json", "2.0.0"},
		{"npm", "a", "package-lock.json", "2.0.0-a.tgz"},
		{"npm", "a", "package-lock.json", "2.0.0 || *"},
		{"npm", "a", "package-lock.json", "npm:evil"},
		{"npm", "@scope/a/b", "yarn.lock", "2.0.0"},
		{"golang", "a'$(id)'", "go.mod", "2.0.0"},
		{"golang", "./cmd", "go.mod", "2.0.0"},
		{"golang", "example.com/../m", "go.mod", "2.0.0"},
		{"golang", "example.com/m", "go.mod", "2.0.0@evil"},
		{"pypi", "evil @ https://evil.example/e.whl ; ", "poetry.lock", "2.0.0"},
		{"pypi", "evil @ https://evil.example/e.whl ; ", "requirements.txt", "2.0.0"},
		{"pypi", "evil[extra]", "uv.lock", "2.0.0"},
		{"pypi", "a", "pdm.lock", "2.0.0 ; python_version > \"0\""},
		{"cargo", "https://evil.example/x", "Cargo.lock", "2.0.0"},
		{"cargo", "file:x", "Cargo.lock", "2.0.0"},
		{"maven", "g:*", "pom.xml", "2.0.0"},
		{"maven", "g:a:jar", "pom.xml", "2.0.0"},
		{"nuget", "a b", "packages.lock.json", "2.0.0"},
		{"nuget", "x.csproj/../a", "packages.lock.json", "2.0.0"},
		{"gem", "-x", "Gemfile.lock", "2.0.0"},
		{"gem", "a/b", "Gemfile.lock", "2.0.0"},
		{"composer", "acme/lib:dev-main", "composer.lock", "2.0.0"},
		{"composer", "acme/lib", "composer.lock", "dev-main"},
	} {
		for _, direct := range []bool{false, true} {
			commands, how := mendCommands(sallyport.Dependency{Ecosystem: c.eco, Name: c.name, Version: "1.0.0", Direct: direct, Path: sallyport.Path(c.file)}, c.version)
			if len(commands) > 0 || !strings.Contains(how, "by hand") || strings.Contains(how, c.name) && len(c.name) > 1 {
				t.Errorf("%s %s %s in %s: %q, %q", c.eco, c.name, c.version, c.file, commands, how)
			}
		}
	}
	if commands, _ := mendCommands(sallyport.Dependency{Ecosystem: "cargo", Name: "serde", Version: "1.0.0 --config x", Path: "Cargo.lock"}, "2.0.0"); len(commands) > 0 {
		t.Errorf("the version in use: %q", commands)
	}
	if got := ShellWords([]string{"a", "b;c $d", "e'f", ""}); got != `a 'b;c $d' 'e'\''f' ''` {
		t.Errorf("got %s", got)
	}
}
