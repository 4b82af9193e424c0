package app

import (
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/scan/vex"
)

// triaged marks the vulnerabilities that OpenVEX statements, or the analyses of a CycloneDX document, say do not matter here.
// Such a statement counts if it is about the very commit that would land, signed by a key that the trust roots allow
// for the type at another grade than declared, and not by somebody who had a part in the change. A CycloneDX document is
// a bill of materials as well, which many keys may sign: its analyses count if the key may sign OpenVEX too. A document that cannot be read takes nothing
// away, and neither does any of them of a malicious package.
func (w *workspace) triaged(evidence []sallyport.Evidence, findings []sallyport.Finding, ineligible map[string]string, at time.Time) []sallyport.Finding {
	return w.triagedFor(evidence, findings, ineligible, at, sallyport.GitCommit(w.target.Head))
}

// triagedFor is triaged of what is about one of subjects.
func (w *workspace) triagedFor(evidence []sallyport.Evidence, findings []sallyport.Finding, ineligible map[string]string, at time.Time, subjects ...sallyport.Digest) []sallyport.Finding {
	if w.known == nil || len(w.known.About) == 0 {
		return findings
	}
	var docs []*vex.Document
	for i := range evidence {
		ev := &evidence[i]
		switch {
		case !slices.ContainsFunc(subjects, ev.About):
			continue
		case ev.Grade == "" || ev.Grade == sallyport.Declared || ev.Lapsed || ineligible[ev.Signer.Name] != "":
			continue
		}
		read := vex.Parse
		switch t := ev.Statement.PredicateType; {
		case vex.IsType(t):
		case vex.IsCycloneDX(t) && maySignVEX(w.trust, ev):
			read = vex.ParseCycloneDX
		default:
			continue
		}
		if d, err := read(ev.Statement.Predicate); err == nil {
			docs = append(docs, d)
		}
	}
	if docs == nil {
		return findings
	}
	out := slices.Clone(findings)
	for i := range out {
		f := &out[i]
		if about, ok := w.known.About[f.ID]; ok && f.Kind == sallyport.FindingVulnerability && f.State == sallyport.FindingOpen {
			f.State = vex.State(docs, about.Purl, about.IDs, at)
		}
	}
	return out
}

// maySignVEX reports whether every entry of the trust roots under which the evidence's key may sign its type lets the key
// sign OpenVEX as well.
func maySignVEX(trust []evidence.Key, ev *sallyport.Evidence) bool {
	may := false
	for _, k := range trust {
		if k.Hint() != ev.Key || !slices.Contains(k.Types, ev.Statement.PredicateType) {
			continue
		}
		if !slices.ContainsFunc(k.Types, vex.IsType) {
			return false
		}
		may = true
	}
	return may
}
