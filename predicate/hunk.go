package predicate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// A Hunk is a place in a text file where lines change, as a unified diff with three lines of
// context shows it: runs of removed and added lines, and the unchanged lines before, between and
// after them.
//
// The diff is that of
//
//	git diff --diff-algorithm=myers --no-indent-heuristic --unified=3 --inter-hunk-context=0
//
// without text conversion, external programs, white-space options or rename detection, so two
// runs that are at most six lines apart are one hunk. Line numbers are not part of a hunk: it
// stays the same when the lines above it change, and so survives a rebase and a squash.
type Hunk struct {
	Path    string // from the root of the tree, with slashes; git's bytes
	OldMode string // git's octal form, six digits; "000000" if the file is added
	NewMode string // "000000" if the file is deleted
	Lines   []HunkLine
}

// A HunkLine is one line of a hunk.
type HunkLine struct {
	Op   byte   // ' ' context, '-' removed, '+' added
	Text string // the line's bytes with its line feed; a last line without one has none
}

// A FileChange is a change to a file that is not a matter of lines: its mode, a rename, a
// symlink, a submodule, a Git LFS pointer, a binary, or the file's being added or deleted.
type FileChange struct {
	Kind    string // the unit's kind: "mode", "file-renamed", "symlink", …
	Path    string
	OldPath string // of a rename, else empty
	OldMode string
	NewMode string
	OldBlob string // hexadecimal object id; zeros if absent
	NewBlob string
}

// The first field of what is hashed. It separates the two kinds of digest from each other, from
// later versions and from every other use of SHA-256.
const (
	hunkDomain = "https://sallyport.dev/hunk/v1"
	fileDomain = "https://sallyport.dev/file-change/v1"
)

// HunkDigest returns the lower-case hexadecimal SHA-256 of h. What is hashed is, in this order:
//
//	bytes("https://sallyport.dev/hunk/v1")
//	bytes(Path) bytes(OldMode) bytes(NewMode)
//	for each line: one byte Op, then bytes(Text)
//
// where bytes(s) is the length of s as eight bytes, most significant first, followed by s
// itself. No two hunks have the same serialization, and none needs to be held whole: see
// [HunkHash].
//
// A digest matches once: evidence that lists it n times accounts for n hunks of the change.
func HunkDigest(h Hunk) string {
	w := NewHunkHash(h.Path, h.OldMode, h.NewMode)
	for _, l := range h.Lines {
		w.Line(l.Op, []byte(l.Text))
	}
	return w.Sum()
}

// A HunkHash computes a [HunkDigest] line by line.
type HunkHash struct{ w fieldHash }

// NewHunkHash starts the digest of a hunk without lines.
func NewHunkHash(path, oldMode, newMode string) *HunkHash {
	w := newFieldHash(hunkDomain)
	w.field([]byte(path))
	w.field([]byte(oldMode))
	w.field([]byte(newMode))
	return &HunkHash{w}
}

// Line adds one line, as a [HunkLine] has it. It does not keep text.
func (h *HunkHash) Line(op byte, text []byte) {
	h.w.h.Write([]byte{op})
	h.w.field(text)
}

// Sum returns the digest of the lines so far.
func (h *HunkHash) Sum() string { return h.w.sum() }

// FileChangeDigest returns the lower-case hexadecimal SHA-256 of f, which stands where a hunk's
// digest would for a change without lines. What is hashed is, with the notation of [HunkDigest]:
//
//	bytes("https://sallyport.dev/file-change/v1")
//	bytes(Kind) bytes(Path) bytes(OldPath)
//	bytes(OldMode) bytes(NewMode) bytes(OldBlob) bytes(NewBlob)
//
// The blob of a symlink is that of its target's name, the one of a submodule the commit's id.
// Unlike a hunk's, this digest differs between SHA-1 and SHA-256 repositories.
func FileChangeDigest(f FileChange) string {
	w := newFieldHash(fileDomain)
	for _, s := range []string{f.Kind, f.Path, f.OldPath, f.OldMode, f.NewMode, f.OldBlob, f.NewBlob} {
		w.field([]byte(s))
	}
	return w.sum()
}

type fieldHash struct{ h hash.Hash }

func newFieldHash(domain string) fieldHash {
	w := fieldHash{sha256.New()}
	w.field([]byte(domain))
	return w
}

func (w fieldHash) field(b []byte) {
	w.h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
	w.h.Write(b)
}

func (w fieldHash) sum() string { return hex.EncodeToString(w.h.Sum(nil)) }
