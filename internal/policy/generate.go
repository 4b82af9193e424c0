package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// How many inputs are generated at most.
const (
	maxSwitches = 10  // booleans of which every combination is tried
	samples     = 400 // inputs in which everything that is read is chosen by lot
)

// A knob is a part of the input that rules read, with the values to try.
type knob struct {
	path   []string // "[]" stands for each member of a list
	values []any
	isBool bool
}

// generate makes inputs from what the rules of a set read: every combination of the booleans,
// with the three simple facts about a pull request among them, and then inputs in which each
// part that is read takes one of the values that the rules compare with, or another. It is the
// same sequence each time.
func generate(l *loaded) iter.Seq2[string, []byte] {
	knobs := knobsOf(l)
	return func(yield func(string, []byte) bool) {
		switches := knobs[:0:0]
		for _, k := range knobs {
			if k.isBool && len(switches) < maxSwitches {
				switches = append(switches, k)
			}
		}
		for bits := range 1 << len(switches) {
			doc := openDocument()
			var what []string
			for i, k := range switches {
				v := bits&(1<<i) != 0
				set(doc, k.path, v)
				what = append(what, fmt.Sprintf("%s=%v", strings.Join(k.path, "."), v))
			}
			if !yield("an input with "+strings.Join(what, ", "), encode(doc)) {
				return
			}
		}
		lot := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same inputs each time, and no secret
		for n := range samples {
			doc := openDocument()
			for _, k := range knobs {
				set(doc, k.path, k.values[lot.IntN(len(k.values))])
			}
			if !yield(fmt.Sprintf("generated input %d", n+1), encode(doc)) {
				return
			}
		}
	}
}

// knobsOf finds what the rules read, in an order that does not change.
func knobsOf(l *loaded) []knob {
	strs, nums := map[string]bool{"": true, "x": true}, map[string]bool{"0": true, "1": true}
	paths := map[string]knob{}
	add := func(path []string, s *shape) {
		k := knob{path: slices.Clone(path)}
		switch s.kind {
		case kindBool:
			k.isBool, k.values = true, []any{false, true}
		case kindArray:
			zero := zeroOf(s.elem)
			k.values = []any{nil, []any{}, []any{zero}, []any{zero, zero}}
		case kindString, kindCount, kindInteger:
		default:
			return
		}
		paths[strings.Join(path, ".")] = k
	}
	for _, fact := range []string{"from_agent", "has_attestation", "human_approved"} {
		add([]string{"pull_request", fact}, &shape{kind: kindBool})
	}
	for _, m := range l.modules {
		ast.WalkTerms(m, func(t *ast.Term) bool {
			switch v := t.Value.(type) {
			case ast.String:
				strs[string(v)] = true
			case ast.Number:
				if n, ok := v.Int(); ok && n >= 0 && n < 1<<20 {
					for _, near := range []int{max(0, n-1), n, n + 1} {
						nums[fmt.Sprint(near)] = true
					}
				}
			}
			return false
		})
		for _, r := range m.Rules {
			reads(r, add)
		}
	}
	list := slices.SortedFunc(maps.Values(paths), func(a, b knob) int {
		// Lists first: a list that is chosen replaces what its members were given.
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), slices.Compare(a.path, b.path))
	})
	for i := range list {
		if list[i].values != nil {
			continue
		}
		s := inputShape()
		for _, name := range list[i].path {
			if name == "[]" {
				s = s.elem
			} else {
				s = s.fields[name].shape
			}
		}
		if s.kind == kindString {
			for _, v := range slices.Sorted(maps.Keys(strs)) {
				if s.enum == nil || slices.Contains(s.enum, v) {
					list[i].values = append(list[i].values, v)
				}
			}
			for _, v := range s.enum {
				list[i].values = append(list[i].values, v)
			}
		} else {
			for _, v := range slices.Sorted(maps.Keys(nums)) {
				list[i].values = append(list[i].values, json.Number(v))
			}
		}
	}
	return list
}

// reads calls add with each part of the input that a rule refers to, and with what those parts
// are within.
func reads(r *ast.Rule, add func([]string, *shape)) {
	env := (&linter{}).bindings(r)
	where := map[*shape][]string{inputShape(): nil} // where each part is, as the walk finds it
	for range 3 {
		ast.WalkRefs(r, func(ref ast.Ref) bool {
			s := start(env, ref)
			path, known := where[s]
			if s == nil || !known {
				return false
			}
			for _, part := range ref[1:] {
				next, f := step(s, part)
				if next == nil {
					break
				}
				if f != nil {
					path = append(path[:len(path):len(path)], f.name)
				} else {
					path = append(path[:len(path):len(path)], "[]")
				}
				s = next
				if s.kind != kindObject {
					add(path, s)
				}
				if s.kind == kindArray {
					where[s.elem] = append(path[:len(path):len(path)], "[]")
				}
				where[s] = path
			}
			return false
		})
	}
}

// set puts a value at a path, in every member of each list on the way. What is not there is left
// out, unless the path's last part is only optional.
func set(v any, path []string, value any) {
	if len(path) == 0 {
		return
	}
	if path[0] == "[]" {
		list, _ := v.([]any)
		for i := range list {
			if len(path) == 1 {
				list[i] = value
			} else {
				set(list[i], path[1:], value)
			}
		}
		return
	}
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	if len(path) == 1 {
		m[path[0]] = clone(value)
		return
	}
	set(m[path[0]], path[1:], value)
}

// clone copies lists and objects, which a later step would otherwise change for all inputs.
func clone(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = clone(x)
		}
		return out
	}
	return v
}
