package render

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	gmtext "github.com/yuin/goldmark/text"

	"github.com/sallyport-dev/sallyport"
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
	r := sallyport.Reason{Code: f("code"), Outcome: sallyport.Shut, Severity: sallyport.High, Title: f("title"), Text: "x " + f("text"), Place: f("place") + "_1", Looked: []string{f("looked")}, Next: "x " + f("next"), Set: "x_" + f("set"), Labels: []string{f("label")}}
	lined := r
	lined.Code, lined.Outcome, lined.Place = "other", sallyport.Waiting, f("place")+":3"
	d = decision(sallyport.Shut, sallyport.Enforce, r, lined)
	d.Subject.Name, d.Resource = "x "+f("subject"), "x "+f("resource")
	d.Advice = []string{"x_ " + f("advice")}
	d.Dropped = []sallyport.Dropped{{Attestation: sallyport.SHA256([]byte("d")), Source: "x " + f("source"), Why: f("why")}}
	return d, Summary{Missing: 2, Reviewers: []string{"x_" + f("reviewer"), "bob"}}
}

var fieldNames = []string{"code", "title", "text", "place", "looked", "next", "set", "label", "subject", "resource", "advice", "source", "why", "reviewer"}

// forms are the outputs of a decision, each with what reads it back as a structure: what stands
// where, without the text itself.
var forms = []struct {
	name      string
	write     func(w io.Writer, d sallyport.Decision, s Summary) error
	structure func(b []byte) (string, error)
}{
	{"text", func(w io.Writer, d sallyport.Decision, _ Summary) error { return Text(w, d, "sha256:1", Options{}) }, textStructure},
	{"json", func(w io.Writer, d sallyport.Decision, _ Summary) error { return JSON(w, d, "sha256:1", nil) }, jsonStructure},
	{"sarif", func(w io.Writer, d sallyport.Decision, _ Summary) error { return SARIF(w, d, "sha256:1", "0.1.0") }, sarifStructure},
	{"junit", func(w io.Writer, d sallyport.Decision, _ Summary) error { return JUnit(w, d, "sha256:1") }, xmlStructure},
	{"markdown", func(w io.Writer, d sallyport.Decision, s Summary) error { return Markdown(w, d, "sha256:1", s) }, markdownStructure},
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
			for _, form := range forms {
				var got, want bytes.Buffer
				if err := errors.Join(form.write(&got, hostile, hs), form.write(&want, benign, bs)); err != nil {
					t.Fatalf("%s in %s as %s: %v", attack, field, form.name, err)
				}
				if r := unprintable(got.String()); r != "" {
					t.Errorf("%s in %s as %s: the output holds %s", attack, field, form.name, r)
				}
				if line := carriedOut(got.String()); line != "" {
					t.Errorf("%s in %s as %s: a CI system would carry out %q", attack, field, form.name, line)
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
		have, err := markdownStructure(fmt.Appendf(nil, wrap, attacks[attack]))
		want, _ := markdownStructure(fmt.Appendf(nil, wrap, twin))
		if err == nil && have == want {
			t.Errorf("%s: nothing is seen of it in Markdown", attack)
		}
	}
	for _, attack := range []string{"tags", "cdata", "not XML", "not UTF-8"} {
		have, err := xmlStructure([]byte("<a>" + attacks[attack] + "</a>"))
		if err == nil && have == "a" {
			t.Errorf("%s: nothing is seen of it in XML", attack)
		}
	}
}

// textStructure is the lines, each by the word that the program put there.
func textStructure(b []byte) (string, error) {
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		word, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		if !slices.Contains([]string{"next:", "looked", "advice", "decision:", "for", "merge", "evidence"}, word) {
			word = "…"
		}
		fmt.Fprintln(&out, word)
	}
	return out.String(), nil
}

// jsonStructure is the path and the type of each value.
func jsonStructure(b []byte) (string, error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&v); err != nil {
		return "", err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("more than one document")
	}
	var lines []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(path+"."+k, x)
			}
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), x)
			}
		default:
			lines = append(lines, fmt.Sprintf("%s %T", path, v))
		}
	}
	walk("", v)
	// What is empty is left out: an author who writes nothing is not an attack.
	lines = slices.DeleteFunc(lines, func(s string) bool {
		return strings.Contains(s, ".place ") || strings.Contains(s, ".set ") || strings.Contains(s, ".title ") || strings.Contains(s, "policySet")
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}

// embedded finds the links that SARIF messages may hold.
var embedded = regexp.MustCompile(`\[[^]]*\]\(`)

func sarifStructure(b []byte) (string, error) {
	var log sarifLog
	if err := json.Unmarshal(b, &log); err != nil {
		return "", err
	}
	s, err := jsonStructure(b)
	if err != nil {
		return "", err
	}
	// Where a result lies is the one thing that depends on what the author wrote: a file by its
	// name, or, without a name, the whole.
	lines := slices.DeleteFunc(strings.Split(s, "\n"), func(s string) bool { return strings.Contains(s, "ocation") })
	run := log.Runs[0]
	messages := []sarifText{}
	for _, r := range run.Results {
		lines = append(lines, fmt.Sprint(len(r.Locations)))
		messages = append(messages, r.Message)
	}
	for _, r := range run.Tool.Driver.Rules {
		messages = append(messages, r.ShortDescription, r.Help)
	}
	for _, n := range run.Invocations[0].Notifications {
		messages = append(messages, n.Message)
	}
	for _, m := range messages {
		if link := embedded.FindString(m.Text); link != "" {
			return "", fmt.Errorf("a message holds the link %q", link)
		}
	}
	return strings.Join(lines, "\n"), nil
}

// xmlStructure is the elements with the names of their attributes.
func xmlStructure(b []byte) (string, error) {
	dec := xml.NewDecoder(bytes.NewReader(b))
	var out strings.Builder
	depth, roots := 0, 0
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if roots != 1 {
				return "", fmt.Errorf("%d documents", roots)
			}
			return strings.TrimSpace(out.String()), nil
		}
		if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			fmt.Fprint(&out, "\n", tok.Name.Local)
			for _, a := range tok.Attr {
				fmt.Fprint(&out, " ", a.Name.Local)
				if a.Name.Local == "type" || a.Name.Local == "tests" || a.Name.Local == "failures" {
					fmt.Fprint(&out, "=", a.Value)
				}
			}
		case xml.EndElement:
			depth--
		case xml.Comment, xml.Directive:
			return "", errors.New("a comment or directive")
		}
	}
}

// ownTags are the only HTML in a summary.
var ownTags = []string{"<details>", "<summary>Details</summary>", "</details>"}

// gfm reads Markdown as forges do: with tables, struck text, and addresses that are links by
// themselves.
var gfm = goldmark.New(goldmark.WithExtensions(extension.GFM))

// markdownStructure is the tree of blocks and spans. Whatever is a link, an image or a tag other
// than our own is an error.
func markdownStructure(b []byte) (string, error) {
	doc := gfm.Parser().Parse(gmtext.NewReader(b))
	var out strings.Builder
	depth := 0
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			depth--
			return ast.WalkContinue, nil
		}
		depth++
		switch n := n.(type) {
		case *ast.Text, *ast.String:
			if s := string(n.(interface{ Text([]byte) []byte }).Text(b)); n.Parent().Kind() != ast.KindCodeSpan && mentions.MatchString(s) {
				return ast.WalkStop, fmt.Errorf("outside of code: %q", s)
			}
			return ast.WalkContinue, nil
		case *ast.Link, *ast.Image, *ast.AutoLink, *ast.RawHTML, *ast.FencedCodeBlock, *ast.CodeBlock:
			return ast.WalkStop, fmt.Errorf("a %s", n.Kind())
		case *ast.HTMLBlock:
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				if s := strings.TrimSpace(string(line.Value(b))); s != "" && !slices.Contains(ownTags, s) {
					return ast.WalkStop, fmt.Errorf("a tag: %q", s)
				}
			}
		}
		fmt.Fprintln(&out, strings.Repeat(" ", depth), n.Kind())
		return ast.WalkContinue, nil
	})
	return out.String(), err
}

// mentions finds what GitHub or GitLab would make a reference of in plain text.
var mentions = regexp.MustCompile(`[@#!~%$&^][A-Za-z0-9]|://|www\.|[A-Z]+-[0-9]`)

// Whatever a decision holds, its JUnit report is well-formed XML and its summary is Markdown
// without markup that is not ours, both of the shape that the harmless twin has.
func FuzzReports(f *testing.F) {
	for _, s := range attacks {
		f.Add(s[:min(len(s), 300)])
	}
	f.Fuzz(func(t *testing.T, s string) {
		hostile, hs := fields(func(string) string { return s })
		benign, bs := fields(func(string) string { return twin })
		for _, form := range forms {
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
