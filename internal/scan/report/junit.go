package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// Bounds of a JUnit file.
const (
	maxXMLDepth  = 64
	maxTestCases = 1_000_000
)

// A suite is one testsuite while it is read.
type suite struct {
	claimed int // failures and errors, by its attributes
	found   int // by its cases
}

// readJUnit reads a JUnit XML file. Nothing outside it is read: a document type is refused.
func readJUnit(b []byte, root string) (Report, error) {
	if len(b) > MaxSize {
		return Report{}, fmt.Errorf("%w: JUnit: %d bytes, the limit is %d", ErrInvalid, len(b), MaxSize)
	}
	p := junitParser{root: root, r: Report{Kind: JUnit, Complete: true}}
	if err := p.parse(xml.NewDecoder(bytes.NewReader(b))); err != nil {
		return Report{}, fmt.Errorf("%w: JUnit: %w", ErrInvalid, err)
	}
	if p.r.Total == 0 {
		p.r.Complete, p.r.Why = false, "no test ran"
	}
	return p.r, nil
}

type junitParser struct {
	root    string
	r       Report
	open    []string // elements
	suites  []suite
	current *Result // of the test case that is open, once it has failed
	test    testCase
	inCase  bool
	skipped bool
	cases   int
}

type testCase struct {
	name, class, file string
	line              int
}

// title is what the test is called.
func (t testCase) title() string {
	if name := strings.Trim(t.class+" "+t.name, " "); name != "" {
		return name
	}
	return "a test without a name"
}

func (p *junitParser) parse(dec *xml.Decoder) error {
	ended := false
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if !ended {
				return errors.New("the document is empty or cut short")
			}
			return nil
		}
		if err != nil {
			return errors.New(said(err.Error()))
		}
		switch t := tok.(type) {
		case xml.Directive:
			return errors.New("a document type is not read")
		case xml.StartElement:
			if ended {
				return errors.New("data after the end of the document")
			}
			if len(p.open) >= maxXMLDepth {
				return fmt.Errorf("nested more than %d deep", maxXMLDepth)
			}
			if err := p.start(t); err != nil {
				return err
			}
			p.open = append(p.open, t.Name.Local)
		case xml.EndElement:
			p.open = p.open[:len(p.open)-1]
			p.end(t.Name.Local)
			ended = len(p.open) == 0
		}
	}
}

func (p *junitParser) start(e xml.StartElement) error {
	name := e.Name.Local
	if len(p.open) == 0 && name != "testsuites" && name != "testsuite" {
		return fmt.Errorf("it begins with %q and not with testsuites or testsuite", clip(name))
	}
	attr := map[string]string{}
	for _, a := range e.Attr {
		if _, twice := attr[a.Name.Local]; twice {
			return fmt.Errorf("the attribute %q stands twice in one element", clip(a.Name.Local))
		}
		attr[a.Name.Local] = a.Value
	}
	switch {
	case name == "testsuites" || name == "testsuite":
		s := suite{}
		for _, key := range []string{"failures", "errors"} {
			v := strings.TrimSpace(attr[key])
			if v == "" {
				continue
			}
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return fmt.Errorf("%s=%q is not a count", key, clip(v))
			}
			s.claimed += n
		}
		p.suites = append(p.suites, s)
		if p.r.Tool == "" {
			p.r.Tool = strings.TrimSpace(attr["name"])
		}
	case name == "testcase":
		if p.inCase {
			return errors.New("a testcase inside a testcase")
		}
		p.inCase = true
		if p.cases++; p.cases > maxTestCases {
			return fmt.Errorf("more than %d tests", maxTestCases)
		}
		line, _ := strconv.Atoi(attr["line"])
		p.test = testCase{name: attr["name"], class: attr["classname"], file: attr["file"], line: max(0, line)}
		p.skipped, p.current = false, nil
		for _, key := range []string{"status", "result"} {
			switch strings.ToLower(attr[key]) {
			case "failed", "failure", "fail", "error", "errored":
				p.failed("")
			case "skipped", "disabled", "notrun":
				p.skipped = true
			}
		}
	case p.inCase && (name == "failure" || name == "error"):
		p.failed(attr["message"])
	case p.inCase && name == "skipped":
		p.skipped = true
	}
	return nil
}

// failed notes that the open test case failed.
func (p *junitParser) failed(message string) {
	if p.current != nil {
		return
	}
	t := p.test
	name := t.title()
	text := "the test " + name + " failed"
	if strings.TrimSpace(message) != "" {
		text += ": " + message
	}
	p.current = &Result{Rule: name, Severity: sallyport.High, Text: text}
	if t.file != "" {
		where, ok := place(t.file, p.root, false)
		p.current.Places = []Place{{Path: where, Line: t.line, EndLine: t.line, Unknown: !ok}}
	}
	for i := range p.suites {
		p.suites[i].found++
	}
}

func (p *junitParser) end(name string) {
	switch name {
	case "testcase":
		if !p.skipped || p.current != nil {
			p.r.Total++
		}
		switch {
		case p.current != nil:
			p.r.Results = append(p.r.Results, *p.current)
		case p.skipped:
		case len(p.r.Passed) == maxNames:
			p.r.Omitted++
		default:
			p.r.Passed = append(p.r.Passed, p.test.title())
		}
		p.current, p.inCase = nil, false
	case "testsuite", "testsuites":
		if len(p.suites) == 0 {
			return
		}
		s := p.suites[len(p.suites)-1]
		p.suites = p.suites[:len(p.suites)-1]
		if s.claimed > s.found {
			p.r.Results = append(p.r.Results, Result{
				Rule: "contradiction", Severity: sallyport.High,
				Text: fmt.Sprintf("a suite counts %d failed tests and names %d", s.claimed, s.found),
			})
		}
	}
}
