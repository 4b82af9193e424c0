package words

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	list := []string{"he", "she", "his", "hers", "-----begin", "é"}
	a := New(list)
	text := []byte("uSHErs HIS hehe -----BEGIN é----BEGIN")
	var got []string
	a.Scan(text, func(w, end int) { got = append(got, fmt.Sprintf("%s@%d", list[w], end-len(list[w]))) })
	want := []string{"she@1", "he@2", "hers@2", "his@7", "he@11", "he@13", "-----begin@16", "é@27"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !a.Contains([]byte("xxHIS")) || a.Contains([]byte("hi s")) {
		t.Error("contains")
	}
}

// FuzzScan compares the one pass with a search for each word.
func FuzzScan(f *testing.F) {
	f.Add("he,she,his,hers", []byte("uSHErs HIS"))
	f.Add("aa,a,aaa", []byte("aAaA"))
	f.Add("a\x00b,\xff", []byte("a\x00B\xff"))
	f.Fuzz(func(t *testing.T, comma string, text []byte) {
		list := slices.DeleteFunc(strings.Split(comma, ","), func(w string) bool { return w == "" })
		if len(comma) > 200 || len(text) > 4000 {
			return
		}
		got := map[string]bool{}
		New(list).Scan(text, func(w, end int) { got[fmt.Sprint(w, end)] = true })
		folded := fold(text)
		n := 0
		for i, w := range list {
			word := fold([]byte(w))
			for at := 0; at+len(word) <= len(folded); at++ {
				if bytes.HasPrefix(folded[at:], word) {
					n++
					if !got[fmt.Sprint(i, at+len(word))] {
						t.Fatalf("%q at %d in %q was not found", w, at, text)
					}
				}
			}
		}
		if n != len(got) || New(list).Contains(text) != (n > 0) {
			t.Fatalf("%d found, %d there: %v in %q", len(got), n, list, text)
		}
	})
}

// fold lowers the ASCII letters alone.
func fold(b []byte) []byte {
	b = bytes.Clone(b)
	for i := range b {
		b[i] = lower(b[i])
	}
	return b
}
