package dep

import (
	"errors"
	"fmt"
	"strings"
)

// readNugetLock reads packages.lock.json. Projects of the solution are no packages.
func readNugetLock(b []byte) ([]Package, error) {
	o, err := jsonObject(b)
	if err != nil {
		return nil, err
	}
	if v, _ := o["version"].(literal); v != "1" && v != "2" {
		return nil, fmt.Errorf("version %q is not read", clip(string(v)))
	}
	frameworks, err := in(o, "dependencies")
	if err != nil {
		return nil, err
	}
	var out []Package
	for _, framework := range sorted(frameworks) {
		m, ok := frameworks[framework].(object)
		if !ok {
			return nil, fmt.Errorf("%q holds no packages", clip(framework))
		}
		for _, name := range sorted(m) {
			e, ok := m[name].(object)
			if !ok {
				return nil, fmt.Errorf("%q is no package", clip(name))
			}
			if text(e["type"]) == "Project" {
				continue
			}
			p := Package{Name: name, Version: text(e["resolved"]), Exact: true, Direct: text(e["type"]) == "Direct", Default: true, Hash: text(e["contentHash"])}
			if p.Hash != "" {
				p.Integrity = Present
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// readMSBuild reads references to packages from a project, a props file or Directory.Packages.props.
// Conditions are not evaluated: what stands there is told, whenever it would count.
func readMSBuild(b []byte) ([]Package, error) {
	root, err := parseXML(b)
	if err != nil {
		return nil, err
	}
	if root.name != "Project" {
		return nil, errors.New("not an MSBuild project")
	}
	var out []Package
	var urls []string
	root.all(func(e *element) {
		switch e.name {
		case "RestoreSources", "RestoreAdditionalProjectSources":
			for u := range strings.SplitSeq(e.text, ";") {
				if u = strings.TrimSpace(u); hostOf(u) != "" {
					urls = append(urls, u)
				}
			}
		case "PackageReference", "PackageVersion", "GlobalPackageReference", "PackageDownload":
			names := e.attr["Include"]
			if names == "" {
				names = e.attr["Update"]
			}
			version := e.attr["Version"]
			if version == "" {
				version = e.get("Version")
			}
			if v := e.attr["VersionOverride"]; v != "" {
				version = v
			}
			for name := range strings.SplitSeq(names, ";") {
				if name = strings.TrimSpace(name); name == "" || strings.ContainsAny(name, "$@%*") {
					continue // of a property or a pattern, which is not evaluated
				}
				assets := e.attr["PrivateAssets"] + e.get("PrivateAssets")
				out = append(out, Package{
					Name: name, Version: version, Exact: exactVersion.MatchString(version), Direct: true,
					Dev: strings.EqualFold(assets, "all"), Default: true, Integrity: Elsewhere,
				})
			}
		}
	})
	return append(out, registries(typeNuget, urls)...), nil
}

// readPackagesConfig reads packages.config.
func readPackagesConfig(b []byte) ([]Package, error) {
	root, err := parseXML(b)
	if err != nil {
		return nil, err
	}
	if root.name != "packages" {
		return nil, errors.New("not a list of NuGet packages")
	}
	var out []Package
	for _, e := range root.children {
		if e.name != "package" {
			continue
		}
		out = append(out, Package{
			Name: e.attr["id"], Version: e.attr["version"], Exact: e.attr["version"] != "", Direct: true,
			Dev: strings.EqualFold(e.attr["developmentDependency"], "true"), Default: true, Integrity: Elsewhere,
		})
	}
	return out, nil
}
