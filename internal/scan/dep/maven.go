package dep

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var mavenProperty = regexp.MustCompile(`\$\{([^${}]+)\}`)

// readPom reads pom.xml: dependencies, managed ones, plugins and extensions, those of profiles
// too, with the properties of the file itself filled in. What a parent says is in another file; a
// version that comes from there is absent here, and one that names an unknown property stays as it
// is written.
func readPom(b []byte) ([]Package, error) {
	root, err := parseXML(b)
	if err != nil {
		return nil, err
	}
	if root.name != "project" {
		return nil, errors.New("not a Maven project")
	}
	parent := root.child("parent")
	props := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			props["project."+key], props["pom."+key] = value, value
		}
	}
	for _, key := range []string{"groupId", "version"} {
		set(key, parent.get(key))
		set("parent."+key, parent.get(key))
	}
	for _, key := range []string{"groupId", "artifactId", "version"} {
		set(key, root.get(key))
	}
	if p := root.child("properties"); p != nil {
		for _, c := range p.children {
			props[c.name] = strings.TrimSpace(c.text)
		}
	}
	fill := func(s string) string {
		for range 8 { // properties of properties
			if !strings.Contains(s, "${") || len(s) > maxField {
				break
			}
			t := mavenProperty.ReplaceAllStringFunc(s, func(m string) string {
				if v, ok := props[m[2:len(m)-1]]; ok {
					return v
				}
				return m
			})
			if t == s {
				break
			}
			s = t
		}
		return s
	}
	var out []Package
	var urls []string
	var broken error
	add := func(e *element, group string, dev bool) {
		p := Package{Direct: true, Dev: dev, Default: true, Integrity: Elsewhere}
		g, a := fill(e.get("groupId")), fill(e.get("artifactId"))
		if g == "" {
			g = group
		}
		p.Version = fill(e.get("version"))
		scope := fill(e.get("scope"))
		p.Dev = dev || scope == "test"
		if g == "" || a == "" {
			broken = errors.New("a dependency without groupId or artifactId")
			return
		}
		p.Name = g + ":" + a
		p.Exact = p.Version != "" && !strings.ContainsAny(p.Version, "[](),$ ")
		if scope == "system" {
			p.local(fill(e.get("systemPath")))
		}
		out = append(out, p)
	}
	if parent != nil {
		add(parent, "", false)
	}
	root.all(func(e *element) {
		for _, c := range e.children {
			switch {
			case e.name == "dependencies" && c.name == "dependency":
				add(c, "", false)
			case e.name == "plugins" && c.name == "plugin":
				add(c, "org.apache.maven.plugins", true)
			case e.name == "extensions" && c.name == "extension":
				add(c, "", true)
			case (e.name == "repositories" && c.name == "repository") || (e.name == "pluginRepositories" && c.name == "pluginRepository"):
				urls = append(urls, fill(c.get("url")))
			}
		}
	})
	if broken != nil {
		return nil, broken
	}
	return append(out, registries(typeMaven, urls)...), nil
}

// readGradleLock reads gradle.lockfile: group:name:version=configurations.
func readGradleLock(b []byte) ([]Package, error) {
	var out []Package
	for n, line := range lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		coordinates, configurations, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("line %d: not a dependency with its configurations", n)
		}
		if coordinates == "empty" {
			continue
		}
		f := strings.Split(coordinates, ":")
		if len(f) != 3 || f[0] == "" || f[1] == "" || f[2] == "" {
			return nil, fmt.Errorf("line %d: not group, name and version", n)
		}
		p := Package{Name: f[0] + ":" + f[1], Version: f[2], Exact: true, Default: true, Integrity: Elsewhere, Dev: true}
		for c := range strings.SplitSeq(configurations, ",") {
			p.Dev = p.Dev && strings.HasPrefix(c, "test")
		}
		out = append(out, p)
	}
	return out, nil
}

// readGradleCatalog reads libs.versions.toml.
func readGradleCatalog(b []byte) ([]Package, error) {
	o, err := parseTOML(b)
	if err != nil {
		return nil, err
	}
	versions, err := in(o, "versions")
	if err != nil {
		return nil, err
	}
	version := func(v any) (string, bool, error) {
		if m, ok := v.(object); ok && m["ref"] != nil {
			ref, ok := versions[text(m["ref"])]
			if !ok {
				return "", false, fmt.Errorf("no version is called %q", clip(text(m["ref"])))
			}
			v = ref
		}
		switch v := v.(type) {
		case nil:
			return "", false, nil
		case string:
			return v, v != "" && !strings.ContainsAny(v, "[](),+ !"), nil
		case object:
			var parts []string
			for _, key := range sorted(v) {
				parts = append(parts, key+" "+fmt.Sprint(v[key]))
			}
			return strings.Join(parts, ", "), false, nil
		}
		return "", false, errors.New("a version that is not read")
	}
	var out []Package
	for _, key := range []string{"libraries", "plugins"} {
		m, err := in(o, key)
		if err != nil {
			return nil, err
		}
		for _, alias := range sorted(m) {
			p := Package{Direct: true, Dev: key == "plugins", Default: true, Integrity: Elsewhere}
			switch v := m[alias].(type) {
			case string:
				i := strings.LastIndexByte(v, ':')
				if i < 0 {
					return nil, fmt.Errorf("%q is no dependency", clip(alias))
				}
				p.Name = v[:i]
				p.Version, p.Exact, err = version(v[i+1:])
			case object:
				p.Name = text(v["module"])
				if p.Name == "" && v["group"] != nil {
					p.Name = text(v["group"]) + ":" + text(v["name"])
				}
				if id := text(v["id"]); id != "" {
					p.Name = id
				}
				p.Version, p.Exact, err = version(v["version"])
			default:
				err = errors.New("no dependency")
			}
			if err != nil {
				return nil, fmt.Errorf("%q: %w", clip(alias), err)
			}
			if key == "plugins" && p.Name != "" { // the artifact that Gradle looks for
				p.Name += ":" + p.Name + ".gradle.plugin"
			}
			group, artifact, _ := strings.Cut(p.Name, ":")
			if group == "" || artifact == "" || strings.Contains(artifact, ":") {
				return nil, fmt.Errorf("%q is no dependency", clip(alias))
			}
			out = append(out, p)
		}
	}
	return out, nil
}
