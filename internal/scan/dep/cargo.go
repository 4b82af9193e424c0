package dep

import (
	"errors"
	"fmt"
	"strings"
)

// readCargoLock reads Cargo.lock of versions 1 to 4. Packages without a source lie in the workspace.
func readCargoLock(b []byte) ([]Package, error) {
	o, err := parseTOML(b)
	if err != nil {
		return nil, err
	}
	if v, ok := o["version"].(int64); ok && (v < 1 || v > 4) {
		return nil, fmt.Errorf("version %d is not read", v)
	}
	list, err := objectsIn(o, "package")
	if err != nil {
		return nil, err
	}
	metadata, err := in(o, "metadata") // digests, in version 1
	if err != nil {
		return nil, err
	}
	direct, err := cargoDirect(list, o)
	if err != nil {
		return nil, err
	}
	var out []Package
	for _, e := range list {
		p := Package{Name: text(e["name"]), Version: text(e["version"]), Exact: true, Hash: text(e["checksum"])}
		source := text(e["source"])
		if source == "" {
			continue
		}
		if p.Hash == "" {
			p.Hash = text(metadata[fmt.Sprintf("checksum %s %s (%s)", p.Name, p.Version, source)])
		}
		cargoSource(&p, source)
		if p.Hash != "" {
			p.Integrity = Present
		}
		p.Direct = direct[p.Name] || direct[p.Name+" "+p.Version]
		out = append(out, p)
	}
	return out, nil
}

func cargoSource(p *Package, source string) {
	kind, raw, ok := strings.Cut(source, "+")
	if !ok {
		p.Registry, p.Resolved = "unreadable", source
		return
	}
	p.from(typeCargo, raw)
	switch kind {
	case "registry":
		if strings.TrimSuffix(raw, "/") == "https://github.com/rust-lang/crates.io-index" {
			p.Registry, p.Default = "crates.io", true
		}
	case "sparse":
		if strings.TrimSuffix(raw, "/") == "https://index.crates.io" {
			p.Registry, p.Default = "crates.io", true
		}
	default: // git
		p.Default, p.Integrity = false, Elsewhere
	}
}

// cargoDirect returns what packages of the workspace depend on, as "name" or "name version".
func cargoDirect(list []object, o object) (map[string]bool, error) {
	own := []object{}
	for _, e := range list {
		if text(e["source"]) == "" {
			own = append(own, e)
		}
	}
	root, err := in(o, "root") // the package itself, in version 1
	if err != nil {
		return nil, err
	}
	if root != nil {
		own = append(own, root)
	}
	direct := map[string]bool{}
	for _, e := range own {
		ds, err := listIn(e, "dependencies")
		if err != nil {
			return nil, err
		}
		for _, d := range ds {
			name, _, _ := strings.Cut(text(d), " (")
			direct[name] = true
		}
	}
	return direct, nil
}

// readCargoToml reads the dependencies of Cargo.toml, of every kind and target, and patches.
func readCargoToml(b []byte) ([]Package, error) {
	o, err := parseTOML(b)
	if err != nil {
		return nil, err
	}
	var out []Package
	tables := []object{o}
	for _, key := range []string{"workspace"} {
		t, err := in(o, key)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	for _, key := range []string{"target", "patch"} {
		t, err := in(o, key)
		if err != nil {
			return nil, err
		}
		for _, name := range sorted(t) {
			m, ok := t[name].(object)
			if !ok {
				return nil, fmt.Errorf("%q is not a table", key)
			}
			if key == "patch" {
				m = object{"dependencies": m}
			}
			tables = append(tables, m)
		}
	}
	replace, err := in(o, "replace")
	if err != nil {
		return nil, err
	}
	tables = append(tables, object{"dependencies": replace})
	for _, t := range tables {
		for _, key := range []string{"dependencies", "build-dependencies", "dev-dependencies", "build_dependencies", "dev_dependencies"} {
			var m object
			if v, ok := t[key].(object); ok {
				m = v
			} else if t[key] != nil {
				return nil, fmt.Errorf("%q is not a table", key)
			}
			for _, name := range sorted(m) {
				p := Package{Name: name, Direct: true, Dev: strings.HasPrefix(key, "dev"), Integrity: Elsewhere}
				keep, err := cargoSpec(&p, m[name])
				if err != nil {
					return nil, fmt.Errorf("%q: %w", clip(name), err)
				}
				if keep {
					out = append(out, p)
				}
			}
		}
	}
	return out, nil
}

// cargoSpec fills in a requirement; it reports whether it is for a package from elsewhere.
func cargoSpec(p *Package, v any) (bool, error) {
	switch v := v.(type) {
	case string:
		p.Version, p.Default = v, true
		return true, nil
	case object:
		if name := text(v["package"]); name != "" {
			p.Name = name
		}
		p.Name, _, _ = strings.Cut(p.Name, ":") // a replaced name:version
		p.Version = text(v["version"])
		switch {
		case v["git"] != nil:
			p.from(typeCargo, text(v["git"]))
			p.Default = false
		case v["registry-index"] != nil:
			p.from(typeCargo, text(v["registry-index"]))
		case v["registry"] != nil:
			p.Registry, p.Resolved = text(v["registry"]), text(v["registry"])
		case v["path"] != nil:
			return false, nil
		default:
			p.Default = true
		}
		return true, nil
	}
	return false, errors.New("no requirement")
}
