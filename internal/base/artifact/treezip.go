package artifact

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A zip says most things twice: where a member lies and in the directory. Readers differ in which they believe,
// in where they look for the directory, and in what they do with what they don't know. One that is equal to a
// tree is therefore made of nothing but its members, one directory right behind them and one end right behind that,
// every field that stands twice is the same both times, and the rest is what all readers see in one way.

const (
	zipLocal      = "PK\x03\x04"
	zipCentral    = "PK\x01\x02"
	zipEnd        = "PK\x05\x06"
	zipEnd64      = "PK\x06\x06"
	zipEnd64At    = "PK\x06\x07"
	zipDescriptor = "PK\x07\x08"

	zipDescribed = 1 << 3  // sizes and checksum follow the content
	zipUTF8      = 1 << 11 // of the name
	zipEffort    = 3 << 1  // of the packer, which says nothing about the content
)

func (r *treeReader) zip(in Input) error {
	meter := &metered{r: in.Data, left: maxDirectory}
	z, err := zip.NewReader(meter, in.Size)
	meter.open = true
	if err != nil {
		return err
	}
	if z.Comment != "" && z.Comment != r.commit {
		r.odd = append(r.odd, "its comment is not the commit's id")
	}
	if err := checkZip(in, z); err != nil {
		r.odd = append(r.odd, err.Error())
	}
	for _, f := range z.File {
		m := member{name: f.Name, folder: strings.HasSuffix(f.Name, "/")}
		mode := f.Mode()
		switch {
		case m.folder && mode.Type() == fs.ModeDir:
		case m.folder:
			m.odd = "has a folder's name and is none"
		case mode&fs.ModeSymlink != 0:
			m.mode = "120000"
		case mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0:
			m.mode = "with special bits"
		case mode.IsRegular():
			m.mode = gitMode(int64(mode.Perm()))
		default:
			m.odd = "is of a kind that git has not"
		}
		switch odd := hostOdd(f, m.folder); {
		case m.odd != "":
		case odd != "":
			m.odd = odd
		case m.folder && f.UncompressedSize64 > 0:
			m.odd = "is a folder with content"
		case m.folder && mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0:
			m.odd = "is a folder with special bits"
		default:
			if m.sha, m.odd, err = r.zipContent(f); err != nil {
				return fmt.Errorf("%s: %w", visible(f.Name), err)
			}
		}
		if err := r.add(m); err != nil {
			return err
		}
	}
	return nil
}

// hostOdd says of the attributes that a member's packer gave it what other readers than ours could see in them.
func hostOdd(f *zip.File, folder bool) string {
	const dosFolder, dosHarmless = 0x10, 0x21 // read-only, to be archived
	dos := f.ExternalAttrs & 0xffff
	switch host := f.CreatorVersion >> 8; {
	case host != 3 && host != 0:
		return fmt.Sprintf("has attributes of the system %d, which readers take for different modes", host)
	case host == 0 && f.ExternalAttrs>>16 != 0:
		return "has a unix mode under another system's name, which readers take for different modes"
	case dos&dosFolder != 0 && !folder:
		return "is a file with the attribute of a folder"
	case dos&^uint32(dosFolder|dosHarmless) != 0:
		return "has an attribute that is not known"
	}
	return ""
}

// zipContent unpacks a member, and says what is odd if its packed bytes are anything but its content.
func (r *treeReader) zipContent(f *zip.File) (sha, odd string, err error) {
	raw, err := f.OpenRaw()
	if err != nil {
		return "", "", err
	}
	packed := bufio.NewReader(raw) // a ByteReader, beyond whose last byte flate does not read
	var content io.Reader = packed
	switch f.Method {
	case zip.Store:
	case zip.Deflate:
		d := flate.NewReader(packed)
		defer d.Close()
		content = d
	default:
		return "", "is packed in a way that not all readers know", nil
	}
	sum, crc := sha256.New(), crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(sum, crc), boundedReader{r, content})
	if err != nil {
		return "", "", err
	}
	switch _, err := packed.ReadByte(); {
	case !errors.Is(err, io.EOF):
		return "", "has bytes after its content that belong to none", nil
	case uint64(n) != f.UncompressedSize64 || crc.Sum32() != f.CRC32: //nolint:gosec // not negative
		return "", "is not as long, or not the content, that the directory says", nil
	}
	return hex.EncodeToString(sum.Sum(nil)), "", nil
}

// A zipEntry is what the directory says of one member.
type zipEntry struct {
	name                string
	flags, method       uint16
	clock, date         uint16
	crc                 uint32
	packed, size, start uint64
}

// checkZip reports an error unless the file is its members from the first byte on, the directory and the end, and
// what stands twice is the same.
func checkZip(in Input, z *zip.Reader) error {
	start, size, count, err := zipDirectory(in, len(z.Comment))
	if err != nil {
		return err
	}
	if size > maxDirectory || count != uint64(len(z.File)) {
		return errors.New("its directory does not hold the members that its end says")
	}
	dir, err := zipBytes(in, start, size)
	if err != nil {
		return err
	}
	var entries []zipEntry
	for _, f := range z.File {
		e, rest, err := readEntry(dir)
		if err == nil && e.name != f.Name {
			err = errors.New("has another name than a reader finds")
		}
		if err != nil {
			return fmt.Errorf("%s %w", visible(f.Name), err)
		}
		entries, dir = append(entries, e), rest
	}
	if len(dir) > 0 {
		return errors.New("there are bytes in its directory that belong to no member")
	}
	slices.SortStableFunc(entries, func(a, b zipEntry) int {
		switch {
		case a.start < b.start:
			return -1
		case a.start > b.start:
			return 1
		}
		return 0
	})
	pos := uint64(0)
	for i, e := range entries {
		next := start
		if i+1 < len(entries) {
			next = entries[i+1].start
		}
		if e.start != pos || next < pos {
			return fmt.Errorf("there are bytes before %s that belong to no member", visible(e.name))
		}
		if err := e.lies(in, next); err != nil {
			return fmt.Errorf("%s %w", visible(e.name), err)
		}
		pos = next
	}
	if pos != start {
		return errors.New("there are bytes before its directory that belong to no member")
	}
	return nil
}

func zipBytes(in Input, at, n uint64) ([]byte, error) {
	if size := uint64(in.Size); in.Size < 0 || at > size || n > size-at { //nolint:gosec // not negative
		return nil, errors.New("it says that a part lies outside of it")
	}
	b := make([]byte, n)
	if _, err := in.Data.ReadAt(b, int64(at)); err != nil && !errors.Is(err, io.EOF) { //nolint:gosec // within the file
		return nil, err
	}
	return b, nil
}

// zipDirectory returns where the directory lies, which is right before the one end of the file, and how many
// members it has.
func zipDirectory(in Input, comment int) (start, size, count uint64, err error) {
	le := binary.LittleEndian
	length := uint64(22 + comment)                               //nolint:gosec // not negative
	if in.Size < 22 || comment < 0 || uint64(in.Size) < length { //nolint:gosec // not negative
		return 0, 0, 0, errors.New("it has no end")
	}
	at := uint64(in.Size) - length //nolint:gosec // not negative
	b, err := zipBytes(in, at, 22)
	if err != nil {
		return 0, 0, 0, err
	}
	if string(b[:4]) != zipEnd || int(le.Uint16(b[20:])) != comment {
		return 0, 0, 0, errors.New("there are bytes after its end")
	}
	count, size, start = uint64(le.Uint16(b[10:])), uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))
	if !bytes.Equal(b[4:8], make([]byte, 4)) || le.Uint16(b[8:]) != le.Uint16(b[10:]) {
		return 0, 0, 0, errors.New("its end says that it is one of several files")
	}
	if count == math.MaxUint16 || size == math.MaxUint32 || start == math.MaxUint32 {
		if at < 76 {
			return 0, 0, 0, errors.New("its end has no record of 64 bits")
		}
		if b, err = zipBytes(in, at-76, 76); err != nil {
			return 0, 0, 0, err
		}
		at -= 76
		wide := [3]uint64{le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:])}
		switch {
		case string(b[:4]) != zipEnd64 || string(b[56:60]) != zipEnd64At || le.Uint64(b[4:]) != 44 || le.Uint64(b[64:]) != at:
			return 0, 0, 0, errors.New("its end has no record of 64 bits")
		case !bytes.Equal(b[16:24], make([]byte, 8)) || le.Uint64(b[24:]) != wide[0] || le.Uint32(b[60:]) != 0 || le.Uint32(b[72:]) != 1:
			return 0, 0, 0, errors.New("its end says that it is one of several files")
		case count != math.MaxUint16 && count != wide[0], size != math.MaxUint32 && size != wide[1], start != math.MaxUint32 && start != wide[2]:
			return 0, 0, 0, errors.New("its two ends differ")
		}
		count, size, start = wide[0], wide[1], wide[2]
	}
	if start > at || at-start != size {
		return 0, 0, 0, errors.New("its directory is not right before its end, where the end says that it is")
	}
	return start, size, count, nil
}

// readEntry reads the first entry of a directory.
func readEntry(b []byte) (e zipEntry, rest []byte, err error) {
	le := binary.LittleEndian
	if len(b) < 46 || string(b[:4]) != zipCentral {
		return e, nil, errors.New("has no entry in the directory where one should be")
	}
	name, extra, comment := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	if len(b) < 46+name+extra {
		return e, nil, errors.New("has an entry that is cut short")
	}
	e = zipEntry{
		name: string(b[46 : 46+name]), flags: le.Uint16(b[8:]), method: le.Uint16(b[10:]), clock: le.Uint16(b[12:]), date: le.Uint16(b[14:]), crc: le.Uint32(b[16:]),
		packed: uint64(le.Uint32(b[20:])), size: uint64(le.Uint32(b[24:])), start: uint64(le.Uint32(b[42:])),
	}
	switch {
	case comment > 0:
		return e, nil, errors.New("has a comment, which some readers take for more than one")
	case le.Uint16(b[34:]) != 0:
		return e, nil, errors.New("lies in another file")
	case e.flags&^(zipDescribed|zipUTF8|zipEffort) != 0:
		return e, nil, fmt.Errorf("has the flags %#04x, which readers treat in different ways", e.flags)
	case e.method != zip.Store && e.method != zip.Deflate:
		return e, nil, errors.New("is packed in a way that not all readers know")
	case e.flags&zipDescribed != 0 && e.method == zip.Store && e.packed > 0:
		return e, nil, errors.New("is stored with its length behind it, where readers of streams look for an end inside")
	case strings.ContainsAny(e.name, "\\\x00"):
		return e, nil, errors.New("has a sign in its name that some readers take for the end of it, or of a folder's")
	case !utf8.ValidString(e.name) || e.flags&zipUTF8 == 0 && strings.ContainsFunc(e.name, func(r rune) bool { return r >= utf8.RuneSelf }):
		return e, nil, errors.New("has a name that is not said to be in UTF-8, which readers spell in different ways")
	}
	if err := zipExtras(b[46+name:46+name+extra], &e.size, &e.packed, &e.start); err != nil {
		return e, nil, err
	}
	return e, b[46+name+extra:], nil
}

// zipExtras judges extra fields: times, owners, and wide numbers in place of those that say that they stand there.
func zipExtras(b []byte, wide ...*uint64) error {
	le := binary.LittleEndian
	var want []*uint64
	for _, w := range wide {
		if *w == math.MaxUint32 {
			want = append(want, w)
		}
	}
	for len(b) > 0 {
		if len(b) < 4 || len(b)-4 < int(le.Uint16(b[2:])) {
			return errors.New("has an extra field that is cut short")
		}
		id, field := le.Uint16(b), b[4:4+int(le.Uint16(b[2:]))]
		b = b[4+len(field):]
		switch id {
		case 0x5455, 0x000a, 0x7875:
		case 0x0001:
			if len(want) == 0 || len(field) != 8*len(want) {
				return errors.New("has numbers of 64 bits that stand for none")
			}
			for i, w := range want {
				*w = le.Uint64(field[8*i:])
			}
			want = nil
		default:
			return fmt.Errorf("has the extra field %#04x, by which some readers go", id)
		}
	}
	if len(want) > 0 {
		return errors.New("has no numbers of 64 bits where it says so")
	}
	return nil
}

// lies holds what stands where the member lies, up to next, to what the directory says.
func (e *zipEntry) lies(in Input, next uint64) error {
	le := binary.LittleEndian
	h, err := zipBytes(in, e.start, 30)
	if err != nil {
		return err
	}
	if string(h[:4]) != zipLocal {
		return errors.New("is not where the directory says")
	}
	more, err := zipBytes(in, e.start+30, uint64(le.Uint16(h[26:]))+uint64(le.Uint16(h[28:])))
	if err != nil {
		return err
	}
	if name := string(more[:le.Uint16(h[26:])]); name != e.name {
		return errors.New("has another name where it lies than in the directory")
	}
	crc, packed, size := le.Uint32(h[14:]), uint64(le.Uint32(h[18:])), uint64(le.Uint32(h[22:]))
	if err := zipExtras(more[le.Uint16(h[26:]):], &size, &packed); err != nil {
		return err
	}
	same := crc == e.crc && packed == e.packed && size == e.size
	if e.flags&zipDescribed != 0 {
		same = same || crc == 0 && packed == 0 && size == 0
	}
	if !same || le.Uint16(h[6:]) != e.flags || le.Uint16(h[8:]) != e.method || le.Uint16(h[10:]) != e.clock || le.Uint16(h[12:]) != e.date {
		return errors.New("has another header where it lies than in the directory")
	}
	body := e.start + 30 + uint64(len(more))
	if next < body || next-body < e.packed {
		return errors.New("reaches into what follows it")
	}
	return e.described(in, body+e.packed, next)
}

// described holds what follows a member's content to what the directory says: nothing, or its checksum and sizes,
// with or without a signature, in either width.
func (e *zipEntry) described(in Input, at, next uint64) error {
	errBytes := errors.New("is followed by bytes that belong to no member")
	if e.flags&zipDescribed == 0 {
		if at != next {
			return errBytes
		}
		return nil
	}
	if next-at > 24 {
		return errBytes
	}
	b, err := zipBytes(in, at, next-at)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	if len(b)%8 == 0 { // with a signature
		if !bytes.HasPrefix(b, []byte(zipDescriptor)) {
			return errBytes
		}
		b = b[4:]
	}
	switch {
	case len(b) == 12 && le.Uint32(b) == e.crc && uint64(le.Uint32(b[4:])) == e.packed && uint64(le.Uint32(b[8:])) == e.size:
	case len(b) == 20 && le.Uint32(b) == e.crc && le.Uint64(b[4:]) == e.packed && le.Uint64(b[12:]) == e.size:
	default:
		return errBytes
	}
	return nil
}
