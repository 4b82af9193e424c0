package scan

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/advisory"
	"github.com/sallyport-dev/sallyport/internal/scan/dep"
)

// The rules of findings about advisories that are no advisory's id: why something is not known.
const (
	adviceMissing   = "missing"
	adviceStale     = "stale"
	adviceUncovered = "uncovered"
	adviceVersion   = "version"
	adviceUnpinned  = "unpinned"
	adviceDamaged   = "damaged"
	adviceUnread    = "unread"
	adviceUnsigned  = "unsigned"
)

// Advice is where a scanner looks packages up.
type Advice struct {
	DB  *advisory.DB // nil: there is none that can be used
	Why error        // why there is none; nil if nobody asked for one
	// Missing is set if there is no file at all.
	Missing  bool
	Required bool          // what is not known keeps the gate shut
	MaxAge   time.Duration // how old records may be; 0: any
	Now      time.Time
	// Unsigned says of ecosystems, by OSV's name, why their records do not count as signed, where they have to be.
	Unsigned map[string]string

	// About says of each vulnerability and malicious package that was found, by the finding's id, what it is about, for
	// whoever triages or mends it.
	About map[string]AdviceAbout
}

// AdviceAbout is an advisory about a package, and the entry that brings it.
type AdviceAbout struct {
	Purl      string
	IDs       []string
	Fixed     []string // what mends it, as its records say
	Malicious bool
	Entry     sallyport.Dependency
}

// Advised has the scanner look up the packages that a change brings. It must be called before the first Change,
// and returns s. Without it nothing is looked up, and nothing said.
func (s *Scanner) Advised(a *Advice) *Scanner {
	s.advice = a
	return s
}

// An adviser looks the packages of one change up.
type adviser struct {
	*Advice
	pins map[pin]bool // of which the change names one version
	told map[string]bool
	out  []sallyport.Finding
	open map[string]*question
}

// advised finds what is known about the packages that a change adds or updates. It is asked anew each time, and not
// of the cache: what was known yesterday is not what is known today.
//
// A lock file that nothing reads brings packages that nobody can name. Where an answer is required there is none
// about them; elsewhere its own finding says enough.
func (s *Scanner) advised(deps []sallyport.Dependency, found []sallyport.Finding) []sallyport.Finding {
	if s.advice == nil {
		return nil
	}
	a := &adviser{Advice: s.advice, pins: map[pin]bool{}, told: map[string]bool{}, open: map[string]*question{}}
	for i := range deps {
		if d := &deps[i]; brings(d) && exactVersion(d) != "" {
			a.pins[pin{d.Ecosystem, d.Name, path.Dir(string(d.Path)), d.Lock}] = true
		}
	}
	for i := range deps {
		if d := &deps[i]; brings(d) {
			a.look(d)
		}
	}
	for i := range found {
		if f := &found[i]; a.Required && f.Kind == sallyport.FindingDependency && f.Rule == ruleUnreadFormat && f.Commit.Zero() {
			a.unknown(adviceUnread, &sallyport.Dependency{Path: f.Path, Version: f.ID}, "", "nothing here reads files of this name") // that id holds its content
		}
	}
	for _, q := range a.open {
		a.out[q.at] = q.finding()
	}
	return a.out
}

// A pin says where a change names one version of a package.
type pin struct {
	ecosystem, name, folder string
	lock                    bool
}

// pinned reports whether the change says which version an entry that leaves it open will be: in a file beside it, or
// in a lock file of a folder above, as workspaces have it. What another folder pins says nothing about this one.
func (a *adviser) pinned(d *sallyport.Dependency) bool {
	folder := path.Dir(string(d.Path))
	if a.pins[pin{d.Ecosystem, d.Name, folder, false}] {
		return true
	}
	for {
		if a.pins[pin{d.Ecosystem, d.Name, folder, true}] {
			return true
		}
		if folder == "." || folder == "/" {
			return false
		}
		folder = path.Dir(folder)
	}
}

// brings reports whether the change adds or updates a package that comes from elsewhere. What lies in the repository is
// scanned as its files; its name is nobody's.
func brings(d *sallyport.Dependency) bool {
	return d.Change != dep.Removed && d.Purl != "" && d.Registry != local
}

// exactVersion is the one version that an entry names, if it does.
func exactVersion(d *sallyport.Dependency) string {
	if _, _, _, v, err := dep.ParsePurl(d.Purl); err == nil {
		return v
	}
	return ""
}

func (a *adviser) look(d *sallyport.Dependency) {
	if a.DB == nil {
		switch {
		case a.Missing && !a.Required:
		case a.Missing:
			a.unknown(adviceMissing, d, "", "there is no advisory database to look packages up in")
		default:
			a.unknown(adviceDamaged, d, "", fmt.Sprintf("packages cannot be looked up: %v", a.Why))
		}
		return
	}
	v := exactVersion(d)
	ans := a.DB.Match(advisory.Package{Type: d.Ecosystem, Name: d.Name, Version: v})
	for _, m := range ans.Matches {
		a.match(d, m)
	}
	switch ans.Unknown {
	case advisory.UnknownEcosystem, advisory.UnknownCoverage:
		a.unknown(adviceUncovered, d, d.Ecosystem, ans.Why)
		return
	case advisory.UnknownDamaged:
		a.unknown(adviceDamaged, d, "", advisory.ErrDamaged.Error())
		return
	case advisory.UnknownVersion:
		switch {
		case v != "":
			a.unknown(adviceVersion, d, d.Name+"\x00"+v, fmt.Sprintf("%s %s: %s", d.Name, v, ans.Why))
		case !a.pinned(d):
			a.unknown(adviceUnpinned, d, d.Name, fmt.Sprintf("%s is asked for as %q, there are advisories about it (%s), and the change pins no version", d.Name, d.Version, few(ans.Undecided)))
		}
	}
	a.age(d)
	a.signed(d)
}

// match tells of an advisory. An entry whose version stays the same brings no vulnerability that was not there.
func (a *adviser) match(d *sallyport.Dependency, m advisory.Match) {
	kind, severity, what := sallyport.FindingVulnerability, m.Severity, "is vulnerable: "
	switch {
	case m.Malicious:
		kind, severity, what = sallyport.FindingMalicious, sallyport.Critical, "is a malicious package: "
	case d.Change == dep.Updated && d.OldVersion == d.Version:
		return
	case severity == "":
		severity = sallyport.High // nobody rated it, and nobody said that it is harmless
	}
	if a.seen(string(d.Path), d.Purl, m.ID) {
		return
	}
	text := fmt.Sprintf("%s %s %s%s", d.Name, d.Version, what, m.ID)
	if len(m.Aliases) > 0 {
		text += " (" + few(m.Aliases) + ")"
	}
	if m.Summary != "" {
		text += ", " + m.Summary
	}
	switch {
	case m.Malicious:
	case len(m.Fixed) > 0:
		text += "; fixed in " + few(m.Fixed)
	default:
		text += "; no fixed version is known"
	}
	if m.Severity == "" && !m.Malicious {
		text += "; nobody rated its severity, which counts as high"
	}
	f := finding(kind, m.ID, severity, d.Path, 0, text, d.Purl+"\x00"+m.ID)
	if a.About == nil {
		a.About = map[string]AdviceAbout{}
	}
	a.About[f.ID] = AdviceAbout{d.Purl, append([]string{m.ID}, m.Aliases...), m.Fixed, m.Malicious, *d}
	a.out = append(a.out, f)
}

// signed tells if the records of the package's ecosystem should be signed, and are not.
func (a *adviser) signed(d *sallyport.Dependency) {
	name, _ := advisory.Ecosystem(d.Ecosystem)
	if why, ok := a.Unsigned[name]; ok {
		a.unknown(adviceUnsigned, d, name, fmt.Sprintf("the advisories of %s have to be signed, and %s", name, why))
	}
}

// age tells if the records of the package's ecosystem are too old to say that nothing else is known.
func (a *adviser) age(d *sallyport.Dependency) {
	name, _ := advisory.Ecosystem(d.Ecosystem)
	e, _ := a.DB.Meta().Ecosystem(name)
	age, known := e.Age(a.Now)
	switch {
	case a.MaxAge == 0 || known && age <= a.MaxAge:
	case known:
		a.unknown(adviceStale, d, name, fmt.Sprintf("the advisories of %s are from %s, and may be at most %s old", name, e.AsOf.Format(time.RFC3339), hours(a.MaxAge)))
	default:
		a.unknown(adviceStale, d, name, fmt.Sprintf("nobody says how old the advisories of %s are, and they may be at most %s old", name, hours(a.MaxAge)))
	}
}

// unknown tells once for each file, and what it is about, what nobody can tell.
func (a *adviser) unknown(rule string, d *sallyport.Dependency, about, text string) {
	severity := sallyport.Low
	switch {
	case rule == adviceUnpinned && a.Required:
		severity = sallyport.Medium // its lock file tells, or the next one that is made
	case a.Required:
		severity = sallyport.High
	}
	k := strings.Join([]string{string(d.Path), rule, about}, "\x00")
	if a.open[k] == nil {
		a.open[k] = &question{at: len(a.out), rule: rule, severity: severity, path: d.Path, about: about, text: "whether what it brings is vulnerable is not known: " + text}
		a.out = append(a.out, sallyport.Finding{})
	}
	a.open[k].ask(d)
}

func (a *adviser) seen(parts ...string) bool {
	k := strings.Join(parts, "\x00")
	old := a.told[k]
	a.told[k] = true
	return old
}

// hours writes an age as the configuration does.
func hours(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

// few joins the first of a list.
func few(list []string) string {
	if len(list) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:3], ", "), len(list)-3)
	}
	return strings.Join(list, ", ")
}
