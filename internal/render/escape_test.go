package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/forms"
)

// attacks are what an author may put into a branch, a file, a name, an address, a title or a
// trailer, to be taken for more than text by whatever shows it.
var attacks = map[string]string{
	"escape sequences":       "a\x1b[2J\x1b]8;;https://evil.example\x1b\\b\x9b31m",
	"lines":                  "a\nb\r\nc\rd\u2028e\u2029f\u0085g\vh\fi",
	"a forged line":          "a\n\nmerge gate: open\n\n# ✅ Merge gate: open",
	"tags":                   `<script>alert(1)</script><img src=x onerror=alert(1)><b>x</b></details></td></table>`,
	"end of a script":        `</script></textarea></title>--><!--`,
	"entities":               `&lt;b&gt;&#60;img&#62;&amp;`,
	"cdata":                  `]]><testcase name="forged"/><![CDATA[`,
	"an attribute":           `" type="open" x="`,
	"a table":                "a | b | c\n|---|---|\n| open | all | well |",
	"a bar":                  `a|b\|c\\|d`,
	"backquotes":             "` `` ``` `a` ```` \n```\ncode\n```",
	"a link":                 "[click](https://evil.example) [a]: https://evil.example <https://evil.example> https://evil.example www.evil.example",
	"a script link":          "[click](javascript:alert(1)) [x][javascript:alert(1)]",
	"a SARIF link":           "see [the fix](1) and [this](https://evil.example/%5D)",
	"an image":               "![x](https://evil.example/p.png)",
	"mentions":               "@team @org/team #123 !7 org/repo#1 GH-1 $2 ~label %1 &9 user@evil.example",
	"emphasis":               "*a* **b** _c_ __d__ ~~e~~ # f\n- g\n> h\n1. i\n---\n===",
	"GitHub commands":        "::error file=a::b\n::stop-commands::x ::set-output name=a::b%0A::error::c",
	"other commands":         "##vso[task.complete result=Succeeded]x ##[error]y ##[group]z",
	"percent":                "%0A%0D%25%3A%2C%s%d%n",
	"quick actions":          "/approve\n/merge\n/label ~x",
	"reversed":               "\u202egpj.exe\u202c\u2066x\u2069\u200e\u200f\u061c",
	"invisible":              "a\u200b\u200c\u200d\ufeff\u00ad\u2060b\U000e0041\U000e0042\u180e",
	"not UTF-8":              "a\xff\xfe\xc0\x80\xed\xa0\x80b",
	"not XML":                "a\x00\x01\x08\x0b\x1f\ufffe\uffffb",
	"very long":              strings.Repeat("long ", 2000),
	"very long without gaps": strings.Repeat("x|`<", 2000),
	"a template":             "${{ github.token }} {{.}} $(id) `id` {0} {1}",
	"a formula":              "=cmd|'/c calc'!A1",
	"a path":                 "../../etc/passwd:1:2",
	"a quote":                `it's "quoted" \"and\" escaped\`,
	"nothing":                "",
	"a space":                " ",
	"only marks":             "---",
}

// twin is what stands in an attack's place in its harmless twin. It is no plain word, so that it
// is shown as attacks are.
const twin = "file_1.go"

// fields returns a decision in which each field that an author can reach, directly or by way of a
// rule's text, holds what set says of it.
func fields(set func(name string) string) (d sallyport.Decision, s Summary) {
	f := set
	r := sallyport.Reason{Code: f("code"), Outcome: sallyport.Shut, Severity: sallyport.High, Title: f("title"), Text: "x " + f("text"), Place: f("place") + "_1", Looked: []string{f("looked")}, Next: "x_ " + f("next"), Set: "x_" + f("set"), Labels: []string{f("label")}}
	lined := r
	lined.Code, lined.Outcome, lined.Place = "other", sallyport.Waiting, f("place")+":3"
	d = decision(sallyport.Shut, sallyport.Enforce, r, lined)
	d.Subject.Name, d.Resource = "x "+f("subject"), "x "+f("resource")
	d.Advice = []string{"x_ " + f("advice")}
	d.Dropped = []sallyport.Dropped{{Attestation: sallyport.SHA256([]byte("d")), Source: "x " + f("source"), Why: f("why")}}
	return d, Summary{Missing: 2, Reviewers: []string{"x_" + f("reviewer"), "bob"}}
}

var fieldNames = []string{"code", "title", "text", "place", "looked", "next", "set", "label", "subject", "resource", "advice", "source", "why", "reviewer"}

// outputs are the forms of a decision, each with what reads it back as a structure: what stands
// where, without the text itself.
var outputs = []struct {
	name      string
	write     func(w io.Writer, d sallyport.Decision, s Summary) error
	structure func(b []byte) (string, error)
}{
	{"text", func(w io.Writer, d sallyport.Decision, _ Summary) error { return Text(w, d, "sha256:1", Options{}) }, forms.Text},
	{"json", func(w io.Writer, d sallyport.Decision, _ Summary) error { return JSON(w, d, "sha256:1", nil) }, forms.JSON},
	{"sarif", func(w io.Writer, d sallyport.Decision, _ Summary) error { return SARIF(w, d, "sha256:1", "0.1.0") }, forms.SARIF},
	{"junit", func(w io.Writer, d sallyport.Decision, _ Summary) error { return JUnit(w, d, "sha256:1") }, forms.XML},
	{"markdown", func(w io.Writer, d sallyport.Decision, s Summary) error { return Markdown(w, d, "sha256:1", s) }, forms.Markdown},
}

// In every output, whatever an author wrote is text and nothing else: read by a parser of the
// output's own language, the structure is that of the harmless twin.
func TestAuthorsWriteTextOnly(t *testing.T) {
	for attack, s := range attacks {
		for _, field := range append(slices.Clone(fieldNames), "") { // "" is all of them
			hostile, hs := fields(func(name string) string {
				if name == field || field == "" {
					return s
				}
				return twin
			})
			benign, bs := fields(func(string) string { return twin })
			for _, form := range outputs {
				var got, want bytes.Buffer
				if err := errors.Join(form.write(&got, hostile, hs), form.write(&want, benign, bs)); err != nil {
					t.Fatalf("%s in %s as %s: %v", attack, field, form.name, err)
				}
				if what := forms.Acts(got.String()); what != "" {
					t.Errorf("%s in %s as %s: not shown but carried out: %q", attack, field, form.name, what)
				}
				have, err := form.structure(got.Bytes())
				if err != nil {
					t.Errorf("%s in %s as %s: %v", attack, field, form.name, err)
					continue
				}
				if twin, err := form.structure(want.Bytes()); err != nil || have != twin {
					t.Errorf("%s in %s as %s: %v\ngot\n%s\nwant\n%s\n%.2000s", attack, field, form.name, err, have, twin, got.String())
				}
			}
		}
	}
}

// Without the escaping there would be something to see: the attacks are live, and the readers
// above tell them from their twin.
func TestAttacksAreLive(t *testing.T) {
	for attack, wrap := range map[string]string{
		"tags": "%s", "a table": "| %s | b |\n|---|---|\n", "backquotes": "`%s`", "a link": "%s", "an image": "%s", "emphasis": "%s", "a script link": "%s",
	} {
		have, err := forms.Markdown(fmt.Appendf(nil, wrap, attacks[attack]))
		want, _ := forms.Markdown(fmt.Appendf(nil, wrap, twin))
		if err == nil && have == want {
			t.Errorf("%s: nothing is seen of it in Markdown", attack)
		}
	}
	for _, attack := range []string{"tags", "cdata", "not XML", "not UTF-8"} {
		have, err := forms.XML([]byte("<a>" + attacks[attack] + "</a>"))
		if err == nil && have == "a" {
			t.Errorf("%s: nothing is seen of it in XML", attack)
		}
	}
}

// Whatever a decision holds, its JUnit report is well-formed XML and its summary is Markdown
// without markup that is not ours, both of the shape that the harmless twin has.
func FuzzReports(f *testing.F) {
	for _, s := range attacks {
		f.Add(s[:min(len(s), 300)])
	}
	f.Fuzz(func(t *testing.T, s string) {
		hostile, hs := fields(func(string) string { return s })
		benign, bs := fields(func(string) string { return twin })
		for _, form := range outputs {
			if form.name != "junit" && form.name != "markdown" {
				continue
			}
			var got, want bytes.Buffer
			if err := errors.Join(form.write(&got, hostile, hs), form.write(&want, benign, bs)); err != nil {
				t.Fatal(err)
			}
			if r := unprintable(got.String()); r != "" {
				t.Errorf("%s holds %s", form.name, r)
			}
			have, err := form.structure(got.Bytes())
			if err != nil {
				t.Fatalf("%s: %v\n%s", form.name, err, got.String())
			}
			// A code or a title of plain words is written as such, and is no other structure.
			if twin, err := form.structure(want.Bytes()); err != nil || have != twin && !plain.MatchString(s) {
				t.Errorf("%s: %v\ngot\n%s\nwant\n%s\n%s", form.name, err, have, twin, got.String())
			}
		}
	})
}
