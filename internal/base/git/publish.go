package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrRefLocked says that another process is changing the same ref.
var ErrRefLocked = errors.New("the ref is locked by another process")

// Publish adds files, by name, to the tree that ref points to, and moves ref to a new commit on
// top of the old one. It is the only operation of this package that writes to the repository:
// objects into its object store, and this one ref, with the lock that git itself takes. No hook
// runs. Files that are there already are left alone; if all of them are, nothing changes. Names
// are plain file names. It returns the ref's commit.
func (r *Repo) Publish(ctx context.Context, ref string, files map[string][]byte, message string) (string, error) {
	oid, err := r.publish(ctx, ref, files, message)
	if err != nil {
		return "", fmt.Errorf("publish on %s: %w", ref, err)
	}
	return oid, nil
}

func (r *Repo) publish(ctx context.Context, ref string, files map[string][]byte, message string) (string, error) {
	if !strings.HasPrefix(ref, "refs/") || strings.Contains(ref, "..") {
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
	next, err := r.append(ctx, old, files, message)
	if err != nil || next == old {
		return old, err
	}
	if _, err := lock.WriteString(next + "\n"); err != nil {
		return "", err
	}
	if err := errors.Join(lock.Sync(), lock.Close()); err != nil {
		return "", err
	}
	return next, os.Rename(path+".lock", path)
}

// append writes the blobs, the tree and the commit, and returns the commit.
func (r *Repo) append(ctx context.Context, old string, files map[string][]byte, message string) (string, error) {
	tree := map[string]Entry{}
	if old != "" {
		entries, err := r.Ls(ctx, old, "")
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			if strings.Contains(e.Path, "/") {
				return "", fmt.Errorf("it holds a folder, %q", e.Path)
			}
			tree[e.Path] = e
		}
	}
	added := false
	for name, body := range files {
		if name == "" || strings.ContainsAny(name, "/\x00\n\"") || name == "." || name == ".." {
			return "", fmt.Errorf("%q is no plain file name", name)
		}
		if _, ok := tree[name]; ok {
			continue
		}
		oid, err := r.write(ctx, body, "hash-object", "-w", "--stdin")
		if err != nil {
			return "", err
		}
		tree[name], added = Entry{Path: name, Mode: "100644", OID: oid}, true
	}
	if !added {
		return old, nil
	}
	var list bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		e := tree[name]
		kind := "blob"
		if e.Mode == "160000" {
			kind = kindCommit
		}
		fmt.Fprintf(&list, "%s %s %s\t%s\x00", e.Mode, kind, e.OID, name)
	}
	top, err := r.write(ctx, list.Bytes(), "mktree", "-z")
	if err != nil {
		return "", err
	}
	var c strings.Builder
	fmt.Fprintf(&c, "tree %s\n", top)
	if old != "" {
		fmt.Fprintf(&c, "parent %s\n", old)
	}
	who := fmt.Sprintf("sallyport <sallyport@localhost> %d +0000", time.Now().Unix())
	fmt.Fprintf(&c, "author %s\ncommitter %s\n\n%s\n", who, who, message)
	return r.write(ctx, []byte(c.String()), "hash-object", "-t", kindCommit, "-w", "--stdin")
}

// write runs a git command that stores an object in the repository, and returns the object's id.
func (r *Repo) write(ctx context.Context, stdin []byte, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	cmd := r.command(ctx, args...)
	cmd.Env = append(cmd.Env, "GIT_OBJECT_DIRECTORY="+filepath.Join(r.commonDir, "objects"))
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr tail
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", exitError(args[0], err, &stderr)
	}
	oid := strings.TrimSpace(string(out))
	if !r.IsOID(oid) {
		return "", fmt.Errorf("git %s printed no object id", args[0])
	}
	return oid, nil
}
