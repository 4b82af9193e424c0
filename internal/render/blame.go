package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// A BlameReport is what `sallyport agent blame` answers: where each line of a file comes from. Its
// JSON keys do not change within a version of the program's JSON.
type BlameReport struct {
	Path    sallyport.Path   `json:"path"`
	Commit  sallyport.Digest `json:"commit"` // whose file it is, or on which what is not committed stands
	Lines   []BlameLine      `json:"lines"`
	Origins []BlameOrigin    `json:"origins"` // that lines name by index
	Commits []BlameCommit    `json:"commits"` // that lines name by index
	Runs    []BlameRun       `json:"runs"`    // that origins name by index
	Totals  BlameTotals      `json:"totals"`
}

// A BlameLine is one line.
type BlameLine struct {
	Line         int            `json:"line"`
	Text         string         `json:"text"`
	Origin       int            `json:"origin"`
	Commit       int            `json:"commit"` // -1: not committed
	OriginalLine int            `json:"original_line"`
	OriginalPath sallyport.Path `json:"original_path"`
}

// Uncommitted is the kind of origin of a line that no commit has.
const Uncommitted = "uncommitted"

// A BlameOrigin says who made lines, and how that is known.
type BlameOrigin struct {
	Kind     string          `json:"kind"` // agent, person, bot, nobody or uncommitted
	Name     string          `json:"name"`
	Grade    sallyport.Grade `json:"grade"`
	Model    string          `json:"model"`    // of the run, or as claimed
	Operator string          `json:"operator"` // of the agent, if known
	Run      int             `json:"run"`      // the accepted run that made it; -1: none
	Join     string          `json:"join"`     // how it was found to be the run's: commit, hunk, tree, blob or text
	Claims   []BlameClaim    `json:"claims"`   // what else was said, without proof
	Why      []string        `json:"why"`
}

// A BlameClaim is something said about lines without proof.
type BlameClaim struct {
	Source      string `json:"source"` // run, trailer, or the tool whose record it is
	Agent       string `json:"agent"`
	Model       string `json:"model"`
	Session     string `json:"session"` // the run's id, or how the tool calls it
	Join        string `json:"join,omitempty"`
	Why         string `json:"why"`         // what it says, or why it is not evidence
	Contradicts bool   `json:"contradicts"` // it says otherwise than the evidence
}

// A BlameCommit is a commit that made lines.
type BlameCommit struct {
	ID        sallyport.Digest `json:"id"`
	Title     string           `json:"title"`
	Author    sallyport.Ident  `json:"author"`
	Committer sallyport.Ident  `json:"committer"`
	Lines     int              `json:"lines"`
}

// A BlameRun is a run that made lines.
type BlameRun struct {
	ID          string           `json:"id"`
	Agent       string           `json:"agent"`
	Version     string           `json:"version"`
	Operator    string           `json:"operator"`
	Models      []string         `json:"models"`
	Grade       sallyport.Grade  `json:"grade"`
	Attestation sallyport.Digest `json:"attestation"`
	EndedAt     string           `json:"ended_at"`
	Lines       int              `json:"lines"`
}

// BlameTotals counts lines by origin. Attested are those of accepted runs.
type BlameTotals struct {
	Lines       int `json:"lines"`
	Agent       int `json:"agent"`
	Attested    int `json:"attested"`
	Person      int `json:"person"`
	Bot         int `json:"bot"`
	Nobody      int `json:"nobody"`
	Uncommitted int `json:"uncommitted"`
}

// BlameJSON writes a report as JSON on one line. Its lists are never null.
func BlameJSON(w io.Writer, r BlameReport) error {
	r.Lines = append([]BlameLine{}, r.Lines...)
	r.Origins = append([]BlameOrigin{}, r.Origins...)
	r.Commits = append([]BlameCommit{}, r.Commits...)
	r.Runs = append([]BlameRun{}, r.Runs...)
	for i := range r.Origins {
		o := &r.Origins[i]
		o.Claims, o.Why = append([]BlameClaim{}, o.Claims...), append([]string{}, o.Why...)
	}
	for i := range r.Runs {
		r.Runs[i].Models = append([]string{}, r.Runs[i].Models...)
	}
	return Value(w, r)
}

// Blame writes a report for people: each line after who made it, then what the marks mean.
func Blame(w io.Writer, r BlameReport, o Options) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	t := text{w: bw, o: o}
	heads := make([]string, len(r.Origins))
	widest := 0
	for i := range r.Origins {
		heads[i] = Clean(r.head(&r.Origins[i]))
		widest = max(widest, columns(heads[i]))
	}
	numbers := 1
	if n := len(r.Lines); n > 0 {
		numbers = len(fmt.Sprint(r.Lines[n-1].Line))
	}
	for i := range heads {
		pad := strings.Repeat(" ", widest-columns(heads[i]))
		heads[i] = t.paint(originColour(&r.Origins[i]), heads[i]) + pad
	}
	for _, l := range r.Lines {
		id := strings.Repeat("·", 9)
		if l.Commit >= 0 {
			id = short(r.Commits[l.Commit].ID)
		}
		fmt.Fprintf(bw, "%s %s %*d) %s\n", id, heads[l.Origin], numbers, l.Line, Clean(expand(l.Text)))
	}
	r.legend(&t)
	return bw.Flush()
}

func short(d sallyport.Digest) string {
	h := d.Hex()
	return Clean(h[:min(9, len(h))])
}

// expand shows tabs as spaces, so that lines of a program stand as in an editor.
func expand(s string) string {
	if !strings.Contains(s, "\t") {
		return s
	}
	return strings.ReplaceAll(s, "\t", "    ")
}

func originColour(o *BlameOrigin) string {
	switch {
	case o.Kind == Uncommitted:
		return dim
	case o.Run >= 0:
		return yellow
	}
	return kindColour(sallyport.PrincipalKind(strings.Replace(o.Kind, "nobody", "", 1)))
}

// head is an origin in a column: a run by its agent and id, another agent with a question mark for
// what is only claimed, a person or bot by name.
func (r *BlameReport) head(o *BlameOrigin) string {
	mark := ""
	for _, c := range o.Claims {
		if c.Contradicts {
			mark = "!"
		}
	}
	switch {
	case o.Kind == Uncommitted:
		return "not committed"
	case o.Run >= 0:
		s := fmt.Sprintf("%s %s %s", o.Name, tail(r.Runs[o.Run].ID, 20), o.Grade)
		if o.Join != "commit" {
			s += " by " + o.Join
		}
		return s + mark
	case o.Kind == "agent":
		return o.Name + "? " + string(o.Grade) + mark
	case o.Kind == "nobody" && len(o.Claims) > 0:
		for _, c := range o.Claims {
			if c.Agent != "" {
				return "nobody (" + c.Agent + "?)" + mark
			}
		}
		return "nobody (?)" + mark
	case o.Kind == "nobody":
		return "nobody"
	}
	return fmt.Sprintf("%s %s", o.Name, o.Grade) + mark
}

// legend tells the runs and the claims, and how much is whose.
func (r *BlameReport) legend(t *text) {
	fmt.Fprintln(t.w)
	n := r.Totals
	bar := Bar(40, n.Lines, Part{"r", n.Attested}, Part{"a", n.Agent - n.Attested}, Part{"p", n.Person}, Part{"b", n.Bot}, Part{"?", n.Nobody}, Part{"-", n.Uncommitted})
	fmt.Fprintf(t.w, "[%s] %s\n", bar, plural(n.Lines, "line"))
	for _, row := range []struct {
		mark, text string
		lines      int
		colour     string
	}{
		{"r", "of agents' runs, by accepted evidence", n.Attested, yellow},
		{"a", "of agents, as they claim", n.Agent - n.Attested, yellow},
		{"p", "of persons", n.Person, green}, {"b", "of bots", n.Bot, green},
		{"?", "of nobody: judged as an agent's", n.Nobody, red}, {"-", "not committed", n.Uncommitted, dim},
	} {
		if row.lines > 0 {
			fmt.Fprintf(t.w, "  %s %5s%%  %s %s\n", row.mark, percent(row.lines, n.Lines), plural(row.lines, "line"), t.paint(row.colour, row.text))
		}
	}
	for _, run := range r.Runs {
		s := fmt.Sprintf("%s, %s", plural(run.Lines, "line"), run.Agent)
		if run.Version != "" {
			s += " " + run.Version
		}
		if len(run.Models) > 0 {
			s += ", model " + strings.Join(run.Models, " and ")
		}
		t.para("", "run "+Clean(run.ID)+": ", s+", operated by "+run.Operator+", "+string(run.Grade), "")
	}
	said := map[string]bool{}
	for i := range r.Origins {
		for _, c := range r.Origins[i].Claims {
			s := c.Source
			if c.Session != "" {
				s += " " + c.Session
			}
			if c.Agent != "" {
				s += ": " + c.Agent
			}
			if c.Model != "" {
				s += ", model " + c.Model
			}
			if c.Why != "" {
				s += ": " + c.Why
			}
			lead, colour := "claim: ", ""
			if c.Contradicts {
				lead, colour = "claim against the evidence: ", red
			}
			if said[lead+s] {
				continue
			}
			if said[lead+s] = true; len(said) > maxSame {
				t.para("", "", "there are more claims; --json lists them all", dim)
				return
			}
			t.para("", lead, s, colour)
		}
	}
}

// BlamePorcelain writes a report as git blame --porcelain does, with more headers for each line,
// all of which begin with "sallyport-".
func BlamePorcelain(w io.Writer, r BlameReport) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	told := map[int]bool{}
	for _, l := range r.Lines {
		o := &r.Origins[l.Origin]
		id := strings.Repeat("0", len(r.Commit.Hex()))
		if l.Commit >= 0 {
			id = r.Commits[l.Commit].ID.Hex()
		}
		fmt.Fprintf(bw, "%s %d %d\n", id, l.OriginalLine, l.Line)
		if l.Commit >= 0 && !told[l.Commit] {
			told[l.Commit] = true
			c := &r.Commits[l.Commit]
			fmt.Fprintf(bw, "author %s\nauthor-mail <%s>\nauthor-time %d\nsummary %s\n", Clean(c.Author.Name), Clean(c.Author.Email), c.Author.Time, Clean(c.Title))
		}
		fmt.Fprintf(bw, "filename %s\nsallyport-kind %s\n", Clean(l.OriginalPath.String()), o.Kind)
		for _, h := range [][2]string{{"name", o.Name}, {"grade", string(o.Grade)}, {"model", o.Model}, {"operator", o.Operator}, {"join", o.Join}} {
			if h[1] != "" {
				fmt.Fprintf(bw, "sallyport-%s %s\n", h[0], Clean(h[1]))
			}
		}
		if o.Run >= 0 {
			fmt.Fprintf(bw, "sallyport-run %s\n", Clean(r.Runs[o.Run].ID))
		}
		for _, c := range o.Claims {
			fmt.Fprintf(bw, "sallyport-claim %s %s %s\n", Clean(c.Source), Clean(orNone(c.Agent)), Clean(orNone(c.Session)))
		}
		fmt.Fprintf(bw, "\t%s\n", cleanTabs(l.Text))
	}
	return bw.Flush()
}

// cleanTabs is Clean for a line of a program.
func cleanTabs(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = Clean(parts[i])
	}
	return strings.Join(parts, "\t")
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return strings.ReplaceAll(s, " ", "-")
}
