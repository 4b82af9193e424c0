// Package vex reads OpenVEX documents (https://openvex.dev/ns) and the analyses of CycloneDX documents
// (https://cyclonedx.org/docs/1.6/json/#vulnerabilities), and says what they make of an advisory about a package. Documents
// of both kinds are judged together. What follows is of OpenVEX; [ParseCycloneDX] says what is read of CycloneDX.
//
// A statement is about a package if one of its products names exactly the package's URL, version included, in
// "@id" or "identifiers.purl"; of a product with subcomponents, if one of these does. It is about an advisory if its vulnerability's
// name or one of its aliases is one of the advisory's ids. Of several the latest counts, by the statement's own
// time or else the document's; of two with one time the one that keeps the gate shut.
//
// Only two states take anything away: not_affected, which has to say why (a justification or an impact statement), and
// fixed. A statement of a time to come takes nothing away. Whether a document may be believed is its reader's
// question: this package sees bytes.
package vex

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Type is the predicate type of a document. A version may follow.
const Type = "https://openvex.dev/ns"

// Bounds of a document.
const (
	MaxDocument   = 4 << 20
	maxStatements = 20_000
)

// ErrDocument is wrapped by errors about documents that cannot be read.
var ErrDocument = errors.New("not a VEX document that can be read")

// IsType reports whether a predicate type is OpenVEX's.
func IsType(t string) bool { return t == Type || strings.HasPrefix(t, Type+"/v") }

// A Document is a list of statements.
type Document struct{ statements []statement }

type statement struct {
	ids, purls map[string]bool
	status     string
	at         time.Time
}

type rawDocument struct {
	Context    string         `json:"@context"`
	Timestamp  string         `json:"timestamp"`
	Statements []rawStatement `json:"statements"`
}

type rawStatement struct {
	Vulnerability struct {
		Name    string   `json:"name"`
		Aliases []string `json:"aliases"`
	} `json:"vulnerability"`
	Timestamp     string       `json:"timestamp"`
	Products      []rawProduct `json:"products"`
	Status        string       `json:"status"`
	Justification string       `json:"justification"`
	Impact        string       `json:"impact_statement"`
}

type rawProduct struct {
	rawComponent
	Subcomponents []rawComponent `json:"subcomponents"`
}

type rawComponent struct {
	ID          string `json:"@id"`
	Identifiers struct {
		Purl string `json:"purl"`
	} `json:"identifiers"`
}

// The statuses.
const (
	notAffected = "not_affected"
	fixed       = "fixed"
)

// Parse reads a document. A status that OpenVEX does not have, and a not_affected that does not say why, are
// errors.
func Parse(b []byte) (*Document, error) {
	var raw rawDocument
	if err := strict.LaxJSON(b, MaxDocument, &raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	switch {
	case !IsType(raw.Context):
		return nil, fmt.Errorf("%w: its @context is %.80q", ErrDocument, raw.Context)
	case len(raw.Statements) > maxStatements:
		return nil, fmt.Errorf("%w: %d statements, the limit is %d", ErrDocument, len(raw.Statements), maxStatements)
	}
	d := &Document{}
	for i := range raw.Statements {
		s, err := raw.Statements[i].statement(raw.Timestamp)
		if err != nil {
			return nil, fmt.Errorf("%w: statement %d: %w", ErrDocument, i+1, err)
		}
		d.statements = append(d.statements, s)
	}
	return d, nil
}

func (r *rawStatement) statement(documents string) (statement, error) {
	s := statement{ids: map[string]bool{}, purls: map[string]bool{}, status: r.Status}
	stamp := r.Timestamp
	if stamp == "" {
		stamp = documents
	}
	var err error
	if s.at, err = time.Parse(time.RFC3339Nano, stamp); err != nil {
		return s, fmt.Errorf("%.40q is no time", stamp)
	}
	switch r.Status {
	case notAffected:
		if r.Justification == "" && r.Impact == "" {
			return s, errors.New("it says not_affected and not why")
		}
	case fixed, "affected", "under_investigation":
	default:
		return s, fmt.Errorf("%.40q is no status", r.Status)
	}
	if r.Vulnerability.Name == "" {
		return s, errors.New("it names no vulnerability")
	}
	for _, id := range append([]string{r.Vulnerability.Name}, r.Vulnerability.Aliases...) {
		s.ids[id] = true
	}
	for _, p := range r.Products {
		parts := p.Subcomponents
		if len(parts) == 0 {
			parts = []rawComponent{p.rawComponent}
		}
		for _, c := range parts {
			for _, purl := range []string{c.ID, c.Identifiers.Purl} {
				if strings.HasPrefix(purl, "pkg:") {
					s.purls[purl] = true
				}
			}
		}
	}
	return s, nil
}

// State returns the state in which the documents leave an advisory, known by any of its ids, about the package: open,
// not-affected or fixed.
func State(docs []*Document, purl string, ids []string, now time.Time) string {
	var last *statement
	for _, d := range docs {
		for i := range d.statements {
			s := &d.statements[i]
			if !s.about(purl, ids) || s.takesAway() && s.at.After(now) {
				continue
			}
			if last == nil || s.at.After(last.at) || s.at.Equal(last.at) && !s.takesAway() {
				last = s
			}
		}
	}
	switch {
	case last == nil:
		return sallyport.FindingOpen
	case last.status == notAffected:
		return sallyport.FindingNotAffected
	case last.status == fixed:
		return sallyport.FindingFixed
	}
	return sallyport.FindingOpen
}

func (s *statement) takesAway() bool { return s.status == notAffected || s.status == fixed }

func (s *statement) about(purl string, ids []string) bool {
	if !s.purls[purl] {
		return false
	}
	for _, id := range ids {
		if s.ids[id] {
			return true
		}
	}
	return false
}
