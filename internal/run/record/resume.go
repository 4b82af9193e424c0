package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// A Recovery says in what state [Resume] found a record. It is the body of the entry that follows.
type Recovery struct {
	Records int64            `json:"records"` // whole entries that were there
	Segment int              `json:"segment"`
	Offset  int64            `json:"offset"`           // where what was put aside began
	Bytes   int64            `json:"bytes"`            // how much was put aside; none of it was acknowledged
	Digest  sallyport.Digest `json:"digest,omitempty"` // of what was put aside
	File    string           `json:"file,omitempty"`   // and where it is
}

const lostDir = "lost"

// Resume takes up a record whose writer was closed or killed. Every entry that Append acknowledged is
// kept. What follows the last whole entry was not acknowledged; it is put aside in the folder lost,
// and the first new entry says so. A record that is not whole before its last segment is not taken
// up: nothing that a crash can do makes one.
func Resume(dir string, o Options) (_ *Writer, _ Recovery, err error) {
	r, err := Open(dir)
	if err != nil {
		return nil, Recovery{}, err
	}
	w := &Writer{dir: dir, header: r.header, id: r.id, opts: o.withDefaults()}
	if w.auditor, err = newSealer(r.header.Auditors); err != nil {
		return nil, Recovery{}, err
	}
	if err := w.acquire(); err != nil {
		return nil, Recovery{}, err
	}
	defer func() {
		if err != nil {
			_, _ = closeFile(w.file), w.lock.Release()
		}
	}()
	rec, ended, err := w.takeUp(r)
	if err != nil {
		return nil, rec, fmt.Errorf("take up the record in %s: %w", dir, err)
	}
	if ended {
		// Killed after the last entry: what seals it is all that is missing.
		if seal, serr := r.Seal(); serr != nil || seal != nil {
			return nil, rec, errors.Join(fmt.Errorf("%w: %s", ErrSealed, dir), serr)
		}
		if _, err := w.finish(); err != nil {
			return nil, rec, err
		}
		return nil, rec, fmt.Errorf("%w now: %s had its last entry already", ErrSealed, dir)
	}
	w.next = w.kept
	w.start()
	if _, err := w.Append(KindRecovered, rec); err != nil {
		return nil, rec, errors.Join(err, w.Close())
	}
	return w, rec, nil
}

// takeUp reads the whole record, puts aside what was not acknowledged and leaves the writer where the
// last one was. It reports whether the record had ended.
func (w *Writer) takeUp(r *Reader) (rec Recovery, ended bool, err error) {
	numbers, err := segmentNumbers(w.dir)
	if err != nil {
		return rec, false, err
	}
	w.kept = state{head: w.id}
	for i, n := range numbers {
		if n != i+1 {
			return rec, false, fmt.Errorf("segment %d is missing; sallyport record verify says more", i+1)
		}
		w.segment, w.first, w.before, w.size = n, w.kept.seq+1, w.kept.head, 0
		for l, err := range r.lines(n) {
			if err == nil && l.number == 1 {
				if err = r.checkSegmentHeader(l.text, n, w.kept); err == nil {
					w.size = int64(len(l.text)) + 1
					continue
				}
			} else if err == nil && l.whole {
				var e Entry
				if e, err = w.kept.follow(l.text); err == nil {
					w.size += int64(len(l.text)) + 1
					ended = e.Kind == KindEnd
					continue
				}
			}
			if n != numbers[len(numbers)-1] || l.number == 1 {
				return rec, false, fmt.Errorf("%s line %d: %w; sallyport record verify says more", segmentName(n), l.number, err)
			}
			break
		}
		if w.size == 0 {
			return rec, false, fmt.Errorf("%s is empty; sallyport record verify says more", segmentName(n))
		}
	}
	if w.segment == 0 {
		return rec, false, errors.New("segment 1 is missing")
	}
	rec = Recovery{Records: w.kept.seq, Segment: w.segment, Offset: w.size}
	if w.file, err = openRegular(filepath.Join(w.dir, segmentName(w.segment)), os.O_RDWR|os.O_APPEND); err != nil {
		return rec, false, err
	}
	if err := w.putAside(&rec); err != nil {
		return rec, false, err
	}
	w.opened = w.opts.Now()
	if _, err := os.Lstat(filepath.Join(w.dir, closeName(w.segment))); err == nil && !ended {
		w.file.Close() // killed after it closed the segment: the next entry begins another
		w.file = nil
	}
	return rec, ended, nil
}

// putAside moves what follows the last whole entry out of the segment.
func (w *Writer) putAside(rec *Recovery) error {
	fi, err := w.file.Stat()
	if err != nil || fi.Size() == w.size {
		return err
	}
	rest := make([]byte, min(fi.Size()-w.size, maxLost))
	if _, err := w.file.ReadAt(rest, w.size); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	rec.Bytes, rec.Digest = fi.Size()-w.size, sallyport.SHA256(rest)
	rec.File = filepath.ToSlash(filepath.Join(lostDir, fmt.Sprintf("%06d-%d", w.segment, w.size)))
	if err := durable.MkdirAll(filepath.Join(w.dir, lostDir), 0o700); err != nil {
		return err
	}
	// Written again if an earlier attempt was killed before it could truncate.
	if err := durable.WriteFile(filepath.Join(w.dir, rec.File), rest, 0o600); err != nil {
		return err
	}
	return truncate(w.file, w.size)
}

// maxLost bounds what is put aside: more than any batch, and not all that a hostile disk may hold.
const maxLost = 256 << 20
