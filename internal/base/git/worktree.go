package git

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // git's object ids
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// The states of a file of the work tree beside a commit.
const (
	FileSame      = "same"
	FileModified  = "modified"  // other bytes, another mode or another kind
	FileDeleted   = "deleted"   // the commit has it, and the work tree does not
	FileUntracked = "untracked" // the work tree has it, the commit does not, and no .gitignore of the commit names it
)

// A WorkFile is a file of the work tree, or one that is missing there.
type WorkFile struct {
	Path   string
	State  string
	Mode   string // git's, of what lies there; empty for what is deleted or is neither file nor link
	SHA256 string // hex, of its bytes, or of what a link says; empty for what is deleted or neither
}

// A WorkTreeState is a work tree beside a commit.
type WorkTreeState struct {
	Files      []WorkFile // by path
	Submodules []Entry    // of the commit; what lies in their folders was not looked at
}

// Count returns how many files are in a state.
func (s *WorkTreeState) Count(state string) (n int) {
	for _, f := range s.Files {
		if f.State == state {
			n++
		}
	}
	return n
}

// Dirty reports whether anything in the work tree differs from the commit.
func (s *WorkTreeState) Dirty() bool { return s.Count(FileSame) != len(s.Files) }

// Difference returns the SHA-256, in hex, of the list of what differs: for each file that is not the
// same, by path, a line "STATE MODE SHA256 PATH" that ends in a NUL. Equal digests, equal differences
// from the same commit.
func (s *WorkTreeState) Difference() string {
	h := sha256.New()
	for _, f := range s.Files {
		if f.State != FileSame {
			fmt.Fprintf(h, "%s %s %s %s\x00", f.State, orElse(f.Mode, "-"), orElse(f.SHA256, "-"), f.Path)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// CompareWorkTree reads the files of the work tree and says how they differ from those of a commit.
//
// Bytes are compared, and nothing else: no index, time stamp or attribute can make a changed file
// look the same, and no filter is run. What a checkout with filters wrote differs therefore, except
// for what Git LFS put in a pointer's place. Which of the other files are ignored is asked of git,
// by the rules of the commit's own .gitignore files: .git/info/exclude, and a .gitignore that somebody
// put into the work tree, are in no commit, and would hide what is built with.
func (r *Repo) CompareWorkTree(ctx context.Context, commit string) (*WorkTreeState, error) {
	if r.workTree == "" {
		return nil, fmt.Errorf("compare the work tree: %w: the repository has none", ErrNotFound)
	}
	root, err := os.OpenRoot(r.workTree)
	if err != nil {
		return nil, fmt.Errorf("compare the work tree: %w", err)
	}
	defer root.Close()
	entries, err := r.Ls(ctx, commit, "")
	if err != nil {
		return nil, err
	}
	var st WorkTreeState
	var unlike []int
	behind := map[string]bool{".": false}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.IsSubmodule() {
			st.Submodules = append(st.Submodules, e)
			continue
		}
		if linked(root, path.Dir(e.Path), behind) {
			st.Files = append(st.Files, WorkFile{Path: e.Path, State: FileModified})
			continue
		}
		f, oid, err := r.workFile(root, e.Path)
		switch {
		case absent(err):
			f.State = FileDeleted
		case err != nil:
			return nil, fmt.Errorf("compare the work tree: %w", err)
		case oid == e.OID && f.Mode == e.Mode:
			f.State = FileSame
		default:
			f.State = FileModified
			if f.Mode == e.Mode && e.IsFile() {
				unlike = append(unlike, len(st.Files))
			}
		}
		st.Files = append(st.Files, f)
	}
	if err := r.lfs(ctx, &st, entries, unlike); err != nil {
		return nil, err
	}
	untracked, err := r.untracked(ctx, commit, entries)
	if err != nil {
		return nil, err
	}
	for _, p := range untracked {
		f, _, err := r.workFile(root, p)
		if absent(err) {
			continue // it went away meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("compare the work tree: %w", err)
		}
		f.State = FileUntracked
		st.Files = append(st.Files, f)
	}
	slices.SortFunc(st.Files, func(a, b WorkFile) int { return cmp.Compare(a.Path, b.Path) })
	return &st, nil
}

// linked reports whether a folder, or one above it, is a symbolic link: what it leads to is not what
// the commit has there. Known holds the answers.
func linked(root *os.Root, dir string, known map[string]bool) bool {
	if yes, ok := known[dir]; ok {
		return yes
	}
	yes := linked(root, path.Dir(dir), known)
	if !yes {
		info, err := root.Lstat(dir)
		yes = err == nil && info.Mode()&fs.ModeSymlink != 0
	}
	known[dir] = yes
	return yes
}

// workFile reads a file or link below root, and returns git's id of its bytes too.
func (r *Repo) workFile(root *os.Root, p string) (WorkFile, string, error) {
	f := WorkFile{Path: p}
	if strings.HasSuffix(p, "/") { // a repository inside this one
		return f, "", nil
	}
	info, err := root.Lstat(p)
	if err != nil {
		return f, "", err
	}
	sum, h := sha256.New(), sha256.New()
	if r.format != SHA256 {
		h = sha1.New() //nolint:gosec // git's object ids
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(p)
		if err != nil {
			return f, "", err
		}
		f.Mode = "120000"
		fmt.Fprintf(h, "blob %d\x00%s", len(target), target)
		sum.Write([]byte(target))
	case info.Mode().IsRegular():
		in, err := root.Open(p)
		if err != nil {
			return f, "", err
		}
		defer in.Close()
		f.Mode = "100644"
		if info.Mode()&0o100 != 0 {
			f.Mode = "100755"
		}
		// Should the file grow meanwhile, the id is of nothing that any commit has.
		fmt.Fprintf(h, "blob %d\x00", info.Size())
		if _, err := io.Copy(io.MultiWriter(h, sum), in); err != nil {
			return f, "", err
		}
	default:
		return f, "", nil
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f, hex.EncodeToString(h.Sum(nil)), nil
}

// maxPointer is what a pointer of Git LFS weighs at most
// (https://git-lfs.com).
const maxPointer = 1024

// lfs marks as the same what is what the commit's pointer names.
func (r *Repo) lfs(ctx context.Context, st *WorkTreeState, entries []Entry, unlike []int) error {
	if len(unlike) == 0 {
		return nil
	}
	byPath := make(map[string]string, len(entries))
	for _, e := range entries {
		byPath[e.Path] = e.OID
	}
	oids := make([]string, len(unlike))
	for i, n := range unlike {
		oids[i] = byPath[st.Files[n].Path]
	}
	return r.Blobs(ctx, oids, maxPointer, func(i int, content []byte, err error) error {
		if errors.Is(err, ErrTooLarge) {
			return nil
		}
		if err != nil {
			return err
		}
		f := &st.Files[unlike[i]]
		if bytes.HasPrefix(content, []byte("version https://git-lfs.github.com/spec/v1\n")) && bytes.Contains(content, []byte("\noid sha256:"+f.SHA256+"\n")) {
			f.State = FileSame
		}
		return nil
	})
}

// untracked lists what the work tree has beside the commit and no .gitignore of the commit names. A
// repository inside this one is listed as a folder, with a slash at its end.
func (r *Repo) untracked(ctx context.Context, commit string, entries []Entry) ([]string, error) {
	if err := r.checkOID(commit); err != nil {
		return nil, err
	}
	// Into the index of the private folder; the repository's own is left alone.
	if _, err := r.Output(ctx, 4<<10, nil, "read-tree", commit); err != nil {
		return nil, err
	}
	ignores, err := r.ignores(ctx, entries)
	if err != nil {
		return nil, err
	}
	var out []string
	err = r.Stream(ctx, nil, func(in io.Reader) error {
		b, err := io.ReadAll(io.LimitReader(in, maxListing+1))
		if err != nil {
			return err
		}
		if len(b) > maxListing {
			return fmt.Errorf("%w: more than %d bytes of names of files that are in no commit", ErrTooLarge, maxListing)
		}
		for p := range strings.SplitSeq(string(b), "\x00") {
			if p != "" {
				out = append(out, p)
			}
		}
		return nil
	}, "--work-tree="+r.workTree, "ls-files", "-z", "--others", "--exclude-from="+ignores)
	return out, err
}

const maxListing = 64 << 20
