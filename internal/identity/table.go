package identity

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// MarkersVersion is the version of the marker table that is built in. A signed one takes its place
// only if it is newer.
const MarkersVersion = 1

// Bounds of a marker table that did not come with the program.
const (
	maxMarkers  = 5000
	maxPattern  = 2000
	maxMarkData = 2 << 20
)

// Markers is a marker table: how agents, bots and tools sign their work.
type Markers struct {
	Digest sallyport.Digest // of the file
	Rules  int

	table *table
}

// BuiltinMarkers returns the digest of the marker table that is built in.
var BuiltinMarkers = sync.OnceValue(func() sallyport.Digest { return sallyport.SHA256(markerData) })

// ParseMarkers reads a marker table, of the form of data/agent-markers.json. It refuses patterns
// that do not compile or are very long, rules of an unknown kind, and a table that names no agent:
// it could only hide.
func ParseMarkers(b []byte) (*Markers, error) {
	var all []rule
	if err := strict.LaxJSON(b, maxMarkData, &all); err != nil {
		return nil, fmt.Errorf("marker table: %w", err)
	}
	if len(all) > maxMarkers {
		return nil, fmt.Errorf("marker table: %d rules, the limit is %d", len(all), maxMarkers)
	}
	agents := 0
	for i, r := range all {
		if len(r.Pattern) > maxPattern {
			return nil, fmt.Errorf("marker table: rule %d: a pattern of %d bytes, the limit is %d", i, len(r.Pattern), maxPattern)
		}
		if _, err := regexp.Compile("(?i)" + r.Pattern); err != nil {
			return nil, fmt.Errorf("marker table: rule %d: %w", i, err)
		}
		if _, err := regexp.Compile(r.Pattern); err != nil {
			return nil, fmt.Errorf("marker table: rule %d: %w", i, err)
		}
		if r.Kind == kindAgent {
			agents++
		}
	}
	if agents == 0 {
		return nil, errors.New("marker table: it names no agent")
	}
	t, err := parseTable(b)
	if err != nil {
		return nil, err
	}
	return &Markers{Digest: sallyport.SHA256(b), Rules: len(all), table: t}, nil
}

// Use has the identifier go by m in place of the built-in table; nil changes nothing. It must be
// called before the first commit is asked about, and returns id.
func (id *Identifier) Use(m *Markers) *Identifier {
	if m != nil {
		id.table = m.table
	}
	return id
}

// marks is the table that the identifier goes by.
func (id *Identifier) marks() *table {
	if id.table != nil {
		return id.table
	}
	return markers()
}
