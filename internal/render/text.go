package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// Options are how text is laid out. The caller knows the terminal; this package does not look.
type Options struct {
	Color bool // write ANSI colours; off where NO_COLOR is set or the output is no terminal
	Width int  // columns to wrap at; 0 does not wrap
}

// maxSame is how many places of one code are listed one by one.
const maxSame = 6

// Text writes a decision for people: the outcome and the subject, each reason with its place
// and the act that moves things on, the evidence that was dropped, and why later gates must not
// rely on it. id is the decision's digest; zero if it was not recorded.
func Text(w io.Writer, d sallyport.Decision, id sallyport.Digest, o Options) error {
	bw := bufio.NewWriter(w)
	t := text{w: bw, o: o}
	t.head(d)
	groups := group(d.Reasons)
	for _, g := range groups {
		t.group(g, d)
	}
	t.excepted(d.Excepted)
	t.dropped(d.Dropped)
	t.foot(d, id)
	return bw.Flush()
}

type text struct {
	w *bufio.Writer
	o Options
}

// ANSI colours, by meaning.
const (
	red    = "31"
	yellow = "33"
	green  = "32"
	bold   = "1"
	dim    = "2"
)

func (t *text) paint(colour, s string) string {
	if !t.o.Color || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// para writes s, wrapped, each line after the indent; the first line has lead before it.
func (t *text) para(indent, lead, s, colour string) {
	pad := strings.Repeat(" ", len(lead))
	for i, line := range wrap(Clean(s), max(0, t.o.Width-len(indent)-len(lead))) {
		if i > 0 {
			lead = pad
		}
		fmt.Fprintln(t.w, strings.TrimRight(indent+lead+t.paint(colour, line), " "))
	}
}

func outcomeColour(o sallyport.Outcome) string {
	switch o {
	case sallyport.Open:
		return green
	case sallyport.Waiting:
		return yellow
	}
	return red
}

func (t *text) head(d sallyport.Decision) {
	outcome := d.Outcome.String()
	if d.Undecided {
		outcome += " (no decision could be made)"
	}
	fmt.Fprintf(t.w, "%s gate: %s\n", Clean(string(d.Gate)), t.paint(bold+";"+outcomeColour(d.Outcome), outcome))
	fmt.Fprintln(t.w, subjectName(d.Subject))
	if d.Resource != "" {
		fmt.Fprintf(t.w, "for %s\n", Clean(d.Resource))
	}
}

// group puts the reasons of one code and outcome together, at the place of the first.
func group(rs []sallyport.Reason) [][]sallyport.Reason {
	type key struct {
		code    string
		outcome sallyport.Outcome
		set     string
		mode    sallyport.Mode
	}
	at := map[key]int{}
	var out [][]sallyport.Reason
	for _, r := range rs {
		k := key{r.Code, r.Outcome, r.Set, r.Mode}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], r)
	}
	return out
}

func (t *text) group(rs []sallyport.Reason, d sallyport.Decision) {
	first := rs[0]
	fmt.Fprintln(t.w)
	head := t.paint(outcomeColour(first.Outcome), Clean(first.Code))
	if first.Title != "" {
		head += t.paint(dim, "  "+Clean(first.Title))
	}
	if len(rs) > 1 {
		head += t.paint(dim, fmt.Sprintf("  (%d)", len(rs)))
	}
	fmt.Fprintln(t.w, "  "+head)
	if m := ruleMode(first, d.Mode); m != "" {
		t.para("  ", "", m, dim)
	}
	for i, r := range rs {
		if i == maxSame {
			t.para("  ", "", fmt.Sprintf("and %d more of the same code; --json lists them all", len(rs)-i), dim)
			break
		}
		lead := ""
		if len(rs) > 1 {
			lead = "- "
		}
		t.para("  ", lead, reasonText(r, d.Subject), "")
		if len(r.Looked) > 0 {
			t.para("  ", lead, "looked in: "+strings.Join(r.Looked, ", "), dim)
		}
		// One act that moves several on is said once, after the last of them.
		if r.Next != "" && (i == len(rs)-1 || i == maxSame-1 || rs[i+1].Next != r.Next) {
			if isCommand(r.Next) { // not wrapped: it is there to be copied
				fmt.Fprintln(t.w, "  next: "+t.paint(bold, Clean(r.Next)))
			} else {
				t.para("  ", "next: ", r.Next, bold)
			}
		}
	}
}

// ruleMode says how a rule acts that has a mode or a day of its own.
func ruleMode(r sallyport.Reason, repository sallyport.Mode) string {
	switch {
	case r.Mode == sallyport.Warn && r.EffectiveOn != "":
		return "this rule warns, and is enforced from " + r.EffectiveOn
	case r.Mode != "" && !r.Mode.Enforces():
		return "this rule is in mode " + string(r.Mode)
	case r.EffectiveOn != "" && (r.Mode != "" || repository.Enforces()):
		return "this rule is enforced since " + r.EffectiveOn
	case r.Mode != "":
		return "this rule is enforced, whatever the repository's mode is"
	}
	return ""
}

// isCommand reports whether what moves a reason on is, or ends with, something to type.
func isCommand(next string) bool {
	return strings.Contains(next, "sallyport ") || strings.Contains(next, "git ")
}

// reasonText is the fact, with the place before it unless the fact names it or the whole
// decision is about it.
func reasonText(r sallyport.Reason, subject sallyport.Subject) string {
	text := r.Text
	if text == "" {
		text = r.Title
	}
	if r.Place != "" && r.Place != string(subject.Digest) && !strings.Contains(text, r.Place) {
		return r.Place + ": " + text
	}
	return text
}

// excepted lists what exceptions hold off: nothing that was seen is left untold.
func (t *text) excepted(xs []sallyport.Excepted) {
	if len(xs) == 0 {
		return
	}
	fmt.Fprintln(t.w)
	fmt.Fprintln(t.w, "  "+t.paint(yellow, "held off by exceptions"))
	for i, x := range xs {
		if i == maxSame {
			t.para("  ", "", fmt.Sprintf("and %d more; --json lists them all", len(xs)-i), dim)
			break
		}
		t.para("  ", "- ", x.Reason.Code+": "+reasonText(x.Reason, sallyport.Subject{}), "")
		t.para("  ", "  ", exceptedBy(x), dim)
	}
}

func exceptedBy(x sallyport.Excepted) string {
	s := fmt.Sprintf("accepted by %s until %s, exception %s", x.By, x.Until, x.Exception.Short())
	if x.Ticket != "" {
		s += ", " + x.Ticket
	}
	return s
}

func (t *text) dropped(ds []sallyport.Dropped) {
	if len(ds) == 0 {
		return
	}
	fmt.Fprintln(t.w)
	fmt.Fprintln(t.w, "  "+t.paint(yellow, "evidence that did not verify and was not used"))
	for i, d := range ds {
		if i == maxSame {
			t.para("  ", "", fmt.Sprintf("and %d more; --json lists them all", len(ds)-i), dim)
			break
		}
		from := d.Attestation.Short()
		if d.Source != "" {
			from += " from " + d.Source
		}
		t.para("  ", "- ", from+": "+d.Why, "")
	}
}

// mode says what becomes of a refusal that is not enforced.
func (t *text) mode(d sallyport.Decision, why string) {
	then := "and the exit status is 0 all the same"
	if n := d.ExitStatus(); n != 0 {
		then = fmt.Sprintf("and the exit status is %d, since a rule of its own mode is enforced", n)
	}
	t.para("", "mode: ", fmt.Sprintf("%s; recorded as %s, %s", why, d.Outcome, then), "")
}

// SoloText says what a decision of a team of one is worth; every format carries it.
func SoloText(d sallyport.Decision) string {
	return "the root names " + d.Solo + " as the whole team, who may approve their own: nobody else need have looked"
}

func (t *text) foot(d sallyport.Decision, id sallyport.Digest) {
	if len(d.Advice) > 0 || d.Solo != "" || !d.Mode.Enforces() || !id.Zero() {
		fmt.Fprintln(t.w)
	}
	if !d.Mode.Enforces() && d.Outcome != sallyport.Open && !d.Undecided {
		t.mode(d, string(d.Mode))
	} else if d.Mode.Enforces() && d.ExitStatus() == 0 && d.Outcome != sallyport.Open {
		t.mode(d, "no rule that is enforced refuses")
	}
	if d.Solo != "" {
		t.para("", "solo: ", SoloText(d), "")
	}
	for _, a := range d.Advice {
		t.para("", "advice only: ", a, yellow)
	}
	if !id.Zero() {
		fmt.Fprintf(t.w, "decision: %s\n", Clean(string(id)))
	}
}
