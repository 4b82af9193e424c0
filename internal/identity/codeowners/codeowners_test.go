package codeowners

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// said writes groups as "Section×2:@a @b".
func said(groups []Group) string {
	var out []string
	for _, g := range groups {
		s := strings.Join(g.Owners, " ")
		if g.Section != "" || g.Required != 1 {
			s = fmt.Sprintf("%s×%d:%s", g.Section, g.Required, s)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestOwners(t *testing.T) {
	const github = `# The last rule that matches wins.
*       @all
*.js    @js # inline
/build/logs/ @logs
docs/*  docs@example.com
apps/   @apps
/scripts/ @doc @ops
**/gen  @gen
/apps/github
/a\ b   @space
\#x     @hash
!keep   @no
[ab]    @no
/x/**/y @xy
deep/nested @deep
`
	const gitlab = `* @default
docs/* @near
/top/ @top
*.[ch] @c
\#x @hash
!gen/skip.c @ignored

[Docs][2] @d1 @d2
docs/
README.md @readme

^[Optional]
* @nobody

[docs]
!docs/private/
docs/private/ @again

[Empty]
*.txt
`
	for _, tt := range []struct {
		d          Dialect
		text, path string
		want       string
	}{
		{GitHub, github, "main.go", "@all"},
		{GitHub, github, "a/b/c.js", "@js"},
		{GitHub, github, "build/logs/x/y.js", "@logs"},
		{GitHub, github, "z/build/logs/y", "@all"},
		{GitHub, github, "docs/a.js", "docs@example.com"},
		{GitHub, github, "docs/a/b.md", "@all"},
		{GitHub, github, "x/docs/a.md", "@all"},
		{GitHub, github, "z/apps/y/z", "@apps"},
		{GitHub, github, "apps/github", ""},
		{GitHub, github, "apps/github/z", ""},
		{GitHub, github, "scripts/x", "@doc @ops"},
		{GitHub, github, "p/gen/q", "@gen"},
		{GitHub, github, "gen", "@gen"},
		{GitHub, github, "a b", "@space"},
		{GitHub, github, "#x", "@hash"},
		{GitHub, github, "keep", "@all"},
		{GitHub, github, "a", "@all"},
		{GitHub, github, "x/y", "@xy"},
		{GitHub, github, "x/1/2/y/3", "@xy"},
		{GitHub, github, "deep/nested/z", "@deep"},
		{GitHub, github, "q/deep/nested", "@all"},
		{GitHub, "/* @top\n", "a", "@top"},
		{GitHub, "/* @top\n", "a/b", ""},
		{GitHub, "/ @all\n", "a/b", "@all"},
		{GitHub, "docs/** @d\n", "docs/a/b", "@d"},
		{GitHub, "docs/** @d\n", "docs", ""},
		{GitHub, "* @a\r\n/x @b\r\n", "x", "@b"},
		{GitHub, "\ufeff* @a\n", "x", "@a"},
		{GitLab, gitlab, "main.go", "@default"},
		{GitLab, gitlab, "x/docs/a", "@near; Docs×2:@d1 @d2"},
		{GitLab, gitlab, "docs/a/b", "@default; Docs×2:@d1 @d2"},
		{GitLab, gitlab, "top/a/b.c", "@c"},
		{GitLab, gitlab, "x/top/a", "@default"},
		{GitLab, gitlab, "b.h", "@c"},
		{GitLab, gitlab, "b.x", "@default"},
		{GitLab, gitlab, "gen/skip.c", ""},
		{GitLab, gitlab, "x/README.md", "@default; Docs×2:@readme"},
		{GitLab, gitlab, "docs/private/k", "@default"},
		{GitLab, gitlab, "a.txt", "@default"},
		{GitLab, "/docs @d\n", "docs/x", ""},
		{GitLab, "/docs @d\n", "docs", "@d"},
		{GitLab, "[a] @x\n*\n[A] @y\n/z\n", "z", "a×1:@y"},
		{GitLab, "[!b]x @n\n", "ax", "@n"},
		{GitLab, "[!b]x @n\n", "bx", ""},
	} {
		f, err := Parse([]byte(tt.text), tt.d)
		if err != nil {
			t.Fatal(err)
		}
		if got := said(f.Owners(tt.path)); got != tt.want {
			t.Errorf("dialect %d, %q: got %q, want %q", tt.d, tt.path, got, tt.want)
		}
	}
	f, _ := Parse([]byte(github), GitHub)
	if !slices.Equal(f.Skipped, []int{12, 13}) {
		t.Errorf("skipped %v", f.Skipped)
	}
	var none *File
	if none.Owners("a") != nil || (&File{}).Owners("a") != nil {
		t.Error("no file gives owners")
	}
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		path, text string
		want       Dialect
	}{
		{".github/CODEOWNERS", "[x]\n", GitHub},
		{".gitlab/CODEOWNERS", "* @a\n", GitLab},
		{"CODEOWNERS", "* @a\n", GitHub},
		{"CODEOWNERS", "* @a\n^[Docs] @b\n", GitLab},
		{"docs/CODEOWNERS", "[Docs][2] @b\n", GitLab},
		{"docs/CODEOWNERS", "# [Docs]\n", GitHub},
	} {
		if got := Detect(tt.path, []byte(tt.text)); got != tt.want {
			t.Errorf("%s with %q: got %d, want %d", tt.path, tt.text, got, tt.want)
		}
	}
}

// What is too much, or no text, is an error: owners that cannot be read are not nobody.
func TestBounds(t *testing.T) {
	for name, text := range map[string]string{
		"size": strings.Repeat("#\n", MaxSize/2+1), "rules": strings.Repeat("a @b\n", maxRules+1), "line": "a " + strings.Repeat("@b ", maxLine),
		"not UTF-8": "a @b\n\xff", "NUL": "a @b\n\x00",
	} {
		if f, err := Parse([]byte(text), GitHub); !errors.Is(err, ErrFile) || f != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, err := Parse([]byte("* @a\nx "+strings.Repeat("@b ", maxOwners+1)+"\n"), GitHub)
	if err != nil || !slices.Equal(f.Skipped, []int{2}) {
		t.Errorf("%+v, %v", f, err)
	}
}

// A rule for everything at the end owns every path alone, and a section of its own adds exactly
// itself; every group has owners.
func FuzzParse(f *testing.F) {
	f.Add("* @a\ndocs/* @b\n/x/**/y.? @c\n", "docs/a")
	f.Add("[Docs][2] @d\n!a\n*.[a-c] @x\n^[o]\n\\#x @y", "x/a.b")
	f.Fuzz(func(t *testing.T, text, path string) {
		for _, d := range []Dialect{GitHub, GitLab} {
			file, err := Parse([]byte(text), d)
			if err != nil {
				continue
			}
			groups := file.Owners(path)
			for _, g := range groups {
				if len(g.Owners) == 0 || g.Required < 1 || g.Line < 1 {
					t.Fatalf("group %+v", g)
				}
			}
			if path == "" || strings.Count(text, "\n") >= maxRules {
				continue
			}
			if d == GitHub {
				last, err := Parse([]byte(text+"\n* @last\n"), d)
				if err == nil && said(last.Owners(path)) != "@last" {
					t.Fatalf("%q is owned by %q", path, said(last.Owners(path)))
				}
				continue
			}
			more, err := Parse([]byte(text+"\n[zz of its own] @last\n**/*\n"), d)
			if err == nil && !strings.Contains(text, "zz of its own") && len(more.Owners(path)) != len(groups)+1 {
				t.Fatalf("%q has %q, and then %q", path, said(groups), said(more.Owners(path)))
			}
		}
	})
}
