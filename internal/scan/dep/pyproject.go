package dep

import (
	"fmt"
	"strings"
)

// readPyproject reads what pyproject.toml asks for: PEP 621, PEP 735, the build system, and the
// tables of poetry, pdm and uv.
func readPyproject(b []byte) ([]Package, error) {
	o, err := parseTOML(b)
	if err != nil {
		return nil, err
	}
	r := pyproject{}
	project := r.in(o, "project")
	r.list(project, "dependencies", false)
	r.groups(r.in(project, "optional-dependencies"), false)
	r.groups(r.in(o, "dependency-groups"), true)
	r.list(r.in(o, "build-system"), "requires", true)
	tool := r.in(o, "tool")
	uv, pdm, poetry := r.in(tool, "uv"), r.in(tool, "pdm"), r.in(tool, "poetry")
	for _, key := range []string{"dev-dependencies", "override-dependencies", "constraint-dependencies"} {
		r.list(uv, key, key == "dev-dependencies")
	}
	r.groups(r.in(pdm, "dev-dependencies"), true)
	r.poetry(r.in(poetry, "dependencies"), false)
	r.poetry(r.in(poetry, "dev-dependencies"), true)
	group := r.in(poetry, "group")
	for _, name := range sorted(group) {
		r.poetry(r.in(r.in(group, name), "dependencies"), name != "main")
	}
	r.sources(r.in(uv, "sources"))
	for _, from := range []struct {
		in  object
		key string
	}{{uv, "index"}, {poetry, "source"}, {pdm, "source"}} {
		list, err := objectsIn(from.in, from.key)
		r.note(err)
		for _, s := range list {
			r.indexes = append(r.indexes, text(s["url"]))
		}
	}
	for _, key := range []string{"index-url"} {
		r.indexes = append(r.indexes, text(uv[key]))
	}
	extra, err := listIn(uv, "extra-index-url")
	r.note(err)
	for _, v := range extra {
		r.indexes = append(r.indexes, text(v))
	}
	if r.err != nil {
		return nil, r.err
	}
	return append(r.out, registries(typePyPI, r.indexes)...), nil
}

// A pyproject gathers what is read, and the first error.
type pyproject struct {
	out     []Package
	indexes []string
	err     error
}

func (r *pyproject) note(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *pyproject) in(o object, key string) object {
	m, err := in(o, key)
	r.note(err)
	return m
}

func (r *pyproject) list(o object, key string, dev bool) {
	list, err := listIn(o, key)
	r.note(err)
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			if m, isMap := v.(object); isMap && m["include-group"] != nil {
				continue
			}
			r.note(fmt.Errorf("%q holds something else than requirements", key))
			continue
		}
		s = strings.TrimSpace(s)
		if rest, ok := strings.CutPrefix(s, "-e "); ok { // pdm
			s = strings.TrimSpace(rest)
		}
		p, err := parseRequirement(s)
		if err != nil || hostOf(s) != "" && !strings.Contains(s, "@ ") {
			if p, err = bareURL(s); err != nil {
				r.note(fmt.Errorf("%q: %w", clip(s), err))
				continue
			}
			if p.Name == "" {
				continue
			}
		}
		p.Dev = dev
		r.out = append(r.out, p)
	}
}

func (r *pyproject) groups(m object, dev bool) {
	for _, name := range sorted(m) {
		r.list(m, name, dev)
	}
}

func (r *pyproject) poetry(m object, dev bool) {
	for _, name := range sorted(m) {
		if name == "python" {
			continue
		}
		specs := []any{m[name]}
		if list, err := listIn(m, name); err == nil && list != nil {
			specs = list
		}
		for _, spec := range specs {
			p := Package{Name: name, Direct: true, Dev: dev, Default: true, Integrity: Elsewhere}
			switch v := spec.(type) {
			case string:
				p.Version = v
			case object:
				if !r.table(&p, v) {
					continue
				}
			default:
				r.note(fmt.Errorf("%q is no requirement", clip(name)))
				continue
			}
			r.out = append(r.out, p)
		}
	}
}

// table fills in a requirement that is a table; it reports whether it is for a package from elsewhere.
func (r *pyproject) table(p *Package, v object) bool {
	p.Version = text(v["version"])
	switch {
	case v["git"] != nil:
		p.from(typePyPI, "git+"+text(v["git"]))
		p.Default = false
	case v["url"] != nil:
		p.from(typePyPI, text(v["url"]))
		p.Default = false
	case v["path"] != nil, v["workspace"] != nil:
		return false
	}
	return true
}

// sources reads the table with which uv takes packages from elsewhere.
func (r *pyproject) sources(m object) {
	for _, name := range sorted(m) {
		specs := []any{m[name]}
		if list, err := listIn(m, name); err == nil && list != nil {
			specs = list
		}
		for _, spec := range specs {
			v, ok := spec.(object)
			if !ok {
				r.note(fmt.Errorf("the source of %q is no table", clip(name)))
				continue
			}
			p := Package{Name: name, Direct: true, Default: true, Integrity: Elsewhere}
			if !r.table(&p, v) {
				continue
			}
			if index := text(v["index"]); index != "" { // it stands in the list of indexes too
				p.Registry, p.Resolved, p.Default = index, index, false
			}
			r.out = append(r.out, p)
		}
	}
}

// readPipfile reads Pipfile.
func readPipfile(b []byte) ([]Package, error) {
	o, err := parseTOML(b)
	if err != nil {
		return nil, err
	}
	r := pyproject{}
	list, err := objectsIn(o, "source")
	r.note(err)
	for _, s := range list {
		r.indexes = append(r.indexes, text(s["url"]))
	}
	for _, key := range sorted(o) {
		switch key {
		case "source", "requires", "scripts", "pipenv":
			continue
		}
		r.poetry(r.in(o, key), key != "packages")
	}
	if r.err != nil {
		return nil, r.err
	}
	return append(r.out, registries(typePyPI, r.indexes)...), nil
}
