package artifact

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// freely is how much is unpacked before anybody asks for the ratio: small files of zeros are common.
const freely = 16 << 20

// inMemory is how much of what is unpacked is kept in memory; more goes to a file.
const inMemory = 4 << 20

func (c *comparer) cleanup() error {
	c.drop(0)
	return errors.Join(c.failed...)
}

// drop removes what was unpacked into files after there were mark of them.
func (c *comparer) drop(mark int) {
	for _, f := range c.temp[mark:] {
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			c.failed = append(c.failed, fmt.Errorf("remove what was unpacked: %w", err))
		}
	}
	c.temp = c.temp[:mark]
}

// unpack reads r, which unpacks what was packed bytes long, for one side. cut says why it stopped
// early, and is empty if it did not.
func (c *comparer) unpack(side int, packed int64, r io.Reader) (_ blob, cut string, err error) {
	var mem bytes.Buffer
	var file *os.File
	var n int64
	p := make([]byte, 64<<10)
	for cut == "" {
		if err := c.ctx.Err(); err != nil {
			return blob{}, "", err
		}
		got, readErr := r.Read(p)
		if int64(got) > c.left[side] {
			got = int(c.left[side])
			cut = fmt.Sprintf("more than %d bytes are unpacked from one artifact", c.limits.Unpacked)
		}
		n += int64(got)
		c.left[side] -= int64(got)
		if n > freely && n/c.limits.Ratio > packed {
			cut = fmt.Sprintf("it unpacks to more than %d times its size", c.limits.Ratio)
		}
		if file == nil && mem.Len()+got > inMemory {
			if file, err = os.CreateTemp(c.limits.TempDir, "sallyport-compare-*"); err != nil {
				return blob{}, "", fmt.Errorf("unpack: %w", err)
			}
			c.temp = append(c.temp, file)
			if _, err := mem.WriteTo(file); err != nil {
				return blob{}, "", fmt.Errorf("unpack: %w", err)
			}
		}
		if file != nil {
			if _, err := file.Write(p[:got]); err != nil {
				return blob{}, "", fmt.Errorf("unpack: %w", err)
			}
		} else {
			mem.Write(p[:got])
		}
		if readErr == io.EOF {
			break
		}
		if readErr != nil && cut == "" {
			cut = "what is packed cannot be read: " + readErr.Error()
		}
	}
	if file != nil {
		return blob{file, n}, cut, nil
	}
	return blob{bytes.NewReader(mem.Bytes()), n}, cut, nil
}

// unpacked compares what is packed on both sides. If one was cut, so is the other: what lies
// beyond was examined on neither.
func (c *comparer) unpacked(member string, packed [2]int64, open func(side int) (io.Reader, error), depth int) error {
	mark := len(c.temp)
	defer func() { c.drop(mark) }()
	var blobs [2]blob
	var cuts [2]string
	for i := range blobs {
		r, err := open(i)
		if err != nil {
			c.unexamined(member, "not examined inside: "+visible(err.Error()))
			return nil
		}
		if blobs[i], cuts[i], err = c.unpack(i, packed[i], r); err != nil {
			return err
		}
	}
	end := max(blobs[0].size, blobs[1].size)
	for i, cut := range cuts {
		if cut != "" {
			end = min(end, blobs[i].size)
		}
	}
	for i, cut := range cuts {
		if cut != "" {
			c.unexamined(member, fmt.Sprintf("not examined beyond %d bytes: %s", end, visible(cut)))
		}
		blobs[i] = blobs[i].section(0, min(end, blobs[i].size))
	}
	return c.same(member, blobs[0], blobs[1], depth+1)
}

// gzip compares headers, then what is packed. Further members of the same file count as content.
func (c *comparer) gzip(member string, a, b blob, depth int) error {
	before, unread := c.found, len(c.report.Unexamined)
	var readers [2]*gzip.Reader
	var heads [2][]byte
	for i, bl := range []blob{a, b} {
		r, err := gzip.NewReader(bufio.NewReader(bl.reader()))
		if err != nil {
			c.unexamined(member, "not examined inside: "+visible(err.Error()))
			return nil
		}
		readers[i], heads[i] = r, bl.head(10)
	}
	ha, hb := readers[0].Header, readers[1].Header
	header := func(what Kind, field, a, b, why string) {
		if a != b {
			c.add(Difference{Member: member, What: what, Where: "gzip " + field, A: a, B: b, Why: why})
		}
	}
	header(Timestamp, "time", stamp(ha.ModTime), stamp(hb.ModTime),
		"gzip writes the time of the file or of the run into its header; gzip -n, tar's --use-compress-program='gzip -n', or a zero ModTime in the library leave it out")
	header(c.textKind(ha.Name, hb.Name), "name", ha.Name, hb.Name, "gzip writes the name of the file that it packed into its header; gzip -n leaves it out")
	header(Content, "comment", ha.Comment, hb.Comment, "")
	header(Content, "extra field", quoted(ha.Extra), quoted(hb.Extra), "")
	header(Environment, "system", gzipSystem(ha.OS), gzipSystem(hb.OS), "gzip writes the operating system that packed into its header; pack with the same implementation")
	header(Compression, "level", gzipLevel(heads[0][8]), gzipLevel(heads[1][8]), "another level was used; name it in the build")
	if err := c.unpacked(member, [2]int64{a.size, b.size}, func(i int) (io.Reader, error) { return readers[i], nil }, depth); err != nil {
		return err
	}
	if c.found == before && len(c.report.Unexamined) == unread {
		c.add(Difference{Member: member, What: Compression, Where: "gzip", A: sized(a.size), B: sized(b.size),
			Why: "the content is the same and packed differently: another implementation, version or level, or cut into parts by another number of processors"})
	}
	return nil
}

func (c *comparer) bzip2(member string, a, b blob, depth int) error {
	blobs := [2]blob{a, b}
	return c.unpacked(member, [2]int64{a.size, b.size}, func(i int) (io.Reader, error) {
		return bzip2.NewReader(bufio.NewReader(blobs[i].reader())), nil
	}, depth)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func gzipSystem(b byte) string {
	switch b {
	case 0:
		return "FAT (0)"
	case 3:
		return "Unix (3)"
	case 10:
		return "NTFS (10)"
	case 255:
		return "unknown (255)"
	}
	return fmt.Sprint(b)
}

func gzipLevel(b byte) string {
	switch b {
	case 2:
		return "best (2)"
	case 4:
		return "fastest (4)"
	}
	return fmt.Sprintf("not said (%d)", b)
}

func sized(n int64) string { return fmt.Sprintf("%d bytes", n) }
