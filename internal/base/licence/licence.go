// Package licence reads SPDX licence expressions and holds them to rules.
//
// An expression (https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/) names licences by their
// identifiers on the SPDX list, which are matched without regard to case, or as LicenseRef-NAME where
// the list has none; WITH adds an exception, AND binds tighter than OR. What is not one is an error: whoever
// reads a package's own words for its licence keeps them as a name instead, and a name is never
// taken for a licence that it resembles.
//
// Deprecated spellings mean what replaced them: GPL-2.0 is GPL-2.0-only, GPL-2.0+ is
// GPL-2.0-or-later. So rules that name one hold for the other.
package licence

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// MaxSize is how long an expression may be, in bytes.
const MaxSize = 64 << 10

const maxDepth = 50

//go:embed ids.txt
var listed string

type list struct{ licences, exceptions map[string]string } // by lower case

// spdx is read when it is first asked.
var spdx = sync.OnceValue(func() list {
	l := list{map[string]string{}, map[string]string{}}
	for line := range strings.Lines(listed) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '&':
			l.exceptions[strings.ToLower(line[1:])] = line[1:]
		default:
			id := strings.TrimPrefix(line, "-")
			l.licences[strings.ToLower(id)] = id
		}
	}
	return l
})

// replaced says what deprecated identifiers mean that are more than a licence without its -only.
var replaced = map[string]Term{
	"GPL-2.0-with-autoconf-exception":  {ID: "GPL-2.0-only", Exception: "Autoconf-exception-2.0"},
	"GPL-2.0-with-bison-exception":     {ID: "GPL-2.0-only", Exception: "Bison-exception-2.2"},
	"GPL-2.0-with-classpath-exception": {ID: "GPL-2.0-only", Exception: "Classpath-exception-2.0"},
	"GPL-2.0-with-font-exception":      {ID: "GPL-2.0-only", Exception: "Font-exception-2.0"},
	"GPL-2.0-with-GCC-exception":       {ID: "GPL-2.0-only", Exception: "GCC-exception-2.0"},
	"GPL-3.0-with-autoconf-exception":  {ID: "GPL-3.0-only", Exception: "Autoconf-exception-3.0"},
	"GPL-3.0-with-GCC-exception":       {ID: "GPL-3.0-only", Exception: "GCC-exception-3.1"},
	"eCos-2.0":                         {ID: "GPL-2.0-or-later", Exception: "eCos-exception-2.0"},
	"wxWindows":                        {ID: "LGPL-2.0-or-later", Exception: "WxWindows-exception-3.1"},
	"StandardML-NJ":                    {ID: "SMLNJ"},
}

// A Term is one licence of an expression.
type Term struct {
	ID        string // as the list spells it, or LicenseRef-NAME
	Later     bool   // or any later version, written "+"
	Exception string // after WITH
}

func (t Term) String() string {
	s := t.ID
	if t.Later {
		s += "+"
	}
	if t.Exception != "" {
		s += " WITH " + t.Exception
	}
	return s
}

// Listed reports whether the licence is on the SPDX list.
func (t Term) Listed() bool { return !strings.Contains(t.ID, "LicenseRef-") }

// An Expression says under which licences something may be used.
type Expression struct {
	op    string // "AND" or "OR"; empty for a term
	term  Term
	parts []*Expression
}

// String is the expression in one spelling.
func (e *Expression) String() string {
	if e.op == "" {
		return e.term.String()
	}
	parts := make([]string, len(e.parts))
	for i, p := range e.parts {
		if parts[i] = p.String(); p.op == "OR" && e.op == "AND" {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, " "+e.op+" ")
}

// Terms returns the licences that are named, in order.
func (e *Expression) Terms() []Term {
	if e.op == "" {
		return []Term{e.term}
	}
	var out []Term
	for _, p := range e.parts {
		out = append(out, p.Terms()...)
	}
	return out
}

// All is the expression under which all of the given hold. It needs at least one; what is named
// twice is once in it.
func All(es ...*Expression) *Expression {
	out := &Expression{op: "AND"}
	seen := map[string]bool{}
	for _, e := range es {
		parts := []*Expression{e}
		if e.op == "AND" {
			parts = e.parts
		}
		for _, p := range parts {
			if s := p.String(); !seen[s] {
				seen[s] = true
				out.parts = append(out.parts, p)
			}
		}
	}
	if len(out.parts) == 1 {
		return out.parts[0]
	}
	slices.SortFunc(out.parts, func(a, b *Expression) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// ErrExpression is returned for what is no expression.
var ErrExpression = errors.New("it is no SPDX licence expression")

// Parse reads an expression.
func Parse(s string) (*Expression, error) {
	if len(s) > MaxSize {
		return nil, fmt.Errorf("%w: it is too long", ErrExpression)
	}
	p := parser{words: split(s)}
	e, err := p.or(0)
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%w: %.60q follows its end", ErrExpression, p.words[0])
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func split(s string) []string {
	return strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))
}

type parser struct{ words []string }

func (p *parser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

// take passes over a word if it is an operator.
func (p *parser) take(op string) bool {
	if w := p.next(); w != op && w != strings.ToLower(op) { // the standard allows both, and no mixture
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *parser) or(depth int) (*Expression, error) { return p.chain("OR", depth, p.and) }

func (p *parser) and(depth int) (*Expression, error) { return p.chain("AND", depth, p.simple) }

func (p *parser) chain(op string, depth int, below func(int) (*Expression, error)) (*Expression, error) {
	first, err := below(depth)
	if err != nil {
		return nil, err
	}
	out := &Expression{op: op, parts: []*Expression{first}}
	for p.take(op) {
		e, err := below(depth)
		if err != nil {
			return nil, err
		}
		out.parts = append(out.parts, e)
	}
	if len(out.parts) == 1 {
		return first, nil
	}
	return out, nil
}

func (p *parser) simple(depth int) (*Expression, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: it is nested too deeply", ErrExpression)
	}
	w := p.next()
	if w == "" {
		return nil, fmt.Errorf("%w: it ends too early", ErrExpression)
	}
	p.words = p.words[1:]
	if w == "(" {
		e, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.next() != ")" {
			return nil, fmt.Errorf("%w: a parenthesis is not closed", ErrExpression)
		}
		p.words = p.words[1:]
		return e, nil
	}
	t, err := term(w)
	if err != nil {
		return nil, err
	}
	if p.take("WITH") {
		x, ok := spdx().exceptions[strings.ToLower(p.next())]
		if !ok || t.Exception != "" {
			return nil, fmt.Errorf("%w: %.60q is no exception on the SPDX list", ErrExpression, p.next())
		}
		t.Exception = x
		p.words = p.words[1:]
	}
	return &Expression{term: t}, nil
}

func term(w string) (Term, error) {
	if reference(w) {
		return Term{ID: w}, nil
	}
	if id, ok := spdx().licences[strings.ToLower(w)]; ok {
		return modern(id), nil
	}
	if base, ok := strings.CutSuffix(w, "+"); ok {
		if id, ok := spdx().licences[strings.ToLower(base)]; ok {
			t := modern(id)
			switch {
			case strings.HasSuffix(t.ID, "-or-later"):
			case strings.HasSuffix(t.ID, "-only"):
				t.ID = strings.TrimSuffix(t.ID, "-only") + "-or-later"
			default:
				t.Later = true
			}
			return t, nil
		}
	}
	return Term{}, fmt.Errorf("%w: %.60q is not on the SPDX list", ErrExpression, w)
}

// modern replaces deprecated spellings.
func modern(id string) Term {
	if t, ok := replaced[id]; ok {
		return t
	}
	later := strings.HasSuffix(id, "+")
	base := strings.TrimSuffix(id, "+")
	if _, ok := spdx().licences[strings.ToLower(base+"-only")]; ok {
		if later {
			return Term{ID: base + "-or-later"}
		}
		return Term{ID: base + "-only"}
	}
	return Term{ID: base, Later: later}
}

// reference reports whether w is [DocumentRef-NAME:]LicenseRef-NAME.
func reference(w string) bool {
	if doc, rest, ok := strings.Cut(w, ":"); ok {
		if !named(doc, "DocumentRef-") {
			return false
		}
		w = rest
	}
	return named(w, "LicenseRef-")
}

func named(s, prefix string) bool {
	name, ok := strings.CutPrefix(s, prefix)
	return ok && name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
}
