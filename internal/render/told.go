package render

import (
	"bufio"
	"fmt"
	"io"

	"github.com/sallyport-dev/sallyport"
)

// maxTold is how many findings Told lists one by one.
const maxTold = 10

// Told writes what was found and is no reason of the decision, and which reports of other tools
// were read. It writes nothing if there is neither.
func Told(w io.Writer, d sallyport.Decision, findings []sallyport.Finding, reports []sallyport.ReportInput, o Options) error {
	reasons := map[string]bool{}
	for _, r := range d.Reasons {
		reasons[r.Text] = true
	}
	var told []sallyport.Finding
	for _, f := range findings {
		if f.State == "open" && !reasons[f.Text] && (f.Severity == sallyport.Low || f.Severity == sallyport.Medium) {
			told = append(told, f)
		}
	}
	if err := ToldThese(w, told, o); err != nil {
		return err
	}
	bw := bufio.NewWriter(w)
	t := text{w: bw, o: o}
	for _, r := range reports {
		t.para("", "report: ", reportText(r), "")
	}
	return bw.Flush()
}

// ToldThese writes findings that are told and keep nothing shut.
func ToldThese(w io.Writer, told []sallyport.Finding, o Options) error {
	bw := bufio.NewWriter(w)
	t := text{w: bw, o: o}
	if len(told) > 0 {
		fmt.Fprintf(bw, "\ntold, and keeping nothing shut: %d\n", len(told))
	}
	for i, f := range told {
		if i == maxTold {
			t.para("  ", "", fmt.Sprintf("and %d more; sallyport explain DECISION --input lists them all", len(told)-i), dim)
			break
		}
		t.para("  ", "- ", fmt.Sprintf("%s %s (%s): %s", placeOf(f), f.Rule, f.Severity, f.Text), "")
	}
	return bw.Flush()
}

func placeOf(f sallyport.Finding) string {
	switch {
	case f.Path != "" && f.Line > 0:
		return fmt.Sprintf("%s:%d", f.Path, f.Line)
	case f.Path != "":
		return f.Path.String()
	case !f.Commit.Zero():
		return f.Commit.Short()
	}
	return "the change"
}

// reportText says what a report came to, and who says so.
func reportText(r sallyport.ReportInput) string {
	name := r.Kind
	if r.Tool != "" {
		name += " of " + r.Tool
	}
	s := fmt.Sprintf("%s, %d of %d in this change", name, r.New, r.Results)
	switch {
	case !r.Complete:
		s += "; not complete, " + r.Why
	case r.Bound:
		s += fmt.Sprintf("; signed by %s, %s", r.Signer.Name, r.Grade)
	default:
		s += "; unsigned, declared"
	}
	return s + ": " + r.Source
}
