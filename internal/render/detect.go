package render

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// A DetectReport is what `sallyport agent detect` answers: who wrote what in a range, and why
// it is believed. Its JSON keys do not change within a version of the program's JSON.
type DetectReport struct {
	Range    string                  `json:"range"`
	Commits  []sallyport.CommitInput `json:"commits"` // oldest first
	Files    []sallyport.FileInput   `json:"files"`
	Coverage sallyport.Coverage      `json:"coverage"`
	Findings []sallyport.Finding     `json:"findings"`
	Claims   []sallyport.ClaimInput  `json:"claims"` // what other tools' records and the messages say
}

// How many commits and files are listed for people.
const (
	maxCommits = 200
	maxFiles   = 40
)

// Agents writes a report for people: each commit with who made it, at what grade and why; the
// files with what nobody accounts for; what is wrong with identities; and the coverage.
func Agents(w io.Writer, r DetectReport, o Options) error {
	bw := bufio.NewWriter(w)
	t := text{w: bw, o: o}
	fmt.Fprintf(bw, "%s: %s, %s\n", Clean(r.Range), plural(len(r.Commits), "commit"), plural(len(r.Files), "file"))
	for i, c := range r.Commits {
		if i == maxCommits {
			fmt.Fprintf(bw, "\nand %d more; --json lists them all\n", len(r.Commits)-i)
			break
		}
		t.commit(c)
	}
	t.files(r.Files)
	if r.Coverage.Attested > 0 {
		t.uncovered(r.Files)
	}
	t.findings(r.Findings)
	t.claims(r.Claims)
	t.coverage(r.Coverage)
	return bw.Flush()
}

// AgentsJSON writes a report as JSON. Its lists are never null.
func AgentsJSON(w io.Writer, r DetectReport) error {
	r.Commits = append([]sallyport.CommitInput{}, r.Commits...)
	r.Files = append([]sallyport.FileInput{}, r.Files...)
	r.Findings = append([]sallyport.Finding{}, r.Findings...)
	r.Claims = append([]sallyport.ClaimInput{}, r.Claims...)
	return Indented(w, r)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func kindColour(k sallyport.PrincipalKind) string {
	switch k {
	case sallyport.Person, sallyport.Bot:
		return green
	case sallyport.Agent:
		return yellow
	}
	return red
}

// maker is who made something, in one phrase.
func maker(a sallyport.Attribution) string {
	if a.Principal.Kind == sallyport.Nobody {
		return "nobody"
	}
	s := string(a.Principal.Kind) + " " + a.Principal.Name
	var notes []string
	if a.Grade != "" {
		notes = append(notes, string(a.Grade))
	}
	if a.Model != "" {
		notes = append(notes, "model "+a.Model)
	}
	if a.Operator != "" {
		notes = append(notes, "operated by "+a.Operator)
	}
	if len(notes) > 0 {
		s += " (" + strings.Join(notes, ", ") + ")"
	}
	return s
}

func (t *text) commit(c sallyport.CommitInput) {
	fmt.Fprintln(t.w)
	id := c.ID.Hex()
	if len(id) > 12 {
		id = id[:12]
	}
	fmt.Fprintf(t.w, "%s  %s\n", t.paint(bold, Clean(id)), Clean(c.Title))
	t.para("  ", "by ", maker(c.Attribution), kindColour(c.Attribution.Principal.Kind))
	for _, why := range c.Attribution.Why {
		t.para("  ", "- ", why, "")
	}
	if s := c.Signature; s.State != "" && s.State != sallyport.SignatureNone {
		line := s.Kind + " signature: " + s.State
		if s.Person != "" {
			line += ", key of " + s.Person
		}
		if s.Detail != "" {
			line += " (" + s.Detail + ")"
		}
		t.para("  ", "- ", line, "")
	}
	if c.Evil {
		t.para("  ", "- ", "this merge holds changes that its parents' merge does not", yellow)
	}
}

func (t *text) files(fs []sallyport.FileInput) {
	if len(fs) == 0 {
		return
	}
	fmt.Fprintln(t.w)
	rows := [][]string{{"agent", "person", "bot", "nobody", "file"}}
	for i, f := range fs {
		if i == maxFiles {
			rows = append(rows, []string{"", "", "", "", fmt.Sprintf("and %d more; --json lists them all", len(fs)-i)})
			break
		}
		classes := ""
		if len(f.Classes) > 0 {
			classes = "  [" + strings.Join(f.Classes, " ") + "]"
		}
		name := tail(f.Path.String(), t.o.Width-countColumns-len(classes)) + classes
		a := f.Attribution
		rows = append(rows, []string{count(a.Agent), count(a.Person), count(a.Bot), count(a.Unattributed), name})
	}
	Table(t.w, "  ", rows)
}

// countColumns is what stands before a path in the table of files, with some room to spare.
const countColumns = 36

// tail shortens a path from the left, where what two paths share mostly is. A width of no use
// shortens nothing.
func tail(path string, width int) string {
	rs := []rune(path)
	if width < 20 || len(rs) <= width {
		return path
	}
	return "…" + string(rs[len(rs)-width+1:])
}

func count(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// Table writes rows in columns that line up; the last column is not padded, all others are
// aligned to the right. Cells are cleaned. All rows have as many cells as the first.
func Table(w io.Writer, indent string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], columns(Clean(c)))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		b.WriteString(indent)
		for i, c := range r {
			c = Clean(c)
			if i == len(r)-1 {
				b.WriteString(c)
				continue
			}
			b.WriteString(strings.Repeat(" ", widths[i]-columns(c)) + c + "  ")
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

func (t *text) findings(fs []sallyport.Finding) {
	if len(fs) == 0 {
		return
	}
	fmt.Fprintln(t.w)
	for i, f := range fs {
		if i == maxSame {
			t.para("", "", fmt.Sprintf("and %d more findings; --json lists them all", len(fs)-i), dim)
			break
		}
		place := ""
		switch {
		case f.Path != "" && f.Line > 0:
			place = fmt.Sprintf("%s:%d: ", f.Path, f.Line)
		case f.Path != "":
			place = f.Path.String() + ": "
		case f.Commit != "":
			place = f.Commit.Short() + ": "
		}
		t.para("", t.lead(f), place+f.Text, "")
	}
}

// uncovered names the lines beside what runs account for, and those that no run wrote.
func (t *text) uncovered(fs []sallyport.FileInput) {
	told := 0
	for _, f := range fs {
		if len(f.UncoveredLines) == 0 {
			continue
		}
		if told++; told == 1 {
			fmt.Fprintln(t.w)
		}
		if told > maxSame {
			t.para("", "", "and more files; --json lists them all", dim)
			return
		}
		t.para("", "no evidence: ", f.Path.String()+":"+lineList(f.UncoveredLines), "")
		if len(f.Stray) > 0 {
			t.para("", "no run wrote: ", f.Path.String()+":"+lineList(f.Stray), yellow)
		}
	}
}

func lineList(ranges []sallyport.LineRange) string {
	var out []string
	for i, r := range ranges {
		if i == maxSame {
			out = append(out, "…")
			break
		}
		if r.Lines == 1 {
			out = append(out, strconv.Itoa(r.Start))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", r.Start, r.Start+r.Lines-1))
		}
	}
	return strings.Join(out, ",")
}

// claims tells what records say, those that evidence contradicts first.
func (t *text) claims(cs []sallyport.ClaimInput) {
	if len(cs) == 0 {
		return
	}
	fmt.Fprintln(t.w)
	told := map[string]bool{}
	for _, against := range []bool{true, false} {
		for _, c := range cs {
			s := c.Commit.Short() + ", " + claimText(c)
			if c.Contradicts != against || told[s] {
				continue
			}
			if told[s] = true; len(told) > maxSame {
				t.para("", "", "there are more claims; --json lists them all", dim)
				return
			}
			if against {
				t.para("", "claim against the evidence: ", s, red)
			} else {
				t.para("", "claim: ", s, "")
			}
		}
	}
}

func claimText(c sallyport.ClaimInput) string {
	who := map[string]string{"human": "a person wrote it", "mixed": "an agent and a person wrote it", "agent": "an agent wrote it"}[c.By]
	if who == "" {
		who = "somebody wrote it"
	}
	s := c.Source + " says: " + who
	for _, x := range [][2]string{{"agent ", c.Agent}, {"model ", c.Model}, {"session ", c.Session}, {"by ", c.Human}} {
		if x[1] != "" {
			s += ", " + x[0] + x[1]
		}
	}
	if c.Path != "" {
		s += ", " + c.Path.String()
		if c.Start > 0 {
			s += fmt.Sprintf(":%d-%d", c.Start, c.End)
		}
	}
	return s
}

func (t *text) lead(f sallyport.Finding) string {
	return Clean(string(f.Severity)) + " " + Clean(string(f.Kind)) + ": "
}

// coverage draws who accounts for the range. Its figure is the share of lines for which a
// person, a bot or an agent's run answers; the agent's own word about itself does not.
func (t *text) coverage(c sallyport.Coverage) {
	l := c.Lines
	fmt.Fprintln(t.w)
	bar := Bar(40, l.Total(), Part{"a", l.Agent}, Part{"p", l.Person}, Part{"b", l.Bot}, Part{"?", l.Unattributed})
	fmt.Fprintf(t.w, "[%s] %s, %s\n", bar, plural(l.Total(), "line"), plural(c.Units.Total(), "place"))
	for _, row := range []struct {
		kind  sallyport.PrincipalKind
		mark  string
		name  string
		lines int
		units int
	}{
		{sallyport.Agent, "a", "agents", l.Agent, c.Units.Agent}, {sallyport.Person, "p", "persons", l.Person, c.Units.Person},
		{sallyport.Bot, "b", "bots", l.Bot, c.Units.Bot}, {sallyport.Nobody, "?", "nobody", l.Unattributed, c.Units.Unattributed},
	} {
		if row.units > 0 || row.lines > 0 {
			name := t.paint(kindColour(row.kind), row.name) + strings.Repeat(" ", 8-len(row.name))
			fmt.Fprintf(t.w, "  %s %s %5s%%  %s in %s\n", row.mark, name, percent(row.lines, l.Total()), plural(row.lines, "line"), plural(row.units, "place"))
		}
	}
	t.para("", "named: ", percent(l.Total()-l.Unattributed, l.Total())+"% of lines have a person, a bot or an agent to their name; the rest is judged as an agent's", "")
	t.para("", "attested: ", percent(c.Attested, c.Total)+"% of lines are covered by a verified record of an agent's run", "")
}

// percent is a share with one decimal. What is not all never reads 100, and what is not nothing
// never reads 0.
func percent(part, total int) string {
	if total <= 0 {
		return "0.0"
	}
	p := 100 * float64(part) / float64(total)
	switch {
	case part < total:
		p = min(p, 99.9)
	default:
		p = 100
	}
	if part > 0 {
		p = max(p, 0.1)
	}
	return strconv.FormatFloat(p, 'f', 1, 64)
}
