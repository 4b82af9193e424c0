package intoto

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// A rule is one of a step's.
type rule struct {
	kind     string // in small letters
	pattern  string
	from     string // MATCH: the step
	products bool   // MATCH: of its products, and not of its materials
	source   string // MATCH: prefixes, without a slash at the end; empty for none
	target   string
}

// parseRule reads a rule. Its words may be written in any case; nothing else may.
func parseRule(words []string) (rule, error) {
	bad := fmt.Errorf("the rule %.200q is none that is known", words)
	if len(words) < 2 {
		return rule{}, bad
	}
	r := rule{kind: strings.ToLower(words[0]), pattern: clean(words[1])}
	if err := checkPattern(r.pattern); err != nil {
		return rule{}, fmt.Errorf("the rule %.200q: %w", words, err)
	}
	switch r.kind {
	case "create", "delete", "modify", "allow", "disallow", "require":
		if len(words) != 2 {
			return rule{}, bad
		}
		return r, nil
	case "match":
	default:
		return rule{}, bad
	}
	rest := words[2:]
	prefix := func() string {
		if len(rest) >= 2 && strings.EqualFold(rest[0], "in") {
			p := clean(rest[1])
			rest = rest[2:]
			return p
		}
		return ""
	}
	r.source = prefix()
	if len(rest) < 2 || !strings.EqualFold(rest[0], "with") {
		return rule{}, bad
	}
	switch strings.ToLower(rest[1]) {
	case "products":
		r.products = true
	case "materials":
	default:
		return rule{}, bad
	}
	rest = rest[2:]
	r.target = prefix()
	if len(rest) != 2 || !strings.EqualFold(rest[0], "from") || rest[1] == "" {
		return rule{}, bad
	}
	r.from = rest[1]
	return r, nil
}

// check applies the rules of a step to what went in and what came out.
func (s Step) check(done map[string]Link) error {
	l := done[s.Name]
	changed := func(p string) (created, deleted, modified bool) {
		m, in := l.Materials[p]
		d, out := l.Products[p]
		return out && !in, in && !out, in && out && !m.equal(d)
	}
	for _, side := range []struct {
		name      string
		rules     [][]string
		artifacts map[string]Digests
	}{{"materials", s.Materials, l.Materials}, {"products", s.Products, l.Products}} {
		queue := maps.Clone(side.artifacts)
		for _, words := range side.rules {
			r, err := parseRule(words)
			if err != nil {
				return fmt.Errorf("%w: step %q: %w", ErrLayout, s.Name, err)
			}
			if r.kind == "require" {
				if _, ok := queue[r.pattern]; !ok {
					return fmt.Errorf("%w: step %q: %.200q is required and is none of its %s", ErrRule, s.Name, r.pattern, side.name)
				}
				continue
			}
			for _, p := range slices.Sorted(maps.Keys(queue)) {
				if r.kind == "match" {
					if r.matches(p, queue[p], done) {
						delete(queue, p)
					}
					continue
				}
				if !match(r.pattern, p) {
					continue
				}
				created, deleted, modified := changed(p)
				switch {
				case r.kind == "disallow":
					return fmt.Errorf("%w: step %q: its %s hold %.200q, which %.200q forbids", ErrRule, s.Name, side.name, p, strings.Join(words, " "))
				case r.kind == "allow", r.kind == "create" && created, r.kind == "delete" && deleted, r.kind == "modify" && modified:
					delete(queue, p)
				}
			}
		}
	}
	return nil
}

// matches reports whether an artifact is the one of another step that a MATCH rule names.
func (r rule) matches(p string, d Digests, done map[string]Link) bool {
	other, ok := done[r.from]
	if !ok {
		return false
	}
	if r.source != "" {
		if p, ok = strings.CutPrefix(p, strings.TrimSuffix(r.source, "/")+"/"); !ok {
			return false
		}
	}
	if !match(r.pattern, p) {
		return false
	}
	from := other.Materials
	if r.products {
		from = other.Products
	}
	theirs, ok := from[path.Join(r.target, p)]
	return ok && d.equal(theirs)
}

// checkPattern refuses what [match] would not understand.
func checkPattern(pattern string) error {
	if len(pattern) > 4096 {
		return errors.New("its pattern is longer than 4096 bytes")
	}
	rs := []rune(pattern)
	for i := 0; i < len(rs); i++ {
		if rs[i] == '[' {
			end := classEnd(rs, i)
			if end < 0 {
				return errors.New("its pattern has a [ without an end")
			}
			i = end
		}
	}
	return nil
}

// classEnd returns where the class that begins at i ends, or -1. A ] right at the beginning is one of its
// characters.
func classEnd(rs []rune, i int) int {
	j := i + 1
	if j < len(rs) && rs[j] == '!' {
		j++
	}
	if j < len(rs) && rs[j] == ']' {
		j++
	}
	for ; j < len(rs); j++ {
		if rs[j] == ']' {
			return j
		}
	}
	return -1
}

// match is the shell's matching of patterns, in which * and ? stand for slashes as well, as in-toto has it.
func match(pattern, name string) bool {
	p, n := []rune(pattern), []rune(name)
	i, j := 0, 0
	star, mark := -1, 0
	for j < len(n) {
		if i < len(p) {
			switch p[i] {
			case '*':
				star, mark = i, j
				i++
				continue
			case '?':
				i, j = i+1, j+1
				continue
			case '[':
				if end := classEnd(p, i); end > 0 && inClass(p[i+1:end], n[j]) {
					i, j = end+1, j+1
					continue
				}
			default:
				if p[i] == n[j] {
					i, j = i+1, j+1
					continue
				}
			}
		}
		if star < 0 {
			return false
		}
		mark++
		i, j = star+1, mark
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// inClass reports whether a class, without its brackets, holds c.
func inClass(class []rune, c rune) bool {
	not := len(class) > 0 && class[0] == '!'
	if not {
		class = class[1:]
	}
	in := false
	for i := 0; i < len(class); i++ {
		if i+2 < len(class) && class[i+1] == '-' {
			in = in || class[i] <= c && c <= class[i+2]
			i += 2
			continue
		}
		in = in || class[i] == c
	}
	return in != not
}
