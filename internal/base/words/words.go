// Package words finds every occurrence of a set of words in one pass over a text: the
// construction of Aho and Corasick (Communications of the ACM 18(6), 1975), with all failure links
// resolved, so that each byte of the text costs one look into a table, however many words there are.
//
// Words are matched without regard to ASCII case, and wherever they stand: "ash" is found in
// "Bash". The Unicode letters that fold to ASCII ones (the Kelvin sign, the long s) are not folded.
package words

import "slices"

// A Set is a set of words to look for. It is safe for concurrent use.
//
// The table has a row for each state and a column for each class of bytes; bytes that stand in
// no word share a class. States in which a word ends are numbered last, so that the inner loop
// recognises them by one comparison.
type Set struct {
	classes [256]uint16
	next    []uint32 // the row of the following state, by row + class
	first   uint32   // the first row in which a word ends
	width   uint32   // of a row
	ends    [][]int  // by (row-first)/width: the words that end here, longest first
	lengths []int    // of the words
}

// New returns the set of words, which must not be empty strings. They are named by their index.
func New(words []string) *Set {
	a := &Set{lengths: make([]int, len(words))}
	a.width = 1 // class 0 is every byte that stands in no word
	for i, w := range words {
		a.lengths[i] = len(w)
		for j := range len(w) {
			if b := lower(w[j]); a.classes[b] == 0 {
				a.classes[b] = uint16(a.width)
				a.width++
			}
		}
	}
	for b := byte('A'); b <= 'Z'; b++ {
		a.classes[b] = a.classes[b+'a'-'A']
	}

	// The trie; state 0 is its root, and 0 in a cell means that there is no edge.
	width := int(a.width)
	cells := slices.Repeat([]uint32{0}, width)
	ends := [][]int{nil}
	for i, w := range words {
		s := 0
		for j := range len(w) {
			cell := s*width + int(a.classes[w[j]])
			if cells[cell] == 0 {
				cells[cell] = uint32(len(ends))
				ends = append(ends, nil)
				cells = append(cells, make([]uint32, width)...)
			}
			s = int(cells[cell])
		}
		ends[s] = append(ends[s], i)
	}

	// Breadth first: a state's missing edges are those of its failure state, which is nearer to
	// the root and complete by then.
	n := len(ends)
	fail := make([]uint32, n)
	queue := make([]uint32, 0, n)
	for c := range width {
		if s := cells[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for i := 0; i < len(queue); i++ {
		s := queue[i]
		f := fail[s]
		ends[s] = append(ends[s], ends[f]...)
		for c := range width {
			to := cells[int(f)*width+c]
			if t := cells[int(s)*width+c]; t != 0 {
				fail[t] = to
				queue = append(queue, t)
			} else {
				cells[int(s)*width+c] = to
			}
		}
	}

	// Number the states anew, those in which a word ends last.
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return min(1, len(ends[x])) - min(1, len(ends[y])) })
	row := make([]uint32, n)
	for i, s := range order {
		row[s] = uint32(i) * a.width
	}
	a.next = make([]uint32, len(cells))
	a.first = uint32(n) * a.width
	for i, s := range order {
		for c := range width {
			a.next[i*width+c] = row[cells[s*width+c]]
		}
		if len(ends[s]) > 0 {
			a.first = min(a.first, row[s])
			a.ends = append(a.ends, ends[s])
		}
	}
	return a
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// Scan calls hit for each word that ends in text, in the order of their ends: word is its
// index, end the offset after its last byte.
func (a *Set) Scan(text []byte, hit func(word, end int)) {
	var row uint32
	next, first := a.next, a.first
	for i, b := range text {
		row = next[row+uint32(a.classes[b])]
		if row >= first {
			for _, w := range a.ends[(row-first)/a.width] {
				hit(w, i+1)
			}
		}
	}
}

// Next looks on from text[i:], in the state that an earlier call returned (0 at the start of a text),
// and returns at the first byte with which a word ends: the offset after it, the state, and the words,
// longest first. At the end of the text it returns no words. Whoever scans so needs no closure, and may
// leave out what it has already read.
func (a *Set) Next(text []byte, i int, state uint32) (end int, after uint32, found []int) {
	next, first, classes := a.next, a.first, &a.classes
	for ; i < len(text); i++ {
		state = next[state+uint32(classes[text[i]])]
		if state >= first {
			return i + 1, state, a.ends[(state-first)/a.width]
		}
	}
	return i, state, nil
}

// Len is the length of a word in bytes.
func (a *Set) Len(word int) int { return a.lengths[word] }

// Contains reports whether any word stands in text.
func (a *Set) Contains(text []byte) bool {
	var row uint32
	for _, b := range text {
		row = a.next[row+uint32(a.classes[b])]
		if row >= a.first {
			return true
		}
	}
	return false
}
