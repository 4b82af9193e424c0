package change

import (
	"fmt"
	"slices"
	"testing"
)

// What one commit adds and the next one takes away again is in no final file, and is told.
func TestPassing(t *testing.T) {
	for _, tt := range []struct {
		name string
		// commits are contents of f.txt, one a commit; "-" deletes it.
		commits []string
		want    []string // added lines of the passing versions: path:first+count
	}{
		{"nothing in passing", []string{"a\nb\n"}, nil},
		{"a line added and removed", []string{"a\nsecret\n", "a\n"}, []string{"f.txt:2+1"}},
		{"a version in between", []string{"a\nx\n", "a\nx\ny\n"}, []string{"f.txt:2+1"}},
		{"a file added and deleted", []string{"-", "one\ntwo\n", "-"}, []string{"f.txt:1+2"}},
		{"the base comes back", []string{"a\nb\n", "a\n"}, []string{"f.txt:2+1"}},
		{"deleted and restored", []string{"-", "a\n"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.write("f.txt", "a\n")
			base := l.commit("base")
			head := base
			for _, content := range tt.commits {
				if content == "-" {
					l.git("rm", "-q", "f.txt")
				} else {
					l.write("f.txt", content)
				}
				head = l.commit("next")
			}
			c := l.change(base, head)
			var got []string
			for _, p := range c.Passing {
				for _, u := range p.File.Units {
					got = append(got, fmt.Sprintf("%s:%d+%d", p.File.Path, u.Start, u.Lines))
				}
				if p.Commit.Zero() || p.File.NewBlob == "" {
					t.Errorf("a version without commit or blob: %+v", p)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
