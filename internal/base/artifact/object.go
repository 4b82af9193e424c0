package artifact

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A section is a named part of an executable.
type section struct {
	name string
	data blob
}

// maxSections bounds how many sections are looked at.
const maxSections = 20_000

// elf compares two ELF files: what Go recorded, notes, then sections.
func (c *comparer) elf(member string, a, b blob, _ int) error {
	var files [2]*elf.File
	var sections [2][]section
	for i, bl := range []blob{a, b} {
		f, err := elf.NewFile(bl.ReaderAt)
		if err != nil {
			c.unexamined(member, "not examined by section: "+visible(err.Error()))
			return nil
		}
		files[i] = f
		for _, s := range f.Sections[:min(len(f.Sections), maxSections)] {
			if s.Type != elf.SHT_NOBITS && s.Type != elf.SHT_NULL {
				sections[i] = append(sections[i], section{s.Name, bl.part(s.Offset, s.FileSize)}) // as it is in the file, compressed or not
			}
		}
	}
	fa, fb := files[0].FileHeader, files[1].FileHeader
	if fa != fb {
		c.add(Difference{Member: member, What: Toolchain, Where: "ELF header", A: elfHeader(fa), B: elfHeader(fb), Why: "it was built for another machine or system, or as another kind of file"})
	}
	c.goBuild(member, a, b)
	return c.sections(member, max(a.size, b.size), sections)
}

func elfHeader(h elf.FileHeader) string {
	return fmt.Sprintf("%v %v %v %v entry %#x", h.Class, h.OSABI, h.Type, h.Machine, h.Entry)
}

func (c *comparer) pe(member string, a, b blob, _ int) error {
	var files [2]*pe.File
	var sections [2][]section
	for i, bl := range []blob{a, b} {
		f, err := pe.NewFile(bl.ReaderAt)
		if err != nil {
			c.unexamined(member, "not examined by section: "+visible(err.Error()))
			return nil
		}
		files[i] = f
		for _, s := range f.Sections[:min(len(f.Sections), maxSections)] {
			sections[i] = append(sections[i], section{s.Name, bl.part(uint64(s.Offset), uint64(s.Size))})
		}
	}
	if ta, tb := files[0].TimeDateStamp, files[1].TimeDateStamp; ta != tb {
		c.add(Difference{Member: member, What: Timestamp, Where: "PE link time", A: stamp(time.Unix(int64(ta), 0)), B: stamp(time.Unix(int64(tb), 0)),
			Why: "the linker wrote the time into the header; /Brepro, or --no-insert-timestamp for GNU ld"})
	}
	c.goBuild(member, a, b)
	return c.sections(member, max(a.size, b.size), sections)
}

func (c *comparer) macho(member string, a, b blob, _ int) error {
	var ids [2]string
	var sections [2][]section
	for i, bl := range []blob{a, b} {
		f, err := macho.NewFile(bl.ReaderAt)
		if err != nil {
			c.unexamined(member, "not examined by section: "+visible(err.Error()))
			return nil
		}
		for _, l := range f.Loads {
			// LC_UUID is 0x1b, followed by its size and 16 bytes.
			if raw := l.Raw(); len(raw) == 24 && f.ByteOrder.Uint32(raw) == 0x1b {
				ids[i] = hex.EncodeToString(raw[8:])
			}
		}
		for _, s := range f.Sections[:min(len(f.Sections), maxSections)] {
			if kind := s.Flags & 0xff; kind != 0x1 && kind != 0xc && kind != 0x12 { // zeros, which are not in the file
				sections[i] = append(sections[i], section{s.Seg + "," + s.Name, bl.part(uint64(s.Offset), s.Size)})
			}
		}
	}
	if ids[0] != ids[1] {
		c.add(Difference{Member: member, What: BuildID, Where: "LC_UUID", A: ids[0], B: ids[1]})
	}
	c.goBuild(member, a, b)
	return c.sections(member, max(a.size, b.size), sections)
}

// goBuild compares what Go recorded of a build. What has no such record is passed over.
func (c *comparer) goBuild(member string, a, b blob) {
	var lists [2][]field
	for i, bl := range []blob{a, b} {
		if info, err := buildinfo.Read(bl.reader()); err == nil {
			lists[i] = goFields(info)
		}
	}
	if lists[0] != nil && lists[1] != nil {
		c.headers(member, &entry{fields: lists[0]}, &entry{fields: lists[1]})
	}
}

const whyVCS = "Go writes the commit, its tag and its time into a program unless -buildvcs=false is set, in GOFLAGS too: record that variable, and build a clean checkout of one commit with the same tags"

func goFields(info *debug.BuildInfo) []field {
	out := []field{
		{Toolchain, "Go version", info.GoVersion, "another Go built it; pin it with the toolchain line of go.mod"},
		{Content, "Go main module", module(&info.Main), whyVCS},
	}
	for _, d := range info.Deps {
		out = append(out, field{Content, "Go module " + d.Path, module(d), "another version of a module was used; commit go.sum, and build with -mod=readonly"})
	}
	for _, s := range info.Settings {
		f := field{Content, "Go setting " + s.Key, s.Value, "another flag or setting was used; name it in the build"}
		if strings.HasPrefix(s.Key, "vcs") {
			f.why = whyVCS
		}
		if s.Key == "vcs.time" {
			f.what = Timestamp
		}
		out = append(out, f)
	}
	return out
}

func module(m *debug.Module) string {
	s := m.Path + "@" + m.Version + " " + m.Sum
	if m.Replace != nil {
		s += " => " + module(m.Replace)
	}
	return s
}

// sections compares the sections that have one name, and says which only one side has.
func (c *comparer) sections(member string, size int64, sides [2][]section) error {
	var byName [2]map[string]blob
	for i, list := range sides {
		byName[i] = map[string]blob{}
		for _, s := range list {
			name := s.name
			for n := 2; ; n++ {
				if _, ok := byName[i][name]; !ok {
					break
				}
				name = fmt.Sprintf("%s (%d)", s.name, n)
			}
			byName[i][name] = s.data
		}
	}
	// Sections may be said to lie in each other, a thousand times the whole file: that costs.
	var total [2]int64
	for i, list := range sides {
		for _, s := range list {
			total[i] += s.data.size
		}
		if total[i] > 2*size {
			c.unexamined(member, "not examined by section: they are said to lie in each other")
			return nil
		}
	}
	names := sortedKeys(byName[0])
	for _, n := range sortedKeys(byName[1]) {
		if _, ok := byName[0][n]; !ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	before := c.found
	var plain []Difference // what has no cause of its own
	for _, n := range names {
		a, inA := byName[0][n]
		b, inB := byName[1][n]
		where := "section " + n
		switch {
		case !inA:
			c.add(Difference{Member: member, What: Extra, Where: where, B: sized(b.size), Why: "only the second has this section: stripped, or built with other flags"})
		case !inB:
			c.add(Difference{Member: member, What: Missing, Where: where, A: sized(a.size), Why: "only the first has this section: stripped, or built with other flags"})
		default:
			more, err := c.section(member, where, n, a, b)
			if err != nil {
				return err
			}
			plain = append(plain, more...)
		}
	}
	if c.found == before || len(plain) < 2 {
		for _, d := range plain {
			c.add(d)
		}
		return nil
	}
	all := make([]string, len(plain))
	for i, d := range plain {
		all[i] = strings.TrimPrefix(d.Where, "section ")
	}
	d := plain[0]
	d.Where = "sections " + clip(strings.Join(all, "; "))
	d.Why = "these differ too, without a cause of their own: where something has another length, addresses and lengths elsewhere follow it. Mend the others first"
	c.add(d)
	return nil
}

// section compares two sections of one name. It returns what has no cause that is known here.
func (c *comparer) section(member, where, name string, a, b blob) (plain []Difference, err error) {
	at, err := firstDifference(c.ctx, a, b)
	if err != nil || at < 0 {
		return nil, err
	}
	switch name {
	case ".note.gnu.build-id", ".note.go.buildid":
		c.add(Difference{Member: member, What: BuildID, Where: where, A: noteText(a), B: noteText(b)})
		return nil, nil
	case ".comment":
		c.add(Difference{Member: member, What: Toolchain, Where: where, A: printables(a), B: printables(b), Why: "another version of the compiler was used; pin it"})
		return nil, nil
	}
	found, err := c.firstBytes(member, where+", ", a, b)
	for _, d := range found {
		if d.What == Content {
			plain = append(plain, d)
		} else {
			c.add(d)
		}
	}
	return plain, err
}

// noteText returns what an ELF note says: text where it is text, else hexadecimal. A note is three
// numbers of four bytes, its owner's name of four bytes here ("GNU", "Go"), and then what it says.
func noteText(b blob) string {
	head := b.head(512)
	if len(head) <= 16 {
		return hex.EncodeToString(head)
	}
	return quoted(bytes.TrimRight(head[16:], "\x00"))
}

func printables(b blob) string {
	return quoted(bytes.ReplaceAll(bytes.Trim(b.head(512), "\x00"), []byte{0}, []byte("; ")))
}
