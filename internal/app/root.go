package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// RootMade is a root.json that was written.
type RootMade struct {
	Path  string
	Files int
	Pin   sallyport.Digest
	Root  policy.Root
	// Replaces is the digest of a root of another version that HEAD holds and that this one, which
	// begins anew, does not follow. Whoever pinned that one does not take this one.
	Replaces        sallyport.Digest
	ReplacesVersion int
}

// RootInit writes .sallyport/root.json over the governed files of the work tree. It refuses files
// that could not be in force.
func (a *App) RootInit(ctx context.Context, o Options, c RootChoices) (_ RootMade, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return RootMade{}, err
	}
	defer done(&err, w.Close)
	files, err := w.workTreeFiles()
	if err != nil {
		return RootMade{}, err
	}
	if _, err := parseWorkTree(files); err != nil {
		return RootMade{}, err
	}
	opts, err := c.options(files, nil, a.now())
	if err != nil {
		return RootMade{}, err
	}
	made, err := w.writeRoot(ctx, files, opts)
	if err != nil {
		return RootMade{}, err
	}
	made.Replaces, made.ReplacesVersion = w.rootAtHead(ctx)
	if made.Replaces == made.Pin {
		made.Replaces, made.ReplacesVersion = "", 0
	}
	return made, nil
}

// rootAtHead returns the root that HEAD holds; nothing if it holds none that can be read.
func (w *workspace) rootAtHead(ctx context.Context) (sallyport.Digest, int) {
	head, err := w.repo.Resolve(ctx, "HEAD")
	if err != nil {
		return "", 0 // no commit yet
	}
	b, err := w.repo.File(ctx, head, policy.RootPath, policy.MaxRoot)
	if err != nil {
		return "", 0
	}
	r, err := policy.ParseRoot(b)
	if err != nil {
		return "", 0
	}
	return sallyport.SHA256(b), r.Version
}

// parseWorkTree refuses governed files that could not be in force, and returns the roster.
func parseWorkTree(files map[string][]byte) (*identity.Roster, error) {
	roster := &identity.Roster{}
	for _, f := range []struct {
		path  string
		parse func([]byte) error
	}{
		{configPath, func(b []byte) error { _, err := config.Parse(b); return err }},
		{rosterPath, func(b []byte) (err error) { roster, err = identity.ParseRosterFiles(b, files); return err }},
		{trustPath, func(b []byte) error { _, err := evidence.ParseTrust(b); return err }},
		{trustedRootPath, func(b []byte) error { _, err := evidence.ParseTrustedRoot(b); return err }},
	} {
		b, ok := files[f.path]
		if !ok && f.path == trustedRootPath {
			continue // optional
		}
		if !ok {
			return nil, withHint(fmt.Errorf("%s is missing", f.path), "sallyport init writes it")
		}
		if err := f.parse(b); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return roster, nil
}

// workTreeFiles reads the governed files of the work tree.
func (w *workspace) workTreeFiles() (map[string][]byte, error) {
	top := w.repo.WorkTree()
	if top == "" {
		return nil, errors.New("a bare repository has no work tree: run it in a checkout")
	}
	files := map[string][]byte{}
	err := filepath.WalkDir(filepath.Join(top, strings.TrimSuffix(policy.GovernedDir, "/")), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", rel)
		}
		b, err := readSmall(path)
		files[filepath.ToSlash(rel)] = b
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(fmt.Errorf("there is no %s in %s", policy.GovernedDir, top), "sallyport init")
	}
	return files, err
}

// GovernedFile is one governed file by content.
type GovernedFile struct {
	Path   string           `json:"path"`
	Digest sallyport.Digest `json:"digest"`
}

// RootView is what is in force for a target.
type RootView struct {
	Ref    string           `json:"ref"`
	Tip    string           `json:"tip"`
	Source string           `json:"source"`
	Pinned bool             `json:"pinned"`
	Root   sallyport.Digest `json:"root"`
	Files  []GovernedFile   `json:"files"`
	Advice []string         `json:"advice"`

	Pin       sallyport.Digest `json:"pin"`
	Version   int              `json:"version"`
	Expires   string           `json:"expires"` // empty for never
	Solo      string           `json:"solo"`
	Threshold int              `json:"threshold"`
	Keys      []policy.RootKey `json:"keys"`
	// Chain is how the pin leads to the root in force; Waiting is another root that the tip holds,
	// and what it lacks.
	Chain   []policy.Version `json:"chain"`
	Waiting *policy.Version  `json:"waiting,omitempty"`
}

// RootShow says what is in force for o's target.
func (a *App) RootShow(ctx context.Context, o Options) (v RootView, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		v = w.rootView()
		return nil
	})
	return v, err
}

func (w *workspace) rootView() RootView {
	v := RootView{Ref: w.target.Ref, Tip: w.target.Base, Source: w.gov.Trust.Source, Pinned: w.gov.Trust.Pinned,
		Root: w.gov.Trust.Root, Files: []GovernedFile{}, Advice: append([]string{}, w.advice...)}
	for _, p := range slices.Sorted(maps.Keys(w.gov.Files)) {
		v.Files = append(v.Files, GovernedFile{p, sallyport.SHA256(w.gov.Files[p])})
	}
	t := w.gov.Trust
	v.Pin, v.Version, v.Solo, v.Waiting = t.Pin, t.Version, t.Solo, w.gov.AtTip
	v.Chain, v.Keys = append([]policy.Version{}, w.gov.Chain...), []policy.RootKey{}
	if r, err := policy.ParseRoot(w.gov.Files[policy.RootPath]); err == nil {
		v.Expires, v.Threshold, v.Keys = r.Expires, r.Threshold, append(v.Keys, r.Keys...)
	}
	return v
}

// RootVerify verifies that the target's tip holds exactly the governed files of the root that is in
// force under the pin: the pinned one, or the one that signed versions lead to.
func (a *App) RootVerify(ctx context.Context, o Options) (v RootView, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return v, err
	}
	defer done(&err, w.Close)
	pin, err := a.pin(o)
	if err != nil {
		return v, err
	}
	if pin.Zero() {
		return v, withHint(policy.ErrUnpinned, "name it with --root or SALLYPORT_ROOT: sallyport root init printed it")
	}
	if err := w.findTip(ctx); err != nil {
		return v, err
	}
	refuse := func(why error) error {
		return withHint(fmt.Errorf("%w: %s at %s: %w", ErrRefused, w.target.Ref, shortID(w.target.Base), why),
			"put the governed files back, have the root keys sign what is there (sallyport root show), or have whoever holds the pin review and pin the new root")
	}
	files, err := source{w.repo}.Files(ctx, w.target.Base)
	if err != nil && !errors.Is(err, git.ErrNotFound) {
		return v, err
	}
	w.gov, err = w.resolve(ctx, pin, w.target.Base, "")
	switch {
	case errors.Is(err, policy.ErrNoRoot):
		return v, refuse(policy.VerifyRoot(files, pin))
	case errors.Is(err, policy.ErrRootForked), errors.Is(err, policy.ErrRootStale), errors.Is(err, policy.ErrRootBeyond):
		return v, refuse(err)
	case err != nil:
		return v, err
	case w.gov.Trust.RootChanged:
		why := policy.VerifyRoot(files, w.gov.Trust.Root)
		if w.gov.AtTip != nil {
			why = fmt.Errorf("%w: %s", why, w.gov.AtTip.Fault)
		}
		return v, refuse(why)
	}
	if err := policy.VerifyFresh(w.gov.Files, a.now()); err != nil {
		return v, withHint(fmt.Errorf("%w: %w", ErrRefused, err), renewRoot)
	}
	return w.rootView(), nil
}

// PlannedFile is a file that init writes.
type PlannedFile struct {
	Path  string
	About string
	body  []byte
}

// InitPlan is what init did, or would do.
type InitPlan struct {
	Files      []PlannedFile
	Repository string
	Ref        string
	Next       []string
}

// Init writes .sallyport/ in observe mode. It never overwrites a file.
func (a *App) Init(ctx context.Context, o Options, dry bool) (_ InitPlan, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return InitPlan{}, err
	}
	defer done(&err, w.Close)
	top := w.repo.WorkTree()
	if top == "" {
		return InitPlan{}, withHint(errors.New("a bare repository has no work tree"), "run it in a checkout, and merge what it writes")
	}
	plan, err := w.plan(ctx)
	if err != nil {
		return InitPlan{}, err
	}
	for _, f := range plan.Files {
		if _, err := os.Lstat(filepath.Join(top, f.Path)); err == nil {
			return InitPlan{}, withHint(fmt.Errorf("%s is there already: nothing was written", f.Path), "sallyport doctor says what is missing")
		}
	}
	if dry {
		return plan, nil
	}
	for _, f := range plan.Files {
		path := filepath.Join(top, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return InitPlan{}, err
		}
		if err := durable.CreateFile(path, f.body, 0o644); err != nil {
			return InitPlan{}, fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return plan, nil
}

func (w *workspace) plan(ctx context.Context) (InitPlan, error) {
	plan := InitPlan{Repository: w.remoteName(ctx), Ref: "refs/heads/main"}
	if ref, _, err := localTarget(ctx, refs{w.repo, w.differ(ctx)}, "", ""); err == nil {
		plan.Ref = ref
	} else if head, err := w.repo.SymbolicHead(ctx); err == nil {
		plan.Ref = head
	}
	cfg, err := config.Template(plan.Repository, plan.Ref)
	if err != nil {
		return plan, err
	}
	plan.Files = []PlannedFile{
		{configPath, "configuration: mode, protected refs, policy sets", cfg},
		{rosterPath, "who may act: persons, agents and their operators, bots", []byte(rosterTemplate)},
		{trustPath, "which key may sign which kind of evidence", []byte(trustTemplate)},
	}
	branch := strings.TrimPrefix(plan.Ref, "refs/heads/")
	plan.Next = []string{
		"name your reviewers, agents and their operators in " + rosterPath,
		"sallyport root init, and commit " + policy.GovernedDir,
		"merge it into " + branch + ", and pin the digest that root init printed where agents cannot write",
		"watch what sallyport check merge says, then set mode: enforce in " + configPath,
	}
	return plan, nil
}

// remoteName makes a repository name of the remote's address, or of the folder's name.
func (w *workspace) remoteName(ctx context.Context) string {
	url := w.originURL(ctx)
	url = strings.TrimSuffix(strings.TrimSuffix(url, "/"), ".git")
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	} else {
		url = strings.Replace(url, ":", "/", 1) // scp-like: git@host:path
	}
	if i := strings.LastIndexByte(url, '@'); i >= 0 {
		url = url[i+1:]
	}
	if _, err := config.Template(url, "refs/heads/main"); err == nil {
		return url
	}
	return w.repository()
}

const rosterTemplate = `# Who may act here. See docs/roster.md for every key.
version: 1
persons: []
#  - id: alice
#    name: Alice Example
#    emails: [alice@example.com]
#    keys:
#      - key: sk-ssh-ed25519@openssh.com AAAA… # ssh-keygen -t ed25519-sk
#        enrolled_by: bob # another person, who saw the security key
#    roles: [reviewer, root]
agents: []
#  - name: claude-code
#    operators: [alice]
bots: []
`

const trustTemplate = `# Which key may sign which predicate type. Reviewers' keys stand in roster.yaml.
version: 1
keys: []
#  - name: supervisor
#    key: |
#      -----BEGIN PUBLIC KEY-----
#      …
#      -----END PUBLIC KEY-----
#    principal: {kind: workload, name: agent-supervisor}
#    types: ["https://sallyport.dev/predicate/agent-run/v0.1"]
#    grade: observed # only if agents and their operators cannot reach the key
`
