package scan

import (
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A lead is the cheapest part of a probe: what must follow a keyword at once, as a few runes of
// skip and then one of need. Most keywords in ordinary text fail it.
type lead struct {
	skip, need class
	runes      int // of skip, at most
}

// leadOf returns the lead of a probe, or nil if it has none: when the probe is no sequence that
// starts with words which are keywords to their last letter.
func leadOf(probe *syntax.Regexp, keywords []string) *lead {
	if probe.Op == syntax.OpAlternate {
		return nil
	}
	seq := flatten(probe, nil)
	n := 0
	for j := 1; j <= len(seq); j++ {
		words, ok := wordsOf(concat(seq[:j]...))
		if !ok {
			break
		}
		if wholeKeywords(words, keywords) {
			n = j
			break
		}
	}
	if n == 0 {
		return nil
	}
	l := &lead{}
	for _, re := range seq[n:] {
		lo, hi, sub := 1, 1, re
		switch re.Op {
		case syntax.OpRepeat:
			lo, hi, sub = re.Min, re.Max, re.Sub[0]
		case syntax.OpQuest:
			lo, sub = 0, re.Sub[0]
		}
		if lo > 0 {
			if !firstOf(sub, &l.need) {
				return nil
			}
			return l
		}
		if hi < 0 || sub.Op != syntax.OpCharClass || !firstOf(sub, &l.skip) {
			return nil
		}
		l.runes += hi
	}
	return nil
}

// wholeKeywords reports whether each word is a keyword, and no shorter keyword starts one.
func wholeKeywords(words, keywords []string) bool {
	for _, w := range words {
		whole := false
		for _, k := range keywords {
			if strings.HasPrefix(w, k) {
				if k != w {
					return false
				}
				whole = true
			}
		}
		if !whole {
			return false
		}
	}
	return true
}

// firstOf adds to c the runes with which a match of re can start. It returns false if re can
// match the empty string or is of a kind that it does not know.
func firstOf(re *syntax.Regexp, c *class) bool {
	switch re.Op {
	case syntax.OpLiteral:
		eachFold(re.Rune[0], re.Flags, func(r rune) { c.add(r, r) })
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			c.add(re.Rune[i], re.Rune[i+1])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		c.add(0, unicode.MaxRune)
	case syntax.OpCapture, syntax.OpPlus:
		return firstOf(re.Sub[0], c)
	case syntax.OpRepeat:
		return re.Min > 0 && firstOf(re.Sub[0], c)
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !firstOf(sub, c) {
				return false
			}
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			switch sub.Op {
			case syntax.OpQuest, syntax.OpStar:
				if !firstOf(sub.Sub[0], c) {
					return false
				}
				continue
			case syntax.OpRepeat:
				if sub.Min == 0 {
					if !firstOf(sub.Sub[0], c) {
						return false
					}
					continue
				}
			}
			return firstOf(sub, c)
		}
		return false
	default:
		return false
	}
	return true
}

// follows reports whether the lead may match at text[i:].
func (l *lead) follows(text []byte, i int) bool {
	for n := 0; i < len(text); i++ {
		b := text[i]
		if b >= utf8.RuneSelf {
			if l.need.other {
				return true
			}
			if !l.skip.other {
				return false
			}
			if utf8.RuneStart(b) {
				n++
			}
		} else {
			if l.need.ascii[b] {
				return true
			}
			if !l.skip.ascii[b] {
				return false
			}
			n++
		}
		if n > l.runes {
			return false
		}
	}
	return false
}
