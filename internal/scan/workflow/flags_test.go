package workflow

import (
	"slices"
	"strings"
	"testing"
)

// FuzzUnguarded compares what is found by looking at the lines of words with what is found by
// looking at every line.
func FuzzUnguarded(f *testing.F) {
	f.Add([]byte("a\n  run: claude \\\n    --dangerously" + "-skip-permissions \\\n  -p x\nb\n"))
	f.Add([]byte("codex --yo" + "lo\r\ncodex \\ \n -a never\n\\\n\\"))
	f.Add([]byte("# --yes" + "-always\nq chat \\\nchat \\\n -a"))
	f.Add([]byte("gemini \\\n-" + "y\ncodex -a\\\nnever\n")) // the space is the joined line's
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, kind := range []Kind{GitHub, Script, AgentSetting, Prose, Source} {
			want := unguardedBlock(nil, kind, text, 0)
			slices.SortFunc(want, byPlace)
			if got := unguarded(kind, text); !slices.Equal(got, want) {
				t.Fatalf("kind %v:\n got %+v\nwant %+v", kind, got, want)
			}
		}
	})
}

// Each way to keep a flag from being read, beside what it hides.
func TestUnguardedSplit(t *testing.T) {
	flag := "--dangerously" + "-skip-permissions"
	for _, tt := range []struct {
		name, text string
		line       int
	}{
		{"as it stands", "claude " + flag + " -p x\n", 1},
		{"after a comment that ends in a backslash", "# see below \\\nclaude " + flag + " -p x\n", 2},
		{"cut in two", "claude --dangerously" + "-\\\nskip-permissions\n", 1},
		{"cut in two with a carriage return", "x\nclaude --dangerously" + "-\\\r\nskip-permissions\n", 2},
		{"on the next line", "claude \\\n  " + flag + "\n", 2},
		{"behind a tab", "gemini\t-" + "y\n", 1},
		{"never behind a tab", "codex -a\tnever\n", 1},
	} {
		for _, kind := range []Kind{GitHub, Script} {
			if got := unguarded(kind, []byte(tt.text)); len(got) != 1 || got[0].Line != tt.line || got[0].Severity != "high" {
				t.Errorf("%s, kind %v: %+v", tt.name, kind, got)
			}
		}
	}
	for _, text := range []string{"# claude " + flag + "\n", "# \\\n# claude " + flag + "\n"} {
		if got := unguarded(Script, []byte(text)); len(got) != 0 {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// Findings that matter little cannot push out one that matters: a file that gives too many is not
// taken for read.
func TestTooMany(t *testing.T) {
	flag := "--dangerously" + "-skip-permissions"
	text := strings.Repeat("// "+flag+"\n", maxHits) + "run(\"claude " + flag + "\")\n"
	if hits, err := Scan(Source, []byte(text)); err == nil {
		t.Errorf("%d hits and no error", len(hits))
	}
	if hits, err := Scan(Source, []byte("// "+flag+"\n")); err != nil || len(hits) != 1 {
		t.Errorf("the twin: %d hits, %v", len(hits), err)
	}
	// However long a line is that backslashes join, what it ends in is read.
	long := "claude " + strings.Repeat("x \\\n", 1<<15) + "--dangerously" + "-\\\nskip-permissions\n"
	if hits, err := Scan(Script, []byte(long)); err != nil || len(hits) != 1 {
		t.Errorf("at the end of a long line: %d hits, %v", len(hits), err)
	}
}
