// Package strict decodes configuration and foreign JSON without mercy.
//
// Both decoders refuse, with one line that says where:
//
//   - input larger than the caller's limit;
//   - keys that the target struct does not have;
//   - the same key twice in one object (parsers disagree on which one counts, and a signature
//     over a document that two readers understand differently proves nothing);
//   - anything after the document, a second YAML document included;
//   - YAML anchors and aliases (they make small files large) and tags (they change what a value
//     is, and one without a value makes the library panic).
//
// An empty document is an error too: a file that should say something and says nothing is more
// often truncated than meant.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ErrTooLarge is wrapped by errors about input over its limit.
var ErrTooLarge = errors.New("too large")

// maxDepth bounds nesting, so that a small document cannot exhaust the stack.
const maxDepth = 200

// maxLine bounds a line of YAML, in bytes. The parser takes time quadratic in the length of a
// line: 150 kB of "a: a: a: " held it for ten seconds.
const maxLine = 8 << 10

// YAML decodes one YAML document of at most limit bytes into v. Should the library panic on what
// nobody foresaw, that is an error like any other.
func YAML(b []byte, limit int, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the document cannot be read")
		}
	}()
	if err := checkSize(b, limit); err != nil {
		return err
	}
	if err := checkYAMLDepth(b); err != nil {
		return err
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return oneLine(err)
	}
	docs := 0
	for _, d := range f.Docs {
		if d.Body != nil {
			docs++
		}
	}
	switch {
	case docs == 0:
		return errors.New("the document is empty")
	case docs > 1:
		return errors.New("more than one YAML document")
	}
	var w walker
	for _, d := range f.Docs {
		ast.Walk(&w, d.Body)
	}
	if w.err != nil {
		return w.err
	}
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict(), yaml.DisallowUnknownField()).Decode(v); err != nil {
		return oneLine(err)
	}
	return nil
}

type walker struct{ err error }

func (w *walker) Visit(n ast.Node) ast.Visitor {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		if w.err == nil {
			w.err = fmt.Errorf("line %d: anchors, aliases and tags are not allowed", n.GetToken().Position.Line)
		}
	}
	return w
}

// checkYAMLDepth refuses lines that could exhaust the parser: it bounds their length, their
// indentation and the number of flow collections on them, without understanding more of YAML.
func checkYAMLDepth(b []byte) error {
	for n, line := range bytes.Split(b, []byte("\n")) {
		if len(line) > maxLine {
			return fmt.Errorf("line %d: longer than %d bytes", n+1, maxLine)
		}
		indent := len(line) - len(bytes.TrimLeft(line, " -?"))
		if indent > 2*maxDepth || bytes.Count(line, []byte("[")) > maxDepth || bytes.Count(line, []byte("{")) > maxDepth {
			return fmt.Errorf("line %d: nested too deeply", n+1)
		}
	}
	return nil
}

// JSON decodes exactly one JSON value of at most limit bytes into v. Unknown keys are refused.
func JSON(b []byte, limit int, v any) error {
	if err := CheckJSON(b, limit); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// LaxJSON is [JSON] for formats whose specification says that unknown fields are ignored, as
// in-toto's monotonic principle does. Duplicate keys and trailing data are refused all the same.
func LaxJSON(b []byte, limit int, v any) error {
	if err := CheckJSON(b, limit); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// CheckJSON reports whether b is exactly one JSON value of at most limit bytes in which no
// object has the same key twice.
func CheckJSON(b []byte, limit int) error {
	if err := checkSize(b, limit); err != nil {
		return err
	}
	if json.Valid(b) && unique(b) {
		return nil
	}
	return checkSlowly(b)
}

// checkSlowly is what [CheckJSON] means. It is asked only when the answer may be no.
func checkSlowly(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the document is empty or cut short")
		}
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("data after the end of the document, at byte %d", dec.InputOffset())
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d deep", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('{'):
		seen := map[string]bool{}
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return err
			}
			key, ok := k.(string)
			if !ok {
				return fmt.Errorf("object key expected at byte %d", dec.InputOffset())
			}
			// encoding/json matches keys without regard to case, so two keys that differ only
			// in case are one key to it and two to others.
			if fold := strings.ToLower(key); seen[fold] {
				return fmt.Errorf("key %q stands twice in one object", key)
			} else {
				seen[fold] = true
			}
			if err := checkValue(dec, depth+1); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for dec.More() {
			if err := checkValue(dec, depth+1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = dec.Token() // the closing delimiter
	return err
}

func checkSize(b []byte, limit int) error {
	if len(b) > limit {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(b), limit)
	}
	return nil
}

// oneLine keeps the first line of a YAML error; the library adds a source excerpt below it,
// which may hold what must not be printed.
func oneLine(err error) error {
	s := err.Error()
	if i := bytes.IndexByte([]byte(s), '\n'); i >= 0 {
		s = s[:i]
	}
	return errors.New(s)
}
