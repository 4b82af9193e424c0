package hook

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

func fuzzAgent(f *testing.F, a Agent) {
	files, err := filepath.Glob("testdata/" + string(a) + "_*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range ar.Files {
			if file.Name == "stdin" {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, stdin []byte) {
		for _, k := range Kinds() {
			ev, err := Decode(a, k, stdin)
			if err != nil {
				if !errors.Is(err, ErrUnreadable) {
					t.Fatalf("an error of another kind: %v", err)
				}
				continue
			}
			if k == PreTool && ev.Tool == "" {
				t.Fatalf("a tool without a name was read from %q", stdin)
			}
			if _, err := Facts(ev, Place{Root: "/workspace/app", Home: "/workspace/home"}, time.Unix(0, 0)); err != nil && len(ev.Call.Commands) == 0 {
				t.Fatalf("without a command line there is nothing to misread: %v", err)
			}
		}
	})
}

func FuzzDecodeClaude(f *testing.F)   { fuzzAgent(f, Claude) }
func FuzzDecodeCodex(f *testing.F)    { fuzzAgent(f, Codex) }
func FuzzDecodeGemini(f *testing.F)   { fuzzAgent(f, Gemini) }
func FuzzDecodeCopilot(f *testing.F)  { fuzzAgent(f, Copilot) }
func FuzzDecodeCursor(f *testing.F)   { fuzzAgent(f, Cursor) }
func FuzzDecodeOpenCode(f *testing.F) { fuzzAgent(f, OpenCode) }
