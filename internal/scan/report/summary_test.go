package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sallyport-dev/sallyport"
)

func fileOf(t *testing.T, content string) File {
	t.Helper()
	kind, err := Detect([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	rs, err := Read(kind, []byte(content), "")
	if err != nil {
		t.Fatal(err)
	}
	return File{Source: "out/report", Kind: kind, Digest: sallyport.SHA256([]byte(content)), Reports: rs}
}

func sarifOf(results string) string {
	return `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"Scan"}},"results":` + results + `}]}`
}

func TestSummarise(t *testing.T) {
	for _, tt := range []struct {
		name, content, result  string
		passed, warned, failed int
	}{
		{"tests that pass", `<testsuite name="unit"><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>`, "PASSED", 1, 0, 0},
		{"a test that fails", `<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>`, "FAILED", 1, 0, 1},
		{"a suite that counts a failure and names none", `<testsuite failures="1"><testcase name="a"/></testsuite>`, "FAILED", 1, 0, 1},
		{"nothing ran", `<testsuite name="unit"/>`, "FAILED", 0, 0, 0},
		{"only skipped", `<testsuite name="unit"><testcase name="a"><skipped/></testcase></testsuite>`, "FAILED", 0, 0, 0},
		{"a scan that found nothing", sarifOf(`[]`), "PASSED", 0, 0, 0},
		{"a scan without a list of results", sarifOf(`null`), "FAILED", 0, 0, 0},
		{"warnings of one rule", sarifOf(`[{"ruleId":"a","message":{"text":"x"}},{"ruleId":"a","message":{"text":"y"}}]`), "WARNED", 0, 1, 0},
		{"an error that somebody suppressed", sarifOf(`[{"ruleId":"a","level":"error","message":{"text":"x"},"suppressions":[{}]}]`), "FAILED", 0, 0, 1},
	} {
		s, err := Summarise(fileOf(t, tt.content))
		if err != nil {
			t.Fatal(err)
		}
		if s.Result != tt.result || len(s.Passed) != tt.passed || len(s.Warned) != tt.warned || len(s.Failed) != tt.failed {
			t.Errorf("%s: %+v", tt.name, s)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var std testresult.TestResult
		if err := protojson.Unmarshal(b, &std); err != nil {
			t.Errorf("%s: in-toto's own type does not take it: %v", tt.name, err)
		}
		if c := std.GetConfiguration(); std.GetResult() != tt.result || len(c) != 1 || c[0].Validate() != nil || c[0].GetName() == "" {
			t.Errorf("%s: as in-toto reads it: %v", tt.name, &std)
		}
	}
	if _, err := Detect([]byte("TAP version 13")); err == nil {
		t.Error("TAP is taken for a report")
	}
	if _, err := Summarise(File{Kind: JUnit}); err == nil {
		t.Error("a report of nothing has a summary")
	}
}

// Lists are bounded, what failed is not crowded out, and no name holds what looks like a secret.
func TestSummaryIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`<testsuite name="unit">`)
	for i := range maxNames + 10 {
		fmt.Fprintf(&b, `<testcase name="t%d"/>`, i)
	}
	b.WriteString(`<testcase name="last"><failure/></testcase><testcase name="ghp_` + "1234567890abcdefghij" + `ABCDEFGHIJKLMNOP"><failure/></testcase></testsuite>`)
	s, err := Summarise(fileOf(t, b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Passed) != maxNames || s.Configuration[0].Annotations["omittedNames"] != 10 || len(s.Failed) != 2 || s.Failed[0] != "last" {
		t.Errorf("%d passed, failed %q, %v", len(s.Passed), s.Failed, s.Configuration[0].Annotations)
	}
	if strings.Contains(s.Failed[1], "ghp_") {
		t.Errorf("a name with a secret: %q", s.Failed[1])
	}
}

// A summary of a SARIF report, signed by whoever may sign for tests, is no report of tests and vouches
// for no file.
func TestSummaryOfSARIFVouchesForNothing(t *testing.T) {
	content := sarifOf(`[]`)
	f := fileOf(t, content)
	s, err := Summarise(f)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	c := &sallyport.Change{Head: sallyport.GitCommit(strings.Repeat("ab", 20))}
	e := sallyport.Evidence{Grade: sallyport.Observed, Statement: sallyport.Statement{
		PredicateType: TestResultType, Predicate: body,
		Subject: []sallyport.StatementSubject{{Digest: map[string]string{"gitCommit": c.Head.Hex()}}, {Digest: map[string]string{"sha256": f.Digest.Hex()}}},
	}}
	reports, findings := Judge(c, []sallyport.Evidence{e}, []File{f}, "")
	if len(reports) != 1 || reports[0].Bound || len(findings) != 0 {
		t.Errorf("%+v, %+v", reports, findings)
	}
	// The twin that counts: the type of statement for it.
	e.Statement.PredicateType, e.Statement.Predicate = SARIFType, []byte(`{}`)
	if reports, _ := Judge(c, []sallyport.Evidence{e}, []File{f}, ""); len(reports) != 1 || !reports[0].Bound {
		t.Errorf("%+v", reports)
	}
}
