package scan

import (
	"bytes"
	"fmt"
	"go/build"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// findSlowly runs every rule that has a keyword in text over all of text: what Find must equal.
func findSlowly(m *windowMatcher, path string, text []byte, ranges []Range) []Match {
	var found []Match
	wanted, lines := byteSpans(text, ranges), newLineIndex(text)
	low := asciiLower(text)
	for _, r := range m.set.rules {
		if err := r.prepare(); err != nil {
			panic(err)
		}
		if slices.ContainsFunc(r.Keywords, func(k string) bool { return bytes.Contains(low, []byte(k)) }) {
			found = m.run(found, r, path, text, []span{{0, len(text)}}, wanted, lines)
		}
	}
	for _, r := range m.set.pathOnly {
		if r.path.match(r.Path, []byte(path)) {
			found = append(found, Match{Rule: r.ID, Title: r.Title, Severity: r.severity()})
		}
	}
	return dropGeneric(text, found)
}

func asciiLower(b []byte) []byte {
	b = bytes.Clone(b)
	for i := range b {
		b[i] = lower(b[i])
	}
	return b
}

func testMatcher() *windowMatcher { return NewSecretMatcher().(*windowMatcher) }

// sample writes a random string that tree matches, assertions aside.
func sample(rnd *rand.Rand, tree *syntax.Regexp, b *strings.Builder) {
	switch tree.Op {
	case syntax.OpLiteral:
		for _, r := range tree.Rune {
			if tree.Flags&syntax.FoldCase != 0 && rnd.Intn(2) == 0 && r < utf8.RuneSelf {
				r = rune(lower(byte(r)))
			}
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		for {
			i := rnd.Intn(len(tree.Rune)/2) * 2
			lo, hi := tree.Rune[i], min(tree.Rune[i+1], 0x2fff)
			if lo > hi {
				continue
			}
			if r := lo + rune(rnd.Intn(int(hi-lo)+1)); r < utf8.RuneSelf || rnd.Intn(20) == 0 {
				b.WriteRune(r)
				return
			}
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte(byte(' ' + rnd.Intn(95)))
	case syntax.OpCapture:
		sample(rnd, tree.Sub[0], b)
	case syntax.OpConcat:
		for _, sub := range tree.Sub {
			sample(rnd, sub, b)
		}
	case syntax.OpAlternate:
		sample(rnd, tree.Sub[rnd.Intn(len(tree.Sub))], b)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		lo, hi := 0, 1
		switch tree.Op {
		case syntax.OpStar:
			hi = 12
		case syntax.OpPlus:
			lo, hi = 1, 12
		case syntax.OpRepeat:
			if lo, hi = tree.Min, tree.Max; hi < 0 {
				hi = lo + 40
			}
		}
		for range lo + rnd.Intn(hi-lo+1) {
			sample(rnd, tree.Sub[0], b)
		}
	}
}

// corpus returns texts that hold samples of every rule among words that come close to secrets.
func corpus(t testing.TB, n int) map[string][]byte {
	rnd := rand.New(rand.NewSource(7))
	m := testMatcher()
	var trees []*syntax.Regexp
	var words []string
	for _, r := range m.set.rules {
		tree, err := syntax.Parse(r.Regexp, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
		words = append(words, r.Keywords...)
	}
	words = append(words, " = ", ": ", "\n", "\n", "\n\t", "'", `"`, ";", "=>", "é", "日本", "\xff", "x", "0123456789abcdef", "return nil", "-----END RSA PRIVATE KEY-----", "\r\n")
	paths := []string{"main.go", "conf/app.yaml", "a.php", "x.tf", "nuget.config", "go.sum", "vendor/modules.txt", "cert.p12", "node_modules/a/b.js"}
	texts := map[string][]byte{}
	for i := range n {
		var b strings.Builder
		for range 1 + rnd.Intn(40) {
			if rnd.Intn(3) > 0 {
				b.WriteString(words[rnd.Intn(len(words))])
			} else {
				sample(rnd, trees[rnd.Intn(len(trees))], &b)
			}
			if rnd.Intn(2) == 0 {
				b.WriteString([]string{" ", "\n", "\"", "", "'\n"}[rnd.Intn(5)])
			}
		}
		texts[fmt.Sprintf("%d/%s", i, paths[i%len(paths)])] = []byte(unfold(b.String()))
	}
	return texts
}

// unfold replaces the letters that fold to ASCII and that package words does not fold.
func unfold(s string) string { return strings.NewReplacer("\u212a", "K", "\u017f", "s").Replace(s) }

func TestFindEqualsWholeText(t *testing.T) {
	m := testMatcher()
	n := 500
	if testing.Short() {
		n = 100
	}
	found := map[string]int{}
	for name, text := range corpus(t, n) {
		want := findSlowly(m, name, text, nil)
		got := m.Find(name, text, nil)
		if !slices.Equal(got, want) {
			t.Fatalf("%s:\n%q\n got %+v\nwant %+v", name, text, got, want)
		}
		for _, f := range got {
			found[f.Rule]++
		}
		ranges := []Range{{2, 3}, {7, 9}}
		if got, want := m.Find(name, text, ranges), findSlowly(m, name, text, ranges); !slices.Equal(got, want) {
			t.Fatalf("%s, lines %v:\n%q\n got %+v\nwant %+v", name, ranges, text, got, want)
		}
	}
	if len(found) < 120 && !testing.Short() {
		t.Errorf("the corpus made only %d rules fire", len(found))
	}
}

// Real sources hold few secrets and many words that come close.
func TestFindEqualsWholeTextOnSources(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	m := testMatcher()
	files, err := filepath.Glob(filepath.Join(build.Default.GOROOT, "src", "net", "mail", "*.go"))
	if err != nil || len(files) == 0 {
		t.Skip("no sources of the standard library here")
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := m.Find("a.go", text, nil), findSlowly(m, "a.go", text, nil); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", filepath.Base(f), got, want)
		}
	}
}

// Every rule compiles, and all but a known few run in windows.
func TestRules(t *testing.T) {
	for _, b := range [][]byte{gitleaksRules, ownRules} {
		var f ruleFile
		if err := strict.JSON(b, 1<<20, &f); err != nil {
			t.Error(err)
		}
	}
	var everywhere []string
	seen := map[string]bool{}
	for _, r := range testMatcher().set.rules {
		if err := r.prepare(); err != nil {
			t.Error(err)
		}
		for _, expr := range []string{r.Regexp, r.Path} {
			if _, err := regexp.Compile(expr); err != nil {
				t.Errorf("rule %s: %v", r.ID, err)
			}
		}
		for _, compile := range []func() *regexp.Regexp{r.probe, r.tail} {
			if compile != nil {
				compile() // panics if it cannot
			}
		}
		if r.everywhere {
			everywhere = append(everywhere, r.ID)
		}
		if seen[r.ID] || r.ID == "" || r.Title == "" {
			t.Errorf("rule %q: no title, or twice", r.ID)
		}
		seen[r.ID] = true
		for _, k := range r.Keywords {
			if k == "" || k != strings.ToLower(k) {
				t.Errorf("rule %s: keyword %q", r.ID, k)
			}
		}
	}
	if len(everywhere) > 8 {
		t.Errorf("rules that run over whole texts: %v", everywhere)
	}
	if len(seen) < 227 {
		t.Errorf("only %d rules", len(seen))
	}
}

func FuzzFind(f *testing.F) {
	n := 0
	for name, text := range corpus(f, 60) {
		f.Add(name, text, uint8(n), uint8(3))
		n++
	}
	m := testMatcher()
	f.Fuzz(func(t *testing.T, path string, text []byte, first, lines uint8) {
		if len(text) > 20000 {
			return
		}
		text = []byte(unfold(string(text)))
		for _, ranges := range [][]Range{nil, {{int(first), int(first) + int(lines)}}} {
			got, want := m.Find(path, text, ranges), findSlowly(m, path, text, ranges)
			if !slices.Equal(got, want) {
				t.Fatalf("lines %v:\n got %+v\nwant %+v", ranges, got, want)
			}
			for _, g := range got {
				if g.Start > g.Secret[0] || g.Secret[0] > g.Secret[1] || g.Secret[1] > g.End || g.End > len(text) {
					t.Fatalf("%+v does not lie inside the text", g)
				}
				if len(g.Prefix) > 4 {
					t.Fatalf("%+v shows more than a prefix", g)
				}
			}
		}
	})
}

// TestReach walks from every keyword of the corpus over what the rule could match there.
func TestReach(t *testing.T) {
	parse := func(expr string) *syntax.Regexp {
		tree, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		return tree
	}
	for _, row := range []struct {
		name, expr, text string
		right, left      int // how far from the start, and from the end
	}{
		{"a literal", `abc`, "abcdefgh", 4, 4},
		{"runes, not bytes", `...`, "ééééé", 8, 8},
		{"a stray byte goes with its rune", `..`, "a\x80b\x80c\x80", 6, 6},
		{"the longest branch", `a|bcd`, "abcdefgh", 4, 4},
		{"a run, then what follows", `key[a-z]*..`, "keyabc=12345", 9, 6},
		{"what follows, then a run", `key:[0-9]+`, "key:1234567;;;", 12, 5},
		{"runs one after another", `[a-c]+-[d-f]+`, "aabb-ddeeff;;;", 12, 2},
		{"a repetition that is counted", `(?:ab){2}`, "ababababab", 5, 5},
		{"a repetition of runs", `(?:a+b){2}`, "aabaab;;;;", 7, 1},
		{"all of the text", `key(?s:.)*`, "key: abc\nd", 10, 10},
	} {
		tree := parse(row.expr)
		if got := walkRight([]byte(row.text), 0, reachOf(tree, false)); got != row.right {
			t.Errorf("%s: %s reaches %d bytes to the right, want %d", row.name, row.expr, got, row.right)
		}
		if got := len(row.text) - walkLeft([]byte(row.text), len(row.text), reachOf(tree, true), 0); got != row.left {
			t.Errorf("%s: %s reaches %d bytes to the left, want %d", row.name, row.expr, got, row.left)
		}
	}
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}
