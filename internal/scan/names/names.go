// Package names tells when the name of a package is one that somebody could take for a well-known
// one: typosquatting, and the names that language models make up.
//
// A [List] holds the well-known names of each ecosystem. A name that is on it is itself. One that
// is not looks like an entry if, in the ecosystem's normal form,
//
//   - it is spelt with other characters that look alike: 0 for o, 1 and a capital I for l, rn for m,
//     the letters of other alphabets, and characters that print nothing ([Confusable]);
//   - it differs only in hyphens, dots and underscores, or in whether there are any ([Separator]);
//   - it is one letter away: another, one more, one less, or two neighbours swapped ([Letter]).
//     Names of fewer than six letters are not compared so: too many honest ones are that close;
//   - it has the scope of none and the name of a scoped one, written as one: "types-node" for
//     "@types/node" ([Scope]). npm only.
//
// Two names of one owner (an npm scope, a Composer vendor, a Maven group, the folder of a Go module)
// are not compared: nobody else can publish there.
//
// This is advice about a name. Most malicious packages have names of their own, and honest ones may
// be close to a famous one; docs/scans.md says how many are.
//
// A list is JSON: an object with one array of names for each type of package URL, such as
//
//	{"npm": ["react", "@types/node"], "pypi": ["requests"]}
//
// Maven names are written group:artifact. The list that is built in holds the names that the
// registries' public counts of downloads rank first, and is replaced by a signed file (docs/data.md).
package names

import (
	_ "embed" // the list
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/confusable"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// BuiltinVersion is the version of the list that is built in.
const BuiltinVersion = 1

//go:embed popular.json
var popular []byte

// Bounds of a list.
const (
	MaxList  = 2 << 20 // bytes
	MaxNames = 100_000
	maxName  = 214 // characters of a name, npm's own limit
)

// How a name looks like another.
const (
	Confusable = "confusable"
	Separator  = "separator"
	Letter     = "letter"
	Scope      = "scope"
)

// shortest is the least length of a name that is compared letter by letter.
const shortest = 6

// ecosystems are the types of package URL that a list may have names of.
var ecosystems = []string{"cargo", "composer", "gem", "golang", "maven", "npm", "nuget", "pypi"}

// A List is a list of well-known names. It is safe for concurrent use.
type List struct {
	Digest sallyport.Digest // of its text
	Names  int

	names map[string][]string // by ecosystem
	once  map[string]*sync.Once
	index map[string]*index
}

// An index finds the entries of one ecosystem.
type index struct {
	known    map[string]bool   // normal forms
	skeleton map[string]string // by what they look like
	plain    map[string]string // by themselves without separators
	deleted  map[string][]string
	scoped   map[string]string
}

// Builtin is the list that is built in.
var Builtin = sync.OnceValue(func() *List {
	l, err := Parse(popular)
	if err != nil {
		panic(err) // a test parses it
	}
	return l
})

// BuiltinDigest is the digest of the list that is built in, which is not read for it.
func BuiltinDigest() sallyport.Digest { return sallyport.SHA256(popular) }

// Parse reads a list. It refuses one that names an unknown ecosystem, has no names or too many, or
// holds what is no name.
func Parse(b []byte) (*List, error) {
	if len(b) > MaxList {
		return nil, fmt.Errorf("list of names: %d bytes, the limit is %d", len(b), MaxList)
	}
	var raw map[string][]string
	if err := strict.LaxJSON(b, MaxList, &raw); err != nil {
		return nil, fmt.Errorf("list of names: %w", err)
	}
	l := &List{Digest: sallyport.SHA256(b), names: raw, once: map[string]*sync.Once{}, index: map[string]*index{}}
	for eco, list := range raw {
		if !slices.Contains(ecosystems, eco) {
			return nil, fmt.Errorf("list of names: %q is no ecosystem; there are %s", eco, strings.Join(ecosystems, ", "))
		}
		for _, n := range list {
			if !plausible(n) {
				return nil, fmt.Errorf("list of names: %s: %q is no name of a package", eco, n)
			}
		}
		l.Names += len(list)
		l.once[eco], l.index[eco] = new(sync.Once), new(index)
	}
	switch {
	case l.Names == 0:
		return nil, errors.New("list of names: it is empty")
	case l.Names > MaxNames:
		return nil, fmt.Errorf("list of names: %d names, the limit is %d", l.Names, MaxNames)
	}
	return l, nil
}

func plausible(n string) bool {
	return n != "" && len(n) <= maxName && utf8.ValidString(n) && !strings.ContainsFunc(n, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}

// visible is a name without what is no part of its look: spaces, and characters that print nothing.
func visible(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
}

// LookAlike returns the entry that name could be taken for, and how. Both are empty if there is none,
// or if name is on the list.
func (l *List) LookAlike(ecosystem, name string) (entry, how string) {
	once := l.once[ecosystem]
	if once == nil || len(name) > maxName {
		return "", ""
	}
	x := l.index[ecosystem]
	once.Do(func() { x.fill(ecosystem, l.names[ecosystem]) })
	seen := visible(name)
	n := normal(ecosystem, seen)
	switch {
	case n == "", x.known[n] && seen == name:
		return "", ""
	case x.known[n]: // but for what nobody sees
		return n, Confusable
	}
	for _, try := range []struct{ entry, how string }{
		{x.skeleton[skeleton(ecosystem, seen)], Confusable}, {x.skeleton[skeleton(ecosystem, strings.ReplaceAll(seen, "I", "l"))], Confusable},
		{x.plain[plain(n)], Separator}, {x.scoped[n], Scope}, {x.near(n), Letter},
	} {
		if try.entry != "" && (owner(n) == "" || owner(n) != owner(try.entry)) {
			return try.entry, try.how
		}
	}
	return "", ""
}

func (x *index) fill(ecosystem string, list []string) {
	x.known = make(map[string]bool, len(list))
	x.skeleton, x.plain = make(map[string]string, len(list)), make(map[string]string, len(list))
	x.deleted, x.scoped = make(map[string][]string, 8*len(list)), map[string]string{}
	first := func(m map[string]string, k, v string) { // the more popular of two comes first
		if m[k] == "" {
			m[k] = v
		}
	}
	for _, name := range list {
		n := normal(ecosystem, name)
		if x.known[n] {
			continue
		}
		x.known[n] = true
		first(x.skeleton, skeleton(ecosystem, name), n)
		if p := plain(n); len(p) > 3 { // "i-s" and "is" are names of their own
			first(x.plain, p, n)
		}
		if ecosystem == "npm" && strings.HasPrefix(n, "@") {
			first(x.scoped, strings.ReplaceAll(n[1:], "/", "-"), n)
		}
		if len(n) >= shortest {
			eachDeletion(n, func(d string) { x.deleted[d] = append(x.deleted[d], n) })
		}
	}
}

// near returns an entry that is one letter away. Two names are that close exactly if one is the other
// less a letter, or both give the same text less a letter each and are one change or swap apart.
func (x *index) near(n string) string {
	if len(n) < shortest {
		return ""
	}
	if es := x.deleted[n]; len(es) > 0 {
		return es[0]
	}
	found := ""
	eachDeletion(n, func(d string) {
		switch {
		case found != "":
		case x.known[d] && len(d) >= shortest:
			found = d
		default:
			for _, e := range x.deleted[d] {
				if oneApart(n, e) {
					found = e
					return
				}
			}
		}
	})
	return found
}

// eachDeletion calls f with s less each of its bytes. A byte that is the same as the one before
// gives nothing new.
func eachDeletion(s string, f func(string)) {
	for i := range len(s) {
		if i == 0 || s[i] != s[i-1] {
			f(s[:i] + s[i+1:])
		}
	}
}

// oneApart reports whether two texts of one length differ in one byte, or in two neighbours that
// are swapped.
func oneApart(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	j := len(a)
	for j > i && a[j-1] == b[j-1] {
		j--
	}
	return j-i == 1 || j-i == 2 && a[i] == b[i+1] && a[i+1] == b[i]
}

// owner is the part of a name that is somebody's: an npm scope, a vendor, a Maven group, where a Go
// module lies. Names of one owner are not taken for each other by accident of a stranger.
func owner(n string) string {
	if i := strings.LastIndexAny(n, "/:"); i >= 0 && n[:i] != "gopkg.in" { // where anybody has a name
		return n[:i]
	}
	return ""
}

// normal is a name as its registry compares it, in lower case.
func normal(ecosystem, name string) string {
	name = strings.ToLower(name)
	if ecosystem == "pypi" {
		var b strings.Builder
		for part := range strings.FieldsFuncSeq(name, isSeparator) {
			if b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteString(part)
		}
		return b.String()
	}
	return name
}

func isSeparator(r rune) bool { return r == '-' || r == '_' || r == '.' }

func plain(n string) string {
	return strings.Map(func(r rune) rune {
		if isSeparator(r) {
			return -1
		}
		return r
	}, n)
}

// alike holds characters of ASCII that are read as others.
var alike = strings.NewReplacer("0", "o", "1", "l", "rn", "m", "vv", "w")

// skeleton is what a name is read as. Names that are read alike have the same. It goes by the letters as
// they are written: in lower case some look like nothing else.
func skeleton(ecosystem, name string) string {
	read := strings.Map(func(r rune) rune {
		if l, ok := confusable.Letters()[r]; ok {
			return rune(l.As)
		}
		return r
	}, name)
	return alike.Replace(normal(ecosystem, read))
}
