package artifact

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Words that end the sentences about archives.
const (
	whyTarTime  = "the archive has the time at which files were written or packed; tar --mtime=@$SOURCE_DATE_EPOCH, or the commit's time"
	whyTarOwner = "the archive has who packed it; tar --owner=0 --group=0 --numeric-owner"
	whyMode     = "files were written under another umask; set the mode (tar --mode, install -m), or the umask in the build"
)

func (c *comparer) tar(at string, a, b blob, depth int) error {
	return c.archives(at, "tar", c.readTar(a), c.readTar(b), depth)
}

// counting counts the bytes that were read, and hides that r can seek: package tar reads whole
// blocks and no further, so that the count is where the next block starts.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// maxHeaders bounds what the headers of one archive take, in bytes: they are kept in memory, and may
// be a mebibyte each.
const maxHeaders = 64 << 20

func (c *comparer) readTar(b blob) (out archived) {
	var headers int64
	afterSparse := false
	in := &counting{r: stopping{c.ctx, b.reader()}}
	r := tar.NewReader(in)
	for {
		start := padded(in.n)
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			out.rest = b.section(min(in.n, b.size), b.size)
			return out
		}
		headers += max(0, in.n-start)
		switch {
		case err != nil:
		case len(out.members) >= c.limits.Members:
			err = fmt.Errorf("more than %d members", c.limits.Members)
		case headers > maxHeaders+512*int64(len(out.members)):
			err = fmt.Errorf("more than %d bytes of headers", maxHeaders)
		}
		if err != nil {
			out.cut, out.rest = err.Error(), b.section(b.size, b.size)
			return out
		}
		m := tarMember(h)
		m.size = h.Size
		data := in.n
		if !afterSparse {
			head := sha256.New()
			_, _ = io.Copy(head, b.section(start, data).reader()) // what cannot be read differs when contents are compared
			m.raw = "sha256:" + hex.EncodeToString(head.Sum(nil))
		}
		if afterSparse = isSparse(h); afterSparse {
			// Next passes over what is packed; what it unpacks to may have any size. Where the next header
			// starts is not known then.
			m.data = b.section(b.size, b.size)
			m.load = func() (blob, string, error) { return blob{}, "it is a sparse file; compare it unpacked", nil }
			out.members = append(out.members, m)
			continue
		}
		if _, err := io.Copy(io.Discard, r); err != nil { //nolint:gosec // no more than the blob holds: sparse members are not read
			out.cut, out.rest = err.Error(), b.section(b.size, b.size)
			return out
		}
		m.data = b.section(data, max(data, in.n))
		out.members = append(out.members, m)
	}
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func padded(n int64) int64 { return (n + 511) &^ 511 }

func tarMember(h *tar.Header) entry {
	m := entry{name: h.Name}
	m.fields = []field{
		{Timestamp, "mtime", stamp(h.ModTime), whyTarTime},
		{Timestamp, "atime", stamp(h.AccessTime), whyTarTime + "; leave atime and ctime out (--pax-option=delete=atime,delete=ctime)"},
		{Timestamp, "ctime", stamp(h.ChangeTime), whyTarTime + "; leave atime and ctime out (--pax-option=delete=atime,delete=ctime)"},
		{Owner, "uid", strconv.Itoa(h.Uid), whyTarOwner},
		{Owner, "gid", strconv.Itoa(h.Gid), whyTarOwner},
		{Owner, "uname", h.Uname, whyTarOwner},
		{Owner, "gname", h.Gname, whyTarOwner},
		{Mode, "mode", fmt.Sprintf("%04o", h.Mode), whyMode},
		{Content, "link", h.Linkname, ""},
		{Content, "kind", tarKind(h.Typeflag), ""},
	}
	if h.Devmajor != 0 || h.Devminor != 0 {
		m.add(Content, "device", fmt.Sprintf("%d:%d", h.Devmajor, h.Devminor))
	}
	for _, k := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		switch k {
		case "path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime":
			continue // they stand above
		}
		why := ""
		if strings.HasPrefix(k, "SCHILY.xattr.") || strings.HasPrefix(k, "LIBARCHIVE.") {
			why = "the packing machine's file system gave the files further attributes; leave them out (tar --no-xattrs)"
		}
		m.fields = append(m.fields, field{Content, "record " + k, h.PAXRecords[k], why})
	}
	return m
}

func tarKind(t byte) string {
	switch t {
	case tar.TypeReg, '\x00':
		return "file"
	case tar.TypeLink:
		return "hard link"
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeDir:
		return "folder"
	}
	return strconv.QuoteToASCII(string(rune(t)))
}
