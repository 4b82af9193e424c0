package scan

import (
	"bytes"
	"slices"
	"sort"
)

// byteSpans turns ranges of lines into spans of text, sorted and disjoint. A line ends with its
// newline. Nil stays nil; ranges beyond the text vanish.
func byteSpans(text []byte, ranges []Range) []span {
	if ranges == nil {
		return nil
	}
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b Range) int { return a.First - b.First })
	out := []span{}
	line, at := 1, 0
	advance := func(to int) bool {
		for line < to {
			n := bytes.IndexByte(text[at:], '\n')
			if n < 0 {
				at = len(text)
				return false
			}
			at += n + 1
			line++
		}
		return at < len(text)
	}
	for _, r := range ranges {
		first := max(1, r.First)
		if r.Last < first {
			continue
		}
		if len(out) > 0 && first < line {
			if r.Last < line {
				continue
			}
			first = line
		}
		if !advance(first) {
			break
		}
		start := at
		advance(r.Last + 1)
		out = append(out, span{start, at})
	}
	return out
}

// A lineIndex finds the line of an offset. It is built when it is first asked.
type lineIndex struct {
	text     []byte
	newlines []int
	built    bool
}

func newLineIndex(text []byte) *lineIndex { return &lineIndex{text: text} }

// at returns the lines that s touches, and the number of the first. A newline counts as the
// start of the line that follows it, as gitleaks counts.
func (l *lineIndex) at(s span) ([]byte, int) {
	if !l.built {
		l.built = true
		for i := 0; ; i++ {
			n := bytes.IndexByte(l.text[i:], '\n')
			if n < 0 {
				break
			}
			i += n
			l.newlines = append(l.newlines, i)
		}
	}
	n := sort.SearchInts(l.newlines, s.start+1)
	start, end := 0, len(l.text)
	if n > 0 {
		start = l.newlines[n-1]
	}
	if e := sort.SearchInts(l.newlines, s.end); e < len(l.newlines) {
		end = l.newlines[e]
	}
	return l.text[start:max(end, s.end)], n + 1
}
