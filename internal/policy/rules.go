package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A Rule explains one reason code of a set.
type Rule struct {
	Code     string             `json:"code"`
	Title    string             `json:"title"`
	Why      string             `json:"why"` // what goes wrong without it
	Severity sallyport.Severity `json:"severity"`
	Outcome  string             `json:"outcome"` // shut or waiting, and when which
	Labels   []string           `json:"labels"`
	Remedy   string             `json:"remedy"` // what moves things on; "{head}" stands for the commit

	// EffectiveOn is the day from which it enforces, 2006-01-02; before it, it warns. A repository
	// that states a mode or a day of its own goes before it.
	EffectiveOn string `json:"effective_on,omitempty"`
}

// Rules returns the rule table of a set, the worst first. It is read from the object "rules"
// of the set's data, keyed by code, and for codes that are not there from METADATA annotations
// with a custom code:
//
//	# METADATA
//	# title: Agent changes to build and deploy files need a human
//	# description: why it matters
//	# custom: {code: approval-missing, severity: high, outcome: waiting, labels: [], remedy: …}
func Rules(s Set) ([]Rule, error) {
	l, err := load(s)
	if err != nil {
		return nil, err
	}
	table, err := l.ruleTable()
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(table), func(a, b Rule) int {
		return cmp.Or(cmp.Compare(b.Severity.Rank(), a.Severity.Rank()), cmp.Compare(a.Code, b.Code))
	}), nil
}

func (l *loaded) ruleTable() (map[string]Rule, error) {
	table := map[string]Rule{}
	if rules, ok := l.data["rules"]; ok {
		if err := recode(rules, &table); err != nil {
			return nil, fmt.Errorf("%w: set %s: rules: %w", ErrCompile, l.set.Name, err)
		}
	}
	for code, r := range table {
		if r.Code != "" && r.Code != code {
			return nil, fmt.Errorf("%w: set %s: rules: %q stands under %q", ErrCompile, l.set.Name, r.Code, code)
		}
		if err := (RuleMode{EffectiveOn: r.EffectiveOn}).validate(); err != nil {
			return nil, fmt.Errorf("%w: set %s: rules.%s: %w", ErrCompile, l.set.Name, code, err)
		}
		table[code] = r.made(code)
	}
	for _, name := range slices.Sorted(maps.Keys(l.modules)) {
		for _, a := range l.modules[name].Annotations {
			r := Rule{Title: a.Title, Why: a.Description}
			if err := recode(a.Custom, &r); err != nil {
				return nil, fmt.Errorf("%w: %s: annotation: %w", ErrCompile, name, err)
			}
			if err := (RuleMode{EffectiveOn: r.EffectiveOn}).validate(); err != nil {
				return nil, fmt.Errorf("%w: %s: annotation: %w", ErrCompile, name, err)
			}
			if _, known := table[r.Code]; r.Code != "" && !known {
				table[r.Code] = r.made(r.Code)
			}
		}
	}
	return table, nil
}

// made returns r with its code, safe to print.
func (r Rule) made(code string) Rule {
	r.Code = clean(code)
	for _, s := range []*string{&r.Title, &r.Why, &r.Outcome, &r.Remedy} {
		*s = clean(*s)
	}
	for i := range r.Labels {
		r.Labels[i] = clean(r.Labels[i])
	}
	return r
}

// recode decodes what a library decoded loosely into v, strictly.
func recode(loose, v any) error {
	b, err := json.Marshal(loose)
	if err != nil {
		return err
	}
	return strict.JSON(b, maxSetBytes, v)
}
