package policy

import (
	"slices"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// A line of roots leads back from one by the digests that each names, and over nothing else that a branch has held.
func TestLineage(t *testing.T) {
	files := map[string][]byte{GovernedDir + "trust.yaml": []byte("version: 1\n")}
	keys := []RootKey{{Person: "bob", Fingerprint: "SHA256:bob"}}
	root := func(prev []byte, repository string) []byte {
		o := RootOptions{Repository: repository, Keys: keys, Threshold: 1}
		if prev != nil {
			r, err := ParseRoot(prev)
			if err != nil {
				t.Fatal(err)
			}
			o.Previous, o.PreviousIs = &r, prev
		}
		b, err := InitRoot(files, o)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one := root(nil, "example.com/a")
	two := root(one, "example.com/a")
	three := root(two, "example.com/a")
	foreign := root(nil, "example.com/b")
	renamed := root(foreign, "example.com/a")
	strange := []byte("{}")
	for _, tt := range []struct {
		name string
		cur  []byte
		held [][]byte
		want int
	}{
		{"first", one, [][]byte{one, two, three}, 1},
		{"third", three, [][]byte{one, two, three}, 3},
		{"a link is missing", three, [][]byte{one, three}, 1},
		{"the end is missing", three, [][]byte{two}, 2},
		{"of another repository", renamed, [][]byte{foreign}, 1},
		{"no root", strange, [][]byte{one}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			held := map[sallyport.Digest][]byte{}
			for _, b := range tt.held {
				held[sallyport.SHA256(b)] = b
			}
			in := map[string][]byte{RootPath: tt.cur, GovernedDir + "trust.yaml": files[GovernedDir+"trust.yaml"]}
			got := Lineage(in, func(d sallyport.Digest) []byte { return held[d] })
			all := []sallyport.Digest{sallyport.SHA256(three), sallyport.SHA256(two), sallyport.SHA256(one)}
			if tt.name == "of another repository" {
				all = []sallyport.Digest{sallyport.SHA256(renamed)}
			} else if i := slices.Index(all, sallyport.SHA256(tt.cur)); i > 0 {
				all = all[i:]
			}
			if !slices.Equal(got, all[:tt.want]) {
				t.Errorf("got %v, want %d of %v", got, tt.want, all)
			}
			if lies := Lineage(in, func(sallyport.Digest) []byte { return foreign }); len(lies) > 1 && tt.cur != nil && !slices.Equal(tt.cur, renamed) {
				t.Errorf("other bytes than those that are asked for: %v", lies)
			}
		})
	}
}
