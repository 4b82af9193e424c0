package record

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// FuzzLine: what is read as an entry is written as the bytes that it was read from, or is refused.
func FuzzLine(f *testing.F) {
	e := Entry{Seq: 1, Kind: KindStart, Body: []byte(`{"n":1}`), Time: time.Unix(1, 0).UTC(), Commits: []CommitRef{{Kind: "prompt", Digest: "sha256:" + hex64}}}
	line, err := appendLine(nil, Head{}, &e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.TrimSuffix(line, []byte("\n")))
	f.Add([]byte(hex64 + ` {"seq":1,"time":"1970-01-01T00:00:01.000000000Z","kind":"x","body":{}}`))
	f.Add([]byte(hex64 + ` {"seq":1,"seq":2}`))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, raw, err := parseLine(line)
		if err != nil {
			return
		}
		if !bytes.Equal(slices.Concat(line[:65], raw), line) {
			t.Fatalf("%q was read from %q", raw, line)
		}
		e.Facts()
		again, err := appendLine(nil, Head{}, &e)
		if err != nil {
			t.Fatal(err)
		}
		if e2, _, err := parseLine(bytes.TrimSuffix(again, []byte("\n"))); err != nil || e2.Seq != e.Seq || !e2.Time.Equal(e.Time) || e2.Kind != e.Kind {
			t.Fatalf("%+v became %+v, %v", e, e2, err)
		}
	})
}

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// FuzzSegment: a segment of any bytes is read, verified and taken up without harm, and a record with
// a seal is whole only with the bytes that were sealed.
func FuzzSegment(f *testing.F) {
	seg, err := os.ReadFile("testdata/sealed/000001.seg")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seg)
	f.Add(seg[:len(seg)-7])
	f.Add(bytes.ReplaceAll(seg, []byte("start"), []byte("stars")))
	f.Add(append(bytes.Clone(seg), seg...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/sealed")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if rep := Verify(dir, Expect{}); rep.OK() != bytes.Equal(b, seg) {
			t.Fatalf("%+v", rep)
		}
		for _, name := range []string{sealFile, segmentName(2), closeName(1), closeName(2)} {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		w, rec, err := Resume(dir, Options{})
		if err != nil {
			return
		}
		defer w.Close()
		if n, _ := w.Head(); n != rec.Records+1 {
			t.Fatalf("%d entries after %+v", n, rec)
		}
		for _, err := range (&Reader{dir, w.header, w.id}).Entries() {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzSmallFiles(f *testing.F) {
	for _, name := range []string{headerFile, sealFile, closeName(1), saltsName(1)} {
		b, err := os.ReadFile(filepath.Join("testdata", "sealed", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parseSalts(b)
		_, _ = ParseErasure(b)
		if c, err := ParseClosed(b); err == nil && c.Records != c.First+c.Entries-1 {
			t.Fatalf("%+v", c)
		}
	})
}
