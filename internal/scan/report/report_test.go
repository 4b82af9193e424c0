package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

const (
	head  = "1111111111111111111111111111111111111111"
	other = "2222222222222222222222222222222222222222"
	tree  = "3333333333333333333333333333333333333333"
)

// change touches lines 10 to 12 of src/a.go, adds src/new.go and takes lines out of src/b.go.
func change() *sallyport.Change {
	lines := func(side sallyport.Side, start, n int) []sallyport.Unit {
		return []sallyport.Unit{{Kind: sallyport.UnitLines, Side: side, Start: start, Lines: n}}
	}
	return &sallyport.Change{
		Head: sallyport.GitCommit(head), HeadTree: sallyport.GitTree(tree), MergeTree: sallyport.GitTree(tree),
		Files: []sallyport.File{
			{Path: "src/a.go", Status: "modified", Units: lines(sallyport.AddedSide, 10, 3)},
			{Path: "src/b.go", Status: "modified", Units: lines(sallyport.RemovedSide, 10, 3)},
			{Path: "src/new.go", Status: "added", Units: []sallyport.Unit{{Kind: sallyport.UnitAdded}}},
			{Path: "src/ü x.go", Status: "added", Units: []sallyport.Unit{{Kind: sallyport.UnitAdded}}},
		},
	}
}

// log wraps results into a SARIF log of a tool with three rules.
func log(run, results string) string {
	return `{"version": "2.1.0", "$schema": "x", "runs": [{"tool": {"driver": {"name": "Scan", "rules": [
		{"id": "warn"}, {"id": "err", "defaultConfiguration": {"level": "error"}},
		{"id": "crit", "defaultConfiguration": {"level": "warning"}, "properties": {"security-severity": "9.8"}}]}}` + run + `, "results": [` + results + `]}]}`
}

func at(uri string, line int) string {
	return fmt.Sprintf(`"locations": [{"physicalLocation": {"artifactLocation": {"uri": %q}, "region": {"startLine": %d}}}]`, uri, line)
}

func judged(t *testing.T, kind, text string, evidence ...sallyport.Evidence) ([]sallyport.ReportInput, []sallyport.Finding) {
	t.Helper()
	rs, err := Read(kind, []byte(text), "/src/repo")
	if err != nil {
		t.Fatal(err)
	}
	return Judge(change(), evidence, []File{{Source: "f", Kind: kind, Digest: sallyport.SHA256([]byte(text)), Reports: rs}}, "/src/repo")
}

func brief(fs []sallyport.Finding) string {
	var out []string
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s/%s %s %s:%d", f.Kind, f.Rule, f.Severity, f.Path, f.Line))
	}
	return strings.Join(out, "; ")
}

func TestSARIF(t *testing.T) {
	for _, tt := range []struct{ name, run, results, want string }{
		{"a new line", "", `{"ruleId": "err", ` + at("src/a.go", 11) + `}`, "static-analysis/err high src/a.go:11"},
		{"an old line", "", `{"ruleId": "err", ` + at("src/a.go", 9) + `}`, ""},
		{"an old line that the tool says is new", "", `{"ruleId": "err", "baselineState": "new", ` + at("src/a.go", 9) + `}`, "static-analysis/err high src/a.go:9"},
		{"a region that reaches a new line", "", `{"ruleId": "err", "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/a.go"}, "region": {"startLine": 2, "endLine": 10}}}]}`, "static-analysis/err high src/a.go:2"},
		{"a file that the change adds", "", `{"ruleId": "warn", ` + at("src/new.go", 900) + `}`, "static-analysis/warn medium src/new.go:900"},
		{"a file as a whole", "", `{"ruleId": "warn", "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/b.go"}}}]}`, "static-analysis/warn medium src/b.go:0"},
		{"another file", "", `{"ruleId": "err", ` + at("src/z.go", 1) + `}`, ""},
		{"no place", "", `{"ruleId": "err"}`, ""},
		{"severity of the rule", "", `{"ruleId": "crit", "ruleIndex": 2, ` + at("src/a.go", 10) + `}`, "static-analysis/crit critical src/a.go:10"},
		{"severity by index alone", "", `{"ruleIndex": 2, ` + at("src/a.go", 10) + `}`, "static-analysis/crit critical src/a.go:10"},
		{"an index that lies", "", `{"ruleId": "err", "ruleIndex": 0, ` + at("src/a.go", 10) + `}`, "static-analysis/err high src/a.go:10"},
		{"the result's own level", "", `{"ruleId": "err", "level": "note", ` + at("src/a.go", 10) + `}`, "static-analysis/err low src/a.go:10"},
		{"a level that does not exist", "", `{"ruleId": "err", "level": "fine", ` + at("src/a.go", 10) + `}`, "static-analysis/err high src/a.go:10"},
		{"no problem by its own word", "", `{"ruleId": "err", "level": "none", ` + at("src/a.go", 10) + `}`, ""},
		{"a check that passed", "", `{"ruleId": "err", "kind": "pass", ` + at("src/a.go", 10) + `}`, ""},
		{"dismissed, which is a claim", "", `{"ruleId": "err", "suppressions": [{"kind": "inSource"}], ` + at("src/a.go", 10) + `}`, "static-analysis/err high src/a.go:10"},
		{"percent", "", `{"ruleId": "err", ` + at("src/%C3%BC%20x.go", 1) + `}`, "static-analysis/err high src/ü x.go:1"},
		{"a file address", "", `{"ruleId": "err", ` + at("file:///src/repo/src/a.go", 10) + `}`, "static-analysis/err high src/a.go:10"},
		{"a base", `, "originalUriBaseIds": {"ROOT": {"uri": "file:///src/repo/"}, "SUB": {"uri": "src/", "uriBaseId": "ROOT"}}`,
			`{"ruleId": "err", "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.go", "uriBaseId": "SUB"}, "region": {"startLine": 10}}}]}`, "static-analysis/err high src/a.go:10"},
		{"a base that nobody says", "", `{"ruleId": "err", "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/a.go", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 10}}}]}`, "static-analysis/err high src/a.go:10"},
		{"bases in a ring", `, "originalUriBaseIds": {"A": {"uri": "x/", "uriBaseId": "A"}}`,
			`{"ruleId": "err", "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.go", "uriBaseId": "A"}}}]}`, "static-analysis/err high :0"},
		{"an artifact by its index", `, "artifacts": [{"location": {"uri": "src/a.go"}}]`,
			`{"ruleId": "err", "locations": [{"physicalLocation": {"artifactLocation": {"index": 0}, "region": {"startLine": 10}}}]}`, "static-analysis/err high src/a.go:10"},
		// A place that nobody can resolve might be in the change.
		{"out of the repository", "", `{"ruleId": "err", ` + at("../src/a.go", 10) + `}`, "static-analysis/err high :0"},
		{"out of it, in percent", "", `{"ruleId": "err", ` + at("%2e%2e/src/a.go", 10) + `}`, "static-analysis/err high :0"},
		{"another folder of the machine", "", `{"ruleId": "err", ` + at("file:///src/repo2/src/a.go", 10) + `}`, "static-analysis/err high :0"},
		{"another host", "", `{"ruleId": "err", ` + at("file://host/src/repo/src/a.go", 10) + `}`, "static-analysis/err high :0"},
		{"another scheme", "", `{"ruleId": "err", ` + at("https://example.com/src/a.go", 10) + `}`, "static-analysis/err high :0"},
		{"the tool failed", `, "invocations": [{"executionSuccessful": false}]`, "", "static-analysis/incomplete medium :0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got := judged(t, SARIF, log(tt.run, tt.results))
			if brief(got) != tt.want {
				t.Errorf("got  %s\nwant %s", brief(got), tt.want)
			}
			for _, f := range got {
				if f.Tool != "Scan" || f.Grade != sallyport.Declared || f.State != "open" || f.ID == "" {
					t.Errorf("not whole: %+v", f)
				}
			}
		})
	}
}

// Where the merge result is another tree than the head, its line numbers are another version's.
func TestOtherTree(t *testing.T) {
	c := change()
	c.MergeTree = sallyport.GitTree(other)
	rs, err := Read(SARIF, []byte(log("", `{"ruleId": "err", `+at("src/a.go", 9)+`}`)), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, got := Judge(c, nil, []File{{Reports: rs}}, ""); len(got) != 1 {
		t.Errorf("got %s", brief(got))
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, kind, text, want string }{
		{"other version", SARIF, `{"version": "2.0.0", "runs": [{}]}`, "only 2.1.0"},
		{"no run", SARIF, `{"version": "2.1.0", "runs": []}`, "no run"},
		{"runs of null", SARIF, `{"version": "2.1.0", "runs": null}`, "no run"},
		{"no tool", SARIF, `{"version": "2.1.0", "runs": [{"results": []}]}`, "no name"},
		{"key twice", SARIF, `{"version": "2.1.0", "runs": [], "runs": []}`, "twice"},
		{"trailing data", SARIF, `{"version": "2.1.0", "runs": []} {}`, "after the end"},
		{"cut short", SARIF, `{"version": "2.1.0"`, "cut short"},
		{"elsewhere", SARIF, strings.Replace(log("", ""), `"results"`, `"externalPropertyFileReferences": {"results": [{}]}, "results"`, 1), "other files"},
		{"no JUnit", JUnit, `<html/>`, "not with testsuites"},
		{"a document type", JUnit, `<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>`, "document type"},
		{"an entity", JUnit, `<testsuite name="&a;"/>`, "entity"},
		{"cut short, JUnit", JUnit, `<testsuite>`, "syntax"},
		{"two documents", JUnit, `<testsuite/><testsuite/>`, "after the end"},
		{"deep", JUnit, strings.Repeat("<testsuite>", 70), "nested more"},
		{"no count", JUnit, `<testsuite failures="many"/>`, "not a count"},
		{"empty", JUnit, "", "empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(tt.kind, []byte(tt.text), "")
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tt.want)
			}
		})
	}
}

func TestJUnit(t *testing.T) {
	const pass = `<testcase classname="A" name="passes"/>`
	for _, tt := range []struct {
		name, text, want string
		complete         bool
	}{
		{"all pass", `<testsuites name="go test"><testsuite tests="1">` + pass + `</testsuite></testsuites>`, "", true},
		{"one fails", `<testsuite failures="1">` + pass + `<testcase classname="A" name="fails" file="src/z.go" line="3"><failure message="no">x</failure></testcase></testsuite>`, "test/A fails high src/z.go:3", true},
		{"an error", `<testsuite><testcase name="e"><error/></testcase></testsuite>`, "test/e high :0", true},
		{"a failure below something else", `<testsuite><testcase name="e"><x><failure/></x></testcase></testsuite>`, "test/e high :0", true},
		{"by its status", `<testsuite><testcase name="e" status="failed"/></testsuite>`, "test/e high :0", true},
		{"skipped", `<testsuite>` + pass + `<testcase name="e"><skipped/></testcase></testsuite>`, "", true},
		{"nothing ran", `<testsuite tests="0"/>`, "test/incomplete medium :0", false},
		{"only skipped", `<testsuite><testcase name="e"><skipped/></testcase></testsuite>`, "test/incomplete medium :0", false},
		{"counts failures and names none", `<testsuite failures="2">` + pass + `</testsuite>`, "test/contradiction high :0", true},
		{"a suite in a suite", `<testsuites failures="1"><testsuite failures="1"><testsuite><testcase name="e"><failure/></testcase></testsuite></testsuite></testsuites>`, "test/e high :0", true},
		{"a test that failed and passed when it ran again", `<testsuite><testcase name="e"><flakyFailure/></testcase></testsuite>`, "", true},
		{"a place out of the repository", `<testsuite><testcase name="e" file="../x"><failure/></testcase></testsuite>`, "test/e high :0", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reports, got := judged(t, JUnit, tt.text)
			if brief(got) != tt.want {
				t.Errorf("got  %s\nwant %s", brief(got), tt.want)
			}
			if len(reports) != 1 || reports[0].Complete != tt.complete || reports[0].Bound {
				t.Errorf("got %+v", reports)
			}
		})
	}
}

// evidence is a verified statement about subjects.
func evidence(grade sallyport.Grade, kind string, body any, subjects ...sallyport.Digest) sallyport.Evidence {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	e := sallyport.Evidence{
		Attestation: sallyport.SHA256(b), Grade: grade, Signer: sallyport.Principal{Kind: sallyport.Workload, Name: "ci"},
		Statement: sallyport.Statement{Type: sallyport.StatementType, PredicateType: kind, Predicate: b},
	}
	for _, s := range subjects {
		e.Statement.Subject = append(e.Statement.Subject, sallyport.StatementSubject{Digest: map[string]string{s.Algorithm(): s.Hex()}})
	}
	return e
}

func TestBinding(t *testing.T) {
	file := log("", "")
	digest := sallyport.SHA256([]byte(file))
	here, there := sallyport.GitCommit(head), sallyport.GitCommit(other)
	names := func(d sallyport.Digest) map[string]any {
		return map[string]any{"reportDigestSet": map[string]string{"sha256": d.Hex()}}
	}
	for _, tt := range []struct {
		name     string
		evidence sallyport.Evidence
		bound    bool
		grade    sallyport.Grade
	}{
		{"named by a statement about the head", evidence(sallyport.Observed, typeSARIF, names(digest), here), true, sallyport.Observed},
		{"about its tree", evidence(sallyport.Observed, typeSARIF, names(digest), sallyport.GitTree(tree)), true, sallyport.Observed},
		{"as a subject beside it", evidence(sallyport.Observed, typeSARIF, map[string]any{}, here, digest), true, sallyport.Observed},
		{"as what tests were run with", evidence(sallyport.Observed, typeTestResult, configured(digest), here), false, sallyport.Declared},
		{"as a subject of a test run", evidence(sallyport.Observed, typeTestResult, map[string]any{"result": "PASSED"}, here, digest), false, sallyport.Declared},
		{"by a key that proves little", evidence(sallyport.Declared, typeSARIF, names(digest), here), true, sallyport.Declared},
		{"about another commit", evidence(sallyport.Observed, typeSARIF, names(digest), there), false, sallyport.Declared},
		{"another file", evidence(sallyport.Observed, typeSARIF, names(sallyport.SHA256([]byte("x"))), here), false, sallyport.Declared},
		{"a statement of a type that vouches for nothing", evidence(sallyport.Observed, "https://example.com/x", names(digest), here), false, sallyport.Declared},
		{"a result that nobody knows", evidence(sallyport.Observed, typeTestResult, map[string]any{"result": "FINE"}, here, digest), false, sallyport.Declared},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := judged(t, SARIF, file, tt.evidence)
			if len(got) != 1 || got[0].Bound != tt.bound || got[0].Grade != tt.grade || got[0].Kind != SARIF {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// configured is the body of a test run that was made with the file d.
func configured(d sallyport.Digest) map[string]any {
	return map[string]any{"result": "PASSED", "configuration": []any{map[string]any{"name": "scan", "digest": map[string]string{"sha256": d.Hex()}}}}
}

// A report of tests is bound by a test result about it, and by nothing that it was configured with.
func TestBindingOfTests(t *testing.T) {
	const file = `<testsuite name="t" tests="1"><testcase name="a"/></testsuite>`
	digest, here := sallyport.SHA256([]byte(file)), sallyport.GitCommit(head)
	passed := map[string]any{"result": "PASSED"}
	for _, tt := range []struct {
		name     string
		evidence sallyport.Evidence
		bound    bool
	}{
		{"as a subject beside the head", evidence(sallyport.Observed, typeTestResult, passed, here, digest), true},
		{"as a subject beside another commit", evidence(sallyport.Observed, typeTestResult, passed, sallyport.GitCommit(other), digest), false},
		{"as what the tests were run with", evidence(sallyport.Observed, typeTestResult, configured(digest), here), false},
		{"as a subject of a scan", evidence(sallyport.Observed, typeSARIF, map[string]any{}, here, digest), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := judged(t, JUnit, file, tt.evidence)
			if len(got) != 1 || got[0].Bound != tt.bound || got[0].Kind != JUnit {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// A statement that vouches for a SARIF file is no report of tests, and one that names tests is.
func TestStatements(t *testing.T) {
	here := sallyport.GitCommit(head)
	for _, tt := range []struct {
		name     string
		evidence sallyport.Evidence
		reports  int
		want     string
	}{
		{"tests that passed", evidence(sallyport.Observed, typeTestResult, map[string]any{"result": "PASSED", "passedTests": []string{"a"}}, here), 1, ""},
		{"no tests", evidence(sallyport.Observed, typeTestResult, map[string]any{"result": "PASSED"}, here), 0, ""},
		{"a test that failed", evidence(sallyport.Declared, typeTestResult, map[string]any{"result": "PASSED", "passedTests": []string{"a"}, "failedTests": []string{"b"}}, here), 1, "test/b high :0"},
		{"failed, and no test named", evidence(sallyport.Observed, typeTestResult, map[string]any{"result": "FAILED"}, here), 1, "test/incomplete medium :0; test/result high :0"},
		{"a result that nobody knows", evidence(sallyport.Observed, typeTestResult, map[string]any{"result": ""}, here), 0, "unscanned/report high :0"},
		{"no body", evidence(sallyport.Observed, typeTestResult, []int{1}, here), 0, "unscanned/report high :0"},
		{"a failed test of another commit", evidence(sallyport.Observed, typeTestResult, map[string]any{"result": "FAILED", "failedTests": []string{"b"}}, sallyport.GitCommit(other)), 0, ""},
		{"SARIF inside", evidence(sallyport.Observed, typeSARIF, map[string]any{"report": json.RawMessage(log("", `{"ruleId": "err", `+at("src/a.go", 10)+`}`))}, here), 1, "static-analysis/err high src/a.go:10"},
		{"SARIF inside that is about another commit", evidence(sallyport.Observed, typeSARIF, map[string]any{"report": json.RawMessage(log(`, "versionControlProvenance": [{"revisionId": "`+other+`"}]`, ""))}, here), 0, "unscanned/report high :0"},
		{"SARIF inside that is none", evidence(sallyport.Observed, typeSARIF, map[string]any{"report": map[string]any{"version": "1"}}, here), 0, "unscanned/report high :0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reports, got := Judge(change(), []sallyport.Evidence{tt.evidence}, nil, "")
			if len(reports) != tt.reports || brief(got) != tt.want {
				t.Errorf("got %d reports and %s, want %d and %s", len(reports), brief(got), tt.reports, tt.want)
			}
		})
	}
}

func TestAbout(t *testing.T) {
	for _, tt := range []struct {
		revisions []string
		want      bool
	}{
		{nil, true}, {[]string{head}, true}, {[]string{head[:12]}, true}, {[]string{other, head}, true},
		{[]string{other}, false}, {[]string{head[:4]}, false}, {[]string{"main"}, false},
	} {
		if got := (Report{Revisions: tt.revisions}).About(head); got != tt.want {
			t.Errorf("%q: got %v", tt.revisions, got)
		}
	}
}

// What a tool repeats of a secret, or an author put into a test's name, is not printed as it is.
func TestSaid(t *testing.T) {
	token := "ghp_" + "9aKx27dLmQ0pRz4TvW8yB3nC6eFh1jS5uGo2"
	_, got := judged(t, SARIF, log("", `{"ruleId": "err", "message": {"text": "found `+token+` here"}, `+at("src/a.go", 10)+`}`))
	if len(got) != 1 || strings.Contains(got[0].Text, "9aKx") {
		t.Errorf("got %+v", got)
	}
	_, got = judged(t, JUnit, "<testsuite><testcase name=\"a&#10;::error::b\u202e\"><failure/></testcase></testsuite>")
	if len(got) != 1 || strings.ContainsAny(got[0].Text+got[0].Rule, "\n\u202e") {
		t.Errorf("got %+v", got)
	}
}

func TestMany(t *testing.T) {
	results := strings.TrimSuffix(strings.Repeat(`{"ruleId": "err", `+at("src/a.go", 10)+`},`, maxFindings+5), ",")
	reports, got := judged(t, SARIF, log("", results))
	if len(got) != maxFindings+1 || reports[0].New != maxFindings+5 || got[maxFindings].Text != "Scan reported more: 5 more results of Scan" {
		t.Errorf("got %d findings, %+v, %q", len(got), reports, got[len(got)-1].Text)
	}
	ids := map[string]bool{}
	for _, f := range got {
		ids[f.ID] = true
	}
	if len(ids) != len(got) {
		t.Errorf("%d findings have %d IDs", len(got), len(ids))
	}
}
