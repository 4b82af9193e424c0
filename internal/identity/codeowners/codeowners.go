// Package codeowners reads CODEOWNERS files as GitHub and GitLab understand them, and says who owns
// a path.
//
// Of the rules that match a path the last one wins; one without owners leaves the path without.
// The two dialects differ:
//
//   - GitHub (https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners):
//     patterns are gitignore's. One without a slash, but for its end, matches in every folder, others
//     from the top. What names a folder owns what is below it, but "docs/*" only what lies directly
//     in docs. Lines with ! or [ ] are no rules, and are skipped as GitHub skips them.
//   - GitLab (https://docs.gitlab.com/user/project/codeowners/reference/): a pattern matches from the
//     top only if it begins with a slash, and owns what is below a folder only if it ends with one. A
//     line "[Section][2] @owner" begins a section with its own owners, who must give two approvals;
//     "^[Section]" one whose owners need not be asked. Every section is asked by itself, and
//     sections of one name, whatever its case, are one. A pattern after ! takes a path out of its
//     section for good.
//
// Owners are what the file calls them, unchecked: @login, @org/team, an address. Which persons
// they are is for the roster. The package reads no files, and a [File] is safe for concurrent use.
package codeowners

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Dialect is how a forge reads the file.
type Dialect int

// The dialects.
const (
	GitHub Dialect = iota
	GitLab
)

// MaxSize is the largest file that is read, in bytes: more than GitHub reads is not in force there.
const MaxSize = 3 << 20

// Limits, so that a small file cannot ask for much work.
const (
	maxRules  = 10_000
	maxLine   = 8 << 10
	maxOwners = 100
)

// ErrFile is wrapped by every error of [Parse].
var ErrFile = errors.New("CODEOWNERS")

// Paths lists where the forges look for the file, in the order in which we do.
func Paths() []string {
	return []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"}
}

// Detect says in which dialect a file at path is written: by the folder, else by whether it has
// sections, which GitHub does not know.
func Detect(path string, b []byte) Dialect {
	switch {
	case strings.HasPrefix(path, ".github/"):
		return GitHub
	case strings.HasPrefix(path, ".gitlab/"):
		return GitLab
	}
	for line := range bytes.Lines(b) {
		if _, ok := heading(strings.TrimSpace(string(line))); ok {
			return GitLab
		}
	}
	return GitHub
}

// A File is a parsed file. The zero File gives nothing to anybody.
type File struct {
	sections []*section
	// Skipped are the numbers of the lines that are no rules.
	Skipped []int
}

type section struct {
	name     string
	optional bool
	required int
	owners   []string // for rules that name none
	rules    []rule
}

type rule struct {
	line    int
	exclude bool
	pattern pattern
	owners  []string
}

// A Group is some of the owners of a path, of whom Required must approve.
type Group struct {
	Section  string // empty outside of sections
	Required int
	Owners   []string // as written; at least one
	Line     int      // of the rule
}

// Parse reads a file. It fails for one that is too large or not text; a line that is no rule is
// skipped, as the forge does.
func Parse(b []byte, d Dialect) (*File, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFile, len(b), MaxSize)
	}
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return nil, fmt.Errorf("%w: it is not UTF-8 text", ErrFile)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	f := &File{}
	now := f.section("", false, 1, nil)
	n, rules := 0, 0
	for raw := range bytes.Lines(b) {
		n++
		if len(raw) > maxLine {
			return nil, fmt.Errorf("%w: line %d is longer than %d bytes", ErrFile, n, maxLine)
		}
		line := strings.TrimSpace(string(raw))
		if line == "" || line[0] == '#' {
			continue
		}
		if h, ok := heading(line); ok && d == GitLab {
			now = f.section(h.name, h.optional, h.required, h.owners)
			continue
		}
		if rules++; rules > maxRules {
			return nil, fmt.Errorf("%w: more than %d rules", ErrFile, maxRules)
		}
		r, ok := parseRule(line, d)
		if !ok || len(r.owners) > maxOwners {
			f.Skipped = append(f.Skipped, n)
			continue
		}
		r.line = n
		if r.owners == nil {
			r.owners = now.owners
		}
		now.rules = append(now.rules, r)
	}
	return f, nil
}

// section returns the section of that name, and makes it if there is none. The first heading says
// whether it is optional and how many must approve; where a later one asks for more, more holds.
func (f *File) section(name string, optional bool, required int, owners []string) *section {
	for _, s := range f.sections {
		if strings.EqualFold(s.name, name) {
			s.optional = s.optional && optional
			s.required = max(s.required, required)
			if owners != nil {
				s.owners = owners
			}
			return s
		}
	}
	s := &section{name: name, optional: optional, required: required, owners: owners}
	f.sections = append(f.sections, s)
	return s
}

// heading reads "^[Name][2] @owner".
func heading(line string) (section, bool) {
	s := section{required: 1}
	line, s.optional = strings.CutPrefix(line, "^")
	line, ok := strings.CutPrefix(line, "[")
	if !ok {
		return s, false
	}
	name, rest, ok := strings.Cut(line, "]")
	if s.name = strings.TrimSpace(name); !ok || s.name == "" {
		return s, false
	}
	if count, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]"); ok && strings.HasPrefix(rest, "[") {
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 || n > 1000 {
			return s, false
		}
		s.required, rest = max(1, n), after
	}
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return s, false
	}
	s.owners = ownersIn(rest)
	return s, len(s.owners) <= maxOwners
}

// ownersIn reads owners up to a comment.
func ownersIn(s string) []string {
	var owners []string
	for _, o := range strings.Fields(s) {
		if strings.HasPrefix(o, "#") {
			break
		}
		owners = append(owners, o)
	}
	return owners
}

func parseRule(line string, d Dialect) (rule, bool) {
	var r rule
	if d == GitLab {
		line, r.exclude = strings.CutPrefix(line, "!")
	}
	word, rest := firstWord(line)
	if d == GitHub && (strings.HasPrefix(word, "!") || strings.ContainsAny(word, "[]")) {
		return r, false
	}
	r.owners = ownersIn(rest)
	var ok bool
	r.pattern, ok = parsePattern(word, d)
	return r, ok
}

// firstWord cuts at the first blank that no backslash precedes.
func firstWord(s string) (word, rest string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ' ', '\t':
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// Owners returns the groups who own path, one for each section that has owners for it and must be
// asked.
func (f *File) Owners(path string) []Group {
	if f == nil || path == "" {
		return nil
	}
	segments := strings.Split(path, "/")
	var groups []Group
	for _, s := range f.sections {
		if s.optional {
			continue
		}
		var last *rule
		for i := range s.rules {
			r := &s.rules[i]
			if !r.pattern.match(segments) {
				continue
			}
			last = r
			if r.exclude {
				break // for good
			}
		}
		if last != nil && !last.exclude && len(last.owners) > 0 {
			groups = append(groups, Group{Section: s.name, Required: s.required, Owners: last.owners, Line: last.line})
		}
	}
	return groups
}
