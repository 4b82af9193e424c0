package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A walk is where a collection of the input is gone through.
type walk struct {
	file, rule string
	line       int
	owner      *ast.Rule
}

// A table is a partial rule that walks a collection of the input.
type table struct {
	rules []*ast.Rule
	walks string // the first of the collections
}

// walked returns and notes which collections of the input a rule goes through. Rules that go through the
// same one cost as much as both, for every input: a policy of 200 rules that each look at all
// files is eighteen times slower than four that look each file's class up in a table.
func (l *linter) walked(at site, env map[ast.Var]*shape, r *ast.Rule) (walks []string) {
	note := func(t *ast.Term, name string) {
		if s := shapeAt(env, t); s == nil || s.kind != kindArray {
			return
		}
		walks = append(walks, name)
		first, again := l.walks[name]
		switch {
		case !again:
			l.walks[name] = walk{l.file, at.name, t.Location.Row, at.rule}
		case first.owner != at.rule:
			l.hit(at.rule, t.Location.Row, LintWalksAgain, "%s walks %s, which %s walks already (%s:%d): let one rule walk it and the others use what that found",
				at.name, name, first.rule, first.file, first.line)
			l.found[len(l.found)-1].about = name
		}
	}
	collection := func(t *ast.Term) {
		if ref, ok := t.Value.(ast.Ref); ok && ref.HasPrefix(ast.InputRootRef) && ref.IsGround() {
			note(t, ref.String())
		}
	}
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		switch terms := x.Terms.(type) {
		case *ast.SomeDecl:
			for _, sym := range terms.Symbols {
				if call, ok := sym.Value.(ast.Call); ok && len(call) >= 3 {
					collection(call[len(call)-1])
				}
			}
		case *ast.Every:
			collection(terms.Domain)
		}
		return false
	})
	ast.WalkRefs(r, func(ref ast.Ref) bool {
		if !ref.HasPrefix(ast.InputRootRef) {
			return false
		}
		for i, part := range ref[1:] {
			if _, isVar := part.Value.(ast.Var); isVar {
				prefix := ref[:i+1]
				note(&ast.Term{Value: prefix, Location: ref[0].Location}, prefix.String())
				return false
			}
		}
		return false
	})
	return walks
}

// keyed notes that a rule is a table: it makes a set, or an object by keys that its body finds.
func (l *linter) keyed(m *ast.Module, r *ast.Rule, walks []string) {
	ref := r.Head.Ref()
	n := 1 // of the parts of its name: the rest are keys
	for n < len(ref) && ast.IsScalar(ref[n].Value) {
		n++
	}
	if r.Head.Key == nil && n == len(ref) {
		return
	}
	path := l.full(m, ref[:n]).String()
	t := l.tables[path]
	if t.rules = append(t.rules, r); t.walks == "" {
		t.walks = walks[0]
	}
	l.tables[path] = t
}

// full is a reference from the root of all data, if what it begins with is a rule of the package.
func (l *linter) full(m *ast.Module, ref ast.Ref) ast.Ref {
	v, ok := ref[0].Value.(ast.Var)
	if !ok || v.Equal(ast.DefaultRootDocument.Value) {
		return ref
	}
	full := append(m.Package.Path[:len(m.Package.Path):len(m.Package.Path)], ast.StringTerm(string(v)))
	return append(full, ref[1:]...)
}

// lookups looks for tables that are asked for a constant key in more than one place. The evaluator
// does not make such a table and look the keys up: it runs the body again for each of them, with the
// key put in. A complete rule whose value is the table is made once.
func (l *linter) lookups() {
	first := map[string]walk{}
	for _, name := range slices.Sorted(maps.Keys(l.loaded.modules)) {
		l.file = strings.TrimPrefix(name, l.prefix)
		m := l.loaded.modules[name]
		for _, r := range m.Rules {
			at := r.Head.Ref().String()
			ast.WalkRefs(r, func(ref ast.Ref) bool {
				if ref.Equal(r.Head.Ref()) {
					return false // it says what the rule is called, and asks nothing
				}
				path, key := l.lookup(m, ref)
				if key == nil || slices.Contains(l.tables[path].rules, r) {
					return false
				}
				line := ref[0].Location.Row
				was, again := first[path]
				if !again {
					first[path] = walk{l.file, at, line, r}
					return false
				}
				short := path[strings.LastIndexByte(path, '.')+1:]
				l.hit(r, line, LintWalksAgain, "%s asks %s for %s, and %s (%s:%d) for another key: %s is walked for each of them; let a complete rule hold the table (all_%s := %s) and ask that",
					at, short, key, was.rule, was.file, was.line, l.tables[path].walks, short, short)
				l.found[len(l.found)-1].about = l.tables[path].walks
				return false
			})
		}
	}
}

// lookup tells which table a reference asks for which constant key; the key is nil if it does not.
func (l *linter) lookup(m *ast.Module, ref ast.Ref) (path string, key *ast.Term) {
	full := l.full(m, ref)
	for i := range full {
		path := full[:i].String()
		if _, ok := l.tables[path]; i > 0 && ok && ast.IsScalar(full[i].Value) {
			return path, full[i]
		}
	}
	return "", nil
}
