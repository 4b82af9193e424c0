package dep

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseYAML reads the part of YAML 1.2 that package managers write: block mappings and sequences,
// flow collections on one line, plain and quoted scalars on one line, block scalars, and keys
// behind a question mark. Anchors, aliases, tags, directives, tabs and plain scalars over several
// lines are errors: where two readers could disagree, nothing is read. Every scalar is a string. It
// returns the documents of the stream that are not empty.
func parseYAML(b []byte) ([]any, error) {
	var docs []any
	p := yamlParser{}
	flush := func() error {
		v, err := p.document()
		if err == nil && v != nil {
			docs = append(docs, v)
		}
		p.lines, p.i = nil, 0
		return err
	}
	for n, line := range lines(string(b)) {
		switch {
		case line == "---" || line == "...":
			if err := flush(); err != nil {
				return nil, err
			}
			continue
		case strings.HasPrefix(line, "---") || strings.HasPrefix(line, "..."), strings.HasPrefix(line, "%"):
			return nil, fmt.Errorf("line %d: directives are not read, nor a document that starts on the line of its marker", n)
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		p.lines = append(p.lines, yamlLine{n, indent, line[indent:]})
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return docs, nil
}

type yamlLine struct {
	number, indent int
	text           string // without indentation
}

type yamlParser struct {
	lines []yamlLine
	i     int
}

// next skips what says nothing and returns the line at hand, or nil.
func (p *yamlParser) next() *yamlLine {
	for p.i < len(p.lines) {
		l := &p.lines[p.i]
		if t := strings.TrimRight(l.text, " "); t != "" && t[0] != '#' {
			return l
		}
		p.i++
	}
	return nil
}

func (l *yamlLine) fail(what string) error { return fmt.Errorf("line %d: %s", l.number, what) }

func (p *yamlParser) document() (any, error) {
	l := p.next()
	if l == nil {
		return nil, nil
	}
	v, err := p.block(l.indent, 0)
	if err != nil {
		return nil, err
	}
	if l := p.next(); l != nil {
		return nil, l.fail("indented less than what it belongs to")
	}
	return v, nil
}

// block reads the collection whose lines are indented by indent.
func (p *yamlParser) block(indent, depth int) (any, error) {
	l := p.next()
	if depth > maxDepth {
		return nil, l.fail("nested too deeply")
	}
	if isItem(l.text) {
		return p.sequence(indent, depth)
	}
	return p.mapping(indent, depth)
}

func isItem(s string) bool { return s == "-" || strings.HasPrefix(s, "- ") }

func (p *yamlParser) sequence(indent, depth int) (any, error) {
	list := []any{}
	for {
		l := p.next()
		if l == nil || l.indent < indent {
			return list, nil
		}
		if l.indent > indent || !isItem(l.text) {
			if l.indent == indent {
				return list, nil // a mapping's next key, where its sequence is not indented
			}
			return nil, l.fail("indented in a way that is not read")
		}
		rest := strings.TrimLeft(l.text[1:], " ")
		var v any
		var err error
		switch {
		case rest == "" || rest[0] == '#':
			v, err = p.nested(indent, depth)
		case isItem(rest) || isKey(rest):
			// What follows is a collection whose first line stands behind the dash.
			l.indent += len(l.text) - len(rest)
			l.text = rest
			v, err = p.block(l.indent, depth+1)
		default:
			v, err = p.inline(l, rest, indent)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
}

// isKey reports whether the text is a key with its colon.
func isKey(s string) bool {
	_, _, err := splitKey(s)
	return err == nil || strings.HasPrefix(s, "? ")
}

func (p *yamlParser) mapping(indent, depth int) (any, error) {
	m := map[string]any{}
	for {
		l := p.next()
		if l == nil || l.indent < indent || isItem(l.text) && l.indent == indent {
			if l != nil && l.indent == indent {
				return nil, l.fail("an item of a sequence among the keys of a mapping")
			}
			return m, nil
		}
		if l.indent > indent {
			return nil, l.fail("indented in a way that is not read")
		}
		var key, rest string
		var err error
		if k, ok := strings.CutPrefix(l.text, "? "); ok {
			if key, err = scalar(strings.TrimSpace(k)); err != nil {
				return nil, l.fail(err.Error())
			}
			p.i++
			if l = p.next(); l == nil || l.indent != indent || l.text[0] != ':' || len(l.text) > 1 && l.text[1] != ' ' {
				return nil, errors.New("a key behind a question mark has no value")
			}
			rest = strings.TrimLeft(l.text[1:], " ")
			if rest != "" && (isItem(rest) || isKey(rest)) {
				l.indent += len(l.text) - len(rest)
				l.text = rest
				if _, twice := m[key]; twice {
					return nil, l.fail("a key stands twice in one mapping")
				}
				if m[key], err = p.block(l.indent, depth+1); err != nil {
					return nil, err
				}
				continue
			}
		} else if key, rest, err = splitKey(l.text); err != nil {
			return nil, l.fail(err.Error())
		}
		if _, twice := m[key]; twice {
			return nil, l.fail("a key stands twice in one mapping")
		}
		if rest == "" || rest[0] == '#' {
			m[key], err = p.nested(indent, depth)
		} else {
			m[key], err = p.inline(l, rest, indent)
		}
		if err != nil {
			return nil, err
		}
	}
}

// nested reads the collection below the line at hand, which is indented by indent; "" if there is
// none. A sequence may stand as far left as its key.
func (p *yamlParser) nested(indent, depth int) (any, error) {
	item := isItem(p.lines[p.i].text)
	p.i++
	l := p.next()
	if l == nil || l.indent < indent || l.indent == indent && (item || !isItem(l.text)) {
		return "", nil
	}
	return p.block(l.indent, depth+1)
}

// inline reads a value that starts on its key's line l.
func (p *yamlParser) inline(l *yamlLine, rest string, indent int) (any, error) {
	p.i++
	if rest[0] == '|' || rest[0] == '>' {
		return p.blockScalar(l, rest, indent)
	}
	var v any
	var err error
	if rest[0] == '{' || rest[0] == '[' {
		f := flowParser{s: rest}
		if v, err = f.value(0); err == nil {
			err = onlyComment(f.s[f.i:])
		}
	} else {
		v, err = scalar(rest)
	}
	if err != nil {
		return nil, l.fail(err.Error())
	}
	if n := p.next(); n != nil && n.indent > indent {
		return nil, n.fail("a value over several lines is not read")
	}
	return v, nil
}

func onlyComment(s string) error {
	if t := strings.TrimLeft(s, " "); t == "" || t[0] == '#' && t != s {
		return nil
	}
	return errors.New("text after a value")
}

// blockScalar skips to its end: what it says is prose, and only that it says something is kept.
func (p *yamlParser) blockScalar(l *yamlLine, head string, indent int) (any, error) {
	if strings.Trim(head[1:], "+-123456789") != "" {
		return nil, l.fail("a block scalar that is not read")
	}
	var b strings.Builder
	for ; p.i < len(p.lines); p.i++ {
		n := &p.lines[p.i]
		if strings.TrimSpace(n.text) != "" && n.indent <= indent {
			break
		}
		b.WriteString(n.text)
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// splitKey cuts "key: rest".
func splitKey(s string) (key, rest string, err error) {
	if s[0] == '"' || s[0] == '\'' {
		f := flowParser{s: s}
		if key, err = f.quoted(); err != nil {
			return "", "", err
		}
		rest = f.s[f.i:]
		if rest != ":" && !strings.HasPrefix(rest, ": ") {
			return "", "", errors.New("a key has no colon")
		}
		return key, strings.Trim(rest[1:], " "), nil
	}
	i := strings.Index(s, ": ")
	if i < 0 {
		if i = len(s) - 1; s[i] != ':' {
			return "", "", errors.New("neither a key nor an item")
		}
	}
	if key, err = scalar(strings.TrimRight(s[:i], " ")); err != nil {
		return "", "", err
	}
	return key, strings.Trim(s[i+1:], " "), nil
}

// scalar reads a scalar on one line, with a comment behind it.
func scalar(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	switch s[0] {
	case '"', '\'':
		f := flowParser{s: s}
		v, err := f.quoted()
		if err == nil {
			err = onlyComment(f.s[f.i:])
		}
		return v, err
	case '&', '*', '!', '|', '>', '%', '@', '`', '{', '[', ']', '}', ',', '#':
		return "", errors.New("anchors, aliases, tags and what looks like one are not read")
	case '?', '-', ':':
		if len(s) == 1 || s[1] == ' ' {
			return "", errors.New("an indicator where a value was expected")
		}
	}
	if i := strings.Index(s, " #"); i >= 0 {
		s = s[:i]
	}
	s = strings.TrimRight(s, " ")
	if strings.Contains(s, ": ") || strings.HasSuffix(s, ":") {
		return "", errors.New("a colon inside a value")
	}
	if strings.ContainsRune(s, '\t') {
		return "", errors.New("a tab")
	}
	return s, nil
}

// A flowParser reads flow collections and quoted scalars from one line.
type flowParser struct {
	s string
	i int
}

func (f *flowParser) space() {
	for f.i < len(f.s) && f.s[f.i] == ' ' {
		f.i++
	}
}

func (f *flowParser) peek() byte {
	if f.i < len(f.s) {
		return f.s[f.i]
	}
	return 0
}

var errFlow = errors.New("a flow collection that is not closed on its line")

func (f *flowParser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	f.space()
	switch f.peek() {
	case 0:
		return nil, errFlow
	case '{':
		f.i++
		m := map[string]any{}
		for {
			f.space()
			if f.peek() == '}' {
				f.i++
				return m, nil
			}
			key, err := f.scalar()
			if err != nil {
				return nil, err
			}
			f.space()
			if _, twice := m[key]; twice {
				return nil, errors.New("a key stands twice in one mapping")
			}
			m[key] = ""
			if f.peek() == ':' {
				f.i++
				f.space()
				if c := f.peek(); c != ',' && c != '}' {
					if m[key], err = f.value(depth + 1); err != nil {
						return nil, err
					}
				}
			}
			if err := f.separator('}'); err != nil {
				return nil, err
			}
		}
	case '[':
		f.i++
		list := []any{}
		for {
			f.space()
			if f.peek() == ']' {
				f.i++
				return list, nil
			}
			v, err := f.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
			if err := f.separator(']'); err != nil {
				return nil, err
			}
		}
	}
	return f.scalar()
}

// separator skips a comma, and stops before the closing character.
func (f *flowParser) separator(closing byte) error {
	f.space()
	switch f.peek() {
	case ',':
		f.i++
		return nil
	case closing:
		return nil
	}
	return errFlow
}

// scalar reads a scalar inside a flow collection.
func (f *flowParser) scalar() (string, error) {
	if c := f.peek(); c == '"' || c == '\'' {
		return f.quoted()
	}
	from := f.i
	for f.i < len(f.s) {
		c := f.s[f.i]
		if strings.IndexByte(",[]{}", c) >= 0 || c == ':' && (f.i+1 == len(f.s) || strings.IndexByte(" ,[]{}", f.s[f.i+1]) >= 0) {
			break
		}
		f.i++
	}
	v := strings.TrimRight(f.s[from:f.i], " ")
	if v == "" {
		return "", errors.New("an empty scalar in a flow collection")
	}
	if strings.Contains(v, " #") {
		return "", errFlow
	}
	return scalar(v)
}

// quoted reads a quoted scalar that ends on its line.
func (f *flowParser) quoted() (string, error) {
	quote := f.s[f.i]
	f.i++
	var b strings.Builder
	for f.i < len(f.s) {
		c := f.s[f.i]
		f.i++
		switch {
		case c == quote && quote == '\'' && f.peek() == '\'':
			b.WriteByte('\'')
			f.i++
		case c == quote:
			return b.String(), nil
		case c == '\\' && quote == '"':
			r, err := f.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("a quoted value is not closed on its line")
}

func (f *flowParser) escape() (rune, error) {
	c := f.peek()
	f.i++
	if i := strings.IndexByte(`"\/nrt0`, c); i >= 0 {
		return rune("\"\\/\n\r\t\x00"[i]), nil
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits == 0 || len(f.s)-f.i < digits {
		return 0, errors.New("an escape that is not read")
	}
	n, err := strconv.ParseUint(f.s[f.i:f.i+digits], 16, 32)
	f.i += digits
	if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, errors.New("an escape that is not read")
	}
	return rune(n), nil
}
