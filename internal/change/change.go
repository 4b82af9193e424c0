package change

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// Bounds of one change.
const (
	MaxCommits = 200_000
	MaxFiles   = 1 << 20
	MaxLines   = 4 << 20
)

// Ref actions, as [sallyport.Change] names them.
const (
	ActionUpdate  = "update"
	ActionCreate  = "create"
	ActionDelete  = "delete"
	ActionRewrite = "rewrite"
)

// Errors that callers branch on.
var (
	// ErrUnrelated says that Head shares no history with Base. Git does not merge such heads.
	ErrUnrelated = errors.New("the histories are unrelated")
	// ErrRequest says that a request does not make sense.
	ErrRequest = errors.New("malformed request")
	// ErrTooLarge says that a change is larger than this package's bounds.
	ErrTooLarge = errors.New("the change is too large")
)

// A Cache keeps what was computed before. Keys are made of object ids, so a value never becomes
// stale; it may be lost or damaged at any time, which this package notices. Implementations
// must be safe for concurrent use.
type Cache interface {
	Get(ctx context.Context, key string) ([]byte, bool)
	Put(ctx context.Context, key string, value []byte)
}

// A Differ computes changes of one repository. It is safe for concurrent use.
type Differ struct {
	repo  *git.Repo
	cache Cache
}

// New returns a Differ. The cache may be nil.
func New(repo *git.Repo, cache Cache) *Differ { return &Differ{repo: repo, cache: cache} }

// A Request asks what landing Head on TargetRef would do.
type Request struct {
	TargetRef string // fully qualified

	// Action is update, create, delete or rewrite. Empty means create without a Base, delete
	// without a Head, and update otherwise. An update whose Base is not an ancestor of Head is
	// a merge; a rewrite or a creation makes the ref hold Head, whatever Base has beside it.
	Action string

	// Base and Head are object ids of commits, or of tags of commits; empty or all zeros for
	// none. A created ref is compared with Base if there is one (where it was cut from another
	// branch, say), and otherwise with the empty tree.
	Base, Head string
}

// Change computes the change that req describes.
func (d *Differ) Change(ctx context.Context, req Request) (sallyport.Change, error) {
	c, err := d.change(ctx, req)
	if err != nil {
		return sallyport.Change{}, fmt.Errorf("compute the change to %s: %w", req.TargetRef, err)
	}
	return c, nil
}

func (d *Differ) change(ctx context.Context, req Request) (sallyport.Change, error) {
	if err := d.repo.Shallow(); err != nil {
		return sallyport.Change{}, err
	}
	base, head, err := d.ends(ctx, &req)
	if err != nil {
		return sallyport.Change{}, err
	}
	c := sallyport.Change{
		ObjectFormat: d.repo.ObjectFormat(),
		TargetRef:    req.TargetRef,
		RefAction:    req.Action,
		Conflicts:    []sallyport.Path{},
		Commits:      []sallyport.Commit{},
		Files:        []sallyport.File{},
		Passing:      []sallyport.Passage{},
	}
	if base != "" {
		c.Base = sallyport.GitCommit(base)
	}
	if req.Action == ActionDelete {
		return c, nil
	}
	c.Head = sallyport.GitCommit(head)

	key := cacheKey(d.repo.ObjectFormat(), req.Action == ActionUpdate, base, head)
	content, found := d.load(ctx, key)
	if found && content.Merged {
		// The merged tree's objects are in no repository; make them again, for those who will
		// read them, and see that the cache told the truth.
		tree, _, err := d.merge(ctx, base, head)
		if err != nil {
			return sallyport.Change{}, err
		}
		found = tree == content.MergeTree
	}
	if !found {
		if content, err = d.compute(ctx, req.Action, base, head); err != nil {
			return sallyport.Change{}, err
		}
		d.save(ctx, key, content)
	}
	c.HeadTree = sallyport.GitTree(content.HeadTree)
	if content.MergeTree != "" {
		c.MergeTree = sallyport.GitTree(content.MergeTree)
	}
	c.Conflicts, c.Commits, c.Files, c.Passing = content.Conflicts, content.Commits, content.Files, content.Passing
	return c, nil
}

// ends validates the request, fills in its action, and peels both ends to commits.
func (d *Differ) ends(ctx context.Context, req *Request) (base, head string, err error) {
	peel := func(what, oid string) (string, error) {
		if oid == "" || oid == d.repo.ZeroOID() {
			return "", nil
		}
		if !d.repo.IsOID(oid) {
			return "", fmt.Errorf("%w: %s %q is not an object id", ErrRequest, what, oid)
		}
		commit, err := d.repo.Resolve(ctx, oid)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", what, err)
		}
		return commit, nil
	}
	if base, err = peel("base", req.Base); err != nil {
		return "", "", err
	}
	if head, err = peel("head", req.Head); err != nil {
		return "", "", err
	}
	if req.Action == "" {
		switch {
		case head == "":
			req.Action = ActionDelete
		case base == "":
			req.Action = ActionCreate
		default:
			req.Action = ActionUpdate
		}
	}
	ok := false
	switch req.Action {
	case ActionUpdate, ActionRewrite:
		ok = base != "" && head != ""
	case ActionCreate:
		ok = head != ""
	case ActionDelete:
		ok = base != "" && head == ""
	}
	if !ok {
		return "", "", fmt.Errorf("%w: action %q with base %q and head %q", ErrRequest, req.Action, req.Base, req.Head)
	}
	return base, head, nil
}

// content is the part of a change that object ids alone determine.
type content struct {
	HeadTree  string
	MergeTree string // empty on conflict
	Merged    bool   // MergeTree was made here, it is not Head's
	Conflicts []sallyport.Path
	Commits   []sallyport.Commit
	Files     []sallyport.File
	Passing   []sallyport.Passage
}

func (d *Differ) compute(ctx context.Context, action, base, head string) (content, error) {
	ids, behind, err := d.revisions(ctx, base, head)
	if err != nil {
		return content{}, err
	}
	h, err := d.history(ctx, ids)
	if err != nil {
		return content{}, err
	}
	ends := []string{head}
	if base != "" {
		ends = append(ends, base)
	}
	trees, err := d.repo.Trees(ctx, ends)
	if err != nil {
		return content{}, err
	}
	c := content{HeadTree: trees[0], MergeTree: trees[0], Conflicts: []sallyport.Path{}, Files: []sallyport.File{}, Passing: []sallyport.Passage{}}
	baseTree := d.repo.EmptyTree()
	if base != "" {
		baseTree = trees[1]
	}
	if behind && action == ActionUpdate {
		if _, err := d.MergeBase(ctx, base, head); errors.Is(err, git.ErrNotFound) {
			return content{}, fmt.Errorf("%w: %s and %s", ErrUnrelated, base, head)
		} else if err != nil {
			return content{}, err
		}
		c.Merged = true
		if c.MergeTree, c.Conflicts, err = d.merge(ctx, base, head); err != nil {
			return content{}, err
		}
	}
	pairs, err := d.ownDiffs(ctx, h)
	if err != nil {
		return content{}, err
	}
	c.Commits = h.commits
	if c.MergeTree == "" {
		return c, nil
	}
	var p *passing
	if c.Files, p, err = d.files(ctx, baseTree, c.MergeTree, pairs); err != nil {
		return c, err
	}
	c.Passing = p.finish(c.Commits)
	return c, nil
}

// revisions lists the commits reachable from head and not from base, parents first, and
// reports whether base has commits that head has not.
func (d *Differ) revisions(ctx context.Context, base, head string) (ids []string, behind bool, err error) {
	args := []string{"rev-list", "--topo-order", "--reverse", "--left-right"}
	if base == "" {
		args = append(args, head)
	} else {
		args = append(args, base+"..."+head)
	}
	err = d.repo.Stream(ctx, nil, func(out io.Reader) error {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			line := sc.Text()
			if strings.HasPrefix(line, "<") {
				behind = true
				continue
			}
			id := strings.TrimPrefix(line, ">")
			if !d.repo.IsOID(id) {
				return fmt.Errorf("git rev-list: unexpected line %q", line)
			}
			if ids = append(ids, id); len(ids) > MaxCommits {
				return fmt.Errorf("%w: more than %d commits", ErrTooLarge, MaxCommits)
			}
		}
		return sc.Err()
	}, append(args, "--")...)
	return ids, behind, err
}

// Residue returns the files and units by which gotTree differs from wantTree. Both may be commits
// or trees. The units name no commits.
func (d *Differ) Residue(ctx context.Context, wantTree, gotTree string) ([]sallyport.File, error) {
	trees, err := d.repo.Trees(ctx, []string{wantTree, gotTree})
	if err != nil {
		return nil, fmt.Errorf("compute the residue: %w", err)
	}
	files, _, err := d.files(ctx, trees[0], trees[1], nil)
	if err != nil {
		return nil, fmt.Errorf("compute the residue: %w", err)
	}
	return files, nil
}
