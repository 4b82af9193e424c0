package artifact

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
)

// text compares two texts. JSON is compared by value where both sides are JSON.
func (c *comparer) text(member string, a, b blob, _ int) error {
	if max(a.size, b.size) > c.limits.Text {
		c.unexamined(member, fmt.Sprintf("not examined by line: larger than %d bytes", c.limits.Text))
		return nil
	}
	ta, err := io.ReadAll(a.reader())
	if err != nil {
		return fmt.Errorf("read %s: %w", visible(member), err)
	}
	tb, err := io.ReadAll(b.reader())
	if err != nil {
		return fmt.Errorf("read %s: %w", visible(member), err)
	}
	if c.json(member, ta, tb) {
		return nil
	}
	c.lines(member, ta, tb)
	return nil
}

// A first is the first difference of a kind, and how many more there are.
type first struct {
	d    Difference
	more int
}

// maxLines bounds how many lines are compared: each costs memory.
const maxLines = 2_000_000

// lines compares line by line, and tells of the first difference of each kind.
func (c *comparer) lines(member string, ta, tb []byte) {
	if max(bytes.Count(ta, []byte{'\n'}), bytes.Count(tb, []byte{'\n'})) > maxLines {
		c.unexamined(member, fmt.Sprintf("not examined by line: more than %d lines", maxLines))
		return
	}
	la, lb := splitLines(ta), splitLines(tb)
	if i := permuted(la, lb); i >= 0 {
		c.add(Difference{Member: member, What: Order, Where: fmt.Sprintf("line %d", i+1), A: la[i], B: lb[i],
			Why: "the same lines stand in another order: " + why(Order)})
		return
	}
	if len(la) != len(lb) {
		i := 0
		for i < min(len(la), len(lb)) && la[i] == lb[i] {
			i++
		}
		get := func(l []string) string {
			if i < len(l) {
				return l[i]
			}
			return ""
		}
		a, b := around(get(la), get(lb))
		where := fmt.Sprintf("line %d", i+1)
		if k := c.textKind(get(la), get(lb)); k != Content {
			c.add(Difference{Member: member, What: k, Where: where, A: a, B: b})
		}
		c.add(Difference{Member: member, What: Content, Where: where, A: a, B: b,
			Why: fmt.Sprintf("one has %s and the other %s, and from here on they are not side by side", many(min(len(la), len(lb)), "line"), many(max(len(la), len(lb)), "line"))})
		return
	}
	seen := map[Kind]*first{}
	var kinds []Kind
	for i := range la {
		if la[i] == lb[i] {
			continue
		}
		for _, k := range c.classify(la[i], lb[i]) {
			if f := seen[k]; f != nil {
				f.more++
				continue
			}
			a, b := around(la[i], lb[i])
			seen[k] = &first{d: Difference{Member: member, What: k, Where: fmt.Sprintf("line %d", i+1), A: a, B: b}}
			kinds = append(kinds, k)
		}
	}
	for _, k := range kinds {
		f := seen[k]
		if f.more > 0 {
			f.d.Why = fmt.Sprintf("%s (and %s more)", why(k), many(f.more, "line"))
		}
		c.add(f.d)
	}
}

func many(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// splitLines keeps the ends of lines, since they may be what differs.
func splitLines(b []byte) []string {
	var out []string
	for l := range bytes.Lines(b) {
		out = append(out, string(l))
	}
	return out
}

// permuted returns where two lists first differ if they hold the same in another order, or -1.
func permuted(a, b []string) int {
	if len(a) != len(b) {
		return -1
	}
	at, count := -1, map[string]int{}
	for i := range a {
		if a[i] != b[i] && at < 0 {
			at = i
		}
		count[a[i]]++
		count[b[i]]--
	}
	for n := range maps.Values(count) {
		if n != 0 {
			return -1
		}
	}
	return at
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
