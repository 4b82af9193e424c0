package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrRefLocked says that another process is changing the same ref.
var ErrRefLocked = errors.New("the ref is locked by another process")

// Publish adds files, by path, to the tree that ref points to, and moves ref to a new commit on
// top of the old one. With [Repo.Rebuild] it is the only operation of this package that writes to
// the repository: objects into its object store, and this one ref, with the lock that git itself
// takes. No hook runs. Files that are there already are left alone; if all of them are, nothing
// changes. Paths have no spaces, quotes or backslashes. It returns the ref's commit.
func (r *Repo) Publish(ctx context.Context, ref string, files map[string]Addition, message string) (string, error) {
	oid, err := r.move(ctx, ref, func(old string) (string, error) {
		added, err := r.fresh(ctx, old, files)
		if err != nil || len(added) == 0 {
			return old, err
		}
		return r.grow(ctx, r.objects(), old, added, message)
	})
	if err != nil {
		return "", fmt.Errorf("publish on %s: %w", ref, err)
	}
	return oid, nil
}

// Rebuild moves ref to a new commit without history whose tree holds files and nothing else. It
// fails if ref is no longer at old ("" if it should not exist). It returns the new commit.
func (r *Repo) Rebuild(ctx context.Context, ref, old string, files map[string]Addition, message string) (string, error) {
	oid, err := r.move(ctx, ref, func(now string) (string, error) {
		if now != old {
			return "", errors.New("it has moved meanwhile")
		}
		return r.grow(ctx, r.objects(), "", files, message)
	})
	if err != nil {
		return "", fmt.Errorf("rebuild %s: %w", ref, err)
	}
	return oid, nil
}

func (r *Repo) objects() string { return filepath.Join(r.commonDir, "objects") }

// move sets ref to what next makes of its commit, under git's lock.
func (r *Repo) move(ctx context.Context, ref string, next func(old string) (string, error)) (string, error) {
	if !strings.HasPrefix(ref, "refs/") || !validRefName(ref) {
		return "", errors.New("not a full ref name")
	}
	path := filepath.Join(r.commonDir, filepath.FromSlash(ref))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(path+".lock", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", ErrRefLocked
	}
	if err != nil {
		return "", err
	}
	defer os.Remove(path + ".lock") // does nothing once it was renamed
	defer lock.Close()

	old, err := r.Ref(ctx, ref)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	oid, err := next(old)
	if err != nil || oid == old {
		return oid, err
	}
	if _, err := lock.WriteString(oid + "\n"); err != nil {
		return "", err
	}
	if err := errors.Join(lock.Sync(), lock.Close()); err != nil {
		return "", err
	}
	return oid, os.Rename(path+".lock", path)
}
