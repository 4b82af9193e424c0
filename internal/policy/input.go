package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A shape is what one place of the input document must look like. It is derived from the Go
// types of the vocabulary, so that the two cannot drift apart:
//
//   - an object has every property whose field is not omitempty, and no other than those of
//     its struct, each once;
//   - a boolean is true or false, never null or absent;
//   - an int is a count: an integer from zero up. A negative weight could otherwise cancel
//     another one in a sum; only int64 (a time) may be negative;
//   - a list may be null, which is how Go writes an empty one; rules see an empty array.
type shape struct {
	kind   kind
	fields map[string]*field
	needed int // how many fields are required
	elem   *shape
	enum   []string // of a string; nil if any will do
}

type field struct {
	name     string
	index    int
	term     *ast.Term // the name, shared by all documents
	required bool
	shape    *shape
}

type kind int

const (
	kindAny kind = iota
	kindObject
	kindArray
	kindString
	kindBool
	kindCount
	kindInteger
)

var kindNames = [...]string{"any value", "an object", "an array", "a string", "true or false", "a count", "an integer"}

// inputEnums are the strings that rules compare with: an unknown one would make a rule that
// asks for a known one look away.
var inputEnums = map[string][]string{
	"version":                  {"v1"},
	"change.ref_action":        {"update", "create", "delete", "rewrite"},
	"trust.source":             {SourceRef, SourceHistory, SourceResult, SourceBuiltin},
	"release.basis":            {"release", "adoption", "none"},
	"advisories.state":         {"looked", "missing", "unusable", "nothing"},
	"settings.build_inputs":    {"tell", "shut"},
	"artifacts[].sbom[].about": {"artifact", "source"},
	"rejected[].code":          {"tampered", "replayed", "revoked", "expired", "unknown-key", "not-allowed", "signature", "unreadable"},
}

// gates are those that policy sets can judge, with the shape of what they see.
var gates = map[sallyport.Gate]func() *shape{
	sallyport.GateMerge:   inputShape,
	sallyport.GateRelease: releaseShape,
	sallyport.GateTool:    toolShape,
}

var (
	inputShape = sync.OnceValue(func() *shape {
		return documentShape(reflect.TypeFor[sallyport.Input](), sallyport.GateMerge)
	})
	releaseShape = sync.OnceValue(func() *shape {
		return documentShape(reflect.TypeFor[sallyport.ReleaseInput](), sallyport.GateRelease)
	})
)

var toolShape = sync.OnceValue(func() *shape {
	return documentShape(reflect.TypeFor[sallyport.ToolInput](), sallyport.GateTool)
})

func documentShape(t reflect.Type, gate sallyport.Gate) *shape {
	s := shapeOf(t, "")
	s.fields["gate"].shape.enum = []string{string(gate)}
	return s
}

func shapeOf(t reflect.Type, path string) *shape {
	if t.Implements(reflect.TypeFor[json.Marshaler]()) { // sallyport.Path, which encodes as a string
		return &shape{kind: kindString}
	}
	switch t.Kind() {
	case reflect.Struct:
		s := &shape{kind: kindObject, fields: map[string]*field{}}
		for i := range t.NumField() {
			name, opts, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			f := &field{
				name: name, index: len(s.fields), term: ast.StringTerm(name), required: opts != "omitempty",
				shape: shapeOf(t.Field(i).Type, strings.TrimPrefix(path+"."+name, ".")),
			}
			if f.required {
				s.needed++
			}
			s.fields[name] = f
		}
		return s
	case reflect.Slice:
		return &shape{kind: kindArray, elem: shapeOf(t.Elem(), path+"[]")}
	case reflect.String:
		return &shape{kind: kindString, enum: inputEnums[path]}
	case reflect.Bool:
		return &shape{kind: kindBool}
	case reflect.Int:
		return &shape{kind: kindCount}
	case reflect.Int64:
		return &shape{kind: kindInteger}
	case reflect.Interface:
		return &shape{kind: kindAny}
	default:
		panic("policy: the input has a type that no policy can see: " + t.String())
	}
}

// parseInput reads the merge gate's input document.
func parseInput(b []byte) (ast.Object, error) { return parseDocument(b, inputShape()) }

// parseDocument reads an input document into the value that all sets share.
func parseDocument(b []byte, want *shape) (ast.Object, error) {
	if len(b) > maxInput {
		return nil, fmt.Errorf("%w: %w: %d bytes, the limit is %d", ErrInput, strict.ErrTooLarge, len(b), maxInput)
	}
	s := scanner{b: b, terms: map[string]*ast.Term{}}
	var term *ast.Term
	_, err := s.next()
	if err == nil {
		term, err = s.value(want, 0)
	}
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, at("input", err))
	}
	return term.Value.(ast.Object), nil
}

// A placeError is an error with the path of the value that it is about, built on the way out.
type placeError struct {
	place string
	err   error
}

func (e *placeError) Error() string { return e.place + ": " + e.err.Error() }
func (e *placeError) Unwrap() error { return e.err }

func at(place string, err error) error {
	var p *placeError
	if errors.As(err, &p) {
		return &placeError{place + p.place, p.err}
	}
	return &placeError{place, err}
}

const maxDepth = 200

// value reads the value at pos, which must have the given shape.
func (s *scanner) value(want *shape, depth int) (*ast.Term, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	free := want.kind == kindAny
	switch c := s.b[s.pos]; {
	case c == '{' && free:
		return s.anyObject(want, depth)
	case c == '{' && want.kind == kindObject:
		return s.object(want, depth)
	case c == '[' && free:
		return s.array(want, depth)
	case c == '[' && want.kind == kindArray:
		return s.array(want.elem, depth)
	case c == '"' && (free || want.kind == kindString):
		v, err := s.string()
		if err != nil {
			return nil, err
		}
		if want.enum != nil && !slices.Contains(want.enum, string(v)) {
			return nil, fmt.Errorf("%q, want one of %s", v, strings.Join(want.enum, ", "))
		}
		return s.term(v), nil
	case c == 't' && (free || want.kind == kindBool):
		return ast.InternedTerm(true), s.literal("true")
	case c == 'f' && (free || want.kind == kindBool):
		return ast.InternedTerm(false), s.literal("false")
	case c == 'n' && free:
		return ast.NullTerm(), s.literal("null")
	case c == 'n' && want.kind == kindArray:
		return ast.ArrayTerm(), s.literal("null")
	case (c == '-' || c >= '0' && c <= '9') && (free || want.kind == kindCount || want.kind == kindInteger):
		raw, err := s.number()
		if err != nil {
			return nil, err
		}
		if free {
			return ast.NumberTerm(json.Number(raw)), nil
		}
		lowest := int64(0)
		if want.kind == kindInteger {
			lowest = math.MinInt64
		}
		n, ok := integer(raw, lowest)
		if !ok {
			return nil, fmt.Errorf("%s, want %s", raw, kindNames[want.kind])
		}
		return n, nil
	}
	return nil, fmt.Errorf("want %s", kindNames[want.kind])
}

func (s *scanner) object(want *shape, depth int) (*ast.Term, error) {
	pairs := make([][2]*ast.Term, 0, len(want.fields))
	var seen uint64 // by field.index; no struct of the vocabulary comes near 64 fields
	needed := 0
	err := s.members('}', func() error {
		name, err := s.key()
		if err != nil {
			return err
		}
		f := want.fields[string(name)]
		switch {
		case f == nil:
			return at("."+string(name), errors.New("unknown property"))
		case seen&(1<<f.index) != 0:
			return at("."+f.name, errors.New("stands twice in one object"))
		}
		seen |= 1 << f.index
		if f.required {
			needed++
		}
		v, err := s.value(f.shape, depth+1)
		if err != nil {
			return at("."+f.name, err)
		}
		pairs = append(pairs, [2]*ast.Term{f.term, v})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if needed < want.needed {
		for _, name := range slices.Sorted(maps.Keys(want.fields)) {
			if f := want.fields[name]; f.required && seen&(1<<f.index) == 0 {
				return nil, at("."+name, errors.New("is missing"))
			}
		}
	}
	return ast.ObjectTerm(pairs...), nil
}

func (s *scanner) array(elem *shape, depth int) (*ast.Term, error) {
	var terms []*ast.Term
	err := s.members(']', func() error {
		v, err := s.value(elem, depth+1)
		if err != nil {
			return at(fmt.Sprintf("[%d]", len(terms)), err)
		}
		terms = append(terms, v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ast.ArrayTerm(terms...), nil
}

// anyObject reads an object that the vocabulary says nothing about, which only the body of a
// statement holds. A key that stands twice is refused here too.
func (s *scanner) anyObject(want *shape, depth int) (*ast.Term, error) {
	var pairs [][2]*ast.Term
	seen := map[string]bool{}
	err := s.members('}', func() error {
		key, err := s.key()
		if err != nil {
			return err
		}
		name := string(key)
		if seen[name] {
			return at("."+name, errors.New("stands twice in one object"))
		}
		seen[name] = true
		v, err := s.value(want, depth+1)
		if err != nil {
			return at("."+name, err)
		}
		pairs = append(pairs, [2]*ast.Term{s.term([]byte(name)), v})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ast.ObjectTerm(pairs...), nil
}
