package change

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// mapCache keeps everything.
type mapCache map[string][]byte

func (m mapCache) Get(_ context.Context, key string) ([]byte, bool) { b, ok := m[key]; return b, ok }
func (m mapCache) Put(_ context.Context, key string, value []byte)  { m[key] = value }

// What a step made has the hunks of the change between the same trees, from the cache too.
func TestMadeHasTheHunksOfTheChange(t *testing.T) {
	l := newLab(t)
	l.write("a b.txt", numbers(40))
	l.write("other.txt", "x\n")
	base := l.commit("base")
	text := strings.Replace(numbers(40), "line 5\n", "five\nmore\n", 1)
	text = strings.Replace(text, "line 30\n", "", 1)
	l.write("a b.txt", strings.TrimSuffix(text, "\n"))
	l.write("other.txt", "y\n")
	head := l.commit("head")
	c := l.change(base, head)
	var want []sallyport.Digest
	for _, u := range c.Files[0].Units {
		if !slices.Contains(want, u.Hunk) {
			want = append(want, u.Hunk)
		}
	}
	cache := mapCache{}
	d := l.differ(cache)
	trees := []string{l.git("rev-parse", base+"^{tree}"), l.git("rev-parse", head+"^{tree}")}
	for _, when := range []string{"cold", "warm"} {
		made, err := d.Made(t.Context(), []Step{{trees[0], trees[1], "a b.txt"}, {trees[0], trees[1], "nothing"}})
		if err != nil {
			t.Fatal(err)
		}
		var got []sallyport.Digest
		for _, h := range made[0].Hunks {
			got = append(got, h.Digest)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: hunks %v, want %v", when, got, want)
		}
		if h := made[0].Hunks[0]; !reflect.DeepEqual(h.Added, []Span{{5, 7}}) || !reflect.DeepEqual(h.Removed, []Span{{5, 6}}) {
			t.Errorf("%s: added %v, removed %v", when, h.Added, h.Removed)
		}
		if made[1].NewBlob != "" || len(made[1].Hunks) != 0 {
			t.Errorf("%s: a path that did not change was made: %+v", when, made[1])
		}
	}
	for key, value := range cache {
		cache[key] = append(slices.Clone(value[:len(value)-1]), value[len(value)-1]^1)
	}
	if made, err := d.Made(t.Context(), []Step{{trees[0], trees[1], "a b.txt"}}); err != nil || len(made[0].Hunks) != len(want) {
		t.Errorf("a damaged cache was believed: %+v, %v", made, err)
	}
}

func TestLineage(t *testing.T) {
	l := newLab(t)
	root := l.commit("root")
	one := l.commit("one")
	two := l.commit("two")
	l.git("switch", "-q", "-c", "side", one)
	side := l.commit("side")
	l.git("merge", "-q", "--no-ff", "-m", "merge", two)
	merge := l.git("rev-parse", "HEAD")
	d := l.differ(nil)
	for _, c := range []struct {
		name       string
		commits    []string
		start, end string
	}{
		{"a line", []string{two, one}, root, two},
		{"to the root", []string{root, one}, "", one},
		{"with a merge of its own", []string{merge, side, two, one}, root, merge},
		{"a commit in between is somebody else's", []string{root, two}, "-", ""},
		{"a merge of somebody else's commits", []string{merge, side}, "-", ""},
		{"two ends", []string{side, two, one}, "-", ""},
		{"a commit that is not here", []string{strings.Repeat("1", 40)}, "-", ""},
		{"no object id", []string{"HEAD"}, "-", ""},
		{"none", nil, "-", ""},
	} {
		got, err := d.Lineage(t.Context(), c.commits)
		switch {
		case c.start == "-":
			if !errors.Is(err, ErrNoLineage) {
				t.Errorf("%s: %+v, %v, want ErrNoLineage", c.name, got, err)
			}
		case err != nil || got.Start != c.start || got.End != c.end || got.StartTree == "" || got.EndTree == "":
			t.Errorf("%s: %+v, %v, want from %s to %s", c.name, got, err, c.start, c.end)
		}
	}
}

func TestBlobDiffsAndHeldTree(t *testing.T) {
	l := newLab(t)
	l.write("f", numbers(3))
	first := l.commit("first")
	was := l.git("rev-parse", "HEAD:f")
	tree := l.git("rev-parse", "HEAD^{tree}")
	l.write("f", numbers(4))
	second := l.commit("second")
	is := l.git("rev-parse", "HEAD:f")
	d := l.differ(nil)
	made, here, err := d.BlobDiffs(t.Context(), [][2]string{{was, is}, {strings.Repeat("2", 40), is}, {"x", is}, {is, is}})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(here, []bool{true, false, false, true}) {
		t.Errorf("here %v", here)
	}
	if len(made[0].Hunks) != 1 || !reflect.DeepEqual(made[0].Hunks[0].Added, []Span{{4, 5}}) || len(made[3].Hunks) != 0 {
		t.Errorf("made %+v", made)
	}
	for base, want := range map[string]bool{first: true, second: true} {
		if got, err := d.HeldTree(t.Context(), base, tree); err != nil || got != want {
			t.Errorf("held at %s: %v, %v", base, got, err)
		}
	}
	if got, err := d.HeldTree(t.Context(), second, strings.Repeat("3", 40)); err != nil || got {
		t.Errorf("a tree that was never there was held: %v, %v", got, err)
	}
	if _, err := d.Commits(t.Context(), []string{strings.Repeat("4", 40)}); !errors.Is(err, git.ErrMissingObject) {
		t.Errorf("a commit that is not here: %v", err)
	}
}
