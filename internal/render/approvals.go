package render

import (
	"bufio"
	"fmt"
	"io"

	"github.com/sallyport-dev/sallyport"
)

// Approvals writes the approvals of a change for people: who gave each, at which grade, and
// whether it counts or why it does not.
func Approvals(w io.Writer, approvals []sallyport.Approval, required int, o Options) error {
	bw := bufio.NewWriter(w)
	t := text{w: bw, o: o}
	counting := map[string]bool{}
	for _, a := range approvals {
		if a.Counts {
			counting[a.Reviewer] = true
		}
	}
	fmt.Fprintf(bw, "%d of %d approvals needed\n", len(counting), required)
	for _, a := range approvals {
		state := t.paint(yellow, "does not count")
		if a.Counts {
			state = t.paint(green, "counts")
		}
		fmt.Fprintf(bw, "\n  %s  %s, %s\n    %s\n", state, t.paint(bold, Clean(a.Reviewer)), Clean(string(a.Grade)), a.Attestation)
		if a.Replayed {
			fmt.Fprintf(bw, "    of %s, replayed onto the newer base\n", a.Head.Short())
		}
		if a.Why != "" {
			t.para("    ", "", a.Why, "")
		}
	}
	return bw.Flush()
}

// An Explained is a decision that was derived again.
type Explained struct {
	ID       sallyport.Digest
	Decision sallyport.Decision
	Same     bool
	Differs  []string
	Rules    []ExplainedRule
}

// An ExplainedRule is one rule's part in a decision.
type ExplainedRule struct {
	Set, Code, Title string
	Spoke            bool
}

// Explanation writes a derived decision for people: whether it is the same, which rules spoke,
// with what they said, and which were silent.
func Explanation(w io.Writer, x Explained, o Options) error {
	bw := bufio.NewWriter(w)
	t := text{w: bw, o: o}
	d := x.Decision
	fmt.Fprintf(bw, "decision %s\n%s gate: %s, %s\n%s\n", x.ID, d.Gate, t.paint(outcomeColour(d.Outcome), d.Outcome.String()), Clean(d.Time), Clean(string(d.Subject.Digest)))
	if x.Same {
		fmt.Fprintf(bw, "%s: the recorded input under the recorded policy gives the same outcome and reasons\n", t.paint(green, "derived again"))
	} else {
		fmt.Fprintf(bw, "%s\n", t.paint(red, "another decision follows:"))
		for _, s := range x.Differs {
			t.para("  ", "- ", s, "")
		}
	}
	for _, p := range d.Policies {
		fmt.Fprintf(bw, "  policy %s %s\n", Clean(p.Name), p.Digest)
	}
	fmt.Fprintf(bw, "  input %s\n  %d attestation(s) verified, %d dropped\n", d.Input, len(d.Evidence), len(d.Dropped))
	fmt.Fprintln(bw, "\nrules")
	for _, r := range x.Rules {
		mark, colour := "silent", dim
		if r.Spoke {
			mark, colour = "spoke ", red
		}
		fmt.Fprintf(bw, "  %s  %-20s %s\n", t.paint(colour, mark), Clean(r.Code), Clean(r.Title))
		if !r.Spoke {
			continue
		}
		for _, reason := range d.Reasons {
			if reason.Code == r.Code && reason.Set == r.Set {
				t.para("            ", "", reason.Text, "")
			}
		}
	}
	return bw.Flush()
}
