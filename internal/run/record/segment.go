package record

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A segmentHeader is the first line of a segment: where in which record it belongs. It repeats what
// the chain says, so that a segment that was put elsewhere can say where it came from.
type segmentHeader struct {
	Record   Head  `json:"record"`   // the record's id
	Segment  int   `json:"segment"`  // its number, from 1
	First    int64 `json:"first"`    // sequence number of its first entry
	Previous Head  `json:"previous"` // head of the chain before it
}

// A Closed says what a segment held when it was closed. Its bytes are what is anchored in the log.
type Closed struct {
	Version  string `json:"version"`
	Record   Head   `json:"record"`
	Run      string `json:"run,omitempty"`
	Gateway  string `json:"gateway,omitempty"`
	Segment  int    `json:"segment"`
	First    int64  `json:"first"`
	Entries  int64  `json:"entries"`  // in this segment
	Records  int64  `json:"records"`  // in the record, up to and with this segment
	Previous Head   `json:"previous"` // head before the segment
	Head     Head   `json:"head"`     // and after it
	Closed   string `json:"closed"`   // RFC 3339
	Last     bool   `json:"last"`     // the record ended here
}

func (c Closed) check() error {
	switch {
	case c.Version != Version:
		return fmt.Errorf("format %.80q", c.Version)
	case c.Segment < 1 || c.First < 1 || c.Entries < 0 || c.Records != c.First+c.Entries-1:
		return errors.New("its numbers contradict one another")
	}
	return nil
}

// ParseClosed reads the bytes of a [Closed], such as the log has them.
func ParseClosed(b []byte) (Closed, error) {
	var c Closed
	err := strict.JSON(b, MaxHeader, &c)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return Closed{}, fmt.Errorf("read the end of a segment: %w", err)
	}
	return c, nil
}

func segmentName(n int) string { return fmt.Sprintf("%06d.seg", n) }
func saltsName(n int) string   { return fmt.Sprintf("%06d.salts", n) }
func closeName(n int) string   { return fmt.Sprintf("%06d.close", n) }

// segmentNumbers lists the numbers of the segments in dir, in order.
func segmentNumbers(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	var out []int
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".seg")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(base)
		if err != nil || n < 1 || segmentName(n) != e.Name() {
			return nil, fmt.Errorf("%s is not the name of a segment", filepath.Join(dir, e.Name()))
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

// openSegment makes the segment after the closed ones and leaves it open for appending.
func (w *Writer) openSegment() error {
	hdr, err := sallyport.EncodeJSON(segmentHeader{w.id, w.segment + 1, w.kept.seq + 1, w.kept.head})
	if err != nil {
		return err
	}
	path := filepath.Join(w.dir, segmentName(w.segment+1))
	hdr = append(hdr, '\n')
	if err := durable.CreateFile(path, hdr, 0o600); err != nil {
		// An attempt before this one may have got as far as the file, and no further.
		if b, rerr := readSmall(path); rerr != nil || !bytes.Equal(b, hdr) {
			return err
		}
	}
	f, err := openRegular(path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	w.segment++
	w.file, w.size, w.first, w.before = f, int64(len(hdr)), w.kept.seq+1, w.kept.head
	w.opened = w.opts.Now()
	w.salts, w.saltsSize = nil, 0
	return nil
}

// closeSegment ends the segment that is open.
func (w *Writer) closeSegment(last bool) (Closed, error) {
	c := Closed{
		Version: Version, Record: w.id, Run: w.header.Run, Gateway: w.header.Gateway,
		Segment: w.segment, First: w.first, Entries: w.kept.seq - w.first + 1, Records: w.kept.seq,
		Previous: w.before, Head: w.kept.head, Closed: w.kept.time.Format(timeLayout), Last: last,
	}
	err := writeJSON(filepath.Join(w.dir, closeName(w.segment)), c)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return c, err
	}
	// What is in them is durable, so that closing can lose nothing.
	_, _ = w.file.Close(), closeFile(w.salts)
	w.file, w.salts = nil, nil
	if w.opts.Closed != nil {
		w.opts.Closed(c)
	}
	return c, nil
}

func closeFile(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}
