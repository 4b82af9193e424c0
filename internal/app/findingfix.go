package app

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/advisory"
	"github.com/sallyport-dev/sallyport/internal/scan/dep"
)

// A FindingFix is what would mend a finding. Nothing of it is done.
type FindingFix struct {
	Finding FindingView `json:"finding"`
	// Version is the lowest one above that in use that the database knows nothing against; empty if it knows none.
	Version string `json:"version,omitempty"`
	// Commands are those of the package manager, each as its arguments.
	Commands [][]string `json:"commands"`
	Text     string     `json:"text"`  // what to do, in a sentence or two
	Known    bool       `json:"known"` // there is something that mends it
}

// Err says that nothing is known that mends it.
func (x *FindingFix) Err() error {
	if x.Known {
		return nil
	}
	return withHint(errors.New("nothing is known that mends the finding"), "sallyport finding accept holds it off for a time, if policy lets it")
}

// FindingFix says what would mend a finding of the change that o is about: for a vulnerable package the lowest
// version that no known advisory is about, and the command that would take it.
func (a *App) FindingFix(ctx context.Context, o Options, id string) (_ *FindingFix, err error) {
	r, l, err := a.findings(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, r.Close)
	f, err := l.find(id)
	if err != nil {
		return nil, err
	}
	res := &FindingFix{Finding: f, Commands: [][]string{}, Known: true}
	switch f.Kind {
	case sallyport.FindingVulnerability, sallyport.FindingMalicious:
		about, ok := r.known.About[f.ID]
		if !ok || r.known.DB == nil {
			return nil, errors.New("the advisory database that told of the finding is not there any more")
		}
		res.mend(r.known.DB, about.Entry)
	case sallyport.FindingSecret:
		res.Text = "Rotate it where it was issued, and see what it was used for: whoever could read the branch has it. Then take it out of the commits that hold it, " +
			"not only out of the file. An exception is for what is no secret."
	case sallyport.FindingAdvisory:
		res.Text = adviceNext(f.Rule)
	case sallyport.FindingUnknownPackage:
		res.Text = "If another package was meant, ask for that one, and make the lock file anew. If this one is new, bring a newer index: sallyport advisory names TYPE=FILE."
	case sallyport.FindingNewPackage:
		res.Text = "Wait until it is old enough, or ask for another package. If somebody has looked at it, they accept the finding."
	case sallyport.FindingLookAlike:
		res.Text = "If the well-known package was meant, ask for that one, and make the lock file anew. If not, somebody who knows the package accepts the finding."
	case sallyport.FindingDependency:
		res.Text = "Make the lock file anew from its manifest, and compare what changes."
	case sallyport.FindingUnicode:
		res.Text = "Take the characters out that nobody can see, or write them as escapes."
	default:
		res.Known = false
		res.Text = "Nothing here knows what mends it. docs/reasons.md says under " + f.Code + " what is meant."
	}
	return res, nil
}

func adviceNext(rule string) string {
	switch rule {
	case "unpinned":
		return "Bring the lock file that says which version is meant."
	case "version":
		return "Pin a version that the ecosystem can compare with others."
	case "names":
		return "Bring an index of the registry's names, with days where their age counts: sallyport advisory names TYPE=FILE."
	case "unsigned":
		return "Import records that somebody signed whom the trust file names for it: sallyport advisory import PATH... --signature FILE."
	case "unread":
		return "Nothing here reads the file: a person has to look at what it brings."
	}
	return "Import whole and newer records: sallyport advisory update, or sallyport advisory import PATH... --covers ECOSYSTEM."
}

// mend says which version of a package to use in place of the one that an entry names.
func (x *FindingFix) mend(db *advisory.DB, e sallyport.Dependency) {
	version := e.Version
	if _, _, _, v, err := dep.ParsePurl(e.Purl); err != nil || v == "" {
		x.Known = false
		x.Text = fmt.Sprintf("%s is asked for as %q, and an advisory is about all versions. Take it out.", e.Name, e.Version)
		return
	}
	m := db.Mend(advisory.Package{Type: e.Ecosystem, Name: e.Name, Version: version})
	if m.Version == "" {
		x.Known = false
		x.Text = fmt.Sprintf("No version of %s is known to mend it: %s. Take it out, or another package in its place.", e.Name, m.Why)
		if x.Finding.malicious {
			x.Text = fmt.Sprintf("%s %s is malicious, and no version above it is known that is not. Take it out, and treat every machine that installed it as broken into.", e.Name, version)
		}
		return
	}
	x.Version = m.Version
	x.Text = fmt.Sprintf("%s %s is the lowest version above %s that no advisory here is about.", e.Name, m.Version, version)
	if m.Passed > 0 {
		x.Text += fmt.Sprintf(" %d lower ones mend one advisory, and another is about them.", m.Passed)
	}
	if !m.Whole {
		x.Text += " The database does not have all advisories of the ecosystem."
	}
	if x.Finding.malicious {
		x.Text += " The one in use is malicious: treat every machine that installed it as broken into."
	}
	commands, how := mendCommands(e, m.Version)
	if x.Commands = commands; how != "" {
		x.Text += " " + how
	}
}

// mendCommands are what the package manager whose file names the entry would do. The name is an author's, and the version one
// of a record's: a command is given neither unless the ecosystem's grammar has it, since a tool may take another text for an
// address, a file or an option, and run what it finds there.
func mendCommands(e sallyport.Dependency, version string) (commands [][]string, how string) {
	commands = [][]string{}
	if e.Ecosystem == "golang" && !strings.HasPrefix(version, "v") {
		version = "v" + version // records leave it out, and go would look for a branch of that name
	}
	if !dep.Plain(e.Ecosystem, e.Name, version) || e.Ecosystem == "cargo" && !dep.Plain(e.Ecosystem, e.Name, e.Version) {
		return commands, "A package manager could take its name or version for something else: change the file by hand."
	}
	at := e.Name + "@" + version
	file := strings.ToLower(path.Base(string(e.Path)))
	run := func(args ...string) { commands = append(commands, args) }
	switch e.Ecosystem {
	case "npm":
		switch {
		case file == "yarn.lock" && e.Direct:
			run("yarn", "up", at)
			how = "(With yarn 1: yarn upgrade.)"
		case file == "pnpm-lock.yaml" && e.Direct:
			run("pnpm", "update", at)
		case e.Direct:
			run("npm", "install", at)
		case file == "yarn.lock", file == "pnpm-lock.yaml", strings.Contains(e.Name, "."): // npm pkg takes a dot for a step down
			return commands, fmt.Sprintf("It comes along with another package: set %q to %q in package.json, under overrides (npm), pnpm.overrides or resolutions (yarn), and install.", e.Name, version)
		default:
			run("npm", "pkg", "set", "overrides."+e.Name+"="+version)
			run("npm", "install")
		}
	case "golang":
		run("go", "get", at)
		run("go", "mod", "tidy")
	case "pypi":
		pin := e.Name + "==" + version
		switch file {
		case "uv.lock":
			run("uv", "lock", "--upgrade-package", pin)
		case "poetry.lock":
			run("poetry", "add", pin)
		case "pdm.lock":
			run("pdm", "add", pin)
		case "pipfile", "pipfile.lock":
			run("pipenv", "upgrade", pin)
		default:
			how = fmt.Sprintf("Write %s in %s.", pin, e.Path)
		}
	case "cargo":
		run("cargo", "update", "--package", e.Name+"@"+e.Version, "--precise", version)
	case "maven":
		if file == "pom.xml" {
			run("mvn", "versions:use-dep-version", "-Dincludes="+e.Name, "-DdepVersion="+version)
		} else {
			how = fmt.Sprintf("Constrain %s to %s in the build file, and write the locks: gradle dependencies --write-locks.", e.Name, version)
		}
	case "nuget":
		run("dotnet", "add", "package", e.Name, "--version", version)
	case "gem":
		run("bundle", "update", "--conservative", e.Name)
		how = fmt.Sprintf("First ask for %q in the Gemfile.", ">= "+version)
	case "composer":
		if e.Direct {
			run("composer", "require", e.Name+":"+version)
		} else {
			run("composer", "update", e.Name, "--with", e.Name+":"+version)
		}
	default:
		how = fmt.Sprintf("Write %s in %s.", version, e.Path)
	}
	if len(commands) > 0 && path.Dir(string(e.Path)) != "." {
		how = strings.TrimSpace(how + fmt.Sprintf(" Run it in the folder %q.", path.Dir(string(e.Path))))
	}
	return commands, how
}

// ShellWords writes a command as a shell takes it: words of an author are quoted, and stay words.
func ShellWords(args []string) string {
	var out []string
	for _, a := range args {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("@/._:+=-", r)
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}
