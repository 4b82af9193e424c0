package change

import (
	"strings"
	"testing"
)

// The same edit at two places that look alike gives two hunks of one digest: whoever attests one
// of them has not attested the other, so units tell them apart.
func TestPlaceTellsHunksOfOneDigestApart(t *testing.T) {
	l := newLab(t)
	block := "same\nsame\nsame\nold\nsame\nsame\nsame\n"
	text := "top\n" + block + numbers(20) + block
	l.write("f", text)
	base := l.commit("base")
	l.write("f", strings.ReplaceAll(text, "old\n", "new\n"))
	units := l.change(base, l.commit("head")).Files[0].Units
	if len(units) != 4 {
		t.Fatalf("got %d units, want two removed and two added runs", len(units))
	}
	for i, u := range units {
		if u.Hunk != units[0].Hunk {
			t.Errorf("unit %d has the hunk %s, want %s as the first", i, u.Hunk.Short(), units[0].Hunk.Short())
		}
		if want := i / 2; u.Place != want {
			t.Errorf("unit %d is at place %d, want %d", i, u.Place, want)
		}
	}
}
