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
)

// maxCheckedOut bounds one file of a checkout, in bytes: each is hashed in memory.
const maxCheckedOut = 1 << 30

// A CheckedOut is what a checkout holds.
type CheckedOut struct {
	Files      int
	Submodules []string // paths; nothing was checked out there
}

// Checkout writes the files of commit oid into dir, which must be empty, as a checkout of a
// repository of its own: with a .git folder in which HEAD is the commit, on the branch of that
// short name if one is given, with the tags of r and no other ref, and that reads the objects of r and
// writes none there. The files are created in reverse order, so that what depends on the order
// shows. No hook, filter or configuration of r takes part; attributes in the commit do, as for
// anybody's checkout.
//
// Every object of the commit is hashed first and compared with its id, so that a doctored store
// cannot put other files in the place of the commit's.
func (r *Repo) Checkout(ctx context.Context, oid, dir, branch string) (CheckedOut, error) {
	fail := func(err error) (CheckedOut, error) {
		return CheckedOut{}, fmt.Errorf("check out %.12s: %w", oid, err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		return fail(errors.Join(err, fmt.Errorf("the folder %s is not empty", dir)))
	}
	entries, err := r.verified(ctx, oid)
	if err != nil {
		return fail(err)
	}
	if err := r.newGitDir(ctx, filepath.Join(dir, ".git"), oid, branch); err != nil {
		return fail(err)
	}
	if err := r.inCheckout(ctx, dir, nil, "read-tree", oid); err != nil {
		return fail(err)
	}
	var out CheckedOut
	var list bytes.Buffer
	for _, e := range slices.Backward(entries) {
		if e.IsSubmodule() {
			out.Submodules = append(out.Submodules, e.Path)
			continue
		}
		out.Files++
		list.WriteString(e.Path + "\x00")
	}
	if err := r.inCheckout(ctx, dir, &list, "checkout-index", "-q", "-u", "-z", "--stdin"); err != nil {
		return fail(err)
	}
	return out, nil
}

// verified returns the files of a commit, every object of which is what its id says.
func (r *Repo) verified(ctx context.Context, oid string) ([]Entry, error) {
	var tree string
	err := r.Commits(ctx, []string{oid}, func(_ int, raw []byte) error {
		line, _, _ := bytes.Cut(raw, []byte("\n"))
		id, ok := bytes.CutPrefix(line, []byte("tree "))
		if tree = string(id); !ok || !r.IsOID(tree) {
			return fmt.Errorf("%w: it names no tree", ErrCorrupt)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	entries, err := r.Ls(ctx, tree, "")
	if err != nil {
		return nil, err
	}
	var paths, oids []string
	for _, e := range entries {
		if !e.IsSubmodule() {
			paths, oids = append(paths, e.Path), append(oids, e.OID)
		}
	}
	return entries, r.Blobs(ctx, oids, maxCheckedOut, func(i int, _ []byte, err error) error {
		if err != nil {
			return fmt.Errorf("read %q: %w", paths[i], err)
		}
		return nil
	})
}

// newGitDir makes the .git folder of a checkout.
func (r *Repo) newGitDir(ctx context.Context, gitDir, oid, branch string) error {
	for _, d := range []string{"refs/heads", "refs/tags", "objects/info", "objects/pack"} {
		if err := os.MkdirAll(filepath.Join(gitDir, filepath.FromSlash(d)), 0o755); err != nil {
			return err
		}
	}
	tags, err := r.tags(ctx)
	if err != nil {
		return err
	}
	var packed strings.Builder
	head := oid + "\n"
	if full := "refs/heads/" + branch; branch != "" && validRefName(full) {
		head = "ref: " + full + "\n"
		packed.WriteString(oid + " " + full + "\n")
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		packed.WriteString(tags[name] + " " + name + "\n")
	}
	version, ext := "0", ""
	if r.format != SHA1 {
		version, ext = "1", "[extensions]\n\tobjectformat = "+r.format+"\n"
	}
	for name, text := range map[string]string{
		"HEAD":                    head,
		"packed-refs":             packed.String(),
		"config":                  "[core]\n\trepositoryformatversion = " + version + "\n\tfilemode = true\n\tbare = false\n[gc]\n\tauto = 0\n" + ext,
		"objects/info/alternates": quoteAlternate(r.objects()) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(gitDir, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// tags returns the object of each tag, by full name. Loose ones count before packed ones.
func (r *Repo) tags(ctx context.Context) (map[string]string, error) {
	tags := map[string]string{}
	if b, err := os.ReadFile(filepath.Join(r.commonDir, "packed-refs")); err == nil {
		for line := range strings.Lines(string(b)) {
			oid, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			if strings.HasPrefix(name, "refs/tags/") && r.IsOID(oid) && validRefName(name) {
				tags[name] = oid
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err := filepath.WalkDir(filepath.Join(r.commonDir, "refs", "tags"), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(r.commonDir, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !validRefName(name) {
			return nil
		}
		oid, err := r.Ref(ctx, name)
		if err == nil {
			tags[name] = oid
		}
		return err
	})
	return tags, err
}

// inCheckout runs git in a checkout that newGitDir began.
func (r *Repo) inCheckout(ctx context.Context, dir string, stdin *bytes.Buffer, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	cmd := r.command(ctx, args...)
	cmd.Dir = dir
	// The last of a name counts.
	cmd.Env = append(cmd.Env, "GIT_DIR="+filepath.Join(dir, ".git"), "GIT_WORK_TREE="+dir)
	if stdin != nil {
		cmd.Stdin = stdin
	}
	var stderr tail
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("git %s: %w", args[0], ctx.Err())
		}
		return exitError(args[0], err, &stderr)
	}
	return nil
}
