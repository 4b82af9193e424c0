package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Bounds beyond which JSON is compared by line: each value costs memory.
const (
	maxNesting = 200
	maxNodes   = 1_000_000
)

// A node is a JSON value with the order of its keys. value is a digest of what it means, in which
// the order of keys does not count; spelt is one in which it does.
type node struct {
	kind  byte // '{', '[', or 0 for what holds nothing
	keys  []string
	nodes []node
	text  string // of what holds nothing
	value [sha256.Size]byte
	spelt [sha256.Size]byte
}

// json compares two JSON documents, and reports whether it found any difference: there is none
// where only spaces differ, and in what is not JSON.
func (c *comparer) json(member string, ta, tb []byte) bool {
	na, err := parseJSON(ta)
	if err != nil {
		return false
	}
	nb, err := parseJSON(tb)
	if err != nil {
		return false
	}
	w := jsonWalk{c: c, member: member, seen: map[Kind]*first{}}
	w.walk("$", na, nb)
	for _, k := range w.kinds {
		f := w.seen[k]
		if f.more > 0 {
			f.d.Why = fmt.Sprintf("%s (and at %s more)", orWhy(f.d), many(f.more, "place"))
		}
		c.add(f.d)
	}
	return len(w.kinds) > 0
}

func orWhy(d Difference) string {
	if d.Why != "" {
		return d.Why
	}
	return why(d.What)
}

func parseJSON(b []byte) (node, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	left := maxNodes
	n, err := parseNode(d, 0, &left)
	if err == nil && n.kind == 0 {
		err = errors.New("a single value is text")
	}
	if err == nil {
		if _, e := d.Token(); e != io.EOF {
			err = errors.New("more follows")
		}
	}
	return n, err
}

func parseNode(d *json.Decoder, depth int, left *int) (node, error) {
	if *left--; *left < 0 {
		return node{}, fmt.Errorf("more than %d values", maxNodes)
	}
	if depth > maxNesting {
		return node{}, fmt.Errorf("nested more than %d deep", maxNesting)
	}
	t, err := d.Token()
	if err != nil {
		return node{}, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		n := node{text: spell(t)}
		n.value = sha256.Sum256([]byte(n.text))
		n.spelt = n.value
		return n, nil
	}
	n := node{kind: byte(delim)}
	for d.More() {
		if n.kind == '{' {
			k, err := d.Token()
			if err != nil {
				return node{}, err
			}
			n.keys = append(n.keys, k.(string)) //nolint:forcetypeassert // the decoder's promise
		}
		inner, err := parseNode(d, depth+1, left)
		if err != nil {
			return node{}, err
		}
		n.nodes = append(n.nodes, inner)
	}
	if _, err := d.Token(); err != nil {
		return node{}, err
	}
	n.digest()
	return n, nil
}

func (n *node) digest() {
	order := make([]int, len(n.nodes))
	for i := range order {
		order[i] = i
	}
	spelt, value := sha256.New(), sha256.New()
	sum := func(w io.Writer, i int, inner [sha256.Size]byte) {
		if n.kind == '{' {
			fmt.Fprintf(w, "%q", n.keys[i])
		}
		_, _ = w.Write(inner[:])
	}
	fmt.Fprintf(spelt, "%c", n.kind)
	fmt.Fprintf(value, "%c", n.kind)
	for _, i := range order {
		sum(spelt, i, n.nodes[i].spelt)
	}
	if n.kind == '{' {
		slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(n.keys[a], n.keys[b]) })
	}
	for _, i := range order {
		sum(value, i, n.nodes[i].value)
	}
	spelt.Sum(n.spelt[:0])
	value.Sum(n.value[:0])
}

func spell(t json.Token) string {
	switch t := t.(type) {
	case string:
		return strconv.Quote(t)
	case json.Number:
		return t.String()
	}
	return fmt.Sprint(t) // true, false, <nil>
}

// show spells a node for a person.
func (n *node) show() string {
	switch n.kind {
	case '{':
		return "an object of " + many(len(n.nodes), "key")
	case '[':
		return "a list of " + many(len(n.nodes), "element")
	}
	return n.text
}

type jsonWalk struct {
	c      *comparer
	member string
	seen   map[Kind]*first
	kinds  []Kind
}

func (w *jsonWalk) add(d Difference) {
	if f := w.seen[d.What]; f != nil {
		f.more++
		return
	}
	d.Member = w.member
	d.Where = visible(d.Where)
	w.seen[d.What] = &first{d: d}
	w.kinds = append(w.kinds, d.What)
}

func (w *jsonWalk) walk(path string, a, b node) {
	switch {
	case a.spelt == b.spelt:
	case a.kind != b.kind:
		w.add(Difference{What: Content, Where: path, A: a.show(), B: b.show()})
	case a.kind == '{':
		w.object(path, a, b)
	case a.kind == '[':
		w.list(path, a, b)
	default:
		sa, sb := around(a.text, b.text)
		for _, k := range w.c.classify(a.text, b.text) {
			w.add(Difference{What: k, Where: path, A: sa, B: sb})
		}
	}
}

func (w *jsonWalk) object(path string, a, b node) {
	ka, kb := index(a.keys), index(b.keys)
	for _, k := range sortedKeys(ka) {
		at := path + "." + visible(k)
		if j, ok := kb[k]; ok {
			w.walk(at, a.nodes[ka[k]], b.nodes[j])
		} else {
			w.add(Difference{What: Missing, Where: at, A: a.nodes[ka[k]].show(), Why: "only the first artifact has this key"})
		}
	}
	for _, k := range sortedKeys(kb) {
		if _, ok := ka[k]; !ok {
			w.add(Difference{What: Extra, Where: path + "." + visible(k), B: b.nodes[kb[k]].show(), Why: "only the second artifact has this key"})
		}
	}
	sa, sb := both(a.keys, kb), both(b.keys, ka)
	if i := permuted(sa, sb); i >= 0 {
		w.add(Difference{What: Order, Where: path + " (keys)", A: sa[i], B: sb[i],
			Why: "the same keys stand in another order: keys come from a map or a set that has none; write them sorted (Python: sort_keys=True, jq -S; Go's encoding/json sorts maps)"})
	}
}

// index says where each key stands; a key that stands twice counts as its last, as readers do.
func index(keys []string) map[string]int {
	m := make(map[string]int, len(keys))
	for i, k := range keys {
		m[k] = i
	}
	return m
}

func both(keys []string, other map[string]int) []string {
	var out []string
	for _, k := range keys {
		if _, ok := other[k]; ok {
			out = append(out, k)
		}
	}
	return out
}

func (w *jsonWalk) list(path string, a, b node) {
	if len(a.nodes) != len(b.nodes) {
		w.add(Difference{What: Content, Where: path, A: a.show(), B: b.show()})
		return
	}
	values := func(n node) []string {
		out := make([]string, len(n.nodes))
		for i := range n.nodes {
			out[i] = string(n.nodes[i].value[:])
		}
		return out
	}
	if i := permuted(values(a), values(b)); i >= 0 {
		w.add(Difference{What: Order, Where: fmt.Sprintf("%s[%d]", path, i), A: a.nodes[i].show(), B: b.nodes[i].show(),
			Why: "the same elements stand in another order: " + why(Order)})
		return
	}
	for i := range a.nodes {
		w.walk(fmt.Sprintf("%s[%d]", path, i), a.nodes[i], b.nodes[i])
	}
}
