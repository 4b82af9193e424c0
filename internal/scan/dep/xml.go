package dep

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// An element is a node of an XML document, without its namespace.
type element struct {
	name     string
	attr     map[string]string
	text     string
	children []*element
}

// parseXML reads an XML document. Entities that it declares itself are not expanded: using one is
// an error, as is any encoding but UTF-8, ASCII and Latin-1.
func parseXML(b []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "utf-8", "us-ascii", "ascii":
			return r, nil
		case "iso-8859-1", "latin1":
			all, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			out := make([]rune, len(all))
			for i, c := range all {
				out[i] = rune(c)
			}
			return strings.NewReader(string(out)), nil
		}
		return nil, errors.New("an encoding that is not read")
	}
	var root *element
	var stack []*element
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line, _ := d.InputPos()
			return nil, fmt.Errorf("line %d: not XML that is read", line)
		}
		switch t := t.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local, attr: map[string]string{}}
			for _, a := range t.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			switch {
			case len(stack) > 0:
				up := stack[len(stack)-1]
				up.children = append(up.children, e)
			case root != nil:
				return nil, errors.New("more than one root element")
			default:
				root = e
			}
			if stack = append(stack, e); len(stack) > maxDepth {
				return nil, errors.New("nested too deeply")
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			}
		}
	}
	if root == nil || len(stack) > 0 {
		return nil, errors.New("the document is empty or cut short")
	}
	return root, nil
}

// child returns the first child of the name, or nil.
func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// get returns the text of the first child of the name.
func (e *element) get(name string) string {
	if c := e.child(name); c != nil {
		return strings.TrimSpace(c.text)
	}
	return ""
}

// all calls f for e and every element below it.
func (e *element) all(f func(*element)) {
	f(e)
	for _, c := range e.children {
		c.all(f)
	}
}
