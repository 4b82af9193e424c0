package app

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/render"
	"github.com/sallyport-dev/sallyport/internal/trace/blame"
	"github.com/sallyport-dev/sallyport/internal/trace/claims"
)

// maxCompared bounds how many pairs of versions of the file are compared in one blame.
const maxCompared = 256

// A blamePlace is what one hunk of one source added: its lines have one answer, but for texts that
// have to be compared.
type blamePlace struct{ source, hunk int }

// join makes the report.
func (b *blaming) join(ctx context.Context) (render.BlameReport, error) {
	slices.SortStableFunc(b.records, func(x, y *runRecord) int { return cmp.Compare(x.run.EndedAt, y.run.EndedAt) })
	runs := make([]blame.Run, len(b.records))
	for i, r := range b.records {
		runs[i] = r.made
	}
	m := blame.NewMatcher(runs)
	if err := b.settle(ctx, m); err != nil {
		return render.BlameReport{}, err
	}
	matches := map[blamePlace][]blame.Match{}
	places := make([]blamePlace, len(b.found.Lines))
	for i, l := range b.found.Lines {
		s := &b.sources[l.Source]
		p := blamePlace{l.Source, s.Hunk(l.Original)}
		if _, done := matches[p]; !done {
			matches[p] = m.At(p.source, s, p.hunk)
		}
		places[i] = p
	}
	t, err := b.texts(ctx, m, matches)
	if err != nil {
		return render.BlameReport{}, err
	}
	r := b.newReporter()
	for i, l := range b.found.Lines {
		r.line(ctx, l, t.of(places[i], l.Original, matches[places[i]]))
	}
	return r.rep, nil
}

// blameTexts are the comparisons of versions of the file with what runs left of it.
type blameTexts struct {
	held map[blameText]*blame.Delta // from what the run left to what the commit has; nil: the same
	own  map[blameText]*blame.Delta // what the run brought, from where it began
	runs map[int][]int              // by source: runs whose texts were compared
}

type blameText struct{ run, source int }

// texts compares, for every place that no accepted run made by commit or hunk, the file there with
// what the runs left that wrote it.
func (b *blaming) texts(ctx context.Context, m *blame.Matcher, matches map[blamePlace][]blame.Match) (*blameTexts, error) {
	t := &blameTexts{held: map[blameText]*blame.Delta{}, own: map[blameText]*blame.Delta{}, runs: map[int][]int{}}
	open := map[int]bool{} // sources
	for p, ms := range matches {
		if b.sources[p.source].File.Blob == "" || b.settled(ctx, p.source, ms) {
			continue
		}
		open[p.source] = true
	}
	type pair struct {
		key       blameText
		from, to  string
		beginning bool
	}
	var pairs []pair
	for source := range b.sources {
		if !open[source] {
			continue
		}
		file := b.sources[source].File
		for _, run := range m.Wrote(file.Path) {
			contents := m.Contents(run, file.Path)
			if len(contents) == 0 || len(pairs) >= maxCompared {
				continue
			}
			left := contents[0]
			if slices.Contains(contents, file.Blob) {
				left = file.Blob
			}
			key := blameText{run, source}
			pairs = append(pairs, pair{key, left, file.Blob, false})
			if start, ok := b.beginning(ctx, run, file.Path); ok && start != left {
				pairs = append(pairs, pair{key, start, left, true})
			}
		}
	}
	ask := make([][2]string, len(pairs))
	for i, p := range pairs {
		ask[i] = [2]string{p.from, p.to}
	}
	made, here, err := b.diff.BlobDiffs(ctx, ask)
	if err != nil {
		return nil, err
	}
	for i, p := range pairs {
		if !here[i] {
			continue
		}
		d := delta(made[i])
		if p.beginning {
			t.own[p.key] = d
			continue
		}
		t.held[p.key] = d
		t.runs[p.key.source] = append(t.runs[p.key.source], p.key.run)
	}
	return t, nil
}

func delta(m change.Made) *blame.Delta {
	d := &blame.Delta{}
	for _, h := range m.Hunks {
		for _, s := range h.Added {
			d.Added = append(d.Added, blame.Span(s))
		}
		for _, s := range h.Removed {
			d.Removed = append(d.Removed, blame.Span(s))
		}
	}
	return d
}

// settled reports whether an accepted run made all of a place, by commit or by hunk.
func (b *blaming) settled(ctx context.Context, source int, ms []blame.Match) bool {
	says := b.says(&b.found.Sources[source])
	return slices.ContainsFunc(ms, func(m blame.Match) bool {
		return (m.By == blame.ByCommit || m.By == blame.ByHunk) && b.judge.judge(ctx, b.records[m.Run]) && !blame.Contradicts(says, b.records[m.Run].run.Agent.Name)
	})
}

// beginning returns the file as the run found it, if that can be known and there was one.
func (b *blaming) beginning(ctx context.Context, run int, name string) (string, bool) {
	l, err := b.diff.Lineage(ctx, b.records[run].run.Changes.Commits)
	if err != nil || l.Start == "" {
		return "", false
	}
	e, err := b.repo.Entry(ctx, l.Start, name)
	if err != nil || !e.IsFile() {
		return "", false
	}
	return e.OID, true
}

// of returns the matches of one line: those of its place, but for the ones of which it is known that
// the run found the line there, and those by text.
func (t *blameTexts) of(p blamePlace, line int, ms []blame.Match) []blame.Match {
	out := make([]blame.Match, 0, len(ms))
	for _, m := range ms {
		if own := t.own[blameText{m.Run, p.source}]; own != nil && (m.By == blame.ByTree || m.By == blame.ByBlob) && !own.Brought(line) {
			continue
		}
		out = append(out, m)
	}
	for _, run := range t.runs[p.source] {
		key := blameText{run, p.source}
		if slices.ContainsFunc(ms, func(m blame.Match) bool { return m.Run == run }) {
			continue
		}
		before, ok := t.held[key].Before(line)
		if own := t.own[key]; ok && own != nil {
			ok = own.Brought(before)
		}
		if ok {
			out = append(out, blame.Match{Run: run, By: blame.ByText})
		}
	}
	return out
}

// A blameReporter gathers lines under as few origins as there are.
type blameReporter struct {
	b       *blaming
	rep     render.BlameReport
	origins map[string]int
	runs    map[int]int // record to index in rep.Runs
}

func (b *blaming) newReporter() *blameReporter {
	r := &blameReporter{b: b, origins: map[string]int{}, runs: map[int]int{}}
	r.rep.Path, r.rep.Commit = sallyport.Path(b.req.Path), sallyport.GitCommit(b.req.Commit)
	for i := range b.commits {
		c := &b.commits[i]
		title, _, _ := strings.Cut(strings.TrimLeft(c.Message, "\n"), "\n")
		r.rep.Commits = append(r.rep.Commits, render.BlameCommit{ID: c.ID, Title: title, Author: c.Author, Committer: c.Committer})
	}
	return r
}

// line adds a line.
func (r *blameReporter) line(ctx context.Context, l git.BlameLine, ms []blame.Match) {
	src := &r.b.found.Sources[l.Source]
	at, ok := r.b.commit[src.Commit]
	if !ok {
		at = -1
	} else {
		r.rep.Commits[at].Lines++
	}
	o := r.origin(ctx, l.Source, ms, r.b.said(src, l.Original))
	r.rep.Lines = append(r.rep.Lines, render.BlameLine{
		Line: l.Number, Text: string(l.Text), Origin: o, Commit: at, OriginalLine: l.Original, OriginalPath: sallyport.Path(src.Path),
	})
	r.count(&r.rep.Origins[o])
}

func (r *blameReporter) count(o *render.BlameOrigin) {
	t := &r.rep.Totals
	t.Lines++
	switch o.Kind {
	case string(sallyport.Agent):
		t.Agent++
		if o.Run >= 0 {
			t.Attested++
			r.rep.Runs[o.Run].Lines++
		}
	case string(sallyport.Person):
		t.Person++
	case string(sallyport.Bot):
		t.Bot++
	case render.Uncommitted:
		t.Uncommitted++
	default:
		t.Nobody++
	}
}

// origin returns the index of the origin of what a source and its matches make.
func (r *blameReporter) origin(ctx context.Context, source int, ms []blame.Match, said []int) int {
	var key strings.Builder
	src := &r.b.found.Sources[source]
	key.WriteString(src.Commit + "\x00" + src.Path)
	for _, m := range ms {
		key.WriteString("\x00" + string(m.By) + string(r.b.records[m.Run].att.Digest()))
	}
	for _, i := range said {
		key.WriteString("\x00c" + strconv.Itoa(i))
	}
	if at, known := r.origins[key.String()]; known {
		return at
	}
	at := len(r.rep.Origins)
	r.rep.Origins = append(r.rep.Origins, r.newOrigin(ctx, src, ms, said))
	r.origins[key.String()] = at
	return at
}

func (r *blameReporter) newOrigin(ctx context.Context, src *git.BlameSource, ms []blame.Match, said []int) render.BlameOrigin {
	if src.Commit == "" {
		return render.BlameOrigin{Kind: render.Uncommitted, Run: -1}
	}
	says := r.b.says(src)
	o := render.BlameOrigin{
		Kind: string(cmp.Or(says.Principal.Kind, "nobody")), Name: says.Principal.Name, Grade: says.Grade,
		Model: says.Model, Operator: says.Operator, Run: -1, Why: says.Why,
	}
	for _, m := range ms {
		rec := r.b.records[m.Run]
		if accepted := r.b.judge.judge(ctx, rec); accepted && o.Run < 0 && !blame.Contradicts(says, rec.run.Agent.Name) {
			o.Kind, o.Name, o.Grade, o.Operator = string(sallyport.Agent), rec.run.Agent.Name, rec.grade, rec.run.Operator
			o.Model, o.Run, o.Join = strings.Join(rec.models(), ", "), r.run(m.Run), string(m.By)
			continue
		} else if accepted && o.Run >= 0 {
			continue // another accepted run left it too
		}
		c := render.BlameClaim{
			Source: "run", Agent: rec.run.Agent.Name, Model: strings.Join(rec.models(), ", "), Session: rec.run.RunID, Join: string(m.By), Why: rec.why,
		}
		if rec.accepted {
			c.Contradicts = true
			c.Why = "the commit names " + says.Principal.Name + ", and the evidence of the run another agent: what contradicts itself accounts for nothing"
		}
		o.Claims = append(o.Claims, c)
	}
	for _, i := range said {
		if c, ok := r.claim(&r.b.claims[r.b.commit[src.Commit]][i], &o, says); ok {
			o.Claims = append(o.Claims, c)
		}
	}
	return o
}

// claim turns what a record says into a claim beside an origin, unless it is what the commit says.
func (r *blameReporter) claim(c *claims.Claim, o *render.BlameOrigin, says sallyport.Attribution) (render.BlameClaim, bool) {
	if c.Kind == claims.Text && c.Session == "" && says.Principal.Kind == sallyport.Agent {
		return render.BlameClaim{}, false
	}
	out := render.BlameClaim{Source: string(c.Kind), Agent: claimedName(c.Agent), Model: c.Model, Session: c.Session, Why: c.Note}
	if c.By == claims.ByHuman {
		out.Agent = ""
		out.Why = strings.TrimSpace("says that a person wrote it " + c.Human)
	}
	switch {
	case o.Run >= 0:
		out.Contradicts = c.By == claims.ByHuman || out.Agent != "" && !strings.HasPrefix(out.Agent, o.Name) && !strings.HasPrefix(o.Name, out.Agent)
	case o.Kind == string(sallyport.Person):
		out.Contradicts = c.By == claims.ByAgent && slices.Contains(r.b.data.PersonGrades, o.Grade)
	}
	return out, true
}

// run returns the index of a record's run in the report.
func (r *blameReporter) run(record int) int {
	if at, known := r.runs[record]; known {
		return at
	}
	rec := r.b.records[record]
	r.runs[record] = len(r.rep.Runs)
	r.rep.Runs = append(r.rep.Runs, render.BlameRun{
		ID: rec.run.RunID, Agent: rec.run.Agent.Name, Version: rec.run.Agent.Version, Operator: rec.run.Operator, Models: rec.models(),
		Grade: rec.grade, Attestation: rec.att.Digest(), EndedAt: rec.run.EndedAt,
	})
	return r.runs[record]
}
