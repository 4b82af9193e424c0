package approval

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Width is the widest line of a screen, in columns.
const Width = 100

// Lines of each part of a screen that grows with the change. Together with what is fixed they
// keep the screen of a usual change within forty lines, and of any change within seventy-five.
const (
	maxCommits  = 6
	maxFiles    = 9
	maxFindings = 5
	maxResidue  = 3
	maxReasons  = 4 // that wait, and as many that stay shut
	maxShown    = 3 // policy sets
)

// A ScreenInput is what a screen is made of.
type ScreenInput struct {
	Reviewer  string
	Input     sallyport.Input // as policy saw it, without the approval that is asked for
	Change    *sallyport.Change
	Policies  []sallyport.PolicySet
	Reasons   []sallyport.Reason   // of the decision as it stands
	Excepted  []sallyport.Excepted // what exceptions hold off
	Protected []string             // classes of files that policy protects
	Expires   time.Time            // when the approval would expire
}

// Screen returns the one text that a reviewer is shown and vouches for: where the change would
// land, who wrote it, what in it is risky, what nobody accounts for, what the approval opens
// and what it does not, and every digest that is signed. Its SHA-256 goes into the approval.
//
// It is a function of its input alone, printable ASCII and newlines, at most [Width] columns
// wide and no longer than a screen. Lists that do not fit are cut after their riskiest entries,
// and say how many are left out; whatever the size of the change, the weights, the counts of
// risks and the digests are complete.
func Screen(in ScreenInput) string {
	s := screen{in: in}
	s.where()
	s.who()
	s.commits()
	s.files()
	s.findings()
	s.residue()
	s.effect()
	s.signed()
	return s.b.String()
}

// Risks sums up what Screen singles out, for the approval's predicate.
func Risks(in ScreenInput) *predicate.Vouches {
	v := &predicate.Vouches{}
	for _, f := range in.Input.Change.Files {
		v.Unattributed += f.Uncovered.Unattributed
		v.Unattested += f.Uncovered.Agent
		if in.protected(f) {
			v.Protected++
		}
	}
	for _, r := range in.Reasons {
		if len(v.Codes) < 64 && r.Code != "" && !slices.Contains(v.Codes, r.Code) {
			v.Codes = append(v.Codes, r.Code)
		}
	}
	slices.Sort(v.Codes)
	return v
}

func (in ScreenInput) protected(f sallyport.FileInput) bool {
	return slices.ContainsFunc(f.Classes, func(c string) bool { return slices.Contains(in.Protected, c) })
}

type screen struct {
	in ScreenInput
	b  strings.Builder
}

// line writes one line, cut to Width. Its arguments hold no bytes but printable ASCII.
func (s *screen) line(format string, args ...any) {
	s.b.WriteString(strings.TrimRight(trim(fmt.Sprintf(format, args...), Width), " "))
	s.b.WriteByte('\n')
}

func (s *screen) heading(format string, args ...any) {
	s.b.WriteByte('\n')
	s.line(format, args...)
}

// whole writes what must not be cut, over as many lines as it takes.
func (s *screen) whole(label, value string) {
	room := Width - len(label)
	for len(value) > room {
		s.line("%s%s", label, value[:room])
		label, value = strings.Repeat(" ", len(label)), value[room:]
	}
	s.line("%s%s", label, value)
}

func (s *screen) more(n int, what string) {
	if n > 0 {
		s.line("  and %d more %s", n, what)
	}
}

func (s *screen) where() {
	c := s.in.Change
	s.line("APPROVAL OF A CHANGE")
	s.whole("  repository  ", ascii(s.in.Input.Repository))
	s.whole("  target      ", ascii(c.TargetRef)+" ("+ascii(c.RefAction)+")")
	s.whole("  reviewer    ", ascii(s.in.Reviewer))
	if pr := s.in.Input.PullRequest; pr.Number != 0 || pr.Pusher != "" {
		s.line("  request     #%d, pushed by %s", pr.Number, orNobody(pr.Pusher))
	}
}

func orNobody(s string) string {
	if s == "" {
		return "nobody who was authenticated"
	}
	return ascii(s)
}

// bar draws part of total in n columns. What is not zero shows at least one mark, and what is
// not all leaves at least one gap.
func bar(part, total, n int) string {
	if total <= 0 || part <= 0 {
		return strings.Repeat(".", n)
	}
	full := min(int(int64(part)*int64(n)/int64(total)), n)
	if full == 0 {
		full = 1
	}
	if full == n && part < total {
		full = n - 1
	}
	return strings.Repeat("#", full) + strings.Repeat(".", n-full)
}

func (s *screen) who() {
	cov := s.in.Input.Change.Coverage
	u, l := cov.Units, cov.Lines
	s.heading("WHO WROTE IT: %s in %s, %s", plural(l.Total(), "line"), plural(u.Total(), "place"), plural(len(s.in.Input.Change.Files), "file"))
	row := func(name string, lines, units int, note string) {
		if lines != 0 || units != 0 {
			s.line("  %-13s [%s] %s in %s: %s", name, bar(lines, l.Total(), 16), plural(lines, "line"), plural(units, "place"), note)
		}
	}
	row("agent", l.Agent, u.Agent, s.agents())
	row("unattributed", l.Unattributed, u.Unattributed, "nobody accounts for it")
	row("bot", l.Bot, u.Bot, "verified, within its scope")
	row("person", l.Person, u.Person, "signed at an accepted grade")
	if l.Total() == 0 {
		s.line("  nothing would change")
	}
	s.line("  a verified record of an agent's run covers %d of %d lines", cov.Attested, cov.Total)
}

func (s *screen) agents() string {
	var bad, good []string
	for _, a := range s.in.Input.Agents {
		n := quote(a.Name)
		if a.Operator != "" {
			n += " run by " + quote(a.Operator)
		}
		if a.Approved {
			good = append(good, n)
		} else {
			bad = append(bad, "NOT APPROVED: "+n)
		}
	}
	return strings.Join(append(bad, good...), ", ")
}

func (s *screen) commits() {
	cs := s.in.Input.Change.Commits
	if len(cs) == 0 {
		return
	}
	s.heading("COMMITS: %d", len(cs))
	// Oldest first, as the story goes, but merges that hold changes of their own before all.
	order := make([]int, 0, len(cs))
	for i := range cs {
		if cs[i].Evil {
			order = append(order, i)
		}
	}
	for i := range cs {
		if !cs[i].Evil {
			order = append(order, i)
		}
	}
	for n, i := range order {
		if n == maxCommits && len(order) > maxCommits+1 {
			s.more(len(order)-n, "commits")
			break
		}
		c := cs[i]
		mark := ""
		if c.Evil {
			mark = "MERGE ADDS CHANGES: "
		}
		s.line("  %s  %s  %s%s", first(c.ID.Hex(), 12), trim(fmt.Sprintf("%-32s", who(c)), 42), mark, quoted(c.Title, 48))
	}
}

func who(c sallyport.CommitInput) string {
	p := c.Attribution.Principal
	if p.Kind == sallyport.Nobody {
		if c.Author.Name == "" {
			return "nobody"
		}
		return "nobody (says " + trim(ascii(c.Author.Name), 20) + ")"
	}
	return fmt.Sprintf("%s %s (%s)", p.Kind, trim(quote(p.Name), 20), c.Attribution.Grade)
}

// quoted is s in quotation marks, cut to n columns.
func quoted(s string, n int) string {
	q := ascii(s)
	if !strings.HasPrefix(q, `"`) {
		q = `"` + q + `"`
	}
	return trim(q, n)
}

func (s *screen) files() {
	fs := slices.Clone(s.in.Input.Change.Files)
	if len(fs) == 0 {
		return
	}
	slices.SortStableFunc(fs, func(a, b sallyport.FileInput) int { return s.risk(b) - s.risk(a) })
	count := map[string]int{}
	touched := 0
	for _, f := range fs {
		for _, c := range f.Classes {
			count[c]++
		}
		if s.in.protected(f) {
			touched++
		}
	}
	var classes []string
	for _, c := range sortedKeys(count) {
		classes = append(classes, fmt.Sprintf("%d %s", count[c], ascii(c)))
	}
	s.heading("FILES: %d, of which %d protected, marked !", len(fs), touched)
	if len(classes) > 0 {
		s.line("  by class: %s", strings.Join(classes, ", "))
	}
	for n, f := range fs {
		if n == maxFiles && len(fs) > maxFiles+1 {
			s.more(len(fs)-n, "files")
			break
		}
		s.file(f)
	}
}

// risk orders files: protected ones first, then those with most that nobody accounts for.
func (s *screen) risk(f sallyport.FileInput) int {
	w := min(f.Uncovered.Agent+f.Uncovered.Unattributed, 1<<20)
	if s.in.protected(f) {
		w += 1 << 24
	}
	if slices.ContainsFunc(f.Classes, func(c string) bool { return c == "dependency" || c == "lockfile" }) {
		w += 1 << 22
	}
	return w
}

func (s *screen) file(f sallyport.FileInput) {
	mark := " "
	if s.in.protected(f) {
		mark = "!"
	}
	what := fmt.Sprintf("+%d -%d", f.Added, f.Removed)
	if f.Binary {
		what = "binary"
	}
	var notes []string
	if f.Status != "modified" {
		notes = append(notes, ascii(f.Status))
	}
	if f.OldMode != f.NewMode && f.Status == "modified" {
		notes = append(notes, "mode "+ascii(f.OldMode)+" to "+ascii(f.NewMode))
	}
	for _, c := range f.Classes {
		notes = append(notes, ascii(c))
	}
	if n := f.Uncovered.Unattributed; n > 0 {
		notes = append(notes, fmt.Sprintf("%d by nobody", n))
	}
	if n := f.Uncovered.Agent; n > 0 {
		notes = append(notes, fmt.Sprintf("%d by an agent, no run", n))
	}
	if f.OldPath != "" {
		notes = append(notes, "from "+ascii(string(f.OldPath)))
	}
	tail := strings.Join(notes, ", ")
	s.line("  %s %-10s %-40s  %s", mark, what, cut(ascii(string(f.Path)), 40), tail)
}
