package mask

import "slices"

// A joiner keeps the ends of the texts of a message that follow one another, so that a secret that is
// cut by the ends of content blocks is found in what they say together. It searches what it has gathered
// when enough is new, and at the end of the body: each byte is searched a few times, however short the strings.
type joiner struct {
	text    []byte
	pieces  []piece
	borders []int // where in text one string ends and the next begins
	fresh   int   // bytes, at the end of text, that no search has seen
}

// A piece says where a part of the joined text stands in the body.
type piece struct {
	at, raw, length int
}

// seam is how much of each side of a cut is looked at; a secret over more than two strings needs more,
// and gets it, since the strings between its ends are short.
const seam = 256

func (j *joiner) reset() {
	j.text, j.pieces, j.borders, j.fresh = j.text[:0], j.pieces[:0], j.borders[:0], 0
}

// add puts text, a string that begins at start in the body, behind what came before.
func (j *joiner) add(s *search, text []byte, start int) {
	w := &s.walk
	if len(text) == 0 || !carriesText(w.key[:w.keyLen]) {
		return
	}
	span := max(seam, s.e.longest)
	if len(j.text) > 0 {
		j.borders = append(j.borders, len(j.text))
		head := text[:min(len(text), span)]
		j.push(w, head, 0, start)
		j.fresh += len(head)
	}
	switch {
	case len(text) >= span || len(j.text) == 0:
		j.look(s)
		j.reset()
		tail := max(0, len(text)-span)
		j.push(w, text[tail:], tail, start)
	case j.fresh >= 2*span:
		j.look(s)
		j.drop(len(j.text) - 2*span)
	}
}

// look searches the joined text, and notes what lies in more than one string of it.
func (j *joiner) look(s *search) {
	if j.fresh == 0 {
		return
	}
	j.fresh = 0
	s.borders = j.borders
	s.look(j.text)
	s.borders = nil
	for _, f := range tidy(s.found) {
		i, _ := slices.BinarySearch(j.borders, f.Start+1)
		if i < len(j.borders) && j.borders[i] < f.End {
			j.cut(&s.walk, f)
		}
	}
}

// push appends text, which is the string at hand from byte at on, in pieces that stand in the body as
// they are written.
func (j *joiner) push(w *walker, text []byte, at, start int) {
	for len(text) > 0 {
		n := w.straight(at, len(text))
		raw, end := w.raw(at, start, false), w.raw(at+n, start, true)
		j.pieces = append(j.pieces, piece{at: len(j.text), raw: raw, length: end - raw})
		j.text = append(j.text, text[:n]...)
		text, at = text[n:], at+n
	}
}

// straight returns how many of the next n bytes from at are written in the body as they are, or are what
// one escape stands for.
func (w *walker) straight(at, n int) int {
	i, _ := slices.BinarySearchFunc(w.marks, at+1, func(m mark, at int) int { return m.at - at })
	if i < len(w.marks) {
		return min(n, w.marks[i].at-at)
	}
	return n
}

// carriesText reports whether strings under key are what models read, in the known dialects.
func carriesText(key []byte) bool {
	switch string(key) {
	case "text", "content", "arguments", "partial_json", "thinking", "input", "output", "parts", "input_text", "output_text", "delta", "stdout", "stderr", "prompt", "system", "instructions", "result", "response", "data":
		return true
	}
	return false
}

// drop forgets about n bytes of the begin: no more, since what is kept is what the next search needs.
func (j *joiner) drop(n int) {
	k, exact := slices.BinarySearchFunc(j.pieces, n, func(p piece, n int) int { return p.at - n })
	if !exact {
		k--
	}
	if k <= 0 {
		return
	}
	n = j.pieces[k].at
	j.text = j.text[:copy(j.text, j.text[n:])]
	j.pieces = j.pieces[:copy(j.pieces, j.pieces[k:])]
	for i := range j.pieces {
		j.pieces[i].at -= n
	}
	b, _ := slices.BinarySearch(j.borders, n+1)
	j.borders = j.borders[:copy(j.borders, j.borders[b:])]
	for i := range j.borders {
		j.borders[i] -= n
	}
}

// cut notes each piece of a finding that lies in more than one string.
func (j *joiner) cut(w *walker, f Finding) {
	first, exact := slices.BinarySearchFunc(j.pieces, f.Start, func(p piece, at int) int { return p.at - at })
	if !exact {
		first--
	}
	for i := first; i < len(j.pieces) && j.pieces[i].at < f.End; i++ {
		p := j.pieces[i]
		end := len(j.text)
		if i+1 < len(j.pieces) {
			end = j.pieces[i+1].at
		}
		from, to := p.raw, p.raw+p.length
		if p.length == end-p.at { // as it is written
			from += max(0, f.Start-p.at)
			to -= max(0, end-f.End)
		}
		n := len(w.out)
		if n > 0 && w.out[n-1].End == from && w.out[n-1].Rule == f.Rule {
			w.out[n-1].End = to
			continue
		}
		w.out = append(w.out, Finding{Kind: f.Kind, Rule: f.Rule, Start: from, End: to, Severity: f.Severity, Escaped: true, confidence: f.confidence})
	}
}
