package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/render"
	"github.com/sallyport-dev/sallyport/internal/trace/blame"
	"github.com/sallyport-dev/sallyport/internal/trace/claims"
)

// BlameOptions say which lines of which file are asked about.
type BlameOptions struct {
	Revision string // empty: HEAD, and what stands in the work tree on top of it
	File     string // as typed: relative to the current folder, or to --repo
	From, To int    // lines, both included; 0 for all
}

// Blame says where each line of a file comes from.
func (a *App) Blame(ctx context.Context, o Options, bo BlameOptions) (_ render.BlameReport, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return render.BlameReport{}, err
	}
	defer done(&err, w.Close)
	b, err := w.newBlame(ctx, bo)
	if err != nil {
		return render.BlameReport{}, err
	}
	return b.report(ctx)
}

// A blaming is one call of Blame.
type blaming struct {
	*workspace
	req     git.BlameRequest
	records []*runRecord
	judge   *runJudge
	id      *identity.Identifier

	found   *git.Blame
	commits []sallyport.Commit
	commit  map[string]int // index in commits, by id
	who     []identity.Result
	sources []blame.Source   // of found.Sources
	claims  [][]claims.Claim // by commit
}

// newBlame settles what is asked, and by whose word it is answered.
func (w *workspace) newBlame(ctx context.Context, bo BlameOptions) (*blaming, error) {
	if err := w.repo.Shallow(); err != nil {
		return nil, err
	}
	b := &blaming{workspace: w, commit: map[string]int{}}
	commit, err := w.repo.Resolve(ctx, orDefault(bo.Revision, "HEAD"))
	if err != nil {
		return nil, withHint(fmt.Errorf("find %s: %w", orDefault(bo.Revision, "HEAD"), err), "sallyport agent blame [REV] FILE")
	}
	b.req = git.BlameRequest{Commit: commit, From: bo.From, To: bo.To}
	if b.req.Path, err = w.pathOf(bo.File); err != nil {
		return nil, err
	}
	entry, err := w.repo.Entry(ctx, commit, b.req.Path)
	switch {
	case errors.Is(err, git.ErrNotFound):
		return nil, withHint(fmt.Errorf("there is no %s in %s", sallyport.Path(b.req.Path), shortID(commit)), "name a revision that has it: sallyport agent blame REV FILE")
	case err != nil:
		return nil, err
	case !entry.IsFile():
		return nil, fmt.Errorf("%s is no regular file in %s", sallyport.Path(b.req.Path), shortID(commit))
	}
	if bo.Revision == "" && w.repo.WorkTree() != "" {
		if b.req.Content, err = w.uncommitted(b.req.Path, entry); err != nil {
			return nil, err
		}
	}
	tip, err := FindTip(ctx, refs{w.repo, w.differ(ctx)}, w.app.Getenv, TargetOptions{Ref: w.opts.Target.Ref})
	if err != nil {
		return nil, w.targetHint(err, tip)
	}
	w.target = tip
	if err := w.inForce(ctx, ""); err != nil {
		return nil, err
	}
	return b, nil
}

// pathOf is the path from the root of the tree of a file as somebody typed it.
func (w *workspace) pathOf(file string) (string, error) {
	top := w.repo.WorkTree()
	if top == "" {
		return path.Clean(filepath.ToSlash(file)), nil
	}
	abs := file
	if !filepath.IsAbs(abs) {
		abs = filepath.Join(orDefault(w.opts.Repo, "."), file)
	}
	abs, err := filepath.Abs(abs)
	if err != nil {
		return "", err
	}
	// The folder may be reached by links, the file itself must not be followed.
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	if real, err := filepath.EvalSymlinks(top); err == nil {
		top = real
	}
	rel, err := filepath.Rel(top, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", withHint(fmt.Errorf("%s is not in the work tree %s", file, top), "name a file of the repository, or the repository with --repo")
	}
	return filepath.ToSlash(rel), nil
}

// uncommitted returns what stands in the work tree at a path if it is something else than the
// entry, and nil if it is the same, or not there.
func (w *workspace) uncommitted(name string, entry git.Entry) ([]byte, error) {
	root, err := os.OpenRoot(w.repo.WorkTree())
	if err != nil {
		return nil, fmt.Errorf("open the work tree: %w", err)
	}
	defer root.Close()
	info, err := root.Lstat(filepath.FromSlash(name))
	if err != nil || !info.Mode().IsRegular() || info.Size() > git.MaxBlameText {
		return nil, nil //nolint:nilerr // what is not there, or no file, has no lines of its own
	}
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, fmt.Errorf("read %s in the work tree: %w", sallyport.Path(name), err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, git.MaxBlameText+1))
	if err != nil {
		return nil, fmt.Errorf("read %s in the work tree: %w", sallyport.Path(name), err)
	}
	if w.repo.BlobID(content) == entry.OID {
		return nil, nil
	}
	return content, nil
}

// report answers.
func (b *blaming) report(ctx context.Context) (render.BlameReport, error) {
	b.judge, b.id = b.runJudge(ctx), b.newIdentifier(ctx, b.app.now())
	b.opts.step("git blame")
	read := make(chan error, 1)
	go func() {
		var err error
		b.records, err = b.runRecords(ctx)
		read <- err
	}()
	var err error
	b.found, err = b.repo.Blame(ctx, b.req)
	if rerr := <-read; err == nil {
		err = rerr
	}
	if err != nil {
		return render.BlameReport{}, err
	}
	if err := b.attribute(ctx); err != nil {
		return render.BlameReport{}, err
	}
	b.opts.step("joining runs")
	return b.join(ctx)
}

// attribute reads the commits, and says what each says of itself.
func (b *blaming) attribute(ctx context.Context) error {
	var ids []string
	for _, s := range b.found.Sources {
		if _, known := b.commit[s.Commit]; !known && s.Commit != "" {
			b.commit[s.Commit] = len(ids)
			ids = append(ids, s.Commit)
		}
	}
	var err error
	if b.commits, err = b.diff.Commits(ctx, ids); err != nil {
		return err
	}
	b.who = make([]identity.Result, len(b.commits))
	inParallel(len(b.commits), func(i int) { b.who[i] = b.id.Commit(&b.commits[i]) })
	x, err := b.claimIndex()
	if err != nil {
		return err
	}
	b.claims = make([][]claims.Claim, len(b.commits))
	for i := range b.commits {
		b.claims[i] = x.About(b.commits[i].ID.Hex(), b.commits[i].Message)
	}
	return nil
}

// said returns the indexes of the claims about a line of a source.
func (b *blaming) said(s *git.BlameSource, line int) []int {
	at, ok := b.commit[s.Commit]
	if !ok {
		return nil
	}
	var out []int
	for i := range b.claims[at] {
		if b.claims[at][i].Holds(s.Path, line) {
			out = append(out, i)
		}
	}
	return out
}

// says is what the commit of a source says of itself, about a file.
func (b *blaming) says(s *git.BlameSource) sallyport.Attribution {
	i, ok := b.commit[s.Commit]
	if !ok {
		return sallyport.Attribution{}
	}
	return b.id.Unit(sallyport.Path(s.Path), sallyport.Unit{Commits: []int{i}}, b.who)
}

// settle fills in what sources did to the file, where a run may be joined by it: that costs a
// comparison for each, and is not needed where an accepted run lists the commit.
func (b *blaming) settle(ctx context.Context, m *blame.Matcher) error {
	b.sources = make([]blame.Source, len(b.found.Sources))
	var steps []change.Step
	var at []int
	var before []string
	for i := range b.found.Sources {
		s := &b.found.Sources[i]
		if s.Commit == "" {
			continue
		}
		c := &b.commits[b.commit[s.Commit]]
		b.sources[i] = blame.Source{Commit: s.Commit, Tree: c.Tree.Hex()}
		if len(b.records) == 0 || b.listed(ctx, m, s) {
			continue
		}
		parent := s.Previous
		if parent == "" && len(c.Parents) > 0 {
			parent = c.Parents[0].Hex()
		}
		at, before = append(at, i), append(before, orDefault(parent, b.repo.EmptyTree()))
		steps = append(steps, change.Step{New: c.Tree.Hex(), Path: sallyport.Path(s.Path)})
	}
	if len(steps) == 0 {
		return nil
	}
	trees, err := b.repo.Trees(ctx, before)
	if err != nil {
		return err
	}
	for i := range steps {
		steps[i].Old = trees[i]
	}
	made, err := b.diff.Made(ctx, steps)
	if err != nil {
		return err
	}
	for n, i := range at {
		s := &b.sources[i]
		s.File = blame.Blob{Path: b.found.Sources[i].Path, Mode: made[n].NewMode, Blob: made[n].NewBlob}
		for _, h := range made[n].Hunks {
			hunk := blame.Hunk{Digest: string(h.Digest)}
			for _, a := range h.Added {
				hunk.Added = append(hunk.Added, blame.Span(a))
			}
			s.Hunks = append(s.Hunks, hunk)
		}
	}
	return nil
}

// listed reports whether an accepted run that the commit does not contradict lists it.
func (b *blaming) listed(ctx context.Context, m *blame.Matcher, s *git.BlameSource) bool {
	says := b.says(s)
	return slices.ContainsFunc(m.Commit(s.Commit), func(r int) bool {
		return b.judge.judge(ctx, b.records[r]) && !blame.Contradicts(says, b.records[r].run.Agent.Name)
	})
}
