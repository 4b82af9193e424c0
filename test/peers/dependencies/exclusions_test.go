//go:build peers

package dependencies

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/scan/dep"
)

// The exclusions, by the word that the table prints. This is the one list of them; the page
// docs/dependencies.md repeats it for readers.
var exclusions = map[string]string{
	"dev":    "only ours: Syft leaves out the development packages of Pipfile.lock and composer.lock",
	"asked":  "only ours: Syft names what a requirements file asks for only if it is pinned with == or ===",
	"plugin": "only ours: Syft leaves out parents, plugins, extensions and managed versions of a pom.xml",
	"own":    "only Syft's: packages of the repository itself (the root, workspace members, links, projects), which are no dependencies",
	"parent": "either: Syft takes versions of a pom.xml from other files of the repository",
	"unread": "only Syft's: a file that ours refuses, which shuts the gate",
}

func exclusionWords() string {
	var b strings.Builder
	for _, k := range []string{"dev", "asked", "plugin", "own", "parent", "unread"} {
		fmt.Fprintf(&b, "%-10s %s\n", k, exclusions[k])
	}
	return b.String()
}

// ourExclusion returns why Syft does not give what ours does, or "".
func ourExclusion(k key, p *dep.Package, r *reading) string {
	if k.file == "**/pom.xml" {
		if _, artifact, _ := strings.Cut(p.Name, ":"); r.direct[artifact] {
			return "parent"
		}
		return "plugin"
	}
	switch base := filepath.Base(k.file); {
	case p.Dev && (base == "Pipfile.lock" || base == "composer.lock"):
		return "dev"
	case strings.HasSuffix(base, ".txt") && !p.Exact:
		return "asked"
	}
	return ""
}

// theirExclusion returns why ours does not give what Syft does, or "".
func theirExclusion(k key, r *reading) string {
	if r == nil || r.err != nil {
		return "unread"
	}
	_, namespace, name, _, err := dep.ParsePurl(k.purl)
	if err != nil {
		return ""
	}
	if k.file == "**/pom.xml" {
		switch {
		case r.own[name]:
			return "own"
		case r.direct[name]:
			return "parent"
		}
		return ""
	}
	if namespace != "" {
		name = namespace + "/" + name
	}
	if r.own[name] {
		return "own"
	}
	return ""
}
