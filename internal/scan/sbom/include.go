package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/licence"
	"github.com/sallyport-dev/sallyport/internal/scan/dep"
)

// The types of component, which are CycloneDX's.
const (
	Library     = "library"
	Application = "application"
	System      = "operating-system"
	Model       = "machine-learning-model"
)

// ErrPurl is returned for what is no package URL.
var ErrPurl = errors.New("it is no package URL")

// CheckPurl refuses what is no package URL. Qualifiers and a subpath are allowed.
func CheckPurl(s string) error {
	bad := func(why string) error { return fmt.Errorf("%w: %.100q: %s", ErrPurl, s, why) }
	if len(s) > 4<<10 {
		return bad("it is too long")
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return bad("it has characters that have to be encoded")
		}
	}
	head, _, _ := strings.Cut(s, "#")
	head, qualifiers, _ := strings.Cut(head, "?")
	kind, _, _, _, err := dep.ParsePurl(head)
	if err != nil {
		return bad(err.Error())
	}
	if strings.ContainsFunc(kind, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-+", r)
	}) {
		return bad("its type is malformed")
	}
	for pair := range strings.SplitSeq(qualifiers, "&") {
		if name, _, ok := strings.Cut(pair, "="); pair != "" && (!ok || name == "") {
			return bad("a qualifier is malformed")
		}
	}
	return nil
}

// Include adds a component that was found by looking into something. Its Licence is not read: terms
// are expressions, or a licence's name in a package's own words, and all of them hold. Its Terms say
// what the LicenseRefs among them are called.
func (v *Inventory) Include(c Component, terms []string) error {
	if c.Name == "" {
		return errors.New("a component has no name")
	}
	if c.Purl != "" {
		if err := CheckPurl(c.Purl); err != nil {
			return err
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(c.Purl, "pkg:"), "/")
		c.Ecosystem = strings.ToLower(kind)
	}
	if v.packages++; v.packages > MaxPackages {
		return ErrTooMany
	}
	c.Type = cmp.Or(c.Type, Library)
	c.Licence, c.Terms = Licences(terms, c.Terms...)
	c.Hashes, c.Paths = slices.Clone(c.Hashes), slices.Clone(c.Paths)
	v.found = append(v.found, c)
	v.built = false
	return nil
}

// ownWords is the LicenseRef of words that are no expression, named for their digest.
func ownWords(s string) Term {
	sum := sha256.Sum256([]byte(s))
	return Term{"LicenseRef-" + hex.EncodeToString(sum[:8]), s}
}

// IncludeSystem adds the operating system of what was looked into. It is the sum of its packages, and no
// rule asks for its licence.
func (v *Inventory) IncludeSystem(name, version string) error {
	err := v.Include(Component{Type: System, Name: name, Version: version}, nil)
	if err == nil {
		v.found[len(v.found)-1].system = true
	}
	return err
}

// Licences makes one expression of all terms. A LicenseRef stays what it is, so that a rule can name it,
// and known says what it is called: that name is for people, and is never read as a licence. What is no
// expression becomes a LicenseRef that is named for a digest of its words, and so does what only
// another document explains. NOASSERTION says nothing, and NONE is a name as any other.
func Licences(terms []string, known ...Term) (expression string, names []Term) {
	called := map[string]string{}
	for _, k := range known {
		called[k.Ref] = k.Name
	}
	named := map[string]bool{}
	name := func(t Term) {
		if !named[t.Ref] {
			named[t.Ref] = true
			names = append(names, t)
		}
	}
	var parts []*licence.Expression
	seen := map[string]bool{}
	for _, t := range terms {
		t = strings.TrimSpace(t)
		if t == "" || t == noAssertion {
			continue
		}
		e, err := licence.Parse(t)
		if err != nil || foreign(e) {
			own := ownWords(t)
			if e, err = licence.Parse(own.Ref); err != nil {
				continue // a reference always is one
			}
			name(own)
		}
		for _, l := range e.Terms() {
			if !l.Listed() {
				name(Term{l.ID, cmp.Or(called[l.ID], l.ID)})
			}
		}
		if s := e.String(); !seen[s] {
			seen[s] = true
			parts = append(parts, e)
		}
	}
	slices.SortFunc(parts, func(a, b *licence.Expression) int { return cmp.Compare(a.String(), b.String()) })
	slices.SortFunc(names, func(a, b Term) int { return cmp.Compare(a.Ref, b.Ref) })
	if len(parts) == 0 {
		return "", nil
	}
	return licence.All(parts...).String(), names
}

// foreign reports whether an expression refers to a licence that only another document explains.
func foreign(e *licence.Expression) bool {
	return slices.ContainsFunc(e.Terms(), func(t licence.Term) bool { return !t.Listed() && !strings.HasPrefix(t.ID, "LicenseRef-") })
}

// merge adds a component that was found, or what it says of one that is there.
func merge(byRef map[string]*Component, c *Component) {
	ref := c.Ref()
	old := byRef[ref]
	if old == nil {
		n := *c
		n.Hashes, n.Paths = append([]Hash{}, c.Hashes...), append([]string{}, c.Paths...)
		byRef[ref] = &n
		sortLists(&n)
		return
	}
	for _, h := range c.Hashes {
		if !slices.Contains(old.Hashes, h) {
			old.Hashes = append(old.Hashes, h)
		}
	}
	for _, p := range c.Paths {
		if !slices.Contains(old.Paths, p) {
			old.Paths = append(old.Paths, p)
		}
	}
	switch {
	case old.Licence == "":
		old.Licence, old.Terms = c.Licence, c.Terms
	case c.Licence != "" && c.Licence != old.Licence:
		// Two places that tell of one package may tell different licences of it. Both hold.
		a, errA := licence.Parse(old.Licence)
		b, errB := licence.Parse(c.Licence)
		if errA != nil || errB != nil { // too long together: then none is known
			old.Licence, old.Terms = "", nil
			break
		}
		old.Licence = licence.All(a, b).String()
		for _, t := range c.Terms {
			if !slices.Contains(old.Terms, t) {
				old.Terms = append(slices.Clone(old.Terms), t)
			}
		}
	}
	old.system = old.system && c.system
	sortLists(old)
}

func sortLists(c *Component) {
	slices.SortFunc(c.Hashes, func(a, b Hash) int { return cmp.Or(cmp.Compare(a.Algorithm, b.Algorithm), cmp.Compare(a.Hex, b.Hex)) })
	slices.Sort(c.Paths)
	slices.SortFunc(c.Terms, func(a, b Term) int { return cmp.Compare(a.Ref, b.Ref) })
}
