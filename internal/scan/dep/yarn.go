package dep

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// readYarnLock reads yarn.lock as yarn 1 writes it, and as yarn 2 and later do.
func readYarnLock(b []byte) ([]Package, error) {
	if bytes.Contains(b, []byte("\n__metadata:")) || bytes.HasPrefix(b, []byte("__metadata:")) {
		return readBerry(b)
	}
	return readYarn1(b)
}

// A yarnEntry is one entry of yarn 1.
type yarnEntry struct {
	line                         int
	keys                         []string
	version, resolved, integrity string
}

// readYarn1 reads the format of yarn 1: entries start at the left margin, their fields are indented
// by two, and names of dependencies, which are not needed, by four.
func readYarn1(b []byte) ([]Package, error) {
	var out []Package
	var e *yarnEntry
	flush := func() error {
		if e == nil {
			return nil
		}
		p, err := e.pack()
		if err != nil {
			return fmt.Errorf("line %d: %w", e.line, err)
		}
		if p != nil {
			out = append(out, *p)
		}
		return nil
	}
	signed := false
	for n, line := range lines(string(b)) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
		case line[0] == '#':
			signed = signed || strings.Contains(line, "yarn lockfile v1")
		case line[0] != ' ':
			if err := flush(); err != nil {
				return nil, err
			}
			keys, ok := strings.CutSuffix(trimmed, ":")
			if !ok {
				return nil, fmt.Errorf("line %d: neither an entry nor a part of one", n)
			}
			e = &yarnEntry{line: n}
			for k := range strings.SplitSeq(keys, ", ") {
				e.keys = append(e.keys, strings.Trim(k, `"`))
			}
		case e == nil || !strings.HasPrefix(line, "  "):
			return nil, fmt.Errorf("line %d: indented and part of nothing", n)
		case line[2] == ' ': // of a mapping below a field
			if !strings.HasPrefix(line, "    ") {
				return nil, fmt.Errorf("line %d: indented in a way that is not read", n)
			}
		case strings.HasSuffix(trimmed, ":"):
		default:
			if err := e.field(trimmed); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	if !signed && len(out) == 0 && len(bytes.TrimSpace(b)) > 0 { // an empty one marks a project
		return nil, errors.New("not what yarn writes")
	}
	return out, nil
}

func (e *yarnEntry) field(s string) error {
	key, value, ok := strings.Cut(s, " ")
	if !ok {
		return errors.New("a field without a value")
	}
	value = strings.Trim(value, `"`)
	var to *string
	switch strings.Trim(key, `"`) {
	case "version":
		to = &e.version
	case "resolved":
		to = &e.resolved
	case "integrity":
		to = &e.integrity
	default:
		return nil
	}
	if *to != "" {
		return errors.New("a field stands twice in one entry")
	}
	*to = value
	return nil
}

func (e *yarnEntry) pack() (*Package, error) {
	name, spec, ok := cutVersion(e.keys[0])
	if !ok {
		return nil, fmt.Errorf("%q is no key of a package", clip(e.keys[0]))
	}
	if alias, ok := strings.CutPrefix(spec, "npm:"); ok {
		if real, _, ok := cutVersion(alias); ok {
			name = real
		}
	}
	if e.version == "" {
		return nil, errors.New("an entry without a version")
	}
	p := &Package{Name: name, Version: e.version, Exact: true}
	where, sha1, _ := strings.Cut(e.resolved, "#")
	switch {
	case strings.HasPrefix(spec, "link:") || e.resolved == "" && strings.HasPrefix(spec, "file:") && !strings.HasSuffix(spec, ".tgz"):
		return nil, nil // a folder of the repository
	case e.resolved == "" && strings.HasPrefix(spec, "file:") || strings.HasPrefix(e.resolved, "file:"):
		p.local(where)
	default:
		p.from(typeNpm, where)
	}
	p.Hash = strings.TrimSpace(e.integrity + " " + sha1)
	switch {
	case isGit(where) || strings.HasSuffix(where, ".git"):
		p.Integrity = Elsewhere
	case p.Hash != "":
		p.Integrity = Present
	}
	p.Problem = npmMismatch(p)
	return p, nil
}

// readBerry reads the format of yarn 2 and later.
func readBerry(b []byte) ([]Package, error) {
	docs, err := parseYAML(b)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, errors.New("not one document")
	}
	o, ok := docs[0].(object)
	if !ok {
		return nil, errNoObject
	}
	var out []Package
	for _, key := range sorted(o) {
		if key == "__metadata" {
			continue
		}
		e, ok := o[key].(object)
		if !ok {
			return nil, fmt.Errorf("%q is no package", clip(key))
		}
		p, err := berryEntry(e)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", clip(key), err)
		}
		if p != nil {
			out = append(out, *p)
		}
	}
	return out, nil
}

func berryEntry(e object) (*Package, error) {
	name, where, ok := cutVersion(text(e["resolution"]))
	if !ok {
		return nil, errors.New("no resolution")
	}
	p := &Package{Name: name, Version: text(e["version"]), Exact: true, Hash: text(e["checksum"])}
	if p.Hash != "" {
		p.Integrity = Present
	} else if text(e["conditions"]) != "" {
		p.Integrity = Elsewhere // for another machine than the one that wrote the file
	}
	protocol, rest, _ := strings.Cut(where, ":")
	switch protocol {
	case "workspace", "link", "portal":
		return nil, nil
	case "patch": // a package with a patch of the repository or of yarn
		p.Resolved = where
		inner, _, _ := strings.Cut(rest, "#")
		inner, err := url.PathUnescape(inner)
		if err != nil {
			return nil, errors.New("a patch that is not read")
		}
		patched, at, _ := cutVersion(inner)
		p.Name, p.Default = patched, strings.HasPrefix(at, "npm:")
		if !p.Default {
			p.Registry = hostOf(at)
		}
	case "npm":
		p.Default = true
		version, params, _ := strings.Cut(rest, "::")
		if alias, v, ok := cutVersion(version); ok {
			p.Name, version = alias, v
		}
		if version != p.Version {
			p.Problem = fmt.Sprintf("%s %s would be fetched from the address of another version", p.Name, p.Version)
		}
		q, err := url.ParseQuery(params)
		if err != nil {
			return nil, errors.New("a resolution that is not read")
		}
		if u := q.Get("__archiveUrl"); u != "" {
			p.from(typeNpm, u)
			p.Problem = npmMismatch(p)
		}
	case "file":
		p.local(where)
	default:
		p.from(typeNpm, where)
		if p.Registry == "file" || p.Default {
			p.Registry, p.Default = "unreadable", false
		}
		if p.Integrity == "" && (isGit(where) || strings.Contains(where, "#commit=")) {
			p.Integrity = Elsewhere
		}
	}
	return p, nil
}
