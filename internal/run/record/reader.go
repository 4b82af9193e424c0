package record

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A Reader reads a record, whether it is sealed or still being written.
type Reader struct {
	dir    string
	header Header
	id     Head
}

// Open opens the record in dir. It reads the header only: what the entries are worth is found out
// by reading them, or by [Verify].
func Open(dir string) (*Reader, error) {
	h, id, err := readHeader(dir)
	if isMissing(err) {
		return nil, fmt.Errorf("%s holds no record: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	return &Reader{dir, h, id}, nil
}

// Dir returns the record's folder.
func (r *Reader) Dir() string { return r.dir }

// Header returns what the record is of.
func (r *Reader) Header() Header { return r.header }

// ID returns the record's id.
func (r *Reader) ID() Head { return r.id }

// Seal returns the record's seal, and nil if there is none. That the entries are what it says is
// for [Verify] to find out.
func (r *Reader) Seal() (*Seal, error) {
	b, err := readSmall(filepath.Join(r.dir, sealFile))
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s Seal
	if err := strict.JSON(b, MaxHeader, &s); err != nil {
		return nil, fmt.Errorf("read the seal: %w", err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("read the seal: %w", err)
	}
	return &s, nil
}

// Entries reads the entries in order and checks the chain on the way. The first that is not what the
// chain says ends it with an error; [Verify] says more. Of a record that is being written, a line
// that is not whole yet ends it without one.
func (r *Reader) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		numbers, err := segmentNumbers(r.dir)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		at := state{head: r.id}
		for i, n := range numbers {
			if n != i+1 {
				yield(Entry{}, fmt.Errorf("segment %d is missing", i+1))
				return
			}
			for l, err := range r.lines(n) {
				var e Entry
				if err == nil && l.number == 1 {
					if err = r.checkSegmentHeader(l.text, n, at); err == nil {
						continue
					}
				}
				if err == nil && !l.whole && i == len(numbers)-1 {
					return
				}
				if err == nil {
					e, err = at.follow(l.text)
				}
				if err != nil {
					yield(Entry{}, fmt.Errorf("%s line %d: %w", segmentName(n), l.number, err))
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// follow reads the entry in line and requires it to be the next one.
func (s *state) follow(line []byte) (Entry, error) {
	e, raw, err := parseLine(line)
	if err != nil {
		return e, err
	}
	if e.Seq != s.seq+1 {
		return e, fmt.Errorf("entry %d stands where entry %d belongs", e.Seq, s.seq+1)
	}
	if want := s.head.next(raw); e.Head != want {
		return e, errors.New("the chain doesn't lead to this entry")
	}
	s.seq, s.head, s.time, s.prompts = e.Seq, e.Head, e.Time, s.prompts.add(&e)
	return e, nil
}

func (r *Reader) checkSegmentHeader(line []byte, n int, at state) error {
	h, err := parseSegmentHeader(line)
	if err != nil {
		return err
	}
	if want := (segmentHeader{r.id, n, at.seq + 1, at.head}); h != want {
		return errors.New("the segment does not belong here")
	}
	return nil
}

func parseSegmentHeader(line []byte) (segmentHeader, error) {
	var h segmentHeader
	if err := strict.JSON(line, MaxHeader, &h); err != nil {
		return h, fmt.Errorf("read the head of the segment: %w", err)
	}
	return h, nil
}

// A line is a line of a segment.
type line struct {
	number int   // from 1
	offset int64 // of its first byte
	text   []byte
	whole  bool // it ends with a line feed, which text is without
}

// errLongLine says that a line can't be an entry.
var errLongLine = fmt.Errorf("the line is longer than %d bytes", MaxEntry)

// lines reads the lines of segment n. A line's text is valid until the next one.
func (r *Reader) lines(n int) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		f, err := openRegular(filepath.Join(r.dir, segmentName(n)), os.O_RDONLY)
		if err != nil {
			yield(line{}, err)
			return
		}
		defer f.Close()
		readLines(f, yield)
	}
}

func readLines(src io.Reader, yield func(line, error) bool) {
	in := bufio.NewReaderSize(src, 64<<10)
	var long []byte
	l := line{}
	for {
		l.number++
		text, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = long[:0]
			for errors.Is(err, bufio.ErrBufferFull) && len(long) <= MaxEntry {
				long = append(long, text...)
				text, err = in.ReadSlice('\n')
			}
			long = append(long, text...)
			text = long
		}
		if len(text) > MaxEntry {
			yield(l, errLongLine)
			return
		}
		if err != nil && !errors.Is(err, io.EOF) {
			yield(l, err)
			return
		}
		if len(text) == 0 {
			return
		}
		size := int64(len(text))
		l.text, l.whole = bytes.CutSuffix(text, []byte("\n"))
		if !yield(l, nil) || err != nil {
			return
		}
		l.offset += size
	}
}

// Salt returns the salt of a commitment in segment n, if it is still there.
func (r *Reader) salts(n int) (map[sallyport.Digest][32]byte, error) {
	b, err := readUpTo(filepath.Join(r.dir, saltsName(n)), maxSalts)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	salts, _ := parseSalts(b)
	return salts, nil
}

// maxSalts bounds a file of salts.
const maxSalts = 256 << 20

// Text decrypts the text of a commitment, and compares it with the commitment. The error wraps
// [ErrNotKept] if it was erased or never kept.
func (r *Reader) Text(c CommitRef, identities []age.Identity) ([]byte, error) {
	if c.Raw.Zero() {
		return nil, ErrNotKept
	}
	return openRaw(r.dir, c, identities)
}

// ParseIdentities reads an auditor's private keys, as age-keygen writes them.
func ParseIdentities(src io.Reader) ([]age.Identity, error) {
	ids, err := age.ParseIdentities(io.LimitReader(src, MaxHeader))
	if err != nil {
		return nil, fmt.Errorf("read the auditor's key: %w", err)
	}
	return ids, nil
}

// Identities are an auditor's private keys.
type Identities = []age.Identity

// Bodies returns the bytes of the files of a record that match a pattern, in the order of their names:
// what is anchored in the log.
func Bodies(dir, pattern string) ([][]byte, error) {
	names, err := filepath.Glob(filepath.Join(globQuote(dir), pattern))
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, name := range names {
		b, err := readSmall(name)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}
