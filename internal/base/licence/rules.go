package licence

import (
	"fmt"
	"slices"
	"strings"
)

// A Verdict is what rules say about an expression. The zero Verdict is the worst.
type Verdict int

// The verdicts, from the worst to the best.
const (
	Denied   Verdict = iota // a rule names a licence that cannot be avoided
	Unlisted                // no rule allows it
	Allowed
)

// Rules say which licences are acceptable.
//
// A licence is denied if Deny names it, and allowed if Allow names it. If Allow is empty, every other
// licence on the SPDX list is allowed; one that is not on the list never is, unless it is named.
//
// Of alternatives (OR) the best counts, since whoever uses it may choose; of what holds together
// (AND) the worst. A licence with an exception is what the licence is, unless a rule names both: an
// exception only gives more. "Or any later version" (+) is allowed where the licence is, and denied where it is.
// X-or-later is denied where X-only is, since it offers X; it is not allowed where X-only is. A rule that
// names a licence more exactly goes before one that names it less so.
type Rules struct {
	allow, deny map[string]bool // by Term.String, in lower case
}

// NewRules reads rules. Each entry is one licence, with or without an exception; a name that is not on
// the SPDX list would be a rule that never applies, and is an error.
func NewRules(allow, deny []string) (*Rules, error) {
	r := &Rules{map[string]bool{}, map[string]bool{}}
	for _, l := range []struct {
		name    string
		entries []string
		into    map[string]bool
	}{{"allow", allow, r.allow}, {"deny", deny, r.deny}} {
		for _, s := range l.entries {
			e, err := Parse(s)
			if err != nil {
				return nil, fmt.Errorf("licences.%s: %w", l.name, err)
			}
			if e.op != "" {
				return nil, fmt.Errorf("licences.%s: %q is more than one licence", l.name, s)
			}
			l.into[key(e.term)] = true
		}
	}
	for k := range r.allow {
		if r.deny[k] {
			return nil, fmt.Errorf("licences: %s is allowed and denied", k)
		}
	}
	return r, nil
}

func key(t Term) string { return strings.ToLower(t.String()) }

// Judge says what the rules make of an expression, and which of its licences decided that.
func (r *Rules) Judge(e *Expression) (Verdict, []string) {
	if e.op == "" {
		return r.term(e.term), []string{e.term.String()}
	}
	verdicts := make([]Verdict, len(e.parts))
	whys := make([][]string, len(e.parts))
	for i, p := range e.parts {
		verdicts[i], whys[i] = r.Judge(p)
	}
	v := slices.Max(verdicts)
	if e.op == "AND" {
		v = slices.Min(verdicts)
	}
	var why []string
	for i := range verdicts {
		if verdicts[i] == v {
			for _, w := range whys[i] {
				if !slices.Contains(why, w) {
					why = append(why, w)
				}
			}
		}
	}
	return v, why
}

func (r *Rules) term(t Term) Verdict {
	for _, t := range wider(t) {
		switch k := key(t); {
		case r.deny[k]:
			return Denied
		case r.allow[k]:
			return Allowed
		}
	}
	if base, ok := strings.CutSuffix(t.ID, "-or-later"); ok && r.deny[key(Term{ID: base + "-only"})] {
		return Denied
	}
	if len(r.allow) == 0 && t.Listed() {
		return Allowed
	}
	return Unlisted
}

// wider lists what a rule may call a licence, the most exact first.
func wider(t Term) []Term {
	out := []Term{t}
	if t.Exception != "" {
		out = append(out, Term{ID: t.ID, Later: t.Later})
	}
	if t.Later {
		if t.Exception != "" {
			out = append(out, Term{ID: t.ID, Exception: t.Exception})
		}
		out = append(out, Term{ID: t.ID})
	}
	return out
}
