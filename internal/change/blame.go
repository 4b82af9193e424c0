package change

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Commits reads commits by id, in their order. One that is not here is [git.ErrMissingObject].
func (d *Differ) Commits(ctx context.Context, ids []string) ([]sallyport.Commit, error) {
	out := make([]sallyport.Commit, 0, len(ids))
	sha256 := d.repo.ObjectFormat() == git.SHA256
	err := d.repo.Commits(ctx, ids, func(i int, raw []byte) error {
		c, err := parseCommit(raw, sha256)
		if err != nil {
			return fmt.Errorf("read commit %s: %w", ids[i], err)
		}
		c.ID = sallyport.GitCommit(ids[i])
		out = append(out, c)
		return nil
	})
	return out, err
}

// A Step is what one pair of trees did to one file.
type Step struct {
	Old, New string // ids of trees; the empty tree for none
	Path     sallyport.Path
}

// A Made is what a [Step] came to. Its zero value says that the file did not change, or has no lines.
type Made struct {
	OldMode, NewMode string
	OldBlob, NewBlob string
	Hunks            []MadeHunk
}

// A MadeHunk is one hunk of a file with the lines that it adds.
type MadeHunk struct {
	Digest  sallyport.Digest // as [sallyport.Unit] has it
	Added   []Span           // in the new file
	Removed []Span           // in the old file
}

// A Span is lines from Start up to, and without, End, counted from 1.
type Span struct{ Start, End int }

// Holds reports whether the line is one of the span's.
func (s Span) Holds(line int) bool { return s.Start <= line && line < s.End }

// Made returns what each step did, from one git process for those that the cache does not hold.
func (d *Differ) Made(ctx context.Context, steps []Step) ([]Made, error) {
	out := make([]Made, len(steps))
	var todo []int
	for i, s := range steps {
		if !d.loadMade(ctx, s, &out[i]) {
			todo = append(todo, i)
		}
	}
	if len(todo) == 0 {
		return out, nil
	}
	// Git is told all the paths for all the pairs, and what a pair has beside its own is passed over.
	paths := map[string]bool{}
	var in strings.Builder
	for _, i := range todo {
		paths[string(steps[i].Path)] = true
		in.WriteString(steps[i].Old + " " + steps[i].New + "\n")
	}
	args := append(diffArgs(3), "--")
	for p := range paths {
		if len(paths) <= maxPathspecs {
			args = append(args, p)
		}
	}
	sink := &madeSink{steps: steps, todo: todo, out: out}
	err := d.repo.Stream(ctx, strings.NewReader(in.String()), func(r io.Reader) error {
		return readDiffs(r, len(todo), len(d.repo.ZeroOID()), sink)
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read what commits made of a file: %w", err)
	}
	for _, i := range todo {
		d.saveMade(ctx, steps[i], out[i])
	}
	return out, nil
}

// madeSink keeps of each pair what it did to the one path that is asked for.
type madeSink struct {
	steps []Step
	todo  []int
	out   []Made

	at    *Made
	path  string
	entry int // of the path among the pair's, -1 if it is not there
	over  bool
	hash  *predicate.HunkHash
	cur   MadeHunk
	old   int
	new   int
	lines int
	last  byte
}

func (s *madeSink) pair(i int) error {
	s.at, s.path, s.entry, s.over, s.lines = &s.out[s.todo[i]], string(s.steps[s.todo[i]].Path), -1, false, 0
	return nil
}

func (s *madeSink) entries(raw []rawEntry) error {
	for i, e := range raw {
		if e.path == s.path {
			s.entry = i
			s.at.OldMode, s.at.NewMode, s.at.OldBlob, s.at.NewBlob = e.oldMode, e.newMode, e.oldBlob, e.newBlob
			s.over = !isRegular(e.newMode) || e.status == 'T'
		}
	}
	return nil
}

func (s *madeSink) hunk(e, oldStart, newStart int) {
	if e != s.entry {
		return
	}
	s.old, s.new, s.last = oldStart, newStart, 0
	s.cur = MadeHunk{}
	s.hash = predicate.NewHunkHash(s.path, s.at.OldMode, s.at.NewMode)
}

func (s *madeSink) line(e int, op byte, text []byte, long bool) error {
	if e != s.entry || s.over {
		return nil
	}
	if s.lines++; long || s.lines > MaxLines {
		s.over, s.at.Hunks = true, nil
		return nil
	}
	s.hash.Line(op, text)
	switch op {
	case '+':
		s.cur.Added = extend(s.cur.Added, s.new, op != s.last)
	case '-':
		s.cur.Removed = extend(s.cur.Removed, s.old, op != s.last)
	}
	if op != '-' {
		s.new++
	}
	if op != '+' {
		s.old++
	}
	s.last = op
	return nil
}

// extend adds a line to the last span, or begins one.
func extend(spans []Span, line int, begin bool) []Span {
	if begin {
		return append(spans, Span{line, line + 1})
	}
	spans[len(spans)-1].End = line + 1
	return spans
}

func (s *madeSink) endHunk(e int) {
	if e == s.entry && !s.over {
		s.cur.Digest = sallyport.Digest("sha256:" + s.hash.Sum())
		s.at.Hunks = append(s.at.Hunks, s.cur)
	}
}

func (s *madeSink) binary(int) {}

// madeVersion changes with everything that changes what a [Made] is or how it is encoded.
const madeVersion = "made/v1"

func (d *Differ) madeKey(s Step) string {
	name := sha256.Sum256([]byte(s.Path))
	return strings.Join([]string{madeVersion, Algorithm, s.Old, s.New, hex.EncodeToString(name[:])}, "\n")
}

func (d *Differ) loadMade(ctx context.Context, s Step, m *Made) bool {
	if d.cache == nil {
		return false
	}
	key := d.madeKey(s)
	b, ok := d.cache.Get(ctx, key)
	if !ok || len(b) < sha256.Size || len(b) > maxCached || !bytes.Equal(b[:sha256.Size], entrySum(key, b[sha256.Size:])) {
		return false
	}
	var got Made
	if gob.NewDecoder(bytes.NewReader(b[sha256.Size:])).Decode(&got) != nil { //nolint:gosec // bounded, into our own type, and a bad entry is a miss
		return false
	}
	*m = got
	return true
}

func (d *Differ) saveMade(ctx context.Context, s Step, m Made) {
	if d.cache == nil {
		return
	}
	var payload bytes.Buffer
	if gob.NewEncoder(&payload).Encode(m) != nil || payload.Len() > maxCached-sha256.Size {
		return
	}
	key := d.madeKey(s)
	d.cache.Put(ctx, key, append(entrySum(key, payload.Bytes()), payload.Bytes()...))
}

// A Lineage is a set of commits as one piece of history: from the one commit that they were made
// on to the last of them.
type Lineage struct {
	Start, StartTree string // Start is empty, and its tree the empty one, if they begin a history
	End, EndTree     string
}

// ErrNoLineage says that commits are not one piece of history that is here whole.
var ErrNoLineage = errors.New("the commits are no whole piece of history that is here")

// Lineage returns the lineage of commits: exactly one of them is no other's parent, and all their
// parents but one are among them.
func (d *Differ) Lineage(ctx context.Context, ids []string) (Lineage, error) {
	if len(ids) == 0 || len(ids) > MaxCommits {
		return Lineage{}, ErrNoLineage
	}
	commits, err := d.Commits(ctx, ids)
	if errors.Is(err, git.ErrMissingObject) || errors.Is(err, git.ErrRevision) {
		return Lineage{}, fmt.Errorf("%w: %w", ErrNoLineage, err)
	}
	if err != nil {
		return Lineage{}, err
	}
	own, parent, outside := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range commits {
		own[c.ID.Hex()] = true
	}
	roots := 0
	for _, c := range commits {
		if len(c.Parents) == 0 {
			roots++
		}
		for _, p := range c.Parents {
			if own[p.Hex()] {
				parent[p.Hex()] = true
			} else {
				outside[p.Hex()] = true
			}
		}
	}
	if roots+len(outside) != 1 || len(own)-len(parent) != 1 {
		return Lineage{}, ErrNoLineage
	}
	l := Lineage{StartTree: d.repo.EmptyTree()}
	for p := range outside {
		l.Start = p
		trees, err := d.repo.Trees(ctx, []string{p})
		if err != nil {
			return Lineage{}, fmt.Errorf("%w: %w", ErrNoLineage, err)
		}
		l.StartTree = trees[0]
	}
	for _, c := range commits {
		if !parent[c.ID.Hex()] {
			l.End, l.EndTree = c.ID.Hex(), c.Tree.Hex()
		}
	}
	return l, nil
}

// Tree returns the tree of a commit.
func (d *Differ) Tree(ctx context.Context, commit string) (string, error) {
	trees, err := d.repo.Trees(ctx, []string{commit})
	if err != nil {
		return "", err
	}
	return trees[0], nil
}

// HeldTree reports whether one of the newest [MaxHeld] commits of the first-parent history of base,
// itself included, has a tree.
func (d *Differ) HeldTree(ctx context.Context, base, tree string) (bool, error) {
	if err := d.historyOf(base); err != nil {
		return false, err
	}
	out, err := d.repo.Output(ctx, (MaxHeld+1)*80, nil, "log", "--first-parent", fmt.Sprintf("--max-count=%d", MaxHeld), "--format=%T", base, "--")
	if err != nil {
		return false, fmt.Errorf("read what %s has held: %w", base, err)
	}
	return slices.Contains(strings.Fields(string(out)), tree), nil
}

// BlobDiffs returns what differs between pairs of blobs, as a [Step] from one to the other would
// tell it, and which of the pairs are here whole.
func (d *Differ) BlobDiffs(ctx context.Context, pairs [][2]string) ([]Made, []bool, error) {
	out, here := make([]Made, len(pairs)), make([]bool, len(pairs))
	have, err := d.present(ctx, pairs)
	if err != nil {
		return nil, nil, fmt.Errorf("compare blobs: %w", err)
	}
	// Git compares trees, so each blob gets one, in the private folder.
	var in strings.Builder
	var all []string
	at := map[string]int{}
	var steps []Step
	var todo []int
	for i, p := range pairs {
		if here[i] = have[p[0]] && have[p[1]]; !here[i] {
			continue
		}
		for _, oid := range p {
			if _, known := at[oid]; !known {
				at[oid] = len(all)
				all = append(all, oid)
				in.WriteString("100644 blob " + oid + "\tf\n\n")
			}
		}
		todo = append(todo, i)
	}
	if len(all) == 0 {
		return out, here, nil
	}
	made, err := d.repo.Output(ctx, int64(len(all)+1)*80, strings.NewReader(in.String()), "mktree", "--batch", "--missing")
	if err != nil {
		return nil, nil, fmt.Errorf("compare blobs: %w", err)
	}
	trees := strings.Fields(string(made))
	if len(trees) != len(all) {
		return nil, nil, errors.New("compare blobs: git mktree: unexpected output")
	}
	for _, i := range todo {
		steps = append(steps, Step{Old: trees[at[pairs[i][0]]], New: trees[at[pairs[i][1]]], Path: "f"})
	}
	diffs, err := d.Made(ctx, steps)
	if err != nil {
		return nil, nil, err
	}
	for n, i := range todo {
		out[i] = diffs[n]
	}
	return out, here, nil
}

// present says which blobs are here, of those whose id has the form of this repository.
func (d *Differ) present(ctx context.Context, pairs [][2]string) (map[string]bool, error) {
	var oids []string
	for _, p := range pairs {
		for _, oid := range p {
			if d.repo.IsOID(oid) {
				oids = append(oids, oid)
			}
		}
	}
	slices.Sort(oids)
	oids = slices.Compact(oids)
	have := map[string]bool{}
	err := d.repo.Blobs(ctx, oids, 0, func(i int, _ []byte, err error) error {
		have[oids[i]] = err == nil || errors.Is(err, git.ErrTooLarge) // it is there, and not read
		return nil
	})
	return have, err
}
