package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/model"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/scan"
	"github.com/sallyport-dev/sallyport/internal/scan/names"
	"github.com/sallyport-dev/sallyport/internal/store/sqlite"
	"github.com/sallyport-dev/sallyport/internal/tlog/remote"
)

// Where governed files stand.
const (
	configPath = config.Path
	rosterPath = policy.GovernedDir + "roster.yaml"
	trustPath  = policy.GovernedDir + "trust.yaml"
	modelsPath = model.Path
)

// A workspace is one repository with its state, and what governs it once governed was called.
// Close it.
type workspace struct {
	app   *App
	opts  Options
	repo  *git.Repo
	dir   string // state folder; it may not exist yet
	cache *sqlite.Cache
	db    *sqlite.DB // the store, while a check has it open
	diff  *change.Differ

	target   Target
	policyAt string // commit that policy comes from, if it is not the target's base
	// pushing is the push that is judged, in a server's hook.
	pushing pushing
	// pushedEvidence are commits that are being pushed to the evidence ref.
	pushedEvidence []string

	gov        policy.Governing
	cfg        config.Config
	data       policy.Data
	roster     *identity.Roster
	trust      []evidence.Key
	models     *model.File       // nil where there is no registry
	keyless    *evidence.Keyless // nil without a trusted root
	signatures *evidence.Cache   // what verified, while this process lives
	eval       engine.Evaluator
	ahead      func() (*policy.Evaluator, error) // waits for what compileAhead began; may be nil
	policies   []sallyport.PolicySet
	sets       []policy.Set
	advice     []string
	heard      []negative // what was verified and has to be remembered

	following  *following        // runs before those that left the merge result; nil: nobody asks for them
	ineligible map[string]string // who may not approve the change, and why; nil until it was asked
	// negatives are the words of an external log that have to be among the evidence.
	negatives []remote.Entry
	// Statements that carry evidence over: those of an external log, if elsewhere is set, and those that count.
	elsewhere bool
	anchored  []remote.Entry
	carried   *anchors // once somebody asked
	// olden are governed files by digest, where no repository holds them: in a pack.
	olden   map[sallyport.Digest]map[string][]byte
	stood   map[sallyport.Digest]bool // see stands
	lists   []sallyport.ListInput     // the lists of data that judge, once somebody asked
	markers *identity.Markers         // the signed one of them that says how agents sign; nil: built in
	popular *names.List               // the signed one of well-known packages; nil: built in
	known   *scan.Advice              // what is known about packages, once somebody asked
	named   *scan.Names               // which packages there are, once somebody asked
}

func (a *App) open(ctx context.Context, o Options) (*workspace, error) {
	repo, err := o.shared, error(nil)
	if repo == nil {
		repo, err = git.Open(ctx, orDefault(o.Repo, "."), git.QuarantineFromEnv(a.Getenv))
	}
	if errors.Is(err, git.ErrNotRepository) {
		return nil, withHint(err, "run it in a checkout, or name one with --repo")
	}
	if err != nil {
		return nil, err
	}
	w := &workspace{app: a, opts: o, repo: repo, dir: o.StateDir, signatures: evidence.NewCache(32)}
	if w.dir == "" {
		w.dir = filepath.Join(repo.CommonDir(), "sallyport")
	}
	return w, nil
}

func (w *workspace) Close() error {
	if w.cache != nil {
		_ = w.cache.Close() // what it could not write is computed again; a decision stands without it
	}
	if w.named != nil && w.named.Index != nil {
		_ = w.named.Index.Close() // it was only read
	}
	if w.known != nil && w.known.DB != nil {
		_ = w.known.DB.Close() // it was only read
	}
	if w.opts.shared != nil {
		return nil
	}
	return w.repo.Close()
}

func (w *workspace) path(name string) string { return filepath.Join(w.dir, name) }

// differ returns the workspace's differ, with the cache if the state folder can hold one. A
// cache that cannot be had costs time and nothing else.
func (w *workspace) differ(ctx context.Context) *change.Differ {
	if w.diff == nil {
		if err := os.MkdirAll(w.dir, 0o700); err == nil {
			w.cache = sqlite.OpenCache(ctx, w.path("cache.db"), 0)
		}
		if w.cache != nil {
			w.diff = change.New(w.repo, w.cache)
		} else {
			w.diff = change.New(w.repo, nil)
		}
	}
	return w.diff
}

// find settles what the check is about, and by which policy it is judged.
func (w *workspace) find(ctx context.Context) error {
	if err := w.locate(ctx); err != nil || w.policyAt != "" {
		return err
	}
	return w.stand(ctx)
}

// locate settles what the check is about.
func (w *workspace) locate(ctx context.Context) error {
	t, err := FindTarget(ctx, refs{w.repo, w.differ(ctx)}, w.app.Getenv, w.opts.Target)
	if err != nil {
		return w.targetHint(err, t)
	}
	w.target = t
	if t.Action != "create" || t.branched == "" {
		return nil
	}
	tip, err := w.repo.Resolve(ctx, tipOf(ctx, refs{w.repo, w.diff}, t.branched))
	if err != nil {
		return w.targetHint(fmt.Errorf("find the tip of %s: %w", t.branched, err), t)
	}
	return w.createdFrom(ctx, tip)
}

// findTip settles which ref a check would be about, for those who ask what is in force there.
func (w *workspace) findTip(ctx context.Context) error {
	t, err := FindTip(ctx, refs{w.repo, w.differ(ctx)}, w.app.Getenv, w.opts.Target)
	if err != nil {
		return w.targetHint(err, t)
	}
	w.target = t
	return nil
}

// targetHint says what mends a target that was not found.
func (w *workspace) targetHint(err error, t Target) error {
	switch {
	case errors.Is(err, git.ErrShallow):
		return err
	case errors.Is(err, ErrNoTarget):
		return withHint(err, "name the branch that this would land on: --target main")
	case errors.Is(err, ErrEmptyRange):
		return withHint(err, "name a change: --base COMMIT --head COMMIT")
	case !errors.Is(err, git.ErrNotFound):
		return err
	case w.repo.Shallow() != nil:
		return fmt.Errorf("%w: %w", err, git.ErrShallow)
	case t.CI == "github":
		return withHint(err, "let the job fetch all history: actions/checkout with fetch-depth: 0")
	case t.CI == "gitlab":
		return withHint(err, "let the job fetch all history and the target: GIT_DEPTH: 0, then git fetch origin")
	case t.Head == "" && w.opts.Target == (TargetOptions{}):
		return withHint(err, "there is no commit here yet: commit first")
	}
	return withHint(err, "fetch it (git fetch), or name another with --target, --base or --head")
}

// governed loads what is in force for the target, from its tip or under the pin. resultTree is
// the tree of the merge result, empty if there is none.
func (w *workspace) governed(ctx context.Context, resultTree string) error {
	if err := w.inForce(ctx, resultTree); err != nil {
		return err
	}
	w.compile(ctx)
	return nil
}

// inForce is governed without the policy sets: who is who, and whose word counts.
func (w *workspace) inForce(ctx context.Context, resultTree string) error {
	pin, err := w.app.pin(w.opts)
	if err != nil {
		return err
	}
	w.gov, err = w.resolve(ctx, pin, orDefault(w.policyAt, w.target.Base), resultTree)
	if err != nil {
		return err
	}
	if w.gov.Trust.Pinned {
		if err := policy.VerifyFresh(w.gov.Files, w.app.now()); err != nil {
			return withHint(err, renewRoot)
		}
	}
	w.advice = append(w.advice, w.gov.Advice...)
	w.cfg, w.roster = config.Default(), &identity.Roster{}
	if w.gov.Files != nil {
		if err := w.parseGoverned(); err != nil {
			return err
		}
	}
	w.data = policyData(w.cfg)
	return nil
}

// renewRoot says what mends a root that has expired.
const renewRoot = "whoever holds the pin reviews the governed files, makes a new root (sallyport root rotate --expires DAY, or root init) and pins what it prints"

func (w *workspace) parseGoverned() error {
	bad := func(path string, err error) error {
		return withHint(fmt.Errorf("%s at %s: %w", path, shortID(w.gov.At), err), "mend it on the target branch; until then nothing opens")
	}
	if b, ok := w.gov.Files[configPath]; ok {
		cfg, err := config.Parse(b)
		if err != nil {
			return bad(configPath, err)
		}
		w.cfg = cfg
	}
	w.advice = append(w.advice, w.cfg.Advice(w.app.now())...)
	if b, ok := w.gov.Files[rosterPath]; ok {
		r, err := identity.ParseRosterFiles(b, w.gov.Files)
		if err != nil {
			return bad(rosterPath, err)
		}
		if w.roster, err = w.soloRoster(r); err != nil {
			return bad(rosterPath, err)
		}
		if r.SimulatedKeys {
			w.advice = append(w.advice, "the roster lets simulated security keys count as a person's presence: they are files")
		}
	}
	if b, ok := w.gov.Files[trustPath]; ok {
		t, err := evidence.ParseTrust(b)
		if err != nil {
			return bad(trustPath, err)
		}
		w.trust = t.Keys
	}
	if b, ok := w.gov.Files[modelsPath]; ok {
		f, err := model.ParseFile(b)
		if err != nil {
			return bad(modelsPath, err)
		}
		w.models = f
	}
	if b, ok := w.gov.Files[trustedRootPath]; ok {
		k, err := evidence.ParseTrustedRoot(b)
		if err != nil {
			return bad(trustedRootPath, err)
		}
		w.keyless = k
	}
	return nil
}

// compile prepares the policy sets. A set that cannot be compiled is no error here: the engine
// records that the policy could not be applied.
func (w *workspace) compile(ctx context.Context) {
	names := w.cfg.Policy.Sets
	for _, name := range names {
		set, err := w.gov.Set(name)
		if err != nil {
			w.eval = brokenPolicy{err}
			return
		}
		w.sets = append(w.sets, set)
	}
	compiled, err := w.compiled(ctx)
	if err != nil {
		w.eval = brokenPolicy{err}
		for _, s := range w.sets {
			w.policies = append(w.policies, sallyport.PolicySet{Name: s.Name, Digest: s.Digest()})
		}
		return
	}
	w.eval, w.policies = evaluator{compiled}, compiled.Policies()
}

// compiled returns the compiled sets: those that were compiled ahead, if they are the same.
func (w *workspace) compiled(ctx context.Context) (*policy.Evaluator, error) {
	if w.ahead != nil && len(w.sets) == 1 && w.sets[0].Name == policy.BaselineName && bytes.Equal(w.data.Encode(), policy.Defaults().Encode()) {
		return w.ahead()
	}
	return policy.Compile(ctx, w.sets, w.data)
}

// compileAhead begins to compile the built-in baseline with its own settings, which is what most
// repositories are judged by, while git still reads the change. It is a third of what a check
// costs whose change is cached.
func (w *workspace) compileAhead(ctx context.Context) {
	var eval *policy.Evaluator
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		eval, err = policy.Compile(ctx, []policy.Set{policy.Builtin()}, policy.Defaults())
	}()
	w.ahead = func() (*policy.Evaluator, error) { <-done; return eval, err }
}

// repository is the name by which approvals and evidence speak of this repository. Without a
// configuration there is none that anybody agreed on; the folder's name will do for advice.
func (w *workspace) repository() string {
	if w.cfg.Repository != "" {
		return w.cfg.Repository
	}
	dir := orDefault(w.repo.WorkTree(), w.repo.CommonDir())
	return "local/" + strings.TrimSuffix(filepath.Base(dir), ".git")
}

// keys returns every key that may sign evidence here: those of trust.yaml, and the persons' own
// for approvals.
func (w *workspace) keys() []evidence.Key { return signingKeys(w.trust, w.roster, w.app.now()) }

func signingKeys(trust []evidence.Key, r *identity.Roster, now time.Time) []evidence.Key {
	keys := slices.Clone(trust)
	for _, k := range r.Keys() {
		keys = append(keys, approvalKey(k, now))
	}
	for _, k := range r.OpenPGPKeys() {
		keys = append(keys, openPGPApprovalKey(k))
	}
	return keys
}

func shortID(oid string) string {
	if len(oid) > 12 {
		return oid[:12]
	}
	return oid
}
