package artifact

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// A file is a member that a test packs.
type file struct {
	name, text string
	mtime      time.Time
	mode       int64
	uid        int
	uname      string
}

func packTar(t testing.TB, files ...file) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Size: int64(len(f.text)), Mode: f.mode, ModTime: f.mtime, Uid: f.uid, Uname: f.uname, Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func packZip(t testing.TB, files ...file) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		m, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: f.mtime})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func packGzip(t testing.TB, text, name string, mtime time.Time, level int) string {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	w.Name, w.ModTime = name, mtime
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func packAr(files ...file) string {
	var b strings.Builder
	b.WriteString("!<arch>\n")
	for _, f := range files {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", f.name+"/", f.mtime.Unix(), f.uid, 0, "100644", len(f.text), f.text)
		if len(f.text)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func input(name, s string) Input {
	return Input{Name: name, Data: strings.NewReader(s), Size: int64(len(s))}
}

func compare(t testing.TB, a, b string) Report {
	t.Helper()
	r, err := Compare(t.Context(), input("a", a), input("b", b), Limits{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// told is what a report says, as "member: what where: a | b".
func told(r Report) []string {
	var out []string
	for _, d := range r.Differences {
		out = append(out, fmt.Sprintf("%s: %s %s: %s | %s", d.Member, d.What, d.Where, d.A, d.B))
	}
	return out
}
