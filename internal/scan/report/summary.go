package report

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/sallyport-dev/sallyport"
)

// The media types by which a summary says of what kind its report is.
const (
	MediaSARIF = "application/sarif+json"
	MediaJUnit = "application/xml"
)

// maxNames bounds each list of names in a summary, and maxTextInSummary all names of one together.
const (
	maxNames         = 5000
	maxTextInSummary = 1 << 20
)

// The types of statement that carry a summary, and that vouch for a SARIF report.
const (
	TestResultType = typeTestResult
	SARIFType      = typeSARIF
)

// A TestResult is the predicate of a test-result statement: what one report comes to. Its
// configuration names the report, one entry for each tool.
type TestResult struct {
	Result        string          `json:"result"` // PASSED, WARNED or FAILED
	Configuration []Configuration `json:"configuration"`
	URL           string          `json:"url,omitempty"`
	Passed        []string        `json:"passedTests"`
	Warned        []string        `json:"warnedTests"`
	Failed        []string        `json:"failedTests"`
}

// A Configuration is an in-toto ResourceDescriptor.
type Configuration struct {
	Name        string            `json:"name"`
	Digest      map[string]string `json:"digest"`
	MediaType   string            `json:"mediaType"`
	Annotations map[string]any    `json:"annotations"`
}

// Detect tells the kind of a report by its first character.
func Detect(b []byte) (string, error) {
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\ufeff")), " \t\r\n")
	switch {
	case bytes.HasPrefix(b, []byte("{")):
		return SARIF, nil
	case bytes.HasPrefix(b, []byte("<")):
		return JUnit, nil
	}
	return "", fmt.Errorf("%w: it is neither JSON, as SARIF is, nor XML, as JUnit is", ErrInvalid)
}

// Summarise says what a report comes to. A failed test, a result of severity high or critical, and a
// report that is not complete make it FAILED; any other result WARNED. Of a SARIF report the lists
// name rules. Names are made fit to be read, and lists are bounded: how many were left out is told.
func Summarise(f File) (*TestResult, error) {
	if len(f.Reports) == 0 {
		return nil, errors.New("the report is empty")
	}
	t := &TestResult{Result: "PASSED", Passed: []string{}, Warned: []string{}, Failed: []string{}}
	media := MediaJUnit
	if f.Kind == SARIF {
		media = MediaSARIF
	}
	room, worst := maxTextInSummary, 0
	for _, r := range f.Reports {
		omitted := r.Omitted
		add := func(list *[]string, name string) {
			name = said(name)
			switch {
			case f.Kind == SARIF && slices.Contains(*list, name):
			case len(*list) == maxNames || len(name) > room:
				omitted++
			default:
				room -= len(name)
				*list = append(*list, name)
			}
		}
		for _, res := range r.Results { // before those that passed: what failed must not be crowded out
			if res.Severity == sallyport.High || res.Severity == sallyport.Critical {
				worst = max(worst, 2)
				add(&t.Failed, res.Rule)
			} else {
				worst = max(worst, 1)
				add(&t.Warned, res.Rule)
			}
		}
		for _, p := range r.Passed {
			add(&t.Passed, p)
		}
		notes := map[string]any{
			"kind": f.Kind, "file": filepath.Base(f.Source), "complete": r.Complete, "results": len(r.Results), "suppressed": r.Suppressed,
		}
		if f.Kind == JUnit {
			notes["ran"] = r.Total
		}
		if omitted > 0 {
			notes["omittedNames"] = omitted
		}
		if !r.Complete {
			worst, notes["why"] = 2, r.Why
		}
		name := said(r.Tool)
		if name == "" {
			name = filepath.Base(f.Source)
		}
		t.Configuration = append(t.Configuration, Configuration{
			Name: name, Digest: map[string]string{"sha256": f.Digest.Hex()}, MediaType: media, Annotations: notes,
		})
	}
	t.Result = [...]string{"PASSED", "WARNED", "FAILED"}[worst]
	return t, nil
}
