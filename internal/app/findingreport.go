package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Decision puts the list as the decision of a gate would be, for the forms that exist for these. It is recorded nowhere,
// and no gate takes it. What was accepted stands there as held off; what is fixed, or does not matter here, is left out.
func (l *FindingList) Decision() sallyport.Decision {
	d := sallyport.Decision{
		Gate: "finding", Time: l.time.Format(time.RFC3339), Outcome: sallyport.Open,
		Subject: sallyport.Subject{Digest: l.Head, Name: l.TargetRef},
	}
	for _, f := range l.Findings {
		r := sallyport.Reason{
			Code: f.Code, Title: l.titles[f.Code], Severity: f.Severity, Text: f.Text, Place: f.Place(), Finding: f.ID, Rule: f.Rule, Package: f.Package,
		}
		switch f.State {
		case sallyport.FindingOpen:
			d.Reasons = append(d.Reasons, r)
			d.Outcome = sallyport.Shut
		case sallyport.FindingAccepted:
			d.Excepted = append(d.Excepted, sallyport.Excepted{Reason: r, Exception: f.AcceptedBy, Until: f.AcceptedUntil})
		}
	}
	return d
}

// Place is where the finding is: path and line, a path, or a commit.
func (f *FindingView) Place() string {
	switch {
	case f.Line > 0:
		return fmt.Sprintf("%s:%d", f.Path, f.Line)
	case f.Path != "":
		return string(f.Path)
	}
	return string(f.Commit)
}

// Vulns is what is known about the packages that the change brings, as a predicate to attest. There is none while
// something is not known. It says that it is about a change: what was in the target before is not in it.
func (l *FindingList) Vulns() ([]byte, error) {
	if !l.looked {
		return nil, withHint(errors.New("vulns: there is no advisory database that packages were looked up in"), importAgain)
	}
	v := vulns{
		Scanner: vulnsScanner{
			URI: "https://sallyport.dev", Version: Version(), Result: []vulnsResult{},
			DB: vulnsDB{URI: "https://sallyport.dev/advisories/v1", Version: string(l.Database)},
		},
		Metadata: vulnsMetadata{l.time.Format(time.RFC3339), l.time.Format(time.RFC3339)},
		Scope:    &vulnsScope{"change", l.TargetRef, l.Base, l.Head},
	}
	if !l.oldest.IsZero() {
		v.Scanner.DB.LastUpdate = l.oldest.Format(time.RFC3339)
	}
	for _, f := range l.Findings {
		switch f.Kind {
		case sallyport.FindingAdvisory:
			return nil, withHint(errors.New("vulns: not everything is known about the packages of the change, and the predicate cannot say so"), "sallyport finding list names what is not")
		case sallyport.FindingVulnerability, sallyport.FindingMalicious:
			v.Scanner.Result = append(v.Scanner.Result, vulnsResult{
				ID: f.Rule, Severity: []vulnsSeverity{{"qualitative", severityWord(f.Severity)}},
				Annotations: []map[string]any{{"purl": f.Package, "aliases": f.aliases(), "fixed": append([]string{}, f.fixed...), "malicious": f.malicious, "state": f.State}},
			})
		}
	}
	return sallyport.EncodeJSON(v)
}

// aliases are the advisory's ids but the one that it is named by.
func (f *FindingView) aliases() []string {
	if len(f.Advisories) < 2 {
		return []string{}
	}
	return f.Advisories[1:]
}
