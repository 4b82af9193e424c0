package render

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
)

// A Summary is what a pull request's reader wants to know beside the decision.
type Summary struct {
	// Missing is how many approvals are needed that nobody has given yet.
	Missing int
	// Reviewers may give them, by the roster's id.
	Reviewers []string
}

// Bounds of a Markdown summary: forges cut a comment at 65,536 characters, and cut short it would
// lose the end of its own markup.
const (
	maxRows     = 12
	maxField    = 300    // runes of one field
	maxMarkdown = 40_000 // bytes, after which details are counted and not listed
)

// Markdown writes a decision as the summary of a check, in GitHub's and GitLab's Markdown: the
// verdict in the first line, a table of what must happen and who can do it, and the details folded
// below. id is the decision's digest; zero if it was not recorded.
//
// Whatever comes from outside stands in a code span, in which nothing is a link, a mention, a
// reference, a tag or an image, whichever of the dialects reads it. Only a text of plain words is
// written as such.
func Markdown(w io.Writer, d sallyport.Decision, id sallyport.Digest, s Summary) error {
	var b bytes.Buffer
	m := markdown{&b}
	groups := group(d.Reasons)
	fmt.Fprintf(&b, "### %s\n\n", headline(d, groups))
	m.mode(d)
	m.table(groups, d.Subject, s)
	if len(d.Excepted) > 0 {
		fmt.Fprintf(&b, "**Held off by exceptions:** %d, see below.\n\n", len(d.Excepted))
	}
	if d.Solo != "" {
		fmt.Fprintf(&b, "**Solo:** %s.\n\n", prose(SoloText(d)))
	}
	if len(d.Advice) > 0 {
		fmt.Fprint(&b, "**Advice only:** no later gate may rely on this decision.\n\n")
	}
	fmt.Fprintf(&b, "%s", code(string(d.Subject.Digest)))
	if d.Subject.Name != "" {
		fmt.Fprintf(&b, " onto %s", code(d.Subject.Name))
	}
	fmt.Fprint(&b, "\n")
	m.details(d, id, groups)
	_, err := w.Write(b.Bytes())
	return err
}

type markdown struct{ *bytes.Buffer }

// mode says what becomes of a refusal that does not fail its caller, or that does in a mode that
// otherwise would not.
func (m markdown) mode(d sallyport.Decision) {
	if d.Outcome == sallyport.Open || d.Undecided {
		return
	}
	switch stopped := d.ExitStatus() != 0; {
	case !stopped && d.Mode.Enforces():
		fmt.Fprintf(m, "No rule that is enforced refuses, so nothing is stopped. It is recorded as %s.\n\n", d.Outcome)
	case !stopped:
		fmt.Fprintf(m, "Mode %s: nothing is stopped. It is recorded as %s.\n\n", prose(string(d.Mode)), d.Outcome)
	case !d.Mode.Enforces():
		fmt.Fprintf(m, "Mode %s, and a rule that is enforced all the same refuses.\n\n", prose(string(d.Mode)))
	}
}

// headline is the verdict in one line.
func headline(d sallyport.Decision, groups [][]sallyport.Reason) string {
	gate := capital(prose(string(d.Gate))) + " gate"
	shut := 0
	for _, g := range groups {
		if g[0].Outcome == sallyport.Shut {
			shut++
		}
	}
	switch {
	case d.Undecided:
		return "⚠️ " + gate + ": no decision could be made; treat it as shut"
	case d.Outcome == sallyport.Open:
		return "✅ " + gate + ": open"
	case d.Outcome == sallyport.Waiting:
		return "⏳ " + gate + ": waiting for a person's approval"
	case shut == 1:
		return "⛔ " + gate + ": shut, one thing must change"
	}
	return fmt.Sprintf("⛔ %s: shut, %d things must change", gate, shut)
}

// mark shows what a reason does.
func mark(o sallyport.Outcome) string {
	if o == sallyport.Waiting {
		return "⏳"
	}
	return "⛔"
}

func (m markdown) table(groups [][]sallyport.Reason, subject sallyport.Subject, s Summary) {
	if len(groups) == 0 {
		return
	}
	fmt.Fprint(m, "| What must happen | Who can do it | Where |\n|---|---|---|\n")
	for i, g := range groups {
		if i == maxRows {
			fmt.Fprintf(m, "| and %d more, see below | | |\n", len(groups)-i)
			break
		}
		what := prose(g[0].Title)
		if g[0].Title == "" {
			what = code(g[0].Code)
		}
		fmt.Fprintf(m, "| %s %s | %s | %s |\n", mark(g[0].Outcome), what, who(g[0], s), where(g, subject))
	}
	fmt.Fprintln(m)
}

// who says in a few words who can move a reason on.
func who(r sallyport.Reason, s Summary) string {
	if r.Outcome == sallyport.Waiting {
		need := "a reviewer"
		if s.Missing > 1 {
			need = fmt.Sprintf("%d reviewers", s.Missing)
		}
		if len(s.Reviewers) == 0 {
			return need
		}
		names := make([]string, 0, len(s.Reviewers))
		for i, name := range s.Reviewers {
			if i == maxSame {
				names = append(names, fmt.Sprintf("%d more", len(s.Reviewers)-i))
				break
			}
			names = append(names, code(name))
		}
		return need + " of " + strings.Join(names, ", ")
	}
	switch r.Code {
	case "attestation-missing":
		return "who keeps the run's supervisor"
	case "policy-changed", "root-changed":
		return "who holds the pin"
	case "agent-not-approved":
		return "who keeps the roster"
	case "policy-error", "policy-empty", "policy-undefined", "policy-duplicate":
		return "who keeps the policy"
	}
	return "the author"
}

// where names the first place of a group, and how many more there are.
func where(g []sallyport.Reason, subject sallyport.Subject) string {
	var places []string
	for _, r := range g {
		if r.Place != "" && r.Place != string(subject.Digest) {
			places = append(places, r.Place)
		}
	}
	switch len(places) {
	case 0:
		return "the whole change"
	case 1:
		return code(places[0])
	}
	return fmt.Sprintf("%s and %d more", code(places[0]), len(places)-1)
}

// capital begins s, which is not empty and begins with an ASCII character, with a capital.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// act is what moves a reason on: a command to copy, or a sentence.
func act(next string) string {
	if isCommand(next) {
		return code(next)
	}
	return prose(next)
}

// details are folded. The tags are the only HTML, and a blank line after each makes what follows
// Markdown again.
func (m markdown) details(d sallyport.Decision, id sallyport.Digest, groups [][]sallyport.Reason) {
	fmt.Fprintf(m, "\n<details>\n<summary>Details</summary>\n\n")
	left := len(d.Reasons)
	for _, g := range groups {
		if m.Len() > maxMarkdown {
			break
		}
		fmt.Fprintf(m, "%s **%s**", mark(g[0].Outcome), code(g[0].Code))
		if g[0].Set != "" {
			fmt.Fprintf(m, " of policy set %s", code(g[0].Set))
		}
		fmt.Fprint(m, "\n\n")
		for i, r := range g {
			if i == maxSame {
				fmt.Fprintf(m, "- and %d more of the same code\n", len(g)-i)
				break
			}
			fmt.Fprintf(m, "- %s\n", code(reasonText(r, d.Subject)))
			if said := ruleMode(r, d.Mode); said != "" {
				fmt.Fprintf(m, "- %s\n", prose(said))
			}
			if r.Next != "" && (i == len(g)-1 || i == maxSame-1 || g[i+1].Next != r.Next) {
				fmt.Fprintf(m, "- next: %s\n", act(r.Next))
			}
		}
		left -= len(g)
		fmt.Fprintln(m)
	}
	if left > 0 {
		fmt.Fprintf(m, "And %d more reasons; the JSON output lists them all.\n\n", left)
	}
	var excepted []string
	for _, x := range d.Excepted {
		excepted = append(excepted, code(x.Reason.Code+": "+reasonText(x.Reason, d.Subject)+" ("+exceptedBy(x)+")"))
	}
	m.list("Held off by exceptions:", excepted)
	var dropped []string
	for _, x := range d.Dropped {
		from := x.Attestation.Short()
		if x.Source != "" {
			from += " from " + x.Source
		}
		dropped = append(dropped, code(from+": "+x.Why))
	}
	m.list("Evidence that did not verify and was not used:", dropped)
	var advice []string
	for _, a := range d.Advice {
		advice = append(advice, prose(a))
	}
	m.list("Why it is advice only:", advice)
	if d.Resource != "" {
		fmt.Fprintf(m, "For %s", code(d.Resource))
		if !id.Zero() {
			fmt.Fprintf(m, ", decision %s", code(string(id)))
		}
		fmt.Fprint(m, "\n\n")
	}
	fmt.Fprint(m, "</details>\n")
}

// list writes the first of some items, and how many more there are.
func (m markdown) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(m, "%s\n\n", title)
	for i, item := range items {
		if i == maxSame {
			fmt.Fprintf(m, "- and %d more\n", len(items)-i)
			break
		}
		fmt.Fprintf(m, "- %s\n", item)
	}
	fmt.Fprintln(m)
}

// code writes s, whatever it holds, as a code span that fits into a table's cell: the bars and
// backquotes that would end either are escaped as Clean escapes what does not print.
func code(s string) string {
	s = clip(Clean(s))
	if strings.TrimSpace(s) == "" {
		s = `""`
	}
	return "`" + strings.NewReplacer("`", `\x60`, "|", `\x7c`).Replace(s) + "`"
}

// plain is a text of words. Letters beyond ASCII are left to code spans as well: they can look
// like markup, and nothing is lost.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 ,.;:()'’/-]*$`)

// linked is what a forge makes a link of within plain words: addresses, commits and the keys of
// issue trackers.
var linked = regexp.MustCompile(`(?i)www\.|:/|//|\b[0-9a-f]{7,}\b|[a-z]-[0-9]`)

// prose writes s as it is if it is plain words, else as a code span.
func prose(s string) string {
	if s = clip(Clean(s)); plain.MatchString(s) && !linked.MatchString(s) {
		return s
	}
	return code(s)
}

// clip bounds s, which is clean.
func clip(s string) string {
	if utf8.RuneCountInString(s) <= maxField {
		return s
	}
	n := 0
	for i := range s {
		if n == maxField {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
