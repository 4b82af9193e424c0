package scan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
)

// headSize is how much of a file's start its class may depend on if its name does not say that it
// could be a manifest.
const headSize = 16 << 10

const (
	modeSymlink   = "120000"
	modeSubmodule = "160000"
)

// A plan says what of a file is new.
type plan struct {
	all    bool    // all of the new blob
	ranges []Range // else these lines
	lfs    bool
}

func planOf(f *sallyport.File) plan {
	p := plan{ranges: []Range{}}
	p.all = f.Truncated || f.Binary
	for _, u := range f.Units {
		switch u.Kind {
		case sallyport.UnitLines:
			if u.Side == sallyport.AddedSide && u.Lines > 0 {
				p.ranges = append(p.ranges, Range{u.Start, u.Start + u.Lines - 1})
			}
		case sallyport.UnitAdded, sallyport.UnitSymlink, sallyport.UnitBinary:
			p.all = true
		case sallyport.UnitLFS:
			p.all, p.lfs = true, true
		case sallyport.UnitDeleted, sallyport.UnitRenamed, sallyport.UnitMode, sallyport.UnitSubmodule:
		default:
			p.all = true // a kind that this code does not know may hold anything
		}
	}
	if f.Status == "added" {
		p.all = true
	}
	slices.SortFunc(p.ranges, func(a, b Range) int { return a.First - b.First })
	return p
}

// hasBlob reports whether oid names an object.
func hasBlob(oid string) bool { return strings.Trim(oid, "0") != "" }

// scanFile scans f. Final is false if the result may differ another time.
func (s *Scanner) scanFile(ctx context.Context, f *sallyport.File, p plan) (r result, final bool) {
	final = true
	add := func(fs ...sallyport.Finding) { r.Findings = append(r.Findings, fs...) }
	unscanned := func(rule string, severity sallyport.Severity, text string) {
		add(finding(sallyport.FindingUnscanned, rule, severity, f.Path, 0, text, f.NewBlob))
	}

	var text, old []byte
	exists := hasBlob(f.NewBlob)
	switch {
	case exists && f.NewMode == modeSubmodule:
		unscanned("submodule", sallyport.Medium, "the commit of a submodule, whose content is not in this repository, was not scanned")
	case exists && f.Size > s.limit:
		unscanned("too-large", sallyport.High, fmt.Sprintf("%d bytes are more than the %d that are scanned", f.Size, s.limit))
	case exists:
		var err error
		if text, err = s.blobs.Blob(ctx, f.NewBlob, s.limit); err != nil {
			text, final = nil, false
			if errors.Is(err, ErrTooLarge) {
				unscanned("too-large", sallyport.High, fmt.Sprintf("the content is larger than the %d bytes that are scanned", s.limit))
			} else {
				unscanned("unreadable", sallyport.High, "the content could not be read")
			}
		}
	}
	if p.lfs {
		unscanned("lfs", sallyport.Medium, "content kept in Git LFS is not in this repository and was not scanned")
	}

	// A manifest that loses what marked it as one is still a change to a manifest: the classes
	// that the old content had count too.
	before := f.Path
	if f.OldPath != "" {
		before = f.OldPath
	}
	if hasBlob(f.OldBlob) && f.OldMode != modeSubmodule && f.OldBlob != f.NewBlob && classDependsOnContent(before) {
		b, err := s.blobs.Blob(ctx, f.OldBlob, s.limit)
		if err != nil {
			final = false
			unscanned("unreadable", sallyport.High, "the content before the change could not be read")
		}
		old = b
	}
	var oldClasses []string
	if hasBlob(f.OldBlob) {
		if f.OldBlob == f.NewBlob {
			old = text
		}
		oldClasses = withoutContentOnly(Classify(before, f.OldMode, old), exists)
	}
	var newClasses []string
	if exists {
		newClasses = Classify(f.Path, f.NewMode, text)
	}
	if f.Binary {
		newClasses = append(newClasses, ClassBinary)
	}
	r.Classes = union(newClasses, oldClasses)

	if !exists {
		return r, final
	}
	if f.Status == "added" || f.Status == "renamed" || f.OldPath != "" {
		add(s.unicodeInName(f.Path)...)
	}
	agent := slices.Contains(newClasses, ClassAgentConfig)
	if agent && !slices.Contains(oldClasses, ClassAgentConfig) {
		p.all = true // what was a harmless file is read by a model from now on
	}
	if text != nil {
		// Before what is asked of new lines: taking a line away can be the attack.
		found, whole := s.ciIn(ctx, f, before, text, agent, slices.Contains(oldClasses, ClassAgentConfig))
		add(found...)
		final = final && whole
	}
	if text == nil || !p.all && len(p.ranges) == 0 {
		sortFindings(r.Findings)
		return r, final
	}
	if p.all {
		p.ranges = nil
	}
	add(s.secretsIn(f.Path, text, p.ranges)...)
	if wide := fromUTF16(text); wide != nil {
		add(s.secretsIn(f.Path, wide, nil)...)
		text, p.ranges = wide, nil
	}
	if agent || !f.Binary || utf8.Valid(text) {
		add(s.unicodeIn(f.Path, text, p.ranges, agent)...)
		add(s.homoglyphsIn(f.Path, text, p.ranges)...)
	}
	sortFindings(r.Findings)
	return r, final
}

func head(b []byte) []byte { return b[:min(len(b), headSize)] }

// union returns the sorted union of a and b, never nil.
func union(a, b []string) []string {
	out := append(append([]string{}, a...), b...) // an empty list is an answer, nil is none
	slices.Sort(out)
	return slices.Compact(out)
}

// withoutContentOnly drops the class that old content must not lend to new: a file is generated
// only if its new content says so.
func withoutContentOnly(classes []string, exists bool) []string {
	if !exists {
		return classes
	}
	return slices.DeleteFunc(classes, func(c string) bool { return c == ClassGenerated })
}

// classDependsOnContent reports whether the classes of a file at p may follow from its content.
func classDependsOnContent(p sallyport.Path) bool {
	switch strings.ToLower(path.Ext(fold(string(p)))) {
	case ".yaml", ".yml", ".json", ".tpl", ".tmpl":
		return true
	}
	return false
}

// fromUTF16 returns text in UTF-8 if a byte order mark says that it is UTF-16, else nil.
func fromUTF16(text []byte) []byte {
	little := bytes.HasPrefix(text, []byte{0xff, 0xfe})
	if !little && !bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		return nil
	}
	text = text[2:]
	out := make([]byte, 0, len(text))
	unit := func(i int) rune {
		if little {
			return rune(text[i]) | rune(text[i+1])<<8
		}
		return rune(text[i])<<8 | rune(text[i+1])
	}
	for i := 0; i+1 < len(text); i += 2 {
		r := unit(i)
		if utf16.IsSurrogate(r) && i+3 < len(text) {
			if d := utf16.DecodeRune(r, unit(i+2)); d != utf8.RuneError {
				r = d
				i += 2
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// secretsIn returns a finding for each secret that touches ranges of text.
func (s *Scanner) secretsIn(p sallyport.Path, text []byte, ranges []Range) []sallyport.Finding {
	var out []sallyport.Finding
	matches := s.secrets.Find(string(p), text, ranges)
	seen := map[string]int{}
	for i, m := range matches {
		around := surroundings(text, m, matches[max(0, i-neighbours):min(len(matches), i+neighbours)])
		// Two equal lines are two findings: they are told apart by their order.
		base := m.Rule + "\x00" + around
		seen[base]++
		out = append(out, finding(sallyport.FindingSecret, m.Rule, m.Severity, p, m.Line, describe(m),
			fmt.Sprintf("%s\x00%d", around, seen[base])))
	}
	return out
}

// neighbours is how many matches on each side of one are looked at for secrets near it.
const neighbours = 16

// surroundings returns what a finding is recognised by: the text on both sides of the secret of
// m, as far as its line and a bound go, with this and every other secret near it taken out.
func surroundings(text []byte, m Match, near []Match) string {
	const most = 80
	start, end := max(0, m.Secret[0]-most), min(len(text), m.Secret[1]+most)
	if i := bytes.LastIndexByte(text[start:m.Secret[0]], '\n'); i >= 0 {
		start += i + 1
	}
	if i := bytes.IndexByte(text[m.Secret[1]:end], '\n'); i >= 0 {
		end = m.Secret[1] + i
	}
	var b strings.Builder
	for _, part := range []span{{start, m.Secret[0]}, {m.Secret[1], end}} {
		for i := part.start; i < part.end; i++ {
			if !slices.ContainsFunc(near, func(o Match) bool { return o.Secret[0] <= i && i < o.Secret[1] }) {
				b.WriteByte(text[i])
			}
		}
		b.WriteByte(0)
	}
	return b.String()
}

// finding returns an open finding. What tells it from others of the same rule in the same file
// goes into the ID, through a digest.
func finding(kind sallyport.FindingKind, rule string, severity sallyport.Severity, p sallyport.Path, line int, text, what string) sallyport.Finding {
	h := sha256.New()
	for _, part := range []string{"sallyport finding v1", string(kind), rule, string(p), what} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return sallyport.Finding{
		ID: hex.EncodeToString(h.Sum(nil)[:16]), Kind: kind, Rule: rule, Severity: severity,
		Path: p, Line: line, Text: text, State: "open",
	}
}
