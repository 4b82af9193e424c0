package scan

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
)

// NewSecretMatcher returns a matcher of gitleaks' rules and a few of our own.
//
// One pass over the text finds the keywords of all rules. Where a rule's keyword stands, its
// probe, an anchored expression for what must follow at once, is tried, and then its tail, one
// for all that must follow; where both hold, a window is opened that is wide enough for every
// match that could contain the keyword; and only in the windows, merged where they overlap, the
// rule's own expression runs. Every match lies in a window with a rune to spare, so that the
// result is that of running each rule over all of the text. Tails are tried over no more bytes
// than the text has, so that no text makes them the costliest part.
//
// It differs from gitleaks in what its author could turn against it: an inline comment that
// allows a secret is not heeded, and lists of allowed paths count for contextual rules only,
// since whoever writes the change picks its paths.
func NewSecretMatcher() SecretMatcher {
	return &windowMatcher{set: defaultRules()}
}

// lazyMatcher is what [NewSecretMatcher] returns, loaded when it is first asked to find something:
// when a cache answers for every file, only the digest is wanted.
type lazyMatcher struct{}

// Secrets returns the one matcher that this package uses, for texts that are no files: it is loaded
// when it is first asked.
func Secrets() SecretMatcher { return lazyMatcher{} }

var (
	loadedMatcher = sync.OnceValue(NewSecretMatcher)
	loadedDigest  = sync.OnceValue(func() sallyport.Digest { return digestOf(gitleaksRules, ownRules) })
)

func (lazyMatcher) Digest() sallyport.Digest { return loadedDigest() }

func (lazyMatcher) Find(path string, text []byte, ranges []Range) []Match {
	return loadedMatcher().Find(path, text, ranges)
}

type windowMatcher struct {
	set  *ruleSet
	pool sync.Pool // of *windows
}

func (m *windowMatcher) Digest() sallyport.Digest { return m.set.digest }

// A span is a half-open range of bytes.
type span struct{ start, end int }

// windows collects, for one rule, where its expression must run. Hits come in the order of
// their ends. The right edge is computed for the last hit only, and again only when a hit lies
// beyond it, so that all walks together pass over the text a constant number of times.
type windows struct {
	done  []span
	open  bool
	start int
	edge  int // right edge of the hit at which it was computed
	last  int // start of the last hit
	all   bool
}

func (w *windows) reset() { *w = windows{done: w.done[:0]} }

// hit notes that the rule's keyword stands at text[start:end].
func (w *windows) hit(r *rule, text []byte, start, end int) {
	if w.open && end <= w.edge {
		w.last = max(w.last, start)
		return
	}
	if w.open {
		w.edge = walkRight(text, w.last, r.right)
		if end <= w.edge {
			w.last = max(w.last, start)
			return
		}
	}
	floor := 0
	if w.open {
		floor = w.edge
	}
	left := walkLeft(text, end, r.left, floor)
	if w.open && left > w.edge {
		w.done = append(w.done, span{w.start, w.edge})
		w.open = false
	}
	if !w.open {
		w.open, w.start = true, left
	}
	w.last = max(w.last, start)
	w.edge = walkRight(text, start, r.right)
}

// close returns the windows, in order and disjoint.
func (w *windows) close(r *rule, text []byte) []span {
	if w.open {
		w.done = append(w.done, span{w.start, walkRight(text, w.last, r.right)})
		w.open = false
	}
	return w.done
}

// walkRight returns an offset one rune beyond everything that a match with reach r whose
// keyword starts at i can cover. A stray byte, which is a rune of its own, goes with the rune
// before it: the walk is at least as long as needed.
func walkRight(text []byte, i int, r reach) int {
	for _, s := range r {
		if s.free.any {
			return len(text)
		}
		for n := s.runes; n > 0 && i < len(text); n-- {
			i = nextRune(text, i)
		}
		for i < len(text) && s.free.hasByte(text[i]) {
			i = nextRune(text, i)
		}
	}
	return nextRune(text, i)
}

// walkLeft returns an offset one rune before everything that a match with reach r whose
// keyword ends at i can cover, or floor if that is further right.
func walkLeft(text []byte, i int, r reach, floor int) int {
	for _, s := range r {
		if s.free.any {
			return floor
		}
		for n := s.runes; n > 0 && i > floor; n-- {
			i = lastRune(text, i)
		}
		for i > floor && s.free.hasByte(text[i-1]) {
			i = lastRune(text, i)
		}
	}
	return max(floor, lastRune(text, i))
}

// nextRune returns where the rune after the one at i begins.
func nextRune(text []byte, i int) int {
	for i++; i < len(text) && !utf8.RuneStart(text[i]); i++ {
	}
	return min(i, len(text))
}

// lastRune returns where the rune before i begins.
func lastRune(text []byte, i int) int {
	for i--; i > 0 && !utf8.RuneStart(text[i]); i-- {
	}
	return max(i, 0)
}

// Find implements [SecretMatcher].
func (m *windowMatcher) Find(path string, text []byte, ranges []Range) []Match {
	rules := m.set.rules
	scratch, _ := m.pool.Get().(*[]windows)
	if scratch == nil {
		s := make([]windows, len(rules))
		scratch = &s
	}
	defer m.pool.Put(scratch)
	state := *scratch
	var used []int
	tails := len(text) + 4<<10 // bytes that may still be read for tails
	m.set.words.Scan(text, func(word, end int) {
		for _, i := range m.set.byWord[word] {
			r, w := rules[i], &state[i]
			if w.all {
				continue
			}
			start := end - m.set.words.Len(word)
			if r.prepare() != nil {
				continue // a test compiles every rule
			}
			if r.everywhere {
				w.all = true
				used = append(used, i)
				continue
			}
			if w.open && end <= w.edge && start <= w.last {
				continue
			}
			if r.lead != nil && !r.lead.follows(text, end) {
				continue
			}
			if r.probe != nil && !r.probe().Match(text[start:probeEnd(text, start, r.probeRunes)]) {
				continue
			}
			if r.tail != nil && tails > 0 {
				edge := walkRight(text, start, r.right)
				if tails -= edge - start; tails > 0 && !r.tail().Match(text[start:edge]) {
					continue
				}
			}
			if !w.open && len(w.done) == 0 {
				used = append(used, i)
			}
			w.hit(r, text, start, end)
		}
	})
	wanted := byteSpans(text, ranges)
	lines := newLineIndex(text)
	var found []Match
	for _, i := range used {
		r, w := rules[i], &state[i]
		if w.all {
			found = m.run(found, r, path, text, []span{{0, len(text)}}, wanted, lines)
		} else {
			found = m.run(found, r, path, text, w.close(r, text), wanted, lines)
		}
		w.reset()
	}
	for _, r := range m.set.pathOnly {
		if r.path.match(r.Path, []byte(path)) {
			found = append(found, Match{Rule: r.ID, Title: r.Title, Severity: r.severity()})
		}
	}
	return dropGeneric(text, found)
}

// probeEnd returns the end of n runes from start.
func probeEnd(text []byte, start, n int) int {
	i := start
	for ; i < len(text); i++ {
		if b := text[i]; b < utf8.RuneSelf || utf8.RuneStart(b) {
			if n == 0 {
				break
			}
			n--
		}
	}
	return i
}

// run appends to found the matches of r in the windows that touch a wanted span.
func (m *windowMatcher) run(found []Match, r *rule, path string, text []byte, in, wanted []span, lines *lineIndex) []Match {
	name := []byte(path)
	if r.Path != "" && !r.path.match(r.Path, name) {
		return found
	}
	if r.Contextual {
		for _, lists := range [][]*allowlist{m.set.allow, r.Allow} {
			for _, a := range lists {
				if !a.And && a.allowsPath(name) {
					return found
				}
			}
		}
	}
	for _, w := range in {
		if !touches(wanted, w) {
			continue
		}
		for _, at := range findIn(r, text, w) {
			match := bytes.Trim(text[at.start:at.end], "\n")
			if at.end = at.start + len(match); !touches(wanted, at) {
				continue
			}
			secret := match
			if groups := r.expr().FindSubmatch(match); len(groups) > 1 {
				if r.Group > 0 {
					secret = groups[r.Group]
				} else {
					for _, g := range groups[1:] {
						if len(g) > 0 {
							secret = g
							break
						}
					}
				}
			}
			if r.Entropy != 0 && entropy(secret) <= r.Entropy {
				continue
			}
			line, number := lines.at(at)
			if m.allowed(r, name, secret, match, line) {
				continue
			}
			start := at.start + bytes.Index(match, secret)
			found = append(found, Match{
				Rule: r.ID, Title: r.Title, Severity: r.severity(), Line: number,
				Start: at.start, End: at.end,
				Secret: [2]int{start, start + len(secret)}, Prefix: r.prefix(secret),
			})
		}
	}
	return found
}

// findIn returns the matches of r in the window w of text. A match at an inner edge may owe
// itself to the edge, which an assertion took for the text's: the window then grows.
func findIn(r *rule, text []byte, w span) []span {
	for grow := 64; ; grow *= 4 {
		var out []span
		left, right := false, false
		for _, at := range r.expr().FindAllIndex(text[w.start:w.end], -1) {
			left = left || at[0] == 0 && w.start > 0
			right = right || at[1] == w.end-w.start && w.end < len(text)
			out = append(out, span{w.start + at[0], w.start + at[1]})
		}
		if !left && !right {
			return out
		}
		if left {
			w.start = max(0, w.start-grow)
		}
		if right {
			w.end = min(len(text), w.end+grow)
		}
	}
}

func (m *windowMatcher) allowed(r *rule, path, secret, match, line []byte) bool {
	for _, lists := range [][]*allowlist{m.set.allow, r.Allow} {
		for _, a := range lists {
			if a.allows(path, secret, match, line) {
				return true
			}
		}
	}
	return false
}

// dropGeneric removes the matches of a generic rule where a specific one found the same secret
// or more of it on the same line, and sorts the rest.
func dropGeneric(text []byte, found []Match) []Match {
	secret := func(m Match) []byte { return text[m.Secret[0]:m.Secret[1]] }
	generic := func(m Match) bool { return m.Rule == "private-key-cut" || strings.Contains(m.Rule, "generic") }
	slices.SortFunc(found, func(a, b Match) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return strings.Compare(a.Rule, b.Rule)
	})
	// Matches of one line are not always neighbours, but those that start on one line are.
	specific := map[int][]Match{}
	for _, m := range found {
		if !generic(m) && m.Line > 0 {
			specific[m.Line] = append(specific[m.Line], m)
		}
	}
	return slices.DeleteFunc(found, func(m Match) bool {
		if !generic(m) {
			return false
		}
		for _, s := range specific[m.Line] {
			if s.Rule == "private-key" && m.Rule == "private-key-cut" || bytes.Contains(secret(s), secret(m)) {
				return true
			}
		}
		return false
	})
}

// touches reports whether s shares a byte with one of the spans, which are sorted and disjoint.
// Nil spans are all of the text.
func touches(spans []span, s span) bool {
	if spans == nil {
		return true
	}
	i, _ := slices.BinarySearchFunc(spans, s.start, func(x span, start int) int {
		if x.end <= start {
			return -1
		}
		return 1
	})
	return i < len(spans) && spans[i].start < s.end
}
