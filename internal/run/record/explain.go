package record

import (
	"errors"
	"fmt"
)

// errEmpty says that nothing is left of a segment, not even what it began with.
var errEmpty = errors.New("the segment is empty")

// explain finds out what is wrong with segments that are not one chain. The first cause is told:
// what follows from it is not.
func (v *verifier) explain(numbers []int) {
	if len(numbers) == 0 {
		v.rep.bad(Truncated, segmentName(1), nextBackup, "the record holds no segment")
		return
	}
	if v.explainSegments(numbers) {
		return
	}
	v.explainLines(numbers)
}

// explainSegments looks at the first lines of the segments: whether each is where it belongs.
func (v *verifier) explainSegments(numbers []int) (found bool) {
	for i, n := range numbers {
		if n != i+1 {
			v.rep.bad(Gap, segmentName(i+1), nextBackup, "segment %d is missing, and segment %d is here", i+1, n)
			return true
		}
		var h segmentHeader
		err := errEmpty
		for l, lerr := range v.r.lines(n) {
			if err = lerr; err == nil {
				h, err = parseSegmentHeader(l.text)
			}
			break
		}
		switch {
		case errors.Is(err, errEmpty):
			v.rep.bad(Truncated, segmentName(n), nextBackup, "%v", err)
		case err != nil:
			v.rep.bad(Forged, segmentName(n)+":1", nextBackup, "%v", err)
		case h.Record != v.r.id:
			v.rep.bad(Replayed, segmentName(n), nextBackup, "the segment is of another record, %s", Short(h.Record))
		case h.Segment != n:
			v.rep.bad(Reordered, segmentName(n), nextBackup, "this is segment %d", h.Segment)
		default:
			continue
		}
		return true
	}
	return false
}

// spot is where an entry stands.
type spot struct {
	segment, line int
	seq           int64
	head          Head
	follows       bool // the chain leads to it from the line before it
	err           error
}

func (s spot) place() string { return fmt.Sprintf("%s:%d", segmentName(s.segment), s.line) }

// explainLines looks at every entry, in the order of the files.
func (v *verifier) explainLines(numbers []int) {
	var all []spot
	seen := map[int64]int{} // by sequence number, the first place of it
	prev := v.r.id
	for _, n := range numbers {
		for l, err := range v.r.lines(n) {
			s := spot{segment: n, line: l.number}
			if err == nil && l.number == 1 {
				continue // seen to be right
			}
			if err == nil && !l.whole && n == numbers[len(numbers)-1] && v.seal == nil {
				continue // an unsealed record may end so
			}
			var e Entry
			var raw []byte
			if err == nil {
				e, raw, err = parseLine(l.text)
			}
			if s.err = err; err == nil {
				s.seq, s.head, s.follows = e.Seq, e.Head, prev.next(raw) == e.Head
				prev = e.Head
				if _, ok := seen[e.Seq]; !ok {
					seen[e.Seq] = len(all)
				}
			}
			all = append(all, s)
		}
	}
	expected := int64(1)
	for i, s := range all {
		first, again := seen[s.seq]
		later, elsewhere := seen[expected]
		switch {
		case s.err != nil && i == len(all)-1:
			v.rep.bad(Truncated, s.place(), nextBackup, "the last line is cut off: %v", s.err)
		case s.err != nil:
			v.rep.bad(Forged, s.place(), nextBackup, "what stands here is %v", s.err)
		case s.seq == expected && s.follows:
			expected++
			continue
		case s.seq == expected:
			v.rep.bad(Forged, s.place(), nextBackup, "the chain doesn't lead to entry %d: it was changed, or the one before it", s.seq)
		case again && first < i && all[first].head == s.head:
			v.rep.bad(Replayed, s.place(), nextBackup, "entry %d, which stands at %s, stands here again", s.seq, all[first].place())
		case elsewhere && later > i:
			v.rep.bad(Reordered, s.place(), nextBackup, "entry %d stands where entry %d belongs, which stands at %s", s.seq, expected, all[later].place())
		case s.seq > expected && s.seq-expected == 1:
			v.rep.bad(Gap, s.place(), nextBackup, "entry %d is missing", expected)
		case s.seq > expected:
			v.rep.bad(Gap, s.place(), nextBackup, "entries %d to %d are missing", expected, s.seq-1)
		default:
			v.rep.bad(Forged, s.place(), nextBackup, "entry %d stands where entry %d belongs", s.seq, expected)
		}
		return
	}
	v.rep.bad(Forged, ".", nextBackup, "the segments are not one chain")
}
