package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/model"
	"github.com/sallyport-dev/sallyport/internal/store"
	"github.com/sallyport-dev/sallyport/internal/store/sqlite"
	"github.com/sallyport-dev/sallyport/internal/trace"
	"github.com/sallyport-dev/sallyport/predicate"
)

// ModelTouched is what a model has touched.
type ModelTouched struct {
	Model string `json:"model"`
	trace.Touched
	// Deployments is empty: nothing says yet where what was released runs.
	Deployments []string `json:"deployments"`
	Looked      []string `json:"looked"`
	Notes       []string `json:"notes"` // what could not be looked at
}

// TouchedModel says what the model has touched that name means: entries of the registry, or PROVIDER/NAME of one
// that was never in it.
func (a *App) TouchedModel(ctx context.Context, o Options, name string) (t ModelTouched, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		found, err := w.namedModels(ctx, name)
		entries := entriesOf(found)
		if err != nil {
			provider, rest, ok := strings.Cut(name, "/")
			if !ok || provider == "" || rest == "" {
				return err
			}
			entries = []predicate.ModelEntry{{Provider: model.Provider(provider), Name: rest}}
		}
		t, err = w.touched(ctx, name, entries)
		return err
	})
	return t, err
}

func entriesOf(views []ModelView) []predicate.ModelEntry {
	var out []predicate.ModelEntry
	for _, v := range views {
		out = append(out, v.ModelEntry)
	}
	return out
}

func (w *workspace) touched(ctx context.Context, name string, entries []predicate.ModelEntry) (ModelTouched, error) {
	t := ModelTouched{Model: name, Deployments: []string{}, Looked: append(w.places(), w.path("state.db")), Notes: []string{}}
	x, err := w.traceIndex(ctx)
	if err != nil {
		return t, err
	}
	q := trace.Query{
		Model: func(m predicate.Model) bool {
			return slices.ContainsFunc(entries, func(e predicate.ModelEntry) bool {
				return m.Entry != "" && m.Entry == e.ID() || model.Means(e, m.Provider, m.Name)
			})
		},
		Reaches: w.reaches(ctx, &t),
		Holding: func(written map[predicate.Blob][]string) (map[string][]string, error) { return w.holding(ctx, written) },
	}
	if t.Touched, err = x.Touched(q); err != nil {
		return t, err
	}
	t.Notes = append(t.Notes, "deployments: none known; nothing here records yet where an artifact runs")
	return t, nil
}

// traceIndex takes in all runs, decisions and provenance that are kept here or have travelled here, and the
// decisions of this repository's own store.
func (w *workspace) traceIndex(ctx context.Context) (*trace.Index, error) {
	var types []sallyport.Digest
	for _, t := range trace.Types() {
		types = append(types, evidence.TypeDigest(t))
	}
	presented, err := readBundles(w.opts.Bundles)
	if err != nil {
		return nil, err
	}
	found, _, err := w.collector().Collect(ctx, types)
	if err != nil {
		return nil, err
	}
	x := new(trace.Index)
	v := w.newVerifier(w.keys())
	seen := map[sallyport.Digest]bool{}
	for _, att := range append(presented, found...) {
		d := att.Digest()
		if seen[d] {
			continue
		}
		seen[d] = true
		ev, err := v.Verify(ctx, att)
		if err == nil {
			x.Add(ev, w.notAccepted(ev))
			continue
		}
		if st, serr := evidence.Statement(att.Raw); serr == nil {
			x.AddClaim(d, st, err.Error())
		}
	}
	return x, w.ownDecisions(ctx, x)
}

// notAccepted says why policy does not accept the statement of a run, as the merge gate would; empty if it does, or
// if it is none.
func (w *workspace) notAccepted(ev sallyport.Evidence) string {
	if ev.Statement.PredicateType != predicate.AgentRunType {
		return ""
	}
	p, err := predicate.DecodeAgentRun(ev.Statement.Predicate)
	if err != nil {
		return err.Error()
	}
	grade := ev.Grade
	if p.Supervisor.Separation == predicate.SeparationNone {
		grade = sallyport.Declared
	}
	switch {
	case !slices.Contains(w.data.RunGrades, grade):
		return fmt.Sprintf("its grade is %q and policy accepts %s", grade, sallyport.EitherGrade(w.data.RunGrades))
	case p.Repository != w.repository():
		return fmt.Sprintf("it is about the repository %q", p.Repository)
	}
	return ""
}

// ownDecisions takes in what gates decided here.
func (w *workspace) ownDecisions(ctx context.Context, x *trace.Index) (err error) {
	db := w.db
	if db == nil {
		if _, err := os.Lstat(w.path("state.db")); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if db, err = sqlite.Open(ctx, w.path("state.db")); err != nil {
			return err
		}
		defer done(&err, db.Close)
	}
	list, err := db.List(ctx, store.MaxList)
	if err != nil {
		return err
	}
	for _, s := range list {
		rec, err := db.Decision(ctx, string(s.ID))
		if err != nil {
			return err
		}
		if len(rec.VSA) == 0 {
			continue
		}
		if st, err := evidence.Statement(rec.VSA); err == nil {
			x.AddDecision(st)
		}
	}
	return nil
}

// reaches lists what can be reached from a commit, once for each.
func (w *workspace) reaches(ctx context.Context, t *ModelTouched) func(string) (func(string) bool, error) {
	known := map[string]map[string]bool{}
	return func(from string) (func(string) bool, error) {
		set, ok := known[from]
		if !ok {
			set = map[string]bool{}
			err := w.repo.Stream(ctx, nil, func(out io.Reader) error {
				lines := bufio.NewScanner(out)
				for lines.Scan() {
					set[lines.Text()] = true
				}
				return lines.Err()
			}, "rev-list", from, "--")
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil { // of another repository, or of one that was cloned in part
				t.Notes = append(t.Notes, fmt.Sprintf("what commit %s holds cannot be told: it is not here", shortID(from)))
			}
			known[from] = set
		}
		return func(c string) bool { return set[c] }, nil
	}
}

// holding looks for the files that runs wrote in what landed on the target, since a squash or a rebase leaves no
// commit of the run's own.
func (w *workspace) holding(ctx context.Context, written map[predicate.Blob][]string) (map[string][]string, error) {
	if w.target.Base == "" {
		return nil, nil
	}
	type place struct{ path, blob string }
	runs := map[place][]string{}
	for b, ids := range written {
		runs[place{b.Path, b.GitBlob}] = ids
	}
	found := map[string][]string{}
	commit := ""
	err := w.repo.Stream(ctx, nil, func(out io.Reader) error {
		lines := bufio.NewReaderSize(out, 1<<16)
		for {
			line, end := lines.ReadString('\n')
			if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, "commit ") {
				commit = line[len("commit "):]
			} else if meta, path, ok := strings.Cut(line, "\t"); ok && strings.HasPrefix(meta, ":") {
				plain, err := git.Unquote(path)
				if err != nil {
					return err
				}
				if f := strings.Fields(meta); len(f) == 5 {
					for _, id := range runs[place{plain, f[3]}] {
						if !slices.Contains(found[commit], id) {
							found[commit] = append(found[commit], id)
						}
					}
				}
			}
			if errors.Is(end, io.EOF) {
				return nil
			}
			if end != nil {
				return end
			}
		}
	}, "log", "--first-parent", "-m", "--raw", "--no-abbrev", "--no-renames", "--no-show-signature", "--no-color", "--format=commit %H", w.target.Base, "--")
	return found, err
}
