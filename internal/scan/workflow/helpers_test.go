package workflow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fixtures(t testing.TB) [][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	var out [][]byte
	for _, name := range files {
		for _, f := range txtar.Parse(readFile(t, name)).Files {
			out = append(out, f.Data)
		}
	}
	return out
}

// Whatever a file says, hits stand on lines that it has, are safe to print, and are none of them
// new when nothing changed.
func FuzzScan(f *testing.F) {
	for _, b := range fixtures(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<13 {
			return
		}
		lines := strings.Count(string(b), "\n") + strings.Count(string(b), "\r") + 1
		for _, kind := range []Kind{GitHub, GitLab, MaybeGitLab, Script, Source} {
			hits, _ := Scan(kind, b)
			for _, h := range hits {
				if h.Line < 1 || h.Line > lines+1 {
					t.Fatalf("line %d of %d: %+v", h.Line, lines, h)
				}
				if !utf8.ValidString(h.Text) || strings.ContainsFunc(h.Text, func(r rune) bool { return r < 0x20 || r > 0x7e && r != '…' }) {
					t.Fatalf("not safe to print: %q", h.Text)
				}
			}
			if n := New(hits, hits); len(n) > 0 {
				t.Fatalf("new though nothing changed: %+v", n)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	all := fixtures(b)
	size := 0
	for _, f := range all {
		size += len(f)
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, f := range all {
			Scan(GitHub, f)
		}
	}
}
