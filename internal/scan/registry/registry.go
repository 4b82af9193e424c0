// Package registry keeps the names that package registries have, and when each was first published where somebody says
// so, and answers whether a name is among them. It opens no socket: what registries publish about their names is
// imported from files.
//
// # Sources
//
// A file has the names of one ecosystem, by type of package URL ([Types]), in one of these forms:
//
//   - text, a name to a line, and behind a tab or spaces the day on which it was first published, 2006-01-02, or the
//     moment in RFC 3339. Empty lines, and those that begin with #, say nothing;
//   - a JSON array of names, or a JSON object from names to days, with null or "" where nobody knows.
//
// A line that is none of that fails the import: an index that lacks names would call them made up.
//
// # The index
//
// [Import] writes one file: a head of fixed size, the description ([Meta], JSON), a directory, and records of 20 bytes, sorted: 16 of
// the SHA-256 of the ecosystem and the name as its registry compares it, and the day. Sixteen bytes are enough that nobody finds a
// name which is taken for another's. Records lie in pages; the directory has the first record of each page and its
// digest. The head binds the description, that the directory, and that the pages, so that whatever answers is what was imported and what
// [Meta.Digest] names. Another byte is [ErrDamaged].
//
// A name that the index does not have is not known: it may be made up, or newer than the index. Without an index
// nothing is known about any name.
package registry

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// The errors of an index that cannot be used.
var (
	ErrMissing = errors.New("there is no index of names")
	ErrForeign = errors.New("the file is no index of names of this program")
	ErrDamaged = errors.New("the index of names is damaged")
)

// Format is the version of the index format.
const Format = 1

const (
	magic      = "sallyport-names\n"
	headSize   = 16 + 4 + 4 + 4 + sha256.Size // magic, format, size of the description, pages, digest
	hashSize   = 16
	recordSize = hashSize + 4
	pageSize   = 256 * recordSize
	entrySize  = hashSize + sha256.Size // of the directory
	maxMeta    = 1 << 20
	maxPages   = 1 << 20
)

// Types are the types of package URL whose names are kept.
var Types = []string{"cargo", "composer", "gem", "golang", "hex", "maven", "npm", "nuget", "pub", "pypi"}

// A Meta describes an index.
type Meta struct {
	Format     int              `json:"format"`
	Built      time.Time        `json:"built"`
	Digest     sallyport.Digest `json:"digest"` // of the directory, and so of all names
	Names      int              `json:"names"`
	Ecosystems []Ecosystem      `json:"ecosystems"` // by type
}

// An Ecosystem is what is kept of one.
type Ecosystem struct {
	Type   string           `json:"type"`
	Names  int              `json:"names"`
	Dated  int              `json:"dated"` // of how many it is said when they were first published
	Source string           `json:"source"`
	Digest sallyport.Digest `json:"digest"` // of the file that was imported
	// AsOf is when the file was made, by its bringer's word, or else the latest day in it; zero if nobody says.
	AsOf time.Time `json:"as_of,omitzero"`
}

// Age returns how old the names are at a time, if that is known. What is from a time to come says nothing about its age.
func (e Ecosystem) Age(now time.Time) (age time.Duration, known bool) {
	if e.AsOf.IsZero() || e.AsOf.After(now.Add(time.Hour)) {
		return 0, false
	}
	return max(0, now.Sub(e.AsOf)), true
}

// Stale reports whether the names are older than they may be, or of an age that nobody says. 0 is any age.
func (e Ecosystem) Stale(now time.Time, most time.Duration) bool {
	age, known := e.Age(now)
	return most > 0 && (!known || age > most)
}

// Ecosystem returns what is kept of an ecosystem, by type of package URL.
func (m *Meta) Ecosystem(typ string) (Ecosystem, bool) {
	for _, e := range m.Ecosystems {
		if e.Type == typ {
			return e, true
		}
	}
	return Ecosystem{}, false
}

// hash is what stands for a name.
func hash(typ, name string) [hashSize]byte {
	sum := sha256.Sum256([]byte(typ + "\x00" + key(typ, name)))
	return [hashSize]byte(sum[:hashSize])
}

// key is a name as its registry compares it. In lower case a name that differs in nothing else is taken for known, which
// is not what this is about.
func key(typ, name string) string {
	name = strings.ToLower(name)
	switch typ {
	case "pypi":
		return strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' }), "-")
	case "cargo":
		return strings.ReplaceAll(name, "_", "-")
	}
	return name
}

// An Index is an open index. It is safe for concurrent use.
type Index struct {
	f     io.ReaderAt
	shut  func() error
	meta  Meta
	start int64  // of the records
	size  int64  // of the records
	dir   []byte // the first record of each page, and its digest

	mu    sync.Mutex
	pages map[int][]byte // those that were read, which are what was written
}

// Open opens the index at path. Its errors wrap [ErrMissing], [ErrForeign] or [ErrDamaged].
func Open(path string) (*Index, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w at %s", ErrMissing, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the index of names: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no regular file", ErrForeign, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	x, err := open(f, info.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, path), f.Close())
	}
	x.shut = f.Close
	return x, nil
}

func open(f io.ReaderAt, size int64) (*Index, error) {
	head := make([]byte, min(size, headSize))
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	switch {
	case len(head) < len(magic) || string(head[:len(magic)]) != magic:
		return nil, ErrForeign
	case len(head) < headSize:
		return nil, fmt.Errorf("%w: it is cut short", ErrDamaged)
	}
	format, metaSize, pages := binary.BigEndian.Uint32(head[16:]), int64(binary.BigEndian.Uint32(head[20:])), int64(binary.BigEndian.Uint32(head[24:]))
	if format != Format {
		return nil, fmt.Errorf("%w: it has format %d, and this is format %d: import the names again", ErrForeign, format, Format)
	}
	x := &Index{f: f, shut: func() error { return nil }, pages: map[int][]byte{}}
	x.start = headSize + metaSize + pages*entrySize
	x.size = size - x.start
	if metaSize > maxMeta || pages < 1 || pages > maxPages || x.size <= (pages-1)*pageSize || x.size > pages*pageSize || x.size%recordSize != 0 {
		return nil, fmt.Errorf("%w: its head contradicts itself", ErrDamaged)
	}
	meta := make([]byte, metaSize)
	if _, err := f.ReadAt(meta, headSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if sum := sha256.Sum256(append(bytes.Clone(head[:28]), meta...)); !bytes.Equal(sum[:], head[28:]) {
		return nil, fmt.Errorf("%w: its description is not what was written", ErrDamaged)
	}
	if err := strict.JSON(meta, maxMeta, &x.meta); err != nil {
		return nil, fmt.Errorf("%w: its description: %w", ErrDamaged, err)
	}
	x.dir = make([]byte, pages*entrySize)
	if _, err := f.ReadAt(x.dir, headSize+metaSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if sallyport.SHA256(x.dir) != x.meta.Digest {
		return nil, fmt.Errorf("%w: its directory is not the one that its description names", ErrDamaged)
	}
	return x, nil
}

// Close closes the file.
func (x *Index) Close() error { return x.shut() }

// Meta describes the index. The caller changes nothing in it.
func (x *Index) Meta() *Meta { return &x.meta }

// page returns a page, which was held to its digest.
func (x *Index) page(n int) ([]byte, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if b := x.pages[n]; b != nil {
		return b, nil
	}
	b := make([]byte, min(pageSize, x.size-int64(n)*pageSize))
	if _, err := x.f.ReadAt(b, x.start+int64(n)*pageSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], x.dir[n*entrySize+hashSize:][:sha256.Size]) {
		return nil, fmt.Errorf("%w: page %d is not what was written", ErrDamaged, n)
	}
	x.pages[n] = b
	return b, nil
}

// An Answer is what the index says of a name.
type Answer struct {
	Kept  bool      // the index has names of the ecosystem; else nothing is known
	Known bool      // the name is among them
	First time.Time // when it was first published; zero if nobody says
}

// Look says whether a name of an ecosystem, by type of package URL, is known.
func (x *Index) Look(typ, name string) (Answer, error) {
	e, ok := x.meta.Ecosystem(typ)
	if !ok || e.Names == 0 {
		return Answer{}, nil
	}
	h := hash(typ, name)
	// The last page that begins with no more than h.
	n := sort.Search(len(x.dir)/entrySize, func(i int) bool { return bytes.Compare(x.dir[i*entrySize:][:hashSize], h[:]) > 0 }) - 1
	if n < 0 {
		return Answer{Kept: true}, nil
	}
	b, err := x.page(n)
	if err != nil {
		return Answer{}, err
	}
	i := sort.Search(len(b)/recordSize, func(i int) bool { return bytes.Compare(b[i*recordSize:][:hashSize], h[:]) >= 0 })
	if i == len(b)/recordSize || !bytes.Equal(b[i*recordSize:][:hashSize], h[:]) {
		return Answer{Kept: true}, nil
	}
	a := Answer{Kept: true, Known: true}
	if day := binary.BigEndian.Uint32(b[i*recordSize+hashSize:]); day > 0 {
		a.First = time.Unix(int64(day)*86400, 0).UTC()
	}
	return a, nil
}

// Verify reads all of the index and holds it to its digests and its order.
func (x *Index) Verify() error {
	var last []byte
	names := 0
	for n := range len(x.dir) / entrySize {
		b, err := x.page(n)
		if err != nil {
			return err
		}
		if !bytes.Equal(b[:hashSize], x.dir[n*entrySize:][:hashSize]) {
			return fmt.Errorf("%w: page %d is in another place", ErrDamaged, n)
		}
		for r := range slices.Chunk(b, recordSize) {
			if bytes.Compare(last, r[:hashSize]) >= 0 {
				return fmt.Errorf("%w: page %d is not in order", ErrDamaged, n)
			}
			last = r[:hashSize]
			names++
		}
	}
	if names != x.meta.Names {
		return fmt.Errorf("%w: it has %d names and says %d", ErrDamaged, names, x.meta.Names)
	}
	return nil
}

// A record is a name in memory.
type record struct {
	hash [hashSize]byte
	day  uint32
}

func compare(a, b record) int {
	return cmp.Or(bytes.Compare(a.hash[:], b.hash[:]), cmp.Compare(a.day, b.day))
}
