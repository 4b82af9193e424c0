package artifact

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
)

// A rawMember is a member of a zip, with what a hostile packer would write of it.
type rawMember struct {
	name, body   string
	made         uint16 // host and version
	attrs        uint32
	store        bool
	flags        uint16
	extra, local []byte // extra fields in the directory, and where it lies
	trail        []byte // within the packed size
	descriptor   []byte // behind it
	comment      string
	edit         func(local []byte) // of the header where it lies
}

func le16(n int) []byte    { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }
func le32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
func le64(n int) []byte    { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

func (m *rawMember) packed() []byte {
	b := []byte(m.body)
	if !m.store {
		var out bytes.Buffer
		w, _ := flate.NewWriter(&out, 9)
		_, _ = w.Write(b)
		_ = w.Close()
		b = out.Bytes()
	}
	return append(b, m.trail...)
}

func (m *rawMember) method() int {
	if m.store {
		return 0
	}
	return 8
}

func (m *rawMember) lies() []byte {
	p := m.packed()
	b := slices.Concat([]byte(zipLocal), le16(20), le16(int(m.flags)), le16(m.method()), le32(0x21<<16), le32(crc32.ChecksumIEEE([]byte(m.body))),
		le32(uint32(len(p))), le32(uint32(len(m.body))), le16(len(m.name)), le16(len(m.local)), []byte(m.name), m.local)
	if m.edit != nil {
		m.edit(b)
	}
	return slices.Concat(b, p, m.descriptor)
}

func (m *rawMember) entry(at int) []byte {
	p := m.packed()
	return slices.Concat([]byte(zipCentral), le16(int(m.made)), le16(20), le16(int(m.flags)), le16(m.method()), le32(0x21<<16), le32(crc32.ChecksumIEEE([]byte(m.body))),
		le32(uint32(len(p))), le32(uint32(len(m.body))), le16(len(m.name)), le16(len(m.extra)), le16(len(m.comment)), le32(0), le32(m.attrs), le32(uint32(at)),
		[]byte(m.name), m.extra, []byte(m.comment))
}

func rawTree() []rawMember {
	return []rawMember{
		{name: "README", body: "read me\n", made: 3<<8 | 20, attrs: 0o100644 << 16},
		{name: "bin/run", body: "#!/bin/sh\n", made: 3<<8 | 20, attrs: 0o100755 << 16},
		{name: "lib/link", body: "../README", made: 3<<8 | 20, attrs: 0o120777 << 16, store: true},
	}
}

func zipEndOf(count, size, start int) []byte {
	return slices.Concat([]byte(zipEnd), le32(0), le16(count), le16(count), le32(uint32(size)), le32(uint32(start)), le16(0))
}

// rawZip packs the members; between stands between them and the directory.
func rawZip(members []rawMember, between string) (b []byte, start int) {
	var dir []byte
	for i := range members {
		dir = append(dir, members[i].entry(len(b))...)
		b = append(b, members[i].lies()...)
	}
	b = append(b, between...)
	start = len(b)
	return slices.Concat(b, dir, zipEndOf(len(members), len(dir), start)), start
}

// TestCompareTreeHostileZip: zips whose directory, as our reader sees it, is the tree's, and that another reader
// unpacks to something else; each with what it is made of in a harmless form beside it.
func TestCompareTreeHostileZip(t *testing.T) {
	field := func(id int, body []byte) []byte { return slices.Concat(le16(id), le16(len(body)), body) }
	one := func(edit func(*rawMember)) []byte {
		members := rawTree()
		edit(&members[1])
		b, _ := rawZip(members, "")
		return b
	}
	hidden := (&rawMember{name: "bin/run", body: "#!/bin/sh\necho evil\n"}).lies()
	uni := slices.Concat([]byte{1}, le32(crc32.ChecksumIEEE([]byte("bin/run"))), []byte("README"))
	sum := func(m *rawMember) []byte {
		return slices.Concat(le32(crc32.ChecksumIEEE([]byte(m.body))), le32(uint32(len(m.packed()))), le32(uint32(len(m.body))))
	}
	plain, start := rawZip(rawTree(), "")
	dir := plain[start : len(plain)-22]
	// The end's numbers fit the second directory, and a reader that adds nothing to the offset begins at the first.
	two := slices.Concat(plain[:start], dir, []byte("\x00\x00\x00\x00"), dir, zipEndOf(3, len(dir), start))
	repeated := slices.Concat(plain[:start], dir, dir, zipEndOf(3, len(dir), start+len(dir)))
	wide := slices.Concat(plain[:start], dir, []byte(zipEnd64), le64(44), le16(45), le16(45), le64(0), le64(3), le64(3), le64(len(dir)), le64(start),
		[]byte(zipEnd64At), le32(0), le64(len(plain)-22), le32(1), []byte(zipEnd), le32(0), le16(3), le16(3), le32(uint32(len(dir))), le32(1<<32-1), le16(0))
	between, _ := rawZip(rawTree(), "between")
	for _, c := range []struct {
		name string
		b    []byte
		want string // empty: it is equal
	}{
		{"plain", plain, ""},
		{"ends of 64 bits", wide, ""},
		{"two ends that differ", bytes.Replace(wide, slices.Concat(le64(3), le64(3)), slices.Concat(le64(2), le64(2)), 1), "cannot be read"},
		{"two directories", two, "directory is not right before its end"},
		{"the directory before the directory", repeated, "followed by bytes"},
		{"two zips", slices.Concat(plain, plain), "directory is not right before its end"},
		{"bytes before the directory", between, "followed by bytes"},
		{"bytes after the end", append(slices.Clone(plain), 0), "bytes after its end"},
		{"times and owners", one(func(m *rawMember) {
			m.extra = slices.Concat(field(0x5455, make([]byte, 5)), field(0x7875, make([]byte, 11)))
			m.local = m.extra
		}), ""},
		{"another name in an extra field", one(func(m *rawMember) { m.extra = field(0x7075, uni); m.local = m.extra }), "bin/run has the extra field 0x7075"},
		{"another name where it lies alone", one(func(m *rawMember) { m.local = field(0x7075, uni) }), "bin/run has the extra field 0x7075"},
		{"an extra field cut short", one(func(m *rawMember) { m.extra = []byte{0x55, 0x54, 9, 0} }), "cut short"},
		{"numbers of 64 bits for none", one(func(m *rawMember) { m.extra = field(1, make([]byte, 8)) }), "64 bits that stand for none"},
		{"a member in a deflated one", one(func(m *rawMember) { m.trail = hidden }), "bin/run has bytes after its content"},
		{"a member in a stored one", one(func(m *rawMember) { m.store, m.trail = true, hidden }), "bin/run is not as long"},
		{"from FAT", one(func(m *rawMember) { *m = rawTree()[1]; m.made = 20; m.attrs = 0 }), "bin/run has the mode 100644"},
		{"from BeOS", one(func(m *rawMember) { m.made = 16 << 8 }), "attributes of the system 16"},
		{"from macOS", one(func(m *rawMember) { m.made = 19 << 8 }), "attributes of the system 19"},
		{"from FAT with a mode", one(func(m *rawMember) { m.made = 20 }), "unix mode under another system's name"},
		{"a file that is a folder to some", one(func(m *rawMember) { m.attrs |= 0x10 }), "attribute of a folder"},
		{"a comment", one(func(m *rawMember) { m.comment = "c" }), "bin/run has a comment"},
		{"flags that differ", one(func(m *rawMember) { m.edit = func(b []byte) { b[7] ^= 8 } }), "bin/run has another header"},
		{"a method that differs", one(func(m *rawMember) { m.edit = func(b []byte) { b[8] = 0 } }), "bin/run has another header"},
		{"a checksum that differs", one(func(m *rawMember) { m.edit = func(b []byte) { b[14]++ } }), "bin/run has another header"},
		{"a packed size that differs", one(func(m *rawMember) { m.edit = func(b []byte) { b[18]-- } }), "bin/run has another header"},
		{"a size that differs", one(func(m *rawMember) { m.edit = func(b []byte) { b[22]-- } }), "bin/run has another header"},
		{"encrypted", one(func(m *rawMember) { m.flags = 1 }), "bin/run has the flags 0x0001"},
		{"a descriptor", one(func(m *rawMember) { m.flags, m.descriptor = 8, append([]byte(zipDescriptor), sum(m)...) }), ""},
		{"a descriptor without a signature", one(func(m *rawMember) { m.flags, m.descriptor = 8, sum(m) }), ""},
		{"a descriptor that differs", one(func(m *rawMember) {
			m.flags, m.descriptor = 8, append([]byte(zipDescriptor), sum(m)...)
			m.descriptor[8]++
		}), "bin/run is followed by bytes"},
		{"no descriptor", one(func(m *rawMember) { m.flags = 8 }), "bin/run is followed by bytes"},
		{"a stored one with a descriptor", one(func(m *rawMember) { m.store, m.flags, m.descriptor = true, 8, append([]byte(zipDescriptor), sum(m)...) }), "length behind it"},
		{"a name in another encoding", one(func(m *rawMember) { m.name = "bin/r\u00fcn" }), "not said to be in UTF-8"},
		{"a name with a backslash", one(func(m *rawMember) { m.name = `bin\run` }), "sign in its name"},
		{"a folder that is a link", one(func(m *rawMember) { *m = rawTree()[2]; m.name = "bin/" }), "folder's name"},
	} {
		r := compareTo(t, c.b)
		got := strings.Join(r.Differences, "; ")
		if r.Equal != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: equal %t, %s; want %q", c.name, r.Equal, got, c.want)
		}
	}
	// git writes files that may not be executed as FAT does, without a mode.
	members := rawTree()
	members[0].made, members[0].attrs = 20, 0
	if b, _ := rawZip(members, ""); !compareTo(t, b).Equal {
		t.Error("a file as git writes it is not equal")
	}
}

// rawTar is a header with what a hostile packer would write, and its content.
func rawTar(name string, kind byte, size int, link, body string) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00")
	copy(b[148:], "        ")
	b[156] = kind
	copy(b[157:], link)
	copy(b[257:], "ustar\x0000")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return slices.Concat(b, []byte(body), make([]byte, -len(body)&511))
}

// TestCompareTreeHostileTar: tars whose members our reader and GNU tar see in different ways, and streams that end at
// more than one place.
func TestCompareTreeHostileTar(t *testing.T) {
	whole := inTar(t, "", nil)
	less := func(name string, more ...[]byte) []byte {
		b := inTar(t, "", func(h *tar.Header, _ *string) {
			if h.Name == name {
				h.Name = ""
			}
		})
		return slices.Concat(append([][]byte{b[:len(b)-1024]}, append(more, make([]byte, 1024))...)...)
	}
	gz := func(b []byte) []byte { return []byte(packGzip(t, string(b), "", noon, 6)) }
	pax := func(record string) []byte {
		n := len(record) + 4 // its length in two digits, a space and the end of the line
		return rawTar("PaxHeaders/x", 'x', n, "", fmt.Sprintf("%d %s\n", n, record))
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"plain", less("README", rawTar("README", '0', 8, "", "read me\n")), ""},
		{"a file with a folder's name", less("README", rawTar("README/", '0', 8, "", "read me\n")), "README has a folder's name"},
		{"a link with a folder's name", less("lib/link", rawTar("lib/link/", '2', 0, "../README", "")), "lib/link has a folder's name"},
		{"a folder of the old kind with content", less("bin/", rawTar("bin/", 0, 512, "", "")), "content"},
		{"a folder with content", less("bin/", rawTar("bin/", '5', 512, "", "")), "bin says that it has content"},
		{"a link with content", less("lib/link", rawTar("lib/link", '2', 512, "../README", "")), "lib/link says that it has content"},
		{"a name in a record", less("README", pax("path=README"), rawTar("bin/run", '0', 8, "", "read me\n")), "README has a name or a size in a further record"},
		{"a link in a record", less("lib/link", pax("linkpath=../README"), rawTar("lib/link", '2', 0, "/etc", "")), "lib/link has a name or a size in a further record"},
		{"a size in a record", less("README", pax("size=8"), rawTar("README", '0', 0, "", "read me\n")), "README has a name or a size in a further record"},
		{"a time in a record", less("README", pax("mtime=1.5"), rawTar("README", '0', 8, "", "read me\n")), ""},
		{"one stream", gz(whole), ""},
		{"two streams", append(gz(whole[:2560]), gz(whole[2560:])...), "after its first gzip stream"},
		{"an empty stream behind it", append(gz(whole), gz(nil)...), "after its first gzip stream"},
		{"bytes behind the stream", append(gz(whole), 0), "after its first gzip stream"},
		{"data behind the end in the stream", gz(slices.Concat(whole, whole)), "data after its last member"},
	} {
		r := compareTo(t, c.b)
		if got := strings.Join(r.Differences, "; "); r.Equal != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: equal %t, %s; want %q", c.name, r.Equal, got, c.want)
		}
	}
}
