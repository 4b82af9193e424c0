package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
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
	"version":           {"v1"},
	"gate":              {string(sallyport.GateMerge)},
	"change.ref_action": {"update", "create", "delete", "rewrite"},
	"trust.source":      {SourceRef, SourceHistory, SourceResult, SourceBuiltin},
}

var inputShape = sync.OnceValue(func() *shape { return shapeOf(reflect.TypeFor[sallyport.Input](), "") })

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

// parseInput reads the input document into the value that all sets share.
func parseInput(b []byte) (ast.Object, error) {
	if len(b) > maxInput {
		return nil, fmt.Errorf("%w: %w: %d bytes, the limit is %d", ErrInput, strict.ErrTooLarge, len(b), maxInput)
	}
	r := reader{dec: json.NewDecoder(bytes.NewReader(b))}
	r.dec.UseNumber()
	term, err := r.value(inputShape(), 0)
	if err == nil {
		if _, end := r.dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("data after the end of the document")
		}
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the document is empty or cut short")
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

type reader struct{ dec *json.Decoder }

const maxDepth = 200

var errDepth = errors.New("nested too deeply")

func (r *reader) value(s *shape, depth int) (*ast.Term, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	tok, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	if s.kind == kindAny {
		return r.any(tok, s, depth)
	}
	switch v := tok.(type) {
	case json.Delim:
		switch {
		case v == '{' && s.kind == kindObject:
			return r.object(s, depth)
		case v == '[' && s.kind == kindArray:
			return r.array(s.elem, depth)
		}
	case string:
		if s.kind != kindString {
			break
		}
		if s.enum != nil {
			if !slices.Contains(s.enum, v) {
				return nil, fmt.Errorf("%q, want one of %s", v, strings.Join(s.enum, ", "))
			}
		}
		return ast.StringTerm(v), nil
	case bool:
		if s.kind == kindBool {
			return ast.InternedTerm(v), nil
		}
	case json.Number:
		if s.kind != kindCount && s.kind != kindInteger {
			break
		}
		n, err := strconv.ParseInt(v.String(), 10, 64)
		if err != nil || s.kind == kindCount && (n < 0 || n > 1<<53) {
			return nil, fmt.Errorf("%s, want %s", v, kindNames[s.kind])
		}
		return ast.NumberTerm(v), nil
	case nil:
		if s.kind == kindArray {
			return ast.ArrayTerm(), nil
		}
	}
	return nil, fmt.Errorf("want %s", kindNames[s.kind])
}

func (r *reader) object(s *shape, depth int) (*ast.Term, error) {
	pairs := make([][2]*ast.Term, 0, len(s.fields))
	var seen uint64 // by field.index; no struct of the vocabulary comes near 64 fields
	needed := 0
	for r.dec.More() {
		tok, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := tok.(string)
		f := s.fields[name]
		switch {
		case f == nil:
			return nil, at("."+name, errors.New("unknown property"))
		case seen&(1<<f.index) != 0:
			return nil, at("."+name, errors.New("stands twice in one object"))
		}
		seen |= 1 << f.index
		if f.required {
			needed++
		}
		v, err := r.value(f.shape, depth+1)
		if err != nil {
			return nil, at("."+name, err)
		}
		pairs = append(pairs, [2]*ast.Term{f.term, v})
	}
	if _, err := r.dec.Token(); err != nil {
		return nil, err
	}
	if needed < s.needed {
		for _, name := range slices.Sorted(maps.Keys(s.fields)) {
			if f := s.fields[name]; f.required && seen&(1<<f.index) == 0 {
				return nil, at("."+name, errors.New("is missing"))
			}
		}
	}
	return ast.ObjectTerm(pairs...), nil
}

func (r *reader) array(elem *shape, depth int) (*ast.Term, error) {
	var terms []*ast.Term
	for r.dec.More() {
		v, err := r.value(elem, depth+1)
		if err != nil {
			return nil, at(fmt.Sprintf("[%d]", len(terms)), err)
		}
		terms = append(terms, v)
	}
	if _, err := r.dec.Token(); err != nil {
		return nil, err
	}
	return ast.ArrayTerm(terms...), nil
}

// any reads what the vocabulary says nothing about: the body of a statement. A key that stands
// twice is refused here too.
func (r *reader) any(tok json.Token, s *shape, depth int) (*ast.Term, error) {
	switch v := tok.(type) {
	case json.Delim:
		if v == '[' {
			return r.array(s, depth)
		}
		var pairs [][2]*ast.Term
		seen := map[string]bool{}
		for r.dec.More() {
			tok, err := r.dec.Token()
			if err != nil {
				return nil, err
			}
			name, _ := tok.(string)
			if seen[name] {
				return nil, at("."+name, errors.New("stands twice in one object"))
			}
			seen[name] = true
			value, err := r.value(s, depth+1)
			if err != nil {
				return nil, at("."+name, err)
			}
			pairs = append(pairs, [2]*ast.Term{ast.StringTerm(name), value})
		}
		if _, err := r.dec.Token(); err != nil {
			return nil, err
		}
		return ast.ObjectTerm(pairs...), nil
	case string:
		return ast.StringTerm(v), nil
	case bool:
		return ast.InternedTerm(v), nil
	case json.Number:
		return ast.NumberTerm(v), nil
	default:
		return ast.NullTerm(), nil
	}
}
