package config

import (
	"strings"
	"testing"
	"time"
)

func TestPipeline(t *testing.T) {
	const head = "version: 1\nrepository: example.com/acme/app\n"
	c, err := Parse([]byte(head + "pipeline:\n  tests: [{name: unit, run: [make, test], timeout: 5m}]\n  build: {run: [make]}\n  artifacts: [dist/*]\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := c.Pipeline
	if !p.Used() || p.Tests[0].Limit() != 5*time.Minute || p.Build.Limit() != DefaultStepTimeout {
		t.Errorf("got %+v", p)
	}
	if c, err := Parse([]byte(head)); err != nil || c.Pipeline.Used() {
		t.Errorf("without the section: %v, %v", c.Pipeline, err)
	}
	for _, row := range []struct{ text, want string }{
		{"tests: [{name: unit, run: [make]}]", "pipeline.artifacts: is missing"},
		{"artifacts: []", "pipeline.artifacts: is missing"},
		{"artifacts: [/etc/*]", "leads out of the work tree"},
		{"artifacts: [a/../../b]", "leads out of the work tree"},
		{"artifacts: [a, a]", "stands twice"},
		{"artifacts: [a]\n  tests: [{name: Unit, run: [make]}]", "is no name for a test"},
		{"artifacts: [a]\n  tests: [{name: u, run: [make]}, {name: u, run: [make]}]", "stands twice"},
		{"artifacts: [a]\n  tests: [{name: u, run: []}]", "pipeline.tests.u.run: has no program"},
		{"artifacts: [a]\n  tests: [{name: u, run: [make], timeout: 1ms}]", "is not a time from 1s to 24h"},
		{"artifacts: [a]\n  tests: [{name: u, run: [make], report: ../x.xml}]", "is no path below"},
		{"artifacts: [a]\n  tests: [{name: u, run: [make], report: '*.xml'}]", "has one of"},
		{"artifacts: [a]\n  build: {timeout: 5m}", "pipeline.build.run: has no program"},
		{"artifacts: [a]\n  scanners: [nessus]", "is not gosec or govulncheck"},
		{"artifacts: [a]\n  output: .git/x", "is no folder below"},
		{"artifacts: [a]\n  output: ../x", "is no folder below"},
		{"artifacts: [a]\n  steps: []", "steps"},
	} {
		_, err := Parse([]byte(head + "pipeline:\n  " + row.text + "\n"))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.text, err, row.want)
		}
	}
}
