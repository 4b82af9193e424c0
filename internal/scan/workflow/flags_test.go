package workflow

import (
	"slices"
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
			var want []Hit
			for _, l := range logicalLines(string(text)) {
				want = unguardedLine(want, kind, text, l, 0)
			}
			if got := unguarded(kind, text); !slices.Equal(got, want) {
				t.Fatalf("kind %v:\n got %+v\nwant %+v", kind, got, want)
			}
		}
	})
}
