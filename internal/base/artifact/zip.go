package artifact

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"time"
)

const (
	whyZipTime  = "the archive has the time at which files were written or packed; set them to SOURCE_DATE_EPOCH first (touch -d @$SOURCE_DATE_EPOCH), or a fixed time in the library (Gradle: isPreserveFileTimestamps = false; Maven: project.build.outputTimestamp)"
	whyZipExtra = "extra fields hold times and owners of the packed files; zip -X leaves them out"
)

func (c *comparer) zip(at string, a, b blob, depth int) error {
	ra, ca, err := c.readZip(0, a)
	if err != nil {
		return err
	}
	rb, cb, err := c.readZip(1, b)
	if err != nil {
		return err
	}
	before := c.found
	if err := c.archives(at, "zip", ra, rb, depth); err != nil {
		return err
	}
	if c.found == before && ca != cb {
		c.add(Difference{Member: at, What: c.textKind(ca, cb), Where: "comment", A: ca, B: cb})
	}
	return nil
}

// maxDirectory bounds what is read to list a zip, in bytes.
const maxDirectory = 32 << 20

// metered reads no more than left bytes, until it is open.
type metered struct {
	r    io.ReaderAt
	left int64
	open bool
}

func (m *metered) ReadAt(p []byte, at int64) (int, error) {
	if !m.open {
		if m.left -= int64(len(p)); m.left < 0 {
			return 0, fmt.Errorf("its directory is larger than %d bytes", maxDirectory)
		}
	}
	return m.r.ReadAt(p, at)
}

func (c *comparer) readZip(side int, b blob) (out archived, comment string, err error) {
	out.rest = b.section(b.size, b.size)
	// The reader of the standard library reads as many entries as there are, whatever is said at the
	// end, and keeps each in memory.
	in := &metered{r: b.ReaderAt, left: maxDirectory}
	z, err := zip.NewReader(in, b.size)
	in.open = true
	if err != nil && z == nil {
		out.cut = err.Error()
		return out, "", nil
	}
	for _, f := range z.File {
		if len(out.members) >= c.limits.Members {
			out.cut = fmt.Sprintf("more than %d members", c.limits.Members)
			break
		}
		m, err := c.zipMember(side, b, f)
		if err != nil {
			return archived{}, "", err
		}
		out.members = append(out.members, m)
	}
	return out, z.Comment, nil
}

func (c *comparer) zipMember(side int, b blob, f *zip.File) (entry, error) {
	m := entry{name: f.Name, size: int64(min(f.UncompressedSize64, 1<<62)), data: b.section(b.size, b.size)} //nolint:gosec // bounded
	m.fields = []field{
		// As it is written, without a zone: which one was meant is a matter of the extra fields.
		{Timestamp, "mtime", dosTime(f.ModifiedDate, f.ModifiedTime), whyZipTime}, //nolint:staticcheck // the bytes, not their meaning
		{Mode, "mode", f.Mode().String(), whyMode},
		{Mode, "attributes", fmt.Sprintf("%#08x", f.ExternalAttrs), whyMode},
		{Compression, "method", zipMethod(f.Method), "another method was used; name it in the build"},
		{Toolchain, "made by", fmt.Sprintf("%d", f.CreatorVersion), "another system or version of the packer; pin it"},
		{Format, "flags", fmt.Sprintf("%#04x", f.Flags), ""},
		{c.textKind("", f.Comment), "comment", f.Comment, ""},
	}
	m.fields = append(m.fields, zipExtra(f.Extra)...)
	if f.Mode() == 0 {
		m.fields[1].value = ""
	}
	packed, err := f.OpenRaw()
	if err == nil {
		h := sha256.New()
		if _, err = io.Copy(h, stopping{c.ctx, packed}); err == nil {
			m.packed = zipMethod(f.Method) + ", sha256:" + hex.EncodeToString(h.Sum(nil))
		}
	}
	if c.ctx.Err() != nil {
		return m, c.ctx.Err()
	}
	m.load = func() (blob, string, error) {
		if f.FileInfo().IsDir() {
			return m.data, "", nil
		}
		if err != nil {
			return m.data, err.Error(), nil
		}
		r, err := f.Open()
		if err != nil {
			return m.data, err.Error(), nil
		}
		defer r.Close()
		return c.unpack(side, int64(min(f.CompressedSize64, 1<<62)), r) //nolint:gosec // bounded
	}
	return m, nil
}

// zipExtra takes extra fields apart: two bytes of kind, two of length.
func zipExtra(extra []byte) []field {
	var out []field
	seen := map[string]int{}
	for len(extra) >= 4 {
		id, n := int(extra[0])|int(extra[1])<<8, int(extra[2])|int(extra[3])<<8
		if n > len(extra)-4 {
			break
		}
		what, name := Content, fmt.Sprintf("extra field %#04x", id)
		switch id {
		case 0x5455, 0x000a, 0x5855:
			what, name = Timestamp, name+" (times)"
		case 0x7875, 0x7855:
			what, name = Owner, name+" (owner)"
		}
		if seen[name]++; seen[name] > 1 {
			name += " " + strconv.Itoa(seen[name])
		}
		value := hex.EncodeToString(extra[4 : 4+n])
		if id == 0x5455 && n >= 5 && extra[4]&1 != 0 { // the first time is when it was modified
			value += " (" + stamp(time.Unix(int64(binary.LittleEndian.Uint32(extra[5:])), 0)) + ")"
		}
		out = append(out, field{what, name, value, whyZipExtra})
		extra = extra[4+n:]
	}
	if len(extra) > 0 {
		out = append(out, field{Content, "extra field, malformed", hex.EncodeToString(extra), whyZipExtra})
	}
	return out
}

func dosTime(date, clock uint16) string {
	if date == 0 && clock == 0 {
		return "none"
	}
	return fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", 1980+date>>9, date>>5&15, date&31, clock>>11, clock>>5&63, clock&31*2)
}

func zipMethod(m uint16) string {
	switch m {
	case zip.Store:
		return "stored"
	case zip.Deflate:
		return "deflated"
	}
	return fmt.Sprint(m)
}
