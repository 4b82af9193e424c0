package render

import (
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

func TestTold(t *testing.T) {
	finding := func(severity sallyport.Severity, text string) sallyport.Finding {
		return sallyport.Finding{Path: "a\x1b.yml", Line: 3, Rule: "unpinned-image", Severity: severity, Text: text, State: "open"}
	}
	d := sallyport.Decision{Reasons: []sallyport.Reason{{Text: "a reason"}}}
	fixed := finding(sallyport.Low, "fixed")
	fixed.State = "fixed"
	var b strings.Builder
	if err := Told(&b, d, []sallyport.Finding{
		finding(sallyport.Medium, "an image\nby tag"), finding(sallyport.Medium, "a reason"), finding(sallyport.High, "grave"), fixed,
	}, []sallyport.ReportInput{
		{Kind: "sarif", Tool: "Scan\n::error::", Source: "f", Complete: true, Results: 3, New: 1},
		{Kind: "junit", Source: "f", Complete: true, Bound: true, Grade: sallyport.Observed, Signer: sallyport.Principal{Name: "ci"}},
		{Kind: "junit", Source: "f", Why: "no test ran"},
	}, Options{}); err != nil {
		t.Fatal(err)
	}
	want := `
told, and keeping nothing shut: 1
  - "a\x1b.yml":3 unpinned-image (medium): an image\nby tag
report: sarif of Scan\n::error::, 1 of 3 in this change; unsigned, declared: f
report: junit, 0 of 0 in this change; signed by ci, observed: f
report: junit, 0 of 0 in this change; not complete, no test ran: f
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := Told(&b, d, nil, nil, Options{}); err != nil || b.Len() > 0 {
		t.Errorf("nothing to tell: got %q, %v", b.String(), err)
	}
}
