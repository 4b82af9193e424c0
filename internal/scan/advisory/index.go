package advisory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// The errors of a database that cannot be used.
var (
	ErrMissing = errors.New("there is no advisory database")
	ErrForeign = errors.New("the file is no advisory database of this program")
	ErrDamaged = errors.New("the advisory database is damaged")
)

// Format is the version of the index format. Another version is another file: it is built again.
const Format = 2

const (
	magic     = "sallyport-advis\n"
	headSize  = 96
	rowSize   = 28 // place 8, length 4, digest 16
	pageRows  = 64 // rows of the table that are read, and held to a digest, together
	maxMeta   = 4 << 20
	maxBucket = 64 << 20
	maxRows   = 1 << 24
)

// A Meta describes a database.
type Meta struct {
	Format     int              `json:"format"`
	Built      time.Time        `json:"built"`
	Digest     sallyport.Digest `json:"digest"` // of the digests of the table's pages, and so of all entries
	Records    int              `json:"records"`
	Packages   int              `json:"packages"`
	Ecosystems []EcosystemMeta  `json:"ecosystems"` // by name
	Sources    []Source         `json:"sources"`
}

// An EcosystemMeta counts what is kept of one ecosystem.
type EcosystemMeta struct {
	Name      string `json:"name"`
	Records   int    `json:"records"`
	Malicious int    `json:"malicious"` // those of them that are about malicious packages
	Packages  int    `json:"packages"`
	// Newest is the latest time of modification that a record states; zero if none does.
	Newest time.Time `json:"newest,omitzero"`
	// AsOf is the state of the world that the records show: that of the oldest of their sources. Zero if one of them
	// does not say.
	AsOf    time.Time `json:"as_of,omitzero"`
	Sources []int     `json:"sources"` // which of Meta.Sources have records of it, or took one back
	// Whole is set if a source has, or its bringer says that it has, all records of the ecosystem. What is not among
	// some of them may be among the others.
	Whole bool `json:"whole"`
}

// A Source is what records were read from.
type Source struct {
	Path   string           `json:"path"`
	Digest sallyport.Digest `json:"digest"` // of the file, or of the names and digests of the records in a folder
	// AsOf is when the source was made: what its bringer says, or the latest time that it states itself.
	AsOf   time.Time `json:"as_of,omitzero"`
	Stated bool      `json:"stated"` // AsOf is what the bringer said
	Covers []string  `json:"covers"` // ecosystems of which it has all records, sorted
	// Signature is a bundle over the source, which was verified when it was imported. Whose it is, and whether it
	// still counts, is asked again by whoever relies on it.
	Signature  []byte `json:"signature,omitempty"`
	Records    int    `json:"records"`
	Withdrawn  int    `json:"withdrawn"`
	Older      int    `json:"older"`       // records of which another source, or file, has a newer version
	LeftOut    int    `json:"left_out"`    // packages of ecosystems that are not kept
	NoRecords  int    `json:"no_records"`  // JSON files that are none
	NotFollow  int    `json:"links"`       // links, which are not followed
	Undated    int    `json:"undated"`     // records that do not say when they were modified
	FutureDate int    `json:"future_date"` // records modified after the import, whose time does not count
}

// Ecosystem returns what is kept of an ecosystem, by OSV's name.
func (m *Meta) Ecosystem(name string) (EcosystemMeta, bool) {
	for _, e := range m.Ecosystems {
		if e.Name == name {
			return e, true
		}
	}
	return EcosystemMeta{}, false
}

// Age is how old the records of an ecosystem are. It is not known if no source says when it was made, or one
// says that it will be.
func (e EcosystemMeta) Age(now time.Time) (age time.Duration, known bool) {
	if e.AsOf.IsZero() || e.AsOf.After(now.Add(time.Hour)) {
		return 0, false
	}
	return max(0, now.Sub(e.AsOf)), true
}

// A head is the first bytes of the file.
type head struct {
	format, rows   uint32
	meta           uint64
	metaSize, size uint64
	seed           [16]byte
}

func (h *head) encode(meta []byte) []byte {
	b := make([]byte, 0, headSize)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, h.format)
	b = binary.BigEndian.AppendUint32(b, h.rows)
	b = binary.BigEndian.AppendUint64(b, h.meta)
	b = binary.BigEndian.AppendUint64(b, h.metaSize)
	b = binary.BigEndian.AppendUint64(b, h.size)
	b = append(b, h.seed[:]...)
	sum := sha256.Sum256(append(bytes.Clone(b), meta...))
	return append(b, sum[:]...)
}

// pages is how many pages the table has.
func (h *head) pages() uint32 { return (h.rows + pageRows - 1) / pageRows }

// buckets is where they begin: behind the table and the digests of its pages.
func (h *head) buckets() uint64 {
	return headSize + uint64(h.rows)*rowSize + uint64(h.pages())*sha256.Size
}

// A DB is an open database. It is safe for concurrent use.
type DB struct {
	f    io.ReaderAt
	shut func() error
	head head
	meta Meta

	sums []byte // SHA-256 of each page of the table, which together have the digest of the description

	mu    sync.Mutex
	pages map[uint32][]byte // those that were read, which are what was written
}

// Open opens the database at path. Its errors wrap [ErrMissing], [ErrForeign] or [ErrDamaged].
func Open(path string) (*DB, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w at %s", ErrMissing, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the advisory database: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no regular file", ErrForeign, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	db, err := open(f, info.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, path), f.Close())
	}
	db.shut = f.Close
	return db, nil
}

func open(f io.ReaderAt, size int64) (*DB, error) {
	b := make([]byte, min(size, headSize))
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	switch {
	case len(b) < len(magic) || string(b[:len(magic)]) != magic:
		return nil, ErrForeign
	case len(b) < headSize:
		return nil, fmt.Errorf("%w: it is cut short", ErrDamaged)
	}
	db := &DB{f: f, shut: func() error { return nil }}
	h := &db.head
	h.format, h.rows = binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])
	h.meta, h.metaSize, h.size = binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[40:])
	copy(h.seed[:], b[48:64])
	switch {
	case h.format != Format:
		return nil, fmt.Errorf("%w: it has format %d, and this is format %d: import the sources again", ErrForeign, h.format, Format)
	case h.size != uint64(size): //nolint:gosec // a size is not negative
		return nil, fmt.Errorf("%w: it has %d bytes and should have %d", ErrDamaged, size, h.size)
	case h.rows == 0 || h.rows > maxRows || h.metaSize > maxMeta || h.meta > h.size || h.meta+h.metaSize != h.size ||
		h.meta < h.buckets():
		return nil, fmt.Errorf("%w: its head contradicts itself", ErrDamaged)
	}
	meta := make([]byte, h.metaSize)
	if _, err := f.ReadAt(meta, int64(h.meta)); err != nil { //nolint:gosec // within the size
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !bytes.Equal(h.encode(meta), b) {
		return nil, fmt.Errorf("%w: its head or description is not what was written", ErrDamaged)
	}
	if err := strict.JSON(meta, maxMeta, &db.meta); err != nil {
		return nil, fmt.Errorf("%w: its description: %w", ErrDamaged, err)
	}
	db.sums = make([]byte, int(h.pages())*sha256.Size)
	if _, err := f.ReadAt(db.sums, headSize+int64(h.rows)*rowSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if sallyport.SHA256(db.sums) != db.meta.Digest {
		return nil, fmt.Errorf("%w: its table is not the one that its description names", ErrDamaged)
	}
	return db, nil
}

// Close closes the file.
func (db *DB) Close() error { return db.shut() }

// Meta describes the database. The caller changes nothing in it.
func (db *DB) Meta() *Meta { return &db.meta }

// rowOf is the bucket of a package.
func rowOf(ecosystem, key string, rows uint32) uint32 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, ecosystem)
	_, _ = h.Write([]byte{0})
	_, _ = io.WriteString(h, key)
	return uint32(h.Sum64() % uint64(rows)) //nolint:gosec // less than rows
}

// digest16 is what the table says of a bucket.
func digest16(seed [16]byte, row uint32, body []byte) [16]byte {
	h := sha256.New()
	h.Write(seed[:])
	_ = binary.Write(h, binary.BigEndian, row)
	h.Write(body)
	return [16]byte(h.Sum(nil))
}

// page returns a page of the table, which was held to its digest.
func (db *DB) page(n uint32) ([]byte, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if b := db.pages[n]; b != nil {
		return b, nil
	}
	b := make([]byte, int(min(pageRows, db.head.rows-n*pageRows))*rowSize)
	if _, err := db.f.ReadAt(b, headSize+int64(n)*pageRows*rowSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], db.sums[n*sha256.Size:][:sha256.Size]) {
		return nil, fmt.Errorf("%w: page %d of its table is not what was written", ErrDamaged, n)
	}
	if db.pages == nil {
		db.pages = map[uint32][]byte{}
	}
	db.pages[n] = b
	return b, nil
}

// bucket returns the bytes of a bucket.
func (db *DB) bucket(row uint32) ([]byte, error) {
	page, err := db.page(row / pageRows)
	if err != nil {
		return nil, err
	}
	r := page[row%pageRows*rowSize:][:rowSize]
	place, size := binary.BigEndian.Uint64(r), binary.BigEndian.Uint32(r[8:])
	if size > maxBucket || place < db.head.buckets() || place > db.head.meta || place+uint64(size) > db.head.meta {
		return nil, fmt.Errorf("%w: bucket %d lies outside", ErrDamaged, row)
	}
	b := make([]byte, size)
	if _, err := db.f.ReadAt(b, int64(place)); err != nil { //nolint:gosec // within the size
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if digest16(db.head.seed, row, b) != [16]byte(r[12:]) {
		return nil, fmt.Errorf("%w: bucket %d is not what was written", ErrDamaged, row)
	}
	return b, nil
}

// lookup returns the entries of a package.
func (db *DB) lookup(ecosystem, key string) ([]Entry, error) {
	row := rowOf(ecosystem, key, db.head.rows)
	b, err := db.bucket(row)
	if err != nil {
		return nil, err
	}
	var out []Entry
	d := decoder{b: b}
	for len(d.b) > 0 && !d.bad {
		eco, name, body := d.bytes(), d.bytes(), d.bytes()
		if d.bad || string(eco) != ecosystem || string(name) != key {
			continue
		}
		p := decoder{b: body}
		for len(p.b) > 0 && !p.bad {
			out = append(out, p.entry())
		}
		d.bad = d.bad || p.bad
	}
	if d.bad {
		return nil, fmt.Errorf("%w: bucket %d: %w", ErrDamaged, row, errBytes)
	}
	return out, nil
}

// Verify reads all of the database and holds it to its digests. Opening it has held the table's to the description's.
func (db *DB) Verify() error {
	for row := range db.head.rows {
		if _, err := db.bucket(row); err != nil {
			return err
		}
	}
	return nil
}
