package render

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// A Suite is a JUnit report in the form that Jenkins and GitLab read: one suite of tests, each of
// which passed, failed or could not be run.
type Suite struct {
	Name       string
	Time       string // RFC 3339; may be empty
	Properties [][2]string
	Cases      []SuiteCase
}

// A SuiteCase is one test. Name and Class together are unique within the suite; [JUnitSuite] sees
// to it.
type SuiteCase struct {
	Class, Name string
	Failure     string // what went wrong, in one line; empty if nothing did
	Kind        string // of failure
	Detail      string // more about it
	Error       bool   // it could not be run, which is not the same as failed
}

// The parts of a JUnit report.
type (
	junitSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Suite    junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property,omitempty"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string     `xml:"classname,attr"`
		Name    string     `xml:"name,attr"`
		Time    string     `xml:"time,attr"`
		Error   *junitFail `xml:"error"`
		Failure *junitFail `xml:"failure"`
	}
	junitFail struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a decision as a JUnit report: a test for the gate, which fails unless it is open,
// and a failed test for each reason. So the report is never without a test, and no reader takes an
// empty one for success. What a mode makes of a refusal is not told here: the outcome is.
func JUnit(w io.Writer, d sallyport.Decision, id sallyport.Digest) error {
	s := Suite{
		Name: string(d.Gate) + " gate: " + subjectName(d.Subject), Time: d.Time,
		Properties: [][2]string{
			{"outcome", d.Outcome.String()}, {"mode", string(d.Mode)}, {"exit_status", strconv.Itoa(d.ExitStatus())},
			{"subject", string(d.Subject.Digest)}, {"resource", d.Resource}, {"decision", string(id)},
		},
	}
	for _, a := range d.Advice {
		s.Properties = append(s.Properties, [2]string{"advice", a})
	}
	if d.Solo != "" {
		s.Properties = append(s.Properties, [2]string{"solo", SoloText(d)})
	}
	for _, x := range d.Excepted {
		s.Properties = append(s.Properties, [2]string{"excepted", x.Reason.Code + ": " + reasonText(x.Reason, d.Subject) + " (" + exceptedBy(x) + ")"})
	}
	class := "sallyport." + string(d.Gate)
	gate := SuiteCase{Class: class, Name: "the gate is open"}
	switch {
	case d.Undecided:
		gate.Error, gate.Kind, gate.Failure = true, "undecided", "no decision could be made; treat the gate as shut"
	case d.Outcome != sallyport.Open:
		gate.Kind, gate.Failure = d.Outcome.String(), fmt.Sprintf("the gate is %s: %d reasons", d.Outcome, len(d.Reasons))
	}
	s.Cases = append(s.Cases, gate)
	for _, r := range d.Reasons {
		c := SuiteCase{Class: class + "." + r.Code, Name: r.Code, Kind: r.Outcome.String(), Failure: reasonText(r, d.Subject)}
		if r.Place != "" {
			c.Name += ": " + r.Place
		}
		if c.Failure == "" {
			c.Failure = r.Code
		}
		c.Detail = ruleMode(r, d.Mode)
		if r.Next != "" {
			c.Detail = strings.TrimPrefix(c.Detail+"\nnext: "+r.Next, "\n")
		}
		s.Cases = append(s.Cases, c)
	}
	return JUnitSuite(w, s)
}

// maxXML bounds one attribute or text of a report.
const maxXML = 4000

// JUnitSuite writes s. Nothing in it is left that XML cannot hold or that acts on a terminal.
func JUnitSuite(w io.Writer, s Suite) error {
	x := junitSuite{Name: xmlText(s.Name), Time: "0", Timestamp: xmlText(s.Time)}
	for _, p := range s.Properties {
		if p[1] != "" {
			x.Properties = append(x.Properties, junitProperty{xmlText(p[0]), xmlText(p[1])})
		}
	}
	used, last := map[[2]string]bool{}, map[[2]string]int{}
	for _, c := range s.Cases {
		j := junitCase{Class: xmlText(c.Class), Name: xmlText(c.Name), Time: "0"}
		// Readers take two tests of one name for two runs of one test, and show the last.
		first := [2]string{j.Class, j.Name}
		for n := last[first]; used[[2]string{j.Class, j.Name}]; n++ {
			j.Name, last[first] = fmt.Sprintf("%s (%d)", first[1], n+2), n+1
		}
		used[[2]string{j.Class, j.Name}] = true
		x.Tests++
		if c.Failure != "" {
			f := &junitFail{Message: xmlText(c.Failure), Type: xmlText(c.Kind), Text: xmlText(c.Failure)}
			if c.Detail != "" {
				f.Text += "\n" + xmlText(c.Detail)
			}
			if c.Error {
				j.Error = f
				x.Errors++
			} else {
				j.Failure = f
				x.Failures++
			}
		}
		x.Cases = append(x.Cases, j)
	}
	b, err := xml.MarshalIndent(junitSuites{Name: x.Name, Tests: x.Tests, Failures: x.Failures, Errors: x.Errors, Suite: x}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode JUnit: %w", err)
	}
	_, err = io.WriteString(w, xml.Header+string(b)+"\n")
	return err
}

// xmlText returns s as one printable line of bounded length; XML's own characters are escaped
// when it is encoded.
func xmlText(s string) string {
	s = Clean(s)
	if len(s) <= maxXML {
		return s
	}
	n := 0
	for i := range s {
		if i > maxXML {
			break
		}
		n = i
	}
	return s[:n] + "…"
}
