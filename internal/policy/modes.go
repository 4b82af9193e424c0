package policy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/policy/exception"
)

// maxPaths bounds how many paths a reason keeps for the reader. An exception is held against all
// of them.
const maxPaths = 100

// A moment is what of the input decides whether a reason is enforced, and whether it is held off.
type moment struct {
	today       string // 2006-01-02
	rootChanged bool
	exceptions  []sallyport.Exception // those that count
	subject     sallyport.Digest      // what is decided about
	accepted    []sallyport.Finding
}

func momentOf(doc ast.Object) (moment, error) {
	m := moment{}
	if t := str(doc, "time"); len(t) >= len("2006-01-02") {
		m.today = t[:len("2006-01-02")]
	}
	if t := doc.Get(ast.StringTerm("trust")); t != nil {
		if o, ok := t.Value.(ast.Object); ok {
			if b := o.Get(ast.StringTerm("root_changed")); b != nil {
				v, _ := b.Value.(ast.Boolean)
				m.rootChanged = bool(v)
			}
		}
	}
	if t := doc.Get(ast.StringTerm("subject")); t != nil {
		if o, ok := t.Value.(ast.Object); ok {
			m.subject = sallyport.Digest(str(o, "digest"))
		}
	}
	var all []sallyport.Exception
	if err := members(doc, "exceptions", nil, &all); err != nil {
		return m, err
	}
	m.exceptions = slices.DeleteFunc(all, func(x sallyport.Exception) bool { return !x.Counts })
	if len(m.exceptions) == 0 {
		return m, nil // so nothing is accepted by one
	}
	return m, members(doc, "findings", func(o ast.Object) bool { return str(o, "state") == sallyport.FindingAccepted }, &m.accepted)
}

// members decodes the members of an array that keep wants; nil wants all.
func members[T any](doc ast.Object, key string, keep func(ast.Object) bool, out *[]T) error {
	t := doc.Get(ast.StringTerm(key))
	if t == nil {
		return nil
	}
	list, ok := t.Value.(*ast.Array)
	if !ok {
		return nil
	}
	var err error
	list.Foreach(func(t *ast.Term) {
		o, ok := t.Value.(ast.Object)
		if err != nil || !ok || keep != nil && !keep(o) {
			return
		}
		var loose any
		var b []byte
		var v T
		if loose, err = ast.JSON(o); err != nil {
			return
		}
		if b, err = json.Marshal(loose); err != nil {
			return
		}
		if err = json.Unmarshal(b, &v); err == nil {
			*out = append(*out, v)
		}
	})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInput, key, err)
	}
	return nil
}

// stamp says of r in which mode its rule acts today. Who changed the rules on the target does not
// choose how they act, so then every rule does what the repository's mode says.
func (c *compiled) stamp(r sallyport.Reason, modes map[string]RuleMode, m moment) sallyport.Reason {
	if m.rootChanged {
		return r
	}
	rule, stated := modes[r.Code]
	if !stated {
		rule = RuleMode{EffectiveOn: c.rules[r.Code].EffectiveOn}
	}
	r.Mode, r.EffectiveOn = rule.Mode, rule.EffectiveOn
	if rule.EffectiveOn != "" && m.today < rule.EffectiveOn {
		r.Mode = sallyport.Warn
	}
	return r
}

// hold takes the reasons out that an exception holds off.
func (m moment) hold(reasons []sallyport.Reason) (left []sallyport.Reason, off []sallyport.Excepted) {
	left = make([]sallyport.Reason, 0, len(reasons))
	for _, r := range reasons {
		x, ok := m.holds(r)
		if len(r.Paths) > maxPaths {
			r.Paths = nil
		}
		if ok {
			off = append(off, excepted(r, x))
		} else {
			left = append(left, r)
		}
	}
	return left, off
}

func (m moment) holds(r sallyport.Reason) (sallyport.Exception, bool) {
	item := exception.Item{Code: r.Code, Paths: r.Paths, Finding: r.Finding, Rule: r.Rule, Package: r.Package, Subjects: []sallyport.Digest{m.subject, r.Subject}}
	for _, x := range m.exceptions {
		if exception.Covers(x, item) {
			return x, true
		}
	}
	return sallyport.Exception{}, false
}

// holdFindings tells of the findings that were accepted before policy saw them, as the reasons
// that they would have been.
func (m moment) holdFindings(c *compiled) []sallyport.Excepted {
	var off []sallyport.Excepted
	for _, f := range m.accepted {
		i := slices.IndexFunc(m.exceptions, func(x sallyport.Exception) bool { return x.Attestation == f.AcceptedBy })
		if i < 0 {
			continue
		}
		r := sallyport.Reason{
			Code: f.Kind.Code(), Outcome: sallyport.Shut, Severity: f.Severity, Text: clean(f.Text),
			Finding: f.ID, Rule: f.Rule, Subject: f.Subject, Title: c.rules[f.Kind.Code()].Title, Set: c.loaded.set.Name,
		}
		switch {
		case f.Path != "" && f.Line > 0:
			r.Place = fmt.Sprintf("%s:%d", f.Path, f.Line)
		case f.Path != "":
			r.Place = f.Path.String()
		default:
			r.Place = string(f.Commit)
		}
		if f.Path != "" {
			r.Paths = []sallyport.Path{f.Path}
		}
		off = append(off, excepted(r, m.exceptions[i]))
	}
	return off
}

func excepted(r sallyport.Reason, x sallyport.Exception) sallyport.Excepted {
	r.Next = "" // nothing is to be done
	return sallyport.Excepted{Reason: r, Exception: x.Attestation, By: x.By, Until: x.Expires, Ticket: x.Ticket}
}

// pathsOf reads the paths that a reason says it is about: all of them, or none. A list that is cut
// short, or holds anything else, would let an exception hold off what it does not cover.
func pathsOf(o ast.Object) []sallyport.Path {
	t := o.Get(ast.StringTerm("paths"))
	if t == nil {
		return nil
	}
	var paths []sallyport.Path
	whole := true
	add := func(t *ast.Term) {
		s, ok := t.Value.(ast.String)
		var p sallyport.Path
		b, err := sallyport.EncodeJSON(string(s))
		if err == nil {
			err = p.UnmarshalJSON(b)
		}
		if whole = whole && ok && err == nil && p != ""; whole {
			paths = append(paths, p)
		}
	}
	switch v := t.Value.(type) {
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	}
	if !whole {
		return nil
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
