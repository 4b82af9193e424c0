package artifact

import (
	"fmt"
	"io"
)

// window is how much of a string in a binary is looked at on either side of a difference.
const window = 256

// bytes adds the first byte that differs, with what stands around it, and what the strings on
// either side tell. It is asked where nothing else found anything, or about a part of a file that
// where begins to name.
func (c *comparer) bytes(member, where string, a, b blob) error {
	found, err := c.firstBytes(member, where, a, b)
	if err != nil {
		return err
	}
	for _, d := range found {
		c.add(d)
	}
	return nil
}

func (c *comparer) firstBytes(member, where string, a, b blob) ([]Difference, error) {
	at, err := firstDifference(c.ctx, a, b)
	if err != nil || at < 0 {
		return nil, err
	}
	d := Difference{Member: member, What: Content, Where: where + fmt.Sprintf("byte %#x", at), A: hexAround(a, at), B: hexAround(b, at)}
	if at == min(a.size, b.size) {
		d.Why = fmt.Sprintf("one goes on where the other ends: %d and %d bytes", min(a.size, b.size), max(a.size, b.size))
		return []Difference{d}, nil
	}
	sa, sb := stringAt(a, at), stringAt(b, at)
	if len(sa) >= shortest && len(sb) >= shortest {
		k := c.textKind(sa, sb)
		// A string that is longer on one side than what is looked at is compared as far as both go.
		if n := min(len(sa), len(sb)); k == Content && n > 0 {
			k = c.textKind(sa[:n], sb[:n])
		}
		if d.A, d.B = around(sa, sb); k != Content {
			d.What = k
			return []Difference{d}, nil
		}
	}
	told, err := c.strings(member, where, a, b)
	return append(told, d), err
}

func hexAround(b blob, at int64) string {
	from := max(0, at-4)
	p := make([]byte, min(16, b.size-from))
	n, _ := b.ReadAt(p, from)
	if at == b.size {
		return fmt.Sprintf("% x (end)", p[:n])
	}
	return fmt.Sprintf("% x", p[:n])
}

// stringAt returns the printable text around an offset, as far as the window goes.
func stringAt(b blob, at int64) string {
	from := max(0, at-window)
	p := make([]byte, min(2*window, b.size-from))
	n, _ := b.ReadAt(p, from)
	p = p[:n]
	start := int(at - from)
	end := start
	for start > 0 && printable(p[start-1]) {
		start--
	}
	for end < len(p) && printable(p[end]) {
		end++
	}
	return string(p[start:end])
}

func printable(c byte) bool { return c >= 0x20 && c < 0x7f || c == '\t' }

// Bounds of strings in binaries.
const (
	shortest    = 6
	mostPaired  = 500
	mostStrings = 500_000
)

// strings compares the texts that stand in two binaries, wherever they stand: a path of another
// length moves all that follows it. It tells the first of each kind that has a cause.
func (c *comparer) strings(member, where string, a, b blob) ([]Difference, error) {
	if max(a.size, b.size) > c.limits.Text {
		return nil, nil
	}
	var lists [2][]string
	count := map[string]int{}
	for i, bl := range []blob{a, b} {
		raw, err := io.ReadAll(stopping{c.ctx, bl.reader()})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", visible(member), err)
		}
		lists[i] = stringsIn(raw)
		for _, s := range lists[i] {
			count[s] += 1 - 2*i
		}
	}
	only := func(list []string, sign int) []string {
		var out []string
		seen := map[string]bool{}
		for _, s := range list {
			if sign*count[s] > 0 && !seen[s] && len(out) < mostPaired {
				seen[s] = true
				out = append(out, s)
			}
		}
		return out
	}
	oa, ob := only(lists[0], 1), only(lists[1], -1)
	var out []Difference
	told := map[Kind]bool{Content: true}
	for i := range min(len(oa), len(ob)) {
		for _, k := range c.classify(oa[i], ob[i]) {
			if !told[k] {
				told[k] = true
				sa, sb := around(oa[i], ob[i])
				out = append(out, Difference{Member: member, What: k, Where: where + "a string", A: sa, B: sb})
			}
		}
	}
	return out, nil
}

// stringsIn returns the runs of printable characters in a binary that are long enough to be text, up
// to a number that no cause hides behind.
func stringsIn(b []byte) []string {
	var out []string
	for start := 0; start < len(b) && len(out) < mostStrings; {
		end := start
		for end < len(b) && printable(b[end]) {
			end++
		}
		if end-start >= shortest {
			out = append(out, string(b[start:end]))
		}
		start = end + 1
	}
	return out
}
