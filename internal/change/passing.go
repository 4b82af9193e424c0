package change

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// passing gathers, while the commits' own diffs are read newest first, the versions of files
// that a commit adds and the result does not hold. A secret that one commit adds and the next
// one removes is in no final file, and in everybody's clone.
type passing struct {
	final map[blobAt]bool // what the result holds, of the files that differ
	found map[blobAt]*passage
	// oldest is what each path held before the oldest commit that touches it: most often what
	// the base holds, which is not new if it comes back.
	oldest map[string]string

	// Of the pair that is being read:
	entry []*passage // by entry; nil for what is not passing
	line  int        // of the next added line, in the new file
}

type blobAt struct{ path, blob string }

type passage struct {
	commit int
	entry  rawEntry
	binary bool
	runs   []sallyport.Unit
}

func (p *passing) init(s *unitSink) {
	if p.final != nil {
		return
	}
	p.final, p.found, p.oldest = map[blobAt]bool{}, map[blobAt]*passage{}, map[string]string{}
	for i := range s.files {
		p.final[blobAt{s.files[i].path, s.files[i].newBlob}] = true
	}
}

func (p *passing) entries(raw []rawEntry, commit int) error {
	p.entry = slices.Grow(p.entry[:0], len(raw))[:len(raw)]
	gone := map[string]bool{}
	for _, e := range raw {
		p.oldest[e.path] = e.oldBlob
		if e.status == 'D' {
			gone[e.oldBlob] = true
		}
	}
	for i, e := range raw {
		p.entry[i] = nil
		at := blobAt{e.path, e.newBlob}
		switch {
		case strings.Trim(e.newBlob, "0") == "" || e.newMode == modeSubmodule:
		case e.newBlob == e.oldBlob || gone[e.newBlob]: // a mode, or a rename
		case p.final[at]:
		default:
			if p.found[at] == nil {
				if len(p.found) >= MaxFiles {
					return fmt.Errorf("%w: more than %d versions of files", ErrTooLarge, MaxFiles)
				}
				p.found[at] = &passage{commit: commit, entry: e}
			}
			p.entry[i] = p.found[at]
		}
	}
	return nil
}

func (p *passing) binary(e int) {
	if v := p.entry[e]; v != nil {
		v.binary = true
	}
}

// added counts one added line of entry e.
func (p *passing) added(e int) {
	if v := p.entry[e]; v != nil {
		if n := len(v.runs); n > 0 && v.runs[n-1].Start+v.runs[n-1].Lines == p.line {
			v.runs[n-1].Lines++
		} else {
			v.runs = append(v.runs, sallyport.Unit{Kind: sallyport.UnitLines, Side: sallyport.AddedSide, Start: p.line, Lines: 1, Commits: []int{}})
		}
	}
	p.line++
}

// finish returns what was found, with the ids of the commits.
func (p *passing) finish(commits []sallyport.Commit) []sallyport.Passage {
	out := []sallyport.Passage{}
	for at, v := range p.found {
		if p.oldest[at.path] == at.blob {
			continue
		}
		f := sallyport.File{
			Path: sallyport.Path(at.path), Status: "modified", OldMode: v.entry.oldMode, NewMode: v.entry.newMode,
			OldBlob: v.entry.oldBlob, NewBlob: at.blob, Binary: v.binary, Units: v.runs, Classes: []string{},
		}
		if v.entry.status == 'A' {
			f.Status = "added"
		}
		if v.entry.newMode == modeSymlink {
			f.Units = []sallyport.Unit{{Kind: sallyport.UnitSymlink, Commits: []int{}}}
		}
		for _, u := range v.runs {
			f.Added += u.Lines
		}
		if f.Units == nil {
			f.Units = []sallyport.Unit{}
		}
		out = append(out, sallyport.Passage{Commit: commits[v.commit].ID, File: f})
	}
	slices.SortFunc(out, func(a, b sallyport.Passage) int {
		return cmp.Or(cmp.Compare(a.File.Path, b.File.Path), cmp.Compare(a.File.NewBlob, b.File.NewBlob))
	})
	return out
}
