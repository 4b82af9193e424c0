package scan

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/dep"
)

// Locks are the packages that the lock and manifest files of one tree name, and those of bills of materials. They
// are looked up as the packages of a change that added all of them would be. The zero Locks is empty.
type Locks struct {
	deps   []sallyport.Dependency
	purls  map[string]bool
	unread []sallyport.Finding

	base *Locks

	Files, Bills int
	// None is how many bills say that there are no packages.
	None int
}

// Beside returns empty Locks for another subject, in which what l names is passed over: it is looked up with l.
func (l *Locks) Beside() *Locks { return &Locks{base: l} }

func (l *Locks) has(purl string) bool {
	return l.purls[purl] || l.base != nil && l.base.has(purl)
}

// Packages returns how many there are to look up.
func (l *Locks) Packages() int { return len(l.purls) }

// Wanted reports whether a path is one of a lock or manifest file.
func Wanted(p string) bool {
	f := dep.FormatOf(fold(p))
	return f != nil && !f.Sums
}

// AddFile reads one file. Of one that cannot be read it is not known which packages it names, and that is kept.
func (l *Locks) AddFile(p string, content []byte) {
	f := dep.FormatOf(fold(p))
	if f == nil || f.Sums {
		return
	}
	l.Files++
	ps, err := f.Read(content)
	if err != nil {
		l.Unread(p, err.Error())
		return
	}
	for i := range ps {
		n := &ps[i]
		l.add(sallyport.Dependency{
			Purl: n.Purl(), Ecosystem: n.Ecosystem, Name: n.Name, Version: n.Version, Change: dep.Added, Direct: n.Direct, Dev: n.Dev,
			Registry: n.Registry, DefaultRegistry: n.Default, Integrity: n.Integrity, Lock: f.Lock, Path: sallyport.Path(p),
		})
	}
}

// Unread notes a place of which it is not known which packages it names.
func (l *Locks) Unread(p, why string) {
	l.unread = append(l.unread, finding(sallyport.FindingAdvisory, adviceUnread, sallyport.High, sallyport.Path(p), 0,
		"whether what it brings is vulnerable is not known: "+sallyport.Path(why).String(), adviceUnread+"\x00"+why))
}

// AddBill adds what a bill of materials of the file at p names beside what is there already.
func (l *Locks) AddBill(p string, b Bill) {
	l.Bills++
	for _, purl := range b.Purls {
		if l.has(purl) {
			continue
		}
		typ, namespace, name, version, err := dep.ParsePurl(bare(purl))
		if err != nil || strings.ContainsFunc(typ+namespace+name+version, func(r rune) bool { return !unicode.IsPrint(r) }) {
			l.Unread(p, fmt.Sprintf("%.200q of its bill of materials is no package URL", purl))
			continue
		}
		typ = strings.ToLower(typ)
		if namespace != "" {
			sep := "/"
			if typ == "maven" {
				sep = ":"
			}
			name = namespace + sep + name
		}
		d := sallyport.Dependency{Purl: bare(purl), Ecosystem: typ, Name: name, Change: dep.Added, Lock: true, Path: sallyport.Path(p)}
		d.Version = exactVersion(&d)
		if !l.has(d.Purl) {
			l.add(d)
		}
	}
	switch {
	case b.None:
		l.None++
	case len(b.Purls)+b.Nameless == 0:
		l.Unread(p, "its bill of materials names no package, and does not say that it is complete")
	}
	if b.Nameless > 0 {
		l.Unread(p, fmt.Sprintf("%d components of its bill of materials have no package URL, such as %.100q", b.Nameless, b.Example))
	}
}

// bare is a package URL without qualifiers and subpath, which say nothing about which advisories count.
func bare(purl string) string {
	purl, _, _ = strings.Cut(purl, "#")
	purl, _, _ = strings.Cut(purl, "?")
	return purl
}

func (l *Locks) add(d sallyport.Dependency) {
	if l.purls == nil {
		l.purls = map[string]bool{}
	}
	if brings(&d) {
		l.purls[d.Purl] = true
	}
	l.deps = append(l.deps, d)
}

// Look says what is known about the packages, as the gate for changes would.
func (a *Advice) Look(l *Locks) []sallyport.Finding {
	out := (&Scanner{advice: a}).advised(l.deps, nil)
	if a.Required {
		out = append(out, l.unread...)
	}
	slices.SortStableFunc(out, func(x, y sallyport.Finding) int { return strings.Compare(string(x.Path), string(y.Path)) })
	return out
}
