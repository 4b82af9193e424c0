package dep

import (
	"path"
	"strings"
)

var formats = map[string]*Format{}

func init() {
	for _, f := range []*Format{
		{Name: "package.json", Ecosystem: typeNpm, read: readPackageJSON},
		{Name: "package-lock.json", Ecosystem: typeNpm, Lock: true, read: readPackageLock},
		{Name: "npm-shrinkwrap.json", Ecosystem: typeNpm, Lock: true, read: readPackageLock},
		{Name: "pnpm-lock.yaml", Ecosystem: typeNpm, Lock: true, read: readPnpmLock},
		{Name: "yarn.lock", Ecosystem: typeNpm, Lock: true, read: readYarnLock},
		{Name: "go.mod", Ecosystem: typeGo, Lock: true, read: readGoMod},
		{Name: "go.sum", Ecosystem: typeGo, Lock: true, Sums: true, read: readGoSum},
		{Name: "go.work.sum", Ecosystem: typeGo, Lock: true, Sums: true, read: readGoSum},
		{Name: "cargo.toml", Ecosystem: typeCargo, read: readCargoToml},
		{Name: "cargo.lock", Ecosystem: typeCargo, Lock: true, read: readCargoLock},
		{Name: "pyproject.toml", Ecosystem: typePyPI, read: readPyproject},
		{Name: "pipfile", Ecosystem: typePyPI, read: readPipfile},
		{Name: "pipfile.lock", Ecosystem: typePyPI, Lock: true, read: readPipfileLock},
		{Name: "poetry.lock", Ecosystem: typePyPI, Lock: true, read: readPoetryLock},
		{Name: "uv.lock", Ecosystem: typePyPI, Lock: true, read: readUvLock},
		{Name: "pdm.lock", Ecosystem: typePyPI, Lock: true, read: readPdmLock},
		{Name: "pom.xml", Ecosystem: typeMaven, read: readPom},
		{Name: "gradle.lockfile", Ecosystem: typeMaven, Lock: true, read: readGradleLock},
		{Name: "buildscript-gradle.lockfile", Ecosystem: typeMaven, Lock: true, read: readGradleLock},
		{Name: "libs.versions.toml", Ecosystem: typeMaven, read: readGradleCatalog},
		{Name: "packages.lock.json", Ecosystem: typeNuget, Lock: true, read: readNugetLock},
		{Name: "packages.config", Ecosystem: typeNuget, read: readPackagesConfig},
		{Name: "directory.packages.props", Ecosystem: typeNuget, read: readMSBuild},
		{Name: "directory.build.props", Ecosystem: typeNuget, read: readMSBuild},
		{Name: "gemfile.lock", Ecosystem: typeGem, Lock: true, read: readGemfileLock},
		{Name: "gems.locked", Ecosystem: typeGem, Lock: true, read: readGemfileLock},
		{Name: "composer.json", Ecosystem: typeComposer, read: readComposerJSON},
		{Name: "composer.lock", Ecosystem: typeComposer, Lock: true, read: readComposerLock},
	} {
		formats[f.Name] = f
	}
	// Lock files that nothing reads yet. Knowing their names, a change to one is told as such.
	for _, name := range []string{
		"bun.lock", "bun.lockb", "deno.lock", "pylock.toml", "conda-lock.yml", "pixi.lock", "mix.lock", "rebar.lock", "pubspec.lock", "package.resolved",
		"podfile.lock", "cartfile.resolved", "paket.lock", "conan.lock", "stack.yaml.lock", "cabal.project.freeze", "shard.lock", "renv.lock",
		"dub.selections.json", "gradle.lock", "maven_install.json", "flake.lock", "elm-stuff.json", "kotlin-js-store.lock",
	} {
		formats[name] = &Format{Name: name, Ecosystem: typeOther, Lock: true}
	}
}

var (
	requirementsFile = &Format{Name: "requirements.txt", Ecosystem: typePyPI, read: readRequirements}
	msbuildFile      = &Format{Name: "project", Ecosystem: typeNuget, read: readMSBuild}
	gradleLocks      = &Format{Name: "gradle/dependency-locks", Ecosystem: typeMaven, Lock: true, read: readGradleLock}
	uvScript         = &Format{Name: "uv.lock", Ecosystem: typePyPI, Lock: true, read: readUvLock}
)

// FormatOf returns the format of the file at p, which is written with slashes and in lower case, or
// nil if no package manager would read it as one. What lies in a folder node_modules is a
// package's own, which no package manager reads either.
func FormatOf(p string) *Format {
	if strings.Contains("/"+p, "/"+modules) {
		return nil
	}
	dir, base := path.Split(p)
	if f := formats[base]; f != nil {
		return f
	}
	ext := path.Ext(base)
	switch ext {
	case ".txt", ".in":
		name := strings.TrimSuffix(base, ext)
		if strings.HasPrefix(name, "requirements") || strings.HasSuffix(name, "requirements") || strings.HasPrefix(name, "constraints") ||
			path.Base(dir) == "requirements" {
			return requirementsFile
		}
	case ".csproj", ".fsproj", ".vbproj":
		return msbuildFile
	case ".lockfile":
		if strings.HasSuffix("/"+dir, "/dependency-locks/") {
			return gradleLocks
		}
		if strings.Contains(base, "gradle") {
			return gradleLocks
		}
	case ".lock":
		if strings.HasSuffix(base, ".py.lock") {
			return uvScript
		}
	}
	return nil
}
