package policy

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// reason looks at the member that a definition of deny adds.
func (l *linter) reason(at site, r *ast.Rule) {
	t := r.Head.Key
	if t == nil {
		return // a complete rule, whose members are made elsewhere
	}
	line := r.Location.Row
	if v, ok := t.Value.(ast.Var); ok {
		if t = boundTo(r, v); t == nil {
			return
		}
	}
	switch v := t.Value.(type) {
	case ast.String:
		l.hit(at.rule, line, LintNoCode, "a reason without a code is told under the code %q, with no title or remedy: make it an object", CodePolicy)
	case ast.Call:
		if name := v[0].String(); name == "sprintf" || name == "concat" {
			l.hit(at.rule, line, LintNoCode, "a reason without a code is told under the code %q, with no title or remedy: make it an object", CodePolicy)
		}
	case ast.Object:
		code := v.Get(ast.StringTerm("code"))
		if code == nil {
			l.hit(at.rule, line, LintNoCode, "the reason states no code")
			return
		}
		if s, ok := code.Value.(ast.String); ok {
			if _, known := l.codes[string(s)]; !known {
				l.codes[string(s)] = codeAt{l.file, line}
			}
			if _, known := l.rules[string(s)]; !known {
				l.hit(at.rule, line, LintUnexplained, "the rule table does not explain the code %q: add it under rules in %s, or as METADATA", string(s), dataJSON)
			}
		}
	}
}

// boundTo returns the term that a rule's body binds a variable to; nil if it is not plain.
func boundTo(r *ast.Rule, v ast.Var) *ast.Term {
	for _, x := range r.Body {
		if (x.IsAssignment() || x.IsEquality()) && len(x.Operands()) == 2 {
			for i := range 2 {
				if left, ok := x.Operand(i).Value.(ast.Var); ok && left.Equal(v) {
					return x.Operand(1 - i)
				}
			}
		}
	}
	return nil
}

// table adds the codes that the rule table explains, at the place where it does.
func (l *linter) table() {
	for code := range l.rules {
		if _, known := l.codes[code]; known {
			continue
		}
		at := codeAt{dataJSON, 1}
		for _, name := range slices.Sorted(maps.Keys(l.loaded.set.Files)) {
			for _, quoted := range []string{fmt.Sprintf("%q", code), "code: " + code} {
				if i := bytes.Index(l.loaded.set.Files[name], []byte(quoted)); i >= 0 && (name == dataJSON || name == dataYAML || strings.HasSuffix(name, ".rego")) {
					at = codeAt{name, 1 + bytes.Count(l.loaded.set.Files[name][:i], []byte("\n"))}
				}
			}
		}
		l.codes[code] = at
	}
}

// cases says which codes the set's cases do not show in both verdicts.
func (l *linter) cases(ctx context.Context) error {
	wanted, total := map[string]int{}, 0
	if len(l.loaded.cases) > 0 {
		res, err := Test(ctx, l.loaded.set, nil)
		if err != nil {
			return err
		}
		for _, c := range res.Cases {
			if !c.Pass {
				continue // it proves nothing; telling that is what Test is for
			}
			total++
			for _, code := range c.Want {
				wanted[code]++
			}
		}
	}
	for code, at := range l.codes {
		switch wanted[code] {
		case 0:
			l.found = append(l.found, lintHit{LintFinding{at.file, at.line, LintNoCase, clean(fmt.Sprintf("no case wants the code %q: the rule could be deleted without one noticing", code))}, 0, ""})
		case total:
			l.found = append(l.found, lintHit{LintFinding{at.file, at.line, LintOneVerdict, clean(fmt.Sprintf("every case wants the code %q: a rule that always speaks would pass them", code))}, 0, ""})
		}
	}
	return nil
}

// An allowance is a comment that takes findings back.
type allowance struct {
	file  string
	line  int
	kind  string
	about string // of what is walked; empty for all
	whole bool   // it stands above the package, and is about the whole file
	used  bool
}

func (a *allowance) covers(f lintHit) bool {
	at := a.whole || a.line == f.Line || a.line == f.Line-1 || f.rule > 0 && a.line == f.rule-1
	return at && a.file == f.File && a.kind == f.Kind && (a.about == "" || a.about == f.about)
}

// allowed returns the findings that no comment takes back.
func (l *linter) allowed() []LintFinding {
	var out []LintFinding
	var allow []*allowance
	for name, m := range l.loaded.modules {
		file := strings.TrimPrefix(name, l.prefix)
		for _, c := range m.Comments {
			rest, ok := strings.CutPrefix(strings.TrimSpace(string(c.Text)), lintAllowPrefix)
			if !ok {
				continue
			}
			what, why, _ := strings.Cut(rest, ":")
			words := strings.Fields(what)
			if strings.TrimSpace(why) == "" || len(words) < 1 || len(words) > 2 {
				out = append(out, LintFinding{file, c.Location.Row, LintComment, "the comment does not say what it allows and why: # lint:allow KIND: why"})
				continue
			}
			a := &allowance{file: file, line: c.Location.Row, kind: words[0], whole: c.Location.Row < m.Package.Location.Row}
			if len(words) == 2 {
				a.about = words[1]
			}
			allow = append(allow, a)
		}
	}
	for _, f := range l.found {
		taken := false
		for _, a := range allow {
			if a.covers(f) {
				a.used, taken = true, true
			}
		}
		if !taken {
			out = append(out, f.LintFinding)
		}
	}
	for _, a := range allow {
		if !a.used {
			out = append(out, LintFinding{a.file, a.line, LintComment, clean(fmt.Sprintf("the comment allows %q, of which nothing is found here", a.kind))})
		}
	}
	return out
}
