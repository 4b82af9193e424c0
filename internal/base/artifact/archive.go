package artifact

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An entry is one member of an archive, or what else has a header.
type entry struct {
	name   string
	role   string  // in an image layout, where it is paired by that
	nth    int     // of the members of this name, from 0
	fields []field // of its header
	raw    string  // its header as bytes, or a digest of them
	size   int64
	data   blob
	packed string // method and digest of the content as packed, if it is
	// load returns the content, if it has to be unpacked first, or why it cannot be had.
	load func() (_ blob, opaque string, err error)
}

// A field is one field of a header. Both sides list the same fields in the same order, but for
// those that are optional.
type field struct {
	what        Kind
	name, value string
	why         string
}

func (m *entry) add(what Kind, name, value string) {
	m.fields = append(m.fields, field{what: what, name: name, value: value})
}

// archived is what a reader of archives returns of one side.
type archived struct {
	members []entry
	cut     string // why not all of it was read
	rest    blob   // what follows the last member
}

func (a *archived) number() {
	seen := map[string]int{}
	for i := range a.members {
		m := &a.members[i]
		m.nth = seen[m.name]
		seen[m.name]++
	}
}

type memberKey struct {
	name string
	nth  int
}

func (m *entry) key() memberKey { return memberKey{m.name, m.nth} }

func (k memberKey) String() string {
	if k.nth == 0 {
		return k.name
	}
	return fmt.Sprintf("%s (number %d of this name)", k.name, k.nth+1)
}

// archives compares the members of two archives: who is in it, in which order, headers, contents.
func (c *comparer) archives(at, format string, a, b archived, depth int) error {
	sides := [2]*archived{&a, &b}
	var byKey [2]map[memberKey]*entry
	for i, s := range sides {
		s.number()
		if s.cut != "" {
			c.unexamined(at, fmt.Sprintf("not examined beyond member %d: %s", len(s.members), visible(s.cut)))
		}
		byKey[i] = make(map[memberKey]*entry, len(s.members))
		for j := range s.members {
			byKey[i][s.members[j].key()] = &s.members[j]
		}
	}
	c.pairBlobs(byKey)
	keys := make([]memberKey, 0, len(byKey[0]))
	for k := range byKey[0] {
		keys = append(keys, k)
	}
	for k := range byKey[1] {
		if byKey[0][k] == nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b memberKey) int { return cmp.Or(strings.Compare(a.name, b.name), a.nth-b.nth) })
	// What is not in both comes first: in an archive of thousands it is what a reader looks for.
	for _, k := range keys {
		ma, mb := byKey[0][k], byKey[1][k]
		switch {
		case ma == nil && a.cut == "":
			c.add(Difference{Member: join(at, k.String()), What: Extra, Where: "member", A: "", B: sized(mb.size)})
		case mb == nil && b.cut == "":
			c.add(Difference{Member: join(at, k.String()), What: Missing, Where: "member", A: sized(ma.size), B: ""})
		}
	}
	c.order(at, a, b, byKey)
	for _, k := range keys {
		ma, mb := byKey[0][k], byKey[1][k]
		if ma == nil || mb == nil {
			continue
		}
		name := join(at, k.String())
		if ma.role != "" {
			name = join(at, ma.role) // see pairBlobs
		}
		before := c.found
		c.headers(name, ma, mb)
		if err := c.contents(name, ma, mb, depth); err != nil {
			return err
		}
		if c.found > before {
			continue
		}
		if ma.packed != mb.packed {
			c.add(Difference{Member: name, What: Compression, Where: "packed content", A: ma.packed, B: mb.packed,
				Why: "the content is the same and packed differently: another implementation, version or level"})
		} else if ma.raw != mb.raw {
			c.add(Difference{Member: name, What: Format, Where: format + " header", A: ma.raw, B: mb.raw,
				Why: "the same is written in another way: another version or implementation of the archiver; pin it, and name its format (tar --format=ustar). In the posix format GNU tar writes its process id; --pax-option=exthdr.name=%d/PaxHeaders/%f leaves it out"})
		}
	}
	at0, err := firstDifference(c.ctx, a.rest, b.rest)
	if err != nil || at0 < 0 || a.cut != "" || b.cut != "" {
		return err
	}
	return c.bytes(at, "after the last member, ", a.rest, b.rest)
}

// contents compares what two members hold. What was unpacked for it is dropped at once.
func (c *comparer) contents(name string, a, b *entry, depth int) error {
	if a.packed != "" && a.packed == b.packed {
		return nil // unpacking the same bytes gives the same
	}
	mark := len(c.temp)
	defer func() { c.drop(mark) }()
	var blobs [2]blob
	for i, m := range []*entry{a, b} {
		blobs[i] = m.data
		if m.load == nil {
			continue
		}
		var opaque string
		var err error
		if blobs[i], opaque, err = m.load(); err != nil {
			return err
		}
		if opaque != "" {
			c.unexamined(name, "not examined inside: "+visible(opaque))
			if a.packed != b.packed {
				c.add(Difference{Member: name, What: Content, Where: "packed content", A: a.packed, B: b.packed})
			}
			return nil
		}
	}
	return c.same(name, blobs[0], blobs[1], depth+1)
}

// order compares the sequence of the members that both have.
func (c *comparer) order(at string, a, b archived, byKey [2]map[memberKey]*entry) {
	shared := func(s archived, other map[memberKey]*entry) []memberKey {
		var out []memberKey
		for i := range s.members {
			if k := s.members[i].key(); other[k] != nil && s.members[i].role == "" {
				out = append(out, k)
			}
		}
		return out
	}
	sa, sb := shared(a, byKey[1]), shared(b, byKey[0])
	for i := range min(len(sa), len(sb)) {
		if sa[i] != sb[i] {
			c.add(Difference{Member: at, What: Order, Where: fmt.Sprintf("member %d", i+1), A: sa[i].String(), B: sb[i].String(),
				Why: "members were added in the order in which the file system listed them, or from a map; sort them (tar --sort=name, LC_ALL=C sort before zip or cpio)"})
			return
		}
	}
}

// headers compares the headers of a member.
func (c *comparer) headers(name string, a, b *entry) {
	values := func(m *entry) map[string]field {
		out := make(map[string]field, len(m.fields))
		for _, f := range m.fields {
			out[f.name] = f
		}
		return out
	}
	va, vb := values(a), values(b)
	var names []string
	for n := range va {
		names = append(names, n)
	}
	for n := range vb {
		if _, ok := va[n]; !ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		fa, fb := va[n], vb[n]
		if fa.value == fb.value {
			continue
		}
		c.add(Difference{Member: name, What: cmp.Or(fa.what, fb.what), Where: n, A: fa.value, B: fb.value, Why: cmp.Or(fa.why, fb.why)})
	}
}

// join names a member of what is at. Archives in archives are set apart with "!".
func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "!" + name
}

// parent returns the archive that a member lies in.
func parent(member string) string {
	if i := strings.LastIndex(member, "!"); i >= 0 {
		return member[:i]
	}
	return ""
}
