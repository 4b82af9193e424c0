package dep

import (
	"cmp"
	"slices"
	"strings"
)

// The values of [Change.Kind].
const (
	Added   = "added"
	Updated = "updated"
	Removed = "removed"
)

// A Change is how one package differs between two readings of a file.
type Change struct {
	Kind string
	New  Package // of what is removed, what it was
	Old  Package // of what is updated

	// Rewritten is set where one version stays what it is called and the file now wants other
	// bytes for it, or fetches them from elsewhere.
	Rewritten bool
}

// Compare returns what differs between two readings of one file, sorted. Readings are sorted by
// name, as [Format.Read] returns them.
//
// Versions of one name are paired from the oldest in the order of their text: a lock file holds few
// versions of one package, and which of them became which it does not say.
func Compare(before, after []Package, sums bool) []Change {
	var out []Change
	for len(before) > 0 || len(after) > 0 {
		var name string
		switch {
		case len(before) == 0:
			name = after[0].Name
		case len(after) == 0:
			name = before[0].Name
		default:
			name = min(before[0].Name, after[0].Name)
		}
		var a, b []Package
		a, before = cutName(before, name)
		b, after = cutName(after, name)
		out = compareName(out, a, b, sums)
	}
	slices.SortStableFunc(out, func(x, y Change) int {
		return cmp.Or(strings.Compare(x.New.Name, y.New.Name), strings.Compare(x.New.Version, y.New.Version), strings.Compare(x.Kind, y.Kind))
	})
	return out
}

func cutName(ps []Package, name string) (of, rest []Package) {
	i := 0
	for i < len(ps) && ps[i].Name == name {
		i++
	}
	return ps[:i], ps[i:]
}

func same(a, b *Package) bool {
	return a.Version == b.Version && a.Registry == b.Registry && a.Resolved == b.Resolved && a.Hash == b.Hash &&
		a.Integrity == b.Integrity && a.Default == b.Default && a.Exact == b.Exact && a.Problem == b.Problem &&
		a.Script == b.Script && a.Direct == b.Direct && a.Dev == b.Dev
}

func compareName(out []Change, a, b []Package, sums bool) []Change {
	a, b = without(a, b, same), without(b, a, same)
	// First those that kept their version.
	for i := 0; i < len(b); i++ {
		j := slices.IndexFunc(a, func(p Package) bool { return p.Version == b[i].Version })
		if j < 0 {
			continue
		}
		c := Change{Kind: Updated, New: b[i], Old: a[j]}
		c.Rewritten = rewritten(&a[j], &b[i])
		a, b = slices.Delete(slices.Clone(a), j, j+1), slices.Delete(slices.Clone(b), i, i+1)
		i--
		if !sums || c.Rewritten {
			out = append(out, c)
		}
	}
	if sums {
		return out
	}
	for i := range b {
		if i < len(a) {
			out = append(out, Change{Kind: Updated, New: b[i], Old: a[i]})
		} else {
			out = append(out, Change{Kind: Added, New: b[i]})
		}
	}
	for i := len(b); i < len(a); i++ {
		out = append(out, Change{Kind: Removed, New: a[i]})
	}
	return out
}

// without returns the packages of a of which b has none that is the same.
func without(a, b []Package, equal func(x, y *Package) bool) []Package {
	var out []Package
	for i := range a {
		if !slices.ContainsFunc(b, func(p Package) bool { return equal(&a[i], &p) }) {
			out = append(out, a[i])
		}
	}
	return out
}

// rewritten reports whether two entries of one version want different bytes. One digest more or
// less is not that: lists of files grow.
func rewritten(a, b *Package) bool {
	if !a.Exact || !b.Exact {
		return false
	}
	x, y := strings.Fields(a.Hash), strings.Fields(b.Hash)
	if len(x) == 0 || len(y) == 0 {
		return len(x) != len(y)
	}
	kinds := map[string]bool{}
	for _, h := range x {
		if slices.Contains(y, h) {
			return false
		}
		kinds[hashKind(h)] = true
	}
	return slices.ContainsFunc(y, func(h string) bool { return kinds[hashKind(h)] })
}

// hashKind returns what tells digests of one algorithm: what stands before the digest, or its length.
func hashKind(h string) string {
	if i := strings.IndexAny(h, ":-/"); i > 0 {
		return h[:i]
	}
	return string(rune('0' + len(h)%64))
}
