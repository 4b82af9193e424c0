package scan

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This file asks of a rule's regular expression what the matcher needs to know in order to run
// it in windows of the text and still find exactly what it would find in the whole text:
//
//   - does each match contain one of the rule's keywords (locate)?
//   - how far from that keyword can a match begin and end (reach)?
//   - what must follow the keyword at once (probe)?
//
// Every answer errs to the safe side: windows too wide, probes too weak.

// A reach bounds how far a match extends to one side of its keyword: over the stretches, one
// after another and outwards from the keyword.
type reach []stretch

// A stretch is at most runes runes of any kind, and then any number of those in free.
type stretch struct {
	runes int
	free  class
}

// A class is a set of runes: ASCII exactly, the rest as one.
type class struct {
	ascii [utf8.RuneSelf]bool
	other bool
	any   bool // every rune is in it
}

func (c *class) add(lo, hi rune) {
	for r := lo; r <= hi && r < utf8.RuneSelf; r++ {
		c.ascii[r] = true
	}
	c.other = c.other || hi >= utf8.RuneSelf
}

// hasByte tells of a rune by its first byte.
func (c *class) hasByte(b byte) bool {
	if b < utf8.RuneSelf {
		return c.ascii[b]
	}
	return c.other
}

func (c *class) join(o *class) {
	for r, in := range o.ascii {
		c.ascii[r] = c.ascii[r] || in
	}
	c.other = c.other || o.other
}

func (c *class) has(lo, hi rune) bool {
	for r := lo; r <= hi && r < utf8.RuneSelf; r++ {
		if !c.ascii[r] {
			return false
		}
	}
	return hi < utf8.RuneSelf || c.other
}

// reachOf returns the reach of what re matches, outwards to the left or to the right.
func reachOf(re *syntax.Regexp, left bool) reach {
	r := stretches(re, left)
	for i := range r {
		r[i].free.any = r[i].free.has(0, unicode.MaxRune)
	}
	return r
}

// stretches never understates: whoever walks over the result from any place at or beyond the
// one where a match of re begins arrives at or beyond the place where it ends.
func stretches(re *syntax.Regexp, left bool) reach {
	switch re.Op {
	case syntax.OpLiteral:
		return reach{{runes: len(re.Rune)}}
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return reach{{runes: 1}}
	case syntax.OpCapture, syntax.OpQuest:
		return stretches(re.Sub[0], left)
	case syntax.OpStar, syntax.OpPlus:
		return repeated(re.Sub[0])
	case syntax.OpRepeat:
		sub := stretches(re.Sub[0], left)
		switch {
		case re.Max < 0 || len(sub) > 1 || len(sub) == 1 && sub[0].free != (class{}):
			return repeated(re.Sub[0])
		case len(sub) == 1:
			sub[0].runes *= re.Max
		}
		return sub
	case syntax.OpConcat:
		var r reach
		for i := range re.Sub {
			if left {
				i = len(re.Sub) - 1 - i
			}
			r = r.then(stretches(re.Sub[i], left))
		}
		return r
	case syntax.OpAlternate:
		var r reach
		for _, sub := range re.Sub {
			r = r.or(stretches(sub, left))
		}
		return r
	}
	return nil // empty matches and assertions
}

// repeated is the reach of any number of matches of re.
func repeated(re *syntax.Regexp) reach {
	r := reach{{}}
	collectRunes(re, &r[0].free)
	return r
}

func (r reach) then(next reach) reach {
	if len(r) > 0 && len(next) > 0 && r[len(r)-1].free == (class{}) {
		joined := slices.Clone(r)
		last := &joined[len(r)-1]
		last.runes, last.free = last.runes+next[0].runes, next[0].free
		return append(joined, next[1:]...)
	}
	return slices.Concat(r, next)
}

// or returns a reach that goes as far as either: stretch by stretch the longer one, since a walk
// that starts further out ends no nearer.
func (r reach) or(other reach) reach {
	if len(r) < len(other) {
		r, other = other, r
	}
	r = slices.Clone(r)
	for i, o := range other {
		r[i].runes = max(r[i].runes, o.runes)
		r[i].free.join(&o.free)
	}
	return r
}

// collectRunes adds to c the runes that matches of re hold.
func collectRunes(re *syntax.Regexp, c *class) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			eachFold(r, re.Flags, func(r rune) { c.add(r, r) })
		}
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			c.add(re.Rune[i], re.Rune[i+1])
		}
	case syntax.OpAnyChar:
		c.add(0, unicode.MaxRune)
	case syntax.OpAnyCharNotNL:
		c.add(0, '\n'-1)
		c.add('\n'+1, unicode.MaxRune)
	}
	for _, sub := range re.Sub {
		collectRunes(sub, c)
	}
}

func eachFold(r rune, flags syntax.Flags, f func(rune)) {
	f(r)
	if flags&syntax.FoldCase != 0 {
		for x := unicode.SimpleFold(r); x != r; x = unicode.SimpleFold(x) {
			f(x)
		}
	}
}

// spread returns re with a literal that stands before an alternative moved into its branches:
// the parser writes fo1_|fm2_ as f(o1_|m2_), and no branch holds a whole keyword then.
func spread(re *syntax.Regexp) *syntax.Regexp {
	out := *re
	out.Sub = nil
	for _, sub := range re.Sub {
		if n := len(out.Sub); re.Op == syntax.OpConcat && n > 0 && out.Sub[n-1].Op == syntax.OpLiteral {
			branches := sub
			for branches.Op == syntax.OpCapture {
				branches = branches.Sub[0]
			}
			if branches.Op == syntax.OpAlternate {
				moved := &syntax.Regexp{Op: syntax.OpAlternate, Flags: branches.Flags}
				for _, b := range branches.Sub {
					moved.Sub = append(moved.Sub, spread(&syntax.Regexp{Op: syntax.OpConcat, Flags: b.Flags, Sub: flatten(b, []*syntax.Regexp{out.Sub[n-1]})}))
				}
				out.Sub[n-1] = moved
				continue
			}
		}
		out.Sub = append(out.Sub, spread(sub))
	}
	return &out
}

// A place is where in an expression a word stands that contains the keyword: left matches what
// a match holds up to the word's end, right what it holds from the word's start.
type place struct{ left, right *syntax.Regexp }

func concat(subs ...*syntax.Regexp) *syntax.Regexp {
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: subs}
}

// locate finds a part of re that every match contains and that always contains a keyword.
func locate(re *syntax.Regexp, keywords []string) (place, bool) {
	if words, ok := wordsOf(re); ok {
		return place{re, re}, allContain(words, keywords, strings.Contains)
	}
	switch re.Op {
	case syntax.OpCapture:
		return locate(re.Sub[0], keywords)
	case syntax.OpPlus, syntax.OpRepeat:
		if re.Op == syntax.OpRepeat && re.Min == 0 {
			return place{}, false
		}
		p, ok := locate(re.Sub[0], keywords)
		return place{p.left, concat(p.right, re)}, ok
	case syntax.OpAlternate:
		p := place{&syntax.Regexp{Op: syntax.OpAlternate}, &syntax.Regexp{Op: syntax.OpAlternate}}
		for _, sub := range re.Sub {
			q, ok := locate(sub, keywords)
			if !ok {
				return place{}, false
			}
			p.left.Sub = append(p.left.Sub, q.left)
			p.right.Sub = append(p.right.Sub, q.right)
		}
		return p, true
	case syntax.OpConcat:
		for i, sub := range re.Sub {
			if p, ok := locate(sub, keywords); ok {
				before := append(slices.Clone(re.Sub[:i]), p.left)
				after := append([]*syntax.Regexp{p.right}, re.Sub[i+1:]...)
				return place{concat(before...), concat(after...)}, true
			}
		}
		// The keyword may stand across neighbours: "gh", one of "su", "_".
		for i := range re.Sub {
			for j := i + 2; j <= len(re.Sub); j++ {
				words, ok := wordsOf(concat(re.Sub[i:j]...))
				if !ok {
					break
				}
				if allContain(words, keywords, strings.Contains) {
					return place{concat(re.Sub[:j]...), concat(re.Sub[i:]...)}, true
				}
			}
		}
	}
	return place{}, false
}

func allContain(words, keywords []string, contain func(word, keyword string) bool) bool {
	for _, w := range words {
		ok := false
		for _, k := range keywords {
			ok = ok || contain(w, k)
		}
		if !ok {
			return false
		}
	}
	return len(words) > 0
}

// maxWords bounds the sets that wordsOf enumerates.
const maxWords = 200

// wordsOf lists, in lower case, all that re can match, if that is a short list of words.
// Letters that fold to ASCII ones without being ASCII are left out, as the automaton does.
func wordsOf(re *syntax.Regexp) ([]string, bool) {
	var words []string
	switch re.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}, true
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpCapture:
		return wordsOf(re.Sub[0])
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if re.Rune[i+1]-re.Rune[i] >= maxWords {
				return nil, false
			}
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if (r == 'K' || r == 'ſ') && len(re.Rune) > 2 {
					continue
				}
				words = append(words, strings.ToLower(string(r)))
			}
		}
	case syntax.OpQuest:
		sub, ok := wordsOf(re.Sub[0])
		if !ok {
			return nil, false
		}
		words = append([]string{""}, sub...)
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			w, ok := wordsOf(sub)
			if !ok {
				return nil, false
			}
			words = append(words, w...)
		}
	case syntax.OpConcat:
		words = []string{""}
		for _, sub := range re.Sub {
			tails, ok := wordsOf(sub)
			if !ok || len(words)*len(tails) > maxWords {
				return nil, false
			}
			var longer []string
			for _, w := range words {
				for _, t := range tails {
					longer = append(longer, w+t)
				}
			}
			words = longer
		}
	default:
		return nil, false
	}
	return words, len(words) <= maxWords
}

// probeOf returns an expression that matches at the start of at least one keyword of every
// match of re, the place of that keyword, and whether the expression says all that the place's
// right does. It returns nil if there is none: a keyword may stand inside its word.
func probeOf(re *syntax.Regexp, keywords []string) (probe *syntax.Regexp, at place, whole bool) {
	if re.Op == syntax.OpAlternate {
		out := &syntax.Regexp{Op: syntax.OpAlternate, Flags: re.Flags}
		at := place{&syntax.Regexp{Op: syntax.OpAlternate}, &syntax.Regexp{Op: syntax.OpAlternate}}
		whole := true
		for _, sub := range re.Sub {
			p, q, w := probeOf(sub, keywords)
			if p == nil {
				return nil, place{}, false
			}
			out.Sub = append(out.Sub, p)
			at.left.Sub = append(at.left.Sub, q.left)
			at.right.Sub = append(at.right.Sub, q.right)
			whole = whole && w
		}
		return out, at, whole
	}
	seq := flatten(re, nil)
	for i := range seq {
		for j := i + 1; j <= len(seq); j++ {
			words, ok := wordsOf(concat(seq[i:j]...))
			if !ok {
				break
			}
			if allContain(words, keywords, strings.HasPrefix) {
				head, whole := shorten(concat(seq[i:]...))
				return head, place{concat(seq[:j]...), concat(seq[i:]...)}, whole
			}
		}
		if seq[i].Op == syntax.OpAlternate {
			if p, at, whole := probeOf(seq[i], keywords); p != nil {
				before := append(slices.Clone(seq[:i]), at.left)
				after := append([]*syntax.Regexp{at.right}, seq[i+1:]...)
				return p, place{concat(before...), concat(after...)}, whole && len(after) == 1
			}
		}
	}
	return nil, place{}, false
}

// flatten appends to seq the elements of re in sequence, looking through captures.
func flatten(re *syntax.Regexp, seq []*syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpCapture:
		return flatten(re.Sub[0], seq)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			seq = flatten(sub, seq)
		}
		return seq
	}
	return append(seq, re)
}

// maxProbeRepeat is how often a repetition may repeat in a probe before it is cut to its least.
const maxProbeRepeat = 32

// shorten returns an expression that matches a prefix of whatever re matches, and whether it
// matches all of it. It returns nil if it would match nothing but the empty string.
func shorten(re *syntax.Regexp) (head *syntax.Regexp, whole bool) {
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL,
		syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpEmptyMatch:
		return re, true
	case syntax.OpCapture:
		return shorten(re.Sub[0])
	case syntax.OpConcat:
		var out []*syntax.Regexp
		for _, sub := range re.Sub {
			h, whole := shorten(sub)
			if h != nil {
				out = append(out, h)
			}
			if !whole {
				return concat(out...), false
			}
		}
		return concat(out...), true
	case syntax.OpAlternate:
		out := &syntax.Regexp{Op: syntax.OpAlternate, Flags: re.Flags}
		whole = true
		for _, sub := range re.Sub {
			h, w := shorten(sub)
			if h == nil {
				return nil, false
			}
			out.Sub = append(out.Sub, h)
			whole = whole && w
		}
		return out, whole
	case syntax.OpQuest:
		if h, w := shorten(re.Sub[0]); w && h != nil {
			return &syntax.Regexp{Op: syntax.OpQuest, Flags: re.Flags, Sub: []*syntax.Regexp{h}}, true
		}
		return nil, false
	case syntax.OpRepeat, syntax.OpPlus:
		lo, hi := re.Min, re.Max
		if re.Op == syntax.OpPlus {
			lo, hi = 1, -1
		}
		h, w := shorten(re.Sub[0])
		if h == nil || lo == 0 && !w {
			return nil, false
		}
		if !w {
			return h, false
		}
		if hi < 0 || hi > maxProbeRepeat {
			hi = lo
			w = re.Max == re.Min && re.Op == syntax.OpRepeat
		}
		if hi == 0 {
			return nil, false // what may be left out altogether says nothing about the text
		}
		return &syntax.Regexp{Op: syntax.OpRepeat, Flags: re.Flags, Min: lo, Max: hi, Sub: []*syntax.Regexp{h}}, w
	}
	return nil, false
}
