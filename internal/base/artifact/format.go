package artifact

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// A format is a way to look into a file. compare adds what it finds; if it finds nothing, the
// files are compared as bytes. An error ends the whole comparison: what cannot be read as the
// format promises is noted with unexamined instead.
type format struct {
	name    string
	nests   bool // it holds other files
	compare func(c *comparer, member string, a, b blob, depth int) error
}

// Formats, by what their first bytes say. The name of a file says nothing.
func sniff(b blob) format {
	head := b.head(512)
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has("\x1f\x8b\x08"):
		return format{"gzip", true, (*comparer).gzip}
	case has("BZh"):
		return format{"bzip2", true, (*comparer).bzip2}
	case has("\xfd7zXZ\x00"):
		return format{"xz", true, opaque("xz")}
	case has("\x28\xb5\x2f\xfd"):
		return format{"zstd", true, opaque("zstd")}
	case has("PK\x03\x04"), has("PK\x05\x06"):
		return format{"zip", true, (*comparer).zip}
	case has("!<arch>\n"):
		return format{"ar", true, (*comparer).ar}
	case len(head) == 512 && isTar(head):
		return format{"tar", true, (*comparer).tar}
	case has("\x7fELF"):
		return format{"ELF", false, (*comparer).elf}
	case has("MZ"):
		return format{"PE", false, (*comparer).pe}
	case isMachO(head):
		return format{"Mach-O", false, (*comparer).macho}
	case len(head) == 0:
		return format{name: "empty"}
	case isText(head):
		// One format, so that a JSON file that lost its first bracket is still compared by line.
		return format{"text", false, (*comparer).text}
	}
	return format{name: "data"}
}

// opaque is a packing that is not unpacked here.
func opaque(name string) func(*comparer, string, blob, blob, int) error {
	return func(c *comparer, member string, _, _ blob, _ int) error {
		c.unexamined(member, "not examined inside: "+name+" is not unpacked; compare what was packed")
		return nil
	}
}

// isTar reports whether a block is a tar header: by its magic, or, for archives older than that,
// by its checksum.
func isTar(head []byte) bool {
	if bytes.HasPrefix(head[257:], []byte("ustar")) {
		return true
	}
	var sum, stated uint64
	for i, c := range head {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += uint64(c)
	}
	digits := bytes.Trim(head[148:156], " \x00")
	if len(digits) == 0 || head[0] == 0 {
		return false
	}
	for _, d := range digits {
		if d < '0' || d > '7' {
			return false
		}
		stated = stated*8 + uint64(d-'0')
	}
	return sum == stated
}

func isMachO(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	switch binary.LittleEndian.Uint32(head) {
	case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
		return true
	}
	return false
}

// isText reports whether the first bytes of a file look like text: UTF-8 without control
// characters. The last character may be cut.
func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 {
			return len(head) < utf8.UTFMax && !utf8.FullRune(head)
		}
		if r < ' ' && r != '\n' && r != '\t' && r != '\r' && r != '\f' && r != 0x1b || r == 0x7f {
			return false
		}
		head = head[n:]
	}
	return true
}
