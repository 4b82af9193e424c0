package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Tree returns the entries of one folder, that of treeish itself: files, symlinks, submodules and,
// with the mode 040000, folders.
func (r *Repo) Tree(ctx context.Context, treeish string) ([]Entry, error) {
	return r.readTree(ctx, treeish)
}

// IsFolder reports whether e is a folder; only [Repo.Tree] and [Repo.Entry] return one.
func (e Entry) IsFolder() bool { return e.Mode == modeTree }

// IsSubmodule reports whether the entry is a commit of another repository.
func (e Entry) IsSubmodule() bool { return e.Mode == "160000" }

// IsFile reports whether e is a regular file.
func (e Entry) IsFile() bool { return e.Mode == "100644" || e.Mode == "100755" }

// blobsAtOnce is how many objects one exchange of [Repo.Blobs] asks for.
const blobsAtOnce = 512

// Blobs calls fn for each object id, in order: with its bytes, or with the reason why there are
// none ([ErrMissingObject], [ErrTooLarge], another kind of object). Sizes are asked for first, so
// what is larger than limit costs no more than its size. One object is in memory at a time, unless
// fn keeps more. An error of fn ends it.
func (r *Repo) Blobs(ctx context.Context, oids []string, limit int64, fn func(i int, content []byte, err error) error) error {
	for from := 0; from < len(oids); from += blobsAtOnce {
		if err := r.blobs(ctx, oids, from, min(from+blobsAtOnce, len(oids)), limit, fn); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repo) blobs(ctx context.Context, oids []string, from, to int, limit int64, fn func(i int, content []byte, err error) error) error {
	for _, oid := range oids[from:to] {
		if err := r.checkOID(oid); err != nil {
			return err
		}
	}
	answers, err := r.batch.info(ctx, oids[from:to])
	if err != nil {
		return err
	}
	var good []string
	var at []int
	for i, a := range answers {
		if err := a.check(oids[from+i], kindBlob, limit); err != nil {
			if err := fn(from+i, nil, err); err != nil {
				return err
			}
			continue
		}
		good, at = append(good, oids[from+i]), append(at, from+i)
	}
	return r.batch.contents(ctx, good, kindBlob, limit, func(i int, _ answer, content []byte) error { return fn(at[i], content, nil) })
}

// An Addition is a file to be put into a tree: by content, or as a blob that is where the tree is
// to be stored.
type Addition struct {
	Body []byte
	OID  string // if it is not empty, Body is not looked at
}

// validPath keeps a path inside the tree, and readable without quotes in what fast-import is told.
func validPath(p string) bool {
	if p == "" || strings.ContainsAny(p, "\x00\n\r\"\\ ") {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") {
			return false
		}
	}
	return true
}

// grow makes a commit whose tree is that of old with files added, and returns its id. Paths that
// are there already are left alone. An empty old is no commit: the tree then holds files alone.
// Objects are stored in objects, or in the private folder if that is empty. Nothing is read but
// the folders that change, however large the rest is.
func (r *Repo) grow(ctx context.Context, objects, old string, files map[string]Addition, message string) (string, error) {
	var in bytes.Buffer
	marks := map[string]int{} // content is sent once, however many names it goes by
	paths := slices.Sorted(maps.Keys(files))
	for _, p := range paths {
		if !validPath(p) {
			return "", fmt.Errorf("%q is no path that is written", p)
		}
		f := files[p]
		if f.OID != "" {
			if err := r.checkOID(f.OID); err != nil {
				return "", err
			}
			continue
		}
		if _, ok := marks[string(f.Body)]; !ok {
			marks[string(f.Body)] = len(marks) + 2
			fmt.Fprintf(&in, "blob\nmark :%d\ndata %d\n%s\n", len(marks)+1, len(f.Body), f.Body)
		}
	}
	fmt.Fprintf(&in, "commit refs/sallyport/new\nmark :1\ncommitter sallyport <sallyport@localhost> %d +0000\ndata %d\n%s\n", time.Now().Unix(), len(message), message)
	if old != "" {
		if err := r.checkOID(old); err != nil {
			return "", err
		}
		fmt.Fprintf(&in, "from %s\n", old)
	}
	for _, p := range paths {
		if f := files[p]; f.OID != "" {
			fmt.Fprintf(&in, "M 100644 %s %s\n", f.OID, p)
		} else {
			fmt.Fprintf(&in, "M 100644 :%d %s\n", marks[string(f.Body)], p)
		}
	}
	in.WriteString("get-mark :1\nreset refs/sallyport/new\nfrom " + r.ZeroOID() + "\n\ndone\n")
	return r.write(ctx, objects, &in, "fast-import", "--quiet", "--done", "--force", "--date-format=raw")
}

// fresh returns the files whose paths the tree of old does not have.
func (r *Repo) fresh(ctx context.Context, old string, files map[string]Addition) (map[string]Addition, error) {
	if old == "" {
		return files, nil
	}
	folders := map[string]map[string]bool{} // the names in each folder
	names := func(dir string) (map[string]bool, error) {
		if got, ok := folders[dir]; ok {
			return got, nil
		}
		at := Entry{Mode: modeTree, OID: old}
		if dir != "" {
			var err error
			if at, err = r.Entry(ctx, old, dir); err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
		}
		got := map[string]bool{}
		if at.OID != "" {
			if at.Mode != modeTree {
				return nil, fmt.Errorf("%s is no folder there", dir)
			}
			entries, err := r.readTree(ctx, at.OID)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				got[e.Path] = true
			}
		}
		folders[dir] = got
		return got, nil
	}
	added := map[string]Addition{}
	for p, f := range files {
		dir, name := "", p
		if i := strings.LastIndexByte(p, '/'); i >= 0 {
			dir, name = p[:i], p[i+1:]
		}
		there, err := names(dir)
		if err != nil {
			return nil, err
		}
		if !there[name] {
			added[p] = f
		}
	}
	return added, nil
}

// Grown returns a commit on top of old (none if it is empty) whose tree has files added, or old if
// it has them all. The commit exists until r is closed, for [Repo.Push]; no ref moves.
func (r *Repo) Grown(ctx context.Context, old string, files map[string]Addition, message string) (string, error) {
	added, err := r.fresh(ctx, old, files)
	if err != nil || len(added) == 0 {
		return old, err
	}
	return r.grow(ctx, "", old, added, message)
}

// write runs a git command that stores objects in a folder (the private one if empty) and prints
// one id, which it returns.
func (r *Repo) write(ctx context.Context, objects string, stdin io.Reader, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	cmd := r.command(ctx, args...)
	if objects != "" {
		cmd.Env = append(cmd.Env, "GIT_OBJECT_DIRECTORY="+objects)
	}
	cmd.Stdin = stdin
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

// Fresh returns those of files whose paths the tree of the commit old does not have; all of them
// if old is empty.
func (r *Repo) Fresh(ctx context.Context, old string, files map[string]Addition) (map[string]Addition, error) {
	return r.fresh(ctx, old, files)
}
