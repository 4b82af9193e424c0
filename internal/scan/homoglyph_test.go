package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/confusable"
)

func TestHomoglyphs(t *testing.T) {
	for _, tt := range []struct {
		name, path, text string
		want             []string
	}{
		{"one letter of another script", "a.go", "if isAdm\u0456n(user) {\n", []string{`1 "isAdmin" Cyrillic`}},
		{"the same in one script", "a.go", "if isAdmin(user) {\n", nil},
		{"a package's name", "a.py", "import r\u0435quests\n", []string{`1 "requests" Cyrillic`}},
		{"Armenian", "a.js", "const t\u0585ken = 1\n", []string{`1 "token" Armenian`}},
		{"wholly of another script, beside its double", "a.go", "\u0441\u043e\u0440\u0443(dst)\n\ncopy(dst)\n", []string{`1 "copy" Cyrillic`}},
		{"wholly of another script, alone", "a.go", "x := \"\u0441\u043e\u0440\u0443\"\n", nil},
		{"a double that differs within ASCII too", "a.go", "v\u0430I := 1\nval := 2\n", []string{`1 "vaI" Cyrillic`}},
		{"Greek, beside its double", "a.jl", "\u03b1dd(x)\nadd(y)\n", []string{`1 "add" Greek`}},
		{"Greek in a formula", "a.jl", "\u0394x = \u03b1_0 + x\u03b1\n\u03c1_max = 1\n", nil},
		{"mathematical, which Python takes for ASCII", "a.py", "\U0001d4ee\U0001d4ff\U0001d4ea\U0001d4f5(x)\neval(y)\n", []string{`1 "eval" mathematical`}},
		{"full-width in prose", "a.java", "// \uff29\uff24\u306f\u5fc5\u9808\u3067\u3059\n", nil},
		{"a comment in Russian", "a.go", "// \u041f\u0440\u043e\u0432\u0435\u0440\u044f\u0435\u043c GET-\u0437\u0430\u043f\u0440\u043e\u0441 \u0438 JSON-\u0444\u0430\u0439\u043b, GET\u043e\u043c \u0438\u043b\u0438 SQL\u0435\u043c.\n", nil},
		{"a string in Greek", "a.py", "print('\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \u03ba\u03cc\u03c3\u03bc\u03b5, API')\n", nil},
		{"Japanese with Latin letters", "a.ts", "const label = 'API\u30ad\u30fc\u3092\u5165\u529b'\n", nil},
		{"alphabets in a pattern", "a.java", `Pattern.compile("[A-Za-zА-Яа-яЁё0-9_]+\\wа-я")` + "\n", nil},
		{"after an escape", "a.c", `puts("a\nВсе")` + "\n", nil},
		{"prose is left alone", "a.md", "\u0421loud\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(&blobs{}, nil)
			var got []string
			for _, f := range s.homoglyphsIn(sallyport.Path(tt.path), []byte(tt.text), nil) {
				w := strings.Fields(f.Text)
				got = append(got, fmt.Sprintf("%d %s %s", f.Line, w[4], w[7]))
				if f.Kind != sallyport.FindingUnicode || f.Rule != RuleHomoglyph || strings.ContainsFunc(f.Text, func(r rune) bool { return r > 0x7e }) {
					t.Errorf("got %+v", f)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Only new lines are judged, by what all of the file holds.
func TestHomoglyphNewLines(t *testing.T) {
	b := &blobs{}
	text := "copy(a)\n\u0441\u043e\u0440\u0443(b)\nu\u0455er(c)\n"
	got, _ := scanFiles(t, b, nil, b.modified("a.go", "copy(a)\nu\u0455er(c)\n", text, 2, 2))
	if len(got) != 1 || got[0].Line != 2 || got[0].Rule != RuleHomoglyph {
		t.Errorf("got %+v", got)
	}
}

// Every letter that looks like one of ASCII can stand in a name that is looked at.
func TestLettersInNames(t *testing.T) {
	for r := range confusable.Letters() {
		if unicode.IsLetter(r) && !inName(r) { // a few of the alphabets of formulas are not assigned
			t.Errorf("%U is in no name", r)
		}
	}
}

func FuzzDisguised(f *testing.F) {
	f.Add([]byte("isAdm\u0456n copy \u0441\u043e\u0440\u0443"))
	f.Add([]byte("\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \\n\u0412"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, d := range disguised(b, []span{{0, len(b)}}) {
			if d.offset < 0 || d.offset >= len(b) || d.rune < utf8.RuneSelf || d.name == "" {
				t.Fatalf("got %+v", d)
			}
			for _, c := range []byte(d.name) {
				if c >= utf8.RuneSelf {
					t.Fatalf("%q does not read as ASCII", d.name)
				}
			}
		}
		if utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r >= utf8.RuneSelf }) && len(disguised(b, []span{{0, len(b)}})) > 0 {
			t.Fatal("plain ASCII is disguised as itself")
		}
	})
}

func BenchmarkDisguised(b *testing.B) {
	text := []byte(strings.Repeat("func check(user string) error { return nil } // \u041f\u0440\u043e\u0432\u0435\u0440\u044f\u0435\u043c \u043f\u043e\u043b\u044c\u0437\u043e\u0432\u0430\u0442\u0435\u043b\u044f\n", 2000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		disguised(text, []span{{0, len(text)}})
	}
}
