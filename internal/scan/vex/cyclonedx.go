package vex

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// CycloneDXType is the predicate type of a CycloneDX document, with or without vulnerabilities in it. A version may follow.
const CycloneDXType = "https://cyclonedx.org/bom"

const maxComponents = 200_000

// IsCycloneDX reports whether a predicate type is CycloneDX's.
func IsCycloneDX(t string) bool {
	return t == CycloneDXType || strings.HasPrefix(t, CycloneDXType+"/v")
}

// The states of CycloneDX that take something away. resolved_with_pedigree is none of them: what it rests on is the
// pedigree of a component, which nobody reads here.
const (
	cdxNotAffected   = "not_affected"
	cdxFalsePositive = "false_positive"
	cdxResolved      = "resolved"
)

type cdxDocument struct {
	Format   string `json:"bomFormat"`
	Spec     string `json:"specVersion"`
	Metadata struct {
		Timestamp string        `json:"timestamp"`
		Component *cdxComponent `json:"component"`
	} `json:"metadata"`
	Components      []cdxComponent     `json:"components"`
	Vulnerabilities []cdxVulnerability `json:"vulnerabilities"`
}

type cdxComponent struct {
	Ref        string         `json:"bom-ref"`
	Purl       string         `json:"purl"`
	Components []cdxComponent `json:"components"`
}

type cdxVulnerability struct {
	ID         string `json:"id"`
	References []struct {
		ID string `json:"id"`
	} `json:"references"`
	Analysis *struct {
		State         string `json:"state"`
		Justification string `json:"justification"`
		Detail        string `json:"detail"`
		First         string `json:"firstIssued"`
		Last          string `json:"lastUpdated"`
	} `json:"analysis"`
	Affects []struct {
		Ref      string `json:"ref"`
		Versions []struct {
			Version string `json:"version"`
			Status  string `json:"status"`
		} `json:"versions"`
	} `json:"affects"`
}

// ParseCycloneDX reads the analyses of a CycloneDX document of version 1.4 to 1.6. A vulnerability without one says
// nothing here. Of the states, not_affected and false_positive, which have to say why (a justification or a detail), and
// resolved take something away. What any other state says, one that CycloneDX does not have included, keeps a
// finding open: a document is not passed over for it, since it may take an older word back.
//
// An analysis is about the components that its affects name, by the bom-ref of one with a package URL, by a package URL, or
// by a BOM-Link that ends in one. If versions stand there too, it takes nothing away but of a package whose version is among them and
// not "unknown". It is as old as its lastUpdated, else its firstIssued, else the document. One that takes something away has to have
// a time; another without one is newer than all.
func ParseCycloneDX(b []byte) (*Document, error) {
	var raw cdxDocument
	if err := strict.LaxJSON(b, MaxDocument, &raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	switch {
	case raw.Format != "CycloneDX":
		return nil, fmt.Errorf("%w: its bomFormat is %.40q", ErrDocument, raw.Format)
	case raw.Spec != "1.4" && raw.Spec != "1.5" && raw.Spec != "1.6":
		return nil, fmt.Errorf("%w: it is of CycloneDX %.40q, and 1.4 to 1.6 are read", ErrDocument, raw.Spec)
	case len(raw.Vulnerabilities) > maxStatements:
		return nil, fmt.Errorf("%w: %d vulnerabilities, the limit is %d", ErrDocument, len(raw.Vulnerabilities), maxStatements)
	}
	refs := map[string]string{}
	if raw.Metadata.Component != nil {
		raw.Components = append(raw.Components, *raw.Metadata.Component)
	}
	if err := cdxRefs(refs, raw.Components); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	d := &Document{}
	for i := range raw.Vulnerabilities {
		v := &raw.Vulnerabilities[i]
		if v.Analysis == nil || v.Analysis.State == "" {
			continue
		}
		s, err := v.statement(refs, raw.Metadata.Timestamp)
		if err != nil {
			return nil, fmt.Errorf("%w: vulnerability %d: %w", ErrDocument, i+1, err)
		}
		d.statements = append(d.statements, s)
	}
	return d, nil
}

// cdxRefs collects the package URLs of components by their references.
func cdxRefs(refs map[string]string, list []cdxComponent) error {
	for i := range list {
		c := &list[i]
		if c.Ref != "" {
			if _, twice := refs[c.Ref]; twice {
				return fmt.Errorf("the bom-ref %.80q stands there twice", c.Ref)
			}
			if refs[c.Ref] = c.Purl; len(refs) > maxComponents {
				return fmt.Errorf("more than %d components", maxComponents)
			}
		}
		if err := cdxRefs(refs, c.Components); err != nil {
			return err
		}
	}
	return nil
}

// later is the time of what does not say when it was said, and keeps a finding open.
var later = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func (v *cdxVulnerability) statement(refs map[string]string, documents string) (statement, error) {
	s := statement{ids: map[string]bool{}, purls: map[string]bool{}, status: "open"}
	a := v.Analysis
	switch a.State {
	case cdxNotAffected, cdxFalsePositive:
		if a.Justification == "" && a.Detail == "" {
			return s, fmt.Errorf("it says %s and not why", a.State)
		}
		s.status = notAffected
	case cdxResolved:
		s.status = fixed
	}
	stamp := documents
	for _, t := range []string{a.First, a.Last} {
		if t != "" {
			stamp = t
		}
	}
	var err error
	if s.at, err = time.Parse(time.RFC3339Nano, stamp); err != nil {
		if s.takesAway() {
			return s, fmt.Errorf("%.40q is no time", stamp)
		}
		s.at = later
	}
	if v.ID == "" {
		return s, errors.New("it has no id")
	}
	s.ids[v.ID] = true
	for _, r := range v.References {
		if r.ID != "" {
			s.ids[r.ID] = true
		}
	}
	for _, x := range v.Affects {
		purl := cdxPurl(refs, x.Ref)
		if purl == "" {
			continue
		}
		listed := len(x.Versions) == 0 || !s.takesAway()
		for _, w := range x.Versions {
			listed = listed || w.Version != "" && w.Status != "unknown" && strings.HasSuffix(purl, "@"+w.Version)
		}
		if listed {
			s.purls[purl] = true
		}
	}
	return s, nil
}

// cdxPurl is the package URL that a reference stands for, or nothing.
func cdxPurl(refs map[string]string, ref string) string {
	if purl, ok := refs[ref]; ok {
		return purl
	}
	if link, fragment, ok := strings.Cut(ref, "#"); ok && strings.HasPrefix(link, "urn:cdx:") {
		plain, err := url.PathUnescape(fragment)
		if err != nil {
			return ""
		}
		ref = plain
	}
	if strings.HasPrefix(ref, "pkg:") {
		return ref
	}
	return ""
}
