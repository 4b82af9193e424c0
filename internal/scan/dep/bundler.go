package dep

import (
	"errors"
	"fmt"
	"strings"
)

// readGemfileLock reads Gemfile.lock. Gems of a section PATH lie in the repository.
func readGemfileLock(b []byte) ([]Package, error) {
	var out []Package
	section, remote := "", ""
	known := false
	direct := map[string]bool{}
	sums := map[string]string{}
	for n, line := range lines(string(b)) {
		trimmed := strings.TrimSpace(line)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		switch {
		case trimmed == "":
			continue
		case strings.HasPrefix(line, "<<<<<<<"), strings.HasPrefix(line, ">>>>>>>"), strings.HasPrefix(line, "======="):
			return nil, fmt.Errorf("line %d: a conflict that is not resolved", n)
		case indent == 0:
			section, remote = trimmed, ""
			known = known || section == "GEM" || section == "DEPENDENCIES" || section == "PLATFORMS"
			continue
		}
		switch section {
		case "GEM", "GIT", "PATH", "PLUGIN SOURCE":
			if r, ok := strings.CutPrefix(trimmed, "remote: "); ok && indent == 2 {
				remote = r
				continue
			}
			if indent != 4 || section == "PATH" {
				continue
			}
			name, version, ok := strings.Cut(trimmed, " ")
			if !ok || !strings.HasPrefix(version, "(") || !strings.HasSuffix(version, ")") {
				return nil, fmt.Errorf("line %d: not a gem with its version", n)
			}
			p := Package{Name: name, Version: version[1 : len(version)-1], Exact: true, Integrity: Elsewhere}
			p.from(typeGem, remote)
			if section != "GEM" {
				p.Default = false
			}
			out = append(out, p)
		case "DEPENDENCIES":
			name, _, _ := strings.Cut(strings.TrimSuffix(trimmed, "!"), " ")
			direct[strings.TrimSuffix(name, "!")] = true
		case "CHECKSUMS":
			f := strings.Fields(trimmed)
			if len(f) == 3 {
				sums[f[0]+" "+strings.Trim(f[1], "()")] = f[2]
			}
		}
	}
	if !known && len(out) == 0 {
		return nil, errors.New("not what Bundler writes")
	}
	for i := range out {
		p := &out[i]
		p.Direct = direct[p.Name]
		p.Hash = sums[p.Name+" "+p.Version]
		switch {
		case p.Hash != "":
			p.Integrity = Present
		case len(sums) > 0 && p.Default:
			p.Integrity = Missing
		}
	}
	return out, nil
}
