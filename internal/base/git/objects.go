package git

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // git's object ids, not a choice
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"path"
	"strconv"
	"strings"
)

// Limits on objects that are read whole.
const (
	maxCommit  = 4 << 20
	maxTree    = 64 << 20
	maxEntries = 2 << 20 // of one recursive listing
	maxDepth   = 512     // of nested trees
)

// An Entry is one file, symlink or submodule in a tree.
type Entry struct {
	Path string // from the tree's root; bytes, not necessarily UTF-8
	Mode string // git's octal form, six digits
	OID  string
}

// Kinds of object.
const (
	kindBlob   = "blob"
	kindCommit = "commit"
	kindTree   = "tree"
	modeTree   = "040000"
)

func (r *Repo) hash(kind string, content []byte) string {
	var h hash.Hash
	if r.format == SHA256 {
		h = sha256.New()
	} else {
		h = sha1.New() //nolint:gosec // git's object ids
	}
	fmt.Fprintf(h, "%s %d\x00", kind, len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// BlobID returns the id that content has as a blob.
func (r *Repo) BlobID(content []byte) string { return r.hash(kindBlob, content) }

// Blob returns the content of the blob oid, at most limit bytes ([ErrTooLarge] otherwise).
func (r *Repo) Blob(ctx context.Context, oid string, limit int64) ([]byte, error) {
	if err := r.checkOID(oid); err != nil {
		return nil, err
	}
	var b []byte
	err := r.batch.contents(ctx, []string{oid}, kindBlob, limit, func(_ int, _ answer, c []byte) error { b = c; return nil })
	return b, err
}

// Sizes returns the size in bytes of each object, in one exchange.
func (r *Repo) Sizes(ctx context.Context, oids []string) ([]int64, error) {
	for _, oid := range oids {
		if err := r.checkOID(oid); err != nil {
			return nil, err
		}
	}
	answers, err := r.batch.info(ctx, oids)
	if err != nil {
		return nil, err
	}
	sizes := make([]int64, len(oids))
	for i, a := range answers {
		if err := a.check(oids[i], "", 1<<62); err != nil {
			return nil, err
		}
		sizes[i] = a.size
	}
	return sizes, nil
}

// Commits calls fn with the raw commit object of each id, in order and in one exchange. A commit
// larger than 4 MiB is an error.
func (r *Repo) Commits(ctx context.Context, oids []string, fn func(i int, raw []byte) error) error {
	for _, oid := range oids {
		if err := r.checkOID(oid); err != nil {
			return err
		}
	}
	return r.batch.contents(ctx, oids, kindCommit, maxCommit, func(i int, _ answer, raw []byte) error { return fn(i, raw) })
}

// Trees returns the id of the tree of each commit or tree, in one exchange.
func (r *Repo) Trees(ctx context.Context, treeish []string) ([]string, error) {
	names := make([]string, len(treeish))
	for i, oid := range treeish {
		if err := r.checkOID(oid); err != nil {
			return nil, err
		}
		names[i] = oid + "^{tree}"
	}
	answers, err := r.batch.info(ctx, names)
	if err != nil {
		return nil, err
	}
	trees := make([]string, len(answers))
	for i, a := range answers {
		if treeish[i] == r.EmptyTree() { // git knows it without storing it
			trees[i] = treeish[i]
			continue
		}
		if err := a.check(names[i], kindTree, maxTree); err != nil {
			return nil, err
		}
		trees[i] = a.oid
	}
	return trees, nil
}

// WriteCommit stores a commit object in the private folder and returns its id. It exists until
// r is closed.
func (r *Repo) WriteCommit(ctx context.Context, raw []byte) (string, error) {
	out, err := r.Output(ctx, 1<<10, bytes.NewReader(raw), "hash-object", "-t", kindCommit, "-w", "--stdin")
	if err != nil {
		return "", err
	}
	oid := strings.TrimSpace(string(out))
	if want := r.hash(kindCommit, raw); oid != want {
		return "", fmt.Errorf("write commit: %w: %s, not %s", ErrCorrupt, oid, want)
	}
	return oid, nil
}

// File returns the content of the file at path in treeish, a commit or tree. A path that does
// not exist there, or is a folder or a submodule, is [ErrNotFound]; of a symlink the target is
// returned, it is not followed.
func (r *Repo) File(ctx context.Context, treeish, name string, limit int64) ([]byte, error) {
	e, err := r.Entry(ctx, treeish, name)
	if err != nil {
		return nil, err
	}
	if e.Mode == modeTree || e.Mode == "160000" {
		return nil, fmt.Errorf("read %q in %s: %w: it is not a file", name, treeish, ErrNotFound)
	}
	return r.Blob(ctx, e.OID, limit)
}

// Entry returns the entry at name in treeish, which may be a folder. It returns [ErrNotFound] if
// there is none.
func (r *Repo) Entry(ctx context.Context, treeish, name string) (Entry, error) {
	if name != path.Clean(name) || name == "." || strings.HasPrefix(name, "/") || strings.HasPrefix(name, "../") || name == ".." {
		return Entry{}, fmt.Errorf("look up %q in %s: %w: not a clean path", name, treeish, ErrNotFound)
	}
	cur := Entry{Mode: modeTree, OID: treeish}
	for part := range strings.SplitSeq(name, "/") {
		if cur.Mode != modeTree {
			return Entry{}, fmt.Errorf("look up %q in %s: %w", name, treeish, ErrNotFound)
		}
		entries, err := r.readTree(ctx, cur.OID)
		if err != nil {
			return Entry{}, fmt.Errorf("look up %q in %s: %w", name, treeish, err)
		}
		found := false
		for _, e := range entries {
			if e.Path == part {
				cur, found = e, true
				break
			}
		}
		if !found {
			return Entry{}, fmt.Errorf("look up %q in %s: %w", name, treeish, ErrNotFound)
		}
	}
	cur.Path = name
	return cur, nil
}

// Ls returns every file, symlink and submodule of treeish, a commit or tree, that is below the
// folder prefix ("" for all), with full paths in tree order. A prefix that does not exist gives
// [ErrNotFound].
func (r *Repo) Ls(ctx context.Context, treeish, prefix string) ([]Entry, error) {
	root := treeish
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix != "" {
		e, err := r.Entry(ctx, treeish, prefix)
		if err != nil {
			return nil, err
		}
		if e.Mode != modeTree {
			return nil, fmt.Errorf("list %q in %s: %w: it is not a folder", prefix, treeish, ErrNotFound)
		}
		root = e.OID
	}
	var all []Entry
	var walk func(tree, at string, depth int) error
	walk = func(tree, at string, depth int) error {
		if depth > maxDepth {
			return fmt.Errorf("%w: trees nested more than %d deep", ErrTooLarge, maxDepth)
		}
		entries, err := r.readTree(ctx, tree)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if at != "" {
				e.Path = at + "/" + e.Path
			}
			if e.Mode == modeTree {
				if err := walk(e.OID, e.Path, depth+1); err != nil {
					return err
				}
				continue
			}
			if all = append(all, e); len(all) > maxEntries {
				return fmt.Errorf("%w: more than %d files", ErrTooLarge, maxEntries)
			}
		}
		return nil
	}
	if err := walk(root, prefix, 0); err != nil {
		return nil, fmt.Errorf("list %q in %s: %w", prefix, treeish, err)
	}
	return all, nil
}

func (r *Repo) readTree(ctx context.Context, treeish string) ([]Entry, error) {
	if err := r.checkOID(treeish); err != nil {
		return nil, err
	}
	if treeish == r.EmptyTree() {
		return nil, nil
	}
	var entries []Entry
	err := r.batch.contents(ctx, []string{treeish + "^{tree}"}, kindTree, maxTree, func(_ int, _ answer, c []byte) (err error) {
		entries, err = parseTree(c, r.oidLen()/2)
		return err
	})
	return entries, err
}

var errTree = errors.New("malformed tree object")

// parseTree decodes a tree object whose ids are oidBytes long.
func parseTree(b []byte, oidBytes int) ([]Entry, error) {
	var entries []Entry
	for len(b) > 0 {
		mode, rest, ok := bytes.Cut(b, []byte{' '})
		if !ok || len(mode) < 5 || len(mode) > 6 {
			return nil, errTree
		}
		if _, err := strconv.ParseUint(string(mode), 8, 32); err != nil {
			return nil, errTree
		}
		name, rest, ok := bytes.Cut(rest, []byte{0})
		if !ok || len(name) == 0 || bytes.IndexByte(name, '/') >= 0 || len(rest) < oidBytes {
			return nil, errTree
		}
		entries = append(entries, Entry{
			Path: string(name),
			Mode: strings.Repeat("0", 6-len(mode)) + string(mode),
			OID:  hex.EncodeToString(rest[:oidBytes]),
		})
		b = rest[oidBytes:]
	}
	return entries, nil
}

func (r *Repo) checkOID(oid string) error {
	if !r.IsOID(oid) {
		return fmt.Errorf("%w: %q is not a full %s object id", ErrRevision, oid, r.format)
	}
	return nil
}
