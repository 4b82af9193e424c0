package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// resolve finds the governed files in force at tip, and says what mends it where there are none.
func (w *workspace) resolve(ctx context.Context, pin sallyport.Digest, tip, resultTree string) (policy.Governing, error) {
	q := policy.Request{
		Pin: pin, Tip: tip, Result: resultTree, Now: w.app.now(), Keys: keyring(),
		Valid: func(files map[string][]byte) error { return governable(ctx, files) },
	}
	if resultTree != "" {
		q.Head = w.target.Head
	}
	var unknown error
	if !pin.Zero() {
		var err error
		if q.Also, unknown, err = w.defaultTips(ctx, tip); err != nil {
			return policy.Governing{}, err
		}
	}
	g, err := policy.Resolve(ctx, source{w.repo}, q)
	switch {
	case err == nil && unknown != nil && followed(g):
		return policy.Governing{}, withHint(unknown, "let the job fetch the default branch and set refs/remotes/origin/HEAD, as the one does that sallyport init --ci writes")
	case errors.Is(err, policy.ErrNoRoot):
		err = withHint(err, "is the pin right? Whoever holds it reviews the governed files and pins anew: sallyport root show")
	case errors.Is(err, policy.ErrRootForked):
		err = withHint(err, "find out who signed both; then whoever holds the pin pins the version that is meant")
	case errors.Is(err, policy.ErrRootBeyond):
		err = withHint(err, "fetch all of the target's history; if a version is lost, whoever holds the pin reviews the later one and pins it")
	case errors.Is(err, policy.ErrRootStale):
		err = withHint(err, "whoever holds the pin reviews that version and pins it: what is pinned needs no signature")
	}
	return g, err
}

// followed reports whether another version of the root can follow the one in force.
func followed(g policy.Governing) bool {
	root, err := policy.ParseRoot(g.Files[policy.RootPath])
	return err != nil || len(root.Keys) > 0
}

// defaultTips returns the tips of the default branch, other than tip, as CI, the clone and a bare
// repository know it. What is signed there is in force for every other branch: whom a version puts
// out must not stay in on a branch that nobody has brought it to. That the caller may be able to
// move a ref does not matter, since only versions that the chain's signatures lead to are looked
// at; but none stands in for another, which it could hide.
//
// Unknown says why the default branch is not known to a CI job, which has what it fetched and
// nothing else.
func (w *workspace) defaultTips(ctx context.Context, tip string) (tips []string, unknown, err error) {
	resolve := func(name string) (bool, error) {
		id, err := w.repo.Resolve(ctx, name)
		if errors.Is(err, git.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("find the tip of the default branch: %w", err)
		}
		if id != tip && !slices.Contains(tips, id) {
			tips = append(tips, id)
		}
		return true, nil
	}
	known := w.target.CI == ""
	if name := w.target.defaultBranch; name != "" {
		found, err := resolve("refs/remotes/origin/" + strings.TrimPrefix(name, "refs/heads/"))
		if err == nil && !found {
			found, err = resolve(name)
		}
		if err != nil {
			return nil, nil, err
		}
		if !known && !found && name != w.target.Ref {
			unknown = fmt.Errorf("the default branch %q is not here, and what is signed there is in force for %q as well", name, w.target.Ref)
		}
		known = true
	}
	found, err := resolve("refs/remotes/origin/HEAD")
	if err != nil {
		return nil, nil, err
	}
	known = known || found
	if w.repo.WorkTree() == "" {
		head, err := w.repo.SymbolicHead(ctx)
		if err != nil && !errors.Is(err, git.ErrNotFound) {
			return nil, nil, fmt.Errorf("find the default branch: %w", err)
		}
		if err == nil {
			if _, err := resolve(head); err != nil {
				return nil, nil, err
			}
		}
	}
	if !known {
		unknown = fmt.Errorf("which branch is the default one is not known here, and what is signed there is in force for %q as well", w.target.Ref)
	}
	return tips, unknown, nil
}

// keyring is policy.Keyring by the roster among governed files. Each roster is read once.
func keyring() policy.Keyring {
	var mu sync.Mutex
	read := map[sallyport.Digest]*identity.Roster{}
	return func(files map[string][]byte, fingerprint string) (string, bool, time.Time) {
		mu.Lock()
		defer mu.Unlock()
		id := sallyport.SHA256(files[policy.RootPath]) // it names the roster by digest
		r, ok := read[id]
		if !ok {
			r, _ = rosterOf(files) // one that cannot be read knows nobody
			read[id] = r
		}
		p, k, ok := r.PersonByKey(fingerprint)
		if !ok {
			return "", false, time.Time{}
		}
		// Whether it has expired is the chain's to ask: as of the epoch no key has.
		switch k.Grade(true, time.Time{}) {
		case sallyport.Present, sallyport.Attested:
			return p.ID, true, k.NotAfter
		}
		return p.ID, false, k.NotAfter
	}
}

// rosterOf reads the roster among governed files, as the root beside it says who the team is.
func rosterOf(files map[string][]byte) (*identity.Roster, error) {
	r, err := identity.ParseRosterFiles(files[rosterPath], files)
	if err != nil {
		return nil, err
	}
	raw, ok := files[policy.RootPath]
	if !ok {
		return r, nil
	}
	root, err := policy.ParseRoot(raw)
	if err != nil {
		return nil, err
	}
	if root.Solo == "" {
		return r, nil
	}
	return r.WithSolo(root.Solo)
}

// soloRoster is the roster in force, with the team of one that the root in force names.
func (w *workspace) soloRoster(r *identity.Roster) (*identity.Roster, error) {
	if w.gov.Trust.Solo == "" {
		return r, nil
	}
	return r.WithSolo(w.gov.Trust.Solo)
}

// governable says why files could not be in force: a version that nobody could be judged under
// must not land, since the next one would be judged under it.
func governable(ctx context.Context, files map[string][]byte) error {
	if _, err := parseWorkTree(files); err != nil {
		return err
	}
	cfg, err := config.Parse(files[configPath])
	if err != nil {
		return err
	}
	if raw, ok := files[policy.RootPath]; ok {
		root, err := policy.ParseRoot(raw)
		if err != nil {
			return err
		}
		if root.Repository != "" && root.Repository != cfg.Repository {
			return fmt.Errorf("%s is of %q, and %s says %q", policy.RootPath, root.Repository, configPath, cfg.Repository)
		}
	}
	if _, err := rosterOf(files); err != nil {
		return fmt.Errorf("%s: %w", rosterPath, err)
	}
	if _, err := evidence.ParseTrust(files[trustPath]); err != nil {
		return fmt.Errorf("%s: %w", trustPath, err)
	}
	g := policy.Governing{Files: files}
	var sets []policy.Set
	for _, name := range cfg.Policy.Sets {
		set, err := g.Set(name)
		if err != nil {
			return err
		}
		sets = append(sets, set)
	}
	if _, err := policy.Compile(ctx, sets, policyData(cfg)); err != nil {
		return fmt.Errorf("the policy sets: %w", err)
	}
	return nil
}
