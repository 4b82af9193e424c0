package predicate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A schema is the part of JSON Schema 2020-12 that our schemas use. A keyword that is not
// understood fails, so that a schema cannot promise what this check leaves out.
type schema struct {
	t    testing.TB
	root map[string]any
}

func loadSchema(t testing.TB, predicateType string) schema {
	t.Helper()
	b, ok := Schema(predicateType)
	if !ok {
		t.Fatalf("there is no schema of %s", predicateType)
	}
	var root map[string]any
	if err := json.Unmarshal(b, &root); err != nil {
		t.Fatal(err)
	}
	return schema{t, root}
}

// validate returns what in v is not as the schema has it.
func (s schema) validate(body []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return err
	}
	if dec.More() {
		return fmt.Errorf("more than one document")
	}
	return s.check(s.root, v, "")
}

func (s schema) check(rule any, v any, at string) error {
	if b, ok := rule.(bool); ok {
		if !b {
			return fmt.Errorf("%s may not be there", at)
		}
		return nil
	}
	m := rule.(map[string]any)
	for keyword, arg := range m {
		if err := s.keyword(m, keyword, arg, v, at); err != nil {
			return err
		}
	}
	return nil
}

func (s schema) keyword(m map[string]any, keyword string, arg, v any, at string) error {
	obj, isObj := v.(map[string]any)
	list, isList := v.([]any)
	str, isStr := v.(string)
	num, isNum := v.(json.Number)
	bad := func(ok bool) error {
		if ok {
			return nil
		}
		return fmt.Errorf("%s breaks %s", at, keyword)
	}
	switch keyword {
	case "$schema", "$id", "$defs", "title", "description", "then", "else":
		return nil
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/$defs/")
		def, ok := s.root["$defs"].(map[string]any)[name]
		if !ok {
			s.t.Fatalf("the schema refers to %v, which is not there", arg)
		}
		return s.check(def, v, at)
	case "type":
		_, isBool := v.(bool)
		isInt := isNum && !strings.ContainsAny(num.String(), ".eE")
		return bad(map[string]bool{"object": isObj, "array": isList, "string": isStr, "boolean": isBool, "integer": isInt}[arg.(string)])
	case "enum":
		return bad(slices.Contains(arg.([]any), v))
	case "const":
		return bad(arg == v)
	case "required":
		for _, name := range arg.([]any) {
			if _, ok := obj[name.(string)]; isObj && !ok {
				return fmt.Errorf("%s lacks %v", at, name)
			}
		}
	case "properties":
		for name, rule := range arg.(map[string]any) {
			if value, ok := obj[name]; ok {
				if err := s.check(rule, value, at+"."+name); err != nil {
					return err
				}
			}
		}
	case "items":
		for i, value := range list {
			if err := s.check(arg, value, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case "minItems":
		return bad(!isList || len(list) >= int(arg.(float64)))
	case "maxItems":
		return bad(!isList || len(list) <= int(arg.(float64)))
	case "minLength":
		return bad(!isStr || utf8.RuneCountInString(str) >= int(arg.(float64)))
	case "maxLength":
		return bad(!isStr || utf8.RuneCountInString(str) <= int(arg.(float64)))
	case "minimum", "maximum":
		if !isNum {
			return nil
		}
		n, err := num.Float64()
		if err != nil {
			return err
		}
		return bad(keyword == "minimum" && n >= arg.(float64) || keyword == "maximum" && n <= arg.(float64))
	case "pattern":
		// ECMA's \uXXXX is \x{XXXX} here.
		p := regexp.MustCompile(`\\u([0-9a-f]{4})`).ReplaceAllString(arg.(string), `\x{$1}`)
		return bad(!isStr || regexp.MustCompile(p).MatchString(str))
	case "allOf":
		for _, rule := range arg.([]any) {
			if err := s.check(rule, v, at); err != nil {
				return err
			}
		}
	case "if":
		branch := "then"
		if s.check(arg, v, at) != nil {
			branch = "else"
		}
		if rule, ok := m[branch]; ok {
			return s.check(rule, v, at)
		}
	default:
		s.t.Fatalf("the schema uses the keyword %q, which this test does not understand", keyword)
	}
	return nil
}
