package scan

import (
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/dep"
	"github.com/sallyport-dev/sallyport/internal/scan/registry"
)

// The rules of findings about names.
const (
	ruleUnknownName = "unknown-name" // the registry's index does not have it
	ruleYoung       = "young"
	adviceNames     = "names" // whether the name is known is not known
)

// Names are where a scanner asks whether the packages that a change adds exist, and since when.
type Names struct {
	Index *registry.Index // nil: there is none that can be used
	Why   error           // why there is none; nil if there is no file at all
	// Required is set if what is not known keeps the gate shut. Without it and without an index nothing is said.
	Required bool
	MinAge   time.Duration // how old a package has to be, which takes Required; 0: any
	MaxAge   time.Duration // how old the index may be; 0: any
	Now      time.Time
}

// Named has the scanner ask for the names of new packages. It must be called before the first Change, and returns s.
func (s *Scanner) Named(n *Names) *Scanner {
	s.named = n
	return s
}

// strangers finds, among the packages that a change adds from their ecosystem's own registry, those whose name the registry's
// index does not have, and those that are young. It is asked anew each time, and not of the cache. One file tells of a package
// once, whatever versions of it there are.
func (s *Scanner) strangers(deps []sallyport.Dependency) []sallyport.Finding {
	n := s.named
	if n == nil || n.Index == nil && n.Why == nil && !n.Required {
		return nil
	}
	var out []sallyport.Finding
	told := map[string]bool{}
	tell := func(kind sallyport.FindingKind, rule string, severity sallyport.Severity, d *sallyport.Dependency, about, text string) {
		if k := string(d.Path) + "\x00" + rule + "\x00" + about; !told[k] {
			told[k] = true
			out = append(out, finding(kind, rule, severity, d.Path, 0, text, rule+"\x00"+about))
		}
	}
	open := map[string]*question{}
	unknown := func(d *sallyport.Dependency, about, text string) {
		severity := sallyport.Low
		if n.Required {
			severity = sallyport.High
		}
		k := string(d.Path) + "\x00" + about
		if open[k] == nil {
			open[k] = &question{at: len(out), rule: adviceNames, severity: severity, path: d.Path, about: about, text: "whether the packages that it brings exist is not known: " + text}
			out = append(out, sallyport.Finding{})
		}
		open[k].ask(d)
	}
	for i := range deps {
		d := &deps[i]
		if d.Change != dep.Added || d.Purl == "" || d.Registry == local || !d.DefaultRegistry {
			continue
		}
		if n.Index == nil {
			why := "there is no index of names to look in"
			if n.Why != nil {
				why = n.Why.Error()
			}
			unknown(d, "", why)
			continue
		}
		name := d.Ecosystem + "\x00" + d.Name
		if e, ok := n.Index.Meta().Ecosystem(d.Ecosystem); ok && e.Stale(n.Now, n.MaxAge) {
			unknown(d, "stale\x00"+d.Ecosystem, fmt.Sprintf("the names of %s are as of %s, and may be at most %s old", d.Ecosystem, day(e.AsOf), hours(n.MaxAge)))
		}
		a, err := n.Index.Look(d.Ecosystem, d.Name)
		switch {
		case err != nil:
			unknown(d, "", registry.ErrDamaged.Error())
		case !a.Kept && n.Required:
			unknown(d, d.Ecosystem, "the index has no names of "+d.Ecosystem)
		case !a.Kept:
		case !a.Known:
			e, _ := n.Index.Meta().Ecosystem(d.Ecosystem)
			tell(sallyport.FindingUnknownPackage, ruleUnknownName, sallyport.High, d, name,
				fmt.Sprintf("%s is none of the %d names that the registry of %s had as of %s: it may be made up, or newer than that", d.Name, e.Names, d.Ecosystem, day(e.AsOf)))
		case n.MinAge > 0 && a.First.IsZero():
			tell(sallyport.FindingAdvisory, adviceNames, sallyport.High, d, name, fmt.Sprintf("how old %s is is not known: the index does not say when it was first published", d.Name))
		case n.MinAge > 0 && n.Now.Sub(a.First.Add(24*time.Hour)) < n.MinAge: // it is a day, and counts from its end
			tell(sallyport.FindingNewPackage, ruleYoung, sallyport.High, d, name,
				fmt.Sprintf("%s was first published on %s, and has to be at least %s old", d.Name, a.First.Format(time.DateOnly), hours(n.MinAge)))
		}
	}
	for _, q := range open {
		out[q.at] = q.finding()
	}
	return out
}

// day writes when an index is from.
func day(t time.Time) string {
	if t.IsZero() {
		return "a day that nobody says"
	}
	return t.Format(time.DateOnly)
}
