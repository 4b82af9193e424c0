package blame

import (
	"reflect"
	"testing"
)

func TestMatcher(t *testing.T) {
	file := Blob{"a.go", "100644", "b1"}
	runs := []Run{
		{Commits: map[string]bool{"c1": true}},
		{Hunks: map[string]int{"h": 1}},
		{Trees: map[string]bool{"t1": true}},
		{Blobs: map[Blob]bool{file: true, {"a.go", "120000", "b2"}: true}},
	}
	s := &Source{Commit: "c1", Tree: "t1", File: file, Hunks: []Hunk{{Digest: "h", Added: []Span{{3, 5}}}, {Digest: "h", Added: []Span{{9, 10}}}}}
	m := NewMatcher(runs)
	if got, want := m.At(0, s, s.Hunk(4)), []Match{{0, ByCommit}, {1, ByHunk}, {2, ByTree}, {3, ByBlob}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// The run made the hunk once: the same place again is its own, another place is not.
	if got := m.At(0, s, s.Hunk(3)); len(got) != 4 {
		t.Errorf("the place that was joined once is not joined again: %v", got)
	}
	if got, want := m.At(0, s, s.Hunk(9)), []Match{{0, ByCommit}, {2, ByTree}, {3, ByBlob}}; !reflect.DeepEqual(got, want) {
		t.Errorf("a second place of a hunk that was made once: got %v, want %v", got, want)
	}
	if got := m.At(0, s, s.Hunk(7)); len(got) != 3 {
		t.Errorf("a line of no hunk: %v", got)
	}
	if got := m.At(1, &Source{}, -1); got != nil {
		t.Errorf("what is not committed is somebody's: %v", got)
	}
	if got := m.Contents(3, "a.go"); !reflect.DeepEqual(got, []string{"b1"}) {
		t.Errorf("contents %v, want the file and not the link", got)
	}
}

// Lines that both versions have are the same in the same order.
func TestDeltaBefore(t *testing.T) {
	// before: a b c d e   after: X a c d Y Z e
	d := &Delta{Added: []Span{{1, 2}, {5, 7}}, Removed: []Span{{2, 3}}}
	want := map[int]int{1: 0, 2: 1, 3: 3, 4: 4, 5: 0, 6: 0, 7: 5}
	for line, before := range want {
		got, ok := d.Before(line)
		if got != before || ok != (before != 0) {
			t.Errorf("line %d was %d (%v), want %d", line, got, ok, before)
		}
		if d.Brought(line) != (before == 0) {
			t.Errorf("line %d: brought is %v", line, d.Brought(line))
		}
	}
	if got, ok := (&Delta{}).Before(4); got != 4 || !ok {
		t.Errorf("without a difference line 4 was %d", got)
	}
}
