package dep

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The parsers of JSON, YAML and TOML give the same tree: map[string]any, []any, string, and a type
// of their own for other scalars. The helpers below read it. A part that is absent is empty; one
// that is something else than the format says is an error of the reader that asks.

// An object is a mapping of a tree.
type object = map[string]any

func isTrue(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case literal:
		return v == "true"
	case string:
		return v == "true" // YAML
	}
	return false
}

// text returns a string, or "" for what is none.
func text(v any) string {
	s, _ := v.(string)
	return s
}

// in returns the member of o under key, which must be an object if it is there.
func in(o object, key string) (object, error) {
	switch v := o[key].(type) {
	case nil:
		return nil, nil
	case object:
		return v, nil
	case literal:
		if v == "null" {
			return nil, nil
		}
	case string:
		if v == "" || v == "~" || v == "null" { // YAML
			return nil, nil
		}
	}
	return nil, fmt.Errorf("%q is not a mapping", key)
}

// listIn returns the member of o under key, which must be a list if it is there.
func listIn(o object, key string) ([]any, error) {
	switch v := o[key].(type) {
	case nil:
		return nil, nil
	case []any:
		return v, nil
	case []object: // TOML
		out := make([]any, len(v))
		for i := range v {
			out[i] = v[i]
		}
		return out, nil
	case literal:
		if v == "null" {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("%q is not a list", key)
}

// objectsIn is listIn for lists of objects.
func objectsIn(o object, key string) ([]object, error) {
	list, err := listIn(o, key)
	if err != nil {
		return nil, err
	}
	out := make([]object, 0, len(list))
	for _, v := range list {
		m, ok := v.(object)
		if !ok {
			return nil, fmt.Errorf("%q holds something else than mappings", key)
		}
		out = append(out, m)
	}
	return out, nil
}

var errNoObject = errors.New("the document is no object")

func jsonObject(b []byte) (object, error) {
	v, err := parseJSON(b)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, errNoObject
	}
	return o, nil
}

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// lines yields the lines of a text, numbered from 1, without line ends.
func lines(s string) func(func(int, string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.SplitSeq(s, "\n") {
			n++
			if !yield(n, strings.TrimSuffix(line, "\r")) {
				return
			}
		}
	}
}
