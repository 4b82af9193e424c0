package model

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/glob"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Path is where the registry stands, from the top of a repository.
const Path = ".sallyport/models.yaml"

// Bounds of the file.
const (
	MaxFile    = 1 << 20
	maxEntries = 1000
	maxLine    = 4 << 10 // the YAML parser's time grows with the square of a line's length
)

// ErrFile is wrapped by every error about the file.
var ErrFile = errors.New("model registry")

// A File is what .sallyport/models.yaml says.
type File struct {
	Version int                    `yaml:"version"` // of this schema; 1
	Models  []predicate.ModelEntry `yaml:"models"`
}

// ParseFile reads the file. Unknown keys fail, and so does what would make an entry or a name say
// two things: an entry, a name or an alias that stands twice.
func ParseFile(b []byte) (*File, error) {
	f := new(File)
	n := 0
	for line := range bytes.Lines(b) {
		if n++; len(line) > maxLine {
			return nil, fmt.Errorf("%w: line %d is longer than %d bytes", ErrFile, n, maxLine)
		}
	}
	if err := strict.YAML(b, MaxFile, f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("%w: version is %d, this release reads version 1", ErrFile, f.Version)
	}
	if len(f.Models) > maxEntries {
		return nil, fmt.Errorf("%w: %d models, the limit is %d", ErrFile, len(f.Models), maxEntries)
	}
	type name struct{ provider, text string }
	seen := map[name]int{}
	for i := range f.Models {
		e, err := Normalise(f.Models[i])
		if err != nil {
			return nil, fmt.Errorf("%w: models[%d] %.100q: %w", ErrFile, i, f.Models[i].Name, err)
		}
		f.Models[i] = e
		own := e.Name
		if e.Version != "" {
			own += "\x00" + e.Version
		}
		for _, text := range append([]string{own}, e.Aliases...) {
			key := name{e.Provider, text}
			if other, ok := seen[key]; ok {
				return nil, fmt.Errorf("%w: models[%d]: the name %.100q of %s is that of models[%d]", ErrFile, i, strings.ReplaceAll(text, "\x00", " "), e.Provider, other)
			}
			seen[key] = i
		}
	}
	return f, nil
}

// Normalise turns an entry as people write it into the one that is digested: days into moments, known other
// spellings of providers into ours. It validates the result, patterns and endpoints included.
func Normalise(e predicate.ModelEntry) (predicate.ModelEntry, error) {
	e.Provider = Provider(e.Provider)
	var err error
	if e.NotBefore, err = moment("not_before", e.NotBefore, false); err != nil {
		return e, err
	}
	if e.Expires, err = moment("expires", e.Expires, true); err != nil {
		return e, err
	}
	if err := e.Validate(); err != nil {
		return e, err
	}
	_, err = compile(e)
	return e, err
}

// moment reads a day or a moment in UTC. The last day counts whole: what expires on it expires when the
// next begins.
func moment(field, s string, last bool) (string, error) {
	if s == "" {
		return "", nil
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		if last {
			day = day.AddDate(0, 0, 1)
		}
		return predicate.FormatTime(day), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return "", fmt.Errorf("%s: %.100q is neither a day such as 2026-01-31 nor a moment such as 2026-01-31T12:00:00Z", field, s)
	}
	return predicate.FormatTime(t), nil
}

// compiled is an entry in the form in which requests are held against it.
type compiled struct {
	predicate.ModelEntry
	id         string
	endpoints  []endpoint
	repos      []repoPattern
	from, till time.Time
}

type repoPattern struct {
	text string
	all  bool
	glob glob.Glob // nil if the text is exact
}

func compile(e predicate.ModelEntry) (*compiled, error) {
	c := &compiled{ModelEntry: e, id: e.ID()}
	for _, p := range e.Endpoints {
		ep, err := parseEndpoint(p)
		if err != nil {
			return nil, err
		}
		c.endpoints = append(c.endpoints, ep)
	}
	for _, r := range e.Repositories {
		p := repoPattern{text: r, all: r == "*" || r == "**"}
		if strings.ContainsAny(r, "*?") {
			g, err := glob.Parse(r)
			if err != nil {
				return nil, fmt.Errorf("repositories: %w", err)
			}
			p.glob = g
		}
		c.repos = append(c.repos, p)
	}
	var err error
	if c.till, err = predicate.ParseTime(e.Expires); err != nil {
		return nil, err
	}
	if e.NotBefore != "" {
		if c.from, err = predicate.ParseTime(e.NotBefore); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// AppendEntry returns the file b, which may be empty, with the entry e at its end. What stands in b stays
// byte for byte, comments included.
func AppendEntry(b []byte, e predicate.ModelEntry) ([]byte, error) {
	e, err := Normalise(e)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(b)
	if len(bytes.TrimSpace(out)) == 0 {
		out = []byte("# The models that may be used here. docs: models.md; sallyport model list tells what each entry is worth.\nversion: 1\nmodels:\n")
	}
	if !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	out = bytes.Replace(out, []byte("\nmodels: []\n"), []byte("\nmodels:\n"), 1)
	out = append(out, writeEntry(e)...)
	f, err := ParseFile(out)
	if err != nil {
		return nil, err
	}
	// A file whose last key is not models would have taken the entry for something else.
	if last := f.Models[len(f.Models)-1]; last.ID() != e.ID() {
		return nil, fmt.Errorf("%w: the entry would not be the last of models; add it by hand", ErrFile)
	}
	return out, nil
}

// writeEntry writes e as an item of the file. Strings are written as JSON, which YAML reads.
func writeEntry(e predicate.ModelEntry) []byte {
	var b bytes.Buffer
	lead := "  - "
	put := func(key, value string) {
		fmt.Fprintf(&b, "%s%s: %s\n", lead, key, value)
		lead = "    "
	}
	text := func(key, value string) {
		if value != "" {
			put(key, quoted(value))
		}
	}
	list := func(key string, values []string) {
		if len(values) > 0 {
			put(key, flow(values))
		}
	}
	yes := func(key string, value bool) {
		if value {
			put(key, "true")
		}
	}
	text("provider", e.Provider)
	text("name", e.Name)
	text("version", e.Version)
	text("digest", e.Digest)
	list("aliases", e.Aliases)
	list("patterns", e.Patterns)
	yes("snapshots", e.Snapshots)
	yes("latest", e.Latest)
	list("regions", e.Regions)
	b.WriteString("    endpoints:\n")
	for _, p := range e.Endpoints {
		fmt.Fprintf(&b, "      - {url: %s, kind: %s}\n", quoted(p.URL), p.Kind)
	}
	text("licence", e.Licence)
	writeDatasets(&b, "    ", e.Datasets)
	if len(e.Tuning) > 0 {
		b.WriteString("    tuning:\n")
		for _, t := range e.Tuning {
			fmt.Fprintf(&b, "      - method: %s\n", quoted(t.Method))
			for _, kv := range [][2]string{{"base", t.Base}, {"by", t.By}, {"date", t.Date}} {
				if kv[1] != "" {
					fmt.Fprintf(&b, "        %s: %s\n", kv[0], quoted(kv[1]))
				}
			}
			writeDatasets(&b, "        ", t.Datasets)
		}
	}
	if len(e.Evaluations) > 0 {
		b.WriteString("    evaluations:\n")
		for _, v := range e.Evaluations {
			fmt.Fprintf(&b, "      - %s\n", inline("name", v.Name, "metric", v.Metric, "value", v.Value, "date", v.Date, "report", v.Report))
		}
	}
	text("notes", e.Notes)
	text("owner", e.Owner)
	list("uses", e.Uses)
	list("principals", e.Principals)
	list("repositories", e.Repositories)
	text("not_before", e.NotBefore)
	text("expires", e.Expires)
	return b.Bytes()
}

func writeDatasets(b *bytes.Buffer, indent string, list []predicate.ModelDataset) {
	if len(list) == 0 {
		return
	}
	b.WriteString(indent + "datasets:\n")
	for _, d := range list {
		fmt.Fprintf(b, "%s  - %s\n", indent, inline("name", d.Name, "source", d.Source, "digest", d.Digest, "licence", d.Licence))
	}
}

// inline writes a map of the pairs that have a value.
func inline(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			parts = append(parts, pairs[i]+": "+quoted(pairs[i+1]))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func flow(values []string) string {
	quotedValues := make([]string, len(values))
	for i, v := range values {
		quotedValues[i] = quoted(v)
	}
	return "[" + strings.Join(quotedValues, ", ") + "]"
}

// quoted writes a string so that YAML reads the same. Plain words need no quotes.
func quoted(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' && r != '.' && r != '/'
	})
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", ".nan", ".inf", "-.inf", "-":
		plain = false
	}
	if plain && s[0] != '-' && s[0] != '.' {
		return s
	}
	return strconv.Quote(s)
}
