package predicate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Lengths, in characters, of texts that people or programs name things with.
const (
	maxName  = 256
	maxURI   = 1024
	maxCount = 1<<53 - 1 // what every JSON reader holds exactly
)

// A checker keeps the first thing that is wrong, with the field's name.
type checker struct{ err error }

func (c *checker) fail(field string, err error) {
	if c.err == nil {
		c.err = fmt.Errorf("%s %w", field, err)
	}
}

func (c *checker) length(field, s string, limit int) {
	switch {
	case s == "":
		c.fail(field, errors.New("is missing"))
	case !utf8.ValidString(s):
		c.fail(field, errors.New("is not valid UTF-8"))
	case utf8.RuneCountInString(s) > limit:
		c.fail(field, fmt.Errorf("has more than %d characters", limit))
	}
}

// text is what a person reads on one line: no control characters.
func (c *checker) text(field, s string, limit int) {
	c.length(field, s, limit)
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		c.fail(field, errors.New("holds a control character"))
	}
}

// word is text without spaces.
func (c *checker) word(field, s string, limit int) {
	c.text(field, s, limit)
	if strings.Contains(s, " ") {
		c.fail(field, errors.New("holds a space"))
	}
}

func (c *checker) oneOf(field, s string, values ...string) {
	if !slices.Contains(values, s) {
		c.fail(field, fmt.Errorf("is %q, want one of %s", s, strings.Join(values, ", ")))
	}
}

func (c *checker) ref(field, s string) {
	c.word(field, s, maxURI)
	if name, ok := strings.CutPrefix(s, "refs/"); !ok || name == "" || strings.ContainsAny(name, `~^:?*[\`) {
		c.fail(field, fmt.Errorf("%q is not a full ref name", s))
	}
}

func (c *checker) hex(field, s string, lengths ...int) {
	if !slices.Contains(lengths, len(s)) || !isHex(s) {
		c.fail(field, fmt.Errorf("%q is not lower-case hex of the right length", s))
	}
}

func (c *checker) digest(field, s, alg string) {
	lengths := []int{64}
	if alg != "sha256" {
		lengths = []int{40, 64}
	}
	digits, ok := strings.CutPrefix(s, alg+":")
	switch {
	case s == "":
		c.fail(field, errors.New("is missing"))
	case !ok || !slices.Contains(lengths, len(digits)) || !isHex(digits):
		c.fail(field, fmt.Errorf("%q is not a %s digest", s, alg))
	}
}

// sameFormat requires git digests of one repository: all SHA-1, or all SHA-256.
func (c *checker) sameFormat(digests ...string) {
	size := 0
	for _, d := range digests {
		_, digits, ok := strings.Cut(d, ":")
		if !ok {
			continue
		}
		if size != 0 && len(digits) != size {
			c.fail(d, errors.New("has another object format than the rest"))
		}
		size = len(digits)
	}
}

func (c *checker) policies(ps []PolicyRef) {
	c.atMost("policy", len(ps), maxPolicies)
	seen := map[string]bool{}
	for _, p := range ps {
		c.text("policy.name", p.Name, maxName)
		c.digest("policy.digest", p.Digest, "sha256")
		if seen[p.Name] {
			c.fail("policy", fmt.Errorf("names %q twice", p.Name))
		}
		seen[p.Name] = true
	}
}

func (c *checker) nonce(field, s string) {
	if len(s) < 32 || len(s) > 128 || !isHex(s) {
		c.fail(field, errors.New("is not 16 to 64 bytes in lower-case hex"))
	}
}

func (c *checker) time(field, s string) time.Time {
	if s == "" {
		c.fail(field, errors.New("is missing"))
		return time.Time{}
	}
	t, err := ParseTime(s)
	if err != nil {
		c.fail(field, err)
	}
	return t
}

func (c *checker) count(field string, n int64) {
	if n < 0 || n > maxCount {
		c.fail(field, fmt.Errorf("is %d, out of range", n))
	}
}

func (c *checker) atMost(field string, n, limit int) {
	if n > limit {
		c.fail(field, fmt.Errorf("has %d entries, the limit is %d", n, limit))
	}
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}

// names reports whether one of subjects has the digest d, written "algorithm:hex".
func names(subjects []map[string]string, d string) bool {
	alg, digits, ok := strings.Cut(d, ":")
	return ok && digits != "" && slices.ContainsFunc(subjects, func(s map[string]string) bool { return s[alg] == digits })
}

// decode reads exactly one JSON object into v, a pointer to a struct, under the rules of
// reading in the package comment.
func decode(body []byte, v any) error {
	if !utf8.Valid(body) {
		return errors.New("the document is not valid UTF-8") // encoding/json would replace what is not
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := checkKeys(dec, reflect.TypeOf(v).Elem()); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the document is empty or cut short")
		}
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data after the end of the document")
	}
	return json.Unmarshal(body, v)
}

// maxDepth bounds the nesting of fields that are not known, so that ignoring them is cheap.
const maxDepth = 64

// checkKeys walks one JSON value whose Go type is t; t is nil where the type is unknown and
// anything may stand.
func checkKeys(dec *json.Decoder, t reflect.Type) error { return checkKeysAt(dec, t, "", 0) }

func checkKeysAt(dec *json.Decoder, t reflect.Type, at string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d deep", maxDepth)
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case nil:
		if t != nil {
			return fmt.Errorf("%s is null", fieldName(at))
		}
		return nil
	case json.Delim('{'):
		return checkObject(dec, t, at, depth)
	case json.Delim('['):
		if depth == 0 {
			return errors.New("the document is not an object")
		}
		var elem reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			elem = t.Elem()
		}
		for dec.More() {
			if err := checkKeysAt(dec, elem, at, depth+1); err != nil {
				return err
			}
		}
		_, err = dec.Token()
		return err
	}
	switch {
	case depth == 0:
		return errors.New("the document is not an object")
	case tok == "" && t != nil:
		return fmt.Errorf("%s is empty", fieldName(at))
	}
	return nil
}

func checkObject(dec *json.Decoder, t reflect.Type, at string, depth int) error {
	known, required := fields(t)
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		path := strings.TrimPrefix(at+"."+key, ".")
		ft, exact := known[key]
		if !exact {
			for name := range known {
				if strings.EqualFold(name, key) {
					return fmt.Errorf("key %q is not spelt %q", path, name)
				}
			}
		}
		if seen[key] {
			return fmt.Errorf("key %q stands twice in one object", path)
		}
		seen[key] = true
		if err := checkKeysAt(dec, ft, path, depth+1); err != nil {
			return err
		}
	}
	for _, name := range required {
		if !seen[name] {
			return fmt.Errorf("%s is missing", strings.TrimPrefix(at+"."+name, "."))
		}
	}
	_, err := dec.Token()
	return err
}

// fields returns the JSON fields of a struct type, and those that must be present.
func fields(t reflect.Type) (known map[string]reflect.Type, required []string) {
	if t == reflect.TypeFor[Blob]() {
		t = reflect.TypeFor[blobJSON]()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil, nil
	}
	known = map[string]reflect.Type{}
	for i := range t.NumField() {
		name, opts, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		known[name] = t.Field(i).Type
		if opts != "omitempty" {
			required = append(required, name)
		}
	}
	return known, required
}

func fieldName(at string) string {
	if at == "" {
		return "the document"
	}
	return at
}
