package artifact

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// A Kind says of what kind a difference is.
type Kind string

// The kinds of difference.
const (
	Timestamp   Kind = "timestamp"
	Location    Kind = "path" // a path of the machine that built
	Environment Kind = "environment"
	BuildID     Kind = "build-id"
	Order       Kind = "order"
	Owner       Kind = "owner"
	Mode        Kind = "mode"
	Toolchain   Kind = "toolchain"
	Compression Kind = "compression"
	Identifier  Kind = "identifier" // drawn at random, or made from something that differs
	Digest      Kind = "digest"     // follows from a difference elsewhere
	Missing     Kind = "missing"    // only the first artifact has it
	Extra       Kind = "extra"      // only the second has it
	Format      Kind = "format"
	Content     Kind = "content" // none of the above
)

// A Difference is one thing that is not the same in both artifacts. A and B come from the
// artifacts, in printable form and cut to what fits a line.
type Difference struct {
	Member string `json:"member"` // "data.tar.gz!usr/bin/app"; empty is the artifact itself
	What   Kind   `json:"what"`
	Where  string `json:"where"` // in the member: "mtime", "line 3", "section .text"
	A      string `json:"a"`
	B      string `json:"b"`
	Why    string `json:"why"` // the usual cause and its cure
}

// An Unexamined is something that was not looked into, and why. It is never equal for that.
type Unexamined struct {
	Member string `json:"member"`
	Why    string `json:"why"`
}

// A Side is one of the two artifacts.
type Side struct {
	Name   string           `json:"name"`
	Digest sallyport.Digest `json:"digest"`
	Size   int64            `json:"size"`
}

// A Report is what comparing two artifacts gave. The zero Report is not equal.
type Report struct {
	Equal       bool         `json:"equal"` // the same bytes
	A           Side         `json:"a"`
	B           Side         `json:"b"`
	Differences []Difference `json:"differences"`
	Counts      map[Kind]int `json:"counts"`  // of all that were found
	Omitted     int          `json:"omitted"` // found, and more of what is listed already
	Unexamined  []Unexamined `json:"unexamined"`
}

// Facts are what is known of the build that made an artifact. None is needed.
type Facts struct {
	Roots []string // folders that differ between the builds: the checkout, the home folder
	Names []string // of users and hosts
	Time  time.Time
}

// An Input is one artifact. It is read at any place and more than once, and must not change.
type Input struct {
	Name  string
	Data  io.ReaderAt
	Size  int64
	Facts Facts
}

// Limits bound what a comparison costs. A zero field takes the default.
type Limits struct {
	Size        int64  // of an artifact; one that is larger is an error. 8 GiB
	Unpacked    int64  // of all that is unpacked from one side. 2 GiB
	Ratio       int64  // unpacked to packed, beyond the first 16 MiB. 200
	Members     int    // of one archive. 100,000
	Depth       int    // of archives in archives. 6
	Text        int64  // a text or JSON that is larger is compared as bytes. 32 MiB
	Differences int    // listed. 500
	Each        int    // listed of one kind at one place in one archive. 20
	TempDir     string // where what is unpacked lies meanwhile
}

func (l Limits) orDefault() Limits {
	return Limits{
		Size: cmp.Or(l.Size, 8<<30), Unpacked: cmp.Or(l.Unpacked, 2<<30), Ratio: cmp.Or(l.Ratio, 200),
		Members: cmp.Or(l.Members, 100_000), Depth: cmp.Or(l.Depth, 6), Text: cmp.Or(l.Text, 32<<20),
		Differences: cmp.Or(l.Differences, 500), Each: cmp.Or(l.Each, 20), TempDir: l.TempDir,
	}
}

// ErrTooLarge is wrapped when an artifact is larger than the limit.
var ErrTooLarge = errors.New("too large to compare")

// Compare compares a and b. An error means that nothing is known, not even whether they are equal.
func Compare(ctx context.Context, a, b Input, limits Limits) (_ Report, err error) {
	c := &comparer{ctx: ctx, limits: limits.orDefault(), facts: [2]Facts{a.Facts, b.Facts}, each: map[place]int{}}
	defer func() {
		if e := c.cleanup(); err == nil {
			err = e
		}
	}()
	c.report = Report{Differences: []Difference{}, Unexamined: []Unexamined{}, Counts: map[Kind]int{}}
	c.left = [2]int64{c.limits.Unpacked, c.limits.Unpacked}
	for i, in := range []Input{a, b} {
		d, err := digest(ctx, in, c.limits.Size)
		if err != nil {
			return Report{}, fmt.Errorf("read %s: %w", sallyport.Path(in.Name), err)
		}
		*[]*Side{&c.report.A, &c.report.B}[i] = Side{in.Name, d, in.Size}
	}
	if c.report.A.Digest == c.report.B.Digest {
		c.report.Equal = true
		return c.report, nil
	}
	if err := c.diff("", blob{a.Data, a.Size}, blob{b.Data, b.Size}, 0); err != nil {
		return Report{}, err
	}
	return c.report, nil
}

func digest(ctx context.Context, in Input, limit int64) (sallyport.Digest, error) {
	if in.Size > limit {
		return "", fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, in.Size, limit)
	}
	h := sha256.New()
	n, err := io.Copy(h, stopping{ctx, io.NewSectionReader(in.Data, 0, in.Size)})
	if err == nil && n != in.Size {
		err = fmt.Errorf("%d bytes are there, %d were expected", n, in.Size)
	}
	return sallyport.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), err
}

// stopping is a reader that ends with its context.
type stopping struct {
	ctx context.Context
	r   io.Reader
}

func (s stopping) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// A blob is content that may be read at any place.
type blob struct {
	io.ReaderAt
	size int64
}

func (b blob) section(from, to int64) blob {
	return blob{io.NewSectionReader(b.ReaderAt, from, to-from), to - from}
}

// part returns what is said to lie in b at an offset, as far as it does.
func (b blob) part(offset, size uint64) blob {
	from := int64(min(offset, uint64(b.size)))                         //nolint:gosec // bounded
	return b.section(from, from+int64(min(size, uint64(b.size-from)))) //nolint:gosec // bounded
}

func (b blob) reader() *io.SectionReader { return io.NewSectionReader(b.ReaderAt, 0, b.size) }

// head returns the first n bytes, or what there is.
func (b blob) head(n int64) []byte {
	p := make([]byte, min(n, b.size))
	got, _ := b.ReadAt(p, 0) // what cannot be read is of no known format, and fails when it is compared
	return p[:got]
}

// firstDifference returns the offset of the first byte that differs, or -1. Where one ends is a
// difference.
func firstDifference(ctx context.Context, a, b blob) (int64, error) {
	const most = 64 << 10
	size := min(most, min(a.size, b.size))
	pa, pb := make([]byte, size), make([]byte, size)
	for at := int64(0); at < min(a.size, b.size); at += size {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n := min(size, min(a.size, b.size)-at)
		for _, r := range []struct {
			b blob
			p []byte
		}{{a, pa}, {b, pb}} {
			if got, err := r.b.ReadAt(r.p[:n], at); int64(got) != n {
				return 0, fmt.Errorf("read at %d: %w", at, err)
			}
		}
		if !bytes.Equal(pa[:n], pb[:n]) {
			for i := range n {
				if pa[i] != pb[i] {
					return at + i, nil
				}
			}
		}
	}
	if a.size != b.size {
		return min(a.size, b.size), nil
	}
	return -1, nil
}

// A place is where differences of one kind are counted together.
type place struct {
	archive, where string
	what           Kind
}

// A comparer compares one pair of artifacts.
type comparer struct {
	ctx    context.Context //nolint:containedctx // of one call of Compare
	limits Limits
	facts  [2]Facts
	report Report
	found  int
	each   map[place]int
	left   [2]int64 // that may still be unpacked
	temp   []*os.File

	classified int // differences whose kind was looked for
	failed     []error
}

func (c *comparer) add(d Difference) {
	c.found++
	c.report.Counts[d.What]++
	at := place{parent(d.Member), general(d.Where), d.What}
	if c.each[at]++; c.each[at] > c.limits.Each || len(c.report.Differences) >= c.limits.Differences {
		c.report.Omitted++
		return
	}
	d.Member = clipTo(d.Member, maxMember)
	d.A, d.B = clip(d.A), clip(d.B)
	if d.Why == "" {
		d.Why = why(d.What)
	}
	c.report.Differences = append(c.report.Differences, d)
}

func (c *comparer) unexamined(member, why string) {
	u := Unexamined{clipTo(member, maxMember), why}
	if len(c.report.Unexamined) < c.limits.Differences && !slices.Contains(c.report.Unexamined, u) {
		c.report.Unexamined = append(c.report.Unexamined, u)
	}
}

// diff adds what differs between two blobs, which are not equal: at least one difference.
func (c *comparer) diff(member string, a, b blob, depth int) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	before := c.found
	fa, fb := sniff(a), sniff(b)
	if fa.name != fb.name {
		c.add(Difference{Member: member, What: Format, Where: "format", A: fa.name, B: fb.name})
		return nil
	}
	if fa.nests && depth >= c.limits.Depth {
		c.unexamined(member, fmt.Sprintf("not examined beyond %d archives in each other", c.limits.Depth))
	} else if fa.compare != nil {
		if err := c.guarded(fa, member, a, b, depth); err != nil {
			return err
		}
	}
	if c.found > before {
		return nil
	}
	return c.bytes(member, "", a, b)
}

// guarded calls a format's reader. Those of the standard library have panicked on hostile files
// before; what that leaves unexamined is compared as bytes.
func (c *comparer) guarded(f format, member string, a, b blob, depth int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			c.unexamined(member, "not examined: the reader of "+f.name+" failed on it")
		}
	}()
	return f.compare(c, member, a, b, depth)
}

// same compares two members and adds what differs, if anything does.
func (c *comparer) same(member string, a, b blob, depth int) error {
	at, err := firstDifference(c.ctx, a, b)
	if err != nil || at < 0 {
		return err
	}
	return c.diff(member, a, b, depth)
}
