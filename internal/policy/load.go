package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport-dev/sallyport"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

const (
	dataJSON     = "data.json"
	dataYAML     = "data.yaml"
	manifestFile = "manifest.yaml"
)

// A Manifest is the optional manifest.yaml of a set.
type Manifest struct {
	// RegoVersion is 1, the default, or 0 for modules written before Rego v1.
	RegoVersion *int `yaml:"rego_version"`
	// Gate is the gate that the set judges: merge, the default, or release; or tool, for tool calls of agents.
	Gate string `yaml:"gate"`
	// Title says in one line what the set is for.
	Title string `yaml:"title"`
	// Entrypoints are the rules that are asked, for a set that was written for another tool and
	// keeps its package names. Without them these are data.sallyport.merge.deny and, if the set
	// defines it, data.sallyport.merge.allow.
	Entrypoints *Entrypoints `yaml:"entrypoints"`
}

// Entrypoints name rules by their full reference, such as data.agent.policy.deny. At least one
// is stated, and each that is has to be defined.
type Entrypoints struct {
	// Deny is a set of reasons. Undefined, it leaves the set without a verdict, which is shut.
	Deny string `yaml:"deny"`
	// Allow has to be true; anything else, undefined included, is a reason.
	Allow string `yaml:"allow"`
}

func parseManifest(b []byte) (Manifest, error) {
	var m Manifest
	if err := strict.YAML(b, 1<<16, &m); err != nil {
		return Manifest{}, err
	}
	if m.RegoVersion != nil && *m.RegoVersion != 0 && *m.RegoVersion != 1 {
		return Manifest{}, fmt.Errorf("rego_version is %d, want 0 or 1", *m.RegoVersion)
	}
	if _, known := gates[m.gate()]; !known {
		return Manifest{}, fmt.Errorf("gate is %q, want merge, release or tool", clean(m.Gate))
	}
	if e := m.Entrypoints; e != nil {
		if e.Deny == "" && e.Allow == "" {
			return Manifest{}, errors.New("entrypoints names neither deny nor allow")
		}
		for _, ref := range []string{e.Deny, e.Allow} {
			if _, err := parseEntrypoint(ref); ref != "" && err != nil {
				return Manifest{}, err
			}
		}
	}
	return m, nil
}

// parseEntrypoint reads a reference to a rule: data, at least one package name, and the rule's.
func parseEntrypoint(s string) (ast.Ref, error) {
	parts := strings.Split(s, ".")
	bad := len(parts) < 3 || parts[0] != "data"
	ref := ast.Ref{ast.DefaultRootDocument}
	for _, name := range parts[1:] {
		bad = bad || !ast.IsVarCompatibleString(name)
		ref = append(ref, ast.StringTerm(name))
	}
	if bad {
		return nil, fmt.Errorf("%q is no entry point, want one such as data.agent.policy.deny", s)
	}
	return ref, nil
}

// entrypoints returns the rules that the manifest names, nil for those that it does not; stated
// is whether it names any.
func (m Manifest) entrypoints() (deny, allow ast.Ref, stated bool) {
	if m.Entrypoints == nil {
		return gateRef(m.gate(), "deny"), gateRef(m.gate(), "allow"), false
	}
	if s := m.Entrypoints.Deny; s != "" {
		deny, _ = parseEntrypoint(s) // it was parsed before
	}
	if s := m.Entrypoints.Allow; s != "" {
		allow, _ = parseEntrypoint(s)
	}
	return deny, allow, true
}

func (m Manifest) gate() sallyport.Gate {
	if m.Gate == "" {
		return sallyport.GateMerge
	}
	return sallyport.Gate(m.Gate)
}

func (m Manifest) version() ast.RegoVersion {
	if m.RegoVersion != nil && *m.RegoVersion == 0 {
		return ast.RegoV0
	}
	return ast.RegoV1
}

// A loaded set is a set whose files have been parsed, each at most once.
type loaded struct {
	set      Set
	manifest Manifest
	modules  map[string]*ast.Module // by "set/path"
	data     map[string]any
	cases    []string // paths of case files
}

// load parses the files of s, cases excepted.
func load(s Set) (*loaded, error) {
	if err := checkSet(s); err != nil {
		return nil, err
	}
	l := &loaded{set: s, modules: map[string]*ast.Module{}}
	if b, ok := s.Files[manifestFile]; ok {
		m, err := parseManifest(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %s/%s: %w", ErrCompile, s.Name, manifestFile, err)
		}
		l.manifest = m
	}
	opts := ast.ParserOptions{
		RegoVersion:       l.manifest.version(),
		Capabilities:      capabilities(l.manifest.version()),
		ProcessAnnotation: true,
	}
	packages := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		full := s.Name + "/" + name
		switch {
		case name == manifestFile, strings.HasSuffix(name, ".md"):
		case strings.HasSuffix(name, "_test.yaml"):
			l.cases = append(l.cases, name)
		case name == dataJSON, name == dataYAML:
			if l.data != nil {
				return nil, fmt.Errorf("%w: %s has both %s and %s", ErrCompile, s.Name, dataJSON, dataYAML)
			}
			data, err := parseData(name, s.Files[name])
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrCompile, full, err)
			}
			l.data = data
		case strings.HasSuffix(name, ".rego"):
			m, err := ast.ParseModuleWithOpts(full, string(s.Files[name]), opts)
			if err != nil {
				return nil, fmt.Errorf("%w: %s", ErrCompile, unparsed(full, s.Files[name], err))
			}
			pkg := m.Package.Path.String()
			if first, dup := packages[pkg]; dup {
				return nil, fmt.Errorf("%w: %s and %s/%s both declare %s", ErrDuplicatePackage, first, s.Name, name, pkg)
			}
			packages[pkg] = full
			l.modules[full] = m
		default:
			return nil, fmt.Errorf("%w: %s is none of *.rego, %s, %s, %s, *_test.yaml, *.md",
				ErrCompile, full, dataJSON, dataYAML, manifestFile)
		}
	}
	if len(l.modules) == 0 {
		return nil, fmt.Errorf("%w: set %s has no module", ErrEmpty, s.Name)
	}
	return l, nil
}

// unparsed says in one line why a module does not parse, and what to do about it where that is
// known.
func unparsed(name string, src []byte, err error) string {
	var errs ast.Errors
	if !errors.As(err, &errs) || len(errs) == 0 {
		return said(err)
	}
	for _, e := range errs {
		if e.Location == nil || e.Location.Offset < 0 || e.Location.Offset >= len(src) || src[e.Location.Offset] != '\'' {
			continue
		}
		return fmt.Sprintf("%s:%d: a string in single quotes, which no version of Rego has: write it in double quotes (sallyport policy upgrade --quotes does)",
			name, e.Location.Row)
	}
	return said(err)
}

func checkSet(s Set) error {
	if s.Name == "" || path.Clean(s.Name) != s.Name || strings.HasPrefix(s.Name, "/") || strings.HasPrefix(s.Name, ".") {
		return fmt.Errorf("%w: %q is no name for a policy set", ErrCompile, s.Name)
	}
	if len(s.Files) == 0 {
		return fmt.Errorf("%w: set %s has no files", ErrEmpty, s.Name)
	}
	if len(s.Files) > maxSetFiles {
		return fmt.Errorf("%w: set %s has %d files, the limit is %d", ErrCompile, s.Name, len(s.Files), maxSetFiles)
	}
	size := 0
	for _, b := range s.Files {
		size += len(b)
	}
	if size > maxSetBytes {
		return fmt.Errorf("%w: set %s: %w: %d bytes, the limit is %d", ErrCompile, s.Name, strict.ErrTooLarge, size, maxSetBytes)
	}
	return nil
}

func parseData(name string, b []byte) (map[string]any, error) {
	data := map[string]any{}
	if name == dataYAML {
		if err := strict.YAML(b, maxSetBytes, &data); err != nil {
			return nil, err
		}
		return data, nil
	}
	if err := strict.CheckJSON(b, maxSetBytes); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&data); err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fmt.Errorf("want an object")
	}
	return data, nil
}

// dataObject joins the settings with the set's own data: settings that the repository states
// win, then the set's, then the baseline's.
func (l *loaded) dataObject(d Data) (ast.Object, error) {
	all := Defaults().settings()
	maps.Copy(all, l.data)
	maps.Copy(all, d.settings())
	v, err := ast.InterfaceToValue(all)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: data: %w", ErrCompile, l.set.Name, err)
	}
	return v.(ast.Object), nil
}
