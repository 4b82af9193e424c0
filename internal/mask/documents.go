package mask

import (
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// Documents are files that never leave, as fingerprints of their passages. A text that holds a passage of
// one is found, also when it is wrapped, indented or punctuated in another way, and in another case: letters
// and digits alone count. It is winnowing as Schleimer, Wilkerson and Aiken describe it (SIGMOD 2003): of
// the hashes of all stretches of gram characters the least of each window is kept, so that a common passage
// of gram+window-1 characters cannot be missed.
type Documents struct {
	names  []string
	prints map[uint64]int // to the document; -1 if it is in two
	few    []bool         // the document has less than enough of them
}

const (
	gram   = 40 // letters and digits in a fingerprint
	window = 24
	enough = 3 // fingerprints, one after another, that make a passage
)

// Bounds on marked documents.
const (
	MaxDocuments = 10_000
	maxPrints    = 4 << 20
)

// NewDocuments returns an empty set.
func NewDocuments() *Documents { return &Documents{prints: map[uint64]int{}} }

// Add marks a document. Its name is shown in findings.
func (d *Documents) Add(name string, content []byte) error {
	if len(d.names) >= MaxDocuments || len(d.prints) >= maxPrints {
		return fmt.Errorf("mark %s: no more than %d documents with %d passages can be looked for", name, MaxDocuments, maxPrints)
	}
	id, n := len(d.names), 0
	var w winnow
	w.each(content, func(print uint64, _, _ int) {
		n++
		if other, ok := d.prints[print]; ok && other != id {
			d.prints[print] = -1
		} else {
			d.prints[print] = id
		}
	})
	if n == 0 {
		return fmt.Errorf("mark %s: it has fewer than %d letters and digits, too few to know it again", name, gram)
	}
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (dotted.has(byte(r)) || r == '/') {
			return r
		}
		return '_'
	}, name)
	if len(name) > 60 {
		name = name[len(name)-60:]
	}
	d.names, d.few = append(d.names, name), append(d.few, n < enough)
	return nil
}

// A winnow chooses fingerprints of a text in one pass.
type winnow struct {
	bytes  [gram]byte
	starts [gram]int // where each of them stands
	hashes [window]uint64
	begins [window]int
	ends   [window]int
}

const base = 0x9e3779b97f4a7c15 | 1

// top is base to the power of gram-1.
var top = func() uint64 {
	p := uint64(1)
	for range gram - 1 {
		p *= base
	}
	return p
}()

// each calls f with every fingerprint, and where its stretch begins and ends.
func (w *winnow) each(text []byte, f func(print uint64, start, end int)) {
	var h uint64
	n, least, told := 0, -1, -1
	for i, b := range text {
		if !alnum.has(b) && b < 0x80 {
			continue
		}
		b = lowerByte(b)
		at := n % gram
		if n >= gram {
			h -= (uint64(w.bytes[at]) + 1) * top
		}
		h = h*base + uint64(b) + 1
		w.bytes[at], w.starts[at] = b, i
		n++
		if n < gram {
			continue
		}
		k := n - gram // the number of the stretch
		slot := k % window
		w.hashes[slot] = mix(h)
		w.begins[slot], w.ends[slot] = w.starts[n%gram], i+1
		if least < 0 || k-least >= window {
			least = k
			for j := max(0, k-window+1); j < k; j++ {
				if w.hashes[j%window] < w.hashes[least%window] {
					least = j
				}
			}
		} else if w.hashes[slot] <= w.hashes[least%window] {
			least = k
		}
		if k >= window-1 && least != told {
			told = least
			f(w.hashes[least%window], w.begins[least%window], w.ends[least%window])
		}
	}
	if n >= gram && told < 0 { // shorter than a window
		f(w.hashes[least%window], w.begins[least%window], w.ends[least%window])
	}
}

func mix(h uint64) uint64 {
	h ^= h >> 31
	h *= 0x94d049bb133111eb
	return h ^ h>>29
}

// documents notes the passages of marked documents.
func (s *search) documents() {
	d := s.e.docs
	if len(d.prints) == 0 {
		return
	}
	id, from, to, n, last := -1, 0, 0, 0, 0
	flush := func() {
		if n >= enough || n > 0 && id >= 0 && d.few[id] {
			name := "shared"
			if id >= 0 {
				name = d.names[id]
			}
			s.add(Kind("document:"+name), "marked-document", from, to, sallyport.Critical, byValue)
		}
		n = 0
	}
	var w winnow
	w.each(s.text, func(print uint64, start, end int) {
		which, ok := d.prints[print]
		if !ok {
			return
		}
		if n > 0 && (start > to+4*gram || start < last) {
			flush()
		}
		if n == 0 {
			from, to, id = start, end, which
		}
		if id < 0 {
			id = which
		}
		n, last, to = n+1, start, max(to, end)
	})
	flush()
}
