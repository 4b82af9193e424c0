package strict

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// agree holds the quick answer to the slow one: what is quickly fine is fine, and of what is not, only
// the slow answer speaks.
func agree(t *testing.T, b []byte) {
	t.Helper()
	slow := checkSlowly(b)
	if quick := json.Valid(b) && unique(b); quick != (slow == nil) {
		t.Errorf("%.200q: quickly %t, slowly %v", b, quick, slow)
	}
}

var uniqueSeeds = []string{
	`{}`, `[]`, `""`, `1`, ` true `, `null`, `{"a":1,"b":[{"a":2},{"a":3}]}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"k":1,"\u212a":2}`,
	"{\"k\":1,\"\u212a\":2}", `{"a":1,"\u0061":2}`, `{"\"":1,"\\":2}`, `{"a":{"b":1,"b":2}}`, `[{"x":1},[{"x":1,"x":1}]]`, `{"a":"}{\"a\":1"}`,
	"{\"\xff\":1,\"\xfe\":2}", `{"a":1}{}`, `{"a"}`, `{"a":1,}`, `[1,]`, `[1 2]`, `{1:2}`, ``, ` `, `{"":1,"":2}`, `{"":1}`, `-1.5e3`, `[1,"a",null,{"b":[]}]`,
	"{\"a\" : 1 ,\n\t\"b\":[ 1 , 2 ]\r}", `{"ſ":1,"s":2}`, `{"İ":1,"i̇":2}`,
}

func TestUnique(t *testing.T) {
	for _, s := range uniqueSeeds {
		agree(t, []byte(s))
	}
	for _, n := range []int{1, 7, 8, 9, 10, 100} {
		var keys []string
		for i := range n {
			keys = append(keys, fmt.Sprintf(`"k%d":%d`, i, i))
		}
		agree(t, []byte("{"+strings.Join(keys, ",")+"}"))
		for _, twice := range []int{0, n / 2, n - 1} {
			agree(t, []byte("{"+strings.Join(append(keys[:n:n], keys[twice]), ",")+"}"))
		}
	}
	for _, n := range []int{maxDepth - 1, maxDepth, maxDepth + 1, maxDepth + 2, 20_000} {
		agree(t, []byte(strings.Repeat("[", n)+strings.Repeat("]", n)))
		agree(t, []byte(strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n)))
	}
}

func FuzzUnique(f *testing.F) {
	for _, s := range uniqueSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { agree(t, b) })
}

func BenchmarkCheckJSON(b *testing.B) {
	doc := []byte(`{"items":[` + strings.TrimSuffix(strings.Repeat(`{"name":"a","digest":{"sha256":"0123456789abcdef"},"size":10},`, 64), ",") + `]}`)
	for name, check := range map[string]func() error{
		"quick": func() error { return CheckJSON(doc, 1<<20) },
		"slow":  func() error { return checkSlowly(doc) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if err := check(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
