package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/render"
)

// screenOf is what the screen of a root ceremony shows.
type screenOf struct {
	ref           string
	prev, next    policy.Root
	before, after map[string][]byte // governed files of both, with their roots
	version       policy.Version
}

// maxDiffLines bounds the lines of all files on the screen. Beyond it a signer is told to read the
// rest elsewhere: a screen that nobody reads to its end shows nothing.
const maxDiffLines = 400

// rootScreen shows on one screen what changes between two versions of a root. All that an author
// could have written is escaped.
func rootScreen(s screenOf) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(render.Clean(fmt.Sprintf(format, args...)) + "\n") }
	line("The root of %s: version %d -> version %d", orDefault(s.next.Repository, "this repository"), s.prev.Version, s.next.Version)
	line("")
	line("  in force   %s  at %s", sallyport.SHA256(s.before[policy.RootPath]), s.ref)
	line("  you sign   %s", s.version.Root)
	line("")
	s.settings(line)
	line("")
	s.files(line)
	line("")
	line("It takes effect when %d of the root keys of version %d and %d of its own have signed, each another person's.", s.prev.Threshold, s.prev.Version, s.next.Threshold)
	line("  signed so far: %s; of its own keys: %s", listOr(s.version.Signers, "nobody"), listOr(s.version.OwnSigners, "nobody"))
	line("Your signature says that these files may decide about every later change.")
	return b.String()
}

func listOr(names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	return strings.Join(names, ", ")
}

func (s screenOf) settings(line func(string, ...any)) {
	line("who may sign the version after it:")
	had, has := map[policy.RootKey]bool{}, map[policy.RootKey]bool{}
	for _, k := range s.prev.Keys {
		had[k] = true
	}
	for _, k := range s.next.Keys {
		has[k] = true
	}
	for _, k := range byPerson(s.prev.Keys) {
		if !has[k] {
			line("  - %s  %s", k.Person, k.Fingerprint)
		}
	}
	for _, k := range byPerson(s.next.Keys) {
		mark := " "
		if !had[k] {
			mark = "+"
		}
		line("  %s %s  %s", mark, k.Person, k.Fingerprint)
	}
	changed := func(what, before, after string) {
		if before == after {
			line("  %s: %s", what, after)
		} else {
			line("  %s: %s -> %s", what, before, after)
		}
	}
	changed("threshold", fmt.Sprintf("%d of %d", s.prev.Threshold, personsOf(s.prev)), fmt.Sprintf("%d of %d", s.next.Threshold, personsOf(s.next)))
	changed("expires", orDefault(s.prev.Expires, "never"), orDefault(s.next.Expires, "never"))
	changed("solo", orDefault(s.prev.Solo, "no, a team"), orDefault(s.next.Solo, "no, a team"))
}

func byPerson(keys []policy.RootKey) []policy.RootKey {
	return slices.SortedStableFunc(slices.Values(keys), func(a, b policy.RootKey) int { return strings.Compare(a.Person, b.Person) })
}

func personsOf(r policy.Root) int {
	persons := map[string]bool{}
	for _, k := range r.Keys {
		persons[k.Person] = true
	}
	return len(persons)
}

func (s screenOf) files(line func(string, ...any)) {
	line("what governs this repository:")
	same, left := 0, maxDiffLines
	for _, p := range s.paths() {
		old, had := s.before[p]
		now, has := s.after[p]
		switch {
		case had && has && string(old) == string(now):
			same++
			continue
		case !has:
			line("  - %s is removed", sallyport.Path(p))
		case !had:
			line("  + %s is added: %s", sallyport.Path(p), sallyport.SHA256(now))
		default:
			line("  ~ %s becomes %s", sallyport.Path(p), sallyport.SHA256(now))
		}
		diff, ok := lineDiff(string(old), string(now))
		if !ok || len(diff) > left {
			line("      %d bytes -> %d bytes, too much for one screen: read it with git diff before you sign", len(old), len(now))
			continue
		}
		left -= len(diff)
		for _, l := range diff {
			line("      %s", l)
		}
	}
	line("  %d unchanged", same)
}

// paths are the governed files of both versions but for the roots and signatures.
func (s screenOf) paths() []string {
	all := map[string]bool{}
	for _, files := range []map[string][]byte{s.before, s.after} {
		for p := range files {
			if p != policy.RootPath && !strings.HasPrefix(p, policy.SignaturesDir) {
				all[p] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// lineDiff returns the lines that differ, "- " before those of a and "+ " before those of b, by a
// longest common subsequence. It gives up where that would cost too much.
func lineDiff(a, b string) ([]string, bool) {
	x, y := lines(a), lines(b)
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	if len(x)*len(y) > 1<<20 || len(x)+len(y) > 4096 {
		return nil, false
	}
	// common[i][j] is the length of the longest common subsequence of x[i:] and y[j:].
	common := make([][]int, len(x)+1)
	for i := range common {
		common[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			i, j = i+1, j+1
		case j == len(y) || i < len(x) && common[i+1][j] >= common[i][j+1]:
			out, i = append(out, "- "+x[i]), i+1
		default:
			out, j = append(out, "+ "+y[j]), j+1
		}
	}
	return out, true
}

// lines cuts a text into lines. A last line without an end says so, since it is another text.
func lines(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		if t, ok := strings.CutSuffix(l, "\n"); ok {
			out = append(out, t)
		} else {
			out = append(out, l+" (no newline at the end)")
		}
	}
	return out
}
