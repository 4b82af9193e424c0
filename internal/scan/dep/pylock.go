package dep

import (
	"errors"
	"fmt"
	"strings"
)

// readPoetryLock reads poetry.lock. It does not tell what the project asks for itself.
func readPoetryLock(b []byte) ([]Package, error) {
	o, list, err := tomlPackages(b)
	if err != nil {
		return nil, err
	}
	meta, err := in(o, "metadata")
	if err != nil {
		return nil, err
	}
	files, err := in(meta, "files") // until version 1.1 of the format
	if err != nil {
		return nil, err
	}
	hashes, err := in(meta, "hashes") // before 1.0
	if err != nil {
		return nil, err
	}
	var out []Package
	for _, e := range list {
		p := Package{Name: text(e["name"]), Version: text(e["version"]), Exact: true, Dev: text(e["category"]) == "dev"}
		if groups, err := joined(e, "groups"); err == nil && groups != "" && !strings.Contains(" "+groups+" ", " main ") {
			p.Dev = true
		}
		source, err := in(e, "source")
		if err != nil {
			return nil, err
		}
		switch text(source["type"]) {
		case "":
			p.Default = true
		case "git":
			p.from(typePyPI, "git+"+text(source["url"]))
			p.Default, p.Integrity, p.Hash = false, Elsewhere, text(source["resolved_reference"])
		case "directory":
			continue
		case "file":
			p.local(text(source["url"]))
		default: // legacy: another index; url: a file
			p.from(typePyPI, text(source["url"]))
			if text(source["type"]) == "url" {
				p.Default = false
			}
		}
		if p.Hash == "" {
			if p.Hash, err = fileHashes(e, "files"); err != nil {
				return nil, err
			}
		}
		if p.Hash == "" {
			if p.Hash, err = fileHashes(files, p.Name); err != nil {
				return nil, err
			}
		}
		if p.Hash == "" {
			if p.Hash, err = joined(hashes, p.Name); err != nil {
				return nil, err
			}
		}
		if p.Hash != "" && p.Integrity == "" {
			p.Integrity = Present
		}
		out = append(out, p)
	}
	return out, nil
}

// tomlPackages returns a lock file in TOML with its list "package".
func tomlPackages(b []byte) (object, []object, error) {
	o, err := parseTOML(b)
	if err != nil {
		return nil, nil, err
	}
	list, err := objectsIn(o, "package")
	if err == nil && len(list) == 0 && o["metadata"] == nil && o["version"] == nil {
		err = errors.New("no packages, nor anything else of a lock file")
	}
	return o, list, err
}

// fileHashes returns the digests of a list of files.
func fileHashes(o object, key string) (string, error) {
	list, err := objectsIn(o, key)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, f := range list {
		if h := text(f["hash"]); h != "" {
			parts = append(parts, h)
		}
	}
	return strings.Join(parts, " "), nil
}

// readUvLock reads uv.lock.
func readUvLock(b []byte) ([]Package, error) {
	o, list, err := tomlPackages(b)
	if err != nil {
		return nil, err
	}
	if v, ok := o["version"].(int64); !ok || v != 1 {
		return nil, fmt.Errorf("version %v is not read", o["version"])
	}
	if list2, err := objectsIn(o, "distribution"); err == nil && len(list) == 0 { // of its first months
		list = list2
	}
	direct := map[string]bool{}
	dev := map[string]bool{}
	for _, e := range list {
		if source, _ := in(e, "source"); source["editable"] == nil && source["virtual"] == nil && source["directory"] == nil {
			continue
		}
		if err := uvDirect(e, direct, dev); err != nil {
			return nil, err
		}
	}
	var out []Package
	for _, e := range list {
		source, err := in(e, "source")
		if err != nil {
			return nil, err
		}
		if source["editable"] != nil || source["virtual"] != nil || source["directory"] != nil {
			continue // the project's own
		}
		name := text(e["name"])
		p := Package{Name: name, Version: text(e["version"]), Exact: true, Direct: direct[name] || dev[name], Dev: dev[name] && !direct[name]}
		var hashes []string
		dists, err := objectsIn(e, "wheels")
		if err != nil {
			return nil, err
		}
		if sdist, err := in(e, "sdist"); err != nil {
			return nil, err
		} else if sdist != nil {
			dists = append(dists, sdist)
		}
		switch {
		case source["git"] != nil:
			p.from(typePyPI, "git+"+text(source["git"]))
			p.Default, p.Integrity = false, Elsewhere
		case source["registry"] != nil:
			p.from(typePyPI, text(source["registry"]))
		case source["url"] != nil:
			p.from(typePyPI, text(source["url"]))
			p.Default = false
		case source["path"] != nil:
			p.local(text(source["path"]))
		default:
			return nil, fmt.Errorf("%q has no source that is read", clip(name))
		}
		for _, d := range dists {
			h, u := text(d["hash"]), text(d["url"])
			if h == "" && p.Integrity == "" {
				p.Integrity = Missing
			}
			hashes = append(hashes, h)
			if u != "" && p.Problem == "" && p.Default && !pythonFile(u) {
				p.Problem = fmt.Sprintf("%s %s would be fetched from another place than its registry", p.Name, p.Version)
			}
		}
		p.Hash = strings.TrimSpace(strings.Join(hashes, " "))
		if p.Integrity == "" && p.Hash != "" {
			p.Integrity = Present
		}
		out = append(out, p)
	}
	return out, nil
}

// pythonFile reports whether the URL of a file is where PyPI keeps files.
func pythonFile(raw string) bool {
	p := Package{}
	p.from(typePyPI, raw)
	return p.Default
}

// uvDirect notes what a project of the workspace asks for.
func uvDirect(e object, direct, dev map[string]bool) error {
	note := func(o object, key string, to map[string]bool) error {
		ds, err := objectsIn(o, key)
		for _, d := range ds {
			to[text(d["name"])] = true
		}
		return err
	}
	if err := note(e, "dependencies", direct); err != nil {
		return err
	}
	for _, g := range []struct {
		key string
		to  map[string]bool
	}{{"optional-dependencies", direct}, {"dev-dependencies", dev}} {
		m, err := in(e, g.key)
		if err != nil {
			return err
		}
		for name := range m {
			if err := note(m, name, g.to); err != nil {
				return err
			}
		}
	}
	return nil
}

// readPdmLock reads pdm.lock, and pylock.toml (PEP 751) is another format that it is not.
func readPdmLock(b []byte) ([]Package, error) {
	o, list, err := tomlPackages(b)
	if err != nil {
		return nil, err
	}
	meta, err := in(o, "metadata")
	if err != nil {
		return nil, err
	}
	files, err := in(meta, "files") // before version 4.3
	if err != nil {
		return nil, err
	}
	var out []Package
	for _, e := range list {
		p := Package{Name: text(e["name"]), Version: text(e["version"]), Exact: true}
		if groups, err := joined(e, "groups"); err == nil && groups != "" && !strings.Contains(" "+groups+" ", " default ") {
			p.Dev = true
		}
		switch {
		case e["git"] != nil:
			p.from(typePyPI, "git+"+text(e["git"]))
			p.Default, p.Integrity = false, Elsewhere
		case e["url"] != nil:
			p.from(typePyPI, text(e["url"]))
			p.Default = false
		case e["path"] != nil:
			continue
		default:
			p.Default = true
		}
		if p.Hash, err = fileHashes(e, "files"); err != nil {
			return nil, err
		}
		if p.Hash == "" {
			if p.Hash, err = fileHashes(files, p.Name+" "+p.Version); err != nil {
				return nil, err
			}
		}
		if p.Hash != "" {
			p.Integrity = Present
		}
		fs, err := objectsIn(e, "files")
		if err != nil {
			return nil, err
		}
		for _, f := range fs {
			if u := text(f["url"]); u != "" && p.Default && !pythonFile(u) {
				p.from(typePyPI, u) // another index, which pdm tells by the file
			}
		}
		out = append(out, p)
	}
	return out, nil
}
