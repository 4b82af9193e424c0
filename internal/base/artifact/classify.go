package artifact

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// whys are the usual causes and cures, by kind.
var whys = map[Kind]string{
	Timestamp:   "the time of the build is written into it; use SOURCE_DATE_EPOCH or the commit's time, or leave it out",
	Location:    "the folder that it was built in is written into it; build with relative paths, or map them away (go build -trimpath, -ffile-prefix-map=$PWD=. for C, --remap-path-prefix for Rust)",
	Environment: "the user or the host that built is written into it; set fixed names in the build, or leave them out",
	BuildID:     "the build id is made from the inputs, folders and flags of the build, or drawn at random; what else differs usually explains it (Go: -trimpath, or -ldflags=-buildid= to leave it out)",
	Order:       "the order of a map, of a set or of a file system's listing is written out; sort before writing",
	Owner:       "it has the owner of the packed files; set a fixed one",
	Mode:        whyMode,
	Toolchain:   "another version of a tool was used; pin it",
	Compression: "the packer, its version or its level differ; pin them",
	Identifier:  "an identifier is drawn anew for each build; derive it from the content, or leave it out",
	Digest:      "it is the digest of something else that differs; see the other differences",
	Missing:     "only the first artifact has it: a step was skipped, or a file was left over from an earlier build",
	Extra:       "only the second artifact has it: a step was skipped, or a file was left over from an earlier build",
	Format:      "another kind of file, or another way to write it",
	Content:     "the content differs, and nothing here tells why: another input, another version of a tool, or chance",
}

func why(k Kind) string { return whys[k] }

// pattern compiles when it is first asked: a program that never compares pays nothing at its start.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// Times as people and programs write them. A number alone counts as one only near the present,
// see epochs.
var times = pattern(`(?i)` + strings.Join([]string{
	`\d{4}-\d\d-\d\d(?:[T _]\d\d[:.]?\d\d(?:[:.]?\d\d(?:[.,]\d+)?)?)?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?(?: m=[+-]\d+\.\d+)?`,
	`\d{4}/\d\d/\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?)?`,
	`(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? )?(?:\d{1,2}[ -])?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ -]+\d{1,4},?(?: \d{4})?(?:,? \d\d:\d\d(?::\d\d)?)?(?: [ap]m)?(?: (?:[a-z]{3,5}|[+-]\d{4}))?(?: \d{4})?`,
	`\b20\d{6}[T.-]?\d{6}Z?\b`,
	`\b\d\d:\d\d:\d\d(?:\.\d+)?\b`,
}, "|"))

var (
	numbers = pattern(`\b\d{10}(?:\.\d+|\d{3}|\d{6}|\d{9})?\b`)
	paths   = pattern(`(?:[A-Za-z]:)?(?:[/\\][\w.@+~%-]+)+[/\\]?`)
	uuids   = pattern(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	goIDs   = pattern(`\b[\w-]{20}/[\w-]{20}(?:/[\w-]{20}/[\w-]{20})?`)
	digests = pattern(`(?i)\b(?:[0-9a-f]{32,128}|[0-9a-z+/_-]{43}=?|[0-9a-z+/]{27}=|[0-9a-z+/]{86}(?:==)?)`)
)

// classify says of which kinds a difference between two texts is: those kinds of value without
// which the rest is the same. It is Content if no kind is enough.
func (c *comparer) classify(a, b string) []Kind {
	if c.classified++; c.classified > maxClassified {
		c.unexamined("", fmt.Sprintf("not examined of which kind: differences after the first %d", maxClassified))
		return []Kind{Content}
	}
	a, b = core(a, b)
	type step struct {
		what Kind
		mask func(s string) string
	}
	steps := []step{
		{Location, c.maskRoots},
		{Environment, c.maskNames},
		{Identifier, func(s string) string { return uuids().ReplaceAllString(s, "\x00id") }},
		{BuildID, func(s string) string { return goIDs().ReplaceAllString(s, "\x00build") }},
		{Digest, func(s string) string { return digests().ReplaceAllString(s, "\x00digest") }},
		{Timestamp, c.maskTimes},
		{Location, func(s string) string { return paths().ReplaceAllString(s, "\x00path") }},
	}
	// One kind alone says more than several, and is tried first.
	for _, s := range steps {
		if s.mask(a) == s.mask(b) {
			return []Kind{s.what}
		}
	}
	var kinds []Kind
	for _, s := range steps {
		ma, mb := s.mask(a), s.mask(b)
		if (ma != a || mb != b) && len(differing(ma, mb)) < len(differing(a, b)) && !slices.Contains(kinds, s.what) {
			kinds = append(kinds, s.what)
		}
		if a, b = ma, mb; a == b {
			return kinds
		}
	}
	return []Kind{Content}
}

// Bounds of what is classified: patterns take time.
const (
	maxClassified = 50_000
	maxCore       = 4 << 10
	beside        = 256
)

// core cuts two long texts to what differs and what stands beside it.
func core(a, b string) (string, string) {
	if max(len(a), len(b)) <= maxCore {
		return a, b
	}
	i, j := 0, 0
	shorter := min(len(a), len(b))
	for i < shorter && a[i] == b[i] {
		i++
	}
	for j < shorter-i && a[len(a)-1-j] == b[len(b)-1-j] {
		j++
	}
	cut := func(s string) string {
		from, to := max(0, i-beside), min(len(s), len(s)-j+beside)
		return s[from:min(to, from+maxCore)]
	}
	return cut(a), cut(b)
}

// differing returns what is between the common start and the common end of two texts, both.
func differing(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a + b
}

// textKind is the first of the kinds of a difference between two values.
func (c *comparer) textKind(a, b string) Kind {
	if a == b {
		return Content
	}
	return c.classify(a, b)[0]
}

// maskRoots takes out the folders of the two builds, and what stands below them.
func (c *comparer) maskRoots(s string) string {
	return c.maskWords(s, func(f Facts) []string { return f.Roots }, "\x00root")
}

func (c *comparer) maskNames(s string) string {
	return c.maskWords(s, func(f Facts) []string { return f.Names }, "\x00name")
}

// maskWords takes out what either side names, the longest first, so that a folder does not hide
// the one below it.
func (c *comparer) maskWords(s string, of func(Facts) []string, by string) string {
	words := append(slices.Clone(of(c.facts[0])), of(c.facts[1])...)
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	for _, w := range words {
		if len(w) > 2 { // "/" and "ci" are in everything
			s = strings.ReplaceAll(s, w, by)
		}
	}
	return s
}

func (c *comparer) maskTimes(s string) string {
	s = times().ReplaceAllString(s, "\x00time")
	return numbers().ReplaceAllStringFunc(s, func(n string) string {
		if c.isEpoch(n) {
			return "\x00time"
		}
		return n
	})
}

// isEpoch reports whether a number could be a time in seconds, or thousandths, millionths or
// billionths, since 1970: within two days of one of the builds, or, where their times are not
// known, in the years 2001 to 2100.
func (c *comparer) isEpoch(digits string) bool {
	seconds, err := strconv.ParseInt(digits[:10], 10, 64)
	if err != nil {
		return false
	}
	known := false
	for _, f := range c.facts {
		if f.Time.IsZero() {
			continue
		}
		known = true
		if d := time.Unix(seconds, 0).Sub(f.Time); d.Abs() < 48*time.Hour {
			return true
		}
	}
	return !known && seconds >= 1_000_000_000 && seconds < 4_102_444_800
}

// epoch spells a number of seconds so that a person reads it.
func epoch(digits string) string {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return digits
	}
	return fmt.Sprintf("%d (%s)", n, stamp(time.Unix(n, 0)))
}

// visible makes foreign text fit one line of a terminal: what does not print is escaped.
func visible(s string) string {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			q := strconv.QuoteToASCII(s)
			return q[1 : len(q)-1]
		}
		i += n
	}
	return s
}

// maxShown is how much of a value is shown, in bytes.
const maxShown = 240

func clip(s string) string { return clipTo(s, maxShown) }

func clipTo(s string, most int) string {
	if len(s) <= most {
		return visible(s)
	}
	cut := s[:most]
	for len(cut) > most-utf8.UTFMax {
		if r, n := utf8.DecodeLastRuneInString(cut); r != utf8.RuneError || n != 1 {
			break
		}
		cut = cut[:len(cut)-1]
	}
	return visible(cut) + "…"
}

// maxMember is how much of a member's name is shown, in bytes.
const maxMember = 1024

// around cuts two texts to what differs first, with some of what stands before it.
func around(a, b string) (string, string) {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	if max(len(a), len(b)) <= maxShown || i < 80 {
		return a, b
	}
	for i -= 60; i > 0 && !utf8.RuneStart(a[i]); i-- {
	}
	return "…" + a[i:], "…" + b[i:]
}

func quoted(b []byte) string {
	if s := string(b); utf8.ValidString(s) && visible(s) == s {
		return s
	}
	return hex.EncodeToString(b)
}

var digitsInPlace = pattern(`\d+`)

// general takes the numbers out of a place, so that lines are counted together.
func general(where string) string { return digitsInPlace().ReplaceAllString(where, "0") }
