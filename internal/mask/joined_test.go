package mask

import (
	"strings"
	"testing"
)

// Short strings cost a few searches of their bytes, and no search of the seam each: how much is searched stays
// within a small multiple of the body, with known values of any length too.
func TestJoinedTime(t *testing.T) {
	for name, known := range map[string][]Known{"no known value": nil, "a long one": {{"PEM", strings.Repeat("aB3$", 1500)}}} {
		e := engine(t, Options{Known: known})
		for _, item := range []string{"a", "key=", "pass:'", strings.Repeat("key=", 70)} {
			n := 40_000 / len(item)
			body := []byte(`{"content":[` + strings.TrimSuffix(strings.Repeat(`"`+item+`",`, n), ",") + `]}`)
			s := e.search()
			s.walk.body, s.walk.i = body, 0
			s.oneBody, s.allowed = true, 0
			s.walk.joined.reset()
			if err := s.walkJSON(); err != nil {
				t.Fatal(err)
			}
			if most := 8*n*len(item) + 4*e.longest; s.allowed > most {
				t.Errorf("%s: %d strings %q of %d bytes in all: %d bytes searched, want %d at most", name, n, item[:min(len(item), 8)], n*len(item), s.allowed, most)
			}
		}
	}
}

// A token in pieces is found though text without a space goes on before and after it in the strings beside it.
func TestSplitAmongWords(t *testing.T) {
	e := engine(t, Options{})
	for _, before := range []string{"", "word", "many words"} {
		for _, after := range []string{"", "word", "1234"} {
			body := []byte(`{"content":["` + before + `","` + awsID[:7] + `","` + awsID[7:] + `","` + after + `","` + strings.Repeat(`x","`, 3) + `end"]}`)
			found, err := e.FindJSON(nil, body)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, f := range found {
				got.Write(body[f.Start:f.End])
			}
			if got.String() != awsID {
				t.Errorf("found %q in %s", got.String(), body)
			}
		}
	}
}

// A secret is found wherever it lies among many short strings: no search begins or ends in its middle unseen.
func TestSplitAmongMany(t *testing.T) {
	value := "kX9-horse-battery-staple-42" + strings.Repeat("q7", 300)
	e := engine(t, Options{Known: []Known{{"PW", value}}})
	for _, size := range []int{5, 97} {
		for at := 0; at < 4000; at += 61 {
			var blocks []string
			for text := strings.Repeat("ab ", at/3) + value + strings.Repeat(" cd", 900); len(text) > 0; {
				n := min(size, len(text))
				blocks = append(blocks, `"`+text[:n]+`"`)
				text = text[n:]
			}
			body := []byte(`{"content":[` + strings.Join(blocks, ",") + `]}`)
			found, err := e.FindJSON(nil, body)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, f := range found {
				n += f.End - f.Start
			}
			if n < len(value) {
				t.Fatalf("at %d in strings of %d: %d of %d bytes found", at, size, n, len(value))
			}
		}
	}
}
