package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A RunSummary is one run of an agent as far as it is known here. Its JSON keys do not change within
// a version of the program's JSON.
type RunSummary struct {
	ID        string           `json:"id"`
	Agent     string           `json:"agent"`
	Version   string           `json:"version"`
	Operator  string           `json:"operator"`
	Models    []string         `json:"models"`
	StartedAt string           `json:"started_at"`
	EndedAt   string           `json:"ended_at"`
	State     string           `json:"state"` // accepted, claimed (with why), or recorded: no evidence, only a record here
	Why       string           `json:"why"`
	Grade     sallyport.Grade  `json:"grade"`
	Evidence  sallyport.Digest `json:"evidence"`
	Parts     int              `json:"parts"` // statements about the run: checkpoints and seals
	Commits   int              `json:"commits"`
	Hunks     int              `json:"hunks"`
	Files     int              `json:"files"`
	Record    string           `json:"record"` // folder of its record, if it is here
}

// States of a run.
const (
	RunAccepted = "accepted"
	RunClaimed  = "claimed"
	RunRecorded = "recorded"
)

// A RunReport is what `sallyport agent show` answers.
type RunReport struct {
	Run       RunSummary          `json:"run"`
	Statement *predicate.AgentRun `json:"statement"` // null without evidence; lists of digests are left out
	Signer    sallyport.Principal `json:"signer"`
	Standing  *RunStanding        `json:"standing"` // null if it was not asked for
	Others    []RunSummary        `json:"others"`   // further statements about the run
	Journal   *RunJournal         `json:"journal"`  // null without its record
}

// RunStanding says what became of a run's lines.
type RunStanding struct {
	Commit    sallyport.Digest `json:"commit"`
	Wrote     int              `json:"wrote"` // lines that it added, from its beginning to its end; -1 if its commits are not here
	Lines     int              `json:"lines"` // that stand in the commit
	Files     []RunFile        `json:"files"`
	NotLooked int              `json:"not_looked"` // files beyond the bound
}

// A RunFile is a file that a run wrote.
type RunFile struct {
	Path  sallyport.Path `json:"path"`
	Lines int            `json:"lines"` // of the run's that stand; -1: the file is gone
	Of    int            `json:"of"`
}

// A RunJournal is what the run's record here tells.
type RunJournal struct {
	Folder  string     `json:"folder"`
	ID      string     `json:"id"`
	Entries int64      `json:"entries"`
	Sealed  bool       `json:"sealed"`
	Agrees  string     `json:"agrees"` // yes, no, or unknown: with the statement's count and head
	Problem string     `json:"problem"`
	Events  []RunEvent `json:"-"`
	Kinds   []RunKind  `json:"kinds"`
	Texts   []RunText  `json:"texts"` // for an auditor
	Span    [2]string  `json:"span"`
}

// A RunEvent is one entry by kind and time.
type RunEvent struct {
	Kind string
	Time time.Time
}

// A RunKind counts entries.
type RunKind struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count"`
}

// A RunText is a text of the record, replayed.
type RunText struct {
	Seq  int64  `json:"seq"`
	Time string `json:"time"`
	Kind string `json:"kind"`
	Text string `json:"text"`
	Why  string `json:"why"` // it cannot be shown
}

// Runs writes a list of runs for people, the newest first.
func Runs(w io.Writer, rs []RunSummary, o Options) error {
	bw := bufio.NewWriter(w)
	if len(rs) == 0 {
		fmt.Fprintln(bw, "no run is known here")
		return bw.Flush()
	}
	rows := [][]string{{"ended", "state", "grade", "commits", "agent", "operator", "run"}}
	for _, r := range rs {
		ended := r.EndedAt
		if ended == "" {
			ended = "-"
		}
		rows = append(rows, []string{ended, r.State, orDash(string(r.Grade)), count(r.Commits), strings.TrimSpace(r.Agent + " " + r.Version), orDash(r.Operator), r.ID})
	}
	Table(bw, "", rows)
	return bw.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// RunsJSON writes a list of runs as JSON.
func RunsJSON(w io.Writer, rs []RunSummary) error {
	return Indented(w, struct {
		Runs []RunSummary `json:"runs"`
	}{append([]RunSummary{}, rs...)})
}

// RunJSON writes the story of a run as JSON.
func RunJSON(w io.Writer, r RunReport) error {
	r.Others = append([]RunSummary{}, r.Others...)
	if s := r.Statement; s != nil {
		short := *s
		short.Changes = predicate.Changes{Commits: append([]string{}, s.Changes.Commits...), Hunks: []string{}, Blobs: []predicate.Blob{}}
		r.Statement = &short
	}
	return Indented(w, r)
}

// Run tells the story of a run to people.
func Run(w io.Writer, r RunReport, o Options) error {
	bw := bufio.NewWriter(w)
	t := text{w: bw, o: o}
	s := r.Run
	fmt.Fprintf(bw, "%s  %s\n", t.paint(bold, Clean("run "+s.ID)), Clean(strings.TrimSpace(s.Agent+" "+s.Version)))
	state, colour := s.State, yellow
	switch s.State {
	case RunAccepted:
		state, colour = "accepted evidence, grade "+string(s.Grade)+", signed by "+strings.TrimSpace(string(r.Signer.Kind)+" "+r.Signer.Name), green
	case RunClaimed:
		state = "a claim: " + s.Why
	case RunRecorded:
		state = "recorded here, without evidence: a claim"
	}
	t.para("  ", "known by   ", state, colour)
	if s.Operator != "" {
		t.para("  ", "operator   ", s.Operator, "")
	}
	if r.Statement != nil {
		t.statement(r.Statement)
	}
	t.standing(r.Standing)
	t.journal(r.Journal)
	for _, x := range r.Others {
		t.para("  ", "also said  ", fmt.Sprintf("%s, %s: %s", x.Evidence.Short(), x.State, x.Why), dim)
	}
	return bw.Flush()
}

func (t *text) statement(s *predicate.AgentRun) {
	line := func(lead, format string, args ...any) {
		t.para("  ", fmt.Sprintf("%-11s", lead), fmt.Sprintf(format, args...), "")
	}
	took := ""
	if a, err := time.Parse(time.RFC3339, s.StartedAt); err == nil {
		if b, err := time.Parse(time.RFC3339, s.EndedAt); err == nil {
			took = ", " + b.Sub(a).Round(time.Second).String()
		}
	}
	line("when", "%s to %s%s", s.StartedAt, s.EndedAt, took)
	end := "ended with " + string(s.Conclusion)
	if c := s.Command; c != nil {
		end = fmt.Sprintf("%s, exit status %d, %s", c.Name, c.ExitStatus, end)
	}
	line("command", "%s", end)
	for _, m := range s.Models {
		entry := "not in the model registry, as far as the run knew"
		if m.Entry != "" {
			entry = "registry entry " + sallyport.Digest(m.Entry).Short()
		}
		line("model", "%s%s%s; %s", m.Name, optional(" of ", m.Provider), optional(", ", requests(m.Requests)), entry)
	}
	if p := s.Prompts; p != nil {
		line("prompts", "%s forwarded, %d refused", requests(p.Requests), p.Refused)
		for _, k := range p.Masked {
			line("masked", "%s of kind %s", plural(int(min(k.Values, 1<<31)), "value"), k.Kind)
		}
	}
	t.listed("tools", len(s.Tools), func(i int) string {
		return fmt.Sprintf("%s%s ×%d", s.Tools[i].Name, optional(" of ", s.Tools[i].Server), s.Tools[i].Calls)
	})
	t.listed("servers", len(s.Servers), func(i int) string { return s.Servers[i].Name + " " + sallyport.Digest(s.Servers[i].Digest).Short() })
	t.listed("configured", len(s.Configuration), func(i int) string {
		return s.Configuration[i].Name + " " + sallyport.Digest(s.Configuration[i].Digest).Short()
	})
	t.listed("inputs", len(s.Inputs), func(i int) string { return s.Inputs[i].Name + " " + sallyport.Digest(s.Inputs[i].Digest).Short() })
	if b := s.Sandbox; b != nil {
		line("sandbox", "%s%s%s", b.Mechanism, optional(" ", b.Version), optional(", profile ", sallyport.Digest(b.Profile).Short()))
		t.listed("refused", len(b.Refused), func(i int) string { return fmt.Sprintf("%s ×%d", b.Refused[i].Kind, b.Refused[i].Count) })
	}
	if h := s.Hooks; h != nil {
		line("hooks", "installed: %t; %d events, %d denied", h.Installed, h.Events, h.Denied)
	}
	line("supervisor", "%s, kept apart by: %s", s.Supervisor.Version, s.Supervisor.Separation)
	c := s.Changes
	line("changed", "%s, %s, %s", plural(len(c.Commits), "commit"), plural(len(c.Hunks), "hunk"), plural(len(c.Blobs), "file"))
	seal := "not sealed: the record may have been cut short"
	if s.Sealed {
		seal = fmt.Sprintf("sealed after %d entries, head %s", s.Records, sallyport.Digest(s.RecordHead).Short())
	}
	if s.Part > 0 {
		seal += fmt.Sprintf(", after %s", plural(int(min(s.Part, 1<<31)), "checkpoint"))
	}
	line("record", "%s", seal)
	if a := s.Anchor; a != nil {
		line("log", "began after entry %d of %s", a.Size, a.Origin)
	}
}

func requests(n int64) string {
	if n == 0 {
		return ""
	}
	return plural(int(min(n, 1<<31)), "request")
}

func optional(lead, s string) string {
	if s == "" {
		return ""
	}
	return lead + s
}

// listed writes a few of many.
func (t *text) listed(lead string, n int, item func(int) string) {
	if n == 0 {
		return
	}
	var items []string
	for i := range min(n, maxSame) {
		items = append(items, item(i))
	}
	if n > maxSame {
		items = append(items, fmt.Sprintf("and %d more", n-maxSame))
	}
	t.para("  ", fmt.Sprintf("%-11s", lead), strings.Join(items, ", "), "")
}

func (t *text) standing(s *RunStanding) {
	if s == nil {
		return
	}
	what := fmt.Sprintf("%s in %s", plural(s.Lines, "line"), s.Commit.Short())
	if s.Wrote >= 0 {
		what = fmt.Sprintf("%d of the %s that it wrote, in %s", s.Lines, plural(s.Wrote, "line"), s.Commit.Short())
	}
	t.para("  ", "standing   ", what, bold)
	for i, f := range s.Files {
		if i == 2*maxSame {
			t.para("             ", "", fmt.Sprintf("and %s more; --json lists them all", plural(len(s.Files)-i, "file")), dim)
			break
		}
		if f.Lines < 0 {
			t.para("             ", "", f.Path.String()+": gone", dim)
			continue
		}
		fmt.Fprintf(t.w, "             [%s] %d of %d  %s\n", Bar(20, f.Of, Part{"r", f.Lines}), f.Lines, f.Of, tail(f.Path.String(), t.o.Width-50))
	}
	if s.NotLooked > 0 {
		t.para("             ", "", plural(s.NotLooked, "file")+" more were not looked at", dim)
	}
}

// timelineWidth is how many columns the time of a run is drawn in.
const timelineWidth = 60

func (t *text) journal(j *RunJournal) {
	if j == nil {
		return
	}
	seal := "not sealed"
	if j.Sealed {
		seal = "sealed"
	}
	what := fmt.Sprintf("%s: %d entries, %s", j.Folder, j.Entries, seal)
	switch j.Agrees {
	case "yes":
		what += ", as the statement says"
	case "no":
		what += "; the statement counts or hashes it otherwise"
	}
	colour := ""
	if j.Problem != "" {
		what, colour = what+"; "+j.Problem, red
	}
	t.para("  ", "journal    ", what, colour)
	if len(j.Events) > 1 {
		t.timeline(j)
	}
	for _, x := range j.Texts {
		fmt.Fprintf(t.w, "\n%s\n", t.paint(bold, Clean(fmt.Sprintf("%s #%d %s", x.Time, x.Seq, x.Kind))))
		if x.Why != "" {
			t.para("  ", "", x.Why, dim)
			continue
		}
		for line := range strings.Lines(x.Text) {
			fmt.Fprintln(t.w, "  "+cleanTabs(strings.TrimRight(line, "\r\n")))
		}
	}
}

// timeline draws for each kind of entry when it came: a mark for each column of time that has one.
func (t *text) timeline(j *RunJournal) {
	first, last := j.Events[0].Time, j.Events[len(j.Events)-1].Time
	span := max(1, last.Sub(first))
	fmt.Fprintf(t.w, "             %s%s%s\n", first.Format("15:04:05"), strings.Repeat(" ", timelineWidth-16), last.Format("15:04:05"))
	for _, k := range j.Kinds {
		row := []rune(strings.Repeat("·", timelineWidth))
		for _, e := range j.Events {
			if e.Kind == k.Kind {
				at := int(int64(e.Time.Sub(first)) * int64(timelineWidth-1) / int64(span))
				if row[at] == '·' {
					row[at] = '▪'
				} else {
					row[at] = '█'
				}
			}
		}
		colour := ""
		if k.Kind == "refused" {
			colour = red
		}
		fmt.Fprintf(t.w, "  %10s %s %d\n", tail(Clean(k.Kind), 10), t.paint(colour, string(row)), k.Count)
	}
}
