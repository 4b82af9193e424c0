package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// namedSet reads the policy set in a folder, or the built-in one if it is called so and there is
// no such folder.
func namedSet(name string) (policy.Set, error) {
	if name == policy.BaselineName {
		if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
			return policy.Builtin(), nil
		}
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return policy.Set{}, fmt.Errorf("read the policy set: %w", err)
	}
	files, err := readFolder(name)
	return policy.Set{Name: filepath.Base(abs), Files: files}, err
}

// workTreeTop returns the top of the work tree that holds this folder, as seen from here; "." where
// there is none.
func workTreeTop() (string, error) {
	abs, err := filepath.Abs(".")
	if err != nil {
		return "", fmt.Errorf("find the work tree: %w", err)
	}
	for dir, seen := abs, "."; ; dir, seen = filepath.Dir(dir), filepath.Join(seen, "..") {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return seen, nil
		}
		if dir == filepath.Dir(dir) {
			return ".", nil
		}
	}
}

// workTreeSets names the sets that the configuration in the work tree names, by folder; without a
// configuration, the baseline.
func workTreeSets() ([]string, error) {
	top, err := workTreeTop()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(top, configPath))
	if errors.Is(err, os.ErrNotExist) {
		return []string{policy.BaselineName}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	cfg, err := config.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configPath, err)
	}
	var names []string
	for _, name := range cfg.Policy.Sets {
		if name != policy.BaselineName {
			name = filepath.Join(top, policy.GovernedDir, name)
		}
		names = append(names, name)
	}
	return names, nil
}

// PolicyLint says what it finds in policy sets, each a folder or "baseline"; none are those that
// the configuration in this folder's work tree names. Files are named as seen from here.
func (a *App) PolicyLint(ctx context.Context, names []string) ([]policy.LintFinding, error) {
	if len(names) == 0 {
		var err error
		if names, err = workTreeSets(); err != nil {
			return nil, err
		}
	}
	found := []policy.LintFinding{}
	for _, name := range names {
		set, err := namedSet(name)
		if err != nil {
			return nil, err
		}
		list, err := policy.Lint(ctx, set)
		if err != nil {
			return nil, withHint(err, "sallyport policy test "+name)
		}
		for _, f := range list {
			f.File = filepath.ToSlash(filepath.Join(name, f.File))
			found = append(found, f)
		}
	}
	return found, nil
}

// An Upgrade is a policy set that was rewritten.
type Upgrade struct {
	policy.Upgraded
	Before map[string][]byte // the files that change, as they are
	dir    string
}

// PolicyUpgrade rewrites the set in a folder, or one file that belongs to no set with a manifest,
// from Rego v0 to v1. It writes nothing; see [Upgrade.Write].
func (a *App) PolicyUpgrade(ctx context.Context, path string, quotes bool) (Upgrade, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Upgrade{}, fmt.Errorf("read the policy: %w", err)
	}
	u := Upgrade{dir: path, Before: map[string][]byte{}}
	var set policy.Set
	single := !info.IsDir()
	if single {
		u.dir = filepath.Dir(path)
		if set, err = loneFile(path, info.Size()); err != nil {
			return Upgrade{}, err
		}
	} else if set, err = namedSet(path); err != nil {
		return Upgrade{}, err
	}
	u.Upgraded, err = policy.Upgrade(ctx, set, quotes)
	if errors.Is(err, policy.ErrDiffers) {
		return Upgrade{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err != nil {
		return Upgrade{}, err
	}
	if single {
		delete(u.Files, manifest)
	}
	for name := range u.Files {
		u.Before[name] = set.Files[name]
	}
	return u, nil
}

const manifest = "manifest.yaml"

// loneFile makes a set of one file, which is taken for Rego v0.
func loneFile(path string, size int64) (policy.Set, error) {
	dir, name := filepath.Split(path)
	if filepath.Ext(name) != ".rego" {
		return policy.Set{}, fmt.Errorf("%s is neither a folder nor a .rego file", path)
	}
	if _, err := os.Stat(filepath.Join(dir, manifest)); err == nil {
		return policy.Set{}, withHint(fmt.Errorf("%s belongs to a set, whose files are all of one version", path),
			"sallyport policy upgrade "+filepath.Clean(orDefault(dir, ".")))
	}
	if size > maxGoverned {
		return policy.Set{}, fmt.Errorf("%s is larger than %d bytes", path, maxGoverned)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return policy.Set{}, fmt.Errorf("read the policy: %w", err)
	}
	return policy.Set{Name: "file", Files: map[string][]byte{name: b, manifest: []byte("rego_version: 0\n")}}, nil
}

// Names lists the files that change.
func (u Upgrade) Names() []string {
	var names []string
	for name := range u.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Path is where a file of the set stands.
func (u Upgrade) Path(name string) string { return filepath.Join(u.dir, filepath.FromSlash(name)) }

// Write puts the files in place, each whole. The manifest comes last: until it says so the set is
// of two versions and does not compile, which is shut.
func (u Upgrade) Write() error {
	names := u.Names()
	slices.SortStableFunc(names, func(a, b string) int {
		if a == manifest {
			return 1
		}
		if b == manifest {
			return -1
		}
		return 0
	})
	for _, name := range names {
		path := u.Path(name)
		now, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("write the policy: %w", err)
		}
		if string(now) != string(u.Before[name]) {
			return fmt.Errorf("write the policy: %s was changed meanwhile", path)
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("write the policy: %w", err)
		}
		if err := durable.WriteFile(path, u.Files[name], info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}
