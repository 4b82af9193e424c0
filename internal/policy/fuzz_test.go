package policy

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Whatever parseInput accepts, the vocabulary's own decoder accepts too, and reads the same
// counts from it.
func FuzzParseInput(f *testing.F) {
	f.Add(open(f))
	f.Add([]byte("{}"))
	f.Add(bytes.Replace(open(f), []byte(`"evidence":null`), []byte(`"evidence":[{"attestation":"","predicate_type":"","signer":{"kind":""},"grade":"","logged":"","body":{"a":[1,{}]}}]`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := parseInput(b)
		if err != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatal("accepted what is no JSON")
		}
		if want, err := ast.ValueFromReader(bytes.NewReader(b)); err != nil || !sameValue(doc, want) {
			t.Fatalf("read %v, want %v, %v", doc, want, err)
		}
		var in sallyport.Input
		if err := json.Unmarshal(b, &in); err != nil {
			t.Fatalf("accepted what the vocabulary refuses: %v", err)
		}
		for _, file := range in.Change.Files {
			if file.Uncovered.Total() < file.Uncovered.Agent {
				t.Error("a weight cancels another")
			}
		}
		if doc.Len() < inputShape().needed {
			t.Error("a property is missing")
		}
	})
}

// sameValue compares what parseInput read with what the library reads, where null may stand
// for an empty array.
func sameValue(got, want ast.Value) bool {
	switch got := got.(type) {
	case ast.Object:
		o, ok := want.(ast.Object)
		return ok && got.Len() == o.Len() && !got.Until(func(k, v *ast.Term) bool {
			w := o.Get(k)
			return w == nil || !sameValue(v.Value, w.Value)
		})
	case *ast.Array:
		if _, null := want.(ast.Null); null {
			return got.Len() == 0
		}
		a, ok := want.(*ast.Array)
		if !ok || got.Len() != a.Len() {
			return false
		}
		for i := range got.Len() {
			if !sameValue(got.Elem(i).Value, a.Elem(i).Value) {
				return false
			}
		}
		return true
	default:
		return got.Compare(want) == 0
	}
}

// A file of cases that parses says of each case what it wants.
func FuzzParseCases(f *testing.F) {
	f.Add([]byte("cases:\n  - note: a\n    want: []\n"))
	f.Add(Builtin().Files["merge_test.yaml"])
	f.Fuzz(func(t *testing.T, b []byte) {
		cases, err := parseCases(b)
		if err == nil && len(cases) == 0 {
			t.Error("accepted no cases")
		}
		for _, c := range cases {
			if c.Want == nil || c.Note == "" {
				t.Errorf("accepted %+v", c)
			}
		}
	})
}

// A manifest that parses names a version that exists, and entry points that are references to
// rules, at least one if it names any.
func FuzzParseManifest(f *testing.F) {
	f.Add([]byte("rego_version: 0\ntitle: x\n"))
	f.Add([]byte(legacyManifest))
	f.Add([]byte("entrypoints: {deny: data.a, allow: \"data.a.b; true\"}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		if m.RegoVersion != nil && *m.RegoVersion != 0 && *m.RegoVersion != 1 {
			t.Errorf("accepted version %d", *m.RegoVersion)
		}
		deny, allow, stated := m.entrypoints()
		if deny == nil && allow == nil {
			t.Error("nothing would be asked")
		}
		for _, ref := range []ast.Ref{deny, allow} {
			if stated && ref != nil && (len(ref) < 3 || !ref.IsGround() || ref[0].Value.Compare(ast.DefaultRootDocument.Value) != 0) {
				t.Errorf("%v is no rule", ref)
			}
		}
	})
}

// What clean returns is printable, bounded, and clean already.
func FuzzClean(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b[2J\u202e\xff" + strings.Repeat("é", maxText))
	f.Fuzz(func(t *testing.T, s string) {
		c := clean(s)
		for _, r := range c {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q holds %U", c, r)
			}
		}
		if len(c) > 12*maxText {
			t.Errorf("%d bytes", len(c))
		}
		if len(c) <= maxText && clean(c) != c {
			t.Errorf("%q is %q the second time", c, clean(c))
		}
	})
}

// On JSON of any shape the scanner agrees with the standard library, except that it refuses a
// key that stands twice, text that is not UTF-8 and deep nesting.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e3,true,false,null,"\u00e9\n"],"b":{}}`, ` [ ] `, `"\ud800"`, `{"a":1,"a":2}`, `01`, `[1,]`, `{"a"}`, "\"\xff\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := scanner{b: b, terms: map[string]*ast.Term{}}
		_, err := s.next()
		var got *ast.Term
		if err == nil {
			got, err = s.value(&shape{kind: kindAny}, 0)
		}
		if err == nil {
			err = s.end()
		}
		if (err == nil) != (utf8.Valid(b) && strict.CheckJSON(b, len(b)) == nil) {
			// CheckJSON also refuses keys that differ in case only, and nesting a little earlier.
			if err != nil || !json.Valid(b) || strict.CheckJSON(b, len(b)) == nil {
				t.Fatalf("got %v, %v", got, err)
			}
		}
		if err == nil {
			if want, err := ast.ValueFromReader(bytes.NewReader(b)); err != nil || !sameValue(got.Value, want) {
				t.Fatalf("read %v, want %v, %v", got, want, err)
			}
		}
	})
}
