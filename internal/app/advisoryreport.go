package app

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/advisory"
)

// VulnsType is the predicate type of [AdvisoryReport.Vulns].
const VulnsType = "https://in-toto.io/attestation/vulns/v0.2"

// vulns is the predicate in-toto vulns v0.2.
type vulns struct {
	Scanner  vulnsScanner  `json:"scanner"`
	Metadata vulnsMetadata `json:"metadata"`
	Scope    *vulnsScope   `json:"scope,omitempty"` // a field of ours; nil: all that was asked for
}

// A vulnsScope says that a predicate is about what a change brings, and not about all that its head holds.
type vulnsScope struct {
	Of        string           `json:"of"` // "change"
	TargetRef string           `json:"target_ref"`
	Base      sallyport.Digest `json:"base,omitempty"`
	Head      sallyport.Digest `json:"head"`
}

type vulnsScanner struct {
	URI     string        `json:"uri"`
	Version string        `json:"version"`
	DB      vulnsDB       `json:"db"`
	Result  []vulnsResult `json:"result"`
}

type vulnsDB struct {
	URI        string `json:"uri"`
	Version    string `json:"version"`
	LastUpdate string `json:"lastUpdate,omitempty"`
}

type vulnsResult struct {
	ID          string           `json:"id"`
	Severity    []vulnsSeverity  `json:"severity"`
	Annotations []map[string]any `json:"annotations"`
}

type vulnsSeverity struct {
	Method string `json:"method"`
	Score  string `json:"score"`
}

type vulnsMetadata struct {
	Started  string `json:"scanStartedOn"`
	Finished string `json:"scanFinishedOn"`
}

// Vulns is the report as a predicate to attest. There is none while something is not known: the
// format has no words for it, and a list without it would read as all there is.
func (r *AdvisoryReport) Vulns() ([]byte, error) {
	if r.Unknown > 0 || r.Checked+r.Affected == 0 {
		return nil, withHint(fmt.Errorf("vulns: about %d packages or files it is not known what affects them, and the predicate cannot say so", r.Unknown),
			"sallyport advisory match without --output vulns lists them")
	}
	at := r.Time.Format(time.RFC3339)
	v := vulns{
		Scanner: vulnsScanner{
			URI: "https://sallyport.dev", Version: Version(), Result: []vulnsResult{},
			DB: vulnsDB{URI: "https://sallyport.dev/advisories/v1", Version: string(r.Database.Digest)},
		},
		Metadata: vulnsMetadata{at, at},
	}
	if oldest := r.oldest(); !oldest.IsZero() {
		v.Scanner.DB.LastUpdate = oldest.Format(time.RFC3339)
	}
	for _, p := range r.Packages {
		for _, m := range p.Matches {
			v.Scanner.Result = append(v.Scanner.Result, vulnsResult{
				ID: m.ID, Severity: []vulnsSeverity{{"qualitative", severityWord(m.Severity)}},
				Annotations: []map[string]any{{"purl": p.Purl, "aliases": m.Aliases, "fixed": m.Fixed, "malicious": m.Malicious}},
			})
		}
	}
	return sallyport.EncodeJSON(v)
}

// oldest is how the world was when the oldest records were made that were looked in, or zero if one of them does not say.
func (r *AdvisoryReport) oldest() time.Time {
	var out time.Time
	first := true
	for _, name := range r.Against {
		if e, ok := r.Database.meta.Ecosystem(name); ok && (first || e.AsOf.Before(out)) {
			out, first = e.AsOf, false
		}
	}
	return out
}

func severityWord(s sallyport.Severity) string {
	if s == "" {
		return "unknown"
	}
	return string(s)
}

// Decision puts the report as the decision of a gate would be, for the forms that exist for these. It is
// recorded nowhere, and no gate takes it.
func (r *AdvisoryReport) Decision() sallyport.Decision {
	d := sallyport.Decision{Gate: "advisory", Time: r.Time.Format(time.RFC3339), Outcome: sallyport.Open}
	place := func(p *PackageReport) string {
		if len(p.Paths) > 0 {
			return p.Paths[0]
		}
		return ""
	}
	add := func(x sallyport.Reason) {
		d.Reasons = append(d.Reasons, x)
		d.Outcome = sallyport.Shut
	}
	for i := range r.Packages {
		p := &r.Packages[i]
		for _, m := range p.Matches {
			code, title := "vulnerability", "A package has no known vulnerability"
			if m.Malicious {
				code, title = "malicious-package", "A package is not known to be malicious"
			}
			severity := m.Severity
			if severity == "" {
				severity = sallyport.High
			}
			add(sallyport.Reason{Code: code, Title: title, Severity: severity, Place: place(p), Package: p.Purl, Rule: m.ID, Text: MatchText(p.Name, p.Version, m)})
		}
		if p.Unknown != "" {
			add(sallyport.Reason{Code: "advisories-unknown", Title: "It is known what affects a package", Severity: sallyport.High, Place: place(p), Package: p.Purl, Text: p.Purl + ": " + p.Why})
		}
	}
	for _, f := range r.Files {
		if t := OpenFile(f.Path, f.Unread, f.Open); t != "" {
			add(sallyport.Reason{Code: "advisories-unknown", Title: "It is known what affects a package", Severity: sallyport.High, Place: f.Path, Text: t})
		}
	}
	return d
}

// OpenFile says what a file leaves open.
func OpenFile(path string, unread bool, open int) string {
	switch {
	case unread:
		return "nothing here reads " + path
	case open > 0:
		return fmt.Sprintf("%s asks for %d that no lock file pins", path, open)
	}
	return ""
}

// MatchText says in one sentence what is known about a package.
func MatchText(name, version string, m advisory.Match) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s ", name, version)
	if m.Malicious {
		b.WriteString("is a malicious package: ")
	} else {
		b.WriteString("is vulnerable: ")
	}
	b.WriteString(m.ID)
	for i, a := range m.Aliases {
		if i == 3 {
			fmt.Fprintf(&b, " and %d more", len(m.Aliases)-i)
			break
		}
		b.WriteString(", " + a)
	}
	if m.Summary != "" {
		b.WriteString(" (" + m.Summary + ")")
	}
	if m.Severity == "" && !m.Malicious {
		b.WriteString(", severity unknown")
	}
	switch {
	case m.Malicious:
	case len(m.Fixed) > 0:
		b.WriteString("; fixed in " + strings.Join(m.Fixed, ", "))
	default:
		b.WriteString("; no fixed version is known")
	}
	return b.String()
}
