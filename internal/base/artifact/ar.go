package artifact

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const whyAr = "the archive has times and owners of its members; ar's D (the default of many builds), or SOURCE_DATE_EPOCH for packages"

func (c *comparer) ar(at string, a, b blob, depth int) error {
	return c.archives(at, "ar", c.readAr(a), c.readAr(b), depth)
}

// readAr reads the archives of ar(5): a header of 60 characters before each member, which starts at an
// even offset. Long names in the way of GNU ("/12") and BSD ("#1/20") are kept as they stand; where
// names are alike, so are members.
func (c *comparer) readAr(b blob) (out archived) {
	out.rest = b.section(b.size, b.size)
	at := int64(len("!<arch>\n"))
	for at < b.size {
		m, next, err := arMember(b, at)
		if err == nil && len(out.members) >= c.limits.Members {
			err = fmt.Errorf("more than %d members", c.limits.Members)
		}
		if err != nil {
			out.cut = err.Error()
			return out
		}
		out.members = append(out.members, m)
		at = next
	}
	return out
}

func arMember(b blob, at int64) (entry, int64, error) {
	const size = 60
	head := make([]byte, size)
	if n, _ := b.ReadAt(head, at); n != size || head[58] != '`' || head[59] != '\n' {
		return entry{}, 0, errors.New("a member has no header")
	}
	text := func(from, to int) string { return strings.TrimRight(string(head[from:to]), " ") }
	n, err := strconv.ParseInt(text(48, 58), 10, 64)
	if err != nil || n < 0 || n > b.size-at-size {
		return entry{}, 0, errors.New("a member does not say how long it is")
	}
	name := text(0, 16)
	if len(name) > 1 && name != "//" {
		name = strings.TrimSuffix(name, "/")
	}
	m := entry{name: name, raw: quoted(head[:48]), size: n, data: b.section(at+size, at+size+n)}
	m.fields = []field{
		{Timestamp, "mtime", epoch(text(16, 28)), whyAr},
		{Owner, "uid", text(28, 34), whyAr},
		{Owner, "gid", text(34, 40), whyAr},
		{Mode, "mode", text(40, 48), whyMode},
	}
	return m, at + size + n + n&1, nil
}
