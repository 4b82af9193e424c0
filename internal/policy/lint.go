package policy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The kinds of [LintFinding].
const (
	LintWalksAgain  = "walks-again"       // walks a collection of the input that another rule walks
	LintOptional    = "optional-property" // a reason that is lost where an optional property is missing
	LintUnknown     = "unknown-property"  // reads what no input has
	LintNoCode      = "no-code"           // a reason that states no code
	LintUnexplained = "unexplained-code"  // a code that the rule table does not explain
	LintNoCase      = "no-case"           // a code that no case wants
	LintOneVerdict  = "one-verdict"       // a code that every case wants
	LintClaims      = "claims-open"       // reads claims where that could open the gate
	LintComment     = "lint-comment"      // a comment that allows what is not there, or says no why
	lintAllowPrefix = "lint:allow"        // # lint:allow KIND: why
)

// A LintFinding is something about a set that compiles and works, and that its author would want
// to know.
type LintFinding struct {
	File string `json:"file"` // within the set
	Line int    `json:"line"`
	Kind string `json:"kind"`
	Text string `json:"text"` // in one line
}

// Lint reads the rules of a set and its cases, and says what it finds, by file and line. A set
// that does not compile, or whose cases cannot be run, is an error; a case that fails proves nothing.
//
// A comment on the line of a finding, on the line above it, or above its rule takes it back; above
// the package it is about the whole file. Of walks it may say what is walked.
//
//	# lint:allow walks-again input.change.files: this rule needs their order
func Lint(ctx context.Context, s Set) ([]LintFinding, error) {
	c, err := compileSet(s, Data{})
	if err != nil {
		return nil, err
	}
	l := &linter{compiled: c, prefix: s.Name + "/", walks: map[string]walk{}, tables: map[string]table{}, codes: map[string]codeAt{}}
	for _, name := range slices.Sorted(maps.Keys(c.loaded.modules)) {
		l.file = strings.TrimPrefix(name, l.prefix)
		m := c.loaded.modules[name]
		for _, r := range m.Rules {
			l.rule(m, r)
		}
	}
	l.lookups()
	l.table()
	if err := l.cases(ctx); err != nil {
		return nil, err
	}
	found := l.allowed()
	slices.SortFunc(found, func(a, b LintFinding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(found), nil
}

type linter struct {
	*compiled
	prefix string
	file   string // that is being read
	found  []lintHit
	walks  map[string]walk  // by collection: the first rule that walks it
	tables map[string]table // by path: partial rules that walk a collection
	codes  map[string]codeAt
}

// A lintHit is a finding with the line on which its rule begins.
type lintHit struct {
	LintFinding
	rule  int
	about string // the collection that is walked
}

type codeAt struct {
	file string
	line int
}

func (l *linter) hit(r *ast.Rule, line int, kind, format string, args ...any) {
	l.found = append(l.found, lintHit{LintFinding{l.file, line, kind, clean(fmt.Sprintf(format, args...))}, r.Location.Row, ""})
}

// rule looks at one rule with its else branches.
func (l *linter) rule(m *ast.Module, r *ast.Rule) {
	ref := m.Package.Path.Append(ast.StringTerm("")) // room for the name
	ref = append(ref[:len(ref)-1:len(ref)-1], r.Head.Ref().GroundPrefix()...)
	if v, ok := ref[len(m.Package.Path)].Value.(ast.Var); ok {
		ref[len(m.Package.Path)] = ast.StringTerm(string(v))
	}
	at := site{rule: r, name: r.Head.Ref().String()}
	at.deny = l.denyRef != nil && ref.HasPrefix(l.denyRef)
	at.allow = l.allowRef != nil && ref.HasPrefix(l.allowRef)
	for e := r; e != nil; e = e.Else {
		env := l.bindings(e)
		l.refs(at, env, e)
		if walks := l.walked(at, env, e); len(walks) > 0 && len(e.Body) > 0 {
			l.keyed(m, r, walks)
		}
		if at.deny {
			l.reason(at, e)
		}
	}
}

// input is the shape of what the set sees.
func (l *linter) input() *shape {
	if l.compiled == nil || l.loaded == nil {
		return inputShape()
	}
	return gates[l.loaded.manifest.gate()]()
}

// A site is the rule that is being looked at.
type site struct {
	rule        *ast.Rule
	name        string
	deny, allow bool // it defines an entry point
}

// bindings says of the variables of a rule what part of the input they stand for, as far as its
// own text tells.
func (l *linter) bindings(r *ast.Rule) map[ast.Var]*shape {
	env := map[ast.Var]*shape{ast.InputRootDocument.Value.(ast.Var): l.input()}
	for range 3 { // a variable may be bound to a part of another, in any order
		ast.WalkExprs(r, func(x *ast.Expr) bool {
			if d, ok := x.Terms.(*ast.SomeDecl); ok && len(d.Symbols) == 1 {
				if call, ok := d.Symbols[0].Value.(ast.Call); ok && len(call) >= 3 {
					if s := shapeAt(env, call[len(call)-1]); s != nil && s.kind == kindArray {
						bind(env, call[len(call)-2], s.elem)
					}
				}
			}
			if x.IsAssignment() || x.IsEquality() {
				bind(env, x.Operand(0), shapeAt(env, x.Operand(1)))
			}
			return false
		})
	}
	return env
}

func bind(env map[ast.Var]*shape, t *ast.Term, s *shape) {
	if v, ok := t.Value.(ast.Var); ok && s != nil && env[v] == nil {
		env[v] = s
	}
}

// start returns what a reference begins at: the input, a variable that is bound to a part of it,
// or nil.
func start(env map[ast.Var]*shape, ref ast.Ref) *shape {
	v, ok := ref[0].Value.(ast.Var)
	if !ok {
		return nil
	}
	return env[v]
}

// shapeAt is the part of the input that a term stands for; nil if it is not known.
func shapeAt(env map[ast.Var]*shape, t *ast.Term) *shape {
	switch v := t.Value.(type) {
	case ast.Var:
		return env[v]
	case ast.Ref:
		s := start(env, v)
		for _, part := range v[1:] {
			if s, _ = step(s, part); s == nil {
				return nil
			}
		}
		return s
	}
	return nil
}

// step goes one part of a reference further. The field is nil where there is none.
func step(s *shape, part *ast.Term) (*shape, *field) {
	if s == nil {
		return nil, nil
	}
	name, isName := part.Value.(ast.String)
	switch {
	case s.kind == kindObject && isName:
		if f := s.fields[string(name)]; f != nil {
			return f.shape, f
		}
	case s.kind == kindArray && !isName:
		return s.elem, nil
	}
	return nil, nil
}

// refs looks at everything that a rule reads.
func (l *linter) refs(at site, env map[ast.Var]*shape, r *ast.Rule) {
	negated, differs := l.negated(r)
	ast.WalkRefs(r, func(ref ast.Ref) bool {
		s := start(env, ref)
		if s == nil || len(ref) < 2 {
			return false
		}
		line := ref[0].Location.Row
		path := ref[0].String()
		if path == "input" && ref[1].Value.Compare(ast.String("claims")) == 0 && (at.allow || !at.deny || negated[line] || differs[line]) {
			l.hit(at.rule, line, LintClaims, "%s reads %s: what was said without proof may shut a gate in a rule of its own, and open none", at.name, ref)
		}
		for _, part := range ref[1:] {
			name, isName := part.Value.(ast.String)
			next, f := step(s, part)
			switch {
			case s.kind == kindAny && at.deny && !negated[line]:
				l.hit(at.rule, line, LintOptional, "the reason is lost where %s has no %s: no statement has to hold it; use object.get, or say in a rule of its own what is missing", path, part)
				return false
			case s.kind == kindObject && isName && f == nil:
				l.hit(at.rule, line, LintUnknown, "no input has %s.%s%s", path, string(name), near(string(name), s.fields))
				return false
			case f != nil && !f.required && at.deny && !negated[line] && path != "input.claims": // claims are all optional
				l.hit(at.rule, line, LintOptional, "the reason is lost where %s.%s is missing, which it may be; use object.get", path, f.name)
			}
			if s = next; s == nil {
				return false
			}
			if isName {
				path += "." + string(name)
			} else {
				path += "[_]"
			}
		}
		return false
	})
}

// negated returns the lines of a rule that stand under a negation, whole or in part, and those that
// ask whether two things differ.
func (l *linter) negated(r *ast.Rule) (negated, differs map[int]bool) {
	negated, differs = map[int]bool{}, map[int]bool{}
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		lines := differs
		switch {
		case x.Negated:
			lines = negated
		case !x.IsCall() || x.Operator().String() != ast.NotEqual.Name:
			return false
		}
		ast.WalkTerms(x, func(t *ast.Term) bool {
			if t.Location != nil {
				lines[t.Location.Row] = true
			}
			return false
		})
		return false
	})
	return negated, differs
}

// near suggests the name that was meant.
func near(name string, fields map[string]*field) string {
	best, least := "", 3
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		if d := distance(name, f); d < least {
			best, least = f, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance counts the letters that have to change to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := last
			if a[i] != b[j] {
				change++
			}
			last = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
