package artifact

import (
	"testing"
	"time"
)

// FuzzCompare: the same bytes are equal and have no difference; other bytes are not, and have
// one; exchanged sides give exchanged differences; and what is said fits a line.
func FuzzCompare(f *testing.F) {
	seed := file{name: "x", text: "built 2026-11-26 in /src\n", mtime: noon, mode: 0o644}
	other := seed
	other.mtime, other.text = noon.Add(time.Hour), `{"a":[1,2],"b":"/x"}`
	third := other
	third.text = `{"b":"/y","a":[2,1]}`
	for _, s := range [][2]string{
		{"", "a"},
		{seed.text, "built 2026-11-27 in /src/two\n"},
		{other.text, third.text},
		{packTar(f, seed), packTar(f, other)},
		{packTar(f, other), packTar(f, third, seed)},
		{packZip(f, seed, third), packZip(f, other, seed)},
		{packZip(f, third), packZip(f, other)},
		{packAr(seed), packAr(other)},
		{packGzip(f, seed.text, "a", noon, 6), packGzip(f, other.text, "b", noon, 9)},
		{packTar(f, file{name: "index.json", text: `{"manifests":[{"digest":"sha256:x"}]}`}), packTar(f, file{name: "blobs/sha256/x", text: `{}`})},
		{"BZh9", "BZh91"}, {"\x7fELF\x02\x01\x01", "\x7fELF\x01\x01\x01"}, {"MZ\x00", "MZ\x01"}, {"\xcf\xfa\xed\xfe\x07", "\xcf\xfa\xed\xfe\x08"},
	} {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	limits := Limits{Size: 1 << 20, Unpacked: 1 << 20, Members: 50, Depth: 3, Text: 1 << 16}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) > 1<<16 || len(b) > 1<<16 {
			return
		}
		run := func(a, b []byte) Report {
			r, err := Compare(t.Context(), input("a", string(a)), input("b", string(b)), limits)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		r := run(a, b)
		if equal := string(a) == string(b); r.Equal != equal || (len(r.Differences) == 0) != equal {
			t.Fatalf("equal: %t, %d differences", r.Equal, len(r.Differences))
		}
		if same := run(a, a); !same.Equal || len(same.Differences) > 0 || len(same.Unexamined) > 0 {
			t.Fatalf("compared with itself: %v", same)
		}
		symmetric(t, r, run(b, a))
		for _, d := range r.Differences {
			if visible(d.A) != d.A || visible(d.B) != d.B || visible(d.Member) != d.Member || visible(d.Where) != d.Where || d.Why == "" {
				t.Fatalf("%q cannot be shown", d)
			}
		}
	})
}
