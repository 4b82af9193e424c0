// Package forms reads back what the product writes, each form with a parser of its own language,
// and tells the structure: what stands where, without the text that stands there. Two outputs that
// differ only in what an author wrote have one structure, or the author wrote more than text.
//
// It is used by tests, and the only place that knows a Markdown parser.
package forms

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
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// Acts returns what of an output acts on a terminal or a CI system instead of being shown: an
// unprintable character, or a line that would be carried out. It is empty if nothing does.
func Acts(s string) string {
	for _, r := range s {
		if r != '\n' && (r == utf8.RuneError || !unicode.IsPrint(r)) {
			return fmt.Sprintf("%U", r)
		}
	}
	for line := range strings.Lines(s) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") || strings.Contains(line, "##vso[") {
			return line
		}
	}
	return ""
}

// Text is the lines, each by the word that the program put there; how many of its own words a text
// takes up depends on where it is wrapped.
func Text(b []byte) (string, error) {
	var out []string
	for line := range strings.Lines(string(b)) {
		word, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		if !slices.Contains([]string{"next:", "looked", "advice", "decision:", "for", "merge", "evidence"}, word) {
			word = "…"
		}
		if word != "…" || len(out) == 0 || out[len(out)-1] != word {
			out = append(out, word)
		}
	}
	return strings.Join(out, "\n"), nil
}

// JSON is the path and the type of each value.
func JSON(b []byte) (string, error) {
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

func SARIF(b []byte) (string, error) {
	type message struct {
		Text string `json:"text"`
	}
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct {
						ShortDescription message `json:"shortDescription"`
						Help             message `json:"help"`
					} `json:"rules"`
				} `json:"driver"`
			} `json:"tool"`
			Invocations []struct {
				Notifications []struct {
					Message message `json:"message"`
				} `json:"toolExecutionNotifications"`
			} `json:"invocations"`
			Results []struct {
				Message   message           `json:"message"`
				Locations []json.RawMessage `json:"locations"`
			} `json:"results"`
		} `json:"runs"`
	}
	if err := json.Unmarshal(b, &log); err != nil {
		return "", err
	}
	s, err := JSON(b)
	if err != nil {
		return "", err
	}
	// Where a result lies is the one thing that depends on what the author wrote: a file by its
	// name, or, without a name, the whole.
	lines := slices.DeleteFunc(strings.Split(s, "\n"), func(s string) bool { return strings.Contains(s, "ocation") })
	if len(log.Runs) != 1 || len(log.Runs[0].Invocations) != 1 {
		return "", errors.New("not one run with one invocation")
	}
	run := log.Runs[0]
	messages := []message{}
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

// XML is the elements with the names of their attributes.
func XML(b []byte) (string, error) {
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

// Markdown is the tree of blocks and spans. Whatever is a link, an image or a tag other
// than our own is an error.
func Markdown(b []byte) (string, error) {
	doc := gfm.Parser().Parse(text.NewReader(b))
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
