package record

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// A Code says what is wrong with a record. Codes never change.
type Code string

// The codes.
const (
	Truncated  Code = "record-truncated"   // its end is missing
	Reordered  Code = "record-reordered"   // entries or segments stand in another order
	Forged     Code = "record-forged"      // it was changed after it was written
	Replayed   Code = "record-replayed"    // what belongs elsewhere, or stood here before, was put here
	Unsealed   Code = "record-unsealed"    // it did not end, and nobody writes it
	Gap        Code = "record-gap"         // something before its end is missing
	RolledBack Code = "record-rolled-back" // an older state was put back: the log has seen more
	Clock      Code = "record-clock"       // its times cannot be true
	TextLost   Code = "record-text-lost"   // a text or salt is gone, and no note says who erased it
	Unreadable Code = "record-unreadable"  // it cannot be read
)

// A Problem is something wrong with a record.
type Problem struct {
	Code  Code   `json:"code"`
	Place string `json:"place"` // file, and line or entry
	Text  string `json:"text"`
	Next  string `json:"next"`

	// Unlogged marks a note that the log does not hold, of which nothing else is known to be wrong.
	Unlogged bool `json:"-"`
}

// An Attested is what an agent-run attestation says of a record.
type Attested struct {
	Attestation sallyport.Digest `json:"attestation"`
	Run         string           `json:"run"`
	Repository  string           `json:"repository"`
	Sealed      bool             `json:"sealed"`
	Records     int64            `json:"records"`
	Head        string           `json:"head"`
	Prompts     string           `json:"prompts,omitempty"`
}

// Expect is what others say of a record. The zero Expect knows nothing, and then a record is only
// compared with itself.
type Expect struct {
	Run        string // the run that it is said to be of
	Repository string
	Attested   []Attested // attestations that verified
	Anchored   []Closed   // ends of segments in the log, of this record or of this run
	Log        bool       // there is a log, so that every note of an erasure has to stand in it
	Noted      []Erasure  // notes of erasures in the log, of this record
	Now        time.Time  // zero: times are not compared with the clock
}

// A Report says what a record is worth.
type Report struct {
	Folder     string    `json:"folder"`
	Record     string    `json:"record,omitempty"` // its id
	Run        string    `json:"run,omitempty"`
	Gateway    string    `json:"gateway,omitempty"`
	Repository string    `json:"repository,omitempty"`
	Status     Status    `json:"status"`
	Records    int64     `json:"records"`
	Head       string    `json:"head,omitempty"`
	Segments   int       `json:"segments"`
	Attested   int       `json:"attested"` // attestations that agree with it
	Anchored   int       `json:"anchored"` // ends of its segments that stand in the log
	Texts      Texts     `json:"texts"`
	Erasures   []Erasure `json:"erasures,omitempty"`
	Recovered  int       `json:"recovered"` // how often a writer that had died was followed by another
	Problems   []Problem `json:"problems"`
}

// A Status says in a word what a record is worth.
type Status string

// The statuses.
const (
	StatusBad    Status = "bad"    // see the problems
	StatusOpen   Status = "open"   // being written
	StatusSealed Status = "sealed" // whole
	StatusErased Status = "erased" // its entries were erased lawfully; what seals them stands
)

// Texts counts what a record's commitments are worth.
type Texts struct {
	Commitments int `json:"commitments"`
	Salts       int `json:"salts"`  // of which the salt is there
	Kept        int `json:"kept"`   // of which the text is there, encrypted
	Erased      int `json:"erased"` // of which salt or text was erased
}

// OK reports whether nothing is wrong with the record.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// OpensLater is what to do about a record whose bytes can't be trusted.
const nextBackup = "compare with a backup of the folder; treat what the run wrote as not attested"

func (r *Report) bad(code Code, place, next, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{Code: code, Place: place, Text: fmt.Sprintf(format, args...), Next: next})
}

// Verify reads the whole record in dir and says what is wrong with it: by itself, and by what others
// say of it. It never fails: a record that can't be read is a problem like others.
func Verify(dir string, x Expect) Report {
	rep := Report{Folder: dir, Problems: []Problem{}}
	v := verifier{rep: &rep, x: x, heads: map[int64]Head{}}
	v.verify(dir)
	switch {
	case !rep.OK():
		rep.Status = StatusBad
	case v.gone:
		rep.Status = StatusErased
	case v.seal != nil:
		rep.Status = StatusSealed
	default:
		rep.Status = StatusOpen
	}
	return rep
}

type verifier struct {
	rep     *Report
	x       Expect
	r       *Reader
	seal    *Seal
	closed  map[int]Closed
	found   []Erasure // all notes that are here
	notes   notes     // those that count
	gone    bool      // the entries were erased, and a note says so
	at      state
	last    Kind
	torn    bool           // the last line is not whole
	heads   map[int64]Head // heads that others speak of, by sequence number
	commits []placed
	broken  bool // the entries are not a chain
}

// placed is a commitment and the segment that it stands in.
type placed struct {
	ref     CommitRef
	segment int
	seq     int64
}

func (v *verifier) verify(dir string) {
	r, err := Open(dir)
	if err != nil {
		v.rep.bad(Unreadable, headerFile, nextBackup, "%v", err)
		return
	}
	v.r = r
	v.rep.Record, v.rep.Run, v.rep.Gateway, v.rep.Repository = r.id.String(), r.header.Run, r.header.Gateway, r.header.Repository
	v.identity()
	if v.foreign() {
		v.broken = true
		return
	}
	if v.seal, err = r.Seal(); err != nil {
		v.rep.bad(Forged, sealFile, nextBackup, "%v", err)
	}
	v.readClosed()
	v.readNotes()
	v.want()
	if v.gone {
		v.erased()
	} else {
		v.chain()
		v.texts()
	}
	v.rep.Records, v.rep.Head = v.at.seq, v.at.head.String()
	v.end()
	v.others()
	v.noted()
}

// identity compares what the record says it is of with what it was found as.
func (v *verifier) identity() {
	h := v.r.header
	if v.x.Run != "" && h.Name() != v.x.Run {
		v.rep.bad(Replayed, headerFile, nextBackup, "this is the record of %s, not of %s", h.Name(), v.x.Run)
	}
	if v.x.Repository != "" && h.Repository != "" && h.Repository != v.x.Repository {
		v.rep.bad(Replayed, headerFile, nextBackup, "this is a record of the repository %s, not of %s", h.Repository, v.x.Repository)
	}
}

// foreign reports whether all that is here agrees on the record that it is of, and the header is of
// another one.
func (v *verifier) foreign() bool {
	ids, run := map[Head]bool{}, ""
	numbers, err := segmentNumbers(v.r.dir)
	if err != nil {
		return false // said later
	}
	for _, n := range numbers {
		for l, err := range v.r.lines(n) {
			if h, herr := parseSegmentHeader(l.text); err == nil && herr == nil {
				ids[h.Record] = true
			}
			break
		}
		if b, err := readSmall(filepath.Join(v.r.dir, closeName(n))); err == nil {
			if c, err := ParseClosed(b); err == nil {
				ids[c.Record], run = true, c.Run+c.Gateway
			}
		}
	}
	if len(ids) != 1 || ids[v.r.id] {
		return false
	}
	if run != "" && run != v.r.header.Name() {
		v.rep.bad(Replayed, headerFile, nextBackup, "the header is of %s, and the segments are of %s", v.r.header.Name(), run)
	} else {
		v.rep.bad(Forged, headerFile, nextBackup, "the header was changed: the chain does not begin with it")
	}
	return true
}

func (v *verifier) readClosed() {
	v.closed = map[int]Closed{}
	names, err := filepath.Glob(filepath.Join(globQuote(v.r.dir), "*.close"))
	if err != nil {
		v.rep.bad(Unreadable, ".", nextBackup, "%v", err)
	}
	for _, path := range names {
		name := filepath.Base(path)
		b, err := readSmall(path)
		var c Closed
		if err == nil {
			c, err = ParseClosed(b)
		}
		switch {
		case err != nil:
			v.rep.bad(Forged, name, nextBackup, "%v", err)
		case c.Record != v.r.id:
			v.rep.bad(Replayed, name, nextBackup, "it is of another record, %s", Short(c.Record))
		case closeName(c.Segment) != name:
			v.rep.bad(Reordered, name, nextBackup, "it is the end of segment %d", c.Segment)
		default:
			v.closed[c.Segment] = c
		}
	}
}

// globQuote makes path match itself only.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Short is a head for people.
func Short(h Head) string { return sallyport.Digest(h.String()).Short() }

// want notes the places of the chain that others speak of.
func (v *verifier) want() {
	for _, a := range v.x.Attested {
		v.heads[a.Records] = Head{}
	}
	for _, c := range v.x.Anchored {
		v.heads[c.Records] = Head{}
	}
}

// pass notes the head of an entry.
func (v *verifier) pass() {
	if _, ok := v.heads[v.at.seq]; ok {
		v.heads[v.at.seq] = v.at.head
	}
}

// chain reads all segments. What is wrong with them is then looked for with more care.
func (v *verifier) chain() {
	v.at = state{head: v.r.id}
	numbers, err := segmentNumbers(v.r.dir)
	if err != nil {
		v.rep.bad(Unreadable, ".", nextBackup, "%v", err)
		v.broken = true
		return
	}
	v.rep.Segments = len(numbers)
	if !v.straight(numbers) {
		v.broken = true
		v.explain(numbers)
	}
}

// straight reads the segments and stops at the first thing that is not as it should be.
func (v *verifier) straight(numbers []int) bool {
	for i, n := range numbers {
		if n != i+1 {
			return false
		}
		first, before, empty := v.at.seq+1, v.at.head, true
		for l, err := range v.r.lines(n) {
			empty = false
			switch {
			case err != nil:
				return false
			case l.number == 1:
				if !l.whole || v.r.checkSegmentHeader(l.text, n, v.at) != nil {
					return false
				}
				continue
			case !l.whole && i == len(numbers)-1:
				v.torn = true
				continue
			}
			then := v.at.time
			e, err := v.at.follow(l.text)
			if err != nil || !l.whole {
				return false
			}
			place := fmt.Sprintf("%s:%d", segmentName(n), l.number)
			v.entry(e, n, place, then)
		}
		if empty {
			return false
		}
		v.segmentEnd(n, first, before, i == len(numbers)-1)
	}
	return len(numbers) > 0
}

// entry notes what others than the chain have to say of an entry.
func (v *verifier) entry(e Entry, segment int, place string, before time.Time) {
	v.last = e.Kind
	if e.Kind == KindRecovered {
		v.rep.Recovered++
	}
	v.pass()
	for _, c := range e.Commits {
		v.commits = append(v.commits, placed{c, segment, e.Seq})
	}
	const skew = 5 * time.Minute
	switch {
	case e.Time.Before(before):
		v.rep.bad(Clock, place, nextBackup, "entry %d is of %s, before the entry that it follows", e.Seq, e.Time.Format(time.RFC3339))
	case !v.x.Now.IsZero() && e.Time.After(v.x.Now.Add(skew)):
		v.rep.bad(Clock, place, "set the clock of this machine or of the one that wrote it, and verify again",
			"entry %d is of %s, which is yet to come", e.Seq, e.Time.Format(time.RFC3339))
	}
}

// segmentEnd compares a segment that was read with what was written when it was closed.
func (v *verifier) segmentEnd(n int, first int64, before Head, last bool) {
	c, ok := v.closed[n]
	name := closeName(n)
	switch {
	case !ok && !last:
		v.rep.bad(Gap, name, nextBackup, "segment %d has a successor, and what says how it ended is missing", n)
	case !ok:
	case c.Records > v.at.seq:
		v.rep.bad(Truncated, segmentName(n), nextBackup, "the segment ended with entry %d, and what is here ends with entry %d", c.Records, v.at.seq)
	case c.First != first || c.Previous != before || c.Records != v.at.seq || c.Head != v.at.head:
		v.rep.bad(Forged, segmentName(n), nextBackup, "the segment ended with entry %d and head %s, and what is here with entry %d and head %s",
			c.Records, Short(c.Head), v.at.seq, Short(v.at.head))
	}
}

// end compares the record with its seal.
func (v *verifier) end() {
	for _, n := range sortedKeys(v.closed) {
		if n > v.rep.Segments && !v.broken && !v.gone {
			v.rep.bad(Truncated, segmentName(n), nextBackup, "segment %d was closed with entry %d, and is missing", n, v.closed[n].Records)
		}
	}
	s := v.seal
	if s == nil {
		v.unsealed()
		return
	}
	switch {
	case s.Record != v.r.id:
		v.rep.bad(Replayed, sealFile, nextBackup, "the seal is of another record: %s of %s", Short(s.Record), s.Run+s.Gateway)
	case v.broken: // nothing to compare with
	case v.at.seq < s.Records:
		v.rep.bad(Truncated, sealFile, nextBackup, "%d entries were sealed, and %d are here", s.Records, v.at.seq)
	case v.at.seq > s.Records:
		v.rep.bad(Forged, sealFile, nextBackup, "%d entries were sealed, and %d are here", s.Records, v.at.seq)
	case v.at.head != s.Head:
		v.rep.bad(Forged, sealFile, nextBackup, "%s was sealed, and the entries lead to %s", Short(s.Head), Short(v.at.head))
	case v.gone:
	case v.last != KindEnd:
		v.rep.bad(Forged, sealFile, nextBackup, "the last entry is of kind %s, not %s", v.last, KindEnd)
	case v.at.prompts.digest() != s.Prompts || v.at.prompts.n != s.Requests || v.rep.Segments != s.Segments:
		v.rep.bad(Forged, sealFile, nextBackup, "the seal contradicts the entries on requests or segments")
	}
}

func (v *verifier) unsealed() {
	if held(filepath.Join(v.r.dir, lockFile)) || v.broken {
		return // being written; or worse is known of it already
	}
	text := fmt.Sprintf("the record was never sealed: after entry %d nobody knows what happened", v.at.seq)
	if v.torn {
		text += ", and its last line is not whole, as when its writer is killed"
	}
	v.rep.bad(Unsealed, sealFile, "sallyport record seal "+v.r.header.Name()+" closes it as aborted; what the run wrote needs another attestation, or an approval", "%s", text)
}

// held reports whether somebody holds the lock at path.
func held(path string) bool {
	f, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func sortedKeys(m map[int]Closed) []int {
	var out []int
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
