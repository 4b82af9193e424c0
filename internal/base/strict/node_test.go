package strict

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// flat writes a tree on one line, each value with its line.
func flat(n *Node) string {
	switch n.Kind {
	case MapNode:
		var parts []string
		for _, p := range n.Pairs {
			parts = append(parts, fmt.Sprintf("%s@%d=%s", p.Key, p.Line, flat(p.Value)))
		}
		return n.Tag + "{" + strings.Join(parts, " ") + "}"
	case SeqNode:
		var parts []string
		for _, i := range n.Items {
			parts = append(parts, flat(i))
		}
		return n.Tag + "[" + strings.Join(parts, " ") + "]"
	case NullNode:
		return n.Tag + "null"
	}
	return fmt.Sprintf("%s%q@%d", n.Tag, n.Value, n.Line)
}

func TestYAMLNodes(t *testing.T) {
	for _, tt := range []struct{ name, in, want, err string }{
		{"map", "on: push\njobs: {a: [1, true, x]}\n", `{on@1="push"@1 jobs@2={a@2=["1"@2 "true"@2 "x"@2]}}`, ""},
		{"one key", "a:\n  b: c\n", `{a@1={b@2="c"@2}}`, ""},
		{"block scalar", "a: |\n  x\n  y\nb: >-\n  p\n  q\n", `{a@1="x\ny\n"@2 b@4="p q"@5}`, ""},
		{"anchor", "a: &x {k: v}\nb: *x\n", `{a@1={k@1="v"@1} b@2={k@1="v"@1}}`, ""},
		{"merge", "a: &x {k: v, l: w}\nb:\n  <<: *x\n  k: z\n", `{a@1={k@1="v"@1 l@1="w"@1} b@2={k@4="z"@4 l@1="w"@1}}`, ""},
		{"merge of several", "a: &x {k: v}\nb: &y {k: z, m: n}\nc:\n  <<: [*x, *y]\n", `{a@1={k@1="v"@1} b@2={k@2="z"@2 m@2="n"@2} c@3={k@1="v"@1 m@2="n"@2}}`, ""},
		{"tag", "a: !reference [.s, script]\n", `{a@1=!reference[".s"@1 "script"@1]}`, ""},
		{"null", "a:\nb: ~\n", `{a@1=null b@2=null}`, ""},
		{"key twice", "a: 1\na: 2\n", "", "already defined"},
		{"alias of nothing", "a: *x\n", "", "without an anchor"},
		{"alias of itself", "a: &x [*x]\n", "", "without an anchor"},
		{"merge of a word", "a: &x v\nb:\n  <<: *x\n", "", "no map"},
		{"empty", "# nothing\n", "", "empty"},
		{"tag without a value", "l: ! ", `{l@1=!null}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			docs, err := YAMLNodes([]byte(tt.in), 10_000)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := flat(docs[0]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A few lines of aliases stand for more nodes than there are atoms in a pipeline.
func TestYAMLNodesLaugh(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	if _, err := YAMLNodes([]byte(b.String()), 10_000); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	docs, err := YAMLNodes([]byte("a: 1\n---\nb: 2\n"), 100)
	if err != nil || len(docs) != 2 {
		t.Errorf("got %d documents, %v", len(docs), err)
	}
}

// What would hold the parser for minutes is refused before it begins; a tenth of it is read.
func TestYAMLNodesBounds(t *testing.T) {
	keys := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "k%d: v\n", i)
		}
		return []byte(b.String())
	}
	if _, err := YAMLNodes(keys(maxForeignColons+1), 1<<20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("keys: got %v, want ErrTooLarge", err)
	}
	if _, err := YAMLNodes([]byte(strings.Repeat("- a\n", maxForeignLines+1)), 1<<20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("lines: got %v, want ErrTooLarge", err)
	}
	if docs, err := YAMLNodes(keys(maxForeignColons/10), 1<<20); err != nil || len(docs[0].Pairs) != maxForeignColons/10 {
		t.Errorf("a tenth: %v", err)
	}
}

// count walks a tree as a reader would.
func count(n *Node) int {
	total := 1
	for _, p := range n.Pairs {
		total += count(p.Value)
	}
	for _, i := range n.Items {
		total += count(i)
	}
	return total
}

func FuzzYAMLNodes(f *testing.F) {
	f.Add([]byte("on: push\njobs:\n  a:\n    steps:\n      - run: |\n          x\n"))
	f.Add([]byte("a: &x {k: v}\nb:\n  <<: *x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		docs, err := YAMLNodes(b, 1<<14)
		if (err == nil) == (len(docs) == 0) {
			t.Fatalf("%d documents and error %v", len(docs), err)
		}
		lines := strings.Count(string(b), "\n") + strings.Count(string(b), "\r") + 2
		for _, d := range docs {
			if n := count(d); n > maxNodes {
				t.Fatalf("a walk meets %d nodes", n)
			}
			for _, p := range d.Pairs {
				if p.Line < 1 || p.Line > lines {
					t.Fatalf("key %q on line %d of %d", p.Key, p.Line, lines)
				}
			}
		}
	})
}

func BenchmarkYAMLNodes(b *testing.B) {
	text := []byte("on: push\njobs:\n" + strings.Repeat("  - run: |\n      echo hello\n    env: {A: b}\n", 100))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := YAMLNodes(text, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}
