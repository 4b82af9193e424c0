package report

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// check holds for whatever was read: places lie inside the repository, counts agree, and nothing
// that is printed can leave its line.
func check(t *testing.T, rs []Report) {
	for _, r := range rs {
		for _, res := range r.Results {
			for _, p := range res.Places {
				if !p.Unknown && (p.Path == "" || strings.HasPrefix(string(p.Path), "/") || strings.Contains("/"+string(p.Path)+"/", "/../") || p.EndLine < p.Line) {
					t.Fatalf("place %+v", p)
				}
			}
		}
	}
	reports, findings := Judge(change(), nil, []File{{Source: "f", Reports: rs}}, "/src/repo")
	if len(reports) != len(rs) {
		t.Fatalf("%d reports of %d", len(reports), len(rs))
	}
	for _, in := range reports {
		if in.Bound || in.Grade != sallyport.Declared || in.New+in.Elsewhere < 0 {
			t.Fatalf("report %+v", in)
		}
	}
	for _, f := range findings {
		if strings.ContainsAny(f.Text+f.Rule+f.Tool, "\n\r\x1b") || f.State != "open" || f.Severity == "" {
			t.Fatalf("finding %+v", f)
		}
	}
}

func FuzzSARIF(f *testing.F) {
	f.Add([]byte(log("", `{"ruleId": "err", `+at("src/a.go", 10)+`}`)))
	f.Add([]byte(log(`, "originalUriBaseIds": {"A": {"uri": "file:///src/repo/", "uriBaseId": "A"}}`, `{"ruleIndex": 1, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "%2e%2e/a", "uriBaseId": "A"}}}]}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, err := Read(SARIF, b, "/src/repo")
		if (err == nil) == (len(rs) == 0) {
			t.Fatalf("%d reports and error %v", len(rs), err)
		}
		check(t, rs)
	})
}

func FuzzJUnit(f *testing.F) {
	f.Add([]byte(`<testsuites><testsuite failures="1"><testcase classname="A" name="b" file="src/a.go" line="3"><failure message="m"/></testcase></testsuite></testsuites>`))
	f.Add([]byte(`<testsuite><testcase name="a" status="failed"/><testcase><skipped/></testcase></testsuite>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, err := Read(JUnit, b, "/src/repo")
		if (err == nil) == (len(rs) == 0) {
			t.Fatalf("%d reports and error %v", len(rs), err)
		}
		check(t, rs)
	})
}

// FuzzStatement: a statement that is about the head never vanishes without a trace if it says
// that something failed.
func FuzzStatement(f *testing.F) {
	f.Add([]byte(`{"result": "FAILED", "failedTests": ["a"]}`))
	f.Add([]byte(`{"result": "PASSED", "configuration": [{"digest": {"sha256": "x"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := evidence(sallyport.Observed, typeTestResult, nil, sallyport.GitCommit(head))
		e.Statement.Predicate = b
		_, findings := Judge(change(), []sallyport.Evidence{e}, nil, "")
		var said testResult
		failed := json.Unmarshal(b, &said) == nil && (said.Result == "FAILED" || len(said.Failed) > 0)
		if failed && len(findings) == 0 {
			t.Fatalf("nothing of %q", b)
		}
	})
}

func BenchmarkSARIF(b *testing.B) {
	text := []byte(log("", strings.TrimSuffix(strings.Repeat(`{"ruleId": "err", "message": {"text": "something is wrong here"}, `+at("src/z.go", 10)+`},`, 2000), ",")))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Read(SARIF, text, ""); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJUnit(b *testing.B) {
	text := []byte(`<testsuite>` + strings.Repeat(`<testcase classname="a" name="b" time="0.1"/>`, 5000) + `</testsuite>`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Read(JUnit, text, ""); err != nil {
			b.Fatal(err)
		}
	}
}
