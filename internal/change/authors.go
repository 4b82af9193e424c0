package change

import (
	"hash/maphash"
	"io"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// What a commit did to a path, as bits.
const (
	didAdd = 1 << iota
	didDelete
	didMode
	didSymlink
	didSubmodule
	didBinary
)

// Bounds of the search for renames with edits, per commit. A commit that deletes and adds more
// than this is not searched: its files then count as new from there on.
const (
	maxRenameFiles = 200
	maxRenameLines = 20_000
)

type touch struct {
	commit int
	did    int
}

// authors finds out which commits made which lines: it reads the commits' own diffs, newest
// first, and files each line that a unitSink knows under the commit.
type authors struct {
	sink  *unitSink
	pairs []ownDiff // newest first
	sets  commitSets

	// names maps a path to the files of the change that are, or were once, called so.
	names   map[string][]int32
	touches [][]touch // by file

	// Of the pair that is being read:
	at       ownDiff
	raw      []rawEntry
	targets  [][]int32           // by entry: the files that its lines may be in
	did      []int               // by entry
	removed  map[int][]uint64    // deleted entries' lines, to find renames with edits
	added    map[int][]uint64    // added entries' lines
	seenLine map[uint64]int      // of a commit with several parts: parts that had the key
	seenFile map[int32]partTouch // the same for files

	passing passing
}

type partTouch struct{ parts, did int }

func newAuthors(s *unitSink, pairs []ownDiff) *authors {
	a := &authors{sink: s, pairs: slices.Clone(pairs), sets: newCommitSets()}
	slices.Reverse(a.pairs)
	// Parts of one commit stay in their order, so that the last one is known as such.
	for i := 0; i < len(a.pairs); i += a.pairs[i].parts {
		slices.Reverse(a.pairs[i : i+a.pairs[i].parts])
	}
	return a
}

// requests is the input of diff-tree for all pairs.
func (a *authors) requests() io.Reader {
	var b strings.Builder
	for _, p := range a.pairs {
		b.WriteString(p.old + " " + p.new + "\n")
	}
	return strings.NewReader(b.String())
}

func (a *authors) pair(i int) error {
	if a.names == nil {
		a.names = make(map[string][]int32, len(a.sink.files))
		a.touches = make([][]touch, len(a.sink.files))
		for i := range a.sink.files {
			f := &a.sink.files[i]
			if f.paired {
				continue
			}
			a.alias(f.path, []int32{int32(i)}) //nolint:gosec // MaxFiles
			if f.oldPath != "" {
				a.alias(f.oldPath, []int32{int32(i)}) //nolint:gosec // MaxFiles
			}
		}
	}
	a.flush()
	a.at = a.pairs[i]
	a.passing.init(a.sink)
	if a.at.part == 0 && a.at.parts > 1 {
		a.seenLine, a.seenFile = map[uint64]int{}, map[int32]partTouch{}
	}
	return nil
}

func (a *authors) alias(name string, files []int32) {
	for _, f := range files {
		if !slices.Contains(a.names[name], f) {
			a.names[name] = append(slices.Clone(a.names[name]), f) // targets may share the old one
		}
	}
}

func (a *authors) entries(raw []rawEntry) error {
	a.raw = raw
	if err := a.passing.entries(raw, a.at.commit); err != nil {
		return err
	}
	a.targets, a.did = a.targets[:0], a.did[:0]
	a.removed, a.added = nil, nil
	var adds, deletes int
	for _, e := range raw {
		a.targets = append(a.targets, a.names[e.path])
		did := 0
		switch e.status {
		case 'A':
			did, adds = didAdd, adds+1
		case 'D':
			did, deletes = didDelete, deletes+1
		case 'M':
			if e.oldMode != e.newMode {
				did = didMode
			}
		}
		if e.oldMode == modeSymlink || e.newMode == modeSymlink {
			did |= didSymlink
		}
		if e.oldMode == modeSubmodule || e.newMode == modeSubmodule {
			did |= didSubmodule
		}
		a.did = append(a.did, did)
	}
	if adds == 0 || deletes == 0 {
		return nil
	}
	from := map[string][]int{}
	for i, e := range raw {
		if e.status == 'D' {
			from[e.oldBlob] = append(from[e.oldBlob], i)
		}
	}
	exact := map[int]bool{}
	for i, e := range raw {
		if e.status != 'A' || len(a.targets[i]) == 0 {
			continue
		}
		for _, j := range from[e.newBlob] {
			exact[i], exact[j] = true, true
			a.alias(raw[j].path, a.targets[i])
		}
	}
	if adds > maxRenameFiles || deletes > maxRenameFiles {
		return nil
	}
	a.removed, a.added = map[int][]uint64{}, map[int][]uint64{}
	for i, e := range raw {
		switch {
		case exact[i]:
		case e.status == 'D':
			a.removed[i] = nil
		case e.status == 'A' && len(a.targets[i]) > 0:
			a.added[i] = nil
		}
	}
	return nil
}

func (a *authors) hunk(_, _, newStart int) { a.passing.line = newStart }
func (a *authors) endHunk(int)             {}

func (a *authors) binary(e int) {
	a.did[e] |= didBinary
	a.passing.binary(e)
}

func (a *authors) line(e int, op byte, text []byte, _ bool) error {
	if op == '+' {
		a.passing.added(e)
	}
	targets := a.targets[e]
	kept, similar := a.added[e]
	if op == '-' {
		kept, similar = a.removed[e]
	}
	if len(targets) == 0 && !similar {
		return nil
	}
	content := maphash.Bytes(a.sink.seed, text)
	if similar && len(kept) < maxRenameLines {
		if op == '-' {
			a.removed[e] = append(kept, content)
		} else {
			a.added[e] = append(kept, content)
		}
	}
	for _, f := range targets {
		k := a.sink.key(f, op, content)
		set, wanted := a.sink.lines[k]
		switch {
		case !wanted:
		case a.at.parts == 1:
			a.sink.lines[k] = a.sets.add(set, a.at.commit)
		case a.seenLine[k] == a.at.part: // in all parts so far
			if a.seenLine[k]++; a.seenLine[k] == a.at.parts {
				a.sink.lines[k] = a.sets.add(set, a.at.commit)
			}
		}
	}
	return nil
}

// flush ends the pair that was being read: its files are touched, and files that it renamed
// with edits are known by their old names from here on.
func (a *authors) flush() {
	for i := range a.raw {
		for _, f := range a.targets[i] {
			if a.at.parts == 1 {
				a.touch(f, a.did[i])
				continue
			}
			t := a.seenFile[f]
			if t.parts != a.at.part {
				continue
			}
			t.parts++
			t.did |= a.did[i]
			a.seenFile[f] = t
			if t.parts == a.at.parts {
				a.touch(f, t.did)
			}
		}
	}
	for i, lines := range a.added {
		have := make(map[uint64]bool, len(lines))
		for _, k := range lines {
			have[k] = true
		}
		for j, gone := range a.removed {
			shared := map[uint64]bool{}
			for _, k := range gone {
				if have[k] {
					shared[k] = true
				}
			}
			// A third of the smaller file's distinct lines make the two one file.
			if n := min(len(have), len(gone)); n > 0 && 3*len(shared) >= n {
				a.alias(a.raw[j].path, a.targets[i])
			}
		}
	}
	a.raw, a.added, a.removed = nil, nil, nil
}

func (a *authors) touch(file int32, did int) {
	t := a.touches[file]
	if n := len(t); n > 0 && t[n-1].commit == a.at.commit {
		t[n-1].did |= did
		return
	}
	a.touches[file] = append(t, touch{a.at.commit, did})
}

// ofLines returns the commits of a set; of the empty set, those that touched the file at all.
func (a *authors) ofLines(file int32, set int32) []int {
	if set != 0 {
		return a.sets.commits(set)
	}
	return a.touched(file, 0)
}

// ofKind returns the commits that did this kind of thing to the file, or if there are none,
// all that touched it.
func (a *authors) ofKind(file int32, kind sallyport.UnitKind) []int {
	bits := map[sallyport.UnitKind]int{
		sallyport.UnitAdded: didAdd, sallyport.UnitDeleted: didDelete, sallyport.UnitRenamed: didAdd | didDelete,
		sallyport.UnitMode: didMode, sallyport.UnitSymlink: didSymlink, sallyport.UnitSubmodule: didSubmodule,
		sallyport.UnitBinary: didBinary,
	}[kind]
	if commits := a.touched(file, bits); len(commits) > 0 {
		return commits
	}
	return a.touched(file, 0)
}

func (a *authors) touched(file int32, bits int) []int {
	commits := []int{}
	if a.touches == nil {
		return commits
	}
	for _, t := range a.touches[file] {
		if bits == 0 || t.did&bits != 0 {
			commits = append(commits, t.commit)
		}
	}
	slices.Sort(commits)
	return slices.Compact(commits)
}

// commitSets gives each set of commits that occurs a number; 0 is the empty set. Most lines of a
// change share few sets.
type commitSets struct {
	lists [][]int
	next  map[setStep]int32
}

type setStep struct {
	set    int32
	commit int
}

func newCommitSets() commitSets {
	return commitSets{lists: [][]int{{}}, next: map[setStep]int32{}}
}

// add returns the set with one more commit. Commits come in descending order.
func (s *commitSets) add(set int32, commit int) int32 {
	list := s.lists[set]
	if n := len(list); n > 0 && list[n-1] == commit {
		return set
	}
	step := setStep{set, commit}
	if to, ok := s.next[step]; ok {
		return to
	}
	to := int32(len(s.lists)) //nolint:gosec // bounded by MaxLines
	s.lists = append(s.lists, append(slices.Clone(list), commit))
	s.next[step] = to
	return to
}

// commits returns the set in ascending order.
func (s *commitSets) commits(set int32) []int {
	c := slices.Clone(s.lists[set])
	slices.Reverse(c)
	return c
}
