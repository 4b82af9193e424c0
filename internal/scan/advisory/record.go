package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Bounds of a record. The largest of the public databases list some ten thousand versions.
const (
	MaxRecord   = 16 << 20 // bytes
	maxID       = 128
	maxName     = 1024
	maxVersion  = 512
	maxAliases  = 256
	maxAffected = 20_000
	maxEvents   = 20_000 // of one range
	maxVersions = 200_000
	maxSummary  = 300
)

// ErrRecord is wrapped by errors about a record that contradicts the schema.
var ErrRecord = errors.New("not a usable OSV record")

// errNoRecord is returned for JSON that is something else.
var errNoRecord = errors.New("no OSV record")

// An EventKind says what begins or ends at a version.
type EventKind byte

// The kinds of event, in the order of those that name one version.
const (
	Fixed EventKind = iota + 1
	Introduced
	LastAffected
	Limit
)

// An Event is a point of a range.
type Event struct {
	Kind    EventKind
	Version string
}

// A Range is a timeline of versions.
type Range struct {
	Semver bool // compared as SemVer 2.0, whatever the ecosystem
	Events []Event
}

// An Entry is what one record says about one package.
type Entry struct {
	ID        string
	Aliases   []string
	Summary   string
	Severity  sallyport.Severity // empty if the record does not say
	Malicious bool
	Modified  time.Time // zero if the record does not say
	Name      string    // as the record writes it
	Ranges    []Range
	Versions  []string
	GitOnly   bool // it has ranges of git commits, and nothing else
}

// A record is an OSV record by package.
type record struct {
	id        string
	modified  time.Time
	withdrawn bool
	parts     []part
	leftOut   int // affected packages of ecosystems that are not kept
}

// A part is one affected package.
type part struct {
	ecosystem, key string
	Entry
}

// raw is what is read of a record; what else it holds is for people.
type raw struct {
	ID        string          `json:"id"`
	Modified  string          `json:"modified"`
	Withdrawn string          `json:"withdrawn"`
	Aliases   []string        `json:"aliases"`
	Summary   string          `json:"summary"`
	Severity  []rawSeverity   `json:"severity"`
	Affected  *[]rawAffected  `json:"affected"`
	Specific  json.RawMessage `json:"database_specific"`
}

type rawSeverity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type rawAffected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity []rawSeverity `json:"severity"`
	Ranges   []struct {
		Type   string              `json:"type"`
		Events []map[string]string `json:"events"`
	} `json:"ranges"`
	Versions  []string        `json:"versions"`
	Ecosystem json.RawMessage `json:"ecosystem_specific"`
	Specific  json.RawMessage `json:"database_specific"`
}

// specific is what some databases say beside the schema.
type specific struct {
	Severity any             `json:"severity"`
	CWE      []string        `json:"cwe_ids"`
	Origins  json.RawMessage `json:"malicious-packages-origins"`
}

// parse reads a record. It returns errNoRecord for JSON that is not meant to be one.
func parse(b []byte) (*record, error) {
	var shape struct {
		ID        json.RawMessage `json:"id"`
		Modified  json.RawMessage `json:"modified"`
		Affected  json.RawMessage `json:"affected"`
		Withdrawn json.RawMessage `json:"withdrawn"`
		Schema    json.RawMessage `json:"schema_version"`
	}
	if err := strict.CheckJSON(b, MaxRecord); err != nil {
		return nil, fmt.Errorf("not JSON that can be trusted to be read alike by all: %w", err)
	}
	if json.Unmarshal(b, &shape) != nil {
		return nil, errNoRecord // a list, or a word
	}
	told := shape.Affected != nil || shape.Withdrawn != nil || shape.Schema != nil
	switch {
	case shape.ID == nil && shape.Modified != nil && shape.Affected != nil:
		return nil, fmt.Errorf("%w: it has no id", ErrRecord)
	case shape.ID == nil || !told:
		return nil, errNoRecord
	case shape.Affected == nil && shape.Withdrawn == nil && shape.Modified == nil:
		return nil, errNoRecord // a schema's version and an id, as other formats have them too
	}
	var r raw
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	rec, err := r.record()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return rec, nil
}

func (r *raw) record() (*record, error) {
	if !plain(r.ID, maxID) || strings.ContainsAny(r.ID, " /\\") {
		return nil, fmt.Errorf("%.40q is no id", r.ID)
	}
	out := &record{id: r.ID}
	var err error
	// The schema demands the time. A record without it is one all the same, of which nobody knows how old it is.
	if r.Modified != "" {
		if out.modified, err = stamp(r.Modified); err != nil {
			return nil, fmt.Errorf("modified: %w", err)
		}
	}
	if r.Withdrawn != "" {
		// One that says when it will be, or says it in a way that nobody can read, is taken at its word only if
		// that word is a time.
		if _, err := stamp(r.Withdrawn); err != nil {
			return nil, fmt.Errorf("withdrawn: %w", err)
		}
		out.withdrawn = true
		return out, nil
	}
	if r.Affected == nil {
		return out, nil
	}
	if len(*r.Affected) > maxAffected || len(r.Aliases) > maxAliases {
		return nil, fmt.Errorf("%d packages and %d aliases, the limits are %d and %d", len(*r.Affected), len(r.Aliases), maxAffected, maxAliases)
	}
	for _, a := range r.Aliases {
		if !plain(a, maxID) {
			return nil, fmt.Errorf("%.40q is no id", a)
		}
	}
	var s specific
	_ = json.Unmarshal(r.Specific, &s) // it may be anything
	malicious := strings.HasPrefix(r.ID, "MAL-") || len(s.Origins) > 0
	for _, a := range r.Aliases {
		malicious = malicious || strings.HasPrefix(a, "MAL-")
	}
	for _, c := range s.CWE {
		malicious = malicious || c == "CWE-506" // embedded malicious code
	}
	base := Entry{
		ID: r.ID, Aliases: r.Aliases, Summary: sentence(r.Summary), Modified: out.modified, Malicious: malicious,
		Severity: worst(rate(r.Severity), word(s.Severity)),
	}
	for i := range *r.Affected {
		a := &(*r.Affected)[i]
		if a.Package.Name == "" && a.Package.Ecosystem == "" {
			continue // ranges of a repository that is no package
		}
		eco, ok := canonical(a.Package.Ecosystem)
		if !ok {
			out.leftOut++
			continue
		}
		e, err := a.entry(base)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", clip(a.Package.Name), err)
		}
		out.parts = append(out.parts, part{eco, key(eco, e.Name), e})
	}
	return out, nil
}

func (a *rawAffected) entry(e Entry) (Entry, error) {
	if !plain(a.Package.Name, maxName) {
		return e, fmt.Errorf("%.40q is no name of a package", a.Package.Name)
	}
	e.Name = a.Package.Name
	var es, ds specific
	_ = json.Unmarshal(a.Ecosystem, &es)
	_ = json.Unmarshal(a.Specific, &ds)
	// A severity of its own is about this package; the record's is about all of them.
	if own := worst(rate(a.Severity), worst(word(es.Severity), word(ds.Severity))); own != "" {
		e.Severity = own
	}
	if len(a.Versions) > maxVersions {
		return e, fmt.Errorf("%d versions, the limit is %d", len(a.Versions), maxVersions)
	}
	for _, v := range a.Versions {
		if !plain(v, maxVersion) {
			return e, fmt.Errorf("%.40q is no version", v)
		}
	}
	e.Versions = a.Versions
	git := false
	for _, g := range a.Ranges {
		switch g.Type {
		case "GIT":
			git = true
			continue
		case "SEMVER", "ECOSYSTEM":
		default:
			return e, fmt.Errorf("a range of type %.40q", g.Type)
		}
		rg := Range{Semver: g.Type == "SEMVER"}
		if len(g.Events) > maxEvents {
			return e, fmt.Errorf("%d events, the limit is %d", len(g.Events), maxEvents)
		}
		for _, ev := range g.Events {
			// The schema has one key to an event; older records have several, which mean as many events.
			for name, v := range ev {
				k, ok := eventKinds[name]
				if !ok || !plain(v, maxVersion) {
					return e, fmt.Errorf("an event %.40q of version %.40q", name, v)
				}
				rg.Events = append(rg.Events, Event{k, v})
			}
		}
		if len(rg.Events) == 0 {
			return e, errors.New("a range without events")
		}
		sortKinds(rg.Events)
		e.Ranges = append(e.Ranges, rg)
	}
	e.GitOnly = git && len(e.Ranges) == 0 && len(e.Versions) == 0
	return e, nil
}

var eventKinds = map[string]EventKind{"introduced": Introduced, "fixed": Fixed, "last_affected": LastAffected, "limit": Limit}

// stamp reads a time. The year 1, with which exports fill in what they do not know, is the zero time.
func stamp(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("%.40q is no time", s)
	}
	if t.Year() < 1990 {
		return time.Time{}, nil
	}
	return t.UTC(), nil
}

// plain reports whether s can be an id, a name or a version: something, not too much of it, and
// nothing that could not be shown.
func plain(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// sentence makes one line of what a record says of itself.
func sentence(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxSummary {
		return s
	}
	cut := maxSummary
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func clip(s string) string { return fmt.Sprintf("%.80q", s) }
