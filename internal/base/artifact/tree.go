package artifact

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// A TreeFile is a file of a git tree.
type TreeFile struct {
	Path   string
	Mode   string // 100644, 100755, 120000, or 160000 for a submodule, whose content is elsewhere
	SHA256 string // of its content, in hex; of a link, of what it leads to
}

// A TreeReport says whether an archive holds a tree. The zero report is not equal.
type TreeReport struct {
	Equal  bool
	Files  int    // that are equal
	Prefix string // the one folder that everything lies in, with a slash at its end
	// Differences are the first things that differ, each with the member's name, safe to print.
	Differences []string
	More        int // that differ as well
}

// A member is what an archive says of one of its members.
type member struct {
	name   string // without "./" and the slash of a folder
	folder bool
	mode   string // as git writes it; empty: one that git has not
	sha    string
	odd    string // what makes it no member that git archive would write
}

// A treeReader reads one archive. What is odd about it as a whole it notes beside the members.
type treeReader struct {
	ctx     context.Context //nolint:containedctx // of one call of CompareTree
	limits  Limits
	commit  string
	left    int64
	packed  int64
	out     int64
	members []member
	odd     []string
}

const treeDifferences = 20

// CompareTree reports whether the archive holds exactly the files of tree: a tar, as it is or packed by gzip or
// bzip2, or a zip.
//
// Every file and link has to be there by path, mode and content, once, and nothing else. Allowed beside them
// are: one folder that everything lies in, whose name begins with neither a dot nor a hyphen; the folders of the files, and those of submodules, empty; a pax
// header or a zip comment with the commit's id. Times and owners are not compared. Of a mode, whether its
// owner may execute the file has to be as in the tree, and nobody may who may not there. What git leaves out of
// an archive or changes in it, by the attributes export-ignore and export-subst, differs.
//
// What readers of archives may see in different ways is a difference too: a name that stands twice, a
// hard link, a sparse file, bytes between, in and after the members, a file with a folder's name, a folder with
// content, a second gzip stream, and of a zip whatever is not said once (see treezip.go). An archive that cannot be read to its end is not equal.
// An error means that the input could not be had.
func CompareTree(ctx context.Context, in Input, commit string, tree []TreeFile, limits Limits) (TreeReport, error) {
	limits = limits.orDefault()
	if in.Size > limits.Size {
		return TreeReport{}, ErrTooLarge
	}
	r := &treeReader{ctx: ctx, limits: limits, commit: commit, left: limits.Unpacked, packed: in.Size}
	if err := r.read(in); err != nil {
		if cerr := ctx.Err(); cerr != nil {
			return TreeReport{}, cerr
		}
		r.odd = append(r.odd, "it cannot be read to its end: "+visible(err.Error()))
	}
	plain := r.compare(tree, "")
	if prefix := r.prefix(); prefix != "" && !plain.Equal {
		if inside := r.compare(tree, prefix); inside.Equal || len(inside.Differences)+inside.More < len(plain.Differences)+plain.More {
			return inside, nil
		}
	}
	return plain, nil
}

// prefix returns the one folder that all members lie in, if there is one.
func (r *treeReader) prefix() string {
	first := ""
	for _, m := range r.members {
		top, _, below := strings.Cut(m.name, "/")
		if !below && !m.folder || first != "" && top != first {
			return ""
		}
		first = top
	}
	// A folder that hides, or that a command takes for an option, is none that a release would have.
	if first == "" || strings.HasPrefix(first, ".") || strings.HasPrefix(first, "-") {
		return ""
	}
	return first + "/"
}

func (r *treeReader) compare(tree []TreeFile, prefix string) TreeReport {
	out := TreeReport{Prefix: prefix, Differences: []string{}}
	tell := func(format string, args ...any) {
		if len(out.Differences) >= treeDifferences {
			out.More++
			return
		}
		out.Differences = append(out.Differences, clip(fmt.Sprintf(format, args...)))
	}
	for _, o := range r.odd {
		tell("%s", o)
	}
	want := make(map[string]TreeFile, len(tree))
	folders := map[string]bool{strings.TrimSuffix(prefix, "/"): prefix != ""}
	for _, f := range tree {
		want[prefix+f.Path] = f
		if f.Mode == "160000" {
			folders[prefix+f.Path] = true
		}
		for dir := path.Dir(prefix + f.Path); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	seen := make(map[string]bool, len(r.members))
	for _, m := range r.members {
		name := visible(m.name)
		f, known := want[m.name]
		switch {
		case seen[m.name] && !m.folder:
			tell("%s stands twice", name)
			continue
		case m.odd != "":
			tell("%s %s", name, m.odd)
		case m.folder && folders[m.name], m.folder && m.name == ".":
			continue
		case !known || m.folder || f.Mode == "160000":
			tell("%s is not in the tree", name)
		case m.mode != f.Mode:
			tell("%s has the mode %s, and %s in the tree", name, m.mode, f.Mode)
		case m.sha != f.SHA256:
			tell("%s has other content than in the tree", name)
		default:
			out.Files++
		}
		seen[m.name] = true
	}
	for _, f := range tree {
		if f.Mode != "160000" && !seen[prefix+f.Path] {
			tell("%s is in the tree and not in the archive", visible(f.Path))
		}
	}
	out.Equal = len(out.Differences) == 0
	return out
}

func (r *treeReader) read(in Input) (err error) {
	defer func() {
		// Readers of the standard library have panicked on hostile files before.
		if p := recover(); p != nil {
			err = errors.New("its reader failed on it")
		}
	}()
	head := make([]byte, 4)
	n, _ := in.Data.ReadAt(head, 0)
	all := io.NewSectionReader(in.Data, 0, in.Size)
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return r.zip(in)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		packed := bufio.NewReader(all)
		z, err := gzip.NewReader(packed)
		if err != nil {
			return err
		}
		// Some readers go on with the next stream, others end at the first.
		z.Multistream(false)
		if err := r.tar(z); err != nil {
			return err
		}
		if _, err := packed.ReadByte(); !errors.Is(err, io.EOF) {
			r.odd = append(r.odd, "there is data after its first gzip stream")
		}
		return nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return r.tar(bzip2.NewReader(all))
	}
	return r.tar(all)
}

// A boundedReader bounds what is unpacked, and ends when its context does.
type boundedReader struct {
	t *treeReader
	r io.Reader
}

func (b boundedReader) Read(p []byte) (int, error) {
	if err := b.t.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	b.t.left -= int64(n)
	b.t.out += int64(n)
	switch {
	case b.t.left < 0:
		return 0, fmt.Errorf("more than %d bytes are unpacked from it", b.t.limits.Unpacked)
	case b.t.out > freely && b.t.out/b.t.limits.Ratio > b.t.packed:
		return 0, fmt.Errorf("it unpacks to more than %d times its size", b.t.limits.Ratio)
	}
	return n, err
}

func (r *treeReader) add(m member) error {
	if len(r.members) >= r.limits.Members {
		return fmt.Errorf("it has more than %d members", r.limits.Members)
	}
	name := strings.TrimSuffix(strings.TrimPrefix(m.name, "./"), "/")
	if name == "" {
		name = "."
	}
	if path.Clean(name) != name || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
		m.odd = "is no name of a file below a folder"
	}
	m.name = name
	r.members = append(r.members, m)
	return nil
}

// gitMode is the mode that a file of an archive has in git.
func gitMode(perm int64) string {
	switch {
	case perm&0o7000 != 0:
		return "with special bits"
	case perm&0o100 != 0:
		return "100755"
	case perm&0o111 != 0:
		return "with an owner who may not execute it, where others may"
	}
	return "100644"
}

func (r *treeReader) tar(from io.Reader) error {
	in := boundedReader{r, from}
	t := tar.NewReader(in)
	var headers int64
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		m := member{name: h.Name, folder: h.Typeflag == tar.TypeDir}
		for k, v := range h.PAXRecords {
			if headers += int64(len(k) + len(v)); headers > maxHeaders {
				return fmt.Errorf("it has more than %d bytes of headers", maxHeaders)
			}
		}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
			r.global(h)
			continue
		case tar.TypeReg:
			m.mode = gitMode(h.Mode)
			if isSparse(h) {
				m.odd = "is a sparse file"
				break
			}
			sum := sha256.New()
			if _, err := io.Copy(sum, t); err != nil { //nolint:gosec // boundedReader bounds it
				return err
			}
			m.sha = hex.EncodeToString(sum.Sum(nil))
		case tar.TypeSymlink:
			sum := sha256.Sum256([]byte(h.Linkname))
			m.mode, m.sha = "120000", hex.EncodeToString(sum[:])
		case tar.TypeDir:
			if h.Mode&0o7000 != 0 {
				m.odd = "is a folder with special bits"
			}
		default:
			m.odd = "is a " + tarKind(h.Typeflag) + ", which git has not"
		}
		switch {
		case m.odd != "":
		case h.Typeflag != tar.TypeDir && strings.HasSuffix(h.Name, "/"):
			m.odd = "has a folder's name and is none: some readers take its content for further members"
		case h.Typeflag != tar.TypeReg && h.Size != 0:
			m.odd = "says that it has content, which some readers pass over and others take for further members"
		case needless(h):
			m.odd = "has a name or a size in a further record that its header could hold, and readers without such records see another"
		}
		for k := range h.PAXRecords {
			if m.odd == "" && !slices.Contains([]string{"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime"}, k) {
				m.odd = "has the further record " + visible(k)
			}
		}
		if err := r.add(m); err != nil {
			return err
		}
	}
	// What follows the end is seen by readers that do not stop there.
	rest := make([]byte, 64<<10)
	for {
		n, err := in.Read(rest)
		if len(bytes.Trim(rest[:n], "\x00")) > 0 {
			r.odd = append(r.odd, "there is data after its last member")
			return nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// needless reports whether a pax record stands for what the header has room for. Readers that pass over such records go
// by the header, which Go does not show; what needs one is in no header that could be believed.
func needless(h *tar.Header) bool {
	const room, largest = 100, 1<<33 - 1
	fits := func(s string) bool {
		return len(s) <= room && !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
	}
	_, name := h.PAXRecords["path"]
	_, link := h.PAXRecords["linkpath"]
	_, size := h.PAXRecords["size"]
	return name && fits(h.Name) || link && fits(h.Linkname) || size && h.Size <= largest
}

// global judges a header for all members: git's holds the commit's id, and nothing else may stand there.
func (r *treeReader) global(h *tar.Header) {
	for k, v := range h.PAXRecords {
		if k != "comment" || v != r.commit {
			r.odd = append(r.odd, fmt.Sprintf("a header for all members says %s=%.100s, and may hold the commit's id alone", visible(k), visible(v)))
		}
	}
}
