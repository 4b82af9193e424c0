package dep

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// npmSpec fills in what a requirement of a package.json says: a range, or where from. It reports
// whether the entry is a package at all: one of the project's own is not.
func npmSpec(p *Package, spec string) bool {
	p.Version, p.Integrity = spec, Elsewhere
	switch {
	case strings.HasPrefix(spec, "workspace:"), strings.HasPrefix(spec, "link:"), strings.HasPrefix(spec, "portal:"):
		return false
	case strings.HasPrefix(spec, "npm:"):
		if name, version, ok := cutVersion(spec[len("npm:"):]); ok {
			p.Name, p.Version = name, version
		} else if name := spec[len("npm:"):]; name != "" && !strings.ContainsAny(name[:1], "0123456789^~*<>=") {
			p.Name, p.Version = name, "" // berry writes npm:^1.0.0 for a plain range
		} else {
			p.Version = name
		}
		p.Default = true
	case strings.HasPrefix(spec, "file:"), strings.HasPrefix(spec, "./"), strings.HasPrefix(spec, "../"), strings.HasPrefix(spec, "/"), strings.HasPrefix(spec, "~/"):
		p.local(spec)
		return true
	case strings.HasPrefix(spec, "catalog:"), strings.HasPrefix(spec, "$"): // a reference to another entry
		p.Default = true
		return true
	case hostOf(spec) != "":
		p.from(typeNpm, spec)
		return true
	case strings.Contains(spec, "/"): // owner/repository
		p.from(typeNpm, spec)
		p.Registry, p.Default = "github.com", false
		return true
	default:
		p.Default = true
	}
	p.Exact = exactVersion.MatchString(p.Version)
	return true
}

// cutVersion cuts name@version; a scope's @ is part of the name.
func cutVersion(s string) (name, version string, ok bool) {
	if len(s) < 2 {
		return s, "", false
	}
	i := strings.IndexByte(s[1:], '@')
	if i < 0 {
		return s, "", false
	}
	return s[:i+1], s[i+2:], true
}

func readPackageJSON(b []byte) ([]Package, error) {
	o, err := jsonObject(b)
	if err != nil {
		return nil, err
	}
	var out []Package
	for _, key := range []string{"dependencies", "optionalDependencies", "peerDependencies", "devDependencies"} {
		m, err := in(o, key)
		if err != nil {
			return nil, err
		}
		for _, name := range sorted(m) {
			p := Package{Name: name, Direct: true, Dev: key == "devDependencies"}
			spec, ok := m[name].(string)
			if !ok {
				return nil, fmt.Errorf("%q is no requirement", clip(name))
			}
			if npmSpec(&p, spec) {
				out = append(out, p)
			}
		}
	}
	pnpm, err := in(o, "pnpm")
	if err != nil {
		return nil, err
	}
	for _, from := range []struct {
		in  object
		key string
	}{{o, "overrides"}, {o, "resolutions"}, {pnpm, "overrides"}} {
		m, err := in(from.in, from.key)
		if err != nil {
			return nil, err
		}
		if out, err = overrides(out, m, 0); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// overrides reads what is put in a package's place wherever it is asked for.
func overrides(out []Package, m object, depth int) ([]Package, error) {
	for _, key := range sorted(m) {
		switch v := m[key].(type) {
		case object:
			if depth > maxDepth {
				return nil, fmt.Errorf("nested too deeply")
			}
			var err error
			if out, err = overrides(out, v, depth+1); err != nil {
				return nil, err
			}
		case string:
			if key == "." || v == "" || v == "-" { // its parent's own version; nothing; removed
				continue
			}
			p := Package{Name: overridden(key), Direct: true}
			if npmSpec(&p, v) {
				out = append(out, p)
			}
		default:
			return nil, fmt.Errorf("the override of %q is not read", clip(key))
		}
	}
	return out, nil
}

// overridden returns the name at the end of a path like parent/**/@scope/name or a@1>b@2.
func overridden(key string) string {
	// What follows the last > is the name, unless that is part of a version.
	if i := strings.LastIndexByte(key, '>'); i >= 0 && i+1 < len(key) && (key[i+1] == '@' || key[i+1]|0x20 >= 'a' && key[i+1]|0x20 <= 'z') {
		key = key[i+1:]
	}
	parts := strings.Split(key, "/")
	name := parts[len(parts)-1]
	if n := len(parts); n > 1 && strings.HasPrefix(parts[n-2], "@") {
		name = parts[n-2] + "/" + name
	}
	name, _, _ = cutVersion(name)
	return name
}

func readPackageLock(b []byte) ([]Package, error) {
	o, err := jsonObject(b)
	if err != nil {
		return nil, err
	}
	version, _ := o["lockfileVersion"].(literal)
	switch version {
	case "1", "2", "3":
	case "":
		if o["dependencies"] == nil && o["packages"] == nil {
			return nil, fmt.Errorf("no lockfileVersion")
		}
	default:
		return nil, fmt.Errorf("lockfileVersion %s is not read", clip(string(version)))
	}
	packages, err := in(o, "packages")
	if err != nil {
		return nil, err
	}
	out, err := lockPackages(packages)
	if err != nil {
		return nil, err
	}
	// Version 2 says everything twice, and older and newer npm read one each. What either reads
	// is told.
	if out, err = lockDependencies(out, o, packages, 0); err != nil {
		return nil, err
	}
	return preferKnown(out), nil
}

// preferKnown drops the second telling of a package of which another entry says the same and more.
func preferKnown(ps []Package) []Package {
	type id struct{ name, version, resolved, hash string }
	direct := map[id]bool{}
	for _, p := range ps {
		if p.Direct {
			direct[id{p.Name, p.Version, p.Resolved, p.Hash}] = true
		}
	}
	for i := range ps {
		p := &ps[i]
		p.Direct = p.Direct || direct[id{p.Name, p.Version, p.Resolved, p.Hash}]
	}
	return ps
}

const modules = "node_modules/"

// lockPackages reads the mapping "packages" of versions 2 and 3, by folder.
func lockPackages(packages object) ([]Package, error) {
	direct := map[string]bool{}
	for _, folder := range sorted(packages) {
		if strings.Contains("/"+folder, "/"+modules) {
			continue
		}
		own, ok := packages[folder].(object)
		if !ok {
			return nil, fmt.Errorf("%q is no package", clip(folder))
		}
		for _, key := range []string{"dependencies", "devDependencies", "optionalDependencies", "peerDependencies"} {
			m, err := in(own, key)
			if err != nil {
				return nil, err
			}
			for name := range m {
				at := path.Join(folder, modules, name)
				if packages[at] == nil {
					at = modules + name
				}
				direct[at] = true
			}
		}
	}
	out := make([]Package, 0, len(packages))
	for _, folder := range sorted(packages) {
		e, ok := packages[folder].(object)
		if !ok {
			return nil, fmt.Errorf("%q is no package", clip(folder))
		}
		i := strings.LastIndex("/"+folder, "/"+modules)
		if i < 0 || isTrue(e["link"]) {
			continue // the project's own
		}
		p := Package{
			Name: folder[i+len(modules):], Version: text(e["version"]), Direct: direct[folder],
			Dev: isTrue(e["dev"]) || isTrue(e["devOptional"]), Script: isTrue(e["hasInstallScript"]),
		}
		if name := text(e["name"]); name != "" {
			p.Name = name
		}
		npmResolved(&p, text(e["resolved"]), text(e["integrity"]), isTrue(e["inBundle"]))
		out = append(out, p)
	}
	return out, nil
}

// lockDependencies reads the tree "dependencies" of versions 1 and 2.
func lockDependencies(out []Package, o, packages object, depth int) ([]Package, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested too deeply")
	}
	m, err := in(o, "dependencies")
	if err != nil {
		return nil, err
	}
	for _, name := range sorted(m) {
		e, ok := m[name].(object)
		if !ok {
			return nil, fmt.Errorf("%q is no package", clip(name))
		}
		if link, _ := packages[modules+name].(object); depth == 0 && link != nil && isTrue(link["link"]) && strings.HasPrefix(text(e["version"]), "file:") {
			continue
		}
		p := Package{Name: name, Version: text(e["version"]), Dev: isTrue(e["dev"])}
		resolved := text(e["resolved"])
		if alias, ok := strings.CutPrefix(p.Version, "npm:"); ok {
			p.Name, p.Version, _ = cutVersion(alias)
		} else if hostOf(p.Version) != "" || strings.HasPrefix(p.Version, "file:") {
			resolved = p.Version
		}
		at := modules + name
		if e2, _ := packages[at].(object); depth == 0 && e2 != nil && text(e2["version"]) != "" && text(e2["resolved"]) == resolved && resolved != "" {
			p.Version = text(e2["version"]) // of a package from git, which version 1 does not tell
			p.Script = isTrue(e2["hasInstallScript"])
			p.Dev = p.Dev || isTrue(e2["devOptional"])
			if n := text(e2["name"]); n != "" {
				p.Name = n
			}
		}
		npmResolved(&p, resolved, text(e["integrity"]), isTrue(e["bundled"]))
		out = append(out, p)
		if out, err = lockDependencies(out, e, packages, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// npmResolved fills in what the lock entry of p says about its tarball.
func npmResolved(p *Package, resolved, integrity string, bundled bool) {
	p.from(typeNpm, resolved)
	p.Hash = integrity
	p.Exact = true
	switch {
	case hostOf(p.Version) != "" || strings.HasPrefix(p.Version, "file:"):
		p.Exact = false
	}
	switch {
	case integrity != "":
		p.Integrity = Present
	case bundled, isGit(resolved): // inside its parent's tarball; pinned by a commit
		p.Integrity = Elsewhere
	default:
		p.Integrity = Missing
	}
	p.Problem = npmMismatch(p)
}

// npmMismatch returns what is wrong with the URL of a tarball. Registries keep the tarball of
// @scope/name at /@scope/name/-/name-version.tgz; a lock file that names one package and points at
// another installs the other.
func npmMismatch(p *Package) string {
	u, err := url.Parse(p.Resolved)
	if err != nil || p.Resolved == "" || u.Host == "" || isGit(p.Resolved) {
		return ""
	}
	name, file, ok := strings.Cut(u.Path, "/-/")
	if !ok {
		if !p.Default {
			return ""
		}
		return fmt.Sprintf("%s %s is at a place of its registry where no package is", p.Name, p.Version)
	}
	_, base := path.Split(p.Name)
	// Versions of long ago may differ in what follows a plus, which the file's name leaves out.
	version, _, _ := strings.Cut(p.Version, "+")
	plain, _, _ := strings.Cut(file, "+")
	plain = strings.TrimSuffix(plain, ".tgz")
	if "/"+p.Name != name && !(strings.HasSuffix(name, "/"+p.Name) && !p.Default) {
		return fmt.Sprintf("%s %s would be fetched from the address of another package", p.Name, p.Version)
	}
	if plain != base+"-"+version && file != "@"+p.Name[:max(0, len(p.Name)-len(base))]+base+"-"+version+".tgz" && plain != p.Name+"-"+version {
		return fmt.Sprintf("%s %s would be fetched from the address of another version", p.Name, p.Version)
	}
	return ""
}
