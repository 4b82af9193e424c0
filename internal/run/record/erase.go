package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// An Erasure is the note of something that was erased. Notes of a record are numbered and hold the
// digest of the one before, and are anchored in the log: whoever erases without one is found out, and
// a note can't be taken back.
type Erasure struct {
	Version  string             `json:"version"`
	Record   Head               `json:"record"`
	Number   int                `json:"number"`             // from 1
	Previous sallyport.Digest   `json:"previous,omitempty"` // of the note before
	Time     string             `json:"time"`               // RFC 3339
	By       string             `json:"by"`                 // who erased
	Reason   string             `json:"reason"`
	What     Erased             `json:"what"`
	Texts    []sallyport.Digest `json:"texts,omitempty"`   // commitments whose texts were erased
	Records  int64              `json:"records,omitempty"` // entries that were erased, with the whole record
}

// Erased says what an erasure destroyed.
type Erased string

// What can be erased.
const (
	ErasedTexts  Erased = "texts"           // the encrypted texts
	ErasedSalts  Erased = "texts-and-salts" // and the salts: nobody can show what the text was
	ErasedRecord Erased = "record"          // all entries; header, ends and seal stay
)

const (
	erasureDir = "erasures"
	// ErasuresPlace is the place of a problem with an erasure that was interrupted.
	ErasuresPlace = erasureDir
	// perNote bounds the commitments in one note.
	perNote = 10_000
)

func noteName(n int) string { return filepath.Join(erasureDir, fmt.Sprintf("%06d.json", n)) }

func (e Erasure) check() error {
	if e.Version != Version || e.Number < 1 || e.By == "" || len(e.By) > maxField || len(e.Reason) > maxField {
		return errors.New("it is not a note of an erasure")
	}
	if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
		return err
	}
	if !slices.Contains([]Erased{ErasedTexts, ErasedSalts, ErasedRecord}, e.What) {
		return fmt.Errorf("what was erased is %.80q", e.What)
	}
	return nil
}

// ParseErasure reads the bytes of a note.
func ParseErasure(b []byte) (Erasure, error) {
	var e Erasure
	err := strict.JSON(b, MaxHeader, &e)
	if err == nil {
		err = e.check()
	}
	if err != nil {
		return Erasure{}, fmt.Errorf("read the note of an erasure: %w", err)
	}
	return e, nil
}

// notes are the notes of a record.
type notes struct {
	list    []Erasure
	digests []sallyport.Digest // of their bytes
	last    sallyport.Digest   // digest of the newest
}

// sets returns the commitments whose texts, and those whose salts, were erased.
func (n notes) sets() (texts, salts map[sallyport.Digest]bool) {
	texts, salts = map[sallyport.Digest]bool{}, map[sallyport.Digest]bool{}
	for _, e := range n.list {
		for _, d := range e.Texts {
			texts[d] = true
			if e.What == ErasedSalts {
				salts[d] = true
			}
		}
	}
	return texts, salts
}

func (n notes) whole() *Erasure {
	for i := range n.list {
		if n.list[i].What == ErasedRecord {
			return &n.list[i]
		}
	}
	return nil
}

// noteError says what is wrong with a note.
type noteError struct {
	code Code
	name string
	err  error
}

func (e noteError) Error() string { return e.name + ": " + e.err.Error() }
func (e noteError) Unwrap() error { return e.err }

// readNotes reads the notes in order.
func readNotes(dir string, id Head) (notes, error) {
	var out notes
	entries, err := os.ReadDir(filepath.Join(dir, erasureDir))
	if isMissing(err) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	number := 0
	for _, f := range entries {
		if strings.HasPrefix(f.Name(), ".") {
			continue // what a writer that was killed left
		}
		number++
		name := noteName(number)
		if f.Name() != filepath.Base(name) {
			return out, noteError{Gap, name, errors.New("the note is missing")}
		}
		b, err := readSmall(filepath.Join(dir, name))
		if err != nil {
			return out, noteError{Unreadable, name, err}
		}
		e, err := ParseErasure(b)
		switch {
		case err != nil:
			return out, noteError{Forged, name, err}
		case e.Record != id:
			return out, noteError{Replayed, name, errors.New("the note is of another record, " + Short(e.Record))}
		case e.Number != number || e.Previous != out.last:
			return out, noteError{Forged, name, errors.New("the note does not follow the one before it")}
		}
		out.list, out.last = append(out.list, e), sallyport.SHA256(b)
		out.digests = append(out.digests, out.last)
	}
	return out, nil
}

// An Order says what is to be erased, by whom and why.
type Order struct {
	By, Reason string
	Salts      bool // the salts as well as the texts
	Now        time.Time

	// Match selects commitments. Nil selects all.
	Match func(Entry, CommitRef) bool
	// Noted is told of each note before anything is destroyed, with its bytes: what it has to do with
	// them, such as anchoring, must be done when it returns. Nil: nothing.
	Noted func(Erasure, []byte) error
	// Logged reports whether the log holds the note whose bytes have a digest. Nothing is destroyed
	// on the word of notes that it does not hold: whoever can write the folder can write a note, and
	// let the next erasure do the rest. Nil: no log is asked.
	Logged func(sallyport.Digest) (bool, error)
}

// settled returns an error unless the log holds all notes that were here before the order.
func (o Order) settled(dir string, n notes) error {
	if o.Logged == nil {
		return nil
	}
	for i, d := range n.digests {
		ok, err := o.Logged(d)
		if err != nil {
			return fmt.Errorf("erase: %w", err)
		}
		if !ok {
			return fmt.Errorf("erase: %s: %w", dir, noteError{TextLost, noteName(i + 1), ErrUnlogged})
		}
	}
	return nil
}

// ErrUnlogged says that a note of an erasure is not in the log.
var ErrUnlogged = errors.New("the log does not hold this note, so nobody has to have ordered the erasure")

// Erase destroys texts of a record, and salts if the order says so. The note comes first: should the
// process be killed in between, what the note says is destroyed by the next call. Texts and salts of
// a segment that is being written stay until it is closed. It returns how many commitments it was
// about.
//
// Destroyed means that the names are gone. What a file system, a drive or a backup keeps of them is
// not in this package's power; texts are encrypted, so that without the auditor's private key that is
// nothing.
func Erase(dir string, o Order) (int, error) {
	r, lock, err := openToErase(dir, o)
	if err != nil {
		return 0, err
	}
	defer func() { _ = lock.Release() }()
	n, err := readNotes(dir, r.id)
	if err != nil {
		return 0, fmt.Errorf("erase: %w", err)
	}
	if err := o.settled(dir, n); err != nil {
		return 0, err
	}
	found, err := r.toErase(o, n)
	if err != nil {
		return 0, fmt.Errorf("erase: %w", err)
	}
	var digests []sallyport.Digest
	for _, p := range found {
		digests = append(digests, p.ref.Digest)
	}
	what := ErasedTexts
	if o.Salts {
		what = ErasedSalts
	}
	for some := range slices.Chunk(digests, perNote) {
		if err := n.add(dir, Erasure{Record: r.id, What: what, Texts: some}, o); err != nil {
			return 0, err
		}
	}
	return len(found), destroy(dir, n)
}

func openToErase(dir string, o Order) (*Reader, *durable.Lock, error) {
	if o.By == "" || o.Reason == "" {
		return nil, nil, errors.New("erase: who erases, and why, is not said")
	}
	r, err := Open(dir)
	if err != nil {
		return nil, nil, err
	}
	w := &Writer{dir: dir}
	if err := w.acquireAs("erase.lock"); err != nil {
		return nil, nil, err
	}
	return r, w.lock, nil
}

// add writes a note and tells of it.
func (n *notes) add(dir string, e Erasure, o Order) error {
	e.Version, e.Number, e.Previous = Version, len(n.list)+1, n.last
	e.By, e.Reason, e.Time = o.By, o.Reason, o.Now.UTC().Format(time.RFC3339)
	if err := e.check(); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	b, err := sallyport.EncodeJSON(e)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Join(dir, erasureDir), 0o700); err != nil {
		return err
	}
	if err := durable.CreateFile(filepath.Join(dir, noteName(e.Number)), b, 0o600); err != nil {
		return err
	}
	n.list, n.last = append(n.list, e), sallyport.SHA256(b)
	n.digests = append(n.digests, n.last)
	if o.Noted != nil {
		return o.Noted(e, b)
	}
	return nil
}

// toErase lists the commitments that an order is about and no note says to be erased.
func (r *Reader) toErase(o Order, n notes) ([]placed, error) {
	texts, salts := n.sets()
	writing := held(filepath.Join(r.dir, lockFile))
	var out []placed
	for e, err := range r.Entries() {
		if err != nil {
			return nil, err
		}
		for _, c := range e.Commits {
			gone := texts[c.Digest]
			if o.Salts {
				gone = salts[c.Digest]
			} else if c.Raw.Zero() {
				continue // no text of it was kept
			}
			if !gone && (o.Match == nil || o.Match(e, c)) {
				out = append(out, placed{ref: c, seq: e.Seq})
			}
		}
	}
	if len(out) > 0 && o.Salts && writing {
		return nil, errors.New("the record is being written: its salts can be erased once it has ended; without --salts its texts can be erased now")
	}
	return out, nil
}

// destroy removes what the notes say was erased.
func destroy(dir string, n notes) error {
	texts, salts := n.sets()
	for d := range texts {
		if err := os.Remove(filepath.Join(dir, rawName(d))); err != nil && !isMissing(err) {
			return fmt.Errorf("erase: %w", err)
		}
	}
	if len(texts) > 0 {
		if err := durable.SyncDir(filepath.Join(dir, rawDir)); err != nil && !isMissing(err) {
			return fmt.Errorf("erase: %w", err)
		}
	}
	if len(salts) == 0 {
		return nil
	}
	numbers, err := segmentNumbers(dir)
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	for _, s := range numbers {
		if err := dropSalts(filepath.Join(dir, saltsName(s)), salts); err != nil {
			return fmt.Errorf("erase: %w", err)
		}
	}
	return nil
}

// dropSalts rewrites a file of salts without those that are to go.
func dropSalts(path string, drop map[sallyport.Digest]bool) error {
	b, err := readUpTo(path, maxSalts)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept []byte
	for line := range strings.Lines(string(b)) {
		if len(line) != saltLine || !drop[sallyport.Digest("sha256:"+line[:64])] {
			kept = append(kept, line...)
		}
	}
	if len(kept) == len(b) {
		return nil
	}
	return durable.WriteFile(path, kept, 0o600)
}

// EraseRecord destroys the entries of a sealed record, with their texts and salts. What says how many
// there were and what they led to stays: header, ends of segments, seal and notes, so that the run's
// attestation and the log still have what they speak of.
func EraseRecord(dir string, o Order) error {
	r, lock, err := openToErase(dir, o)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }()
	seal, err := r.Seal()
	if err != nil {
		return err
	}
	if seal == nil {
		return fmt.Errorf("erase: the record in %s is not sealed, and a record that did not end is not erased", dir)
	}
	n, err := readNotes(dir, r.id)
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if err := o.settled(dir, n); err != nil {
		return err
	}
	if n.whole() == nil {
		if err := n.add(dir, Erasure{Record: r.id, What: ErasedRecord, Records: seal.Records}, o); err != nil {
			return err
		}
	}
	return destroyRecord(dir)
}

func destroyRecord(dir string) error {
	for _, pattern := range []string{"*.seg", "*.salts", rawDir + "/*", lostDir + "/*"} {
		names, err := filepath.Glob(filepath.Join(globQuote(dir), pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("erase: %w", err)
			}
		}
	}
	for _, sub := range []string{rawDir, lostDir} {
		if err := os.Remove(filepath.Join(dir, sub)); err != nil && !isMissing(err) {
			return fmt.Errorf("erase: %w", err)
		}
	}
	return durable.SyncDir(dir)
}
