package dep

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// requirement is PEP 508 as far as it is needed: name, extras, and either a version or a URL.
var requirement = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(.*)$`)

var pinned = regexp.MustCompile(`^===?\s*([^\s,*=<>!~;]+)$`)

var constraint = regexp.MustCompile(`^\(?\s*(?:(?:[<>=!~]=?=?)\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*\)?$`)

// parseRequirement reads one requirement without options.
func parseRequirement(s string) (Package, error) {
	m := requirement.FindStringSubmatch(s)
	if m == nil {
		return Package{}, errors.New("not a requirement")
	}
	p := Package{Name: m[1], Direct: true, Default: true, Integrity: Elsewhere}
	rest := strings.TrimSpace(m[2])
	if raw, ok := strings.CutPrefix(rest, "@"); ok {
		raw, _, _ = strings.Cut(strings.TrimSpace(raw), " ;")
		raw = strings.TrimSpace(raw)
		p.from(typePyPI, raw)
		p.Default = false // wherever it is, no index stands for it
		p.Version = "@ " + raw
		p.Hash = hashOfURL(raw)
		return p, nil
	}
	rest, _, _ = strings.Cut(rest, ";")
	rest = strings.TrimSpace(rest)
	if !constraint.MatchString(rest) {
		return Package{}, errors.New("not a requirement")
	}
	p.Version = rest
	if v := pinned.FindStringSubmatch(rest); v != nil {
		p.Version, p.Exact = v[1], true
	}
	return p, nil
}

// hashOfURL returns the digest in the fragment of a URL, as #sha256=….
func hashOfURL(raw string) string {
	_, fragment, _ := strings.Cut(raw, "#")
	for part := range strings.SplitSeq(fragment, "&") {
		if k, v, ok := strings.Cut(part, "="); ok && (strings.HasPrefix(k, "sha") || k == "md5") {
			return k + ":" + v
		}
	}
	return ""
}

// readRequirements reads a requirements file of pip. Files that it includes are read for
// themselves, if their names say what they are; an index that it names may give any package.
func readRequirements(b []byte) ([]Package, error) {
	var out []Package
	var indexes []string
	logical, start := "", 0
	hashed := false
	take := func(n int, s string) error {
		s = strings.TrimSpace(s)
		if s == "" {
			return nil
		}
		option, value, ok := strings.Cut(s, " ")
		if k, v, has := strings.Cut(option, "="); has && strings.HasPrefix(k, "--") {
			option, value, ok = k, v, true
		}
		value = strings.TrimSpace(value)
		switch option {
		case "-i", "--index-url", "--extra-index-url", "--find-links", "-f":
			indexes = append(indexes, value)
			return nil
		case "-e", "--editable":
			s = value
		case "-r", "--requirement", "-c", "--constraint", "--pre", "--no-index", "--prefer-binary", "--require-hashes", "--no-binary",
			"--only-binary", "--trusted-host", "--use-feature", "--use-pep517", "--no-use-pep517":
			return nil
		default:
			if strings.HasPrefix(option, "-") {
				return fmt.Errorf("line %d: an option that is not read", n)
			}
		}
		_ = ok
		var hashes []string
		if before, opts, has := strings.Cut(s, " --"); has {
			s = strings.TrimSpace(before)
			for part := range strings.SplitSeq(" --"+opts, " --hash") {
				if h := strings.TrimLeft(strings.TrimSpace(part), "= "); h != "" && !strings.HasPrefix(h, "--") {
					hashes = append(hashes, h)
				}
			}
		}
		p, err := parseRequirement(s)
		if err != nil || hostOf(s) != "" && !strings.Contains(s, "@ ") {
			if p, err = bareURL(s); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			if p.Name == "" {
				return nil // a folder of the repository
			}
		}
		if len(hashes) > 0 {
			hashed = true
			p.Hash, p.Integrity = strings.Join(hashes, " "), Present
		}
		out = append(out, p)
		return nil
	}
	for n, line := range lines(string(b)) {
		if logical == "" {
			start = n
		}
		if i := strings.Index(line, "#"); i == 0 || i > 0 && (line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i]
			if logical == "" && strings.TrimSpace(line) == "" {
				continue
			}
		}
		if before, ok := strings.CutSuffix(line, `\`); ok {
			logical += before + " "
			continue
		}
		if err := take(start, strings.ReplaceAll(logical+line, "\t", " ")); err != nil {
			return nil, err
		}
		logical = ""
	}
	if err := take(start, logical); err != nil {
		return nil, err
	}
	if hashed { // pip then wants a digest of every package
		for i := range out {
			if out[i].Hash == "" {
				out[i].Integrity = Missing
			}
		}
	}
	return append(out, registries(typePyPI, indexes)...), nil
}

// bareURL reads a requirement that is a URL or a path: its name is in #egg=, or its last element.
func bareURL(s string) (Package, error) {
	host := hostOf(s)
	if host == "" && !strings.HasPrefix(s, ".") && !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "file:") {
		return Package{}, errors.New("not a requirement")
	}
	if host == "" && !strings.HasSuffix(s, ".whl") && !strings.HasSuffix(s, ".gz") && !strings.HasSuffix(s, ".zip") {
		return Package{}, nil
	}
	p := Package{Direct: true, Integrity: Elsewhere, Version: "@ " + s, Hash: hashOfURL(s)}
	p.from(typePyPI, s)
	p.Default = false
	raw, fragment, _ := strings.Cut(s, "#")
	for part := range strings.SplitSeq(fragment, "&") {
		if egg, ok := strings.CutPrefix(part, "egg="); ok {
			p.Name, _, _ = strings.Cut(egg, "[")
		}
	}
	if p.Name == "" {
		raw, _, _ = strings.Cut(raw, "?")
		p.Name = strings.TrimSuffix(raw[strings.LastIndexByte(strings.TrimRight(raw, "/"), '/')+1:], "/")
		p.Name, _, _ = strings.Cut(p.Name, "@")
	}
	return p, nil
}

// readPipfileLock reads Pipfile.lock.
func readPipfileLock(b []byte) ([]Package, error) {
	o, err := jsonObject(b)
	if err != nil {
		return nil, err
	}
	meta, err := in(o, "_meta")
	if err != nil {
		return nil, err
	}
	sources, err := objectsIn(meta, "sources")
	if err != nil {
		return nil, err
	}
	urls := map[string]string{}
	first := ""
	var named []string
	for i, s := range sources {
		urls[text(s["name"])] = text(s["url"])
		named = append(named, text(s["url"]))
		if i == 0 {
			first = text(s["url"])
		}
	}
	var out []Package
	for _, group := range sorted(o) {
		if group == "_meta" {
			continue
		}
		m, err := in(o, group)
		if err != nil {
			return nil, err
		}
		for _, name := range sorted(m) {
			e, ok := m[name].(object)
			if !ok {
				return nil, fmt.Errorf("%q is no package", clip(name))
			}
			p := Package{Name: name, Dev: group != "default", Integrity: Missing}
			p.Version, p.Exact = strings.CutPrefix(text(e["version"]), "==")
			p.Hash, err = joined(e, "hashes")
			if err != nil {
				return nil, err
			}
			if p.Hash != "" {
				p.Integrity = Present
			}
			switch {
			case e["git"] != nil:
				p.from(typePyPI, "git+"+text(e["git"]))
				p.Default, p.Integrity, p.Hash = false, Elsewhere, text(e["ref"])
			case e["file"] != nil:
				p.from(typePyPI, text(e["file"]))
				p.Default = false
			case e["path"] != nil:
				continue
			case e["index"] != nil:
				if p.from(typePyPI, urls[text(e["index"])]); urls[text(e["index"])] == "" {
					p.Registry, p.Default = text(e["index"]), false
				}
			default:
				p.from(typePyPI, first)
			}
			out = append(out, p)
		}
	}
	return append(out, registries(typePyPI, named)...), nil
}

// joined returns the strings of a list as one.
func joined(o object, key string) (string, error) {
	list, err := listIn(o, key)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return "", fmt.Errorf("%q holds something else than text", key)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " "), nil
}
