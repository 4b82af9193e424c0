package record

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport-dev/sallyport"
)

// readNotes reads the notes of what was erased.
func (v *verifier) readNotes() {
	n, err := readNotes(v.r.dir, v.r.id)
	var bad noteError
	switch {
	case errors.As(err, &bad):
		v.rep.bad(bad.code, bad.name, nextBackup, "%v", bad.err)
	case err != nil:
		v.rep.bad(Unreadable, erasureDir, nextBackup, "%v", err)
	}
	v.found, v.notes, v.rep.Erasures = n.list, v.logged(n), n.list
	// An erasure that was killed before it had destroyed everything is finished by the next one.
	v.gone = v.notes.whole() != nil
}

// logged returns the notes that count. Where there is a log, a note that it does not hold excuses
// nothing: it is a file that anybody writes who can write the folder, in anybody's name.
func (v *verifier) logged(all notes) notes {
	if !v.x.Log {
		return all
	}
	var out notes
	for i, e := range all.list {
		if slices.ContainsFunc(v.x.Noted, func(o Erasure) bool { return same(o, e) }) {
			out.list = append(out.list, e)
			continue
		}
		v.rep.bad(TextLost, noteName(i+1), "if what it is about is still here, the erasure was interrupted: sallyport record anchor, then erase again; else restore it from a backup, and ask who had access",
			"the note says that %s erased something (%s), and the log has no such note: it excuses nothing", e.By, e.What)
		v.rep.Problems[len(v.rep.Problems)-1].Unlogged = true
	}
	return out
}

// erased follows the ends of the segments of a record whose entries were erased.
func (v *verifier) erased() {
	v.at = state{head: v.r.id}
	for i, n := range sortedKeys(v.closed) {
		c := v.closed[n]
		switch {
		case n != i+1:
			v.rep.bad(Gap, closeName(i+1), nextBackup, "the end of segment %d is missing", i+1)
			v.broken = true
			return
		case c.First != v.at.seq+1 || c.Previous != v.at.head:
			v.rep.bad(Forged, closeName(n), nextBackup, "it does not follow from the segment before it")
			v.broken = true
			return
		}
		v.at.seq, v.at.head = c.Records, c.Head
		v.rep.Segments = n
		v.pass()
	}
	if left, _ := segmentNumbers(v.r.dir); len(left) > 0 {
		v.rep.bad(Gap, ErasuresPlace, "sallyport record prune finishes it", "a note says that the entries were erased, and some are still here")
	}
}

// texts looks for the salt and the text of each commitment.
func (v *verifier) texts() {
	if v.broken {
		return
	}
	texts, salts := v.notes.sets()
	have := map[sallyport.Digest][32]byte{}
	segment := 0
	for _, p := range v.commits {
		if p.segment != segment {
			segment = p.segment
			var err error
			if have, err = v.r.salts(segment); err != nil {
				v.rep.bad(Unreadable, saltsName(segment), nextBackup, "%v", err)
			}
		}
		v.rep.Texts.Commitments++
		d := p.ref.Digest
		_, salted := have[d]
		kept := v.kept(p, texts[d])
		if texts[d] || salts[d] {
			v.rep.Texts.Erased++
		}
		switch {
		case salted && salts[d]:
			v.rep.bad(Gap, saltsName(segment), "sallyport record erase finishes it", "a note says that the salt of entry %d was erased, and it is still here", p.seq)
		case !salted && !salts[d]:
			v.rep.bad(TextLost, saltsName(segment), nextBackup, "the salt of a commitment of entry %d is missing, and no note says that it was erased", p.seq)
		}
		if salted {
			v.rep.Texts.Salts++
		}
		if kept {
			v.rep.Texts.Kept++
		}
		if len(v.rep.Problems) > maxProblems {
			return
		}
	}
}

// maxProblems bounds what is told of one record.
const maxProblems = 100

// kept reports whether the text of a commitment is there.
func (v *verifier) kept(p placed, erased bool) bool {
	if p.ref.Raw.Zero() {
		return false
	}
	name := rawName(p.ref.Digest)
	if erased {
		if _, err := os.Lstat(filepath.Join(v.r.dir, name)); err == nil {
			v.rep.bad(Gap, name, "sallyport record erase finishes it", "a note says that the text of entry %d was erased, and it is still here", p.seq)
		}
		return false
	}
	b, err := readUpTo(filepath.Join(v.r.dir, name), maxRaw)
	switch {
	case isMissing(err):
		v.rep.bad(TextLost, name, nextBackup, "the text of entry %d is missing, and no note says that it was erased", p.seq)
	case err != nil:
		v.rep.bad(Unreadable, name, nextBackup, "%v", err)
	case sallyport.SHA256(b) != p.ref.Raw:
		v.rep.bad(Forged, name, nextBackup, "the encrypted text of entry %d was changed", p.seq)
	default:
		return true
	}
	return false
}
