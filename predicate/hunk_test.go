package predicate

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var updateHunks = flag.Bool("update-hunk-vectors", false, "rewrite the digests in testdata/hunk")

// hunkVectors is the form of the published test vectors. Paths and lines are base64, since
// JSON has no bytes; "text" beside them is for people.
type hunkVectors struct {
	Comment string             `json:"comment"`
	Hunks   []hunkVector       `json:"hunks"`
	Files   []fileChangeVector `json:"file_changes"`
}

type hunkVector struct {
	Name    string           `json:"name"`
	Path    []byte           `json:"path"`
	OldMode string           `json:"old_mode"`
	NewMode string           `json:"new_mode"`
	Lines   []hunkLineVector `json:"lines"`
	SHA256  string           `json:"sha256"`
}

type hunkLineVector struct {
	Op     string `json:"op"`
	Base64 []byte `json:"base64"`
	Text   string `json:"text"`
}

type fileChangeVector struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Path    []byte `json:"path"`
	OldPath []byte `json:"old_path"`
	OldMode string `json:"old_mode"`
	NewMode string `json:"new_mode"`
	OldBlob string `json:"old_blob"`
	NewBlob string `json:"new_blob"`
	SHA256  string `json:"sha256"`
}

func TestHunkVectors(t *testing.T) {
	const file = "testdata/hunk/v1.json"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v hunkVectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Hunks) < 6 || len(v.Files) < 6 {
		t.Fatalf("only %d and %d vectors", len(v.Hunks), len(v.Files))
	}
	seen := map[string]string{}
	check := func(name, got string, want *string) {
		if other, dup := seen[got]; dup {
			t.Errorf("%s and %s have the same digest", name, other)
		}
		seen[got] = name
		if *updateHunks {
			*want = got
		}
		if got != *want {
			t.Errorf("%s: digest %s, want %s", name, got, *want)
		}
	}
	for i := range v.Hunks {
		c := &v.Hunks[i]
		h := Hunk{Path: string(c.Path), OldMode: c.OldMode, NewMode: c.NewMode}
		for _, l := range c.Lines {
			h.Lines = append(h.Lines, HunkLine{Op: l.Op[0], Text: string(l.Base64)})
		}
		check(c.Name, HunkDigest(h), &c.SHA256)
	}
	for i := range v.Files {
		c := &v.Files[i]
		check(c.Name, FileChangeDigest(FileChange{
			Kind: c.Kind, Path: string(c.Path), OldPath: string(c.OldPath),
			OldMode: c.OldMode, NewMode: c.NewMode, OldBlob: c.OldBlob, NewBlob: c.NewBlob,
		}), &c.SHA256)
	}
	if *updateHunks {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzHunkDigest moves the border between two neighbouring fields: the digest must change.
func FuzzHunkDigest(f *testing.F) {
	f.Add("a.go", "x\n", "y\n", 1)
	f.Add("", "", "\x00", 0)
	f.Fuzz(func(t *testing.T, path, a, b string, shift int) {
		h := Hunk{Path: path, OldMode: "100644", NewMode: "100644", Lines: []HunkLine{{'-', a}, {'+', b}}}
		want := HunkDigest(h)
		if b, err := hex.DecodeString(want); len(b) != 32 || err != nil {
			t.Fatalf("digest %q", want)
		}
		joined := a + b
		if len(joined) > 0 {
			at := ((shift % len(joined)) + len(joined)) % len(joined)
			moved := h
			moved.Lines = []HunkLine{{'-', joined[:at]}, {'+', joined[at:]}}
			if same := at == len(a); same != (HunkDigest(moved) == want) {
				t.Errorf("lines %q and %q against %q and %q: equal digests: %v", a, b, joined[:at], joined[at:], !same)
			}
		}
		merged := h
		merged.Lines = []HunkLine{{'-', joined}}
		if HunkDigest(merged) == want {
			t.Error("one line digests as two")
		}
	})
}
