package sallyport

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Path is a file's path inside a repository, as git's bytes: any byte but NUL, not
// necessarily UTF-8.
type Path string

// String returns the path if it is printable UTF-8 that does not start with a quotation mark,
// and otherwise a Go-quoted form of it: no two paths share a String, and none of them can
// move a terminal's cursor or hide behind a bidirectional control.
func (p Path) String() string {
	s := string(p)
	if strings.HasPrefix(s, `"`) || !utf8.ValidString(s) {
		return strconv.QuoteToASCII(s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// MarshalJSON encodes the String form, since JSON has no bytes.
func (p Path) MarshalJSON() ([]byte, error) { return EncodeJSON(p.String()) }

// UnmarshalJSON decodes what MarshalJSON wrote.
func (p *Path) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if strings.HasPrefix(s, `"`) {
		u, err := strconv.Unquote(s)
		if err != nil {
			return err
		}
		s = u
	}
	*p = Path(s)
	return nil
}

// A Change is what landing Head on Target would do. It is recomputed from git alone.
type Change struct {
	ObjectFormat string `json:"object_format"` // sha1 or sha256
	TargetRef    string `json:"target_ref"`    // fully qualified
	RefAction    string `json:"ref_action"`    // update, create, delete or rewrite (not a fast-forward)
	Base         Digest `json:"base"`          // the target's tip as the enforcement point sees it
	Head         Digest `json:"head"`
	HeadTree     Digest `json:"head_tree"`
	MergeTree    Digest `json:"merge_tree"` // tree of the conflict-free merge of Head into Base; zero on conflict
	Conflicts    []Path `json:"conflicts"`

	// Commits are those reachable from Head and not from Base, oldest first, parents before
	// children.
	Commits []Commit `json:"commits"`

	// Files is the difference between Base's tree and MergeTree, sorted by path.
	Files []File `json:"files"`

	// Passing is content that a commit of the range adds and MergeTree no longer holds: landing
	// the commits as they are publishes it all the same. Sorted by path and blob.
	Passing []Passage `json:"passing"`

	// Dependencies is filled by the scanner: the packages that Files add, update or remove, by file.
	Dependencies []Dependency `json:"dependencies"`
}

// A Passage is one version of a file on its way through a range of commits. Of the file's units
// only the added lines are told, and none has authors.
type Passage struct {
	Commit Digest `json:"commit"` // the newest commit that adds it
	File   File   `json:"file"`
}

// An Ident is an author or committer line.
type Ident struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Time  int64  `json:"time"` // seconds since the epoch; a claim, never used as the time
}

// A Trailer is one "Key: value" line at the end of a commit message.
type Trailer struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// A Commit is one commit of a change.
type Commit struct {
	ID        Digest    `json:"id"`
	Tree      Digest    `json:"tree"`
	Parents   []Digest  `json:"parents"`
	Author    Ident     `json:"author"`
	Committer Ident     `json:"committer"`
	Message   string    `json:"message"`
	Trailers  []Trailer `json:"trailers"`
	Evil      bool      `json:"evil"` // a merge that holds changes its parents' conflict-free merge does not

	// SignatureKind is ssh, openpgp, x509, none, or unknown for a kind that git may know. Signature is the armoured signature and
	// Signed the exact bytes it covers: the commit object without its signature header.
	SignatureKind string `json:"signature_kind"`
	Signature     []byte `json:"-"`
	Signed        []byte `json:"-"`
}

// A Side tells added from removed.
type Side string

// The sides of a unit.
const (
	AddedSide   Side = "added"
	RemovedSide Side = "removed"
)

// A UnitKind says what sort of change a unit is.
type UnitKind string

// The kinds of unit. Every difference between two trees is made of these.
const (
	UnitLines     UnitKind = "lines" // a run of added or removed lines
	UnitAdded     UnitKind = "file-added"
	UnitDeleted   UnitKind = "file-deleted"
	UnitRenamed   UnitKind = "file-renamed" // same blob, other path
	UnitMode      UnitKind = "mode"
	UnitSymlink   UnitKind = "symlink"   // added, removed or retargeted
	UnitSubmodule UnitKind = "submodule" // added, removed or moved to another commit
	UnitLFS       UnitKind = "lfs"       // a Git LFS pointer
	UnitBinary    UnitKind = "binary"    // content without lines, or too large to be cut into lines
)

// A Unit is the smallest thing that is attributed.
type Unit struct {
	Kind  UnitKind `json:"kind"`
	Side  Side     `json:"side,omitempty"`  // of UnitLines
	Start int      `json:"start,omitempty"` // first line, 1-based, on the unit's side
	Lines int      `json:"lines,omitempty"` // how many; 0 unless UnitLines
	Hunk  Digest   `json:"hunk"`            // sha256 of the hunk it belongs to: predicate.HunkDigest
	// Place is the index of that hunk among those of the file. Hunks at two places may have one
	// digest, and evidence about one of them is none about the other. 0 unless UnitLines.
	Place int `json:"place,omitempty"`

	// Commits are indexes into Change.Commits: every commit of the range that made this very
	// change at this path. It is a superset, so that who is named for the unit is never better
	// than who may have made it. Empty if no commit of the range accounts for it.
	Commits []int `json:"commits"`
}

// Weight is what the unit counts in coverage figures: its lines, and one if it has none.
func (u Unit) Weight() int { return max(1, u.Lines) }

// A File is one path that a change touches.
type File struct {
	Path    Path   `json:"path"`
	OldPath Path   `json:"old_path,omitempty"` // of a rename
	Status  string `json:"status"`             // added, deleted, modified, renamed
	OldMode string `json:"old_mode"`           // git's octal form; "000000" if absent
	NewMode string `json:"new_mode"`
	OldBlob string `json:"old_blob"` // object id, zeros if absent
	NewBlob string `json:"new_blob"`
	Size    int64  `json:"size"` // of NewBlob, bytes
	Binary  bool   `json:"binary"`
	Added   int    `json:"added"` // lines
	Removed int    `json:"removed"`
	Units   []Unit `json:"units"`

	// Classes is filled by the scanner: build, deploy, ci, dependency, lockfile, agent-config,
	// policy, binary, generated.
	Classes []string `json:"classes"`

	// Truncated is set when the file was too large to be cut into lines; it then has one
	// UnitBinary, and scanners read all of NewBlob.
	Truncated bool `json:"truncated"`
}
