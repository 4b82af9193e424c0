//go:build peers

package dependencies

import (
	"encoding/json"
	"encoding/xml"
	"regexp"
	"strings"
)

// own returns the names that a lock file gives to parts of the repository itself. It is written
// apart from the readers, so that they cannot excuse themselves.
func own(base string, b []byte) map[string]bool {
	out := map[string]bool{}
	switch base {
	case "package-lock.json":
		var lock struct {
			Name     string
			Packages map[string]struct {
				Name string
				Link bool
			}
		}
		if json.Unmarshal(b, &lock) != nil {
			return nil
		}
		for folder, p := range lock.Packages {
			if i := strings.LastIndex(folder, "node_modules/"); i < 0 || p.Link {
				out[p.Name], out[folder] = true, true
				if i >= 0 {
					out[folder[i+len("node_modules/"):]] = true
				}
			}
		}
	case "yarn.lock":
		for _, m := range regexp.MustCompile(`(?m)^  resolution: "(@?[^@]+)@(?:workspace|link|portal):`).FindAllSubmatch(b, -1) {
			out[string(m[1])] = true
		}
		for _, m := range regexp.MustCompile(`(?m)^"?(@?[^@"]+)@(?:link|file):`).FindAllSubmatch(b, -1) {
			out[string(m[1])] = true
		}
	case "poetry.lock", "uv.lock", "pdm.lock":
		for _, part := range strings.Split(string(b), "[[package]]") {
			if name := regexp.MustCompile(`(?m)^name = "([^"]+)"`).FindStringSubmatch(part); name != nil &&
				regexp.MustCompile(`(?m)^source = \{ (?:editable|virtual|directory) =|^type = "directory"|^path = `).MatchString(part) {
				out[name[1]] = true
			}
		}
	case "Gemfile.lock":
		section := ""
		for _, line := range strings.Split(string(b), "\n") {
			if line != "" && line[0] != ' ' {
				section = line
			}
			if m := regexp.MustCompile(`^    (\S+) \(`).FindStringSubmatch(line); m != nil && section == "PATH" {
				out[m[1]] = true
			}
		}
	case "packages.lock.json":
		for _, m := range regexp.MustCompile(`(?i)"([^"]+)":\s*\{\s*"type":\s*"Project"`).FindAllSubmatch(b, -1) {
			out[string(m[1])] = true
		}
	case "pnpm-lock.yaml":
		for _, m := range regexp.MustCompile(`(?m)^ {6}'?([^\s':]+)'?:\n {8}specifier: .*\n {8}version: link:`).FindAllSubmatch(b, -1) {
			out[string(m[1])] = true
		}
	}
	delete(out, "")
	return out
}

// poms adds to r what a pom.xml calls itself and what its dependencies are.
func poms(b []byte, r *reading) {
	type dependencies struct {
		Dependency []struct {
			GroupID    string `xml:"groupId"`
			ArtifactID string `xml:"artifactId"`
		} `xml:"dependency"`
	}
	var pom struct {
		ArtifactID   string       `xml:"artifactId"`
		Dependencies dependencies `xml:"dependencies"`
		Profiles     []struct {
			Dependencies dependencies `xml:"dependencies"`
		} `xml:"profiles>profile"`
	}
	if xml.Unmarshal(b, &pom) != nil {
		return
	}
	r.own[pom.ArtifactID] = true
	all := []dependencies{pom.Dependencies}
	for _, p := range pom.Profiles {
		all = append(all, p.Dependencies)
	}
	for _, ds := range all {
		for _, d := range ds.Dependency {
			r.direct[strings.TrimSpace(d.ArtifactID)] = true
		}
	}
}
