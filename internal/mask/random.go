package mask

import "math"

// bigrams says which letters often follow a letter in English and in identifiers: those pairs that
// make up 94 in 100 of all pairs in the sources of Go's standard library, 259 of 676. In a random
// string two in five neighbours are such pairs.
var bigrams = func() (t [26]uint32) {
	for i, next := range [26]string{
		"bcdfgiklmnprstuvy", "aeiloruy", "aceghiklorstu", "adeilorsu", "abcdefgilmnopqrstvwx", "adefilorstu",
		"aehinors", "aeiot", "abcdefglmnoprstvxz", "", "aeis", "adeilostuy", "abeimopsu", "acdefgiklnostuv",
		"abcdefgiklmnoprstuvw", "aeiloprstuy", "u", "acdefgiklmnorstuvy", "acehiklopstuy", "acdefhiloprstuy",
		"abcefilmnprst", "aei", "aehinor", "eipt", "lnprst", "e",
	} {
		for j := range len(next) {
			t[i] |= 1 << (next[j] - 'a')
		}
	}
	return t
}()

// logs holds log2(n).
var logs = func() (t [256]float64) {
	for n := 2; n < len(t); n++ {
		t[n] = math.Log2(float64(n))
	}
	return t
}()

// A shape is what a value looks like, byte by byte.
type shape struct {
	length                       int
	lower, upper, digits, others int
	pairs, common                int // neighbouring letters, and those that are usual
	turns                        int // changes between letters, digits and the rest
	longest                      int // the longest run of one byte
	hexOnly                      bool
	entropy                      float64 // bits for each byte
}

// shapeOf describes the first 255 bytes of v.
func shapeOf(v []byte) shape {
	if len(v) > 255 {
		v = v[:255]
	}
	s := shape{length: len(v), hexOnly: true}
	var count [256]uint8
	last, same := class(0), 0
	for i, b := range v {
		count[b]++
		c := classes[b]
		kind := c & (letter | digit)
		switch {
		case c&lower != 0:
			s.lower++
			kind = letter
		case c&upper != 0:
			s.upper++
			kind = letter
		case c&digit != 0:
			s.digits++
		default:
			s.others++
		}
		if c&hexAny == 0 {
			s.hexOnly = false
		}
		if i > 0 {
			if kind != last {
				s.turns++
			}
			if v[i-1] == b {
				same++
			} else {
				same = 0
			}
			if kind == letter && last == letter {
				// A capital after a small letter begins a word.
				if !(c&upper != 0 && classes[v[i-1]]&lower != 0) {
					s.pairs++
					if bigrams[lowerByte(v[i-1])-'a']>>(lowerByte(b)-'a')&1 != 0 {
						s.common++
					}
				}
			}
		}
		s.longest = max(s.longest, same+1)
		last = kind
	}
	// The sum over all bytes of log2(count) is that over all kinds of bytes of count*log2(count).
	sum := 0.0
	for _, b := range v {
		sum += logs[count[b]]
	}
	if s.length > 0 {
		s.entropy = logs[s.length] - sum/float64(s.length)
	}
	return s
}

// wordy reports whether the letters read like words.
func (s *shape) wordy() bool { return s.pairs >= 3 && s.common*100 >= s.pairs*72 }

// random reports whether nobody would have made the value up: no words, and enough of everything.
func (s *shape) random() bool {
	letters := s.lower + s.upper
	switch {
	case s.length < 10 || s.longest > 4 && s.longest*3 > s.length:
		return false
	case s.hexOnly && letters > 0 && s.digits > 0 && (s.lower == 0 || s.upper == 0):
		return s.length >= 16 && s.entropy >= 2.6
	case s.length < 16:
		return s.digits >= 2 && letters >= 3 && s.entropy >= 2.9 && s.turns >= 3 && !s.wordy()
	case letters == 0:
		return false
	}
	need := 3.3
	if s.length >= 24 {
		need = 3.5
	}
	if s.entropy < need {
		return false
	}
	if s.digits == 0 {
		// Without a digit only a jumble counts: random base64 of 24 letters has none once in 60 times.
		return s.length >= 20 && s.pairs >= 8 && s.common*100 < s.pairs*55
	}
	if s.length >= 32 && s.digits >= 3 && s.upper >= 6 && s.lower >= 6 && s.entropy >= 4.8 {
		return true // no name has as many different characters
	}
	return !s.wordy() || s.turns*4 >= s.length
}
