package change

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/predicate"
)

// files compares two trees, cuts what differs into units, and names for each unit the commits
// among pairs that made it. It also returns what those commits hold in passing.
func (d *Differ) files(ctx context.Context, oldTree, newTree string, pairs []ownDiff) ([]sallyport.File, *passing, error) {
	if oldTree == newTree && len(pairs) == 0 {
		return []sallyport.File{}, &passing{}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newUnitSink()

	// The commits' own diffs are made while the files are cut, and read afterwards, newest
	// first: what a file was called before is then known when its older commits come by.
	by := newAuthors(s, pairs)
	ready, done := make(chan struct{}), make(chan error, 1)
	if len(pairs) == 0 {
		done <- nil
	} else {
		go func() {
			done <- d.repo.Stream(ctx, by.requests(), func(out io.Reader) error {
				select {
				case <-ready:
				case <-ctx.Done():
					return ctx.Err()
				}
				return readDiffs(out, len(pairs), len(oldTree), by)
			}, diffArgs(0)...)
		}()
	}
	err := d.repo.Stream(ctx, strings.NewReader(oldTree+" "+newTree+"\n"), func(out io.Reader) error {
		return readDiffs(out, 1, len(oldTree), s)
	}, diffArgs(3)...)
	if err == nil {
		err = d.measure(ctx, s)
	}
	if err != nil {
		cancel()
		<-done //nolint:errcheck // it failed because of err, if it did
		return nil, nil, err
	}
	s.indexLines()
	close(ready)
	if err := <-done; err != nil {
		return nil, nil, err
	}
	by.flush()
	return s.finish(by), &by.passing, nil
}

// A lineRun is lines of one side that follow each other in one hunk.
type lineRun struct {
	side  sallyport.Side
	start int
	hunk  int
	keys  []uint64
}

// A cutFile is a file on its way to a sallyport.File.
type cutFile struct {
	rawEntry
	oldPath string // of an exact rename
	paired  bool   // the deleted half of one
	binary  bool
	over    bool // too large, or a line too long
	pointer bool // a line looks like the beginning of a Git LFS pointer
	lfs     bool
	size    int64
	runs    []lineRun
	hunks   []sallyport.Digest
	lines   int
}

// unitSink cuts the difference of one pair of trees into hunks and runs.
type unitSink struct {
	seed  maphash.Seed
	files []cutFile
	total int // lines kept so far
	lines map[uint64]int32

	hash     *predicate.HunkHash
	old, new int  // next line numbers
	last     byte // operator of the line before
}

func newUnitSink() *unitSink { return &unitSink{seed: maphash.MakeSeed()} }

// key names a line of a side of a file. Two lines may share a key by accident, which can only
// add commits to a unit.
func (s *unitSink) key(file int32, op byte, content uint64) uint64 {
	k := content ^ (uint64(file)+1)*0x9e3779b97f4a7c15 //nolint:gosec // an index
	k ^= k >> 29
	k *= 0xbf58476d1ce4e5b9
	if op == '-' {
		k = ^k
	}
	return k
}

func (s *unitSink) pair(int) error { return nil }

func (s *unitSink) entries(raw []rawEntry) error {
	s.files = make([]cutFile, len(raw))
	gone := map[string][]int{} // blob and mode to deleted entries
	for i, e := range raw {
		s.files[i].rawEntry = e
		if e.status == 'D' && e.oldMode != modeSubmodule {
			k := e.oldMode + e.oldBlob
			gone[k] = append(gone[k], i)
		}
	}
	for i := range s.files {
		f := &s.files[i]
		if f.status != 'A' || isEmptyBlob(f.newBlob) {
			continue
		}
		k := f.newMode + f.newBlob
		from := gone[k]
		if len(from) == 0 {
			continue
		}
		at := max(0, slices.IndexFunc(from, func(j int) bool { return path.Base(raw[j].path) == path.Base(f.path) }))
		f.oldPath, f.oldMode, f.oldBlob = raw[from[at]].path, raw[from[at]].oldMode, raw[from[at]].oldBlob
		s.files[from[at]].paired = true
		gone[k] = slices.Delete(from, at, at+1)
	}
	return nil
}

// isEmptyBlob recognises the blob without content of either format: every empty file is the
// same blob, which makes none of them a rename of another.
func isEmptyBlob(oid string) bool {
	return oid == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391" ||
		oid == "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
}

// counts reports whether the lines of a file are units: not those of a rename's two halves, of a
// symlink's target or of a submodule's commit.
func (f *cutFile) counts(op byte) bool {
	mode := f.newMode
	if op == '-' {
		mode = f.oldMode
	}
	return !f.paired && f.oldPath == "" && !f.over && isRegular(mode)
}

func isRegular(mode string) bool { return strings.HasPrefix(mode, "100") }

func (s *unitSink) hunk(e, oldStart, newStart int) {
	f := &s.files[e]
	s.old, s.new, s.last = oldStart, newStart, ' '
	s.hash = predicate.NewHunkHash(f.path, f.oldMode, f.newMode)
}

const pointerLine = "version https://git-lfs.github.com/spec/v1\n"

func (s *unitSink) line(e int, op byte, text []byte, long bool) error {
	f := &s.files[e]
	oldLine, newLine := s.old, s.new
	if op != '+' {
		s.old++
	}
	if op != '-' {
		s.new++
	}
	if op == ' ' {
		if f.over || f.paired || f.oldPath != "" {
			return nil
		}
	} else if !f.counts(op) {
		return nil
	}
	if long || (op != ' ' && s.total >= MaxLines) {
		f.over = true
		s.total -= f.lines
		f.runs, f.hunks, f.lines = nil, nil, 0
		return nil
	}
	s.hash.Line(op, text)
	if (oldLine == 1 || newLine == 1) && string(text) == pointerLine {
		f.pointer = true
	}
	if op != ' ' {
		if op != s.last {
			r := lineRun{side: sallyport.AddedSide, start: newLine, hunk: len(f.hunks)}
			if op == '-' {
				r.side, r.start = sallyport.RemovedSide, oldLine
			}
			f.runs = append(f.runs, r)
		}
		r := &f.runs[len(f.runs)-1]
		r.keys = append(r.keys, s.key(int32(e), op, maphash.Bytes(s.seed, text))) //nolint:gosec // MaxFiles
		f.lines++
		s.total++
	}
	s.last = op
	return nil
}

func (s *unitSink) endHunk(e int) {
	f := &s.files[e]
	if !f.over && len(f.runs) > 0 && f.runs[len(f.runs)-1].hunk == len(f.hunks) {
		f.hunks = append(f.hunks, sallyport.Digest("sha256:"+s.hash.Sum()))
	}
}

func (s *unitSink) binary(e int) { s.files[e].binary = true }

// measure fills in sizes, tells a file that git did not compare because of its size from one
// that holds a NUL byte, and looks closer at what may be Git LFS pointers.
func (d *Differ) measure(ctx context.Context, s *unitSink) error {
	var oids []string
	at := map[string]int{}
	want := func(oid, mode string) {
		if _, known := at[oid]; !known && mode != modeNone && mode != modeSubmodule {
			at[oid] = len(oids)
			oids = append(oids, oid)
		}
	}
	for i := range s.files {
		f := &s.files[i]
		if f.paired {
			continue
		}
		want(f.newBlob, f.newMode)
		if f.binary || f.pointer {
			want(f.oldBlob, f.oldMode)
		}
	}
	sizes, err := d.repo.Sizes(ctx, oids)
	if err != nil {
		return fmt.Errorf("measure files: %w", err)
	}
	size := func(oid string) int64 {
		if i, ok := at[oid]; ok {
			return sizes[i]
		}
		return 0
	}
	for i := range s.files {
		f := &s.files[i]
		f.size = size(f.newBlob)
		if f.binary && max(f.size, size(f.oldBlob)) >= git.BigFile {
			f.over = true
		}
		if !f.pointer {
			continue
		}
		oldLFS, err := d.isPointer(ctx, f.oldBlob, f.oldMode)
		if err != nil {
			return err
		}
		newLFS, err := d.isPointer(ctx, f.newBlob, f.newMode)
		if err != nil {
			return err
		}
		f.lfs = oldLFS || newLFS
		// A pointer that replaces text, or is replaced by it, is a unit beside the text's lines.
		if (oldLFS || f.oldMode == modeNone) && (newLFS || f.newMode == modeNone) {
			f.runs = nil
		}
	}
	return nil
}

// maxPointer is the size from which Git LFS does not take a file as a pointer.
const maxPointer = 1024

func (d *Differ) isPointer(ctx context.Context, oid, mode string) (bool, error) {
	if !isRegular(mode) {
		return false, nil
	}
	b, err := d.repo.Blob(ctx, oid, maxPointer-1)
	if errors.Is(err, git.ErrTooLarge) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return isLFSPointer(b), nil
}

// isLFSPointer reports whether b is nothing but a Git LFS pointer: "key value" lines, of which
// version is the first and exactly one each is oid and size. A script that merely begins like
// one is text.
func isLFSPointer(b []byte) bool {
	rest, ok := bytes.CutPrefix(b, []byte(pointerLine))
	if !ok || len(b) >= maxPointer || !bytes.HasSuffix(b, []byte("\n")) {
		return false
	}
	var oids, sizes int
	for line := range strings.SplitSeq(strings.TrimSuffix(string(rest), "\n"), "\n") {
		key, value, ok := strings.Cut(line, " ")
		sum, isSum := strings.CutPrefix(value, "sha256:")
		switch {
		case !ok:
			return false
		case key == "oid" && isSum && isOID(sum, 64):
			oids++
		case key == "size" && value != "" && strings.Trim(value, "0123456789") == "":
			sizes++
		case strings.HasPrefix(key, "ext-") && isSum && isOID(sum, 64):
		default:
			return false
		}
	}
	return oids == 1 && sizes == 1
}

// indexLines makes every line known by its key, with no commits yet.
func (s *unitSink) indexLines() {
	s.lines = make(map[uint64]int32, s.total)
	for i := range s.files {
		for _, r := range s.files[i].runs {
			for _, k := range r.keys {
				s.lines[k] = 0
			}
		}
	}
}

// finish makes files of what was cut, sorted by path.
func (s *unitSink) finish(by *authors) []sallyport.File {
	files := make([]sallyport.File, 0, len(s.files))
	for i := range s.files {
		f := &s.files[i]
		if f.paired {
			continue
		}
		out := sallyport.File{
			Path: sallyport.Path(f.path), OldPath: sallyport.Path(f.oldPath),
			Status:  map[byte]string{'A': "added", 'D': "deleted", 'M': "modified", 'T': "modified"}[f.status],
			OldMode: f.oldMode, NewMode: f.newMode, OldBlob: f.oldBlob, NewBlob: f.newBlob,
			Size: f.size, Binary: f.binary && !f.over, Truncated: f.over,
			Units: []sallyport.Unit{}, Classes: []string{},
		}
		if f.oldPath != "" {
			out.Status = "renamed"
		}
		for _, kind := range f.kinds() {
			out.Units = append(out.Units, sallyport.Unit{
				Kind: kind, Hunk: f.digest(kind), Commits: by.ofKind(int32(i), kind), //nolint:gosec // MaxFiles
			})
		}
		for _, r := range f.runs {
			if r.side == sallyport.AddedSide {
				out.Added += len(r.keys)
			} else {
				out.Removed += len(r.keys)
			}
			for from := 0; from < len(r.keys); {
				set := s.lines[r.keys[from]]
				to := from + 1
				for to < len(r.keys) && s.lines[r.keys[to]] == set {
					to++
				}
				out.Units = append(out.Units, sallyport.Unit{
					Kind: sallyport.UnitLines, Side: r.side, Start: r.start + from, Lines: to - from,
					Hunk: f.hunks[r.hunk], Place: r.hunk, Commits: by.ofLines(int32(i), set), //nolint:gosec // MaxFiles
				})
				from = to
			}
		}
		files = append(files, out)
	}
	slices.SortFunc(files, func(a, b sallyport.File) int { return cmp.Compare(a.Path, b.Path) })
	return files
}

// kinds returns the units of f that are not lines. A file whose content is lines is added or
// deleted by them; one without any is so by itself.
func (f *cutFile) kinds() []sallyport.UnitKind {
	var kinds []sallyport.UnitKind
	has := func(mode string) bool { return f.oldMode == mode || f.newMode == mode }
	if f.oldPath != "" {
		kinds = append(kinds, sallyport.UnitRenamed)
	}
	if f.status == 'M' && f.oldMode != f.newMode {
		kinds = append(kinds, sallyport.UnitMode)
	}
	if f.oldPath == "" && has(modeSymlink) {
		kinds = append(kinds, sallyport.UnitSymlink)
	}
	if has(modeSubmodule) {
		kinds = append(kinds, sallyport.UnitSubmodule)
	}
	if f.lfs {
		kinds = append(kinds, sallyport.UnitLFS)
	}
	if f.oldPath == "" && (f.binary || f.over) {
		kinds = append(kinds, sallyport.UnitBinary)
	}
	if len(kinds) == 0 && len(f.runs) == 0 {
		if f.status == 'D' {
			return []sallyport.UnitKind{sallyport.UnitDeleted}
		}
		return []sallyport.UnitKind{sallyport.UnitAdded}
	}
	return kinds
}

func (f *cutFile) digest(kind sallyport.UnitKind) sallyport.Digest {
	return sallyport.Digest("sha256:" + predicate.FileChangeDigest(predicate.FileChange{
		Kind: string(kind), Path: f.path, OldPath: f.oldPath,
		OldMode: f.oldMode, NewMode: f.newMode, OldBlob: f.oldBlob, NewBlob: f.newBlob,
	}))
}
