package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxRefs bounds how many refs a repository may have where all of them are read.
const maxRefs = 200_000

// Refs returns what every ref of the repository points to, not peeled, by full name. Symbolic refs
// are left out, since what they stand for is there; so is HEAD, which each work tree has for itself.
func (r *Repo) Refs(ctx context.Context) (map[string]string, error) {
	all, err := r.allPacked()
	if err != nil {
		return nil, fmt.Errorf("list the refs: %w", err)
	}
	top := filepath.Join(r.commonDir, "refs")
	err = filepath.WalkDir(top, func(p string, e fs.DirEntry, err error) error {
		switch {
		case absent(err):
			return nil // a ref that went away meanwhile
		case err != nil:
			return err
		case e.IsDir():
			return ctx.Err()
		}
		rel, err := filepath.Rel(r.commonDir, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !validRefName(name) || ofWorkTree(name) {
			return nil // a lock, or what each work tree has for itself
		}
		oid, target, err := r.readRef(name)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil
		case err != nil:
			return err
		case target == "":
			all[name] = oid
		default:
			delete(all, name)
		}
		if len(all) > maxRefs {
			return fmt.Errorf("%w: more than %d refs", ErrTooLarge, maxRefs)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the refs: %w", err)
	}
	return all, nil
}

// ofWorkTree reports whether a ref is one of those that each work tree has for itself.
func ofWorkTree(name string) bool {
	for _, p := range []string{"refs/bisect/", "refs/worktree/", "refs/rewritten/"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func (r *Repo) allPacked() (map[string]string, error) {
	all := map[string]string{}
	f, err := openRegular(filepath.Join(r.commonDir, "packed-refs"))
	if absent(err) {
		return all, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(make([]byte, 0, 64<<10), 64<<10)
	for sc.Scan() {
		oid, name, ok := strings.Cut(sc.Text(), " ")
		if !ok || oid == "#" || !r.IsOID(oid) || !validRefName(name) {
			continue
		}
		if all[name] = oid; len(all) > maxRefs {
			return nil, fmt.Errorf("%w: more than %d refs", ErrTooLarge, maxRefs)
		}
	}
	return all, sc.Err()
}

func openRegular(name string) (*os.File, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return os.Open(name)
}

// CheckedOutElsewhere returns the full names of the branches that other work trees of the repository
// have checked out.
func (r *Repo) CheckedOutElsewhere() ([]string, error) {
	dirs := []string{r.commonDir}
	linked, err := os.ReadDir(filepath.Join(r.commonDir, "worktrees"))
	if err != nil && !absent(err) {
		return nil, fmt.Errorf("list the work trees: %w", err)
	}
	for _, e := range linked {
		dirs = append(dirs, filepath.Join(r.commonDir, "worktrees", e.Name()))
	}
	var out []string
	for _, d := range dirs {
		if d == r.gitDir {
			continue
		}
		b, err := readSmall(filepath.Join(d, "HEAD"))
		if absent(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("list the work trees: %w", err)
		}
		if ref, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "ref:"); ok {
			out = append(out, strings.TrimSpace(ref))
		}
	}
	return out, nil
}

// SnapshotWorkTree returns the tree that the work tree would make if all of it that is not ignored were
// committed onto a commit, and how it differs from that commit, as [Repo.CompareWorkTree] says. Content
// is taken as it lies there: no filter and no attribute takes part. The new objects stay in the private
// folder. Submodules are left as the commit has them.
func (r *Repo) SnapshotWorkTree(ctx context.Context, commit string) (tree string, st *WorkTreeState, err error) {
	st, err = r.CompareWorkTree(ctx, commit)
	if err != nil {
		return "", nil, err
	}
	if !st.Dirty() {
		trees, err := r.Trees(ctx, []string{commit})
		if err != nil {
			return "", nil, err
		}
		return trees[0], st, nil
	}
	root, err := os.OpenRoot(r.workTree)
	if err != nil {
		return "", nil, fmt.Errorf("read the work tree: %w", err)
	}
	defer root.Close()
	in, out := io.Pipe()
	go func() { out.CloseWithError(writeSnapshot(out, root, commit, r.ZeroOID(), st.Files)) }()
	made, err := r.write(ctx, "", in, "fast-import", "--quiet", "--done", "--force", "--date-format=raw")
	in.Close()
	if err != nil {
		return "", nil, fmt.Errorf("read the work tree: %w", err)
	}
	trees, err := r.Trees(ctx, []string{made})
	if err != nil {
		return "", nil, err
	}
	return trees[0], st, nil
}

// writeSnapshot writes what fast-import makes a commit of.
func writeSnapshot(out io.Writer, root *os.Root, onto, zero string, files []WorkFile) error {
	w := bufio.NewWriterSize(out, 64<<10)
	var changes strings.Builder
	mark := 1
	for _, f := range files {
		switch {
		case f.State == FileSame:
		case f.State == FileDeleted || f.Mode == "":
			if f.State != FileUntracked {
				fmt.Fprintf(&changes, "D %s\n", quotePath(f.Path))
			}
		default:
			mark++
			fmt.Fprintf(w, "blob\nmark :%d\n", mark)
			if err := writeContent(w, root, f); err != nil {
				return err
			}
			fmt.Fprintf(&changes, "M %s :%d %s\n", f.Mode, mark, quotePath(f.Path))
		}
	}
	fmt.Fprintf(w, "commit refs/sallyport/snapshot\nmark :1\ncommitter sallyport <sallyport@localhost> 0 +0000\ndata 0\nfrom %s\n%s\n", onto, changes.String())
	fmt.Fprintf(w, "get-mark :1\nreset refs/sallyport/snapshot\nfrom %s\n\ndone\n", zero)
	return w.Flush()
}

func writeContent(w io.Writer, root *os.Root, f WorkFile) error {
	if f.Mode == "120000" {
		target, err := root.Readlink(f.Path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "data %d\n%s\n", len(target), target)
		return err
	}
	in, err := root.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file any more", f.Path)
	}
	if _, err := fmt.Fprintf(w, "data %d\n", info.Size()); err != nil {
		return err
	}
	if _, err := io.CopyN(w, in, info.Size()); err != nil {
		return fmt.Errorf("%s changed while it was read: %w", f.Path, err)
	}
	_, err = io.WriteString(w, "\n")
	return err
}

// quotePath writes a path as git quotes one in C's way.
func quotePath(p string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(p) {
		switch c := p[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, "\\%03o", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// AddWorkTree makes a linked work tree of the repository in dir, which must not exist, on a new branch
// at commit oid. It is what git worktree add does, but that no hook, filter or configuration takes part:
// only the repository's refs and worktrees folders are written.
func (r *Repo) AddWorkTree(ctx context.Context, oid, dir, branch string) error {
	fail := func(err error) error { return fmt.Errorf("make a work tree in %s: %w", dir, err) }
	ref := "refs/heads/" + branch
	if !validRefName(ref) || !filepath.IsAbs(dir) {
		return fail(fmt.Errorf("%q is no name of a branch, or the folder is not absolute", branch))
	}
	if _, err := r.Ref(ctx, ref); !errors.Is(err, ErrNotFound) {
		return fail(fmt.Errorf("the branch %s is there already: %w", branch, errors.Join(err, fs.ErrExist)))
	}
	if _, err := r.verified(ctx, oid); err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fail(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fail(err)
	}
	name := strings.ReplaceAll(branch, "/", "-")
	admin := filepath.Join(r.commonDir, "worktrees", name)
	if err := os.MkdirAll(filepath.Dir(admin), 0o755); err != nil {
		return fail(err)
	}
	if err := os.Mkdir(admin, 0o755); err != nil {
		return fail(err)
	}
	branchFile := filepath.Join(r.commonDir, filepath.FromSlash(ref))
	if err := os.MkdirAll(filepath.Dir(branchFile), 0o755); err != nil {
		return fail(err)
	}
	files := map[string]string{
		filepath.Join(admin, "commondir"): "../..\n",
		filepath.Join(admin, "gitdir"):    filepath.Join(dir, ".git") + "\n",
		filepath.Join(admin, "HEAD"):      "ref: " + ref + "\n",
		filepath.Join(dir, ".git"):        "gitdir: " + admin + "\n",
		branchFile:                        oid + "\n",
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := writeNew(file, files[file]); err != nil {
			return fail(err)
		}
	}
	index := "GIT_INDEX_FILE=" + filepath.Join(admin, "index")
	for _, args := range [][]string{{"read-tree", oid}, {"checkout-index", "-q", "-a", "-u"}} {
		cmd := r.command(ctx, append([]string{"--work-tree=" + dir}, args...)...)
		cmd.Dir, cmd.Env = dir, append(cmd.Env, index)
		var stderr tail
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return fail(exitError(args[0], err, &stderr))
		}
	}
	return nil
}

func writeNew(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
