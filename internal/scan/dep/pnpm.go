package dep

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// readPnpmLock reads pnpm-lock.yaml of versions 5 to 9. A file may hold several documents: pnpm
// keeps what it pins for itself in one of its own.
func readPnpmLock(b []byte) ([]Package, error) {
	docs, err := parseYAML(b)
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, errors.New("the document is empty")
	}
	var out []Package
	for _, d := range docs {
		o, ok := d.(object)
		if !ok {
			return nil, errNoObject
		}
		version, err := strconv.ParseFloat(text(o["lockfileVersion"]), 64)
		if err != nil || version < 5 || version >= 10 {
			return nil, fmt.Errorf("lockfileVersion %q is not read", clip(text(o["lockfileVersion"])))
		}
		if out, err = pnpmDocument(out, o, version); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func pnpmDocument(out []Package, o object, version float64) ([]Package, error) {
	direct, err := pnpmDirect(o, version)
	if err != nil {
		return nil, err
	}
	packages, err := in(o, "packages")
	if err != nil {
		return nil, err
	}
	for _, key := range sorted(packages) {
		e, ok := packages[key].(object)
		if !ok {
			return nil, fmt.Errorf("%q is no package", clip(key))
		}
		name, v := pnpmKey(key, version)
		p := Package{Name: name, Version: v, Exact: true}
		resolution, err := in(e, "resolution")
		if err != nil {
			return nil, err
		}
		if s := text(e["name"]); s != "" {
			p.Name = s
		}
		if s := text(e["version"]); s != "" {
			p.Version = s
		}
		if p.Name == "" || p.Version == "" {
			return nil, fmt.Errorf("%q is no key of a package", clip(key))
		}
		if text(resolution["type"]) == "directory" {
			continue // a folder of the repository
		}
		use, isDirect := direct[pnpmID(name, v)]
		if !isDirect {
			use, isDirect = direct[pnpmID(p.Name, p.Version)]
		}
		p.Direct = isDirect
		p.Dev = isTrue(e["dev"]) || isDirect && use == devOnly
		p.Script = isTrue(e["requiresBuild"])
		p.Hash = text(resolution["integrity"])
		switch {
		case text(resolution["repo"]) != "":
			p.from(typeNpm, "git+"+text(resolution["repo"]))
			p.Default, p.Integrity = false, Elsewhere
			p.Hash = text(resolution["commit"])
		case text(resolution["tarball"]) != "":
			if t := text(resolution["tarball"]); strings.HasPrefix(t, "file:") {
				p.local(t)
			} else {
				p.from(typeNpm, t)
				p.Problem = npmMismatch(&p)
			}
		case text(resolution["registry"]) != "":
			p.from(typeNpm, text(resolution["registry"]))
		default:
			p.Default = true
		}
		if p.Integrity == "" {
			p.Integrity = Missing
			if p.Hash != "" {
				p.Integrity = Present
			}
		}
		out = append(out, p)
	}
	return out, nil
}

type pnpmUse int

const (
	devOnly pnpmUse = iota + 1
	used
)

func pnpmID(name, version string) string { return name + "\x00" + version }

// pnpmDirect returns which packages the projects of a workspace ask for.
func pnpmDirect(o object, version float64) (map[string]pnpmUse, error) {
	direct := map[string]pnpmUse{}
	importers, err := in(o, "importers")
	if err != nil {
		return nil, err
	}
	projects := []object{o}
	for _, name := range sorted(importers) {
		p, ok := importers[name].(object)
		if !ok {
			continue // a project without dependencies
		}
		projects = append(projects, p)
	}
	for _, project := range projects {
		for _, key := range []string{"dependencies", "optionalDependencies", "devDependencies", "configDependencies", "packageManagerDependencies"} {
			m, err := in(project, key)
			if err != nil {
				return nil, err
			}
			for name, v := range m {
				s, ok := v.(string)
				if e, isMap := v.(object); isMap {
					s, ok = text(e["version"]), true
				}
				if !ok {
					return nil, fmt.Errorf("%q has no version", clip(name))
				}
				n, resolved := name, pnpmPlain(s, version)
				// An alias, or what is not from a registry, is written as a key.
				if strings.HasPrefix(s, "/") || version >= 6 && strings.Contains(resolved[min(1, len(resolved)):], "@") {
					n, resolved = pnpmKey(s, version)
				}
				use := used
				if key == "devDependencies" {
					use = devOnly
				}
				id := pnpmID(n, resolved)
				direct[id] = max(direct[id], use)
			}
		}
	}
	return direct, nil
}

// pnpmPlain cuts off which peers a version was resolved with.
func pnpmPlain(v string, version float64) string {
	v, _, _ = strings.Cut(v, "(")
	if version < 6 {
		if i := strings.IndexByte(v, '_'); i > 0 && v[0] >= '0' && v[0] <= '9' {
			v = v[:i]
		}
	}
	return v
}

// pnpmKey takes a key of "packages" apart: /name/1.0.0_peer in version 5, /name@1.0.0(peer) in 6,
// name@1.0.0 in 9. What is not from a registry has its URL in place of the version, or of the key.
func pnpmKey(key string, version float64) (name, v string) {
	key = strings.TrimPrefix(key, "/")
	if version < 6 {
		i := strings.LastIndexByte(key, '/')
		if i < 0 {
			return key, ""
		}
		return key[:i], pnpmPlain(key[i+1:], version)
	}
	plain, _, _ := strings.Cut(key, "(")
	name, v, _ = cutVersion(plain)
	return name, v
}
