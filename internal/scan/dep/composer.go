package dep

import (
	"fmt"
	"strings"
)

// forges are where Packagist's packages lie: it keeps no files itself.
var forges = map[string]bool{
	"api.github.com": true, "github.com": true, "codeload.github.com": true, "gitlab.com": true, "bitbucket.org": true, "api.bitbucket.org": true,
}

// readComposerLock reads composer.lock.
func readComposerLock(b []byte) ([]Package, error) {
	o, err := jsonObject(b)
	if err != nil {
		return nil, err
	}
	if o["packages"] == nil {
		return nil, fmt.Errorf("no packages, nor an empty list of them")
	}
	var out []Package
	for _, key := range []string{"packages", "packages-dev"} {
		list, err := objectsIn(o, key)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			p := Package{Name: text(e["name"]), Version: text(e["version"]), Exact: true, Dev: key == "packages-dev"}
			dist, err := in(e, "dist")
			if err != nil {
				return nil, err
			}
			source, err := in(e, "source")
			if err != nil {
				return nil, err
			}
			if text(dist["type"]) == "path" {
				continue // a folder of the repository
			}
			// Packagist lists most packages without a digest: they are pinned by a commit.
			p.Integrity = Elsewhere
			p.Hash = strings.TrimSpace(text(dist["shasum"]) + " " + text(dist["reference"]) + " " + text(source["reference"]))
			if text(dist["shasum"]) != "" {
				p.Integrity = Present
			}
			composerFrom(&p, text(dist["url"]), text(source["url"]), hostOf(text(e["notification-url"])))
			out = append(out, p)
		}
	}
	return out, nil
}

// composerFrom judges where a package is from. Of one that Packagist lists, file and repository lie
// on a forge, and are of the same project.
func composerFrom(p *Package, dist, source, listed string) {
	url := dist
	if url == "" {
		url = source
	}
	p.from(typeComposer, url)
	host := p.Registry
	p.Resolved = dist + " " + source
	p.Default = false
	switch {
	case listed != "packagist.org" && listed != "repo.packagist.org":
		if listed != "" {
			p.Registry = listed
		}
	case forges[host] && (source == "" || forges[hostOf(source)]):
		p.Registry, p.Default = "packagist.org", true
	}
	if a, b := forgeProject(dist), forgeProject(source); a != "" && b != "" && !strings.EqualFold(a, b) {
		p.Problem = fmt.Sprintf("%s %s would be fetched from another project than its source", p.Name, p.Version)
	}
}

// forgeProject returns owner/name of a URL on GitHub, or "".
func forgeProject(raw string) string {
	for _, prefix := range []string{"https://api.github.com/repos/", "https://github.com/", "https://codeload.github.com/"} {
		if rest, ok := strings.CutPrefix(raw, prefix); ok {
			f := strings.SplitN(rest, "/", 3)
			if len(f) >= 2 {
				return f[0] + "/" + strings.TrimSuffix(f[1], ".git")
			}
		}
	}
	return ""
}

// readComposerJSON reads composer.json. Requirements of the platform (php, ext-…) are no packages.
func readComposerJSON(b []byte) ([]Package, error) {
	o, err := jsonObject(b)
	if err != nil {
		return nil, err
	}
	var out []Package
	for _, key := range []string{"require", "require-dev"} {
		m, err := in(o, key)
		if list, isList := o[key].([]any); isList && len(list) == 0 { // PHP's empty mapping
			m, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, name := range sorted(m) {
			if !strings.Contains(name, "/") {
				continue
			}
			version, ok := m[name].(string)
			if !ok {
				return nil, fmt.Errorf("%q is no requirement", clip(name))
			}
			out = append(out, Package{Name: name, Version: version, Exact: exactVersion.MatchString(version), Direct: true, Dev: key == "require-dev", Default: true, Integrity: Elsewhere})
		}
	}
	urls, err := composerRepositories(o["repositories"])
	if err != nil {
		return nil, err
	}
	return append(out, registries(typeComposer, urls)...), nil
}

func composerRepositories(v any) ([]string, error) {
	var list []any
	switch v := v.(type) {
	case nil:
	case []any:
		list = v
	case object:
		for _, key := range sorted(v) {
			list = append(list, v[key])
		}
	default:
		return nil, fmt.Errorf("the repositories are not read")
	}
	var urls []string
	for _, r := range list {
		m, ok := r.(object)
		if !ok || text(m["type"]) == "path" {
			continue
		}
		if pkg, ok := m["package"].(object); ok { // a package that is described in place
			dist, _ := pkg["dist"].(object)
			source, _ := pkg["source"].(object)
			urls = append(urls, text(dist["url"]), text(source["url"]))
			continue
		}
		urls = append(urls, text(m["url"]))
	}
	return urls, nil
}
