package policy

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	shipped "github.com/sallyport-dev/sallyport/policy"
)

var update = flag.Bool("update", false, "rewrite policy/input.schema.json from the vocabulary")

// schema is the part of JSON Schema 2020-12 that the input's schema uses.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	ID          string             `json:"$id,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Type        any                `json:"type,omitempty"` // a string, or a list of them
	Enum        []string           `json:"enum,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  *bool              `json:"additionalProperties,omitempty"`
	Defs        map[string]*schema `json:"$defs,omitempty"`
}

// TestSchema keeps the schema, whose descriptions are the vocabulary's comments, up to date:
// go test ./internal/policy -run TestSchema -update rewrites it.
func TestSchema(t *testing.T) {
	for _, doc := range []struct {
		of      reflect.Type
		gate    sallyport.Gate
		id      string
		title   string
		file    string
		shipped []byte
	}{
		{reflect.TypeFor[sallyport.Input](), sallyport.GateMerge, "policy-input", "Policy input", "input.schema.json", shipped.InputSchema},
		{reflect.TypeFor[sallyport.ReleaseInput](), sallyport.GateRelease, "release-input", "Policy input of the release gate", "release.schema.json", shipped.ReleaseSchema},
		{reflect.TypeFor[sallyport.ToolInput](), sallyport.GateTool, "tool-input", "Policy input of a tool call", "tool.schema.json", shipped.ToolSchema},
	} {
		g := generator{defs: map[string]*schema{}, docs: comments(t, "../..")}
		root := g.object(doc.of, "")
		root.Properties["gate"].Enum = []string{string(doc.gate)}
		root.Schema = "https://json-schema.org/draft/2020-12/schema"
		root.ID = "https://sallyport.dev/schema/" + doc.id + "/v1"
		root.Title = doc.title
		root.Defs = g.defs
		want, err := json.MarshalIndent(root, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		if *update {
			if err := os.WriteFile("../../policy/"+doc.file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !bytes.Equal(want, doc.shipped) {
			t.Errorf("policy/%s is not what the vocabulary says; run: go test ./internal/policy -run TestSchema -update", doc.file)
		}
	}
}

type generator struct {
	defs map[string]*schema
	docs map[string]string // by "Type" and "Type.Field"
}

func (g generator) object(t reflect.Type, path string) *schema {
	s := &schema{
		Type: "object", Description: g.docs[t.Name()], Properties: map[string]*schema{}, Additional: new(bool),
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		p := g.value(f.Type, strings.TrimPrefix(path+"."+name, "."))
		p.Description = g.docs[t.Name()+"."+f.Name]
		s.Properties[name] = p
		if opts != "omitempty" {
			s.Required = append(s.Required, name)
		}
	}
	return s
}

func (g generator) value(t reflect.Type, path string) *schema {
	switch {
	case t == reflect.TypeFor[sallyport.Path]():
		return &schema{Type: "string"}
	case t.Kind() == reflect.Struct:
		if _, ok := g.defs[t.Name()]; !ok {
			g.defs[t.Name()] = nil // so that a type that holds itself ends
			g.defs[t.Name()] = g.object(t, path)
		}
		return &schema{Ref: "#/$defs/" + t.Name()}
	case t.Kind() == reflect.Slice:
		return &schema{Type: []string{"array", "null"}, Items: g.value(t.Elem(), path+"[]")}
	case t.Kind() == reflect.String:
		return &schema{Type: "string", Enum: inputEnums[path]}
	case t.Kind() == reflect.Bool:
		return &schema{Type: "boolean"}
	case t.Kind() == reflect.Int:
		return &schema{Type: "integer", Minimum: new(int)}
	case t.Kind() == reflect.Int64:
		return &schema{Type: "integer"}
	case t.Kind() == reflect.Interface:
		return &schema{}
	}
	panic(t.String())
}

// comments reads the doc comments of the struct types and fields in dir, without line breaks.
func comments(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	text := func(groups ...*ast.CommentGroup) string {
		for _, g := range groups {
			if s := strings.Join(strings.Fields(g.Text()), " "); s != "" {
				return s
			}
		}
		return ""
	}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			spec := gen.Specs[0].(*ast.TypeSpec)
			st, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			docs[spec.Name.Name] = text(gen.Doc)
			for _, field := range st.Fields.List {
				for _, n := range field.Names {
					docs[spec.Name.Name+"."+n.Name] = text(field.Doc, field.Comment)
				}
			}
		}
	}
	return docs
}

// The schema as shipped and the check before evaluation agree on examples, and on each of them
// with one value taken away or put wrong.
func TestSchemaAgrees(t *testing.T) {
	var root schema
	dec := json.NewDecoder(bytes.NewReader(shipped.InputSchema))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&root); err != nil {
		t.Fatal(err)
	}
	agree := func(doc any) bool {
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		_, perr := parseInput(b)
		serr := root.check(&root, doc, "input")
		if (perr == nil) != (serr == nil) {
			t.Errorf("the check says %v, the schema says %v", perr, serr)
		}
		return perr == nil
	}
	for _, in := range []sallyport.Input{openInput(), fullInput()} {
		b, err := sallyport.EncodeJSON(in)
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		if !agree(doc) {
			t.Fatal("an example is refused")
		}
		tried := 0
		mutate(doc, func() { agree(doc); tried++ })
		if tried < 300 {
			t.Errorf("tried only %d", tried)
		}
	}
}

// mutate calls f with each property of doc taken away, doubled under another name, or replaced
// in turn, and puts it back.
func mutate(doc any, f func()) {
	switch v := doc.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			old := v[k]
			delete(v, k)
			f()
			for _, wrong := range []any{nil, true, -1, 1.5, "x", []any{}, map[string]any{}} {
				v[k] = wrong
				f()
			}
			v[k] = old
			mutate(old, f)
		}
		v["unknown"] = 1
		f()
		delete(v, "unknown")
	case []any:
		for i, old := range v {
			v[i] = nil
			f()
			v[i] = old
			mutate(old, f)
		}
	}
}

// fullInput is openInput with something in every list.
func fullInput() sallyport.Input {
	in := openInput()
	fill(reflect.ValueOf(&in).Elem())
	return in
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.String:
		if v.String() == "" {
			v.SetString("x")
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(map[string]any{"any": []any{"thing", 1.5, nil}}))
	}
}

// check validates v, as decoded by encoding/json.
func (s *schema) check(root *schema, v any, place string) error {
	if s.Ref != "" {
		return root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")].check(root, v, place)
	}
	bad := fmt.Errorf("%s: %v is no %v", place, v, s.Type)
	switch v := v.(type) {
	case nil:
		if s.Type != nil && !s.is("null") {
			return bad
		}
	case bool:
		if s.Type != nil && !s.is("boolean") {
			return bad
		}
	case int, float64:
		n := reflect.ValueOf(v).Convert(reflect.TypeFor[float64]()).Float()
		if s.Type != nil && (!s.is("integer") || n != float64(int64(n)) || s.Minimum != nil && n < float64(*s.Minimum)) {
			return bad
		}
	case string:
		if s.Type != nil && !s.is("string") || s.Enum != nil && !slices.Contains(s.Enum, v) {
			return bad
		}
	case []any:
		if s.Type == nil {
			return nil
		}
		if !s.is("array") {
			return bad
		}
		for i, e := range v {
			if err := s.Items.check(root, e, fmt.Sprintf("%s[%d]", place, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		if s.Type == nil {
			return nil
		}
		if !s.is("object") {
			return bad
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return fmt.Errorf("%s: %s is missing", place, name)
			}
		}
		for name, e := range v {
			p := s.Properties[name]
			if p == nil {
				return fmt.Errorf("%s: %s is unknown", place, name)
			}
			if err := p.check(root, e, place+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *schema) is(name string) bool {
	switch t := s.Type.(type) {
	case string:
		return t == name
	case []any:
		return slices.Contains(t, any(name))
	}
	return false
}
