package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A File is a report that somebody brought along.
type File struct {
	Source  string // where it was read, for the reader
	Kind    string
	Digest  sallyport.Digest // sha256 of its bytes
	Reports []Report
}

// The types of statements that bind reports.
const (
	typeTestResult = "https://in-toto.io/attestation/test-result/v0.1"
	typeSARIF      = "https://witness.dev/attestations/sarif/v0.1"
)

// testResult is the body of a test-result statement. The specification has more members, and
// later versions may.
type testResult struct {
	Result        string `json:"result"` // PASSED, WARNED or FAILED
	Configuration []struct {
		Name      string `json:"name"`
		MediaType string `json:"mediaType"`
	} `json:"configuration"`
	Passed []string `json:"passedTests"`
	Warned []string `json:"warnedTests"`
	Failed []string `json:"failedTests"`
}

type sarifStatement struct {
	Report json.RawMessage   `json:"report"`
	Digest map[string]string `json:"reportDigestSet"`
}

// Judge says what the files, and the statements of evidence that are about the change, come to:
// the reports as policy sees them, and the findings. It is given verified evidence only. Both
// results are in a stable order.
func Judge(c *sallyport.Change, evidence []sallyport.Evidence, files []File, root string) ([]sallyport.ReportInput, []sallyport.Finding) {
	j := judge{c: c, root: root, files: map[sallyport.Path]*sallyport.File{}}
	for i := range c.Files {
		j.files[c.Files[i].Path] = &c.Files[i]
	}
	vouched := map[vouchee]sallyport.Evidence{}
	for _, e := range evidence {
		if !j.about(e) {
			continue
		}
		switch e.Statement.PredicateType {
		case typeTestResult:
			for _, d := range j.testResult(e) {
				vouch(vouched, vouchee{JUnit, d}, e)
			}
		case typeSARIF:
			for _, d := range j.sarif(e) {
				vouch(vouched, vouchee{SARIF, d}, e)
			}
		}
	}
	for _, f := range files {
		e, bound := vouched[vouchee{f.Kind, f.Digest}]
		for _, r := range f.Reports {
			in := sallyport.ReportInput{Source: f.Source, Digest: f.Digest, Grade: sallyport.Declared}
			if bound {
				in.Grade, in.Signer, in.Bound = e.Grade, e.Signer, e.Grade != ""
			}
			j.add(r, in)
		}
	}
	return j.reports, j.findings
}

// A vouchee is a file that a statement speaks for, as a report of one kind: whoever signs that tests
// passed has not said that a scan found nothing.
type vouchee struct {
	kind   string
	digest sallyport.Digest
}

// vouch keeps the statement that says most: one at another grade than declared.
func vouch(m map[vouchee]sallyport.Evidence, d vouchee, e sallyport.Evidence) {
	if had, ok := m[d]; !ok || had.Grade == sallyport.Declared || had.Grade == "" {
		m[d] = e
	}
}

type judge struct {
	c        *sallyport.Change
	root     string
	files    map[sallyport.Path]*sallyport.File
	reports  []sallyport.ReportInput
	findings []sallyport.Finding
	seen     map[string]int
}

// about reports whether the statement is about what would land.
func (j *judge) about(e sallyport.Evidence) bool {
	for _, d := range []sallyport.Digest{j.c.Head, j.c.HeadTree, j.c.MergeTree} {
		if !d.Zero() && e.About(d) {
			return true
		}
	}
	return false
}

func digestOf(set map[string]string) []sallyport.Digest {
	if d, err := sallyport.ParseDigest("sha256:" + set["sha256"]); err == nil {
		return []sallyport.Digest{d}
	}
	return nil
}

// unread notes verified evidence that cannot be read: it may have said anything.
func (j *judge) unread(e sallyport.Evidence, why string) {
	j.findings = append(j.findings, sallyport.Finding{
		ID:   findingID(string(sallyport.FindingUnscanned), "report", string(e.Attestation), why),
		Kind: sallyport.FindingUnscanned, Rule: "report", Severity: sallyport.High, State: "open", Grade: e.Grade,
		Text: "an attested report about this change (" + e.Attestation.Short() + ") could not be read: " + said(why),
	})
}

// subjects returns the SHA-256 digests that the statement is about.
func subjects(e sallyport.Evidence) []sallyport.Digest {
	var out []sallyport.Digest
	for _, s := range e.Statement.Subject {
		out = append(out, digestOf(s.Digest)...)
	}
	return out
}

// testResult reads a statement of that type and returns the digests of the reports of tests that it
// vouches for: its subjects. Its configuration is what the tests were run with, files of the
// repository among it, which an agent may have written.
func (j *judge) testResult(e sallyport.Evidence) []sallyport.Digest {
	var t testResult
	if err := strict.LaxJSON(e.Statement.Predicate, MaxSize, &t); err != nil {
		j.unread(e, err.Error())
		return nil
	}
	digests, name := subjects(e), ""
	for _, c := range t.Configuration {
		if c.MediaType == MediaSARIF {
			return nil // a summary of results that the report itself places
		}
		if name == "" {
			name = c.Name
		}
	}
	r := Report{Kind: JUnit, Tool: name, Complete: true, Total: len(t.Passed) + len(t.Warned) + len(t.Failed)}
	for _, f := range t.Failed {
		r.Results = append(r.Results, Result{Rule: f, Severity: sallyport.High, Text: "the test " + f + " failed"})
	}
	switch {
	case t.Result == "FAILED" && len(t.Failed) == 0:
		r.Results = append(r.Results, Result{Rule: "result", Severity: sallyport.High, Text: "an attested test run failed and names no test"})
	case t.Result != "PASSED" && t.Result != "WARNED" && t.Result != "FAILED":
		j.unread(e, "result "+clip(t.Result)+" is unknown")
		return nil
	}
	if r.Total == 0 {
		if t.Result != "FAILED" {
			return digests // it vouches for files, and is no report of tests
		}
		r.Complete, r.Why = false, "it names no test"
	}
	j.add(r, j.signed(e))
	return digests
}

func (j *judge) signed(e sallyport.Evidence) sallyport.ReportInput {
	return sallyport.ReportInput{
		Source: "attestation " + e.Attestation.Short(), Digest: sallyport.SHA256(e.Statement.Predicate),
		Grade: e.Grade, Signer: e.Signer, Bound: e.Grade != "",
	}
}

// sarif reads a statement that holds a SARIF report, or vouches for SARIF files: its subjects, and
// what it names as the report. It returns their digests.
func (j *judge) sarif(e sallyport.Evidence) []sallyport.Digest {
	var s sarifStatement
	if err := strict.LaxJSON(e.Statement.Predicate, MaxSize, &s); err != nil {
		j.unread(e, err.Error())
		return nil
	}
	digests := append(subjects(e), digestOf(s.Digest)...)
	if len(s.Report) == 0 || string(s.Report) == "null" {
		return digests
	}
	rs, err := readSARIF(s.Report, j.root)
	if err != nil {
		j.unread(e, err.Error())
		return nil
	}
	for _, r := range rs {
		if !r.About(j.c.Head.Hex()) {
			j.unread(e, "it says that it is about another commit")
			return nil
		}
	}
	for _, r := range rs {
		j.add(r, j.signed(e))
	}
	return digests
}

// add notes a report and its findings.
func (j *judge) add(r Report, in sallyport.ReportInput) {
	in.Kind, in.Tool, in.Complete, in.Why = r.Kind, said(r.Tool), r.Complete, r.Why
	in.Results, in.Suppressed = r.Total, r.Suppressed
	if !r.Complete {
		j.finding(r, in, Result{Rule: "incomplete", Severity: sallyport.Medium, Text: "the " + r.Kind + " report is not complete: " + r.Why}, "", 0)
	}
	for _, res := range r.Results {
		p, isNew := j.where(r.Kind, res)
		if !isNew {
			in.Elsewhere++
			continue
		}
		if in.New++; in.New > maxFindings {
			continue
		}
		j.finding(r, in, res, p.Path, p.Line)
	}
	if more := in.New - maxFindings; more > 0 {
		j.finding(r, in, Result{Rule: "more", Severity: sallyport.High, Text: fmt.Sprintf("%d more results of %s", more, in.Tool)}, "", 0)
	}
	j.reports = append(j.reports, in)
}

// where returns the place of a result that is a finding of this change. A failed test always is.
func (j *judge) where(kind string, res Result) (Place, bool) {
	for _, p := range res.Places {
		if p.Unknown {
			if kind == JUnit {
				break
			}
			return Place{}, true
		}
		if kind == JUnit || res.New || j.touches(p) {
			return p, true
		}
	}
	return Place{}, kind == JUnit || res.New
}

// touches reports whether the change may have made what stands at p.
func (j *judge) touches(p Place) bool {
	f := j.files[p.Path]
	if f == nil || f.Status == "deleted" {
		return false
	}
	if p.Line == 0 || f.Status == "added" || f.Truncated || f.Binary || j.c.HeadTree != j.c.MergeTree {
		return true
	}
	return slices.ContainsFunc(f.Units, func(u sallyport.Unit) bool {
		switch u.Kind {
		case sallyport.UnitLines:
			return u.Side == sallyport.AddedSide && p.Line < u.Start+u.Lines && p.EndLine >= u.Start
		case sallyport.UnitRenamed, sallyport.UnitMode, sallyport.UnitDeleted:
			return false
		}
		return true
	})
}

func (j *judge) finding(r Report, in sallyport.ReportInput, res Result, path sallyport.Path, line int) {
	kind, text := sallyport.FindingStatic, said(in.Tool+" reported "+res.Rule+": "+res.Text)
	if r.Kind == JUnit {
		kind, text = sallyport.FindingTest, said(res.Text)
	}
	if res.Suppressed {
		text += " (the report says that somebody dismissed it, which nothing here proves)"
	}
	if j.seen == nil {
		j.seen = map[string]int{}
	}
	rule := said(res.Rule)
	base := strings.Join([]string{string(kind), in.Tool, rule, string(path), text}, "\x00")
	j.seen[base]++
	j.findings = append(j.findings, sallyport.Finding{
		ID:   findingID(base, fmt.Sprint(j.seen[base])),
		Kind: kind, Rule: rule, Severity: res.Severity, Path: path, Line: line, Text: text, State: "open",
		Tool: in.Tool, Grade: in.Grade,
	})
}
